package stand

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/skeys"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// keeper is the program that sigstore looks for on PATH for the URI keeper://…;
// TestMain makes this very binary be it.
const (
	keeper    = "sigstore-kms-keeper"
	keeperKey = "DOCKET_TEST_KEEPER_KEY"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != keeper {
		os.Exit(m.Run())
	}
	if err := keep(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// keep answers one call of sigstore's KMS plugin protocol with a key file.
func keep() error {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	text, err := os.ReadFile(os.Getenv(keeperKey))
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

// A witness's key may be kept by a KMS: its cosignatures count like any other.
func TestKeysInKMS(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, keeper)); err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := cryptoutils.MarshalPrivateKeyToPEM(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv(keeperKey, file)

	w := filepath.Join(dir, "w")
	if _, err := CreateKeys(t.Context(), w, "w.example", "keeper://key"); err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeys(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1 || !public.Equal(keys[0].Key().Public()) || keys[0].Key().Algorithm() != proof.CosignatureEd25519 {
		t.Fatalf("got %d keys, first %s; want the kept one", len(keys), keys[0].Key())
	}
	sig, err := keys[0].Cosign(proof.Checkpoint{Origin: "log.example", Size: 1, Root: proof.LeafHash([]byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
	if sig.Name != "w.example" {
		t.Errorf("signed as %s", sig.Name)
	}
	if _, err := CreateKeys(t.Context(), w, "other.example", "keeper://key"); err == nil {
		t.Error("another name took the directory")
	}
	if _, err := LoadKeys(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, skeys.ErrNone) {
		t.Errorf("no keys: %v", err)
	}
}
