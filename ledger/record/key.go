package record

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Algorithm names a key's algorithm. These five are all that a record may be
// signed with (DESIGN.md section 4).
type Algorithm string

const (
	AlgEd25519   Algorithm = "ed25519"
	AlgECDSAP256 Algorithm = "ecdsa-p256" // SHA-256
	AlgECDSAP384 Algorithm = "ecdsa-p384" // SHA-384 or SHA-256; docket signs with SHA-384
	AlgRSA3072   Algorithm = "rsa-3072"   // PKCS #1 v1.5, SHA-256
	AlgRSA4096   Algorithm = "rsa-4096"   // PKCS #1 v1.5, SHA-256
)

// Key is a public key that may sign records. It is made once and then shared:
// nothing in it changes, and [Key.Verify] may run in any number of goroutines.
type Key struct {
	alg       Algorithm
	public    crypto.PublicKey
	der       []byte
	pem       PEM
	id        string
	verifiers []signature.Verifier // in the order in which they are tried
}

// ParseKey reads one public key as PKIX (or PKCS #1) PEM, as a person's file
// holds it. A key of another algorithm or size, and an Ed25519 key that is weak,
// are refused. Inside a record the PEM must be exact: [PEM.Key].
func ParseKey(text []byte) (*Key, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("reading public key: this is %s; wanted a PEM file that begins with -----BEGIN PUBLIC KEY-----", DescribeInput(text))
	case !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("reading public key: there is more than one PEM block in it; wanted exactly one public key")
	case block.Type != string(cryptoutils.PublicKeyPEMType) && block.Type != string(cryptoutils.PKCS1PublicKeyPEMType):
		return nil, fmt.Errorf("reading public key: this is %s; wanted a public key", DescribeInput(text))
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	return NewKey(public)
}

// NewKey makes a Key of a crypto/ed25519, crypto/ecdsa or crypto/rsa public key,
// under the same rules as [ParseKey].
func NewKey(public crypto.PublicKey) (*Key, error) {
	alg, err := algorithmOf(public)
	if err != nil {
		return nil, err
	}
	// What is hashed and compared is our own marshalling, never the bytes that came in.
	der, err := cryptoutils.MarshalPublicKeyToDER(public)
	if err != nil {
		return nil, fmt.Errorf("marshalling public key: %w", err)
	}
	id, err := dsse.SHA256KeyID(public)
	if err != nil {
		return nil, fmt.Errorf("fingerprinting public key: %w", err)
	}
	k := &Key{alg: alg, public: public, der: der, pem: PEM(cryptoutils.PEMEncode(cryptoutils.PublicKeyPEMType, der)), id: id}
	for _, hash := range hashesFor(alg) {
		v, err := signature.LoadVerifier(public, hash)
		if err != nil {
			return nil, fmt.Errorf("loading verifier: %w", err)
		}
		k.verifiers = append(k.verifiers, v)
	}
	return k, nil
}

// PEM is a public key as PKIX PEM, LF, one final newline, equal to its own
// re-marshalled form.
type PEM string

// pemText is a PEM's form.
var pemText = &schema.Shape{Type: schema.TypeString, Format: schema.FormatPEM, MaxChars: 2_000}

// parsePEM reads the PEM of a key that may sign records.
func parsePEM(s string) (PEM, error) {
	if fault := pemText.TextFault(s); fault != "" {
		return "", errors.New(fault)
	}
	_, err := PEM(s).Key()
	return PEM(s), err
}

// Key parses a PEM as it stands in a record: it must be exactly what
// marshalling the key gives, so that one key has one text.
func (p PEM) Key() (*Key, error) {
	k, err := ParseKey([]byte(p))
	if err != nil {
		return nil, err
	}
	if k.pem != p {
		return nil, errors.New("public key is not in its canonical form (PKIX PEM, lines of 64, LF, one final newline); wanted exactly what docket keygen writes to FILE.pub")
	}
	return k, nil
}

// Algorithm is the key's algorithm.
func (k *Key) Algorithm() Algorithm { return k.alg }

// ID is the key ID that a ledger writes: "SHA256:" and the SSH fingerprint, as
// sigstore's DSSE computes it.
func (k *Key) ID() string { return k.id }

// PEM is the key as PKIX PEM, as it stands in records.
func (k *Key) PEM() PEM { return k.pem }

