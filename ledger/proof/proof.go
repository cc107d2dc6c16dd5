// Package proof has what a verifier needs to check a ledger that it does not trust:
// checkpoints and cosignatures, trust policies, tiles, Merkle proofs, receipts, and
// evidence of a split view. It follows the C2SP texts tlog-checkpoint,
// tlog-cosignature, tlog-policy, tlog-proof, tlog-tiles and signed-note, each cited
// where it is read, and refuses everything that they do not allow.
//
// Parsing proves nothing. What has been checked has a type that only the checker
// makes: [Signed] (a log key signed this checkpoint), [Published] (and the
// policy's quorum of witnesses cosigned it), [VerifiedReceipt] (and this entry is
// in that tree), [SplitView] (one log signed two histories).
//
// There is no I/O, no goroutine and no clock in here. Tiles come through a
// function that the caller gives to [NewTileReader], the time is an argument; only a
// [Cosigner] and a [TileReader]'s function may look further, and say so.
//
// There is one Merkle tree over tiles: an [Appender] grows it, a [TileReader] reads it, and
// nothing that it reads is believed before the tree's root has confirmed it.
//
// # Format
//
// A policy (tlog-policy, [ParsePolicy]) says which logs and witnesses a verifier
// trusts. Here it is one log and one witness, each with one Ed25519 key; [GenerateKey]
// makes such keys:
//
//	log log.example/2026+f5d9f1dc+ASU3SmVct8mIZ7IXkRE8uXMZUpDpjIl+LHj42GKD+wB4 https://log.example
//	witness w1 w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx https://w1.example
//	quorum w1
//
// A receipt (tlog-proof, [ParseReceipt]) brings everything else that is needed to check
// offline that an entry is in that log: the entry in base64, its index, the inclusion
// path from the leaf up, and the checkpoint, a note of three lines (origin, size, root)
// with the signatures of log and witness:
//
//	c2sp.org/tlog-proof@v1
//	extra c2Vjb25k
//	index 1
//	oa8DAjHKL9IOzzDFKUuvj2kyHQm7FqxTiFzNF6OFKA0=
//	ZW0+j1RCOM324y1kD1G6CRSVmxTt16UtC4uZq0yKxsY=
//
//	log.example/2026
//	3
//	w2UeVBcUxT1kjsx7rsp/4sNu9PplvM4ksdcShkN95WY=
//
//	— log.example/2026 9dnx3JsgD2dE91X+67Hfk5Cce2FGD4LhCiDU9K+c2aHNlkLu6yAzMYQLoWnrSPwteBnZ8iwTWsPeyBZlxgHAOYvtXQs=
//	— w1.example kGBn+QAAAABrCFexeuHSc1Osh4sW76Kxd5aZbmHwLqzR9aUJlHMjzYVWiMX5aQ+P3gfJvvo2JaPAjLiA4sM43aqt74TL+TU3v9VbBg==
//
// [Receipt.Verify] checks the one against the other: "second" is entry 1 of 3, and existed
// by 2026-11-26T16:00:49Z. What is stricter here than in the C2SP texts, and why:
// ledger/DESIGN.md section 4, "Checkpoint and cosignature", "Policy", "Receipt".
package proof

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Hash is a SHA-256 Merkle Tree Hash (RFC 6962, section 2.1). Its text form is
// standard base64, as in every C2SP format.
type Hash [sha256.Size]byte

func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// ParseHash reads the base64 of 32 bytes, in its one canonical form.
func ParseHash(s string) (Hash, error) {
	b, err := decodeBase64(s)
	if err != nil {
		return Hash{}, err
	}
	if len(b) != sha256.Size {
		return Hash{}, fmt.Errorf("hash of %d bytes, want %d", len(b), sha256.Size)
	}
	return Hash(b), nil
}

// Tree is a Merkle tree as a checkpoint fixes it: so many entries under that root.
type Tree struct {
	Size uint64
	Root Hash
}

// Compare orders trees by size, then by root.
func (t Tree) Compare(u Tree) int {
	return cmp.Or(cmp.Compare(t.Size, u.Size), bytes.Compare(t.Root[:], u.Root[:]))
}

