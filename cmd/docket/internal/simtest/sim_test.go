package simtest

import (
	"flag"
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// defaultSteps is enough for four worlds to see everything.
const defaultSteps = 300

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone")
	steps = flag.Int("steps", defaultSteps, "steps of each run")
	trace = flag.Bool("trace", false, "print what happens")
)

// TestLedger lets some worlds live, two of them across the edge of a tile. Together they must have seen everything
// that a world can do to a ledger, or they prove little.
func TestLedger(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	kinds, refusals, misfortunes := make(map[record.Kind]int), make(map[int]int), make(map[fault]int)
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r := RunLedger(t, s, *steps)
			if *trace {
				t.Log(r.Trace)
			}
			t.Logf("seed %d: %d entries %v, %d receipts, refusals %v, %d crashes, mishaps %v, root %s", s, r.Entries, r.Kinds, r.Receipts, r.Refusals, r.Crashes, r.Faults, r.Root)
			if r.Entries == 0 || r.Crashes == 0 {
				t.Errorf("%d entries, %d crashes (seed %d)", r.Entries, r.Crashes, s)
			}
			add(kinds, r.Kinds)
			add(refusals, r.Refusals)
			add(misfortunes, r.Faults)
		})
	}
	if *seed != 0 || *steps < defaultSteps || t.Failed() {
		return
	}
	for _, kind := range []record.Kind{
		record.KindCharter, record.KindEnrolment, record.KindStanding, record.KindKeys, record.KindDesignation, record.KindAmendment,
		record.KindSuspension, record.KindReinstatement, record.KindRevocation, record.KindResponse, record.KindCIPCertification,
	} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was admitted in any world", kind)
		}
	}
	for _, status := range []int{403, 409, 422} {
		if refusals[status] == 0 {
			t.Errorf("nothing was refused with %d in any world", status)
		}
	}
	for _, m := range faults {
		if misfortunes[m] == 0 {
			t.Errorf("no %s in any world", m)
		}
	}
}

// TestLedgerIsDeterministic: a seed tells a whole story, so that what it broke can be looked at
// again.
func TestLedgerIsDeterministic(t *testing.T) {
	var first *Report
	for range 2 {
		r := RunLedger(t, 8, 150)
		if first == nil {
			first = r
		}
		if r.Trace != first.Trace || r.Root != first.Root {
			t.Fatalf("two runs of seed 8 differ:\n%s\n\n%s", first.Trace, r.Trace)
		}
	}
}

func add[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}
