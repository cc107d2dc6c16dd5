package register

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// TestCurrentTimelineAgreesWithHistory: what a row keeps of its thread's events and steps decides each
// day from its own record on as all of them do, and a judge finds the same suspension.
func TestCurrentTimelineAgreesWithHistory(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var all, ahead []LifecycleEvent
		var steps, stepsAhead []StandingChange
		today := record.Date{Year: 2027, Month: 1, Day: 1}
		for i := range 24 {
			today = today.AddDays(rng.IntN(3))
			e := LifecycleEvent{RecordRef: RecordRef{Index: uint64(i)}, Kind: record.KindSuspension, EffectiveOn: today.AddDays(rng.IntN(12))}
			if rng.IntN(2) == 0 {
				e.Kind = record.KindReinstatement
			}
			if rng.IntN(3) > 0 {
				until := e.EffectiveOn.AddDays(rng.IntN(9))
				e.Until = &until
			}
			all, ahead = append(all, e), relevantEvents(append(ahead, e), today)
			s := StandingChange{RecordRef: e.RecordRef, Status: fmt.Sprint(i), EffectiveOn: today.AddDays(rng.IntN(9))}
			steps, stepsAhead = append(steps, s), addStandingChange(stepsAhead, s, today)

			whole, row := &DesignationRow{Ahead: all}, &DesignationRow{Ahead: ahead}
			runs, allRuns := Pauses(ahead), Pauses(all)
			for n := range 24 {
				on := today.AddDays(n)
				if got, want := suspendedOn(runs, on), suspendedOn(allRuns, on); got != want {
					t.Fatalf("seed %d, event %d: suspended on %s: %t by what is ahead, %t by all", seed, i, on, got, want)
				}
				if got, want := row.suspensionOn(on), whole.suspensionOn(on); (got == nil) != (want == nil) || got != nil && endOf(got) != endOf(want) {
					t.Fatalf("seed %d, event %d: on %s the suspension is %v by what is ahead, %v by all", seed, i, on, got, want)
				}
				if got, want := StandingOn(stepsAhead, on), StandingOn(steps, on); got != want {
					t.Fatalf("seed %d, step %d: standing on %s: %s by what is ahead, %s by all", seed, i, on, got, want)
				}
			}
		}
	}
}

func endOf(p *Pause) string {
	if p.Resume == nil {
		return "never"
	}
	return p.Resume.String()
}

func suspendedOn(runs []Pause, on record.Date) bool {
	return slices.ContainsFunc(runs, func(p Pause) bool { return p.Contains(on) })
}

// TestCacheHoldsBytes: whatever rows it is given, a cache holds no more of them, nor more
// bytes, than twice what it may, and at least the last one.
func TestCacheHoldsBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := newRowCache(50, 100_000)
	for i := range 5_000 {
		row := &ThreadRow{Thread: record.Thread(fmt.Sprint(rng.IntN(200))), Index: uint64(i), bytes: rng.IntN(60_000) >> rng.IntN(12)}
		c.put(row)
		if c.get(row.Thread) != row {
			t.Fatalf("row %d is forgotten at once", i)
		}
		c.get(record.Thread(fmt.Sprint(rng.IntN(200))))
		held := 0
		for _, generation := range []map[record.Thread]*ThreadRow{c.young, c.old} {
			for _, row := range generation {
				held += row.bytes + rowOverhead
			}
		}
		if n := len(c.young) + len(c.old); n > 100 || held > 200_000 {
			t.Fatalf("%d rows of %d bytes", n, held)
		}
	}
}

// TestCachesAreBoundedInBytes: a register's own caches are.
func TestCachesAreBoundedInBytes(t *testing.T) {
	r := open(t, vfs.NewMem())
	defer r.Close()
	const most = 200 << 20
	if bytes := 2 * (r.partyCache.maxBytes + r.threadCache.maxBytes); bytes <= 0 || bytes > most {
		t.Errorf("the caches may hold %d bytes, want at most %d", bytes, most)
	}
}
