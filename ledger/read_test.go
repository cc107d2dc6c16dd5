package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Every size to 100, one by one: each entry's receipt verifies at each later
// size, and each size is shown to lead up to each later one.
func TestProofsOfEverySize(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	trees := []proof.Tree{{Root: proof.EmptyRoot()}}
	for size := 1; size <= 100; size++ {
		n.addAll(t, numberedBlobs(size-1, size)...)
		tree := n.Published().Checkpoint().Tree()
		trees = append(trees, tree)
		for i := range size {
			r, err := n.Receipt(t.Context(), uint64(i))
			if err != nil {
				t.Fatalf("receipt of %d in %d: %v", i, size, err)
			}
			if err := proof.VerifyInclusion(proof.LeafHash(r.Entry), r.Index, r.Path, tree); err != nil {
				t.Fatalf("receipt of %d in %d: %v", i, size, err)
			}
		}
		w.checkReceipt(t, must(n.Receipt(t.Context(), uint64(size/2))), uint64(size/2))
		for from, old := range trees {
			path, err := n.ConsistencyProof(t.Context(), uint64(from), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(old, tree, path); err != nil {
				t.Fatalf("%d to %d: %v", from, size, err)
			}
		}
		if size%33 == 0 {
			n = w.reopen(t, n)
		}
	}
	w.checkPublished(t, n)
}

// Random batches across the boundaries of tiles, with restarts, give the tree that
// one by one gives.
func TestBatchSizes(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newTestEnv(t)
	w.config.MaxBatchItems = 90
	n := w.mustOpen(t)
	defer func() { n.close() }()
	for size := 0; size < 1400; {
		k := 1 + rng.IntN(300)
		for i, a := range n.addAll(t, numberedBlobs(size, size+k)...) {
			if a != (ledger.Admission{Index: uint64(size + i)}) {
				t.Fatalf("blob %d was admitted as %+v (seed %d)", size+i, a, seed)
			}
		}
		size += k
		w.checkPublished(t, n)
		for range 20 {
			i := rng.Uint64N(uint64(size))
			w.checkReceipt(t, must(n.Receipt(t.Context(), i)), i)
		}
		if rng.IntN(3) == 0 {
			n = w.reopen(t, n)
		}
	}
}

// A batch of more bytes than a commit takes becomes several commits.
func TestBatchIsLimitedByBytes(t *testing.T) {
	w := newTestEnv(t)
	w.config.MaxBatchBytes = 100
	commits := 0
	w.config.Hooks.Committed = func(int, int, int, time.Duration) { commits++ }
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 50)...)
	if commits < 5 {
		t.Errorf("%d commits", commits)
	}
	w.checkPublished(t, n)
}

