package view_test

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A model is a second register, naive on purpose: it reads RECORDS.md "Duties", "Requests to disclose", "Pauses", "Ends", "Who owes" and "Standing" over a
// plain list of what was admitted, slowly: day by day, in whole days since 1970. It shares
// no code with the register: what it says, RECORDS.md says.
type model struct {
	log   []entry // by index
	lives map[lifeKey][]entry
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
	sponsored    bool     // enrol: by a provider
	endless      bool     // an event without until
	due          int      // responseDue from here on, 0: none
	reopens      bool
	from, last   int    // effectiveFrom and effectiveUntil from here on
	request      string // ask, receipt: its name; party is whom it asks
	sealed       bool   // ask: under seal until it is opened
	opens        bool   // ask: it opens the seal
	about        int    // respond: index
	by           int    // respond: windDownBy, 0: none

	zone *time.Location // charter

	run string // ai-training-report

	st    *record.Statement
	id    record.ID
	terms map[string]any // designate, amend: the designation from here on, member by member
}

// add tells the model of an admitted record and of the keys that signed it.
func (m *model) add(st *record.Statement, env record.Envelope, at time.Time) {
	e := entry{index: len(m.log), at: at, st: st, id: record.IDOf(env.Payload), kind: modelKinds[st.Kind]}
	if st.Thread.Family() == record.FamilyDesignation {
		e.order = st.Thread.Designation()
	}
	switch p := st.Predicate.(type) {
	case *record.Charter:
		e.zone, _ = time.LoadLocation(p.TimeZone)
	case *record.Enrolment:
		if e.party = st.Issuer; !st.Follows.IsZero() {
			e.kind = "re-enrol"
		}
		e.sponsored = e.party != "authority" && e.kind == "enrol" && !m.judge(st, env, at).enoughRegistrars()
	case *record.Standing:
		e.party, e.status, e.on = st.Thread.Party(), p.Status, dayNumber(&p.EffectiveOn)
	case *record.Designation:
		e.reopens = true
		m.setTerms(&e, members(env)["predicate"].(map[string]any))
	case *record.Amendment:
		e.reopens = p.Reopens || p.Type == "scope"
		before := m.newest(st.Thread, "designate", "amend")
		now, _ := amended(before.terms, members(env)["predicate"].(map[string]any))
		if e.reopens && p.ResponseDue != nil {
			now["responseDue"] = p.ResponseDue.String()
		}
		e.reopens = e.reopens && p.ResponseDue != nil
		m.setTerms(&e, now)
	case *record.Suspension:
		e.on, e.until, e.endless = dayNumber(&p.EffectiveOn), dayNumber(p.Until), p.Until == nil
	case *record.Reinstatement:
		e.on, e.until, e.endless = dayNumber(&p.EffectiveOn), dayNumber(p.Until), p.Until == nil
	case *record.Revocation:
		if e.on, e.status = dayNumber(&p.EffectiveOn), p.Cause; e.order == "" {
			e.kind, e.licence = "unlicense", st.Thread.Name()
		}
	case *record.Licence:
		e.licence, e.status, e.party, e.orders = st.Thread.Name(), string(p.Type), p.Holder, p.Designations
		e.on, e.until = dayNumber(&p.From), dayNumber(&p.Until)
	case *record.Response:
		e.party, e.order, e.status, e.by = st.Issuer, st.Thread.Designation(), p.Status, dayNumber(p.WindDownBy)
		about, _ := m.byID(record.ID(st.Subject.SHA256))
		e.about = about.index
	case *record.CIPCertification:
		e.party, e.on, e.until = st.Issuer, dayNumber(&p.PeriodFrom), dayNumber(&p.PeriodUntil)
	case *record.ResellerReport:
		e.party, e.reseller, e.status, e.on = st.Issuer, st.Thread.Reseller(), string(p.Status), dayNumber(p.VerifiedAt)
	case *record.CustomerLog:
		e.party, e.until = st.Issuer, dayNumber(&p.PeriodUntil)
	case *record.AbuseReport:
		e.party, e.until = st.Issuer, dayNumber(&p.PeriodUntil)
	case *record.AITrainingReport:
		e.party, e.until = st.Issuer, dayNumber(&p.KnownOn)
		e.run, _, _ = strings.Cut(st.Thread.Name(), "/")
	case *record.DisclosureRequest:
		e.request, e.status, e.due, e.party = st.Thread.Request(), p.Status, dayNumber(p.DueOn), p.Provider.Text
		e.sealed, e.opens = p.Provider.Commitment != nil, p.Open != nil
		if p.Open != nil {
			e.party = p.Open.Provider
		}
	case *record.DisclosureReceipt:
		e.request, e.party, e.status = st.Thread.Request(), st.Issuer, "answered"
		if p.Challenged {
			e.status = "challenged"
		}
	}
	m.log = append(m.log, e)
	last := &m.log[e.index]
	last.day = dayOf(at, m.charter(e.index).zone)
	if e.kind == "designate" && last.from == 0 {
		last.from = last.day
	}
}

