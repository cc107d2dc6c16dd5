package ledger

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Follower stands by: while another ledger writes to a store, it brings a fold up, so that
// [Open] has little to replay, and says whether it could publish. What is published it reads as
// the other one does. It writes nothing to the store, and has not taken it. CatchUp and Show are
// called one at a time, all else from any goroutine.
//
// It goes by what is published: before the log signed that, the store had made it durable.
// A head that was only read may be gone after the next taking, and a fold that had followed
// it would be ahead.
type Follower[V any] struct {
	ledger *Ledger[V]
	source atomic.Uint64 // the size of the newest checkpoint that was read
}

// Follow makes one. The Signers are those of the log, as [Open] is given them.
func Follow[V any](store Store, fold Fold[V], c Config) (*Follower[V], error) {
	l, err := newLedger(store, fold, c)
	if err != nil {
		return nil, err
	}
	l.standsBy = true
	l.archived = ReadKept(l.store).kept
	return &Follower[V]{ledger: l}, nil
}

// CatchUp brings the fold to the published checkpoint, which it checks as Open does.
// [ErrRollback] if the store does not lead up to what it has published, or to what the fold
// has seen; [ErrFold], where that is damaged; [ErrNoLogKey], once it has caught up, if it could
// sign nothing; anything else may pass.
func (f *Follower[V]) CatchUp(ctx context.Context) error {
	l := f.ledger
	note, err := l.store.Published(ctx)
	if err != nil {
		return fmt.Errorf("reading the published checkpoint: %w", err)
	}
	if note == nil {
		return nil
	}
	if bytes.Equal(note, noteOf(l.Published())) {
		_, err := f.policy()
		return err
	}
	signed, err := proof.VerifyLog(note, l.config.Origin, l.ownKeys()...)
	if err != nil {
		return fmt.Errorf("the published checkpoint: %w", err)
	}
	cp := signed.Checkpoint()
	f.source.Store(cp.Size)
	for _, step := range []func(context.Context) error{
		l.loadTree, // after the checkpoint: it is of a head that there was before
		func(ctx context.Context) error { return l.checkPublished(ctx, cp) },
		func(ctx context.Context) error { return l.follow(ctx, l.fold, cp.Size) },
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("following the ledger %s: %w", l.config.Origin, err)
		}
	}
	if err := l.showPublished(note); err != nil {
		return err
	}
	_, err = f.policy()
	return err
}

// policy is the newest that is published, if it names one of the keys here.
func (f *Follower[V]) policy() (*proof.Policy, error) {
	size := f.ledger.fold.Cursor().Size
	policy, _, err := f.ledger.fold.Policy(size)
	if err != nil {
		return nil, fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !f.ledger.CanSign(policy) {
		return nil, ErrNoLogKey
	}
	return policy, nil
}

// Published is the checkpoint that the fold was brought to last; nil before the first.
func (f *Follower[V]) Published() *proof.Published { return f.ledger.Published() }

// Source is the size of the newest checkpoint that the store has shown, to which the fold is
// brought; 0 before the first.
func (f *Follower[V]) Source() uint64 { return f.source.Load() }

// Reader reads what is published as far as the fold was brought.
func (f *Follower[V]) Reader() *reader.Reader { return f.ledger.Reader }

// CheckpointAt is [Ledger.CheckpointAt], of what the store keeps by now.
func (f *Follower[V]) CheckpointAt(ctx context.Context, t time.Time) (*proof.Published, error) {
	if err := f.ledger.archived.recount(ctx); err != nil {
		return nil, err
	}
	return f.ledger.CheckpointAt(ctx, t)
}

// ReceiptUpTo is [Ledger.ReceiptUpTo], of what the store keeps by now.
func (f *Follower[V]) ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error) {
	if err := f.ledger.archived.recount(ctx); err != nil {
		return proof.Receipt{}, err
	}
	return f.ledger.ReceiptUpTo(ctx, index, size)
}

// CheckpointOf is [Ledger.CheckpointOf].
func (f *Follower[V]) CheckpointOf(ctx context.Context, note []byte) (*proof.Published, error) {
	return f.ledger.CheckpointOf(ctx, note)
}

// Replay brings another fold to a size, as far as a checkpoint was read at most.
func (f *Follower[V]) Replay(ctx context.Context, fold Fold[V], size uint64) error {
	return f.ledger.follow(ctx, fold, size)
}

// Refold brings another, empty fold to where the one that is followed with stands, which is damaged. It
// is called as CatchUp is.
func (f *Follower[V]) Refold(ctx context.Context, next Fold[V]) error {
	if err := f.ledger.loadTree(ctx); err != nil { // an Open that failed may have brought it beyond what was read
		return err
	}
	return f.ledger.follow(ctx, next, f.ledger.fold.Cursor().Size)
}

// Show asks a quorum of the witnesses of the newest policy that is published to cosign the
// published checkpoint again: nil if a ledger opened now could publish. Nothing is stored,
// and nothing is signed but what the log has signed before. Where the quorum is none, or
// nothing is published yet, nobody is asked.
//
// [ErrConflict]: the log has signed something newer meanwhile, whose entries the store holds:
// another ledger writes. Other errors as of [Ledger.Publish].
func (f *Follower[V]) Show(ctx context.Context) error {
	l, last := f.ledger, f.ledger.Published()
	if last == nil {
		return nil
	}
	policy, err := f.policy()
	if err != nil {
		return err
	}
	if !l.needsWitnesses(policy) {
		return nil
	}
	if err := l.loadTree(ctx); err != nil { // the newest that witnesses can have seen
		return err
	}
	_, err = l.showAgain(ctx, last, policy, l.tree.Load())
	return err
}
