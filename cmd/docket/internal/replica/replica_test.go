package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

const origin = "docket.example/test"

// writer is a ledger in a bucket, and its server.
type writer struct {
	*registertest.World
	t       *testing.T
	signer  *proof.Signer
	bucket  *objectstoretest.Server
	shared  ledger.Shared // by which it writes
	ledger  *public.Ledger
	handler http.Handler
	node    *snapshot.Signer
	made    Snapshots
	charter record.ID
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWriter(t *testing.T) *writer {
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	check(t, err)
	w := &writer{t: t, bucket: objectstoretest.NewServer(), World: registertest.New(time.Now(), origin, "log "+vkey+"\nquorum none\n")}
	w.signer, err = proof.ParseSigner(skey)
	check(t, err)
	secret, _, err := proof.GenerateKey(proof.Ed25519, "n1.example")
	check(t, err)
	w.node, err = snapshot.ParseSigner(secret)
	check(t, err)
	w.shared = w.store()
	files, store := vfs.NewMem(), w.shared
	reg, err := register.Open(files, "register", client.RegisterOptions())
	check(t, err)
	w.ledger, err = ledger.Open(t.Context(), store, public.Fold(reg), ledger.Config{Origin: origin, Signers: []*proof.Signer{w.signer}, Take: func(ctx context.Context) error { return store.TakeAfter(ctx, 0) }})
	check(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- w.ledger.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, reg.Close()); err != nil {
			t.Error(err)
		}
	})
	dir, err := snapshot.OpenDir(files, "snapshots", w.node)
	check(t, err)
	w.made = Snapshots{Dir: dir, Register: reg, Origin: origin, Published: w.ledger.PublishedSize, Log: slog.New(slog.DiscardHandler)}
	s, err := server.New(server.Config{Ledger: w.ledger, Register: reg, Snapshots: dir})
	check(t, err)
	w.handler = s.Handler()
	charter := w.Charter()
	w.charter = record.IDOf(charter.Payload)
	w.admit(charter)
	w.admit(w.Authority())
	return w
}

