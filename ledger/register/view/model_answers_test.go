package view_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// A picked question of a list that takes filters: both sides answer it.
type question struct {
	designations view.DesignationFilter
	licences     view.LicenceFilter
	parties      view.PartyFilter
	requests     view.RequestFilter
	duties       view.DutyFilter
	records      view.RecordFilter
}

// questions are some of each list, for what there is and for what there is not: with one filter, with
// several.
func (m *model) questions(rng *rand.Rand) (asked []question) {
	any := func(words ...string) string { return words[rng.IntN(len(words))] }
	order, party := any(append(m.orders(), "none")...), any(append(m.providers(), "authority", "lumen")...)
	thread := string(m.log[rng.IntN(len(m.log))].st.Thread)
	name := func() [2]string { return identifiers[rng.IntN(len(identifiers))] }
	one := []func(*question){
		func(q *question) { q.designations.Status = view.Statuses[rng.IntN(len(view.Statuses))] },
		func(q *question) { q.designations.Country = any("XA", "XB", "XC") },
		func(q *question) { q.designations.Program = any("CLOUD-1", "SDGT", "none") },
		func(q *question) { q.designations.List = any("ofac-sdn", "none") },
		func(q *question) {
			if id := name(); id[0] == "name" {
				q.designations.Name = id[1]
			}
		},
		func(q *question) { id := name(); q.designations.Scheme, q.designations.Value = id[0], id[1] },
		func(q *question) {
			q.licences.Status = view.LicenceStatuses[rng.IntN(len(view.LicenceStatuses))]
		},
		func(q *question) { q.licences.Holder = party },
		func(q *question) { q.licences.Designation = order },
		func(q *question) { q.licences.Jurisdiction = any("XA", "XB", "XC") },
		func(q *question) { q.parties.Role = record.Role(any("provider", "reseller", "auditor", "authority")) },
		func(q *question) { q.parties.Standing = any("active", "suspended", "withdrawn", "none") },
		func(q *question) {
			q.requests.Status = view.RequestStatuses[rng.IntN(len(view.RequestStatuses))]
		},
		func(q *question) { q.requests.Jurisdiction = any("XA", "XB", "XC") },
		func(q *question) { q.requests.Provider = party },
		func(q *question) { q.duties.Party = party },
		func(q *question) { q.duties.Designation = order },
		func(q *question) { q.duties.Kind = view.DutyKinds[rng.IntN(len(view.DutyKinds))] },
		func(q *question) { q.duties.State = view.DutyStates[rng.IntN(len(view.DutyStates))] },
		func(q *question) { q.records.Kind = record.Kinds()[rng.IntN(len(record.Kinds()))] },
		func(q *question) { q.records.Issuer = party },
		func(q *question) { q.records.Thread = record.Thread(thread) },
		func(q *question) { q.records.From = uint64(rng.IntN(len(m.log))) },
		func(q *question) { q.records.Attestations = true },
	}
	asked = []question{{}}
	for range 6 {
		var q question
		for _, filter := range one {
			if rng.IntN(3) == 0 {
				filter(&q)
			}
		}
		asked = append(asked, q)
	}
	return asked
}

// A mind is the model with the two meanings of "at T": all that it knows, and what was knowable.
type mind struct {
	*model
	at    time.Time
	day   int
	known *model // what was knowable
}

// answers are what the model tells of everything at an instant, one thing a line.
func (m *mind) answers(asked []question) (told []string) {
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	for _, thread := range m.threads(record.FamilyDesignation) {
		told = append(told, m.designation(thread))
	}
	for _, thread := range m.threads(record.FamilyParty) {
		told = append(told, m.party(thread.Party())...)
	}
	for _, thread := range m.threads(record.FamilyLicence) {
		tell("licence %s: %s, in error %t", thread, m.licence(thread), m.newest(thread, "unlicense").status == "error")
	}
	for _, thread := range m.requestThreads() {
		told = append(told, m.told(thread))
	}
	told = append(told, m.cooperation()...)
	for _, id := range identifiers {
		uses, since := m.bearers(id[0], id[1])
		for thread, use := range uses {
			tell("%s %s: %s %s since %d", id[0], id[1], use, thread, since[thread])
		}
	}
	duties := m.duties(m.providers(), m.orders(), m.at)
	told = append(told, duties...)
	for i, q := range asked {
		tell("%d designations %v", i, m.designated(q.designations))
		tell("%d licences %v", i, m.granted(q.licences))
		tell("%d parties %v", i, m.enrolled(q.parties))
		tell("%d requests %v", i, m.asked(q.requests))
		tell("%d duties %q", i, m.owed(duties, q.duties))
		tell("%d records %v", i, m.records(q.records))
	}
	slices.Sort(told)
	return told
}

