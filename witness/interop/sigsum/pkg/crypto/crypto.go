// Package crypto stands in for sigsum.org/sigsum-go/pkg/crypto, which module proxies do not serve any more. It has what
// witnessctl names for its verb add-sigsum-log, which no test here runs.
package crypto

import "crypto/sha256"

// PublicKeySize is an Ed25519 key's, in bytes.
const PublicKeySize = 32

type (
	PublicKey [PublicKeySize]byte
	Hash      [sha256.Size]byte
)

// HashBytes is the SHA-256 of b.
func HashBytes(b []byte) Hash { return sha256.Sum256(b) }
