package draft

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
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Sign returns e with a signature by s added; no payload byte changes. Of a new envelope
// e is the payload alone, signed as it is: [record.ParseStatement] says whether that is a
// record. ctx bounds the call to a KMS.
func (s *Signer) Sign(ctx context.Context, e record.Envelope) (record.Envelope, error) {
	if err := e.CheckFits(s.key); err != nil {
		return record.Envelope{}, err
	}
	sig, err := s.SignMessage(ctx, record.PAE(e.Payload))
	if err != nil {
		return record.Envelope{}, fmt.Errorf("signing with %s: %w", s.key, err)
	}
	return e.Attach(s.key, sig)
}

// ErrWrongPassword says that a private key is encrypted and that the password given, or
// none, does not open it. Another password may.
var ErrWrongPassword = errors.New("wrong password for the private key")

// Signer is a private key, or a way to one, beside its public key.
type Signer struct {
	key    *record.Key
	signer signature.Signer
}

// Key is the public half.
func (s *Signer) Key() *record.Key { return s.key }

// LoadSigner reads a private key: PEM (PKCS #8, PKCS #1, SEC 1), or one that a
// password protects, as `cosign generate-key-pair` and `docket keygen` write it.
// The password is asked for only where it is needed; password may be nil.
func LoadSigner(text []byte, password func() ([]byte, error)) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("this is %s; wanted a private key as PEM", record.DescribeInput(text))
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
	key, err := record.NewKey(cryptoSigner.Public())
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(private, key.Algorithm().SigningHash())
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
	key, err := record.NewKey(public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", uri, err)
	}
	return &Signer{key: key, signer: kmsSigner}, nil
}

// GenerateKey makes a key pair as PEM: Ed25519 or ECDSA P-256. With a password
// the private half is encrypted as cosign does it (scrypt and NaCl secretbox);
// nil leaves it in the clear.
func GenerateKey(alg record.Algorithm, password []byte) (private, public []byte, err error) {
	var secret crypto.Signer
	switch alg {
	case record.AlgEd25519:
		_, secret, err = ed25519.GenerateKey(rand.Reader)
	case record.AlgECDSAP256:
		secret, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("no key generation for %q: wanted %s or %s", alg, record.AlgEd25519, record.AlgECDSAP256)
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := record.NewKey(secret.Public())
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
	return cryptoutils.PEMEncode(kind, der), []byte(key.PEM()), nil
}

// SignMessage signs bytes that are no record: a witness's cosignature, where one
// keeper holds its key too. ctx bounds the call to a KMS.
func (s *Signer) SignMessage(ctx context.Context, message []byte) ([]byte, error) {
	return s.signer.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
}
