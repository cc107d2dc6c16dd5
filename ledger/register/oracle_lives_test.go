package register_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// randomHistory writes random records of a few parties and designations, and tells the oracle
// what was admitted of them.
type randomHistory struct {
	*registertest.Fixture
	oracle  oracle
	rng     *rand.Rand
	parties []string
	orders  []string
	zone    *time.Location
	terms   map[string]entry // of a designation as it stands
	tried   map[string]int
}

func newRandomHistory(t *testing.T, seed uint64) *randomHistory {
	t.Helper()
	l := &randomHistory{
		rng: rand.New(rand.NewPCG(seed, 7)), parties: []string{"acme", "borealis", "cirrus"}, orders: []string{"1", "2"},
		terms: make(map[string]entry), tried: make(map[string]int),
	}
	var err error
	if l.zone, err = time.LoadLocation("America/New_York"); err != nil {
		t.Fatal(err)
	}
	l.Fixture = registertest.NewFixture(start)
	l.oracle.log = []entry{
		{kind: "charter", at: start, day: dayOf(start, l.zone), zone: l.zone, response: 30, months: 12},
		{kind: "enrol", party: "authority", index: 1, at: start, day: dayOf(start, l.zone)},
	}
	l.Now = l.Now.Add(time.Minute)
	l.charter("America/New_York", 9, 2) // short periods, so that a life is soon over
	return l
}

func (l *randomHistory) today() int { return dayOf(l.Now, l.zone) }

// record submits a record, and tells the oracle if it was admitted.
func (l *randomHistory) record(e entry, env record.Envelope) {
	l.tried[e.kind]++
	if _, err := l.Submit(env); err != nil {
		var refusal *record.Refusal
		if !errors.As(err, &refusal) {
			panic(err)
		}
		return
	}
	l.tried[e.kind+" admitted"]++
	e.index, e.at, e.day = len(l.oracle.log), l.Now, l.today()
	l.oracle.log = append(l.oracle.log, e)
	switch e.kind {
	case "designate", "amend":
		l.terms[e.order] = e
	case "charter":
		l.zone = e.zone
	}
}

func (l *randomHistory) charter(zone string, response, months int) {
	c := l.CharterPredicate
	c.TimeZone, c.RootKeys = zone, slices.Clone(c.RootKeys)
	c.Periods.Notice, c.Periods.Term = record.Period{Days: 5}, record.Period{Days: 80}
	c.Periods.Response, c.Periods.Certification = record.Period{Days: response}, record.Period{Months: months}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	l.record(entry{kind: "charter", zone: loc, response: response, months: months},
		l.Sign(l.Statement("charter", "authority", &c), "root/root-1", "root/root-2", "root/root-3"))
}

// in is a day from today on, within so many.
func (l *randomHistory) in(from, within int) int { return l.today() + from + l.rng.IntN(within) }

func dated(day int) *record.Date { return ptr(dateOn(day)) }

func (l *randomHistory) designation(e entry, p record.Predicate) {
	l.record(e, l.Sign(l.Statement("designation/"+e.order, "authority", p), officers...))
}

