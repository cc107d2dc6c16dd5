// Package proof holds what makes a ledger checkable by a stranger: checkpoints
// and cosignatures, trust policies, tiles, Merkle proofs, receipts, and evidence
// of a split view. It follows the C2SP texts tlog-checkpoint, tlog-cosignature,
// tlog-policy, tlog-proof, tlog-tiles and signed-note, each cited where it is
// read, and refuses everything that they do not allow.
//
// Parsing proves nothing. What has been checked has a type that only the checker
// makes: [Signed] (a log key signed this checkpoint), [Published] (and the
// policy's quorum of witnesses cosigned it), [VerifiedReceipt] (and this entry is
// in that tree), [SplitView] (one log signed two histories).
//
// There is no I/O, no goroutine and no clock in here. Tiles come through a
// function that the caller gives to [NewBuilder], the time is an argument; only a
// [Cosigner] and a [Builder]'s reader may look further, and say so.
package proof

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/transparency-dev/merkle/rfc6962"
)

// Hash is a SHA-256 Merkle Tree Hash (RFC 6962, section 2.1). Its text form is
// standard base64, as in every C2SP format.
type Hash [sha256.Size]byte

func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// ParseHash reads the base64 of 32 bytes, in its one canonical form.
func ParseHash(s string) (Hash, error) {
	b, err := decode64(s)
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

// EmptyRoot is the root of the tree of no entries: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// LeafHash is the hash of an entry as a leaf.
func LeafHash(entry []byte) Hash {
	h := sha256.New()
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

var strictBase64 = base64.StdEncoding.Strict()

// decode64 accepts exactly the base64 that its own encoding would give: Go's
// decoder alone skips line ends and lets stray bits pass.
func decode64(s string) ([]byte, error) {
	b, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	if base64.StdEncoding.EncodedLen(len(b)) != len(s) {
		return nil, fmt.Errorf("not base64: line end inside")
	}
	return b, nil
}
