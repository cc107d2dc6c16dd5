package view_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// licensedLedger is the sample ledger with licences, and with resellers.
func licensedLedger(t *testing.T) *registertest.Fixture {
	t.Helper()
	b := sampleLedger(t, nil)
	say := func(thread record.Thread, issuer string, p record.Predicate, key string) {
		b.Must(b.Sign(b.Statement(thread, issuer, p), key))
	}
	for _, reseller := range []string{"lumen-resale", "marrow-resale"} {
		for _, provider := range []string{"acme-cloud", "borealis-compute"} {
			for _, status := range []record.ResellerStatus{"unconfirmed", "breach"} {
				r := &record.ResellerReport{Provider: provider, Status: status, Reseller: &record.Reseller{LegalName: "R", Country: "XC"}}
				say(record.ResellerThread(reseller, provider), provider, r, provider+"/compliance")
			}
		}
	}
	const licensing = "authority/officer-2"
	say("licence/1", record.Authority, &record.Licence{Type: "general", Designations: []string{"2026-014"}, From: today(b).AddDays(20), Until: today(b).AddDays(70)}, licensing)
	say("licence/2", record.Authority, &record.Licence{Type: "adp-exemption", Holder: "cirrus-hosting", From: today(b), Until: today(b).AddDays(400)}, licensing)
	return b
}

// pagedList asks one list of a view, after a place, and writes what it yields.
type pagedList struct {
	name string
	ask  func(v *view.View, after string, at time.Time, yield func(any, string) bool) error
}

func pagedLists() []pagedList {
	all := []pagedList{
		{"designations", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			return v.Designations(view.DesignationFilter{After: after}, at, func(d view.Designation) bool { return yield(d, string(d.Thread)) })
		}},
		{"designations by name", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			f := view.DesignationFilter{Name: "aero caribbean airlines", After: after}
			return v.Designations(f, at, func(d view.Designation) bool { return yield(d, string(d.Thread)) })
		}},
		{"designations by identifier", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			f := view.DesignationFilter{Scheme: "asn", Value: "64511", After: after}
			return v.Designations(f, at, func(d view.Designation) bool { return yield(d, string(d.Thread)) })
		}},
		{"parties", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			return v.Parties(view.PartyFilter{After: after}, at, func(p view.Party) bool { return yield(p, p.ID) })
		}},
		{"keys", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			return v.Keys("authority", after, at, func(k view.PartyKey) bool { return yield(k, k.Position()) })
		}},
		{"identifier", func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			return v.IdentifierMatches("asn", "64511", after, at, func(m view.IdentifierMatch) bool { return yield(m, string(m.Thread)) })
		}},
	}
	for name, f := range map[string]view.RecordFilter{
		"records": {}, "records of a kind": {Kind: "designation"}, "records on a thread": {Thread: "party/acme-cloud"},
		"records of an issuer": {Issuer: "acme-cloud"}, "attestations": {Issuer: "acme-cloud", Attestations: true},
	} {
		all = append(all, pagedList{name, func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			f := f
			if after != "" {
				last, err := strconv.ParseUint(after, 10, 64)
				if err != nil {
					return err
				}
				f.From = last + 1
			}
			return v.Records(f, func(r register.RecordRow) bool { return yield(r, strconv.FormatUint(r.Index, 10)) })
		}})
	}
	for name, f := range map[string]view.DutyFilter{
		"duties": {}, "duties of a party": {Party: "acme-cloud"}, "open duties": {State: view.DutyOpen},
		"duties of a designation": {Designation: "2026-014"}, "duties to certify": {Kind: view.DutyCertify},
		"duties by resellers": {Kind: view.DutyReseller}, "a party's duties by resellers": {Party: "borealis-compute", Kind: view.DutyReseller},
		"duties to commit": {Kind: view.DutyCustomerLog}, "training runs": {Kind: view.DutyAITrainingReport}, "a party's training runs": {Party: "acme-cloud", Kind: view.DutyAITrainingReport},
		"a party's duties to conclude": {Party: "borealis-compute", Kind: view.DutyConclude},
	} {
		all = append(all, pagedList{name, func(v *view.View, after string, at time.Time, yield func(any, string) bool) error {
			f := f
			f.After = after
			return v.Duties(f, at, func(d view.Duty) bool { return yield(d, d.Position()) })
		}})
	}
	return all
}

