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
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// A model is a second register, naive on purpose: it reads RECORDS.md "Duties", "Requests to disclose", "Pauses", "Ends", "Who owes" and "Standing" over a
// plain list of what was admitted, slowly: day by day, in whole days since 1970. It shares
// no code with the register: what it says, RECORDS.md says.
type model struct {
	log []entry // by index
}

// entry is one admitted record as the model sees it. Which fields count, kind says.
type entry struct {
	kind  string // charter, enrol, standing, designate, amend, suspend, reinstate, revoke, respond, certify, customer-log, abuse-report, ai-training-report, license, unlicense, resell, ask, receipt
	index int
	at    time.Time
	day   int // admission date

	party, order string
	status       string   // standing, respond, resell; of a licence its type
	on, until    int      // effectiveOn and until of standing and events; a period; a licence's days; verifiedAt; until alone: of a customer-log, knownOn of a training run
	orders       []string // license
	licence      string   // license, unlicense: its thread
	reseller     string   // resell
	endless      bool     // an event without until
	due          int      // responseDue from here on, 0: none
	reopens      bool
	from, last   int    // effectiveFrom and effectiveUntil from here on
	request      string // ask, receipt: its name; party is whom it asks
	sealed       bool   // ask: under seal until it is opened
	opens        bool   // ask: it opens the seal
	about        int    // respond: index
	by           int    // respond: windDownBy, 0: none

	zone     *time.Location // charter
	response int            // charter: days
	months   int            // charter: certification
	again    int            // charter: commitment, days
	report   int            // charter: aiReport, days

	breach int // charter: resellerBreach, days

	run string // ai-training-report

	st    *record.Statement
	id    record.ID
	terms map[string]any // designate, amend: the designation from here on, member by member
}

