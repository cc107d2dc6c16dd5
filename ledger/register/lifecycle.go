package register

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
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

// StatusOn is what the designation is on a date, by its dates and the clock alone
// (RECORDS.md "Kinds", designation to revocation). A revocation is final from its
// effectiveOn, which may lie in the past; the term runs on while suspended. zone is
// that of the charter which judged the designation: without effectiveFrom it is in
// force from its admission date.
//
// It knows the newest life of the thread only, from effectiveFrom on or from admission:
// see [threadHistory.timelineAt].
func (d *designationTimeline) StatusOn(date record.Date, zone *time.Location) Status {
	switch revoked := d.revocation(); {
	case revoked != nil && !date.Before(revoked.EffectiveOn):
		return StatusRevoked
	case d.Current.EffectiveUntil != nil && date.After(*d.Current.EffectiveUntil):
		return StatusExpired
	case slices.ContainsFunc(d.pauses(), func(p Pause) bool { return p.Contains(date) }):
		return StatusSuspended
	case date.Before(d.firstDay(zone)):
		return StatusAnnounced
	}
	return StatusInForce
}

// firstDay is the first day in force: effectiveFrom; absent, the admission date.
func (d *DesignationRow) firstDay(zone *time.Location) record.Date {
	if d.Current.EffectiveFrom != nil {
		return *d.Current.EffectiveFrom
	}
	return record.DateOf(d.Opened.Admitted, zone)
}

// Pause is one run of days on which a designation is suspended.
type Pause struct {
	From   record.Date
	Resume *record.Date // first day after it; nil: nothing ends it yet
	By     RecordRef    // the record that set resume, or began it
}

// days are the days that a suspension or a reinstatement decides.
func (e *LifecycleEvent) days() Pause {
	p := Pause{From: e.EffectiveOn, By: e.RecordRef}
	if e.Until != nil {
		next := e.Until.AddDays(1)
		p.Resume = &next
	}
	return p
}

func (p Pause) Contains(date record.Date) bool {
	return !date.Before(p.From) && (p.Resume == nil || date.Before(*p.Resume))
}

// pauses are the suspended runs of days, apart from each other and in order. Each
// event paints its days from effectiveOn until `until` over those before it: a
// suspension as paused, a reinstatement as not. So a reinstatement that holds
// until a day leaves the rest of the suspension standing.
func (d *designationTimeline) pauses() []Pause {
	if d.pauseCache == nil {
		d.pauseCache = Pauses(d.Events)
	}
	return d.pauseCache
}

// pausesBelow are those known by the records below an index.
func (d *designationTimeline) pausesBelow(index uint64) []Pause {
	n, _ := slices.BinarySearchFunc(d.Events, index, func(e LifecycleEvent, index uint64) int { return cmp.Compare(e.Index, index) })
	if n == len(d.Events) {
		return d.pauses()
	}
	return Pauses(d.Events[:n])
}

func Pauses(events []LifecycleEvent) []Pause {
	runs := []Pause{}
	for _, e := range events {
		if e.Kind == record.KindRevocation {
			continue
		}
		p := e.days()
		n := len(runs) // those before it lie apart: a long history is painted once
		for n > 0 && (runs[n-1].Resume == nil || !runs[n-1].Resume.Before(p.From)) {
			n--
		}
		tail := subtractDays(runs[n:], p)
		if e.Kind == record.KindSuspension {
			tail = mergeAdjacent(append(tail, p))
		}
		runs = append(runs[:n], tail...)
	}
	return runs
}

// subtractDays takes the days of c out of the runs; a run that it ends early resumes by
// c's record.
func subtractDays(runs []Pause, c Pause) []Pause {
	var left []Pause
	for _, r := range runs {
		if r.Resume != nil && !c.From.Before(*r.Resume) || c.Resume != nil && !r.From.Before(*c.Resume) {
			left = append(left, r) // apart
			continue
		}
		if r.From.Before(c.From) {
			left = append(left, Pause{r.From, &c.From, c.By})
		}
		if c.Resume != nil && (r.Resume == nil || c.Resume.Before(*r.Resume)) {
			left = append(left, Pause{*c.Resume, r.Resume, r.By})
		}
	}
	return left
}

// mergeAdjacent makes one run of those that touch.
func mergeAdjacent(runs []Pause) []Pause {
	slices.SortFunc(runs, func(a, b Pause) int { return a.From.Compare(b.From) })
	joined := runs[:1]
	for _, r := range runs[1:] {
		if last := &joined[len(joined)-1]; last.Resume != nil && last.Resume.Compare(r.From) == 0 {
			last.Resume, last.By = r.Resume, r.By
			continue
		}
		joined = append(joined, r)
	}
	return joined
}
