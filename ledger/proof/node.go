package proof

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/compact"
)

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
// that prefix never changes, so nothing is ever invalid. Two generations bound it:
// when the young one is full it becomes the old one, and what was old and not asked
// for since is forgotten.
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
