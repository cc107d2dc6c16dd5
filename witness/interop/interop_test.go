package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// ours is a witness of Docket's on a disk, behind HTTP, for one log.
type ours struct {
	*witness.Witness
	url  string
	keys []string // vkeys
}

func newOurs(t testing.TB, name string, logs witness.LogList) ours {
	t.Helper()
	o := ours{}
	cfg := witness.Config{FS: vfs.Default, Dir: t.TempDir(), Logs: logs}
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		skey, vkey := newKey(alg, name)
		o.keys = append(o.keys, vkey)
		cfg.Keys = append(cfg.Keys, must(proof.ParseCosigner(skey)))
	}
	o.Witness = must(witness.Open(cfg))
	s := httptest.NewServer(http.StripPrefix("/some/prefix", o.Handler()))
	o.url = s.URL + "/some/prefix"
	t.Cleanup(func() { s.Close(); o.Close() })
	return o
}

// theirWitness is transparency-dev's, with SQLite on a disk, behind HTTP.
func theirWitness(t testing.TB, name string, logs witness.LogList) (url string, vkey string) {
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
	url, vkey := theirWitness(t, "w3.example", l.list)
	policy := must(proof.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w3 %s\nquorum w3\n", l.vkey, vkey)))
	c := must(wire.NewWitness(url, nil))
	at := uint64(0)
	for _, n := range []uint64{1, 2, 2, 7, 8, 23, 30} {
		ask := l.ask(at, n)
		sigs, err := c.AddCheckpoint(t.Context(), ask)
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		if _, err := policy.Verify(must(proof.AddSignatures(ask.Note, sigs...)), time.Now()); err != nil {
			t.Fatal(err)
		}
		at = n
	}
	_, err := c.AddCheckpoint(t.Context(), l.ask(0, 30))
	var conflict *wire.Conflict
	if !errors.As(err, &conflict) || conflict.Size != 30 {
		t.Errorf("got %v, want a conflict at 30", err)
	}
}

// What both answer to requests on which the text leaves no choice. Ours must answer
// so; theirs is logged.
func TestSideBySide(t *testing.T) {
	l := newLog("log.example/1", 30)
	junk := []proof.Hash{proof.LeafHash(nil)}
	for _, tc := range []struct {
		what  string
		first bool // they cosigned size 5 before
		body  []byte
		want  int
	}{
		{"never seen, old 7 and a garbage proof", false, wire.AddCheckpoint{Old: 7, Path: junk, Note: l.note(9)}.Format(), 409},
		{"old 0 with proof lines", false, wire.AddCheckpoint{Path: junk, Note: l.note(9)}.Format(), 422},
		{"size 0 with another root", false, wire.AddCheckpoint{Note: l.signed(proof.Checkpoint{Origin: l.origin, Root: junk[0]})}.Format(), 422},
		{"a body of 1 MB", false, append([]byte("old 0\n\n"), bytes.Repeat([]byte("x"), 1<<20)...), 413},
		{"one size, another root", true, wire.AddCheckpoint{Old: 5, Note: l.signed(proof.Checkpoint{Origin: l.origin, Size: 5, Root: junk[0]})}.Format(), 422},
		{"old size with leading zeros", true, bytes.Replace(l.ask(5, 6).Format(), []byte("old 5"), []byte("old 05"), 1), 400},
		{"64 proof lines", true, wire.AddCheckpoint{Old: 5, Path: make([]proof.Hash, 64), Note: l.note(9)}.Format(), 400},
		{"no signature by the log", true, wire.AddCheckpoint{Old: 5, Note: newLog(l.origin, 9).note(9)}.Format(), 403},
		{"unknown log", true, wire.AddCheckpoint{Note: newLog("other.example", 9).note(9)}.Format(), 404},
		{"an honest step", true, l.ask(5, 9).Format(), 200},
	} {
		o := newOurs(t, "w1.example", l.list)
		url, _ := theirWitness(t, "w3.example", l.list)
		status := func(url string) int {
			if tc.first {
				post(t, url, l.ask(0, 5).Format())
			}
			return post(t, url, tc.body)
		}
		got, other := status(o.url), status(url)
		if got != tc.want {
			t.Errorf("%s: ours answers %d, want %d", tc.what, got, tc.want)
		}
		t.Logf("%-40s want %d, ours %d, theirs %d", tc.what, tc.want, got, other)
	}
}

func post(t testing.TB, url string, body []byte) int {
	res, err := http.Post(url+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Logf("%v", err)
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}
