package proof

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// GenerateKey makes a key pair for a log (types 0x01, 0x06) or a witness (0x04,
// 0x06). skey is secret, in the form that [ParseSigner], [ParseCosigner] and the
// sumdb and formats libraries read; vkey is its public half.
func GenerateKey(alg Algorithm, name string) (skey, vkey string, err error) {
	if err := checkName(name); err != nil {
		return "", "", err
	}
	seed := make([]byte, seedSize)
	rand.Read(seed) // it never fails: crypto/rand ends the process rather
	pub, err := publicFromSeed(alg, seed)
	if err != nil {
		return "", "", err
	}
	k, err := newKey(name, alg, pub)
	if err != nil {
		return "", "", err
	}
	secret := base64.StdEncoding.EncodeToString(append([]byte{byte(alg)}, seed...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, k.ID(), secret), k.String(), nil
}

// seedSize is the size of a private key, in bytes: all algorithms derive theirs of a
// seed (RFC 8032 section 5.1.5, FIPS 204 section 5.1).
const seedSize = 32

func publicFromSeed(alg Algorithm, seed []byte) ([]byte, error) {
	switch alg {
	case Ed25519, CosignatureEd25519:
		return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), nil
	case MLDSA44:
		return mldsaPublicFromSeed(seed), nil
	}
	return nil, fmt.Errorf("%s is not supported", alg)
}

// Signer is a log's private key. It signs checkpoints and nothing else.
type Signer struct {
	key  Key
	sign func(Checkpoint) ([]byte, error)
}

// ParseSigner reads a log's private key of type 0x01 or 0x06.
func ParseSigner(skey string) (*Signer, error) {
	key, seed, err := parsePrivateKey(skey)
	if err != nil {
		return nil, err
	}
	s := &Signer{key: key}
	switch key.alg {
	case Ed25519:
		signer, err := note.NewSigner(skey)
		if err != nil {
			return nil, fmt.Errorf("log key %s: %w", key.name, err)
		}
		s.sign = func(cp Checkpoint) ([]byte, error) { return signer.Sign(cp.Body()) }
	case MLDSA44:
		signer := newMLDSASigner(key, seed)
		// Timestamp 0: the log makes no claim of time (tlog-cosignature
		// "ML-DSA-44 signed message"), and its signature counts to no quorum.
		s.sign = func(cp Checkpoint) ([]byte, error) { return signer.sign(cp, 0) }
	default:
		return nil, fmt.Errorf("private key %s: %s is a witness's; a log signs with 0x01 or 0x06", key.name, key.alg)
	}
	return s, nil
}

// NewSigner makes a Signer of an Ed25519 key that is held outside this process, for example
// in a KMS. sign is given the checkpoint's body, as signed-note has it signed, and returns its
// signature of 64 bytes. What it returns is verified before it is used.
func NewSigner(name string, public ed25519.PublicKey, sign func(message []byte) ([]byte, error)) (*Signer, error) {
	key, err := newKey(name, Ed25519, public)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, sign: func(cp Checkpoint) ([]byte, error) {
		body := cp.Body()
		sig, err := sign(body)
		if err != nil {
			return nil, fmt.Errorf("asking the keeper of %s: %w", key.name, err)
		}
		return sig, verifyKept(key, body, sig)
	}}, nil
}

// verifyKept verifies what the keeper of a key has returned.
func verifyKept(key Key, body, sig []byte) error {
	if err := key.verify(body, Signature{Name: key.name, ID: key.ID(), Sig: sig}); err != nil {
		return fmt.Errorf("the keeper of %s returned a signature that does not verify: %w", key.name, err)
	}
	return nil
}

// Key is the public half.
func (s *Signer) Key() Key { return s.key }

// SignCheckpoint makes the note that a log publishes: the checkpoint, signed by
// each signer. Their name must be the origin, since a policy finds a log's keys by
// it (tlog-policy "Defining a log").
func SignCheckpoint(cp Checkpoint, signers ...*Signer) (*Signed, error) {
	if err := cp.check(); err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	if len(signers) == 0 {
		return nil, errors.New("signing a checkpoint: no log key")
	}
	s := signedCheckpoint{cp: cp}
	for _, by := range signers {
		if by.key.name != cp.Origin {
			return nil, fmt.Errorf("signing a checkpoint of %s: the log key is named %s", cp.Origin, by.key.name)
		}
		sig, err := by.sign(cp)
		if err != nil {
			return nil, fmt.Errorf("signing a checkpoint of %s: %w", cp.Origin, err)
		}
		s.logKeys = append(s.logKeys, by.key)
		s.logSignatures = append(s.logSignatures, Signature{Name: by.key.name, ID: by.key.ID(), Sig: sig})
	}
	var err error
	if s.note, s.signatures, err = formatNote(cp, s.logSignatures); err != nil {
		return nil, err
	}
	return &Signed{s}, nil
}