// read is what a list yields from a place on, until it ends or until its page of most
// items is full; and the place where it goes on, "" if it does not.
func (l pagedList) read(t *testing.T, v *view.View, after string, at time.Time, most int) (items []string, next string) {
	t.Helper()
	last := ""
	err := l.ask(v, after, at, func(item any, place string) bool {
		if len(items) == most {
			next = last
			return false
		}
		text, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		items, last = append(items, string(text)), place
		return true
	})
	var more *view.PartialListError
	switch {
	case errors.As(err, &more):
		if more.Skipped != "" {
			t.Fatalf("%s after %q leaves out %q", l.name, after, more.Skipped)
		}
		return items, more.After
	case err != nil:
		t.Fatalf("%s after %q: %v", l.name, after, err)
	}
	return items, next
}

// fileReports has providers file their private logs, abuse reports and training runs.
func fileReports(t *testing.T, b *registertest.Fixture) {
	for _, id := range []string{"acme-cloud", "cirrus-hosting"} {
		log := registertest.NewPrivateLog(id + ".example/customers")
		submit(t, b, record.CustomerLogThread(id), id, log.Commit(today(b).AddDays(-40)), id+"/ci")
		submit(t, b, record.CustomerLogThread(id), id, log.Commit(today(b), 0), id+"/ci")
		submit(t, b, record.AbuseThread(id), id, &record.AbuseReport{PeriodFrom: today(b), PeriodUntil: today(b), Band: "0"}, id+"/ci")
		for _, run := range []string{"a", "b", "c"} {
			submit(t, b, record.AITrainingThread(run, id), id, &record.AITrainingReport{KnownOn: today(b).AddDays(-20), Threshold: "t"}, id+"/ci")
		}
	}
}

// However little work one question may take, and however short its pages are, a list
// that is gone on with until it ends is the same list.
func TestListsResumeWithinBudget(t *testing.T) {
	b := licensedLedger(t)
	fileReports(t, b)
	whole := latestView(t, b)
	if err := b.Register.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{b.Now, start.Add(days(9)), b.Now.AddDate(1, 0, 0)} {
		for _, l := range pagedLists() {
			want, _ := l.read(t, whole, "", at, 1<<30)
			for _, rows := range []int{80, 101, 150, 400, 10_000} {
				for _, most := range []int{1, 3, 1 << 30} {
					var got []string
					after := ""
					for n := 0; ; n++ {
						v := whole.WithBudget(register.ReadBudget{Rows: rows, Bytes: 1 << 20})
						items, next := l.read(t, v, after, at, most)
						got = append(got, items...)
						if next == "" {
							break
						}
						if next == after || n > 2000 {
							t.Fatalf("%s within %d rows, %d a page: it goes on after %q for ever", l.name, rows, most, after)
						}
						after = next
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s at %s within %d rows, %d a page: %d items, want %d, or others", l.name, at, rows, most, len(got), len(want))
					}
				}
			}
		}
	}
}

