// Package drafttest helps tests of what signs: private keys of each algorithm, and a KMS
// plug-in that signs with a key file.
package drafttest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// Algorithms are all that a record may be signed with.
var Algorithms = []record.Algorithm{
	record.AlgEd25519, record.AlgECDSAP256, record.AlgECDSAP384, record.AlgRSA3072, record.AlgRSA4096,
}

//go:embed keys/*.pem
var rsaKeys embed.FS

// PrivateKey is a fresh key, but for RSA, whose keys take long to make: each call gives
// the same one.
func PrivateKey(t testing.TB, alg record.Algorithm) crypto.Signer {
	t.Helper()
	var (
		key any
		err error
	)
	switch alg {
	case record.AlgEd25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case record.AlgECDSAP256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case record.AlgECDSAP384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		var text []byte
		if text, err = rsaKeys.ReadFile("keys/" + string(alg) + ".pem"); err == nil {
			key, err = cryptoutils.UnmarshalPEMToPrivateKey(text, nil)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// Signer signs with such a key.
func Signer(t testing.TB, alg record.Algorithm) *draft.Signer {
	t.Helper()
	s, err := draft.NewSigner(PrivateKey(t, alg))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Main is a TestMain that makes the test's own binary a KMS plug-in too. Under the name
// sigstore-kms-SCHEME, which sigstore looks for on PATH for URIs of SCHEME, it answers
// one call of the plug-in protocol with the private key in the file that the environment
// variable names.
func Main(m *testing.M, scheme, keyFileEnv string) {
	if filepath.Base(os.Args[0]) != PluginName(scheme) {
		os.Exit(m.Run())
	}
	if err := servePlugin(os.Getenv(keyFileEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Keep gives a private key to the plug-in that [Main] makes of this binary, which is the one program on PATH
// until the test ends. It returns the directory of both, and the key's file.
func Keep(t *testing.T, scheme, keyFileEnv string, key crypto.PrivateKey) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, PluginName(scheme)))
	}
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "key.pem")
	text, err := cryptoutils.MarshalPrivateKeyToPEM(key)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv(keyFileEnv, file)
	return dir, file
}

// PluginName is the program for URIs of a scheme.
func PluginName(scheme string) string { return "sigstore-kms-" + scheme }

func servePlugin(keyFile string) error {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		return handler.WriteErrorResponse(os.Stdout, err)
	}
	text, err := os.ReadFile(keyFile)
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
