package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrNotArchived: no checkpoint of that time or size is kept. Published ones are
// thinned to one a minute, and nothing proves a time under quorum none.
var ErrNotArchived = errors.New("no such checkpoint is kept")

// archive files the published checkpoint before the next one replaces it, if it is
// one to be kept: the last of each minute, by the time of its quorum; the first and
// the last with which one size was cosigned, since the one shows what was knowable
// and the other what was not there yet; and the last of each policy's era, so that
// the charter is proven under its own witnesses for ever.
//
// It is filed under the time of its quorum, or that of the one before if that is
// later: witnesses' clocks differ, the order of the sizes is sure.
func (l *Ledger[V]) archive(ctx context.Context, old, next *proof.Published) error {
	if old == nil {
		return nil
	}
	size := old.Checkpoint().Size
	last, err := l.lastArchived(ctx)
	if err != nil {
		return err
	}
	wanted, err := l.shouldArchive(old, next, last)
	if err != nil || !wanted {
		return err
	}
	k := ArchivedCheckpoint{Timestamp: max(unixSeconds(old.ExistedBy()), last.Timestamp), Size: size, Note: old.Note()}
	if err := l.store.Archive(ctx, k); err != nil {
		return fmt.Errorf("keeping the checkpoint of size %d: %w", size, err)
	}
	l.lastArchive = &k
	return nil
}

func (l *Ledger[V]) shouldArchive(old, next *proof.Published, last ArchivedCheckpoint) (bool, error) {
	size, after := old.Checkpoint().Size, next.Checkpoint().Size
	if after > size {
		_, was, err := l.fold.Policy(size)
		if err != nil {
			return false, err
		}
		_, is, err := l.fold.Policy(after)
		if err != nil || is != was {
			return is != was, err
		}
	}
	if old.ExistedBy().IsZero() || minuteOf(old) == minuteOf(next) {
		return false, nil
	}
	return after > size || last.Size != size || last.Note == nil, nil
}

// lastArchived is the newest kept checkpoint; the zero one if there is none.
func (l *Ledger[V]) lastArchived(ctx context.Context) (ArchivedCheckpoint, error) {
	if l.lastArchive == nil {
		k, err := l.store.ArchivedUpTo(ctx, math.MaxUint64, math.MaxUint64)
		if err != nil {
			return ArchivedCheckpoint{}, fmt.Errorf("reading the newest kept checkpoint: %w", err)
		}
		if k == nil {
			k = &ArchivedCheckpoint{}
		}
		l.lastArchive = k
	}
	return *l.lastArchive, nil
}

func minuteOf(p *proof.Published) time.Time { return p.ExistedBy().Truncate(time.Minute) }

// unixSeconds is a time as a stamp; no time, and any before 1970, is 0.
func unixSeconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

// CheckpointAt is the newest kept checkpoint of which the quorum is stamped no
// later than t: what was knowable then. [ErrNotArchived] if none is.
func (l *Ledger[V]) CheckpointAt(ctx context.Context, t time.Time) (*proof.Published, error) {
	newest := l.Published()
	if newest == nil {
		return nil, fmt.Errorf("%w: nothing is published", ErrNotArchived)
	}
	if at := newest.ExistedBy(); !at.IsZero() && !at.After(t) {
		return newest, nil
	}
	for size := uint64(math.MaxUint64); ; {
		k, err := l.store.ArchivedUpTo(ctx, unixSeconds(t), size)
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint kept of %s: %w", t.UTC().Format(time.RFC3339), err)
		}
		if k == nil {
			return nil, fmt.Errorf("%w: none has a quorum that is stamped %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		p, err := l.verifyArchived(ctx, k)
		if err != nil {
			return nil, err
		}
		if at := p.ExistedBy(); !at.IsZero() && !at.After(t) {
			return p, nil
		}
		if k.Size == 0 {
			return nil, fmt.Errorf("%w: none has a quorum that is stamped %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		size = k.Size - 1 // the last one under a policy whose quorum was none
	}
}

// CheckpointUpTo is the newest checkpoint of at most that size, of those that are
// kept or published. [ErrNotArchived] if none is. Of the index of a charter, it is the
// last one under the charter before.
func (l *Ledger[V]) CheckpointUpTo(ctx context.Context, size uint64) (*proof.Published, error) {
	if newest := l.Published(); newest != nil && newest.Checkpoint().Size <= size {
		return newest, nil
	}
	k, err := l.store.ArchivedUpTo(ctx, math.MaxUint64, size)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint kept under size %d: %w", size, err)
	}
	if k == nil {
		return nil, fmt.Errorf("%w: none is of size %d or less", ErrNotArchived, size)
	}
	return l.verifyArchived(ctx, k)
}

// ReceiptUpTo is the receipt of the entry at index against [Ledger.CheckpointUpTo]
// of that size. [ErrNotArchived] if that is too small to hold the entry.
func (l *Ledger[V]) ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error) {
	p, err := l.CheckpointUpTo(ctx, size)
	if err != nil {
		return proof.Receipt{}, err
	}
	if p.Checkpoint().Size <= index {
		return proof.Receipt{}, fmt.Errorf("%w: none is of a size above %d and up to %d", ErrNotArchived, index, size)
	}
	return l.makeReceipt(ctx, l.tree.Load(), index, p)
}

// verifyArchived checks what was read back against the tree and the policy of its time.
func (l *Ledger[V]) verifyArchived(ctx context.Context, k *ArchivedCheckpoint) (*proof.Published, error) {
	policy, _, err := l.fold.Policy(k.Size)
	if err != nil {
		return nil, fmt.Errorf("policy for size %d: %w", k.Size, err)
	}
	p, err := policy.Verify(k.Note, farFuture)
	if err != nil {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d: %w", ErrCorrupt, k.Size, err)
	}
	cp, tree := p.Checkpoint(), l.tree.Load()
	if cp.Size != k.Size || cp.Size > tree.Size {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d is of size %d", ErrCorrupt, k.Size, cp.Size)
	}
	root, err := l.rootAt(ctx, tree, cp.Size)
	if err != nil {
		return nil, err
	}
	if cp.Root != root || cp.Origin != l.config.Origin {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d is of another tree", ErrCorrupt, k.Size)
	}
	return p, nil
}