// step says one random thing.
func (l *randomHistory) step() {
	party, order := l.parties[l.rng.IntN(len(l.parties))], l.orders[l.rng.IntN(len(l.orders))]
	terms, there := l.terms[order]
	switch n := l.rng.IntN(30); {
	case l.Head("party/" + party).IsZero():
		if n < 12 {
			l.record(entry{kind: "enrol", party: party}, l.Provider(party))
		}
	case !there:
		e := entry{kind: "designate", order: order, reopens: true, from: l.in(5, 10), due: l.in(9, 20)}
		e.last = e.from + 20 + l.rng.IntN(59)
		d := l.NewDesignation("Kestrel")
		d.DeterminedOn, d.EffectiveFrom, d.EffectiveUntil, d.ResponseDue = dated(l.today()), dated(e.from), dated(e.last), dated(e.due)
		if l.rng.IntN(5) == 0 {
			e.due, d.ResponseDue = 0, nil
		}
		l.designation(e, d)
	case n < 5:
		l.standing(party)
	case n < 12:
		l.respond(party, order)
	case n < 16:
		e := entry{kind: "certify", party: party, on: l.in(-70, 50)}
		e.until = e.on + l.rng.IntN(45)
		l.record(e, l.Sign(l.Statement("cip/"+party, party, &record.CIPCertification{
			PeriodFrom: dateOn(e.on), PeriodUntil: dateOn(e.until), Initial: l.Head("cip/" + party).IsZero(),
		}), party+"/compliance"))
	case n < 20:
		e := entry{kind: "suspend", order: order, on: l.in(0, 20), endless: l.rng.IntN(3) == 0}
		e.until = e.on + l.rng.IntN(20)
		p := &record.Suspension{EffectiveOn: dateOn(e.on), Reason: "r"}
		if !e.endless {
			p.Until = dated(e.until)
		}
		l.designation(e, p)
	case n < 23:
		e := entry{kind: "reinstate", order: order, on: l.in(0, 15), endless: l.rng.IntN(3) > 0}
		e.until = e.on + l.rng.IntN(10)
		p := &record.Reinstatement{EffectiveOn: dateOn(e.on), Reason: "r"}
		if !e.endless {
			p.Until = dated(e.until)
		}
		l.designation(e, p)
	case n < 28:
		l.amend(terms)
	case n == 28 && l.rng.IntN(4) == 0:
		e := entry{kind: "revoke", order: order, on: l.in(-30, 50)}
		l.designation(e, &record.Revocation{EffectiveOn: dateOn(e.on), Cause: "lifted", Reason: "r"})
	case n == 29 && l.rng.IntN(6) == 0: // a day begins earlier there: none comes back
		l.charter("Pacific/Kiritimati", 5+l.rng.IntN(10), 1+l.rng.IntN(3))
	}
}

func (l *randomHistory) standing(party string) {
	e := entry{kind: "standing", party: party, status: "suspended", on: l.in(-1, 12)}
	switch l.rng.IntN(9) {
	case 0:
		e.status = "withdrawn"
	case 1, 2, 3, 4:
		e.status = "active"
	}
	l.record(e, l.Sign(l.Statement("party/"+party, "authority", &record.Standing{Status: e.status, EffectiveOn: dateOn(e.on), Reason: "r"}), "authority/officer-1"))
}

func (l *randomHistory) respond(party, order string) {
	statuses := []string{"acknowledged", "winding-down", "winding-down", "acknowledged", "no-relationship", "wound-down", "licensed", "answered"}
	e := entry{kind: "respond", party: party, order: order, status: statuses[l.rng.IntN(len(statuses))]}
	r := &record.Response{Status: e.status}
	if e.status == "winding-down" {
		e.by = l.in(-1, 25)
		r.WindDownBy = dated(e.by)
	}
	if e.status == "answered" {
		r.Detail = &record.Commitment{Commit: strings.Repeat("ab", 32)}
	}
	var seen []entry // of the designation's thread
	for _, x := range l.oracle.log {
		if x.order == order && x.kind != "respond" {
			seen = append(seen, x)
		}
	}
	about := seen[len(seen)-1]
	if l.rng.IntN(4) == 0 {
		about = seen[l.rng.IntN(len(seen))]
	}
	e.about = about.index
	st := l.Statement("response/"+order+"/"+party, party, r)
	st.Subject.SHA256 = record.IDOf(l.Entries[about.index].Envelope.Payload)
	l.record(e, l.Sign(st, party+"/ci"))
}

func (l *randomHistory) amend(e entry) {
	e.kind, e.reopens = "amend", false
	a := &record.Amendment{Type: "correction", Reason: "r"}
	switch l.rng.IntN(7) {
	case 0, 1:
		a.Reopens, e.reopens, e.due = true, true, l.in(9, 20)
		a.ResponseDue = dated(e.due)
	case 2:
		a.Type, e.due = "deadline", l.in(9, 20)
		a.Set = setMember("responseDue", dateOn(e.due).String())
	case 3:
		e.due = l.in(9, 20)
		a.Set = setMember("responseDue", dateOn(e.due).String())
	case 4:
		if l.rng.IntN(2) == 0 {
			e.due, a.Unset = 0, []string{"responseDue"}
		} else {
			e.last -= l.rng.IntN(9)
			a.Set = setMember("effectiveUntil", dateOn(e.last).String())
		}
	case 5:
		e.from = l.in(5, 20)
		a.Set = setMember("effectiveFrom", dateOn(e.from).String())
	case 6:
		a.Type = "extension"
		e.last += 1 + l.rng.IntN(40)
		a.Set = setMember("effectiveUntil", dateOn(e.last).String())
	}
	st := l.Statement("designation/"+e.order, "authority", a)
	if _, err := record.EncodeStatement(st); err == nil {
		l.record(e, l.Sign(st, officers...))
	}
}

