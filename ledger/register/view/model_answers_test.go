package view_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// answers are what the model tells of everything at an instant at which all that it knows was
// admitted, one thing a line.
func (m *model) answers(at time.Time) (told []string) {
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	today := m.today(at)
	for _, thread := range m.threads(record.FamilyDesignation) {
		status, now := m.statusOf(thread, at)
		target := now.terms["target"].(map[string]any)
		country, _ := target["country"].(string)
		tell("designation %s: %s, %s of %s", thread, status, target["name"], country)
		for _, ask := range []string{"status " + status, "country " + country, "program " + now.terms["program"].([]any)[0].(string)} {
			if !strings.HasSuffix(ask, " ") {
				tell("%s: %s", ask, thread)
			}
		}
	}
	for _, thread := range m.threads(record.FamilyParty) {
		party := thread.Party()
		standing, _ := m.status(party, len(m.log), today)
		e := m.newest(thread, "enrol", "re-enrol").st.Predicate.(*record.Enrolment)
		tell("party %s: %s, %s", party, standing, e.LegalName)
		for _, k := range m.heldKeys() {
			if k.owner == party {
				tell("key %s: %s, %s of %s, registrars %t, revoked %d", k.id, k.use, k.holder, party, k.registrars, k.revoked)
			}
		}
	}
	for _, thread := range m.threads(record.FamilyLicence) {
		l := m.newest(thread, "license")
		status := "active"
		switch r := m.newest(thread, "unlicense"); {
		case r.st != nil && max(r.on, r.day) <= today:
			status = "revoked"
		case today > l.until:
			status = "expired"
		case today < l.on:
			status = "announced"
		}
		tell("licence %s: %s", thread, status)
	}
	counts := make(map[string]map[string]int)
	for _, thread := range m.threads(record.FamilyDisclosure) {
		if thread.Party() != "" {
			continue
		}
		a, _ := m.request(thread.Request(), at)
		status, _ := a.standing()
		due := ""
		if !a.sealed {
			due = dateOn(a.last).String()
		}
		tell("request %s: %s, of %q by %q", thread, status, a.provider, due)
		if counts[a.first.Jurisdiction] == nil {
			counts[a.first.Jurisdiction] = make(map[string]int)
		}
		c := counts[a.first.Jurisdiction]
		c["asked"]++
		c[status]++
		if a.sealed {
			c["sealed"]++
		}
	}
	for j, c := range counts {
		tell("cooperation %s: asked %d = %d + %d + %d + %d + %d, sealed %d, median %s", j, c["asked"], c["answered"], c["unanswered"], c["challenged"], c["withdrawn"], c["open"], c["sealed"], m.median(j, at))
	}
	for _, id := range identifiers {
		for thread, use := range m.bearers(id[0], id[1]) {
			tell("%s %s: %s %s", id[0], id[1], use, thread)
		}
	}
	told = append(told, m.duties(m.providers(), m.orders(), at)...)
	slices.Sort(told)
	return told
}

// median of the days from the day on which each answered request could be answered.
func (m *model) median(jurisdiction string, at time.Time) string {
	var days []int
	for _, thread := range m.threads(record.FamilyDisclosure) {
		a, ok := m.request(thread.Request(), at)
		if !ok || thread.Party() != "" || a.first.Jurisdiction != jurisdiction {
			continue
		}
		if s, _ := a.standing(); s == "answered" {
			days = append(days, a.answered.day-a.opened.day)
		}
	}
	slices.Sort(days)
	if len(days) == 0 {
		return "none"
	}
	return fmt.Sprint(float64(days[(len(days)-1)/2]+days[len(days)/2]) / 2)
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

// orders are the designations that are not imported.
func (m *model) orders() (names []string) {
	for _, thread := range m.threads(record.FamilyDesignation) {
		if m.newest(thread, "designate").st.Predicate.(*record.Designation).Source == nil {
			names = append(names, thread.Designation())
		}
	}
	return names
}

// statusOf a designation, and how it stands.
func (m *model) statusOf(thread record.Thread, at time.Time) (string, entry) {
	now, life, today := m.newest(thread, "designate", "amend"), m.newest(thread, "designate"), m.today(at)
	r := m.newest(thread, "revoke")
	suspended, _ := m.suspendedSince(thread.Designation(), life.index, today)
	switch ends := max(r.on, r.day); {
	case r.index > life.index && ends <= today:
		return "revoked", now
	case now.last != 0 && today > now.last:
		return "expired", now
	case suspended:
		return "suspended", now
	case today < now.from:
		return "announced", now
	}
	return "in-force", now
}

// suspendedSince is whether a designation is suspended on a day, in the life that began at an
// index.
func (m *model) suspendedSince(order string, life, day int) (suspended bool, by entry) {
	for _, e := range m.log {
		if e.index > life && e.order == order && (e.kind == "suspend" || e.kind == "reinstate") && day >= e.on && (e.endless || day <= e.until) {
			suspended, by = e.kind == "suspend", e
		}
	}
	return suspended, by
}

// identifiers that the author's records bear, and one that none does.
var identifiers = [][2]string{
	{"name", "Kestrel"}, {"name", "A"}, {"name", "B"}, {"name", "AERO"}, {"name", "CARIBBEAN"}, {"name", "K"}, {"name", "M"}, {"name", "Acme"},
	{"name", "Nobody"}, {"asn", "64511"}, {"domain", "kestrel.example"}, {"lei", "9999DOCKETDEMO000118"}, {"registrationNumber", "0048213"},
}

// bearers of an identifier and how: as it is, as an alias, formerly, or no more.
func (m *model) bearers(scheme, value string) map[record.Thread]string {
	uses := make(map[record.Thread]string)
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
		switch {
		case use != "":
			uses[thread] = use
		case was != "":
			d, _ := m.newest(thread, "designate").predicate().(*record.Designation)
			if uses[thread] = "gone"; names[thread] && (d == nil || d.Source != nil) {
				uses[thread] = "former"
			}
		}
		names[thread] = names[thread] || scheme == "name" && use == "current"
	}
	return uses
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
	alias, _ := target["alias"].([]any)
	if scheme == "name" && slices.ContainsFunc(alias, func(a any) bool { return a.(map[string]any)["name"] == value }) {
		return "alias"
	}
	return ""
}

