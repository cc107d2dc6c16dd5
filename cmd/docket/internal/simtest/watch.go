package simtest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	fnote "github.com/transparency-dev/formats/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// skewedKey is a witness's key on a machine whose clock is not that of the world: all
// that a witness does by its clock is to stamp cosignatures.
type skewedKey struct {
	key         proof.Key
	clockOffset time.Duration // ahead of the world's
	cosignAt    func(at uint64, cp proof.Checkpoint) ([]byte, error)
}

// newSkewedKey reads a witness's private key.
func newSkewedKey(secret string, off time.Duration) skewedKey {
	c, err := proof.ParseCosigner(secret)
	must(err)
	w := skewedKey{key: c.Key(), clockOffset: off}
	if w.key.Algorithm() == proof.MLDSA44 {
		signer, err := fnote.NewMLDSASigner(secret)
		must(err)
		w.cosignAt = func(at uint64, cp proof.Checkpoint) ([]byte, error) {
			return signer.SignSubtree(at, cp.Origin, 0, cp.Size, cp.Root[:])
		}
		return w
	}
	fields := strings.SplitN(secret, "+", 5) // PRIVATE, KEY, name, ID, base64 of the type and the seed
	seed, err := base64.StdEncoding.DecodeString(fields[4])
	must(err)
	private := ed25519.NewKeyFromSeed(seed[1:])
	w.cosignAt = func(at uint64, cp proof.Checkpoint) ([]byte, error) { // tlog-cosignature "Ed25519 signed message"
		message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, cp.Body())
		return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(private, message)...), nil
	}
	return w
}

// Key implements [witness.Key].
func (w skewedKey) Key() proof.Key { return w.key }

// Cosign implements [witness.Key].
func (w skewedKey) Cosign(cp proof.Checkpoint) (proof.Signature, error) {
	sig, err := w.cosignAt(uint64(time.Now().Add(w.clockOffset).Unix()), cp)
	return proof.Signature{Name: w.key.Name(), ID: w.key.ID(), Sig: sig}, err
}
