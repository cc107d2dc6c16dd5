package ledger_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// readOnlyStore fails the test where somebody who stands by writes.
type readOnlyStore struct {
	ledger.Store
	t *testing.T
}

func (s readOnlyStore) refuse() error {
	s.t.Error("who stands by writes")
	return ledger.ErrNotTaken
}

func (s readOnlyStore) Take(context.Context) error                     { return s.refuse() }
func (s readOnlyStore) Extend(context.Context, ledger.Extension) error { return s.refuse() }
func (s readOnlyStore) Publish(context.Context, []byte, []byte) error  { return s.refuse() }
func (s readOnlyStore) Archive(context.Context, uint64, []byte) error  { return s.refuse() }

// standBy follows the store of a ledger that is open, with a fold of its own.
func (w *testEnv) standBy(t *testing.T, n *testLedger) (*ledger.Follower[pebblestore.Blob], *pebblestore.BlobFold) {
	t.Helper()
	index := must(pebblestore.OpenBlobFold(w.fs, "standby", w.policy, smallOptions))
	c := w.config
	c.Origin, c.Signers = testOrigin, []*proof.Signer{w.signer}
	return must(ledger.Follow(readOnlyStore{n.store, t}, ledger.Fold[pebblestore.Blob](index), c)), index
}

// Who stands by has in its fold what is published, and nothing that may yet be gone; it
// writes nothing; and it says whether a quorum would answer.
func TestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		defer func() { n.close() }()
		w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			if ask.Tree().Size < p.seen[2].Size {
				p.unresponsive[2] = true // but for what it has seen
				defer func() { p.unresponsive[2] = false }()
			}
			return p.cosign(ctx, ask)
		}
		f, index := w.standBy(t, n)
		defer func() { index.Close() }()
		if err := errors.Join(f.CatchUp(t.Context()), f.Show(t.Context())); err != nil || index.Cursor().Size != 0 {
			t.Fatalf("beside a new ledger: %v, at %v", err, index.Cursor())
		}
		n.addAll(t, numberedBlobs(0, 300)...)
		n.appendAll(t, numberedBlobs(300, 303)...)
		if err := errors.Join(n.Commit(t.Context()), f.CatchUp(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := index.Cursor(); got != n.Published().Checkpoint().Tree() || f.Published() == nil {
			t.Errorf("it came to %v, published is %v", got, n.Published().Checkpoint().Tree())
		}
		was := string(n.Published().Note())
		p.requests = nil
		if err := f.Show(t.Context()); err != nil || !slices.Equal(p.requestedSizes(), []uint64{300}) {
			t.Errorf("a quorum answers: %v, asked about %v", err, p.requestedSizes())
		}
		p.unresponsive[0], p.unresponsive[1] = true, true
		if err := f.Show(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Errorf("no quorum answers: %v", err)
		}

		// The writer dies after some have cosigned what it published next.
		if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) || p.seen[2].Size != 303 {
			t.Fatalf("publishing without a quorum: %v", err)
		}
		p.unresponsive[0], p.shownNotes, p.requests = false, [][]byte{p.requests[len(p.requests)-1].Signed.Note()}, nil
		if err := f.Show(t.Context()); err != nil || !slices.Equal(p.requestedSizes(), []uint64{300, 303}) {
			t.Errorf("after a part has cosigned more: %v, asked about %v", err, p.requestedSizes())
		}
		if got := string(must(n.store.Published(t.Context()))); got != was || n.Err() != nil {
			t.Errorf("published is now\n%s\n%v", got, n.Err())
		}
	})
}

