package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
)

// ReadTiles returns the hashes of each tile asked for, 32 bytes each, in order. It
// may return more of a tile than was asked for: a tile that has grown begins with
// what it was. It is called without a lock held, and once per call of a [TreeReader]; once more
// for each tile that was kept and is of another history.
type ReadTiles func(ctx context.Context, ids []TileID) ([][]byte, error)

// ErrCorrupt: the tiles do not hash to the expected root. The disk is damaged or the
// server lies; nothing is returned.
var ErrCorrupt = errors.New("tiles do not add up to the tree's root")

// TileReader reads the tiles of one log and keeps the full ones used last. It may be used
// by several goroutines.
type TileReader struct {
	read  ReadTiles
	cache *lru.Cache[TileID, *expandedTile] // full tiles, with their inner nodes; nil: none is kept
	last  atomic.Pointer[Snapshot]          // the tree that was loaded last

	// Remake makes a full tile anew whose hashes do not make the one above it, for the
	// reason why; nil where nothing can. It is set before the first read.
	Remake func(ctx context.Context, id TileID, why error) ([]byte, error)
}

// DefaultCacheTiles is how many tiles a TileReader keeps when it is not told: 16 MiB.
const DefaultCacheTiles = 1024

// CachedTileBytes is what a kept tile takes.
const CachedTileBytes = len(expandedTile{})

// NewTileReader reads through the function and keeps up to cache full tiles,
// [CachedTileBytes] each, between calls (0: [DefaultCacheTiles]; negative: none).
func NewTileReader(read ReadTiles, cache int) *TileReader {
	r := &TileReader{read: read}
	if cache == 0 {
		cache = DefaultCacheTiles
	}
	if cache > 0 {
		r.cache, _ = lru.New[TileID, *expandedTile](cache) // an error only of a size below 1
	}
	return r
}

// Keep puts full tiles that an [Appender] made in the cache.
func (r *TileReader) Keep(tiles []Tile) {
	for _, t := range tiles {
		if t.ID.Width == TileWidth && t.expanded != nil && r.cache != nil {
			r.cache.Add(t.ID, t.expanded)
		}
	}
}

// At reads a tree. Its right edge is read with what is asked of it first.
func (r *TileReader) At(tree Tree) TreeReader {
	s := r.last.Load()
	if s == nil || s.Tree != tree {
		s = &Snapshot{Tree: tree}
	}
	return TreeReader{r, tree, s}
}

// Within reads a tree that another begins with, whose right edge is in memory.
func (r *TileReader) Within(s *Snapshot, tree Tree) TreeReader { return TreeReader{r, tree, s} }

// TreeReader reads one tree. Whatever it returns is checked against the tree's root: a
// full tile by the tile above it, up to the partial ones at the right edge, of which the
// root is made. So a wrong tile gives [ErrCorrupt] and never a wrong proof.
type TreeReader struct {
	tiles *TileReader
	tree  Tree
	edge  *Snapshot // that the tree is a prefix of; without tiles where they are not read yet
}

// Tree is the tree that is read.
func (t TreeReader) Tree() Tree { return t.tree }

// Inclusion is a leaf's verified place in a tree.
type Inclusion struct {
	Index uint64
	Leaf  Hash   // as the tile has it; a caller that has the entry compares
	Path  []Hash // from the leaf's sibling to the root's child
}

// InclusionProof proves that a leaf is in the tree (RFC 6962, section 2.1.1). An index
// beyond the tree is an error, as is [ErrCorrupt].
func (t TreeReader) InclusionProof(ctx context.Context, index uint64) (Inclusion, error) {
	plan, err := merkle.Inclusion(index, t.tree.Size)
	if err != nil {
		return Inclusion{}, fmt.Errorf("proving inclusion: %w", err)
	}
	leaf := compact.NewNodeID(0, index)
	nodes, err := t.fetch(ctx, append(plan.IDs, leaf))
	if err != nil {
		return Inclusion{}, fmt.Errorf("proving entry %d in the tree of %d: %w", index, t.tree.Size, err)
	}
	in := Inclusion{Index: index, Leaf: Hash(nodes.hash(leaf))}
	if in.Path, err = rehash(plan, nodes); err != nil {
		return Inclusion{}, err
	}
	if err := VerifyInclusion(in.Leaf, index, in.Path, t.tree); err != nil {
		return Inclusion{}, fmt.Errorf("proving entry %d in the tree of %d: %w", index, t.tree.Size, ErrCorrupt)
	}
	return in, nil
}

