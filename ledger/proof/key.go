package proof

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Algorithm is a signature type byte of signed-note "Signature types".
type Algorithm byte

const (
	Ed25519            Algorithm = 0x01 // a log's signature of the note text
	CosignatureEd25519 Algorithm = 0x04 // a witness's timestamped cosignature/v1
	MLDSA44            Algorithm = 0x06 // timestamped, post-quantum; of a log or a witness
)

func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case CosignatureEd25519:
		return "Ed25519 cosignature/v1"
	case MLDSA44:
		return "ML-DSA-44"
	}
	return fmt.Sprintf("signature type 0x%02x", byte(a))
}

// Key is the public key of a log or a witness and the name it signs under (signed-note
// "Verifier keys"). The zero Key is invalid.
type Key struct {
	name     string
	alg      Algorithm
	material string // the public key's bytes
	id       uint32
	verifier note.Verifier
}

// ParseLogKey reads a vkey of type 0x01 or 0x06.
func ParseLogKey(vkey string) (Key, error) {
	k, err := parseKey(vkey)
	// SPEC: tlog-policy Public key representation: a log's key is of a type that signs checkpoints
	if err == nil && k.alg == CosignatureEd25519 {
		return Key{}, fmt.Errorf("key %s: type 0x04 is a witness's; a log signs with 0x01 or 0x06", k.name)
	}
	return k, err
}

// ParseWitnessKey reads a vkey of type 0x04 or 0x06.
func ParseWitnessKey(vkey string) (Key, error) {
	k, err := parseKey(vkey)
	// SPEC: tlog-policy Public key representation: a witness's key is of a type that cosigns
	if err == nil && k.alg == Ed25519 {
		return Key{}, fmt.Errorf("key %s: type 0x01 is a log's and has no timestamp; a witness signs with 0x04 or 0x06", k.name)
	}
	return k, err
}

func parseKey(vkey string) (Key, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	hexID, b64, ok := strings.Cut(rest, "+")
	if !ok {
		return Key{}, fmt.Errorf("key %s: want name+hash+key", name)
	}
	raw, err := decodeBase64(b64)
	if err != nil || len(raw) == 0 {
		return Key{}, fmt.Errorf("key %s: the key part is not base64", name)
	}
	k, err := newKey(name, Algorithm(raw[0]), raw[1:])
	if err != nil {
		return Key{}, err
	}
	// SPEC: signed-note Verifier keys: a key has the name and the ID of its signatures
	if want := fmt.Sprintf("%08x", k.ID()); hexID != want {
		return Key{}, fmt.Errorf("key %s: key ID %q, but its name and bytes give %s", name, hexID, want)
	}
	return k, nil
}

func newKey(name string, alg Algorithm, pub []byte) (Key, error) {
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	k := Key{name: name, alg: alg, material: string(pub), id: keyID(name, alg, pub)}
	size, known := map[Algorithm]int{
		Ed25519:            ed25519.PublicKeySize,
		CosignatureEd25519: ed25519.PublicKeySize,
		MLDSA44:            mldsa44.PublicKeySize,
	}[alg]
	switch {
	case !known:
		return Key{}, fmt.Errorf("key %s: %s is not supported", name, alg)
	case len(pub) != size:
		return Key{}, fmt.Errorf("key %s: %d bytes, want %d for %s", name, len(pub), size, alg)
	}
	if alg != MLDSA44 && CheckEd25519(pub) != nil {
		return Key{}, fmt.Errorf("key %s: a small-order or non-canonical Ed25519 point, for which anybody can sign", name)
	}
	var err error
	switch alg {
	case Ed25519:
		k.verifier, err = note.NewVerifier(k.String())
	case CosignatureEd25519:
		k.verifier, err = fnote.NewVerifierForCosignatureV1(k.String())
	case MLDSA44:
		k.verifier, err = newMLDSAVerifier(k)
	}
	if err != nil {
		return Key{}, fmt.Errorf("key %s: %w", name, err)
	}
	return k, nil
}

// Name is the key name: the origin of a log, the name of a witness's operator.
func (k Key) Name() string { return k.name }

// Algorithm is the signature type of the key.
func (k Key) Algorithm() Algorithm { return k.alg }

// IsZero reports no key.
func (k Key) IsZero() bool { return k.alg == 0 }

// ID is the key ID: SHA-256(name ‖ "\n" ‖ type ‖ public key), first four bytes.
func (k Key) ID() uint32 { return k.id }

func keyID(name string, alg Algorithm, pub []byte) uint32 {
	// SPEC: tlog-cosignature Format: the ID of an Ed25519 key hashes its name, a newline, 0x04 and the key; of ML-DSA-44, 0x06 and the key
	// SPEC: signed-note Verifier keys: one public key has another ID for each signature type
	raw := append([]byte(name), '\n', byte(alg))
	sum := sha256.Sum256(append(raw, pub...))
	return binary.BigEndian.Uint32(sum[:])
}

// String is the vkey.
func (k Key) String() string {
	raw := append([]byte{byte(k.alg)}, k.material...)
	return fmt.Sprintf("%s+%08x+%s", k.name, k.ID(), base64.StdEncoding.EncodeToString(raw))
}

// Public is the bare key: ed25519.PublicKey or *mldsa44.PublicKey (of circl).
func (k Key) Public() crypto.PublicKey {
	if v, ok := k.verifier.(mldsaVerifier); ok {
		return v.public
	}
	return ed25519.PublicKey(k.material)
}

