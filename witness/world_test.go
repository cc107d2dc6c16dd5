package witness_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

const origin = "log.example/1"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// testLog is one history of a log: its leaves, and all that follows from them by the
// definitions of RFC 6962, section 2.1, and tlog-tiles. Two histories that were
// forked at n share their first n leaves.
type testLog struct {
	origin  string
	signers []*proof.Signer
	leaves  []proof.Hash
	memo    map[[2]uint64]proof.Hash
}

// newTestLog has leaves up to size; those from fork on begin with leafPrefix.
func newTestLog(keys *testKeys, size, fork int, leafPrefix string) *testLog {
	h := &testLog{origin: origin, signers: keys.log, memo: map[[2]uint64]proof.Hash{}}
	for i := range size {
		entry := fmt.Sprintf("entry %d", i)
		if i >= fork {
			entry += " " + leafPrefix
		}
		h.leaves = append(h.leaves, proof.LeafHash([]byte(entry)))
	}
	return h
}

// subtreeHash is MTH(D[lo:hi]).
func (h *testLog) subtreeHash(lo, hi uint64) proof.Hash {
	switch hi - lo {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return h.leaves[lo]
	}
	if hash, ok := h.memo[[2]uint64{lo, hi}]; ok {
		return hash
	}
	k := lo + split(hi-lo)
	hash := proof.NodeHash(h.subtreeHash(lo, k), h.subtreeHash(k, hi))
	h.memo[[2]uint64{lo, hi}] = hash
	return hash
}

// split is the largest power of two smaller than n.
func split(n uint64) uint64 {
	k := uint64(1)
	for 2*k < n {
		k *= 2
	}
	return k
}

// consistencyPath is PROOF(m, D[n]); nothing for m = 0.
func (h *testLog) consistencyPath(m, n uint64) []proof.Hash {
	if m == 0 || m == n {
		return nil
	}
	return h.subproof(m, 0, n, true)
}

func (h *testLog) subproof(m, lo, hi uint64, whole bool) []proof.Hash {
	if m == hi-lo {
		if whole {
			return nil
		}
		return []proof.Hash{h.subtreeHash(lo, hi)}
	}
	k := split(hi - lo)
	if m <= k {
		return append(h.subproof(m, lo, lo+k, whole), h.subtreeHash(lo+k, hi))
	}
	return append(h.subproof(m-k, lo+k, hi, false), h.subtreeHash(lo, lo+k))
}

func (h *testLog) checkpoint(n uint64) proof.Checkpoint {
	return proof.Checkpoint{Origin: h.origin, Size: n, Root: h.subtreeHash(0, n)}
}

func (h *testLog) note(n uint64) []byte {
	return must(proof.SignCheckpoint(h.checkpoint(n), h.signers...)).Note()
}

// request is the request to go from m to n.
func (h *testLog) request(m, n uint64) wire.AddCheckpoint {
	return wire.AddCheckpoint{Old: m, Path: h.consistencyPath(m, n), Note: h.note(n)}
}

// tileServer shows one history up to size by tlog-tiles.
type tileServer struct {
	*testLog
	size uint64
}

func (s *tileServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/checkpoint" {
		rw.Write(s.note(s.size))
		return
	}
	id, err := proof.ParseTilePath(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil || !id.In(s.size) {
		http.NotFound(rw, r)
		return
	}
	span := uint64(1) << (8 * id.Level)
	for i := range uint64(id.Width) {
		at := (id.Index*256 + i) * span
		hash := s.subtreeHash(at, at+span)
		rw.Write(hash[:])
	}
}

// network calls handlers in this process by host name, from the place that asks.
type network struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
	down  map[string]bool
}

func newNetwork() *network {
	return &network{hosts: map[string]http.Handler{}, down: map[string]bool{}}
}

