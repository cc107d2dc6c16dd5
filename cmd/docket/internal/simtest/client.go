package simtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// clientNode is a client with a trust directory. Which history it is shown is up to the
// log.
type clientNode struct {
	sim     *simulation
	name    string
	disk    *vfs.MemFS
	trusted proof.Tree // what it believed last; zero before the first
	note    []byte     // the checkpoint of it
	fault   diskFault
}

// update lets the client bring itself to the newest checkpoint: with all entries, or
// with the checkpoint alone. Now and then its machine fails meanwhile.
func (c *clientNode) update(replay bool) error {
	if c.sim.authors.Ledger.IsZero() {
		return nil
	}
	cl, err := client.New(ledgerURL, c.sim.net.transportOf(c.name))
	must(err)
	if c.sim.chance(15) {
		c.fault.arm(false, c.sim.intn(60), pick(c.sim, 0, 50, 100), c.sim.rng.Uint64())
	}
	ctx, cancel := context.WithCancel(c.sim.dayCtx)
	defer cancel()
	files := errorfs.Wrap(c.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if comes, _ := c.fault.countOp(false); !comes {
			return nil
		}
		cancel()
		return c.fault.trigger(c.disk)
	}))
	before := c.trusted
	t, err := client.CreateTrust(ctx, files, "trust", cl, c.sim.authors.Ledger)
	if err == nil {
		if err = c.checkOpened(t); err != nil && c.fault.diskAfter == nil {
			return err
		}
		if replay {
			err = t.Sync(ctx, cl, nil)
		} else {
			err = t.Refresh(ctx, cl)
		}
		err = errors.Join(err, t.Close())
	}
	if left := c.fault.disarm(); left != nil {
		c.sim.tracef("%s looks (replay: %v), and its machine fails", c.name, replay)
		c.sim.countEvent("watcher's machine fails")
		c.disk = left
		return c.reopenAfterCrash()
	}
	c.sim.tracef("%s looks (replay: %v): %v", c.name, replay, err)
	if t == nil {
		return nil
	}
	if err := c.recordTrusted(t); err != nil {
		return err
	}
	if err != nil && c.trusted != before {
		return fmt.Errorf("%s believes size %d although it says: %w", c.name, c.trusted.Size, err)
	}
	return c.checkError(err)
}

// checkOpened: what is on the disk is what was believed.
func (c *clientNode) checkOpened(t *client.Trust) error {
	if p := t.Checkpoint(); c.trusted.Size > 0 && (p == nil || p.Checkpoint().Tree() != c.trusted) {
		return fmt.Errorf("%s has forgotten that it believed size %d", c.name, c.trusted.Size)
	}
	return nil
}

// reopenAfterCrash finds out what the machine has kept: what was believed before, or after.
func (c *clientNode) reopenAfterCrash() error {
	t, err := client.OpenTrust(c.disk, "trust")
	if errors.Is(err, client.ErrNoTrust) && c.trusted.Size == 0 {
		return nil
	}
	if err != nil {
		if early := (*proof.QuorumError)(nil); errors.As(err, &early) {
			return nil // the clock was set back: the stamps are ahead of it
		}
		return fmt.Errorf("%s after a crash: %w", c.name, err)
	}
	defer t.Close()
	return c.recordTrusted(t)
}

// recordTrusted notes what the client trusts.
func (c *clientNode) recordTrusted(t *client.Trust) error {
	p := t.Checkpoint()
	if p == nil {
		return nil
	}
	tree := p.Checkpoint().Tree()
	if tree.Size < c.trusted.Size {
		return fmt.Errorf("%s believed size %d, and believes %d now", c.name, c.trusted.Size, tree.Size)
	}
	c.trusted, c.note = tree, p.Note()
	c.sim.invariants.recordTrusted(c.name, tree)
	return nil
}

// checkError checks a client's error: while the ledger has its own disk and one
// history, a *[client.InconsistencyError] is a violation.
func (c *clientNode) checkError(err error) error {
	var fork *client.InconsistencyError
	var short *proof.QuorumError
	switch {
	case errors.As(err, &fork):
		c.sim.countEvent("client finds a fork")
		if c.sim.maliciousLog == nil && !c.sim.onBackup {
			return fmt.Errorf("%s accuses an honest log: %w", c.name, err)
		}
		return c.submitToWitness(fork.ShownNote)
	case errors.As(err, &short):
		c.sim.countEvent("client is shown too few cosignatures")
	}
	return nil
}

// submitToWitness shows a checkpoint to one of the witnesses.
func (c *clientNode) submitToWitness(note []byte) error {
	if note == nil {
		return nil
	}
	s := pick(c.sim, c.sim.witnesses...)
	w, err := wire.NewWitness(s.url(), c.sim.net.transportOf(c.name))
	must(err)
	err = w.AddSeenCheckpoint(c.sim.dayCtx, note)
	c.sim.tracef("%s shows a checkpoint to %s: %v", c.name, s.name, err)
	if err == nil {
		c.sim.countEvent("checkpoint handed in")
	}
	return nil
}
