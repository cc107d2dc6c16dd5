package view

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Effects are sentences for people about what a draft's records would bring about, in
// their order ("opens 4 duties to respond, due 2027-01-08"): what a dry run answers. They
// are computed when asked; a draft costs nothing for them.
func Effects(d *register.Draft) ([]string, error) {
	var out []string
	for _, e := range d.Judged() {
		lines, err := kinds[e.Record.Kind].effects(draftRecord{e, d})
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

// draftRecord is one record of a draft, and the draft that it stands in.
type draftRecord struct {
	register.JudgedRecord
	draft *register.Draft
}

// next is the index from which on what the record says holds.
func (e draftRecord) next() uint64 { return e.Record.Index + 1 }

func (e draftRecord) party() *register.PartyRow { return e.After.State.(*register.PartyRow) }

func (e draftRecord) designation() *register.DesignationRow {
	return e.After.State.(*register.DesignationRow)
}

func charterEffects(e draftRecord) ([]string, error) {
	if e.Before == nil {
		return []string{fmt.Sprintf("opens the ledger %s", e.After.State.(*register.CharterRow).Origin)}, nil
	}
	return []string{fmt.Sprintf("amends the charter; it judges from index %d on", e.next())}, nil
}

func enrolmentEffects(e draftRecord) ([]string, error) {
	p := e.party()
	if e.Before != nil {
		return []string{fmt.Sprintf("replaces what describes %s", p.ID)}, nil
	}
	return []string{fmt.Sprintf("enrols %s as %s with %s; they sign from index %d on", p.ID, joinWords(p.Roles), plural(len(p.Keys), "key"), e.next())}, nil
}

func standingEffects(e draftRecord) ([]string, error) {
	p := e.party()
	s := p.Ahead[len(p.Ahead)-1]
	return []string{fmt.Sprintf("%s is %s from %s on", p.ID, s.Status, s.EffectiveOn)}, nil
}

func keysEffects(e draftRecord) (out []string, err error) {
	for _, k := range e.Keys {
		id := register.ShortKeyID(k.ID)
		switch {
		case k.Added == e.Record.Index && k.UsableFrom != nil:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s), added by the registrar: it counts from %s on", id, k.Holder, k.Use, record.Instant{Time: *k.UsableFrom}))
		case k.Added == e.Record.Index:
			out = append(out, fmt.Sprintf("adds key %s of %s (%s); it signs from index %d on", id, k.Holder, k.Use, e.next()))
		case k.Revoked == e.Record.Index:
			out = append(out, fmt.Sprintf("revokes key %s of %s; it signs no more from index %d on", id, k.Holder, e.next()))
		}
	}
	return out, nil
}

func designationEffects(e draftRecord) ([]string, error) {
	said := ""
	switch c := &e.designation().Current; {
	case c.EffectiveFrom == nil:
		said = "is in force at once"
	case c.EffectiveUntil == nil:
		said = fmt.Sprintf("is in force from %s on", *c.EffectiveFrom)
	default:
		said = fmt.Sprintf("is in force from %s until %s", *c.EffectiveFrom, *c.EffectiveUntil)
	}
	return e.openingEffect("opens", said)
}

func amendmentEffects(e draftRecord) ([]string, error) {
	verb := "opens"
	if e.Before != nil && e.Before.State.(*register.DesignationRow).Opening != nil {
		verb = "re-opens"
	}
	return e.openingEffect(verb, fmt.Sprintf("amends %s, \"%s\"", e.Record.Thread, e.designation().Current.Target.Name))
}

// openingEffect adds to what is said the duties that the record opens, if it opens any.
func (e draftRecord) openingEffect(verb string, said ...string) ([]string, error) {
	if o := e.designation().Opening; o == nil || o.Index != e.Record.Index {
		return said, nil
	}
	owing, due, err := e.countOwed()
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
		return append(said, fmt.Sprintf("%s %s, paused as long as it is suspended", verb, duties)), nil
	}
	return append(said, fmt.Sprintf("%s %s, due %s", verb, duties, due)), nil
}

func revocationEffects(e draftRecord) ([]string, error) {
	ev := e.After.Event()
	return []string{fmt.Sprintf("revokes %s from %s on (%s): final", e.Record.Thread, ev.EffectiveOn, ev.Cause)}, nil
}

