package proof

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ReadTiles returns the hashes of each tile asked for, 32 bytes each, in order. It
// may return more of a tile than was asked for: a tile that has grown begins with
// what it was. It is called without a lock held, and at most once per proof or
// batch of proofs.
type ReadTiles func(ctx context.Context, ids []TileID) ([][]byte, error)

// ErrCorrupt: the tiles do not hash to the expected root. The disk is damaged or the
// server lies; no proof is returned.
var ErrCorrupt = errors.New("tiles do not add up to the tree's root")

// Builder builds proofs from tiles. Every proof is verified before it is returned,
// so a wrong tile gives [ErrCorrupt] and never a wrong proof. It may be used by
// several goroutines.
type Builder struct {
	read  ReadTiles
	cache tileCache
}

// DefaultCacheTiles is how many tiles a Builder keeps when it is not told: 16 MiB.
const DefaultCacheTiles = 1024

// NewBuilder reads through the function and keeps up to cache tiles, 16 KiB
// each with their inner nodes, between calls (0: [DefaultCacheTiles]; negative: none).
func NewBuilder(read ReadTiles, cache int) *Builder {
	if cache == 0 {
		cache = DefaultCacheTiles
	}
	return &Builder{read: read, cache: tileCache{limit: max(cache, 0)}}
}

// Inclusion is a leaf's verified place in a tree.
type Inclusion struct {
	Index uint64
	Leaf  Hash   // as the tile has it; a caller that has the entry compares
	Path  []Hash // from the leaf's sibling to the root's child
}

// InclusionProof is [Builder.InclusionProofs] for one index.
func (b *Builder) InclusionProof(ctx context.Context, index uint64, tree Tree) (Inclusion, error) {
	all, err := b.InclusionProofs(ctx, []uint64{index}, tree)
	if err != nil {
		return Inclusion{}, err
	}
	return all[0], nil
}

// InclusionProofs proves that leaves are in the tree, sharing the tiles that their
// paths share. An index beyond the tree is an error, as is [ErrCorrupt].
func (b *Builder) InclusionProofs(ctx context.Context, indexes []uint64, tree Tree) ([]Inclusion, error) {
	plans := make([]merkle.Nodes, len(indexes))
	var need []compact.NodeID
	for i, index := range indexes {
		var err error
		if plans[i], err = merkle.Inclusion(index, tree.Size); err != nil {
			return nil, fmt.Errorf("proving inclusion: %w", err)
		}
		need = append(append(need, compact.NewNodeID(0, index)), plans[i].IDs...)
	}
	nodes, err := b.fetchNodes(ctx, need, tree.Size)
	if err != nil {
		return nil, err
	}
	proofs := make([]Inclusion, len(indexes))
	for i, index := range indexes {
		path, err := rehash(plans[i], nodes)
		if err != nil {
			return nil, err
		}
		leaf := nodes.hash(compact.NewNodeID(0, index))
		if err := VerifyInclusion(leaf, index, path, tree); err != nil {
			b.cache.evict(nodes)
			return nil, fmt.Errorf("proving entry %d in the tree of %d: %w", index, tree.Size, ErrCorrupt)
		}
		proofs[i] = Inclusion{Index: index, Leaf: leaf, Path: path}
	}
	b.cache.addVerified(nodes)
	return proofs, nil
}

// ConsistencyProof proves that the tree begins with one of from entries, and
// returns that older tree with the proof (RFC 6962, section 2.1.2).
func (b *Builder) ConsistencyProof(ctx context.Context, from uint64, tree Tree) (Tree, []Hash, error) {
	switch from {
	case 0:
		return Tree{Root: EmptyRoot()}, nil, nil
	case tree.Size:
		return tree, nil, nil
	}
	plan, err := merkle.Consistency(from, tree.Size)
	if err != nil {
		return Tree{}, nil, fmt.Errorf("proving consistency: %w", err)
	}
	left := compact.RangeNodes(0, from, nil)
	nodes, err := b.fetchNodes(ctx, append(left, plan.IDs...), tree.Size)
	if err != nil {
		return Tree{}, nil, err
	}
	path, err := rehash(plan, nodes)
	if err != nil {
		return Tree{}, nil, err
	}
	old, err := treeFromRanges(from, from, nodes.hashes(left), nil)
	if err != nil {
		return Tree{}, nil, err
	}
	if err := VerifyConsistency(old, tree, path); err != nil {
		b.cache.evict(nodes)
		return Tree{}, nil, fmt.Errorf("proving the tree of %d in that of %d: %w", from, tree.Size, ErrCorrupt)
	}
	b.cache.addVerified(nodes)
	return old, path, nil
}

