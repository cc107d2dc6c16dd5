package interop

import (
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
