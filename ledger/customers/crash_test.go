package customers_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

const threeYearsAgo = -3 * 366 * 24 * 60 // minutes

// story is what happens to a log, step by step. Each step may be done again.
var story = []step{
	adds(input("old", 2*threeYearsAgo, &event.Opened{Account: "old", Type: "person", Name: "Ola Vanish"}), opened("a-1", "Ada Reed")),
	adds(access("old", 2*threeYearsAgo+1, "192.0.2.66"), access("a-1", 1, "192.0.2.7"), closed("old", threeYearsAgo)),
	adds(opened("b-2", "Bo Lindqvist"), access("b-2", 1, "192.0.2.8"), renamed("a-1", 2, "Ada Rush")),
	closes(-2),
	adds(access("a-1", 3, "192.0.2.7"), opened("c-3", "Cleo Marsh")),
	erases("old"),
	adds(access("c-3", 4, "192.0.2.9")),
	closes(-1),
	adds(access("a-1", 5, "192.0.2.10")),
}

type step struct {
	inputs []event.Input
	period int // closes it until that day; 0: none
	erase  string
}

func adds(inputs ...event.Input) step { return step{inputs: inputs} }
func closes(day int) step             { return step{period: day} }
func erases(account string) step      { return step{erase: account} }

// told is what was acknowledged.
type told struct {
	steps   int
	results map[string]customers.Result // by account and ID
	periods []customers.Period
}

// do does a step of the story, as somebody who does not know whether it was done.
func (s step) do(t testing.TB, n *node, was told) (told, error) {
	next := told{was.steps + 1, make(map[string]customers.Result), was.periods}
	for k, v := range was.results {
		next.results[k] = v
	}
	switch {
	case s.period != 0:
		if _, err := n.ClosePeriod(t.Context(), day(s.period)); err != nil && !errors.Is(err, customers.ErrPeriod) {
			return was, err
		}
		next.periods = n.Periods()
		return next, nil
	case s.erase != "":
		h, err := n.Handle(t.Context(), s.erase)
		if errors.Is(err, vault.ErrNoCustomer) {
			return next, nil
		} else if err != nil {
			return was, err
		}
		outcomes, err := n.Erase(t.Context(), customers.Who{By: "compliance-1"}, h)
		return next, errors.Join(append(outcomes, err)...)
	}
	results, err := n.Add(t.Context(), s.inputs)
	if err != nil {
		return was, err
	}
	for i, r := range results {
		if r.Err != nil && s.inputs[i].Account != "old" { // who may be erased already
			return was, fmt.Errorf("%s of %s: %w", s.inputs[i].Kind, s.inputs[i].Account, r.Err)
		}
		next.results[s.inputs[i].Account+" "+s.inputs[i].ID] = r
	}
	return next, nil
}

// checkSurvives opens what a crash left: whatever was acknowledged is there, each leaf has its
// event, and the story goes on to the end it would have had.
func (w *world) checkSurvives(t *testing.T, was told) {
	t.Helper()
	n := w.mustOpen(t)
	defer n.close()
	erased := n.audit(t).Gone > 0
	if !erased && was.steps > 5 {
		t.Error("who was erased is there")
	}
	if got := n.Periods(); len(got) < len(was.periods) {
		t.Errorf("%d periods are closed, %d were acknowledged", len(got), len(was.periods))
	} else {
		for i, p := range was.periods {
			if got[i].Size != p.Size || got[i].Root != p.Root {
				t.Errorf("period %d is of %d leaves, root %s; acknowledged were %d, root %s", i+1, got[i].Size, got[i].Root, p.Size, p.Root)
			}
		}
	}
	if _, err := n.Handle(t.Context(), "old"); erased && !errors.Is(err, vault.ErrNoCustomer) {
		t.Errorf("who was erased is found: %v", err)
	}
	at := told{results: map[string]customers.Result{}}
	for i, s := range story {
		if i <= 1 && erased {
			s.inputs = without(s.inputs, "old")
		}
		next, err := s.do(t, n, at)
		if err != nil {
			t.Fatalf("step %d again: %v", i, err)
		}
		at = next
	}
	for id, r := range was.results {
		if strings.HasPrefix(id, "old ") {
			continue
		}
		if again := at.results[id]; !again.Duplicate || again.Index != r.Index || again.Handle != r.Handle {
			t.Errorf("%s was acknowledged as leaf %d, and is %+v when it is sent again", id, r.Index, again)
		}
	}
	r := n.audit(t)
	if r.Periods != 2 || r.Gone != 1 || r.Erased != 3 {
		t.Errorf("at the end: %+v", r)
	}
	for query, want := range map[string]int{"vanish": 0, "rush": 1, "reed": 1, "lindqvist": 1, "ip:192.0.2.10": 1, "ip:192.0.2.66": 0} {
		if found, _, err := n.Find(t.Context(), reader, query, 10); err != nil || len(found) != want {
			t.Errorf("%q finds %d, want %d: %v", query, len(found), want, err)
		}
	}
}

