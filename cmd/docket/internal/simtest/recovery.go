package simtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
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

// anyHonestWitness is one of the witnesses that the invariants bind.
func (tn *networkSim) anyHonestWitness() *witnessNode {
	for {
		if s := pick(tn, tn.witnesses...); s.isHonest() {
			return s
		}
	}
}

// backup is an old state of the ledger's disk.
type backup struct {
	disk *vfs.MemFS
	size uint64 // entries that it holds
}

// backUpOrRollBack lets the operator of an honest ledger make a backup of its disk, or bring
// one back by mistake. From then on the ledger signs nothing but what it published
// before, and as soon as it reaches its witnesses it says what is wrong, loudly, and
// stops, whatever it has admitted meanwhile. Then the operator finds the right disk.
func (tn *networkSim) backUpOrRollBack() error {
	if !tn.hasPublished() {
		return nil
	}
	if tn.chance(40) {
		return tn.loseStore()
	}
	l := tn.ledger.node.Ledger
	published := l.Published().Checkpoint().Size
	if tn.backup.disk == nil || published <= tn.backup.size {
		tn.tracef("a backup of the ledger is made at %d entries", l.Head().Size)
		tn.backup = backup{crashedDisk(tn.ledger.disk, 100, 0), l.Head().Size}
		return nil
	}
	tn.tracef("the ledger is restored from a backup of %d entries, %d were published", tn.backup.size, published)
	tn.countEvent("ledger restored from a backup")
	tn.ledger.crash(100, 0)
	right := tn.ledger.disk
	tn.ledger.disk = crashedDisk(tn.backup.disk, 100, 0)
	tn.backup.disk = nil
	if ok, err := tn.ledger.start(tn.dayCtx); err != nil || !ok {
		return fmt.Errorf("starting from a backup: %v, %w", ok, err)
	}
	tn.onBackup = true
	if err := tn.runOnBackup(); err != nil {
		return err
	}
	tn.onBackup = false
	tn.ledger.crash(100, 0)
	tn.ledger.disk = right
	tn.tracef("the right disk is back")
	return tn.startAll()
}

// hasPublished says that the ledger is honest, up, and has published something.
func (tn *networkSim) hasPublished() bool {
	return tn.maliciousLog == nil && tn.ledger.node != nil && tn.scenario.quorumsIntersect() && tn.undecided == nil &&
		!tn.latest.After(time.Now()) && !tn.records.Head("party/authority").IsZero() && tn.ledger.node.Ledger.Published() != nil
}

// loseStore takes the ledger's store away, perhaps what was derived from it too, and
// perhaps the marks of its keys. It does not start; or if nothing at home knows that it
// was there, the operator begins anew with a charter, and the witnesses keep it
// from a second history. Then the operator finds the right disk.
func (tn *networkSim) loseStore() error {
	tn.ledger.crash(100, 0)
	right := tn.ledger.disk
	tn.ledger.disk = crashedDisk(right, 100, 0)
	marks, register := tn.chance(50), tn.chance(50)
	for name, lost := range map[string]bool{"store": true, "register": !register, "keys": !marks} {
		if lost {
			must(tn.ledger.disk.RemoveAll("ledger/" + name))
		}
	}
	tn.tracef("the ledger's store is lost; its keys' marks are left: %v, its register: %v", marks, register)
	tn.countEvent("ledger's store lost")
	switch ok, err := tn.ledger.start(tn.dayCtx); {
	case (marks || register) && errors.Is(err, ledger.ErrRollback):
	case marks:
		return fmt.Errorf("the ledger's store was lost, and it starts: %v, %w", ok, err)
	case err != nil || !ok:
		return fmt.Errorf("starting on an empty disk: %v, %w", ok, err)
	default: // the register too had lost what was not synced
		if err := tn.restartWithoutStore(); err != nil {
			return err
		}
		tn.ledger.crash(100, 0)
	}
	tn.ledger.disk = right
	tn.tracef("the right disk is back")
	return tn.startAll()
}

// restartWithoutStore begins a ledger anew whose store was lost.
func (tn *networkSim) restartWithoutStore() error {
	l := tn.ledger.node.Ledger
	tn.onBackup = true
	defer func() { tn.onBackup = false }()
	if err := tn.endFaults(); err != nil {
		return err
	}
	defer tn.net.setFaultFree(false)
	time.Sleep(2 * time.Minute)
	charter := registertest.New(time.Now().UTC().Truncate(time.Millisecond), origin, tn.policy.Text()).Charter()
	v, err := record.Open(charter, tn.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.dayCtx, v); err != nil {
		return err
	}
	if err := tn.ledger.runStep(tn.dayCtx, l.Commit); err != nil {
		return err
	}
	tn.countEvent("second history refused")
	err = errors.Join(tn.ledger.runStep(tn.dayCtx, l.Publish), l.MergeLate(tn.dayCtx))
	tn.tracef("the ledger that lost its store publishes: %s", firstLine(err))
	if !errors.Is(err, ledger.ErrRollback) || l.Published() != nil {
		return fmt.Errorf("the ledger's store was lost, it reaches its witnesses, and goes on: %w", err)
	}
	return nil
}

// runOnBackup lets the ledger live on a disk of before: first as the network is,
// then without mishaps.
func (tn *networkSim) runOnBackup() error {
	l := tn.ledger.node.Ledger
	before := l.Published().Checkpoint().Tree()
	for range tn.intn(4) {
		if err := tn.tryPublish(l); err != nil {
			return err
		}
	}
	c := pick(tn, tn.clients...)
	if err := c.update(tn.chance(60)); err != nil {
		return err
	}
	if err := tn.endFaults(); err != nil {
		return err
	}
	defer tn.net.setFaultFree(false)
	time.Sleep(2 * time.Minute)
	if err := tn.tryPublish(l); err != nil {
		return err
	}
	switch {
	case !errors.Is(l.Err(), ledger.ErrRollback):
		return fmt.Errorf("the ledger was restored from a backup, reaches its witnesses, and goes on: %w", l.Err())
	case !tn.ledger.logged("rolled back"):
		return errors.New("the ledger stopped, and told nobody why")
	case l.Published().Checkpoint().Tree() != before:
		return fmt.Errorf("the ledger was restored from a backup, and published %d entries", l.Published().Checkpoint().Size)
	}
	return nil
}

// tryPublish admits a record and publishes, whatever comes of it.
func (tn *networkSim) tryPublish(l *public.Ledger) error {
	env := tn.nextRecord()
	v, err := record.Open(env, tn.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.dayCtx, v); err == nil {
		err = tn.ledger.runStep(tn.dayCtx, l.Commit)
		if err != nil && !errors.Is(err, ledger.ErrClock) {
			return err
		}
	}
	err = errors.Join(tn.ledger.runStep(tn.dayCtx, l.Publish), l.MergeLate(tn.dayCtx))
	tn.tracef("the restored ledger publishes: %s", firstLine(err))
	if err == nil {
		return errors.New("the ledger was restored from a backup, and publishes")
	}
	return nil
}
