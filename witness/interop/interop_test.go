package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
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

// A Tessera log with a witness policy publishes nothing without our two witnesses,
// starts anew with no memory of where they stand, and goes on.
func TestTesseraLog(t *testing.T) {
	const origin = "tessera.example/log"
	skey, vkey := newKey(proof.Ed25519, origin)
	logs := must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 86400\ncontact x\n", vkey)))
	w1, w2 := newOurs(t, "w1.example", logs), newOurs(t, "w2.example", logs)
	dir := t.TempDir()
	policy := must(proof.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s\nwitness w2 %s\ngroup all all w1 w2\nquorum all\n", vkey, w1.keys[0], w2.keys[0])))
	size := uint64(0)
	for life := range 3 {
		checkpoint := runTessera(t, dir, skey, fmt.Sprint(life), w1, w2)
		p, err := policy.Verify(checkpoint, time.Now())
		if err != nil {
			t.Fatalf("life %d: %v\n%s", life, err, checkpoint)
		}
		if p.Checkpoint().Size <= size {
			t.Fatalf("life %d: size %d after %d", life, p.Checkpoint().Size, size)
		}
		size = p.Checkpoint().Size
		shown := must(must(wire.NewWitness(w1.url, nil)).Checkpoint(t.Context(), origin))
		if cp, _, _ := proof.ParseCheckpoint(shown); cp.Size < size {
			t.Errorf("the witness shows size %d of %d", cp.Size, size)
		}
	}
}

// runTessera opens the log in dir, adds entries and returns its published checkpoint.
func runTessera(t *testing.T, dir, skey, life string, witnesses ...ours) []byte {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var members []tessera.Witness
	for _, w := range witnesses {
		members = append(members, must(tessera.NewWitness(w.keys[0], must(url.Parse(w.url)))))
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(must(note.NewSigner(skey))).
		WithBatching(10, 20*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).
		WithWitnesses(tessera.NewWitnessGroup(2, members[0], members[1]), &tessera.WitnessOptions{Timeout: 10 * time.Second})
	driver := must(posix.New(ctx, posix.Config{Path: dir}))
	log, shutdown, reader, err := tessera.NewAppender(ctx, driver, opts)
	if err != nil {
		t.Fatal(err)
	}
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for i := range 25 {
		if _, _, err := await.Await(ctx, log.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %s/%d", life, i)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return must(reader.ReadCheckpoint(ctx))
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
