package stand

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/witness"
)

// A witness that is given a certificate serves with it.
func TestServeTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	dir := t.TempDir()
	keys, err := Init(t.Context(), dir, "w.example", "")
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := Server{Witness: w, Log: slog.New(slog.DiscardHandler), TLS: &tls.Config{Certificates: certified.TLS.Certificates}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
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