// EmptyRoot is the root of the tree of no entries: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// LeafHash is the hash of an entry as a leaf.
func LeafHash(entry []byte) Hash {
	h := sha256.New()
	// SPEC: tlog-tiles Log entries: an entry is hashed as RFC 6962 hashes a leaf
	h.Write([]byte{rfc6962.RFC6962LeafHashPrefix})
	h.Write(entry)
	return Hash(h.Sum(nil))
}

// NodeHash is the hash of an inner node: rfc6962.DefaultHasher.HashChildren without
// its allocations, since every tile that a proof reads takes 255 of them.
func NodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// treeHasher is rfc6962.DefaultHasher with [NodeHash], of which every proof takes many.
var treeHasher = nodeHasher{rfc6962.DefaultHasher}

type nodeHasher struct{ *rfc6962.Hasher }

func (nodeHasher) HashChildren(l, r []byte) []byte { return hashChildren(l, r) }

var strictBase64 = base64.StdEncoding.Strict()

// decodeBase64 accepts exactly the base64 that its own encoding would give: Go's
// decoder alone skips line ends and lets stray bits pass.
func decodeBase64(s string) ([]byte, error) {
	b, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	if base64.StdEncoding.EncodedLen(len(b)) != len(s) {
		return nil, fmt.Errorf("not base64: line end inside")
	}
	return b, nil
}

// MaxProofHashes is the most hashes that a proof has (tlog-witness "add-checkpoint").
const MaxProofHashes = 63

// Errors by which a caller tells a proof for another statement from a broken one.
var (
	// ErrNotIncluded: the path leads from this entry to another root.
	ErrNotIncluded = errors.New("entry is not in the tree it claims")
	// ErrInconsistent: the proof does not lead from one root to the other. Either
	// the proof is wrong or the log has two histories; only evidence tells which.
	ErrInconsistent = errors.New("the larger tree is not shown to extend the smaller one")
)

// VerifyInclusion checks that the leaf is the index-th of the tree (RFC 6962,
// section 2.1.1). Errors wrap [ErrNotIncluded].
func VerifyInclusion(leaf Hash, index uint64, path []Hash, tree Tree) error {
	if len(path) > MaxProofHashes {
		return fmt.Errorf("%w: path of %d hashes, limit %d", ErrNotIncluded, len(path), MaxProofHashes)
	}
	if index >= tree.Size {
		return fmt.Errorf("%w: index %d in a tree of %d entries", ErrNotIncluded, index, tree.Size)
	}
	err := merkle.VerifyInclusion(treeHasher, index, tree.Size, leaf[:], hashSlices(path), tree.Root[:])
	return merkleError(err, ErrNotIncluded)
}

// VerifyConsistency checks that the tree to begins with the entries of from (RFC
// 6962, section 2.1.2). The empty tree is consistent with every tree, by the empty
// proof only, and has one root only. Errors wrap [ErrInconsistent].
func VerifyConsistency(from, to Tree, path []Hash) error {
	switch {
	case len(path) > MaxProofHashes:
		return fmt.Errorf("%w: proof of %d hashes, limit %d", ErrInconsistent, len(path), MaxProofHashes)
	case from.Size > to.Size:
		return fmt.Errorf("%w: size went back from %d to %d", ErrInconsistent, from.Size, to.Size)
	// SPEC: tlog-witness add-checkpoint: a checkpoint of size zero with another root than the empty tree's is answered 422
	case from.Size == 0 && from.Root != EmptyRoot(), to.Size == 0 && to.Root != EmptyRoot():
		return fmt.Errorf("%w: %w", ErrInconsistent, errEmptyRoot)
	// SPEC: tlog-witness add-checkpoint: from the old size zero the proof is empty, or the answer is 422
	case from.Size == 0 && len(path) > 0:
		return fmt.Errorf("%w: %d hashes to show what needs no proof, an extension of the empty tree", ErrInconsistent, len(path))
	case from.Size == 0:
		return nil // some versions of the library refuse to judge this
	}
	err := merkle.VerifyConsistency(treeHasher, from.Size, to.Size, hashSlices(path), from.Root[:], to.Root[:])
	return merkleError(err, ErrInconsistent)
}

// merkleError puts our sentence in front of the library's reason; two roots, which
// it prints as lists of numbers, it need not repeat.
func merkleError(err, sentence error) error {
	var roots merkle.RootMismatchError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &roots):
		return sentence
	}
	return fmt.Errorf("%w: %w", sentence, err)
}

func hashSlices(hashes []Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}
