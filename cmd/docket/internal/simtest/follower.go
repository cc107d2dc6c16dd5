package simtest

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
	w    *LedgerSim
	name string
	disk *vfs.MemFS

	syncing     bool
	incarnation int                // machines that this one has been: news of an earlier one is none
	cancelSync  context.CancelFunc // ends the synchronisation under way
	trusted     proof.Tree         // what it believed last
}

func newFollower(w *LedgerSim, name string) *follower {
	return &follower{w: w, name: name, disk: vfs.NewCrashableMem()}
}

// sync begins a synchronisation, the first time with pinning the charter.
func (f *follower) sync() {
	if f.syncing || f.w.authors.Ledger.IsZero() {
		return
	}
	f.syncing = true
	c, err := client.New(ledgerURL, f.w.net.transportOf(f.name))
	must(err)
	ctx, cancel := context.WithCancel(f.w.dayCtx)
	f.cancelSync = cancel
	life, disk, pin := f.incarnation, f.disk, f.w.authors.Ledger
	f.w.tracef("%s synchronises", f.name)
	f.w.startTask(func() func() error {
		defer cancel()
		copied, err := syncTrust(ctx, disk, c, pin)
		return func() error {
			if life != f.incarnation {
				return nil
			}
			f.syncing = false
			if err := f.onSynced(copied, err); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			return nil
		}
	})
}

// syncResult is what a follower has after a synchronisation.
type syncResult struct {
	tree   proof.Tree
	digest digest // of its register
}

func syncTrust(ctx context.Context, disk vfs.FS, c *client.Client, pin [32]byte) (out syncResult, err error) {
	t, err := client.CreateTrust(ctx, disk, "trust", c, pin)
	if err != nil {
		return syncResult{}, err
	}
	defer t.Close()
	if err := t.Sync(ctx, c, nil); err != nil {
		return syncResult{}, err
	}
	r, err := t.Register()
	if err != nil {
		return syncResult{}, err
	}
	out.tree = t.Checkpoint().Checkpoint().Tree()
	out.digest, err = digestOf(r)
	return out, err
}

// onSynced judges what a synchronisation brought. An honest log gives no follower
// reason to complain of anything but the network.
func (f *follower) onSynced(c syncResult, err error) error {
	if err != nil {
		f.w.tracef("  %s: %v", f.name, err)
		if isTransient(err) {
			return nil
		}
		return fmt.Errorf("synchronising with an honest ledger: %w", err)
	}
	f.w.tracef("  %s has %d entries", f.name, c.tree.Size)
	if c.tree.Size < f.trusted.Size {
		return fmt.Errorf("it believed size %d, and believes %d now", f.trusted.Size, c.tree.Size)
	}
	f.trusted = c.tree
	return f.w.invariants.onSynced(c)
}

// crash ends the follower's machine, in the midst of whatever it does.
func (f *follower) crash(keep int) {
	f.w.tracef("%s crashes, %d %% of what it had not synced is kept", f.name, keep)
	f.incarnation++
	left := crashedDisk(f.disk, keep, f.w.rng.Uint64())
	if f.syncing {
		f.cancelSync()
	}
	f.disk, f.syncing = left, false
}
