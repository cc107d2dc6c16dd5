package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// What is derived from the entries and lies damaged on the disk is made anew: tiles as
// they are read, the fold beside the one in use.

// remadeTile is a tile as the entries make it, where the store cannot read the one that
// it has. Nothing here checks it: its reader does that, like any other's.
func (l *Ledger[V]) remadeTile(ctx context.Context, id proof.TileID, why error) ([]byte, error) {
	if !errors.Is(why, ErrCorrupt) && !errors.Is(why, ErrMissing) {
		return nil, why
	}
	row, err := remake(ctx, l.store, id)
	if err != nil {
		return nil, fmt.Errorf("%w; and made of what lies below it: %w", why, err)
	}
	if said := l.saidRemade.Swap(true); !said {
		l.config.Log.Warn("a tile is damaged in the store, and was made anew from what lies below it", "origin", l.config.Origin, "level", id.Level, "index", id.Index, "err", why)
	}
	return row, nil
}

// remake hashes the entries below a tile of level 0, or the tiles below another.
func remake(ctx context.Context, s Store, id proof.TileID) ([]byte, error) {
	row := make([]byte, 0, id.Width*hashSize)
	first := id.Index * proof.TileWidth
	if id.Level == 0 {
		entries, err := s.Entries(ctx, first, first+uint64(id.Width))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			leaf := proof.LeafHash(e)
			row = append(row, leaf[:]...)
		}
		return row, nil
	}
	for i := range uint64(id.Width) {
		below := proof.TileID{Level: id.Level - 1, Index: first + i, Width: proof.TileWidth}
		rows, err := readTiles(ctx, s, []proof.TileID{below})
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) {
			rows = make([][]byte, 1)
			rows[0], err = remake(ctx, s, below)
		}
		if err != nil {
			return nil, err
		}
		row = append(row, expandTile(rows[0]).root()...)
	}
	return row, nil
}

// Refold brings another, empty fold over the log, while the ledger goes on with the one
// that it has, and calls adopt once it has come to the committed head, between two
// commits: that puts it in the place of the other.
func (l *Ledger[V]) Refold(ctx context.Context, next Fold[V], adopt func() error) error {
	if err := l.follow(ctx, next); err != nil {
		return err
	}
	l.sequencing.Lock()
	defer l.sequencing.Unlock()
	if err := l.waitInFlight(); err != nil {
		return err
	}
	if err := l.follow(ctx, next); err != nil { // what was committed meanwhile
		return err
	}
	return adopt()
}
