package register

import (
	"container/heap"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// certificationAt is one certification on a thread cip/P.
type certificationAt struct {
	RecordRef
	*CertificationRow
}

// certifyDuties yields a provider's duties to certify, oldest first: one met or late for each
// certification that covered days not yet covered without a gap, then the one that
// stands; until yield returns false. The first is due a certification period after
// enrolment, each next one as long after the last day covered, or after enrolment where
// that day lies before. filed are the certifications admitted by the instant asked for,
// oldest first.
func (c asOf) certifyDuties(p *partyTimeline, filed []certificationAt, yield func(Duty) bool) {
	enrolled := c.admissionDate(p.Enrolled)
	d := Duty{Party: p.ID, Kind: DutyCertify, OpenedBy: p.Enrolled.ID, Records: []record.ID{p.Enrolled.ID}}
	d.Due = dueDateOrNil(enrolled.Add(c.periods(p.Enrolled.Index).Certification))
	var covered coverage
	for _, f := range filed {
		if !covered.extend(f.PeriodFrom, f.PeriodUntil, enrolled) {
			continue // within what was covered, or beyond a gap
		}
		d.setMet(f.RecordRef, c)
		if !yield(d) {
			return
		}
		from := covered.nextUncovered(enrolled)
		base := covered.until
		if base.Before(enrolled) {
			base = enrolled
		}
		d = Duty{Party: p.ID, Kind: DutyCertify, From: &from, OpenedBy: f.ID, Records: []record.ID{p.Enrolled.ID, f.ID}}
		d.Due = dueDateOrNil(base.Add(c.periods(f.Index).Certification))
	}
	if d.setOpenOrOverdue(c, p) {
		yield(d)
	}
}

// coverage is how far certifications reach without a gap, from the first one's period on.
type coverage struct {
	until     record.Date
	beyondGap dateRangeHeap // beyond a gap
}

// dateRange are days, the last inclusive.
type dateRange struct{ from, until record.Date }

// dateRangeHeap are a heap, the earliest first day on top: a provider may file as many as it
// likes, in any order.
type dateRangeHeap []dateRange

func (s dateRangeHeap) Len() int           { return len(s) }
func (s dateRangeHeap) Less(i, j int) bool { return s[i].from.Before(s[j].from) }
func (s dateRangeHeap) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *dateRangeHeap) Push(x any)        { *s = append(*s, x.(dateRange)) }
func (s *dateRangeHeap) Pop() any {
	n := len(*s) - 1
	last := (*s)[n]
	*s = (*s)[:n]
	return last
}

// nextUncovered is the first day that is not covered; none is before the enrolment.
func (c *coverage) nextUncovered(enrolled record.Date) record.Date {
	if next := c.until.AddDays(1); next.After(enrolled) {
		return next
	}
	return enrolled
}

// extend adds a period, and reports whether more is covered now.
func (c *coverage) extend(from, until, enrolled record.Date) bool {
	switch {
	case c.until.IsZero():
		c.until = until
		return true
	case !until.After(c.until):
		return false
	case from.After(c.nextUncovered(enrolled)):
		heap.Push(&c.beyondGap, dateRange{from, until})
		return false
	}
	c.until = until
	for len(c.beyondGap) > 0 && !c.beyondGap[0].from.After(c.nextUncovered(enrolled)) {
		if s := heap.Pop(&c.beyondGap).(dateRange); s.until.After(c.until) {
			c.until = s.until
		}
	}
	return true
}
