package node_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
	"github.com/seed-53cf897a/docket/witness"
)

const origin = "docket.example/2026"

// testNode is where a ledger begins: its keys, its charter, and its witness, each disk in
// memory and each host in this process.
type testNode struct {
	t       *testing.T
	keys    node.Keys
	vkeys   string
	policy  *proof.Policy
	world   *registertest.World
	charter record.Envelope

	witnessKey *proof.Cosigner
	disk       *vfs.MemFS // of the witness
	witness    *witness.Witness

	mu    sync.Mutex
	hosts map[string]http.Handler
}

// newTestNode has a witness if the quorum line asks for it, and the log's URL in its
// policy.
func newTestNode(t *testing.T, quorum string) *testNode {
	p := &testNode{t: t, keys: node.Keys{Origin: origin}, hosts: make(map[string]http.Handler), disk: vfs.NewCrashableMem()}
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, vkey, err := proof.GenerateKey(alg, origin)
		check(t, err)
		s, err := proof.ParseSigner(skey)
		check(t, err)
		p.keys.Signers = append(p.keys.Signers, s)
		p.vkeys += fmt.Sprintf("log %s http://log.example\n", vkey)
	}
	skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, "w.example")
	check(t, err)
	p.witnessKey, err = proof.ParseCosigner(skey)
	check(t, err)
	text := p.vkeys
	if quorum != "none" {
		text += "witness w " + vkey + " http://w.example\n"
	}
	text += "quorum " + quorum + "\n"
	p.policy, err = proof.ParsePolicy([]byte(text))
	check(t, err)
	p.world = registertest.New(time.Now(), origin, text)
	p.charter = p.world.Charter()
	p.world.NoteAdmitted(p.charter)
	check(t, witness.CreateState(p.witnessConfig()))
	p.openWitness()
	t.Cleanup(func() { p.witness.Close() })
	return p
}

func (p *testNode) witnessConfig() witness.Config {
	log := witness.Log{Origin: origin, QPD: 1 << 30, Contact: "log@example"}
	for _, s := range p.keys.Signers {
		log.Keys = append(log.Keys, s.Key())
	}
	return witness.Config{Keys: []witness.Key{p.witnessKey}, FS: p.disk, Dir: "w", Logs: witness.LogList{log}}
}

func (p *testNode) openWitness() {
	w, err := witness.Open(p.witnessConfig())
	check(p.t, err)
	w.LookUp(p.t.Context()) // as it does after a crash; it has nobody to ask
	p.witness = w
	p.handle("w.example", w.Handler())
}

// handle puts a handler at a host's name; nobody answers there if it is nil.
func (p *testNode) handle(host string, h http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[host] = h
}

// RoundTrip implements [http.RoundTripper].
func (p *testNode) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	h := p.hosts[r.URL.Host]
	p.mu.Unlock()
	if h == nil {
		return nil, errors.New("no route to " + r.URL.Host)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return out.Result(), nil
}

func (p *testNode) open(files vfs.FS) (*node.Node, error) {
	return node.Open(p.t.Context(), node.Config{Files: files, Dir: "d/ledger", Keys: p.keys, Cosignatures: cosignatures.Config{Transport: p}})
}

