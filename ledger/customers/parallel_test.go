package customers_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// Many write, read, search, and close periods at once: the log is whole, every account was
// opened once, and no event is there twice.
func TestAllAtOnce(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	const callers, accounts, events = 6, 4, 5
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range events {
				var some []event.Input
				for a := range accounts {
					account := fmt.Sprintf("acct-%d", a)
					some = append(some, opened(account, "Name "+account), access(account, i, "192.0.2.7"))
				}
				if c%2 == 0 {
					for _, in := range some {
						n.addSome(t, in)
					}
				} else {
					n.addSome(t, some...)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 3 {
			if _, _, err := n.Find(t.Context(), reader, "name", 10); err != nil {
				t.Error(err)
			}
			if _, err := n.ClosePeriod(t.Context(), day(i-3)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if s, err := n.Stats(); err != nil || s.Customers != accounts {
		t.Errorf("stats %+v, %v", s, err)
	}
	if r := n.audit(t); r.Events != accounts*(1+events)+3 || r.Periods != 3 {
		t.Errorf("audit: %+v", r)
	}
}

// addSome adds events that are taken in, or were before.
func (n *node) addSome(t *testing.T, inputs ...event.Input) {
	results, err := n.Add(t.Context(), inputs)
	if err != nil {
		t.Error(err)
		return
	}
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("%s of %s: %v", inputs[i].Kind, inputs[i].Account, r.Err)
		}
	}
}
