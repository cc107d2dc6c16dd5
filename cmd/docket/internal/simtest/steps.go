package simtest

import (
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// allow allows a step of the ledger to fail as it may, or because its machine fell; then it is
// taken down.
func (sim *simulation) allow(err error, allowed ...error) error {
	if sim.ledger.failed() {
		sim.tracef("the ledger has lost its power")
		sim.countEvent("ledger loses power")
		sim.ledger.crash(100, 0)
		return nil
	}
	if err == nil {
		return nil
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return nil
		}
	}
	return fmt.Errorf("a step of the ledger: %w", err)
}

// stepAlone is one thing that happens to a ledger that has no witnesses.
func (sim *simulation) stepAlone() error {
	switch n := sim.rng.IntN(100); {
	case sim.ledger.node == nil:
		return sim.startLedger()
	case n < 22:
		for range 1 + sim.rng.IntN(4) {
			if l := sim.authors.nextSubmission(); l != nil {
				sim.authors.send(l)
			}
		}
	case n < 27:
		for _, l := range sim.authors.conflictingPair() {
			sim.authors.send(l)
		}
	case n < 31:
		for _, l := range sim.authors.allResponses() {
			sim.authors.send(l)
		}
		return sim.commitOrPublish()
	case n < 34:
		if l := sim.authors.addMissingSignatures(); l != nil {
			sim.authors.send(l)
		}
	case n < 41:
		sim.authors.resendAny()
	case n < 63:
		return sim.commitOrPublish()
	case n < 66:
		return sim.failPowerOrDisk(false)
	case n < 69:
		return sim.failPowerOrDisk(true)
	case n < 72:
		sim.crashLedgerNow()
	case n < 74:
		sim.tracef("the ledger is restarted")
		return errors.Join(sim.ledger.stop(), sim.startLedger())
	case n < 76:
		return sim.deleteRegister()
	case n < 82:
		sim.followers[sim.rng.IntN(len(sim.followers))].sync()
	case n < 85:
		sim.followers[sim.rng.IntN(len(sim.followers))].crash(pick(sim, 0, 30, 70, 100))
	case n < 87:
		if f := sim.followers[sim.rng.IntN(len(sim.followers))]; f.syncing {
			sim.tracef("%s is interrupted", f.name)
			f.cancelSync()
		}
	case n < 89:
		sim.auditor.audit()
	case n < 91:
		sim.verifyRandomChain()
	case n < 93:
		who := pick(sim, "submitter-0", "submitter-1", "follower-1", "auditor")
		cut := sim.chance(50)
		sim.tracef("%s and the ledger are parted: %v", who, cut)
		sim.net.setBlocked(link{who, ledgerHost}, cut)
	default:
		d := pick(sim, 3*time.Millisecond, time.Second, 11*time.Second, 15*time.Minute)
		sim.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// commitOrPublish commits, publishes, or both.
func (sim *simulation) commitOrPublish() error {
	l := sim.ledger.node.Ledger
	steps := pick(sim, []bool{true, false}, []bool{true, true}, []bool{false, true})
	if steps[0] {
		waiting, from := l.Queued(), l.Head().Size
		err := sim.ledger.runStep(sim.dayCtx, l.Commit)
		sim.tracef("commit of %d: from %d to %d, %v", waiting, from, l.Head().Size, err)
		synctest.Wait() // who was refused is told
		if err := sim.allow(err, ledger.ErrClock); err != nil || sim.ledger.node == nil {
			return err
		}
	}
	if steps[1] && l.Head().Size > 0 {
		err := sim.ledger.runStep(sim.dayCtx, l.Publish)
		sim.tracef("publish %d: %v", l.Head().Size, err)
		return sim.allow(err)
	}
	return nil
}

// failPowerOrDisk prepares a failure of power or disk, and goes on until it comes.
func (sim *simulation) failPowerOrDisk(disk bool) error {
	after, keep := sim.rng.IntN(6), pick(sim, 0, 20, 50, 80, 100)
	what := "power"
	if disk {
		what = "disk"
	}
	sim.tracef("the %s will fail after %d writes, %d %% of what was not synced will be kept", what, after, keep)
	sim.ledger.fault.arm(disk, after, keep, sim.rng.Uint64())
	for range 3 {
		if l := sim.authors.nextSubmission(); l != nil {
			sim.authors.send(l)
		}
		if err := sim.finishTasks(); err != nil {
			return err
		}
		if err := sim.commitOrPublish(); err != nil || sim.ledger.node == nil {
			return err
		}
	}
	return nil
}

// crashLedgerNow ends the ledger's process between two steps, or its machine.
func (sim *simulation) crashLedgerNow() {
	keep := pick(sim, 0, 40, 80, 100)
	sim.tracef("the ledger crashes, %d %% of what it had not synced is kept", keep)
	sim.ledger.crash(keep, sim.rng.Uint64())
	sim.countEvent("ledger crashes")
}

// deleteRegister deletes the register, which is derived.
func (sim *simulation) deleteRegister() error {
	sim.tracef("the ledger's register is deleted")
	if err := sim.ledger.stop(); err != nil {
		return err
	}
	if err := sim.ledger.disk.RemoveAll("ledger/register"); err != nil {
		return err
	}
	return sim.startLedger()
}

// startLedger starts the ledger; now and then the power fails once more meanwhile.
func (sim *simulation) startLedger() error {
	if sim.chance(15) {
		sim.ledger.fault.arm(false, sim.rng.IntN(40), pick(sim, 0, 50, 100), sim.rng.Uint64())
	}
	ok, err := sim.ledger.start(sim.dayCtx)
	sim.tracef("the ledger starts: %v", ok)
	if !ok {
		sim.countEvent("ledger loses power as it starts")
	}
	return err
}

// nextRecord is a record that any history admits, whatever else is in it.
func (sim *simulation) nextRecord() record.Envelope {
	sim.authors.Now = time.Now().UTC().Truncate(time.Millisecond)
	switch {
	case sim.undecided != nil:
		return *sim.undecided
	case sim.authors.Ledger.IsZero():
		return sim.authors.Charter()
	case sim.authors.Head("party/authority").IsZero():
		return sim.authors.Authority()
	}
	sim.designations++
	order := sim.authors.NewDesignation(fmt.Sprintf("Kestrel %d", sim.designations))
	st := sim.authors.Statement(record.DesignationThread(fmt.Sprintf("2026-%03d", sim.designations)), record.Authority, order)
	return sim.authors.Sign(st, "authority/officer-1", "authority/officer-2")
}

// commitRecord commits one more record on the honest ledger.
func (sim *simulation) commitRecord() error {
	l, env := sim.ledger.node.Ledger, sim.nextRecord()
	sim.undecided = &env
	if err := sim.ledger.runStep(sim.dayCtx, l.CheckClock); err != nil { // as Run does before it commits
		sim.tracef("the clock is not confirmed: %s", firstLine(err))
		sim.countEvent("clock not confirmed")
		return sim.allow(err, ledger.ErrNoQuorum, ledger.ErrClock)
	}
	v, err := record.Open(env, sim.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(sim.dayCtx, v); errors.Is(err, ledger.ErrBacklog) {
		return nil
	} else if err != nil && l.Err() == nil {
		return err
	}
	committed := sim.ledger.runStep(sim.dayCtx, l.Commit)
	if err := sim.allow(committed, ledger.ErrClock); err != nil || sim.ledger.node == nil {
		return err
	}
	_, there, err := l.Lookup(v.ID())
	if there {
		sim.authors.NoteAdmitted(env)
	}
	if there || committed == nil { // or it was refused, being of yesterday
		sim.undecided = nil
	}
	return err
}

// publish publishes what is committed on the honest ledger, or has its newest
// checkpoint cosigned again.
func (sim *simulation) publish() error {
	l := sim.ledger.node.Ledger
	if l.Head().Size == 0 {
		return nil
	}
	what, act := "publish", l.Publish
	if sim.chance(20) {
		what, act = "recosign", l.Recosign
	}
	err := sim.ledger.runStep(sim.dayCtx, act)
	sim.tracef("%s of %d: %s", what, l.Head().Size, firstLine(err))
	if errors.Is(err, ledger.ErrNoQuorum) {
		sim.countEvent("no quorum")
	}
	return sim.allow(errors.Join(err, l.MergeLate(sim.dayCtx)), ledger.ErrNoQuorum, ledger.ErrClock)
}

func firstLine(err error) string {
	if err == nil {
		return "done"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// stepNetwork is one thing that happens to a ledger, its witnesses and its clients.
func (sim *simulation) stepNetwork() error {
	s := pick(sim, sim.witnesses...)
	switch n := sim.intn(112); {
	case n < 35:
		return sim.operatorStep()
	case n < 40:
		return sim.crashLedger()
	case n < 48:
		if s.witness != nil {
			sim.tracef("the power of %s will fail", s.name)
			s.fault.arm(false, sim.intn(5), pick(sim, 0, 30, 70, 100), sim.rng.Uint64())
		}
	case n < 52:
		keep := pick(sim, 0, 50, 100)
		sim.tracef("%s crashes, %d %% of what it had not synced is kept", s.name, keep)
		sim.countEvent("witness crashes")
		s.stop(keep)
	case n < 60:
		for _, s := range sim.witnesses {
			if err := sim.startWitness(s); err != nil {
				return err
			}
		}
	case n < 64:
		return sim.backUpOrRestoreWitnesses()
	case n < 70:
		sim.changeLinks()
	case n < 78:
		return sim.gossip(s)
	case n < 90:
		c := pick(sim, sim.clients...)
		sim.chooseShownHost(c)
		return c.update(sim.chance(60))
	case n < 93:
		c := pick(sim, sim.clients...)
		return c.submitToWitness(c.note)
	case n < 96:
		return sim.checkPublishing()
	case n < 99:
		sim.replayNotes(s)
	case n < 101:
		sim.sendMalformed(s)
	case n < 104:
		if sim.maliciousLog != nil {
			sim.maliciousLog.floodWitness(s)
		}
	case n < 106:
		sim.slowLog.submitTo(s)
	case n < 109:
		return sim.backUpOrRollBack()
	default:
		d := pick(sim, time.Second, 20*time.Second, 3*time.Minute)
		sim.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// operatorStep is what the operator does: it admits and publishes, on one of its
// histories if it has two.
func (sim *simulation) operatorStep() error {
	if sim.maliciousLog != nil {
		return sim.maliciousStep(sim.intn(2))
	}
	if sim.ledger.node == nil {
		return sim.startAll()
	}
	for range sim.intn(3) {
		if err := sim.commitRecord(); err != nil || sim.ledger.node == nil {
			return err
		}
	}
	return sim.publish()
}

func (sim *simulation) maliciousStep(i int) error {
	b := sim.maliciousLog.branches[i]
	for range sim.intn(4) {
		if err := b.appendRecord(sim.nextRecord()); err != nil {
			return fmt.Errorf("the forger's own record: %w", err)
		}
	}
	quorum, err := sim.maliciousLog.publish(b)
	for range 2 {
		if !quorum && err == nil {
			quorum, err = sim.maliciousLog.publish(b)
		}
	}
	sim.tracef("the forger asks for view %d of %d entries; quorum: %v", i, len(b.entries), quorum)
	if !quorum || err != nil {
		return err
	}
	sim.countEvent("forged view with a quorum")
	c := sim.clients[i+2*sim.intn(2)] // of whom the operator knows that he will look
	sim.net.redirect(link{c.name, ledgerHost}, b.host)
	return c.update(sim.chance(60))
}

func (sim *simulation) crashLedger() error {
	if sim.ledger.node == nil {
		return nil
	}
	if sim.chance(50) {
		sim.tracef("the ledger crashes")
		sim.countEvent("ledger crashes")
		sim.ledger.crash(pick(sim, 0, 50, 100), sim.rng.Uint64())
		return nil
	}
	sim.tracef("the power of the ledger will fail")
	sim.ledger.fault.arm(false, sim.intn(4), pick(sim, 0, 50, 100), sim.rng.Uint64())
	return nil
}

// startWitness starts a witness that is down; now and then the power fails meanwhile.
func (sim *simulation) startWitness(s *witnessNode) error {
	if s.witness != nil || !s.runsRealWitness() {
		return nil
	}
	if sim.chance(30) {
		s.fault.arm(false, sim.intn(40), pick(sim, 0, 50, 100), sim.rng.Uint64())
	}
	ok, err := s.start()
	sim.tracef("%s starts: %v", s.name, ok)
	if !ok {
		sim.countEvent("witness loses power as it starts")
	}
	s.lookUp()
	return err
}

// backUpOrRestoreWitnesses makes backups of the careless witnesses, or brings them back.
func (sim *simulation) backUpOrRestoreWitnesses() error {
	for _, s := range sim.witnesses {
		if s.behaviour != restoredFromBackup {
			continue
		}
		if s.backup == nil || sim.maliciousLog == nil && sim.chance(50) {
			sim.tracef("a backup of %s is made", s.name)
			if !s.shutDown() {
				continue
			}
			s.backup = crashedDisk(s.disk, 100, 0)
			if _, err := s.start(); err != nil {
				return err
			}
			s.lookUp()
			continue
		}
		sim.tracef("%s is restored from its backup", s.name)
		sim.countEvent("witness restored from a backup")
		s.stop(100)
		s.disk = crashedDisk(s.backup, 100, 0)
		if _, err := s.start(); err != nil {
			return err
		}
		s.lookUp()
	}
	return nil
}

// changeLinks cuts one link of the network, or isolates one witness, or mends all.
func (sim *simulation) changeLinks() {
	s := pick(sim, sim.witnesses...)
	asking := []string{ledgerHost, viewHost(0), viewHost(1)}
	switch sim.intn(4) {
	case 0:
		for l := range sim.net.blocked {
			sim.net.setBlocked(l, false)
		}
		sim.tracef("all links are mended")
	case 1:
		from := pick(sim, asking...)
		sim.tracef("%s does not reach %s", from, s.name)
		sim.countEvent("ledger and witness parted")
		sim.net.setBlocked(link{from, s.name}, true)
	case 2:
		sim.tracef("%s is cut off from the other witnesses", s.name)
		sim.countEvent("witnesses parted")
		for _, peer := range sim.witnesses {
			sim.net.setBlocked(link{s.name, peer.name}, true)
			sim.net.setBlocked(link{peer.name, s.name}, true)
		}
	default:
		c := pick(sim, sim.clients...)
		sim.tracef("%s is cut off from all witnesses", c.name)
		sim.countEvent("client and witnesses parted")
		for _, peer := range sim.witnesses {
			sim.net.setBlocked(link{c.name, peer.name}, true)
		}
	}
}

// gossip lets a witness make one round, which a peer that hangs must not prolong.
func (sim *simulation) gossip(s *witnessNode) error {
	if s.witness == nil {
		return nil
	}
	begun := time.Now()
	r := s.witness.Gossip(sim.dayCtx)
	took := time.Since(begun)
	sim.tracef("%s gossips for %s: %+v", s.name, took.Round(time.Second), r)
	sim.countEvent("gossip")
	if took > maxRoundTime {
		return fmt.Errorf("a round of gossip of %s took %s", s.name, took)
	}
	return nil
}

// maxRoundTime is what a witness with so many peers, asked one after another, may
// take if all of them hang.
const maxRoundTime = 10 * time.Minute

// chooseShownHost decides what a client will be shown: the history of its audience, and now
// and then another, or something of both.
func (sim *simulation) chooseShownHost(c *clientNode) {
	if sim.maliciousLog == nil {
		return
	}
	i := int(c.name[len(c.name)-1]) % 2
	host := viewHost(i)
	switch sim.intn(8) {
	case 0:
		host = viewHost(1 - i)
	case 1, 2:
		host = staleHost(sim.intn(2))
	case 3:
		host = mixedHost(sim.intn(2))
		sim.countEvent("client is shown something of both")
	}
	sim.tracef("%s will be shown %s", c.name, host)
	sim.net.redirect(link{c.name, ledgerHost}, host)
}

// fork makes the operator sign two histories from now on, and choose who is shown
// which.
func (sim *simulation) fork() error {
	if err := sim.checkPublishing(); err != nil {
		return err
	}
	for _, s := range sim.witnesses {
		if s.behaviour == restoredFromBackup {
			s.backup = crashedDisk(s.disk, 100, 0) // the last one that is of use to the operator
		}
	}
	l := sim.ledger.node.Ledger
	published := l.Published()
	entries, err := l.Entries(sim.dayCtx, 0, published.Checkpoint().Size)
	if err != nil {
		return err
	}
	if err := sim.ledger.stop(); err != nil {
		return err
	}
	if sim.maliciousLog, err = newMaliciousLog(sim, entries, published); err != nil {
		return err
	}
	sim.undecided = nil
	sim.tracef("the operator keeps two histories from size %d on", len(entries))
	sim.countEvent("fork")
	sim.assignHistories()
	for i := range sim.maliciousLog.branches {
		for _, s := range sim.witnesses {
			sim.net.setBlocked(link{s.name, mirrorHost(i)}, true)
		}
	}
	return nil
}

// assignHistories decides who is shown which history: each witness by chance, most the first
// alone so that it has a quorum, or one half of the honest each and the others both.
func (sim *simulation) assignHistories() {
	scheme := sim.intn(3)
	for i, s := range sim.witnesses {
		side := sim.intn(3) // 2: both
		switch {
		case scheme == 1 && sim.chance(80):
			side = 0
		case scheme == 2 && s.isHonest():
			side = i % 2
		case scheme == 2:
			side = 2
		}
		if side < 2 {
			sim.net.setBlocked(link{viewHost(1 - side), s.name}, true)
		}
		sim.net.redirect(link{s.name, ledgerHost}, viewHost(side%2))
	}
}
