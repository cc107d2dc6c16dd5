package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// worldWithResponse is a world in which acme-cloud has answered a designation; the response
// is at index 4.
func worldWithResponse(t *testing.T) (*world, record.ID) {
	w := newWorld(t, "acme-cloud")
	w.admit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	response := w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"})
	w.admit(response)
	return w, record.IDOf(response.Payload)
}

// How far authorship is checked depends on what the verifier has.
func TestVerifyAuthorship(t *testing.T) {
	w, id := worldWithResponse(t)
	receipt, err := w.client().Receipt(t.Context(), id, SinglePolicy{w.policy})
	must(t, err)
	chain, err := w.client().ChainUnverified(t.Context(), id)
	must(t, err)
	pinned := w.trust(vfs.NewMem(), "trust")
	covering := w.syncedTrust()
	for _, c := range []struct {
		name       string
		file       []byte
		policies   Policies
		authorship Authorship
		holder     string
	}{
		{"receipt and policy", receipt.Text, SinglePolicy{w.policy}, AuthorshipNotChecked, ""},
		{"receipt and charter", receipt.Text, pinned, AuthorshipNotChecked, ""},
		{"chain and policy", chain, SinglePolicy{w.policy}, AuthorshipByChain, "ci"},
		{"chain and charter", chain, pinned, AuthorshipByChain, "ci"},
		{"receipt and copy", receipt.Text, covering, AuthorshipByReplay, "ci"},
		{"chain and copy", chain, covering, AuthorshipByReplay, "ci"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Verify(t.Context(), c.file, c.policies, time.Now())
			must(t, err)
			if r.ID != id || r.Index != 4 || r.Statement.Kind != record.KindResponse {
				t.Errorf("record %s, a %s at index %d", r.ID, r.Statement.Kind, r.Index)
			}
			if r.Authorship != c.authorship {
				t.Errorf("authorship %d, want %d", r.Authorship, c.authorship)
			}
			if len(r.Signers) != 1 || r.Signers[0].Holder != c.holder {
				t.Errorf("signers %v, want holder %q", r.Signers, c.holder)
			}
		})
	}
	// A copy that ends before the record does not cover it.
	w.admit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))
	later, err := w.client().Receipt(t.Context(), w.Head("response/2026-014/acme-cloud"), SinglePolicy{w.policy})
	must(t, err)
	r, err := Verify(t.Context(), later.Text, covering, time.Now())
	must(t, err)
	if r.Authorship != AuthorshipNotChecked {
		t.Errorf("beyond the copy: authorship %d", r.Authorship)
	}
}

// A revoked key's signature of before counts, and the copy says when it was revoked.
func TestVerifyRevokedLater(t *testing.T) {
	w, id := worldWithResponse(t)
	w.admit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/ci")}}}), "acme-cloud/compliance"))
	receipt, err := w.client().Receipt(t.Context(), id, SinglePolicy{w.policy})
	must(t, err)
	r, err := Verify(t.Context(), receipt.Text, w.syncedTrust(), time.Now())
	must(t, err)
	if r.Authorship != AuthorshipByReplay || r.Signers[0].Revoked != 5 {
		t.Errorf("authorship %d, revoked at %d", r.Authorship, r.Signers[0].Revoked)
	}
}

