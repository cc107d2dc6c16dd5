package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Delta is what one record did to its thread, as far as later questions ask; which
// fields are set, the kind says. It is the thread's history, one row a record, and
// is bounded by the record, never by what came before.
type Delta struct {
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

// isTransition says whether the record turned the thread's course, as duties, standing and status
// ask: most records of a long thread did not, and a life is read without them.
func (row *ThreadRow) isTransition() bool {
	return row.event() != nil || row.opening() != nil || row.Delta.Moves || row.standingChange() != nil
}

// lastTransition is the index of the newest turn up to this version, nil if there was none.
func (row *ThreadRow) lastTransition() *uint64 {
	if row.isTransition() {
		return &row.Index
	}
	return row.Delta.Prior
}

// transitionsBackward visits the turns of a thread up to a version, newest first. step reads what the
// record of an index did to it.
func transitionsBackward(row *ThreadRow, version func(index uint64) (*ThreadRow, error), visit func(*ThreadRow) (more bool)) error {
	for at := row.lastTransition(); at != nil; at = row.Delta.Prior {
		if *at != row.Index {
			var err error
			if row, err = version(*at); err != nil {
				return err
			}
		}
		if !visit(row) {
			return nil
		}
	}
	return nil
}

// transitionsForward visits the turns from an index on, oldest first.
func transitionsForward(row *ThreadRow, from uint64, version func(index uint64) (*ThreadRow, error), visit func(*ThreadRow)) error {
	var rows []*ThreadRow
	err := transitionsBackward(row, version, func(row *ThreadRow) bool {
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

// delta tells what the record does, once it is judged.
func (j *judgment) delta() (did Delta) {
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

// stateFromDelta is the state of a thread whose newest record says it all.
func (row *ThreadRow) stateFromDelta() error {
	d := &row.Delta
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
func (row *ThreadRow) event() *LifecycleEvent {
	d := &row.Delta
	switch row.Kind {
	case record.KindSuspension, record.KindReinstatement, record.KindRevocation:
		if d.EffectiveOn != nil {
			return &LifecycleEvent{RecordRef: row.ref(), Kind: row.Kind, EffectiveOn: *d.EffectiveOn, Until: d.Until, Cause: d.Cause, Reason: d.Reason}
		}
	}
	return nil
}

// opening is what it opened, nil if it did not open or re-open the duty to respond.
func (row *ThreadRow) opening() *DutyOpening {
	if !row.Delta.Opens {
		return nil
	}
	return &DutyOpening{RecordRef: row.ref(), ResponseDue: row.Delta.ResponseDue}
}

// standingChange is the step that it was of a party's standing, nil if it was none.
func (row *ThreadRow) standingChange() *StandingChange {
	if row.Kind != record.KindStanding || row.Delta.EffectiveOn == nil {
		return nil
	}
	return &StandingChange{RecordRef: row.ref(), Status: row.Delta.Status, EffectiveOn: *row.Delta.EffectiveOn, Reason: row.Delta.Reason}
}

// designationTimeline is one life of a designation with all that happened in it.
type designationTimeline struct {
	*DesignationRow
	Openings []DutyOpening    // what opened or re-opened the duty to respond, oldest first
	Events   []LifecycleEvent // suspensions, reinstatements, the revocation, oldest first

	pauseCache []pause // what Events paint, once it was asked for
}

// add adds what the next record of the life did.
func (d *designationTimeline) add(row *ThreadRow) {
	if o := row.opening(); o != nil {
		d.Openings = append(d.Openings, *o)
	}
	if n := len(d.Openings); n > 0 && row.Delta.Moves {
		moved := row.ref()
		d.Openings[n-1].ResponseDue, d.Openings[n-1].Moved = row.Delta.ResponseDue, &moved
	}
	if e := row.event(); e != nil {
		d.Events = append(d.Events, *e)
	}
}

// currentTimeline is the life as far as it decides what holds from the row's own record on.
func (d *DesignationRow) currentTimeline() *designationTimeline {
	life := &designationTimeline{DesignationRow: d, Events: d.Ahead}
	if d.Opening != nil {
		life.Openings = []DutyOpening{*d.Opening}
	}
	return life
}

// partyTimeline is a party with every step of its standing.
type partyTimeline struct {
	*PartyRow
	Standing []StandingChange // oldest first
}

// add adds what the next record of the life did.
func (p *partyTimeline) add(row *ThreadRow) {
	if s := row.standingChange(); s != nil {
		p.Standing = append(p.Standing, *s)
	}
}

// currentTimeline is the life as far as it decides what holds from the row's own record on.
func (p *PartyRow) currentTimeline() *partyTimeline {
	return &partyTimeline{PartyRow: p, Standing: p.Ahead}
}