var modelKinds = map[record.Kind]string{
	record.KindCharter: "charter", record.KindEnrolment: "enrol", record.KindKeys: "keys", record.KindStanding: "standing",
	record.KindDesignation: "designate", record.KindAmendment: "amend", record.KindSuspension: "suspend", record.KindReinstatement: "reinstate",
	record.KindRevocation: "revoke", record.KindResponse: "respond", record.KindCIPCertification: "certify", record.KindReseller: "resell",
	record.KindLicence: "license", record.KindCustomerLog: "customer-log", record.KindAITrainingReport: "ai-training-report",
	record.KindAbuseReport: "abuse-report", record.KindDisclosureRequest: "ask", record.KindDisclosureReceipt: "receipt", record.KindAssessment: "assess",
}

// setTerms says how a designation stands from an entry on.
func (m *model) setTerms(e *entry, terms map[string]any) {
	e.terms = terms
	e.from, e.last, e.due = memberDay(terms, "effectiveFrom"), memberDay(terms, "effectiveUntil"), memberDay(terms, "responseDue")
	if before := m.newest(e.st.Thread, "designate"); e.from == 0 && e.kind == "amend" {
		e.from = before.from
	}
}

func members(env record.Envelope) (o map[string]any) {
	if err := json.Unmarshal(env.Payload, &o); err != nil {
		panic(err)
	}
	return o
}

func memberDay(terms map[string]any, name string) int {
	text, _ := terms[name].(string)
	if text == "" {
		return 0
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return int(t.Unix() / 86400)
}

func dayNumber(d *record.Date) int {
	if d == nil {
		return 0
	}
	return int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
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

// later is a day and a period: years and months first, then days.
func later(day int, p record.Period) int {
	return monthsAfter(day, 12*p.Years+p.Months) + p.Days
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

// periods that judge an index.
func (m *model) periods(index int) record.Periods { return m.charterAt(index).Periods }

// terms that judge an index.
func (m *model) charterAt(index int) *record.Charter {
	return m.charter(index).st.Predicate.(*record.Charter)
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

// newest entry of these kinds on a thread; its st is nil if there is none.
func (m *model) newest(thread record.Thread, kinds ...string) (found entry) {
	for _, e := range m.log {
		if e.st != nil && e.st.Thread == thread && (len(kinds) == 0 || slices.Contains(kinds, e.kind)) {
			found = e
		}
	}
	return found
}

func (m *model) byID(id record.ID) (entry, bool) {
	i := slices.IndexFunc(m.log, func(e entry) bool { return e.id == id })
	if i < 0 {
		return entry{}, false
	}
	return m.log[i], true
}

func (m *model) hasRole(party string, role record.Role) bool {
	return slices.ContainsFunc(m.log, func(e entry) bool {
		return e.kind == "enrol" && e.party == party && slices.Contains(e.st.Predicate.(*record.Enrolment).Roles, role)
	})
}

func (m *model) enrolment(party string) (entry, bool) {
	i := slices.IndexFunc(m.log, func(e entry) bool { return e.kind == "enrol" && e.party == party })
	if i < 0 {
		return entry{}, false
	}
	return m.log[i], true
}

func (e entry) predicate() record.Predicate {
	if e.st == nil {
		return nil
	}
	return e.st.Predicate
}

// upTo is what the model knew when the log had a size.
func (m *model) asOf(size int) *model { return &model{log: m.log[:size:size]} }

// held is a key that a party has or had.
type held struct {
	id, owner, holder string
	use               record.KeyUse
	functions         []record.KeyFunction
	notAfter          int
	added             entry
	registrars        bool // it was added by them
	usable            time.Time
	revoked           int  // index, 0: it is not
	claimed           bool // that it was compromised
}

// keyIDs are those that were computed: a model asks for each again and again.
var keyIDs = make(map[record.PEM]string)

func keyID(pem record.PEM) string {
	if id, ok := keyIDs[pem]; ok {
		return id
	}
	k, err := pem.Key()
	if err != nil {
		panic(err)
	}
	keyIDs[pem] = k.ID()
	return keyIDs[pem]
}

// heldKeys are all keys that parties ever had, in the order in which they came.
func (m *model) heldKeys() (keys []held) {
	take := func(owner string, listed []record.PartyKey, e entry, registrars bool) {
		for _, k := range listed {
			h := held{id: keyID(k.Key), owner: owner, holder: k.Holder, use: k.Use, functions: k.Functions, notAfter: dayNumber(k.NotAfter), added: e, registrars: registrars}
			if registrars {
				p := m.charterAt(e.index).Periods.Recovery
				h.usable = e.at.AddDate(p.Years, p.Months, p.Days)
			}
			keys = append(keys, h)
		}
	}
	for _, e := range m.log {
		if e.st == nil {
			continue
		}
		switch p := e.st.Predicate.(type) {
		case *record.Enrolment:
			take(e.party, p.Keys, e, false)
		case *record.Keys:
			party := e.st.Thread.Party()
			take(party, p.Add, e, party != "authority" && e.st.Issuer == "authority")
			for _, r := range p.Revoke {
				for i := range keys {
					if keys[i].id == r.KeyID {
						keys[i].revoked, keys[i].claimed = e.index, r.CompromisedSince != nil
					}
				}
			}
		}
	}
	return keys
}

// everUsed says whether a key has any owner: a party, the root set, a private log.
func (m *model) everUsed(id string) (owner string) {
	for _, k := range m.heldKeys() {
		if k.id == id {
			return k.owner
		}
	}
	for _, e := range m.log {
		if c, ok := e.predicate().(*record.Charter); ok {
			for _, k := range c.RootKeys {
				if keyID(k.Key) == id {
					return "root"
				}
			}
		}
	}
	return ""
}
