package programme

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Duty is what a provider owes about one customer.
type Duty string

const (
	DutyElements Duty = "elements" // something is to be known that is not
	DutyVerify   Duty = "verify"   // the identity is to be verified
	DutyReverify Duty = "reverify" // and again: for its age, a change, a document's end
	DutyResolve  Duty = "resolve"  // it could not be verified: verify after all, or close
	DutyDecide   Duty = "decide"   // a hit of screening waits for a decision
	DutyClose    Duty = "close"    // it is whom a designation means: close the account
)

// Due is one thing that is due. Dates are civil and inclusive: it is late after By.
type Due struct {
	Duty     Duty        `json:"duty"`
	About    string      `json:"about,omitempty"` // the risk that raised it, the designation that hit, why again
	Elements []string    `json:"elements,omitempty"`
	Methods  []string    `json:"methods,omitempty"`  // of which one verifies
	Measures []string    `json:"measures,omitempty"` // what holds until then
	Since    record.Date `json:"since"`
	By       record.Date `json:"by"`
	Why      string      `json:"why"`
}

// Late reports whether it is late on a day.
func (d *Due) Late(day record.Date) bool { return day.After(d.By) }

// Due is what is due of a customer on a day, what is due first, first: of the events so far,
// by the version in force that day. What only that version demands is late no earlier than
// its first day and its transition: nobody is late by a rule that was not there.
func (h *History) Due(s *event.State, zone *time.Location, day record.Date) []Due {
	all := merge(h.due(h.on(day), s, zone, day))
	sortDues(all)
	return all
}

// due is what version i demands, what it took over from the one before with the date of that
// one.
func (h *History) due(i int, s *event.State, zone *time.Location, day record.Date) []Due {
	if i < 0 || s.OpenedAt.IsZero() { // of an erased customer nothing is known
		return nil
	}
	p := h.versions[i]
	if !p.concerns(&s.Customer) {
		return nil
	}
	x := judged{Programme: p, State: s, zone: zone, day: day}
	all := x.all()
	first := p.From.Add(p.Transition)
	var before []Due
	for k := range all {
		if !all[k].By.Before(first) {
			continue
		}
		if before == nil {
			before = append([]Due{}, h.due(i-1, s, zone, day)...)
		}
		by := first
		for _, b := range before {
			if b.same(&all[k]) && b.By.Before(by) {
				by = b.By
			}
		}
		if by == first {
			all[k].Why += fmt.Sprintf("; by the programme of %s, which allows until %s", p.From, first)
		}
		all[k].By = by
	}
	return all
}

// same reports whether two versions mean one thing. One element is one thing.
func (d *Due) same(o *Due) bool {
	return d.Duty == o.Duty && d.About == o.About && slices.Equal(d.Elements, o.Elements)
}

// merge tells elements that are due alike in one line.
func merge(all []Due) (merged []Due) {
	for _, d := range all {
		i := slices.IndexFunc(merged, func(m Due) bool {
			return d.Duty == DutyElements && m.Duty == d.Duty && m.About == d.About && m.Since == d.Since && m.By == d.By
		})
		if i >= 0 {
			merged[i].Elements = append(merged[i].Elements, d.Elements...)
		} else {
			merged = append(merged, d)
		}
	}
	return merged
}

// judged is one customer under one version on one day.
type judged struct {
	*Programme
	*event.State
	zone *time.Location
	day  record.Date
}

func (x *judged) date(t time.Time) record.Date { return record.DateOf(t, x.zone) }

func (x *judged) all() (all []Due) {
	for _, flag := range x.Flags {
		all = append(all, x.screened(flag)...)
	}
	if !x.ClosedAt.IsZero() {
		return all
	}
	all = append(all, x.missing("", x.wanted(), x.Elements.Within, x.date(x.OpenedAt), "opened")...)
	for _, r := range x.Risks {
		since, holds := x.holds(r.When)
		if !holds {
			continue
		}
		all = append(all, x.missing(r.ID, r.Elements, r.Within, since, "risk "+r.ID)...)
		if len(r.Methods) > 0 || r.Again != nil || len(r.Elements) == 0 {
			all = append(all, x.verify(demand{r.ID, "risk " + r.ID + " holds since " + since.String(), r.Methods, since, r.Within, r.Again})...)
		}
	}
	all = append(all, x.verify(demand{"", "opened on " + x.date(x.OpenedAt).String(), nil, x.date(x.OpenedAt), x.Verification.Within, x.Verification.Again})...)
	all = append(all, x.changed()...)
	all = append(all, x.expired()...)
	return append(all, x.unverifiable()...)
}

// wanted are the elements that the programme wants of such a customer.
func (x *judged) wanted() []string {
	if x.Customer.Type == "entity" {
		return x.Programme.Elements.Entity
	}
	return x.Programme.Elements.Person
}

// missing are the elements that are not known, one each.
func (x *judged) missing(risk string, elements []string, within record.Period, since record.Date, why string) (all []Due) {
	for _, name := range elements {
		if x.knows(name) {
			continue
		}
		from := since
		if changes := x.Changes[name]; len(changes) > 0 { // it was taken away later
			from = later(from, x.date(changes[len(changes)-1]))
			why = "taken away"
		}
		all = append(all, Due{
			Duty: DutyElements, About: risk, Elements: []string{name}, Since: from, By: from.Add(within),
			Why: fmt.Sprintf("%s on %s; wanted within %s", why, from, within),
		})
	}
	return all
}

// knows reports whether an element is known. An address of an access is one too.
func (x *judged) knows(name string) bool {
	f := event.KindOpened.Shape().Field(name)
	return !f.IsAbsent(f.Of(reflect.ValueOf(x.Customer))) || name == "ip" && x.Accesses > 0
}

