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

// zoned sets the time zone: that of the newest charter which was there, else the first.
func (c clock) zoned() clock {
	c.zone = time.UTC
	for i, row := range slices.Backward(c.charters) {
		if i == 0 || c.passed(row.Step) {
			c.zone = row.zone
			break
		}
	}
	return c
}

func (c clock) today() record.Date { return record.DateOf(c.at, c.zone) }

// date is the admission date of a record: in the time zone of the charter that judged it,
// whatever zone came later.
func (c clock) date(s Step) record.Date { return record.DateOf(s.Admitted, c.zoneAt(s.Index)) }

// passed reports whether a record was there at the instant asked for.
func (c clock) passed(s Step) bool { return s.Index < c.there || !s.Admitted.After(c.at) }

// periods are those of the charter that judges an index.
func (c clock) periods(index uint64) record.Periods { return c.charter(index).Periods }

// zoneAt is the time zone of the charter that judges an index.
func (c clock) zoneAt(index uint64) *time.Location { return c.charter(index).zone }

// charter is the newest below an index; index 0 has its own.
func (c clock) charter(index uint64) charterTerms {
	i, _ := slices.BinarySearchFunc(c.charters, index, func(t charterTerms, index uint64) int { return cmp.Compare(t.Index, index) })
	return c.charters[max(i-1, 0)]
}

// standing is a party's on the clock's day, "none" before it was enrolled.
func (c clock) standing(p *partyLife) string {
	if !c.passed(p.Enrolled) {
		return string(StatusNone)
	}
	return p.StatusOn(c.today())
}

// onset is when something takes effect: at a record's place in the log on its admission
// date or, where index is 0, from the beginning of a later day.
type onset struct {
	day   record.Date
	index uint64
}

func (o onset) before(other onset) bool {
	return o.day.Before(other.day) || o.day == other.day && o.index < other.index
}

// onset is when a record takes effect that does so once admitted.
func (c clock) onset(s Step) onset { return onset{c.date(s), s.Index} }

// effective is when one takes effect that names a day: never before its admission.
func (c clock) effective(s Step, on record.Date) onset {
	if o := c.onset(s); !on.After(o.day) {
		return o
	}
	return onset{day: on}
}

// end is when a designation is over: the day after effectiveUntil, or its revocation if
// that is earlier; false as long as it is not over.
func (c clock) end(row *designationLife) (end onset, over bool) {
	if until := row.Current.EffectiveUntil; until != nil {
		end, over = onset{day: until.AddDays(1)}, true
	}
	if e := row.revocation(); e != nil && c.passed(e.Step) {
		if revoked := c.effective(e.Step, e.EffectiveOn); !over || revoked.before(end) {
			end, over = revoked, true
		}
	}
	return end, over && !end.day.After(c.today())
}

// act is a step of a party's standing that held for a while: from its onset until that of
// the next.
type act struct {
	onset
	Step
	status string
}

// acts are those of a party, in order, its enrolment first; of steps that were announced
// and replaced before their day there is none. What is admitted later changes nothing of
// what was before.
func (c clock) acts(p *partyLife) []act {
	acts := []act{{c.onset(p.Enrolled), p.Enrolled, statusActive}}
	for _, s := range p.Standing {
		if !c.passed(s.Step) {
			break
		}
		next := act{c.effective(s.Step, s.EffectiveOn), s.Step, s.Status}
		for n := len(acts) - 1; n > 0 && !acts[n].before(next.onset); n-- {
			acts = acts[:n] // replaced
		}
		acts = append(acts, next)
	}
	return acts
}

// activeFrom finds since when a party is active that was so at a moment or became so after
// it, and by which record; false if it did not.
func activeFrom(acts []act, at onset) (since act, ok bool) {
	n, _ := slices.BinarySearchFunc(acts, at, func(a act, at onset) int {
		if at.before(a.onset) {
			return 1
		}
		return -1
	})
	for _, a := range acts[max(n-1, 0):] {
		if a.status == statusActive {
			return a, true
		}
	}
	return act{}, false
}

// withdrawn is the day from which the party is withdrawn, nil if it is not yet.
func (c clock) withdrawn(p *partyLife) *record.Date {
	for _, s := range slices.Backward(p.Standing) {
		if c.passed(s.Step) {
			if s.Status == statusWithdrawn && !s.EffectiveOn.After(c.today()) {
				return &s.EffectiveOn
			}
			return nil
		}
	}
	return nil
}