// A list goes on where it is told to, in memory and in tables alike: from each place of
// it comes the rest.
func TestListsResumeFromEachPosition(t *testing.T) {
	b := licensedLedger(t)
	fileReports(t, b)
	for _, flushed := range []bool{false, true} {
		if flushed {
			if err := b.Register.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		for name, like := range map[string]string{"2026-0144": "2026-014", "2026-01": "2026-014"} {
			t.Run(fmt.Sprintf("%s, flushed %t", name, flushed), func(t *testing.T) {
				var absent *view.AbsentError
				if _, err := latestView(t, b).Designation(record.DesignationThread(name), b.Now); !errors.As(err, &absent) || !strings.Contains(absent.Hint, like) {
					t.Fatalf("got %v, want absence with a hint at %s", err, like)
				}
				refusaltest.Words(t, absent.Error())
			})
		}
		for _, l := range pagedLists() {
			var items, places []string
			err := l.ask(latestView(t, b), "", b.Now, func(item any, place string) bool {
				text, err := json.Marshal(item)
				if err != nil {
					t.Fatal(err)
				}
				items, places = append(items, string(text)), append(places, place)
				return true
			})
			if err != nil {
				t.Fatalf("%s: %d items, %v", l.name, len(items), err)
			}
			for i, place := range places {
				if rest, _ := l.read(t, latestView(t, b), place, b.Now, 1<<30); !slices.Equal(rest, items[i+1:]) {
					t.Errorf("%s after %q, flushed %t: %d items, want the last %d", l.name, place, flushed, len(rest), len(items)-i-1)
				}
			}
		}
	}
}

// What one question may not take ends it, before it has read much more.
func TestReadBudgetIsEnforced(t *testing.T) {
	b := licensedLedger(t)
	for rows := 1; rows < 300; rows += 3 {
		v := latestView(t, b).WithBudget(register.ReadBudget{Rows: rows, Bytes: 1 << 20})
		for _, ask := range []func() error{
			func() error { _, err := v.Designation("designation/2026-014", b.Now); return err },
			func() error { _, err := v.Party("acme-cloud", b.Now); return err },
			func() error { return v.Duties(view.DutyFilter{}, b.Now, func(view.Duty) bool { return true }) },
			func() error { _, err := v.Designation("designation/2026-01", b.Now); return err },
		} {
			before := b.Register.RowsRead()
			err := ask()
			if read := b.Register.RowsRead() - before; read > uint64(rows)+10 {
				t.Errorf("%d rows were read where %d may be", read, rows)
			}
			var more *view.PartialListError
			var absent *view.AbsentError
			if err != nil && !errors.Is(err, register.ErrOverBudget) && !errors.As(err, &more) && !errors.As(err, &absent) {
				t.Errorf("within %d rows: %v", rows, err)
			}
		}
	}
}

// What alone takes more than all the work of a question is left out, and said; the list
// goes on.
func TestListsSkipItemsOverBudget(t *testing.T) {
	b := licensedLedger(t)
	fileReports(t, b)
	left := make(map[string]int)
	for rows := 1; rows < 60; rows++ {
		for _, l := range pagedLists() {
			after := ""
			for n := 0; ; n++ {
				err := l.ask(latestView(t, b).WithBudget(register.ReadBudget{Rows: rows, Bytes: 1 << 20}), after, b.Now, func(any, string) bool { return true })
				if err == nil || errors.Is(err, register.ErrOverBudget) {
					break
				}
				var more *view.PartialListError
				if !errors.As(err, &more) || more.After == after || n > 2000 {
					t.Fatalf("%s within %d rows, after %q: %v", l.name, rows, after, err)
				}
				after = more.After
				if more.Skipped != "" {
					left[l.name]++
				}
			}
		}
	}
	for _, name := range []string{"duties", "designations", "parties", "keys", "identifier"} {
		if left[name] == 0 {
			t.Errorf("%s never left anything out", name)
		}
	}
}

// What a client makes of a cursor is no place, and no harm.
func TestBadListPositions(t *testing.T) {
	b := licensedLedger(t)
	for _, place := range []string{"party/acme-cloud acme-cloud 0", "charter x 0", "designation/2026-014 acme-cloud -1", "designation/2026-014 ~ 7", "cip/acme-cloud borealis 0", "reseller/lumen/acme-cloud borealis-compute 0", "designation/ a 0", "\x00", "~", "zzz", "\xff\xff", "9 9", "18446744073709551615 1", "designation/2026-014 party/acme 99999999999"} {
		for _, l := range pagedLists() {
			err := l.ask(latestView(t, b), place, b.Now, func(any, string) bool { return true })
			var absent *view.AbsentError
			var number *strconv.NumError
			if err != nil && !errors.Is(err, view.ErrBadPosition) && !errors.As(err, &absent) && !errors.As(err, &number) {
				t.Errorf("%s after %q: %v", l.name, place, err)
			}
		}
	}
}

// Whatever others have themselves made long, each duty is found: a provider may sponsor
// any number of resellers, who owe nothing, and one registrar may change one party's
// standing as often as he likes, which leaves out that party alone.
func TestDutyListsSkipOnlyWhatIsTooLong(t *testing.T) {
	const rows = 150
	b := registertest.NewFixture(start, "acme-cloud", "borealis-compute", "cirrus-hosting")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel")))
	for i := range 2 * rows {
		id := fmt.Sprintf("b-%03d", i) // between the providers
		e := &record.Enrolment{LegalName: id, Country: "US", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer(id + "/desk")}}
		b.Must(b.Sign(b.Statement(record.PartyThread(id), id, e), id+"/desk", "acme-cloud/compliance"))
	}
	owe := func(f view.DutyFilter, at time.Time) (who, left []string) {
		for n := 0; ; n++ {
			err := latestView(t, b).WithBudget(register.ReadBudget{Rows: rows, Bytes: 1 << 20}).Duties(f, at, func(d view.Duty) bool {
				who = append(who, string(d.Kind)+" "+d.Party)
				return true
			})
			var more *view.PartialListError
			switch {
			case errors.As(err, &more) && n < 20:
				if f.After = more.After; more.Skipped != "" {
					left = append(left, more.Skipped)
				}
			case err != nil:
				t.Fatalf("%+v: %v", f, err)
			default:
				return who, left
			}
		}
	}
	for _, at := range []time.Time{b.Now, start, b.Now.AddDate(1, 0, 0)} {
		for _, f := range []view.DutyFilter{{Designation: "2026-014"}, {Kind: view.DutyCertify}, {}} {
			who, left := owe(f, at)
			if want := map[bool]int{true: 6, false: 3}[f == view.DutyFilter{}]; len(who) != want || left != nil {
				t.Errorf("%+v: %q owe, %q is left out", f, who, left)
			}
		}
	}

	for i := range 2 * rows {
		submit(t, b, "party/borealis-compute", "authority", &record.Standing{Status: []string{"suspended", "active"}[i%2], EffectiveOn: today(b), Reason: "talks"}, "authority/officer-1")
	}
	for _, c := range []struct {
		f         view.DutyFilter
		who, left string
	}{
		{view.DutyFilter{Designation: "2026-014"}, "respond acme-cloud respond cirrus-hosting", "designation/2026-014 borealis-compute"},
		{view.DutyFilter{Kind: view.DutyCertify}, "certify acme-cloud certify cirrus-hosting", "cip/borealis-compute borealis-compute"},
	} {
		who, left := owe(c.f, b.Now)
		if strings.Join(who, " ") != c.who || strings.Join(left, " ") != c.left {
			t.Errorf("%+v: %q owe, %q is left out; want %s without %s", c.f, who, left, c.who, c.left)
		}
	}
}

