package register_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var officers = []string{"authority/officer-1", "authority/officer-2"}

// TestDates: notice, response and term at their edges, with the earliest date
// that would do. Today is 23 November 2026.
func TestDates(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	for _, c := range []struct {
		name     string
		change   func(*record.Designation)
		earliest string
		want     string // "" = admitted
	}{
		{"determined today", func(d *record.Designation) { d.DeterminedOn = ptr(today(b)) }, "", ""},
		{"determined tomorrow", func(d *record.Designation) { d.DeterminedOn = ptr(today(b).AddDays(1)) }, "", "invalid /predicate/determinedOn"},
		{"notice of 180 days", func(d *record.Designation) {
			d.EffectiveFrom, d.EffectiveUntil = ptr(today(b).AddDays(180)), ptr(today(b).AddDays(500))
		}, "", ""},
		{"notice of 179 days", func(d *record.Designation) { d.EffectiveFrom = ptr(today(b).AddDays(179)) }, "2027-05-22", "invalid /predicate/effectiveFrom"},
		{"answers in 30 days", func(d *record.Designation) { d.ResponseDue = ptr(today(b).AddDays(30)) }, "", ""},
		{"answers in 29 days", func(d *record.Designation) { d.ResponseDue = ptr(today(b).AddDays(29)) }, "2026-12-23", "invalid /predicate/responseDue"},
		{"no answers", func(d *record.Designation) { d.ResponseDue = nil }, "", ""},
		{"a year", func(d *record.Designation) {
			d.EffectiveUntil = ptr(d.EffectiveFrom.Add(record.Period{Years: 1}).AddDays(-1))
		}, "", ""},
		{"a year and a day", func(d *record.Designation) { d.EffectiveUntil = ptr(d.EffectiveFrom.Add(record.Period{Years: 1})) }, "", "invalid /predicate/effectiveUntil"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := b.NewDesignation("Kestrel")
			c.change(d)
			v, err := record.Open(b.Designate("1", d), b.Register.CandidateKeys)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Register.Begin(b.Now).Judge(v)
			if c.want == "" {
				if err != nil {
					t.Errorf("not admitted: %v", err)
				}
				return
			}
			if r := wantRefusal(t, err, c.want); r.Earliest != c.earliest {
				t.Errorf("earliest %q, want %q", r.Earliest, c.earliest)
			}
		})
	}
}

func suspend(b *registertest.Fixture, in int, until *record.Date) *record.Suspension {
	return &record.Suspension{EffectiveOn: today(b).AddDays(in), Until: until, Reason: "talks"}
}

func reinstate(b *registertest.Fixture, in int) *record.Reinstatement {
	return &record.Reinstatement{EffectiveOn: today(b).AddDays(in), Reason: "talks ended"}
}

func revocation(b *registertest.Fixture, cause string) *record.Revocation {
	return &record.Revocation{EffectiveOn: today(b), Cause: cause, Reason: "test"}
}

