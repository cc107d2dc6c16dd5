package witnessnode

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/keydir"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
	"github.com/seed-53cf897a/docket/witness"
)

// A witness that is given a certificate serves with it.
func TestServeTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	dir := t.TempDir()
	keys, err := Init(t.Context(), dir, "w.example", "", nil)
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

// A page of any origin, as a verifier in a browser is, reads what a witness shows, refusals
// included, and makes it cosign nothing.
func TestPagesOfOtherOriginsRead(t *testing.T) {
	dir := t.TempDir()
	keys, err := Init(t.Context(), dir, "w.example", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := httptest.NewServer(Server{Witness: w}.handler())
	defer s.Close()
	for call, want := range map[string]string{
		"GET /v1/evidence": "*", "HEAD /v1/evidence": "*", "GET /v1/evidence/none": "*", "GET /00/checkpoint": "*",
		"GET /healthz": "*", "GET /readyz": "*", "GET /nothing": "*",
		"POST /add-checkpoint": "", "POST /v1/checkpoints": "", "POST /v1/evidence": "", "OPTIONS /v1/evidence": "",
	} {
		method, path, _ := strings.Cut(call, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://verifier.example")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		exposed := ""
		if want != "" {
			exposed = "Link, Retry-After"
		}
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || res.Header.Get("Access-Control-Expose-Headers") != exposed {
			t.Errorf("%s: %d, allows %q, exposes %q", call, res.StatusCode, got, res.Header.Get("Access-Control-Expose-Headers"))
		}
	}
}

// A machine that holds all the connections it can keeps no log from being answered, and
// nobody from asking how the witness is; the metrics are on their own listener alone.
func TestIdleConnectionsAreBounded(t *testing.T) {
	dir := t.TempDir()
	keys, err := Init(t.Context(), dir, "w.example", "", nil)
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

// kmsScheme is that of the KMS which TestMain makes of this very binary.
const (
	kmsScheme       = "keeper"
	kmsPluginKeyEnv = "DOCKET_TEST_KEEPER_KEY"
)

func TestMain(m *testing.M) { drafttest.Main(m, kmsScheme, kmsPluginKeyEnv) }

// A witness's key may be kept by a KMS: its cosignatures count like any other.
func TestKeysInKMS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := drafttest.Keep(t, kmsScheme, kmsPluginKeyEnv, private)

	w := filepath.Join(dir, "w")
	if _, err := Init(t.Context(), w, "w.example", "keeper://key", nil); err != nil {
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
	// Nobody knows what it has cosigned elsewhere.
	cfg := witness.Config{Keys: keys, FS: vfs.Default, Dir: w, Logs: witness.LogList{testLog()}}
	opened, err := witness.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Cosign(t.Context(), firstRequest(t)); !errors.Is(err, witness.ErrLookingUp) {
		t.Errorf("a log is not looked up first: %v", err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), w, "other.example", "keeper://key", nil); err == nil {
		t.Error("another name took the directory")
	}
	if _, err := LoadKeys(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, keydir.ErrNoKeys) {
		t.Errorf("no keys: %v", err)
	}
}

// logKey signs for log.example.
var logKey = func() *proof.Signer {
	skey, _, err := proof.GenerateKey(proof.Ed25519, "log.example")
	if err != nil {
		panic(err)
	}
	signer, err := proof.ParseSigner(skey)
	if err != nil {
		panic(err)
	}
	return signer
}()

func testLog() witness.Log {
	return witness.Log{Origin: "log.example", Keys: []proof.Key{logKey.Key()}, QPD: 100, Contact: "nobody"}
}

// firstRequest is the log's first checkpoint.
func firstRequest(t *testing.T) wire.AddCheckpoint {
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "log.example", Size: 1, Root: proof.LeafHash(nil)}, logKey)
	if err != nil {
		t.Fatal(err)
	}
	return wire.AddCheckpoint{Note: signed.Note()}
}

// One of two keys is gone: another is made in its place, and goes on from the state.
// Where that is gone too nothing is made.
func TestInitBesideAKey(t *testing.T) {
	dir := t.TempDir()
	open := func() *witness.Witness {
		keys, err := Init(t.Context(), dir, "w.example", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir, Logs: witness.LogList{testLog()}})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := open()
	if _, err := w.Cosign(t.Context(), firstRequest(t)); err != nil {
		t.Fatal(err)
	}
	was := w.Keys()
	w.Close()
	second := filepath.Join(dir, "keys", keyFiles[1].Name)
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	w = open()
	if is := w.Keys(); !is[0].SamePublicKey(was[0]) || is[1].SamePublicKey(was[1]) {
		t.Errorf("the keys were %v and are %v", was, is)
	}
	var stale *witness.ConflictError
	if _, err := w.Cosign(t.Context(), firstRequest(t)); !errors.As(err, &stale) || stale.Size != 1 {
		t.Errorf("got %v", err)
	}
	w.Close()

	if err := errors.Join(os.Remove(second), os.RemoveAll(filepath.Join(dir, "state"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), dir, "w.example", "", nil); !errors.Is(err, witness.ErrNoState) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(second); err == nil || HasState(dir) {
		t.Error("something was made")
	}
}
