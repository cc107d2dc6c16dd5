package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// asOf is an instant together with the charters of the view: it gives the civil date,
// the time zone and the periods that apply there, and which records had been admitted.
type asOf struct {
	instant       time.Time
	zone          *time.Location
	charters      []register.CharterTerms // oldest first
	includesBelow uint64                  // records below it were there at the instant; for others their admission times say
}

// withZone sets the time zone: that of the newest charter which was there, else the first.
func (c asOf) withZone() asOf {
	c.zone = time.UTC
	for i, row := range slices.Backward(c.charters) {
		if i == 0 || c.includes(row.RecordRef) {
			c.zone = row.Zone
			break
		}
	}
	return c
}

func (c asOf) today() record.Date { return record.DateOf(c.instant, c.zone) }

// admissionDate is the admission date of a record: in the time zone of the charter that judged it,
// whatever zone came later.
func (c asOf) admissionDate(s register.RecordRef) record.Date {
	return record.DateOf(s.Admitted, c.zoneAt(s.Index))
}

// includes reports whether a record was there at the instant asked for.
func (c asOf) includes(s register.RecordRef) bool {
	return s.Index < c.includesBelow || !s.Admitted.After(c.instant)
}

// periods are those of the charter that judges an index.
func (c asOf) periods(index uint64) record.Periods { return c.charterAt(index).Periods }

// zoneAt is the time zone of the charter that judges an index.
func (c asOf) zoneAt(index uint64) *time.Location { return c.charterAt(index).Zone }

// charterAt is the newest below an index; index 0 has its own.
func (c asOf) charterAt(index uint64) register.CharterTerms {
	i, _ := slices.BinarySearchFunc(c.charters, index, func(t register.CharterTerms, index uint64) int { return cmp.Compare(t.Index, index) })
	return c.charters[max(i-1, 0)]
}

// standingToday is a party's on the clock's day, "none" before it was enrolled.
func (c asOf) standingToday(p *partyTimeline) string {
	if !c.includes(p.Enrolled) {
		return string(StatusNone)
	}
	return p.standingOn(c.today())
}

// effectTime orders when records take effect: on a day, at the record's index if on its
// admission date, or (index 0) at the beginning of a later day.
type effectTime struct {
	day   record.Date
	index uint64
}

func (o effectTime) before(other effectTime) bool {
	return o.day.Before(other.day) || o.day == other.day && o.index < other.index
}

// admittedAt is when a record takes effect that does so once admitted.
func (c asOf) admittedAt(s register.RecordRef) effectTime {
	return effectTime{c.admissionDate(s), s.Index}
}

// effectiveAt is when one takes effect that names a day: never before its admission.
func (c asOf) effectiveAt(s register.RecordRef, on record.Date) effectTime {
	if o := c.admittedAt(s); !on.After(o.day) {
		return o
	}
	return effectTime{day: on}
}

// designationEnd is when a designation is over: the day after effectiveUntil, or its revocation if
// that is earlier; false as long as it is not over.
func (c asOf) designationEnd(row *designationTimeline) (end effectTime, over bool) {
	if until := row.Current.EffectiveUntil; until != nil {
		end, over = effectTime{day: until.AddDays(1)}, true
	}
	if e := row.Revoked; e != nil && c.includes(e.RecordRef) {
		if revoked := c.effectiveAt(e.RecordRef, e.EffectiveOn); !over || revoked.before(end) {
			end, over = revoked, true
		}
	}
	return end, over && !end.day.After(c.today())
}

// standingPeriod is a step of a party's standing that held for a while: from its onset until that of
// the next.
type standingPeriod struct {
	effectTime
	register.RecordRef
	status string
}

// standingPeriods are those of a party, in order, its enrolment first; of steps that were announced
// and replaced before their day there is none. What is admitted later changes nothing of
// what was before.
func (c asOf) standingPeriods(p *partyTimeline) []standingPeriod {
	acts := []standingPeriod{{c.admittedAt(p.Enrolled), p.Enrolled, register.StandingActive}}
	for _, s := range p.Standing {
		if !c.includes(s.RecordRef) {
			break
		}
		next := standingPeriod{c.effectiveAt(s.RecordRef, s.EffectiveOn), s.RecordRef, s.Status}
		for n := len(acts) - 1; n > 0 && !acts[n].before(next.effectTime); n-- {
			acts = acts[:n] // replaced
		}
		acts = append(acts, next)
	}
	return acts
}

// activeFrom finds since when a party is active that was so at a moment or became so after
// it, and by which record; false if it did not.
func activeFrom(acts []standingPeriod, at effectTime) (since standingPeriod, ok bool) {
	n, _ := slices.BinarySearchFunc(acts, at, func(a standingPeriod, at effectTime) int {
		if at.before(a.effectTime) {
			return 1
		}
		return -1
	})
	for _, a := range acts[max(n-1, 0):] {
		if a.status == register.StandingActive {
			return a, true
		}
	}
	return standingPeriod{}, false
}

// withdrawn is the day from which the party is withdrawn, nil if it is not yet.
func (c asOf) withdrawn(p *partyTimeline) *record.Date {
	for _, s := range slices.Backward(p.Standing) {
		if c.includes(s.RecordRef) {
			if s.Status == register.StandingWithdrawn && !s.EffectiveOn.After(c.today()) {
				return &s.EffectiveOn
			}
			return nil
		}
	}
	return nil
}
