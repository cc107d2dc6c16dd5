package register_test

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

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
		thread        string
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
	r := wantRefusal(t, judgeRefused(t, b, b.Designate("1", d)), record.Invalid, "notice is P1M")
	if r.Earliest != "2027-02-28" {
		t.Errorf("earliest %s, want the last day of February", r.Earliest)
	}
	d.EffectiveFrom, d.EffectiveUntil = ptr(mustDate("2027-02-28")), ptr(mustDate("2028-02-28"))
	wantRefusal(t, judgeRefused(t, b, b.Designate("1", d)), record.Invalid, "2028-02-27 is the latest")
	d.EffectiveUntil = ptr(mustDate("2028-02-27"))
	b.Must(b.Designate("1", d))
	extend := func(until string) error {
		return judgeOnly(b, "designation/1", &record.Amendment{Type: "extension", Reason: "x", Set: setMember("effectiveUntil", until)}, officers...)
	}
	wantRefusal(t, extend("2029-02-28"), record.Invalid, "2029-02-27 is the latest")
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
