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
	b := registertest.NewBook(start, "acme-cloud")
	b.Must(b.Designate("1", b.Order("Kestrel")))
	b.Now = start.Add(time.Hour)
	env := b.Respond("1", "acme-cloud", ack)
	order := b.Statement("designation/1", "authority", lift(b, "error"))
	early, late := b.Now.Add(-5*time.Minute), b.Now.Add(days(30))

	b.Now = early.Add(-time.Millisecond)
	r := refused(t, forge(t, b, env), record.TooEarly, "the same envelope is fine at 2026-11-23T18:55:00Z")
	if !r.RetryAt.Equal(early) {
		t.Errorf("retry at %s, want %s", r.RetryAt, early)
	}
	b.Now = late.Add(time.Millisecond)
	if r := refused(t, forge(t, b, env), record.Conflict, "draft period over", "sign again"); !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	if r := refused(t, forge(t, b, b.Sign(order, officers...)), record.Conflict, "draft period over"); r.Current != b.Head("designation/1") {
		t.Errorf("current %s, want the designation", r.Current)
	}
	for _, at := range []time.Time{early, late} {
		v, err := record.Open(env, b.Register.Candidates)
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
	b := registertest.NewBook(start)
	env := b.Provider("acme-cloud")
	v, err := record.Open(env, b.Register.Candidates)
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
	b := registertest.NewBook(start, "acme-cloud")
	b.Must(b.Designate("1", b.Order("Kestrel")))
	st := b.Statement("response/1/acme-cloud", "acme-cloud", ack)
	st.Follows = record.ID{1}
	r := refused(t, forge(t, b, b.Sign(st, "acme-cloud/ci")), record.Conflict, "leave follows out")
	if !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	first, second := b.Respond("1", "acme-cloud", ack), b.Respond("1", "acme-cloud", nobody)
	b.Must(first)
	r = refused(t, forge(t, b, second), record.Conflict, "exists")
	if want := record.IDOf(first.Payload); r.Current != want {
		t.Errorf("current %s, want %s", r.Current, want)
	}
	refused(t, forge(t, b, first), record.Conflict) // the same again is the ledger's to answer
	stale := b.Respond("1", "acme-cloud", nobody)
	b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: "licensed"}))
	r = refused(t, forge(t, b, stale), record.Conflict, "has moved on")
	if r.Current != b.Head("response/1/acme-cloud") {
		t.Errorf("current %s, want the newest", r.Current)
	}
	refused(t, b.Register.Begin(b.Now).Preflight(mustParse(t, stale)), record.Conflict, "has moved on")
	soon := b.Order("Kestrel")
	soon.EffectiveFrom = ptr(today(b).AddDays(100))
	refused(t, b.Register.Begin(b.Now).Preflight(b.Statement("designation/2", "authority", soon)), record.Invalid, "/predicate/effectiveFrom")
}

func mustParse(t *testing.T, env record.Envelope) *record.Statement {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st
}