// ConsistencyProof proves that the tree begins with one of from entries, and
// returns that older tree with the proof (RFC 6962, section 2.1.2).
func (t TreeReader) ConsistencyProof(ctx context.Context, from uint64) (Tree, []Hash, error) {
	switch from {
	case 0:
		return Tree{Root: EmptyRoot()}, nil, nil
	case t.tree.Size:
		return t.tree, nil, nil
	}
	plan, err := merkle.Consistency(from, t.tree.Size)
	if err != nil {
		return Tree{}, nil, fmt.Errorf("proving consistency: %w", err)
	}
	left := compact.RangeNodes(0, from, nil)
	nodes, err := t.fetch(ctx, append(plan.IDs, left...))
	if err != nil {
		return Tree{}, nil, fmt.Errorf("proving the tree of %d in that of %d: %w", from, t.tree.Size, err)
	}
	path, err := rehash(plan, nodes)
	if err != nil {
		return Tree{}, nil, err
	}
	old, err := nodes.tree(left, from)
	if err != nil {
		return Tree{}, nil, err
	}
	if err := VerifyConsistency(old, t.tree, path); err != nil {
		return Tree{}, nil, fmt.Errorf("proving the tree of %d in that of %d: %w", from, t.tree.Size, ErrCorrupt)
	}
	return old, path, nil
}

// TreeAt is the older tree of that size with which the tree begins.
func (t TreeReader) TreeAt(ctx context.Context, size uint64) (Tree, error) {
	switch {
	case size == 0:
		return Tree{Root: EmptyRoot()}, nil
	case size == t.tree.Size:
		return t.tree, nil
	case size > t.tree.Size:
		return Tree{}, fmt.Errorf("the tree of %d has no prefix of %d", t.tree.Size, size)
	}
	left := compact.RangeNodes(0, size, nil)
	nodes, err := t.fetch(ctx, left)
	if err != nil {
		return Tree{}, fmt.Errorf("reading the tree of %d in that of %d: %w", size, t.tree.Size, err)
	}
	return nodes.tree(left, size)
}

// CompactRanges are the roots of the perfect subtrees that make up [0, at) and [at, size)
// of the tree, each from left to right: what evidence of a split view carries.
func (t TreeReader) CompactRanges(ctx context.Context, at uint64) (left, right []Hash, err error) {
	if at > t.tree.Size {
		return nil, nil, fmt.Errorf("ranges: %d is beyond the tree of %d", at, t.tree.Size)
	}
	leftIDs := compact.RangeNodes(0, at, nil)
	rightIDs := compact.RangeNodes(at, t.tree.Size, nil)
	nodes, err := t.fetch(ctx, slices.Concat(leftIDs, rightIDs))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the ranges of the tree of %d: %w", t.tree.Size, err)
	}
	return toHashes(nodes.hashes(leftIDs)), toHashes(nodes.hashes(rightIDs)), nil
}

// Tile is a tile of the tree, its hashes packed, not to be changed.
func (t TreeReader) Tile(ctx context.Context, id TileID) ([]byte, error) {
	if !id.In(t.tree.Size) {
		return nil, fmt.Errorf("%s is beyond the tree of %d", id, t.tree.Size)
	}
	nodes, err := t.fetch(ctx, []compact.NodeID{compact.NewNodeID(uint(id.Level)*TileHeight, id.Index*TileWidth)})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	return nodes.find(id.Level, id.Index).packed(id.Width), nil
}

