package ledger

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// rightEdge is the right edge of the tree: what the next entry's hashes are made of.
// The sequencer owns it. It is at most one growing tile a level, so that neither
// a commit nor a root ever reads the store.
type rightEdge struct {
	tree         *compact.Range
	partialTiles []*expandedTile // by tile level; meaningful where that level's last tile is partial
	dirtyTiles   []dirtyTile     // tiles begun or grown since the last cut
	newestDirty  []int           // by tile level: 1 + position in touched of its newest, 0 for none
}

type dirtyTile struct {
	level uint8
	index uint64
	tile  *expandedTile
}

var rangeFactory = compact.RangeFactory{Hash: hashChildren}

// append adds the leaf hashes of entries and returns the head after them.
func (e *rightEdge) append(entries [][]byte) (Head, error) {
	for _, entry := range entries {
		leaf := proof.LeafHash(entry)
		if err := e.tree.Append(leaf[:], e.visit); err != nil {
			return Head{}, fmt.Errorf("growing the tree at %d: %w", e.tree.End(), err)
		}
	}
	return e.head()
}

// visit takes in one new complete node. compact.Range calls it bottom-up.
func (e *rightEdge) visit(id compact.NodeID, hash []byte) {
	level, d := int(id.Level/proof.TileHeight), id.Level%proof.TileHeight
	i := id.Index & (proof.TileWidth>>d - 1)
	if level == len(e.partialTiles) {
		e.partialTiles, e.newestDirty = append(e.partialTiles, nil), append(e.newestDirty, 0)
	}
	if d == 0 {
		if i == 0 {
			e.partialTiles[level], e.newestDirty[level] = new(expandedTile), 0
		}
		if e.newestDirty[level] == 0 {
			e.dirtyTiles = append(e.dirtyTiles, dirtyTile{uint8(level), id.Index / proof.TileWidth, e.partialTiles[level]})
			e.newestDirty[level] = len(e.dirtyTiles)
		}
	}
	copy(e.partialTiles[level].node(d, i), hash)
}

// takeDirty returns the tiles touched since the last cut, at the width they have now.
func (e *rightEdge) takeDirty() []dirtyTile {
	t := e.dirtyTiles
	e.dirtyTiles = nil
	clear(e.newestDirty)
	return t
}

func (e *rightEdge) head() (Head, error) {
	h := Head{Size: e.tree.End(), Root: proof.EmptyRoot()}
	if h.Size == 0 {
		return h, nil
	}
	root, err := e.tree.GetRootHash(nil)
	if err != nil {
		return Head{}, fmt.Errorf("root of size %d: %w", h.Size, err)
	}
	copy(h.Root[:], root)
	return h, nil
}

// treeSnapshot is the tree at one head, for readers: immutable.
type treeSnapshot struct {
	Head
	partialTiles []*expandedTile
	admitted     time.Time // of the newest entry
}

func (e *rightEdge) snapshot(h Head, admitted time.Time) *treeSnapshot {
	return &treeSnapshot{h, append([]*expandedTile(nil), e.partialTiles...), admitted}
}

// loadEdge reads the partial tiles of a tree of this size back from the store and makes
// its right edge of them. All their hashes enter the root, so a caller that compares
// the edge's head with a trusted root has checked them all.
func (l *Ledger[V]) loadEdge(ctx context.Context, size uint64) (*rightEdge, error) {
	e := &rightEdge{}
	var ids []proof.TileID
	for level := uint8(0); size>>(proof.TileHeight*level) > 0; level++ {
		e.partialTiles, e.newestDirty = append(e.partialTiles, nil), append(e.newestDirty, 0)
		if n := size >> (proof.TileHeight * level); n%proof.TileWidth != 0 {
			ids = append(ids, proof.TileID{Level: level, Index: n / proof.TileWidth, Width: int(n % proof.TileWidth)})
		}
	}
	for _, id := range ids {
		row, err := l.readTile(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading the right edge at size %d: %w", size, err)
		}
		e.partialTiles[id.Level] = expandTile(row)
	}
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		d := id.Level % proof.TileHeight
		hashes = append(hashes, e.partialTiles[id.Level/proof.TileHeight].node(d, id.Index&(proof.TileWidth>>d-1)))
	}
	var err error
	e.tree, err = rangeFactory.NewRange(0, size, hashes)
	return e, err
}

