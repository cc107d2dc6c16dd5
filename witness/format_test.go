package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// A state that an earlier docket has written is opened, with all that is in it: where each
// log stands, what is pending from a client, from the log and from a round, and evidence.
func TestStateOfAnEarlierDocket(t *testing.T) {
	f := newFormatFixture()
	open := func(t *testing.T) *witness.Witness {
		fs := vfs.NewMem()
		if ok, err := vfs.Clone(vfs.Default, fs, "testdata/state-2", "w", vfs.CloneSync); !ok || err != nil {
			t.Fatal(err)
		}
		w := must(witness.Open(f.config(t, fs, "w")))
		t.Cleanup(func() { w.Close() })
		return w
	}
	w := open(t)
	wantStale(t, w, f.a, 7)
	mustCosign(t, w, f.a.request(7, 8)) // nothing is looked up: it was stopped by its operator
	halted := new(witness.HaltedError)
	if _, err := w.Cosign(t.Context(), f.halted.request(3, 4)); !asErr(err, &halted) {
		t.Errorf("the other log goes on: %v", err)
	}
	if cp, sigs, err := proof.ParseCheckpoint(must(w.Latest(t.Context(), "log.example/2"))); err != nil || cp.Size != 3 || len(sigs) != 2 {
		t.Errorf("it shows %v with %d signatures, %v", cp, len(sigs), err)
	}
	for from, size := range map[string]uint64{"a client": 20, "the log": 6, "a round": 9} {
		w := open(t)
		if got := must(w.AddSeenCheckpoint(t.Context(), f.a.note(size))); got != gossip.Forked {
			t.Errorf("what was pending from %s is forgotten: %s", from, got)
		}
	}
}

// formatFixture is what testdata/state-2 was made of: a witness of two logs, each with two
// histories, by keys that anybody can make.
type formatFixture struct {
	a, b            *testLog // of one log; they part at entry 3
	halted, haltedB *testLog // of another
	key             witness.Key
}

func newFormatFixture() *formatFixture {
	logs := func(name string, seed byte) (a, b *testLog) {
		keys := &testKeys{log: []*proof.Signer{must(proof.ParseSigner(seededKey(proof.Ed25519, name, seed)))}}
		a, b = newTestLog(keys, 30, 30, ""), newTestLog(keys, 30, 3, "B")
		a.origin, b.origin = name, name
		return a, b
	}
	f := &formatFixture{key: must(proof.ParseCosigner(seededKey(proof.CosignatureEd25519, "w1.example", 3)))}
	f.a, f.b = logs(origin, 1)
	f.halted, f.haltedB = logs("log.example/2", 2)
	return f
}

// seededKey is a private key in the form of signed notes.
func seededKey(alg proof.Algorithm, name string, seed byte) string {
	secret := bytes.Repeat([]byte{seed}, ed25519.SeedSize)
	public := ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
	id := sha256.Sum256(append([]byte(name+"\n"+string(rune(alg))), public...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(append([]byte{byte(alg)}, secret...)))
}

func (f *formatFixture) config(t *testing.T, fs vfs.FS, dir string) witness.Config {
	cfg := config(t, "w1.example")
	cfg.Keys, cfg.FS, cfg.Dir = []witness.Key{f.key}, fs, dir
	cfg.Logs = append(logListOf(origin, f.a.signers...), logListOf("log.example/2", f.halted.signers...)...)
	return cfg
}
