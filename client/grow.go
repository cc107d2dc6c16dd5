package client

import (
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// merkleTree grows a Merkle tree from entries and cuts it into tiles, so that a
// follower computes every hash itself and takes none from the server.
type merkleTree struct {
	edge      *compact.Range
	lastTiles [8][]byte // the last tile of each level as far as it has grown, 32 bytes a hash
	fullTiles []tile    // tiles completed since the last cut
}

// tile is one tile's hashes, packed.
type tile struct {
	id   proof.TileID
	data []byte
}

var rangeFactory = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func newMerkleTree() *merkleTree { return &merkleTree{edge: rangeFactory.NewEmptyRange(0)} }

// size is the number of entries in the tree.
func (t *merkleTree) size() uint64 { return t.edge.End() }

func (t *merkleTree) append(entry []byte) error {
	leaf := proof.LeafHash(entry)
	return t.edge.Append(leaf[:], func(id compact.NodeID, hash []byte) {
		if id.Level%proof.TileHeight != 0 {
			return // inner nodes of a tile are not stored
		}
		level := id.Level / proof.TileHeight
		t.lastTiles[level] = append(t.lastTiles[level], hash...)
		if len(t.lastTiles[level]) == proof.TileWidth*sha256.Size {
			t.fullTiles = append(t.fullTiles, tile{proof.TileID{Level: uint8(level), Index: id.Index / proof.TileWidth, Width: proof.TileWidth}, t.lastTiles[level]})
			t.lastTiles[level] = nil
		}
	})
}

// takeTiles returns the tiles completed since the last cut, and the partial ones as they are.
func (t *merkleTree) takeTiles() (full, partial []tile) {
	full, t.fullTiles = t.fullTiles, nil
	for level, row := range t.lastTiles {
		if len(row) > 0 {
			index := t.size() >> (proof.TileHeight * (level + 1))
			partial = append(partial, tile{proof.TileID{Level: uint8(level), Index: index, Width: len(row) / sha256.Size}, row})
		}
	}
	return full, partial
}

// head is the tree's head.
func (t *merkleTree) head() (proof.Tree, error) {
	head := proof.Tree{Size: t.size(), Root: proof.EmptyRoot()}
	if head.Size == 0 {
		return head, nil
	}
	root, err := t.edge.GetRootHash(nil)
	if err != nil {
		return head, fmt.Errorf("root of size %d: %w", head.Size, err)
	}
	copy(head.Root[:], root)
	return head, nil
}

// loadMerkleTree rebuilds the right edge of a tree of that size from its partial tiles
// and the full ones beside them. Every hash read enters the root: whoever compares
// it with one that it trusts has checked them all.
func loadMerkleTree(size uint64, read func([]proof.TileID) ([][]byte, error)) (*merkleTree, error) {
	var ids []proof.TileID
	for level := uint8(0); size>>(proof.TileHeight*level) > 0; level++ {
		if n := size >> (proof.TileHeight * level); n%proof.TileWidth != 0 {
			ids = append(ids, proof.TileID{Level: level, Index: n / proof.TileWidth, Width: int(n % proof.TileWidth)})
		}
	}
	rows, err := read(ids)
	if err != nil {
		return nil, fmt.Errorf("reading the right edge at size %d: %w", size, err)
	}
	t := newMerkleTree()
	for i, id := range ids {
		t.lastTiles[id.Level] = append([]byte(nil), rows[i]...)
	}
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		level, height := id.Level/proof.TileHeight, id.Level%proof.TileHeight
		first := int(id.Index << height % proof.TileWidth)
		hashes = append(hashes, subtreeRoot(t.lastTiles[level][first*sha256.Size:][:sha256.Size<<height]))
	}
	t.edge, err = rangeFactory.NewRange(0, size, hashes)
	return t, err
}

// subtreeRoot hashes a run of 2^h packed hashes up to their common root.
func subtreeRoot(row []byte) []byte {
	if len(row) == sha256.Size {
		return row
	}
	half := len(row) / 2
	return rfc6962.DefaultHasher.HashChildren(subtreeRoot(row[:half]), subtreeRoot(row[half:]))
}
