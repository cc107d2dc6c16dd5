package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Entries are the entries [start, end), which must be published.
func (l *Ledger[V]) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if size := l.shown.Load().size(); start > end || end > size {
		return nil, fmt.Errorf("%w: entries [%d, %d) of %d", ErrUnpublished, start, end, size)
	}
	return l.entries(ctx, l.view.Load(), start, end)
}

// Entry is one published entry.
func (l *Ledger[V]) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if size := l.shown.Load().size(); index >= size {
		return nil, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, size)
	}
	e, err := l.entries(ctx, l.view.Load(), index, index+1)
	if err != nil {
		return nil, err
	}
	return e[0], nil
}

// Tile is a tile, its hashes packed, at a width that the published size has or
// that any smaller size had. The caller must not change it.
func (l *Ledger[V]) Tile(ctx context.Context, id proof.TileID) ([]byte, error) {
	if size := l.shown.Load().size(); !id.In(size) {
		return nil, fmt.Errorf("%w: %s of a tree of %d", ErrUnpublished, id, size)
	}
	t, err := l.tile(ctx, l.view.Load(), id.Level, id.Index)
	if err != nil {
		return nil, err
	}
	return t.row(id.Width), nil
}

// Receipt is the receipt of the entry at index against the newest published
// checkpoint.
func (l *Ledger[V]) Receipt(ctx context.Context, index uint64) (proof.Receipt, error) {
	return l.ReceiptIn(ctx, index, l.Published())
}

// ReceiptIn is the receipt of the entry at index against a checkpoint of this
// ledger, as [Ledger.Published] gave it: so several can be made against one.
func (l *Ledger[V]) ReceiptIn(ctx context.Context, index uint64, at *proof.Published) (proof.Receipt, error) {
	if at == nil {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d, and nothing is published", ErrUnpublished, index)
	}
	if size := at.Checkpoint().Size; index >= size {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, size)
	}
	return l.receipt(ctx, l.view.Load(), index, at) // the view has all that was shown before
}

// receipt is the receipt of an entry against a checkpoint that is larger than its
// index.
func (l *Ledger[V]) receipt(ctx context.Context, tree *view, index uint64, at *proof.Published) (proof.Receipt, error) {
	entries, err := l.store.Entries(ctx, index, index+1)
	if err != nil {
		return proof.Receipt{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	if len(entries) != 1 {
		return proof.Receipt{}, fmt.Errorf("%w: %d entries for index %d", ErrCorrupt, len(entries), index)
	}
	path, err := l.inclusion(ctx, tree, entries[0], index, at.Checkpoint().Tree())
	if err != nil {
		return proof.Receipt{}, err
	}
	return proof.Receipt{Entry: entries[0], Index: index, Path: path, Checkpoint: at.Note()}, nil
}

// Consistency proves that the tree of size from leads up to that of size to,
// which must be published.
func (l *Ledger[V]) Consistency(ctx context.Context, from, to uint64) ([]proof.Hash, error) {
	if size := l.shown.Load().size(); from > to || to > size {
		return nil, fmt.Errorf("%w: consistency of %d and %d in a tree of %d", ErrUnpublished, from, to, size)
	}
	return l.consistency(ctx, l.view.Load(), from, to)
}

// inclusion is the path of an entry within the tree at, checked.
func (l *Ledger[V]) inclusion(ctx context.Context, tree *view, entry []byte, index uint64, at proof.Tree) ([]proof.Hash, error) {
	n, err := merkle.Inclusion(index, at.Size)
	if err != nil {
		return nil, err
	}
	path, err := l.path(ctx, tree, n)
	if err != nil {
		return nil, fmt.Errorf("inclusion of %d in %d: %w", index, at.Size, err)
	}
	if err := proof.VerifyInclusion(proof.LeafHash(entry), index, path, at); err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, index, err)
	}
	return path, nil
}

func (l *Ledger[V]) consistency(ctx context.Context, tree *view, from, to uint64) ([]proof.Hash, error) {
	n, err := merkle.Consistency(from, to)
	if err != nil {
		return nil, err
	}
	path, err := l.path(ctx, tree, n)
	if err != nil {
		return nil, fmt.Errorf("consistency of %d and %d: %w", from, to, err)
	}
	return path, nil
}

func (l *Ledger[V]) path(ctx context.Context, tree *view, n merkle.Nodes) ([]proof.Hash, error) {
	hashes, err := l.nodes(ctx, tree, n.IDs)
	if err != nil {
		return nil, err
	}
	hashes, err = n.Rehash(hashes, hashChildren)
	if err != nil {
		return nil, err
	}
	path := make([]proof.Hash, len(hashes))
	for i, h := range hashes {
		path[i] = proof.Hash(h)
	}
	return path, nil
}

// nodes are nodes of the tree; each must be complete in it.
func (l *Ledger[V]) nodes(ctx context.Context, tree *view, ids []compact.NodeID) ([][]byte, error) {
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		level, d := uint8(id.Level/proof.TileHeight), id.Level%proof.TileHeight
		t, err := l.tile(ctx, tree, level, id.Index>>(proof.TileHeight-d))
		if err != nil {
			return nil, err
		}
		hashes[i] = t.node(d, id.Index&(proof.TileWidth>>d-1))
	}
	return hashes, nil
}

// tile is a tile of the tree, checked. A growing one is in memory. A full one
// comes from the cache; or from the store, and then its root must be the hash that
// the tile above has for it, which is checked the same way, up to one that grows:
// so everything hangs on the ledger's own root.
func (l *Ledger[V]) tile(ctx context.Context, tree *view, level uint8, index uint64) (*subtree, error) {
	if hashes := tree.Size >> (proof.TileHeight * level); index == hashes/proof.TileWidth {
		return tree.growing[level], nil
	}
	key := tileKey{level, index}
	if t := l.cache.get(key); t != nil {
		return t, nil
	}
	above, err := l.tile(ctx, tree, level+1, index/proof.TileWidth)
	if err != nil {
		return nil, err
	}
	id, root := proof.TileID{Level: level, Index: index, Width: proof.TileWidth}, above.node(0, index%proof.TileWidth)
	row, err := l.readTile(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading tile %d/%d: %w", level, index, err)
	}
	t := grown(row)
	if wrong := fmt.Errorf("%w: tile %d/%d is not that of the tree", ErrCorrupt, level, index); !bytes.Equal(t.root(), root) {
		if row, err = l.remadeTile(ctx, id, wrong); err != nil {
			return nil, err
		}
		if t = grown(row); !bytes.Equal(t.root(), root) {
			return nil, wrong
		}
	}
	l.cache.put(key, t)
	return t, nil
}

// entries are entries of the tree, each checked against its leaf hash.
func (l *Ledger[V]) entries(ctx context.Context, tree *view, start, end uint64) ([][]byte, error) {
	entries, err := l.store.Entries(ctx, start, end)
	if err != nil {
		return nil, fmt.Errorf("reading entries [%d, %d): %w", start, end, err)
	}
	if uint64(len(entries)) != end-start {
		return nil, fmt.Errorf("%w: %d entries for [%d, %d)", ErrCorrupt, len(entries), start, end)
	}
	for i, e := range entries {
		index := start + uint64(i)
		t, err := l.tile(ctx, tree, 0, index/proof.TileWidth)
		if err != nil {
			return nil, err
		}
		leaf := proof.LeafHash(e)
		if !bytes.Equal(leaf[:], t.node(0, index%proof.TileWidth)) {
			return nil, fmt.Errorf("%w: entry %d", ErrCorrupt, index)
		}
	}
	return entries, nil
}