// CheckEntries compares entries, the first of which has the index start, with the leaves
// of the tree: [ErrCorrupt] where one is another.
func (t TreeReader) CheckEntries(ctx context.Context, start uint64, entries [][]byte) error {
	end := start + uint64(len(entries))
	if end > t.tree.Size {
		return fmt.Errorf("the entries [%d, %d) are beyond the tree of %d", start, end, t.tree.Size)
	}
	var leaves []compact.NodeID // one of each tile
	for id := range EntryBundles(start, end) {
		leaves = append(leaves, compact.NewNodeID(0, id.Index*TileWidth))
	}
	nodes, err := t.fetch(ctx, leaves)
	if err != nil {
		return fmt.Errorf("checking the entries [%d, %d): %w", start, end, err)
	}
	for i, e := range entries {
		index := start + uint64(i)
		if leaf := LeafHash(e); !bytes.Equal(leaf[:], nodes.hash(compact.NewNodeID(0, index))) {
			return fmt.Errorf("%w: entry %d is not that of the tree", ErrCorrupt, index)
		}
	}
	return nil
}

// rehash puts a proof together; at most one of its hashes is of an imperfect
// subtree and is computed here.
func rehash(plan merkle.Nodes, nodes tileSet) ([]Hash, error) {
	path, err := plan.Rehash(nodes.hashes(plan.IDs), hashChildren)
	if err != nil {
		return nil, fmt.Errorf("building a proof: %w", err)
	}
	return toHashes(path), nil
}

func toHashes(slices [][]byte) []Hash {
	out := make([]Hash, len(slices))
	for i, h := range slices {
		out[i] = Hash(h)
	}
	return out
}

// tileSet has the tiles that some nodes stand in, and those above them. They are few.
type tileSet []fetchedTile

type fetchedTile struct {
	id   TileID
	tile *expandedTile
	read bool // now, so that it is not cached
}

func (s tileSet) find(level uint8, index uint64) *expandedTile {
	for i := range s {
		if s[i].id.Index == index && s[i].id.Level == level {
			return s[i].tile
		}
	}
	return nil
}

// hash is a node that was asked for.
func (s tileSet) hash(id compact.NodeID) []byte {
	level, index, d, i := tileOf(id)
	return s.find(level, index).node(d, i)
}

func (s tileSet) hashes(ids []compact.NodeID) [][]byte {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = s.hash(id)
	}
	return out
}

// tree is the tree whose compact range the nodes are.
func (s tileSet) tree(left []compact.NodeID, size uint64) (Tree, error) {
	r, err := rangeFactory.NewRange(0, size, s.hashes(left))
	if err != nil {
		return Tree{}, fmt.Errorf("folding [0,%d): %w", size, err)
	}
	return rangeTree(r)
}

// fetch gets the tiles in which the nodes stand, checked, those that are not in memory in
// one read. The nodes are complete in the tree.
func (t TreeReader) fetch(ctx context.Context, nodes []compact.NodeID) (tileSet, error) {
	size, loaded := t.edge.Size, t.edge.growing != nil
	set := make(tileSet, 0, 8)
	if !loaded {
		for _, id := range edgeTiles(size) {
			set = append(set, fetchedTile{id: id})
		}
	}
	for _, n := range nodes {
		for level, index, _, _ := tileOf(n); set.index(level, index) < 0; level, index = level+1, index/TileWidth {
			// SPEC: tlog-tiles Partial Tiles: a client asks only for partial tiles that a verified checkpoint implies
			f := fetchedTile{id: TileID{level, index, tileWidthAt(size, level, index)}}
			if f.id.Width < TileWidth {
				f.tile = t.edge.growing[level]
			} else if t.tiles.cache != nil {
				f.tile, _ = t.tiles.cache.Get(f.id)
			}
			set = append(set, f)
			if f.id.Width < TileWidth {
				break
			}
		}
	}
	if err := t.tiles.readMissing(ctx, set); err != nil {
		return nil, err
	}
	if !loaded {
		if err := t.loadEdge(set); err != nil {
			return nil, err
		}
	}
	return set, t.check(ctx, set)
}

func (s tileSet) index(level uint8, index uint64) int {
	return slices.IndexFunc(s, func(f fetchedTile) bool { return f.id.Level == level && f.id.Index == index })
}

