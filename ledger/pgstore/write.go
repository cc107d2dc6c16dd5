package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/semaphore"

	"github.com/seed-53cf897a/docket/ledger"
)

// row is one of the rows that are swapped, as this handle writes it. Who is busy has the rest.
type row struct {
	table string
	busy  *semaphore.Weighted // one write at a time, and a taking excludes all
	fence int64               // what the row has
	swaps int64               // how often it was swapped in this epoch
	doubt bool                // the last write may be there, may not be, may still come
}

func newRow(table string) row { return row{table: table, busy: semaphore.NewWeighted(1)} }

// raise raises the fence: what is under way comes too late, and the row tells how often it was
// swapped. It is of an epoch, as every write is, so that who was taken over changes nothing.
func (r *row) raise(c *session, epoch uint64) (raised bool, swaps int64, err error) {
	raised, err = c.commit(`UPDATE `+r.table+` SET fence = fence + 1 WHERE epoch = $1 RETURNING fence, swaps`, []any{int64(epoch)}, &r.fence, &swaps)
	return raised, swaps, err
}

// change is one write to a row, or to several at once.
type change struct {
	rows []*row // in the order of [Store.rows]
	swap string // given epoch, the fence of each row, and args; returns a number if it has swapped
	args []any
}

// errUnknown: an outcome stays unknown, since another writer has taken over.
var errUnknown = errors.New("the outcome of a write is unknown")

// write makes a change, and settles it if its outcome is in doubt: a synchronous write raises the
// fence of each row, after which no earlier attempt can arrive, and tells what the row holds.
func (s *Store) write(ctx context.Context, x change) error {
	for _, r := range x.rows {
		if err := r.busy.Acquire(ctx, 1); err != nil {
			return err
		}
		defer r.busy.Release(1)
	}
	epoch := s.epoch.Load()
	if epoch == 0 {
		return ledger.ErrNotTaken
	}
	sent, applied := false, false
	return s.retry(ctx, 0, func(c *session) error {
		for _, r := range x.rows {
			if !r.doubt {
				continue
			}
			raised, swaps, err := r.raise(c, epoch)
			switch {
			case err != nil:
				return fmt.Errorf("asking what became of a write: %w", err)
			case !raised && sent:
				return fmt.Errorf("%w: %v", errUnknown, c.whyNot(epoch))
			case !raised:
				return c.whyNot(epoch)
			}
			applied = applied || sent && swaps > r.swaps
			r.doubt, r.swaps = false, swaps
		}
		if applied {
			return nil
		}
		args := []any{int64(epoch)}
		for _, r := range x.rows {
			args, r.doubt = append(args, r.fence), true
		}
		sent = true
		swapped, err := c.commit(x.swap, append(args, x.args...), new(int64))
		if err != nil {
			return err
		}
		for _, r := range x.rows {
			if r.doubt = false; swapped {
				r.swaps++
			}
		}
		if !swapped {
			return c.whyNot(epoch)
		}
		return nil
	})
}

// whyNot is why a row was not swapped.
func (c *session) whyNot(epoch uint64) error {
	now, err := c.standing()
	switch {
	case err != nil:
		return err
	case now.epoch != epoch && now.sealed != "":
		return &ledger.SealedError{Why: now.sealed}
	case now.epoch != epoch:
		return ledger.ErrTakenOver
	}
	return ledger.ErrConflict
}

// Extend implements [ledger.Store].
func (s *Store) Extend(ctx context.Context, x ledger.Extension) error {
	if err := x.Check(); err != nil {
		return err
	}
	if x.New.Size > math.MaxInt64 {
		return fmt.Errorf("an extension to %d, which no bigint is", x.New.Size)
	}
	levels, indexes, hashes := make([]int16, len(x.Tiles)), make([]int64, len(x.Tiles)), make([][]byte, len(x.Tiles))
	for i, t := range x.Tiles {
		levels[i], indexes[i], hashes[i] = int16(t.ID.Level), int64(t.ID.Index), t.Hashes
	}
	err := s.write(ctx, change{
		rows: []*row{&s.head},
		swap: `WITH swapped AS (UPDATE head SET swaps = swaps + 1, size = $5, root = $6 WHERE epoch = $1 AND fence = $2 AND size = $3 AND root = $4 RETURNING size),
			added AS (INSERT INTO entries SELECT $3 + place - 1, entry FROM swapped, unnest($7::bytea[]) WITH ORDINALITY AS new (entry, place)),
			grown AS (INSERT INTO tiles SELECT level, index, hashes FROM swapped, unnest($8::smallint[], $9::bigint[], $10::bytea[]) AS new (level, index, hashes)
				ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes)
			SELECT size FROM swapped`,
		args: []any{int64(x.Old.Size), x.Old.Root[:], int64(x.New.Size), x.New.Root[:], x.Entries, levels, indexes, hashes},
	})
	if err != nil {
		return err
	}
	h := x.New // alone: the entries are not kept
	s.seenHead.value.Store(&h)
	return nil
}

