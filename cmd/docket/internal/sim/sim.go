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
package sim

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
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
	w := newWorld(t, seed)
	var err error
	for left := steps; left > 0 && err == nil; {
		today := min(left, 20+w.rng.IntN(30))
		left -= today
		err = w.day(t, func() error { return w.live(today) })
		w.night()
	}
	if err == nil {
		w.now = maxTime(w.now, w.last).Add(time.Minute)
		err = w.day(t, w.quiet)
	}
	if err != nil {
		t.Fatalf("%v\nseed %d, %d steps; again: go test ./cmd/docket/internal/sim -run TestSimulation -seed %d -steps %d\n%s", err, seed, steps, seed, steps, w.Trace())
	}
	return w.report()
}

// day opens a bubble at the world's time, and lets f live in it.
func (w *World) day(t *testing.T, f func() error) (err error) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(w.now)) // a bubble begins in the year 2000
		ctx, end := context.WithCancel(t.Context())
		w.ctx = ctx
		defer func() {
			if w.ledger.node != nil {
				w.ledger.crash(100, 0)
			}
			end()
			err = errors.Join(err, w.settle())
			w.now = time.Now().UTC()
			w.last = maxTime(w.last, w.now)
		}()
		err = f()
	})
	return err
}

// night sets the clock: on, or back.
func (w *World) night() {
	switch n := w.rng.IntN(10); {
	case n < 5:
		w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(24 * time.Hour))))
	case n < 7:
		w.now = w.now.Add(time.Duration(w.rng.Int64N(int64(40 * 24 * time.Hour))))
	case n < 9:
		w.now = w.now.Add(-time.Duration(w.rng.Int64N(int64(time.Minute))))
	default:
		w.now = w.now.Add(-time.Duration(w.rng.Int64N(int64(time.Hour))))
	}
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

// step is one thing that happens.
func (w *World) step() error {
	switch n := w.rng.IntN(100); {
	case w.ledger.node == nil:
		return w.boot()
	case n < 22:
		for range 1 + w.rng.IntN(4) {
			if l := w.people.compose(); l != nil {
				w.people.send(l)
			}
		}
	case n < 27:
		for _, l := range w.people.rivals() {
			w.people.send(l)
		}
	case n < 30:
		if l := w.people.complete(); l != nil {
			w.people.send(l)
		}
	case n < 38:
		w.people.again()
	case n < 63:
		return w.sequence()
	case n < 66:
		return w.fall(false)
	case n < 69:
		return w.fall(true)
	case n < 72:
		w.crash()
	case n < 74:
		w.note("the ledger is restarted")
		return errors.Join(w.ledger.down(), w.boot())
	case n < 76:
		return w.forget()
	case n < 82:
		w.followers[w.rng.IntN(len(w.followers))].sync()
	case n < 85:
		w.followers[w.rng.IntN(len(w.followers))].crash(pick(w, 0, 30, 70, 100))
	case n < 87:
		if f := w.followers[w.rng.IntN(len(w.followers))]; f.away {
			w.note("%s is interrupted", f.name)
			f.interrupt()
		}
	case n < 89:
		w.auditor.audit()
	case n < 91:
		w.stranger()
	case n < 93:
		who := pick(w, "submitter-0", "submitter-1", "follower-1", "auditor")
		cut := w.chance(50)
		w.note("%s and the ledger are parted: %v", who, cut)
		w.net.sever(link{who, ledgerHost}, cut)
	default:
		d := pick(w, 3*time.Millisecond, time.Second, 11*time.Second, 15*time.Minute)
		w.note("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// sequence commits, publishes, or both.
func (w *World) sequence() error {
	l := w.ledger.node.Ledger
	steps := pick(w, []bool{true, false}, []bool{true, true}, []bool{false, true})
	if steps[0] {
		waiting, from := l.Waiting(), l.Head().Size
		err := w.ledger.step(w.ctx, l.Commit)
		w.note("commit of %d: from %d to %d, %v", waiting, from, l.Head().Size, err)
		synctest.Wait() // who was refused is told
		if err := w.expect(err, ledger.ErrClock); err != nil || w.ledger.node == nil {
			return err
		}
	}
	if steps[1] && l.Head().Size > 0 {
		err := w.ledger.step(w.ctx, l.Publish)
		w.note("publish %d: %v", l.Head().Size, err)
		return w.expect(err, nil)
	}
	return nil
}

// expect allows a step to fail as it may, or because the machine fell; then it is
// taken down.
func (w *World) expect(err, allowed error) error {
	if w.ledger.fell() {
		w.note("the ledger is down")
		w.ledger.crash(100, 0)
		w.crashes++
		return nil
	}
	if err == nil || allowed != nil && errors.Is(err, allowed) {
		return nil
	}
	return fmt.Errorf("a step of the ledger: %w", err)
}

// fall prepares a failure of power or disk, and goes on until it comes.
func (w *World) fall(disk bool) error {
	after, keep := w.rng.IntN(6), pick(w, 0, 20, 50, 80, 100)
	what := "power"
	if disk {
		what = "disk"
	}
	w.note("the %s will fail after %d writes, %d %% of what was not synced will be kept", what, after, keep)
	w.ledger.trouble.arm(disk, after, keep, w.rng.Uint64())
	for range 3 {
		if l := w.people.compose(); l != nil {
			w.people.send(l)
		}
		if err := w.settle(); err != nil {
			return err
		}
		if err := w.sequence(); err != nil || w.ledger.node == nil {
			return err
		}
	}
	return nil
}

// crash ends the ledger's process between two steps, or its machine.
func (w *World) crash() {
	keep := pick(w, 0, 40, 80, 100)
	w.note("the ledger crashes, %d %% of what it had not synced is kept", keep)
	w.ledger.crash(keep, w.rng.Uint64())
	w.crashes++
}

// forget deletes the register, which is derived.
func (w *World) forget() error {
	w.note("the ledger's register is deleted")
	if err := w.ledger.down(); err != nil {
		return err
	}
	if err := w.ledger.disk.RemoveAll("ledger/register"); err != nil {
		return err
	}
	return w.boot()
}

// boot starts the ledger; now and then the power fails once more meanwhile.
func (w *World) boot() error {
	if w.chance(15) {
		w.ledger.trouble.arm(false, w.rng.IntN(40), pick(w, 0, 50, 100), w.rng.Uint64())
	}
	ok, err := w.ledger.up(w.ctx)
	w.note("the ledger starts: %v", ok)
	w.laws.compared = 0
	if !ok {
		w.crashes++
	}
	return err
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
		for _, l := range w.people.unsettled() {
			w.people.send(l)
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

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
