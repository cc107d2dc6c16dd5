package sim

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

// watch is a witness's key on a machine whose clock is not that of the world: all
// that a witness does by its clock is to stamp cosignatures.
type watch struct {
	key   proof.Key
	off   time.Duration // ahead of the world's
	stamp func(at uint64, cp proof.Checkpoint) ([]byte, error)
}

// newWatch reads a witness's private key.
func newWatch(secret string, off time.Duration) watch {
	c, err := proof.ParseCosigner(secret)
	must(err)
	w := watch{key: c.Key(), off: off}
	if w.key.Algorithm() == proof.MLDSA44 {
		signer, err := fnote.NewMLDSASigner(secret)
		must(err)
		w.stamp = func(at uint64, cp proof.Checkpoint) ([]byte, error) {
			return signer.SignSubtree(at, cp.Origin, 0, cp.Size, cp.Root[:])
		}
		return w
	}
	fields := strings.SplitN(secret, "+", 5) // PRIVATE, KEY, name, ID, base64 of the type and the seed
	seed, err := base64.StdEncoding.DecodeString(fields[4])
	must(err)
	private := ed25519.NewKeyFromSeed(seed[1:])
	w.stamp = func(at uint64, cp proof.Checkpoint) ([]byte, error) { // tlog-cosignature "Ed25519 signed message"
		message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, cp.Body())
		return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(private, message)...), nil
	}
	return w
}

// Key implements [witness.Key].
func (w watch) Key() proof.Key { return w.key }

// Cosign implements [witness.Key].
func (w watch) Cosign(cp proof.Checkpoint) (proof.Signature, error) {
	sig, err := w.stamp(uint64(time.Now().Add(w.off).Unix()), cp)
	return proof.Signature{Name: w.key.Name(), ID: w.key.ID(), Sig: sig}, err
}
