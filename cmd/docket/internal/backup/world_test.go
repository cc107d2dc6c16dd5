package backup_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/backup"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/nodetest"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
	"github.com/seed-53cf897a/docket/witness"
)

const origin = "docket.example/2026"

// world is a ledger with its disk in memory, and real witnesses, each host in this process.
type world struct {
	t       *testing.T
	files   *vfs.MemFS
	keys    node.Keys
	secrets int // key files so far
	records *registertest.World
	node    *node.Node
	quorum  string
	added   int

	witnesses []*testWitness

	nodetest.Hosts
}

type testWitness struct {
	name string
	key  *proof.Cosigner
	*witness.Witness
}

// newWorld has a ledger with a charter and an authority. quorum is "none", or how many of
// three witnesses make one.
func newWorld(t *testing.T, quorum string) *world {
	w := &world{t: t, files: vfs.NewCrashableMem(), quorum: quorum}
	w.keys = w.newKeys()
	if quorum != "none" {
		w.newWitnesses("w1", "w2", "w3")
	}
	w.records = registertest.New(time.Now(), origin, w.policy(w.keys, w.witnesses))
	w.open("D")
	w.admit(w.records.Charter(), w.records.Authority)
	t.Cleanup(func() {
		w.node.Close()
		for _, one := range w.witnesses {
			one.Close()
		}
	})
	return w
}

func (w *world) newKeys() node.Keys {
	k, secrets := nodetest.NewKeys(w.t, origin)
	check(w.t, w.files.MkdirAll("D/keys", 0o700))
	for i, skey := range secrets {
		w.secrets++
		alg := k.Signers[i].Key().Algorithm()
		w.write(fmt.Sprintf("D/keys/log-%s-%d.key", strings.ToLower(alg.String()), w.secrets), []byte(skey+"\n"))
	}
	return k
}

func (w *world) newWitnesses(names ...string) {
	for _, name := range names {
		one := &testWitness{name: name, key: nodetest.NewCosigner(w.t, name+".example")}
		w.witnesses = append(w.witnesses, one)
		c := nodetest.WitnessConfig(vfs.NewMem(), w.keys, one.key)
		check(w.t, witness.CreateState(c))
		one.Witness = nodetest.OpenWitness(w.t, c)
		w.wake(one)
	}
}

// wake has a witness answer, and silence has it not.
func (w *world) wake(one *testWitness)    { w.Handle(one.name+".example", one.Handler()) }
func (w *world) silence(one *testWitness) { w.Handle(one.name+".example", nil) }

func (w *world) policy(keys node.Keys, witnesses []*testWitness) (text string) {
	for _, s := range keys.Signers {
		text += fmt.Sprintf("log %s http://log.example\n", s.Key())
	}
	if len(witnesses) == 0 {
		return text + "quorum none\n"
	}
	names := ""
	for _, one := range witnesses {
		text += fmt.Sprintf("witness %s %s http://%s.example\n", one.name, one.key.Key(), one.name)
		names += " " + one.name
	}
	return text + "group g " + w.quorum + names + "\nquorum g\n"
}

func (w *world) open(dir string) {
	w.t.Helper()
	n, err := w.openAt(w.files, dir)
	check(w.t, err)
	w.node = n
}

func (w *world) openAt(files vfs.FS, dir string) (*node.Node, error) {
	return node.Open(w.t.Context(), node.Config{Files: files, Dir: dir, Keys: w.keys, Cosignatures: cosignatures.Config{Transport: w}})
}

// admit admits records one after the other, and wants each published.
func (w *world) admit(all ...any) {
	w.t.Helper()
	for _, one := range all {
		env, ok := one.(record.Envelope)
		if !ok {
			env = one.(func() record.Envelope)()
		}
		if _, published, err := w.node.Admit(w.t.Context(), env); err != nil || !published {
			w.t.Fatalf("published %v, %v", published, err)
		}
		w.records.NoteAdmitted(env)
	}
}

// add commits so many records at once, and publishes them if a quorum answers.
func (w *world) add(n int) {
	w.t.Helper()
	for range n {
		w.added++
		id := fmt.Sprint(w.added)
		env := w.records.ImportListed(id, w.records.NewListedDesignation(id, "Marrow Net "+id+" (fictional)"))
		v, err := record.Open(env, w.node.Register.CandidateKeysFor(env))
		check(w.t, err)
		_, err = w.node.Ledger.Append(w.t.Context(), v)
		check(w.t, err)
		w.records.NoteAdmitted(env)
	}
	check(w.t, w.node.Ledger.Commit(w.t.Context()))
	if err := w.node.Ledger.Publish(w.t.Context()); err != nil && !errors.Is(err, ledger.ErrNoQuorum) {
		w.t.Fatal(err)
	}
}

func (w *world) backUp(to string) *backup.Report {
	w.t.Helper()
	r, err := w.tryBackUp(w.files, to)
	check(w.t, err)
	return r
}

func (w *world) tryBackUp(files vfs.FS, to string) (*backup.Report, error) {
	return backup.Write(w.t.Context(), backup.Options{From: w.node.Committed(), Files: files, Keys: "D/keys", To: to})
}

// restore makes R of a backup, and of what is named.
func (w *world) restore(files vfs.FS, from string, with ...string) (r *backup.RestoreReport, warnings string, err error) {
	r, err = backup.Restore{Files: files, Backup: from, To: "R", With: with, Transport: w, Warn: func(format string, args ...any) {
		warnings += fmt.Sprintf(format, args...) + "\n"
	}}.Make(w.t.Context())
	return r, warnings, err
}

// goesOn opens what was made, which shows its witnesses what is published and goes on; they
// know of one history. Receipts that were given before are of it.
func (w *world) goesOn(receipts ...proof.Receipt) {
	w.t.Helper()
	check(w.t, w.node.Close())
	w.open("R")
	w.admit(w.records.Provider("after-the-loss"))
	head := w.node.Ledger.Published().Checkpoint()
	for _, r := range receipts {
		now, err := w.node.Ledger.Receipt(w.t.Context(), r.Index)
		check(w.t, err)
		if string(now.Entry) != string(r.Entry) {
			w.t.Errorf("entry %d is another one", r.Index)
		}
		cp, _, err := proof.ParseCheckpoint(r.Checkpoint)
		check(w.t, err)
		path, err := w.node.Ledger.ConsistencyProof(w.t.Context(), cp.Size, head.Size)
		check(w.t, err)
		if err := proof.VerifyConsistency(cp.Tree(), head.Tree(), path); err != nil {
			w.t.Errorf("size %d: %v", cp.Size, err)
		}
	}
	for _, one := range w.witnesses {
		if kept, err := one.Evidence().List(); err != nil || len(kept) > 0 {
			w.t.Errorf("%s has evidence: %v, %v", one.name, kept, err)
		}
	}
}

func (w *world) receipt(index uint64) proof.Receipt {
	w.t.Helper()
	r, err := w.node.Ledger.Receipt(w.t.Context(), index)
	check(w.t, err)
	return r
}

// serve answers at http://mirror.example what the ledger serves.
func (w *world) serve() string {
	w.t.Helper()
	s, err := server.New(server.Config{Ledger: w.node.Ledger, Register: w.node.Register})
	check(w.t, err)
	w.Handle("mirror.example", s.Handler())
	return "http://mirror.example"
}

func (w *world) write(name string, data []byte) {
	w.t.Helper()
	f, err := w.files.Create(name, vfs.WriteCategoryUnspecified)
	check(w.t, err)
	_, err = f.Write(data)
	check(w.t, errors.Join(err, f.Sync(), f.Close()))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
