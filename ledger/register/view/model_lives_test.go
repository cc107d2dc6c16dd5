package view_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// randomHistory writes random records of a few parties and designations, and tells the model
// what was admitted of them.
type randomHistory struct {
	*registertest.Fixture
	model
	t       *testing.T
	rng     *rand.Rand
	parties []string
	orders  []string
	zone    *time.Location
	terms   map[string]entry // of a designation as it stands
	tried   map[string]int
	granted int // licences that were asked for

	requests int
	asked    map[string]entry // of a request, as it was asked
}

// resellers are those of whom providers speak.
var resellers = []string{"lumen", "marrow"}

func newRandomHistory(t *testing.T, seed uint64) *randomHistory {
	t.Helper()
	l := &randomHistory{
		t:   t,
		rng: rand.New(rand.NewPCG(seed, 7)), parties: []string{"acme", "borealis", "cirrus"}, orders: []string{"1", "2"},
		terms: make(map[string]entry), tried: make(map[string]int), asked: make(map[string]entry),
	}
	var err error
	if l.zone, err = time.LoadLocation("America/New_York"); err != nil {
		t.Fatal(err)
	}
	l.Fixture = registertest.NewFixture(start)
	l.model = *newModel(t, l.Fixture)
	l.Now = l.Now.Add(time.Minute)
	l.charter("America/New_York", 9, 2) // short periods, so that a life is soon over
	for _, id := range resellers {
		e := &record.Enrolment{LegalName: id, Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{l.Officer(id + "/desk")}}
		l.record(entry{kind: "newcomer"}, l.Sign(l.Statement(record.PartyThread(id), id, e), id+"/desk", "authority/officer-1"))
	}
	return l
}

func (l *randomHistory) today() int { return dayOf(l.Now, l.zone) }

// record submits a record: the model must judge as the register does, and is told of what was
// admitted. kind and order say what of e the author must know later.
func (l *randomHistory) record(e entry, env record.Envelope) {
	l.tried[e.kind]++
	if !l.agree(l.t, l.Fixture, env) {
		return
	}
	l.tried[e.kind+" admitted"]++
	switch e = l.model.log[len(l.model.log)-1]; e.kind {
	case "designate", "amend":
		l.terms[e.order] = e
	case "charter":
		l.zone = e.zone
	}
}

// agree submits a record, and wants the register and the model to say the same of it.
func (m *model) agree(t *testing.T, b *registertest.Fixture, env record.Envelope) (admitted bool) {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	want := m.verdict(st, env, b.Now)
	told, err := b.Register.Begin(b.Now).Verdict(env)
	if err != nil {
		t.Fatal(err)
	}
	if refusal := told.Refused; refusal != nil {
		if len(want[refusal.Class]) == 0 {
			t.Errorf("index %d at %s: %s on %s by %s was refused: %s: %v; the text says %v\n%s", len(m.log), b.Now.Format(time.RFC3339), st.Kind, st.Thread, st.Issuer, refusal.Class, refusal, want, env.Payload)
		}
		return false
	}
	if _, err := b.Submit(env); err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("index %d at %s: %s on %s by %s was admitted; the text says %v\n%s", len(m.log), b.Now.Format(time.RFC3339), st.Kind, st.Thread, st.Issuer, want, env.Payload)
	}
	m.add(st, env, b.Now)
	return true
}

func (l *randomHistory) charter(zone string, response, months int) {
	c := l.CharterPredicate
	c.TimeZone, c.RootKeys = zone, slices.Clone(c.RootKeys)
	c.Periods.Notice, c.Periods.Term = record.Period{Days: 5}, record.Period{Days: 80}
	c.Periods.Response, c.Periods.Certification = record.Period{Days: response}, record.Period{Months: months}
	c.Periods.ResellerBreach = record.Period{Days: 2 * response}
	again, report := 3+l.rng.IntN(40), 3+l.rng.IntN(12)
	c.Periods.Commitment, c.Periods.AIReport = record.Period{Days: again}, record.Period{Days: report}
	l.record(entry{kind: "charter"},
		l.Sign(l.Statement("charter", "authority", &c), "root/root-1", "root/root-2", "root/root-3"))
}

// in is a day from today on, within so many.
func (l *randomHistory) in(from, within int) int { return l.today() + from + l.rng.IntN(within) }

func dated(day int) *record.Date { return ptr(dateOn(day)) }

