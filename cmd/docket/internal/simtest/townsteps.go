package simtest

import (
	"fmt"
	"time"
)

// step is one thing that happens in the town.
func (tn *networkSim) step() error {
	s := pick(tn, tn.witnesses...)
	switch n := tn.roll(112); {
	case n < 35:
		return tn.operatorStep()
	case n < 40:
		return tn.crashLedger()
	case n < 48:
		if s.witness != nil {
			tn.tracef("the power of %s will fail", s.name)
			s.fault.arm(false, tn.roll(5), pick(tn, 0, 30, 70, 100), tn.rng.Uint64())
		}
	case n < 52:
		keep := pick(tn, 0, 50, 100)
		tn.tracef("%s crashes, %d %% of what it had not synced is kept", s.name, keep)
		tn.countEvent("witness crashes")
		s.stop(keep)
	case n < 60:
		for _, s := range tn.witnesses {
			if err := tn.startWitness(s); err != nil {
				return err
			}
		}
	case n < 64:
		return tn.backUpOrRestoreWitnesses()
	case n < 70:
		tn.changeLinks()
	case n < 78:
		return tn.gossip(s)
	case n < 90:
		c := pick(tn, tn.clients...)
		tn.chooseShownHost(c)
		return c.update(tn.chance(60))
	case n < 93:
		c := pick(tn, tn.clients...)
		return c.submitToWitness(c.note)
	case n < 96:
		return tn.checkPublishing()
	case n < 99:
		tn.replayNotes(s)
	case n < 101:
		tn.sendMalformed(s)
	case n < 104:
		if tn.maliciousLog != nil {
			tn.maliciousLog.floodWitness(s)
		}
	case n < 106:
		tn.slowLog.submitTo(s)
	case n < 109:
		return tn.backUpOrRollBack()
	default:
		d := pick(tn, time.Second, 20*time.Second, 3*time.Minute)
		tn.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// operatorStep is what the operator does: it admits and publishes, on one of its
// histories if it has two.
func (tn *networkSim) operatorStep() error {
	if tn.maliciousLog != nil {
		return tn.maliciousStep(tn.roll(2))
	}
	if tn.ledger.node == nil {
		return tn.startAll()
	}
	for range tn.roll(3) {
		if err := tn.commitRecord(); err != nil || tn.ledger.node == nil {
			return err
		}
	}
	return tn.publish()
}

func (tn *networkSim) maliciousStep(i int) error {
	b := tn.maliciousLog.branches[i]
	for range tn.roll(4) {
		if err := b.appendRecord(tn.nextRecord()); err != nil {
			return fmt.Errorf("the forger's own record: %w", err)
		}
	}
	quorum, err := tn.maliciousLog.publish(b)
	for range 2 {
		if !quorum && err == nil {
			quorum, err = tn.maliciousLog.publish(b)
		}
	}
	tn.tracef("the forger asks for view %d of %d entries; quorum: %v", i, len(b.entries), quorum)
	if !quorum || err != nil {
		return err
	}
	tn.countEvent("forged view with a quorum")
	c := tn.clients[i+2*tn.roll(2)] // of whom the operator knows that he will look
	tn.net.redirect(link{c.name, ledgerHost}, b.host)
	return c.update(tn.chance(60))
}

func (tn *networkSim) crashLedger() error {
	if tn.ledger.node == nil {
		return nil
	}
	if tn.chance(50) {
		tn.tracef("the ledger crashes")
		tn.countEvent("ledger crashes")
		tn.ledger.crash(pick(tn, 0, 50, 100), tn.rng.Uint64())
		return nil
	}
	tn.tracef("the power of the ledger will fail")
	tn.ledger.fault.arm(false, tn.roll(4), pick(tn, 0, 50, 100), tn.rng.Uint64())
	return nil
}

// startWitness starts a witness that is down; now and then the power fails meanwhile.
func (tn *networkSim) startWitness(s *witnessNode) error {
	if s.witness != nil || !s.runsRealWitness() {
		return nil
	}
	if tn.chance(30) {
		s.fault.arm(false, tn.roll(40), pick(tn, 0, 50, 100), tn.rng.Uint64())
	}
	ok, err := s.start()
	tn.tracef("%s starts: %v", s.name, ok)
	if !ok {
		tn.countEvent("witness loses power as it starts")
	}
	return err
}

// backUpOrRestoreWitnesses makes backups of the careless witnesses, or brings them back.
func (tn *networkSim) backUpOrRestoreWitnesses() error {
	for _, s := range tn.witnesses {
		if s.behaviour != restoredFromBackup {
			continue
		}
		if s.backup == nil || tn.maliciousLog == nil && tn.chance(50) {
			tn.tracef("a backup of %s is made", s.name)
			s.backup = crashedDisk(s.disk, 100, 0)
			continue
		}
		tn.tracef("%s is restored from its backup", s.name)
		tn.countEvent("witness restored from a backup")
		s.stop(100)
		s.disk = crashedDisk(s.backup, 100, 0)
		if _, err := s.start(); err != nil {
			return err
		}
	}
	return nil
}

// changeLinks cuts one link of the network, or isolates one witness, or mends all.
func (tn *networkSim) changeLinks() {
	s := pick(tn, tn.witnesses...)
	asking := []string{ledgerHost, viewHost(0), viewHost(1)}
	switch tn.roll(4) {
	case 0:
		for l := range tn.net.blocked {
			tn.net.setBlocked(l, false)
		}
		tn.tracef("all links are mended")
	case 1:
		from := pick(tn, asking...)
		tn.tracef("%s does not reach %s", from, s.name)
		tn.countEvent("ledger and witness parted")
		tn.net.setBlocked(link{from, s.name}, true)
	case 2:
		tn.tracef("%s is cut off from the other witnesses", s.name)
		tn.countEvent("witnesses parted")
		for _, peer := range tn.witnesses {
			tn.net.setBlocked(link{s.name, peer.name}, true)
			tn.net.setBlocked(link{peer.name, s.name}, true)
		}
	default:
		c := pick(tn, tn.clients...)
		tn.tracef("%s is cut off from all witnesses", c.name)
		tn.countEvent("client and witnesses parted")
		for _, peer := range tn.witnesses {
			tn.net.setBlocked(link{c.name, peer.name}, true)
		}
	}
}

// gossip lets a witness make one round, which whoever hangs must not draw out.
func (tn *networkSim) gossip(s *witnessNode) error {
	if s.witness == nil {
		return nil
	}
	begun := time.Now()
	r := s.witness.Gossip(tn.dayCtx)
	took := time.Since(begun)
	tn.tracef("%s gossips for %s: %+v", s.name, took.Round(time.Second), r)
	tn.countEvent("gossip")
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
func (tn *networkSim) chooseShownHost(c *clientNode) {
	if tn.maliciousLog == nil {
		return
	}
	i := int(c.name[len(c.name)-1]) % 2
	host := viewHost(i)
	switch tn.roll(8) {
	case 0:
		host = viewHost(1 - i)
	case 1, 2:
		host = staleHost(tn.roll(2))
	case 3:
		host = mixedHost(tn.roll(2))
		tn.countEvent("client is shown something of both")
	}
	tn.tracef("%s will be shown %s", c.name, host)
	tn.net.redirect(link{c.name, ledgerHost}, host)
}

// fork is when the operator begins to keep two histories. Whom it can reach with
// which, it chooses.
func (tn *networkSim) fork() error {
	if err := tn.checkPublishing(); err != nil {
		return err
	}
	for _, s := range tn.witnesses {
		if s.behaviour == restoredFromBackup {
			s.backup = crashedDisk(s.disk, 100, 0) // the last one that is of use to the operator
		}
	}
	l := tn.ledger.node.Ledger
	published := l.Published()
	entries, err := l.Entries(tn.dayCtx, 0, published.Checkpoint().Size)
	if err != nil {
		return err
	}
	if err := tn.ledger.stop(); err != nil {
		return err
	}
	if tn.maliciousLog, err = newMaliciousLog(tn, entries, published); err != nil {
		return err
	}
	tn.undecided = nil
	tn.tracef("the operator keeps two histories from size %d on", len(entries))
	tn.countEvent("fork")
	tn.assignHistories()
	for i := range tn.maliciousLog.branches {
		for _, s := range tn.witnesses {
			tn.net.setBlocked(link{s.name, mirrorHost(i)}, true)
		}
	}
	return nil
}

// assignHistories decides who is shown which history: each witness by chance, most the first
// alone so that it has a quorum, or one half of the honest each and the others both.
func (tn *networkSim) assignHistories() {
	scheme := tn.roll(3)
	for i, s := range tn.witnesses {
		side := tn.roll(3) // 2: both
		switch {
		case scheme == 1 && tn.chance(80):
			side = 0
		case scheme == 2 && s.isHonest():
			side = i % 2
		case scheme == 2:
			side = 2
		}
		if side < 2 {
			tn.net.setBlocked(link{viewHost(1 - side), s.name}, true)
		}
		tn.net.redirect(link{s.name, ledgerHost}, viewHost(side%2))
	}
}
