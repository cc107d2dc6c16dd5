package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Statuses of a response (RECORDS.md "Kinds").
const (
	responseAcknowledged = "acknowledged"
	responseWindingDown  = "winding-down"
	responseAnswered     = "answered"
)

// opensConclusion reports whether the answer begins something that must be concluded.
func (r *ResponseRow) opensConclusion() bool {
	return r.Status == responseAcknowledged || r.Status == responseWindingDown
}

// responseAt is one response on a thread response/D/P.
type responseAt struct {
	RecordRef
	*ResponseRow
}

// with adds the next response to what those before it come to.
func (a Answers) with(r *ResponseRow, index uint64, d *DesignationRow) Answers {
	if a.Life != d.Opened.Index {
		a = Answers{Life: d.Opened.Index}
	}
	asked := d.Opened.Index
	if d.Opening != nil {
		asked = d.Opening.Index
	}
	// Whatever asks is asked about: one about a record behind what asked last answers no
	// more than that.
	if about := min(r.About, asked); about > a.Asked {
		a.Before, a.Asked, a.First = a.Asked, about, index
	}
	switch {
	case r.opensConclusion():
		if a.Began == 0 || a.Met != 0 {
			a.Began, a.Promised, a.By, a.Met = index, 0, nil, 0
		}
		if r.WindDownBy != nil && (a.By == nil || r.WindDownBy.Before(*a.By)) {
			a.Promised, a.By = index, r.WindDownBy
		}
	case r.Status == responseAnswered:
		a.Began, a.Promised, a.By, a.Met = 0, 0, nil, 0
	case a.Began != 0 && a.Met == 0 && r.About >= asked: // one about an older record meets nothing
		a.Met = index
	}
	return a
}

// answers are a provider's responses to one life of a designation, admitted by the
// instant asked for; nil if there are none.
type answers struct {
	newest *responseAt
	below  func(index uint64) (*responseAt, error) // the newest of the thread below an index, nil if there is none

	read map[uint64]*responseAt // by at
}

// at is the response of an index, nil for 0.
func (a *answers) at(index uint64) (*responseAt, error) {
	if a.read == nil {
		a.read = map[uint64]*responseAt{0: nil, a.newest.Index: a.newest}
	}
	if found, ok := a.read[index]; ok {
		return found, nil
	}
	found, err := a.below(index + 1)
	if err == nil && (found == nil || found.Index != index) {
		err = fmt.Errorf("no response at %d: %w", index, ErrDamaged)
	}
	a.read[index] = found
	return found, err
}

// since is the first response about what asks from an index on or a later record, nil if
// there is none. It halves the run of indexes in which that one must lie: it is at most
// the first about a record that late, and more than the record itself.
func (a *answers) since(asked uint64) (*responseAt, error) {
	if a == nil || a.newest.Answers.Asked < asked {
		return nil, nil
	}
	sum := a.newest.Answers
	for low := asked; sum.Before >= asked; {
		if low >= sum.First {
			return nil, fmt.Errorf("the responses up to %d do not add up: %w", a.newest.Index, ErrDamaged)
		}
		middle := low + (sum.First-low+1)/2
		earlier, err := a.below(middle)
		if err != nil {
			return nil, err
		}
		if earlier != nil && earlier.Answers.Life == sum.Life && earlier.Answers.Asked >= asked {
			sum = earlier.Answers
		} else {
			low = middle
		}
	}
	return a.at(sum.First)
}

// respondDuty is a provider's duty to respond to a designation, nil if it owes nothing. given
// are its responses admitted by the instant asked for; of the designation's openings and
// events row has those.
func (c asOf) respondDuty(thread string, row *designationTimeline, p *partyTimeline, given *answers) (*Duty, error) {
	asked, owes, due := c.owedOpening(row, p)
	if asked == nil {
		return nil, nil
	}
	d := &Duty{Party: p.ID, Kind: DutyRespond, Designation: thread, OpenedBy: asked.ID, Due: dueDateOrNil(due), Records: []record.ID{row.Opened.ID}}
	d.addRecord(asked.RecordRef)
	if asked.Moved != nil {
		d.addRecord(*asked.Moved)
	}
	d.addRecord(p.Enrolled)
	d.addRecord(owes)
	by, err := given.since(asked.Index) // one about an older record meets nothing
	if err != nil {
		return nil, err
	}
	return d.applyEndAndPauses(c, row, p, c.admittedAt(asked.RecordRef), by), nil
}

