package view_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

const licensing = "authority/officer-2"

// TestLicenceStands: announced, active, expired by the clock alone, or revoked from the day
// that its revocation names.
func TestLicenceStands(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	grant := func(name string) {
		submit(t, b, record.LicenceThread(name), "authority", &record.Licence{Type: "specific", Holder: "acme-cloud", Designations: []string{"1"}, From: today(b).AddDays(10), Until: today(b).AddDays(19)}, licensing)
	}
	grant("1")
	grant("2")
	submit(t, b, "licence/2", "authority", &record.Revocation{EffectiveOn: today(b).AddDays(15), Cause: "error", Reason: "Wrong party."}, licensing)
	for _, c := range []struct {
		after    int
		one, two view.LicenceStatus
	}{
		{0, "announced", "announced"}, {9, "announced", "announced"}, {10, "active", "active"}, {14, "active", "active"},
		{15, "active", "revoked"}, {19, "active", "revoked"}, {20, "expired", "revoked"},
	} {
		for name, want := range map[string]view.LicenceStatus{"1": c.one, "2": c.two} {
			l, err := latestView(t, b).Licence(record.LicenceThread(name), b.Now.Add(days(c.after)))
			if err != nil {
				t.Fatal(err)
			}
			revoked := name == "2"
			if l.Status != want || l.Error != revoked || len(l.Records) != map[bool]int{false: 1, true: 2}[revoked] || revoked && l.Revoked.Reason != "Wrong party." {
				t.Errorf("licence %s after %d days: %+v, want %s", name, c.after, l, want)
			}
		}
	}
	for _, thread := range []record.Thread{"licence/3", "designation/1", "party/acme-cloud"} {
		var absent *view.AbsentError
		if _, err := latestView(t, b).Licence(thread, b.Now); !errors.As(err, &absent) {
			t.Errorf("%s: %v, want absence", thread, err)
		} else {
			refusaltest.Words(t, absent.Error())
		}
	}
}

// TestLicencePausesByCivilDates: a pause is of days in the charter's zone, through a leap day
// and a night in which the clocks change.
func TestLicencePausesByCivilDates(t *testing.T) {
	leap := record.Date{Year: 2028, Month: 2, Day: 29}
	for _, c := range []struct {
		name    string
		granted string // instant, UTC
		from    record.Date
		until   record.Date
		revoked string // instant, "" if it is not
		due     record.Date
		want    string
	}{
		{"on a leap day", "2028-02-20T12:00:00Z", leap, leap, "", leap, "2028-03-31"},
		{"until the day before", "2028-02-20T12:00:00Z", leap.AddDays(-3), leap.AddDays(-1), "", leap, "2028-02-29"},
		{"admitted in the leap day's last second", "2028-03-01T04:59:59Z", leap.AddDays(-9), leap.AddDays(4), "", leap, "2028-04-04"},
		{"admitted a second later", "2028-03-01T05:00:00Z", leap.AddDays(-9), leap.AddDays(4), "", leap, "2028-02-29"}, // overdue before it began
		{"revoked on the day of summer time, by its clock", "2028-03-01T12:00:00Z", leap, leap.AddDays(60), "2028-03-13T03:59:59Z", record.Date{Year: 2028, Month: 3, Day: 12}, "2028-03-12"},
		{"revoked on the next day, by that clock", "2028-03-01T12:00:00Z", leap, leap.AddDays(60), "2028-03-13T04:00:00Z", record.Date{Year: 2028, Month: 3, Day: 12}, "2028-04-12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := registertest.NewFixture(time.Date(2027, 12, 1, 12, 0, 0, 0, time.UTC), "acme-cloud", "borealis")
			d := b.NewDesignation("Kestrel")
			d.ResponseDue = &c.due
			b.Must(b.Designate("1", d))
			at := func(text string) {
				var err error
				if b.Now, err = time.Parse(time.RFC3339, text); err != nil {
					t.Fatal(err)
				}
			}
			at(c.granted)
			submit(t, b, "licence/1", "authority", &record.Licence{Type: "specific", Holder: "acme-cloud", Designations: []string{"1"}, From: c.from, Until: c.until}, licensing)
			if c.revoked != "" {
				at(c.revoked)
				submit(t, b, "licence/1", "authority", &record.Revocation{EffectiveOn: c.from, Cause: "lifted", Reason: "r"}, licensing)
			}
			for party, want := range map[string]string{"acme-cloud": c.want, "borealis": c.due.String()} {
				if got := dueOf(t, b, view.DutyFilter{Party: party, Kind: view.DutyRespond}); got != want {
					t.Errorf("%s is due %s, want %s", party, got, want)
				}
			}
		})
	}
}

