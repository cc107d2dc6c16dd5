package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Entries are the entries [start, end), which must be published.
func (l *Ledger[V]) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if size := l.published.Load().size(); start > end || end > size {
		return nil, fmt.Errorf("%w: entries [%d, %d) of %d", ErrUnpublished, start, end, size)
	}
	return l.readEntries(ctx, l.tree.Load(), start, end)
}

// Entry is one published entry.
func (l *Ledger[V]) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if size := l.published.Load().size(); index >= size {
		return nil, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, size)
	}
	e, err := l.readEntries(ctx, l.tree.Load(), index, index+1)
	if err != nil {
		return nil, err
	}
	return e[0], nil
}

// Tile is a tile, its hashes packed, at a width that the published size has or
// that any smaller size had. The caller must not change it.
func (l *Ledger[V]) Tile(ctx context.Context, id proof.TileID) ([]byte, error) {
	if size := l.published.Load().size(); !id.In(size) {
		return nil, fmt.Errorf("%w: %s of a tree of %d", ErrUnpublished, id, size)
	}
	t, err := l.cachedTile(ctx, l.tree.Load(), id.Level, id.Index)
	if err != nil {
		return nil, err
	}
	// SPEC: tlog-tiles Partial Tiles: the partial tiles of each published size are served
	return t.packed(id.Width), nil
}

// Receipt is the receipt of the entry at index against the newest published
// checkpoint.
func (l *Ledger[V]) Receipt(ctx context.Context, index uint64) (proof.Receipt, error) {
	return l.ReceiptAgainst(ctx, index, l.Published())
}

// ReceiptAgainst is the receipt of the entry at index against a checkpoint of this
// ledger, as [Ledger.Published] gave it: so several can be made against one.
func (l *Ledger[V]) ReceiptAgainst(ctx context.Context, index uint64, published *proof.Published) (proof.Receipt, error) {
	if published == nil {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d, and nothing is published", ErrUnpublished, index)
	}
	if size := published.Checkpoint().Size; index >= size {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, size)
	}
	return l.makeReceipt(ctx, l.tree.Load(), index, published) // the view has all that was shown before
}

// makeReceipt is the receipt of an entry against a checkpoint that is larger than its
// index.
func (l *Ledger[V]) makeReceipt(ctx context.Context, tree *treeSnapshot, index uint64, published *proof.Published) (proof.Receipt, error) {
	entries, err := l.store.Entries(ctx, index, index+1)
	if err != nil {
		return proof.Receipt{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	if len(entries) != 1 {
		return proof.Receipt{}, fmt.Errorf("%w: %d entries for index %d", ErrCorrupt, len(entries), index)
	}
	path, err := l.inclusionProof(ctx, tree, entries[0], index, published.Checkpoint().Tree())
	if err != nil {
		return proof.Receipt{}, err
	}
	return proof.Receipt{Entry: entries[0], Index: index, Path: path, Checkpoint: published.Note()}, nil
}

// ConsistencyProof proves that the tree of size from leads up to that of size to,
// which must be published.
func (l *Ledger[V]) ConsistencyProof(ctx context.Context, from, to uint64) ([]proof.Hash, error) {
	if size := l.published.Load().size(); from > to || to > size {
		return nil, fmt.Errorf("%w: consistency of %d and %d in a tree of %d", ErrUnpublished, from, to, size)
	}
	return l.consistencyProof(ctx, l.tree.Load(), from, to)
}

// inclusionProof is the path of an entry within that tree, verified.
func (l *Ledger[V]) inclusionProof(ctx context.Context, tree *treeSnapshot, entry []byte, index uint64, within proof.Tree) ([]proof.Hash, error) {
	n, err := merkle.Inclusion(index, within.Size)
	if err != nil {
		return nil, err
	}
	path, err := l.proofHashes(ctx, tree, n)
	if err != nil {
		return nil, fmt.Errorf("inclusion of %d in %d: %w", index, within.Size, err)
	}
	if err := proof.VerifyInclusion(proof.LeafHash(entry), index, path, within); err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, index, err)
	}
	return path, nil
}

