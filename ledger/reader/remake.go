package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Tiles are derived from the entries: what lies damaged is made anew as it is read.

// readTiles reads tiles of the source, all in one call, and makes anew those that it has
// not. They are not checked.
func (r *Reader) readTiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	rows, err := r.source.Tiles(ctx, ids)
	if !r.config.Remake || err != nil && !lost(err) {
		return rows, err
	}
	if err == nil && asWide(rows, ids) {
		return rows, nil
	}
	rows = make([][]byte, len(ids))
	for i, id := range ids { // which of them it is
		if rows[i], err = r.readTile(ctx, id); err != nil {
			if rows[i], err = r.remake(ctx, id, err); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// asWide says that each tile has the width that was asked for.
func asWide(rows [][]byte, ids []proof.TileID) bool {
	for i, id := range ids {
		if i >= len(rows) || len(rows[i]) < id.Width*len(proof.Hash{}) {
			return false
		}
	}
	return true
}

// readTile reads one tile, of the width that is asked for.
func (r *Reader) readTile(ctx context.Context, id proof.TileID) ([]byte, error) {
	rows, err := r.source.Tiles(ctx, []proof.TileID{id})
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) < id.Width*len(proof.Hash{}) {
		return nil, fmt.Errorf("%w: %s is shorter than %d hashes", ErrCorrupt, id, id.Width)
	}
	return rows[0][:id.Width*len(proof.Hash{})], nil
}

// lost says that a tile cannot be read now or later.
func lost(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) || errors.Is(err, proof.ErrCorrupt)
}

// remake is a tile as the entries make it, where the source cannot read the one that it
// has. Nothing here checks it: its reader does that, like any other's.
func (r *Reader) remake(ctx context.Context, id proof.TileID, why error) ([]byte, error) {
	if !lost(why) {
		return nil, why
	}
	row, err := r.makeTile(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%w; and made of what lies below it: %w", why, err)
	}
	if said := r.saidRemade.Swap(true); !said {
		r.config.Log.Warn("a tile is damaged in the store, and was made anew from what lies below it", "level", id.Level, "index", id.Index, "err", why)
	}
	return row, nil
}

// makeTile hashes the entries below a tile of level 0, or the tiles below another.
func (r *Reader) makeTile(ctx context.Context, id proof.TileID) ([]byte, error) {
	row := make([]byte, 0, id.Width*len(proof.Hash{}))
	first := id.Index * proof.TileWidth
	if id.Level == 0 {
		entries, err := r.source.Entries(ctx, first, first+uint64(id.Width))
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
		full, err := r.readTile(ctx, below)
		if err != nil && lost(err) {
			full, err = r.makeTile(ctx, below)
		}
		if err != nil {
			return nil, err
		}
		root := proof.TileRoot(full)
		row = append(row, root[:]...)
	}
	return row, nil
}