// However many licences somebody has, or everybody, the duties of others are found: what
// alone takes too much is left out, and said.
func TestDutyListsSkipOnlyWhatIsLicensedTooOften(t *testing.T) {
	const rows = 150
	b := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	for _, name := range []string{"1", "2"} {
		b.Must(b.Designate(name, b.NewDesignation("Kestrel")))
	}
	n := 0
	license := func(l record.Licence) {
		l.From, l.Until = today(b), today(b).AddDays(n%100)
		submit(t, b, record.LicenceThread(fmt.Sprint(n)), "authority", &l, "authority/officer-2")
		n++
	}
	owe := func() (who, left []string) {
		for f := (view.DutyFilter{}); ; {
			err := latestView(t, b).WithBudget(register.ReadBudget{Rows: rows, Bytes: 1 << 20}).Duties(f, b.Now, func(d view.Duty) bool {
				who = append(who, strings.TrimPrefix(fmt.Sprintf("%s %s %s", d.Kind, d.Designation.Designation(), d.Party), "certify "))
				return true
			})
			var more *view.PartialListError
			switch {
			case errors.As(err, &more) && len(left) < 20:
				if f.After = more.After; more.Skipped != "" {
					left = append(left, more.Skipped)
				}
			case err != nil:
				t.Fatal(err)
			default:
				return who, left
			}
		}
	}
	check := func(wantWho, wantLeft string) {
		t.Helper()
		if who, left := owe(); strings.Join(who, "; ") != wantWho || strings.Join(left, "; ") != wantLeft {
			t.Errorf("%q owe, %q is left out; want %q, %q", who, left, wantWho, wantLeft)
		}
	}
	for range 2 * rows {
		license(record.Licence{Type: "specific", Holder: "acme-cloud", Designations: []string{"1"}})
	}
	check("respond 1 borealis-compute; respond 2 acme-cloud; respond 2 borealis-compute;  acme-cloud;  borealis-compute", "designation/1 acme-cloud")
	for range 2 * rows {
		license(record.Licence{Type: "adp-exemption", Holder: "borealis-compute"})
	}
	check("respond 1 borealis-compute; respond 2 acme-cloud; respond 2 borealis-compute;  acme-cloud", "designation/1 acme-cloud; cip/borealis-compute borealis-compute")
	for range 2 * rows {
		license(record.Licence{Type: "general", Designations: []string{"2"}})
	}
	check("respond 1 borealis-compute;  acme-cloud", "designation/1 acme-cloud; designation/2; cip/borealis-compute borealis-compute")
}
