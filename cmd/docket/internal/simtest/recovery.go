package simtest

import (
	"errors"
	"fmt"
	"slices"
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
func (sim *simulation) endFaults() error {
	for l := range sim.net.blocked {
		sim.net.setBlocked(l, false)
	}
	sim.net.setFaultFree(true)
	sim.ledger.fault.disarm()
	for _, s := range sim.witnesses {
		if s.witness != nil {
			s.fault.disarm()
		}
	}
	return sim.startAll()
}

// startAll starts every machine that is down.
func (sim *simulation) startAll() error {
	if sim.maliciousLog == nil && sim.ledger.node == nil {
		if ok, err := sim.ledger.start(sim.dayCtx); err != nil || !ok {
			return err
		}
	}
	for _, s := range sim.witnesses {
		if s.witness == nil {
			if _, err := s.start(); err != nil {
				return err
			}
		}
	}
	for _, s := range sim.witnesses {
		s.lookUp()
	}
	return nil
}

// checkPublishing is a while without mishaps. In it, no witness that lies, dawdles or is dead
// keeps an honest ledger from publishing.
func (sim *simulation) checkPublishing() error {
	if sim.maliciousLog != nil || sim.latest.After(time.Now()) {
		return nil // the clock was set back, and nothing is admitted until it has caught up
	}
	sim.tracef("a while without mishaps")
	if err := sim.endFaults(); err != nil {
		return err
	}
	defer sim.net.setFaultFree(false)
	// What a witness stamps counts after a start once its clock says a later time.
	time.Sleep(maxClockOffset)
	l := sim.ledger.node.Ledger
	if l.Head().Size > 0 {
		if err := l.Publish(sim.dayCtx); err != nil {
			return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
		}
	}
	if err := l.CheckClock(sim.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger's clock is not confirmed: %w", err)
	}
	if err := sim.commitRecord(); err != nil {
		return err
	}
	for sim.authors.Ledger.IsZero() || sim.authors.Head("party/authority").IsZero() {
		if err := sim.commitRecord(); err != nil {
			return err
		}
	}
	if err := l.Publish(sim.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
	}
	if err := l.Recosign(sim.dayCtx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger is not cosigned again: %w", err)
	}
	if l.Backlog() > 0 {
		return fmt.Errorf("%d entries are not published", l.Backlog())
	}
	sim.countEvent("calm")
	return nil
}

// growToFirstTile is a day without mishaps on which the ledger grows to just below the size
// at which its first tile is full. Every other world begins with one.
func (sim *simulation) growToFirstTile() error {
	if err := sim.endFaults(); err != nil {
		return err
	}
	defer sim.net.setFaultFree(false)
	for sim.invariants.published.Size < proof.TileWidth-20 {
		for range 5 {
			if l := sim.authors.nextSubmission(); l != nil {
				sim.authors.send(l)
			}
		}
		for _, l := range sim.authors.allResponses() {
			sim.authors.send(l)
		}
		if err := sim.commitAndPublish(); err != nil {
			return err
		}
	}
	return nil
}

// runFaultFreeDay is a day without mishaps, at whose end nothing is open: every letter has
// its answer, every follower all entries, the auditor no finding.
func (sim *simulation) runFaultFreeDay() error {
	sim.tracef("the last day: no mishaps")
	if err := sim.endFaults(); err != nil {
		return err
	}
	for range 3 {
		for open := range slices.Chunk(sim.authors.undecided(), 10) {
			for _, l := range open {
				sim.authors.send(l)
			}
			if err := sim.commitAndPublish(); err != nil {
				return err
			}
		}
		time.Sleep(time.Hour) // for what is dated ahead
	}
	if l := sim.authors.undecided(); len(l) > 0 {
		return fmt.Errorf("%d letters have no answer on a day without mishaps: letter %d, %s", len(l), l[0].number, l[0].description)
	}
	for _, f := range sim.followers {
		f.sync()
	}
	sim.auditor.audit()
	if err := sim.commitAndPublish(); err != nil {
		return err
	}
	for _, f := range sim.followers {
		if f.trusted != sim.invariants.published {
			return fmt.Errorf("%s has %d entries of %d", f.name, f.trusted.Size, sim.invariants.published.Size)
		}
	}
	return errors.Join(sim.invariants.checkCommitted(), sim.invariants.checkFromScratch())
}

// commitAndPublish lets the ledger do all that there is to do.
func (sim *simulation) commitAndPublish() error {
	if err := sim.finishTasks(); err != nil {
		return err
	}
	l := sim.ledger.node.Ledger
	if err := errors.Join(l.Commit(sim.dayCtx), l.Publish(sim.dayCtx)); err != nil {
		return err
	}
	return sim.check()
}

// healPartition ends the partition. If witnesses have cosigned both histories, or were handed
// both, then after one round of gossip everyone honest holds the evidence.
func (sim *simulation) healPartition() error {
	if sim.maliciousLog == nil {
		if err := sim.checkPublishing(); err != nil {
			return err
		}
	}
	sim.tracef("the partition heals")
	if err := sim.endFaults(); err != nil {
		return err
	}
	time.Sleep(2 * time.Minute)
	for _, s := range sim.witnesses {
		sim.replayNotes(s)
		sim.sendMalformed(s)
		if sim.maliciousLog != nil {
			sim.maliciousLog.floodWitness(s)
		}
	}
	var handed []proof.Tree
	for _, c := range sim.clients {
		if c.note == nil {
			continue
		}
		s := sim.anyHonestWitness() // one is enough: it tells the others
		w, err := wire.NewWitness(s.url(), sim.net.transportOf(c.name))
		must(err)
		if err := w.AddSeenCheckpoint(sim.dayCtx, c.note); err != nil {
			return fmt.Errorf("%s hands in what it believes: %w", c.name, err)
		}
		handed = append(handed, c.trusted)
	}
	if err := sim.check(); err != nil {
		return err
	}
	before := 0
	for _, s := range sim.witnesses {
		if sim.invariants.halted[s.name] {
			before++
		}
	}
	evidenceDue := sim.invariants.forkCosigned(handed...)
	for _, i := range sim.rng.Perm(len(sim.witnesses)) {
		if err := sim.gossip(sim.witnesses[i]); err != nil {
			return err
		}
	}
	if err := sim.check(); err != nil {
		return err
	}
	if !evidenceDue {
		return nil
	}
	sim.countEvent("evidence was due")
	if before == 0 {
		sim.countEvent("evidence came with the healing")
	}
	var errs []error
	for _, s := range sim.witnesses {
		if s.isHonest() && !sim.invariants.halted[s.name] {
			errs = append(errs, fmt.Errorf("%s has no evidence one round after the partition healed", s.name))
		}
	}
	return errors.Join(errs...)
}

// anyHonestWitness is one of the witnesses that the invariants bind.
func (sim *simulation) anyHonestWitness() *witnessNode {
	for {
		if s := pick(sim, sim.witnesses...); s.isHonest() {
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
func (sim *simulation) backUpOrRollBack() error {
	if !sim.hasPublished() {
		return nil
	}
	if sim.chance(40) {
		return sim.loseStore()
	}
	l := sim.ledger.node.Ledger
	published := l.Published().Checkpoint().Size
	if sim.backup.disk == nil || published <= sim.backup.size {
		sim.tracef("a backup of the ledger is made at %d entries", l.Head().Size)
		sim.backup = backup{crashedDisk(sim.ledger.disk, 100, 0), l.Head().Size}
		return nil
	}
	sim.tracef("the ledger is restored from a backup of %d entries, %d were published", sim.backup.size, published)
	sim.countEvent("ledger restored from a backup")
	sim.ledger.crash(100, 0)
	right := sim.ledger.disk
	sim.ledger.disk = crashedDisk(sim.backup.disk, 100, 0)
	sim.backup.disk = nil
	if ok, err := sim.ledger.start(sim.dayCtx); err != nil || !ok {
		return fmt.Errorf("starting from a backup: %v, %w", ok, err)
	}
	sim.onBackup = true
	if err := sim.runOnBackup(); err != nil {
		return err
	}
	sim.onBackup = false
	sim.ledger.crash(100, 0)
	sim.ledger.disk = right
	sim.tracef("the right disk is back")
	return sim.startAll()
}

// hasPublished says that the ledger is honest, up, and has published something.
func (sim *simulation) hasPublished() bool {
	return sim.maliciousLog == nil && sim.ledger.node != nil && sim.scenario.quorumsIntersect() && sim.undecided == nil &&
		!sim.latest.After(time.Now()) && !sim.authors.Head("party/authority").IsZero() && sim.ledger.node.Ledger.Published() != nil
}

// loseStore takes the ledger's store away, perhaps what was derived from it too, and
// perhaps the marks of its keys. It does not start; or if nothing at home knows that it
// was there, the operator begins anew with a charter, and the witnesses keep it
// from a second history. Then the operator finds the right disk.
func (sim *simulation) loseStore() error {
	sim.ledger.crash(100, 0)
	right := sim.ledger.disk
	sim.ledger.disk = crashedDisk(right, 100, 0)
	marks, register := sim.chance(50), sim.chance(50)
	for name, lost := range map[string]bool{"store": true, "register": !register, "keys": !marks} {
		if lost {
			must(sim.ledger.disk.RemoveAll("ledger/" + name))
		}
	}
	sim.tracef("the ledger's store is lost; its keys' marks are left: %v, its register: %v", marks, register)
	sim.countEvent("ledger's store lost")
	switch ok, err := sim.ledger.start(sim.dayCtx); {
	case (marks || register) && errors.Is(err, ledger.ErrRollback):
	case marks:
		return fmt.Errorf("the ledger's store was lost, and it starts: %v, %w", ok, err)
	case err != nil || !ok:
		return fmt.Errorf("starting on an empty disk: %v, %w", ok, err)
	default: // the register too had lost what was not synced
		if err := sim.restartWithoutStore(); err != nil {
			return err
		}
		sim.ledger.crash(100, 0)
	}
	sim.ledger.disk = right
	sim.tracef("the right disk is back")
	return sim.startAll()
}

// restartWithoutStore begins a ledger anew whose store was lost.
func (sim *simulation) restartWithoutStore() error {
	l := sim.ledger.node.Ledger
	sim.onBackup = true
	defer func() { sim.onBackup = false }()
	if err := sim.endFaults(); err != nil {
		return err
	}
	defer sim.net.setFaultFree(false)
	time.Sleep(2 * time.Minute)
	charter := registertest.New(time.Now().UTC().Truncate(time.Millisecond), origin, sim.policy.Text()).Charter()
	v, err := record.Open(charter, sim.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(sim.dayCtx, v); err != nil {
		return err
	}
	if err := sim.ledger.runStep(sim.dayCtx, l.Commit); err != nil {
		return err
	}
	sim.countEvent("second history refused")
	err = errors.Join(sim.ledger.runStep(sim.dayCtx, l.Publish), l.MergeLate(sim.dayCtx))
	sim.tracef("the ledger that lost its store publishes: %s", firstLine(err))
	if !errors.Is(err, ledger.ErrRollback) || l.Published() != nil {
		return fmt.Errorf("the ledger's store was lost, it reaches its witnesses, and goes on: %w", err)
	}
	return nil
}

// runOnBackup lets the ledger live on a disk of before: first as the network is,
// then without mishaps.
func (sim *simulation) runOnBackup() error {
	l := sim.ledger.node.Ledger
	before := l.Published().Checkpoint().Tree()
	for range sim.intn(4) {
		if err := sim.tryPublish(l); err != nil {
			return err
		}
	}
	c := pick(sim, sim.clients...)
	if err := c.update(sim.chance(60)); err != nil {
		return err
	}
	if err := sim.endFaults(); err != nil {
		return err
	}
	defer sim.net.setFaultFree(false)
	time.Sleep(2 * time.Minute)
	if err := sim.tryPublish(l); err != nil {
		return err
	}
	switch {
	case !errors.Is(l.Err(), ledger.ErrRollback):
		return fmt.Errorf("the ledger was restored from a backup, reaches its witnesses, and goes on: %w", l.Err())
	case !sim.ledger.logged("rolled back"):
		return errors.New("the ledger stopped, and told nobody why")
	case l.Published().Checkpoint().Tree() != before:
		return fmt.Errorf("the ledger was restored from a backup, and published %d entries", l.Published().Checkpoint().Size)
	}
	return nil
}

// tryPublish admits a record and publishes, whatever comes of it.
func (sim *simulation) tryPublish(l *public.Ledger) error {
	env := sim.nextRecord()
	v, err := record.Open(env, sim.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(sim.dayCtx, v); err == nil {
		err = sim.ledger.runStep(sim.dayCtx, l.Commit)
		if err != nil && !errors.Is(err, ledger.ErrClock) {
			return err
		}
	}
	err = errors.Join(sim.ledger.runStep(sim.dayCtx, l.Publish), l.MergeLate(sim.dayCtx))
	sim.tracef("the restored ledger publishes: %s", firstLine(err))
	if err == nil {
		return errors.New("the ledger was restored from a backup, and publishes")
	}
	return nil
}
