package proof

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
)

// ML-DSA-44 (FIPS 204) is circl's. The library below formats/note does the same, and
// was measured to take four times as long to sign and seven times to verify: that was
// most of what a publication and a cosignature cost. The tests hold one against the
// other.

const mldsaSignatureSize = mldsa44.SignatureSize

// mldsaMessage is what ML-DSA-44 signs of a checkpoint: a cosigned_message
// (tlog-cosignature "ML-DSA-44 signed message") of the subtree [0, size). name is the
// signer's; both it and the origin have 1 to 255 bytes.
func mldsaMessage(name string, stamp uint64, cp Checkpoint) []byte {
	m := append(make([]byte, 0, 512), "subtree/v1\n\x00"...)
	m = append(append(m, byte(len(name))), name...)
	m = binary.BigEndian.AppendUint64(m, stamp)
	m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
	m = binary.BigEndian.AppendUint64(m, 0)
	m = binary.BigEndian.AppendUint64(m, cp.Size)
	return append(m, cp.Root[:]...)
}

// mldsaVerifier is a note.Verifier.
type mldsaVerifier struct {
	name   string
	id     uint32
	public *mldsa44.PublicKey
}

func newMLDSAVerifier(k Key) (mldsaVerifier, error) {
	v := mldsaVerifier{name: k.name, id: k.ID(), public: new(mldsa44.PublicKey)}
	return v, v.public.UnmarshalBinary([]byte(k.material))
}

func (v mldsaVerifier) Name() string    { return v.name }
func (v mldsaVerifier) KeyHash() uint32 { return v.id }

// Verify takes a timestamped signature (tlog-cosignature "Format"): eight bytes,
// big-endian, and the signature of the same time.
func (v mldsaVerifier) Verify(body, sig []byte) bool {
	cp, err := ParseCheckpointBody(body)
	if err != nil || len(sig) != 8+mldsaSignatureSize {
		return false
	}
	return mldsa44.Verify(v.public, mldsaMessage(v.name, binary.BigEndian.Uint64(sig), cp), nil, sig[8:])
}

// mldsaSigner is a note.Signer, of a witness; and signs with any timestamp, for a log.
type mldsaSigner struct {
	name    string
	id      uint32
	private *mldsa44.PrivateKey
}

func newMLDSASigner(k Key, seed []byte) mldsaSigner {
	_, private := mldsa44.NewKeyFromSeed((*[mldsa44.SeedSize]byte)(seed))
	return mldsaSigner{name: k.name, id: k.ID(), private: private}
}

func (s mldsaSigner) Name() string    { return s.name }
func (s mldsaSigner) KeyHash() uint32 { return s.id }

// Sign stamps the present second.
func (s mldsaSigner) Sign(body []byte) ([]byte, error) {
	cp, err := ParseCheckpointBody(body)
	if err != nil {
		return nil, err
	}
	return s.sign(cp, uint64(time.Now().Unix()))
}

func (s mldsaSigner) sign(cp Checkpoint, stamp uint64) ([]byte, error) {
	sig := binary.BigEndian.AppendUint64(make([]byte, 0, 8+mldsaSignatureSize), stamp)
	sig = sig[:8+mldsaSignatureSize]
	// Hedged with fresh randomness, as FIPS 204 section 3.4 recommends.
	if err := mldsa44.SignTo(s.private, mldsaMessage(s.name, stamp, cp), nil, true, sig[8:]); err != nil {
		return nil, fmt.Errorf("signing with ML-DSA-44: %w", err)
	}
	return sig, nil
}

// mldsaPublicFromSeed derives the public key, packed, of a seed.
func mldsaPublicFromSeed(seed []byte) []byte {
	public, _ := mldsa44.NewKeyFromSeed((*[mldsa44.SeedSize]byte)(seed))
	return public.Bytes()
}