// demand is a verification that is wanted, by the programme or by one of its risks.
type demand struct {
	risk, why string
	methods   []string // none: all that count
	since     record.Date
	within    record.Period
	again     *record.Period
}

func (x *judged) verify(d demand) []Due {
	methods := d.methods
	if methods == nil {
		methods = x.Verification.Methods
	}
	newest := x.verified(methods)
	if newest == nil {
		return []Due{{
			Duty: DutyVerify, About: d.risk, Methods: methods, Since: d.since, By: d.since.Add(d.within),
			Why: fmt.Sprintf("%s; to be verified within %s (%s)", d.why, d.within, strings.Join(methods, ", ")),
		}}
	}
	if d.again == nil {
		return nil
	}
	about := "age"
	if d.risk != "" {
		about = d.risk
	}
	on := x.date(newest.At)
	return x.again(Due{About: about, Methods: methods, By: on.Add(*d.again), Why: fmt.Sprintf("verified on %s; again after %s", on, *d.again)})
}

// verified is the newest verification that succeeded by one of the methods; nil: none. A
// state has them by time.
func (x *judged) verified(methods []string) (newest *event.Verification) {
	for i := range x.Verifications {
		v := &x.Verifications[i]
		if v.Outcome == "verified" && slices.Contains(methods, v.Method) {
			newest = v
		}
	}
	return newest
}

// again is a verification that is to be repeated, from its notice on.
func (x *judged) again(d Due) []Due {
	d.Duty, d.Since = DutyReverify, d.By.AddDays(-int(x.Verification.NoticeDays))
	if x.day.Before(d.Since) {
		return nil
	}
	return []Due{d}
}

// changed is the verification that is due after changes that nobody has verified.
func (x *judged) changed() []Due {
	rule, newest := x.Verification.Changed, x.verified(x.Verification.Methods)
	if rule == nil || newest == nil {
		return nil
	}
	var elements []string
	var first time.Time
	for _, name := range rule.Elements {
		i := slices.IndexFunc(x.Changes[name], func(t time.Time) bool { return t.After(newest.At) })
		if i < 0 {
			continue
		}
		t := x.Changes[name][i]
		elements = append(elements, name)
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	if elements == nil {
		return nil
	}
	on := x.date(first)
	return []Due{{
		Duty: DutyReverify, About: "changed", Methods: x.Verification.Methods, Since: on, By: on.Add(rule.Within),
		Why: fmt.Sprintf("%s changed on %s, after the verification of %s; again within %s", strings.Join(elements, ", "), on, x.date(newest.At), rule.Within),
	}}
}

// expired is the verification that is due because a document ends.
func (x *judged) expired() []Due {
	newest := x.verified(x.Verification.Methods)
	if x.Verification.Expired == nil || newest == nil || newest.Document == nil || newest.Document.ExpiresOn == nil {
		return nil
	}
	last := *newest.Document.ExpiresOn
	d := x.again(Due{
		About: "expired", Methods: x.Verification.Methods, By: last.Add(*x.Verification.Expired),
		Why: fmt.Sprintf("the %s that verified it on %s ends on %s; again within %s", newest.Document.Kind, x.date(newest.At), last, *x.Verification.Expired),
	})
	return d
}

// unverifiable is what is due since a verification failed, and none has succeeded since.
func (x *judged) unverifiable() []Due {
	since, open := x.failedSince()
	if !open {
		return nil
	}
	on := x.date(since)
	d := Due{
		Duty: DutyResolve, Methods: x.Verification.Methods, Measures: x.Unverifiable.Measures, Since: on, By: on.Add(x.Unverifiable.Close),
		Why: fmt.Sprintf("could not be verified on %s; to be verified by another way or closed within %s", on, x.Unverifiable.Close),
	}
	for i, m := range d.Measures {
		if i == 0 {
			d.Why += "; until then "
		} else {
			d.Why += ", "
		}
		d.Why += measures[m]
	}
	return []Due{d}
}

// failedSince is when the first verification failed after the newest that succeeded. A
// second failure gives no more time.
func (x *judged) failedSince() (since time.Time, open bool) { return unresolved(x.Verifications) }

func unresolved(all []event.Verification) (since time.Time, open bool) {
	for _, v := range all {
		switch {
		case v.Outcome == "verified":
			since, open = time.Time{}, false
		case !open:
			since, open = v.At, true
		}
	}
	return since, open
}

// screened is what is due about a hit.
func (x *judged) screened(f event.Flag) []Due {
	rule := x.Screening
	switch {
	case rule == nil:
	case f.Outcome == "open":
		on := x.date(f.At)
		return []Due{{Duty: DutyDecide, About: f.Thread, Since: on, By: on.Add(rule.Decide), Why: fmt.Sprintf("%s hit it on %s (%s); to be decided within %s", f.Thread, on, matched(f), rule.Decide)}}
	case f.Outcome == "true-match" && rule.Close != nil && x.ClosedAt.IsZero():
		on := x.date(f.DecidedAt)
		return []Due{{Duty: DutyClose, About: f.Thread, Since: on, By: on.Add(*rule.Close), Why: fmt.Sprintf("decided on %s to be whom %s means; to be closed within %s", on, f.Thread, *rule.Close)}}
	}
	return nil
}

func matched(f event.Flag) string {
	if f.Matched == "" {
		return "by an identifier or a country"
	}
	return "by its " + strings.ReplaceAll(strings.TrimPrefix(f.Matched, "/"), "/", " ")
}

func later(a, b record.Date) record.Date {
	if b.After(a) {
		return b
	}
	return a
}
