package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// effect is one record of a draft: its thread before and after.
type effect struct {
	record        RecordRow
	before, after *ThreadRow
	keys          []*KeyRow // added or revoked
}

// Effects are sentences for people about what the draft's records would bring
// about, in their order ("opens 4 duties to respond, due 2027-01-08"): what a dry
// run answers. They are computed when asked; a draft costs nothing for them.
func (d *Draft) Effects() ([]string, error) {
	var out []string
	for _, e := range d.judged {
		lines, err := d.effects(e)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

func (d *Draft) effects(e effect) ([]string, error) {
	switch s := e.after.State.(type) {
	case *CharterRow:
		if e.before == nil {
			return []string{fmt.Sprintf("opens the ledger %s", s.Origin)}, nil
		}
		return []string{fmt.Sprintf("amends the charter; it judges from index %d on", e.record.Index+1)}, nil
	case *PartyRow:
		return partyEffects(e, s), nil
	case *DesignationRow:
		return d.designationEffects(e, s)
	case *ResponseRow:
		return d.responseEffects(e, s)
	case *CertificationRow:
		return []string{fmt.Sprintf("certifies %s from %s until %s", e.record.Issuer, s.PeriodFrom, s.PeriodUntil)}, nil
	}
	return nil, nil
}

func partyEffects(e effect, p *PartyRow) []string {
	switch e.record.Kind {
	case record.KindEnrolment:
		if e.before != nil {
			return []string{fmt.Sprintf("replaces what describes %s", p.ID)}
		}
		return []string{fmt.Sprintf("enrols %s as %s with %s; they sign from index %d on", p.ID, joined(p.Roles), plural(int64(len(p.Keys)), "key"), e.record.Index+1)}
	case record.KindStanding:
		s := p.Ahead[len(p.Ahead)-1]
		return []string{fmt.Sprintf("%s is %s from %s on", p.ID, s.Status, s.EffectiveOn)}
	}
	var out []string
	for _, k := range e.keys {
		switch {
		case k.Added == e.record.Index && k.UsableFrom != nil:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s), added by the registrar: it counts from %s on", shortKey(k.ID), k.Holder, k.Use, record.Instant{Time: *k.UsableFrom}))
		case k.Added == e.record.Index:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s); it signs from index %d on", shortKey(k.ID), k.Holder, k.Use, e.record.Index+1))
		case k.Revoked == e.record.Index:
			out = append(out, fmt.Sprintf("revokes key %s of %s; it signs no more from index %d on", shortKey(k.ID), k.Holder, e.record.Index+1))
		}
	}
	return out
}

func (d *Draft) designationEffects(e effect, s *DesignationRow) ([]string, error) {
	var out []string
	switch e.record.Kind {
	case record.KindDesignation:
		switch c := &s.Current; {
		case c.EffectiveFrom == nil:
			out = append(out, "is in force at once")
		case c.EffectiveUntil == nil:
			out = append(out, fmt.Sprintf("is in force from %s on", *c.EffectiveFrom))
		default:
			out = append(out, fmt.Sprintf("is in force from %s until %s", *c.EffectiveFrom, *c.EffectiveUntil))
		}
	case record.KindAmendment:
		out = append(out, fmt.Sprintf("amends %s, %s", e.record.Thread, quoteName(s.Current.Target.Name)))
	default:
		switch ev := e.after.event(); {
		case ev.Kind == record.KindRevocation:
			out = append(out, fmt.Sprintf("revokes %s from %s on (%s): final", e.record.Thread, ev.EffectiveOn, ev.Cause))
		case ev.Kind == record.KindReinstatement:
			out = append(out, fmt.Sprintf("reinstates %s from %s on", e.record.Thread, ev.EffectiveOn))
		case ev.Until != nil:
			out = append(out, fmt.Sprintf("suspends %s from %s until %s", e.record.Thread, ev.EffectiveOn, *ev.Until))
		default:
			out = append(out, fmt.Sprintf("suspends %s from %s on", e.record.Thread, ev.EffectiveOn))
		}
	}
	if s.Opening == nil || s.Opening.Index != e.record.Index {
		return out, nil
	}
	verb := "opens"
	if e.before != nil && e.record.Kind == record.KindAmendment && e.before.State.(*DesignationRow).Opening != nil {
		verb = "re-opens"
	}
	owing, err := d.owing(e, s)
	if err != nil {
		return nil, err
	}
	duties := "no duty to respond yet (no provider owes one); whoever is enrolled later has one"
	switch {
	case owing == 1:
		duties = "1 duty to respond"
	case owing > 1:
		duties = fmt.Sprintf("%d duties to respond", owing)
	}
	return append(out, fmt.Sprintf("%s %s, due %s", verb, duties, s.Opening.ResponseDue)), nil
}

