package view_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// lists whose threads a designation's name is of.
func (j *judged) listed(order string) bool {
	return slices.ContainsFunc(j.c.Imports, func(l record.ImportList) bool { return strings.HasPrefix(order, l.List+"-") })
}

// designationRules: what of a designation's thread may be said next.
func (j *judged) designationRules() {
	order := j.st.Thread.Designation()
	newest, first := j.newest(j.st.Thread, "designate", "amend"), j.newest(j.st.Thread, "designate")
	life := first
	d, isNew := j.st.Predicate.(*record.Designation)
	var imported bool
	if isNew {
		imported = d.Source != nil
	} else if first.st != nil {
		imported = first.st.Predicate.(*record.Designation).Source != nil
	}
	enough := j.officers(record.FuncDesignator) >= j.c.Thresholds.Designation
	if imported {
		enough = enough || j.officers(record.FuncImporter) >= j.c.Thresholds.Import
	}
	j.refuse(!enough, record.Forbidden, "designators, or importers")
	var revoked entry
	for _, e := range j.log {
		if e.order == order && e.kind == "revoke" && e.index > life.index {
			revoked = e
		}
	}
	if isNew {
		j.refuse(first.st != nil && !(revoked.status == "delisted" && imported), record.Conflict, "designated already")
		j.refuse(!imported && j.listed(order), record.Invalid, "a list's thread")
		j.refuse(imported && !slices.ContainsFunc(j.c.Imports, func(l record.ImportList) bool { return l.List == d.Source.List }), record.Invalid, "no list of the charter")
		j.refuse(dayNumber(d.DeterminedOn) > j.day, record.Invalid, "determined in days to come")
		for _, id := range d.Evidence {
			_, ok := j.byID(id)
			j.refuse(!ok, record.Invalid, "no such evidence")
		}
		if !imported {
			from := dayNumber(d.EffectiveFrom)
			j.refuse(from < later(j.day, j.c.Periods.Notice), record.Invalid, "notice")
			j.refuse(d.ResponseDue != nil && dayNumber(d.ResponseDue) < later(j.day, j.c.Periods.Response), record.Invalid, "response")
			j.refuse(dayNumber(d.EffectiveUntil) >= later(from, j.c.Periods.Term), record.Invalid, "term")
		}
		return
	}
	if first.st == nil {
		j.refuseAt(stepThread, true, record.Invalid, "nothing is designated there")
		return
	}
	if revoked.st != nil {
		j.refuse(true, record.Conflict, "revocation is final")
	}
	expired := newest.last != 0 && j.day > newest.last
	switch p := j.st.Predicate.(type) {
	case *record.Revocation:
		j.refuse(p.Cause == "delisted" && !imported, record.Invalid, "delisted is of a list")
	case *record.Suspension:
		on := dayNumber(&p.EffectiveOn)
		j.refuse(expired, record.Conflict, "over")
		j.refuse(on < j.day, record.Invalid, "effectiveOn is over")
		_, _, stands := j.suspension(order)
		j.refuse(stands, record.Conflict, "not twice")
		j.refuse(newest.last != 0 && on > newest.last, record.Invalid, "it would begin after the end")
		j.refuse(j.deciding(order) >= 16, record.Conflict, "16 decide a day")
	case *record.Reinstatement:
		on := dayNumber(&p.EffectiveOn)
		j.refuse(expired, record.Conflict, "over")
		j.refuse(on < j.day, record.Invalid, "effectiveOn is over")
		_, last, stands := j.suspension(order)
		j.refuse(!stands, record.Conflict, "it is not suspended")
		j.refuse(stands && on > last, record.Invalid, "the suspension ends by itself")
		j.refuse(j.deciding(order) >= 16, record.Conflict, "16 decide a day")
	case *record.Amendment:
		j.refuse(expired, record.Conflict, "an amendment comes before the end")
		j.refuse(p.Type == "extension" && newest.last != 0 && j.day >= newest.last, record.Conflict, "an extension comes before effectiveUntil")
		j.amendmentRules(p, newest, imported)
	}
}

// suspension that has begun or is announced, and that no reinstatement was recorded for: its
// days, on which the designation is suspended without a break.
func (j *judged) suspension(order string) (first, last int, stands bool) {
	var newest entry
	for _, e := range j.log {
		if e.order == order && (e.kind == "suspend" || e.kind == "reinstate") {
			newest = e
		}
	}
	if newest.st == nil {
		return 0, 0, false
	}
	on := func(day int) bool { s, _ := j.suspendedOn(order, j.at, len(j.log), day); return s }
	for day := j.day; day < endOfTime; day++ {
		if !on(day) {
			continue
		}
		for first = day; on(first - 1); first-- {
		}
		for last = day; last < endOfTime && on(last+1); last++ {
		}
		if newest.kind != "reinstate" || first >= newest.on {
			return first, last, true
		}
		day = last
	}
	return 0, 0, false
}