// readMissing reads the tiles that the set has not.
func (r *TileReader) readMissing(ctx context.Context, set tileSet) error {
	var missing []TileID
	for i := range set {
		if set[i].tile == nil {
			set[i].read = true
			missing = append(missing, set[i].id)
		}
	}
	rows, err := readRows(ctx, r.read, missing)
	if err != nil {
		return err
	}
	for i := range set {
		if set[i].read {
			set[i].tile, rows = expandTile(rows[0]), rows[1:]
		}
	}
	return nil
}

// readRows reads tiles, cut to the widths that were asked for.
func readRows(ctx context.Context, read ReadTiles, ids []TileID) ([][]byte, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := read(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading tiles: %w", err)
	}
	if len(rows) != len(ids) {
		return nil, fmt.Errorf("reading tiles: got %d of %d: %w", len(rows), len(ids), ErrCorrupt)
	}
	cut := make([][]byte, len(rows))
	for i, id := range ids {
		if n := len(rows[i]); n%hashSize != 0 || n > TileWidth*hashSize || n < id.Width*hashSize {
			return nil, fmt.Errorf("%s: %d bytes, want %d hashes: %w", id, n, id.Width, ErrCorrupt)
		}
		cut[i] = rows[i][:id.Width*hashSize]
	}
	return cut, nil
}

// loadEdge checks that the partial tiles make the root, and remembers them.
func (t TreeReader) loadEdge(set tileSet) error {
	s := &Snapshot{Tree: t.edge.Tree, growing: make([]*expandedTile, maxTileLevel+1)}
	for _, f := range set {
		if f.id.Width < TileWidth {
			s.growing[f.id.Level] = f.tile
		}
	}
	r, err := edgeRange(s.Size, s.growing)
	if err != nil {
		return err
	}
	made, err := rangeTree(r)
	if err != nil {
		return err
	}
	if made != s.Tree {
		return fmt.Errorf("the tiles at the right edge of size %d: %w", s.Size, ErrCorrupt)
	}
	t.tiles.last.Store(s)
	return nil
}

// check compares each full tile with the hash that the tile above has for it, from the
// top down, so that the lower one is at fault; and keeps what was read.
func (t TreeReader) check(ctx context.Context, set tileSet) error {
	for level := maxTileLevel; level >= 0; level-- {
		for i := range set {
			f := &set[i]
			if int(f.id.Level) != level || f.id.Width < TileWidth {
				continue
			}
			want := set.find(f.id.Level+1, f.id.Index/TileWidth).node(0, f.id.Index%TileWidth)
			if !bytes.Equal(f.tile.root(), want) {
				if err := t.tiles.remake(ctx, f, want); err != nil {
					return err
				}
			}
			if f.read && t.tiles.cache != nil {
				t.tiles.cache.Add(f.id, f.tile)
			}
		}
	}
	return nil
}

// remake replaces a tile that does not hash to what is wanted of it: one that was kept, which may
// be of another history, by the one that is there; and that, if it can be done, by one made anew.
func (r *TileReader) remake(ctx context.Context, f *fetchedTile, want []byte) error {
	if !f.read {
		r.cache.Remove(f.id)
		if err := f.replace(ctx, r.read); err != nil || bytes.Equal(f.tile.root(), want) {
			return err
		}
	}
	wrong := fmt.Errorf("%s is not that of the tree: %w", f.id, ErrCorrupt)
	if r.Remake == nil {
		return wrong
	}
	err := f.replace(ctx, func(ctx context.Context, ids []TileID) ([][]byte, error) {
		row, err := r.Remake(ctx, ids[0], wrong)
		return [][]byte{row}, err
	})
	if err == nil && !bytes.Equal(f.tile.root(), want) {
		return wrong
	}
	return err
}

// replace reads the tile, whatever was there before.
func (f *fetchedTile) replace(ctx context.Context, read ReadTiles) error {
	rows, err := readRows(ctx, read, []TileID{f.id})
	if err != nil {
		return err
	}
	f.tile, f.read = expandTile(rows[0]), true
	return nil
}
