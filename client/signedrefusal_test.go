package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// submitRefused submits a record that is refused.
func (w *world) submitRefused(env record.Envelope, p Policies) *Problem {
	w.t.Helper()
	_, err := w.client().Submit(w.t.Context(), env.Marshal(), p, Retry{})
	var problem *Problem
	if !errors.As(err, &problem) {
		w.t.Fatalf("no refusal: %v", err)
	}
	return problem
}

// oneOfTwo is a designation that one officer signed, where two have to.
func (w *world) oneOfTwo(name string) record.Envelope {
	w.Now = time.Now()
	return w.Sign(w.Statement(record.DesignationThread(name), record.Authority, w.NewDesignation("Kestrel Hosting")), "authority/officer-1")
}

// What a server refused can be shown: it is this ledger's word, and a copy says whether the rules
// say the same, whatever came afterwards.
func TestSignedRefusal(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	trust := w.syncedTrust()
	env := w.oneOfTwo("2026-014")
	p := w.submitRefused(env, trust)
	if p.Refusal == nil || p.RefusalFault != nil {
		t.Fatalf("no refusal that verifies: %v", p.RefusalFault)
	}
	check := func(env record.Envelope, unnamed ...string) {
		t.Helper()
		r, err := trust.VerifyRefusal(p.Refusal.Text, env)
		must(t, err)
		if r.NotJudged != "" || r.Finding != "" || r.Refused == nil || r.Refused.Class != record.Forbidden || len(r.Signers) != 1 || r.Signers[0].Party != record.Authority || !slices.Equal(r.Unnamed, unnamed) {
			t.Errorf("it says %+v, and names not %v", r, unnamed)
		}
	}
	check(env)

	// The second officer signs the same record: what was refused was refused rightly, and
	// stays so once it is on the ledger.
	both := w.SignAs(env, "authority/officer-2")
	check(both, w.KeyID("authority/officer-2"))
	_, err := w.client().Submit(t.Context(), both.Marshal(), trust, Retry{})
	must(t, err)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	check(both, w.KeyID("authority/officer-2"))

	// Nothing comes unverified: with a policy alone there is no charter that names the key.
	if p := w.submitRefused(w.oneOfTwo("2026-015"), SinglePolicy{w.policy}); p.Refusal != nil || p.RefusalFault != nil {
		t.Errorf("with a policy alone: %+v", p)
	}
}

// A refusal of a size that the copy has not reached is the ledger's word all the same.
func TestRefusalBeyondTheCopy(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	bare, synced := w.trust(vfs.NewMem(), "trust"), w.syncedTrust()
	w.growTo(9)
	env := w.oneOfTwo("2026-014")
	for name, trust := range map[string]*Trust{"no copy": bare, "a copy of less": synced} {
		p := w.submitRefused(env, trust)
		if p.Refusal == nil {
			t.Fatalf("%s: %v", name, p.RefusalFault)
		}
		r, err := trust.VerifyRefusal(p.Refusal.Text, env)
		if err != nil || r.NotJudged == "" || r.Finding != "" || r.Refused != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		must(t, trust.Sync(t.Context(), w.client(), nil))
		if r, err = trust.VerifyRefusal(p.Refusal.Text, env); err != nil || r.NotJudged != "" || r.Finding != "" || r.Refused == nil {
			t.Errorf("%s, synced: %+v, %v", name, r, err)
		}
	}
}

// A ledger that signs a refusal which its own rules do not give has signed what convicts it.
func TestRefusalAgainstTheRules(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	signedTwo := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	published := w.Designate("2026-015", w.NewDesignation("Lumen Resale"))
	w.admit(published)
	one := w.oneOfTwo("2026-016")
	size := w.ledger.Head().Size
	trust := w.syncedTrust()
	officers := []string{w.KeyID("authority/officer-1"), w.KeyID("authority/officer-2")}
	slices.Sort(officers)
	first, err := w.register.Record(size - 1)
	must(t, err)
	for name, c := range map[string]struct {
		env    record.Envelope
		change func(*record.RefusalNote)
		rule   string // what the rules say instead; "" where it is admissible, or they are not asked
	}{
		"admissible":             {signedTwo, func(n *record.RefusalNote) {}, ""},
		"by another rule":        {one, func(n *record.RefusalNote) { n.Rule, n.Keys = "invalid #/predicate/target", officers[:1] }, "forbidden"},
		"on the ledger already":  {published, func(n *record.RefusalNote) {}, ""},
		"before its time":        {signedTwo, func(n *record.RefusalNote) { n.Time = first.Admitted.Add(-time.Millisecond) }, ""},
		"by a size left behind":  {signedTwo, func(n *record.RefusalNote) { n.Size, n.Time = 1, time.Now().Add(time.Hour) }, ""},
		"before it was enrolled": {signedTwo, func(n *record.RefusalNote) { n.Size, n.Time = 2, time.Now() }, ""},
	} {
		n := record.RefusalNote{Ledger: w.Ledger, Record: record.IDOf(c.env.Payload), Keys: officers, Size: size, Rule: "forbidden", Time: time.Now()}
		if c.change(&n); len(n.Keys) == 1 {
			n.Keys = []string{w.KeyID("authority/officer-1")}
		}
		signed, err := refusalSigner().Sign(n)
		must(t, err)
		r, err := trust.VerifyRefusal(signed.Format(), c.env)
		must(t, err)
		switch {
		case r.Finding == "" || r.NotJudged != "":
			t.Errorf("%s: no finding: %+v", name, r)
		case c.rule == "" && r.Refused != nil, c.rule != "" && (r.Refused == nil || r.Refused.Rule() != c.rule):
			t.Errorf("%s: the rules say %v, want %q", name, r.Refused, c.rule)
		}
		t.Logf("%s: %s", name, r.Finding)
	}
}