func without(inputs []event.Input, account string) (rest []event.Input) {
	for _, in := range inputs {
		if in.Account != account {
			rest = append(rest, in)
		}
	}
	return rest
}

// The power fails before writes of every kind while the story goes on, all directories of one
// disk at once, and unsynced data stay or go.
func TestCrashAtEveryWrite(t *testing.T) {
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	mem := w.fs.(*vfs.MemFS)
	type crash struct {
		left *vfs.MemFS
		told told
	}
	var mu sync.Mutex // Pebble writes in the background too
	var crashes []crash
	at := told{results: map[string]customers.Result{}}
	w.fs = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}
			crashes = append(crashes, crash{mem.CrashClone(cfg), at})
		}
		return nil
	}))
	n := w.mustOpen(t)
	for i, s := range story {
		next, err := s.do(t, n, at)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		mu.Lock()
		at = next
		mu.Unlock()
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	tried := 60
	if testing.Short() {
		tried = 15
	}
	every := max(1, len(crashes)/tried)
	t.Logf("%d crashes, of which each %dth is tried (seed %d)", len(crashes), every, seed)
	for i := rng.IntN(every); i < len(crashes); i += every {
		w.onDisk(crashes[i].left).checkSurvives(t, crashes[i].told)
		if t.Failed() {
			t.Fatalf("crash %d of %d, in step %d (seed %d)", i, len(crashes), crashes[i].told.steps, seed)
		}
	}
}

// Each write of the leaves fails: it is not applied; applied, yet reported as failed; applied
// after the log was opened again. The log stops, and opened anew it is whole.
func TestEveryStoreWriteFails(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"lost": storetest.WriteLost, "a lie": storetest.WriteUnreported} {
		writes := 0
		for write := 0; write <= writes; write++ {
			w := newWorld(t)
			var f *storetest.FaultyStore
			w.wrapStore = func(s ledger.Store) ledger.Store {
				f = &storetest.FaultyStore{Store: s, FaultOf: func(n int) storetest.Fault {
					if n == write {
						return fault
					}
					return storetest.NoFault
				}}
				return f
			}
			n := w.mustOpen(t)
			at := told{results: map[string]customers.Result{}}
			for _, s := range story {
				next, err := s.do(t, n, at)
				if err != nil {
					if !errors.Is(err, ledger.ErrUnknown) || n.Err() == nil {
						t.Errorf("%s, write %d: %v; want ErrUnknown, and a log that stopped", name, write, err)
					}
					break
				}
				at = next
			}
			writes = f.Writes() - 1
			if err := n.close(); err != nil {
				t.Fatal(err)
			}
			w.onDisk(w.fs).checkSurvives(t, at)
			if t.Failed() {
				t.Fatalf("%s, write %d of %d", name, write, f.Writes())
			}
		}
	}
}
