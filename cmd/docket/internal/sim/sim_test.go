package sim

import (
	"flag"
	"fmt"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone")
	steps = flag.Int("steps", 160, "steps of each run")
	trace = flag.Bool("trace", false, "print what happens")
)

// TestSimulation lets some worlds live.
func TestSimulation(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r := Run(t, s, *steps)
			if *trace {
				t.Log(r.World.Trace())
			}
			t.Logf("seed %d: %d entries %v, %d receipts, refusals %v, %d crashes, mishaps %v, root %s", s, r.Entries, r.Kinds, r.Receipt, r.Refused, r.Crashes, r.Mishaps, r.Root)
		})
	}
}
