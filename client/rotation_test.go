package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

// year is 365 days.
const year = 365 * 24 * time.Hour

// testWitness is a strict stand-in for a witness: it cosigns only what is proven to
// continue what it cosigned before, and fails the test if it is asked for else.
type testWitness struct {
	key  *proof.Cosigner
	last proof.Tree
	gone bool // it will never answer again
}

// witnessedWorld is a world whose keys change over the years.
type witnessedWorld struct {
	*world
	store       *pebblestore.Store
	signingKeys []string // the log keys in use
	trusts      []*Trust // closed while time passes
	files       vfs.FS
	logs        map[string]*proof.Signer
	observers   map[string]*testWitness
}

// newEmptyWitnessedWorld begins a ledger with "quorum none" and the log key l1. It must be
// called in a bubble, where a year takes no time.
func newEmptyWitnessedWorld(t *testing.T) *witnessedWorld {
	t.Helper()
	w := &witnessedWorld{files: vfs.NewMem(), logs: make(map[string]*proof.Signer), observers: make(map[string]*testWitness)}
	w.world = &world{t: t}
	w.World = registertest.New(time.Now(), origin, w.text("l1", ""))
	w.signWith("l1")
	t.Cleanup(w.close)
	w.admit(w.Charter())
	w.admit(w.Authority())
	w.admit(w.Provider("acme-cloud"))
	return w
}

// text is a policy: the log's keys by name, the witnesses by name, two of them the
// quorum; none without witnesses.
func (w *witnessedWorld) text(logs, witnesses string) string {
	var b strings.Builder
	for _, name := range strings.Fields(logs) {
		fmt.Fprintf(&b, "log %s\n", w.logSigner(name).Key())
	}
	if witnesses == "" {
		return b.String() + "quorum none\n"
	}
	for _, name := range strings.Fields(witnesses) {
		if w.observers[name] == nil {
			skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, name+".example")
			must(w.t, err)
			key, err := proof.ParseCosigner(skey)
			must(w.t, err)
			w.observers[name] = &testWitness{key: key}
		}
		fmt.Fprintf(&b, "witness %s %s\n", name, w.observers[name].key.Key())
	}
	return b.String() + "group two 2 " + witnesses + "\nquorum two\n"
}

// logSigner is the log key of that name.
func (w *witnessedWorld) logSigner(name string) *proof.Signer {
	if w.logs[name] == nil {
		skey, _, err := proof.GenerateKey(proof.Ed25519, origin)
		must(w.t, err)
		w.logs[name], err = proof.ParseSigner(skey)
		must(w.t, err)
	}
	return w.logs[name]
}

// signWith starts the ledger anew with these log keys.
func (w *witnessedWorld) signWith(logs ...string) {
	w.t.Helper()
	w.close()
	options := RegisterOptions()
	options.CacheBytes, options.Health = 8<<20, registertest.Health()
	var err error
	w.register, err = register.Open(w.files, "register", options)
	must(w.t, err)
	w.store, err = pebblestore.Open(w.files, "store", pebblestore.Options{})
	must(w.t, err)
	w.signingKeys = logs
	c := ledger.Config{Origin: origin, Cosign: w.cosign}
	for _, name := range logs {
		c.Signers = append(c.Signers, w.logSigner(name))
	}
	w.ledger, err = ledger.Open(w.t.Context(), w.store, public.Fold(w.register), c)
	must(w.t, err)
	s, err := server.New(server.Config{Ledger: w.ledger, Register: w.register})
	must(w.t, err)
	w.net = &network{handler: s.Handler()}
}

// cosign asks the policy's witnesses.
func (w *witnessedWorld) cosign(ctx context.Context, ask ledger.CosignRequest) (answer ledger.CosignResponse, err error) {
	for _, m := range ask.Policy.Witnesses() {
		o := w.observers[m.Name]
		if o.gone {
			continue
		}
		if o.last.Size > 0 {
			path, err := ask.ConsistencyProof(ctx, o.last.Size)
			if err != nil {
				return answer, err
			}
			if err := proof.VerifyConsistency(o.last, ask.Tree(), path); err != nil {
				w.t.Errorf("%s is shown another history: %v", m.Name, err)
			}
		}
		cp, _, err := proof.ParseCheckpoint(ask.Signed.Note())
		if err != nil {
			return answer, err
		}
		sig, err := o.key.Cosign(cp)
		if err != nil {
			return answer, err
		}
		o.last = ask.Tree()
		answer.Cosignatures = append(answer.Cosignatures, sig)
	}
	return answer, nil
}