// TreeAt is the older tree of that size within the tree, checked against its root.
func (b *Builder) TreeAt(ctx context.Context, size uint64, tree Tree) (Tree, error) {
	old, _, err := b.ConsistencyProof(ctx, size, tree)
	return old, err
}

// CompactRanges are the roots of the perfect subtrees that make up [0, at) and [at, size)
// of the tree, each from left to right: what evidence of a split view carries. They
// are checked against the tree's root.
func (b *Builder) CompactRanges(ctx context.Context, at uint64, tree Tree) (left, right []Hash, err error) {
	if at > tree.Size {
		return nil, nil, fmt.Errorf("ranges: %d is beyond the tree of %d", at, tree.Size)
	}
	leftIDs := compact.RangeNodes(0, at, nil)
	rightIDs := compact.RangeNodes(at, tree.Size, nil)
	nodes, err := b.fetchNodes(ctx, append(leftIDs, rightIDs...), tree.Size)
	if err != nil {
		return nil, nil, err
	}
	left, right = nodes.hashes(leftIDs), nodes.hashes(rightIDs)
	whole, err := treeFromRanges(at, tree.Size, left, right)
	if err != nil {
		return nil, nil, err
	}
	if whole != tree {
		b.cache.evict(nodes)
		return nil, nil, fmt.Errorf("reading the ranges of the tree of %d: %w", tree.Size, ErrCorrupt)
	}
	b.cache.addVerified(nodes)
	return left, right, nil
}

// rehash puts a proof together; at most one of its hashes is of an imperfect
// subtree and is computed here.
func rehash(plan merkle.Nodes, nodes *nodeSet) ([]Hash, error) {
	path, err := plan.Rehash(hashSlices(nodes.hashes(plan.IDs)), rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("building a proof: %w", err)
	}
	out := make([]Hash, len(path))
	for i, h := range path {
		out[i] = Hash(h)
	}
	return out, nil
}

var rangeFactory = &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// treeFromRanges is the tree of n entries from the compact ranges [0, m) and [m, n).
func treeFromRanges(m, n uint64, left, right []Hash) (Tree, error) {
	if n == 0 {
		return Tree{Root: EmptyRoot()}, nil
	}
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
	root, err := l.GetRootHash(nil)
	if err != nil {
		return Tree{}, fmt.Errorf("folding [0,%d): %w", n, err)
	}
	return Tree{Size: n, Root: Hash(root)}, nil
}

// expandedTile is a tile with the inner nodes that its hashes make: level[h][i] is the
// root of 2^h of its hashes, from i·2^h on. Nodes that are not complete are absent.
type expandedTile struct {
	id    TileID
	nodes [TileHeight][]Hash
}

// expandTile checks the length and hashes the inner nodes, about as many as there
// are hashes.
func expandTile(id TileID, data []byte) (*expandedTile, error) {
	if len(data)%sha256.Size != 0 || len(data) > TileWidth*sha256.Size || len(data) < id.Width*sha256.Size {
		return nil, fmt.Errorf("%s: %d bytes, want %d hashes: %w", id.Path(), len(data), id.Width, ErrCorrupt)
	}
	t := &expandedTile{id: id}
	all := make([]Hash, 2*id.Width)
	t.nodes[0] = all[:id.Width:id.Width]
	for i := range t.nodes[0] {
		copy(t.nodes[0][i][:], data[i*sha256.Size:])
	}
	all = all[id.Width:]
	for h := 1; h < TileHeight; h++ {
		below := t.nodes[h-1]
		n := len(below) / 2
		t.nodes[h], all = all[:n:n], all[n:]
		for i := range n {
			t.nodes[h][i] = NodeHash(below[2*i], below[2*i+1])
		}
	}
	return t, nil
}