// life of a designation into which the instant falls: the newest that had begun, by its admission or by
// its dates; with how it stands in the end, and what revoked it.
func (m *mind) life(thread record.Thread) (first, now, revoked entry, ok bool) {
	for _, e := range m.log {
		if e.st.Thread != thread {
			continue
		}
		switch {
		case e.kind == "designate" && (!e.at.After(m.at) || m.day >= e.from):
			first, now, revoked, ok = e, e, entry{}, true
		case e.kind == "designate": // not begun yet
			return first, now, revoked, ok
		case e.kind == "amend":
			now = e
		case e.kind == "revoke":
			revoked = e
		}
	}
	return first, now, revoked, ok
}

// status of a designation at the instant, with every correction known.
func (m *mind) standing(thread record.Thread) string {
	first, now, revoked, ok := m.life(thread)
	end := len(m.log)
	for _, e := range m.log {
		if e.kind == "designate" && e.st.Thread == thread && e.index > first.index {
			end = e.index
			break
		}
	}
	switch {
	case !ok:
		return "none"
	case revoked.st != nil && m.day >= revoked.on:
		return "revoked"
	case now.last != 0 && m.day > now.last:
		return "expired"
	case m.asOf(end).suspendedSince(thread.Designation(), first.index, m.day):
		return "suspended"
	case m.day < now.from:
		return "announced"
	}
	return "in-force"
}

// suspendedSince is whether a designation is suspended on a day, in the life that began at an
// index.
func (m *model) suspendedSince(order string, life, day int) (suspended bool) {
	for _, e := range m.log {
		if e.index > life && e.order == order && (e.kind == "suspend" || e.kind == "reinstate") && day >= e.on && (e.endless || day <= e.until) {
			suspended = e.kind == "suspend"
		}
	}
	return suspended
}

// then is the mind of what was knowable.
func (m *mind) then() *mind { return &mind{m.known, m.at, m.day, m.known} }

func (m *mind) designation(thread record.Thread) string {
	now, opened, revoked := m.newest(thread, "designate", "amend"), m.newest(thread, "designate"), m.newest(thread, "revoke")
	target := now.terms["target"].(map[string]any)
	country, _ := target["country"].(string)
	until, due := "", ""
	if now.last != 0 {
		until = dateOn(now.last).String()
	}
	if now.due != 0 {
		due = dateOn(now.due).String()
	}
	conditions, _ := now.terms["conditions"].([]any)
	return fmt.Sprintf("designation %s: %s, knowable %s below %d, %s of %s, formerly %q, from %s until %s due %s, %d conditions, in error %t, newest %d, opened %d", thread,
		m.standing(thread), m.then().standing(thread), len(m.known.log), target["name"], country, m.formerly(thread), dateOn(now.from), until, due, len(conditions),
		revoked.index > opened.index && revoked.status == "error", m.newest(thread).index, opened.index)
}

