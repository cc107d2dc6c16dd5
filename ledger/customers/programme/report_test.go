package programme_test

import (
	"encoding/hex"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func chainsOf(lives ...*life) iter.Seq2[programme.Chain, error] {
	return func(yield func(programme.Chain, error) bool) {
		for _, l := range lives {
			chain := func(yield func(programme.Logged, error) bool) {
				for _, e := range l.events {
					if !yield(e, nil) {
						return
					}
				}
			}
			if !yield(chain, nil) {
				return
			}
		}
	}
}

func year(t testing.TB, y string) programme.Period {
	return programme.Period{From: date(t, y+"-01-01"), Until: date(t, y+"-12-31")}
}

func report(t testing.TB, h *programme.History, p programme.Period, zone *time.Location, lives ...*life) *programme.Report {
	t.Helper()
	r, err := h.Report(chainsOf(lives...), zone, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func customers(t testing.TB) []*life {
	no := false
	closed := &event.Closed{Reason: "by the customer", By: "customer"}
	access := &event.Access{IP: addrs("192.0.2.7")[0], Action: "login"}
	return []*life{
		person(t, "2026-03-01").add("2026-03-10", verified("documentary")).add("2027-03-01", verified("non-documentary")).add("2027-03-02", access).add("2028-03-02", access),
		person(t, "2027-01-01").add("2027-01-02", access).add("2027-01-02", access).add("2027-01-09", verified("documentary")),
		entity(t, "2027-02-01").add("2027-02-05", failed).add("2027-02-20", verified("non-documentary")), // after all
		entity(t, "2027-02-01").add("2027-02-05", failed).add("2027-02-20", closed),                      // given up
		entity(t, "2027-02-01").add("2027-12-20", failed),                                                // within its day still
		entity(t, "2026-11-01").add("2026-11-05", failed).add("2028-01-05", closed),                      // beyond it, closed in the next year
		entity(t, "2026-11-01").add("2026-11-05", failed).add("2026-11-15", closed),                      // done before the year
		person(t, "2027-12-31T23:30:00Z"), // opened at the very end
		person(t, "2028-01-01"),           // after it
		person(t, "2027-05-01", func(c *event.Opened) { c.Foreign, c.Email = &no, nil }),                                                      // no foreign person
		person(t, "2027-05-01", func(c *event.Opened) { c.Email = nil }).add("2027-05-02", verified("documentary")).add("2028-02-01", closed), // an element is missing
		person(t, "2027-06-01").add("2027-06-02", verified("documentary")).add("2027-07-01", hit("designation/2027-001")).add("2027-07-02", decision("designation/2027-001", "false-positive")).
			add("2027-08-01", hit("designation/2027-002")).add("2027-08-02", decision("designation/2027-002", "true-match")).add("2027-08-03", closed).
			add("2027-12-30", hit("designation/2027-003")).add("2028-01-02", decision("designation/2027-003", "false-positive")),
	}
}

func TestReport(t *testing.T) {
	h := history(t, plain)
	got := report(t, h, year(t, "2027"), time.UTC, customers(t)...)
	want := &programme.Report{
		Period:    year(t, "2027"),
		Programme: "plain",
		Counts: programme.Counts{
			Accounts: 8, ForeignAccounts: 7, Opened: 8, Closed: 2,
			Verified: 5, Documentary: 3, NonDocumentary: 2, Unverified: 3,
			LateVerifications: 3, MissingElements: 1,
			Unverifiable: 4, UnverifiableVerified: 1, UnverifiableClosed: 1, UnverifiableOpen: 2, UnverifiableLate: 1,
			Hits: 3, FalsePositives: 1, TrueMatches: 1, HitsOpen: 1, Accesses: 3,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// The next year counts what this one left, and nothing twice.
	next := report(t, h, year(t, "2028"), time.UTC, customers(t)...)
	if c := next.Counts; c.Opened != 1 || c.Closed != 2 || c.Unverifiable != 2 || c.UnverifiableClosed != 1 || c.UnverifiableLate != 1 || next.UnverifiableResolved || c.Accesses != 1 || c.FalsePositives != 1 || c.HitsOpen != 0 {
		t.Errorf("the year after: %+v", next)
	}
	// Of whom it is resolved.
	before := report(t, h, programme.Period{From: date(t, "2026-01-01"), Until: date(t, "2026-11-25")}, time.UTC, customers(t)...)
	if !before.UnverifiableResolved || before.Counts.Unverifiable != 2 || before.Counts.UnverifiableOpen != 1 {
		t.Errorf("on the last day that the programme gives: %+v", before)
	}
	before = report(t, h, programme.Period{From: date(t, "2026-01-01"), Until: date(t, "2026-11-26")}, time.UTC, customers(t)...)
	if before.UnverifiableResolved {
		t.Errorf("on the day after: %+v", before)
	}
	none := report(t, history(t), year(t, "2027"), time.UTC, customers(t)...)
	if none.Programme != "" || none.UnverifiableResolved || none.Counts.UnverifiableOpen != 2 {
		t.Errorf("without a programme: %+v", none)
	}
	tokyo := time.FixedZone("Asia/Tokyo", 9*60*60)
	if c := report(t, h, year(t, "2027"), tokyo, customers(t)...).Counts; c.Opened != 7 {
		t.Errorf("in Tokyo, where the last account is opened next year: %d opened", c.Opened)
	}
	if _, err := h.Report(chainsOf(), time.UTC, programme.Period{From: date(t, "2027-01-02"), Until: date(t, "2027-01-01")}); err == nil {
		t.Error("a period that ends before it begins")
	}
	gone := errors.New("the disk is gone")
	for _, failing := range []iter.Seq2[programme.Chain, error]{
		func(yield func(programme.Chain, error) bool) { yield(nil, gone) },
		func(yield func(programme.Chain, error) bool) {
			yield(func(yield func(programme.Logged, error) bool) { yield(programme.Logged{}, gone) }, nil)
		},
	} {
		if _, err := h.Report(failing, time.UTC, year(t, "2027")); !errors.Is(err, gone) {
			t.Errorf("an iterator that fails: %v", err)
		}
	}
}

// TestReportOfWhatWasLoggedLate: an event counts where it happened; what rests on an event
// of the next period waits for that one's report.
func TestReportOfWhatWasLoggedLate(t *testing.T) {
	h := history(t, plain)
	l := person(t, "2027-01-04").add("2028-02-01", verified("documentary")).add("2027-12-01", failed).add("2027-06-01", &event.Access{IP: addrs("192.0.2.7")[0], Action: "login"})
	if c := report(t, h, year(t, "2027"), time.UTC, l).Counts; c.Unverifiable != 1 || c.UnverifiableOpen != 1 || c.UnverifiableLate != 1 || c.Accesses != 1 || c.Verified != 0 {
		t.Errorf("2027: %+v", c)
	}
	if c := report(t, h, year(t, "2028"), time.UTC, l).Counts; c.Unverifiable != 1 || c.UnverifiableVerified != 1 || c.Verified != 1 || c.Accesses != 0 {
		t.Errorf("2028: %+v", c)
	}
	// An account that was opened only afterwards, by its own time.
	l = person(t, "2028-01-04").add("2027-12-31", &event.Access{IP: addrs("192.0.2.7")[0], Action: "login"})
	if c := report(t, h, year(t, "2027"), time.UTC, l).Counts; c != (programme.Counts{}) {
		t.Errorf("an access before the account was opened: %+v", c)
	}
}

// TestCertificationOfAReport: the short form is one that signs, the salts that signing draws
// open every count, and they say what the report says.
func TestCertificationOfAReport(t *testing.T) {
	r := report(t, history(t, plain), year(t, "2027"), time.UTC, customers(t)...)
	yes, no := true, false
	form := r.ShortForm(programme.Certification{Party: "acme-cloud", Document: "cip form.pdf", Initial: true, Reviewed: &yes, UpdatedForServices: &yes, UpdatedForThreats: &no, Compliant: &no})
	resolver := draft.ShortFormResolver{Document: func(name string) (draft.DocumentFile, error) {
		return draft.DocumentFile{Name: name, Bytes: 1, SHA256: [32]byte{14}}, nil
	}}
	short, err := draft.ParseShortForm([]byte(form), resolver)
	if err != nil {
		t.Fatalf("%v\n%s", err, form)
	}
	ledger := record.ID{7}
	payload, salts, err := short.Fill(draft.FillValues{Ledger: ledger, IssuedAt: at(t, "2028-01-10")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := record.ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	cip := s.Predicate.(*record.CIPCertification)
	if !cip.Reviewed || cip.Compliant || cip.UnverifiableResolved || !cip.Initial || cip.PeriodUntil != date(t, "2027-12-31") || len(cip.Counts) != reflect.TypeFor[programme.Counts]().NumField() {
		t.Errorf("the certification: %+v", cip)
	}
	for _, o := range salts {
		c, ok := s.Commitment(o.Pointer)
		if !ok || c.Verify(ledger, s.Thread, o) != nil {
			t.Errorf("the salt of %s does not open it", o.Pointer)
		}
	}
	if diff := r.Differences(salts); diff != nil {
		t.Errorf("the salts say otherwise: %v", diff)
	}
	if i := slices.IndexFunc(salts, func(o record.Opening) bool { return o.Pointer == "/subject" }); i < 0 || salts[i].Value != hex.EncodeToString(append([]byte{14}, make([]byte, 31)...)) {
		t.Error("the form is not committed to")
	}

	for i, o := range salts {
		if o.Pointer == "/counts/accounts" {
			salts[i].Value = "9"
		}
	}
	salts = append(slices.DeleteFunc(salts, func(o record.Opening) bool { return o.Pointer == "/counts/hits" }), record.Opening{Pointer: "/counts/others", Value: "1"})
	want := []string{"accounts is 9; the log has 8", "hits is not committed to; the log has 3", "others is none of the report's counts"}
	if diff := r.Differences(salts); !slices.Equal(diff, want) {
		t.Errorf("differences: %q, want %q", diff, want)
	}

	// Nobody's word is taken for granted: signing asks for what is left open.
	form = r.ShortForm(programme.Certification{Party: "acme-cloud", Document: "f.pdf"})
	if _, err := draft.ParseShortForm([]byte(form), resolver); err == nil || strings.Count(err.Error(), "has no value, and is required") != 4 {
		t.Errorf("what the officer left open: %v", err)
	}
}
