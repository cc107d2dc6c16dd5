package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

const origin = "docket.example/client"

// logKey makes the log's key once: two worlds with the same are a fork.
var logKey = sync.OnceValue(func() *proof.Signer {
	skey, _, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		panic(err)
	}
	s, err := proof.ParseSigner(skey)
	if err != nil {
		panic(err)
	}
	return s
})

// refusalSigner signs what every world refuses.
var refusalSigner = sync.OnceValue(func() *record.RefusalSigner { return newRefusalSigner(origin + "/refusals") })

func newRefusalSigner(name string) *record.RefusalSigner {
	skey, _, err := proof.GenerateKey(proof.Ed25519, name)
	if err != nil {
		panic(err)
	}
	s, err := record.ParseRefusalSigner(skey)
	if err != nil {
		panic(err)
	}
	return s
}

// world is a whole ledger with its server, all in memory, that a client reaches by
// a network which can fail.
type world struct {
	*registertest.World
	t        testing.TB
	ledger   *public.Ledger
	register *register.Register
	policy   *proof.Policy
	net      *network
	withheld []server.Withheld // by index
}

// worldStart is when every world begins: the charter, and so the ledger's name, is the
// same in all of them.
var worldStart = time.Now().Add(-time.Minute)

// newWorld begins a ledger: the charter, the authority, these providers, published.
func newWorld(t testing.TB, providers ...string) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text := "log " + logKey().Key().String() + "\nquorum none\n"
	w := &world{World: registertest.New(worldStart, origin, text), t: t}
	w.CharterPredicate.RefusalsKey = refusalSigner().Key().String()
	var err error
	w.policy, err = proof.ParsePolicy([]byte(text))
	must(err)
	files := vfs.NewMem()
	store, err := pebblestore.Open(files, "store", pebblestore.Options{})
	must(err)
	options := RegisterOptions()
	options.CacheBytes, options.Health = 8<<20, registertest.Health()
	w.register, err = register.Open(files, "register", options)
	must(err)
	w.ledger, err = ledger.Open(t.Context(), store, public.Fold(w.register), ledger.Config{Origin: origin, Signers: []*proof.Signer{logKey()}})
	must(err)
	t.Cleanup(func() {
		w.register.Close()
		store.Close()
	})
	s, err := server.New(server.Config{Ledger: w.ledger, Register: w.register, Refusals: refusalSigner(), Withheld: func() []server.Withheld { return w.withheld }})
	must(err)
	w.net = &network{handler: s.Handler()}
	w.admit(w.Charter())
	w.admit(w.Authority())
	for _, p := range providers {
		w.admit(w.Provider(p))
	}
	w.Now = time.Now()
	return w
}

// admit appends records, then commits and publishes them.
func (w *world) admit(records ...record.Envelope) {
	w.t.Helper()
	for _, env := range records {
		v, err := record.Open(env, w.register.CandidateKeys)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.ledger.Append(w.t.Context(), v); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.ledger.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.ledger.Publish(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for _, env := range records {
		if _, known, err := w.register.Lookup(record.IDOf(env.Payload)); err != nil || !known {
			w.t.Fatalf("record %s was not admitted (%v)", record.IDOf(env.Payload), err)
		}
		w.NoteAdmitted(env)
	}
}

// growTo admits imported designations until the ledger has that many entries.
func (w *world) growTo(size uint64) {
	w.t.Helper()
	var batch []record.Envelope
	for i := w.ledger.Head().Size; i < size; i++ {
		id := string("0123456789"[i/1000%10]) + string("0123456789"[i/100%10]) + string("0123456789"[i/10%10]) + string("0123456789"[i%10])
		batch = append(batch, w.ImportListed(id, w.NewListedDesignation(id, "Entity "+id)))
	}
	w.admit(batch...)
}

// client talks to the world over its network.
func (w *world) client() *Client {
	w.t.Helper()
	c, err := New("http://ledger.example", w.net)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// trust pins the world's ledger in dir of files.
func (w *world) trust(files vfs.FS, dir string) *Trust {
	w.t.Helper()
	t, err := CreateTrust(w.t.Context(), files, dir, w.client(), w.Ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { t.Close() })
	return t
}

// syncedTrust is a trust directory with a replayed copy, in a memory of its own.
func (w *world) syncedTrust() *Trust {
	w.t.Helper()
	t := w.trust(vfs.NewMem(), "trust")
	if err := t.Sync(w.t.Context(), w.client(), nil); err != nil {
		w.t.Fatal(err)
	}
	return t
}

// wantSameRegister fails unless a copy's register is the ledger's, row by row.
func (w *world) wantSameRegister(t *Trust) {
	w.t.Helper()
	own, err := t.Register()
	if err != nil {
		w.t.Fatal(err)
	}
	if a, b := registerDigest(w.t, own), registerDigest(w.t, w.register); a != b {
		w.t.Errorf("the copy's register, of size %d, is not the ledger's, of size %d", own.Size(), w.register.Size())
	}
}

// skipSerial leaves a long test out where the race detector would learn nothing from it: what runs side by
// side in it does so in shorter ones.
func skipSerial(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long, and its goroutines are those of shorter tests: run without -short")
	}
}

func registerDigest(t testing.TB, r *register.Register) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	if err := r.Dump(h); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// network calls the server's handlers in the caller's process. Its fields are set
// between two calls of the client.
type network struct {
	handler         http.Handler
	fail            func(r *http.Request) error                 // a request that is lost
	respond         func(r *http.Request) *http.Response        // an answer of somebody else
	rewriteResponse func(r *http.Request, answer []byte) []byte // an answer that is changed on its way
	mu              sync.Mutex                                  // guards asked
	paths           []string                                    // paths, in the order of the calls
}

// errLost is the network's.
var errLost = errors.New("connection lost")

// RoundTrip is one request and its answer.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.paths = append(n.paths, r.URL.Path)
	n.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if n.fail != nil {
		if err := n.fail(r); err != nil {
			return nil, err
		}
	}
	if n.respond != nil {
		if answer := n.respond(r); answer != nil {
			return answer, nil
		}
	}
	w := httptest.NewRecorder()
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr = "192.0.2.1:1"
	if r.Body == nil {
		r.Body = http.NoBody
	}
	n.handler.ServeHTTP(w, r)
	answer := w.Result()
	if n.rewriteResponse != nil {
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return nil, err
		}
		answer.Body = io.NopCloser(bytes.NewReader(n.rewriteResponse(r, body)))
	}
	return answer, nil
}

// bundles are the entry bundles that were asked for since the last call.
func (n *network) bundles() (paths []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.paths {
		if strings.HasPrefix(p, "/tile/entries/") {
			paths = append(paths, p)
		}
	}
	n.paths = nil
	return paths
}

// runLedger runs the ledger's own loops while a test submits.
func (w *world) runLedger() {
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.ledger.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("the ledger ended with %v", err)
		}
	})
}
