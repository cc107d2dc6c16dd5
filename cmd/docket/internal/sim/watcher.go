package sim

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

// watcher is a client with a trust directory, of whom nobody knows what it is shown.
type watcher struct {
	town    *town
	name    string
	disk    *vfs.MemFS
	trusted proof.Tree // what it believed last; zero before the first
	note    []byte     // the checkpoint of it
	trouble trouble
}

// look lets the client bring itself to the newest checkpoint: with all entries, or
// with the checkpoint alone. Now and then its machine fails meanwhile.
func (c *watcher) look(replay bool) error {
	if c.town.cast.Ledger.IsZero() {
		return nil
	}
	cl, err := client.New(ledgerURL, c.town.net.from(c.name))
	must(err)
	if c.town.chance(15) {
		c.trouble.arm(false, c.town.roll(60), pick(c.town, 0, 50, 100), c.town.rng.Uint64())
	}
	ctx, cancel := context.WithCancel(c.town.ctx)
	defer cancel()
	files := errorfs.Wrap(c.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if comes, _ := c.trouble.next(false); !comes {
			return nil
		}
		cancel()
		return c.trouble.came(c.disk)
	}))
	before := c.trusted
	t, err := client.CreateTrust(ctx, files, "trust", cl, c.town.cast.Ledger)
	if err == nil {
		if err = c.opened(t); err != nil && c.trouble.left == nil {
			return err
		}
		if replay {
			err = t.Sync(ctx, cl, nil)
		} else {
			err = t.Refresh(ctx, cl)
		}
		err = errors.Join(err, t.Close())
	}
	if left := c.trouble.end(); left != nil {
		c.town.note("%s looks (replay: %v), and its machine fails", c.name, replay)
		c.town.saw("watcher's machine fails")
		c.disk = left
		return c.reopen()
	}
	c.town.note("%s looks (replay: %v): %v", c.name, replay, err)
	if t == nil {
		return nil
	}
	if err := c.believes(t); err != nil {
		return err
	}
	if err != nil && c.trusted != before {
		return fmt.Errorf("%s believes size %d although it says: %w", c.name, c.trusted.Size, err)
	}
	return c.complains(err)
}

// opened: what is on the disk is what was believed.
func (c *watcher) opened(t *client.Trust) error {
	if p := t.Checkpoint(); c.trusted.Size > 0 && (p == nil || p.Checkpoint().Tree() != c.trusted) {
		return fmt.Errorf("%s has forgotten that it believed size %d", c.name, c.trusted.Size)
	}
	return nil
}

// reopen finds out what the machine has kept: what was believed before, or after.
func (c *watcher) reopen() error {
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
	return c.believes(t)
}

// believes notes what the client trusts.
func (c *watcher) believes(t *client.Trust) error {
	p := t.Checkpoint()
	if p == nil {
		return nil
	}
	tree := p.Checkpoint().Tree()
	if tree.Size < c.trusted.Size {
		return fmt.Errorf("%s believed size %d, and believes %d now", c.name, c.trusted.Size, tree.Size)
	}
	c.trusted, c.note = tree, p.Note()
	c.town.oaths.believed(c.name, tree)
	return nil
}

// complains judges a complaint: while the ledger has its own disk and one history,
// nobody may speak of two.
func (c *watcher) complains(err error) error {
	var fork *client.ForkError
	var short *proof.QuorumError
	switch {
	case errors.As(err, &fork):
		c.town.saw("client finds a fork")
		if c.town.forger == nil && !c.town.misled {
			return fmt.Errorf("%s accuses an honest log: %w", c.name, err)
		}
		return c.handIn(fork.ShownNote)
	case errors.As(err, &short):
		c.town.saw("client is shown too few cosignatures")
	}
	return nil
}

// handIn shows a checkpoint to one of the witnesses.
func (c *watcher) handIn(note []byte) error {
	if note == nil {
		return nil
	}
	s := pick(c.town, c.town.sites...)
	w, err := wire.NewWitness(s.url(), c.town.net.from(c.name))
	must(err)
	err = w.HandIn(c.town.ctx, note)
	c.town.note("%s shows a checkpoint to %s: %v", c.name, s.name, err)
	if err == nil {
		c.town.saw("checkpoint handed in")
	}
	return nil
}
