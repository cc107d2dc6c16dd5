package listimport_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// testRegister is a register of designations, as little of one as an import needs. It
// applies planned items by the rules of RECORDS.md and fails the test on misuse.
type testRegister map[record.Thread]listimport.Current

func (b testRegister) all() iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		for _, c := range b {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (b testRegister) apply(t testing.TB, items ...listimport.Item) {
	t.Helper()
	for _, i := range items {
		c, known := b[i.Thread]
		if i.Follows != c.Newest {
			t.Fatalf("%s: follows %s, the newest is %s", i.Thread, i.Follows, c.Newest)
		}
		switch p := i.Predicate.(type) {
		case *record.Designation:
			if known && c.Ended != "delisted" {
				t.Fatalf("%s: designated again while %q", i.Thread, c.Ended)
			}
			c = listimport.Current{Thread: i.Thread, Designation: p}
		case *record.Amendment:
			if !known || c.Ended != "" {
				t.Fatalf("%s: amended, but there is nothing in force", i.Thread)
			}
			d, _, err := record.Amend(c.Designation, p)
			if err != nil {
				t.Fatalf("%s: %v", i.Thread, err)
			}
			c.Designation = d
		case *record.Revocation:
			if !known || c.Ended != "" {
				t.Fatalf("%s: revoked, but there is nothing in force", i.Thread)
			}
			c.Ended = p.Cause
		}
		c.Newest = sha256.Sum256([]byte(fmt.Sprint(i.Thread, c.Newest, i.Subject)))
		b[i.Thread] = c
	}
}

// inForceCount is the number of threads in force.
func (b testRegister) inForceCount() int {
	n := 0
	for _, c := range b {
		if c.Ended == "" {
			n++
		}
	}
	return n
}

// wantEqual says where the book's living threads differ from the list, persons
// being left out of both where they are outside.
func (b testRegister) wantEqual(t testing.TB, l *listimport.List, individuals bool) {
	t.Helper()
	left := maps.Clone(b)
	maps.DeleteFunc(left, func(_ record.Thread, c listimport.Current) bool { return c.Ended != "" })
	for _, e := range l.Entries {
		if e.Target.Schema == "Person" && !individuals {
			continue
		}
		thread := record.ImportThread(l.Name, e.ID)
		c, there := left[thread]
		if !there {
			t.Errorf("%s is on the list and not in force", thread)
			continue
		}
		delete(left, thread)
		got, want := describe(c.Designation.Target, c.Designation.Program), describe(e.Target, e.Program)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", thread, got, want)
		}
	}
	for thread := range left {
		t.Errorf("%s is in force and not on the list", thread)
	}
}

// describe is all that an import may say about a target, lists as sets.
func describe(t record.Target, program []string) []string {
	all := []string{"schema " + t.Schema, "name " + t.Name, "country " + t.Country}
	for _, a := range t.Alias {
		all = append(all, fmt.Sprintf("alias %+v", a))
	}
	for _, a := range t.Address {
		all = append(all, fmt.Sprintf("address %+v", a))
	}
	for _, p := range program {
		all = append(all, "program "+p)
	}
	slices.Sort(all)
	return all
}

