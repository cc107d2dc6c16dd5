package ledger

import "github.com/seed-53cf897a/docket/ledger/proof"

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