// forkedReceipt is a receipt of an entry in another history of the world's ledger: of that
// size, with another entry in the place of one, signed by the log's own key.
func forkedReceipt(t *testing.T, w *world, size, changed, index uint64) proof.Receipt {
	t.Helper()
	var entries []record.Entry
	for i := range size {
		raw, err := w.ledger.Entry(t.Context(), min(i, w.ledger.Head().Size-1)) // beyond the end anything will do
		must(t, err)
		e, err := record.ParseEntry(raw)
		must(t, err)
		if i == changed {
			e.Admitted = e.Admitted.Add(time.Millisecond)
		}
		entries = append(entries, e)
	}
	source := sourceOf(t, entries)
	note, err := source.Checkpoint(t.Context())
	must(t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(t, err)
	in, err := proof.NewTileReader(source.Tiles, -1).At(cp.Tree()).InclusionProof(t.Context(), index)
	must(t, err)
	return proof.Receipt{Entry: entries[index].Marshal(), Index: index, Path: in.Path, Checkpoint: note}
}

// A receipt of another history than the one that is trusted is a fork, whether its own
// entry differs or another one, as far as the trust directory can tell; offline and
// from the server. The error has both checkpoints, and evidence where the trees can be
// laid side by side. What is beyond the copy proves nothing against it, but a chain's own
// receipts may.
func TestVerifyFork(t *testing.T) {
	w, _ := worldWithResponse(t)
	chainOnly := w.trust(vfs.NewMem(), "trust")
	must(t, chainOnly.Refresh(t.Context(), w.client()))
	covering := w.syncedTrust()
	const none = 99
	for _, c := range []struct {
		name                 string
		size, changed, index uint64
		byCheckpoint, byCopy string // what is said with the checkpoint alone, and with a copy
		evidence             bool
		inChain              bool // a chain with another receipt of the true history shows it by itself
	}{
		{"the same history", 5, none, 2, "", "", false, false},
		{"the same size, another entry", 5, 4, 2, "fork", "fork", true, true},
		{"the same size, its own entry", 5, 2, 2, "fork", "fork", true, true},
		{"a smaller tree of the same history", 4, none, 2, "", "", false, false},
		{"a smaller tree, another entry", 4, 3, 2, "", "fork", true, true},
		{"a smaller tree, its own entry", 3, 1, 1, "", "fork", true, true},
		{"a larger tree of the same history", 7, none, 2, "", "", false, false},
		{"a larger tree, another entry", 7, 4, 2, "", "", false, false},
		{"a larger tree, its own entry", 7, 4, 4, "", "fork", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := forkedReceipt(t, w, c.size, c.changed, c.index)
			text, err := r.Format()
			must(t, err)
			chain, err := proof.FormatChain([]proof.Receipt{r, forkedReceipt(t, w, 5, none, 3)})
			must(t, err)
			for trust, want := range map[*Trust]string{chainOnly: c.byCheckpoint, covering: c.byCopy} {
				for name, file := range map[string][]byte{"receipt": text, "chain": chain} {
					_, err := Verify(t.Context(), file, trust, time.Now())
					if want == "" && name == "chain" && c.inChain {
						if fork := (*InconsistencyError)(nil); !errors.As(err, &fork) {
							t.Errorf("a chain of two histories: %v", err)
						}
						continue
					}
					checkFork(t, name, err, want, r.Checkpoint, trust.Checkpoint(), c.evidence && trust == covering || c.size == 5)
				}
			}
		})
	}
}

// checkFork wants a [InconsistencyError] that has both notes, and evidence or not.
func checkFork(t *testing.T, name string, err error, want string, shown []byte, trusted *proof.Published, evidence bool) {
	t.Helper()
	if want == "" {
		must(t, err)
		return
	}
	var fork *InconsistencyError
	if !errors.As(err, &fork) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want a %s", name, err, want)
		return
	}
	if string(fork.ShownNote) != string(shown) || string(fork.TrustedNote) != string(trusted.Note()) {
		t.Errorf("%s: the notes are of %v and %v", name, fork.Shown, fork.Trusted)
	}
	if !evidence {
		if fork.Evidence != nil {
			t.Errorf("%s: evidence out of nothing", name)
		}
		return
	}
	e, err := proof.ParseEvidence(fork.Evidence)
	must(t, err)
	if _, err := e.Verify(logKey().Key()); err != nil {
		t.Errorf("%s: the evidence: %v", name, err)
	}
}

// A server hands out receipts against its newest checkpoint: one of another history is
// a fork, one of a smaller tree of the one history is behind.
func TestReceiptFork(t *testing.T) {
	w, _ := worldWithResponse(t)
	trust := w.syncedTrust()
	const none = 99
	for _, c := range []struct {
		name                 string
		size, changed, index uint64
		want                 string
		evidence             bool
	}{
		{"the newest", 5, none, 2, "", false},
		{"the same size, another entry", 5, 4, 2, "fork", true},
		{"a smaller tree of the same history", 4, none, 2, "behind", false},
		{"a smaller tree, another entry", 4, 3, 2, "fork", true},
		{"a larger tree, its own entry", 7, 2, 2, "fork", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := forkedReceipt(t, w, c.size, c.changed, c.index)
			text, err := r.Format()
			must(t, err)
			e, err := record.ParseEntry(r.Entry)
			must(t, err)
			w.net.rewriteResponse = rewriteTo(text)
			_, err = w.client().Receipt(t.Context(), record.IDOf(e.Envelope.Payload), trust)
			var behind *BehindError
			if c.want == "behind" && errors.As(err, &behind) {
				return
			}
			checkFork(t, "receipt", err, c.want, r.Checkpoint, trust.Checkpoint(), c.evidence)
		})
	}
}

