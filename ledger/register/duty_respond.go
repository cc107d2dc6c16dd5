package register

import (
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Statuses of a response (RECORDS.md "Kinds").
const (
	answerAcknowledged = "acknowledged"
	answerWindingDown  = "winding-down"
	answerAnswered     = "answered"
)

// begun reports whether the answer begins something that must be concluded.
func (r *ResponseRow) begun() bool {
	return r.Status == answerAcknowledged || r.Status == answerWindingDown
}

// answer is one response on a thread response/D/P.
type answer struct {
	Step
	*ResponseRow
}

// asking is the record that had opened the duty to respond by the instant asked
// for, with the due date and the newest amendment, perhaps of that date.
type asking struct {
	Step
	due     record.Date
	amended *Step
}

// respond is a provider's duty to respond to a designation, nil if it owes
// nothing. answers are its responses admitted by the instant asked for, oldest
// first.
func (c clock) respond(thread string, row *designationLife, asked asking, p *partyLife, answers []answer) *Duty {
	due := asked.due
	d := &Duty{Party: p.ID, Kind: DutyRespond, Designation: thread, OpenedBy: asked.ID, Records: []record.ID{row.Opened.ID}}
	if asked.ID != row.Opened.ID {
		d.Records = append(d.Records, asked.ID)
	}
	if asked.amended != nil && asked.amended.ID != asked.ID {
		d.Records = append(d.Records, asked.amended.ID)
	}
	if p.Enrolled.Index < row.Opened.Index {
		if !c.activeAt(p, row.Opened) {
			return nil
		}
	} else {
		enrolled := c.date(p.Enrolled.Admitted)
		if end := row.end(); !c.passed(p.Enrolled) || end != nil && !enrolled.Before(*end) {
			return nil
		}
		if later := enrolled.Add(c.periods(p.Enrolled.Index).Response); later.After(due) {
			due = later
		}
	}
	d.Due = &due
	d.Records = append(d.Records, p.Enrolled.ID)
	for i := range answers {
		if a := &answers[i]; a.About >= asked.Index { // one about an older record meets nothing
			d.answered(a, c)
			break
		}
	}
	return d.close(c, row, p)
}

// conclude is the duty to finish what the newest response began, nil if none
// began anything, or what began was `answered`.
func (c clock) conclude(thread string, row *designationLife, p *partyLife, answers []answer) *Duty {
	var began, met *answer
	for i := range answers {
		switch a := &answers[i]; {
		case a.begun():
			began, met = a, nil
		case a.Status == answerAnswered:
			began, met = nil, nil
		case met == nil && a.About >= row.askedBelow(a.Index):
			met = a
		}
	}
	if began == nil {
		return nil
	}
	d := &Duty{Party: p.ID, Kind: DutyConclude, Designation: thread, OpenedBy: began.ID, Records: []record.ID{row.Opened.ID, p.Enrolled.ID, began.ID}}
	switch {
	case began.WindDownBy != nil:
		due := *began.WindDownBy
		d.Due = &due
	case row.Current.EffectiveFrom != nil:
		due := *row.Current.EffectiveFrom
		d.Due = &due
		if row.Amended != nil {
			d.Records = append(d.Records, row.Amended.ID)
		}
	}
	if met != nil {
		d.answered(met, c)
	}
	return d.close(c, row, p)
}

// askedBelow is the index of the newest record below another that opened or
// re-opened the duty to respond.
func (d *designationLife) askedBelow(index uint64) uint64 {
	asked := d.Opened.Index
	for _, o := range d.Openings {
		if o.Index < index {
			asked = max(asked, o.Index)
		}
	}
	return asked
}

// close pauses and settles a duty that comes from a designation, and completes
// what it rests on; nil if nothing is owed.
func (d *Duty) close(c clock, row *designationLife, p *partyLife) *Duty {
	d.pause(c, row)
	if !d.settle(c, p, row.end()) {
		return nil
	}
	if d.MetBy != nil {
		d.Records = append(d.Records, *d.MetBy)
	}
	if e := row.revocation(); e != nil && e.Cause == causeError {
		d.Error = true
		d.Records = append(d.Records, e.ID)
	}
	return d
}