// TestLife walks a designation through its states: each step that the state does
// not allow is a conflict that names the newest record.
func TestLife(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	const thread = "designation/1"
	not := func(p record.Predicate, want string) {
		t.Helper()
		env, _ := sign(b, thread, "authority", p, officers...)
		r := wantRefusal(t, judgeRefused(t, b, env), want)
		if want == "conflict" && r.Current != b.Head(thread) {
			t.Errorf("current %s, want %s", r.Current, b.Head(thread))
		}
	}
	step := func(p record.Predicate) {
		t.Helper()
		mustSubmit(t, b, thread, "authority", p, officers...)
	}
	not(suspend(b, 0, nil), "invalid /predicate/thread")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	not(b.NewDesignation("Kestrel"), "conflict")
	not(reinstate(b, 0), "conflict")
	not(suspend(b, -1, nil), "invalid /predicate/effectiveOn")
	not(suspend(b, 3650, nil), "invalid /predicate/effectiveOn")
	not(revocation(b, "delisted"), "invalid /predicate/cause")

	step(suspend(b, 10, ptr(today(b).AddDays(20)))) // announced
	not(suspend(b, 10, nil), "conflict")
	not(reinstate(b, 21), "invalid /predicate/effectiveOn")
	b.Now = b.Now.Add(days(21)) // it is over, by the clock alone
	not(reinstate(b, 0), "conflict")
	step(suspend(b, 0, nil))
	b.Now = b.Now.Add(days(100))
	not(suspend(b, 0, nil), "conflict")
	step(reinstate(b, 5))
	not(reinstate(b, 5), "conflict")

	b.Now = b.Now.Add(days(10)) // reinstated for a while: the rest of the pause comes back by the clock
	step(suspend(b, 0, ptr(today(b).AddDays(30))))
	step(&record.Reinstatement{EffectiveOn: today(b), Until: ptr(today(b).AddDays(5)), Reason: "x"})
	not(suspend(b, 0, nil), "conflict")
	b.Now = b.Now.Add(days(7))
	step(reinstate(b, 0))
	not(reinstate(b, 0), "conflict")

	expired := registertest.NewFixture(start)
	expired.Must(expired.Designate("1", expired.NewDesignation("Kestrel")))
	expired.Now = start.Add(days(190 + 366))
	for _, p := range []record.Predicate{suspend(expired, 0, nil), reinstate(expired, 0), &record.Amendment{Type: "alias", Reason: "x", Add: addAlias("K")}} {
		env, _ := sign(expired, thread, "authority", p, officers...)
		wantRefusal(t, judgeRefused(t, expired, env), "conflict")
	}
	mustSubmit(t, expired, thread, "authority", revocation(expired, "error"), officers...)

	step(revocation(b, "lifted"))
	for _, p := range []record.Predicate{revocation(b, "error"), suspend(b, 0, nil), reinstate(b, 0), &record.Amendment{Type: "alias", Reason: "x", Add: addAlias("K")}} {
		not(p, "conflict")
	}
	not(b.NewDesignation("Kestrel"), "conflict")
	b.Must(b.Respond("1", "acme-cloud", acknowledged)) // history may be answered
}

func addAlias(name string) schema.Object {
	return schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{
		schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}},
	}}}}}
}

func setMember(name string, value any) schema.Object {
	return schema.Object{{Name: name, Value: value}}
}

// TestImports: threads belong to lists; what was delisted may come back.
func TestImports(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	env := b.Designate("ofac-sdn-77", b.NewDesignation("Kestrel"))
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/thread")
	other := b.NewListedDesignation("77", "X")
	other.Source.List = "eu-cfsp"
	env, _ = sign(b, "designation/eu-cfsp-77", "authority", other, officers...)
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/source/list")
	env, keys := sign(b, "designation/eu-cfsp-77", "authority", other, "authority/nightly-import")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	late := b.NewListedDesignation("77", "X")
	late.DeterminedOn = ptr(today(b).AddDays(1))
	wantRefusal(t, judgeRefused(t, b, b.ImportListed("77", late)), "invalid /predicate/determinedOn")

	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	rename := &record.Amendment{Type: "correction", Reason: "changed on the list", Set: setMember("target", setMember("name", "AERO-CARIBBEAN"))}
	b.Must(b.ImportListed("36", rename))
	wantRefusal(t, judgeRefused(t, b, b.ImportListed("36", b.NewListedDesignation("36", "AERO-CARIBBEAN"))), "conflict")
	for _, a := range []*record.Amendment{
		{Type: "scope", Reason: "x", Set: setMember("scope", setMember("successors", true)), ResponseDue: ptr(today(b).AddDays(99))},
		{Type: "correction", Reason: "x", Set: setMember("program", []any{"CUBA"}), Reopens: true},
	} {
		wantRefusal(t, judgeRefused(t, b, b.ImportListed("36", a)), "invalid /predicate/reopens")
	}
	wrong := &record.Amendment{Type: "correction", Reason: "x", Set: setMember("program", []any{"CUBA"}), Source: &record.Source{List: "ofac-sdn", ID: "37"}}
	st := b.Statement("designation/ofac-sdn-36", "authority", wrong)
	if _, err := record.EncodeStatement(st); err == nil {
		t.Error("an amendment with another entity's source was encoded")
	}

	b.Must(b.ImportListed("36", revocation(b, "delisted")))
	back := b.NewListedDesignation("36", "AERO CARIBBEAN S.A.")
	b.Must(b.ImportListed("36", back))
	b.Must(b.ImportListed("36", revocation(b, "lifted")))
	wantRefusal(t, judgeRefused(t, b, b.ImportListed("36", back)), "conflict")
	names := strings.Join(indexedNames(t, b, "designation/ofac-sdn-36"), "; ")
	if want := "aero caribbean sa; aero caribbean; aerocaribbean airlines"; !sameWords(names, want) {
		t.Errorf("found by %q, want %q", names, want)
	}
}

