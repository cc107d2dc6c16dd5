package cosignatures_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

const origin = "log.example/1"

// maxRequest is what some published witnesses take at most, in bytes.
const maxRequest = 10 << 10

// testNetwork is a real ledger, which signs with two keys, and real witnesses with two
// keys each, behind a network in this process.
type testNetwork struct {
	t       *testing.T
	fs      vfs.FS
	signers []*proof.Signer
	policy  *proof.Policy
	config  cosignatures.Config
	ledger  ledger.Config

	store *pebblestore.Store
	index *pebblestore.BlobFold
	asker *cosignatures.Collector
	l     *ledger.Ledger[pebblestore.Blob]

	witnesses []*testWitness
	witnessFS vfs.FS
}

// testWitness is one witness's host on the network.
type testWitness struct {
	witness *witness.Witness
	keys    []witness.Key

	mu       sync.Mutex // guards what follows
	override http.HandlerFunc
	requests []string // "METHOD path"
}

// newTestNetwork has n witnesses at w0.example … of which any two thirds make the quorum,
// and as many more as outside says that are asked and do not count.
func newTestNetwork(t *testing.T, n, outside int) *testNetwork {
	w := &testNetwork{t: t, fs: vfs.NewMem(), witnessFS: vfs.NewMem()}
	var text strings.Builder
	var list witness.Log
	list.Origin, list.QPD, list.Contact = origin, 1<<30, "log@example"
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, vkey := must2(proof.GenerateKey(alg, origin))
		w.signers = append(w.signers, must(proof.ParseSigner(skey)))
		list.Keys = append(list.Keys, must(proof.ParseLogKey(vkey)))
		fmt.Fprintf(&text, "log %s\n", vkey)
	}
	var groups []string
	for i := range n + outside {
		s := &testWitness{}
		host := fmt.Sprintf("w%d.example", i)
		for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
			skey, vkey := must2(proof.GenerateKey(alg, host))
			s.keys = append(s.keys, must(proof.ParseCosigner(skey)))
			fmt.Fprintf(&text, "witness w%d-%d %s https://%s/x\n", i, alg, vkey, host)
		}
		fmt.Fprintf(&text, "group w%d all w%d-4 w%d-6\n", i, i, i)
		if i < n {
			groups = append(groups, fmt.Sprintf("w%d", i))
		}
		var err error
		cfg := witness.Config{Keys: s.keys, FS: w.witnessFS, Dir: host, Logs: witness.LogList{list}}
		if err = witness.CreateState(cfg); err == nil {
			s.witness, err = witness.Open(cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.witness.Close() })
		w.witnesses = append(w.witnesses, s)
	}
	fmt.Fprintf(&text, "group quorum %d %s\nquorum quorum\n", n*2/3, strings.Join(groups, " "))
	w.policy = must(proof.ParsePolicy([]byte(text.String())))
	w.config.Transport = w
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *testNetwork) open() {
	small := pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}
	var err error
	if w.store, err = pebblestore.Open(w.fs, "log", small); err != nil {
		w.t.Fatal(err)
	}
	if w.index, err = pebblestore.OpenBlobFold(w.fs, "index", w.policy, small); err != nil {
		w.t.Fatal(err)
	}
	w.asker = cosignatures.New(w.config)
	c := w.ledger
	c.Origin, c.Signers, c.Cosign = origin, w.signers, w.asker.Cosign
	if w.l, err = ledger.Open(w.t.Context(), w.store, w.index, c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *testNetwork) close() {
	w.asker.Close()
	if err := errors.Join(w.index.Close(), w.store.Close()); err != nil {
		w.t.Error(err)
	}
}

func (w *testNetwork) reopen() {
	w.close()
	w.open()
}

// RoundTrip implements [http.RoundTripper]: it calls the handler of the host.
func (w *testNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	var i int
	if _, err := fmt.Sscanf(r.URL.Host, "w%d.example", &i); err != nil || i >= len(w.witnesses) {
		return nil, fmt.Errorf("no such host: %s", r.URL.Host)
	}
	s := w.witnesses[i]
	path, ok := strings.CutPrefix(r.URL.Path, "/x/")
	if !ok {
		w.t.Errorf("asked for %s, which is not below the policy's prefix", r.URL)
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+path)
	handle := s.override
	s.mu.Unlock()
	if handle == nil {
		handle = s.serveHonestly
	}
	out := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.URL.Path = "/" + path
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		if len(body) > maxRequest {
			w.t.Errorf("a request of %d bytes", len(body))
		}
		in.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	handle(out, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return out.Result(), nil
}

func (s *testWitness) serveHonestly(out http.ResponseWriter, r *http.Request) {
	s.witness.Handler().ServeHTTP(out, r)
}

// setHandler replaces the handler; nil is the honest one again.
func (s *testWitness) setHandler(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.override = h
}

// asked is the requests since the last call.
func (s *testWitness) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = nil
	return r
}

// hangingHandler answers nothing.
func hangingHandler(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// unavailableHandler refuses.
func unavailableHandler(out http.ResponseWriter, r *http.Request) {
	http.Error(out, "down for repairs", http.StatusServiceUnavailable)
}

// slow is honest, and takes its time.
func (s *testWitness) slow(d time.Duration) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			s.serveHonestly(out, r)
		case <-r.Context().Done():
		}
	}
}

// add appends n blobs, commits and publishes them.
func (w *testNetwork) add(n int) error {
	w.commit(n)
	return w.l.Publish(w.t.Context())
}

func (w *testNetwork) commit(n int) {
	w.t.Helper()
	from := w.l.Head().Size
	for i := range n {
		if _, err := w.l.Append(w.t.Context(), pebblestore.NewBlob(fmt.Appendf(nil, "blob %d", from+uint64(i)))); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.l.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *testNetwork) mustAdd(n int) {
	w.t.Helper()
	if err := w.add(n); err != nil {
		w.t.Fatal(err)
	}
}

// cosigned are the witnesses whose cosignatures the published checkpoint bears.
func (w *testNetwork) cosigned() map[string]bool {
	by := make(map[string]bool)
	for _, c := range w.l.Published().Cosignatures() {
		by[c.Witness] = true
	}
	return by
}

// status is that of one witness.
func (w *testNetwork) status(name string) cosignatures.Status {
	w.t.Helper()
	for _, s := range w.asker.Status() {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no status of %s", name)
	return cosignatures.Status{}
}

// run runs the ledger until the returned function is called.
func (w *testNetwork) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.l.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

var checkpointPath = wire.OriginHash(origin) + "/checkpoint"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2[T, U any](v T, u U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return v, u
}