// store is another handle on the bucket.
func (w *writer) store() ledger.Shared {
	s, err := objectstore.Open(w.t.Context(), objectstoretest.Config(objectstoretest.NewLink(w.bucket)))
	check(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *writer) admit(env record.Envelope) {
	w.t.Helper()
	q := httptest.NewRequest(http.MethodPost, "/v1/records", bytes.NewReader(env.Marshal()))
	q.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	if w.handler.ServeHTTP(answer, q); answer.Code != http.StatusCreated {
		w.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	w.NoteAdmitted(env)
}

// serving is a replica that serves.
type serving struct {
	t      *testing.T
	url    string
	ended  <-chan error
	forked atomic.Int32
}

// follow starts a replica of the writer.
func (w *writer) follow(c Config, keys client.SnapshotKeys) (*Replica, *serving) {
	w.t.Helper()
	s := &serving{t: w.t}
	trust, err := client.CreateTrust(w.t.Context(), vfs.NewMem(), "trust", c.Source, w.charter)
	check(w.t, err)
	trust.Snapshots, trust.Remote = keys, c.Source
	c.Trust, c.Log, c.Forked = trust, slog.New(slog.DiscardHandler), func(error) { s.forked.Add(1) }
	r, err := Open(w.t.Context(), c)
	check(w.t, err)
	return r, s
}

func (s *serving) serve(r *Replica) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(s.t, err)
	s.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	s.ended = ended
	over := make(chan struct{})
	go func() {
		ended <- r.Serve(ctx, l, server.Config{})
		close(over)
	}()
	s.t.Cleanup(func() { stop(); <-over; r.Close() })
}

func (s *serving) do(method, path string, body []byte) (*http.Response, string) {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(body))
	check(s.t, err)
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(q)
	check(s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(s.t, err)
	return res, string(text)
}

// of is whom it says that it follows.
func (s *serving) of() string {
	s.t.Helper()
	_, text := s.do(http.MethodGet, "/healthz", nil)
	var h struct{ Replica struct{ Of string } }
	check(s.t, json.Unmarshal([]byte(text), &h))
	return h.Replica.Of
}

// Records go to whoever is followed: where the writer is gone, to the one that has taken its place.
func TestRecordsGoToWhoTookOver(t *testing.T) {
	w := newWriter(t)
	a, b := httptest.NewServer(w.handler), httptest.NewServer(w.handler)
	t.Cleanup(b.Close) // after the replica
	servers, err := wire.NewServers(nil, a.URL, b.URL)
	check(t, err)
	r, s := w.follow(Config{Source: client.At(servers)}, client.SnapshotKeys{})
	s.serve(r)
	first := w.Provider("acme-cloud")
	if res, text := s.do(http.MethodPost, "/v1/records", first.Marshal()); res.StatusCode != http.StatusCreated || s.of() != a.URL {
		t.Fatalf("by the writer: %d %s, of %s", res.StatusCode, text, s.of())
	}
	w.NoteAdmitted(first)
	check(t, a.Listener.Close()) // so that what follows it comes back to nobody
	a.CloseClientConnections()
	a.Close()
	if res, text := s.do(http.MethodPost, "/v1/records", w.Provider("borealis").Marshal()); res.StatusCode != http.StatusCreated {
		t.Errorf("the writer is gone: %d %s", res.StatusCode, text)
	}
	if got := s.of(); got != b.URL {
		t.Errorf("it says that it follows %s, and %s has answered", got, b.URL)
	}
}

// A checkpoint of the past that is of another history ends a replica, as a newest one does: every answer
// says so for a while, and what shows it is kept.
func TestForkOfThePastEnds(t *testing.T) {
	w := newWriter(t)
	other := proof.Checkpoint{Origin: origin, Size: 1, Root: proof.LeafHash([]byte("another history"))}
	signed, err := proof.SignCheckpoint(other, w.signer)
	check(t, err)
	h := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v1/checkpoints" && q.URL.Query().Get("at") == "2027-06-01" {
			a.Header().Set("Content-Type", "text/plain; charset=utf-8")
			a.Write(signed.Note())
			return
		}
		w.handler.ServeHTTP(a, q)
	}))
	t.Cleanup(h.Close)
	source, err := client.New(h.URL, nil)
	check(t, err)
	r, s := w.follow(Config{Source: source}, client.SnapshotKeys{})
	s.serve(r)
	if res, text := s.do(http.MethodGet, "/checkpoint", nil); res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	if res, _ := s.do(http.MethodGet, "/v1/checkpoints?at=2027-06-01", nil); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("another history was handed on: %d", res.StatusCode)
	}
	for _, path := range []string{"/checkpoint", "/readyz", "/"} {
		if res, text := s.do(http.MethodGet, path, nil); res.StatusCode != http.StatusServiceUnavailable || path == "/readyz" && !strings.Contains(text, "fork: ") {
			t.Errorf("%s after a fork: %d %s", path, res.StatusCode, text)
		}
	}
	if _, err := r.verify(t.Context(), signed.Note()); !errors.As(err, new(*client.InconsistencyError)) { // who asked at the same time
		t.Errorf("the same again: %v", err)
	}
	if err := <-s.ended; !errors.As(err, new(*client.InconsistencyError)) || s.forked.Load() != 1 {
		t.Errorf("it ended with %v, and told %d times of a fork", err, s.forked.Load())
	}
}

// A node signs a snapshot of rows that it has replayed, and of no other: also where a node of the same
// operator did.
func TestNoSnapshotOfWhatIsNotReplayed(t *testing.T) {
	w := newWriter(t)
	check(t, w.made.Make(t.Context()))
	h := httptest.NewServer(w.handler)
	t.Cleanup(h.Close)
	source, err := client.New(h.URL, nil)
	check(t, err)
	r, _ := w.follow(Config{Source: source}, client.SnapshotKeys{Own: []proof.Key{w.node.Key()}})
	defer r.Close()
	if v, own := r.live.Unreplayed(); v == nil || !own {
		t.Fatal("it did not begin with the snapshot")
	}
	if !r.state().Verified || r.snapshots(nil).May() {
		t.Error("it would sign another's rows")
	}
	check(t, r.live.Replay(t.Context(), source, nil))
	if !r.snapshots(nil).May() {
		t.Error("it never signs any")
	}
	other, _ := w.follow(Config{Source: source}, client.SnapshotKeys{Others: []proof.Key{w.node.Key()}})
	defer other.Close()
	if other.state().Verified {
		t.Error("it says that another's rows were replayed")
	}
	check(t, other.live.Replay(t.Context(), source, nil))
	if !other.state().Verified {
		t.Error("it has replayed, and does not say so")
	}
}

