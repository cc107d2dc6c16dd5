package register_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

func errorAs[T error](err error, target *T) bool { return errors.As(err, target) }

// TestWindow: admitted within [issuedAt − 5 min, issuedAt + draft period], both
// ends included.
func TestWindow(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	b.Now = start.Add(time.Hour)
	env := b.Respond("1", "acme-cloud", acknowledged)
	order := b.Statement("designation/1", "authority", revocation(b, "error"))
	early, late := b.Now.Add(-5*time.Minute), b.Now.Add(days(30))

	b.Now = early.Add(-time.Millisecond)
	r := wantRefusal(t, judgeRefused(t, b, env), record.TooEarly, "the same envelope is fine at 2026-11-23T18:55:00Z")
	if !r.RetryAt.Equal(early) {
		t.Errorf("retry at %s, want %s", r.RetryAt, early)
	}
	b.Now = late.Add(time.Millisecond)
	if r := wantRefusal(t, judgeRefused(t, b, env), record.Conflict, "draft period over", "sign again"); !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	if r := wantRefusal(t, judgeRefused(t, b, b.Sign(order, officers...)), record.Conflict, "draft period over"); r.Current != b.Head("designation/1") {
		t.Errorf("current %s, want the designation", r.Current)
	}
	for _, at := range []time.Time{early, late} {
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register.Begin(at).Judge(v); err != nil {
			t.Errorf("admitted at %s: %v", at, err)
		}
	}
}

// TestClockBack: admission times never go back, and that is nobody's refusal.
func TestClockBack(t *testing.T) {
	b := registertest.NewFixture(start)
	env := b.Provider("acme-cloud")
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *record.Refusal
	if _, err := b.Register.Begin(start.Add(-time.Millisecond)).Judge(v); err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v, want an error that is no refusal", err)
	}
	if got := b.Register.LastAdmitted(); !got.Equal(start) {
		t.Errorf("last admitted %s, want %s", got, start)
	}
}

// TestFollows: two writers cannot overwrite each other.
func TestFollows(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	st := b.Statement("response/1/acme-cloud", "acme-cloud", acknowledged)
	st.Follows = record.ID{1}
	r := wantRefusal(t, judgeRefused(t, b, b.Sign(st, "acme-cloud/ci")), record.Conflict, "leave follows out")
	if !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	first, second := b.Respond("1", "acme-cloud", acknowledged), b.Respond("1", "acme-cloud", noRelationship)
	b.Must(first)
	r = wantRefusal(t, judgeRefused(t, b, second), record.Conflict, "exists")
	if want := record.IDOf(first.Payload); r.Current != want {
		t.Errorf("current %s, want %s", r.Current, want)
	}
	wantRefusal(t, judgeRefused(t, b, first), record.Conflict) // the same again is the ledger's to answer
	stale := b.Respond("1", "acme-cloud", noRelationship)
	b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: "licensed"}))
	r = wantRefusal(t, judgeRefused(t, b, stale), record.Conflict, "has moved on")
	if r.Current != b.Head("response/1/acme-cloud") {
		t.Errorf("current %s, want the newest", r.Current)
	}
	wantRefusal(t, b.Register.Begin(b.Now).Preflight(mustParse(t, stale)), record.Conflict, "has moved on")
}

// TestTransientRefusals: whoever signs first on an older copy is told what may be healed by then,
// and what never is.
func TestTransientRefusals(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	order := func(change func(*record.Designation)) *record.Designation {
		d := b.NewDesignation("Kestrel")
		change(d)
		return d
	}
	c := b.CharterPredicate
	c.Origin = "docket.example/other"
	for _, k := range []struct {
		thread, issuer string
		say            record.Predicate
		passing        bool
		words          string
	}{
		{"designation/2", "authority", order(func(d *record.Designation) { d.EffectiveFrom = ptr(today(b).AddDays(100)) }), true, "/predicate/effectiveFrom"},
		{"designation/2", "authority", order(func(d *record.Designation) { d.DeterminedOn = ptr(today(b).AddDays(1)) }), true, "is after today"},
		{"designation/2", "authority", order(func(d *record.Designation) { d.Target.Country = "ZZ" }), false, "country"},
		{"designation/ofac-sdn-2", "authority", b.NewDesignation("Kestrel"), true, "choose another name"},
		{"designation/eu-2", "authority", order(func(d *record.Designation) { d.Source = &record.Source{List: "eu", ID: "2"} }), true, "stands in no charter's imports"},
		{"response/2/acme-cloud", "acme-cloud", acknowledged, true, "there is no designation/2"},
		{"cip/nobody", "nobody", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, true, "is not enrolled"},
		{"cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b)}, false, "initial must be true"},
		{"party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("delta-racks/compliance")}}, false, "belongs to delta-racks"},
		{"charter", "authority", &c, false, "for ever"},
	} {
		r := wantRefusal(t, b.Register.Begin(b.Now).Preflight(b.Statement(k.thread, k.issuer, k.say)), record.Invalid, k.words)
		if r.Transient != k.passing {
			t.Errorf("%v: passing %t, want %t", r, r.Transient, k.passing)
		}
	}
}

func mustParse(t *testing.T, env record.Envelope) *record.Statement {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st
}
