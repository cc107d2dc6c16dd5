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

// change is one write to a row.
type change struct {
	*row
	swap string // given epoch, fence and args; returns a number if it has swapped
	args []any
}

// errUnknown: an outcome stays unknown, since another writer has taken over.
var errUnknown = errors.New("the outcome of a write is unknown")

// write makes a change, and settles it if its outcome is in doubt: a synchronous write raises the
// row's fence, after which no earlier attempt can arrive, and tells what the row holds.
func (s *Store) write(ctx context.Context, x change) error {
	if err := x.busy.Acquire(ctx, 1); err != nil {
		return err
	}
	defer x.busy.Release(1)
	epoch := s.epoch.Load()
	if epoch == 0 {
		return ledger.ErrNotTaken
	}
	sent := false
	return s.retry(ctx, 0, func(c *session) error {
		if x.doubt {
			raised, swaps, err := x.raise(c, epoch)
			switch {
			case err != nil:
				return fmt.Errorf("asking what became of a write: %w", err)
			case !raised && sent:
				return fmt.Errorf("%w: %v", errUnknown, c.whyNot(epoch))
			case !raised:
				return c.whyNot(epoch)
			}
			applied := swaps > x.swaps
			x.doubt, x.swaps = false, swaps
			if sent && applied {
				return nil
			}
		}
		x.doubt, sent = true, true
		swapped, err := c.commit(x.swap, append([]any{int64(epoch), x.fence}, x.args...), new(int64))
		if err != nil {
			return err
		}
		x.doubt = false
		if !swapped {
			return c.whyNot(epoch)
		}
		x.swaps++
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
		row: &s.head,
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
	err := s.write(ctx, change{
		row:  &s.published,
		swap: `UPDATE published SET swaps = swaps + 1, note = $4 WHERE epoch = $1 AND fence = $2 AND note = $3 RETURNING 1`,
		args: []any{append([]byte{}, old...), append([]byte{}, next...)}, // nil would be NULL
	})
	if err != nil {
		return err
	}
	shown := string(next)
	s.seenPublished.value.Store(&shown)
	return nil
}

// Archive implements [ledger.Store].
func (s *Store) Archive(ctx context.Context, number uint64, blob []byte) error {
	err := s.write(ctx, change{
		row: &s.archived,
		swap: `WITH swapped AS (UPDATE archived SET swaps = swaps + 1, count = count + 1 WHERE epoch = $1 AND fence = $2 AND count = $3 RETURNING count),
			added AS (INSERT INTO archive SELECT $3, $4 FROM swapped)
			SELECT count FROM swapped`,
		args: []any{int64(min(number, math.MaxInt64)), append([]byte{}, blob...)},
	})
	if errors.Is(err, ledger.ErrConflict) && !errors.Is(err, ledger.ErrTakenOver) {
		same, readErr := s.isNewest(ctx, number, blob)
		if same {
			return nil
		}
		if readErr != nil {
			err = readErr
		}
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
