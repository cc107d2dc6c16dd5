package register

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

const causeDelisted = "delisted"

// revocation is the event that ended the designation, nil if none did.
func (d *DesignationRow) revocation() *LifecycleEvent { return d.Revoked }

// suspensionOn is the pause that has begun or is announced on a date, nil if there
// is none: after its last day the clock alone ends it. A reinstatement ends the one
// that it was given for, though it may be announced itself; one that holds for a
// while leaves the rest of the pause to come.
func (d *designationTimeline) suspensionOn(date record.Date) *pause {
	if len(d.Events) == 0 {
		return nil
	}
	last := d.Events[len(d.Events)-1]
	for _, p := range d.pauses() {
		over := p.resume != nil && !date.Before(*p.resume)
		ended := last.Kind == record.KindReinstatement && p.from.Before(last.EffectiveOn)
		if !over && !ended {
			return &p
		}
	}
	return nil
}

// unrevokedDesignation is the designation that a later record of its family is about; nil where a
// sparse replay was not shown it.
func (j *judgment) unrevokedDesignation() (*DesignationRow, error) {
	if j.head == nil {
		return nil, invalid("/predicate/thread", "nothing was designated on %s", j.st.Thread)
	}
	if j.head.isUnshown() { // what is on a list's thread was imported: no other is admitted there
		return nil, j.checkDesignators(j.charter.listOfThread(j.st.Thread))
	}
	row := j.head.State.(*DesignationRow)
	if err := j.checkDesignators(row.Current.Source); err != nil {
		return nil, err
	}
	if end := row.revocation(); end != nil {
		return nil, j.conflict("%s was revoked (%s) at index %d: that is final", j.st.Thread, end.Cause, end.Index)
	}
	return row, nil
}

// openDesignation is the same where the clock must not have ended it either.
func (j *judgment) openDesignation() (*DesignationRow, error) {
	row, err := j.unrevokedDesignation()
	if err != nil || row == nil {
		return nil, err
	}
	if until := row.Current.EffectiveUntil; until != nil && j.today.After(*until) {
		return nil, j.conflict("%s expired with %s: nothing but a revocation can follow", j.st.Thread, *until)
	}
	return row, nil
}

// judgeSuspension: announced or in force → suspended; not twice.
func (j *judgment) judgeSuspension() error {
	s := j.st.Predicate.(*record.Suspension)
	row, err := j.openDesignation()
	if err != nil {
		return err
	}
	if row == nil {
		return j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn)
	}
	if now := row.currentTimeline().suspensionOn(j.today); now != nil {
		return j.conflict("%s is suspended already, by index %d: reinstate it first", j.st.Thread, now.by.Index)
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if until := row.Current.EffectiveUntil; until != nil && s.EffectiveOn.After(*until) {
		return invalid("/predicate/effectiveOn", "%s: the designation ends with %s", s.EffectiveOn, *until)
	}
	return j.appendEvent(row, LifecycleEvent{EffectiveOn: s.EffectiveOn, Until: s.Until})
}

// judgeReinstatement: suspended → the state that the dates give.
func (j *judgment) judgeReinstatement() error {
	s := j.st.Predicate.(*record.Reinstatement)
	row, err := j.openDesignation()
	if err != nil {
		return err
	}
	if row == nil {
		return j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn)
	}
	now := row.currentTimeline().suspensionOn(j.today)
	if now == nil {
		return j.conflict("%s is not suspended", j.st.Thread)
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if now.resume != nil && !s.EffectiveOn.Before(*now.resume) {
		return invalid("/predicate/effectiveOn", "%s: the suspension ends by itself with %s", s.EffectiveOn, now.resume.AddDays(-1))
	}
	return j.appendEvent(row, LifecycleEvent{EffectiveOn: s.EffectiveOn, Until: s.Until})
}

// judgeRevocation: final. effectiveOn is free, and shown as what it is.
func (j *judgment) judgeRevocation() error {
	r := j.st.Predicate.(*record.Revocation)
	row, err := j.unrevokedDesignation()
	if err != nil || row == nil {
		return err
	}
	if r.Cause == causeDelisted && !row.Imported() {
		return invalid("/predicate/cause", "delisted is for what was imported from a list; this was not")
	}
	j.setRevoked(row, LifecycleEvent{EffectiveOn: r.EffectiveOn, Cause: r.Cause})
	return nil
}

// checkNotPast: a date that binds others is not set back.
func (j *judgment) checkNotPast(pointer string, date record.Date) error {
	if date.Before(j.today) {
		return dateTooEarly(pointer, j.today, "%s is before today, %s in %s", date, j.today, j.charter.TimeZone)
	}
	return nil
}

// setRevoked ends the designation.
func (j *judgment) setRevoked(row *DesignationRow, e LifecycleEvent) {
	e.RecordRef, e.Kind = j.ref(), j.st.Kind
	next := *row
	next.Revoked = &e
	j.state = &next
}

// appendEvent adds a suspension or a reinstatement.
func (j *judgment) appendEvent(row *DesignationRow, e LifecycleEvent) error {
	e.RecordRef, e.Kind = j.ref(), j.st.Kind
	next := *row
	next.Ahead = relevantEvents(append(slices.Clip(row.Ahead), e), j.today)
	if len(next.Ahead) > maxAnnounced {
		return j.conflict("%d suspensions and reinstatements of %s are announced already: wait until one of them is over", maxAnnounced, j.st.Thread)
	}
	j.state = &next
	return nil
}

// relevantEvents are those events that decide whether the designation is suspended on some
// day from today on: each but those whose days are over, or all painted over by newer
// ones.
func relevantEvents(events []LifecycleEvent, today record.Date) []LifecycleEvent {
	var left []LifecycleEvent
	for i, e := range events {
		span := e.days()
		if span.from.Before(today) {
			span.from = today
		}
		var shown []pause
		if span.resume == nil || span.from.Before(*span.resume) {
			shown = []pause{span}
		}
		for _, newer := range events[i+1:] {
			shown = subtractDays(shown, newer.days())
		}
		if len(shown) > 0 {
			left = append(left, e)
		}
	}
	return left
}