// advanceClock lets time go by: moments, or days, and often to the edge of one.
func (l *randomHistory) advanceClock() {
	switch l.rng.IntN(4) {
	case 0:
		l.Now = l.Now.Add(time.Duration(l.rng.IntN(300)) * time.Second)
	case 1:
		l.Now = l.Now.Add(time.Duration(l.rng.IntN(4*86400)) * time.Second)
	default:
		t := l.Now.In(l.zone)
		midnight := time.Date(t.Year(), t.Month(), t.Day()+l.rng.IntN(3), 24, 0, 0, 0, l.zone)
		l.Now = midnight.Add(-time.Duration(l.rng.IntN(2)) * time.Millisecond).UTC()
	}
}

// upTo is what the oracle knew when the log had a size.
func (o *oracle) asOf(size int) *oracle { return &oracle{log: o.log[:size]} }

// TestDutiesAgainstOracle compares the duties that a view tells with what the text says,
// over random lives of designations, parties, responses, certifications, suspensions,
// changes of standing and of the charter, at many instants and sizes.
func TestDutiesAgainstOracle(t *testing.T) {
	seeds, steps := uint64(24), 90
	if testing.Short() {
		seeds = 6
	}
	counted, tried := make(map[string]int), make(map[string]int)
	for seed := range seeds {
		l := newRandomHistory(t, seed)
		for range steps {
			l.advanceClock()
			l.step()
		}
		for range 60 {
			l.compare(t, seed, counted)
		}
		for kind, n := range l.tried {
			tried[kind] += n
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("compared %v of %v", counted, tried)
	for _, s := range register.DutyStates {
		if counted[string(s)] == 0 && !testing.Short() {
			t.Errorf("no duty was %s: the lives are too dull", s)
		}
	}
}

func (l *randomHistory) compare(t *testing.T, seed uint64, counted map[string]int) {
	t.Helper()
	size := len(l.oracle.log)
	if l.rng.IntN(3) == 0 {
		size = 3 + l.rng.IntN(size-2)
	}
	at := l.oracle.log[l.rng.IntN(size)].at // of an entry, or by the edge of a day, or far behind all
	if l.rng.IntN(3) > 0 {
		local := at.In(l.zone)
		at = time.Date(local.Year(), local.Month(), local.Day()+l.rng.IntN(60), 24, 0, 0, 0, l.zone).Add(-time.Duration(l.rng.IntN(2)) * time.Millisecond)
	}
	view, err := l.Register.ViewAt(uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = view.Duties(register.DutyFilter{}, at, func(d register.Duty) bool {
		words := d.Party + " " + string(d.Kind)
		if d.Designation != "" {
			words += " " + d.Designation[len("designation/"):]
		}
		words += " " + string(d.State)
		if d.Due != nil {
			words += " due " + d.Due.String()
		}
		if d.MetOn != nil {
			words += " met " + d.MetOn.String()
		}
		got = append(got, words)
		counted[string(d.State)]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := l.oracle.asOf(size).duties(l.parties, l.orders, at)
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("seed %d, size %d, at %s (%s)", seed, size, at.UTC().Format(time.RFC3339Nano), dateOn(l.oracle.asOf(size).today(at)))
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("  the text says %q", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("  the view says %q", g)
		}
	}
	for _, e := range l.oracle.log[:size] {
		t.Log("  ", fmt.Sprintf("%d %s %s: %s %s%s %s on %s until %s endless %t, from %s last %s due %s reopens %t, about %d by %s",
			e.index, e.at.Format("01-02T15:04:05"), dateOn(e.day), e.kind, e.party, e.order, e.status, dateOn(e.on), dateOn(e.until), e.endless, dateOn(e.from), dateOn(e.last), dateOn(e.due), e.reopens, e.about, dateOn(e.by)))
	}
	t.FailNow()
}
