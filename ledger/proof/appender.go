package proof

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// Tile is one tile with its hashes packed, 32 bytes each.
type Tile struct {
	ID     TileID
	Hashes []byte

	expanded *expandedTile // where an [Appender] made it
}

// Appender grows a Merkle tree at its right edge: leaf hashes go in, tiles come out. It
// holds one growing tile a level and reads nothing. One goroutine owns it; its snapshots
// are anybody's.
type Appender struct {
	tree        *compact.Range
	growing     []*expandedTile // by level; meaningful where that level's last tile is partial
	dirty       []Tile          // tiles begun or grown since they were taken, not yet packed
	newestDirty []int           // by level: 1 + position in dirty of its newest, 0 for none
}

// NewAppender grows the empty tree.
func NewAppender() *Appender { return &Appender{tree: rangeFactory.NewEmptyRange(0)} }

// LoadAppender goes on from a tree, of which it reads the partial tiles: they make the
// tree's root, or [ErrCorrupt] is returned.
func LoadAppender(ctx context.Context, tree Tree, read ReadTiles) (*Appender, error) {
	ids := edgeTiles(tree.Size)
	rows, err := readRows(ctx, read, ids)
	if err != nil {
		return nil, fmt.Errorf("reading the right edge at size %d: %w", tree.Size, err)
	}
	a := &Appender{}
	for level := uint8(0); tree.Size>>(TileHeight*level) > 0; level++ {
		a.growing, a.newestDirty = append(a.growing, nil), append(a.newestDirty, 0)
	}
	for i, id := range ids {
		a.growing[id.Level] = expandTile(rows[i])
	}
	if a.tree, err = edgeRange(tree.Size, a.growing); err != nil {
		return nil, err
	}
	switch made, err := a.Tree(); {
	case err != nil:
		return nil, err
	case made != tree:
		return nil, fmt.Errorf("%w: the tiles at the right edge of size %d make the root %s, want %s", ErrCorrupt, tree.Size, made.Root, tree.Root)
	}
	return a, nil
}

// edgeTiles are the partial tiles of a tree of that size, levels going up. All their
// hashes enter the root.
func edgeTiles(size uint64) (ids []TileID) {
	for level := uint8(0); level <= maxTileLevel && size>>(TileHeight*level) > 0; level++ {
		if n := size >> (TileHeight * level); n%TileWidth != 0 {
			ids = append(ids, TileID{Level: level, Index: n / TileWidth, Width: int(n % TileWidth)})
		}
	}
	return ids
}

// edgeRange is the compact range of a tree of that size, from its partial tiles by level.
func edgeRange(size uint64, growing []*expandedTile) (*compact.Range, error) {
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		level, _, d, i := tileOf(id)
		hashes = append(hashes, growing[level].node(d, i))
	}
	r, err := rangeFactory.NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("folding [0,%d): %w", size, err)
	}
	return r, nil
}

// Append adds the hash of the next leaf.
func (a *Appender) Append(leaf Hash) error {
	if err := a.tree.Append(leaf[:], a.visit); err != nil {
		return fmt.Errorf("growing the tree at %d: %w", a.tree.End(), err)
	}
	return nil
}

// visit takes in one new complete node. [compact.Range] calls it bottom-up.
func (a *Appender) visit(id compact.NodeID, hash []byte) {
	level, index, d, i := tileOf(id)
	if int(level) == len(a.growing) {
		a.growing, a.newestDirty = append(a.growing, nil), append(a.newestDirty, 0)
	}
	if d == 0 {
		if level > 0 {
			copy(a.growing[level-1].node(TileHeight, 0), hash) // the root of what is full now
		}
		if i == 0 {
			a.growing[level], a.newestDirty[level] = new(expandedTile), 0
		}
		if a.newestDirty[level] == 0 {
			a.dirty = append(a.dirty, Tile{ID: TileID{Level: level, Index: index}, expanded: a.growing[level]})
			a.newestDirty[level] = len(a.dirty)
		}
	}
	copy(a.growing[level].node(d, i), hash)
}

// Size is the number of leaves.
func (a *Appender) Size() uint64 { return a.tree.End() }

// Tree is the tree as it stands.
func (a *Appender) Tree() (Tree, error) { return rangeTree(a.tree) }

