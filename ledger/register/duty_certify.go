package register

import (
	"container/heap"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// certificate is one certification on a thread cip/P.
type certificate struct {
	Step
	*CertificationRow
}

// certify yields a provider's duties to certify, oldest first: one met or late for each
// certification that covered days not yet covered without a gap, then the one that
// stands; until yield returns false. The first is due a certification period after
// enrolment, each next one as long after the last day covered, or after enrolment where
// that day lies before. filed are the certifications admitted by the instant asked for,
// oldest first.
func (c clock) certify(p *partyLife, filed []certificate, yield func(Duty) bool) {
	enrolled := c.date(p.Enrolled)
	d := Duty{Party: p.ID, Kind: DutyCertify, OpenedBy: p.Enrolled.ID, Records: []record.ID{p.Enrolled.ID}}
	d.Due = dueOn(enrolled.Add(c.periods(p.Enrolled.Index).Certification))
	var covered coverage
	for _, f := range filed {
		if !covered.extend(f.PeriodFrom, f.PeriodUntil, enrolled) {
			continue // within what was covered, or beyond a gap
		}
		d.met(f.Step, c)
		if !yield(d) {
			return
		}
		from := covered.next(enrolled)
		base := covered.until
		if base.Before(enrolled) {
			base = enrolled
		}
		d = Duty{Party: p.ID, Kind: DutyCertify, From: &from, OpenedBy: f.ID, Records: []record.ID{p.Enrolled.ID, f.ID}}
		d.Due = dueOn(base.Add(c.periods(f.Index).Certification))
	}
	if d.stand(c, p) {
		yield(d)
	}
}

// coverage is how far certifications reach without a gap, from the first one's period on.
type coverage struct {
	until record.Date
	apart spans // beyond a gap
}

// span are days, the last inclusive.
type span struct{ from, until record.Date }

// spans are a heap, the earliest first day on top: a provider may file as many as it
// likes, in any order.
type spans []span

func (s spans) Len() int           { return len(s) }
func (s spans) Less(i, j int) bool { return s[i].from.Before(s[j].from) }
func (s spans) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *spans) Push(x any)        { *s = append(*s, x.(span)) }
func (s *spans) Pop() any {
	n := len(*s) - 1
	last := (*s)[n]
	*s = (*s)[:n]
	return last
}

// next is the first day that is not covered; none is before the enrolment.
func (c *coverage) next(enrolled record.Date) record.Date {
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
	case from.After(c.next(enrolled)):
		heap.Push(&c.apart, span{from, until})
		return false
	}
	c.until = until
	for len(c.apart) > 0 && !c.apart[0].from.After(c.next(enrolled)) {
		if s := heap.Pop(&c.apart).(span); s.until.After(c.until) {
			c.until = s.until
		}
	}
	return true
}
