// Package simtest simulates a whole network of parts in one goroutine and from one
// seed: a ledger on a disk that loses what was not synced, people who send honest
// and forged records over a network that drops, delays, repeats and cuts off,
// followers that crash on their own, an auditor, and clocks that are set back. The
// parts are the real ones; only disk, network and time are the world's. After every
// step every law is checked again (DESIGN.md section 9).
//
// A world lives in days. A day is one synctest bubble, so that time passes only
// when the simulation lets it; at night every machine is off, and its clock may
// show any time in the morning.
//
// There are two kinds of it. A [LedgerSim] is one ledger without witnesses and all that
// people can say to it. A town ([RunNetwork]) is a ledger with witnesses, of whom some
// lie, and whose clocks differ, and clients; its operator is honest, though he may
// bring back an old backup, until perhaps he keeps two histories with the same keys
// and shows each to some. Strangers send the witnesses what they must not take.
//
// Another part joins with a disk ([crashedDisk]) and links of its own on the
// [network], steps in steps.go, and laws beside the others; what it does while the
// world goes on is an errand ([World.start]).
package simtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Report is what a run came to.
type Report struct {
	Trace    string // a line a step
	Root     string // of the log at the end
	Entries  int
	Kinds    map[record.Kind]int // entries of each kind
	Receipts int                 // handed out
	Refusals map[int]int         // by HTTP status
	Crashes  int                 // of the ledger
	Faults   map[fault]int       // of calls
}

// RunLedger lets a world live for that many steps and a last, quiet day on which every
// question gets its answer. A broken law fails the test, with the seed and all that
// had happened.
func RunLedger(t *testing.T, seed uint64, steps int) *Report {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := newLedgerSim(seed)
	var err error
	if seed%2 == 1 {
		err = w.runDay(t, w.growToFirstTile)
		w.setClock()
	}
	for left := steps; left > 0 && err == nil; {
		today := min(left, 20+w.rng.IntN(30))
		left -= today
		err = w.runDay(t, func() error { return w.runSteps(today) })
		w.setClock()
	}
	if err == nil {
		w.setClockLater()
		err = w.runDay(t, w.runFaultFreeDay)
	}
	if err != nil {
		t.Fatalf("%v\nseed %d, %d steps; again: go test ./cmd/docket/internal/simtest -run TestLedger -seed %d -steps %d\n%s", err, seed, steps, seed, steps, w.Trace())
	}
	return w.report()
}

// runDay opens the ledger's world for a day.
func (w *LedgerSim) runDay(t *testing.T, f func() error) error {
	live := func() error {
		must(w.invariants.openShadow())
		return f()
	}
	return w.simBase.runDay(t, live, func(end func()) error {
		if w.ledger.node != nil {
			w.ledger.crash(100, 0)
		}
		end()
		return errors.Join(w.finishTasks(), w.invariants.shadowRegister.Close())
	})
}

// runSteps takes steps, and checks every law after each.
func (w *LedgerSim) runSteps(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
		if err := errors.Join(w.finishTasks(), w.invariants.check(w.dayCtx, w.ledger)); err != nil {
			return err
		}
	}
	return w.invariants.checkFromScratch()
}

// growToFirstTile is a day without mishaps on which the ledger grows to just below the size
// at which its first tile is full. Every other world begins with one.
func (w *LedgerSim) growToFirstTile() error {
	w.net.setFaultFree(true)
	defer w.net.setFaultFree(false)
	for w.ledger.node == nil {
		if err := w.startLedger(); err != nil {
			return err
		}
	}
	for w.invariants.published.Size < proof.TileWidth-20 {
		for range 5 {
			if l := w.authors.nextSubmission(); l != nil {
				w.authors.send(l)
			}
		}
		for _, l := range w.authors.allResponses() {
			w.authors.send(l)
		}
		if err := w.commitAndPublish(); err != nil {
			return err
		}
	}
	return nil
}

// runFaultFreeDay is a day without mishaps, at whose end nothing is open: every letter has
// its answer, every follower all entries, the auditor no finding.
func (w *LedgerSim) runFaultFreeDay() error {
	w.tracef("the last day: no mishaps")
	w.net.setFaultFree(true)
	for l := range w.net.blocked {
		w.net.setBlocked(l, false)
	}
	for w.ledger.node == nil {
		if err := w.startLedger(); err != nil {
			return err
		}
	}
	for range 3 {
		for open := range slices.Chunk(w.authors.undecided(), 10) {
			for _, l := range open {
				w.authors.send(l)
			}
			if err := w.commitAndPublish(); err != nil {
				return err
			}
		}
		time.Sleep(time.Hour) // for what is dated ahead
	}
	if l := w.authors.undecided(); len(l) > 0 {
		return fmt.Errorf("%d letters have no answer on a day without mishaps: letter %d, %s", len(l), l[0].number, l[0].description)
	}
	for _, f := range w.followers {
		f.sync()
	}
	w.auditor.audit()
	if err := w.commitAndPublish(); err != nil {
		return err
	}
	for _, f := range w.followers {
		if f.trusted != w.invariants.published {
			return fmt.Errorf("%s has %d entries of %d", f.name, f.trusted.Size, w.invariants.published.Size)
		}
	}
	return errors.Join(w.invariants.checkCommitted(), w.invariants.checkFromScratch())
}

// commitAndPublish lets the ledger do all that there is to do.
func (w *LedgerSim) commitAndPublish() error {
	if err := w.finishTasks(); err != nil {
		return err
	}
	l := w.ledger.node.Ledger
	if err := errors.Join(l.Commit(w.dayCtx), l.Publish(w.dayCtx)); err != nil {
		return err
	}
	return errors.Join(w.finishTasks(), w.invariants.check(w.dayCtx, w.ledger))
}

func (w *LedgerSim) report() *Report {
	return &Report{
		Trace: w.Trace(), Root: w.invariants.published.Root.String(), Entries: len(w.invariants.entries), Kinds: w.invariants.kinds,
		Receipts: len(w.invariants.receipts), Refusals: w.invariants.refusals, Crashes: w.crashes, Faults: w.net.faultCounts,
	}
}
