package register_test

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// certified is a certification from a day until a day, counted from today.
func certified(b *registertest.Fixture, from, until int, initial bool) *record.CIPCertification {
	return &record.CIPCertification{PeriodFrom: today(b).AddDays(from), PeriodUntil: today(b).AddDays(until), Initial: initial}
}

// dutiesOf are a party's duties of a kind in few words, as they stand at an instant.
func dutiesOf(t *testing.T, b *registertest.Fixture, party string, kind register.DutyKind, at time.Time) (told []string) {
	t.Helper()
	view, err := b.Register.LatestView()
	if err != nil {
		t.Fatal(err)
	}
	err = view.Duties(register.DutyFilter{Party: party, Kind: kind}, at, func(d register.Duty) bool {
		s := string(d.State)
		if d.Due != nil {
			s += " due " + d.Due.String()
		}
		told = append(told, s)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// TestCertifyNoFurtherThanToday: whoever certifies until the last day that there is
// would owe the next certification in the year 10000.
func TestCertifyNoFurtherThanToday(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	file := func(until record.Date) record.Envelope {
		c := certified(b, -300, 0, true)
		c.PeriodUntil = until
		env, _ := sign(b, "cip/acme-cloud", "acme-cloud", c, "acme-cloud/compliance")
		return env
	}
	wantRefusal(t, judgeRefused(t, b, file(mustDate("9999-12-31"))), record.Invalid, "/predicate/periodUntil", "after today, 2026-11-23 in America/New_York")
	wantRefusal(t, judgeRefused(t, b, file(today(b).AddDays(1))), record.Invalid, "/predicate/periodUntil")
	b.Must(file(today(b)))
	if got := dutiesOf(t, b, "acme-cloud", register.DutyCertify, b.Now); len(got) != 2 || got[1] != "open due 2027-11-23" {
		t.Errorf("got %q, want the next due in a year", got)
	}
}

// TestWindDownBy: a provider gives itself no more time than a response period or
// until the designation takes effect, whichever is later; more is a licence.
func TestWindDownBy(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel"))) // in force from 1 June 2027
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AERO")))
	wind := func(designation string, by record.Date) record.Envelope {
		return b.Respond(designation, "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: &by})
	}
	from := mustDate("2027-06-01")
	for _, c := range []struct {
		after       int // days
		designation string
		by          record.Date
		earliest    string
		words       string // "" = admitted
	}{
		{0, "1", today(b).AddDays(-1), "2026-11-23", "is before today"},
		{0, "1", today(b), "", ""},
		{0, "1", from, "", ""},
		{0, "1", from.AddDays(1), "", "2027-06-01 is the latest"},
		{0, "1", mustDate("9999-12-31"), "", "2027-06-01 is the latest"},
		{170, "1", today(b).AddDays(200), "", ""}, // a response period goes beyond 1 June
		{170, "1", today(b).AddDays(201), "", "2027-06-11 is the latest"},
		{0, "ofac-sdn-36", today(b).AddDays(30), "", ""}, // in force without a date
		{0, "ofac-sdn-36", today(b).AddDays(31), "", "2026-12-23 is the latest"},
	} {
		b.Now = start.Add(days(c.after))
		v, err := record.Open(wind(c.designation, c.by), b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Register.Begin(b.Now).Judge(v)
		if c.words == "" {
			if err != nil {
				t.Errorf("after %d days, %s by %s: %v", c.after, c.designation, c.by, err)
			}
			continue
		}
		if r := wantRefusal(t, err, record.Invalid, "/predicate/windDownBy", c.words); r.Earliest != c.earliest {
			t.Errorf("earliest %q, want %q", r.Earliest, c.earliest)
		}
	}

	// Of several the earliest counts.
	b.Now = start
	b.Must(wind("1", today(b).AddDays(60)))
	b.Must(wind("1", from))
	if got := dutiesOf(t, b, "acme-cloud", register.DutyConclude, b.Now); len(got) != 1 || got[0] != "open due 2027-01-22" {
		t.Errorf("got %q, want the first promise", got)
	}
}

// TestBackdatedStanding: a registrar's withdrawal from a day before its admission
// wipes no duty that is overdue; it is not admitted.
func TestBackdatedStanding(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel"))) // due 8 January 2027
	b.Now = start.Add(days(100))
	stand := func(status string, on record.Date) record.Envelope {
		env, _ := sign(b, "party/acme-cloud", "authority", &record.Standing{Status: status, EffectiveOn: on, Reason: "x"}, "authority/officer-1")
		return env
	}
	r := wantRefusal(t, judgeRefused(t, b, stand("withdrawn", mustDate("2026-12-01"))), record.Invalid, "/predicate/effectiveOn", "is before today, 2027-03-03 in America/New_York")
	if r.Earliest != "2027-03-03" {
		t.Errorf("earliest %q", r.Earliest)
	}
	b.Must(stand("withdrawn", today(b)))
	if got := dutiesOf(t, b, "acme-cloud", register.DutyRespond, b.Now); len(got) != 1 || got[0] != "overdue due 2027-01-08" {
		t.Errorf("got %q, want what was overdue before", got)
	}
}

// TestAnnouncedStanding: on a day the newest record effective by then holds, and an
// announced one may be replaced until its day.
func TestAnnouncedStanding(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	stand := func(status string, in int) record.Envelope {
		env, _ := sign(b, "party/acme-cloud", "authority", &record.Standing{Status: status, EffectiveOn: today(b).AddDays(in), Reason: "x"}, "authority/officer-1")
		return env
	}
	// on says how the party stands in so many days, by what is on the ledger now.
	on := func(in int, want string) {
		t.Helper()
		view, err := b.Register.LatestView()
		if err != nil {
			t.Fatal(err)
		}
		p, err := view.Party("acme-cloud", b.Now.Add(days(in)))
		if err != nil || p.Standing != want {
			t.Errorf("in %d days: %s (%v), want %s", in, p.Standing, err, want)
		}
	}
	wantRefusal(t, judgeRefused(t, b, stand("active", 0)), record.Conflict, "is active already")
	b.Must(stand("withdrawn", 20))
	wantRefusal(t, judgeRefused(t, b, stand("active", 21)), record.Conflict, "is withdrawn from 2026-12-13 on")
	wantRefusal(t, judgeRefused(t, b, stand("withdrawn", 20)), record.Conflict, "is withdrawn already")
	b.Must(stand("suspended", 10)) // so it is not withdrawn
	on(9, "active")
	on(10, "suspended")
	on(25, "suspended")
	b.Must(stand("active", 30)) // the suspension stands until then
	on(29, "suspended")
	on(30, "active")
	b.Must(stand("active", 5)) // both are taken back
	on(10, "active")
	on(40, "active")
	wantRefusal(t, judgeRefused(t, b, stand("active", 7)), record.Conflict, "is active already")
	b.Must(stand("withdrawn", 3))
	b.Must(stand("withdrawn", 2)) // sooner
	on(1, "active")
	on(2, "withdrawn")

	// Until its day, not on it.
	b.Now = b.Now.Add(days(2))
	wantRefusal(t, judgeRefused(t, b, stand("active", 0)), record.Conflict, "for good")
}

// TestLaterEnrolmentIsAboutTheFirst: without document its subject is the party's first
// enrolment record, and it lists no keys.
func TestLaterEnrolmentIsAboutTheFirst(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	first := record.IDOf(b.Entries[2].Envelope.Payload)
	enrol := func(name string, about record.ID, keys ...record.PartyKey) record.Envelope {
		e := &record.Enrolment{LegalName: name, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: keys}
		st := b.Statement("party/acme-cloud", "acme-cloud", e)
		st.Subject.SHA256 = about
		return b.Sign(st, "acme-cloud/compliance", "authority/officer-1")
	}
	b.Must(enrol("Two", first))
	second := b.Head("party/acme-cloud")
	wantRefusal(t, judgeRefused(t, b, enrol("Three", second)), record.Invalid, "/subject/0/digest/sha256", first.String())
	wantRefusal(t, judgeRefused(t, b, enrol("Three", first, b.Officer("acme-cloud/compliance"))), record.Invalid, "/predicate/keys", "lists no keys")
	b.Must(enrol("Three", first))
}