// Cosigner is a witness's private key. The caller must have checked and persisted the
// checkpoint before it calls Cosign: a witness that forgets a cosignature can cosign a
// fork.
type Cosigner struct {
	key    Key
	signer note.Signer
}

// ParseCosigner reads a witness's private key of type 0x04 or 0x06.
func ParseCosigner(skey string) (*Cosigner, error) {
	key, seed, err := parsePrivateKey(skey)
	if err != nil {
		return nil, err
	}
	if key.alg == Ed25519 {
		return nil, fmt.Errorf("private key %s: type 0x01 is a log's; a witness signs with 0x04 or 0x06", key.name)
	}
	if key.alg == MLDSA44 {
		return &Cosigner{key: key, signer: newMLDSASigner(key, seed)}, nil
	}
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		return nil, fmt.Errorf("witness key %s: %w", key.name, err)
	}
	return &Cosigner{key: key, signer: signer}, nil
}

// Key is the public half.
func (c *Cosigner) Key() Key { return c.key }

// Cosign signs the checkpoint as of the clock's present second.
func (c *Cosigner) Cosign(cp Checkpoint) (Signature, error) {
	if err := cp.check(); err != nil {
		return Signature{}, fmt.Errorf("cosigning: %w", err)
	}
	// SPEC: tlog-witness add-checkpoint: the timestamp of a cosignature is there and not zero
	sig, err := c.signer.Sign(cp.Body())
	if err != nil {
		return Signature{}, fmt.Errorf("cosigning %s at %d: %w", cp.Origin, cp.Size, err)
	}
	return Signature{Name: c.key.name, ID: c.key.ID(), Sig: sig}, nil
}

// parsePrivateKey derives the public key of a private one and checks its key ID, which
// the libraries do not do for every type.
func parsePrivateKey(skey string) (Key, []byte, error) {
	name, id, alg, seed, err := splitPrivateKey(skey)
	if err != nil {
		return Key{}, nil, err
	}
	pub, err := publicFromSeed(alg, seed)
	if err != nil {
		return Key{}, nil, fmt.Errorf("private key %s: %w", name, err)
	}
	key, err := newKey(name, alg, pub)
	if err != nil {
		return Key{}, nil, err
	}
	if key.ID() != id {
		return Key{}, nil, fmt.Errorf("private key %s: key ID %08x, but its bytes give %08x", name, id, key.ID())
	}
	return key, seed, nil
}

// NewCosigner makes a Cosigner of an Ed25519 key that is held outside this process, for
// example in a KMS. sign is given the message of tlog-cosignature, "Ed25519 signed
// message", and returns its signature of 64 bytes. What it returns is verified before
// it is used.
func NewCosigner(name string, public ed25519.PublicKey, sign func(message []byte) ([]byte, error)) (*Cosigner, error) {
	key, err := newKey(name, CosignatureEd25519, public)
	if err != nil {
		return nil, err
	}
	return &Cosigner{key: key, signer: externalSigner{key, sign}}, nil
}

// externalSigner is a note.Signer that calls a function to sign.
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
	// SPEC: tlog-cosignature Ed25519 signed message: what is signed is a header line, a line with the time, and the whole body of the checkpoint
	// SPEC: tlog-cosignature Ed25519 signed message: the header line is cosignature/v1
	// SPEC: tlog-cosignature Ed25519 signed message: the time line is "time", one space, and the timestamp in decimal without leading zeros
	sig, err := r.sign(fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", now, body))
	if err != nil {
		return nil, fmt.Errorf("asking the keeper of %s: %w", r.key.name, err)
	}
	// SPEC: tlog-cosignature Format: a cosignature is a timestamp of eight bytes, big-endian, and the signature
	sig = append(binary.BigEndian.AppendUint64(nil, uint64(now)), sig...)
	return sig, verifyKept(r.key, body, sig)
}
