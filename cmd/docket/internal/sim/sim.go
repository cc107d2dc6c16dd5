// Package sim simulates a whole network of parts in one goroutine and from one
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
// There are two kinds of it. A [World] is one ledger without witnesses and all that
// people can say to it. A town ([RunTown]) is a ledger with witnesses, of whom some
// lie, and whose clocks differ, and clients; its operator is honest, though he may
// bring back an old backup, until perhaps he keeps two histories with the same keys
// and shows each to some. Strangers send the witnesses what they must not take.
//
// Another part joins with a disk ([afterCrash]) and links of its own on the
// [network], steps in steps.go, and laws beside the others; what it does while the
// world goes on is an errand ([World.start]).
package sim

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
	Mishaps  map[mishap]int      // of calls
}

// Run lets a world live for that many steps and a last, quiet day on which every
// question gets its answer. A broken law fails the test, with the seed and all that
// had happened.
func Run(t *testing.T, seed uint64, steps int) *Report {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := newWorld(seed)
	var err error
	if seed%2 == 1 {
		err = w.day(t, w.found)
		w.night()
	}
	for left := steps; left > 0 && err == nil; {
		today := min(left, 20+w.rng.IntN(30))
		left -= today
		err = w.day(t, func() error { return w.live(today) })
		w.night()
	}
	if err == nil {
		w.morrow()
		err = w.day(t, w.quiet)
	}
	if err != nil {
		t.Fatalf("%v\nseed %d, %d steps; again: go test ./cmd/docket/internal/sim -run TestSimulation -seed %d -steps %d\n%s", err, seed, steps, seed, steps, w.Trace())
	}
	return w.report()
}

// day opens the ledger's world for a day.
func (w *World) day(t *testing.T, f func() error) error {
	live := func() error {
		must(w.laws.morning())
		return f()
	}
	return w.story.day(t, live, func(end func()) error {
		if w.ledger.node != nil {
			w.ledger.crash(100, 0)
		}
		end()
		return errors.Join(w.settle(), w.laws.shadow.Close())
	})
}

// live takes steps, and checks every law after each.
func (w *World) live(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
		if err := errors.Join(w.settle(), w.laws.check(w.ctx, w.ledger)); err != nil {
			return err
		}
	}
	return w.laws.verify()
}

// found is a day without mishaps on which the ledger grows to just below the size
// at which its first tile is full. Every other world begins with one.
func (w *World) found() error {
	w.net.behave(true)
	defer w.net.behave(false)
	for w.ledger.node == nil {
		if err := w.boot(); err != nil {
			return err
		}
	}
	for w.laws.published.Size < proof.TileWidth-20 {
		for range 5 {
			if l := w.people.compose(); l != nil {
				w.people.send(l)
			}
		}
		for _, l := range w.people.crowd() {
			w.people.send(l)
		}
		if err := w.serveAll(); err != nil {
			return err
		}
	}
	return nil
}

// quiet is a day without mishaps, at whose end nothing is open: every letter has
// its answer, every follower all entries, the auditor no finding.
func (w *World) quiet() error {
	w.note("the last day: no mishaps")
	w.net.behave(true)
	for l := range w.net.cut {
		w.net.sever(l, false)
	}
	for w.ledger.node == nil {
		if err := w.boot(); err != nil {
			return err
		}
	}
	for range 3 {
		for open := range slices.Chunk(w.people.unsettled(), 10) {
			for _, l := range open {
				w.people.send(l)
			}
			if err := w.serveAll(); err != nil {
				return err
			}
		}
		time.Sleep(time.Hour) // for what is dated ahead
	}
	if l := w.people.unsettled(); len(l) > 0 {
		return fmt.Errorf("%d letters have no answer on a day without mishaps: letter %d, %s", len(l), l[0].number, l[0].what)
	}
	for _, f := range w.followers {
		f.sync()
	}
	w.auditor.audit()
	if err := w.serveAll(); err != nil {
		return err
	}
	for _, f := range w.followers {
		if f.trusted != w.laws.published {
			return fmt.Errorf("%s has %d entries of %d", f.name, f.trusted.Size, w.laws.published.Size)
		}
	}
	return errors.Join(w.laws.keepsPromises(), w.laws.verify())
}

// serveAll lets the ledger do all that there is to do.
func (w *World) serveAll() error {
	if err := w.settle(); err != nil {
		return err
	}
	l := w.ledger.node.Ledger
	if err := errors.Join(l.Commit(w.ctx), l.Publish(w.ctx)); err != nil {
		return err
	}
	return errors.Join(w.settle(), w.laws.check(w.ctx, w.ledger))
}

func (w *World) report() *Report {
	return &Report{
		Trace: w.Trace(), Root: w.laws.published.Root.String(), Entries: len(w.laws.entries), Kinds: w.laws.kinds,
		Receipts: len(w.laws.receipts), Refusals: w.laws.refusals, Crashes: w.crashes, Mishaps: w.net.count,
	}
}
