// Package merkle stands in for sigsum.org/sigsum-go/pkg/merkle, as package crypto beside it does.
package merkle

import "sigsum.org/sigsum-go/pkg/crypto"

// HashEmptyTree is the root of a tree without leaves (RFC 6962 section 2.1).
func HashEmptyTree() crypto.Hash { return crypto.HashBytes(nil) }