// close ends the ledger.
func (w *witnessedWorld) close() {
	if w.store != nil {
		must(w.t, errors.Join(w.register.Close(), w.store.Close()))
	}
	w.store = nil
}

// advanceClock lets time pass. Meanwhile nothing runs: an open Pebble looks at its
// compactions ten times a second, which makes years long.
func (w *witnessedWorld) advanceClock(d time.Duration) {
	w.t.Helper()
	for _, t := range w.trusts {
		must(w.t, t.Close())
	}
	w.close()
	time.Sleep(d)
	w.signWith(w.signingKeys...)
	w.Now = time.Now().UTC().Truncate(time.Millisecond)
}

// amend is the charter's next version with another policy, by the root keys.
func (w *witnessedWorld) amend(policy string) record.Envelope {
	w.CharterPredicate.Policy = policy
	return w.World.Charter()
}

// A ledger lives through seven years: it begins without witnesses and gets them, its
// log key is replaced and both sign meanwhile, its witnesses are replaced one by one,
// then a whole quorum of them is lost for ever, and later the log's keys, and each time
// the root keys name others. Whoever followed it, slept through it, or comes at the
// end, believes the same, and every receipt ever given still verifies.
func TestRotationsOverSevenYears(t *testing.T) {
	skipSerial(t)
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWitnessedWorld(t)
		type follower struct {
			files vfs.FS
			trust *Trust
		}
		begin := func() follower {
			f := follower{files: vfs.NewMem()}
			f.trust = w.trust(f.files, "trust")
			w.trusts = append(w.trusts, f.trust)
			return f
		}
		follows, chainOnly, sleeper, sleepingChain := begin(), begin(), begin(), begin()
		must(t, sleeper.trust.Sync(t.Context(), w.client(), nil))
		must(t, sleepingChain.trust.Refresh(t.Context(), w.client()))

		type given struct {
			file []byte
			id   record.ID
			size uint64
		}
		var receipts []given
		n := 0
		live := func() { // a record, its receipt, and the followers
			t.Helper()
			n++
			env := w.ImportListed(fmt.Sprintf("%04d", n), w.NewListedDesignation(fmt.Sprintf("%04d", n), fmt.Sprintf("Entity %d", n)))
			w.admit(env)
			must(t, follows.trust.Sync(t.Context(), w.client(), nil))
			must(t, chainOnly.trust.Refresh(t.Context(), w.client()))
			id := record.IDOf(env.Payload)
			r, err := w.client().Receipt(t.Context(), id, chainOnly.trust)
			must(t, err)
			receipts = append(receipts, given{r.Text, id, w.ledger.Published().Checkpoint().Size})
		}
		amend := func(policy string) {
			t.Helper()
			w.admit(w.amend(policy))
			live()
		}
		live()

		w.advanceClock(year) // 1: witnesses
		amend(w.text("l1", "w1 w2 w3"))
		w.advanceClock(year) // 2: another log key; both sign
		w.signWith("l1", "l2")
		amend(w.text("l1 l2", "w1 w2 w3"))
		w.advanceClock(year / 2)
		live()
		w.advanceClock(year / 2) // 3: the old log key retires
		amend(w.text("l2", "w1 w2 w3"))
		w.signWith("l2")
		live()
		w.advanceClock(year / 3) // 4: the witnesses go one by one
		amend(w.text("l2", "w4 w2 w3"))
		w.observers["w1"].gone = true
		w.advanceClock(year / 3)
		amend(w.text("l2", "w4 w5 w3"))
		w.observers["w2"].gone = true
		w.advanceClock(year / 3)
		amend(w.text("l2", "w4 w5 w6"))
		w.observers["w3"].gone = true
		live()
		w.advanceClock(year) // 5: two of three are lost
		live()
		w.observers["w4"].gone, w.observers["w5"].gone = true, true
		w.advanceClock(time.Hour)
		lost := w.ImportListed("lost", w.NewListedDesignation("lost", "Entity of the year of silence"))
		w.commit(lost)
		if err := w.ledger.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Fatalf("without a quorum: %v", err)
		}
		if err := chainOnly.trust.Refresh(t.Context(), w.client()); err != nil {
			t.Errorf("what was published stays: %v", err)
		}
		w.advanceClock(30 * 24 * time.Hour)
		amend(w.text("l2", "w7 w8 w9"))
		w.advanceClock(year) // 6: the log's own keys are lost
		live()
		w.signWith("l3")
		w.commit(w.ImportListed("keyless", w.NewListedDesignation("keyless", "Entity of the day without a key")))
		if err := w.ledger.Publish(t.Context()); !errors.Is(err, ledger.ErrNoLogKey) {
			t.Fatalf("without a log key: %v", err)
		}
		amend(w.text("l3", "w7 w8 w9"))
		w.advanceClock(year) // 7
		live()

		late := w.syncedTrust()
		w.wantSameRegister(follows.trust)
		w.wantSameRegister(late)
		must(t, sleeper.trust.Sync(t.Context(), w.client(), nil))
		w.wantSameRegister(sleeper.trust)
		must(t, sleepingChain.trust.Refresh(t.Context(), w.client()))
		lateChain := begin()
		must(t, lateChain.trust.Refresh(t.Context(), w.client()))
		for name, trust := range map[string]*Trust{
			"follows": follows.trust, "chain": chainOnly.trust, "sleeper": sleeper.trust, "sleeping chain": sleepingChain.trust, "late": late, "late chain": lateChain.trust,
		} {
			if got, want := trust.Checkpoint().Checkpoint().Tree(), w.ledger.Published().Checkpoint().Tree(); got != want {
				t.Errorf("%s: trusts size %d, want %d", name, got.Size, want.Size)
			}
			charter, err := w.client().Receipt(t.Context(), w.Ledger, trust)
			must(t, err)
			if r, err := Verify(t.Context(), charter.Text, trust, time.Now()); err != nil || r.Policy.Fingerprint() != w.ledger.Published().Policy().Fingerprint() {
				t.Errorf("%s: today's receipt of the first charter: %v", name, err)
			}
			for _, g := range receipts {
				r, err := Verify(t.Context(), g.file, trust, time.Now())
				if err != nil {
					t.Errorf("%s: the receipt of size %d: %v", name, g.size, err)
					continue
				}
				policy, err := trust.Policy(g.size)
				must(t, err)
				if r.ID != g.id || r.Policy.Fingerprint() != policy.Fingerprint() {
					t.Errorf("%s: the receipt of size %d is of %s under %s", name, g.size, r.ID, r.Policy.Fingerprint())
				}
				again, err := w.client().Receipt(t.Context(), g.id, trust) // as receipt --refresh does
				must(t, err)
				if v, err := Verify(t.Context(), again.Text, currentPolicy(w), time.Now()); err != nil || v.ID != g.id {
					t.Errorf("%s: the receipt of size %d, refreshed: %v", name, g.size, err)
				}
				chain, err := w.client().ChainUnverified(t.Context(), g.id)
				must(t, err)
				if v, err := Verify(t.Context(), chain, trust, time.Now()); err != nil || v.ID != g.id {
					t.Errorf("%s: the chain of the record of size %d: %v", name, g.size, err)
				}
			}
		}
		for _, f := range []follower{follows, chainOnly, sleeper, sleepingChain, lateChain} { // and a day later
			must(t, f.trust.Close())
			again, err := OpenTrust(f.files, "trust")
			must(t, err)
			if _, index := again.Charter(); index != w.newestCharter() {
				t.Errorf("opened again: the newest charter is at %d", index)
			}
			must(t, again.Close())
		}
		r := runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger, Trusted: late.Checkpoint()})
		if len(r.Findings) > 0 || r.Archived == 0 {
			t.Errorf("the audit found %q, comparing %d kept checkpoints", r.Findings, r.Archived)
		}
	})
}

// currentPolicy is today's policy alone, as --policy names it.
func currentPolicy(w *witnessedWorld) Policies { return SinglePolicy{w.ledger.Published().Policy()} }

// newestCharter is the index of the newest charter.
func (w *witnessedWorld) newestCharter() uint64 {
	rows, err := w.register.Charters()
	must(w.t, err)
	return slices.MaxFunc(rows, func(a, b register.RecordRow) int { return int(a.Index) - int(b.Index) }).Index
}

// commit appends and commits, and publishes nothing.
func (w *witnessedWorld) commit(env record.Envelope) {
	w.t.Helper()
	v, err := record.Open(env, w.register.CandidateKeys)
	must(w.t, err)
	_, err = w.ledger.Append(w.t.Context(), v)
	must(w.t, err)
	must(w.t, w.ledger.Commit(w.t.Context()))
	w.NoteAdmitted(env)
}