func (n *network) setDown(host string, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[host] = down
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	h, down := n.hosts[r.URL.Host], n.down[r.URL.Host]
	n.mu.Unlock()
	if h == nil || down {
		return nil, fmt.Errorf("%s is down", r.URL.Host)
	}
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	h.ServeHTTP(rec, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res := rec.Result()
	res.Request = r
	return res, nil
}

// testKeys is the keys of a test: made once, since they cost.
type testKeys struct {
	log          []*proof.Signer // Ed25519, ML-DSA-44
	forger       note.Signer     // the Ed25519 one, without the checks of ours
	witness      map[string][]witness.Key
	otherWitness *proof.Signer
}

var sharedKeys = sync.OnceValue(func() *testKeys {
	c := &testKeys{witness: map[string][]witness.Key{}}
	skey, _ := must2(proof.GenerateKey(proof.Ed25519, origin))
	c.forger = must(note.NewSigner(skey))
	c.log = []*proof.Signer{must(proof.ParseSigner(skey)), newSigner(proof.MLDSA44, origin)}
	c.otherWitness = newSigner(proof.Ed25519, origin)
	for _, name := range []string{"w1.example", "w2.example", "w3.example"} {
		for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
			skey, _ := must2(proof.GenerateKey(alg, name))
			c.witness[name] = append(c.witness[name], must(proof.ParseCosigner(skey)))
		}
	}
	return c
})

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func newSigner(alg proof.Algorithm, name string) *proof.Signer {
	skey, _ := must2(proof.GenerateKey(alg, name))
	return must(proof.ParseSigner(skey))
}

// logListOf is a log list of one log with those keys.
func logListOf(origin string, signers ...*proof.Signer) witness.LogList {
	l := witness.Log{Origin: origin, QPD: 1<<31 - 1, Contact: "op@log.example"}
	for _, s := range signers {
		l.Keys = append(l.Keys, s.Key())
	}
	return witness.LogList{l}
}

// config is a witness of the test log, in memory, that gossips alone in one order.
func config(t testing.TB, name string) witness.Config {
	return witness.Config{
		Keys:     sharedKeys().witness[name],
		FS:       vfs.NewMem(),
		Dir:      "w",
		Logs:     logListOf(origin, sharedKeys().log...),
		Parallel: 1,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Metrics:  prometheus.NewRegistry(),
		Fatal:    func(reason string) { panic(reason) },
	}
}

// createAndOpen opens a witness whose keys have cosigned nothing but what its state knows.
func createAndOpen(cfg witness.Config) (*witness.Witness, error) {
	if err := witness.CreateState(cfg); err != nil {
		return nil, err
	}
	return witness.Open(cfg)
}

func mustOpen(t testing.TB, cfg witness.Config) *witness.Witness {
	t.Helper()
	w, err := createAndOpen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// mustCosign asks and checks that the answer verifies: one line by each key.
func mustCosign(t testing.TB, w *witness.Witness, a wire.AddCheckpoint) {
	t.Helper()
	sigs, err := w.Cosign(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	checkCosigned(t, w, must(proof.AddSignatures(a.Note, sigs...)))
}

// checkCosigned: every key of the witness stands under the note, and verifies.
func checkCosigned(t testing.TB, w *witness.Witness, note []byte) {
	t.Helper()
	cp, sigs, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := proof.VerifyLog(note, cp.Origin, w.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	if len(signed.LogKeys()) != len(w.Keys()) {
		t.Fatalf("%d of %d keys of the witness signed", len(signed.LogKeys()), len(w.Keys()))
	}
	for _, s := range sigs {
		if s.Name == w.Name() && string(s.Sig[:8]) == "\x00\x00\x00\x00\x00\x00\x00\x00" {
			t.Fatal("a cosignature without a time")
		}
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func round(t testing.TB, w *witness.Witness) gossip.Stats {
	t.Helper()
	return w.Gossip(context.WithoutCancel(t.Context()))
}

func asErr[E error](err error, target *E) bool { return errors.As(err, target) }

// addForeignSignature puts the signature of an unknown key on a note.
func addForeignSignature(c *testKeys, note []byte) []byte {
	k := c.otherWitness.Key()
	return must(proof.AddSignatures(note, proof.Signature{Name: k.Name(), ID: k.ID(), Sig: make([]byte, 64)}))
}

// halfForgedNote has one signature of the log that verifies, and one that does not.
func halfForgedNote(c *testKeys, h *testLog, n uint64) []byte {
	_, sigs, _ := proof.ParseCheckpoint(h.note(n))
	sigs[1].Sig[100] ^= 1
	return must(proof.FormatNote(h.checkpoint(n), sigs...))
}

// forgedNote signs what proof.SignCheckpoint refuses to.
func forgedNote(c *testKeys, cp proof.Checkpoint) []byte {
	sig := must(c.forger.Sign(cp.Body()))
	return must(proof.FormatNote(cp, proof.Signature{Name: origin, ID: c.forger.KeyHash(), Sig: sig}))
}
