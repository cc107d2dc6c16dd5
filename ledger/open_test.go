package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// acknowledged is what clients were told before a crash.
type acknowledged struct {
	size     int             // blobs 0…size−1 are published, in this order
	receipts []proof.Receipt // given out
	tree     proof.Tree      // of the last checkpoint
}

// checkSurvives opens the ledger on what a crash left and checks that nothing in acked
// is lost, that old receipts fit the new tree, and that it goes on: all blobs that were
// ever sent are sent again, and each is there once.
func (w *testEnv) checkSurvives(t *testing.T, acked acknowledged, sent int) {
	t.Helper()
	n := w.mustOpen(t)
	defer n.close()
	if acked.tree.Size > 0 {
		if p := n.Published(); p == nil || p.Checkpoint().Size < acked.tree.Size {
			t.Fatalf("published size %d is forgotten", acked.tree.Size)
		}
	}
	for i, a := range n.addAll(t, numberedBlobs(0, sent)...) {
		if i < acked.size && a != (ledger.Admission{Index: uint64(i), Duplicate: true}) {
			t.Fatalf("blob %d of %d published ones is admitted as %+v", i, acked.size, a)
		}
	}
	if entries := w.checkPublished(t, n); len(entries) != sent {
		t.Fatalf("%d entries for %d blobs", len(entries), sent)
	}
	for _, r := range acked.receipts {
		w.checkReceipt(t, r, r.Index)
		w.checkReceipt(t, must(n.Receipt(t.Context(), r.Index)), r.Index)
	}
	path, err := n.ConsistencyProof(t.Context(), acked.tree.Size, uint64(sent))
	if err != nil {
		t.Fatal(err)
	}
	if acked.tree.Size > 0 {
		if err := proof.VerifyConsistency(acked.tree, n.Published().Checkpoint().Tree(), path); err != nil {
			t.Fatal(err)
		}
	}
}

// The power fails before each single write to the file system while a ledger
// commits and publishes. With one disk for log and index, they crash together.
func TestCrashAtEveryWrite(t *testing.T) {
	const seed, sent = 3, 60
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewCrashableMem()
	type crash struct {
		left *vfs.MemFS
		told acknowledged
	}
	var mu sync.Mutex // Pebble writes in the background too
	var crashes []crash
	var told acknowledged
	w := newTestEnv(t)
	w.fs = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}
			crashes = append(crashes, crash{mem.CrashClone(cfg), told})
		}
		return nil
	}))
	n := w.mustOpen(t)
	for size := 0; size < sent; {
		k := min(1+rng.IntN(9), sent-size)
		n.addAll(t, numberedBlobs(size, size+k)...)
		size += k
		r := must(n.Receipt(t.Context(), uint64(size-1)))
		mu.Lock()
		told.receipts = append(told.receipts[:len(told.receipts):len(told.receipts)], r)
		told.size, told.tree = size, n.Published().Checkpoint().Tree()
		mu.Unlock()
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d crashes (seed %d)", len(crashes), seed)
	for i, c := range crashes {
		if testing.Short() && i%5 != 0 {
			continue
		}
		w.onDisk(c.left).checkSurvives(t, c.told, sent)
		if t.Failed() {
			t.Fatalf("crash %d of %d (seed %d)", i, len(crashes), seed)
		}
	}
}

// Each write of the store fails: not applied; applied yet reported failed; applied
// after the reopening. The ledger stops, and reopened it is whole.
func TestEveryStoreWriteFails(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"lost": storetest.WriteLost, "a lie": storetest.WriteUnreported, "late": storetest.WriteDelayed} {
		for write := range 8 {
			w := newTestEnv(t)
			var f *storetest.FaultyStore
			w.wrapStore = func(s ledger.Store) ledger.Store {
				f = &storetest.FaultyStore{Store: s, FaultOf: func(n int) storetest.Fault {
					if n == write {
						return fault
					}
					return storetest.NoFault
				}}
				return f
			}
			n := w.mustOpen(t)
			var told acknowledged
			const sent = 20
			stopped := false
			for size := 0; size < sent; size += 5 {
				tickets := n.appendAll(t, numberedBlobs(size, size+5)...)
				err := n.Commit(t.Context())
				if err == nil {
					err = n.Publish(t.Context())
				} else if _, err := tickets[0].AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrUnknown) {
					t.Errorf("%s, write %d: the waiter got %v, want ErrUnknown", name, write, err)
				}
				if err != nil {
					stopped = true
					if !errors.Is(err, ledger.ErrUnknown) || !errors.Is(n.Err(), ledger.ErrUnknown) {
						t.Errorf("%s, write %d: %v; want ErrUnknown", name, write, err)
					}
					if _, err := n.Append(t.Context(), numberedBlobs(99, 100)[0]); !errors.Is(err, ledger.ErrStopped) {
						t.Errorf("%s, write %d: appending to a stopped ledger: %v", name, write, err)
					}
					break
				}
				told = acknowledged{size + 5, append(told.receipts, must(n.Receipt(t.Context(), uint64(size)))), n.Published().Checkpoint().Tree()}
			}
			if stopped != (write < f.Writes()) {
				t.Fatalf("%s: %d writes, stopped %v at %d", name, f.Writes(), stopped, write)
			}
			if err := n.close(); err != nil {
				t.Fatal(err)
			}
			after := w.onDisk(w.fs)
			if fault == storetest.WriteDelayed { // it arrives while the reopened ledger is already there, or before
				store := must(pebblestore.Open(w.fs, "log", smallOptions))
				if err := f.ApplyDelayed(t.Context(), store); err != nil {
					t.Fatal(err)
				}
				store.Close()
			}
			after.checkSurvives(t, told, sent)
		}
	}
}