func (l *randomHistory) designation(e entry, p record.Predicate) {
	l.record(e, l.Sign(l.Statement(record.DesignationThread(e.order), "authority", p), officers...))
}

// step says one random thing.
func (l *randomHistory) step() {
	party, order := l.parties[l.rng.IntN(len(l.parties))], l.orders[l.rng.IntN(len(l.orders))]
	terms, there := l.terms[order]
	switch n := l.rng.IntN(56); {
	case l.Head(record.PartyThread(party)).IsZero():
		if n < 12 {
			l.record(entry{kind: "enrol", party: party}, l.Provider(party))
		}
	case n >= 50:
		l.disclosure(party)
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
		l.record(e, l.Sign(l.Statement(record.CertificationThread(party), party, &record.CIPCertification{
			PeriodFrom: dateOn(e.on), PeriodUntil: dateOn(e.until), Initial: l.Head(record.CertificationThread(party)).IsZero(),
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
	case n >= 30 && n < 35:
		l.license()
	case n >= 35 && n < 38 && l.granted > 0:
		name := fmt.Sprint(l.rng.IntN(l.granted))
		e := entry{kind: "unlicense", licence: name, on: l.in(-15, 40)}
		l.record(e, l.Sign(l.Statement(record.LicenceThread(name), "authority", &record.Revocation{EffectiveOn: dateOn(e.on), Cause: "lifted", Reason: "r"}), "authority/officer-2"))
	case n >= 38 && n < 44:
		l.resell(party)
	case n == 28 && l.rng.IntN(4) == 0:
		e := entry{kind: "revoke", order: order, on: l.in(-30, 50)}
		l.designation(e, &record.Revocation{EffectiveOn: dateOn(e.on), Cause: "lifted", Reason: "r"})
	case n >= 44:
		l.report(party, n)
	case n == 29: // a day begins earlier there: none comes back
		l.charter("Pacific/Kiritimati", 5+l.rng.IntN(10), 1+l.rng.IntN(3))
	}
}

// license grants a licence: to everybody, or to a party for designations or its programme.
func (l *randomHistory) license() {
	name := fmt.Sprint(l.granted)
	l.granted++
	e := entry{kind: "license", licence: name, status: "general", on: l.in(-8, 40), orders: l.orders[:1+l.rng.IntN(2)]}
	switch l.rng.IntN(3) {
	case 0:
		e.status, e.party = "specific", l.parties[l.rng.IntN(len(l.parties))]
	case 1:
		e.status, e.party = "adp-exemption", l.parties[l.rng.IntN(len(l.parties))]
		e.orders = l.orders[:l.rng.IntN(2)]
	}
	e.until = e.on + l.rng.IntN(50)
	for _, x := range l.model.log { // often one touches another pause, or ends with it
		if (x.kind == "license" || x.kind == "suspend") && !x.endless && l.rng.IntN(5) == 0 {
			if e.on, e.until = x.until+1, x.until+1+l.rng.IntN(4); l.rng.IntN(2) == 0 {
				e.on, e.until = x.until-l.rng.IntN(5), x.until
			}
		}
	}
	p := &record.Licence{Type: record.LicenceType(e.status), Holder: e.party, Designations: e.orders, From: dateOn(e.on), Until: dateOn(e.until)}
	l.record(e, l.Sign(l.Statement(record.LicenceThread(name), "authority", p), "authority/officer-2"))
}

// resell says how things stand between a provider and a reseller.
func (l *randomHistory) resell(party string) {
	statuses := []string{"active", "active", "active", "unconfirmed", "breach", "terminated", "terminated"}
	e := entry{kind: "resell", party: party, reseller: resellers[l.rng.IntN(2)], status: statuses[l.rng.IntN(len(statuses))]}
	r := &record.ResellerReport{Provider: party, Status: record.ResellerStatus(e.status)}
	switch e.status {
	case "active":
		e.on = l.in(-20, 22)
		for _, before := range l.model.log { // often said again
			if before.kind == "resell" && before.party == party && before.reseller == e.reseller && before.on != 0 && l.rng.IntN(2) == 0 {
				e.on = before.on
			}
		}
		r.VerifiedAt = dated(e.on)
	case "unconfirmed":
		r.Reseller = &record.Reseller{LegalName: "r", Country: "XC"}
	}
	l.record(e, l.Sign(l.Statement(record.ResellerThread(e.reseller, party), party, r), party+"/compliance", e.reseller+"/desk"))
}

// report files what providers file of themselves.
func (l *randomHistory) report(party string, n int) {
	e := entry{party: party, until: l.in(-20, 24)}
	var thread record.Thread
	var p record.Predicate
	switch {
	case n < 46:
		e.kind, thread = "customer-log", record.CustomerLogThread(party)
		log := registertest.NewPrivateLog(party + ".example/customers")
		if p = log.Commit(dateOn(e.until)); !l.Head(thread).IsZero() {
			p = log.Commit(dateOn(e.until), 0) // unchanged
		}
	case n < 48:
		e.kind, thread = "abuse-report", record.AbuseThread(party)
		p = &record.AbuseReport{PeriodFrom: dateOn(e.until - l.rng.IntN(30)), PeriodUntil: dateOn(e.until), Band: "0"}
	default:
		e.kind, e.run = "ai-training-report", []string{"a", "b"}[l.rng.IntN(2)]
		thread, p = record.AITrainingThread(e.run, party), &record.AITrainingReport{KnownOn: dateOn(e.until), Threshold: "t"}
	}
	l.record(e, l.Sign(l.Statement(thread, party, p), party+"/ci"))
}

// disclosure asks a party to disclose, openly or under seal, or says what became of a request.
func (l *randomHistory) disclosure(party string) {
	name := fmt.Sprintf("r-%d", max(0, l.requests-1-l.rng.IntN(2)))
	if was := l.asked[name]; was.kind != "" && l.rng.IntN(3) > 0 {
		e := entry{party: was.party, request: name}
		if l.rng.IntN(2) == 0 {
			e.kind, e.status = "receipt", "answered"
			r := l.NewReceipt(name)
			if l.rng.IntN(3) == 0 {
				e.status, r = "challenged", l.NewChallenge(name)
			}
			l.record(e, l.Receipt(name, was.party, r))
			return
		}
		e.kind, e.status = "ask", []string{"challenged", "unanswered", "unanswered", "withdrawn"}[l.rng.IntN(4)]
		r := &record.DisclosureRequest{Status: e.status}
		if was.sealed && l.rng.IntN(2) == 0 {
			_, r.Open = l.NewSealedRequest(name, was.party, dateOn(l.today()))
			e.opens, e.status = true, "requested"
			r.Status = e.status
		}
		l.record(e, l.Request(name, r))
		return
	}
	name = fmt.Sprintf("r-%d", l.requests)
	l.requests++
	e := entry{kind: "ask", status: "requested", party: party, request: name, due: l.in(0, 15), sealed: l.rng.IntN(2) == 0}
	r := l.NewRequest(party)
	if e.sealed {
		r, _ = l.NewSealedRequest(name, party, dateOn(l.in(0, 9)))
	}
	r.DueOn = dated(e.due)
	l.asked[name] = e
	l.record(e, l.Request(name, r))
}

func (l *randomHistory) standing(party string) {
	e := entry{kind: "standing", party: party, status: "suspended", on: l.in(-1, 12)}
	switch l.rng.IntN(9) {
	case 0:
		e.status = "withdrawn"
	case 1, 2, 3, 4:
		e.status = "active"
	}
	l.record(e, l.Sign(l.Statement(record.PartyThread(party), "authority", &record.Standing{Status: e.status, EffectiveOn: dateOn(e.on), Reason: "r"}), "authority/officer-1"))
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
	for _, x := range l.model.log {
		if x.order == order && x.kind != "respond" {
			seen = append(seen, x)
		}
	}
	about := seen[len(seen)-1]
	if l.rng.IntN(4) == 0 {
		about = seen[l.rng.IntN(len(seen))]
	}
	e.about = about.index
	st := l.Statement(record.ResponseThread(order, party), party, r)
	st.Subject.SHA256 = record.IDOf(l.Entries[about.index].Envelope.Payload)
	l.record(e, l.Sign(st, party+"/ci"))
}

func (l *randomHistory) amend(e entry) {
	e.kind, e.reopens = "amend", false
	a := &record.Amendment{Type: "correction", Reason: "r"}
	switch l.rng.IntN(8) {
	case 7:
		a.Type, a.Set = "scope", setMember("scope", schema.Object{{Name: "successors", Value: l.rng.IntN(2) == 0}})
		a.ResponseDue = dated(l.in(9, 20))
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
		if e.last += 1 + l.rng.IntN(40); l.rng.IntN(3) == 0 {
			e.last = l.terms[e.order].last + 79 + l.rng.IntN(3) // about as long as it may be
		}
		a.Set = setMember("effectiveUntil", dateOn(e.last).String())
	}
	st := l.Statement(record.DesignationThread(e.order), "authority", a)
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

// TestDutiesAgainstModel compares the duties that a view tells with what the text says,
// over random lives of designations, parties, responses, certifications, suspensions,
// changes of standing and of the charter, at many instants and sizes.
func TestDutiesAgainstModel(t *testing.T) {
	seeds, steps := uint64(32), 90
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
	for _, s := range append(toTexts(view.DutyStates), "reseller lapsed", "reseller late", "reseller met", "respond paused") {
		if counted[s] == 0 && !testing.Short() {
			t.Errorf("no duty was %s: the lives are too dull", s)
		}
	}
	for _, s := range view.DutyStates {
		if counted["disclose "+string(s)] == 0 && !testing.Short() {
			t.Errorf("no duty to disclose was %s: the requests are too dull", s)
		}
	}
	for _, k := range view.DutyKinds {
		if counted[string(k)+" late"] == 0 && !testing.Short() {
			t.Errorf("no duty to %s was met late: the lives are too dull", k)
		}
	}
}

func toTexts[S ~string](words []S) (texts []string) {
	for _, w := range words {
		texts = append(texts, string(w))
	}
	return texts
}

func (l *randomHistory) compare(t *testing.T, seed uint64, counted map[string]int) {
	t.Helper()
	size := len(l.model.log)
	if l.rng.IntN(3) == 0 {
		size = 3 + l.rng.IntN(size-2)
	}
	at := l.model.log[l.rng.IntN(size)].at // of an entry, or by the edge of a day, or far behind all
	if l.rng.IntN(3) > 0 {
		local := at.In(l.zone)
		at = time.Date(local.Year(), local.Month(), local.Day()+l.rng.IntN(60), 24, 0, 0, 0, l.zone).Add(-time.Duration(l.rng.IntN(2)) * time.Millisecond)
	}
	v, err := view.At(l.Register, uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	got := viewDuties(t, v, view.DutyFilter{}, at, counted)
	want := l.model.asOf(size).duties(l.parties, l.orders, at)
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("seed %d, size %d, at %s (%s)", seed, size, at.UTC().Format(time.RFC3339Nano), dateOn(l.model.asOf(size).today(at)))
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
	for _, e := range l.model.log[:size] {
		t.Log("  ", fmt.Sprintf("%d %s %s: %s %s%s %s on %s until %s endless %t, from %s last %s due %s reopens %t, about %d by %s; %v licence %s reseller %s",
			e.index, e.at.Format("01-02T15:04:05"), dateOn(e.day), e.kind, e.party, e.order, e.status, dateOn(e.on), dateOn(e.until), e.endless, dateOn(e.from), dateOn(e.last), dateOn(e.due), e.reopens, e.about, dateOn(e.by), e.orders, e.licence, e.reseller))
	}
	t.FailNow()
}

// viewDuties are the duties that a filter chooses at an instant in the words of the model. Those of each kind and state
// are counted, where counted is given.
func viewDuties(t *testing.T, v *view.View, f view.DutyFilter, at time.Time, counted map[string]int) (got []string) {
	t.Helper()
	err := v.Duties(f, at, func(d view.Duty) bool {
		words := d.Party + " " + string(d.Kind)
		if d.Designation != "" {
			words += " " + d.Designation.Designation()
		}
		if d.Reseller != "" {
			words += " " + d.Reseller.Reseller() + " " + string(d.Task)
		}
		if run, _, ok := strings.Cut(d.Thread.Name(), "/"); ok {
			words += " " + run
		}
		if d.Request != "" {
			words += " " + d.Request.Request()
		}
		words += " " + string(d.State)
		if d.Due != nil {
			words += " due " + d.Due.String()
		}
		if d.MetOn != nil {
			words += " met " + d.MetOn.String()
		}
		got = append(got, words)
		if counted != nil {
			counted[string(d.State)]++
			counted[string(d.Kind)+" "+string(d.State)]++
		}
		return true
	})
	if errors.As(err, new(*view.AbsentError)) {
		return []string{"absent"}
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}
