package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// JudgedRecord is one record of a draft: its thread before and after.
type JudgedRecord struct {
	Record        RecordRow
	Before, After *ThreadRow
	Keys          []*KeyRow // added or revoked
}

// Effects are sentences for people about what the draft's records would bring
// about, in their order ("opens 4 duties to respond, due 2027-01-08"): what a dry
// run answers. They are computed when asked; a draft costs nothing for them.
func (d *Draft) Effects() ([]string, error) {
	var out []string
	for _, e := range d.judged {
		lines, err := d.effectsOf(e)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

func (d *Draft) effectsOf(e JudgedRecord) ([]string, error) {
	switch s := e.After.State.(type) {
	case *CharterRow:
		if e.Before == nil {
			return []string{fmt.Sprintf("opens the ledger %s", s.Origin)}, nil
		}
		return []string{fmt.Sprintf("amends the charter; it judges from index %d on", e.Record.Index+1)}, nil
	case *PartyRow:
		return partyEffects(e, s), nil
	case *DesignationRow:
		return d.designationEffects(e, s)
	case *ResponseRow:
		return d.responseEffects(e, s)
	case *CertificationRow:
		return []string{fmt.Sprintf("certifies %s from %s until %s", e.Record.Issuer, s.PeriodFrom, s.PeriodUntil)}, nil
	}
	return nil, nil
}

func partyEffects(e JudgedRecord, p *PartyRow) []string {
	switch e.Record.Kind {
	case record.KindEnrolment:
		if e.Before != nil {
			return []string{fmt.Sprintf("replaces what describes %s", p.ID)}
		}
		return []string{fmt.Sprintf("enrols %s as %s with %s; they sign from index %d on", p.ID, joinWords(p.Roles), plural(int64(len(p.Keys)), "key"), e.Record.Index+1)}
	case record.KindStanding:
		s := p.Ahead[len(p.Ahead)-1]
		return []string{fmt.Sprintf("%s is %s from %s on", p.ID, s.Status, s.EffectiveOn)}
	}
	var out []string
	for _, k := range e.Keys {
		switch {
		case k.Added == e.Record.Index && k.UsableFrom != nil:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s), added by the registrar: it counts from %s on", shortKeyID(k.ID), k.Holder, k.Use, record.Instant{Time: *k.UsableFrom}))
		case k.Added == e.Record.Index:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s); it signs from index %d on", shortKeyID(k.ID), k.Holder, k.Use, e.Record.Index+1))
		case k.Revoked == e.Record.Index:
			out = append(out, fmt.Sprintf("revokes key %s of %s; it signs no more from index %d on", shortKeyID(k.ID), k.Holder, e.Record.Index+1))
		}
	}
	return out
}

func (d *Draft) designationEffects(e JudgedRecord, s *DesignationRow) ([]string, error) {
	var out []string
	switch e.Record.Kind {
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
		out = append(out, fmt.Sprintf("amends %s, %s", e.Record.Thread, quoteName(s.Current.Target.Name)))
	default:
		switch ev := e.After.Event(); {
		case ev.Kind == record.KindRevocation:
			out = append(out, fmt.Sprintf("revokes %s from %s on (%s): final", e.Record.Thread, ev.EffectiveOn, ev.Cause))
		case ev.Kind == record.KindReinstatement:
			out = append(out, fmt.Sprintf("reinstates %s from %s on", e.Record.Thread, ev.EffectiveOn))
		default:
			said, err := d.suspensionEffect(e, ev)
			if err != nil {
				return nil, err
			}
			out = append(out, said...)
		}
	}
	if s.Opening == nil || s.Opening.Index != e.Record.Index {
		return out, nil
	}
	verb := "opens"
	if e.Before != nil && e.Record.Kind == record.KindAmendment && e.Before.State.(*DesignationRow).Opening != nil {
		verb = "re-opens"
	}
	owing, due, err := d.countOwed(e, s)
	if err != nil {
		return nil, err
	}
	duties := "no duty to respond yet (no provider owes one); whoever is active later has one"
	switch {
	case owing == 1:
		duties = "1 duty to respond"
	case owing > 1:
		duties = fmt.Sprintf("%d duties to respond", owing)
	}
	if owing > 0 && due == nil {
		return append(out, fmt.Sprintf("%s %s, paused as long as it is suspended", verb, duties)), nil
	}
	return append(out, fmt.Sprintf("%s %s, due %s", verb, duties, due)), nil
}

// suspensionEffect says until when a designation is suspended, and what becomes of the
// duties that fall due meanwhile.
func (d *Draft) suspensionEffect(e JudgedRecord, ev *LifecycleEvent) ([]string, error) {
	if ev.Until == nil {
		return []string{fmt.Sprintf("suspends %s from %s on", e.Record.Thread, ev.EffectiveOn), "what falls due meanwhile is paused"}, nil
	}
	c, err := d.asOfAdmission(e)
	if err != nil {
		return nil, err
	}
	due := ev.Until.AddDays(1).Add(c.periods(e.Record.Index).Response)
	return []string{fmt.Sprintf("suspends %s from %s until %s", e.Record.Thread, ev.EffectiveOn, *ev.Until), fmt.Sprintf("what falls due meanwhile is due %s", due)}, nil
}

