package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Status is what a designation is on one day.
type Status string

const (
	StatusNone      Status = "none"      // not yet designated
	StatusAnnounced Status = "announced" // admitted; effectiveFrom is still to come
	StatusInForce   Status = "in-force"
	StatusSuspended Status = "suspended"
	StatusExpired   Status = "expired" // its last day is over
	StatusRevoked   Status = "revoked"
)

// Statuses are all of them, in the order of a designation's life.
var Statuses = []Status{StatusAnnounced, StatusInForce, StatusSuspended, StatusExpired, StatusRevoked, StatusNone}

// causeError is a revocation's cause with which every view leads.
const causeError = "error"

// statusOn is what the designation is on a date, by its dates and the clock alone
// (RECORDS.md "Kinds", designation to revocation). A revocation is final from its
// effectiveOn, which may lie in the past; the term runs on while suspended. zone is
// that of the charter which judged the designation: without effectiveFrom it is in
// force from its admission date.
//
// It knows the newest life of the thread only, from effectiveFrom on or from admission:
// see [threadHistory.rowAt].
func (d *designationTimeline) statusOn(date record.Date, zone *time.Location) Status {
	switch revoked := d.Revoked; {
	case revoked != nil && !date.Before(revoked.EffectiveOn):
		return StatusRevoked
	case d.Current.EffectiveUntil != nil && date.After(*d.Current.EffectiveUntil):
		return StatusExpired
	case slices.ContainsFunc(d.pauses(), func(p register.Pause) bool { return p.Contains(date) }):
		return StatusSuspended
	case date.Before(firstDay(d.DesignationRow, zone)):
		return StatusAnnounced
	}
	return StatusInForce
}

// firstDay is the first day in force: effectiveFrom; absent, the admission date.
func firstDay(d *register.DesignationRow, zone *time.Location) record.Date {
	if d.Current.EffectiveFrom != nil {
		return *d.Current.EffectiveFrom
	}
	return record.DateOf(d.Opened.Admitted, zone)
}

// pauses are the suspended runs of days, apart from each other and in order. Each
// event paints its days from effectiveOn until `until` over those before it: a
// suspension as paused, a reinstatement as not. So a reinstatement that holds
// until a day leaves the rest of the suspension standing.
func (d *designationTimeline) pauses() []register.Pause {
	if d.pauseCache == nil {
		d.pauseCache = register.Pauses(d.Events)
	}
	return d.pauseCache
}

// pausesBelow are those known by the records below an index.
func (d *designationTimeline) pausesBelow(index uint64) []register.Pause {
	n, _ := slices.BinarySearchFunc(d.Events, index, func(e register.LifecycleEvent, index uint64) int { return cmp.Compare(e.Index, index) })
	if n == len(d.Events) {
		return d.pauses()
	}
	return register.Pauses(d.Events[:n])
}

// designationTimeline is one life of a designation (an imported one may be delisted and
// designated again) with all its openings and events.
type designationTimeline struct {
	*register.DesignationRow
	Openings []register.DutyOpening    // what opened or re-opened the duty to respond, oldest first
	Events   []register.LifecycleEvent // suspensions, reinstatements, the revocation, oldest first

	// Licences pause what one party, whom the timeline is asked about, owes by it.
	Licences []register.LicenceStep

	pauseCache []register.Pause // what Events paint, once it was asked for
}

// dutyPausesBelow are the runs of days on which the duties of a party by the designation are
// paused, by a suspension or a licence, as known by the records below an index.
func (d *designationTimeline) dutyPausesBelow(index uint64, c asOf) []register.Pause {
	suspended := d.pausesBelow(index)
	licensed := c.licencePauses(d.Licences, index)
	if len(licensed) == 0 {
		return suspended
	}
	return register.MergePauses(append(licensed, suspended...))
}

// licencePauses are the runs of days on which licences pause a duty, as known at the instant
// by the records below an index: from a licence's first day or its admission on, and until
// its last or, if that is earlier, the day before its revocation, which acts no earlier than
// it is admitted.
func (c asOf) licencePauses(steps []register.LicenceStep, below uint64) (runs []register.Pause) {
	of := make(map[uint64]int) // where in runs a licence's is, by its index
	for _, s := range steps {
		if s.Index >= below || !c.includes(s.RecordRef) {
			continue
		}
		from := s.From
		if admitted := c.admissionDate(s.RecordRef); from.Before(admitted) {
			from = admitted
		}
		if s.Grants() {
			resume := s.Until.AddDays(1)
			of[s.Licence] = len(runs)
			runs = append(runs, register.Pause{From: from, Resume: &resume, By: s.RecordRef})
		} else if i, ok := of[s.Licence]; ok && from.Before(*runs[i].Resume) {
			granted := runs[i].By
			runs[i].Resume, runs[i].By, runs[i].Of = &from, s.RecordRef, &granted
		}
	}
	runs = slices.DeleteFunc(runs, func(p register.Pause) bool { return !p.From.Before(*p.Resume) })
	return register.MergePauses(runs)
}

// add adds what the next record of the timeline changed.
func (d *designationTimeline) add(row *register.ThreadRow) {
	if o := row.Opening(); o != nil {
		d.Openings = append(d.Openings, *o)
	}
	if n := len(d.Openings); n > 0 && row.Delta.Moves {
		moved := row.Ref()
		d.Openings[n-1].ResponseDue, d.Openings[n-1].Moved = row.Delta.ResponseDue, &moved
	}
	if e := row.Event(); e != nil {
		d.Events = append(d.Events, *e)
	}
}

// currentDesignation is the timeline with only those events that decide the days from the
// row's own record on.
func currentDesignation(d *register.DesignationRow) *designationTimeline {
	life := &designationTimeline{DesignationRow: d, Events: d.Ahead}
	if d.Opening != nil {
		life.Openings = []register.DutyOpening{*d.Opening}
	}
	return life
}

// partyTimeline is a party with every step of its standing.
type partyTimeline struct {
	*register.PartyRow
	Standing []register.StandingChange // oldest first
}

// add adds what the next record of the timeline changed.
func (p *partyTimeline) add(row *register.ThreadRow) {
	if s := row.StandingChange(); s != nil {
		p.Standing = append(p.Standing, *s)
	}
}

// standingOn is the party's standing on a date, as far as the timeline knows.
func (p *partyTimeline) standingOn(date record.Date) string {
	return register.StandingOn(p.Standing, date)
}

// currentParty is the timeline with only those changes that decide the days from the
// row's own record on.
func currentParty(p *register.PartyRow) *partyTimeline {
	return &partyTimeline{PartyRow: p, Standing: p.Ahead}
}
