package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/config"
	"github.com/transparency-dev/witness/omniwitness"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/persistence/sqlite"
	theirs "github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey(alg proof.Algorithm, name string) (skey, vkey string) {
	skey, vkey, err := proof.GenerateKey(alg, name)
	if err != nil {
		panic(err)
	}
	return skey, vkey
}

// docketWitness is a witness of Docket's on a disk, behind HTTP.
type docketWitness struct {
	*witness.Witness
	url  string
	keys []string // vkeys
}

func newDocketWitness(t testing.TB, name string, logs witness.LogList, algs ...proof.Algorithm) docketWitness {
	t.Helper()
	o := docketWitness{}
	cfg := witness.Config{FS: vfs.Default, Dir: t.TempDir(), Logs: logs}
	if len(algs) == 0 {
		algs = []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44}
	}
	for _, alg := range algs {
		skey, vkey := newKey(alg, name)
		o.keys = append(o.keys, vkey)
		cfg.Keys = append(cfg.Keys, must(proof.ParseCosigner(skey)))
	}
	if err := witness.CreateState(cfg); err != nil {
		t.Fatal(err)
	}
	o.Witness = must(witness.Open(cfg))
	s := httptest.NewServer(http.StripPrefix("/some/prefix", o.Handler()))
	o.url = s.URL + "/some/prefix"
	t.Cleanup(func() { s.Close(); o.Close() })
	return o
}

// newPeerWitness is transparency-dev's, with SQLite on a disk, behind HTTP.
func newPeerWitness(t testing.TB, name string, logs witness.LogList) (url string, vkey string) {
	t.Helper()
	skey, vkey := newKey(proof.CosignatureEd25519, name)
	signer := must(newCosigner(skey))
	db, closeDB, err := sqlite.New(t.Context(), sqlite.Opts{Path: filepath.Join(t.TempDir(), "w.db")})
	if err != nil {
		t.Fatal(err)
	}
	w := must(theirs.New(t.Context(), theirs.Opts{
		Persistence: db,
		Signers:     []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			for _, l := range logs {
				if l.Origin == origin {
					v, err := note.NewVerifier(l.Keys[0].String())
					return v, true, err
				}
			}
			return nil, false, nil
		},
	}))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", theirs.NewHTTPHandler(w).AddCheckpoint)
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.Close(); closeDB() })
	return s.URL, vkey
}

// Our client gets cosignatures from transparency-dev's witness, and learns its size.
func TestTheirWitness(t *testing.T) {
	l := newLog("log.example/1", 30)
	url, vkey := newPeerWitness(t, "w3.example", l.list)
	policy := must(proof.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w3 %s\nquorum w3\n", l.vkey, vkey)))
	c := must(wire.NewWitness(url, nil))
	at := uint64(0)
	for _, n := range []uint64{1, 2, 2, 7, 8, 23, 30} {
		ask := l.request(at, n)
		sigs, err := c.AddCheckpoint(t.Context(), ask)
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		if _, err := policy.Verify(must(proof.AddSignatures(ask.Note, sigs...)), time.Now()); err != nil {
			t.Fatal(err)
		}
		at = n
	}
	_, err := c.AddCheckpoint(t.Context(), l.request(0, 30))
	var conflict *wire.ConflictError
	if !errors.As(err, &conflict) || conflict.Size != 30 {
		t.Errorf("got %v, want a conflict at 30", err)
	}
}

// fixedLogs is omniwitness's memory, which tells when the first list is in.
type fixedLogs struct {
	*inmemory.Persistence
	ready chan struct{}
}

func (p fixedLogs) AddLogs(ctx context.Context, logs []config.Log) error {
	defer close(p.ready)
	return p.Persistence.AddLogs(ctx, logs)
}

// newOmniwitness runs transparency-dev's omniwitness, the whole process but for its
// flags. It fetches the list of logs over HTTP, as our LogList writes it, and signs
// with both algorithms.
func newOmniwitness(t testing.TB, name string, logs witness.LogList) (url string, vkeys []string) {
	t.Helper()
	var signers []note.Signer
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		skey, vkey := newKey(alg, name)
		signers = append(signers, must(fnote.NewSignerForCosignatureV1(skey)))
		vkeys = append(vkeys, vkey)
	}
	lists := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.Write(logs.Format()) }))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	memory := fixedLogs{inmemory.New(), make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- omniwitness.Main(ctx, omniwitness.OperatorConfig{
			WitnessKeys:                  signers,
			Logs:                         memory,
			WitnessNetworkConfigURLs:     []string{lists.URL},
			WitnessNetworkConfigInterval: time.Hour,
		}, memory, listener, lists.Client())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("omniwitness ended with %v", err)
		}
		lists.Close()
	})
	select {
	case <-memory.ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("omniwitness did not start: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("omniwitness did not take the list of logs")
	}
	return "http://" + listener.Addr().String(), vkeys
}