// tileOf says in which tile a node of the Merkle tree stands, and where in it.
func tileOf(id compact.NodeID) (level uint8, index uint64, height uint, offset uint64) {
	height = id.Level % TileHeight
	perTile := TileHeight - height // 2^perTile nodes of this height in one tile
	return uint8(id.Level / TileHeight), id.Index >> perTile, height, id.Index & (1<<perTile - 1)
}

// nodeSet holds the tiles of one proof or batch, complete for the nodes planned.
type nodeSet struct {
	tiles map[TileID]*expandedTile // by their full IDs
}

// hash is the hash of a node that was planned.
func (s *nodeSet) hash(id compact.NodeID) Hash {
	level, index, height, offset := tileOf(id)
	return s.tiles[TileID{Level: level, Index: index, Width: TileWidth}].nodes[height][offset]
}

func (s *nodeSet) hashes(ids []compact.NodeID) []Hash {
	out := make([]Hash, len(ids))
	for i, id := range ids {
		out[i] = s.hash(id)
	}
	return out
}

// fetchNodes gets the tiles in which the nodes stand, those that are not cached in one
// read. The nodes are complete subtrees of a tree of that size.
func (b *Builder) fetchNodes(ctx context.Context, nodes []compact.NodeID, size uint64) (*nodeSet, error) {
	set := &nodeSet{tiles: make(map[TileID]*expandedTile, len(nodes)/TileHeight+1)}
	var missing []TileID
	for _, n := range nodes {
		level, index, _, _ := tileOf(n)
		id := TileID{Level: level, Index: index, Width: tileWidthAt(size, level, index)}
		if _, seen := set.tiles[id.Full()]; seen {
			continue
		}
		t := b.cache.get(id)
		set.tiles[id.Full()] = t
		if t == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return set, nil
	}
	data, err := b.read(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("reading tiles for a proof: %w", err)
	}
	if len(data) != len(missing) {
		return nil, fmt.Errorf("reading tiles for a proof: got %d of %d: %w", len(data), len(missing), ErrCorrupt)
	}
	for i, id := range missing {
		t, err := expandTile(id, data[i])
		if err != nil {
			return nil, err
		}
		set.tiles[id.Full()] = t
	}
	return set, nil
}

// tileCache keeps tiles that a verified proof went through, each as wide as it was:
// that prefix never changes, so nothing is ever invalid. The cache has two generations.
// When the young one is full it replaces the old one, which drops the tiles that were
// not used meanwhile.
type tileCache struct {
	mu         sync.Mutex
	limit      int // tiles in both generations
	young, old map[TileID]*expandedTile
}

func (c *tileCache) get(id TileID) *expandedTile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.young[id]; t != nil {
		return t
	}
	t := c.old[id]
	if t != nil {
		c.put(t)
	}
	return t
}

// addVerified takes the tiles of a set whose proofs verified.
func (c *tileCache) addVerified(set *nodeSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range set.tiles {
		if c.young[t.id] == nil {
			c.put(t)
		}
	}
}

// evict forgets the tiles of a set that did not add up, so that they are read anew.
func (c *tileCache) evict(set *nodeSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range set.tiles {
		delete(c.young, t.id)
		delete(c.old, t.id)
	}
}

func (c *tileCache) put(t *expandedTile) {
	if c.limit < 2 {
		return
	}
	if len(c.young) >= c.limit/2 {
		c.young, c.old = nil, c.young
	}
	if c.young == nil {
		c.young = make(map[TileID]*expandedTile, c.limit/2)
	}
	c.young[t.id] = t
}
