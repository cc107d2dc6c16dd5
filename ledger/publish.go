package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// shown is the published checkpoint, and the way to hear of the next one.
type shown struct {
	published *proof.Published // nil before the first
	note      []byte           // its bytes, not to be changed; nil before the first
	next      chan struct{}    // closed when another one is shown
}

func (s *shown) size() uint64 {
	if s.published == nil {
		return 0
	}
	return s.published.Checkpoint().Size
}

// Publish signs the committed head, gathers cosignatures until the policy's quorum
// is satisfied, persists the checkpoint, then shows it and wakes who waits for
// it. With nothing new it does nothing. Before the first publication of all it asks
// whether this log is new ([Ledger.Introduce]).
//
// [ErrNoQuorum], [ErrNoLogKey] and [ErrClock] leave everything as it was: call it
// again. So does ctx's error. [ErrRollback], [ErrClaimed] and a failed write stop the ledger.
func (l *Ledger[V]) Publish(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	if err := l.reassure(ctx); err != nil {
		return err
	}
	tree := l.view.Load()
	if err := l.introduceFirst(ctx, tree.Size); err != nil {
		return err
	}
	sizes, err := l.milestones(l.shown.Load().size(), tree.Size)
	if err != nil {
		return err
	}
	for i, size := range sizes {
		err := l.publish(ctx, tree, size)
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

// milestones are the sizes to publish on the way from one size to another: the last
// one, and before it the end of every era of a policy that began and ended between
// the two, since each policy must once be shown under its own witnesses.
func (l *Ledger[V]) milestones(from, to uint64) ([]uint64, error) {
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

// publish is one publication, of a prefix of the committed tree.
func (l *Ledger[V]) publish(ctx context.Context, tree *view, size uint64) (err error) {
	if f := l.config.Watch.Published; f != nil {
		begun := time.Now()
		defer func() { f(size, time.Since(begun), err) }()
	}
	policy, _, err := l.fold.Policy(size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !l.Signs(policy) {
		return fmt.Errorf("publishing size %d: %w", size, ErrNoLogKey) // no witness needs to see it
	}
	if l.witnessed(policy) {
		if err := tree.timely(time.Now()); err != nil {
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
	published, _, err := l.gather(ctx, Ask{Signed: signed, Policy: policy}, tree)
	if err != nil {
		return fmt.Errorf("publishing size %d: %w", size, err)
	}
	l.reassured = l.reassured || l.witnessed(policy) // a quorum knows of nothing larger
	return l.replace(ctx, published)
}

// Signs reports whether the policy names one of the log's keys: a checkpoint that
// satisfies it can be made only then. One key is enough, while others come and go.
func (l *Ledger[V]) Signs(policy *proof.Policy) bool {
	named := policy.LogKeys(l.config.Origin)
	return slices.ContainsFunc(l.config.Signers, func(s *proof.Signer) bool {
		return slices.ContainsFunc(named, s.Key().SameKey)
	})
}

// replace makes a checkpoint the published one, in the store and then in sight:
// what was shown is remembered. What a quorum has cosigned is persisted even if
// the caller gives up now: the outcome would be unknown otherwise.
func (l *Ledger[V]) replace(ctx context.Context, next *proof.Published) error {
	ctx = context.WithoutCancel(ctx)
	old, note := l.shown.Load(), next.Note()
	err := l.keep(ctx, old.published, next)
	if err == nil {
		err = l.store.Publish(ctx, old.note, note)
	}
	if err != nil {
		if !errors.Is(err, ErrConflict) {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return l.stop(fmt.Errorf("persisting the checkpoint of size %d: %w", next.Checkpoint().Size, err))
	}
	l.show(next, note)
	return nil
}

func (l *Ledger[V]) show(p *proof.Published, note []byte) {
	old := l.shown.Swap(&shown{p, note, make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}

// Published is the newest published checkpoint; nil before the first.
func (l *Ledger[V]) Published() *proof.Published { return l.shown.Load().published }

// AwaitPublished waits until the entry at index is below the published size.
// It returns why the ledger stopped if it does first; ctx's error likewise.
func (l *Ledger[V]) AwaitPublished(ctx context.Context, index uint64) (*proof.Published, error) {
	for {
		s := l.shown.Load()
		if s.size() > index {
			return s.published, nil
		}
		select {
		case <-s.next:
		case <-l.stopped:
			if s := l.shown.Load(); s.size() > index {
				return s.published, nil
			}
			return nil, fmt.Errorf("%w: %w", ErrStopped, l.Err())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
