package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// sickFold is a fold that is damaged for a while.
type sickFold struct {
	ledger.Fold[pebblestore.Blob]
	sick bool
}

type sickDraft struct{ ledger.Draft[pebblestore.Blob] }

func (sickDraft) Judge(pebblestore.Blob) ([]byte, error) {
	return nil, fmt.Errorf("%w: a block", ledger.ErrFold)
}

func (f *sickFold) Begin(admitted time.Time) ledger.Draft[pebblestore.Blob] {
	if f.sick {
		return sickDraft{}
	}
	return f.Fold.Begin(admitted)
}

func (f *sickFold) Policy(size uint64) (*proof.Policy, uint64, error) {
	if f.sick {
		return nil, 0, fmt.Errorf("%w: a block", ledger.ErrFold)
	}
	return f.Fold.Policy(size)
}

// A fold that is damaged where a batch needs it refuses that batch, of which nothing is
// written; the ledger goes on, and takes the same items once the fold is well.
func TestDamagedFoldStopsNothing(t *testing.T) {
	w := newTestEnv(t)
	w.config.MaxBatchItems = 2
	fold := &sickFold{}
	w.wrapFold = func(f *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { fold.Fold = f; return fold }
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	fold.sick = true
	tickets := n.appendAll(t, numberedBlobs(3, 8)...)
	if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrFold) {
		t.Errorf("committing: %v, want ErrFold", err)
	}
	for i, ticket := range tickets { // of every batch
		if _, err := ticket.AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrFold) {
			t.Errorf("item %d: %v, want ErrFold", i, err)
		}
	}
	if err := n.Err(); err != nil || n.Head().Size != 3 {
		t.Fatalf("the ledger stopped at %d: %v", n.Head().Size, err)
	}
	fold.sick = false
	n.addAll(t, numberedBlobs(3, 8)...)
	if size := n.Head().Size; size != 8 {
		t.Errorf("size %d, want 8", size)
	}
	n.close()
}

// What a witness said late is not lost while the fold cannot say which keys are the log's:
// that the store does not lead up to what this log has signed is found out once it can.
func TestDamagedFoldLosesNoLateAnswer(t *testing.T) {
	w, _ := newWitnessedEnv(t)
	fold, ask := &sickFold{}, w.config.Cosign
	w.wrapFold = func(f *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { fold.Fold = f; return fold }
	w.config.Cosign = func(ctx context.Context, r ledger.CosignRequest) (ledger.CosignResponse, error) {
		other := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: 9}, w.signer))
		r.OnLate(ledger.CosignResponse{Checkpoints: [][]byte{other.Note()}})
		return ask(ctx, r)
	}
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 3)...)
	fold.sick = true
	if err := n.MergeLate(t.Context()); !errors.Is(err, ledger.ErrFold) {
		t.Errorf("while the fold is damaged: %v", err)
	}
	fold.sick = false
	if err := n.MergeLate(t.Context()); !errors.Is(err, ledger.ErrRollback) {
		t.Errorf("and then: %v, want ErrRollback", err)
	}
}

// unreadable is a store whose head cannot be read any more.
type unreadable struct {
	ledger.Store
	damaged bool
}

func (u *unreadable) Extend(ctx context.Context, x ledger.Extension) error {
	if u.damaged {
		return fmt.Errorf("reading the head: %w", ledger.ErrCorrupt)
	}
	return u.Store.Extend(ctx, x)
}

// Where the store cannot be read to go on, the ledger stops, says that it is damage, and
// is still read.
func TestDamagedHeadStopsAndIsRead(t *testing.T) {
	w := newTestEnv(t)
	store := &unreadable{}
	w.wrapStore = func(s ledger.Store) ledger.Store { store.Store = s; return store }
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	store.damaged = true
	n.appendAll(t, numberedBlobs(3, 4)...)
	if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("committing: %v, want ErrCorrupt", err)
	}
	if _, err := n.Append(t.Context(), numberedBlobs(4, 5)[0]); !errors.Is(err, ledger.ErrStopped) || !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("appending: %v, want ErrStopped of ErrCorrupt", err)
	}
	if _, err := n.Entry(t.Context(), 1); err != nil {
		t.Errorf("reading: %v", err)
	}
	n.close()
}
