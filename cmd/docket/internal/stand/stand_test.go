package stand

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/witness"
)

// A witness that is given a certificate serves with it, and without its files not at
// all. That a renewed one is taken up is the server's test.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	keys, err := CreateKeys(t.Context(), dir, "w.example", "")
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.NewMem(), Dir: "w"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := Server{Witness: w, Log: slog.New(slog.DiscardHandler), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if err := s.Serve(t.Context(), listen()); err == nil {
		t.Error("served without its certificate")
	}

	roots := certify(t, s.CertFile, s.KeyFile)
	l := listen()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// certify writes a certificate for 127.0.0.1 and its key, and returns who trusts it.
func certify(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	must(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}
