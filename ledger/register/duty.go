package register

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// DutyKind says what is owed (RECORDS.md "Duties").
type DutyKind string

const (
	DutyRespond  DutyKind = "respond"  // answer a designation
	DutyConclude DutyKind = "conclude" // finish what an answer began
	DutyCertify  DutyKind = "certify"  // certify the customer identification programme
)

// DutyState is how a duty stands at the instant asked for.
type DutyState string

const (
	DutyOpen    DutyState = "open"
	DutyMet     DutyState = "met"
	DutyLate    DutyState = "late" // met after the due date
	DutyOverdue DutyState = "overdue"
	DutyPaused  DutyState = "paused" // it would fall due in a pause that has no last day yet
	DutyLapsed  DutyState = "lapsed" // the designation ended before it was due
)

// Words is the state as people are told it. Of a day to come, nobody has missed a due
// date: it is only known that it comes before.
func (s DutyState) Words(ahead bool) string {
	if ahead && s == DutyOverdue {
		return "due by then"
	}
	return string(s)
}

// DutyKinds and DutyStates are all of them, for whoever reads a filter.
var (
	DutyKinds  = []DutyKind{DutyRespond, DutyConclude, DutyCertify}
	DutyStates = []DutyState{DutyOpen, DutyMet, DutyLate, DutyOverdue, DutyPaused, DutyLapsed}
)

// Duty is one thing that a provider owes or owed, as it stands at one instant.
// Duties are computed when asked, never stored. Due is inclusive, in the charter's
// time zone, with what a pause adds; absent, the duty has no date: nothing sets one, or
// it is paused.
type Duty struct {
	Party       string       `json:"party"`
	Kind        DutyKind     `json:"kind"`
	Designation string       `json:"designation,omitempty"` // thread
	State       DutyState    `json:"state"`
	Due         *record.Date `json:"due,omitempty"`
	From        *record.Date `json:"from,omitempty"` // certify: the first day not covered
	OpenedBy    record.ID    `json:"openedBy"`
	MetBy       *record.ID   `json:"metBy,omitempty"`
	MetOn       *record.Date `json:"metOn,omitempty"`
	Answer      string       `json:"answer,omitempty"` // the status of the response that met it
	// Error says that the designation was published in error.
	Error   bool        `json:"publishedInError,omitempty"`
	Records []record.ID `json:"records"` // every record that this rests on

	position string
}

// Position is where the duty stands in the list of [View.Duties].
func (d Duty) Position() string { return d.position }

// dueDateOrNil is a due date; none is later than the last that can be written (RFC 3339).
func dueDateOrNil(date record.Date) *record.Date {
	if date.Year > 9999 {
		return nil
	}
	return &date
}

// setMet notes the record that met the duty, with the state that this gives it.
func (d *Duty) setMet(by RecordRef, c asOf) {
	id, on := by.ID, c.admissionDate(by)
	d.MetBy, d.MetOn, d.State = &id, &on, DutyMet
	if d.Due != nil && on.After(*d.Due) {
		d.State = DutyLate
	}
	d.Records = append(d.Records, id)
}

// setOpenOrOverdue gives a duty that nobody met its state, or false where nothing is owed: the
// party was withdrawn before the due date.
func (d *Duty) setOpenOrOverdue(c asOf, p *partyTimeline) bool {
	if gone := c.withdrawn(p); gone != nil && (d.Due == nil || gone.Before(*d.Due)) {
		return false
	}
	switch {
	case d.State != "": // paused or lapsed
	case d.Due != nil && c.today().After(*d.Due):
		d.State = DutyOverdue
	default:
		d.State = DutyOpen
	}
	return true
}

// applyEndAndPauses applies the end and the pauses of the designation that a duty comes from
// (RECORDS.md "Pauses", "Ends"), and completes what it rests on; nil if nothing is
// owed. opened is when the duty was, by the response that meets it, nil if none does.
//
// What was met before the end stays met; what was overdue by then stays, and may still
// be met late; all else lapsed. A due date is as it was known when the duty was met.
func (d *Duty) applyEndAndPauses(c asOf, row *designationTimeline, p *partyTimeline, opened effectTime, by *responseAt) *Duty {
	if e := row.revocation(); e != nil && e.Cause == causeError {
		d.Error = true
		d.Records = append(d.Records, e.ID)
	}
	end, over := c.designationEnd(row)
	if by != nil && (!over || c.admittedAt(by.RecordRef).before(end)) {
		d.postpone(c, row.pausesBelow(by.Index))
		d.setMetByResponse(by, c)
		return d
	}
	paused := d.postpone(c, row.pauses())
	switch {
	case over && (d.Due == nil || !d.Due.Before(end.day) || !opened.before(end)):
		d.State = DutyLapsed
	case by != nil:
		d.setMetByResponse(by, c)
		return d
	case paused:
		d.State = DutyPaused
	}
	if !d.setOpenOrOverdue(c, p) {
		return nil
	}
	return d
}

// setMetByResponse notes the response that met the duty.
func (d *Duty) setMetByResponse(by *responseAt, c asOf) {
	d.setMet(by.RecordRef, c)
	d.Answer = by.Status
}

// postpone moves a due date that falls into a pause to a response period after the
// pause's last day, again where it then falls into another. It reports whether the pause
// has no last day yet: then there is no date.
func (d *Duty) postpone(c asOf, pauses []pause) (endless bool) {
	for d.Due != nil {
		i := slices.IndexFunc(pauses, func(p pause) bool { return p.contains(*d.Due) })
		if i < 0 {
			return false
		}
		p := pauses[i]
		d.Records = append(d.Records, p.by.ID)
		if p.resume == nil {
			d.Due = nil
			return true
		}
		if d.Due = dueDateOrNil(p.resume.Add(c.periods(p.by.Index).Response)); d.Due == nil {
			return true
		}
	}
	return false
}
