package proof

import (
	"errors"
	"fmt"

	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

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
	err := merkle.VerifyInclusion(rfc6962.DefaultHasher, index, tree.Size, leaf[:], hashSlices(path), tree.Root[:])
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
	case from.Size == 0 && from.Root != EmptyRoot(), to.Size == 0 && to.Root != EmptyRoot():
		return fmt.Errorf("%w: %w", ErrInconsistent, errEmptyRoot)
	case from.Size == 0 && len(path) > 0:
		return fmt.Errorf("%w: %d hashes to show what needs no proof, an extension of the empty tree", ErrInconsistent, len(path))
	case from.Size == 0:
		return nil // some versions of the library refuse to judge this
	}
	err := merkle.VerifyConsistency(rfc6962.DefaultHasher, from.Size, to.Size, hashSlices(path), from.Root[:], to.Root[:])
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
