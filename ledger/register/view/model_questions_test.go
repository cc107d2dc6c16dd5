package view_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// viewAnswers are the lines of [mind.answers] by the register.
func viewAnswers(t *testing.T, v *view.View, at time.Time, asked []question) (told []string) {
	t.Helper()
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	must := mustOf(t)
	index := func(id record.ID) uint64 { r, err := v.Record(id); must(err); return r.Index }
	must(v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool {
		detail, err := v.Designation(d.Thread, at)
		must(err)
		slices.Sort(d.FormerName)
		tell("designation %s: %s, knowable %s below %d, %s of %s, formerly %q, from %s until %s due %s, %d conditions, in error %t, newest %d, opened %d", d.Thread,
			d.Status, d.Knowable, d.KnowableBy.Size, d.Name, d.Country, d.FormerName, d.EffectiveFrom, dateText(d.EffectiveUntil), dateText(d.ResponseDue), len(detail.Current.Conditions),
			d.Error, index(d.Record), index(d.Opened))
		return true
	}))
	must(v.Parties(view.PartyFilter{}, at, func(p view.Party) bool {
		slices.Sort(p.FormerName)
		tell("party %s: %s, knowable %s, %s, formerly %q, sponsored %t, enrolled %s, newest %d", p.ID, p.Standing, p.Knowable, p.LegalName, p.FormerName, p.Sponsor != "", p.Enrolled, index(p.Record))
		must(v.Keys(p.ID, "", at, func(k view.PartyKey) bool {
			revoked := uint64(0)
			if k.Revoked != nil {
				revoked = *k.Revoked
			}
			tell("key %s: %s, %s of %s, registrars %t, added %d revoked %d, live %t, claims %t", k.ID, k.Use, k.Holder, p.ID, k.ByRegistrar, k.Added, revoked, k.Live, k.CompromisedSince != nil)
			return true
		}))
		if !slices.Contains(p.Roles, record.RoleProvider) {
			return true
		}
		detail, err := v.Party(p.ID, at)
		must(err)
		var filed []uint64
		for _, r := range detail.Attestations {
			filed = append(filed, r.Index)
		}
		tell("filed by %s: %v", p.ID, filed)
		if l := detail.CustomerLog; l != nil {
			tell("log of %s: %s at %d until %s, %d lost, root %s", p.ID, l.Origin, l.Size, l.Until, l.Restarts, l.Root)
		}
		return true
	}))
	must(v.Licences(view.LicenceFilter{}, at, func(l view.Licence) bool {
		one, err := v.Licence(l.Thread, at)
		must(err)
		tell("licence %s: %s, in error %t", l.Thread, one.Status, l.Error)
		return true
	}))
	must(v.Requests(view.RequestFilter{}, at, func(r view.Request) bool {
		days := ""
		if r.Days != nil {
			days = fmt.Sprint(*r.Days)
		}
		tell("request %s: %s, knowable %s, of %q by %q, sealed %t, decided %s, days %s, for %s", r.Thread, r.Status, r.Knowable, r.Provider, dateText(r.Due), r.Sealed, dateText(r.Decided), days, r.Jurisdiction)
		return true
	}))
	counts, err := v.Cooperation("", at)
	must(err)
	for _, c := range counts {
		alone, err := v.Cooperation(c.Jurisdiction, at)
		must(err)
		if len(alone) != 1 {
			t.Fatalf("cooperation of %s: %v", c.Jurisdiction, alone)
		}
		c, median := alone[0], "none"
		if c.MedianDays != nil {
			median = fmt.Sprint(*c.MedianDays)
		}
		tell("cooperation %s: asked %d = %d + %d + %d + %d + %d, sealed %d, median %s", c.Jurisdiction, c.Asked, c.Answered, c.Unanswered, c.Challenged, c.Withdrawn, c.Open, c.Sealed, median)
	}
	for _, id := range identifiers {
		found, err := v.Identifier(id[0], id[1], at)
		must(err)
		for _, match := range found.Matches {
			tell("%s %s: %s %s since %d", id[0], id[1], match.Use, match.Thread, index(match.Since))
		}
	}
	told = append(told, viewDuties(t, v, view.DutyFilter{}, at, nil)...)
	for i, q := range asked {
		told = append(told, viewLists(t, v, at, i, q)...)
	}
	slices.Sort(told)
	return told
}

