package view_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// chosen are those of the threads that all conditions choose, in their order.
func chosen(threads []record.Thread, all ...func(record.Thread) bool) (list []record.Thread) {
	for _, t := range threads {
		if !slices.ContainsFunc(all, func(is func(record.Thread) bool) bool { return !is(t) }) {
			list = append(list, t)
		}
	}
	slices.Sort(list)
	return list
}

// bears says whether a thread's thing is called so, or was.
func (m *model) bears(thread record.Thread, scheme, value string) bool {
	uses, _ := m.bearers(scheme, value)
	return uses[thread] != "" && uses[thread] != "gone"
}

func (m *mind) designated(f view.DesignationFilter) []record.Thread {
	return chosen(m.threads(record.FamilyDesignation), func(t record.Thread) bool {
		terms := m.newest(t, "designate", "amend").terms
		target := terms["target"].(map[string]any)
		source, _ := terms["source"].(map[string]any)
		return (f.Status == "" || m.standing(t) == string(f.Status)) && (f.Country == "" || target["country"] == f.Country) &&
			(f.Program == "" || slices.Contains(terms["program"].([]any), any(f.Program))) && (f.List == "" || source["list"] == f.List) &&
			(f.Name == "" || m.bears(t, "name", f.Name)) && (f.Scheme == "" || m.bears(t, f.Scheme, f.Value))
	})
}

func (m *mind) granted(f view.LicenceFilter) []record.Thread {
	return chosen(m.threads(record.FamilyLicence), func(t record.Thread) bool {
		l := m.newest(t, "license")
		there := slices.ContainsFunc(l.orders, func(name string) bool {
			target := m.newest(record.DesignationThread(name), "designate", "amend").terms["target"].(map[string]any)
			return target["country"] == f.Jurisdiction
		})
		return (f.Status == "" || m.licence(t) == string(f.Status)) && (f.Holder == "" || l.party == f.Holder) &&
			(f.Designation == "" || slices.Contains(l.orders, f.Designation)) && (f.Jurisdiction == "" || there)
	})
}

func (m *mind) enrolled(f view.PartyFilter) []record.Thread {
	return chosen(m.threads(record.FamilyParty), func(t record.Thread) bool {
		return (f.Role == "" || m.hasRole(t.Party(), f.Role)) && (f.Standing == "" || m.partyStanding(t.Party()) == f.Standing)
	})
}

func (m *mind) asked(f view.RequestFilter) []record.Thread {
	return chosen(m.requestThreads(), func(t record.Thread) bool {
		a, ok := m.request(t.Request(), m.at)
		status, _ := a.standing()
		return ok && (f.Status == "" || status == string(f.Status)) && (f.Jurisdiction == "" || a.first.Jurisdiction == f.Jurisdiction) &&
			(f.Provider == "" || a.provider == f.Provider)
	})
}

// owed are those of the duties, as they are told, that a filter chooses. What nobody knows of owes nothing
// that could be known.
func (m *mind) owed(duties []string, f view.DutyFilter) (list []string) {
	if _, ok := m.enrolment(f.Party); f.Party != "" && !ok || f.Designation != "" && m.newest(record.DesignationThread(f.Designation)).st == nil {
		return []string{"absent"}
	}
	for _, d := range duties {
		word := strings.Fields(d)
		state := word[2:][slices.IndexFunc(word[2:], func(w string) bool { return slices.Contains(view.DutyStates, view.DutyState(w)) })]
		of := ""
		if word[1] == "respond" || word[1] == "conclude" {
			of = word[2]
		}
		if (f.Party == "" || word[0] == f.Party) && (f.Kind == "" || word[1] == string(f.Kind)) && (f.Designation == "" || of == f.Designation) &&
			(f.State == "" || state == string(f.State)) {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list
}

func (m *model) records(f view.RecordFilter) (list []uint64) {
	for _, e := range m.log {
		if (f.Kind == "" || e.st.Kind == f.Kind) && (f.Issuer == "" || e.st.Issuer == f.Issuer) && (f.Thread == "" || e.st.Thread == f.Thread) &&
			(!f.Attestations || slices.Contains(attestations, e.st.Kind)) && uint64(e.index) >= f.From {
			list = append(list, uint64(e.index))
		}
	}
	return list
}

// changes are the threads that differ from what stood at a smaller size, each at its instant.
func (m *mind) changes(before *mind) (told []string) {
	var threads []record.Thread
	for _, e := range m.log {
		if !slices.Contains(threads, e.st.Thread) {
			threads = append(threads, e.st.Thread)
		}
	}
	for _, t := range threads {
		var records []int
		for _, e := range m.log[len(before.log):] {
			if e.st.Thread == t {
				records = append(records, e.index)
			}
		}
		name, was, is, wrong := "", "", "", false
		var changed []string
		switch t.Family() {
		case record.FamilyDesignation:
			was, is = before.standing(t), m.standing(t)
			now, old := m.newest(t, "designate", "amend"), before.newest(t, "designate", "amend")
			name = now.terms["target"].(map[string]any)["name"].(string)
			r := m.newest(t, "revoke")
			wrong = r.index > m.newest(t, "designate").index && r.status == "error"
			if old.st != nil {
				changed = differing(old.terms, now.terms)
			}
		case record.FamilyParty:
			was, is = "none", m.partyStanding(t.Party())
			if before.newest(t).st != nil {
				was = before.partyStanding(t.Party())
			}
			name = m.newest(t, "enrol", "re-enrol").st.Predicate.(*record.Enrolment).LegalName
		}
		if was != is || len(records) > 0 {
			told = append(told, fmt.Sprintf("change %s %q: %s to %s, %v, in error %t, records %v", t, name, was, is, changed, wrong, records))
		}
	}
	slices.Sort(told)
	return told
}

// differing are the members in which two designations differ, those of the target one by one.
func differing(old, now map[string]any) (names []string) {
	flat := func(o map[string]any) map[string]any {
		all := make(map[string]any)
		for name, value := range o {
			if name != "target" {
				all[name] = value
				continue
			}
			for inner, value := range value.(map[string]any) {
				all["target."+inner] = value
			}
		}
		return clearMembers(all)
	}
	a, b := flat(old), flat(now)
	for name := range b {
		if !reflect.DeepEqual(a[name], b[name]) {
			names = append(names, name)
		}
	}
	for name := range a {
		if _, still := b[name]; !still {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
