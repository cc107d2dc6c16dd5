package sharedsim

import (
	"flag"
	"fmt"
	"runtime/debug"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone")
	seeds = flag.Uint64("seeds", 19, "how many seeds, from the first on; one of the date is beside them")
	first = flag.Uint64("first", 1, "the first seed")
	steps = flag.Int("steps", 60, "steps of each")
	story = flag.Bool("story", false, "print what happens")
)

// required must have happened in the simulations taken together, or they prove little.
var required = []string{
	"submitted", "not submitted", "synced", "takes the store", "stands by", "crashes", "a zombie ends", "a writer stops", "cleans up", "who was taken over fans out",
	"cut off from the store", "cut off from the witnesses", "a call is lost", "an answer is lost", "a client goes on with another server",
	"frozen", "a standby takes over", "a place is taken in time", "who wakes up ends", "who is cut off from the witnesses goes on", "nobody takes over without witnesses",
	"a replica starts", "a replica crashes", "a fork ends a replica", "lie: what no quorum cosigned", "lie: a note of another tree", "lie: half a tile", "lie: a spoilt tile",
	"store: lost", "store: unheard", "store: later", "store: hang", "store: 409", "store: 500 applied", "store: 503", "store: repeated",
}

// TestSharedStore: whatever fails, whoever takes over, and however late a request arrives, there
// is one history, and what was acknowledged is in it, once.
func TestSharedStore(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // of a small heap a quarter of the time goes to its collection
	seen := map[string]int{}
	var all []uint64
	for s := range *seeds {
		all = append(all, *first+s)
	}
	today := time.Now().UTC()
	all = append(all, uint64(today.Year()*10000+int(today.Month())*100+today.Day()))
	if *seed != 0 {
		all = []uint64{*seed}
	}
	for _, s := range all {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r, err := Run(t, s, *steps)
			if err != nil {
				t.Fatalf("%v\nagain: go test ./cmd/docket/internal/sharedsim -seed %d -steps %d\n%s", err, s, *steps, r.Trace)
			}
			if *story {
				t.Log(r.Trace)
			}
			t.Logf("seed %d: %d entries in %v, %v", s, r.Entries, r.Took.Round(time.Second), r.Events)
			for what, n := range r.Events {
				seen[what] += n
			}
		})
	}
	if *seed != 0 || *seeds < 19 || t.Failed() {
		return
	}
	for _, what := range required {
		if seen[what] == 0 {
			t.Errorf("%q never happened", what)
		}
	}
}
