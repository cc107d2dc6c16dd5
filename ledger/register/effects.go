package register

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// effect is one record of a draft: its thread before and after.
type effect struct {
	record        RecordRow
	before, after *ThreadRow
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
		s := p.Standing[len(p.Standing)-1]
		return []string{fmt.Sprintf("%s is %s from %s on", p.ID, s.Status, s.EffectiveOn)}
	}
	var out []string
	for i := range p.Keys {
		switch k := &p.Keys[i]; {
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
		ev := s.Events[len(s.Events)-1]
		switch {
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
	n := len(s.Openings)
	if n == 0 || s.Openings[n-1].Index != e.record.Index {
		return out, nil
	}
	verb := "opens"
	if n > 1 {
		verb = "re-opens"
	}
	providers, err := d.activeProviders(e)
	if err != nil {
		return nil, err
	}
	duties := "no duty to respond yet (no provider is active); whoever is enrolled later has one"
	switch {
	case providers == 1:
		duties = "1 duty to respond"
	case providers > 1:
		duties = fmt.Sprintf("%d duties to respond", providers)
	}
	return append(out, fmt.Sprintf("%s %s, due %s", verb, duties, s.Openings[n-1].ResponseDue)), nil
}

// activeProviders counts the parties that owe an answer to what opens now.
func (d *Draft) activeProviders(e effect) (n int, err error) {
	today := d.today(e)
	err = d.parties(func(p *PartyRow) {
		if p.Has(record.RoleProvider) && p.Enrolled.Index < e.record.Index && p.StatusOn(today) == statusActive {
			n++
		}
	})
	return n, err
}

func (d *Draft) today(e effect) record.Date {
	return record.DateOf(e.record.Admitted, d.charter.State.(*CharterRow).zone)
}

func (d *Draft) responseEffects(e effect, s *ResponseRow) ([]string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(e.record.Thread, "response/"), "/"+e.record.Issuer)
	head, err := d.thread("designation/" + name)
	if err != nil || head == nil {
		return nil, err
	}
	des := head.State.(*DesignationRow)
	var out []string
	switch n := len(des.Openings); {
	case n == 0 || des.Current.ResponseDue == nil:
		out = append(out, fmt.Sprintf("answers %s, which asks for no answer", head.Thread))
	case s.About < des.Openings[n-1].Index:
		out = append(out, fmt.Sprintf("meets no duty: it is about the record at index %d, but index %d asks anew", s.About, des.Openings[n-1].Index))
	case d.today(e).After(*des.Current.ResponseDue):
		out = append(out, fmt.Sprintf("meets the duty to respond to %s, late: it was due %s", head.Thread, *des.Current.ResponseDue))
	default:
		out = append(out, fmt.Sprintf("meets the duty to respond to %s", head.Thread))
	}
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

func quoteName(name string) string { return `"` + name + `"` }