// A chain proves no more than its receipts do.
func TestVerifyChains(t *testing.T) {
	w, id := worldWithResponse(t)
	text, err := w.client().ChainUnverified(t.Context(), id)
	must(t, err)
	whole, err := proof.ParseChain(text)
	must(t, err)
	last := whole[len(whole)-1]
	for _, c := range []struct {
		name  string
		chain func() []proof.Receipt
	}{
		{"a receipt in it tampered with", func() []proof.Receipt {
			chain := append([]proof.Receipt{}, whole...)
			chain[0].Entry = append([]byte{}, chain[0].Entry...)
			chain[0].Entry[20] ^= 1
			return chain
		}},
		{"an index in it changed", func() []proof.Receipt {
			chain := append([]proof.Receipt{}, whole...)
			chain[0].Index = 3
			return chain
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := proof.FormatChain(c.chain())
			must(t, err)
			_, err = Verify(t.Context(), text, SinglePolicy{w.policy}, time.Now())
			wantRefused(t, err, "error")
		})
	}
	// Without the record that enrolled the key, the chain shows nobody's right.
	var without []proof.Receipt
	for _, r := range whole[:len(whole)-1] {
		if r.Index != 2 {
			without = append(without, r)
		}
	}
	text, err = proof.FormatChain(append(without, last))
	must(t, err)
	r, err := Verify(t.Context(), text, SinglePolicy{w.policy}, time.Now())
	must(t, err)
	if r.Authorship != AuthorshipNotChecked {
		t.Errorf("without the enrolment: authorship %d", r.Authorship)
	}
}

// A server that hands out another record's receipt, another log's, or none at all,
// is not believed.
func TestWrongReceipts(t *testing.T) {
	w, id := worldWithResponse(t)
	other, err := w.client().Receipt(t.Context(), w.Ledger, SinglePolicy{w.policy})
	must(t, err)
	_, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	must(t, err)
	foreign, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	must(t, err)
	for _, c := range []struct {
		name   string
		answer []byte
		policy *proof.Policy
	}{
		{"another record's", other.Text, w.policy},
		{"no receipt", []byte("sorry\n"), w.policy},
		{"nothing", nil, w.policy},
		{"of a log with another key", nil, foreign},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.net.rewriteResponse = nil
			if c.policy == w.policy {
				w.net.rewriteResponse = rewriteTo(c.answer)
			}
			_, err := w.client().Receipt(t.Context(), id, SinglePolicy{c.policy})
			wantRefused(t, err, "error")
		})
	}
}

// A sync that a server has left unfinished is no reason to believe what the copy's
// files disprove.
func TestForkedReceiptBesideUnfinishedSync(t *testing.T) {
	w, _ := worldWithResponse(t)
	trust := w.syncedTrust()
	text, err := forkedReceipt(t, w, 4, 3, 2).Format()
	must(t, err)
	must(t, trust.Close())
	must(t, trust.files.RemoveAll(trust.generationDir(1)))
	r, err := trust.openNext(false)
	must(t, err)
	must(t, r.Advance(r.Begin(time.Now()), [32]byte{9}))
	must(t, r.Close())
	if _, err := trust.Register(); !errors.Is(err, ErrNoCopy) {
		t.Fatalf("the copy is not unfinished: %v", err)
	}
	var fork *InconsistencyError
	if _, err := Verify(t.Context(), text, trust, time.Now()); !errors.As(err, &fork) {
		t.Errorf("a receipt of another history: %v", err)
	}
}

// The chain of what a sponsored reseller signed shows the provider that introduced it,
// or nobody could tell that it may be there.
func TestVerifyChainOfSponsored(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	e := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{w.Officer("lumen/o")}}
	w.admit(w.Sign(w.Statement("party/lumen", "lumen", e), "lumen/o", "acme-cloud/compliance"))
	keys := w.Sign(w.Statement("party/lumen", "lumen", &record.Keys{Add: []record.PartyKey{w.Officer("lumen/p")}}), "lumen/o", "lumen/p")
	w.admit(keys)
	chain, err := w.client().ChainUnverified(t.Context(), record.IDOf(keys.Payload))
	must(t, err)
	r, err := Verify(t.Context(), chain, PinnedCharter{w.Ledger}, time.Now())
	must(t, err)
	if r.Authorship != AuthorshipByChain {
		t.Errorf("authorship %d: %s", r.Authorship, r.Chain.NotShown)
	}
}

