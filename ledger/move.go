package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Move moves a log from one store to another. At no moment can both be taken: From is sealed
// before To gets a head, and To is sealed until all that From holds is in it, and was read
// there. Cut off anywhere, the same Move goes on.
type Move struct {
	From, To         Sealer
	FromName, ToName string // as their seals name them; the same each time

	OnProgress func(doing string, reached, size uint64) // may be nil
}

// Moved says what was moved.
type Moved struct {
	Head     Head
	Archived uint64
	Already  bool // an earlier Move had come to its end
}

var (
	// ErrOccupied: the store that a log is to move to is not empty.
	ErrOccupied = errors.New("it is not empty")

	// ErrMoved: the move had come to its end, and To may have gone on.
	ErrMoved = errors.New("it has moved, and cannot be undone")

	// ErrNotMoving: no move to To is under way, nor was given up.
	ErrNotMoving = errors.New("no move there is under way")

	// ErrNothingToMove: the log has no entries.
	ErrNothingToMove = errors.New("there are no entries to move")
)

const movedTo = "moved to "

// MovedTo is the name of the store that a log has moved to, of what [Sealer.Sealed] says.
func MovedTo(why string) (name string, moved bool) { return strings.CutPrefix(why, movedTo) }

// filledFrom is why To is sealed meanwhile.
func (m Move) filledFrom() string { return "not all is copied yet from " + m.FromName }

// Run moves. An error says what to do before the same Run goes on; [ErrOccupied] and
// [ErrNothingToMove] leave both stores as they were, [*SealedError] says that one of them
// belongs to another move.
func (m Move) Run(ctx context.Context) (*Moved, error) {
	if m.OnProgress == nil {
		m.OnProgress = func(string, uint64, uint64) {}
	}
	m.From, m.To = boundedSealer{boundedStore{m.From, time.Minute}, m.From}, boundedSealer{boundedStore{m.To, time.Minute}, m.To}
	from, sealed, err := m.lookAtFrom(ctx)
	if err != nil {
		return nil, err
	}
	done, err := m.lookAtTo(ctx, from, sealed)
	if errors.Is(err, ErrOccupied) && !sealed { // perhaps by another one that has moved it since From was looked at
		var lookErr error
		if from, sealed, lookErr = m.lookAtFrom(ctx); lookErr != nil {
			return nil, lookErr
		}
		if sealed {
			done, err = m.lookAtTo(ctx, from, sealed)
		}
	}
	if err != nil || done != nil {
		return done, err
	}
	if !sealed {
		if err := m.seal(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", m.FromName, err)
		}
	}
	if err := m.To.TakeSealed(ctx, m.filledFrom()); errors.Is(err, ErrConflict) && !errors.Is(err, ErrTakenOver) {
		return nil, fmt.Errorf("%s: %w: %w", m.ToName, ErrOccupied, err)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", m.ToName, err)
	}
	moved, err := m.fill(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.To.Unseal(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", m.ToName, err)
	}
	return moved, nil
}

// givenUp is why To is sealed for good.
func (m Move) givenUp() string { return "given up: the log goes on in " + m.FromName }

// Undo gives up a move that is not at its end: To is sealed for good, so that nothing that is
// on its way there makes it whole; then From may be taken again. [ErrMoved] if it is at its end;
// [ErrNotMoving] if From is not sealed, and To not given up.
func (m Move) Undo(ctx context.Context) error {
	m.From, m.To = boundedSealer{boundedStore{m.From, time.Minute}, m.From}, boundedSealer{boundedStore{m.To, time.Minute}, m.To}
	why, err := m.From.Sealed(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", m.FromName, err)
	}
	if why != "" && why != movedTo+m.ToName {
		return fmt.Errorf("%s: %w", m.FromName, &SealedError{why})
	}
	filled, err := m.To.Sealed(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", m.ToName, err)
	}
	if why == "" {
		if filled == m.givenUp() {
			return nil
		}
		return fmt.Errorf("%s: %w", m.ToName, ErrNotMoving)
	}
	if filled != m.givenUp() {
		if err := m.To.TakeSealed(ctx, m.filledFrom()); errors.Is(err, ErrConflict) && !errors.Is(err, ErrTakenOver) {
			return fmt.Errorf("%s: %w: %w", m.ToName, ErrMoved, err)
		} else if err != nil {
			return fmt.Errorf("%s: %w", m.ToName, err)
		}
		if err := m.To.Seal(ctx, m.givenUp()); err != nil {
			return fmt.Errorf("%s: %w", m.ToName, err)
		}
	}
	if err := m.From.TakeSealed(ctx, movedTo+m.ToName); err != nil {
		return fmt.Errorf("%s: %w", m.FromName, err)
	}
	return m.From.Unseal(ctx)
}

// CheckFrom is what Run looks at of From first, and writes nothing. To need not be there yet.
func (m Move) CheckFrom(ctx context.Context) error {
	_, _, err := m.lookAtFrom(ctx)
	return err
}

// lookAtFrom says what there is to move, and whether it is sealed for this move already.
func (m Move) lookAtFrom(ctx context.Context) (from Head, sealed bool, err error) {
	why, err := m.From.Sealed(ctx)
	if err == nil && why != "" && why != movedTo+m.ToName {
		err = &SealedError{why}
	}
	if err == nil {
		from, err = m.From.Head(ctx)
	}
	if err == nil && from.Size == 0 {
		err = ErrNothingToMove
	}
	if err != nil {
		return from, false, fmt.Errorf("%s: %w", m.FromName, err)
	}
	return from, why != "", nil
}

// lookAtTo says whether To may be filled, before anything is written; not nil if it is whole already.
func (m Move) lookAtTo(ctx context.Context, from Head, sealed bool) (*Moved, error) {
	why, err := m.To.Sealed(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.ToName, err)
	}
	if why != "" && why != m.filledFrom() {
		return nil, fmt.Errorf("%s: %w", m.ToName, &SealedError{why})
	}
	head, err := m.To.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.ToName, err)
	}
	if why != "" || head.Size == 0 {
		return nil, nil
	}
	if sealed && head.Size >= from.Size { // unsealed, and perhaps grown since
		_, owner := reader.NewOwned(m.To, reader.Config{CacheTiles: 64, Remake: true})
		edge, err := owner.LoadAppender(ctx, head)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.ToName, err)
		}
		s, err := edge.Snapshot()
		if err != nil {
			return nil, err
		}
		was, err := owner.TreeAt(ctx, s, from.Size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.ToName, err)
		}
		if was == from {
			count, err := m.From.ArchivedCount(ctx)
			return &Moved{from, count, true}, err
		}
	}
	return nil, fmt.Errorf("%s: %w: a log of %d entries is in it", m.ToName, ErrOccupied, head.Size)
}

