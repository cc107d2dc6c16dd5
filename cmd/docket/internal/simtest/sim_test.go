package simtest

import (
	"errors"
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
	story = flag.Bool("story", false, "print what happens; go test keeps the name -trace for itself")
)

// TestLedger lets some worlds live, two of them across the edge of a tile. Together they must have seen everything
// that a world can do to a ledger, or they prove little.
func TestLedger(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	kinds, refusals, misfortunes := make(map[record.Kind]int), make(map[int]int), make(map[fault]int)
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r := mustRun(t, s, scenario{}, *steps, "TestLedger", "steps")
			if *story {
				t.Log(r.Trace)
			}
			t.Logf("seed %d: %d entries %v, %d receipts, refusals %v, %v, mishaps %v, root %s", s, r.Entries, r.Kinds, r.Receipts, r.Refusals, r.Events, r.Faults, r.Root)
			if *steps >= defaultSteps && (r.Entries == 0 || r.Events["ledger crashes"]+r.Events["ledger loses power"] == 0) {
				t.Errorf("%d entries, %v (seed %d)", r.Entries, r.Events, s)
			}
			add(kinds, r.Kinds)
			add(refusals, r.Refusals)
			add(misfortunes, r.Faults)
		})
	}
	if *seed != 0 || *steps < defaultSteps || t.Failed() {
		return
	}
	for _, kind := range record.Kinds() {
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

// mustRun runs a simulation in which no invariant may be violated. A failure says how to run
// it again.
func mustRun(t *testing.T, seed uint64, p scenario, steps int, test, stepsFlag string) *Report {
	t.Helper()
	r, err := Run(t, seed, p, steps)
	if err != nil {
		t.Fatalf("%v\nseed %d, %+v, %d steps; again: go test ./cmd/docket/internal/simtest -run %s -seed %d -%s %d\n%s", err, seed, p, steps, test, seed, stepsFlag, steps, r.Trace)
	}
	return r
}

// TestIsDeterministic: a seed tells a whole story, so that what it broke can be looked at
// again.
func TestIsDeterministic(t *testing.T) {
	for _, c := range []struct {
		seed     uint64
		scenario scenario
		steps    int
		test     string
		flag     string
	}{
		{8, scenario{}, 150, "TestLedger", "steps"},
		{10, scenarioFor(10), 60, "TestNetwork", "network.steps"}, // with a fork, a slow witness and one restored from old
		{2, scenario{customers: true}, 40, "TestCustomerLog", "customers.steps"},
	} {
		t.Run(c.test, func(t *testing.T) {
			first, again := mustRun(t, c.seed, c.scenario, c.steps, c.test, c.flag), mustRun(t, c.seed, c.scenario, c.steps, c.test, c.flag)
			if again.Trace != first.Trace || again.Root != first.Root {
				t.Fatalf("two runs of seed %d differ:\n%s\n\n%s", c.seed, first.Trace, again.Trace)
			}
		})
	}
}

func add[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

var (
	networkRuns  = flag.Uint64("networks", 16, "how many networks TestNetwork lets live")
	networkSteps = flag.Int("network.steps", 90, "steps of each network")
)

// requiredEvents must have happened in the networks taken together, or they prove little.
var requiredEvents = []string{
	"fork", "forged view with a quorum", "calm", "gossip", "no quorum", "evidence was due", "evidence came with the healing",
	"ledger crashes", "ledger loses power", "witness crashes", "witness loses power", "witness loses power as it starts", "witness restored from a backup",
	"ledger and witness parted", "witnesses parted", "client and witnesses parted",
	"client finds a fork", "client is shown too few cosignatures", "client is shown something of both", "watcher's machine fails", "checkpoint handed in",
	"a witness: honest", "a witness: signs whatever", "a witness: restored from old", "a witness: slow", "a witness: clock is wrong",
	"a witness's clock is ahead: true", "a witness's clock is ahead: false", "clock not confirmed", "ledger restored from a backup", "ledger's store lost", "second history refused",
	"log floods a witness", "old checkpoints replayed", "newest checkpoint repeated", "nonsense sent to a witness", "witness of two logs",
}

// rareSeeds are networks that see what one in forty does: evidence that came with the healing.
var rareSeeds = []uint64{59, 61}

// TestNetwork: while any two quorums have an honest witness in common, an operator who
// shows two histories convinces nobody of the second, and is caught.
func TestNetwork(t *testing.T) {
	seen := make(map[string]int)
	var seeds []uint64
	for s := range *networkRuns {
		seeds = append(seeds, 1+s)
	}
	seeds = append(seeds, rareSeeds...)
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			p := scenarioFor(s)
			r := mustRun(t, s, p, *networkSteps, "TestNetwork", "network.steps")
			if *story {
				t.Log(r.Trace)
			}
			t.Logf("seed %d: %+v, %d entries, %v, mishaps %v", s, p, r.Entries, r.Events, r.Faults)
			add(seen, r.Events)
		})
	}
	if len(seeds) < 16 || t.Failed() {
		return
	}
	for _, what := range requiredEvents {
		if seen[what] == 0 {
			t.Errorf("no network saw this: %s", what)
		}
	}
}

// TestTooManyDishonestWitnesses is the other side of it, and shows that the laws have teeth: where
// two quorums may have nobody honest in common, some operator does convince two
// clients of two histories, whether the witness that lies does so by intent or was
// restored from a backup; and no witness that is honest has cosigned both even then.
func TestTooManyDishonestWitnesses(t *testing.T) {
	for liars, first := range map[behaviour]uint64{equivocating: 12, restoredFromBackup: 141} { // the seeds before show nothing
		p := scenario{witnesses: 3, quorum: 2, dishonest: 1, fork: true, dishonestBehaviour: liars}
		if p.quorumsIntersect() {
			t.Fatal("the plan is sound")
		}
		fooled := false
		for s := first; s < first+60 && !fooled; s++ {
			_, err := Run(t, s, p, *networkSteps)
			switch {
			case errors.Is(err, errTwoHistoriesTrusted):
				fooled = true
				t.Logf("%s: in the network of seed %d", liars, s)
			case err != nil:
				t.Fatalf("%v (seed %d, %+v)", err, s, p)
			}
		}
		if !fooled {
			t.Errorf("%s: no client was fooled in any network", liars)
		}
	}
}