// What is not published is not served, whatever the width.
func TestReadsEndAtThePublishedSize(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	if _, err := n.Entry(t.Context(), 0); !errors.Is(err, reader.ErrUnpublished) {
		t.Errorf("entry of an empty ledger: %v", err)
	}
	n.addAll(t, numberedBlobs(0, 260)...)
	n.appendAll(t, numberedBlobs(260, 300)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.Head().Size != 300 || n.Backlog() != 40 {
		t.Errorf("committed %d, backlog %d", n.Head().Size, n.Backlog())
	}
	reads := map[string]error{}
	_, reads["entry"] = n.Entry(t.Context(), 260)
	_, reads["entries"] = n.Entries(t.Context(), 250, 261)
	_, reads["backwards"] = n.Entries(t.Context(), 20, 10)
	_, reads["receipt"] = n.Receipt(t.Context(), 299)
	_, reads["tile"] = n.Tile(t.Context(), proof.TileID{Index: 1, Width: 5})
	_, reads["no such level"] = n.Tile(t.Context(), proof.TileID{Level: 9, Width: 1})
	_, reads["consistency"] = n.ConsistencyProof(t.Context(), 1, 261)
	for what, err := range reads {
		if !errors.Is(err, reader.ErrUnpublished) {
			t.Errorf("%s beyond the published size: %v", what, err)
		}
	}
	if b, err := n.Tile(t.Context(), proof.TileID{Index: 1, Width: 4}); err != nil || len(b) != 128 {
		t.Errorf("tile within it: %d bytes, %v", len(b), err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// countingStore counts what is kept.
type countingStore struct {
	ledger.Store
	archived int // in writes of their own
	together int // with what was published next
}

func (c *countingStore) ArchiveAndPublish(ctx context.Context, number uint64, blob, old, next []byte) error {
	c.together++
	return ledger.ArchiveAndPublish(ctx, c.Store, number, blob, old, next)
}

func (c *countingStore) Archive(ctx context.Context, number uint64, blob []byte) error {
	c.archived++
	return c.Store.Archive(ctx, number, blob)
}

// At any moment of the past, the checkpoint that answers for it is stamped no later,
// and nothing that was published a minute before is missing; one a minute is kept.
func TestCheckpointAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		store := &countingStore{}
		w.wrapStore = func(s ledger.Store) ledger.Store { store.Store = s; return store }
		n := w.mustOpen(t)
		defer func() { n.close() }()
		if _, err := n.CheckpointAt(t.Context(), time.Now()); !errors.Is(err, ledger.ErrNotArchived) {
			t.Errorf("nothing published: %v", err)
		}
		type moment struct {
			at   time.Time
			size uint64
		}
		var past []moment
		begun := time.Now()
		for i := range 120 { // every 7 s, for 14 minutes
			n.addAll(t, numberedBlobs(i, i+1)...)
			past = append(past, moment{time.Now(), uint64(i + 1)})
			time.Sleep(7 * time.Second)
			p.clockOffset[2] = time.Duration(i%9-4) * time.Minute // its clock is anywhere
		}
		busy := store.together
		if busy < 12 || busy > 15 {
			t.Errorf("%d kept in 14 minutes", busy)
		}
		for range 18 { // three hours of silence
			time.Sleep(10 * time.Minute)
			if err := n.Recosign(t.Context()); err != nil {
				t.Fatal(err)
			}
			past = append(past, moment{time.Now(), 120})
		}
		time.Sleep(10 * time.Minute)
		n.addAll(t, numberedBlobs(120, 121)...)
		past = append(past, moment{time.Now(), 121})
		if idle := store.together - busy; idle != 2 {
			t.Errorf("%d kept of one size that was cosigned 19 times, want the first and the last", idle)
		}
		if store.archived > 0 {
			t.Errorf("%d kept in writes of their own, of a store that can do with one", store.archived)
		}
		n = w.reopen(t, n)
		kept := ledger.ReadKept(store)
		for i, m := range past {
			got, err := n.CheckpointAt(t.Context(), m.at)
			note, keptErr := kept.CheckpointAt(t.Context(), m.at)
			if newest := err == nil && got.Checkpoint().Size == 121; !newest && (errors.Is(keptErr, ledger.ErrNotArchived) != (err != nil) || err == nil && !bytes.Equal(note, got.Note())) {
				t.Errorf("moment %d: who reads the store finds %q, %v", i, note, keptErr)
			}
			size := uint64(0)
			switch {
			case err == nil:
				size = got.Checkpoint().Size
				if got.ExistedBy().After(m.at) {
					t.Errorf("moment %d: stamped %s, asked for %s", i, got.ExistedBy(), m.at)
				}
			case !errors.Is(err, ledger.ErrNotArchived):
				t.Fatal(err)
			}
			before := uint64(0) // the newest published five minutes and one before, whatever the clocks
			for _, o := range past[:i] {
				if m.at.Sub(o.at) > 6*time.Minute {
					before = o.size
				}
			}
			if size < before || size > m.size {
				t.Errorf("moment %d, %s after the start: size %d, want %d to %d", i, m.at.Sub(begun), size, before, m.size)
			}
		}
		if _, err := n.CheckpointAt(t.Context(), begun.Add(-time.Hour)); !errors.Is(err, ledger.ErrNotArchived) {
			t.Errorf("before all: %v", err)
		}
		if _, err := n.CheckpointAt(t.Context(), time.Time{}); !errors.Is(err, ledger.ErrNotArchived) {
			t.Errorf("before time: %v", err)
		}
	})
}