// Omniwitness reads our log list and cosigns for our client with both of its keys,
// each of which counts alone. What it has not: a monitoring endpoint.
func TestOmniwitness(t *testing.T) {
	l := newLog("log.example/1", 100)
	url, vkeys := newOmniwitness(t, "omni.example", l.list)
	text := "log " + l.vkey + "\nwitness ed " + vkeys[0] + "\nwitness ml " + vkeys[1] + "\ngroup both all ed ml\nquorum both\n"
	policy := must(proof.ParsePolicy([]byte(text)))
	c := must(wire.NewWitness(url, nil))

	// Nothing is remembered of where the witness stands: its 409 says it.
	at := uint64(0)
	for _, n := range []uint64{1, 2, 5, 64, 65, 100, 100} {
		sigs, err := c.AddCheckpoint(t.Context(), l.request(0, n))
		if at > 0 {
			var conflict *wire.ConflictError
			if !errors.As(err, &conflict) || conflict.Size != at {
				t.Fatalf("old 0 to a witness at %d: got %v, want a conflict at %d", at, err, at)
			}
			sigs, err = c.AddCheckpoint(t.Context(), l.request(conflict.Size, n))
		}
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		p, err := policy.Verify(must(proof.AddSignatures(l.note(n), sigs...)), time.Now())
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		if got := p.Checkpoint().Size; got != n {
			t.Fatalf("size %d, want %d", got, n)
		}
		at = n
	}

	_, err := c.Checkpoint(t.Context(), l.origin)
	t.Logf("the monitoring endpoint of omniwitness: %v", err)
	o := newDocketWitness(t, "w1.example", l.list)
	if _, err := must(wire.NewWitness(o.url, nil)).AddCheckpoint(t.Context(), l.request(0, 100)); err != nil {
		t.Fatal(err)
	}
	shown, err := must(wire.NewWitness(o.url, nil)).Checkpoint(t.Context(), l.origin)
	if err != nil {
		t.Fatal(err)
	}
	checkCosigned(t, shown, l.origin, 100, must(fnote.NewVerifier(l.vkey)), must(fnote.NewVerifier(o.keys[0])), must(fnote.NewVerifier(o.keys[1])))
}