// dayOf counts days since 1970.
func dayOf(t time.Time, zone *time.Location) int {
	y, m, d := t.In(zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func dateOn(day int) record.Date {
	y, m, d := time.Unix(int64(day)*86400, 0).UTC().Date()
	return record.Date{Year: y, Month: m, Day: d}
}

// monthsAfter adds months, and takes the last day of a month that is too short.
func monthsAfter(day, months int) int {
	y, m, d := time.Unix(int64(day)*86400, 0).UTC().Date()
	for {
		t := time.Date(y, m+time.Month(months), d, 0, 0, 0, 0, time.UTC)
		if (int(t.Month())-int(m)-months)%12 == 0 {
			return int(t.Unix() / 86400)
		}
		d--
	}
}

// moment orders what happens: on a day, at a place in the log, or (index −1) before
// anything that is admitted on it.
type moment struct{ day, index int }

func (m moment) before(o moment) bool { return m.day < o.day || m.day == o.day && m.index < o.index }

func (e entry) moment() moment { return moment{e.day, e.index} }

// effective is when an entry with an effectiveOn acts.
func (e entry) effective() moment {
	if e.on > e.day {
		return moment{e.on, -1}
	}
	return e.moment()
}

// charter judges an index: the newest below it.
func (m *model) charter(index int) entry {
	c := m.log[0]
	for _, e := range m.log {
		if e.kind == "charter" && e.index < index {
			c = e
		}
	}
	return c
}

// today is the date of an instant, by the newest charter there.
func (m *model) today(at time.Time) int {
	c := m.log[0]
	for _, e := range m.log {
		if e.kind == "charter" && !e.at.After(at) {
			c = e
		}
	}
	return dayOf(at, c.zone)
}

// status of a party on a day by the records below an index, and which record says so.
func (m *model) status(party string, below, day int) (string, entry) {
	status, by := "none", entry{}
	for _, e := range m.log {
		switch {
		case e.party != party || e.index >= below:
		case e.kind == "enrol":
			status, by = "active", e
		case e.kind == "standing" && e.on <= day:
			status, by = e.status, e
		}
	}
	return status, by
}

// asked is a record that opened or re-opened the duty, with the day in the end.
type asked struct {
	entry
	due int
}

// order is what stands of a designation: all its corrections, and what opened the duty.
func (m *model) order(name string) (newest entry, first entry, opened []asked) {
	due := 0
	for _, e := range m.log {
		if e.order != name || e.kind != "designate" && e.kind != "amend" {
			continue
		}
		if e.kind == "designate" {
			first = e
		}
		newest = e
		if e.due != 0 && (e.reopens || due == 0) {
			opened = append(opened, asked{e, e.due})
		} else if len(opened) > 0 && e.due != due {
			opened[len(opened)-1].due = e.due
		}
		due = e.due
	}
	return newest, first, opened
}

// end of a designation as known at an instant: the first moment of which it is over.
func (m *model) end(name string, at time.Time) (end moment, over bool) {
	newest, _, _ := m.order(name)
	end = moment{newest.last + 1, -1}
	for _, e := range m.log {
		if e.order == name && e.kind == "revoke" && !e.at.After(at) && e.effective().before(end) {
			end = e.effective()
		}
	}
	return end, end.day <= m.today(at)
}

// endOfTime is a day after all that a test tells of; what is paused there is so for ever.
const endOfTime = 25000

// A paused is whose duty it is, to what: a designation, or "" to certify and to commit to
// the customer log.
type paused struct{ party, name string }

// postponed is a due date with the pauses that are known below an index, 0 as long as it
// falls into one without a last day.
func (m *model) postponed(due int, what paused, at time.Time, below int) int {
	for due != 0 && m.pausedOn(what, at, below, due) {
		day := due
		for ; day < endOfTime && m.pausedOn(what, at, below, day); day++ {
		}
		if day == endOfTime {
			return 0
		}
		due = day + m.charter(m.endsPause(what, at, below, day-1)).response
	}
	return due
}

// pausedOn says whether a duty is paused on a day: the designation is suspended, or somebody
// has a licence.
func (m *model) pausedOn(what paused, at time.Time, below, day int) bool {
	suspended, _ := m.suspendedOn(what.name, at, below, day)
	return suspended || slices.ContainsFunc(m.log, func(e entry) bool {
		first, last, _ := m.licensed(e, what, at, below)
		return first <= day && day <= last
	})
}

// licensed are the days on which an entry, if it is such a licence, pauses a duty, as known
// below an index, and which record sets the last one.
func (m *model) licensed(e entry, what paused, at time.Time, below int) (first, last, by int) {
	if e.kind != "license" || e.at.After(at) || e.index >= below || e.status != "general" && e.party != what.party {
		return 1, 0, 0
	}
	if what.name == "" && e.status != "adp-exemption" || what.name != "" && !slices.Contains(e.orders, what.name) {
		return 1, 0, 0
	}
	first, last, by = max(e.on, e.day), e.until, e.index
	for _, r := range m.log {
		if r.kind == "unlicense" && r.licence == e.licence && !r.at.After(at) && r.index < below && max(r.on, r.day)-1 < last {
			last, by = max(r.on, r.day)-1, r.index
		}
	}
	return first, last, by
}

// endsPause is the newest record that makes a day the last of a pause.
func (m *model) endsPause(what paused, at time.Time, below, day int) (by int) {
	if suspended, e := m.suspendedOn(what.name, at, below, day); suspended {
		if by = e.index; e.endless || e.until != day { // cut short
			_, cut := m.suspendedOn(what.name, at, below, day+1)
			by = cut.index
		}
	}
	for _, e := range m.log {
		if first, last, ends := m.licensed(e, what, at, below); first <= last && last == day {
			by = max(by, ends)
		}
	}
	return by
}

// suspendedOn says whether a designation is suspended on a day, by which event.
func (m *model) suspendedOn(name string, at time.Time, below, day int) (paused bool, by entry) {
	for _, e := range m.log {
		if e.order == name && (e.kind == "suspend" || e.kind == "reinstate") && !e.at.After(at) && e.index < below &&
			day >= e.on && (e.endless || day <= e.until) {
			paused, by = e.kind == "suspend", e
		}
	}
	return paused, by
}

// owes finds the newest asking that a party owes an answer to, and the day it has.
func (m *model) owes(party, name string, at time.Time) (a asked, due int, owed bool) {
	_, _, opened := m.order(name)
	today := m.today(at)
	end, over := m.end(name, at)
	for _, a := range slices.Backward(opened) {
		if a.at.After(at) || a.due == 0 {
			continue
		}
		if s, _ := m.status(party, a.index, a.day); s == "active" {
			return a, a.due, true
		}
		for day := a.day; day <= today; day++ {
			moments := []moment{{day, -1}}
			for _, e := range m.log {
				if e.day == day && !e.at.After(at) {
					moments = append(moments, e.moment())
				}
			}
			for _, now := range moments {
				below := now.index + 1 // what the moment's own record says counts
				if now.index < 0 {
					below = 0
					for _, e := range m.log {
						if e.day < day && !e.at.After(at) {
							below = e.index + 1
						}
					}
				}
				s, by := m.status(party, below, day)
				if !a.moment().before(now) || s != "active" {
					continue
				}
				if over && !now.before(end) {
					break
				}
				return a, max(a.due, day+m.charter(by.index).response), true
			}
		}
	}
	return asked{}, 0, false
}

// withdrawn is the day from which a party is withdrawn, 0 if it is not.
func (m *model) withdrawn(party string, at time.Time) int {
	for day := m.log[0].day; day <= m.today(at); day++ {
		last := 0
		for _, e := range m.log {
			if !e.at.After(at) {
				last = e.index + 1
			}
		}
		if s, _ := m.status(party, last, day); s == "withdrawn" {
			return day
		}
	}
	return 0
}

// outcome tells a duty of a designation: due is without pauses, 0 for none; met is what met
// it, index 0 for nothing.
func (m *model) outcome(name, party string, opened moment, due int, met entry, at time.Time) string {
	end, over := m.end(name, at)
	if met.index > 0 && (!over || met.moment().before(end)) {
		return spelledMet(m.postponed(due, paused{party, name}, at, met.index), met)
	}
	moved := m.postponed(due, paused{party, name}, at, len(m.log))
	lapsed := over && (moved == 0 || moved >= end.day || !opened.before(end))
	if met.index > 0 && !lapsed {
		return spelledMet(moved, met)
	}
	if gone := m.withdrawn(party, at); gone != 0 && (moved == 0 || gone < moved) {
		return ""
	}
	switch {
	case lapsed:
		return spelled("lapsed", moved)
	case due != 0 && moved == 0:
		return "paused"
	case moved != 0 && m.today(at) > moved:
		return spelled("overdue", moved)
	}
	return spelled("open", moved)
}

func spelledMet(due int, met entry) string {
	state := "met"
	if due != 0 && met.day > due {
		state = "late"
	}
	return spelled(state, due) + " met " + dateOn(met.day).String()
}

func spelled(state string, due int) string {
	if due != 0 {
		state += " due " + dateOn(due).String()
	}
	return state
}

// duties are all that parties owe at an instant.
func (m *model) duties(parties, orders []string, at time.Time) (told []string) {
	tell := func(d string, words ...string) {
		if d != "" {
			told = append(told, strings.Join(append(words, d), " "))
		}
	}
	for _, p := range parties {
		var enrolled entry
		for _, e := range m.log {
			if e.kind == "enrol" && e.party == p {
				enrolled = e
			}
		}
		if enrolled.index == 0 || enrolled.at.After(at) {
			continue
		}
		for _, name := range orders {
			_, first, _ := m.order(name)
			if first.index == 0 || first.at.After(at) {
				continue
			}
			if a, due, owed := m.owes(p, name, at); owed {
				var met entry
				for _, e := range slices.Backward(m.log) {
					if e.kind == "respond" && e.party == p && e.order == name && !e.at.After(at) && e.about >= a.index {
						met = e
					}
				}
				tell(m.outcome(name, p, a.moment(), due, met, at), p, "respond", name)
			}
			tell(m.conclusion(p, name, at), p, "conclude", name)
		}
		for _, d := range m.certifications(p, enrolled, at) {
			tell(d, p, "certify")
		}
		for _, r := range resellers {
			for _, d := range m.reselling(p, r, at) {
				tell(d, p, "reseller", r)
			}
		}
		for _, kind := range []string{"customer-log", "abuse-report"} {
			for _, d := range m.commitments(kind, p, at) {
				tell(d, p, kind)
			}
		}
		for _, run := range []string{"a", "b"} {
			tell(m.trainingRun(run, p, at), p, "ai-training-report", run)
		}
	}
	told = append(told, m.disclosures(at)...)
	slices.Sort(told)
	return told
}

// disclosures are the duties of those whom requests ask, one a request, by what was admitted by
// an instant.
func (m *model) disclosures(at time.Time) (told []string) {
	for _, asked := range m.log {
		if asked.kind != "ask" || asked.status != "requested" || asked.opens || asked.at.After(at) {
			continue
		}
		due, known := asked.due, !asked.sealed
		var challenged, unanswered, withdrawn, answered entry
		for _, e := range m.log {
			switch {
			case e.request != asked.request || e.at.After(at):
			case e.kind == "receipt" && e.status == "answered":
				if answered.index == 0 {
					answered = e
				}
			case e.opens:
				asked.party = e.party
				known, due = true, max(due, e.day+m.charter(e.index).response)
			}
			if e.request == asked.request && !e.at.After(at) {
				switch e.status {
				case "challenged":
					if challenged.index == 0 {
						challenged = e
					}
				case "unanswered":
					unanswered = e
				case "withdrawn":
					withdrawn = e
				}
			}
		}
		if !known {
			continue
		}
		if challenged.index > 0 && challenged.day <= due && unanswered.index == 0 {
			due = 0 // put off
		}
		state := ""
		gone := m.withdrawn(asked.party, at)
		switch {
		case answered.index > 0:
			state = spelledMet(due, answered)
		case gone != 0 && (due == 0 || gone < due):
			continue
		case withdrawn.index > 0:
			state = spelled("lapsed", due)
		case due == 0:
			state = "paused"
		case m.today(at) > due:
			state = spelled("overdue", due)
		default:
			state = spelled("open", due)
		}
		told = append(told, asked.party+" disclose "+asked.request+" "+state)
	}
	return told
}

func (m *model) conclusion(p, name string, at time.Time) string {
	newest, _, opened := m.order(name)
	var began, met entry
	by := 0
	for _, e := range m.log {
		if e.kind != "respond" || e.party != p || e.order != name || e.at.After(at) {
			continue
		}
		asks := 0
		for _, a := range opened {
			if a.index < e.index {
				asks = a.index
			}
		}
		switch e.status {
		case "acknowledged", "winding-down":
			if began.index == 0 || met.index > 0 {
				began, met, by = e, entry{}, 0
			}
			if e.by != 0 && (by == 0 || e.by < by) {
				by = e.by
			}
		case "answered":
			began, met = entry{}, entry{}
		default:
			if met.index == 0 && e.about >= asks {
				met = e
			}
		}
	}
	if began.index == 0 {
		return ""
	}
	if by == 0 {
		by = newest.from
	}
	return m.outcome(name, p, began.moment(), by, met, at)
}

func (m *model) certifications(p string, enrolled entry, at time.Time) (told []string) {
	due := monthsAfter(enrolled.day, m.charter(enrolled.index).months)
	covered := make(map[int]bool)
	reach, first := 0, 0
	for _, e := range m.log {
		if e.kind != "certify" || e.party != p || e.at.After(at) {
			continue
		}
		for day := e.on; day <= e.until; day++ {
			covered[day] = true
		}
		if first == 0 {
			first = e.until
		}
		far := first
		for day := first; day < endOfTime; day++ {
			if covered[day] {
				far = day
			} else if day >= enrolled.day {
				break // a gap
			}
		}
		if far <= reach {
			continue
		}
		reach = far
		told = append(told, spelledMet(m.postponed(due, paused{party: p}, at, e.index), e))
		due = monthsAfter(max(reach, enrolled.day), m.charter(e.index).months)
	}
	return append(told, m.owedBy(p, m.postponed(due, paused{party: p}, at, len(m.log)), at)...)
}

// owedBy tells a duty that nothing met.
func (m *model) owedBy(p string, due int, at time.Time) []string {
	if gone := m.withdrawn(p, at); gone != 0 && gone < due {
		return nil
	}
	if m.today(at) > due {
		return []string{spelled("overdue", due)}
	}
	return []string{spelled("open", due)}
}

// resellers are those of whom providers speak.
var resellers = []string{"lumen", "marrow"}

// reselling are a provider's duties by one reseller.
func (m *model) reselling(p, reseller string, at time.Time) (told []string) {
	var said []entry
	for _, e := range m.log {
		if e.kind == "resell" && e.party == p && e.reseller == reseller && !e.at.After(at) {
			said = append(said, e)
		}
	}
	verified := 0 // in this life
	for i, e := range said {
		task, due := "", 0
		switch {
		case e.status == "terminated":
			verified = 0
		case e.status == "breach":
			task, due = "terminate ", e.day+m.charter(e.index).breach
		case e.status == "active" && e.on > verified:
			verified = e.on
			task, due = "verify ", monthsAfter(e.on, m.charter(e.index).months)
		}
		if task == "" {
			continue
		}
		outcome := ""
		for _, next := range said[i+1:] {
			if next.status == "active" && next.on > e.on && e.status == "active" {
				outcome = spelledMet(due, next)
			}
			if next.status == "terminated" {
				if outcome = spelledMet(due, next); e.status == "active" && next.day <= due {
					outcome = spelled("lapsed", due)
				}
			}
			if outcome != "" {
				told = append(told, task+outcome)
				break
			}
		}
		if outcome == "" {
			for _, owed := range m.owedBy(p, due, at) {
				told = append(told, task+owed)
			}
		}
	}
	return told
}

// commitments are what is filed again and again once a first one was, by the newest
// periodUntil + commitment; to the customer log, later where the party is exempt.
func (m *model) commitments(kind, p string, at time.Time) (told []string) {
	postponed := func(due, below int) int {
		if kind == "customer-log" {
			return m.postponed(due, paused{party: p}, at, below)
		}
		return due
	}
	newest, due := 0, 0
	for _, e := range m.log {
		if e.kind != kind || e.party != p || e.at.After(at) || newest != 0 && e.until <= newest {
			continue
		}
		if newest != 0 {
			told = append(told, spelledMet(postponed(due, e.index), e))
		}
		newest = e.until
		due = newest + m.charter(e.index).again
	}
	if newest == 0 {
		return nil
	}
	return append(told, m.owedBy(p, postponed(due, len(m.log)), at)...)
}

// trainingRun is filed by the earliest knownOn + aiReport, by the first report.
func (m *model) trainingRun(run, p string, at time.Time) string {
	var first, known entry
	for _, e := range m.log {
		if e.kind != "ai-training-report" || e.party != p || e.run != run || e.at.After(at) {
			continue
		}
		if first.index == 0 {
			first = e
		}
		if known.index == 0 || e.until < known.until {
			known = e
		}
	}
	if first.index == 0 {
		return ""
	}
	return spelledMet(known.until+m.charter(known.index).report, first)
}

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
	_, err = b.Submit(env)
	var refusal *record.Refusal
	switch {
	case err == nil:
		if len(want) > 0 {
			t.Errorf("index %d at %s: %s on %s by %s was admitted; the text says %v\n%s", len(m.log), b.Now.Format(time.RFC3339), st.Kind, st.Thread, st.Issuer, want, env.Payload)
		}
		m.add(st, env, b.Now)
		return true
	case !errors.As(err, &refusal):
		t.Fatal(err)
	case len(want[refusal.Class]) == 0:
		t.Errorf("index %d at %s: %s on %s by %s was refused: %s: %v; the text says %v\n%s", len(m.log), b.Now.Format(time.RFC3339), st.Kind, st.Thread, st.Issuer, refusal.Class, err, want, env.Payload)
	}
	return false
}

func (l *randomHistory) charter(zone string, response, months int) {
	c := l.CharterPredicate
	c.TimeZone, c.RootKeys = zone, slices.Clone(c.RootKeys)
	c.Periods.Notice, c.Periods.Term = record.Period{Days: 5}, record.Period{Days: 80}
	c.Periods.Response, c.Periods.Certification = record.Period{Days: response}, record.Period{Months: months}
	c.Periods.ResellerBreach = record.Period{Days: 2 * response}
	again, report := 3+l.rng.IntN(40), 3+l.rng.IntN(12)
	c.Periods.Commitment, c.Periods.AIReport = record.Period{Days: again}, record.Period{Days: report}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	l.record(entry{kind: "charter", zone: loc, response: response, months: months, again: again, report: report},
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
	case n == 29 && l.rng.IntN(6) == 0: // a day begins earlier there: none comes back
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

// upTo is what the model knew when the log had a size.
func (m *model) asOf(size int) *model { return &model{log: m.log[:size:size]} }

// TestDutiesAgainstModel compares the duties that a view tells with what the text says,
// over random lives of designations, parties, responses, certifications, suspensions,
// changes of standing and of the charter, at many instants and sizes.
func TestDutiesAgainstModel(t *testing.T) {
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
	got := viewDuties(t, v, at, counted)
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

// viewDuties are all duties at an instant in the words of the model. Those of each kind and state
// are counted, where counted is given.
func viewDuties(t *testing.T, v *view.View, at time.Time, counted map[string]int) (got []string) {
	t.Helper()
	err := v.Duties(view.DutyFilter{}, at, func(d view.Duty) bool {
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
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}
