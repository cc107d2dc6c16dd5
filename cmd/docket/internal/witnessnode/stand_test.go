package witnessnode

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

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

// A machine that holds all the connections it can keeps no log from being answered, and
// nobody from asking how the witness is; the metrics are on their own listener alone.
func TestIdleConnectionsAreBounded(t *testing.T) {
	dir := t.TempDir()
	keys, err := Init(t.Context(), dir, "w.example", "")
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := Server{Witness: w, Log: slog.New(slog.DiscardHandler), Metrics: metrics, MaxConnections: 128}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.MetricsListener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	for range 300 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for url, want := range map[string]int{
		"http://" + l.Addr().String() + "/v1/evidence":                 http.StatusOK,
		"http://" + l.Addr().String() + "/healthz":                     http.StatusOK,
		"http://" + l.Addr().String() + "/readyz":                      http.StatusOK,
		"http://" + l.Addr().String() + "/metrics":                     http.StatusNotFound,
		"http://" + s.MetricsListener.Addr().String() + "/metrics":     http.StatusOK,
		"http://" + s.MetricsListener.Addr().String() + "/healthz":     http.StatusNotFound,
		"http://" + s.MetricsListener.Addr().String() + "/v1/evidence": http.StatusNotFound,
	} {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", url, res.StatusCode, want)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