// seal ends From, if what it holds can be read.
func (m Move) seal(ctx context.Context) error {
	if err := m.From.Take(ctx); err != nil {
		return err
	}
	if _, _, err := m.open(ctx); err != nil {
		return err
	}
	return m.From.Seal(ctx, movedTo+m.ToName)
}

// open reads the head of From, and is how its entries are read: each is checked against it.
func (m Move) open(ctx context.Context) (reader.Owner, *proof.Snapshot, error) {
	_, owner := reader.NewOwned(m.From, reader.Config{CacheTiles: 512, Remake: true})
	head, err := m.From.Head(ctx)
	if err != nil {
		return owner, nil, err
	}
	edge, err := owner.LoadAppender(ctx, head)
	if err != nil {
		return owner, nil, err
	}
	s, err := edge.Snapshot()
	if err == nil {
		owner.Commit(s, nil)
	}
	return owner, s, err
}

// fill brings To, which is taken sealed, to all that From holds, and reads that there.
func (m Move) fill(ctx context.Context) (*Moved, error) {
	owner, s, err := m.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.FromName, err)
	}
	has, err := m.To.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.ToName, err)
	}
	if has.Size > 0 {
		if was, err := owner.TreeAt(ctx, s, min(has.Size, s.Size)); err != nil {
			return nil, fmt.Errorf("%s: %w", m.FromName, err)
		} else if was != has {
			return nil, fmt.Errorf("%s: %w: what is in it is not of this log", m.ToName, ErrOccupied)
		}
	}
	c := copying{from: m.From, to: m.To, head: s.Tree, onProgress: func(reached, size uint64) { m.OnProgress("copying", reached, size) }}
	c.onKept = func(reached, count uint64) { m.OnProgress("copying the kept checkpoints", reached, count) }
	c.entries = func(ctx context.Context, start, end uint64) ([][]byte, error) {
		return owner.Entries(ctx, s, start, end)
	}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("copying to %s: %w", m.ToName, err)
	}
	archived, err := m.verify(ctx, s.Tree)
	if err != nil {
		return nil, fmt.Errorf("what was copied to %s: %w", m.ToName, err)
	}
	return &Moved{Head: s.Tree, Archived: archived}, nil
}

