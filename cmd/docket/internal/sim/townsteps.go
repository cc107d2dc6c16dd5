package sim

import (
	"fmt"
	"time"
)

// step is one thing that happens in the town.
func (tn *town) step() error {
	s := pick(tn, tn.sites...)
	switch n := tn.roll(112); {
	case n < 35:
		return tn.operate()
	case n < 40:
		return tn.crashLedger()
	case n < 48:
		if s.witness != nil {
			tn.note("the power of %s will fail", s.name)
			s.trouble.arm(false, tn.roll(5), pick(tn, 0, 30, 70, 100), tn.rng.Uint64())
		}
	case n < 52:
		keep := pick(tn, 0, 50, 100)
		tn.note("%s crashes, %d %% of what it had not synced is kept", s.name, keep)
		tn.saw("witness crashes")
		s.down(keep)
	case n < 60:
		for _, s := range tn.sites {
			if err := tn.bootSite(s); err != nil {
				return err
			}
		}
	case n < 64:
		return tn.turnBack()
	case n < 70:
		tn.part()
	case n < 78:
		return tn.gossip(s)
	case n < 90:
		c := pick(tn, tn.watchers...)
		tn.direct(c)
		return c.look(tn.chance(60))
	case n < 93:
		c := pick(tn, tn.watchers...)
		return c.handIn(c.note)
	case n < 96:
		return tn.calm()
	case n < 99:
		tn.replay(s)
	case n < 101:
		tn.pester(s)
	case n < 104:
		if tn.forger != nil {
			tn.forger.flood(s)
		}
	case n < 106:
		tn.sluggard.bring(s)
	case n < 109:
		return tn.rollBack()
	default:
		d := pick(tn, time.Second, 20*time.Second, 3*time.Minute)
		tn.note("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// operate is what the operator does: it admits and publishes, on one of its
// histories if it has two.
func (tn *town) operate() error {
	if tn.forger != nil {
		return tn.operateView(tn.roll(2))
	}
	if tn.ledger.node == nil {
		return tn.bootAll()
	}
	for range tn.roll(3) {
		if err := tn.write(); err != nil || tn.ledger.node == nil {
			return err
		}
	}
	return tn.publish()
}

func (tn *town) operateView(i int) error {
	b := tn.forger.branches[i]
	for range tn.roll(4) {
		if err := b.write(tn.next()); err != nil {
			return fmt.Errorf("the forger's own record: %w", err)
		}
	}
	quorum, err := tn.forger.publish(b)
	for range 2 {
		if !quorum && err == nil {
			quorum, err = tn.forger.publish(b)
		}
	}
	tn.note("the forger asks for view %d of %d entries; quorum: %v", i, len(b.entries), quorum)
	if !quorum || err != nil {
		return err
	}
	tn.saw("forged view with a quorum")
	c := tn.watchers[i+2*tn.roll(2)] // of whom the operator knows that he will look
	tn.net.show(link{c.name, ledgerHost}, b.host)
	return c.look(tn.chance(60))
}

func (tn *town) crashLedger() error {
	if tn.ledger.node == nil {
		return nil
	}
	if tn.chance(50) {
		tn.note("the ledger crashes")
		tn.saw("ledger crashes")
		tn.ledger.crash(pick(tn, 0, 50, 100), tn.rng.Uint64())
		return nil
	}
	tn.note("the power of the ledger will fail")
	tn.ledger.trouble.arm(false, tn.roll(4), pick(tn, 0, 50, 100), tn.rng.Uint64())
	return nil
}

// bootSite starts a witness that is down; now and then the power fails meanwhile.
func (tn *town) bootSite(s *site) error {
	if s.witness != nil || !s.own() {
		return nil
	}
	if tn.chance(30) {
		s.trouble.arm(false, tn.roll(40), pick(tn, 0, 50, 100), tn.rng.Uint64())
	}
	ok, err := s.up()
	tn.note("%s starts: %v", s.name, ok)
	if !ok {
		tn.saw("witness loses power as it starts")
	}
	return err
}

// turnBack makes backups of the careless witnesses, or brings them back.
func (tn *town) turnBack() error {
	for _, s := range tn.sites {
		if s.conduct != restored {
			continue
		}
		if s.backup == nil || tn.forger == nil && tn.chance(50) {
			tn.note("a backup of %s is made", s.name)
			s.backup = afterCrash(s.disk, 100, 0)
			continue
		}
		tn.note("%s is restored from its backup", s.name)
		tn.saw("witness restored from a backup")
		s.down(100)
		s.disk = afterCrash(s.backup, 100, 0)
		if _, err := s.up(); err != nil {
			return err
		}
	}
	return nil
}

// part cuts one link of the network, or isolates one witness, or mends all.
func (tn *town) part() {
	s := pick(tn, tn.sites...)
	asking := []string{ledgerHost, view(0), view(1)}
	switch tn.roll(4) {
	case 0:
		for l := range tn.net.cut {
			tn.net.sever(l, false)
		}
		tn.note("all links are mended")
	case 1:
		from := pick(tn, asking...)
		tn.note("%s does not reach %s", from, s.name)
		tn.saw("ledger and witness parted")
		tn.net.sever(link{from, s.name}, true)
	case 2:
		tn.note("%s is cut off from the other witnesses", s.name)
		tn.saw("witnesses parted")
		for _, peer := range tn.sites {
			tn.net.sever(link{s.name, peer.name}, true)
			tn.net.sever(link{peer.name, s.name}, true)
		}
	default:
		c := pick(tn, tn.watchers...)
		tn.note("%s is cut off from all witnesses", c.name)
		tn.saw("client and witnesses parted")
		for _, peer := range tn.sites {
			tn.net.sever(link{c.name, peer.name}, true)
		}
	}
}

// gossip lets a witness make one round, which whoever hangs must not draw out.
func (tn *town) gossip(s *site) error {
	if s.witness == nil {
		return nil
	}
	begun := time.Now()
	r := s.witness.Gossip(tn.ctx)
	took := time.Since(begun)
	tn.note("%s gossips for %s: %+v", s.name, took.Round(time.Second), r)
	tn.saw("gossip")
	if took > longestRound {
		return fmt.Errorf("a round of gossip of %s took %s", s.name, took)
	}
	return nil
}

// longestRound is what a witness with so many peers, asked one after another, may
// take if all of them hang.
const longestRound = 10 * time.Minute

// direct decides what a client will be shown: the history of its audience, and now
// and then another, or something of both.
func (tn *town) direct(c *watcher) {
	if tn.forger == nil {
		return
	}
	i := int(c.name[len(c.name)-1]) % 2
	host := view(i)
	switch tn.roll(8) {
	case 0:
		host = view(1 - i)
	case 1, 2:
		host = stale(tn.roll(2))
	case 3:
		host = mixed(tn.roll(2))
		tn.saw("client is shown something of both")
	}
	tn.note("%s will be shown %s", c.name, host)
	tn.net.show(link{c.name, ledgerHost}, host)
}

// fork is when the operator begins to keep two histories. Whom it can reach with
// which, it chooses.
func (tn *town) fork() error {
	if err := tn.calm(); err != nil {
		return err
	}
	for _, s := range tn.sites {
		if s.conduct == restored {
			s.backup = afterCrash(s.disk, 100, 0) // the last one that is of use to the operator
		}
	}
	l := tn.ledger.node.Ledger
	published := l.Published()
	entries, err := l.Entries(tn.ctx, 0, published.Checkpoint().Size)
	if err != nil {
		return err
	}
	if err := tn.ledger.down(); err != nil {
		return err
	}
	if tn.forger, err = newForger(tn, entries, published); err != nil {
		return err
	}
	tn.unsaid = nil
	tn.note("the operator keeps two histories from size %d on", len(entries))
	tn.saw("fork")
	tn.divide()
	for i := range tn.forger.branches {
		for _, s := range tn.sites {
			tn.net.sever(link{s.name, mirror(i)}, true)
		}
	}
	return nil
}

// divide decides who is shown which history: each witness by chance, most the first
// alone so that it has a quorum, or one half of the honest each and the others both.
func (tn *town) divide() {
	scheme := tn.roll(3)
	for i, s := range tn.sites {
		side := tn.roll(3) // 2: both
		switch {
		case scheme == 1 && tn.chance(80):
			side = 0
		case scheme == 2 && s.trusty():
			side = i % 2
		case scheme == 2:
			side = 2
		}
		if side < 2 {
			tn.net.sever(link{view(1 - side), s.name}, true)
		}
		tn.net.show(link{s.name, ledgerHost}, view(side%2))
	}
}
