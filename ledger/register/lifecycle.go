package register

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Pause is one run of days on which a designation is suspended, or duties are paused by
// licence.
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

// Pauses are the suspended runs of days, apart from each other and in order. Each
// event paints its days from effectiveOn until `until` over those before it: a
// suspension as paused, a reinstatement as not. So a reinstatement that holds
// until a day leaves the rest of the suspension standing.
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
			tail = MergePauses(append(tail, p))
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

// MergePauses makes one run of those that overlap or touch, in order: it ends with the last
// of them, by the record that sets that end, the newest of several.
func MergePauses(runs []Pause) []Pause {
	slices.SortFunc(runs, func(a, b Pause) int { return a.From.Compare(b.From) })
	joined := runs[:0]
	for _, r := range runs {
		if n := len(joined); n > 0 && (joined[n-1].Resume == nil || !joined[n-1].Resume.Before(r.From)) {
			joined[n-1].extend(r)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

// extend makes the run as long as another that begins no later than it ends.
func (p *Pause) extend(by Pause) {
	switch {
	case p.Resume == nil && by.Resume == nil, p.Resume != nil && by.Resume != nil && *p.Resume == *by.Resume:
		if by.By.Index > p.By.Index {
			p.By = by.By
		}
	case by.Resume == nil || p.Resume != nil && p.Resume.Before(*by.Resume):
		p.Resume, p.By = by.Resume, by.By
	}
}
