package storetest

import (
	"fmt"
	"iter"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ReferenceLog makes extensions, and knows what a store that took them in has to hold. It
// hashes as RFC 6962 is written, by recursion and with no regard to speed: so it
// shares nothing with the ledger that it is compared with.
type ReferenceLog struct {
	Salt    string // logs of different salts have no entry in common
	entries [][]byte
	levels  [][]proof.Hash // the rows of the tiles
}

// NewReferenceLog is the log of these entries.
func NewReferenceLog(entries [][]byte) *ReferenceLog {
	l := &ReferenceLog{}
	for _, e := range entries {
		l.entries = append(l.entries, e)
		l.addNode(0, proof.LeafHash(e))
	}
	return l
}

// Grow appends n entries and returns the extension by them.
func (l *ReferenceLog) Grow(n int) ledger.Extension {
	from := len(l.entries)
	x := ledger.Extension{Old: l.Head(from)}
	for i := range n {
		e := fmt.Appendf(nil, "%s entry %d%*s", l.Salt, from+i, (from+i)*37%700, "") // 10 to 710 bytes
		l.entries = append(l.entries, e)
		x.Entries = append(x.Entries, append([]byte(nil), e...))
		l.addNode(0, proof.LeafHash(e))
	}
	x.New = l.Head(from + n)
	for id := range Tiles(uint64(from), uint64(from+n)) {
		x.Tiles = append(x.Tiles, proof.Tile{ID: id, Hashes: l.Tile(id)})
	}
	return x
}

// addNode puts a hash at the end of a row of tiles; a full tile's root goes one up.
func (l *ReferenceLog) addNode(level int, h proof.Hash) {
	if level == len(l.levels) {
		l.levels = append(l.levels, nil)
	}
	l.levels[level] = append(l.levels[level], h)
	if row := l.levels[level]; len(row)%proof.TileWidth == 0 {
		l.addNode(level+1, root(row[len(row)-proof.TileWidth:]))
	}
}

// Head is the head that the log had at a size.
func (l *ReferenceLog) Head(size int) ledger.Head {
	if size == 0 {
		return ledger.Head{Root: proof.EmptyRoot()}
	}
	return ledger.Head{Size: uint64(size), Root: l.root(0, size)}
}

// root is MTH(D[from:to]) of RFC 6962, section 2.1, which takes full tiles as
// they are hashed already.
func (l *ReferenceLog) root(from, to int) proof.Hash {
	n := to - from
	if n == proof.TileWidth && from%n == 0 {
		return l.levels[1][from/n]
	}
	if n == 1 {
		return l.levels[0][from]
	}
	k := split(n)
	return proof.NodeHash(l.root(from, from+k), l.root(from+k, to))
}

// root is the root over these hashes alone.
func root(h []proof.Hash) proof.Hash {
	if len(h) == 1 {
		return h[0]
	}
	k := split(len(h))
	return proof.NodeHash(root(h[:k]), root(h[k:]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// Tile is a tile's hashes, packed.
func (l *ReferenceLog) Tile(id proof.TileID) []byte {
	var b []byte
	for _, h := range l.levels[id.Level][id.Index*proof.TileWidth:][:id.Width] {
		b = append(b, h[:]...)
	}
	return b
}

// Clone is a log that can grow on its own.
func (l *ReferenceLog) Clone() *ReferenceLog { return l.Truncated(0) }

// Truncated is the log as it was n entries ago, as a log of its own.
func (l *ReferenceLog) Truncated(n int) *ReferenceLog {
	b := NewReferenceLog(l.entries[:len(l.entries)-n])
	b.Salt = l.Salt
	return b
}

// Tiles are the tiles that a log of to entries has and one of from entries has not, or
// has narrower, as wide as they are at to: what an extension writes. Levels go up,
// indexes too. from = 0 gives all.
func Tiles(from, to uint64) iter.Seq[proof.TileID] {
	return func(yield func(proof.TileID) bool) {
		for level := uint8(0); level < 8; level++ {
			shift := uint(level) * proof.TileHeight
			have, want := from>>shift, to>>shift
			for index := have / proof.TileWidth; have < want && index <= (want-1)/proof.TileWidth; index++ {
				width := int(min(want-index*proof.TileWidth, proof.TileWidth))
				if !yield(proof.TileID{Level: level, Index: index, Width: width}) {
					return
				}
			}
		}
	}
}