// deciding are how many suspensions and reinstatements decide a day from today on.
func (j *judged) deciding(order string) int {
	decide := make(map[int]bool)
	for day := j.day; day < endOfTime; day++ {
		if _, e := j.suspendedOn(order, j.at, len(j.log), day); e.st != nil {
			decide[e.index] = true
		}
	}
	return len(decide)
}

func (j *judged) amendmentRules(p *record.Amendment, before entry, imported bool) {
	now, why := amended(before.terms, members(j.env)["predicate"].(map[string]any))
	j.refuse(why != "", record.Invalid, why)
	reopens := p.Reopens || p.Type == "scope"
	if reopens {
		j.refuse(p.Reopens && imported, record.Invalid, "what is imported has no duty to respond")
		had := before.due != 0
		j.refuse(p.ResponseDue == nil && (p.Reopens || had), record.Invalid, "re-opened, and no day by which to respond")
		if p.ResponseDue != nil {
			j.refuse(imported, record.Invalid, "what is imported has no duty to respond")
			now["responseDue"] = p.ResponseDue.String()
		}
	}
	from, until, due := memberDay(now, "effectiveFrom"), memberDay(now, "effectiveUntil"), memberDay(now, "responseDue")
	j.refuse(due != 0 && (due != before.due || p.ResponseDue != nil) && due < later(j.day, j.c.Periods.Response), record.Invalid, "response")
	j.refuse(p.Type == "deadline" && (before.due == 0 || due <= before.due), record.Invalid, "a deadline that is there is put off")
	j.refuse(imported && due != 0, record.Invalid, "what is imported has no duty to respond")
	j.refuse(p.Type == "extension" && (before.last == 0 || until <= before.last), record.Invalid, "an extension is to a later day")
	j.refuse(until != 0 && until < memberDay(now, "effectiveFrom"), record.Invalid, "it ends before it begins")
	if imported {
		return
	}
	stricter := now["action"] == "prohibit" && before.terms["action"] == "condition"
	j.refuse((from != before.from || stricter) && from < later(j.day, j.c.Periods.Notice), record.Invalid, "notice")
	if p.Type == "extension" {
		j.refuse(until >= later(before.last+1, j.c.Periods.Term), record.Invalid, "term of an extension")
	} else if until-from > before.last-before.from {
		j.refuse(until >= later(from, j.c.Periods.Term), record.Invalid, "term")
	}
	conditions, _ := now["conditions"].([]any)
	j.refuse(now["action"] == "condition" && len(conditions) == 0, record.Invalid, "conditions")
}

// amended is a designation with an amendment's steps; why says what has no effect.
func amended(terms, amendment map[string]any) (now map[string]any, why string) {
	raw, _ := json.Marshal(terms)
	json.Unmarshal(raw, &now)
	now = clearMembers(now)
	fault := func(words string) {
		if why == "" {
			why = words
		}
	}
	var each func(at, steps map[string]any, act func(at map[string]any, name string, value any))
	each = func(at, steps map[string]any, act func(at map[string]any, name string, value any)) {
		for name, value := range steps {
			if inner, ok := value.(map[string]any); ok {
				if at[name] == nil {
					at[name] = map[string]any{}
				}
				each(at[name].(map[string]any), inner, act)
				continue
			}
			act(at, name, value)
		}
	}
	object := func(name string) map[string]any { o, _ := amendment[name].(map[string]any); return o }
	each(now, object("drop"), func(at map[string]any, name string, value any) {
		list, _ := at[name].([]any)
		for _, item := range value.([]any) {
			i := slices.IndexFunc(list, func(x any) bool { return reflect.DeepEqual(x, item) })
			if i < 0 {
				fault("an item that is dropped is not there")
				return
			}
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
		if at[name] = list; len(list) == 0 {
			delete(at, name)
		}
	})
	unset, _ := amendment["unset"].([]any)
	for _, path := range unset {
		at, names := now, strings.Split(path.(string), ".")
		for _, name := range names[:len(names)-1] {
			at, _ = at[name].(map[string]any)
		}
		name := names[len(names)-1]
		if at[name] == nil {
			fault("a field that is unset is not there")
		}
		delete(at, name)
	}
	each(now, object("set"), func(at map[string]any, name string, value any) {
		if reflect.DeepEqual(at[name], value) {
			fault("what is set is so already")
		}
		at[name] = value
	})
	each(now, object("add"), func(at map[string]any, name string, value any) {
		list, _ := at[name].([]any)
		for _, item := range value.([]any) {
			if slices.ContainsFunc(list, func(x any) bool { return reflect.DeepEqual(x, item) }) {
				fault("an item that is added is there")
			}
			list = append(slices.Clone(list), item)
		}
		at[name] = list
	})
	return now, why
}

// clearMembers leaves out what is of the record and not of the designation.
func clearMembers(o map[string]any) map[string]any {
	for _, name := range []string{"ledger", "thread", "issuer", "issuedAt", "follows", "note", "document"} {
		delete(o, name)
	}
	return o
}