// plan is Diff, which must succeed.
func plan(t testing.TB, l *listimport.List, b testRegister, o listimport.Options) *listimport.Plan {
	t.Helper()
	p, err := listimport.Diff(l, b.all(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// today is the options' date in all tests.
var today = record.Date{Year: 2026, Month: 11, Day: 23}

// listOf is a list of fictional entries.
func listOf(entries ...listimport.Entry) *listimport.List {
	return &listimport.List{Name: "ofac-sdn", HasAliasTypes: true, Files: []listimport.File{{Name: "sdn.csv", Size: 3, SHA256: [32]byte{1}}, {Name: "alt.csv"}}, Entries: entries}
}

func organizationEntry(id, name string) listimport.Entry {
	return listimport.Entry{
		ID: id, Digest: [32]byte{2}, Bytes: 70, Program: []string{"CLOUD-1"},
		Target: record.Target{Schema: "Organization", Name: name},
	}
}

func personEntry(id, name string) listimport.Entry {
	e := organizationEntry(id, name)
	e.Target.Schema = "Person"
	return e
}

var permissiveOptions = listimport.Options{MaxRemovedPercent: 100, Individuals: true, Today: today}

func TestFirstImport(t *testing.T) {
	published := record.Date{Year: 2026, Month: 11, Day: 20}
	o := permissiveOptions
	o.Published = &published
	l := listOf(organizationEntry("1000", "KESTREL"), organizationEntry("36", "HARBOUR"))
	p := plan(t, l, testRegister{}, o)
	if len(p.Items) != 2 || p.Designations != 2 {
		t.Fatalf("%+v", p)
	}
	if p.Items[0].Thread != "designation/ofac-sdn-36" || p.Items[1].Thread != "designation/ofac-sdn-1000" {
		t.Errorf("order %s, %s; want by number", p.Items[0].Thread, p.Items[1].Thread)
	}
	i := p.Items[0]
	d := i.Predicate.(*record.Designation)
	want := &record.Designation{
		Measure: "person", Action: "prohibit", Target: record.Target{Schema: "Organization", Name: "HARBOUR"}, Program: []string{"CLOUD-1"},
		Source: &record.Source{List: "ofac-sdn", ID: "36", PublishedOn: &published, Files: []record.SourceFile{
			{Name: "sdn.csv", SHA256: "01" + strings.Repeat("00", 31)}, {Name: "alt.csv", SHA256: strings.Repeat("00", 32)}}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("\n got %+v\nwant %+v", d, want)
	}
	if i.Subject.SHA256 != l.Entries[1].Digest || *i.Document.Bytes != 70 || !i.Follows.IsZero() {
		t.Errorf("item %+v", i)
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := i.Statement(record.ID{9}, "authority", at)
	if s.Kind != record.KindDesignation || s.Ledger != (record.ID{9}) || s.Issuer != "authority" || s.IssuedAt != at || s.Thread != i.Thread || s.Predicate != i.Predicate {
		t.Errorf("statement %+v", s)
	}
}

func TestGoneAndBack(t *testing.T) {
	b := testRegister{}
	one, two := organizationEntry("1", "KESTREL"), organizationEntry("2", "HARBOUR")
	b.apply(t, plan(t, listOf(one, two), b, permissiveOptions).Items...)

	gone := plan(t, listOf(one), b, permissiveOptions)
	if len(gone.Items) != 1 || gone.Revocations != 1 || gone.Unchanged != 1 {
		t.Fatalf("%+v", gone)
	}
	r := gone.Items[0].Predicate.(*record.Revocation)
	if r.Cause != "delisted" || r.EffectiveOn != today || !strings.HasPrefix(r.Reason, "No longer on ofac-sdn as in these files (file SHA-256 01") {
		t.Errorf("%+v", r)
	}
	if gone.Items[0].Subject != (record.Subject{Name: "sdn.csv", SHA256: [32]byte{1}}) {
		t.Errorf("subject %+v", gone.Items[0].Subject)
	}
	b.apply(t, gone.Items...)
	if again := plan(t, listOf(one), b, permissiveOptions); len(again.Items) != 0 {
		t.Fatalf("again: %+v", again)
	}

	back := plan(t, listOf(one, two), b, permissiveOptions)
	if back.Designations != 1 || back.Items[0].Follows != b["designation/ofac-sdn-2"].Newest {
		t.Fatalf("back: %+v", back)
	}
	b.apply(t, back.Items...)
	b.wantEqual(t, listOf(one, two), true)
}

func TestRevokedForGood(t *testing.T) {
	for _, cause := range []string{"lifted", "error", "court-order", "superseded"} {
		b := testRegister{}
		l := listOf(organizationEntry("1", "KESTREL"))
		b.apply(t, plan(t, l, b, permissiveOptions).Items...)
		c := b["designation/ofac-sdn-1"]
		c.Ended = cause
		b["designation/ofac-sdn-1"] = c
		p := plan(t, l, b, permissiveOptions)
		if len(p.Items) != 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "revoked ("+cause+")") {
			t.Errorf("%s: %+v", cause, p)
		}
		if p := plan(t, listOf(organizationEntry("2", "HARBOUR")), b, permissiveOptions); p.Revocations != 0 {
			t.Errorf("%s: revoked again", cause)
		}
	}
}

// The clock ends a thread to which designators gave a last day: it takes no
// amendment, and its going from the list is no removal.
func TestExpired(t *testing.T) {
	b := testRegister{}
	b.apply(t, plan(t, listOf(organizationEntry("1", "KESTREL"), organizationEntry("2", "HARBOUR")), b, permissiveOptions).Items...)
	c := b["designation/ofac-sdn-1"]
	until := today.AddDays(-1)
	c.Designation.EffectiveUntil = &until
	changed := listOf(organizationEntry("1", "KESTREL II"), organizationEntry("2", "HARBOUR"))
	p := plan(t, changed, b, permissiveOptions)
	if len(p.Items) != 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "still listed, but its designation expired with 2026-11-22") {
		t.Errorf("listed: %+v", p)
	}
	if p := plan(t, listOf(organizationEntry("2", "HARBOUR")), b, permissiveOptions); len(p.Items) != 0 {
		t.Errorf("gone: %+v", p)
	}
	c.Designation.EffectiveUntil = &today // inclusive
	if p := plan(t, changed, b, permissiveOptions); p.Amendments != 1 {
		t.Errorf("on its last day: %+v", p)
	}
}

func TestOnlyTargetAndProgramCount(t *testing.T) {
	b := testRegister{}
	b.apply(t, plan(t, listOf(organizationEntry("1", "KESTREL")), b, permissiveOptions).Items...)
	same := listOf(organizationEntry("1", "KESTREL"))
	same.Files[0].SHA256 = [32]byte{77}
	same.Entries[0].Digest = [32]byte{78}
	o := permissiveOptions
	o.Published = &today
	if p := plan(t, same, b, o); len(p.Items) != 0 || p.Unchanged != 1 {
		t.Errorf("other files, same words: %+v", p)
	}
}

func TestAmendments(t *testing.T) {
	base := organizationEntry("1", "KESTREL")
	base.Target.Alias = []record.Alias{{Name: "KH", Type: "aka"}, {Name: "KC", Type: "fka"}}
	base.Target.Address = []record.Address{{Full: "1 Harbour Road"}, {Full: "Port Kestrel", Country: "XB"}}
	base.Target.Country = "XB"
	for _, c := range []struct {
		name   string
		typ    string
		change func(*listimport.Entry)
	}{
		{"name", "target-detail", func(e *listimport.Entry) { e.Target.Name = "KESTREL II" }},
		{"schema", "target-detail", func(e *listimport.Entry) { e.Target.Schema = "Vessel" }},
		{"country", "target-detail", func(e *listimport.Entry) { e.Target.Country = "XC" }},
		{"no country", "target-detail", func(e *listimport.Entry) { e.Target.Country = "" }},
		{"program", "correction", func(e *listimport.Entry) { e.Program = []string{"CLOUD-2", "CLOUD-1"} }},
		{"other program", "correction", func(e *listimport.Entry) { e.Program = []string{"CLOUD-2"} }},
		{"one more alias", "alias", func(e *listimport.Entry) {
			e.Target.Alias = append(e.Target.Alias, record.Alias{Name: "K", Type: "aka"})
		}},
		{"an alias less", "alias", func(e *listimport.Entry) { e.Target.Alias = e.Target.Alias[1:] }},
		{"no aliases", "alias", func(e *listimport.Entry) { e.Target.Alias = nil }},
		{"an alias of another type", "alias", func(e *listimport.Entry) {
			e.Target.Alias = []record.Alias{{Name: "KH", Type: "nka"}, {Name: "KC", Type: "fka"}}
		}},
		{"address", "target-detail", func(e *listimport.Entry) {
			e.Target.Address = []record.Address{{Full: "1 Harbour Road", Country: "XC"}}
		}},
		{"no address", "target-detail", func(e *listimport.Entry) { e.Target.Address = nil }},
		{"name and alias", "correction", func(e *listimport.Entry) {
			e.Target.Name = "KH"
			e.Target.Alias = []record.Alias{{Name: "KESTREL", Type: "fka"}}
		}},
		{"everything", "correction", func(e *listimport.Entry) { *e = organizationEntry("1", "ANOTHER"); e.Program = []string{"X"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := testRegister{}
			b.apply(t, plan(t, listOf(base), b, permissiveOptions).Items...)
			changed := base
			changed.Digest = [32]byte{5}
			c.change(&changed)
			l := listOf(changed)
			p := plan(t, l, b, permissiveOptions)
			if len(p.Items) != 1 || p.Amendments != 1 {
				t.Fatalf("%+v", p)
			}
			am := p.Items[0].Predicate.(*record.Amendment)
			if am.Type != c.typ {
				t.Errorf("type %s, want %s", am.Type, c.typ)
			}
			if am.Source == nil || am.Source.ID != "1" || am.Reason == "" || am.Reopens || am.ResponseDue != nil {
				t.Errorf("%+v", am)
			}
			if p.Items[0].Subject.SHA256 != changed.Digest || p.Items[0].Follows != b["designation/ofac-sdn-1"].Newest {
				t.Errorf("item %+v", p.Items[0])
			}
			b.apply(t, p.Items...)
			b.wantEqual(t, l, true)
			if again := plan(t, l, b, permissiveOptions); len(again.Items) != 0 {
				t.Errorf("again: %+v", again.Items[0].Predicate)
			}
		})
	}
}

// The order of a list's rows is no change: aliases, addresses and programmes are sets.
func TestOrderIsNoChange(t *testing.T) {
	e := organizationEntry("1", "KESTREL")
	e.Target.Alias = []record.Alias{{Name: "A", Type: "aka"}, {Name: "B", Type: "aka"}}
	e.Program = []string{"X", "Y"}
	b := testRegister{}
	b.apply(t, plan(t, listOf(e), b, permissiveOptions).Items...)
	e.Target.Alias = []record.Alias{e.Target.Alias[1], e.Target.Alias[0]}
	e.Program = []string{"Y", "X"}
	if p := plan(t, listOf(e), b, permissiveOptions); len(p.Items) != 0 {
		t.Errorf("%+v", p.Items[0].Predicate)
	}
}

// What designators added to an imported thread and no list says stays.
func TestWhatTheListDoesNotSayStays(t *testing.T) {
	b := testRegister{}
	b.apply(t, plan(t, listOf(organizationEntry("1", "KESTREL")), b, permissiveOptions).Items...)
	c := b["designation/ofac-sdn-1"]
	enriched := *c.Designation
	enriched.Target.Domain, enriched.Target.ASN = []string{"kestrel.example"}, []int64{64511}
	enriched.Target.LEI, enriched.Target.RegistrationNumber = "9999DOCKETDEMO000118", "0048213"
	enriched.FederalRegisterNotice, enriched.EffectiveUntil = "00 FR 1", &record.Date{Year: 2030, Month: 1, Day: 1}
	c.Designation = &enriched
	b["designation/ofac-sdn-1"] = c
	if p := plan(t, listOf(organizationEntry("1", "KESTREL")), b, permissiveOptions); len(p.Items) != 0 {
		t.Errorf("%+v", p.Items[0].Predicate)
	}
	b.apply(t, plan(t, listOf(organizationEntry("1", "HARBOUR")), b, permissiveOptions).Items...)
	got := b["designation/ofac-sdn-1"].Designation.Target
	want := enriched.Target
	want.Name = "HARBOUR"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestIndividuals(t *testing.T) {
	without := permissiveOptions
	without.Individuals = false
	l := listOf(organizationEntry("1", "KESTREL"), personEntry("2", "HARBOUR, Jane"))
	b := testRegister{}
	p := plan(t, l, b, without)
	if len(p.Items) != 1 || p.Skipped != 1 {
		t.Fatalf("without: %+v", p)
	}
	b.apply(t, p.Items...)
	b.apply(t, plan(t, l, b, permissiveOptions).Items...)
	b.wantEqual(t, l, true)

	// Persons in the register stay as they are, changed or gone.
	changed := listOf(organizationEntry("1", "KESTREL"), personEntry("2", "HARBOUR, J."))
	for _, l := range []*listimport.List{listOf(organizationEntry("1", "KESTREL")), changed} {
		if p := plan(t, l, b, without); len(p.Items) != 0 {
			t.Errorf("without: %+v", p.Items[0])
		}
	}
	// Who may be a person is left out with them.
	unknown := organizationEntry("3", "QUAY")
	unknown.Target.Schema = "LegalEntity"
	if p := plan(t, listOf(organizationEntry("1", "KESTREL"), unknown), b, without); len(p.Items) != 0 || p.Skipped != 1 {
		t.Errorf("who may be a person: %+v", p)
	}
	// An entry that turns from one into the other is outside too, either way.
	turned := listOf(personEntry("1", "KESTREL"), organizationEntry("2", "HARBOUR"))
	if p := plan(t, turned, b, without); len(p.Items) != 0 || p.Skipped != 2 {
		t.Errorf("turned: %+v", p)
	}
	if p := plan(t, turned, b, permissiveOptions); p.Amendments != 2 {
		t.Errorf("turned, with individuals: %+v", p)
	}
}

func TestRemovalGuard(t *testing.T) {
	var entries []listimport.Entry
	for i := range 100 {
		entries = append(entries, organizationEntry(fmt.Sprint(i+1), "KESTREL"))
		entries = append(entries, personEntry(fmt.Sprint(i+1001), "HARBOUR"))
	}
	all := listOf(entries...)
	b := testRegister{}
	b.apply(t, plan(t, all, b, permissiveOptions).Items...)
	for _, c := range []struct {
		individuals bool
		gone        int // entries from the front: an organisation, a person, …
		allow       int
		percent     int64
		want        *listimport.RemovalError
	}{
		{true, 4, 0, 2, nil},
		{true, 5, 0, 2, &listimport.RemovalError{List: "ofac-sdn", Removed: 5, InForce: 200, MaxPercent: 2}},
		{true, 5, 4, 2, &listimport.RemovalError{List: "ofac-sdn", Removed: 5, InForce: 200, MaxPercent: 2}},
		{true, 5, 5, 2, nil},
		{true, 5, 6, 2, nil},
		{true, 1, 0, 0, &listimport.RemovalError{List: "ofac-sdn", Removed: 1, InForce: 200, MaxPercent: 0}},
		{true, 0, 0, 0, nil},
		{false, 4, 0, 2, nil}, // two organisations of a hundred
		{false, 6, 0, 2, &listimport.RemovalError{List: "ofac-sdn", Removed: 3, InForce: 100, MaxPercent: 2}},
		{false, 6, 3, 2, nil},
	} {
		_, err := listimport.Diff(listOf(entries[c.gone:]...), b.all(), listimport.Options{
			Individuals: c.individuals, AllowRemoved: c.allow, MaxRemovedPercent: c.percent, Today: today})
		var removal *listimport.RemovalError
		if errors.As(err, &removal) != (err != nil) || !reflect.DeepEqual(removal, c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
		if err != nil {
			refusaltest.Words(t, err.Error())
		}
	}
}

// Several lists of one publication: each has its own limit, what is allowed is for all that
// exceed theirs together, and a list that vanished is told from an empty one.
func TestDiffAll(t *testing.T) {
	b := testRegister{}
	lists := map[string]*listimport.List{}
	for _, name := range []string{"csl-a", "csl-b", "csl-c"} {
		l := listOf(organizationEntry("1", "KESTREL"), organizationEntry("2", "HARBOUR"), organizationEntry("3", "QUAY"))
		l.Name = name
		lists[name] = l
		b.apply(t, plan(t, l, testRegister{}, permissiveOptions).Items...)
	}
	of := func(list string) iter.Seq2[listimport.Current, error] {
		return func(yield func(listimport.Current, error) bool) {
			for _, c := range b {
				if c.Designation.Source.List == list && !yield(c, nil) {
					return
				}
			}
		}
	}
	gone := *lists["csl-b"]
	gone.Entries, gone.Vanished = nil, true
	fewer := *lists["csl-c"]
	fewer.Entries = fewer.Entries[1:]
	never := gone
	never.Name = "csl-d"
	var all []listimport.Comparison
	for _, l := range []*listimport.List{lists["csl-a"], &gone, &fewer, &never} {
		o := permissiveOptions
		o.MaxRemovedPercent, o.AllowRemoved = 2, 99 // which is not looked at
		all = append(all, listimport.Comparison{List: l, Current: of(l.Name), Options: o})
	}
	want := listimport.RemovalsError{
		{List: "csl-b", Vanished: true, Removed: 3, InForce: 3, MaxPercent: 2},
		{List: "csl-c", Removed: 1, InForce: 3, MaxPercent: 2},
	}
	for _, allowed := range []int{0, 1, 3} {
		plans, err := listimport.DiffAll(all, allowed)
		if over := (listimport.RemovalsError)(nil); !errors.As(err, &over) || !reflect.DeepEqual(over, want) || plans != nil {
			t.Errorf("%d allowed: %v, %v", allowed, plans, err)
		}
		refusaltest.Words(t, err.Error())
	}
	plans, err := listimport.DiffAll(all, 4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range plans {
		got = append(got, fmt.Sprintf("%d gone, %d unchanged, %q", p.Revocations, p.Unchanged, p.Notes))
	}
	if want := []string{"0 gone, 3 unchanged, []", "3 gone, 0 unchanged, []", "1 gone, 2 unchanged, []", `0 gone, 0 unchanged, ["nothing of csl-d is in sdn.csv, nor in the register"]`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := listimport.DiffAll(all[1:2], 2); err == nil || !errors.As(err, new(*listimport.RemovalError)) {
		t.Errorf("one list alone: %v", err)
	} else {
		refusaltest.Words(t, err.Error())
	}
}

// A list that publishes notices and dates decides them; one whose last day is over is not
// designated, and one that the clock ended and the list too is no difference.
func TestTerms(t *testing.T) {
	day := func(year int) *record.Date { return &record.Date{Year: year, Month: 6, Day: 1} }
	e := organizationEntry("1", "KESTREL")
	e.FederalRegisterNotice, e.EffectiveFrom, e.EffectiveUntil = "00 FR 1", day(2018), day(2030)
	over := organizationEntry("2", "HARBOUR")
	over.EffectiveUntil = day(2020)
	l := listOf(e, over)
	l.HasTerms = true
	b := testRegister{}
	p := plan(t, l, b, permissiveOptions)
	b.apply(t, p.Items...)
	d := b["designation/ofac-sdn-1"].Designation
	if len(b) != 1 || d.FederalRegisterNotice != "00 FR 1" || *d.EffectiveFrom != *day(2018) || *d.EffectiveUntil != *day(2030) || len(p.Notes) != 1 {
		t.Fatalf("%+v, notes %q", b, p.Notes)
	}
	if p := plan(t, l, b, permissiveOptions); len(p.Items) != 0 {
		t.Errorf("again: %+v", p.Items[0].Predicate)
	}
	e.FederalRegisterNotice, e.EffectiveUntil = "00 FR 2", nil
	l.Entries = []listimport.Entry{e, over}
	b.apply(t, plan(t, l, b, permissiveOptions).Items...)
	if d := b["designation/ofac-sdn-1"].Designation; d.FederalRegisterNotice != "00 FR 2" || d.EffectiveUntil != nil {
		t.Errorf("amended: %+v", d)
	}
	e.EffectiveUntil = day(2030)
	l.Entries = []listimport.Entry{e}
	b.apply(t, plan(t, l, b, permissiveOptions).Items...)
	later := permissiveOptions
	later.Today = *day(2031)
	if p := plan(t, l, b, later); len(p.Items) != 0 || p.Unchanged != 1 || len(p.Notes) != 0 {
		t.Errorf("both over: %+v", p)
	}
	l.Entries[0].EffectiveUntil = day(2040)
	if p := plan(t, l, b, later); len(p.Items) != 0 || len(p.Notes) != 1 {
		t.Errorf("over, and extended on the list: %+v", p)
	}
}

func TestRemovalErrorWords(t *testing.T) {
	for _, c := range []struct {
		listimport.RemovalError
		share string
	}{
		{listimport.RemovalError{Removed: 261, InForce: 7379, MaxPercent: 2}, "3.5 %"},
		{listimport.RemovalError{Removed: 184, InForce: 3534, MaxPercent: 2}, "5.2 %"},
		{listimport.RemovalError{Removed: 20001, InForce: 1000000, MaxPercent: 2}, "2.0001 %"}, // 2.0 would be within the limit
	} {
		words := c.Error()
		if !strings.Contains(words, c.share) || !strings.HasSuffix(words, fmt.Sprint("--allow-removed ", c.Removed)) {
			t.Errorf("%s: want %s, and the flag that allows it", words, c.share)
		}
		refusaltest.Words(t, words)
	}
}

func TestListsThatCannotBePlanned(t *testing.T) {
	l := listOf(organizationEntry("1", "KESTREL"))
	foreign := func(c listimport.Current) iter.Seq2[listimport.Current, error] {
		return func(yield func(listimport.Current, error) bool) { yield(c, nil) }
	}
	d := func(list, id string) *record.Designation {
		return &record.Designation{Source: &record.Source{List: list, ID: id}}
	}
	broken := errors.New("broken disk")
	for _, c := range []struct {
		name    string
		list    *listimport.List
		current iter.Seq2[listimport.Current, error]
		is      error
	}{
		{"empty", listOf(), testRegister{}.all(), nil},
		{"twice", listOf(organizationEntry("1", "A"), organizationEntry("1", "B")), testRegister{}.all(), nil},
		{"no thread", listOf(organizationEntry("A b", "A")), testRegister{}.all(), nil},
		{"no source", l, foreign(listimport.Current{Thread: "designation/ofac-sdn-1", Designation: &record.Designation{}}), listimport.ErrForeign},
		{"other list", l, foreign(listimport.Current{Thread: "designation/ofac-cons-1", Designation: d("ofac-cons", "1")}), listimport.ErrForeign},
		{"other thread", l, foreign(listimport.Current{Thread: "designation/ofac-sdn-2", Designation: d("ofac-sdn", "1")}), listimport.ErrForeign},
		{"register fails", l, func(yield func(listimport.Current, error) bool) { yield(listimport.Current{}, broken) }, broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := listimport.Diff(c.list, c.current, permissiveOptions)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, listimport.ErrForeign) != (c.is == listimport.ErrForeign) {
				t.Fatalf("got %v, want %v", err, c.is)
			}
			refusaltest.Words(t, err.Error())
		})
	}
}
