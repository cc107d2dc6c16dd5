package ledger_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// Entries were committed by a clock that was ahead while no witness answered who could
// have told. Once the clock is right, nothing that holds them is signed before their
// time: no verifier would take it, and what no witness has seen can still be begun anew.
func TestEntriesAdmittedByClockAhead(t *testing.T) {
	w, p := newWitnessedEnv(t)
	marked := false
	w.config.MarkKeys = func() error { marked = true; return nil }
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2 * time.Hour)
		p.unresponsive = []bool{true, true, true}
		n := w.mustOpen(t)
		n.appendAll(t, numberedBlobs(0, 3)...)
		if err := n.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Fatal(err)
		}
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
		p.requests, p.unresponsive = nil, make([]bool, 3)
	})
	synctest.Test(t, func(t *testing.T) { // which begins where the other did: two hours before
		n := w.mustOpen(t)
		defer n.close()
		if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrClock) || marked {
			t.Errorf("publishing what is admitted in two hours: %v; marked: %t", err, marked)
		}
		if got := p.requestedSizes(); slices.ContainsFunc(got, func(size uint64) bool { return size > 0 }) {
			t.Errorf("asked about %v", got)
		}
		time.Sleep(2*time.Hour - 4*time.Minute)
		if err := n.Publish(t.Context()); err != nil || n.Published() == nil {
			t.Errorf("when it was about time: %v", err)
		}
	})
}
