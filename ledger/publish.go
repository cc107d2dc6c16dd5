package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// publishedState is the published checkpoint, and the way to hear of the next one.
type publishedState struct {
	checkpoint *proof.Published // nil before the first
	note       []byte           // its bytes, not to be changed; nil before the first
	next       chan struct{}    // closed when another one is shown
}

func (s *publishedState) size() uint64 {
	if s.checkpoint == nil {
		return 0
	}
	return s.checkpoint.Checkpoint().Size
}

// Publish signs the committed head, gathers cosignatures until the policy's quorum
// is satisfied, persists the checkpoint, then shows it and wakes who waits for
// it. With nothing new it does nothing. Before the first publication of all it asks
// whether this log is new ([Ledger.ProbeNewLog]).
//
// [ErrNoQuorum], [ErrNoLogKey] and [ErrClock] leave everything as it was: call it
// again. So does ctx's error. [ErrRollback], [ErrUnprovenClaim] and a failed write stop the ledger.
func (l *Ledger[V]) Publish(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	if err := l.resubmitPublished(ctx); err != nil {
		return err
	}
	tree := l.tree.Load()
	if err := l.probeBeforeFirstPublication(ctx, tree.Size); err != nil {
		return err
	}
	sizes, err := l.sizesToPublish(l.published.Load().size(), tree.Size)
	if err != nil {
		return err
	}
	for i, size := range sizes {
		err := l.publishAt(ctx, tree, size)
		if i < len(sizes)-1 && (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrNoLogKey)) {
			l.config.Log.Error("no checkpoint shows this policy's last entry under that policy: its witnesses do not answer, or its log keys are not here", "origin", l.config.Origin, "size", size, "err", err)
			continue // perhaps they are gone for ever; what comes next has its own
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sizesToPublish are the sizes to publish on the way from one size to another: the last
// one, and before it the end of every era of a policy that began and ended between
// the two, since each policy must once be shown under its own witnesses.
func (l *Ledger[V]) sizesToPublish(from, to uint64) ([]uint64, error) {
	if to <= from {
		return nil, nil
	}
	sizes := []uint64{to}
	for at := to; ; {
		_, since, err := l.fold.Policy(at)
		if err != nil {
			return nil, fmt.Errorf("policy for size %d: %w", at, err)
		}
		if at < to && since >= from {
			sizes = append(sizes, at)
		}
		if since <= from {
			slices.Reverse(sizes)
			return sizes, nil
		}
		at = since
	}
}

// publishAt is one publication, of a prefix of the committed tree.
func (l *Ledger[V]) publishAt(ctx context.Context, tree *treeSnapshot, size uint64) (err error) {
	if f := l.config.Hooks.Published; f != nil {
		begun := time.Now()
		defer func() { f(size, time.Since(begun), err) }()
	}
	policy, _, err := l.fold.Policy(size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !l.CanSign(policy) {
		return fmt.Errorf("publishing size %d: %w", size, ErrNoLogKey) // no witness needs to see it
	}
	if l.needsWitnesses(policy) {
		if err := tree.checkAdmissionTime(time.Now()); err != nil {
			return fmt.Errorf("publishing size %d: %w", size, err)
		}
	}
	cp := proof.Checkpoint{Origin: l.config.Origin, Size: size, Root: tree.Root}
	if size < tree.Size {
		if cp.Root, err = l.rootAt(ctx, tree, size); err != nil {
			return err
		}
	}
	signed, err := l.sign(cp)
	if err != nil {
		return err
	}
	published, _, err := l.collectCosignatures(ctx, CosignRequest{Signed: signed, Policy: policy}, tree)
	if err != nil {
		return fmt.Errorf("publishing size %d: %w", size, err)
	}
	l.resubmitted = l.resubmitted || l.needsWitnesses(policy) // a quorum knows of nothing larger
	return l.persistPublished(ctx, published)
}

// CanSign reports whether the policy names one of the log's keys: a checkpoint that
// satisfies it can be made only then. One key is enough, while others come and go.
func (l *Ledger[V]) CanSign(policy *proof.Policy) bool {
	named := policy.LogKeys(l.config.Origin)
	return slices.ContainsFunc(l.config.Signers, func(s *proof.Signer) bool {
		return slices.ContainsFunc(named, s.Key().SamePublicKey)
	})
}

// persistPublished makes a checkpoint the published one, in the store and then in sight:
// what was shown is remembered. What a quorum has cosigned is persisted even if
// the caller gives up now: the outcome would be unknown otherwise.
func (l *Ledger[V]) persistPublished(ctx context.Context, next *proof.Published) error {
	ctx = context.WithoutCancel(ctx)
	old, note := l.published.Load(), next.Note()
	err := l.archive(ctx, old.checkpoint, next)
	if err == nil {
		err = l.store.Publish(ctx, old.note, note)
	}
	if err != nil {
		if !errors.Is(err, ErrConflict) {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return l.stop(fmt.Errorf("persisting the checkpoint of size %d: %w", next.Checkpoint().Size, err))
	}
	l.setPublished(next, note)
	return nil
}

func (l *Ledger[V]) setPublished(p *proof.Published, note []byte) {
	old := l.published.Swap(&publishedState{p, note, make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}

// Published is the newest published checkpoint; nil before the first.
func (l *Ledger[V]) Published() *proof.Published { return l.published.Load().checkpoint }

// AwaitPublished waits until the entry at index is below the published size.
// It returns why the ledger stopped if it does first; ctx's error likewise.
func (l *Ledger[V]) AwaitPublished(ctx context.Context, index uint64) (*proof.Published, error) {
	for {
		s := l.published.Load()
		if s.size() > index {
			return s.checkpoint, nil
		}
		select {
		case <-s.next:
		case <-l.stopped:
			if s := l.published.Load(); s.size() > index {
				return s.checkpoint, nil
			}
			return nil, fmt.Errorf("%w: %w", ErrStopped, l.Err())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