// countOwed counts the parties that owe an answer to what opens now, as [View.Duties]
// will find them once the record is admitted, and says when: all of them on one day.
func (d *Draft) countOwed(e JudgedRecord, s *DesignationRow) (n int, due *record.Date, err error) {
	c, err := d.asOfAdmission(e)
	if err != nil {
		return 0, nil, err
	}
	life, due := s.currentTimeline(), s.Opening.ResponseDue
	err = d.eachProvider(func(row *PartyRow) error {
		if row.Enrolled.Index > e.Record.Index {
			return nil
		}
		duty, err := c.respondDuty(e.Record.Thread, life, row.currentTimeline(), nil)
		if duty != nil {
			n, due = n+1, duty.Due
		}
		return err
	})
	return n, due, err
}

// asOfAdmission answers for the moment at which a record of the draft is admitted.
func (d *Draft) asOfAdmission(e JudgedRecord) (asOf, error) {
	c := asOf{instant: e.Record.Admitted, charters: d.r.termsBelow(d.start)}
	for _, b := range append(slices.Clip(d.earlier), d) {
		for _, x := range b.judged {
			if x.After.Thread != ownerRoot || x.After.Index < d.start && slices.ContainsFunc(c.charters, func(t CharterTerms) bool { return t.Index == x.After.Index }) {
				continue // of another thread, or advanced over meanwhile
			}
			terms, err := x.After.terms()
			if err != nil {
				return c, err
			}
			c.charters = append(c.charters, terms)
		}
	}
	return c.withZone(), nil
}

func (d *Draft) responseEffects(e JudgedRecord, s *ResponseRow) ([]string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(e.Record.Thread, "response/"), "/"+e.Record.Issuer)
	head, err := d.lookupThread("designation/" + name)
	if err != nil || head == nil {
		return nil, err
	}
	des := head.State.(*DesignationRow)
	met, err := d.metDuty(e, s, head.Thread, des)
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

// metDuty says which duty to respond the response meets, by the rule of [View.Duties].
func (d *Draft) metDuty(e JudgedRecord, s *ResponseRow, thread string, des *DesignationRow) (string, error) {
	opening := des.Opening
	if opening == nil || des.Current.ResponseDue == nil {
		return fmt.Sprintf("answers %s, which asks for no answer", thread), nil
	}
	p, err := d.partyRow(e.Record.Issuer)
	if err != nil {
		return "", err
	}
	c, err := d.asOfAdmission(e)
	if err != nil {
		return "", err
	}
	whole, err := d.designationTimeline(thread, des)
	if err != nil {
		return "", err
	}
	standing, err := d.partyTimeline(p)
	if err != nil {
		return "", err
	}
	alone := *s
	alone.Answers = Answers{}.With(s, e.Record.Index, des)
	duty, err := c.respondDuty(thread, whole.upTo(c), standing, &answers{newest: &responseAt{e.After.Ref(), &alone}})
	if err != nil {
		return "", err
	}
	switch {
	case duty == nil:
		return fmt.Sprintf("answers %s, to which %s owes no answer", thread, p.ID), nil
	case duty.State == DutyLapsed:
		return fmt.Sprintf("meets no duty: %s ended before it was due", thread), nil
	case duty.MetBy == nil:
		return fmt.Sprintf("meets no duty: it is about the record at index %d, but index %d asks anew", s.About, opening.Index), nil
	case duty.State == DutyLate:
		return fmt.Sprintf("meets the duty to respond to %s, late: it was due %s", thread, duty.Due), nil
	}
	return fmt.Sprintf("meets the duty to respond to %s", thread), nil
}

// transitionsForward visits the transitions of a thread from an index on, oldest first,
// as far as the draft sees them.
func (d *Draft) transitionsForward(thread string, from uint64, visit func(*ThreadRow)) error {
	row, err := d.lookupThread(thread)
	if err != nil || row == nil {
		return err
	}
	return transitionsForward(row, from, func(index uint64) (*ThreadRow, error) {
		for _, b := range append(slices.Clip(d.earlier), d) {
			if i := index - b.start; index >= b.start && i < uint64(len(b.judged)) {
				return b.judged[i].After, nil
			}
		}
		return d.r.version(thread, index)
	}, visit)
}

// designationTimeline is a designation with all that the draft sees of its life.
func (d *Draft) designationTimeline(thread string, row *DesignationRow) (*designationTimeline, error) {
	life := &designationTimeline{DesignationRow: row}
	return life, d.transitionsForward(thread, row.Opened.Index, life.add)
}

// partyTimeline is a party with all that the draft sees of its standing.
func (d *Draft) partyTimeline(row *PartyRow) (*partyTimeline, error) {
	life := &partyTimeline{PartyRow: row}
	return life, d.transitionsForward("party/"+row.ID, 0, life.add)
}

func quoteName(name string) string { return `"` + name + `"` }