// Publish implements [ledger.Store].
func (s *Store) Publish(ctx context.Context, old, next []byte) error {
	return s.publish(ctx, next, change{
		rows: []*row{&s.published},
		swap: `UPDATE published SET swaps = swaps + 1, note = $4 WHERE epoch = $1 AND fence = $2 AND note = $3 RETURNING 1`,
		args: []any{bytesOf(old), bytesOf(next)},
	})
}

func (s *Store) publish(ctx context.Context, next []byte, x change) error {
	if err := s.write(ctx, x); err != nil {
		return err
	}
	shown := string(next)
	s.seenPublished.value.Store(&shown)
	return nil
}

// bytesOf is never nil, which would be NULL.
func bytesOf(b []byte) []byte { return append([]byte{}, b...) }

// Archive implements [ledger.Store].
func (s *Store) Archive(ctx context.Context, number uint64, blob []byte) error {
	err := s.write(ctx, change{
		rows: []*row{&s.archived},
		swap: `WITH swapped AS (UPDATE archived SET swaps = swaps + 1, count = count + 1 WHERE epoch = $1 AND fence = $2 AND count = $3 RETURNING count),
			added AS (INSERT INTO archive SELECT $3, $4 FROM swapped)
			SELECT count FROM swapped`,
		args: []any{int64(min(number, math.MaxInt64)), bytesOf(blob)},
	})
	return s.unlessNewest(ctx, err, number, blob, func() error { return nil })
}

// ArchiveAndPublish implements [ledger.ArchivingStore]. Both rows are locked, each as it is then, before
// either is swapped: one that has changed meanwhile keeps the other as it was.
func (s *Store) ArchiveAndPublish(ctx context.Context, number uint64, blob, old, next []byte) error {
	err := s.publish(ctx, next, change{
		rows: []*row{&s.published, &s.archived},
		swap: `WITH held AS (SELECT count FROM published, archived
				WHERE published.epoch = $1 AND published.fence = $2 AND note = $4 AND archived.epoch = $1 AND archived.fence = $3 AND count = $6 FOR UPDATE),
			shown AS (UPDATE published SET swaps = swaps + 1, note = $5 FROM held),
			swapped AS (UPDATE archived SET swaps = swaps + 1, count = archived.count + 1 FROM held),
			added AS (INSERT INTO archive SELECT count, $7 FROM held)
			SELECT count FROM held`,
		args: []any{bytesOf(old), bytesOf(next), int64(min(number, math.MaxInt64)), bytesOf(blob)},
	})
	return s.unlessNewest(ctx, err, number, blob, func() error { return s.Publish(ctx, old, next) })
}

// unlessNewest goes on where what did not archive a blob is a conflict, since that is the newest already.
func (s *Store) unlessNewest(ctx context.Context, err error, number uint64, blob []byte, goOn func() error) error {
	if !errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrTakenOver) {
		return err
	}
	same, readErr := s.isNewest(ctx, number, blob)
	switch {
	case same:
		return goOn()
	case readErr != nil:
		return readErr
	}
	return err
}

// isNewest tells whether the newest archived blob is this one.
func (s *Store) isNewest(ctx context.Context, number uint64, blob []byte) (bool, error) {
	if n, err := s.ArchivedCount(ctx); err != nil || n != number+1 || n == 0 {
		return false, err
	}
	newest, err := s.Archived(ctx, number)
	return err == nil && bytes.Equal(newest, blob), err
}
