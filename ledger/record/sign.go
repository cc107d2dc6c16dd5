package record

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// PAE is the bytes that a signature covers: DSSE's pre-authentication encoding
// of [PayloadType] and payload (DSSE protocol v1, "Signature Definition").
func PAE(payload []byte) []byte { return dsse.PAE(PayloadType, payload) }

// Sign makes an envelope of payload with one signature. The payload is signed as
// it is; [ParseStatement] says whether it is a record.
func Sign(ctx context.Context, payload []byte, s *Signer) (Envelope, error) {
	return Envelope{PayloadType: PayloadType, Payload: payload}.Sign(ctx, s)
}

// Sign returns e with a signature by s added; no payload byte changes. ctx bounds
// the call to a KMS.
func (e Envelope) Sign(ctx context.Context, s *Signer) (Envelope, error) {
	if err := e.checkFits(s.key.alg.signatureSize()); err != nil {
		return Envelope{}, err
	}
	sig, err := s.SignMessage(ctx, PAE(e.Payload))
	if err != nil {
		return Envelope{}, fmt.Errorf("signing with %s: %w", s.key, err)
	}
	return e.Attach(s.key, sig)
}

// Attach returns e with a signature that was made outside, over [PAE], by the
// private half of key. It is verified first: a KMS or a smart card that signs
// something else is found here and not at the ledger.
func (e Envelope) Attach(key *Key, sig []byte) (Envelope, error) {
	e.PayloadType = PayloadType // what PAE covers
	if err := key.Verify(PAE(e.Payload), sig); err != nil {
		return Envelope{}, fmt.Errorf("attaching signature: %w; sign exactly the bytes that docket sign --pae prints", err)
	}
	if err := e.checkFits(len(sig)); err != nil {
		return Envelope{}, err
	}
	return e.AddSignature(Signature{KeyID: key.ID(), Sig: sig}), nil
}

// AddSignature returns e with s added, unless the same signature is there.
func (e Envelope) AddSignature(s Signature) Envelope {
	for i, old := range e.Signatures {
		if bytes.Equal(old.Sig, s.Sig) {
			if old.KeyID == "" && s.KeyID != "" {
				e.Signatures = slices.Clone(e.Signatures)
				e.Signatures[i].KeyID = s.KeyID
			}
			return e
		}
	}
	e.Signatures = append(slices.Clip(e.Signatures), s)
	return e
}

// ErrOtherPayload says that two envelopes are not about the same bytes.
var ErrOtherPayload = errors.New("the payloads differ")

// Merge joins the signatures of two envelopes of one payload, a's first.
func Merge(a, b Envelope) (Envelope, error) {
	if a.PayloadType != b.PayloadType || !bytes.Equal(a.Payload, b.Payload) {
		return Envelope{}, fmt.Errorf("merging envelopes: %w: record %s and record %s; everybody must sign the same file", ErrOtherPayload, IDOf(a.Payload), IDOf(b.Payload))
	}
	for _, s := range b.Signatures {
		a = a.AddSignature(s)
	}
	if len(a.Signatures) > MaxSubmittedSignatures {
		return Envelope{}, tooLarge(MaxSubmittedSignatures, len(a.Signatures), "merged, the envelope has %d signatures; at most %d are read", len(a.Signatures), MaxSubmittedSignatures)
	}
	return a, nil
}

// checkFits refuses one more signature of size bytes where not even an entry of all
// signatures would hold the payload, and says what would fit.
func (e Envelope) checkFits(size int) error {
	sizes := make([]int, 0, len(e.Signatures)+1)
	for _, s := range e.Signatures {
		sizes = append(sizes, len(s.Sig))
	}
	sizes = append(sizes, size)
	if limit := maxPayloadBytes(sizes...); len(e.Payload) > limit {
		return tooLarge(limit, len(e.Payload), "the payload is %d bytes; with these %d signatures at most %d fit into an entry; shorten it, or refer to a document", len(e.Payload), len(sizes), limit)
	}
	return nil
}

// ErrWrongPassword says that a private key is encrypted and that the password given, or
// none, does not open it. Another password may.
var ErrWrongPassword = errors.New("wrong password for the private key")