// addRecord adds a record that the duty rests on, once.
func (d *Duty) addRecord(s RecordRef) {
	if !slices.Contains(d.Records, s.ID) {
		d.Records = append(d.Records, s.ID)
	}
}

// owedOpening finds what a provider owes an answer to (RECORDS.md "Who owes"): the newest record
// that opened or re-opened the duty while it was active, or before it became active with
// the designation not yet ended; nil if there is none. by is the record that made it owe, due
// the day without what pauses add. A suspension ends no duty: who was suspended at
// a re-opening owes still what was asked before, until it is active again.
func (c asOf) owedOpening(row *designationTimeline, p *partyTimeline) (asked *DutyOpening, by RecordRef, due record.Date) {
	end, over := c.designationEnd(row)
	acts := c.standingPeriods(p)
	for i := len(row.Openings) - 1; i >= 0; i-- {
		o := &row.Openings[i]
		if o.ResponseDue == nil {
			continue // a correction took the day back
		}
		since, ok := activeFrom(acts, c.admittedAt(o.RecordRef))
		switch {
		case !ok || since.day.After(c.today()) || over && !since.before(end):
			continue
		case since.before(c.admittedAt(o.RecordRef)):
			return o, o.RecordRef, *o.ResponseDue
		}
		due := since.day.Add(c.periods(since.Index).Response)
		if o.ResponseDue.After(due) {
			due = *o.ResponseDue
		}
		return o, since.RecordRef, due
	}
	return nil, RecordRef{}, record.Date{}
}

// concludeDuty is the duty to finish what a response began, nil if none began anything, or
// the newest is `answered`. It is open from the first response that began it; of several
// days by which the provider said it would have concluded the earliest counts.
func (c asOf) concludeDuty(thread string, row *designationTimeline, p *partyTimeline, given *answers) (*Duty, error) {
	if given == nil || given.newest.Answers.Began == 0 {
		return nil, nil
	}
	sum := given.newest.Answers
	began, err := given.at(sum.Began)
	if err != nil {
		return nil, err
	}
	promised, err := given.at(sum.Promised)
	if err != nil {
		return nil, err
	}
	met, err := given.at(sum.Met)
	if err != nil {
		return nil, err
	}
	d := &Duty{Party: p.ID, Kind: DutyConclude, Designation: thread, OpenedBy: began.ID, Records: []record.ID{row.Opened.ID, p.Enrolled.ID, began.ID}}
	switch {
	case promised != nil:
		d.Due = dueDateOrNil(*promised.WindDownBy)
		d.addRecord(promised.RecordRef)
	case row.Current.EffectiveFrom != nil:
		d.Due = dueDateOrNil(*row.Current.EffectiveFrom)
		if row.Amended != nil {
			d.addRecord(*row.Amended)
		}
	}
	return d.applyEndAndPauses(c, row, p, c.admittedAt(began.RecordRef), met), nil
}

// upTo is the life as duties see it at an instant: of what opened, paused and ended it
// that which had been admitted by then, with everything known of its terms. So a deadline
// amended later holds for earlier instants too.
func (d *designationTimeline) upTo(c asOf) *designationTimeline {
	return &designationTimeline{
		DesignationRow: d.DesignationRow,
		Openings:       slices.DeleteFunc(slices.Clone(d.Openings), func(o DutyOpening) bool { return !c.includes(o.RecordRef) }),
		Events:         slices.DeleteFunc(slices.Clone(d.Events), func(e LifecycleEvent) bool { return !c.includes(e.RecordRef) }),
	}
}
