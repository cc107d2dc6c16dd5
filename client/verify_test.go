package client

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// answered is a world in which acme-cloud has answered a designation; the response
// is at index 4.
func answered(t *testing.T) (*world, record.ID) {
	w := newWorld(t, "acme-cloud")
	w.admit(w.Designate("2026-014", w.Order("Kestrel Hosting")))
	response := w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"})
	w.admit(response)
	return w, record.IDOf(response.Payload)
}

// How far authorship is checked depends on what the verifier has.
func TestVerifyAuthorship(t *testing.T) {
	w, id := answered(t)
	receipt, err := w.client().Receipt(t.Context(), id, Fixed{w.policy})
	must(t, err)
	chain, err := w.client().Chain(t.Context(), id)
	must(t, err)
	pinned := w.trust(vfs.NewMem(), "trust")
	covering := w.synced()
	for _, c := range []struct {
		name       string
		file       []byte
		policies   Policies
		authorship Authorship
		holder     string
	}{
		{"receipt and policy", receipt.Text, Fixed{w.policy}, NotChecked, ""},
		{"receipt and charter", receipt.Text, pinned, NotChecked, ""},
		{"chain and policy", chain, Fixed{w.policy}, ByChain, "ci"},
		{"chain and charter", chain, pinned, ByChain, "ci"},
		{"receipt and copy", receipt.Text, covering, ByReplay, "ci"},
		{"chain and copy", chain, covering, ByReplay, "ci"},
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
	later, err := w.client().Receipt(t.Context(), w.Head("response/2026-014/acme-cloud"), Fixed{w.policy})
	must(t, err)
	r, err := Verify(t.Context(), later.Text, covering, time.Now())
	must(t, err)
	if r.Authorship != NotChecked {
		t.Errorf("beyond the copy: authorship %d", r.Authorship)
	}
}

// A revoked key's signature of before counts, and the copy says when it was revoked.
func TestVerifyRevokedLater(t *testing.T) {
	w, id := answered(t)
	w.admit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/ci")}}}), "acme-cloud/compliance"))
	receipt, err := w.client().Receipt(t.Context(), id, Fixed{w.policy})
	must(t, err)
	r, err := Verify(t.Context(), receipt.Text, w.synced(), time.Now())
	must(t, err)
	if r.Authorship != ByReplay || r.Signers[0].Revoked != 5 {
		t.Errorf("authorship %d, revoked at %d", r.Authorship, r.Signers[0].Revoked)
	}
}

// A receipt of the same index from another history is a fork, not a receipt.
func TestVerifyFork(t *testing.T) {
	ours, _ := answered(t)
	theirs, id := answered(t)
	receipt, err := theirs.client().Receipt(t.Context(), id, Fixed{theirs.policy})
	must(t, err)
	if _, err := Verify(t.Context(), receipt.Text, ours.synced(), time.Now()); err == nil || !strings.Contains(err.Error(), "fork") {
		t.Errorf("an entry of another history: %v", err)
	}
}

// A chain proves no more than its receipts do.
func TestVerifyChains(t *testing.T) {
	w, id := answered(t)
	text, err := w.client().Chain(t.Context(), id)
	must(t, err)
	whole, err := proof.ParseChain(text)
	must(t, err)
	last := whole[len(whole)-1]
	for _, c := range []struct {
		name  string
		chain func() []proof.Receipt
		want  string
	}{
		{"a receipt in it tampered with", func() []proof.Receipt {
			chain := append([]proof.Receipt{}, whole...)
			chain[0].Entry = append([]byte{}, chain[0].Entry...)
			chain[0].Entry[20] ^= 1
			return chain
		}, "not in the tree"},
		{"an index in it changed", func() []proof.Receipt {
			chain := append([]proof.Receipt{}, whole...)
			chain[0].Index = 3
			return chain
		}, "not in the tree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := proof.FormatChain(c.chain())
			must(t, err)
			if _, err := Verify(t.Context(), text, Fixed{w.policy}, time.Now()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one that says %q", err, c.want)
			}
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
	r, err := Verify(t.Context(), text, Fixed{w.policy}, time.Now())
	must(t, err)
	if r.Authorship != NotChecked {
		t.Errorf("without the enrolment: authorship %d", r.Authorship)
	}
}

// A server that hands out another record's receipt, another log's, or none at all,
// is not believed.
func TestWrongReceipts(t *testing.T) {
	w, id := answered(t)
	other, err := w.client().Receipt(t.Context(), w.Ledger, Fixed{w.policy})
	must(t, err)
	_, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	must(t, err)
	foreign, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	must(t, err)
	for _, c := range []struct {
		name   string
		answer []byte
		policy *proof.Policy
		want   string
	}{
		{"another record's", other.Text, w.policy, "is of record"},
		{"no receipt", []byte("sorry\n"), w.policy, "receipt"},
		{"nothing", nil, w.policy, "receipt"},
		{"of a log with another key", nil, foreign, "key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.net.rewrite = nil
			if c.policy == w.policy {
				w.net.rewrite = rewriteTo(c.answer)
			}
			_, err := w.client().Receipt(t.Context(), id, Fixed{c.policy})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one that says %q", err, c.want)
			}
		})
	}
}
