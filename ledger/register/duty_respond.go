package register

import (
	"slices"

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

// respond is a provider's duty to respond to a designation, nil if it owes nothing.
// answers are its responses admitted by the instant asked for, oldest first; of the
// designation's openings and events row has those.
func (c clock) respond(thread string, row *designationLife, p *partyLife, answers []answer) *Duty {
	asked, owes, due := c.owed(row, p)
	if asked == nil {
		return nil
	}
	d := &Duty{Party: p.ID, Kind: DutyRespond, Designation: thread, OpenedBy: asked.ID, Due: dueOn(due), Records: []record.ID{row.Opened.ID}}
	d.restsOn(asked.Step)
	if asked.Moved != nil {
		d.restsOn(*asked.Moved)
	}
	d.restsOn(p.Enrolled)
	d.restsOn(owes)
	var by *answer
	if i := slices.IndexFunc(answers, func(a answer) bool { return a.About >= asked.Index }); i >= 0 {
		by = &answers[i] // one about an older record meets nothing
	}
	return d.settle(c, row, p, c.onset(asked.Step), by)
}

// restsOn adds a record that the duty rests on, once.
func (d *Duty) restsOn(s Step) {
	if !slices.Contains(d.Records, s.ID) {
		d.Records = append(d.Records, s.ID)
	}
}

// owed finds what a provider owes an answer to (RECORDS.md "Who owes"): the newest record
// that opened or re-opened the duty while it was active, or before it became active with
// the designation not yet ended; nil if there is none. by is the record that made it owe, due
// the day without what pauses add. A suspension ends no duty: who was suspended at
// a re-opening owes still what was asked before, until it is active again.
func (c clock) owed(row *designationLife, p *partyLife) (asked *Opening, by Step, due record.Date) {
	end, over := c.end(row)
	acts := c.acts(p)
	for i := len(row.Openings) - 1; i >= 0; i-- {
		o := &row.Openings[i]
		if o.ResponseDue == nil {
			continue // a correction took the day back
		}
		since, ok := activeFrom(acts, c.onset(o.Step))
		switch {
		case !ok || since.day.After(c.today()) || over && !since.before(end):
			continue
		case since.before(c.onset(o.Step)):
			return o, o.Step, *o.ResponseDue
		}
		due := since.day.Add(c.periods(since.Index).Response)
		if o.ResponseDue.After(due) {
			due = *o.ResponseDue
		}
		return o, since.Step, due
	}
	return nil, Step{}, record.Date{}
}

// conclude is the duty to finish what a response began, nil if none began anything, or
// the newest is `answered`. It is open from the first response that began it; of several
// days by which the provider said it would have concluded the earliest counts.
func (c clock) conclude(thread string, row *designationLife, p *partyLife, answers []answer) *Duty {
	var began, promised, met *answer
	asked, openings := row.Opened.Index, row.Openings
	for i := range answers {
		for len(openings) > 0 && openings[0].Index < answers[i].Index {
			asked, openings = openings[0].Index, openings[1:]
		}
		switch a := &answers[i]; {
		case a.begun():
			if began == nil || met != nil {
				began, promised, met = a, nil, nil
			}
			if a.WindDownBy != nil && (promised == nil || a.WindDownBy.Before(*promised.WindDownBy)) {
				promised = a
			}
		case a.Status == answerAnswered:
			began, met = nil, nil
		case met == nil && a.About >= asked: // one about an older record meets nothing
			met = a
		}
	}
	if began == nil {
		return nil
	}
	d := &Duty{Party: p.ID, Kind: DutyConclude, Designation: thread, OpenedBy: began.ID, Records: []record.ID{row.Opened.ID, p.Enrolled.ID, began.ID}}
	switch {
	case promised != nil:
		d.Due = dueOn(*promised.WindDownBy)
		d.restsOn(promised.Step)
	case row.Current.EffectiveFrom != nil:
		d.Due = dueOn(*row.Current.EffectiveFrom)
		if row.Amended != nil {
			d.restsOn(*row.Amended)
		}
	}
	return d.settle(c, row, p, c.onset(began.Step), met)
}

// asOf is the life as duties see it at an instant: of what opened, paused and ended it
// that which had been admitted by then, with everything known of its terms. So a deadline
// amended later holds for earlier instants too.
func (d *designationLife) asOf(c clock) *designationLife {
	return &designationLife{
		DesignationRow: d.DesignationRow,
		Openings:       slices.DeleteFunc(slices.Clone(d.Openings), func(o Opening) bool { return !c.passed(o.Step) }),
		Events:         slices.DeleteFunc(slices.Clone(d.Events), func(e Event) bool { return !c.passed(e.Step) }),
	}
}