// An extension that arrives while the reopened ledger runs is a writer that is not
// supposed to be there: whoever comes second conflicts, and no history is lost.
func TestLateWriteConflicts(t *testing.T) {
	w := newTestEnv(t)
	var f *storetest.FaultyStore
	w.wrapStore = func(s ledger.Store) ledger.Store {
		f = &storetest.FaultyStore{Store: s, FaultOf: func(n int) storetest.Fault { return []storetest.Fault{0, 0, storetest.WriteDelayed}[n] }}
		return f
	}
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	n.appendAll(t, numberedBlobs(3, 6)...)
	if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrUnknown) {
		t.Fatal(err)
	}
	n.close()
	w.wrapStore = nil
	n = w.mustOpen(t)
	if err := f.ApplyDelayed(t.Context(), n.store); err != nil {
		t.Fatal(err)
	}
	tickets := n.appendAll(t, numberedBlobs(6, 8)...)
	if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("extending a head that moved: %v", err)
	}
	if _, err := tickets[0].AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrConflict) || !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("the waiter got %v", err)
	}
	n.close()
	w.checkSurvives(t, acknowledged{size: 3}, 8)
}

// The fold is derived: deleted or behind, it comes back. It is never ahead of the store
// that it is derived from, nor of another one, unless that has lost something: then it
// stays as the evidence.
func TestFoldIsReplayed(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 2000)...)
	n.close()

	if err := w.fs.RemoveAll("index"); err != nil {
		t.Fatal(err)
	}
	n = w.mustOpen(t)
	if n.index.Cursor() != n.Head() {
		t.Fatalf("replayed to %v, want %v", n.index.Cursor(), n.Head())
	}
	if a := n.addAll(t, numberedBlobs(1999, 2001)...); !a[0].Duplicate || a[0].Index != 1999 || a[1].Index != 2000 {
		t.Errorf("after the replay: %+v", a)
	}
	n.close()

	for what, blobs := range map[string][]pebblestore.Blob{"ahead": numberedBlobs(0, 3000), "of another log": numberedBlobs(500, 1500)} {
		other := newTestEnv(t)
		m := other.mustOpen(t)
		m.addAll(t, blobs...)
		cursor := m.index.Cursor()
		m.close()
		w.fs.RemoveAll("index")
		if ok, err := vfs.Clone(other.fs, w.fs, "index", "index"); err != nil || !ok {
			t.Fatal(ok, err)
		}
		for range 2 { // it does not help to start again
			if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) {
				t.Errorf("the fold is %s: %v, want ErrRollback", what, err)
			}
		}
		index := must(pebblestore.OpenBlobFold(w.fs, "index", w.policy, smallOptions))
		if index.Cursor() != cursor {
			t.Errorf("the fold is %s: then it was at %v, before at %v", what, index.Cursor(), cursor)
		}
		index.Close()
	}
}

// The store is gone, or what it had at first is back, beside a fold that knows more.
func TestFoldAheadOfStore(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	n.close()
	early := vfs.NewMem()
	if ok, err := vfs.Clone(w.fs, early, "log", "log"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	n = w.mustOpen(t)
	n.addAll(t, numberedBlobs(3, 5)...)
	n.close()
	for _, restore := range []bool{true, false} {
		w.fs.RemoveAll("log")
		if restore {
			vfs.Clone(early, w.fs, "log", "log")
		}
		if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("restored %v: %v, want ErrRollback", restore, err)
		}
	}
}

