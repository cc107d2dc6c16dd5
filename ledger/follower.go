package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Follower stands by: while another ledger writes to a store, it brings a fold up, so that
// [Open] has little to replay, and says whether it could publish. It writes nothing to the
// store, and has not taken it. Its methods are called one at a time.
//
// It goes by what is published: before the log signed that, the store had made it durable.
// A head that was only read may be gone after the next taking, and a fold that had followed
// it would be ahead.
type Follower[V any] struct{ ledger *Ledger[V] }

// Follow makes one. The Signers are those of the log, as [Open] is given them.
func Follow[V any](store Store, fold Fold[V], c Config) (*Follower[V], error) {
	l, err := newLedger(store, fold, c)
	if err != nil {
		return nil, err
	}
	l.standsBy = true
	return &Follower[V]{l}, nil
}

// CatchUp brings the fold to the published checkpoint, which it checks as Open does.
// [ErrRollback] if the store does not lead up to what it has published, or to what the fold
// has seen; [ErrFold], where that is damaged; anything else may pass.
func (f *Follower[V]) CatchUp(ctx context.Context) error {
	l := f.ledger
	note, err := l.store.Published(ctx)
	if err != nil {
		return fmt.Errorf("reading the published checkpoint: %w", err)
	}
	if note == nil || bytes.Equal(note, noteOf(l.Published())) {
		return nil
	}
	signed, err := proof.VerifyLog(note, l.config.Origin, l.ownKeys()...)
	if err != nil {
		return fmt.Errorf("the published checkpoint: %w", err)
	}
	cp := signed.Checkpoint()
	for _, step := range []func(context.Context) error{
		l.loadTree, // after the checkpoint: it is of a head that there was before
		func(ctx context.Context) error { return l.checkPublished(ctx, cp) },
		func(ctx context.Context) error { return l.follow(ctx, l.fold, cp.Size) },
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("following the ledger %s: %w", l.config.Origin, err)
		}
	}
	return l.showPublished(note)
}

// Published is the checkpoint that the fold was brought to last; nil before the first.
func (f *Follower[V]) Published() *proof.Published { return f.ledger.Published() }

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
	policy, _, err := l.fold.Policy(l.fold.Cursor().Size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", l.fold.Cursor().Size, err)
	}
	if !l.CanSign(policy) {
		return ErrNoLogKey
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
