package register

import (
	"github.com/seed-53cf897a/docket/ledger/record"
)

// certificate is one certification on a thread cip/P.
type certificate struct {
	Step
	*CertificationRow
}

// certify are a provider's duties to certify, oldest first: one met or late for
// each certification that covered days not yet covered without a gap, then the one
// that stands. The first is due a certification period after enrolment, each next
// one as long after the last day covered. filed are the certifications admitted by
// the instant asked for, oldest first.
func (c clock) certify(p *partyLife, filed []certificate) []Duty {
	var duties []Duty
	due := c.date(p.Enrolled.Admitted).Add(c.periods(p.Enrolled.Index).Certification)
	d := Duty{Party: p.ID, Kind: DutyCertify, Due: &due, OpenedBy: p.Enrolled.ID, Records: []record.ID{p.Enrolled.ID}}
	var covered record.Date
	for i, f := range filed {
		until := coveredBy(filed[:i+1])
		if i > 0 && !until.After(covered) {
			continue // within what was covered, or beyond a gap
		}
		covered = until
		d.met(f.Step, c)
		d.Records = append(d.Records, f.ID)
		d.settle(c, p, nil)
		duties = append(duties, d)

		due, from := until.Add(c.periods(f.Index).Certification), until.AddDays(1)
		d = Duty{Party: p.ID, Kind: DutyCertify, Due: &due, From: &from, OpenedBy: f.ID, Records: []record.ID{p.Enrolled.ID, f.ID}}
	}
	if d.settle(c, p, nil) {
		duties = append(duties, d)
	}
	return duties
}

// coveredBy is the last day that the certifications cover without a gap since the
// first one's period.
func coveredBy(filed []certificate) record.Date {
	covered := filed[0].PeriodUntil
	for extended := true; extended; {
		extended = false
		for _, f := range filed {
			if f.PeriodUntil.After(covered) && !f.PeriodFrom.After(covered.AddDays(1)) {
				covered, extended = f.PeriodUntil, true
			}
		}
	}
	return covered
}
