package sharedsim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// newest is the machine that has taken the store last, and writes; nil where there is none.
func (sim *simulation) newest() *machine {
	epoch := sim.laws.epoch()
	for _, m := range sim.machines {
		if l := m.writes(); l != nil && l.Err() == nil && m.epoch() == epoch {
			return m
		}
	}
	return nil
}

// drive has each that writes, or thinks so, commit and publish once.
func (sim *simulation) drive() error {
	for _, m := range sim.machines {
		own := m.epoch()
		if own == 0 {
			m.reap()
			continue
		}
		before, epoch := sim.laws.state(), sim.laws.epoch()
		if err := m.work(sim.rng.IntN(2) == 0); err != nil {
			return err
		}
		if after := sim.laws.state(); own < epoch && after != before {
			return fmt.Errorf("%w: %s, which took the store as epoch %d, brought the log from %v to %v in epoch %d", errLaw, m.name, own, before, after, epoch)
		}
	}
	return nil
}

// force has a machine take the store from who has it, while others write and what was held arrives.
func (sim *simulation) force(m *machine) error {
	if m.writes() != nil || m.frozen.isShut() {
		return nil
	}
	finish := sim.writeMeanwhile(m)
	err := m.take()
	finish()
	if errors.Is(err, errLaw) {
		return err
	}
	sim.tracef("%s takes the store: %v", m.name, err)
	return nil
}

// keepStages is how long a stage is kept that nobody needs: each second costs, since Pebble wakes ten times in it.
const keepStages = 10 * time.Second

// cleanUp has all who write, or think so, clean up twice, with more than that between: the stages that the
// head named all that time are there for who knows none of them yet.
func (sim *simulation) cleanUp() error {
	fanOut := sim.rng.IntN(2) == 0
	for range 2 {
		for _, m := range sim.machines {
			m.cleanUp(fanOut)
		}
		sim.sleepLong(keepStages + time.Second)
	}
	sim.laws.reopen()
	return sim.laws.checkAll()
}

// sleepLong has a long time go by in which every process stands still.
func (sim *simulation) sleepLong(d time.Duration) {
	sim.suspended.close()
	time.Sleep(d)
	sim.suspended.open()
}

// overtake has who writes publish, another take the store, publish more and fan it out, and then the
// first one fan out what it knows of; perhaps after its checkpoint has arrived that got stuck.
func (sim *simulation) overtake() error {
	m, other := sim.newest(), sim.machines[sim.rng.IntN(machines)]
	if m == nil {
		m = sim.machines[sim.rng.IntN(machines)]
		m.crash()
		if err := m.take(); err != nil {
			sim.tracef("%s takes the store: %v", m.name, err)
			return lawOnly(err)
		}
	}
	if other == m || m.frozen.isShut() {
		return nil
	}
	if err := m.append(); err != nil {
		sim.tracef("%s appends: %v", m.name, err)
		return nil
	}
	if err := m.work(false); err != nil || m.writes() == nil {
		return err
	}
	stuck := sim.rng.IntN(4) > 0
	if stuck {
		m.stuck.Store(true)
		m.fanOut()
		m.stuck.Store(false)
	}
	other.heal()
	other.crash()
	if err := other.take(); err != nil {
		sim.tracef("%s takes the store: %v", other.name, err)
		return lawOnly(err)
	}
	if err := other.append(); err != nil {
		sim.tracef("%s appends: %v", other.name, err)
	}
	if err := errors.Join(other.work(true), sim.laws.check()); err != nil {
		return err
	}
	sim.countEvent("who was taken over fans out")
	if m.kill == nil {
		return nil
	}
	if stuck {
		sim.tracef("the checkpoint of %s arrives", m.name)
		m.link.Release()
		if err := sim.laws.check(); err != nil {
			return err
		}
	}
	sim.tracef("%s fans out", m.name)
	m.fanOut()
	return nil
}

// lawOnly is an error that breaks a law; nil if another.
func lawOnly(err error) error {
	if errors.Is(err, errLaw) {
		return err
	}
	return nil
}

// writeMeanwhile has another machine, which writes or thinks so, commit a record while the store is
// taken from it, and what was held arrive. What it returns waits for the end of that.
func (sim *simulation) writeMeanwhile(taker *machine) (finish func()) {
	var going sync.WaitGroup
	if sim.rng.IntN(2) == 0 {
		going.Go(func() {
			time.Sleep(60 * time.Millisecond)
			sim.release()
		})
	}
	for _, other := range sim.machines {
		l := other.writes()
		if other == taker || l == nil || other.frozen.isShut() {
			continue
		}
		v, err := record.Open(sim.pickRecord(), other.register.CandidateKeys)
		if err != nil {
			continue // it does not know the importer yet
		}
		ctx := other.ctx
		going.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if _, err := l.Append(ctx, v); err == nil {
				l.Commit(ctx)
			}
		})
	}
	return going.Wait
}

// releaseStrangers lets what was held arrive of processes that are not the one which has taken
// the store: it changes nothing.
func (sim *simulation) releaseStrangers() error {
	m := sim.newest()
	if m == nil {
		return nil
	}
	before := sim.laws.state()
	for _, l := range sim.links {
		if l != m.link {
			l.Release()
		}
	}
	if after := sim.laws.state(); after != before {
		return fmt.Errorf("%w: what came late brought the log from %v to %v, after %s had taken the store", errLaw, before, after, m.name)
	}
	return nil
}

// release lets what was held on the way arrive, also of those who are dead.
func (sim *simulation) release() {
	for _, l := range sim.links {
		l.Release()
	}
}