func (l *Ledger[V]) consistencyProof(ctx context.Context, tree *treeSnapshot, from, to uint64) ([]proof.Hash, error) {
	n, err := merkle.Consistency(from, to)
	if err != nil {
		return nil, err
	}
	path, err := l.proofHashes(ctx, tree, n)
	if err != nil {
		return nil, fmt.Errorf("consistency of %d and %d: %w", from, to, err)
	}
	return path, nil
}

func (l *Ledger[V]) proofHashes(ctx context.Context, tree *treeSnapshot, plan merkle.Nodes) ([]proof.Hash, error) {
	hashes, err := l.readNodes(ctx, tree, plan.IDs)
	if err != nil {
		return nil, err
	}
	hashes, err = plan.Rehash(hashes, hashChildren)
	if err != nil {
		return nil, err
	}
	path := make([]proof.Hash, len(hashes))
	for i, h := range hashes {
		path[i] = proof.Hash(h)
	}
	return path, nil
}

// readNodes are nodes of the tree; each must be complete in it.
func (l *Ledger[V]) readNodes(ctx context.Context, tree *treeSnapshot, ids []compact.NodeID) ([][]byte, error) {
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		level, d := uint8(id.Level/proof.TileHeight), id.Level%proof.TileHeight
		t, err := l.cachedTile(ctx, tree, level, id.Index>>(proof.TileHeight-d))
		if err != nil {
			return nil, err
		}
		hashes[i] = t.node(d, id.Index&(proof.TileWidth>>d-1))
	}
	return hashes, nil
}

// cachedTile is a tile of the tree, checked. A growing one is in memory. A full one
// comes from the cache; or from the store, and then its root must be the hash that
// the tile above has for it, which is checked the same way, up to one that grows:
// so everything hangs on the ledger's own root.
func (l *Ledger[V]) cachedTile(ctx context.Context, tree *treeSnapshot, level uint8, index uint64) (*expandedTile, error) {
	if hashes := tree.Size >> (proof.TileHeight * level); index == hashes/proof.TileWidth {
		return tree.partialTiles[level], nil
	}
	key := tileKey{level, index}
	if t := l.cache.get(key); t != nil {
		return t, nil
	}
	above, err := l.cachedTile(ctx, tree, level+1, index/proof.TileWidth)
	if err != nil {
		return nil, err
	}
	id, root := proof.TileID{Level: level, Index: index, Width: proof.TileWidth}, above.node(0, index%proof.TileWidth)
	row, err := l.readTile(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading tile %d/%d: %w", level, index, err)
	}
	t := expandTile(row)
	if wrong := fmt.Errorf("%w: tile %d/%d is not that of the tree", ErrCorrupt, level, index); !bytes.Equal(t.root(), root) {
		if row, err = l.remadeTile(ctx, id, wrong); err != nil {
			return nil, err
		}
		if t = expandTile(row); !bytes.Equal(t.root(), root) {
			return nil, wrong
		}
	}
	l.cache.put(key, t)
	return t, nil
}

// readEntries are entries of the tree, each checked against its leaf hash.
func (l *Ledger[V]) readEntries(ctx context.Context, tree *treeSnapshot, start, end uint64) ([][]byte, error) {
	entries, err := l.store.Entries(ctx, start, end)
	if err != nil {
		return nil, fmt.Errorf("reading entries [%d, %d): %w", start, end, err)
	}
	if uint64(len(entries)) != end-start {
		return nil, fmt.Errorf("%w: %d entries for [%d, %d)", ErrCorrupt, len(entries), start, end)
	}
	for i, e := range entries {
		index := start + uint64(i)
		t, err := l.cachedTile(ctx, tree, 0, index/proof.TileWidth)
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

// ErrNotArchived: no checkpoint of that time or size is kept. Published ones are
// thinned to one a minute, and nothing proves a time under quorum none.
var ErrNotArchived = errors.New("no such checkpoint is kept")

// archive stores the published checkpoint before the next one replaces it, if it is one
// of these: the last of its minute by quorum time; the first or last of its size, since
// the one shows what was knowable and the other what was not there yet; the last under
// its policy, so that the charter stays provable under its own witnesses.
//
// It is archived under the time of its quorum, or that of the one before if that is
// later: witnesses' clocks differ, the order of the sizes is certain.
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

// unixSeconds is a time as a timestamp; no time, and any before 1970, is 0.
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