// TestRelistedAsAnother: (list, id) is what stands on a thread for ever, also where
// lists come and go until another one spells the same thread.
func TestRelistedAsAnother(t *testing.T) {
	b := registertest.NewFixture(start)
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	b.Must(b.ImportListed("36", revocation(b, "delisted")))
	b.Must(charterEnvelope(b, func(c *record.Charter) { c.Imports = []record.ImportList{{List: "ofac", MaxRemovedPercent: 2}} }, "root/root-1", "root/root-2"))
	other := b.NewListedDesignation("36", "X")
	other.Source = &record.Source{List: "ofac", ID: "sdn-36"}
	wantRefusal(t, judgeRefused(t, b, b.ImportListed("36", other)), "invalid /predicate/source")
	b.Must(charterEnvelope(b, unchanged, "root/root-1", "root/root-2"))
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "X")))
}

// TestAmendments: what an amendment does to the dates.
func TestAmendments(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel"))) // announced for 1 June 2027, until 31 May 2028, due 8 January 2027
	day := func(n int) string { return today(b).AddDays(n).String() }
	for _, c := range []struct {
		name string
		a    record.Amendment
		want string // "" = admitted
	}{
		{"alias", record.Amendment{Type: "alias", Add: addAlias("K")}, ""},
		{"new effectiveFrom with notice", record.Amendment{Type: "correction", Set: setMember("effectiveFrom", day(181))}, "invalid /predicate/effectiveUntil"},
		{"both moved", record.Amendment{Type: "correction", Set: append(setMember("effectiveFrom", day(181)), schema.Member{Name: "effectiveUntil", Value: day(500)})}, ""},
		{"new effectiveFrom without notice", record.Amendment{Type: "correction", Set: setMember("effectiveFrom", day(179))}, "invalid /predicate/effectiveFrom"},
		{"later determinedOn", record.Amendment{Type: "correction", Set: setMember("determinedOn", day(1))}, "invalid /predicate/set/determinedOn"},
		{"stricter, with notice", record.Amendment{Type: "correction", Set: setMember("action", "prohibit")}, ""},
		{"deadline moved", record.Amendment{Type: "deadline", Set: setMember("responseDue", day(60))}, ""},
		{"scope with time to answer", record.Amendment{Type: "scope", Set: setMember("scope", setMember("successors", true)), ResponseDue: ptr(today(b).AddDays(30))}, ""},
		{"scope without", record.Amendment{Type: "scope", Set: setMember("scope", setMember("successors", true)), ResponseDue: ptr(today(b).AddDays(29))}, "invalid /predicate/responseDue"},
		{"re-opened without a day", record.Amendment{Type: "correction", Set: setMember("findings", []any{"f"}), Reopens: true}, "invalid /predicate/responseDue"},
		{"corrected to a longer time", record.Amendment{Type: "correction", Set: setMember("effectiveUntil", "2028-06-01")}, "invalid /predicate/effectiveUntil"},
		{"corrected to a shorter time", record.Amendment{Type: "correction", Set: setMember("effectiveUntil", "2028-01-01")}, ""},
		{"extended by a term", record.Amendment{Type: "extension", Set: setMember("effectiveUntil", "2029-05-31")}, ""},
		{"extended by more", record.Amendment{Type: "extension", Set: setMember("effectiveUntil", "2029-06-01")}, "invalid /predicate/set/effectiveUntil"},
		{"a source on what was not imported", record.Amendment{Type: "correction", Set: setMember("findings", []any{"f"}), Source: &record.Source{List: "ofac-sdn", ID: "1"}}, "invalid /predicate/thread"},
		{"no such country", record.Amendment{Type: "target-detail", Set: setMember("target", setMember("country", "QQ"))}, "invalid /predicate/target/country"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.a.Reason = "test"
			err := judgeOnly(b, "designation/1", &c.a, officers...)
			if c.want == "" {
				if err != nil {
					t.Errorf("not admitted: %v", err)
				}
				return
			}
			wantRefusal(t, err, c.want)
		})
	}

	// In force, a stricter action needs notice again, so it moves effectiveFrom.
	b.Now = start.Add(days(200))
	strict := &record.Amendment{Type: "correction", Reason: "x", Set: setMember("action", "prohibit")}
	wantRefusal(t, judgeOnly(b, "designation/1", strict, officers...), "invalid /predicate/effectiveFrom")
	strict.Set = append(strict.Set, schema.Member{Name: "effectiveFrom", Value: day(180)})
	if err := judgeOnly(b, "designation/1", strict, officers...); err != nil {
		t.Error(err)
	}

	// An extension comes before the last day; two of them may follow one another,
	// and a later correction is not held to the first term.
	extend := func(until string) *record.Amendment {
		return &record.Amendment{Type: "extension", Reason: "x", Set: setMember("effectiveUntil", until)}
	}
	b.Now = start.Add(days(190 + 365))
	wantRefusal(t, judgeOnly(b, "designation/1", extend("2029-01-01"), officers...), "conflict")
	b.Now = b.Now.Add(-days(1))
	mustSubmit(t, b, "designation/1", "authority", extend("2029-05-31"), officers...)
	mustSubmit(t, b, "designation/1", "authority", extend("2030-05-31"), officers...)
	mustSubmit(t, b, "designation/1", "authority", &record.Amendment{Type: "correction", Reason: "x", Set: setMember("effectiveUntil", "2030-05-30")}, officers...)
}

