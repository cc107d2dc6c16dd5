package register

import (
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
	DutyPaused  DutyState = "paused" // the designation is suspended
)

// DutyKinds and DutyStates are all of them, for whoever reads a filter.
var (
	DutyKinds  = []DutyKind{DutyRespond, DutyConclude, DutyCertify}
	DutyStates = []DutyState{DutyOpen, DutyMet, DutyLate, DutyOverdue, DutyPaused}
)

// Duty is one thing that a provider owes or owed, as it stands at one instant.
// Duties are computed when asked, never stored. Due is inclusive, in the charter's
// time zone; absent, the duty has no date: nothing sets one, or it is paused by a
// suspension without end.
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
}

// met notes the record that met the duty.
func (d *Duty) met(by Step, c clock) {
	id, on := by.ID, c.date(by.Admitted)
	d.MetBy, d.MetOn = &id, &on
}

// answered notes the response that met the duty.
func (d *Duty) answered(by *answer, c clock) {
	d.met(by.Step, c)
	d.Answer = by.Status
}

// settle gives the duty its state, or false where nothing is owed: the party was
// withdrawn before the due date, or the designation ended by it, and nobody had
// met it.
func (d *Duty) settle(c clock, p *partyLife, end *record.Date) bool {
	today := c.today()
	if d.MetOn != nil {
		d.State = DutyMet
		if d.Due != nil && d.MetOn.After(*d.Due) {
			d.State = DutyLate
		}
		return true
	}
	if gone := p.withdrawn(); gone != nil && !gone.After(today) && (d.Due == nil || gone.Before(*d.Due)) {
		return false
	}
	if end != nil && !end.After(today) && (d.Due == nil || !end.After(*d.Due)) {
		return false
	}
	switch {
	case d.State == DutyPaused:
	case d.Due != nil && today.After(*d.Due):
		d.State = DutyOverdue
	default:
		d.State = DutyOpen
	}
	return true
}

// pause applies the suspensions that began by the day on which the duty was met,
// or asked for, and not after it was due: it is paused meanwhile, and falls due a
// response period after the designation resumes, never earlier than before.
func (d *Duty) pause(c clock, row *designationLife) {
	day := c.today()
	if d.MetOn != nil {
		day = *d.MetOn
	}
	for _, p := range row.pauses() {
		if p.from.After(day) || d.Due != nil && p.from.After(*d.Due) {
			break
		}
		d.Records = append(d.Records, p.by.ID)
		if p.holds(day) {
			d.State = DutyPaused
		}
		if d.Due == nil {
			continue
		}
		if p.resume == nil {
			d.Due = nil
			return
		}
		if due := p.resume.Add(c.periods(p.by.Index).Response); due.After(*d.Due) {
			d.Due = &due
		}
	}
}

// withdrawn is the first day on which the party is withdrawn, nil if it is not.
func (p *partyLife) withdrawn() *record.Date {
	if n := len(p.Standing); n > 0 && p.Standing[n-1].Status == statusWithdrawn {
		return &p.Standing[n-1].EffectiveOn
	}
	return nil
}