// TakeTiles returns the tiles that were begun or have grown since it was called last, at
// the width that they have now. They are not to be changed.
func (a *Appender) TakeTiles() []Tile {
	tiles := a.dirty
	for i := range tiles {
		t := &tiles[i]
		t.ID.Width = tileWidthAt(a.Size(), t.ID.Level, t.ID.Index)
		t.Hashes = t.expanded.packed(t.ID.Width)
	}
	a.dirty = nil
	clear(a.newestDirty)
	return tiles
}

// PartialTiles are those at the right edge, whether they have grown or not.
func (a *Appender) PartialTiles() []Tile {
	var tiles []Tile
	for _, id := range edgeTiles(a.Size()) {
		tiles = append(tiles, Tile{ID: id, Hashes: a.growing[id.Level].packed(id.Width), expanded: a.growing[id.Level]})
	}
	return tiles
}

// Snapshot is a tree with the tiles at its right edge, from which all else that is read
// of it hangs. It never changes. An [Appender] makes it.
type Snapshot struct {
	Tree
	growing []*expandedTile
}

// Snapshot is the tree as it stands, for readers.
func (a *Appender) Snapshot() (*Snapshot, error) {
	t, err := a.Tree()
	if err != nil {
		return nil, err
	}
	return &Snapshot{t, append([]*expandedTile(nil), a.growing...)}, nil
}

const hashSize = len(Hash{})

// expandedTile is one tile with every complete node from its bottom row to its root, so
// that a path is look-ups and no hashing. Level d of 0…8 has 256>>d nodes; level 0, which
// comes first, is the tile as it is stored and served.
//
// A growing tile is written once per node, by its [Appender], and read meanwhile: readers
// know from the size of their tree which nodes are there.
type expandedTile [(2*TileWidth - 1) * hashSize]byte

// node is the i-th node of level d.
func (t *expandedTile) node(d uint, i uint64) []byte {
	at := (2*TileWidth - 2*TileWidth>>d + int(i)) * hashSize
	return t[at : at+hashSize : at+hashSize]
}

// packed is the tile at a width.
func (t *expandedTile) packed(width int) []byte { return t[: width*hashSize : width*hashSize] }

// root is the node above a full tile.
func (t *expandedTile) root() []byte { return t.node(TileHeight, 0) }

// expandTile makes the inner nodes of a tile that was read back: about as many as there
// are hashes.
func expandTile(row []byte) *expandedTile {
	t := new(expandedTile)
	copy(t[:], row)
	n := uint64(len(row) / hashSize)
	for d := uint(1); d <= TileHeight; d++ {
		for i := range n >> d {
			h := NodeHash(Hash(t.node(d-1, 2*i)), Hash(t.node(d-1, 2*i+1)))
			copy(t.node(d, i), h[:])
		}
	}
	return t
}

// TileRoot is the hash that stands in the tile above a full one.
func TileRoot(row []byte) Hash { return Hash(expandTile(row).root()) }

// tileOf says in which tile a node of the Merkle tree stands, and where in it.
func tileOf(id compact.NodeID) (level uint8, index uint64, height uint, offset uint64) {
	height = id.Level % TileHeight
	perTile := TileHeight - height // 2^perTile nodes of this height in one tile
	return uint8(id.Level / TileHeight), id.Index >> perTile, height, id.Index & (1<<perTile - 1)
}

var rangeFactory = &compact.RangeFactory{Hash: hashChildren}

func hashChildren(l, r []byte) []byte {
	h := NodeHash(Hash(l), Hash(r))
	return h[:]
}

// rangeTree is the tree that a compact range from 0 makes.
func rangeTree(r *compact.Range) (Tree, error) {
	t := Tree{Size: r.End(), Root: EmptyRoot()}
	if t.Size == 0 {
		return t, nil
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		return Tree{}, fmt.Errorf("root of size %d: %w", t.Size, err)
	}
	t.Root = Hash(root)
	return t, nil
}

// treeFromRanges is the tree of n entries from the compact ranges [0, m) and [m, n).
func treeFromRanges(m, n uint64, left, right []Hash) (Tree, error) {
	l, err := rangeFactory.NewRange(0, m, hashSlices(left))
	if err != nil {
		return Tree{}, fmt.Errorf("folding [0,%d): %w", m, err)
	}
	r, err := rangeFactory.NewRange(m, n, hashSlices(right))
	if err != nil {
		return Tree{}, fmt.Errorf("folding [%d,%d): %w", m, n, err)
	}
	if err := l.AppendRange(r, nil); err != nil {
		return Tree{}, fmt.Errorf("folding [0,%d): %w", n, err)
	}
	return rangeTree(l)
}