// owing counts the parties that owe an answer to what opens now, as [View.Duties]
// will find them once the record is admitted.
func (d *Draft) owing(e effect, s *DesignationRow) (n int, err error) {
	c, err := d.clock(e)
	if err != nil {
		return 0, err
	}
	asked := asking{Step: s.Opening.Step, due: s.Opening.ResponseDue}
	err = d.parties(func(row *PartyRow) error {
		if !row.Has(record.RoleProvider) || row.Enrolled.Index >= e.record.Index {
			return nil
		}
		p, err := d.partyLife(row)
		if err == nil && c.respond(e.record.Thread, s.ahead(), asked, p, nil) != nil {
			n++
		}
		return err
	})
	return n, err
}

// clock answers for the moment at which a record of the draft is admitted.
func (d *Draft) clock(e effect) (clock, error) {
	c := clock{at: e.record.Admitted, zone: d.charter.State.(*CharterRow).zone}
	c.charters = d.r.termsBelow(d.start)
	for _, b := range append(slices.Clip(d.below), d) {
		for _, x := range b.judged {
			if x.after.Thread != ownerRoot || x.after.Index < d.start && slices.ContainsFunc(c.charters, func(t charterTerms) bool { return t.Index == x.after.Index }) {
				continue // of another thread, or advanced over meanwhile
			}
			terms, err := x.after.terms()
			if err != nil {
				return c, err
			}
			c.charters = append(c.charters, terms)
		}
	}
	return c, nil
}

func (d *Draft) responseEffects(e effect, s *ResponseRow) ([]string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(e.record.Thread, "response/"), "/"+e.record.Issuer)
	head, err := d.thread("designation/" + name)
	if err != nil || head == nil {
		return nil, err
	}
	des := head.State.(*DesignationRow)
	met, err := d.meets(e, s, head.Thread, des)
	if err != nil {
		return nil, err
	}
	out := []string{met}
	if s.Status == "acknowledged" || s.Status == "winding-down" {
		switch {
		case s.WindDownBy != nil:
			out = append(out, fmt.Sprintf("opens a duty to conclude by %s", *s.WindDownBy))
		case des.Current.EffectiveFrom != nil:
			out = append(out, fmt.Sprintf("opens a duty to conclude by %s, when it takes effect", *des.Current.EffectiveFrom))
		default:
			out = append(out, "opens a duty to conclude")
		}
	}
	return out, nil
}

// meets says which duty to respond the response meets, by the rule of [View.Duties].
func (d *Draft) meets(e effect, s *ResponseRow, thread string, des *DesignationRow) (string, error) {
	opening := des.Opening
	if opening == nil || des.Current.ResponseDue == nil {
		return fmt.Sprintf("answers %s, which asks for no answer", thread), nil
	}
	if s.About < opening.Index {
		return fmt.Sprintf("meets no duty: it is about the record at index %d, but index %d asks anew", s.About, opening.Index), nil
	}
	p, err := d.party(e.record.Issuer)
	if err != nil {
		return "", err
	}
	c, err := d.clock(e)
	if err != nil {
		return "", err
	}
	whole, err := d.designationLife(thread, des)
	if err != nil {
		return "", err
	}
	standing, err := d.partyLife(p)
	if err != nil {
		return "", err
	}
	this := answer{Step{e.record.Index, e.record.ID, e.record.Admitted}, s}
	switch duty := c.respond(thread, whole, asking{Step: opening.Step, due: *des.Current.ResponseDue}, standing, []answer{this}); {
	case duty == nil:
		return fmt.Sprintf("answers %s, to which %s owes no answer", thread, p.ID), nil
	case duty.State == DutyLate:
		return fmt.Sprintf("meets the duty to respond to %s, late: it was due %s", thread, duty.Due), nil
	}
	return fmt.Sprintf("meets the duty to respond to %s", thread), nil
}

// history visits what each record from an index on did to a thread, oldest first, as far
// as the draft sees it.
func (d *Draft) history(thread string, from uint64, visit func(*ThreadRow)) error {
	var rows []*ThreadRow
	err := d.r.history(thread, d.start, func(row *ThreadRow) (bool, error) {
		if row.Index < from {
			return false, nil
		}
		rows = append(rows, row)
		return true, nil
	})
	slices.Reverse(rows)
	for _, b := range append(slices.Clip(d.below), d) {
		for _, x := range b.judged {
			if n := len(rows); x.after.Thread == thread && x.record.Index >= from && (n == 0 || rows[n-1].Index < x.record.Index) {
				rows = append(rows, x.after)
			}
		}
	}
	for _, row := range rows {
		visit(row)
	}
	return err
}

// designationLife is a designation with all that the draft sees of its life.
func (d *Draft) designationLife(thread string, row *DesignationRow) (*designationLife, error) {
	life := &designationLife{DesignationRow: row}
	return life, d.history(thread, row.Opened.Index, life.happened)
}

// partyLife is a party with all that the draft sees of its standing.
func (d *Draft) partyLife(row *PartyRow) (*partyLife, error) {
	life := &partyLife{PartyRow: row}
	return life, d.history("party/"+row.ID, 0, life.happened)
}

func quoteName(name string) string { return `"` + name + `"` }
