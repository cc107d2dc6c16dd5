package index

import (
	"crypto/sha256"
	"encoding/binary"
)

// kind says what a node is, in its hash and in a proof.
type kind byte

const (
	empty kind = iota // the map of no keys, which is a root and never a child
	leaf
	inner
	omitted // only its hash is known; in proofs alone
)

// domain is before each input of a hash.
const domain = "docket-index/v1"

// node is a node of the trie, or one of which only part is known. It never changes once it is
// made.
type node struct {
	kind kind
	bits uint16 // length of the path: all of a leaf's key
	key  string // a leaf's key; of an inner node any string that begins with its path

	value    Value    // a leaf's
	hash     Hash     // as the parent has it
	children [2]*node // an inner node's; nil in a store until it is loaded
	version  uint64   // in a store: the size at which the row of an inner node was written
}

func newEmpty() *node {
	return &node{kind: empty, hash: sha256.Sum256([]byte(domain + string(rune(empty))))}
}

func newLeaf(e Entry) *node {
	n := &node{kind: leaf, bits: uint16(8 * len(e.Key.bytes)), key: e.Key.bytes, value: e.Value}
	var b [len(domain) + 1 + maxKeyBytes + sha256.Size]byte
	in := append(append(b[:0], domain...), byte(leaf))
	in = append(in, n.key...)
	in = append(in, n.value[:]...)
	n.hash = sha256.Sum256(in)
	return n
}

// newInner makes the node whose path is the first bits of key.
func newInner(key string, bits uint16, left, right *node) *node {
	n := &node{kind: inner, bits: bits, key: key, children: [2]*node{left, right}}
	var b [len(domain) + 1 + 2 + maxKeyBytes + 2*sha256.Size]byte
	in := append(append(b[:0], domain...), byte(inner))
	in = binary.BigEndian.AppendUint16(in, bits)
	in = appendBits(in, key, 0, int(bits))
	in = append(in, left.hash[:]...)
	in = append(in, right.hash[:]...)
	n.hash = sha256.Sum256(in)
	return n
}

func (n *node) entry() Entry { return Entry{Key{n.key}, n.value} }

// appendBits appends the bits [from, to) of s in as few bytes as hold them, those left over
// being zero.
func appendBits(b []byte, s string, from, to int) []byte {
	if from == to {
		return b
	}
	first, shift := from/8, from%8
	for i := range (to - from + 7) / 8 {
		c := s[first+i] << shift
		if shift > 0 && first+i+1 < len(s) {
			c |= s[first+i+1] >> (8 - shift)
		}
		b = append(b, c)
	}
	if rest := (to - from) % 8; rest > 0 {
		b[len(b)-1] &^= 0xff >> rest
	}
	return b
}

// pathBuffer holds a path while the trie is read from the root downwards.
type pathBuffer [maxKeyBytes]byte

// put writes n bits of from, packed as appendBits packs them, after the first at bits.
func (p *pathBuffer) put(at int, from []byte, n int) {
	for i := range n {
		p.set(at+i, int(from[i/8]>>(7-i%8))&1)
	}
}

func (p *pathBuffer) set(i, bit int) {
	mask := byte(0x80) >> (i % 8)
	p[i/8] &^= mask
	if bit == 1 {
		p[i/8] |= mask
	}
}

// first is the string that begins with the first bits of the path.
func (p *pathBuffer) first(bits int) string { return string(p[:(bits+7)/8]) }
