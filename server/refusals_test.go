package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// newRefusalSigner is a key for refusals.
func newRefusalSigner(t testing.TB) *record.RefusalSigner {
	t.Helper()
	skey, _, err := proof.GenerateKey(proof.Ed25519, origin+"/refusals")
	if err != nil {
		t.Fatal(err)
	}
	s, err := record.ParseRefusalSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newRefusingWorld is an enrolled world whose charter names the key of that signer.
func newRefusingWorld(t testing.TB, set settings, providers ...string) *world {
	t.Helper()
	if set.server.Refusals == nil {
		set.server.Refusals = newRefusalSigner(t)
	}
	w := newWorld(t, set)
	w.CharterPredicate.RefusalsKey = set.server.Refusals.Key().String()
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	for _, p := range providers {
		w.mustSubmit(w.Provider(p))
	}
	return w
}

// refusalIn is the signed refusal in an answer, verified; nil if there is none.
func (w *world) refusalIn(problem map[string]any) *record.RefusalNote {
	w.t.Helper()
	text, ok := problem["refusal"].(string)
	if !ok {
		return nil
	}
	n, err := record.ParseRefusalNote([]byte(text))
	if err != nil {
		w.t.Fatalf("%v:\n%s", err, text)
	}
	if _, err := n.Verify(w.server.cfg.Refusals.Key()); err != nil {
		w.t.Fatalf("%v:\n%s", err, text)
	}
	return &n
}

// wantSignedRefusal wants a refusal that says what it is about, and which a replay judges alike.
func (w *world) wantSignedRefusal(body []byte, kind problemKind, rule string, signers ...string) record.RefusalNote {
	w.t.Helper()
	n := w.refusalIn(w.wantProblem(w.post(body), kind))
	if n == nil {
		w.t.Fatal("no refusal is signed")
	}
	env, err := record.ParseEnvelope(body)
	if err != nil {
		w.t.Fatal(err)
	}
	var keys []string
	for _, s := range signers {
		keys = append(keys, w.KeyID(s))
	}
	slices.Sort(keys)
	if n.Ledger != w.Ledger || n.Record != record.IDOf(env.Payload) || !slices.Equal(n.Keys, keys) || n.Size != w.register.Size() || n.Rule != rule {
		w.t.Fatalf("it says\n%swant rule %s, size %d, keys %v", n.Text(), rule, w.register.Size(), keys)
	}
	d, err := w.register.BeginAt(n.Size, n.Time)
	if err != nil {
		w.t.Fatal(err)
	}
	if v, err := d.Verdict(env); err != nil || v.Refused == nil || v.Refused.Rule() != n.Rule || !slices.Equal(v.Signers, n.Keys) {
		w.t.Fatalf("judged again: %+v, %v; it says\n%s", v, err, n.Text())
	}
	return *n
}

// Every class of refusal that a record with an enrolled key's signature can meet is signed.
func TestRefusalsAreSigned(t *testing.T) {
	w := newRefusingWorld(t, settings{}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
	var more []record.PartyKey
	signers := []string{"borealis/compliance"}
	for i := range 7 {
		signers = append(signers, fmt.Sprintf("borealis/ci#%d", i))
		more = append(more, w.Automation(signers[i+1]))
	}
	w.mustSubmit(w.Sign(w.Statement("party/borealis", "borealis", &record.Keys{Add: more}), signers...))
	nine := append(slices.Clone(signers), "borealis/ci")
	response := func(provider string, change func(*record.Statement)) *record.Statement {
		st := w.Statement(record.ResponseThread("2026-014", provider), provider, &record.Response{Status: "acknowledged"})
		if change != nil {
			change(st)
		}
		return st
	}
	enrolment := w.Provider("delta-racks")
	enrolment.Signatures = slices.DeleteFunc(enrolment.Signatures, func(s record.Signature) bool { return s.KeyID == w.KeyID("delta-racks/safe") })
	unlisted := make([]string, 0)
	for _, s := range w.Provider("delta-racks").Signatures {
		if s.KeyID != w.KeyID("delta-racks/safe") {
			unlisted = append(unlisted, s.KeyID)
		}
	}
	if len(unlisted) != len(enrolment.Signatures) || len(unlisted) == len(w.Provider("delta-racks").Signatures) {
		t.Fatal("delta-racks's enrolment lists no key delta-racks/safe")
	}
	for name, c := range map[string]struct {
		body    []byte
		kind    problemKind
		rule    string
		signers []string
	}{
		"a schema violated": {w.withPayloadChanged(response("borealis", nil), `"acknowledged"`, `"maybe"`, "borealis/ci"), problemInvalid, "invalid #/predicate/status", []string{"borealis/ci"}},
		"no JSON":           {w.withPayloadChanged(response("borealis", nil), `{"_type"`, `{"_type" x`, "borealis/ci"), problemInvalid, "invalid #/_type", []string{"borealis/ci"}},
		"another ledger": {w.Sign(response("borealis", func(st *record.Statement) { st.Ledger = record.IDOf([]byte("elsewhere")) }), "borealis/ci").Marshal(),
			problemInvalid, "invalid #/predicate/ledger", []string{"borealis/ci"}},
		"an issuer nobody knows": {w.Sign(w.Statement("response/2026-014/acme-clod", "acme-clod", &record.Response{Status: "acknowledged"}), "acme-cloud/ci").Marshal(),
			problemInvalid, "invalid #/predicate/issuer", []string{"acme-cloud/ci"}},
		"another party's key": {w.Sign(response("borealis", nil), "acme-cloud/ci").Marshal(), problemForbidden, "forbidden", []string{"acme-cloud/ci"}},
		"a root key":          {w.Sign(response("borealis", nil), "root/root-1").Marshal(), problemForbidden, "forbidden", []string{"root/root-1"}},
		"one officer of two":  {w.Sign(w.Statement("designation/2026-015", "authority", w.NewDesignation("Lumen")), "authority/officer-1").Marshal(), problemForbidden, "forbidden", []string{"authority/officer-1"}},
		"one with a stranger": {w.Sign(w.Statement("designation/2026-015", "authority", w.NewDesignation("Lumen")), "authority/officer-1", "stranger/key").Marshal(), problemForbidden, "forbidden", []string{"authority/officer-1"}},
		"stale follows":       {w.Sign(response("acme-cloud", func(st *record.Statement) { st.Follows = record.ID{} }), "acme-cloud/ci").Marshal(), problemConflict, "conflict", []string{"acme-cloud/ci"}},
		"a draft too old":     {w.Sign(response("acme-cloud", func(st *record.Statement) { st.IssuedAt = w.Now.Add(-31 * 24 * time.Hour) }), "acme-cloud/ci").Marshal(), problemConflict, "conflict", []string{"acme-cloud/ci"}},
		"notice too short":    {w.Designate("2026-016", w.designationTooEarly(w.NewDesignation("Lumen"))).Marshal(), problemInvalid, "invalid #/predicate/effectiveFrom", []string{"authority/officer-1", "authority/officer-2"}},
		"nine that count":     {w.Sign(response("borealis", nil), nine...).Marshal(), problemTooLarge, "too-large", nine},
		"dated ahead":         {w.Sign(response("borealis", func(st *record.Statement) { st.IssuedAt = w.Now.Add(time.Hour) }), "borealis/ci").Marshal(), problemTooEarly, "too-early", []string{"borealis/ci"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.forTest(t).wantSignedRefusal(c.body, c.kind, c.rule, c.signers...)
		})
	}
	t.Run("a listed key that did not sign", func(t *testing.T) {
		// What the enrolment's own keys proved is named too: with one more of them it is another question.
		w := w.forTest(t)
		n := w.refusalIn(w.wantProblem(w.post(enrolment.Marshal()), problemForbidden))
		slices.Sort(unlisted)
		if n == nil || !slices.Equal(n.Keys, unlisted) {
			t.Errorf("it says %+v, want the keys %v", n, unlisted)
		}
	})
}

// What is no verdict of the rules, or of nobody's whom the ledger knows, is signed by nothing.
func TestNothingElseIsSigned(t *testing.T) {
	w := newRefusingWorld(t, settings{server: Config{RefusalRate: Rate{PerSecond: 0.001, Burst: 40}}}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	st := w.Statement(record.ResponseThread("2026-014", "borealis"), "borealis", &record.Response{Status: "acknowledged"})
	stale := *st
	stale.Follows = record.IDOf([]byte("nothing"))
	signed := w.Sign(&stale, "borealis/ci")
	tooMany := "" // the limit of the address
	for name, c := range map[string]struct {
		body  []byte
		query string
		kind  problemKind
	}{
		"no envelope":             {[]byte("hello"), "", problemMalformed},
		"a stranger":              {w.Sign(st, "stranger/key").Marshal(), "", problemForbidden},
		"a stranger's enrolment":  {w.Sign(w.Statement("party/stranger", "stranger", w.enrolmentOf("stranger")), "stranger/compliance").Marshal(), "", problemForbidden},
		"a spoilt signature":      {corruptSignatures(w.Sign(st, "borealis/ci")), "", problemForbidden},
		"a stranger's schema":     {w.withPayloadChanged(st, `"acknowledged"`, `"maybe"`, "stranger/key"), "", problemInvalid},
		"a kind of the future":    {w.withPayloadChanged(st, "urn:docket:response:v1", "urn:docket:response:v2", "borealis/ci"), "", problemUnsupported},
		"a dry run":               {signed.Marshal(), "dry-run=true", problemConflict},
		"over the body's limit":   {[]byte(strings.Repeat(" ", record.MaxSubmissionBytes+1)), "", problemTooLarge},
		"over the address's rate": {signed.Marshal(), "", problemTooMany},
	} {
		if name == "over the address's rate" {
			tooMany = string(c.body)
			continue
		}
		if p := w.wantProblem(w.post(c.body, c.query), c.kind); w.refusalIn(p) != nil {
			t.Errorf("%s: a refusal is signed: %v", name, p)
		}
	}
	for range 50 {
		if r := w.post([]byte(tooMany)); r.Code == http.StatusTooManyRequests {
			if p := w.wantProblem(r, problemTooMany); w.refusalIn(p) != nil {
				t.Errorf("a refusal for its rate is signed: %v", p)
			}
			return
		}
	}
	t.Error("no limit was met")
}

func (w *world) enrolmentOf(id string) *record.Enrolment {
	return &record.Enrolment{LegalName: id, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{w.Officer(id + "/compliance"), w.Recovery(id + "/safe")}}
}

// A key that the charter does not name signs nothing: nobody could verify it.
func TestUnnamedKeySignsNoRefusals(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{Refusals: newRefusalSigner(t)}}, "acme-cloud")
	st := w.Statement("designation/2026-015", "authority", w.NewDesignation("Lumen"))
	if p := w.wantProblem(w.post(w.Sign(st, "authority/officer-1").Marshal()), problemForbidden); w.refusalIn(p) != nil {
		t.Errorf("a refusal is signed with a key that the charter does not name: %v", p)
	}
}

// The same question has the same note for a minute, as long as the register stands where it
// stood; the verdict is given anew each time.
func TestRefusalsAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRefusingWorld(t, settings{}, "acme-cloud", "borealis")
		w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
		st := w.Statement(record.ResponseThread("2026-014", "acme-cloud"), "acme-cloud", &record.Response{Status: "acknowledged"})
		st.Follows = record.IDOf([]byte("nothing"))
		env := w.Sign(st, "acme-cloud/ci")
		ask := func() string {
			t.Helper()
			n := w.wantSignedRefusal(env.Marshal(), problemConflict, "conflict", "acme-cloud/ci")
			return string(n.Format())
		}
		first := ask()
		time.Sleep(refusalNoteWindow - time.Second)
		if again := ask(); again != first {
			t.Errorf("within the minute another note:\n%s\nafter\n%s", again, first)
		}
		time.Sleep(2 * time.Second)
		later := ask()
		if later == first {
			t.Error("the note is older than a minute")
		}
		w.mustSubmit(w.Respond("2026-014", "borealis", &record.Response{Status: "acknowledged"}))
		moved := ask()
		if moved == later {
			t.Error("the register has moved on, and the note is of the size before")
		}
		// The one verdict that a note must not outlive: it is refused no more.
		early := w.Sign(w.dated(record.ResponseThread("2026-014", "acme-cloud"), time.Hour), "acme-cloud/ci")
		w.wantSignedRefusal(early.Marshal(), problemTooEarly, "too-early", "acme-cloud/ci")
		time.Sleep(time.Hour)
		if r := w.post(early.Marshal()); r.Code != http.StatusCreated {
			t.Errorf("what was dated ahead is refused still: %s", r.Body)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// dated is a response that is issued so much later than now.
func (w *world) dated(thread record.Thread, later time.Duration) *record.Statement {
	st := w.Statement(thread, "acme-cloud", &record.Response{Status: "acknowledged"})
	st.IssuedAt = time.Now().Add(later).UTC().Truncate(time.Millisecond)
	return st
}

// However many different things are refused, few notes are kept.
func TestFewRefusalsAreKept(t *testing.T) {
	notes, err := newRefusalNotes(newRefusalSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	key := "SHA256:" + strings.Repeat("A", 43)
	for i := range maxRecentRefusals + 10 {
		n := record.RefusalNote{Ledger: record.ID{1}, Record: record.IDOf(fmt.Append(nil, i)), Keys: []string{key}, Size: 1, Rule: "conflict", Time: time.Now()}
		if _, err := notes.note(n); err != nil {
			t.Fatal(err)
		}
	}
	if n := notes.recent.Len(); n != maxRecentRefusals {
		t.Errorf("%d notes are kept, want %d", n, maxRecentRefusals)
	}
}