// A checkpoint is as old as the newest quorum among its cosignatures, however old
// those of other witnesses are; without a quorum there is no age.
func TestCheckAge(t *testing.T) {
	for _, c := range []struct {
		cosigned [4]time.Duration // before now; 0: not at all
		age      time.Duration
	}{
		{[4]time.Duration{time.Minute, time.Minute}, time.Minute},
		{[4]time.Duration{3 * time.Hour, time.Minute, 2 * time.Hour}, 2 * time.Hour},
		{[4]time.Duration{3 * time.Hour, 3 * time.Hour, time.Minute, 2 * time.Minute}, 2 * time.Minute},
		{[4]time.Duration{time.Minute, 3 * time.Hour, 0, 2 * time.Hour}, 2 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			text := "log " + logKey().Key().String() + "\n"
			var keys []*proof.Cosigner
			for i := range c.cosigned {
				skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example", i))
				must(t, err)
				k, err := proof.ParseCosigner(skey)
				must(t, err)
				keys = append(keys, k)
				text += fmt.Sprintf("witness w%d %s\n", i, k.Key())
			}
			policy, err := proof.ParsePolicy([]byte(text + "group two 2 w0 w1 w2 w3\nquorum two\n"))
			must(t, err)
			cp := proof.Checkpoint{Origin: origin, Size: 1}
			signed, err := proof.SignCheckpoint(cp, logKey())
			must(t, err)
			_, sigs, err := proof.ParseCheckpoint(signed.Note())
			must(t, err)
			now := time.Now().Add(3 * time.Hour)
			for ago := 3 * time.Hour; ago > 0; ago -= time.Minute {
				for i, k := range keys {
					if c.cosigned[i] == ago {
						sig, err := k.Cosign(cp)
						must(t, err)
						sigs = append(sigs, sig)
					}
				}
				time.Sleep(time.Minute)
			}
			note, err := proof.FormatNote(cp, sigs...)
			must(t, err)
			p, err := policy.Verify(note, now)
			must(t, err)
			for _, limit := range []time.Duration{0, c.age, 4 * time.Hour} {
				must(t, CheckAge(p, limit, now))
			}
			var stale *StaleError
			if err := CheckAge(p, c.age-time.Second, now); !errors.As(err, &stale) || stale.Age != c.age {
				t.Errorf("%v: %v, want the age %s", c.cosigned, err, c.age)
			}
		})
	}
	w := newWorld(t)
	must(t, CheckAge(w.ledger.Published(), time.Second, time.Now().Add(year)))
}

// A checkpoint below its quorum is not accepted, whichever way it comes, and the
// error says which witnesses are missing; what was trusted stays.
func TestBelowQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWitnessedWorld(t)
		w.admit(w.amend(w.text("l1", "w1 w2 w3")))
		trust := w.syncedTrust()
		before := trust.Checkpoint()
		w.admit(w.ImportListed("0001", w.NewListedDesignation("0001", "Entity 1")))
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			if r.URL.Path != "/checkpoint" {
				return answer
			}
			cp, sigs, err := proof.ParseCheckpoint(answer)
			must(t, err)
			note, err := proof.FormatNote(cp, slices.DeleteFunc(sigs, func(s proof.Signature) bool { return s.Name == "w1.example" || s.Name == "w3.example" })...)
			must(t, err)
			return note
		}
		for name, follow := range map[string]func() error{
			"sync":    func() error { return trust.Sync(t.Context(), w.client(), nil) },
			"refresh": func() error { return trust.Refresh(t.Context(), w.client()) },
		} {
			var short *proof.QuorumError
			if err := follow(); !errors.As(err, &short) || !slices.Equal(short.Missing, []string{"w1", "w3"}) {
				t.Errorf("%s: %v", name, err)
			}
			if trust.Checkpoint().Checkpoint() != before.Checkpoint() {
				t.Errorf("%s: size %d is trusted now", name, trust.Checkpoint().Checkpoint().Size)
			}
		}
		wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger}), "not enough cosignatures: 1 of 2 (w1, w3 missing)")
	})
}