// openAndAdmit is what docket init --charter does.
func (p *testNode) openAndAdmit(files vfs.FS) (n *node.Node, silent []error, err error) {
	if n, err = p.open(files); err != nil {
		return nil, nil, err
	}
	if silent, err = n.Ledger.ProbeNewLog(p.t.Context(), p.policy); err == nil {
		_, _, err = n.Admit(p.t.Context(), p.charter)
	}
	if err != nil {
		return nil, silent, errors.Join(err, n.Close())
	}
	return n, silent, nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The power fails before each single write while a ledger begins. Beginning again
// completes it: one history, which the witness has seen, and no other.
func TestFirstCharterCrashes(t *testing.T) {
	const seed = 7
	for _, quorum := range []string{"w", "none"} {
		p := newTestNode(t, quorum)
		type crash struct{ ledger, witness *vfs.MemFS }
		var mu sync.Mutex // Pebble writes in the background too
		var crashes []crash
		rng := rand.New(rand.NewPCG(seed, 0))
		mem := vfs.NewCrashableMem()
		n, _, err := p.openAndAdmit(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				mu.Lock()
				defer mu.Unlock()
				left := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}
				crashes = append(crashes, crash{mem.CrashClone(left), p.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})})
			}
			return nil
		})))
		check(t, err)
		check(t, n.Close())
		t.Logf("quorum %s: %d crashes (seed %d)", quorum, len(crashes), seed)
		marked := 0
		for i, c := range crashes {
			if testing.Short() && i%5 != 0 {
				continue
			}
			check(t, p.witness.Close())
			p.disk = c.witness
			p.openWitness()
			names, _ := c.ledger.List("d/ledger/keys")
			marked += len(names)
			for range 2 {
				n, _, err := p.openAndAdmit(c.ledger)
				if err != nil {
					t.Fatalf("quorum %s, crash %d of %d (seed %d): %v", quorum, i, len(crashes), seed, err)
				}
				if cp := n.Ledger.Published(); cp == nil || cp.Checkpoint().Size != 1 || n.Register.Ledger() != record.IDOf(p.charter.Payload) {
					t.Errorf("quorum %s, crash %d of %d (seed %d): published %v", quorum, i, len(crashes), seed, cp)
				}
				check(t, n.Close())
			}
			if kept, err := p.witness.Evidence().List(); err != nil || len(kept) > 0 {
				t.Errorf("quorum %s, crash %d of %d (seed %d): the witness has evidence, %v, %v", quorum, i, len(crashes), seed, kept, err)
			}
		}
		if marked == 0 {
			t.Error("no crash left keys with their mark")
		}
	}
}

// What the log's own URL shows counts where nobody else can tell, and beside a quorum;
// that it says nothing is told where it is the only one.
func TestURLOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, quorum := range []string{"w", "none"} {
			p := newTestNode(t, quorum)
			n, silent, err := p.openAndAdmit(vfs.NewMem())
			check(t, err)
			if told := strings.Contains(fmt.Sprint(silent), "no route to log.example"); told != (quorum == "none") {
				t.Errorf("quorum %s: nobody answers at the URL: told %v", quorum, silent)
			}
			s, err := server.New(server.Config{Ledger: n.Ledger, Register: n.Register})
			check(t, err)
			p.handle("log.example", s.Handler())
			if quorum == "w" { // the one witness never heard of the log
				check(t, p.witness.Close())
				p.disk = vfs.NewCrashableMem()
				check(t, witness.CreateState(p.witnessConfig()))
				p.openWitness()
			}
			if _, _, err := p.openAndAdmit(vfs.NewMem()); !errors.Is(err, ledger.ErrRollback) {
				t.Errorf("quorum %s: the URL shows what these keys signed: %v", quorum, err)
			}
			other := newTestNode(t, quorum)
			other.handle("log.example", s.Handler())
			o, _, err := other.openAndAdmit(vfs.NewMem())
			if err != nil {
				t.Errorf("quorum %s: the URL shows what other keys signed: %v", quorum, err)
			} else {
				check(t, o.Close())
			}
			p.handle("log.example", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			begun := time.Now()
			another, silent, err := p.openAndAdmit(vfs.NewMem())
			if took := time.Since(begun); err != nil || took > time.Minute || quorum == "none" && len(silent) == 0 {
				t.Errorf("quorum %s: the URL hangs: %v, %v after %s", quorum, silent, err, took)
			}
			check(t, errors.Join(n.Close(), another.Close()))
		}
	})
}