func reinstatementEffects(e draftRecord) ([]string, error) {
	return []string{fmt.Sprintf("reinstates %s from %s on", e.Record.Thread, e.After.Event().EffectiveOn)}, nil
}

// suspensionEffects says until when a designation is suspended, and what becomes of the
// duties that fall due meanwhile.
func suspensionEffects(e draftRecord) ([]string, error) {
	ev := e.After.Event()
	if ev.Until == nil {
		return []string{fmt.Sprintf("suspends %s from %s on", e.Record.Thread, ev.EffectiveOn), "what falls due meanwhile is paused"}, nil
	}
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	due := ev.Until.AddDays(1).Add(c.periods(e.Record.Index).Response)
	return []string{fmt.Sprintf("suspends %s from %s until %s", e.Record.Thread, ev.EffectiveOn, *ev.Until), fmt.Sprintf("what falls due meanwhile is due %s", due)}, nil
}

// countOwed counts the parties that owe an answer to what opens now, as [View.Duties]
// will find them once the record is admitted, and says when: all of them on one day.
func (e draftRecord) countOwed() (n int, due *record.Date, err error) {
	c, err := e.asOfAdmission()
	if err != nil {
		return 0, nil, err
	}
	life, due := currentDesignation(e.designation()), e.designation().Opening.ResponseDue
	general, err := e.draft.LicenceSteps(e.Record.Thread)
	if err != nil {
		return 0, nil, err
	}
	err = e.draft.Providers(func(row *register.PartyRow) error {
		if row.Enrolled.Index > e.Record.Index {
			return nil
		}
		own, err := e.draft.LicenceSteps(record.ResponseThread(e.Record.Thread.Designation(), row.ID))
		if err != nil {
			return err
		}
		life.Licences = append(slices.Clip(general), own...)
		duty, err := c.respondDuty(e.Record.Thread, life, currentParty(row), nil)
		if duty != nil {
			n, due = n+1, duty.Due
		}
		return err
	})
	return n, due, err
}

// asOfAdmission answers for the moment at which the record is admitted.
func (e draftRecord) asOfAdmission() (asOf, error) {
	charters, err := e.draft.Charters()
	return asOf{instant: e.Record.Admitted, charters: charters}.withZone(), err
}

