package proof

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"time"
)

// NewCosigner is a witness's Ed25519 key whose private half never leaves its
// keeper, a KMS as a rule: sign is given the message of tlog-cosignature, "Ed25519
// signed message", and returns its signature of 64 bytes. What it returns is
// verified before it is used.
func NewCosigner(name string, public ed25519.PublicKey, sign func(message []byte) ([]byte, error)) (*Cosigner, error) {
	key, err := newKey(name, CosignatureEd25519, public)
	if err != nil {
		return nil, err
	}
	return &Cosigner{key: key, signer: externalSigner{key, sign}}, nil
}

// externalSigner is a note.Signer that asks somebody else.
type externalSigner struct {
	key  Key
	sign func(message []byte) ([]byte, error)
}

func (r externalSigner) Name() string    { return r.key.name }
func (r externalSigner) KeyHash() uint32 { return r.key.ID() }

// Sign stamps the present second (tlog-cosignature, "Format": a timestamp of eight
// bytes, big-endian, and the signature).
func (r externalSigner) Sign(body []byte) ([]byte, error) {
	now := time.Now().Unix()
	sig, err := r.sign(fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", now, body))
	if err != nil {
		return nil, fmt.Errorf("asking the keeper of %s: %w", r.key.name, err)
	}
	sig = append(binary.BigEndian.AppendUint64(nil, uint64(now)), sig...)
	if err := r.key.verify(body, Signature{Name: r.key.name, ID: r.key.ID(), Sig: sig}); err != nil {
		return nil, fmt.Errorf("the keeper of %s returned a signature that does not verify: %w", r.key.name, err)
	}
	return sig, nil
}
