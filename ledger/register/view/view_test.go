package view_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// sampleLedger is a ledger in which everything happens that a view tells of, one record
// a step; after is called after each.
func sampleLedger(t *testing.T, after func(b *registertest.Fixture)) *registertest.Fixture {
	t.Helper()
	b := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	do := func(later int, env func() record.Envelope) {
		b.Now = b.Now.Add(days(later) + time.Minute)
		b.Must(env())
		if after != nil {
			after(b)
		}
	}
	order := func(kind record.Predicate) func() record.Envelope {
		return func() record.Envelope {
			return b.Sign(b.Statement("designation/2026-014", record.Authority, kind), "authority/officer-1", "authority/officer-2")
		}
	}
	do(1, func() record.Envelope {
		return b.Designate("2026-014", b.NewDesignation("Kestrel Hosting FZ-LLC (fictional)"))
	})
	do(0, func() record.Envelope { return b.Designate("2026-016", b.NewDesignation("Lumen Resale (fictional)")) })
	do(0, func() record.Envelope {
		return b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES"))
	})
	do(1, func() record.Envelope {
		return b.Respond("2026-014", "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: ptr(today(b).AddDays(60))})
	})
	do(1, order(&record.Amendment{Type: "correction", Reason: "Misprint.", Set: fragment(t, `{"target":{"registrationNumber":"0048231"}}`)}))
	do(1, func() record.Envelope {
		return b.ImportListed("36", &record.Amendment{Type: "target-detail", Reason: "List.", Set: fragment(t, `{"target":{"name":"AERO-CARIBBEAN"}}`)})
	})
	do(1, func() record.Envelope {
		return b.ImportListed("36", &record.Revocation{EffectiveOn: today(b), Cause: "delisted", Reason: "Gone."})
	})
	do(2, func() record.Envelope {
		return b.ImportListed("36", b.NewListedDesignation("36", "Aero-Caribbean Airlines"))
	})
	do(1, order(&record.Suspension{EffectiveOn: today(b).AddDays(2), Until: ptr(today(b).AddDays(11)), Reason: "Talks."}))
	do(1, func() record.Envelope { return b.Provider("cirrus-hosting") })
	do(1, func() record.Envelope {
		c := &record.CIPCertification{PeriodFrom: today(b).AddDays(-300), PeriodUntil: today(b), Reviewed: true, UpdatedForServices: true,
			UpdatedForThreats: true, Compliant: true, UnverifiableResolved: true, Initial: true}
		return b.Sign(b.Statement("cip/acme-cloud", "acme-cloud", c), "acme-cloud/compliance")
	})
	do(1, func() record.Envelope {
		return b.Sign(b.Statement("designation/2026-016", record.Authority, &record.Revocation{EffectiveOn: record.Date{Year: 2026, Month: 11, Day: 1}, Cause: "error", Reason: "Wrong file."}),
			"authority/officer-1", "authority/officer-2")
	})
	return b
}

func fragment(t *testing.T, text string) schema.Object {
	t.Helper()
	v, err := schema.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v.(schema.Object)
}

// allAnswers asks a view all its questions at an instant.
func allAnswers(t *testing.T, v *view.View, at time.Time) string {
	t.Helper()
	var out []any
	add := func(answer any, err error) {
		var absent *view.AbsentError
		if err != nil && !errors.As(err, &absent) {
			t.Fatal(err)
		}
		out = append(out, answer)
	}
	c, err := v.Charter()
	add(c, err)
	add(nil, v.Parties(view.PartyFilter{}, at, func(p view.Party) bool { out = append(out, p); return true }))
	for _, id := range []string{"authority", "acme-cloud", "cirrus-hosting"} {
		p, err := v.Party(id, at)
		add(p, err)
	}
	add(nil, v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool { out = append(out, d); return true }))
	for _, id := range []string{"2026-014", "2026-016", "ofac-sdn-36"} {
		d, err := v.Designation(record.DesignationThread(id), at)
		add(d, err)
	}
	add(nil, v.Duties(view.DutyFilter{}, at, func(d view.Duty) bool { out = append(out, d); return true }))
	add(nil, v.Requests(view.RequestFilter{}, at, func(r view.Request) bool { out = append(out, r); return true }))
	detail, err := v.Request("disclosure/2026-001", at)
	add(detail, err)
	counted, err := v.Cooperation("", at)
	add(counted, err)
	for scheme, value := range map[string]string{"name": "aerocaribbean airlines"} {
		f, err := v.Identifier(scheme, value, at)
		add(f, err)
	}
	add(nil, v.Records(view.RecordFilter{}, func(r register.RecordRow) bool { out = append(out, r); return true }))
	encoded, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// What is answered is written as JSON by the server and by the tools: a member that moves,
// comes or goes is another format.
func TestAnswersGolden(t *testing.T) {
	b := sampleLedger(t, nil)
	do := func(thread record.Thread, issuer string, p record.Predicate, keys ...string) {
		b.Now = b.Now.Add(time.Hour)
		b.Must(b.Sign(b.Statement(thread, issuer, p), keys...))
	}
	do("party/acme-cloud", record.Authority, &record.Standing{Status: "suspended", EffectiveOn: today(b).AddDays(3), Reason: "Fees."}, "authority/officer-1")
	do("party/acme-cloud", record.Authority, &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/spare")}}, "authority/officer-1", "acme-cloud/spare")
	do("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci"), CompromisedSince: &record.Instant{Time: start.Add(days(2))}}}}, "acme-cloud/compliance")
	b.Now = b.Now.Add(time.Hour)
	b.Must(b.Request("2026-001", b.NewRequest("acme-cloud")))
	sealed, _ := b.NewSealedRequest("2026-002", "acme-cloud", today(b))
	b.Must(b.Request("2026-002", sealed))
	b.Now = b.Now.Add(time.Hour)
	b.Must(b.Receipt("2026-001", "acme-cloud", b.NewChallenge("2026-001")))
	v := latestView(t, b)
	var got strings.Builder
	for _, at := range []time.Time{start.Add(days(9)), b.Now, start.Add(days(800))} {
		fmt.Fprintf(&got, "at %s\n%s\n", at.Format(time.RFC3339), allAnswers(t, v, at))
	}
	earlier, err := view.At(b.Register, 7)
	if err != nil {
		t.Fatal(err)
	}
	err = v.Changes(earlier, start.Add(days(3)), b.Now, "", func(ch view.Change) bool {
		line, err := json.Marshal(ch)
		fmt.Fprintf(&got, "%s %v\n", line, err)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/answers.golden"
	if refusaltest.Update() {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the answers differ from %s; if they may, run the test with -update:\n%s", name, got.String())
	}
}

// As of a size means what the register said when it had that size, whatever came
// later: for every size and for instants before, amid and after the story.
func TestViewsDoNotChange(t *testing.T) {
	instants := []time.Time{start.Add(-days(3)), start.Add(days(1) + time.Hour), start.Add(days(9)), start.Add(days(100)), start.Add(days(800))}
	said := map[uint64][]string{}
	b := sampleLedger(t, func(b *registertest.Fixture) {
		v, err := view.Latest(b.Register)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range instants {
			said[v.Size()] = append(said[v.Size()], allAnswers(t, v, at))
		}
	})
	for size := range said {
		v, err := view.At(b.Register, size)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range instants {
			if got := allAnswers(t, v, at); got != said[size][i] {
				t.Errorf("as of %d at %s: it now says\n%s\nit said\n%s", size, at, got, said[size][i])
			}
		}
	}
	if _, err := view.At(b.Register, b.Register.Size()+1); err == nil {
		t.Error("a view beyond the register's size")
	}
}

func latestView(t *testing.T, b *registertest.Fixture) *view.View {
	t.Helper()
	v, err := view.Latest(b.Register)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// In force at T is by all that is known now, knowable at T by what was admitted.
func TestBothMeaningsOfATime(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	for _, c := range []struct {
		designation      string
		after            int // days from the start
		status, knowable view.Status
	}{
		{"2026-014", 0, view.StatusNone, view.StatusNone},
		{"2026-014", 2, view.StatusAnnounced, view.StatusAnnounced},
		{"2026-014", 15, view.StatusSuspended, view.StatusSuspended},
		{"2026-014", 30, view.StatusAnnounced, view.StatusAnnounced},
		{"2026-014", 200, view.StatusInForce, view.StatusInForce},
		{"2026-014", 600, view.StatusExpired, view.StatusExpired},
		{"2026-016", 2, view.StatusRevoked, view.StatusAnnounced}, // corrected later, from a day before
		{"2026-016", 20, view.StatusRevoked, view.StatusRevoked},
		{"ofac-sdn-36", 2, view.StatusInForce, view.StatusInForce},
		{"ofac-sdn-36", 6, view.StatusRevoked, view.StatusRevoked},
		{"ofac-sdn-36", 9, view.StatusInForce, view.StatusInForce}, // relisted
	} {
		d, err := v.Designation(record.DesignationThread(c.designation), start.Add(days(c.after)+time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != c.status || d.Knowable != c.knowable {
			t.Errorf("%s after %d days: in force %s, knowable %s; want %s, %s", c.designation, c.after, d.Status, d.Knowable, c.status, c.knowable)
		}
		if d.Error != (c.designation == "2026-016") {
			t.Errorf("%s: published in error: %t", c.designation, d.Error)
		}
	}
}

func TestDesignationDetail(t *testing.T) {
	b := sampleLedger(t, nil)
	d, err := latestView(t, b).Designation("designation/ofac-sdn-36", b.Now)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "Aero-Caribbean Airlines" || d.Source == nil || *d.Source != (view.SourceName{List: "ofac-sdn", ID: "36"}) {
		t.Errorf("got %+v", d.Designation)
	}
	if want := []string{"AEROCARIBBEAN AIRLINES", "AERO-CARIBBEAN"}; !slices.Equal(d.FormerName, want) {
		t.Errorf("former names %q, want %q", d.FormerName, want)
	}
	if d.Record != b.Head("designation/ofac-sdn-36") || d.Opened != d.Record || len(d.Records) != 1 || len(d.History) != 4 {
		t.Errorf("record %s, opened %s, %d of this life, %d in all; want the newest, itself, 1, 4", d.Record, d.Opened, len(d.Records), len(d.History))
	}
	encoded, err := json.Marshal(d.Designation)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"list": "ofac-sdn", "id": "36"}; !reflect.DeepEqual(object["source"], want) {
		t.Errorf("source %v, want %v", object["source"], want)
	}
	for _, name := range []string{"thread", "record", "name", "status", "knowable", "program"} {
		if object[name] == nil {
			t.Errorf("no %q in %s", name, encoded)
		}
	}
}

func TestDesignationFilters(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	for _, c := range []struct {
		f    view.DesignationFilter
		want string
	}{
		{view.DesignationFilter{}, "2026-014 2026-016 ofac-sdn-36"},
		{view.DesignationFilter{After: "designation/2026-014"}, "2026-016 ofac-sdn-36"},
		{view.DesignationFilter{After: "designation/ofac-sdn-36"}, ""},
		{view.DesignationFilter{Status: view.StatusInForce}, "ofac-sdn-36"},
		{view.DesignationFilter{Country: "XB"}, "2026-014 2026-016"},
		{view.DesignationFilter{Program: "SDGT"}, "ofac-sdn-36"},
		{view.DesignationFilter{List: "ofac-sdn"}, "ofac-sdn-36"},
		{view.DesignationFilter{Name: "aero caribbean"}, "ofac-sdn-36"}, // a former name
		{view.DesignationFilter{Name: "KESTREL hosting, FZ LLC fictional"}, "2026-014"},
		{view.DesignationFilter{Scheme: "asn", Value: "AS64511"}, "2026-014 2026-016"},
		{view.DesignationFilter{Scheme: "registrationNumber", Value: "0048231"}, "2026-014"},
		{view.DesignationFilter{Scheme: "asn", Value: "64511", Name: "Lumen Resale (fictional)"}, "2026-016"},
		{view.DesignationFilter{Scheme: "domain", Value: "KESTREL.example."}, "2026-014 2026-016"},
		{view.DesignationFilter{Scheme: "vessel", Value: "1"}, ""},
	} {
		var got []string
		err := v.Designations(c.f, b.Now, func(d view.Designation) bool {
			got = append(got, d.Thread.Designation())
			return true
		})
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%+v: got %v, %v; want %s", c.f, got, err, c.want)
		}
	}
}

// Pages of one are the list, and a list stops when told.
func TestDesignationPages(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	var pages []string
	for after := ""; ; {
		last := after
		err := v.Designations(view.DesignationFilter{After: after}, b.Now, func(d view.Designation) bool {
			pages, after = append(pages, string(d.Thread)), string(d.Thread)
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
		if after == last {
			break
		}
	}
	if want := []string{"designation/2026-014", "designation/2026-016", "designation/ofac-sdn-36"}; !slices.Equal(pages, want) {
		t.Errorf("got %v, want %v", pages, want)
	}
}

func TestDutiesOfSampleLedger(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	for _, c := range []struct {
		f     view.DutyFilter
		after int
		want  string
	}{
		{view.DutyFilter{Kind: view.DutyRespond}, 0, ""},
		{view.DutyFilter{Kind: view.DutyRespond}, 8,
			"acme-cloud met 2026-014, borealis-compute open 2026-014, acme-cloud open 2026-016, borealis-compute open 2026-016"}, // not yet revoked
		{view.DutyFilter{Kind: view.DutyRespond, Designation: "2026-014"}, 13,
			"acme-cloud met 2026-014, borealis-compute open 2026-014, cirrus-hosting open 2026-014"},
		{view.DutyFilter{State: view.DutyOverdue}, 60, "borealis-compute overdue 2026-014, cirrus-hosting overdue 2026-014"},
		{view.DutyFilter{Party: "acme-cloud"}, 14, "acme-cloud met 2026-014, acme-cloud open 2026-014, acme-cloud lapsed 2026-016, acme-cloud met, acme-cloud open"},
		{view.DutyFilter{Kind: view.DutyCertify, State: view.DutyOverdue}, 366, "borealis-compute overdue"},
		{view.DutyFilter{Party: "authority"}, 60, ""},
		{view.DutyFilter{Designation: "ofac-sdn-36"}, 60, ""},
	} {
		var got []string
		err := v.Duties(c.f, start.Add(days(c.after)+2*time.Hour), func(d view.Duty) bool {
			text := d.Party + " " + string(d.State)
			if d.Designation != "" {
				text += " " + d.Designation.Designation()
			}
			got = append(got, text)
			for _, id := range append(d.Records, d.OpenedBy) {
				if _, err := v.Record(id); err != nil {
					t.Errorf("%s rests on %s: %v", text, id, err)
				}
			}
			return true
		})
		if err != nil || strings.Join(got, ", ") != c.want {
			t.Errorf("%+v after %d days: got %q, %v; want %q", c.f, c.after, got, err, c.want)
		}
	}
}

func TestIdentifier(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	for _, c := range []struct{ scheme, value, want string }{
		{"name", "Aero Caribbean Airlines", "current designation/ofac-sdn-36"},
		{"name", "AEROCARIBBEAN AIRLINES", "former designation/ofac-sdn-36"},
		{"name", "acme cloud inc fictional", "current party/acme-cloud"},
		{"asn", "AS64511", "current designation/2026-014, current designation/2026-016"},
		{"domain", "nobody.example", ""},
		{"name", "()", ""},
	} {
		f, err := v.Identifier(c.scheme, c.value, b.Now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range f.Matches {
			got = append(got, m.Use+" "+string(m.Thread))
			if (m.Designation == nil) == (m.Party == nil) || m.Since.IsZero() {
				t.Errorf("%s %q: match %+v", c.scheme, c.value, m)
			}
		}
		if strings.Join(got, ", ") != c.want || f.Entries != v.Size() {
			t.Errorf("%s %q: got %v among %d, want %s", c.scheme, c.value, got, f.Entries, c.want)
		}
	}
}

func TestPartyView(t *testing.T) {
	b := sampleLedger(t, nil)
	p, err := latestView(t, b).Party("acme-cloud", b.Now)
	if err != nil {
		t.Fatal(err)
	}
	if p.Standing != "active" || len(p.Keys) != 3 || len(p.Attestations) != 2 || len(p.Duties) != 5 {
		t.Errorf("got %s, %d keys, %d attestations, %d duties; want active, 3, 2, 5", p.Standing, len(p.Keys), len(p.Attestations), len(p.Duties))
	}
	for _, k := range p.Keys {
		if !k.Live {
			t.Errorf("key of %s is idle: %s", k.Holder, k.WhyNotLive)
		}
	}
	early, err := latestView(t, b).Party("cirrus-hosting", start)
	if err != nil {
		t.Fatal(err)
	}
	if early.Standing != "none" || early.Knowable != "none" || early.Keys[0].Live {
		t.Errorf("before its enrolment: %s, knowable %s, key live %t", early.Standing, early.Knowable, early.Keys[0].Live)
	}
}

// Absence is said over all entries, by one type of error.
func TestAbsent(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	_, e1 := v.Designation("designation/2026-099", b.Now)
	_, e2 := v.Party("nobody", b.Now)
	_, e3 := v.Record(record.ID{1})
	_, e4 := v.RecordAt(v.Size())
	e5 := v.Thread("designation/2026-01", 0, func(register.RecordRow) bool { t.Error("no such thread has a record"); return true }) // no prefix of a thread is one
	_, e6 := v.Head("cip/borealis-compute")
	none := func(view.Duty) bool { t.Error("nobody owes something"); return true }
	e7 := v.Duties(view.DutyFilter{Party: "nobody"}, b.Now, none)
	e8 := v.Duties(view.DutyFilter{Designation: "2026-099"}, b.Now, none)
	e9 := v.Duties(view.DutyFilter{Party: "authority", Designation: "2026-099"}, b.Now, none)
	for _, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8, e9} {
		var absent *view.AbsentError
		if !errors.As(err, &absent) || absent.Size != v.Size() {
			t.Errorf("got %v, want absence among all %d entries", err, v.Size())
			continue
		}
		refusaltest.Words(t, err.Error())
	}
	empty, err := view.At(b.Register, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := allAnswers(t, empty, b.Now); strings.Contains(got, "kestrel") {
		t.Errorf("an empty view says %s", got)
	}
}

func TestRecordsByFilter(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	for _, f := range []view.RecordFilter{
		{}, {From: 7}, {Kind: record.KindDesignation}, {Kind: record.KindDesignation, From: 6}, {Issuer: "acme-cloud"},
		{Issuer: "authority", Kind: record.KindSuspension}, {Thread: "designation/ofac-sdn-36"},
		{Thread: "designation/ofac-sdn-36", Kind: record.KindDesignation, From: 9}, {Thread: "nothing/here"}, {Issuer: "nobody"},
	} {
		var want, got []uint64
		for i := f.From; i < v.Size(); i++ {
			r, err := v.RecordAt(i)
			if err != nil {
				t.Fatal(err)
			}
			if (f.Kind == "" || r.Kind == f.Kind) && (f.Issuer == "" || r.Issuer == f.Issuer) && (f.Thread == "" || r.Thread == f.Thread) {
				want = append(want, i)
			}
		}
		if err := v.Records(f, func(r register.RecordRow) bool { got = append(got, r.Index); return true }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: got %v, want %v", f, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	changes := func(before, after *view.View, then, now time.Time) (out []string) {
		t.Helper()
		err := after.Changes(before, then, now, "", func(c view.Change) bool {
			text := fmt.Sprintf("%s %s>%s %d", c.Thread, c.Before, c.After, len(c.Records))
			if len(c.Changed) > 0 {
				text += " " + strings.Join(c.Changed, ",")
			}
			out = append(out, text)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// What the clock alone does.
	later := b.Now.Add(days(200))
	if got, want := changes(v, v, b.Now, later), []string{"designation/2026-014 suspended>in-force 0"}; !slices.Equal(got, want) {
		t.Errorf("by the clock: got %q, want %q", got, want)
	}
	// What the records did since the answer of acme-cloud.
	before, err := view.At(b.Register, 8)
	if err != nil {
		t.Fatal(err)
	}
	r, err := before.RecordAt(7)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cip/acme-cloud > 1",
		"designation/2026-014 announced>suspended 2 target.registrationNumber",
		"designation/2026-016 announced>revoked 1",
		"designation/ofac-sdn-36 in-force>in-force 3 target.name",
		"party/cirrus-hosting none>active 1",
	}
	if got := changes(before, v, r.Admitted, b.Now); !slices.Equal(got, want) {
		t.Errorf("since index 7:\n got %q\nwant %q", got, want)
	}
	if err := before.Changes(v, b.Now, b.Now, "", func(view.Change) bool { return true }); err == nil {
		t.Error("changes from a larger view to a smaller one")
	}
}

// A view answers alike while the register grows under it.
func TestViewWhileGrowing(t *testing.T) {
	b := sampleLedger(t, nil)
	v, at := latestView(t, b), b.Now
	want := allAnswers(t, v, at)
	grown := make(chan struct{})
	go func() {
		defer close(grown)
		for i := range 200 {
			id := fmt.Sprint(1000 + i)
			b.Must(b.ImportListed(id, b.NewListedDesignation(id, "Kestrel "+id)))
		}
	}()
	for done := false; !done; {
		select {
		case <-grown:
			done = true
		default:
		}
		if got := allAnswers(t, v, at); got != want {
			t.Fatalf("as of %d it now says\n%s\nit said\n%s", v.Size(), got, want)
		}
	}
}

// What was knowable goes by what had been cosigned, where anybody says that: an entry
// is not knowable for having been admitted, and is for having been cosigned, whatever
// its admission time says. In force at T stays what it is.
func TestKnowableByQuorum(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	first, err := v.Designation("designation/2026-014", b.Now)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := v.Record(first.Opened)
	if err != nil {
		t.Fatal(err)
	}
	index, at := opened.Index, opened.Admitted
	enrolled, err := v.Head("party/cirrus-hosting")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at       time.Time
		says     view.Knowable
		size     uint64 // that was knowable, and whether by quorum
		proven   bool
		knowable view.Status
		standing string // of the party enrolled later
	}{
		"admitted, not cosigned":        {at.Add(time.Hour), view.Knowable{Size: index, Cosigned: at}, index, true, view.StatusNone, "none"},
		"cosigned":                      {at.Add(time.Hour), view.Knowable{Size: index + 1, Cosigned: at}, index + 1, true, view.StatusAnnounced, "none"},
		"cosigned by a clock behind":    {at.Add(-time.Minute), view.Knowable{Size: index + 1, Cosigned: at.Add(-time.Minute)}, index + 1, true, view.StatusAnnounced, "none"},
		"a party by a clock behind":     {enrolled.Admitted.Add(-time.Minute), view.Knowable{Size: enrolled.Index + 1, Cosigned: at}, enrolled.Index + 1, true, view.StatusSuspended, "active"},
		"nobody says":                   {at.Add(time.Hour), view.Knowable{Size: v.Size()}, index + 3, false, view.StatusAnnounced, "none"},
		"nobody says more than a bound": {at.Add(time.Hour), view.Knowable{Size: index}, index, false, view.StatusNone, "none"},
		"more than the view has":        {b.Now, view.Knowable{Size: v.Size() + 9, Cosigned: b.Now}, v.Size(), true, view.StatusSuspended, "active"},
	} {
		by := v.WithCheckpointTimes(func(asked time.Time) (view.Knowable, error) {
			if !asked.Equal(c.at) {
				t.Errorf("%s: asked of %s, want %s", name, asked, c.at)
			}
			return c.says, nil
		})
		d, err := by.Designation("designation/2026-014", c.at)
		if err != nil {
			t.Fatal(err)
		}
		want := view.Knowable{Size: c.size}
		if c.proven {
			want.Cosigned = c.says.Cosigned
		}
		if d.KnowableBy != want || d.Knowable != c.knowable {
			t.Errorf("%s: knowable %s by %v, want %s by %v", name, d.Knowable, d.KnowableBy, c.knowable, want)
		}
		without, err := v.Designation("designation/2026-014", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != without.Status {
			t.Errorf("%s: in force %s, without witnesses %s", name, d.Status, without.Status)
		}
		p, err := by.Party("cirrus-hosting", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if p.Knowable != c.standing || p.KnowableBy != want {
			t.Errorf("%s: the party's standing is knowable as %s by %v, want %s", name, p.Knowable, p.KnowableBy, c.standing)
		}
	}
	broken := errors.New("broken")
	if _, err := v.WithCheckpointTimes(func(time.Time) (view.Knowable, error) { return view.Knowable{}, broken }).Designation("designation/2026-014", b.Now); !errors.Is(err, broken) {
		t.Errorf("asking failed: %v", err)
	}
}

// Lists as long as OFAC's: the cost of one designation in a list of all, and of
// looking whether it makes anybody owe something.
func BenchmarkViewLists(b *testing.B) {
	const n = 4000
	book := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	for i := range n {
		id := fmt.Sprint(i)
		book.Must(book.ImportListed(id, book.NewListedDesignation(id, "Entity "+id)))
	}
	v, err := view.Latest(book.Register)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("designations", func(b *testing.B) {
		for b.Loop() {
			seen := 0
			v.Designations(view.DesignationFilter{Status: view.StatusInForce}, book.Now, func(view.Designation) bool { seen++; return true })
			if seen != n {
				b.Fatal(seen)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/designation")
	})
	b.Run("duties", func(b *testing.B) {
		for b.Loop() {
			if err := v.Duties(view.DutyFilter{}, book.Now, func(view.Duty) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/designation")
	})
}

// TestChangeSince: of one thread, it is what the list of all changes says.
func TestChangeSince(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	seen := 0
	for size := uint64(3); size <= v.Size(); size++ {
		before, err := view.At(b.Register, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Changes(before, b.Now, b.Now, "", func(want view.Change) bool {
			seen++
			if got, err := v.ChangeSince(want.Thread, size, b.Now); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s since %d: %+v, %v; want %+v", want.Thread, size, got, err, want)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if seen == 0 {
		t.Error("nothing changed")
	}
	var absent *view.AbsentError
	if _, err := v.ChangeSince("designation/2026-099", 3, b.Now); !errors.As(err, &absent) {
		t.Errorf("of no thread: %v", err)
	}
}
