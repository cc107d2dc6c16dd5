package register

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// StatusOn is the party's standing on a date, as far as this version knows: that
// of the newest record which is effective by then.
func (p *partyLife) StatusOn(date record.Date) string { return standingOn(p.Standing, date) }

// StatusOn is the same from this version's own record on.
func (p *PartyRow) StatusOn(date record.Date) string { return p.ahead().StatusOn(date) }

func standingOn(steps []StandingStep, date record.Date) string {
	for _, s := range slices.Backward(steps) {
		if !s.EffectiveOn.After(date) {
			return s.Status
		}
	}
	return statusActive
}

// maxAnnounced bounds what may be announced at a time on one thread: changes of a
// party's standing, suspensions and reinstatements of a designation. A state holds
// them all.
const maxAnnounced = 16

// steppedOn are the steps that decide the standing on some day from today on, once
// another is added: the one in force, and those announced that the newer ones leave
// a day to.
func steppedOn(ahead []StandingStep, next StandingStep, today record.Date) []StandingStep {
	next.Reason = ""
	var left []StandingStep
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
	statusActive    = "active"
	statusSuspended = "suspended"
	statusWithdrawn = "withdrawn"
)

// inStanding refuses what the party's standing forbids: a suspended one signs
// only responses and keys, a withdrawn one nothing.
func (j *judging) inStanding(p *PartyRow) error {
	switch p.StatusOn(j.today) {
	case statusWithdrawn:
		return record.Refuse(record.Forbidden, "%s is withdrawn: it signs nothing more", p.ID)
	case statusSuspended:
		if j.st.Kind != record.KindResponse && j.st.Kind != record.KindKeys {
			return record.Refuse(record.Forbidden, "%s is suspended: it signs only responses and keys until it is active again", p.ID)
		}
	}
	return nil
}

// judgeStanding: active → suspended ⇄ active → withdrawn, by registrars; the
// authority's by root keys.
func (j *judging) judgeStanding() error {
	s := j.st.Predicate.(*record.Standing)
	if j.head == nil {
		return invalid("/predicate/thread", "nobody was enrolled on %s", j.st.Thread)
	}
	if j.head.unshown() {
		return j.signedForStanding()
	}
	old := j.head.State.(*PartyRow)
	if j.st.Subject.SHA256 != old.Enrolment && j.st.Subject.SHA256 != old.Enrolled.ID {
		return invalid("/subject/0/digest/sha256", "a standing is about the party's enrolment: %s", old.Enrolment)
	}
	if err := j.signedForStanding(); err != nil {
		return err
	}
	if err := j.fromToday("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if err := j.changesStanding(old, s); err != nil {
		return err
	}
	p := *old
	p.Ahead = steppedOn(old.Ahead, StandingStep{Step: j.step(), Status: s.Status, EffectiveOn: s.EffectiveOn}, j.today)
	if len(p.Ahead) > 1+maxAnnounced {
		return j.conflict("%d changes of %s's standing are announced already: wait until one of them holds, or announce an earlier day", maxAnnounced, p.ID)
	}
	j.state = &p
	return nil
}

// changesStanding refuses what would bring back a withdrawn party, and what changes
// nothing. An announced step of this day or later is replaced; what is effective before
// it stays.
func (j *judging) changesStanding(old *PartyRow, s *record.Standing) error {
	if old.StatusOn(j.today) == statusWithdrawn {
		return j.conflict("%s is withdrawn for good; its ID is never used again", old.ID)
	}
	changes := old.StatusOn(s.EffectiveOn) != s.Status
	for i := range old.Ahead {
		switch step := &old.Ahead[i]; {
		case step.EffectiveOn.After(s.EffectiveOn):
			changes = changes || old.StatusOn(step.EffectiveOn) != s.Status
		case step.EffectiveOn.Before(s.EffectiveOn) && old.StatusOn(step.EffectiveOn) == statusWithdrawn && step.EffectiveOn.After(j.today):
			return j.conflict("%s is withdrawn from %s on: only what is effective by then replaces that", old.ID, step.EffectiveOn)
		}
	}
	if !changes {
		return j.conflict("%s is %s already", old.ID, s.Status)
	}
	return nil
}

func (j *judging) signedForStanding() error {
	if j.st.Party() == record.Authority {
		return j.need(j.charter.Thresholds.Root, "root key", j.charter.root)
	}
	return j.registrars(j.charter.Thresholds.Registrar)
}