// DER is the key as PKIX DER, whose SHA-256 some subjects are. Callers must not
// change it.
func (k *Key) DER() []byte { return k.der }

// Public is the key as crypto/ed25519, crypto/ecdsa or crypto/rsa has it.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Equal tells whether both are the same key; a nil Key equals none.
func (k *Key) Equal(other *Key) bool {
	return k != nil && other != nil && bytes.Equal(k.der, other.der)
}

func (k *Key) String() string { return k.id }

// Verify checks a signature over message, which for a record is [PAE].
func (k *Key) Verify(message, sig []byte) error {
	if !k.plausibleSignature(sig) {
		return fmt.Errorf("not a signature by %s: %d bytes are no %s signature", k.id, len(sig), k.alg)
	}
	for _, v := range k.verifiers {
		if v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) == nil {
			return nil
		}
	}
	return fmt.Errorf("not a signature by %s", k.id)
}

// plausibleSignature reports by length and encoding whether sig can be a signature by
// k. It avoids verifications with keys of another algorithm. An ECDSA signature is
// ASN.1 DER (RFC 3279, section 2.2.3). What the same parser does not take, sigstore's
// verifier reads as raw r ‖ s, a second spelling, of which some begin as DER does.
func (k *Key) plausibleSignature(sig []byte) bool {
	switch k.alg {
	case AlgEd25519:
		return len(sig) == ed25519.SignatureSize
	case AlgECDSAP256, AlgECDSAP384:
		var der struct{ R, S *big.Int }
		if len(sig) > k.alg.maxSignatureSize() {
			return false
		}
		rest, err := asn1.Unmarshal(sig, &der)
		return err == nil && len(rest) == 0
	default:
		return len(sig) == k.alg.maxSignatureSize()
	}
}

// maxSignatureSize is the most bytes that one signature takes.
func (a Algorithm) maxSignatureSize() int {
	switch a {
	case AlgEd25519:
		return ed25519.SignatureSize
	case AlgECDSAP256:
		return 2 + 2*(2+33) // SEQUENCE of two INTEGERs, each with a leading zero byte
	case AlgECDSAP384:
		return 2 + 2*(2+49)
	case AlgRSA3072:
		return 3072 / 8
	}
	return 4096 / 8
}

func algorithmOf(public crypto.PublicKey) (Algorithm, error) {
	switch p := public.(type) {
	case ed25519.PublicKey:
		return AlgEd25519, checkEd25519(p)
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256():
			return AlgECDSAP256, nil
		case elliptic.P384():
			return AlgECDSAP384, nil
		}
		return "", fmt.Errorf("ECDSA key on %s: wanted P-256 or P-384", p.Curve.Params().Name)
	case *rsa.PublicKey:
		// FIPS 186-5, A.1.1: an odd exponent above 2^16. An even modulus is no RSA key.
		if p.E <= 1<<16 || p.E%2 == 0 || p.N.Bit(0) == 0 {
			return "", fmt.Errorf("RSA key with public exponent %d: wanted an odd one above 65536 (usually 65537) and an odd modulus", p.E)
		}
		switch p.N.BitLen() {
		case 3072:
			return AlgRSA3072, nil
		case 4096:
			return AlgRSA4096, nil
		}
		return "", fmt.Errorf("RSA key of %d bits: wanted 3072 or 4096", p.N.BitLen())
	}
	return "", fmt.Errorf("public key of type %T: wanted Ed25519, ECDSA P-256 or P-384, RSA 3072 or 4096", public)
}

// SigningHash is the hash with which docket signs.
func (a Algorithm) SigningHash() crypto.Hash { return hashesFor(a)[0] }

func hashesFor(a Algorithm) []crypto.Hash {
	if a == AlgECDSAP384 {
		return []crypto.Hash{crypto.SHA384, crypto.SHA256}
	}
	return []crypto.Hash{crypto.SHA256}
}

// checkEd25519 refuses the keys that crypto/ed25519 accepts and nobody should have.
func checkEd25519(public ed25519.PublicKey) error {
	if len(public) != ed25519.PublicKeySize {
		return errors.New("Ed25519 key is not 32 bytes")
	}
	switch err := proof.CheckEd25519(public); {
	case errors.Is(err, proof.ErrSmallOrder):
		return errors.New("Ed25519 key has small order: anyone could sign for it; generate another")
	case err != nil:
		return errors.New("Ed25519 key is not in its canonical form; generate another")
	}
	return nil
}