// What both answer to requests on which the text leaves no choice (tlog-witness,
// "add-checkpoint"), the faults that published witnesses were seen to have among
// them. Ours must answer so; theirs is logged.
func TestSideBySide(t *testing.T) {
	l := newLog("log.example/1", 30)
	junk := []proof.Hash{proof.LeafHash(nil)}
	honest := l.request(5, 9)
	long := wire.AddCheckpoint{Old: 5, Path: honest.Path, Note: must(proof.AddSignatures(honest.Note, foreignSignatures(5)...))}
	endless := append(l.request(0, 9).Format(), bytes.Repeat([]byte("\u2014 x.example AAAAAAAA\n"), 1<<20/26)...)
	for _, tc := range []struct {
		what  string
		first bool // they cosigned size 5 before
		body  []byte
		want  int
	}{
		{"never seen, old 7 and a garbage proof", false, wire.AddCheckpoint{Old: 7, Path: junk, Note: l.note(9)}.Format(), 409},
		{"old 0 with proof lines", false, wire.AddCheckpoint{Path: junk, Note: l.note(9)}.Format(), 422},
		{"size 0 with another root", false, wire.AddCheckpoint{Note: l.signed(proof.Checkpoint{Origin: l.origin, Root: junk[0]})}.Format(), 422},
		{"1 MB that is no request", false, append([]byte("old 0\n\n"), bytes.Repeat([]byte("x"), 1<<20)...), 413},
		{"1 MB of signatures under a request", false, endless, 413},
		{"one size, another root", true, wire.AddCheckpoint{Old: 5, Note: l.signed(proof.Checkpoint{Origin: l.origin, Size: 5, Root: junk[0]})}.Format(), 422},
		{"a wrong proof", true, wire.AddCheckpoint{Old: 5, Path: junk, Note: l.note(9)}.Format(), 422},
		{"old above the checkpoint's size", true, wire.AddCheckpoint{Old: 9, Note: l.note(5)}.Format(), 400},
		{"old below what was cosigned", true, l.request(4, 9).Format(), 409},
		{"old size with leading zeros", true, bytes.Replace(honest.Format(), []byte("old 5"), []byte("old 05"), 1), 400},
		{"64 proof lines", true, wire.AddCheckpoint{Old: 5, Path: make([]proof.Hash, 64), Note: l.note(9)}.Format(), 400},
		{"no signature by the log", true, wire.AddCheckpoint{Old: 5, Note: newLog(l.origin, 9).note(9)}.Format(), 403},
		{"unknown log", true, wire.AddCheckpoint{Note: newLog("other.example", 9).note(9)}.Format(), 404},
		{"an honest step with 25 kB of signatures", true, long.Format(), 200},
		{"an honest step", true, honest.Format(), 200},
	} {
		o := newDocketWitness(t, "w1.example", l.list)
		url, _ := newPeerWitness(t, "w3.example", l.list)
		status := func(url string) int {
			if tc.first {
				call(t, "POST", url+"/add-checkpoint", l.request(0, 5).Format())
			}
			status, _, _ := call(t, "POST", url+"/add-checkpoint", tc.body)
			return status
		}
		got, other := status(o.url), status(url)
		if got != tc.want {
			t.Errorf("%s: ours answers %d, want %d", tc.what, got, tc.want)
		}
		t.Logf("%-40s want %d, ours %d, theirs %d", tc.what, tc.want, got, other)
	}
}

// foreignSignatures are signatures as long as ML-DSA ones may be, of keys nobody knows.
func foreignSignatures(n int) []proof.Signature {
	sigs := make([]proof.Signature, n)
	for i := range sigs {
		sigs[i] = proof.Signature{Name: "stranger.example", ID: uint32(i), Sig: make([]byte, 3700)}
	}
	return sigs
}

// What witnesses show to monitors (tlog-witness, "Monitor Retrieval Mechanism").
func TestMonitoringSideBySide(t *testing.T) {
	l := newLog("log.example/1", 9)
	path := fmt.Sprintf("/%s/checkpoint", wire.OriginHash(l.origin))
	o := newDocketWitness(t, "w1.example", l.list)
	url, _ := newPeerWitness(t, "w3.example", l.list)
	before, _, _ := call(t, "GET", o.url+path, nil)
	call(t, "POST", o.url+"/add-checkpoint", l.request(0, 9).Format())
	call(t, "POST", url+"/add-checkpoint", l.request(0, 9).Format())
	after, _, _ := call(t, "GET", o.url+path, nil)
	other, _, _ := call(t, "GET", url+path, nil)
	if before != http.StatusNotFound || after != http.StatusOK {
		t.Errorf("ours answers %d before and %d after it cosigned, want 404 and 200", before, after)
	}
	t.Logf("the newest checkpoint: ours %d, theirs %d", after, other)
}
