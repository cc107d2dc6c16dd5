package record_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func TestPAE(t *testing.T) {
	// DSSE protocol v1, "Signature Definition", with our payload type.
	if got, want := string(record.PAE([]byte("hello world"))), "DSSEv1 28 application/vnd.in-toto+json 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMergeSignaturesOfTwoOfficers: one signs and hands the file on; or both sign
// apart and somebody merges. Either way the payload stays.
func TestMergeSignaturesOfTwoOfficers(t *testing.T) {
	payload := []byte(`{"any":"bytes"}`)
	first, second := signerOf(t, record.AlgEd25519), signerOf(t, record.AlgECDSAP384)
	one, err := record.Sign(t.Context(), payload, first)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := record.ParseEnvelope(one.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	both, err := saved.Sign(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Signatures) != 1 || len(saved.Signatures) != 1 {
		t.Error("signing changed the envelope that it was given")
	}
	apart, err := record.Sign(t.Context(), payload, second)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := record.Merge(one, apart)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]record.Envelope{"gained": both, "merged": merged} {
		if !bytes.Equal(e.Payload, payload) || len(e.Signatures) != 2 {
			t.Errorf("%s: %s", name, e.Marshal())
			continue
		}
		for i, s := range []*record.Signer{first, second} {
			if e.Signatures[i].KeyID != s.Key().ID() {
				t.Errorf("%s: signature %d has keyid %s", name, i, e.Signatures[i].KeyID)
			}
			if err := s.Key().Verify(record.PAE(payload), e.Signatures[i].Sig); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if again, err := record.Merge(merged, one); err != nil || len(again.Signatures) != 2 {
		t.Errorf("merging what is there: %d signatures, %v", len(again.Signatures), err)
	}
	if again, err := one.Sign(t.Context(), first); err != nil || len(again.Signatures) != 1 {
		t.Errorf("signing again with one Ed25519 key: %d signatures, %v", len(again.Signatures), err)
	}
}

func TestMergeRefuses(t *testing.T) {
	s := signerOf(t, record.AlgEd25519)
	a, err := record.Sign(t.Context(), []byte("a"), s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := record.Sign(t.Context(), []byte("b"), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Merge(a, b); !errors.Is(err, record.ErrOtherPayload) || !strings.Contains(err.Error(), record.IDOf([]byte("b")).String()) {
		t.Errorf("two payloads: %v", err)
	}
	crowd := a
	for i := range record.MaxSubmittedSignatures {
		crowd = crowd.AddSignature(record.Signature{Sig: []byte{1, byte(i)}})
	}
	var r *record.Refusal
	if _, err := record.Merge(a, crowd); !errors.As(err, &r) || r.Class != record.TooLarge {
		t.Errorf("%d signatures: %v", len(crowd.Signatures), err)
	}
}

func TestAddSignatureLearnsTheKeyID(t *testing.T) {
	bare := record.Envelope{Signatures: []record.Signature{{Sig: []byte("x")}}}
	named := bare.AddSignature(record.Signature{KeyID: "SHA256:x", Sig: []byte("x")})
	if len(named.Signatures) != 1 || named.Signatures[0].KeyID != "SHA256:x" || bare.Signatures[0].KeyID != "" {
		t.Errorf("got %v from %v", named.Signatures, bare.Signatures)
	}
}

func TestAttach(t *testing.T) {
	payload := []byte("signed elsewhere")
	for _, alg := range algorithms {
		s := signerOf(t, alg)
		outside, err := record.Sign(t.Context(), payload, s) // in place of openssl on another machine
		if err != nil {
			t.Fatal(err)
		}
		e := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
		got, err := e.Attach(s.Key(), outside.Signatures[0].Sig)
		if err != nil || len(got.Signatures) != 1 || got.Signatures[0].KeyID != s.Key().ID() {
			t.Errorf("%s: %v, %v", alg, got, err)
		}
		if _, err := e.Attach(signerOf(t, record.AlgEd25519).Key(), outside.Signatures[0].Sig); err == nil {
			t.Errorf("%s: attached a signature by another key", alg)
		}
		e.Payload = []byte("something else")
		if _, err := e.Attach(s.Key(), outside.Signatures[0].Sig); err == nil || !strings.Contains(err.Error(), "--pae") {
			t.Errorf("%s: attached a signature over other bytes: %v", alg, err)
		}
	}
}

func TestSignReportsPayloadLimit(t *testing.T) {
	s := signerOf(t, record.AlgEd25519)
	limit := record.MaxPayload(record.AlgEd25519)
	one, err := record.Sign(t.Context(), make([]byte, limit), s)
	if err != nil {
		t.Fatal(err)
	}
	var r *record.Refusal
	if _, err := record.Sign(t.Context(), make([]byte, limit+1), s); !errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != limit || r.Size != limit+1 {
		t.Errorf("one byte more: %v", err)
	}
	two := record.MaxPayload(record.AlgEd25519, record.AlgRSA4096)
	if _, err := one.Sign(t.Context(), signerOf(t, record.AlgRSA4096)); !errors.As(err, &r) || r.Limit != two || r.Size != limit {
		t.Errorf("a second signature: %v, want limit %d", err, two)
	}
}

// pluginName is the program that sigstore looks for on PATH for the URI
// kmstest://…; TestMain makes this very binary be it.
const (
	pluginName = "sigstore-kms-kmstest"
	pluginKey  = "DOCKET_TEST_KMS_KEY"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		if err := servePlugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// servePlugin answers one call of sigstore's KMS plugin protocol with a key file.
func servePlugin() error {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	text, err := os.ReadFile(os.Getenv(pluginKey))
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(text, nil)
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	signer, err := fake.LoadSignerVerifier(context.WithValue(context.Background(), fake.KmsCtxKey{}, private), crypto.SHA256)
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	_, err = handler.Dispatch(os.Stdout, os.Stdin, args, signer)
	return err
}

func password(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

func TestGeneratedKeysLoad(t *testing.T) {
	for _, alg := range []record.Algorithm{record.AlgEd25519, record.AlgECDSAP256} {
		for _, secret := range [][]byte{nil, []byte("correct horse"), {}} {
			private, public, err := record.GenerateKey(alg, secret)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted := bytes.Contains(private, []byte("ENCRYPTED SIGSTORE PRIVATE KEY")); encrypted != (secret != nil) {
				t.Errorf("%s, password %q: encrypted %v", alg, secret, encrypted)
			}
			s, err := record.LoadSigner(private, func() ([]byte, error) { return secret, nil })
			if err != nil {
				t.Fatalf("%s, password %q: %v", alg, secret, err)
			}
			if key, err := record.ParseKey(public); err != nil || !key.Equal(s.Key()) || s.Key().Algorithm() != alg || string(key.PEM()) != string(public) {
				t.Errorf("%s, password %q: the public half is another (%v)", alg, secret, err)
			}
		}
	}
	if _, _, err := record.GenerateKey(record.AlgRSA4096, nil); err == nil {
		t.Error("generated an RSA key")
	}
}

func TestLoadSignerRefuses(t *testing.T) {
	sealed, public, err := record.GenerateKey(record.AlgEd25519, []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.LoadSigner(sealed, password("wrong")); !errors.Is(err, record.ErrWrongPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := record.LoadSigner(sealed, nil); !errors.Is(err, record.ErrWrongPassword) {
		t.Errorf("no password: %v", err)
	}
	gone := errors.New("terminal gone")
	if _, err := record.LoadSigner(sealed, func() ([]byte, error) { return nil, gone }); !errors.Is(err, gone) || errors.Is(err, record.ErrWrongPassword) {
		t.Errorf("a failing prompt: %v", err)
	}
	if _, err := record.LoadSigner(public, nil); err == nil || !strings.Contains(err.Error(), "this is a PEM public key; wanted a private key") {
		t.Errorf("a public key: %v", err)
	}
}

func TestLoadSignerReadsEachPEM(t *testing.T) {
	for _, alg := range algorithms {
		private := privateKey(t, alg)
		text, err := cryptoutils.MarshalPrivateKeyToPEM(private)
		if err != nil {
			t.Fatal(err)
		}
		s, err := record.LoadSigner(text, func() ([]byte, error) {
			t.Errorf("%s: asked for a password of a key in the clear", alg)
			return nil, nil
		})
		if err != nil || s.Key().Algorithm() != alg {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestCosignKeyLoads(t *testing.T) {
	s, err := record.LoadSigner(readFile(t, "cosign", "cosign.key"), password("throw-away"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := record.ParseKey(readFile(t, "cosign", "cosign.pub"))
	if err != nil || !key.Equal(s.Key()) {
		t.Errorf("cosign.pub is not its public half: %v", err)
	}
}

func TestKMSSigner(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, pluginName)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for _, alg := range []record.Algorithm{record.AlgECDSAP256, record.AlgECDSAP384, record.AlgRSA3072} {
		private := privateKey(t, alg)
		text, err := cryptoutils.MarshalPrivateKeyToPEM(private)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, string(alg))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(pluginKey, file)
		s, err := record.LoadKMSSigner(t.Context(), "kmstest://key")
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if s.Key().Algorithm() != alg {
			t.Errorf("algorithm %s, want %s", s.Key().Algorithm(), alg)
		}
		env, err := record.Sign(t.Context(), []byte("payload"), s)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if err := s.Key().Verify(record.PAE([]byte("payload")), env.Signatures[0].Sig); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}

	if _, err := record.LoadKMSSigner(t.Context(), "nosuchkms://key"); err == nil || !strings.Contains(err.Error(), "sigstore-kms-nosuchkms") {
		t.Errorf("a missing plugin: %v", err)
	}
	if _, err := record.LoadKMSSigner(t.Context(), "nonsense"); err == nil {
		t.Error("took nonsense for a key")
	}
}
