package register

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// StandingOn is the party's standing on a date, as far as this version knows: that
// of the newest record which is effective by then.
func (p *partyTimeline) StandingOn(date record.Date) string { return standingOn(p.Standing, date) }

// StandingOn is the same from this version's own record on.
func (p *PartyRow) StandingOn(date record.Date) string { return p.currentTimeline().StandingOn(date) }

func standingOn(steps []StandingChange, date record.Date) string {
	for _, s := range slices.Backward(steps) {
		if !s.EffectiveOn.After(date) {
			return s.Status
		}
	}
	return standingActive
}

// maxAnnounced bounds what may be announced at a time on one thread: changes of a
// party's standing, suspensions and reinstatements of a designation. A state holds
// them all.
const maxAnnounced = 16

// addStandingChange are the steps that decide the standing on some day from today on, once
// another is added: the one in force, and those announced that the newer ones leave
// a day to.
func addStandingChange(ahead []StandingChange, next StandingChange, today record.Date) []StandingChange {
	next.Reason = ""
	var left []StandingChange
	for _, s := range ahead {
		if s.EffectiveOn.Before(next.EffectiveOn) {
			left = append(left, s)
		}
	}
	left = append(left, next)
	for len(left) > 1 && !left[1].EffectiveOn.After(today) {
		left = left[1:]
	}
	return left
}

// Standings of a party.
const (
	standingActive    = "active"
	standingSuspended = "suspended"
	standingWithdrawn = "withdrawn"
)

// checkStanding refuses what the party's standing forbids: a suspended one signs
// only responses and keys, a withdrawn one nothing.
func (j *judgment) checkStanding(p *PartyRow) error {
	switch p.StandingOn(j.today) {
	case standingWithdrawn:
		return record.Refuse(record.Forbidden, "%s is withdrawn: it signs nothing more", p.ID)
	case standingSuspended:
		if j.st.Kind != record.KindResponse && j.st.Kind != record.KindKeys {
			return record.Refuse(record.Forbidden, "%s is suspended: it signs only responses and keys until it is active again", p.ID)
		}
	}
	return nil
}

// judgeStanding: active → suspended ⇄ active → withdrawn, by registrars; the
// authority's by root keys.
func (j *judgment) judgeStanding() error {
	s := j.st.Predicate.(*record.Standing)
	if j.head == nil {
		return invalid("/predicate/thread", "nobody was enrolled on %s", j.st.Thread)
	}
	if j.head.isUnshown() {
		return j.checkStandingSigners()
	}
	old := j.head.State.(*PartyRow)
	if j.st.Subject.SHA256 != old.Enrolment && j.st.Subject.SHA256 != old.Enrolled.ID {
		return invalid("/subject/0/digest/sha256", "a standing is about the party's enrolment: %s", old.Enrolment)
	}
	if err := j.checkStandingSigners(); err != nil {
		return err
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if err := j.checkStandingChange(old, s); err != nil {
		return err
	}
	p := *old
	p.Ahead = addStandingChange(old.Ahead, StandingChange{RecordRef: j.ref(), Status: s.Status, EffectiveOn: s.EffectiveOn}, j.today)
	if len(p.Ahead) > 1+maxAnnounced {
		return j.conflict("%d changes of %s's standing are announced already: wait until one of them holds, or announce an earlier day", maxAnnounced, p.ID)
	}
	j.state = &p
	return nil
}

// checkStandingChange refuses what would bring back a withdrawn party, and what changes
// nothing. An announced step of this day or later is replaced; what is effective before
// it stays.
func (j *judgment) checkStandingChange(old *PartyRow, s *record.Standing) error {
	if old.StandingOn(j.today) == standingWithdrawn {
		return j.conflict("%s is withdrawn for good; its ID is never used again", old.ID)
	}
	changes := old.StandingOn(s.EffectiveOn) != s.Status
	for i := range old.Ahead {
		switch step := &old.Ahead[i]; {
		case step.EffectiveOn.After(s.EffectiveOn):
			changes = changes || old.StandingOn(step.EffectiveOn) != s.Status
		case step.EffectiveOn.Before(s.EffectiveOn) && old.StandingOn(step.EffectiveOn) == standingWithdrawn && step.EffectiveOn.After(j.today):
			return j.conflict("%s is withdrawn from %s on: only what is effective by then replaces that", old.ID, step.EffectiveOn)
		}
	}
	if !changes {
		return j.conflict("%s is %s already", old.ID, s.Status)
	}
	return nil
}

func (j *judgment) checkStandingSigners() error {
	if j.st.Party() == record.Authority {
		return j.needSigners(j.charter.Thresholds.Root, "root key", j.charter.rootHolder)
	}
	return j.needRegistrars(j.charter.Thresholds.Registrar)
}