// viewAnswers are the same lines by the register.
func viewAnswers(t *testing.T, v *view.View, m *model, at time.Time) (told []string) {
	t.Helper()
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	countries, programs := make(map[string]bool), make(map[string]bool)
	must(v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool {
		tell("designation %s: %s, %s of %s", d.Thread, d.Status, d.Name, d.Country)
		countries[d.Country], programs[d.Program[0]] = true, true
		return true
	}))
	list := func(ask string, f view.DesignationFilter) {
		must(v.Designations(f, at, func(d view.Designation) bool { tell("%s: %s", ask, d.Thread); return true }))
	}
	for _, s := range view.Statuses {
		list("status "+string(s), view.DesignationFilter{Status: s})
	}
	for c := range countries {
		if c != "" {
			list("country "+c, view.DesignationFilter{Country: c})
		}
	}
	for p := range programs {
		list("program "+p, view.DesignationFilter{Program: p})
	}
	must(v.Parties(view.PartyFilter{}, at, func(p view.Party) bool {
		tell("party %s: %s, %s", p.ID, p.Standing, p.LegalName)
		must(v.Keys(p.ID, "", at, func(k view.PartyKey) bool {
			revoked := uint64(0)
			if k.Revoked != nil {
				revoked = *k.Revoked
			}
			tell("key %s: %s, %s of %s, registrars %t, revoked %d", k.ID, k.Use, k.Holder, p.ID, k.ByRegistrar, revoked)
			return true
		}))
		return true
	}))
	for _, thread := range m.threads(record.FamilyLicence) {
		l, err := v.Licence(thread, at)
		must(err)
		tell("licence %s: %s", thread, l.Status)
	}
	must(v.Requests(view.RequestFilter{}, at, func(r view.Request) bool {
		due := ""
		if r.Due != nil {
			due = r.Due.String()
		}
		tell("request %s: %s, of %q by %q", r.Thread, r.Status, r.Provider, due)
		return true
	}))
	counts, err := v.Cooperation("", at)
	must(err)
	for _, c := range counts {
		median := "none"
		if c.MedianDays != nil {
			median = fmt.Sprint(*c.MedianDays)
		}
		tell("cooperation %s: asked %d = %d + %d + %d + %d + %d, sealed %d, median %s", c.Jurisdiction, c.Asked, c.Answered, c.Unanswered, c.Challenged, c.Withdrawn, c.Open, c.Sealed, median)
	}
	for _, id := range identifiers {
		found, err := v.Identifier(id[0], id[1], at)
		must(err)
		for _, match := range found.Matches {
			tell("%s %s: %s %s", id[0], id[1], match.Use, match.Thread)
		}
	}
	told = append(told, viewDuties(t, v, at, nil)...)
	slices.Sort(told)
	return told
}

// agreeOnAnswers compares what the register and the model tell as of a size, at an instant.
func (m *model) agreeOnAnswers(t *testing.T, v *view.View, at time.Time) (lines int) {
	t.Helper()
	known := m.asOf(int(v.Size()))
	want, got := known.answers(at), viewAnswers(t, v, known, at)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("size %d at %s: the text says %q", v.Size(), at.Format(time.RFC3339), w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("size %d at %s: the view says %q", v.Size(), at.Format(time.RFC3339), g)
		}
	}
	if len(got) != len(want) && !t.Failed() {
		t.Error(errors.New("the register tells something twice"))
	}
	return len(want)
}