// TestExemption: an exemption from the programme puts off its holder's certification and its
// commitments to the customer log, and nothing that a designation or a law on reports asks
// for.
func TestExemption(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	year := today(b).Add(record.Period{Years: 1}) // when both are to certify
	submit(t, b, "licence/1", "authority", &record.Licence{Type: "adp-exemption", Holder: "acme-cloud", From: today(b), Until: year}, licensing)
	for _, party := range []string{"acme-cloud", "borealis"} {
		submit(t, b, record.CustomerLogThread(party), party, registertest.NewPrivateLog(party+".example").Commit(today(b)), party+"/ci")
		submit(t, b, record.AbuseThread(party), party, &record.AbuseReport{PeriodFrom: today(b), PeriodUntil: today(b), Band: "0"}, party+"/ci")
	}
	again := today(b).AddDays(31).String()
	for party, want := range map[string]string{"acme-cloud": year.AddDays(31).String(), "borealis": again} {
		if got := dueOf(t, b, view.DutyFilter{Party: party, Kind: view.DutyCustomerLog}); got != want {
			t.Errorf("%s is to commit to its customer log by %s, want %s", party, got, want)
		}
		if got := dueOf(t, b, view.DutyFilter{Party: party, Kind: view.DutyAbuseReport}); got != again {
			t.Errorf("%s is to report abuse by %s, want %s", party, got, again)
		}
	}
	for party, want := range map[string]string{"acme-cloud": year.AddDays(31).String(), "borealis": year.String()} {
		if got := dueOf(t, b, view.DutyFilter{Party: party, Kind: view.DutyCertify}); got != want {
			t.Errorf("%s is to certify by %s, want %s", party, got, want)
		}
		if got := dueOf(t, b, view.DutyFilter{Party: party, Kind: view.DutyRespond}); got != today(b).AddDays(46).String() {
			t.Errorf("%s is to respond by %s", party, got)
		}
	}
}

// TestLicensedDutyRestsOn: a duty that a licence put off names the licence, and what ended it.
func TestLicensedDutyRestsOn(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	d := b.NewDesignation("Kestrel")
	b.Must(b.Designate("1", d))
	submit(t, b, "licence/1", "authority", &record.Licence{Type: "general", Designations: []string{"1"}, From: *d.ResponseDue, Until: d.ResponseDue.AddDays(9)}, licensing)
	granted := b.Head("licence/1")
	rests := func(want ...record.ID) {
		t.Helper()
		err := latestView(t, b).Duties(view.DutyFilter{Kind: view.DutyRespond}, b.Now, func(d view.Duty) bool {
			if got := d.Records[len(d.Records)-len(want):]; !slices.Equal(got, want) {
				t.Errorf("it rests on %v, want %v at the end", got, want)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rests(granted)
	submit(t, b, "licence/1", "authority", &record.Revocation{EffectiveOn: d.ResponseDue.AddDays(1), Cause: "lifted", Reason: "r"}, licensing)
	rests(granted, b.Head("licence/1"))
}

// dueOf are the due dates of the duties that a filter chooses.
func dueOf(t *testing.T, b *registertest.Fixture, f view.DutyFilter) string {
	t.Helper()
	var due []string
	if err := latestView(t, b).Duties(f, b.Now, func(d view.Duty) bool {
		due = append(due, fmt.Sprint(d.Due))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(due, " ")
}