// verify reads To, all of it, against the head of From, and returns how many checkpoints are kept.
func (m Move) verify(ctx context.Context, head Head) (archived uint64, err error) {
	tree := proof.NewAppender()
	for at := uint64(0); at < head.Size; at = tree.Size() {
		entries, err := m.To.Entries(ctx, at, min(at+replayBatch, head.Size))
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			if err := tree.Append(proof.LeafHash(e)); err != nil {
				return 0, err
			}
		}
		tiles := tree.TakeTiles()
		if tree.Size() < head.Size {
			tiles = fullTiles(tiles)
		}
		if err := m.verifyTiles(ctx, tiles); err != nil {
			return 0, err
		}
		m.OnProgress("verifying", tree.Size(), head.Size)
	}
	if made, err := tree.Tree(); err != nil {
		return 0, err
	} else if made != head {
		return 0, fmt.Errorf("%w: the %d entries make the root %s, and not %s", ErrCorrupt, made.Size, made.Root, head.Root)
	}
	from, err := m.From.Published(ctx)
	if err != nil {
		return 0, err
	}
	to, err := m.To.Published(ctx)
	if err == nil && !bytes.Equal(from, to) {
		err = fmt.Errorf("%w: another checkpoint is published", ErrCorrupt)
	}
	if err != nil {
		return 0, err
	}
	return m.verifyArchive(ctx)
}

func fullTiles(tiles []proof.Tile) (full []proof.Tile) {
	for _, t := range tiles {
		if t.ID.Width == proof.TileWidth {
			full = append(full, t)
		}
	}
	return full
}

func (m Move) verifyTiles(ctx context.Context, tiles []proof.Tile) error {
	ids := make([]proof.TileID, len(tiles))
	for i, t := range tiles {
		ids[i] = t.ID
	}
	rows, err := m.To.Tiles(ctx, ids)
	if err != nil {
		return err
	}
	for i, t := range tiles {
		if !bytes.Equal(rows[i], t.Hashes) {
			return fmt.Errorf("%w: %s is not what the entries make", ErrCorrupt, t.ID)
		}
	}
	return nil
}

func (m Move) verifyArchive(ctx context.Context) (count uint64, err error) {
	if count, err = m.From.ArchivedCount(ctx); err != nil {
		return 0, err
	}
	if there, err := m.To.ArchivedCount(ctx); err != nil {
		return 0, err
	} else if there != count {
		return 0, fmt.Errorf("%w: %d checkpoints are kept, and not %d", ErrCorrupt, there, count)
	}
	for at := uint64(0); at < count; {
		some := min(replayBatch, count-at)
		if err := eachKept(ctx, some, func(ctx context.Context, i uint64) error {
			from, err := m.From.Archived(ctx, at+i)
			if err != nil {
				return err
			}
			to, err := m.To.Archived(ctx, at+i)
			if err == nil && !bytes.Equal(from, to) {
				err = fmt.Errorf("%w: the kept checkpoint %d is another one", ErrCorrupt, at+i)
			}
			return err
		}); err != nil {
			return 0, err
		}
		at += some
		m.OnProgress("verifying the kept checkpoints", at, count)
	}
	return count, nil
}

// boundedSealer is a [boundedStore] of a Sealer.
type boundedSealer struct {
	boundedStore
	sealer Sealer
}

func (s boundedSealer) Sealed(ctx context.Context) (string, error) {
	return bounded(ctx, s.timeout, s.sealer.Sealed)
}

func (s boundedSealer) Seal(ctx context.Context, why string) error {
	return s.write(ctx, func(ctx context.Context) error { return s.sealer.Seal(ctx, why) })
}

func (s boundedSealer) TakeSealed(ctx context.Context, why string) error {
	return s.write(ctx, func(ctx context.Context) error { return s.sealer.TakeSealed(ctx, why) })
}

func (s boundedSealer) Unseal(ctx context.Context) error { return s.write(ctx, s.sealer.Unseal) }
