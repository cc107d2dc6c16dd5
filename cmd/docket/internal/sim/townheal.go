package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// kind ends all mishaps, and mends what is broken.
func (tn *town) kind() error {
	for l := range tn.net.cut {
		tn.net.sever(l, false)
	}
	tn.net.behave(true)
	tn.ledger.trouble.end()
	for _, s := range tn.sites {
		if s.witness != nil {
			s.trouble.end()
		}
	}
	return tn.bootAll()
}

// calm is a while without mishaps. In it, no witness that lies, dawdles or is dead
// keeps an honest ledger from publishing.
func (tn *town) calm() error {
	if tn.forger != nil || tn.last.After(time.Now()) {
		return nil // the clock was set back, and nothing is admitted until it has caught up
	}
	tn.note("a while without mishaps")
	if err := tn.kind(); err != nil {
		return err
	}
	defer tn.net.behave(false)
	// What a witness stamps counts after a start once its clock says a later time.
	time.Sleep(farBehind)
	l := tn.ledger.node.Ledger
	if l.Head().Size > 0 {
		if err := l.Publish(tn.ctx); err != nil {
			return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
		}
	}
	if err := l.CheckClock(tn.ctx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger's clock is not confirmed: %w", err)
	}
	if err := tn.write(); err != nil {
		return err
	}
	for tn.cast.Ledger.IsZero() || tn.cast.Head("party/authority").IsZero() {
		if err := tn.write(); err != nil {
			return err
		}
	}
	if err := l.Publish(tn.ctx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger does not publish: %w", err)
	}
	if err := l.Recosign(tn.ctx); err != nil {
		return fmt.Errorf("a quorum of witnesses is alive, and the ledger is not cosigned again: %w", err)
	}
	if l.Backlog() > 0 {
		return fmt.Errorf("%d entries are not published", l.Backlog())
	}
	tn.saw("calm")
	return nil
}

// heal ends the partition. If witnesses have cosigned both histories, or were handed
// both, then after one round of gossip everyone honest holds the evidence.
func (tn *town) heal() error {
	if tn.forger == nil {
		if err := tn.calm(); err != nil {
			return err
		}
	}
	tn.note("the partition heals")
	if err := tn.kind(); err != nil {
		return err
	}
	time.Sleep(2 * time.Minute)
	for _, s := range tn.sites {
		tn.replay(s)
		tn.pester(s)
		if tn.forger != nil {
			tn.forger.flood(s)
		}
	}
	var handed []proof.Tree
	for _, c := range tn.watchers {
		if c.note == nil {
			continue
		}
		s := tn.trusty() // one is enough: it tells the others
		w, err := wire.NewWitness(s.url(), tn.net.from(c.name))
		must(err)
		if err := w.HandIn(tn.ctx, c.note); err != nil {
			return fmt.Errorf("%s hands in what it believes: %w", c.name, err)
		}
		handed = append(handed, c.trusted)
	}
	if err := tn.check(); err != nil {
		return err
	}
	before := 0
	for _, s := range tn.sites {
		if tn.oaths.halted[s.name] {
			before++
		}
	}
	due := tn.oaths.known(handed...)
	for _, i := range tn.rng.Perm(len(tn.sites)) {
		if err := tn.gossip(tn.sites[i]); err != nil {
			return err
		}
	}
	if err := tn.check(); err != nil {
		return err
	}
	if !due {
		return nil
	}
	tn.saw("evidence was due")
	if before == 0 {
		tn.saw("evidence came with the healing")
	}
	var errs []error
	for _, s := range tn.sites {
		if s.trusty() && !tn.oaths.halted[s.name] {
			errs = append(errs, fmt.Errorf("%s has no evidence one round after the partition healed", s.name))
		}
	}
	return errors.Join(errs...)
}

// trusty is one of the witnesses that the laws hold to their word.
func (tn *town) trusty() *site {
	for {
		if s := pick(tn, tn.sites...); s.trusty() {
			return s
		}
	}
}