// judgeOnly judges and drops.
func judgeOnly(b *registertest.Fixture, thread record.Thread, p record.Predicate, keys ...string) error {
	env, err := encode(b, thread, p, keys)
	if err != nil {
		return err
	}
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		return err
	}
	_, err = b.Register.Begin(b.Now).Judge(v)
	return err
}

func encode(b *registertest.Fixture, thread record.Thread, p record.Predicate, keys []string) (record.Envelope, error) {
	st := b.Statement(thread, "authority", p)
	if _, err := record.EncodeStatement(st); err != nil {
		return record.Envelope{}, err
	}
	return b.Sign(st, keys...), nil
}

// TestResponses: the subject stands on the designation's thread, conditions exist.
func TestResponses(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	wantRefusal(t, judgeRefused(t, b, b.Respond("1", "acme-cloud", acknowledged)), "invalid /predicate/thread")
	first := b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	other := b.Must(b.Designate("2", b.NewDesignation("Other")))
	mustSubmit(t, b, "designation/1", "authority", &record.Amendment{Type: "alias", Reason: "x", Add: addAlias("K")}, officers...)
	about := func(e record.Entry, r *record.Response) record.Envelope {
		st := b.Statement("response/1/acme-cloud", "acme-cloud", r)
		st.Subject.SHA256 = record.IDOf(e.Envelope.Payload)
		return b.Sign(st, "acme-cloud/ci")
	}
	wantRefusal(t, judgeRefused(t, b, about(other, acknowledged)), "invalid /subject/0/digest/sha256")
	wantRefusal(t, judgeRefused(t, b, about(record.Entry{Envelope: record.Envelope{Payload: []byte("?")}}, acknowledged)), "invalid /subject/0/digest/sha256")
	wantRefusal(t, judgeRefused(t, b, b.Respond("1", "acme-cloud", &record.Response{Status: "conditions-met", Conditions: []string{"c1", "c3"}})), "invalid /predicate/conditions/1")
	b.Must(about(first, acknowledged)) // an older record of the thread is admitted
	b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: "conditions-met", Conditions: []string{"c1", "c2"}}))
}