// Keys are marked before they sign entries, the successors too; a marked key beside no
// store, or an empty one, is loss, whichever key it is.
func TestMarksOfKeys(t *testing.T) {
	p := newTestNode(t, "none")
	disk := vfs.NewMem()
	n, _, err := p.openAndAdmit(disk)
	check(t, err)
	check(t, n.Close())
	marks, err := disk.List("d/ledger/keys")
	check(t, err)
	if len(marks) != 2 {
		t.Errorf("marks %v, want one for each key", marks)
	}
	first := p.keys
	skey, _, err := proof.GenerateKey(proof.Ed25519, origin)
	check(t, err)
	next, err := proof.ParseSigner(skey)
	check(t, err)
	p.keys.Signers = append(p.keys.Signers[:2:2], next)
	n, err = p.open(disk)
	check(t, err)
	if marks, err = disk.List("d/ledger/keys"); err != nil || len(marks) != 2 {
		t.Errorf("marks %v of a key that has signed nothing, %v", marks, err)
	}
	_, _, err = n.Admit(t.Context(), p.world.Authority())
	check(t, errors.Join(err, n.Close()))
	if marks, err = disk.List("d/ledger/keys"); err != nil || len(marks) != 3 {
		t.Errorf("marks %v once it has, %v", marks, err)
	}
	skey, _, err = proof.GenerateKey(proof.Ed25519, origin)
	check(t, err)
	fresh, err := proof.ParseSigner(skey)
	check(t, err)
	for _, only := range []*proof.Signer{first.Signers[0], first.Signers[1], next} {
		for _, empty := range []bool{false, true} {
			check(t, disk.RemoveAll("d/ledger/store"))
			check(t, disk.RemoveAll("d/ledger/register"))
			p.keys.Signers = []*proof.Signer{only}
			if empty {
				p.keys.Signers = []*proof.Signer{fresh} // unmarked: it makes an empty store
				n, err := p.open(disk)
				check(t, err)
				check(t, n.Close())
				p.keys.Signers = []*proof.Signer{fresh, only}
			}
			if _, err := p.open(disk); !errors.Is(err, ledger.ErrRollback) {
				t.Errorf("an empty store %v beside a key that has signed: %v", empty, err)
			}
			if _, err := disk.Stat("d/ledger/store"); !empty && err == nil {
				t.Error("something was made in the place of the backup")
			}
		}
	}
}

// An auditor whom the operator names has a key and a name that nobody else has on the ledger.
func TestAuditorsHaveKeysOfTheirOwn(t *testing.T) {
	refusals := registertest.NewPrivateLog(origin + "/refusals").VKey()
	cosigner := func(name string, public any) proof.Key {
		k, err := proof.NewCosigner(name, public.(ed25519.PublicKey), nil)
		check(t, err)
		return k.Key()
	}
	for want, key := range map[string]func(*testNode) proof.Key{
		"that of this ledger's refusals": func(*testNode) proof.Key {
			k, err := proof.ParseLogKey(refusals)
			check(t, err)
			return cosigner("vigil.example", k.Public())
		},
		"that of the root set (root-1)": func(p *testNode) proof.Key {
			return cosigner("vigil.example", p.world.Signer("root/root-1").Key().Public())
		},
		"of the witness w.example in the policy":  func(p *testNode) proof.Key { return p.witnessKey.Key() },
		"of the log " + origin + " in the policy": func(p *testNode) proof.Key { return cosigner(origin, p.world.Signer("vigil").Key().Public()) },
		"": func(p *testNode) proof.Key { return cosigner("vigil.example", p.world.Signer("vigil").Key().Public()) },
	} {
		p := newTestNode(t, "w")
		p.world = registertest.New(time.Now(), origin, p.world.CharterPredicate.Policy)
		p.world.CharterPredicate.RefusalsKey = refusals
		n, err := node.Open(t.Context(), node.Config{Files: vfs.NewMem(), Dir: "d", Keys: p.keys, Auditors: []auditors.Named{{Key: key(p)}},
			Cosignatures: cosignatures.Config{Transport: p}})
		check(t, err)
		_, _, err = n.Admit(t.Context(), p.world.Charter())
		check(t, err)
		err = n.CheckAuditors()
		if want == "" && err != nil || want != "" && (!errors.Is(err, auditors.ErrOtherRole) || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
		check(t, n.Close())
	}
}