// formerly are the names that a thread's thing bore and does not bear now: of what was
// imported, and of parties.
func (m *model) formerly(thread record.Thread) (names []string) {
	name := ""
	for _, e := range m.log {
		next := ""
		switch {
		case e.st.Thread != thread:
		case e.kind == "enrol" || e.kind == "re-enrol":
			next = e.st.Predicate.(*record.Enrolment).LegalName
		case e.terms != nil && e.terms["source"] != nil:
			next = e.terms["target"].(map[string]any)["name"].(string)
		}
		if next != "" && name != "" && next != name && !slices.Contains(names, name) {
			names = append(names, name)
		}
		if next != "" {
			name = next
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	slices.Sort(names)
	return names
}

func (m *mind) partyStanding(party string) string {
	if e, ok := m.enrolment(party); !ok || e.at.After(m.at) {
		return "none"
	}
	s, _ := m.status(party, len(m.log), m.day)
	return s
}

func (m *mind) party(party string) (told []string) {
	thread := record.PartyThread(party)
	first, _ := m.enrolment(party)
	e := m.newest(thread, "enrol", "re-enrol").st.Predicate.(*record.Enrolment)
	told = append(told, fmt.Sprintf("party %s: %s, knowable %s, %s, formerly %q, sponsored %t, enrolled %s, newest %d", party,
		m.partyStanding(party), m.then().partyStanding(party), e.LegalName, m.formerly(thread), first.sponsored, dateOn(first.day), m.newest(thread).index))
	for _, k := range m.heldKeys() {
		if k.owner != party {
			continue
		}
		live := !k.added.at.After(m.at) && (k.revoked == 0 || m.log[k.revoked].at.After(m.at)) && (k.notAfter == 0 || m.day <= k.notAfter) && !(k.registrars && m.at.Before(k.usable))
		told = append(told, fmt.Sprintf("key %s: %s, %s of %s, registrars %t, added %d revoked %d, live %t, claims %t", k.id, k.use, k.holder, party, k.registrars, k.added.index, k.revoked, live, k.claimed))
	}
	if !m.hasRole(party, record.RoleProvider) {
		return told
	}
	var filed []int
	for _, e := range m.log {
		if e.st.Issuer == party && slices.Contains(attestations, e.st.Kind) {
			filed = append(filed, e.index)
		}
	}
	told = append(told, fmt.Sprintf("filed by %s: %v", party, filed))
	restarts, until, newest := 0, 0, entry{}
	for _, e := range m.log {
		if e.kind == "customer-log" && e.party == party {
			newest, until = e, max(until, e.until)
			if e.st.Predicate.(*record.CustomerLog).Restart != nil {
				restarts++
			}
		}
	}
	if newest.st != nil {
		l := newest.st.Predicate.(*record.CustomerLog)
		told = append(told, fmt.Sprintf("log of %s: %s at %d until %s, %d lost, root %x", party, l.Origin, l.Size, dateOn(until), restarts, newest.st.Subject.SHA256))
	}
	return told
}

// attestations are the kinds that providers file.
var attestations = []record.Kind{
	record.KindResponse, record.KindCIPCertification, record.KindReseller, record.KindCustomerLog, record.KindAITrainingReport, record.KindAbuseReport, record.KindDisclosureReceipt,
}

// licence is the status of one, by its dates with all that is known.
func (m *mind) licence(thread record.Thread) string {
	l, r := m.newest(thread, "license"), m.newest(thread, "unlicense")
	switch {
	case r.st != nil && m.day >= r.on:
		return "revoked"
	case m.day > l.until:
		return "expired"
	case m.day < l.on:
		return "announced"
	}
	return "active"
}

func (m *model) requestThreads() []record.Thread {
	return slices.DeleteFunc(m.threads(record.FamilyDisclosure), func(t record.Thread) bool { return t.Party() != "" })
}

func (m *mind) told(thread record.Thread) string {
	a, ok := m.request(thread.Request(), m.at)
	if !ok {
		return ""
	}
	status, by := a.standing()
	due, decided, days, knowable := "", "", "", ""
	if !a.sealed {
		due = dateOn(a.last).String()
	}
	if by.st != nil {
		decided = dateOn(by.day).String()
	}
	if status == "answered" {
		days = fmt.Sprint(by.day - a.opened.day)
	}
	if then, ok := m.known.request(thread.Request(), m.at); ok {
		knowable, _ = then.standing()
	}
	return fmt.Sprintf("request %s: %s, knowable %s, of %q by %q, sealed %t, decided %s, days %s, for %s", thread, status, knowable, a.provider, due, a.sealed, decided, days, a.first.Jurisdiction)
}

func (m *mind) cooperation() (told []string) {
	counts, days := make(map[string]map[string]int), make(map[string][]int)
	for _, thread := range m.requestThreads() {
		a, ok := m.request(thread.Request(), m.at)
		if !ok {
			continue
		}
		status, _ := a.standing()
		c := counts[a.first.Jurisdiction]
		if c == nil {
			c = make(map[string]int)
			counts[a.first.Jurisdiction] = c
		}
		c["asked"]++
		c[status]++
		if a.sealed {
			c["sealed"]++
		}
		if status == "answered" {
			days[a.first.Jurisdiction] = append(days[a.first.Jurisdiction], a.answered.day-a.opened.day)
		}
	}
	for j, c := range counts {
		median := "none"
		if d := days[j]; len(d) > 0 {
			slices.Sort(d)
			median = fmt.Sprint(float64(d[(len(d)-1)/2]+d[len(d)/2]) / 2)
		}
		told = append(told, fmt.Sprintf("cooperation %s: asked %d = %d + %d + %d + %d + %d, sealed %d, median %s", j, c["asked"], c["answered"], c["unanswered"], c["challenged"], c["withdrawn"], c["open"], c["sealed"], median))
	}
	return told
}

// threads of a family, each once.
func (m *model) threads(f record.Family) (threads []record.Thread) {
	for _, e := range m.log {
		if e.st.Thread.Family() == f && !slices.Contains(threads, e.st.Thread) {
			threads = append(threads, e.st.Thread)
		}
	}
	return threads
}

func (m *model) providers() (parties []string) {
	for _, e := range m.log {
		if e.kind == "enrol" && m.hasRole(e.party, record.RoleProvider) {
			parties = append(parties, e.party)
		}
	}
	return parties
}

// orders are the names of all designations.
func (m *model) orders() (names []string) {
	for _, thread := range m.threads(record.FamilyDesignation) {
		names = append(names, thread.Designation())
	}
	return names
}

// identifiers that the author's records bear, and one that none does.
var identifiers = [][2]string{
	{"name", "Kestrel"}, {"name", "Кестрел"}, {"name", "A"}, {"name", "B"}, {"name", "AERO"}, {"name", "CARIBBEAN"}, {"name", "K"}, {"name", "L"}, {"name", "M"}, {"name", "Acme"},
	{"name", "Nobody"}, {"asn", "64511"}, {"domain", "kestrel.example"}, {"lei", "9999DOCKETDEMO000118"}, {"registrationNumber", "0048213"},
}

// bearers of an identifier and how: as it is, as an alias, formerly, or no more; and the index of the
// record that made it so.
func (m *model) bearers(scheme, value string) (uses map[record.Thread]string, since map[record.Thread]int) {
	uses, since = make(map[record.Thread]string), make(map[record.Thread]int)
	names := make(map[record.Thread]bool) // by which a thread's thing was called
	for _, e := range m.log {
		thread, use := e.st.Thread, ""
		switch {
		case e.kind == "enrol" || e.kind == "re-enrol":
			if p := e.st.Predicate.(*record.Enrolment); scheme == "name" && p.LegalName == value {
				use = "current"
			}
		case e.terms != nil:
			use = targetUse(e.terms["target"].(map[string]any), scheme, value)
		default:
			continue
		}
		was := uses[thread]
		if use == "" && was != "" {
			d, _ := m.newest(thread, "designate").predicate().(*record.Designation)
			if use = "gone"; names[thread] && (d == nil || d.Source != nil) {
				use = "former"
			}
		}
		if use != was {
			uses[thread], since[thread] = use, e.index
		}
		names[thread] = names[thread] || scheme == "name" && use == "current"
	}
	return uses, since
}

func targetUse(target map[string]any, scheme, value string) string {
	switch scheme {
	case "asn":
		n, _ := strconv.ParseFloat(value, 64)
		if list, _ := target["asn"].([]any); slices.Contains(list, any(n)) {
			return "current"
		}
		return ""
	case "domain":
		if list, _ := target["domain"].([]any); slices.Contains(list, any(value)) {
			return "current"
		}
		return ""
	}
	if target[scheme] == value {
		return "current"
	}
	use := ""
	alias, _ := target["alias"].([]any)
	for _, a := range alias {
		a := a.(map[string]any)
		switch {
		case scheme != "name" || a["name"] != value:
		case a["weak"] == true && use == "":
			use = "weak-alias"
		case a["weak"] != true:
			use = "alias"
		}
	}
	return use
}