// viewLists are what the lists choose by one question.
func viewLists(t *testing.T, v *view.View, at time.Time, i int, q question) (told []string) {
	t.Helper()
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	must := mustOf(t)
	var threads []record.Thread
	take := func(thread record.Thread) bool { threads = append(threads, thread); return true }
	list := func(name string) { tell("%d %s %v", i, name, threads); threads = nil }
	must(v.Designations(q.designations, at, func(d view.Designation) bool { return take(d.Thread) }))
	list("designations")
	must(v.Licences(q.licences, at, func(l view.Licence) bool { return take(l.Thread) }))
	list("licences")
	must(v.Parties(q.parties, at, func(p view.Party) bool { return take(record.PartyThread(p.ID)) }))
	list("parties")
	must(v.Requests(q.requests, at, func(r view.Request) bool { return take(r.Thread) }))
	list("requests")
	tell("%d duties %q", i, viewDuties(t, v, q.duties, at, nil))
	var indexes []uint64
	must(v.Records(q.records, func(r register.RecordRow) bool { indexes = append(indexes, r.Index); return true }))
	tell("%d records %v", i, indexes)
	return told
}

// viewChanges are the lines of [mind.changes] by the register.
func viewChanges(t *testing.T, v, before *view.View, then, now time.Time) (told []string) {
	t.Helper()
	must := mustOf(t)
	must(v.Changes(before, then, now, "", func(c view.Change) bool {
		var records []uint64
		for _, id := range c.Records {
			r, err := v.Record(id)
			must(err)
			records = append(records, r.Index)
		}
		told = append(told, fmt.Sprintf("change %s %q: %s to %s, %v, in error %t, records %v", c.Thread, c.Name, c.Before, c.After, c.Changed, c.Error, records))
		return true
	}))
	slices.Sort(told)
	return told
}

func mustOf(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func dateText(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

// A fixtureOf is a register with the model of it.
type compared struct {
	*model
	*register.Register
	rng *rand.Rand
}

// state is a size of both, and an instant for it: behind the newest record there, or, where it may be, any
// of the ledger's; with how much of it was knowable then, by admission times or by the checkpoints of
// witnesses who came an hour late.
func (c compared) state(t *testing.T, size int, past bool) (*view.View, *mind) {
	t.Helper()
	v, err := view.At(c.Register, uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	at := c.log[size-1].at.Add(time.Duration(c.rng.IntN(1+c.rng.IntN(700*24))) * time.Hour)
	if past {
		edges := c.log[:size]
		if c.rng.IntN(2) == 0 { // of lives
			edges = slices.DeleteFunc(slices.Clone(edges), func(e entry) bool { return e.kind != "designate" && e.index > 0 })
		}
		at = edges[c.rng.IntN(len(edges))].at.Add(time.Duration(c.rng.IntN(3)-1) * time.Millisecond)
	}
	m, late := c.asOf(size), time.Duration(0)
	if c.rng.IntN(2) == 0 {
		late = time.Hour
		v = v.WithCheckpointTimes(func(at time.Time) (view.Knowable, error) {
			by := at.Add(-late)
			return view.Knowable{Size: uint64(len(c.admittedBy(by).log)), Cosigned: by}, nil
		})
	}
	return v, &mind{m, at, m.today(at), m.admittedBy(at.Add(-late))}
}

// admittedBy is what the model knew at an instant.
func (m *model) admittedBy(at time.Time) *model {
	n := 0
	for n < len(m.log) && !m.log[n].at.After(at) {
		n++
	}
	return m.asOf(n)
}

// agreeOnAnswers compares what the register and the model tell as of a size, at an instant.
func (c compared) agreeOnAnswers(t *testing.T) (lines int) {
	t.Helper()
	size := 3 + c.rng.IntN(len(c.log)-2)
	v, m := c.state(t, size, c.rng.IntN(3) == 0)
	asked := m.questions(c.rng)
	want := slices.DeleteFunc(m.answers(asked), func(line string) bool { return line == "" })
	lines = sameLines(t, fmt.Sprintf("size %d at %s", size, m.at.Format(time.RFC3339Nano)), want, viewAnswers(t, v, m.at, asked))

	before, was := c.state(t, 1+c.rng.IntN(size), false)
	v, m = c.state(t, size, false)
	return lines + sameLines(t, fmt.Sprintf("changes from %d at %s to %d at %s", len(was.log), was.at.Format(time.RFC3339), size, m.at.Format(time.RFC3339)), m.changes(was), viewChanges(t, v, before, was.at, m.at))
}

// sameLines wants the same of both, each once.
func sameLines(t *testing.T, where string, want, got []string) int {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: the text says %s", where, w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%s: the view says %s", where, g)
		}
	}
	if len(got) != len(want) && !t.Failed() {
		t.Errorf("%s: the register tells something twice", where)
	}
	return len(want)
}
