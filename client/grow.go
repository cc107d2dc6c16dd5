package client

import (
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// tree grows a Merkle tree from entries and cuts it into tiles, so that a
// follower computes every hash itself and takes none from the server.
type tree struct {
	edge *compact.Range
	rows [8][]byte // the last tile of each level as far as it has grown, 32 bytes a hash
	full []tile    // tiles completed since the last cut
}

// tile is one tile's hashes, packed.
type tile struct {
	id   proof.TileID
	data []byte
}

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func newTree() *tree { return &tree{edge: ranges.NewEmptyRange(0)} }

// size is the number of entries in the tree.
func (t *tree) size() uint64 { return t.edge.End() }

func (t *tree) append(entry []byte) error {
	leaf := proof.LeafHash(entry)
	return t.edge.Append(leaf[:], func(id compact.NodeID, hash []byte) {
		if id.Level%proof.TileHeight != 0 {
			return // inner nodes of a tile are not stored
		}
		level := id.Level / proof.TileHeight
		t.rows[level] = append(t.rows[level], hash...)
		if len(t.rows[level]) == proof.TileWidth*sha256.Size {
			t.full = append(t.full, tile{proof.TileID{Level: uint8(level), Index: id.Index / proof.TileWidth, Width: proof.TileWidth}, t.rows[level]})
			t.rows[level] = nil
		}
	})
}

// cut returns the tiles completed since the last cut, and the partial ones as they are.
func (t *tree) cut() (full, partial []tile) {
	full, t.full = t.full, nil
	for level, row := range t.rows {
		if len(row) > 0 {
			index := t.size() >> (proof.TileHeight * (level + 1))
			partial = append(partial, tile{proof.TileID{Level: uint8(level), Index: index, Width: len(row) / sha256.Size}, row})
		}
	}
	return full, partial
}

// at is the tree's head.
func (t *tree) at() (proof.Tree, error) {
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

// loadTree rebuilds the right edge of a tree of that size from its partial tiles
// and the full ones beside them. Every hash read enters the root: whoever compares
// it with one that it trusts has checked them all.
func loadTree(size uint64, read func([]proof.TileID) ([][]byte, error)) (*tree, error) {
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
	t := newTree()
	for i, id := range ids {
		t.rows[id.Level] = append([]byte(nil), rows[i]...)
	}
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		level, height := id.Level/proof.TileHeight, id.Level%proof.TileHeight
		first := int(id.Index << height % proof.TileWidth)
		hashes = append(hashes, fold(t.rows[level][first*sha256.Size:][:sha256.Size<<height]))
	}
	t.edge, err = ranges.NewRange(0, size, hashes)
	return t, err
}

// fold hashes a run of 2^h packed hashes up to their common root.
func fold(row []byte) []byte {
	if len(row) == sha256.Size {
		return row
	}
	half := len(row) / 2
	return rfc6962.DefaultHasher.HashChildren(fold(row[:half]), fold(row[half:]))
}