// TestCertifications: `initial` is the first on the thread, and only that.
func TestCertifications(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	cip := func(initial bool) record.Envelope {
		return b.Sign(b.Statement("cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: initial}), "acme-cloud/compliance")
	}
	wantRefusal(t, judgeRefused(t, b, cip(false)), "invalid /predicate/initial")
	b.Must(cip(true))
	b.Must(cip(false))
}

// TestMidnight: a day begins and ends at 24:00 in the charter's time zone, New York,
// for every date that judges a record (RECORDS.md "Dates"). Each case holds in the
// last millisecond of a day or in the first of the next, and not in the other.
func TestMidnight(t *testing.T) {
	zone := time.FixedZone("EST", -5*3600)
	midnight := time.Date(2026, 12, 1, 24, 0, 0, 0, zone)
	next := record.Date{Year: 2026, Month: 12, Day: 2}
	before, after := midnight.Add(-time.Millisecond), midnight
	b := registertest.NewFixture(midnight.Add(-days(1)), "acme-cloud", "borealis")
	dated := b.Officer("acme-cloud/dated")
	dated.NotAfter = ptr(next.AddDays(-1))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{dated}}, "acme-cloud/compliance", "acme-cloud/dated")
	mustSubmit(t, b, "party/borealis", "authority", &record.Standing{Status: "suspended", EffectiveOn: next, Reason: "x"}, "authority/officer-1")
	listed := b.NewListedDesignation("36", "X")
	listed.EffectiveUntil = ptr(next.AddDays(-1))
	b.Must(b.ImportListed("36", listed))
	order := func(change func(*record.Designation)) *record.Designation {
		d := b.NewDesignation("Kestrel")
		d.DeterminedOn, d.EffectiveFrom, d.EffectiveUntil, d.ResponseDue = ptr(next.AddDays(-9)), ptr(next.AddDays(300)), ptr(next.AddDays(400)), ptr(next.AddDays(90))
		change(d)
		return d
	}
	b.Must(b.Designate("1", order(func(*record.Designation) {})))
	certify := &record.CIPCertification{PeriodFrom: next.AddDays(-1), PeriodUntil: next.AddDays(-1), Initial: true}

	for _, c := range []struct {
		name          string
		thread        record.Thread
		issuer        string
		say           record.Predicate
		keys          []string
		before, after bool
	}{
		{"determined on the next day", "designation/2", "authority", order(func(d *record.Designation) { d.DeterminedOn = &next }), officers, false, true},
		{"180 days from this day", "designation/2", "authority", order(func(d *record.Designation) { d.EffectiveFrom = ptr(next.AddDays(179)) }), officers, true, false},
		{"30 days from this day", "designation/2", "authority", order(func(d *record.Designation) { d.ResponseDue = ptr(next.AddDays(29)) }), officers, true, false},
		{"suspended from this day", "designation/1", "authority", &record.Suspension{EffectiveOn: next.AddDays(-1), Reason: "x"}, officers, true, false},
		{"a key's last day", "cip/acme-cloud", "acme-cloud", certify, []string{"acme-cloud/dated"}, true, false},
		{"suspended on the next day", "cip/borealis", "borealis", certify, []string{"borealis/compliance"}, true, false},
		{"certified until the next day", "cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: next, PeriodUntil: next, Initial: true}, []string{"acme-cloud/compliance"}, false, true},
		{"withdrawn from this day", "party/acme-cloud", "authority", &record.Standing{Status: "withdrawn", EffectiveOn: next.AddDays(-1), Reason: "x"}, []string{"authority/officer-1"}, true, false},
		{"wound down by this day", "response/1/acme-cloud", "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: ptr(next.AddDays(-1))}, []string{"acme-cloud/ci"}, true, false},
		{"wound down 30 days from the next day", "response/ofac-sdn-36/acme-cloud", "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: ptr(next.AddDays(30))}, []string{"acme-cloud/ci"}, false, true},
		{"amended on its last day", "designation/ofac-sdn-36", "authority", &record.Amendment{Type: "alias", Reason: "x", Add: addAlias("K")}, []string{"authority/nightly-import"}, true, false},
		{"extended on its last day", "designation/ofac-sdn-36", "authority", &record.Amendment{Type: "extension", Reason: "x", Set: setMember("effectiveUntil", "2030-01-01")}, []string{"authority/nightly-import"}, false, false},
		{"revoked after its last day", "designation/ofac-sdn-36", "authority", revocation(b, "delisted"), []string{"authority/nightly-import"}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.Now = before
			env, _ := sign(b, c.thread, c.issuer, c.say, c.keys...)
			v, err := record.Open(env, b.Register.CandidateKeys)
			if err != nil {
				t.Fatal(err)
			}
			for at, want := range map[time.Time]bool{before: c.before, after: c.after} {
				if _, err := b.Register.Begin(at).Judge(v); (err == nil) != want {
					t.Errorf("at %s: %v, want admitted %v", at, err, want)
				}
			}
		})
	}
}

// TestMonthsAreClamped: years and months first, the day clamped to the month's last,
// then days; an extension counts from the day after the last in force.
func TestMonthsAreClamped(t *testing.T) {
	periods := func(c *record.Charter) {
		c.Periods.Notice, c.Periods.Term = record.Period{Months: 1}, record.Period{Years: 1}
	}
	b := registertest.NewFixture(time.Date(2027, 1, 31, 18, 0, 0, 0, time.UTC))
	b.Must(charterEnvelope(b, periods, "root/root-1", "root/root-2"))
	d := b.NewDesignation("Kestrel")
	d.EffectiveFrom, d.EffectiveUntil = ptr(mustDate("2027-02-27")), ptr(mustDate("2027-12-31"))
	r := wantRefusal(t, judgeRefused(t, b, b.Designate("1", d)), "invalid /predicate/effectiveFrom")
	if r.Earliest != "2027-02-28" {
		t.Errorf("earliest %s, want the last day of February", r.Earliest)
	}
	d.EffectiveFrom, d.EffectiveUntil = ptr(mustDate("2027-02-28")), ptr(mustDate("2028-02-28"))
	wantRefusal(t, judgeRefused(t, b, b.Designate("1", d)), "invalid /predicate/effectiveUntil")
	d.EffectiveUntil = ptr(mustDate("2028-02-27"))
	b.Must(b.Designate("1", d))
	extend := func(until string) error {
		return judgeOnly(b, "designation/1", &record.Amendment{Type: "extension", Reason: "x", Set: setMember("effectiveUntil", until)}, officers...)
	}
	wantRefusal(t, extend("2029-02-28"), "invalid /predicate/set/effectiveUntil")
	if err := extend("2029-02-27"); err != nil {
		t.Error(err)
	}
}

func mustDate(s string) record.Date {
	d, err := record.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// TestAmendedPayload: whatever is added to a designation, it is at most 48,000 bytes as a
// payload; one more is refused with the size, and what drops as much is admitted again.
func TestAmendedPayload(t *testing.T) {
	const most = 48_000
	b := registertest.NewFixture(start)
	d := b.NewDesignation("Kestrel")
	b.Must(b.Designate("1", d))
	size := func() int {
		n, err := record.PayloadLen(&record.Statement{Kind: record.KindDesignation, Predicate: d, Common: record.Common{
			Ledger: b.Ledger, Thread: "designation/1", Issuer: record.Authority, IssuedAt: b.Now,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	submit := func(a *record.Amendment) error {
		env, _ := sign(b, "designation/1", "authority", a, officers...)
		if _, err := b.Submit(env); err != nil {
			return err
		}
		amended, _, err := record.Amend(d, a)
		if err != nil {
			t.Fatal(err)
		}
		d = amended
		return nil
	}
	named := func(name string) *record.Amendment {
		return &record.Amendment{Type: "alias", Reason: "r", Add: addAlias(name)}
	}
	n := 0
	for ; size() < most-600; n++ {
		if err := submit(named(fmt.Sprintf("%04d%s", n, strings.Repeat("a", 250)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(named("a")); err != nil {
		t.Fatal(err)
	}
	first := size()
	if err := submit(named("b")); err != nil {
		t.Fatal(err)
	}
	around := size() - first - 1 // an alias beside its name
	name := strings.Repeat("c", most-size()-around)
	wantRefusal(t, submit(named(name+"c")), "invalid /predicate")
	if err := submit(named(name)); err != nil || size() != most {
		t.Fatalf("%d bytes: %v", size(), err)
	}
	wantRefusal(t, submit(named("d")), "invalid /predicate")
	swap := named("d")
	swap.Drop = addAlias("a")
	if err := submit(swap); err != nil {
		t.Error(err)
	}
}

// TestFormerNames: at each size, a list's entity has as former names those that it bore
// below it and does not bear there, and is found by each name as what it is: now, an
// alias, a weak one, a former one, or gone.
func TestFormerNames(t *testing.T) {
	const thread = "designation/ofac-sdn-36"
	names := []string{"AERO", "Aero", "CARIBBEAN", "AERO CARIBBEAN", "Líneas"}
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := registertest.NewFixture(start)
		d := b.NewListedDesignation("36", names[0])
		b.Must(b.ImportListed("36", d))
		type state struct {
			size uint64
			name string
			weak map[string]bool // aliases
		}
		states := []state{{b.Register.Size(), names[0], nil}}
		var borne []string
		want := func(i int) (former []string, use map[string]string) {
			now := states[i]
			use = make(map[string]string)
			for _, s := range states[:i+1] {
				for a := range s.weak {
					use[rules1.NameKey(a)] = "gone"
				}
			}
			borne = borne[:0]
			for _, s := range states[:i+1] {
				if s.name != now.name && !slices.Contains(borne, s.name) {
					borne = append(borne, s.name)
				}
			}
			for a, weak := range now.weak {
				if weak && use[rules1.NameKey(a)] != "alias" {
					use[rules1.NameKey(a)] = "weak-alias"
				} else {
					use[rules1.NameKey(a)] = "alias"
				}
			}
			for _, n := range borne {
				if use[rules1.NameKey(n)] != "alias" {
					use[rules1.NameKey(n)] = "former"
				}
			}
			use[rules1.NameKey(now.name)] = "current"
			return slices.Clone(borne), use
		}
		for range 60 {
			last := states[len(states)-1]
			next := state{name: last.name, weak: make(map[string]bool)}
			for a, weak := range last.weak {
				next.weak[a] = weak
			}
			pick := names[rng.IntN(len(names))]
			var a *record.Amendment
			weak, listed := last.weak[pick]
			item := func(name string, weak bool) schema.Object {
				o := schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}}
				if weak {
					o = append(o, schema.Object{{Name: "weak", Value: true}}...)
				}
				return schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{o}}}}}
			}
			switch {
			case rng.IntN(2) == 0:
				if pick == last.name {
					continue
				}
				next.name = pick
				a = &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", pick))}
			case listed:
				delete(next.weak, pick)
				a = &record.Amendment{Type: "alias", Reason: "r", Drop: item(pick, weak)}
			default:
				next.weak[pick] = rng.IntN(2) == 0
				a = &record.Amendment{Type: "alias", Reason: "r", Add: item(pick, next.weak[pick])}
			}
			b.Must(b.ImportListed("36", a))
			next.size = b.Register.Size()
			states = append(states, next)
		}
		for i, s := range states {
			v, err := view.At(b.Register, s.size)
			if err != nil {
				t.Fatal(err)
			}
			former, use := want(i)
			d, err := v.Designation(thread, b.Now)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(former)
			if got := slices.Sorted(slices.Values(d.FormerName)); !slices.Equal(got, former) {
				t.Fatalf("seed %d, size %d: former names %q, want %q", seed, s.size, got, former)
			}
			for key, want := range use {
				found, err := v.Identifier("name", key, b.Now)
				if err != nil {
					t.Fatal(err)
				}
				if len(found.Matches) != 1 || found.Matches[0].Use != want {
					t.Fatalf("seed %d, size %d: %q is found as %+v, want %s", seed, s.size, key, fmt.Sprint(found.Matches), want)
				}
			}
		}
	}
}
