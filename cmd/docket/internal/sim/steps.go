package sim

import (
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

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
	case n < 31:
		for _, l := range w.people.crowd() {
			w.people.send(l)
		}
		return w.sequence()
	case n < 34:
		if l := w.people.complete(); l != nil {
			w.people.send(l)
		}
	case n < 41:
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