// A snapshot that was wrong ends a replica as a fork does, which it is not.
func TestWrongSnapshotIsServedNoMore(t *testing.T) {
	w := newWriter(t)
	h := httptest.NewServer(w.handler)
	t.Cleanup(h.Close)
	source, err := client.New(h.URL, nil)
	check(t, err)
	r, s := w.follow(Config{Source: source}, client.SnapshotKeys{})
	s.serve(r)
	if res, text := s.do(http.MethodGet, "/checkpoint", nil); res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	r.end(&client.SnapshotError{Wrong: 1})
	if res, text := s.do(http.MethodGet, "/readyz", nil); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "is not what the log says") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	if err := <-s.ended; !errors.As(err, new(*client.SnapshotError)) || s.forked.Load() != 0 {
		t.Errorf("it ended with %v, and told %d times of a fork", err, s.forked.Load())
	}
}

// A store is asked once a second who writes, however many ask; one that has ended is nobody.
func TestWhoWritesIsAskedOnceASecond(t *testing.T) {
	w := newWriter(t)
	at := func(l standby.Lease) (*Store, *objectstoretest.Link) {
		l.Epoch, l.URL, l.Length = 1, "http://writer.example", standby.DefaultLease
		check(t, w.shared.PutBlob(t.Context(), "lease", l.Bytes()))
		link := objectstoretest.NewLink(w.bucket)
		store, err := objectstore.Open(t.Context(), objectstoretest.Config(link))
		check(t, err)
		t.Cleanup(func() { store.Close() })
		return NewStore(store, &url.URL{Scheme: "s3", Host: "records", Path: "/cip"}, standby.Config{}), link
	}
	over, link := at(standby.Lease{Nonce: "a"})
	begun, asked := time.Now(), 0
	for i := range 3 {
		if u, err := over.writer(t.Context()); err != nil || u.String() != "http://writer.example" {
			t.Errorf("%v, %v", u, err)
		}
		if i == 0 {
			begun, asked = over.looked, link.Count(http.MethodGet)
		}
	}
	if got := link.Count(http.MethodGet); got != asked && time.Since(begun) < lookEvery || asked == 0 {
		t.Errorf("the store was asked %d times, by the first one %d", got, asked)
	}
	over, _ = at(standby.Lease{Nonce: "b", Ended: true})
	if u, err := over.writer(t.Context()); !errors.Is(err, errNoWriter) {
		t.Errorf("one that has ended: %v, %v", u, err)
	}
}

// What a copy that began with a snapshot shows a checkpoint of is judged before it is served.
func TestJudgedBeforeItIsServed(t *testing.T) {
	w := newWriter(t)
	check(t, w.made.Make(t.Context()))
	w.admit(w.Provider("acme-cloud"))
	h := httptest.NewServer(w.handler)
	t.Cleanup(h.Close)
	source, err := client.New(h.URL, nil)
	check(t, err)
	r, _ := w.follow(Config{Source: source}, client.SnapshotKeys{Own: []proof.Key{w.node.Key()}})
	defer r.Close()
	if v, _ := r.live.Unreplayed(); v == nil || v.Tree.Size != 2 {
		t.Fatalf("it did not begin with the snapshot: %+v", v)
	}
	if s := r.state(); s.Size != 3 || s.Lag != 0 {
		t.Errorf("it would serve %+v", s)
	}
}

// A stream of a store says that a record is there once one is, and before that only that it lives.
func TestStreamOfAStore(t *testing.T) {
	w := newWriter(t)
	over := NewStore(w.store(), &url.URL{Scheme: "s3", Host: "records", Path: "/cip"}, standby.Config{})
	for from, want := range map[string]string{"1": "id: 1\n\n", "2": ":\n"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "s3://records/cip/v1/stream?from="+from, nil)
		check(t, err)
		res, err := over.RoundTrip(q)
		check(t, err)
		b := make([]byte, 64)
		if n, err := res.Body.Read(b); err != nil || string(b[:n]) != want {
			t.Errorf("from %s: %q, %v", from, b[:n], err)
		}
	}
}