// SamePublicKey reports whether both wrap the same public key, whatever their names and
// types (tlog-policy "Public key representation": duplicates).
func (k Key) SamePublicKey(other Key) bool { return k.material == other.material }

// matchesKeyID reports whether the signature line claims to be this key's.
func (k Key) matchesKeyID(s Signature) bool {
	// SPEC: signed-note Signatures: signatures by other keys are ignored, even if they share the name or the ID of a known one
	return !k.IsZero() && s.Name == k.name && s.ID == k.id
}

// verify checks a signature line that the key made. body is the checkpoint's text.
func (k Key) verify(body []byte, s Signature) error {
	if !k.verifier.Verify(body, s.Sig) {
		return &SignatureError{Name: s.Name, ID: s.ID}
	}
	return nil
}

// SignatureError is a signature line that claims to be by a known key and is not.
// The whole note is refused then (signed-note "Signatures").
type SignatureError struct {
	Name string
	ID   uint32
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("the signature by %s (key %08x) does not verify: the checkpoint or the signature was altered", e.Name, e.ID)
}

var errPrivateKey = errors.New("not a private key of the form PRIVATE+KEY+name+hash+key")

// splitPrivateKey parses a private key in the form of golang.org/x/mod/sumdb/note.
func splitPrivateKey(skey string) (name string, id uint32, alg Algorithm, seed []byte, err error) {
	parts := strings.SplitN(skey, "+", 5)
	if len(parts) != 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" || len(parts[3]) != 8 {
		return "", 0, 0, nil, errPrivateKey
	}
	hash, err := strconv.ParseUint(parts[3], 16, 32)
	if err != nil {
		return "", 0, 0, nil, errPrivateKey
	}
	raw, err := decodeBase64(parts[4])
	if err != nil || len(raw) != 1+seedSize { // type and seed
		return "", 0, 0, nil, errPrivateKey
	}
	return parts[2], uint32(hash), Algorithm(raw[0]), raw[1:], nil
}

// Encodings of Ed25519 points that are nobody's key; see [CheckEd25519].
var (
	ErrSmallOrder   = errors.New("an Ed25519 point of small order, for which anybody can sign")
	ErrNotCanonical = errors.New("not the canonical encoding of an Ed25519 point")
)

// CheckEd25519 refuses the encodings of 32 bytes that nobody's key should have: that of a
// point of small order ([ErrSmallOrder]), for which a signature can be made that verifies
// over any message, and a y that is not reduced modulo p = 2^255 − 19 ([ErrNotCanonical];
// RFC 8032, section 5.1.3), a second spelling of the same key. It compares bytes and does
// no curve arithmetic. Both are in Chalkias, Garillot, Nikolaenko: "Taming the many
// EdDSAs" (2020), sections 3 and 4 and appendix C.
func CheckEd25519(public []byte) error {
	y := [32]byte(public)
	y[31] &= 0x7f        // without the sign of x
	slices.Reverse(y[:]) // numbers compare as bytes with the highest first
	switch {
	case bytes.Compare(y[:], prime25519[:]) >= 0:
		return ErrNotCanonical
	case slices.Contains(smallOrderY[:], y):
		return ErrSmallOrder
	}
	return nil
}

// prime25519 is p, the highest byte first.
var prime25519 = mustPoint("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed")

// smallOrderY are the y, the highest byte first, of the eight points whose order divides the
// cofactor. Each stands for both signs of x; where x is 0 the sign 1 is a non-canonical
// spelling, so with these out, any y below p is canonical.
var smallOrderY = [5][32]byte{
	mustPoint("0000000000000000000000000000000000000000000000000000000000000001"), // order 1
	mustPoint("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"), // order 2
	mustPoint("0000000000000000000000000000000000000000000000000000000000000000"), // order 4, twice
	mustPoint("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"), // order 8, twice
	mustPoint("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7"), // order 8, twice
}

func mustPoint(s string) [32]byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return [32]byte(b)
}

// ML-DSA-44 (FIPS 204) is circl's. The implementation that formats/note uses was
// measured to take four times as long to sign and seven times to verify, which was most
// of the cost of a publication and of a cosignature. The tests compare both.

const mldsaSignatureSize = mldsa44.SignatureSize

// mldsaMessage is what ML-DSA-44 signs of a checkpoint: a cosigned_message
// (tlog-cosignature "ML-DSA-44 signed message") of the subtree [0, size). name is the
// signer's; both it and the origin have 1 to 255 bytes.
func mldsaMessage(name string, stamp uint64, cp Checkpoint) []byte {
	// SPEC: tlog-cosignature ML-DSA-44 signed message: what is signed is a cosigned_message
	m := append(make([]byte, 0, 512), "subtree/v1\n\x00"...)
	m = append(append(m, byte(len(name))), name...)
	m = binary.BigEndian.AppendUint64(m, stamp)
	m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
	// SPEC: tlog-witness add-checkpoint: a cosignature covers the whole tree: from zero to the checkpoint's size
	// SPEC: tlog-cosignature ML-DSA-44 signed message: of a checkpoint the start is zero
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
	// SPEC: tlog-cosignature Format: a cosignature is a timestamp of eight bytes, big-endian, and the signature
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
	// SPEC: tlog-witness add-checkpoint: the timestamp of a cosignature is there and not zero
	return s.sign(cp, uint64(time.Now().Unix()))
}

func (s mldsaSigner) sign(cp Checkpoint, stamp uint64) ([]byte, error) {
	// SPEC: tlog-cosignature Format: a cosignature is a timestamp of eight bytes, big-endian, and the signature
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