func responseEffects(e draftRecord) ([]string, error) {
	head, err := e.draft.Thread(e.Record.Thread.About())
	if err != nil || head == nil {
		return nil, err
	}
	s, des := e.After.State.(*register.ResponseRow), head.State.(*register.DesignationRow)
	met, err := e.metDuty(s, head.Thread, des)
	if err != nil {
		return nil, err
	}
	out := []string{met}
	if s.OpensConclusion() {
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
func (e draftRecord) metDuty(s *register.ResponseRow, thread record.Thread, des *register.DesignationRow) (string, error) {
	opening := des.Opening
	if opening == nil || des.Current.ResponseDue == nil {
		return fmt.Sprintf("answers %s, which asks for no answer", thread), nil
	}
	c, err := e.asOfAdmission()
	if err != nil {
		return "", err
	}
	whole := &designationTimeline{DesignationRow: des}
	if err := e.transitionsForward(thread, des.Opened.Index, whole.add); err != nil {
		return "", err
	}
	party, err := e.draft.Thread(record.PartyThread(e.Record.Issuer))
	if err != nil {
		return "", err
	}
	p := &partyTimeline{PartyRow: party.State.(*register.PartyRow)}
	if err := e.transitionsForward(party.Thread, 0, p.add); err != nil {
		return "", err
	}
	alone := *s
	alone.Answers = register.Answers{}.With(s, e.Record.Index, des)
	for _, paused := range []record.Thread{thread, e.Record.Thread} {
		steps, err := e.draft.LicenceSteps(paused)
		if err != nil {
			return "", err
		}
		whole.Licences = append(whole.Licences, steps...)
	}
	duty, err := c.respondDuty(thread, whole.upTo(c), p, &answers{newest: &responseAt{e.After.Ref(), &alone}})
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
func (e draftRecord) transitionsForward(thread record.Thread, from uint64, visit func(*register.ThreadRow)) error {
	row, err := e.draft.Thread(thread)
	if err != nil || row == nil {
		return err
	}
	return transitionsForward(row, from, func(index uint64) (*register.ThreadRow, error) { return e.draft.Step(thread, index) }, visit)
}

func certificationEffects(e draftRecord) ([]string, error) {
	s := e.After.State.(*register.PeriodRow)
	return []string{fmt.Sprintf("certifies %s from %s until %s", e.Record.Issuer, s.PeriodFrom, s.PeriodUntil)}, nil
}

// licenceEffects says whose duties a licence pauses, and until when.
func licenceEffects(e draftRecord) ([]string, error) {
	l := e.After.State.(*register.LicenceRow)
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	from := l.From
	if today := c.today(); from.Before(today) {
		from = today
	}
	out := []string{fmt.Sprintf("licenses from %s until %s", from, l.Until)}
	whose := l.Holder + "'s"
	if l.Type == record.LicenceGeneral {
		whose = "everybody's"
	}
	var paused []string
	if n := len(l.Designations); n > 0 {
		paused = append(paused, fmt.Sprintf("%s duties to respond and to conclude by %s", whose, plural(n, "designation")))
	}
	if l.Type == record.LicenceADPExemption {
		paused = append(paused, whose+" duties to certify and to commit to its customer log")
	}
	if paused == nil {
		return append(out, "pauses no duty"), nil
	}
	due := l.Until.AddDays(1).Add(c.periods(e.Record.Index).Response)
	for _, p := range paused {
		out = append(out, "pauses "+p)
	}
	return append(out, fmt.Sprintf("what falls due meanwhile is due %s", due)), nil
}

// resellerEffects says what the provider owes by the record.
func resellerEffects(e draftRecord) ([]string, error) {
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	s, thread := e.After.State.(*register.ResellerRow), e.Record.Thread
	is := string(s.Status)
	if s.Status == record.ResellerBreach {
		is = "in breach"
	}
	out := []string{fmt.Sprintf("%s's reseller %s is %s", thread.Party(), thread.Reseller(), is)}
	switch s.Status {
	case record.ResellerActive:
		out = append(out, fmt.Sprintf("to be verified anew by %s", s.VerifiedAt.Add(c.periods(e.Record.Index).Certification)))
	case record.ResellerBreach:
		out = append(out, fmt.Sprintf("to be terminated by %s", c.today().Add(c.periods(e.Record.Index).ResellerBreach)))
	case record.ResellerUnconfirmed:
		out = append(out, "nothing is owed by it until it is active")
	}
	return out, nil
}

func abuseReportEffects(e draftRecord) ([]string, error) {
	s := e.After.State.(*register.PeriodRow)
	return e.nextCommitment(fmt.Sprintf("reports abuse at %s from %s until %s", e.Record.Issuer, s.PeriodFrom, s.PeriodUntil), s.PeriodUntil, s.Newest)
}

func customerLogEffects(e draftRecord) ([]string, error) {
	s, until := e.After.State.(*register.CustomerLogRow), *e.After.Delta.PeriodUntil
	said := fmt.Sprintf("commits %s to the %d leaves of %s, until %s", e.Record.Issuer, s.Size, s.Origin, until)
	if s.Restarted != nil && s.Restarted.Index == e.Record.Index {
		said = fmt.Sprintf("says for ever that the private log of %s was lost; %s", e.Record.Issuer, said)
	}
	return e.nextCommitment(said, until, s.Newest)
}

// nextCommitment adds to what is said when the next such record is due; newest is the
// newest day that any of them covers.
func (e draftRecord) nextCommitment(said string, until, newest record.Date) ([]string, error) {
	if until.Before(newest) {
		return []string{said, fmt.Sprintf("covers no new day: an earlier record reaches until %s", newest)}, nil
	}
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	return []string{said, fmt.Sprintf("the next is due %s", newest.Add(c.periods(e.Record.Index).Commitment))}, nil
}

func aiTrainingEffects(e draftRecord) ([]string, error) {
	s := e.After.State.(*register.AITrainingRow)
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	due := s.KnownOn.Add(c.periods(e.Record.Index).AIReport)
	said := fmt.Sprintf("reports a training run that %s knew of on %s", e.Record.Issuer, s.KnownOn)
	switch {
	case e.Before != nil:
		return []string{said + "; the first report on the thread decides whether it was in time"}, nil
	case c.today().After(due):
		return []string{fmt.Sprintf("%s, late: it was due %s", said, due)}, nil
	}
	return []string{fmt.Sprintf("%s, in time: it is due %s", said, due)}, nil
}

// requestEffects says who owes an answer by when, of a sealed request that nobody does yet.
func requestEffects(e draftRecord) ([]string, error) {
	row := e.After.State.(*register.RequestRow)
	thread := e.Record.Thread
	opened := row.Opened != nil && row.Opened.Index == e.Record.Index
	switch status := e.After.Delta.Status; {
	case row.Sealed() && e.Before == nil:
		return []string{fmt.Sprintf("asks under seal: nobody is named, and no duty begins, before it is opened, from %s on", *row.SealedUntil)}, nil
	case status == record.RequestRequested || opened:
		c, err := e.asOfAdmission()
		if err != nil {
			return nil, err
		}
		said := fmt.Sprintf("asks %s by %s", row.Provider, row.Type)
		if opened {
			said = fmt.Sprintf("opens %s, which asks %s by %s", thread, row.Provider, row.Type)
		}
		if status != record.RequestRequested {
			return []string{said, fmt.Sprintf("%s is %s", thread, status)}, nil
		}
		r, _ := requestWithin(row, nil, func(register.RecordRef) bool { return true })
		return []string{said, fmt.Sprintf("opens 1 duty to disclose, due %s", r.due(c))}, nil
	case status == record.RequestWithdrawn:
		return []string{fmt.Sprintf("withdraws %s: final, and nobody owes an answer", thread)}, nil
	case status == record.RequestChallenged:
		return []string{fmt.Sprintf("%s is challenged: the duty to disclose is paused", thread)}, nil
	}
	return []string{fmt.Sprintf("%s went unanswered; it counts as such until it is answered", thread)}, nil
}

// receiptEffects says whether the receipt meets the duty to disclose, by the rule of
// [View.Duties].
func receiptEffects(e draftRecord) ([]string, error) {
	thread := e.Record.Thread.About()
	head, err := e.draft.Thread(thread)
	if err != nil || head == nil {
		return nil, err
	}
	party, err := e.draft.Thread(record.PartyThread(e.Record.Issuer))
	if err != nil {
		return nil, err
	}
	c, err := e.asOfAdmission()
	if err != nil {
		return nil, err
	}
	state := e.After.State.(*register.ReceiptRow)
	r, _ := requestWithin(head.State.(*register.RequestRow), state, func(register.RecordRef) bool { return true })
	duty := c.discloseDuty(thread, &r, currentParty(party.State.(*register.PartyRow)))
	switch challenges := state.Challenged != nil && state.Challenged.Index == e.Record.Index; {
	case duty == nil:
		return []string{fmt.Sprintf("answers %s, to which %s owes no answer", thread, e.Record.Issuer)}, nil
	case challenges && duty.State == DutyPaused:
		return []string{fmt.Sprintf("challenges %s: the duty to disclose is paused", thread)}, nil
	case challenges:
		return []string{fmt.Sprintf("challenges %s, too late to put the duty to disclose off: it is %s", thread, duty.State)}, nil
	case *duty.MetBy != e.Record.ID:
		return []string{fmt.Sprintf("adds to the answer to %s, whose duty was met before", thread)}, nil
	case duty.State == DutyLate:
		return []string{fmt.Sprintf("meets the duty to disclose of %s, late: it was due %s", thread, duty.Due)}, nil
	}
	return []string{fmt.Sprintf("meets the duty to disclose of %s", thread)}, nil
}

func assessmentEffects(e draftRecord) ([]string, error) {
	s := e.After.State.(*register.AssessmentRow)
	return []string{fmt.Sprintf("%s gives its opinion, %s, for %s until %s", e.Record.Issuer, s.Opinion, s.PeriodFrom, s.PeriodUntil)}, nil
}