// The published checkpoint is of a size that the store has, is the log's own, and of another
// root: the store lost what was published, and got other entries since.
func TestPublishedOfAnotherRoot(t *testing.T) {
	for _, size := range []int{3, 5} { // within the store's tree, and all of it
		t.Run(fmt.Sprintf("size %d of 5", size), func(t *testing.T) {
			w := newTestEnv(t)
			n := w.mustOpen(t)
			n.addAll(t, numberedBlobs(0, 5)...)
			own := must(n.store.Published(t.Context()))

			other := w.onDisk(vfs.NewMem())
			m := other.mustOpen(t)
			m.addAll(t, numberedBlobs(100, 100+size)...)
			if err := n.store.Publish(t.Context(), own, must(m.store.Published(t.Context()))); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(m.close(), n.close()); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it does not help to start again
				if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) {
					t.Errorf("got %v, want ErrRollback", err)
				}
			}
		})
	}
}

// corruptingStore is a disk that changes a bit of what is read back: of the entry at this
// index, or of this tile's first hash.
type corruptingStore struct {
	ledger.Store
	entry *uint64
	tile  *proof.TileID
	lost  bool // the tile cannot be read at all
	short bool // a hash of the tile is missing
}

func (r *corruptingStore) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	e, err := r.Store.Entries(ctx, start, end)
	if err == nil && r.entry != nil && start <= *r.entry && *r.entry < end {
		e[*r.entry-start][0] ^= 1
	}
	return e, err
}

func (r *corruptingStore) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	h, err := r.Store.Tiles(ctx, ids)
	for i, id := range ids {
		if err == nil && r.tile != nil && id.Full() == r.tile.Full() {
			if r.lost {
				return nil, fmt.Errorf("%w: a block", ledger.ErrCorrupt)
			}
			if r.short {
				h[i] = h[i][32:]
				continue
			}
			h[i][0] ^= 1
		}
	}
	return h, err
}

// An entry that rots gives an error, not a wrong proof; a tile is made anew from what lies
// below it, and a right edge that is another one is an error at the opening.
func TestCorruptStore(t *testing.T) {
	w := newTestEnv(t)
	disk := &corruptingStore{}
	w.wrapStore = func(s ledger.Store) ledger.Store { disk.Store = s; return disk }
	w.config.MaxPoolItems = 1 << 20
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 70_000)...)

	for _, edge := range []proof.TileID{{Index: 70_000 / 256}, {Level: 1, Index: 1}, {Level: 2}} {
		disk.tile, disk.lost = &edge, true
		n = w.reopen(t, n)
		if got := n.Head().Size; got != 70_000 {
			t.Errorf("right edge %v lost: it opens at %d", edge, got)
		}
		disk.lost, disk.short = false, true
		n = w.reopen(t, n)
		if got := n.Head().Size; got != 70_000 {
			t.Errorf("right edge %v too short: it opens at %d", edge, got)
		}
		disk.tile, disk.short = nil, false
	}
	for i, id := range []proof.TileID{{Index: 7}, {Level: 1}, {Index: 7}, {Level: 1}} {
		disk.lost = i >= 2
		want := bytes.Clone(must(n.Tile(t.Context(), proof.TileID{Index: 7, Width: 9})))
		n = w.reopen(t, n) // forgets the checked tiles
		disk.tile = &id
		if got, err := n.Tile(t.Context(), proof.TileID{Index: 7, Width: 9}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("tile %v rotten: tile 0/7 is %x, %v, want %x", id, got, err, want)
		}
		n = w.reopen(t, n)
		w.checkReceipt(t, must(n.Receipt(t.Context(), 7*256+1)), 7*256+1)
		if _, err := n.Entries(t.Context(), 7*256, 8*256); err != nil {
			t.Errorf("tile %v rotten: entries: %v", id, err)
		}

		n = w.reopen(t, n)
		below := uint64(7*256 + 3)
		disk.entry = &below
		if _, err := n.Receipt(t.Context(), 7*256+1); id.Level == 0 && !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("tile %v and an entry below it rotten: %v", id, err)
		}
		disk.tile, disk.entry, disk.lost = nil, nil, false
	}
	n = w.reopen(t, n)
	bad := uint64(300)
	disk.entry = &bad
	_, inEntry := n.Entry(t.Context(), bad)
	_, inReceipt := n.Receipt(t.Context(), bad)
	for what, err := range map[string]error{"entry": inEntry, "receipt": inReceipt} {
		if !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("entry rotten: reading a %s gives %v", what, err)
		}
	}
	n.close()
	for name, rot := range map[string]*corruptingStore{
		"right edge, level 0": {tile: &proof.TileID{Index: 70_000 / 256}},
		"right edge, level 2": {tile: &proof.TileID{Level: 2}},
		"newest entry":        {entry: new(uint64(69_999))},
	} {
		w.wrapStore = func(s ledger.Store) ledger.Store { rot.Store = s; return rot }
		if _, err := w.open(t); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("opening with a rotten %s: %v", name, err)
		}
	}
}
