package sim

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// follower keeps a trust directory with a replayed copy on a machine of its own,
// which crashes on its own.
type follower struct {
	w    *World
	name string
	disk *vfs.MemFS

	away      bool
	life      int                // machines that this one has been: news of an earlier one is none
	interrupt context.CancelFunc // ends the synchronisation under way
	trusted   proof.Tree         // what it believed last
}

func newFollower(w *World, name string) *follower {
	return &follower{w: w, name: name, disk: vfs.NewCrashableMem()}
}

// sync begins a synchronisation, the first time with pinning the charter.
func (f *follower) sync() {
	if f.away || f.w.people.Ledger.IsZero() {
		return
	}
	f.away = true
	c, err := client.New(ledgerURL, f.w.net.from(f.name))
	must(err)
	ctx, cancel := context.WithCancel(f.w.ctx)
	f.interrupt = cancel
	life, disk, pin := f.life, f.disk, f.w.people.Ledger
	f.w.note("%s synchronises", f.name)
	f.w.start(func() func() error {
		defer cancel()
		copied, err := synchronise(ctx, disk, c, pin)
		return func() error {
			if life != f.life {
				return nil
			}
			f.away = false
			if err := f.hear(copied, err); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			return nil
		}
	})
}

// copied is what a follower has after a synchronisation.
type copied struct {
	tree proof.Tree
	dump digest // of its register
}

func synchronise(ctx context.Context, disk vfs.FS, c *client.Client, pin [32]byte) (out copied, err error) {
	t, err := client.CreateTrust(ctx, disk, "trust", c, pin)
	if err != nil {
		return copied{}, err
	}
	defer t.Close()
	if err := t.Sync(ctx, c, nil); err != nil {
		return copied{}, err
	}
	r, err := t.Copy()
	if err != nil {
		return copied{}, err
	}
	out.tree = t.Checkpoint().Checkpoint().Tree()
	out.dump, err = dump(r)
	return out, err
}

// hear judges what a synchronisation brought. An honest log gives no follower
// reason to complain of anything but the network.
func (f *follower) hear(c copied, err error) error {
	if err != nil {
		f.w.note("  %s: %v", f.name, err)
		if passes(err) {
			return nil
		}
		return fmt.Errorf("synchronising with an honest ledger: %w", err)
	}
	f.w.note("  %s has %d entries", f.name, c.tree.Size)
	if c.tree.Size < f.trusted.Size {
		return fmt.Errorf("it believed size %d, and believes %d now", f.trusted.Size, c.tree.Size)
	}
	f.trusted = c.tree
	return f.w.laws.followed(c)
}

// crash ends the follower's machine, in the midst of whatever it does.
func (f *follower) crash(keep int) {
	f.w.note("%s crashes, %d %% of what it had not synced is kept", f.name, keep)
	f.life++
	left := afterCrash(f.disk, keep, f.w.rng.Uint64())
	if f.away {
		f.interrupt()
	}
	f.disk, f.away = left, false
}