// readTile reads a tile, which may have to be made anew. It is not checked.
func (l *Ledger[V]) readTile(ctx context.Context, id proof.TileID) ([]byte, error) {
	rows, err := readTiles(ctx, l.store, []proof.TileID{id})
	if err != nil {
		return l.remadeTile(ctx, id, err)
	}
	return rows[0], nil
}

// readTiles reads tiles and checks that each has the width that was asked for.
func readTiles(ctx context.Context, s Store, ids []proof.TileID) ([][]byte, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.Tiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	if len(rows) != len(ids) {
		return nil, fmt.Errorf("%w: %d tiles asked for, %d read", ErrCorrupt, len(ids), len(rows))
	}
	for i, id := range ids {
		if len(rows[i]) != id.Width*hashSize {
			return nil, fmt.Errorf("%w: tile %d/%d has %d bytes, want %d", ErrCorrupt, id.Level, id.Index, len(rows[i]), id.Width*hashSize)
		}
	}
	return rows, nil
}

const hashSize = len(proof.Hash{})

// expandedTile is one tile with every complete node between its bottom row and its
// root, so that an inclusion path is look-ups and no hashing. Level d of 0…7 has
// 256>>d nodes; level 0, which comes first, is the tile as it is stored and
// served. The root belongs to the tile above.
//
// A growing subtree is written once per node, by the sequencer, and read
// meanwhile: readers know from the size of their tree which nodes are there.
type expandedTile [(2*proof.TileWidth - 2) * hashSize]byte

// node is the i-th node of level d.
func (s *expandedTile) node(d uint, i uint64) []byte {
	at := (2*proof.TileWidth - 2*proof.TileWidth>>d + int(i)) * hashSize
	return s[at : at+hashSize : at+hashSize]
}

// packed is the tile at a width.
func (s *expandedTile) packed(width int) []byte { return s[: width*hashSize : width*hashSize] }

// root is the node above a full subtree.
func (s *expandedTile) root() []byte {
	return hashChildren(s.node(proof.TileHeight-1, 0), s.node(proof.TileHeight-1, 1))
}

// expandTile makes the subtree of a tile that was read back.
func expandTile(row []byte) *expandedTile {
	s := new(expandedTile)
	copy(s[:], row)
	n := uint64(len(row) / hashSize)
	for d := uint(1); d < proof.TileHeight; d++ {
		for i := range n >> d {
			copy(s.node(d, i), hashChildren(s.node(d-1, 2*i), s.node(d-1, 2*i+1)))
		}
	}
	return s
}

func hashChildren(l, r []byte) []byte {
	h := proof.NodeHash(proof.Hash(l), proof.Hash(r))
	return h[:]
}

// tileCache keeps the full tiles used last, checked, with their inner nodes. A
// full tile never changes, so there is nothing to invalidate.
type tileCache struct {
	limit int // tiles

	mu    sync.Mutex
	byID  map[tileKey]*list.Element
	order *list.List // of *cached, newest first
}

type tileKey struct {
	level uint8
	index uint64
}

type cachedTile struct {
	key  tileKey
	tile *expandedTile
}

func newTileCache(bytes int64) *tileCache {
	return &tileCache{
		limit: max(64, int(bytes)/len(expandedTile{})),
		byID:  make(map[tileKey]*list.Element),
		order: list.New(),
	}
}

func (c *tileCache) get(k tileKey) *expandedTile {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedTile).tile
}

func (c *tileCache) put(k tileKey, t *expandedTile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byID[k]; e != nil {
		c.order.MoveToFront(e)
		return
	}
	c.byID[k] = c.order.PushFront(&cachedTile{k, t})
	if c.order.Len() > c.limit {
		oldest := c.order.Back()
		delete(c.byID, oldest.Value.(*cachedTile).key)
		c.order.Remove(oldest)
	}
}
