package simtest

import (
	"flag"
	"fmt"
	"testing"
)

var (
	customerRuns  = flag.Uint64("customers", 3, "how many providers TestCustomerLog lets live")
	customerSteps = flag.Int("customers.steps", 120, "steps of each provider")
)

// requiredCustomerEvents must have happened to the providers taken together, or they prove little.
var requiredCustomerEvents = []string{
	"customer log crashes", "customer log loses power", "customer log loses power as it starts", "customer log restored from a backup",
	"customer log published", "period closed", "customer erased", "known event comes again",
	"disclosure verified",
	"customer event: opened", "customer event: verified", "customer event: changed", "customer event: access", "customer event: flagged",
	"customer event: held", "customer event: released", "customer event: closed",
}

// TestCustomerLog lets providers keep private customer logs, on machines that crash at any
// write, beside a ledger that does the same.
func TestCustomerLog(t *testing.T) {
	seen := make(map[string]int)
	seeds := []uint64{*seed}
	if *seed == 0 {
		seeds = nil
		for s := range *customerRuns {
			seeds = append(seeds, 1+s)
		}
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r := mustRun(t, s, scenario{customers: true}, *customerSteps, "TestCustomerLog", "customers.steps")
			if *story {
				t.Log(r.Trace)
			}
			t.Logf("seed %d: %d entries %v, %v", s, r.Entries, r.Kinds, r.Events)
			add(seen, r.Events)
		})
	}
	if len(seeds) < 3 || t.Failed() {
		return
	}
	for _, what := range requiredCustomerEvents {
		if seen[what] == 0 {
			t.Errorf("no provider saw this: %s", what)
		}
	}
}
