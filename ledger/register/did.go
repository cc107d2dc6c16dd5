package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Did is what one record did to its thread, as far as later questions ask; which
// fields are set, the kind says. It is the thread's history, one row a record, and
// is bounded by the record, never by what came before.
type Did struct {
	EffectiveOn *record.Date `json:",omitempty"` // standing, suspension, reinstatement, revocation
	Until       *record.Date `json:",omitempty"` // suspension, reinstatement
	Status      string       `json:",omitempty"` // standing, response
	Cause       string       `json:",omitempty"` // revocation
	Reason      string       `json:",omitempty"`

	Opens       bool         `json:",omitempty"` // designation, amendment: it opened or re-opened the duty to respond
	Moves       bool         `json:",omitempty"` // amendment: it moved or took back the day by which to respond
	ResponseDue *record.Date `json:",omitempty"` // where it opens or moves: that day from then on

	Added   []string `json:",omitempty"` // enrolment, keys: key IDs
	Revoked []string `json:",omitempty"`

	About      *uint64      `json:",omitempty"` // response
	WindDownBy *record.Date `json:",omitempty"`
	Answers    *Answers     `json:",omitempty"` // bounded, unlike all those that it sums up

	PeriodFrom  *record.Date `json:",omitempty"` // cip-certification
	PeriodUntil *record.Date `json:",omitempty"`

	Periods  *record.Periods `json:",omitempty"` // charter
	TimeZone string          `json:",omitempty"`

	Prior *uint64 `json:",omitempty"` // index of the newest record below this one that was a turn
}

// turn says whether the record turned the thread's course, as duties, standing and status
// ask: most records of a long thread did not, and a life is read without them.
func (row *ThreadRow) turn() bool {
	return row.event() != nil || row.opening() != nil || row.Did.Moves || row.standing() != nil
}

// lastTurn is the index of the newest turn up to this version, nil if there was none.
func (row *ThreadRow) lastTurn() *uint64 {
	if row.turn() {
		return &row.Index
	}
	return row.Did.Prior
}

// turns visits the turns of a thread up to a version, newest first. step reads what the
// record of an index did to it.
func turns(row *ThreadRow, step func(index uint64) (*ThreadRow, error), visit func(*ThreadRow) (more bool)) error {
	for at := row.lastTurn(); at != nil; at = row.Did.Prior {
		if *at != row.Index {
			var err error
			if row, err = step(*at); err != nil {
				return err
			}
		}
		if !visit(row) {
			return nil
		}
	}
	return nil
}

// course visits the turns from an index on, oldest first.
func course(row *ThreadRow, from uint64, step func(index uint64) (*ThreadRow, error), visit func(*ThreadRow)) error {
	var rows []*ThreadRow
	err := turns(row, step, func(row *ThreadRow) bool {
		if row.Index < from {
			return false
		}
		rows = append(rows, row)
		return true
	})
	for _, row := range slices.Backward(rows) {
		visit(row)
	}
	return err
}

// did tells what the record does, once it is judged.
func (j *judging) did() (did Did) {
	switch p := j.st.Predicate.(type) {
	case *record.Charter:
		did.Periods, did.TimeZone = &p.Periods, p.TimeZone
	case *record.Standing:
		did.Status, did.EffectiveOn, did.Reason = p.Status, &p.EffectiveOn, p.Reason
	case *record.Suspension:
		did.EffectiveOn, did.Until, did.Reason = &p.EffectiveOn, p.Until, p.Reason
	case *record.Reinstatement:
		did.EffectiveOn, did.Until, did.Reason = &p.EffectiveOn, p.Until, p.Reason
	case *record.Revocation:
		did.EffectiveOn, did.Cause, did.Reason = &p.EffectiveOn, p.Cause, p.Reason
	}
	switch s := j.state.(type) {
	case *DesignationRow:
		if o := s.Opening; o != nil {
			did.Opens, did.Moves = o.Index == j.index, o.Moved != nil && o.Moved.Index == j.index
			if did.Opens || did.Moves {
				did.ResponseDue = o.ResponseDue
			}
		}
	case *ResponseRow:
		did.Status, did.About, did.WindDownBy, did.Answers = s.Status, &s.About, s.WindDownBy, &s.Answers
	case *CertificationRow:
		did.PeriodFrom, did.PeriodUntil = &s.PeriodFrom, &s.PeriodUntil
	case *PartyRow:
		for _, k := range j.keys {
			switch {
			case k.Revoked == j.index:
				did.Revoked = append(did.Revoked, k.ID)
			case k.Added == j.index:
				did.Added = append(did.Added, k.ID)
			}
		}
	}
	return did
}