// A refusal is of one record of one ledger, signed by one key.
func TestRefusalOfSomethingElse(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	trust := w.syncedTrust()
	env := w.oneOfTwo("2026-014")
	p := w.submitRefused(env, trust)
	note := p.Refusal.Note()
	sign := func(by *record.RefusalSigner, change func(*record.RefusalNote)) []byte {
		n := note
		change(&n)
		signed, err := by.Sign(n)
		must(t, err)
		return signed.Format()
	}
	same := func(*record.RefusalNote) {}
	for name, c := range map[string]struct {
		file []byte
		env  record.Envelope
	}{
		"another record":                {p.Refusal.Text, w.oneOfTwo("2026-015")},
		"another ledger":                {sign(refusalSigner(), func(n *record.RefusalNote) { n.Ledger = record.IDOf([]byte("elsewhere")) }), env},
		"another key of that name":      {sign(newRefusalSigner(origin+"/refusals"), same), env},
		"a signature that is not there": {p.Refusal.Text, w.SignAs(record.Envelope{PayloadType: env.PayloadType, Payload: env.Payload}, "authority/officer-2")},
		"no refusal":                    {[]byte("no refusal\n"), env},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := trust.VerifyRefusal(c.file, c.env)
			if err == nil {
				t.Fatalf("it says %+v", r)
			}
			wantRefused(t, err, "error")
		})
	}
}

// Each refusal is verified with the key of the charter in force at its size.
func TestRefusalsKeyIsReplaced(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	trust := w.syncedTrust()
	env := w.oneOfTwo("2026-014")
	before := w.submitRefused(env, trust).Refusal
	next := newRefusalSigner(origin + "/refusals")
	w.CharterPredicate.RefusalsKey = next.Key().String()
	w.Now = time.Now()
	_, err := w.client().Submit(t.Context(), w.Charter().Marshal(), trust, Retry{})
	must(t, err)

	n := before.Note()
	n.Size++
	n.Time = time.Now()
	after, err := next.Sign(n)
	must(t, err)
	if _, err := trust.VerifyRefusal(after.Format(), env); err == nil {
		t.Error("a key that the trust directory does not know yet is believed")
	} else {
		wantRefused(t, err, "error") // it says that a sync may help
	}
	must(t, trust.Sync(t.Context(), w.client(), nil))
	for name, file := range map[string][]byte{"before": before.Text, "after": after.Format()} {
		if r, err := trust.VerifyRefusal(file, env); err != nil || r.Refused == nil || r.Finding != "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	n.Size--
	if late, err := next.Sign(n); err != nil {
		t.Error(err)
	} else if _, err := trust.VerifyRefusal(late.Format(), env); err == nil {
		t.Error("the new key signs for the time of the old one")
	}
	if p := w.submitRefused(w.oneOfTwo("2026-015"), trust); p.Refusal != nil {
		t.Error("the server signs with a key that the charter names no more")
	}
}

// A server may answer with any note: none that is not about this record, now, is handed on.
func TestRefusalsFromDishonestServer(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	trust := w.syncedTrust()
	env := w.oneOfTwo("2026-014")
	for name, change := range map[string]func(*record.RefusalNote){
		"of another record": func(n *record.RefusalNote) { n.Record = record.IDOf([]byte("another")) },
		"of another ledger": func(n *record.RefusalNote) { n.Ledger = record.IDOf([]byte("elsewhere")) },
		"by another rule":   func(n *record.RefusalNote) { n.Rule = "conflict" },
		"of long ago":       func(n *record.RefusalNote) { n.Time = n.Time.Add(-time.Hour) },
		"of a time to come": func(n *record.RefusalNote) { n.Time = n.Time.Add(time.Hour) },
		"of a size before":  func(n *record.RefusalNote) { n.Size-- },
		"altered":           nil,
	} {
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			var p map[string]any
			if r.Method != http.MethodPost || json.Unmarshal(answer, &p) != nil {
				return answer
			}
			n, err := record.ParseRefusalNote([]byte(p["refusal"].(string)))
			must(t, err)
			if change == nil {
				p["refusal"] = string(bytes.Replace(n.Format(), []byte("rule forbidden"), []byte("rule conflict"), 1))
			} else {
				change(&n)
				signed, err := refusalSigner().Sign(n)
				must(t, err)
				p["refusal"] = string(signed.Format())
			}
			answer, err = json.Marshal(p)
			must(t, err)
			return answer
		}
		p := w.submitRefused(env, trust)
		if p.Refusal != nil || p.RefusalFault == nil {
			t.Errorf("a refusal %s is handed on: %+v", name, p)
			continue
		}
		t.Logf("%s: %v", name, p.RefusalFault)
	}
}
