package sharedsim

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
)

// catchUp wants each replica to show all that is published soon, when all is well.
func (sim *simulation) catchUp() error {
	if err := sim.laws.check(); err != nil {
		return err
	}
	for _, c := range sim.replicas {
		for begun := time.Now(); c.shown.size != sim.laws.published; time.Sleep(time.Second) {
			c.reap()
			c.start()
			if err := sim.laws.check(); err != nil {
				return err
			}
			if time.Since(begun) > 2*time.Minute {
				return fmt.Errorf("%w: %s shows size %d, and %d is published, when all was well", errLaw, c.name, c.shown.size, sim.laws.published)
			}
		}
	}
	return nil
}

// fork has the replicas catch up, and then shows them another history of the same log, with a quorum
// of witnesses that have lost their memory. It ends them, and nothing of it is shown.
func (sim *simulation) fork(m *machine) error {
	other := sim.bucket.Clone()
	if err := errors.Join(m.append(), m.work(true), sim.catchUp()); err != nil {
		return err
	}
	sim.forked.Store(true)
	sim.witnessAnew()
	liar := newMachine(sim, "liar.example")
	ours := sim.bucket
	sim.bucket = other
	err := liar.take()
	sim.bucket = ours
	defer liar.crash()
	if err != nil {
		return fmt.Errorf("the other history: %w", err)
	}
	for range 1 + sim.rng.IntN(3) {
		if err := liar.append(); err != nil {
			return fmt.Errorf("the other history: %w", err)
		}
	}
	if err := liar.work(true); err != nil {
		return fmt.Errorf("the other history: %w", err)
	}
	for _, c := range sim.replicas {
		shows := http.RoundTripper(liar)
		if c.fromStore {
			reads := replica.NewStore(liar.store, c.at(), standby.Config{})
			reads.Ahead = liar
			shows = reads
		}
		c.move(shows)
	}
	for _, c := range sim.replicas {
		if err := sim.awaitFork(c); err != nil {
			return err
		}
	}
	return nil
}

// awaitFork wants a replica to end by what it is shown, with its register as the entries make it.
func (sim *simulation) awaitFork(c *copyServer) error {
	for begun := time.Now(); !c.hasEnded(); time.Sleep(time.Second) {
		if err := sim.laws.checkReplicas(); err != nil {
			return err
		}
		if time.Since(begun) > 3*time.Minute {
			return fmt.Errorf("%w: %s goes on, and was shown another history", errLaw, c.name)
		}
	}
	if c.fork == nil {
		return fmt.Errorf("%w: %s was shown another history, and ended with something else", errLaw, c.name)
	}
	sim.countEvent("a fork ends a replica")
	c.end()
	trust, err := client.OpenTrust(c.disk, "trust")
	if err != nil {
		return fmt.Errorf("%w: what %s left: %w", errLaw, c.name, err)
	}
	defer trust.Close()
	r, err := trust.Register()
	if err != nil {
		return fmt.Errorf("%w: what %s left: %w", errLaw, c.name, err)
	}
	return sim.laws.checkRegister(c.name, r)
}
