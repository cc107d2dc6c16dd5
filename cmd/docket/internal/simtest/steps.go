package simtest

import (
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// step is one thing that happens.
func (w *LedgerSim) step() error {
	switch n := w.rng.IntN(100); {
	case w.ledger.node == nil:
		return w.startLedger()
	case n < 22:
		for range 1 + w.rng.IntN(4) {
			if l := w.authors.nextSubmission(); l != nil {
				w.authors.send(l)
			}
		}
	case n < 27:
		for _, l := range w.authors.conflictingPair() {
			w.authors.send(l)
		}
	case n < 31:
		for _, l := range w.authors.allResponses() {
			w.authors.send(l)
		}
		return w.commitOrPublish()
	case n < 34:
		if l := w.authors.addMissingSignatures(); l != nil {
			w.authors.send(l)
		}
	case n < 41:
		w.authors.resendAny()
	case n < 63:
		return w.commitOrPublish()
	case n < 66:
		return w.failPowerOrDisk(false)
	case n < 69:
		return w.failPowerOrDisk(true)
	case n < 72:
		w.crashLedger()
	case n < 74:
		w.tracef("the ledger is restarted")
		return errors.Join(w.ledger.stop(), w.startLedger())
	case n < 76:
		return w.deleteRegister()
	case n < 82:
		w.followers[w.rng.IntN(len(w.followers))].sync()
	case n < 85:
		w.followers[w.rng.IntN(len(w.followers))].crash(pick(w, 0, 30, 70, 100))
	case n < 87:
		if f := w.followers[w.rng.IntN(len(w.followers))]; f.syncing {
			w.tracef("%s is interrupted", f.name)
			f.cancelSync()
		}
	case n < 89:
		w.auditor.audit()
	case n < 91:
		w.verifyRandomChain()
	case n < 93:
		who := pick(w, "submitter-0", "submitter-1", "follower-1", "auditor")
		cut := w.chance(50)
		w.tracef("%s and the ledger are parted: %v", who, cut)
		w.net.setBlocked(link{who, ledgerHost}, cut)
	default:
		d := pick(w, 3*time.Millisecond, time.Second, 11*time.Second, 15*time.Minute)
		w.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// commitOrPublish commits, publishes, or both.
func (w *LedgerSim) commitOrPublish() error {
	l := w.ledger.node.Ledger
	steps := pick(w, []bool{true, false}, []bool{true, true}, []bool{false, true})
	if steps[0] {
		waiting, from := l.Queued(), l.Head().Size
		err := w.ledger.runStep(w.dayCtx, l.Commit)
		w.tracef("commit of %d: from %d to %d, %v", waiting, from, l.Head().Size, err)
		synctest.Wait() // who was refused is told
		if err := w.allow(err, ledger.ErrClock); err != nil || w.ledger.node == nil {
			return err
		}
	}
	if steps[1] && l.Head().Size > 0 {
		err := w.ledger.runStep(w.dayCtx, l.Publish)
		w.tracef("publish %d: %v", l.Head().Size, err)
		return w.allow(err, nil)
	}
	return nil
}

// allow allows a step to fail as it may, or because the machine fell; then it is
// taken down.
func (w *LedgerSim) allow(err, allowed error) error {
	if w.ledger.failed() {
		w.tracef("the ledger is down")
		w.ledger.crash(100, 0)
		w.crashes++
		return nil
	}
	if err == nil || allowed != nil && errors.Is(err, allowed) {
		return nil
	}
	return fmt.Errorf("a step of the ledger: %w", err)
}

// failPowerOrDisk prepares a failure of power or disk, and goes on until it comes.
func (w *LedgerSim) failPowerOrDisk(disk bool) error {
	after, keep := w.rng.IntN(6), pick(w, 0, 20, 50, 80, 100)
	what := "power"
	if disk {
		what = "disk"
	}
	w.tracef("the %s will fail after %d writes, %d %% of what was not synced will be kept", what, after, keep)
	w.ledger.fault.arm(disk, after, keep, w.rng.Uint64())
	for range 3 {
		if l := w.authors.nextSubmission(); l != nil {
			w.authors.send(l)
		}
		if err := w.finishTasks(); err != nil {
			return err
		}
		if err := w.commitOrPublish(); err != nil || w.ledger.node == nil {
			return err
		}
	}
	return nil
}

// crashLedger ends the ledger's process between two steps, or its machine.
func (w *LedgerSim) crashLedger() {
	keep := pick(w, 0, 40, 80, 100)
	w.tracef("the ledger crashes, %d %% of what it had not synced is kept", keep)
	w.ledger.crash(keep, w.rng.Uint64())
	w.crashes++
}

// deleteRegister deletes the register, which is derived.
func (w *LedgerSim) deleteRegister() error {
	w.tracef("the ledger's register is deleted")
	if err := w.ledger.stop(); err != nil {
		return err
	}
	if err := w.ledger.disk.RemoveAll("ledger/register"); err != nil {
		return err
	}
	return w.startLedger()
}

// startLedger starts the ledger; now and then the power fails once more meanwhile.
func (w *LedgerSim) startLedger() error {
	if w.chance(15) {
		w.ledger.fault.arm(false, w.rng.IntN(40), pick(w, 0, 50, 100), w.rng.Uint64())
	}
	ok, err := w.ledger.start(w.dayCtx)
	w.tracef("the ledger starts: %v", ok)
	w.invariants.compared = 0
	if !ok {
		w.crashes++
	}
	return err
}
