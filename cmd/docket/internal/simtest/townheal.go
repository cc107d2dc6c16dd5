package simtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// endFaults ends all mishaps, and mends what is broken.
func (tn *networkSim) endFaults() error {
	for l := range tn.net.blocked {
		tn.net.setBlocked(l, false)
	}
	tn.net.setFaultFree(true)
	tn.ledger.fault.disarm()
	for _, s := range tn.witnesses {
		if s.witness != nil {
			s.fault.disarm()
		}
	}
	return tn.startAll()
}

// checkPublishing is a while without mishaps. In it, no witness that lies, dawdles or is dead
// keeps an honest ledger from publishing.
func (tn *networkSim) checkPublishing() error {
	if tn.maliciousLog != nil || tn.latest.After(time.Now()) {
		return nil // the clock was set back, and nothing is admitted until it has caught up
	}
	tn.tracef("a while without mishaps")
	if err := tn.endFaults(); err != nil {
		return err
	}
	defer tn.net.setFaultFree(false)
	// What a witness stamps counts after a start once its clock says a later time.
	time.Sleep(maxClockOffset)
	l := tn.ledger.node.Ledger
	if l.Head().Size > 0 {
		if err := l.Publish(tn.dayCtx); err != nil {
			return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
		}
	}
	if err := l.CheckClock(tn.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger's clock is not confirmed: %w", err)
	}
	if err := tn.commitRecord(); err != nil {
		return err
	}
	for tn.records.Ledger.IsZero() || tn.records.Head("party/authority").IsZero() {
		if err := tn.commitRecord(); err != nil {
			return err
		}
	}
	if err := l.Publish(tn.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
	}
	if err := l.Recosign(tn.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger is not cosigned again: %w", err)
	}
	if l.Backlog() > 0 {
		return fmt.Errorf("%d entries are not published", l.Backlog())
	}
	tn.countEvent("calm")
	return nil
}

// healPartition ends the partition. If witnesses have cosigned both histories, or were handed
// both, then after one round of gossip everyone honest holds the evidence.
func (tn *networkSim) healPartition() error {
	if tn.maliciousLog == nil {
		if err := tn.checkPublishing(); err != nil {
			return err
		}
	}
	tn.tracef("the partition heals")
	if err := tn.endFaults(); err != nil {
		return err
	}
	time.Sleep(2 * time.Minute)
	for _, s := range tn.witnesses {
		tn.replayNotes(s)
		tn.sendMalformed(s)
		if tn.maliciousLog != nil {
			tn.maliciousLog.floodWitness(s)
		}
	}
	var handed []proof.Tree
	for _, c := range tn.clients {
		if c.note == nil {
			continue
		}
		s := tn.anyHonestWitness() // one is enough: it tells the others
		w, err := wire.NewWitness(s.url(), tn.net.transportOf(c.name))
		must(err)
		if err := w.AddSeenCheckpoint(tn.dayCtx, c.note); err != nil {
			return fmt.Errorf("%s hands in what it believes: %w", c.name, err)
		}
		handed = append(handed, c.trusted)
	}
	if err := tn.check(); err != nil {
		return err
	}
	before := 0
	for _, s := range tn.witnesses {
		if tn.invariants.halted[s.name] {
			before++
		}
	}
	evidenceDue := tn.invariants.forkCosigned(handed...)
	for _, i := range tn.rng.Perm(len(tn.witnesses)) {
		if err := tn.gossip(tn.witnesses[i]); err != nil {
			return err
		}
	}
	if err := tn.check(); err != nil {
		return err
	}
	if !evidenceDue {
		return nil
	}
	tn.countEvent("evidence was due")
	if before == 0 {
		tn.countEvent("evidence came with the healing")
	}
	var errs []error
	for _, s := range tn.witnesses {
		if s.isHonest() && !tn.invariants.halted[s.name] {
			errs = append(errs, fmt.Errorf("%s has no evidence one round after the partition healed", s.name))
		}
	}
	return errors.Join(errs...)
}

// anyHonestWitness is one of the witnesses that the laws hold to their word.
func (tn *networkSim) anyHonestWitness() *witnessNode {
	for {
		if s := pick(tn, tn.witnesses...); s.isHonest() {
			return s
		}
	}
}
