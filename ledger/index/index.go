// Package index is the map of absence and completeness: keys to 32-byte values, under one
// root. From the root alone it proves that a key has a value, that there is no such key,
// and that these are all keys which begin with a prefix.
//
// It knows no record and no customer: what a key's segments mean, and what a value commits
// to, is its callers'. It does not say who vouches for a root. A key is given a value once
// or again, and never taken out, since what such a map is computed from only grows.
//
// [Build] makes a map in memory, [Root] its root alone in little memory, and a [Store]
// keeps one on disk as it was at each size of a log. All give the same roots and the same
// proofs, which [Proof.Verify] checks without any of them.
//
// # Keys
//
// A key has from 1 to 8 segments. Its bytes are, for each segment, 0x01 and the SHA-256 of the
// segment's text, and 0x00 after the last. So no key is the beginning of another, how deep a
// key lies is chance and nobody's choice, and a text may have any length. A prefix has from 0
// to 8 segments, and ends before the 0x00: it is the beginning of every key that has these
// segments first. The prefix of no segments is the beginning of all keys.
//
// # Root
//
// The map is a binary trie over the bits of the keys' bytes, the highest bit of a byte first,
// in which a node with one child is left out (a path-compressed trie, or Patricia tree). Below,
// ‖ joins bytes, and a number of two bytes is big-endian. The hash is SHA-256 throughout:
//
//	empty map   SHA-256( "docket-index/v1" ‖ 0x00 )
//	leaf        SHA-256( "docket-index/v1" ‖ 0x01 ‖ key ‖ value )
//	inner node  SHA-256( "docket-index/v1" ‖ 0x02 ‖ bits ‖ path ‖ left ‖ right )
//
// The root of a map of no keys is the empty map's hash, that of one key is its leaf's, and that
// of more is the inner node's whose path is what all keys have in common. An inner node's path
// is the longest beginning, in bits, of all keys below it, counted from the key's first bit:
// bits is its length in two bytes, and path its bits in as few bytes as hold them, those left
// over being zero. left is the hash of the keys below it that go on with a 0, right of those
// that go on with a 1; there is at least one of each.
//
// Why two maps never have one root while SHA-256 has no collision: the three inputs differ in
// the byte after the name, and each can be taken apart in one way only (a value is the last 32
// bytes; left and right are the last 64), so that a root fixes its node, and by induction all
// nodes below. No input is one of RFC 6962, whose leaves begin with 0x00 and whose inner nodes
// begin with 0x01, nor that of a commitment of Docket's.
//
// An inner node has its whole path in its hash, and not how many bits it has alone. Otherwise
// whoever makes a root could put a key where it does not belong, show a leaf beside it as
// proof that nothing begins with that prefix, and show the key to somebody else. With the path
// no root whatever, however it was made, has proofs of two answers to one question.
//
// # Proof
//
// A proof answers one or more questions: "which keys begin with this prefix?", and "what is the
// value of this key?", which is the same question asked with the 0x00. It is the trie with
// all left out that no question needs, written from the root downwards, a node before what is
// below it, left before right:
//
//	0x00                    the map is empty (only as the whole proof)
//	0x01 ‖ key ‖ value      a leaf
//	0x02 ‖ more ‖ bits      an inner node; its left and its right child follow
//	0x03 ‖ hash             a node that is left out, by its hash
//
// bits are those of an inner node's path that its parent does not tell (the parent's path and
// the bit of the side on which this node hangs), more is their number in two bytes, and they are
// packed like a path. A leaf's key begins with all that its parent tells.
//
// Which nodes are shown follows from the questions and the root. The root is shown. A question
// is asked of the root, and so on:
//
//   - where an inner node's path, or a leaf's key, begins with what is asked for, all below it is shown;
//   - where what is asked for begins with an inner node's path and goes on, the question is
//     asked of the child on the side of its next bit, which is shown;
//   - where the two part, there is no such key: the node shows it, and neither child is needed.
//
// A node that no question reaches is left out. So there is one proof for each set of questions:
// a verifier refuses one that shows less, or more. That a key is not there is shown in one of
// three ways: the map is empty, a leaf with another key stands where this one would, or an
// inner node's path leads past it.
//
// A proof has at most 4 MiB. testdata/vectors.json has maps with their roots, and proofs with
// questions and answers, and some that must be refused, for who implements this anew.
package index

import (
	"crypto/sha256"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Hash is the hash of a node, and the root of a map.
type Hash = proof.Hash

// Value is what a map has for a key: 32 bytes, most often a hash or a commitment.
type Value [sha256.Size]byte

// Entry is a key and its value.
type Entry struct {
	Key   Key
	Value Value
}
