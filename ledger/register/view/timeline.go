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
// see [threadHistory.timelineAt].
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

	pauseCache []register.Pause // what Events paint, once it was asked for
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
