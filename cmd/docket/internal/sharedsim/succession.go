package sharedsim

import (
	"fmt"
	"time"
)

// promise is within how long after a writer's death another machine writes, which reaches all that it
// needs.
const promise = 15 * time.Second

// settle heals all machines, and has each that is off stand by. After it one of them writes, and the
// others wait for its death.
func (sim *simulation) settle() error {
	sim.calm.Store(true)
	for _, m := range sim.machines {
		m.heal()
	}
	for _, pause := range []time.Duration{lease, 2 * time.Second} { // what hangs comes to its end; and who begins sees the lease
		if err := sim.drive(); err != nil { // a ledger that has stopped ends its process
			return err
		}
		for _, m := range sim.machines {
			m.standBy()
		}
		time.Sleep(pause)
		if sim.newest() == nil {
			time.Sleep(lease + promise) // of a writer that has not lived to see this
		}
	}
	if sim.newest() == nil {
		return fmt.Errorf("%w: nobody writes, and all is well", errLaw)
	}
	return nil
}

// succession has the one who writes die in one of the ways in which one can, while nothing else fails.
// Another one takes its place in time, once; and nobody does for less.
func (sim *simulation) succession() error {
	if err := sim.settle(); err != nil {
		return err
	}
	defer sim.calm.Store(false)
	m, epoch := sim.newest(), sim.laws.epoch()
	if err := m.append(); err != nil {
		sim.tracef("%s appends: %v", m.name, err)
	}
	dies, others := true, whole
	switch how := sim.rng.IntN(7); how {
	case 0:
		m.crash()
	case 1:
		m.freeze()
	case 2, 3:
		m.toStore.Store(int32(how - 1))
		sim.tracef("%s is cut off from the store: %v", m.name, cut(how-1))
	case 4:
		m.freeze()
		others = apart
	default:
		dies = false
		m.toWitnesses.Store(int32(how - 4))
		sim.tracef("%s is cut off from the witnesses: %v", m.name, cut(how-4))
	}
	if !dies || others != whole {
		for _, o := range sim.machines {
			if o != m {
				o.toWitnesses.Store(int32(others))
			}
		}
		time.Sleep(2*lease + promise)
		if now := sim.laws.epoch(); now != epoch {
			return fmt.Errorf("%w: the store was taken, epoch %d after %d, from who is cut off from the witnesses alone, or by who is", errLaw, now, epoch)
		}
		if !dies {
			sim.countEvent("who is cut off from the witnesses goes on")
			if sim.newest() != m {
				return fmt.Errorf("%w: %s writes no more, and was cut off from the witnesses alone", errLaw, m.name)
			}
			m.heal()
			return m.work(true)
		}
		sim.countEvent("nobody takes over without witnesses")
		for _, o := range sim.machines {
			o.toWitnesses.Store(int32(whole))
		}
	}
	time.Sleep(promise)
	next := sim.newest()
	if next == nil || next == m {
		return fmt.Errorf("%w: nobody took the place of %s within %v", errLaw, m.name, promise)
	}
	if now := sim.laws.epoch(); now != epoch+1 {
		return fmt.Errorf("%w: %s died once, and the store was taken from epoch %d to %d", errLaw, m.name, epoch, now)
	}
	sim.countEvent("a place is taken in time")
	sim.tracef("%s has taken the place of %s", next.name, m.name)
	if err := next.work(true); err != nil || sim.rng.IntN(2) == 0 {
		return err
	}
	m.heal()
	time.Sleep(lease)
	if m.epoch() == epoch && !m.hasEnded() {
		return fmt.Errorf("%w: %s goes on, and its store was taken %v ago", errLaw, m.name, lease)
	}
	sim.countEvent("who wakes up ends")
	return nil
}
