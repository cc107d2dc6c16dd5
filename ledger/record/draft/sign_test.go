package draft_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// readFile reads from the testdata of package record.
func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", "testdata"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignReportsPayloadLimit(t *testing.T) {
	s := drafttest.Signer(t, record.AlgEd25519)
	limit := record.MaxPayload(record.AlgEd25519)
	one, err := s.Sign(t.Context(), record.Envelope{Payload: make([]byte, limit)})
	if err != nil {
		t.Fatal(err)
	}
	var r *record.Refusal
	if _, err := s.Sign(t.Context(), record.Envelope{Payload: make([]byte, limit+1)}); !errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != limit || r.Size != limit+1 {
		t.Errorf("one byte more: %v", err)
	}
	two := record.MaxPayload(record.AlgEd25519, record.AlgRSA4096)
	if _, err := drafttest.Signer(t, record.AlgRSA4096).Sign(t.Context(), one); !errors.As(err, &r) || r.Limit != two || r.Size != limit {
		t.Errorf("a second signature: %v, want limit %d", err, two)
	}
}

// kmsScheme is that of the KMS which TestMain makes of this very binary.
const (
	kmsScheme = "kmstest"
	pluginKey = "DOCKET_TEST_KMS_KEY"
)

func TestMain(m *testing.M) { drafttest.Main(m, kmsScheme, pluginKey) }

func password(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

func TestGeneratedKeysLoad(t *testing.T) {
	for _, alg := range []record.Algorithm{record.AlgEd25519, record.AlgECDSAP256} {
		for _, secret := range [][]byte{nil, []byte("correct horse"), {}} {
			private, public, err := draft.GenerateKey(alg, secret)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted := bytes.Contains(private, []byte("ENCRYPTED SIGSTORE PRIVATE KEY")); encrypted != (secret != nil) {
				t.Errorf("%s, password %q: encrypted %v", alg, secret, encrypted)
			}
			s, err := draft.LoadSigner(private, func() ([]byte, error) { return secret, nil })
			if err != nil {
				t.Fatalf("%s, password %q: %v", alg, secret, err)
			}
			if key, err := record.ParseKey(public); err != nil || !key.Equal(s.Key()) || s.Key().Algorithm() != alg || string(key.PEM()) != string(public) {
				t.Errorf("%s, password %q: the public half is another (%v)", alg, secret, err)
			}
		}
	}
	if _, _, err := draft.GenerateKey(record.AlgRSA4096, nil); err == nil {
		t.Error("generated an RSA key")
	}
}

func TestLoadSignerRefuses(t *testing.T) {
	sealed, public, err := draft.GenerateKey(record.AlgEd25519, []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.LoadSigner(sealed, password("wrong")); !errors.Is(err, draft.ErrWrongPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := draft.LoadSigner(sealed, nil); !errors.Is(err, draft.ErrWrongPassword) {
		t.Errorf("no password: %v", err)
	}
	gone := errors.New("terminal gone")
	if _, err := draft.LoadSigner(sealed, func() ([]byte, error) { return nil, gone }); !errors.Is(err, gone) || errors.Is(err, draft.ErrWrongPassword) {
		t.Errorf("a failing prompt: %v", err)
	}
	if _, err := draft.LoadSigner(public, nil); err == nil {
		t.Error("took a public key for a private one")
	} else {
		refusaltest.Words(t, err.Error())
	}
}

func TestLoadSignerReadsEachPEM(t *testing.T) {
	for _, alg := range drafttest.Algorithms {
		private := drafttest.PrivateKey(t, alg)
		text, err := cryptoutils.MarshalPrivateKeyToPEM(private)
		if err != nil {
			t.Fatal(err)
		}
		s, err := draft.LoadSigner(text, func() ([]byte, error) {
			t.Errorf("%s: asked for a password of a key in the clear", alg)
			return nil, nil
		})
		if err != nil || s.Key().Algorithm() != alg {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestCosignKeyLoads(t *testing.T) {
	s, err := draft.LoadSigner(readFile(t, "cosign", "cosign.key"), password("throw-away"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := record.ParseKey(readFile(t, "cosign", "cosign.pub"))
	if err != nil || !key.Equal(s.Key()) {
		t.Errorf("cosign.pub is not its public half: %v", err)
	}
}

func TestKMSSigner(t *testing.T) {
	for _, alg := range []record.Algorithm{record.AlgECDSAP256, record.AlgECDSAP384, record.AlgRSA3072} {
		drafttest.Keep(t, kmsScheme, pluginKey, drafttest.PrivateKey(t, alg))
		s, err := draft.LoadKMSSigner(t.Context(), "kmstest://key")
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if s.Key().Algorithm() != alg {
			t.Errorf("algorithm %s, want %s", s.Key().Algorithm(), alg)
		}
		env, err := s.Sign(t.Context(), record.Envelope{Payload: []byte("payload")})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if err := s.Key().Verify(record.PAE([]byte("payload")), env.Signatures[0].Sig); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}

	var missing *kms.ProviderNotFoundError
	if _, err := draft.LoadKMSSigner(t.Context(), "nosuchkms://key"); !errors.As(err, &missing) {
		t.Errorf("a missing plugin: %v", err)
	} else {
		refusaltest.Words(t, err.Error(), errors.Unwrap(err).Error(), "(what sigstore says)")
	}
	if _, err := draft.LoadKMSSigner(t.Context(), "nonsense"); err == nil {
		t.Error("took nonsense for a key")
	}
}
