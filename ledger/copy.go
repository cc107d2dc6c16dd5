package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Copy writes the log that a store holds into another, empty one, with its tiles as the
// entries make them. Of the kept checkpoints it leaves out those that a [Check] found lost.
func Copy(ctx context.Context, from, to Store, checked *Checked, onProgress func(reached, size uint64)) error {
	from, to = boundedStore{from, time.Minute}, boundedStore{to, time.Minute}
	if err := errors.Join(checked.PublishedErr, checked.ArchiveErr); err != nil {
		return err // it would be lost
	}
	return copying{from: from, to: to, entries: from.Entries, head: checked.Head, lost: checked.LostKept, onProgress: onProgress}.run(ctx)
}

// copying brings one store to what another holds. It goes on where an earlier one ended.
type copying struct {
	from, to   Store
	entries    func(ctx context.Context, start, end uint64) ([][]byte, error) // of from
	head       Head                                                           // of from
	lost       []Span                                                         // of the archive, to be left out
	onProgress func(reached, size uint64)                                     // may be nil
	onKept     func(reached, count uint64)                                    // as that, of the kept checkpoints
}

func (c copying) run(ctx context.Context) error {
	if err := c.copyEntries(ctx); err != nil {
		return err
	}
	if err := c.copyArchive(ctx); err != nil {
		return err
	}
	return c.copyPublished(ctx)
}

func (c copying) copyEntries(ctx context.Context) error {
	head, err := c.to.Head(ctx)
	if err != nil {
		return err
	}
	tree := proof.NewAppender()
	if head.Size > 0 {
		if tree, err = proof.LoadAppender(ctx, head, c.to.Tiles); err != nil {
			return err
		}
	}
	for head.Size < c.head.Size {
		entries, err := c.entries(ctx, head.Size, min(head.Size+replayBatch, c.head.Size))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := tree.Append(proof.LeafHash(e)); err != nil {
				return err
			}
		}
		next, err := tree.Tree()
		if err != nil {
			return err
		}
		if err := c.to.Extend(ctx, Extension{Old: head, New: next, Entries: entries, Tiles: tree.TakeTiles()}); err != nil {
			return fmt.Errorf("extending to %d: %w", next.Size, err)
		}
		if head = next; c.onProgress != nil {
			c.onProgress(head.Size, c.head.Size)
		}
	}
	if head != c.head {
		return fmt.Errorf("%w: the %d entries make the root %s, and the head says %s", ErrCorrupt, head.Size, head.Root, c.head.Root)
	}
	return nil
}

func (c copying) copyArchive(ctx context.Context) error {
	count, err := c.from.ArchivedCount(ctx)
	if err != nil {
		return err
	}
	there, err := c.to.ArchivedCount(ctx)
	if err != nil {
		return err
	}
	var kept []uint64 // the numbers of those that are copied, in from
	for n := range count {
		for len(c.lost) > 0 && c.lost[0].To <= n {
			c.lost = c.lost[1:]
		}
		if len(c.lost) == 0 || c.lost[0].From > n {
			kept = append(kept, n)
		}
	}
	at := max(there, 1) - 1 // the newest one is archived again, which changes nothing if it is the same
	for at < uint64(len(kept)) {
		some := kept[at:min(at+keptAhead, uint64(len(kept)))]
		blobs := make([][]byte, len(some))
		if err := eachKept(ctx, uint64(len(some)), func(ctx context.Context, i uint64) (err error) {
			if blobs[i], err = c.from.Archived(ctx, some[i]); err != nil {
				err = fmt.Errorf("the kept checkpoint %d: %w", some[i], err)
			}
			return err
		}); err != nil {
			return err
		}
		for i, blob := range blobs {
			if err := c.to.Archive(ctx, at, blob); err != nil {
				return fmt.Errorf("the kept checkpoint %d: %w", some[i], err)
			}
			at++
		}
		if c.onKept != nil {
			c.onKept(at, uint64(len(kept)))
		}
	}
	return nil
}

// keptAhead is how many kept checkpoints are read before they are written, and keptAtOnce of them at once.
const (
	keptAhead  = 64
	keptAtOnce = 16
)

// eachKept does something with each of so many, some at once.
func eachKept(ctx context.Context, count uint64, do func(ctx context.Context, n uint64) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(keptAtOnce)
	for n := range count {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(ctx, n) })
	}
	return g.Wait()
}

func (c copying) copyPublished(ctx context.Context) error {
	note, err := c.from.Published(ctx)
	if err != nil || note == nil {
		return err
	}
	there, err := c.to.Published(ctx)
	if err != nil || bytes.Equal(there, note) {
		return err
	}
	return c.to.Publish(ctx, nil, note)
}