// stateDid is the state of a thread whose newest record says it all.
func (row *ThreadRow) stateDid() error {
	d := &row.Did
	segment, _, _ := strings.Cut(row.Thread, "/")
	switch {
	case segment == "response" && d.About != nil && d.Answers != nil:
		row.State = &ResponseRow{Status: d.Status, WindDownBy: d.WindDownBy, About: *d.About, Answers: *d.Answers}
	case segment == "cip" && d.PeriodFrom != nil && d.PeriodUntil != nil:
		row.State = &CertificationRow{PeriodFrom: *d.PeriodFrom, PeriodUntil: *d.PeriodUntil}
	default:
		return fmt.Errorf("row of %s at %d: no such thread in these rules: %w", row.Thread, row.Index, ErrDamaged)
	}
	return nil
}

// event is the event that the record was, nil if it was none.
func (row *ThreadRow) event() *Event {
	d := &row.Did
	switch row.Kind {
	case record.KindSuspension, record.KindReinstatement, record.KindRevocation:
		if d.EffectiveOn != nil {
			return &Event{Step: row.step(), Kind: row.Kind, EffectiveOn: *d.EffectiveOn, Until: d.Until, Cause: d.Cause, Reason: d.Reason}
		}
	}
	return nil
}

// opening is what it opened, nil if it did not open or re-open the duty to respond.
func (row *ThreadRow) opening() *Opening {
	if !row.Did.Opens {
		return nil
	}
	return &Opening{Step: row.step(), ResponseDue: row.Did.ResponseDue}
}

// standing is the step that it was of a party's standing, nil if it was none.
func (row *ThreadRow) standing() *StandingStep {
	if row.Kind != record.KindStanding || row.Did.EffectiveOn == nil {
		return nil
	}
	return &StandingStep{Step: row.step(), Status: row.Did.Status, EffectiveOn: *row.Did.EffectiveOn, Reason: row.Did.Reason}
}

// designationLife is one life of a designation with all that happened in it.
type designationLife struct {
	*DesignationRow
	Openings []Opening // what opened or re-opened the duty to respond, oldest first
	Events   []Event   // suspensions, reinstatements, the revocation, oldest first

	paused []pause // what Events paint, once it was asked for
}

// happened adds what the next record of the life did.
func (d *designationLife) happened(row *ThreadRow) {
	if o := row.opening(); o != nil {
		d.Openings = append(d.Openings, *o)
	}
	if n := len(d.Openings); n > 0 && row.Did.Moves {
		moved := row.step()
		d.Openings[n-1].ResponseDue, d.Openings[n-1].Moved = row.Did.ResponseDue, &moved
	}
	if e := row.event(); e != nil {
		d.Events = append(d.Events, *e)
	}
}

// ahead is the life as far as it decides what holds from the row's own record on.
func (d *DesignationRow) ahead() *designationLife {
	life := &designationLife{DesignationRow: d, Events: d.Ahead}
	if d.Opening != nil {
		life.Openings = []Opening{*d.Opening}
	}
	return life
}

// partyLife is a party with every step of its standing.
type partyLife struct {
	*PartyRow
	Standing []StandingStep // oldest first
}

// happened adds what the next record of the life did.
func (p *partyLife) happened(row *ThreadRow) {
	if s := row.standing(); s != nil {
		p.Standing = append(p.Standing, *s)
	}
}

// ahead is the life as far as it decides what holds from the row's own record on.
func (p *PartyRow) ahead() *partyLife { return &partyLife{PartyRow: p, Standing: p.Ahead} }