// Who stands by shows what is published as the writer does: receipts, what was published once, also what
// the writer has kept since, and its entries to another fold.
func TestFollowerReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWitnessedEnv(t)
		n := w.mustOpen(t)
		defer func() { n.close() }()
		f, index := w.standBy(t, n)
		defer func() { index.Close() }()
		if _, err := f.CheckpointOf(t.Context(), nil); err == nil || f.Source() != 0 || f.Reader().Published() != nil {
			t.Errorf("beside a new ledger: %v, %d", err, f.Source())
		}
		var moments []time.Time
		for i := range 4 {
			n.addAll(t, numberedBlobs(10*i, 10*i+10)...)
			if err := f.CatchUp(t.Context()); err != nil || f.Source() != uint64(10*i+10) {
				t.Fatalf("%v, the source has %d", err, f.Source())
			}
			moments = append(moments, time.Now())
			time.Sleep(3 * time.Minute)
			for j, at := range moments {
				p, err := f.CheckpointAt(t.Context(), at)
				if err != nil || p.Checkpoint().Size != uint64(10*j+10) {
					t.Fatalf("at moment %d of %d: %v, %v", j, i, p, err)
				}
				if q, err := f.CheckpointOf(t.Context(), p.Note()); err != nil || q.Checkpoint() != p.Checkpoint() {
					t.Errorf("its note: %v, %v", q, err)
				}
				r, err := f.ReceiptUpTo(t.Context(), uint64(10*j), uint64(10*j+10))
				if err != nil {
					t.Fatal(err)
				}
				if v, err := r.Verify(w.policy, time.Now()); err != nil || v.Published().Checkpoint().Size != uint64(10*j+10) {
					t.Errorf("a receipt up to size %d: %v", 10*j+10, err)
				}
			}
		}
		for i := range uint64(40) {
			own, err := f.Reader().Receipt(t.Context(), i)
			if err != nil || string(must(own.Format())) != string(must(must(n.Receipt(t.Context(), i)).Format())) {
				t.Errorf("the receipt of %d: %v", i, err)
			}
		}
		other := must(pebblestore.OpenBlobFold(w.fs, "other", w.policy, smallOptions))
		defer other.Close()
		if err := f.Replay(t.Context(), ledger.Fold[pebblestore.Blob](other), 17); err != nil || other.Cursor() != must(n.TreeAt(t.Context(), 17)) {
			t.Errorf("another fold came to %v, %v", other.Cursor(), err)
		}
	})
}

// Who has none of the keys that the policy names could publish nothing, and says so before it
// has to.
func TestFollowerWithoutAKey(t *testing.T) {
	w := newTestEnv(t)
	older, _ := storetest.NewLogKey(t, testOrigin)
	w.config.Signers = []*proof.Signer{older}
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 3)...)
	index := must(pebblestore.OpenBlobFold(w.fs, "standby", w.policy, smallOptions))
	defer index.Close()
	f := must(ledger.Follow(readOnlyStore{n.store, t}, ledger.Fold[pebblestore.Blob](index), ledger.Config{Origin: testOrigin, Signers: []*proof.Signer{older}}))
	for range 2 {
		if err := f.CatchUp(t.Context()); !errors.Is(err, ledger.ErrNoLogKey) || index.Cursor().Size != 3 {
			t.Errorf("at %v: %v", index.Cursor(), err)
		}
	}
	if err := f.Show(t.Context()); !errors.Is(err, ledger.ErrNoLogKey) {
		t.Errorf("showing: %v", err)
	}
}

// A store that does not hold what its log has signed is not taken.
func TestFollowerOfALostStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		n.addAll(t, numberedBlobs(0, 3)...)
		n.addAll(t, numberedBlobs(3, 5)...)
		newer := n.Published().Note()
		f, index := w.standBy(t, n)
		if err := errors.Join(f.CatchUp(t.Context()), index.Close()); err != nil {
			t.Fatal(err)
		}
		n.close()

		older := w.withEmptyDisk() // restored from a backup, as it were
		for i := range p.seen {
			p.seen[i] = proof.Tree{Root: proof.EmptyRoot()}
		}
		n = older.mustOpen(t)
		defer func() { n.close() }()
		n.addAll(t, numberedBlobs(0, 3)...)
		f, fresh := older.standBy(t, n)
		defer fresh.Close()
		if err := f.CatchUp(t.Context()); err != nil || fresh.Cursor().Size != 3 {
			t.Fatal(err)
		}
		p.shownNotes = [][]byte{newer}
		if err := f.Show(t.Context()); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("a witness shows more: %v", err)
		}
		index = must(pebblestore.OpenBlobFold(w.fs, "standby", w.policy, smallOptions))
		defer index.Close()
		c := w.config
		c.Origin, c.Signers = testOrigin, []*proof.Signer{w.signer}
		f = must(ledger.Follow(readOnlyStore{n.store, t}, ledger.Fold[pebblestore.Blob](index), c))
		if err := f.CatchUp(t.Context()); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("the fold has seen more: %v", err)
		}
	})
}