// What is asked of the past is answered from the store as the writer answers it, and each refusal is a
// problem.
func TestPastFromTheStore(t *testing.T) {
	w := newWriter(t)
	over := NewStore(w.store(), &url.URL{Scheme: "s3", Host: "records", Path: "/cip"}, standby.Config{})
	var asked atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, q *http.Request) { // where the chain of charters is
		if q.URL.Path == "/v1/checkpoints" {
			asked.Add(1)
		}
		w.handler.ServeHTTP(a, q)
	}))
	t.Cleanup(h.Close) // after the replica
	source, err := client.New(h.URL, nil)
	check(t, err)
	r, s := w.follow(Config{Source: source, Over: over}, client.SnapshotKeys{})
	s.serve(r)
	asked.Store(0)
	for query, status := range map[string]int{"?at=2027-06-01": http.StatusNotFound, "?at=2027-06-01T00:00:00Z": http.StatusNotFound, "": http.StatusUnprocessableEntity, "?at=june": http.StatusUnprocessableEntity, "?when=2027-06-01": http.StatusUnprocessableEntity} {
		theirs := httptest.NewRecorder()
		w.handler.ServeHTTP(theirs, httptest.NewRequest(http.MethodGet, "/v1/checkpoints"+query, nil))
		res, text := s.do(http.MethodGet, "/v1/checkpoints"+query, nil)
		if res.StatusCode != theirs.Code || res.StatusCode != status && theirs.Code == status || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d %s %s, and the writer answers %d", query, res.StatusCode, res.Header.Get("Content-Type"), text, theirs.Code)
		}
	}
	if asked.Load() > 0 {
		t.Errorf("the writer was asked %d times", asked.Load())
	}
}

// A snapshot of what is committed is signed once that is published.
func TestSnapshotWaitsForThePublication(t *testing.T) {
	w := newWriter(t)
	asked := 0
	w.made.Published = func() uint64 {
		if asked++; asked < 3 {
			return 1
		}
		return w.ledger.PublishedSize()
	}
	check(t, w.made.Make(t.Context()))
	if newest := w.made.Dir.Newest(); asked != 3 || newest == nil || newest.Tree.Size != 2 {
		t.Errorf("asked %d times what is published: %+v", asked, newest)
	}
}

// What a stranger is told of an error names nothing of the operator's.
func TestAwayWordsAreClosed(t *testing.T) {
	for _, err := range []error{
		&client.DamageError{Dir: "/srv/secret", Err: errors.New("secret")}, &wire.UnreachableError{Err: &net.OpError{Op: "dial", Err: errors.New("secret")}},
		&wire.StatusError{Code: 503, Body: []byte("secret")}, &wire.MissingError{URL: "http://secret", Err: errors.New("secret")}, errors.New("secret"),
	} {
		if words := Away(err); words == "" || strings.Contains(words, "secret") {
			t.Errorf("%v is told as %q", err, words)
		}
	}
	if Away(nil) != "" {
		t.Error("nothing is wrong")
	}
}

// Whoever writes to the store can have a lease say any address: no request of a stranger is sent to this
// machine, whatever name leads to it, unless the store is here too.
func TestLeaseLeadsToOtherMachinesAlone(t *testing.T) {
	w := newWriter(t)
	var asked atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		a.Header().Set("Content-Type", "text/plain")
	}))
	t.Cleanup(h.Close)
	port := h.URL[strings.LastIndex(h.URL, ":"):]
	for _, at := range []string{h.URL, "http://localhost" + port, "http://0.0.0.0" + port, "http://[::ffff:127.0.0.1]" + port} {
		check(t, w.shared.PutBlob(t.Context(), "lease", standby.Lease{Epoch: 1, Nonce: at, URL: at, Length: standby.DefaultLease}.Bytes()))
		for local, want := range map[bool]int32{false: 0, true: 1} {
			over := NewStore(w.store(), &url.URL{Scheme: "s3", Host: "records", Path: "/cip"}, standby.Config{})
			if local {
				over.Ahead = http.DefaultTransport
			}
			asked.Store(0)
			q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/records", strings.NewReader("{}"))
			check(t, err)
			res, err := over.Client().Forward(q)
			if err == nil {
				res.Body.Close()
			}
			if asked.Load() != want && at == h.URL || asked.Load() > want || (err == nil) != (asked.Load() > 0) {
				t.Errorf("%s, a store that is here: %v: asked %d times, %v", at, local, asked.Load(), err)
			}
		}
	}
}
