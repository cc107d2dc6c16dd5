package register

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// clock answers for one instant: the date there, and the charter that judged each
// index.
type clock struct {
	at       time.Time
	zone     *time.Location
	charters []charterTerms // oldest first
	there    uint64         // records below it were there at the instant; for others their admission times say
}

func (c clock) today() record.Date                  { return record.DateOf(c.at, c.zone) }
func (c clock) date(admitted time.Time) record.Date { return record.DateOf(admitted, c.zone) }

// passed reports whether a record was there at the instant asked for.
func (c clock) passed(s Step) bool { return s.Index < c.there || !s.Admitted.After(c.at) }

// periods are those of the newest charter below an index; index 0 has its own.
func (c clock) periods(index uint64) record.Periods {
	i, _ := slices.BinarySearchFunc(c.charters, index, func(t charterTerms, index uint64) int { return cmp.Compare(t.Index, index) })
	return c.charters[max(i-1, 0)].Periods
}

// standing is a party's on the clock's day, "none" before it was enrolled.
func (c clock) standing(p *partyLife) string {
	if !c.passed(p.Enrolled) {
		return string(StatusNone)
	}
	return p.StatusOn(c.today())
}

// activeAt reports whether a party was active when the record of an index above
// its enrolment was admitted: by what stood below that index, so that nothing
// admitted later gives or takes a duty.
func (c clock) activeAt(p *partyLife, s Step) bool {
	then := *p
	then.Standing = slices.DeleteFunc(slices.Clone(p.Standing), func(x StandingStep) bool { return x.Index >= s.Index })
	return then.StatusOn(c.date(s.Admitted)) == statusActive
}