// Signer is a private key, or a way to one, beside its public key.
type Signer struct {
	key    *Key
	signer signature.Signer
}

// Key is the public half.
func (s *Signer) Key() *Key { return s.key }

// LoadSigner reads a private key: PEM (PKCS #8, PKCS #1, SEC 1), or one that a
// password protects, as `cosign generate-key-pair` and `docket keygen` write it.
// The password is asked for only where it is needed; password may be nil.
func LoadSigner(text []byte, password func() ([]byte, error)) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("this is %s; wanted a private key as PEM", DescribeInput(text))
	}
	answered := false
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(text, func(bool) ([]byte, error) {
		if password == nil {
			return nil, fmt.Errorf("%w: it is encrypted and none was given", ErrWrongPassword)
		}
		p, err := password()
		if err != nil {
			return nil, fmt.Errorf("asking for its password: %w", err)
		}
		answered = true
		return append([]byte{}, p...), nil // never nil: sigstore takes nil for "not encrypted"
	})
	switch {
	case err != nil && answered:
		return nil, fmt.Errorf("reading private key: %w (%v)", ErrWrongPassword, err)
	case err != nil:
		return nil, fmt.Errorf("reading private key: %w", err)
	}
	return NewSigner(private)
}

// NewSigner makes a Signer of a private key in memory.
func NewSigner(private crypto.PrivateKey) (*Signer, error) {
	cryptoSigner, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of type %T cannot sign", private)
	}
	key, err := NewKey(cryptoSigner.Public())
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(private, hashesFor(key.alg)[0])
	if err != nil {
		return nil, fmt.Errorf("loading private key: %w", err)
	}
	return &Signer{key: key, signer: signer}, nil
}

// LoadKMSSigner reaches a key that never leaves its keeper, by URI
// ("awskms://…", "hashivault://…"): sigstore runs the program sigstore-kms-NAME
// from PATH, which must be installed.
func LoadKMSSigner(ctx context.Context, uri string) (*Signer, error) {
	kmsSigner, err := kms.Get(ctx, uri, crypto.SHA256)
	var unknown *kms.ProviderNotFoundError
	if errors.As(err, &unknown) {
		scheme, _, _ := strings.Cut(uri, "://")
		return nil, fmt.Errorf("opening key %s: no program sigstore-kms-%s on PATH; install sigstore's KMS plugin of that name: %w", uri, scheme, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening key %s: %w", uri, err)
	}
	public, err := kmsSigner.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("reading public key of %s: %w", uri, err)
	}
	key, err := NewKey(public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", uri, err)
	}
	return &Signer{key: key, signer: kmsSigner}, nil
}

// GenerateKey makes a key pair as PEM: Ed25519 or ECDSA P-256. With a password
// the private half is encrypted as cosign does it (scrypt and NaCl secretbox);
// nil leaves it in the clear.
func GenerateKey(alg Algorithm, password []byte) (private, public []byte, err error) {
	var secret crypto.Signer
	switch alg {
	case AlgEd25519:
		_, secret, err = ed25519.GenerateKey(rand.Reader)
	case AlgECDSAP256:
		secret, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("no key generation for %q: wanted %s or %s", alg, AlgEd25519, AlgECDSAP256)
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := NewKey(secret.Public())
	if err != nil {
		return nil, nil, err
	}
	der, err := cryptoutils.MarshalPrivateKeyToDER(secret)
	if err != nil {
		return nil, nil, fmt.Errorf("marshalling private key: %w", err)
	}
	kind := cryptoutils.PrivateKeyPEMType
	if password != nil {
		kind = cryptoutils.EncryptedSigstorePrivateKeyPEMType
		if der, err = encrypted.Encrypt(der, password); err != nil {
			return nil, nil, fmt.Errorf("encrypting private key: %w", err)
		}
	}
	return cryptoutils.PEMEncode(kind, der), []byte(key.pem), nil
}

// SignMessage signs bytes that are no record: a witness's cosignature, where one
// keeper holds its key too. ctx bounds the call to a KMS.
func (s *Signer) SignMessage(ctx context.Context, message []byte) ([]byte, error) {
	return s.signer.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
}
