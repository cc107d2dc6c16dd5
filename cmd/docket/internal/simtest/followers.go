package simtest

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// follower keeps a trust directory with a replayed copy on a machine of its own,
// which crashes on its own.
type follower struct {
	sim  *simulation
	name string
	disk *vfs.MemFS

	syncing     bool
	incarnation int                // machines that this one has been: news of an earlier one is none
	cancelSync  context.CancelFunc // cancels the sync in flight
	trusted     proof.Tree         // what it believed last
}

func newFollower(sim *simulation, name string) *follower {
	return &follower{sim: sim, name: name, disk: vfs.NewCrashableMem()}
}

// sync begins a synchronisation, the first time with pinning the charter.
func (f *follower) sync() {
	if f.syncing || f.sim.authors.Ledger.IsZero() {
		return
	}
	f.syncing = true
	c, err := client.New(ledgerURL, f.sim.net.transportOf(f.name))
	must(err)
	ctx, cancel := context.WithCancel(f.sim.dayCtx)
	f.cancelSync = cancel
	life, disk, pin := f.incarnation, f.disk, f.sim.authors.Ledger
	f.sim.tracef("%s synchronises", f.name)
	f.sim.startTask(func() func() error {
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
		f.sim.tracef("  %s: %v", f.name, err)
		if isTransient(err) {
			return nil
		}
		return fmt.Errorf("synchronising with an honest ledger: %w", err)
	}
	f.sim.tracef("  %s has %d entries", f.name, c.tree.Size)
	if c.tree.Size < f.trusted.Size {
		return fmt.Errorf("it believed size %d, and believes %d now", f.trusted.Size, c.tree.Size)
	}
	f.trusted = c.tree
	return f.sim.invariants.onSynced(c)
}

// crash ends the follower's machine, in the midst of whatever it does.
func (f *follower) crash(keep int) {
	f.sim.tracef("%s crashes, %d %% of what it had not synced is kept", f.name, keep)
	f.incarnation++
	left := crashedDisk(f.disk, keep, f.sim.rng.Uint64())
	if f.syncing {
		f.cancelSync()
	}
	f.disk, f.syncing = left, false
}

// auditor replays everything, each time from nothing but the charter's ID and the
// checkpoint that it saw last.
type auditor struct {
	sim           *simulation
	auditing      bool
	lastPublished *proof.Published
}

func (a *auditor) audit() {
	if a.auditing || a.sim.authors.Ledger.IsZero() {
		return
	}
	a.auditing = true
	c, err := client.New(ledgerURL, a.sim.net.transportOf("auditor"))
	must(err)
	ctx := a.sim.dayCtx
	audit := client.Audit{Source: c.Source(), Charter: a.sim.authors.Ledger, Trusted: a.lastPublished, RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}
	a.sim.tracef("the auditor replays everything")
	a.sim.startTask(func() func() error {
		report, err := audit.Run(ctx)
		return func() error {
			a.auditing = false
			if err := a.onReport(report, err); err != nil {
				return fmt.Errorf("the auditor: %w", err)
			}
			return nil
		}
	})
}

func (a *auditor) onReport(r *client.AuditReport, err error) error {
	if err != nil {
		a.sim.tracef("  the auditor: %v", err)
		if isTransient(err) {
			return nil
		}
		return err
	}
	a.sim.tracef("  the auditor judged %d entries, %d signatures", r.Checked, r.Signatures)
	if len(r.Findings) > 0 || r.Published == nil {
		return fmt.Errorf("finds fault with an honest ledger: %q", r.Findings)
	}
	a.lastPublished = r.Published
	return a.sim.invariants.onAudited(r)
}

// verifyRandomChain asks for the chain of a random record, and checks who signed it
// with the policy alone.
func (sim *simulation) verifyRandomChain() {
	known := sim.authors.withReceipt()
	if len(known) == 0 {
		return
	}
	l := known[sim.rng.IntN(len(known))]
	c, err := client.New(ledgerURL, sim.net.transportOf("stranger"))
	must(err)
	ctx := sim.dayCtx
	sim.tracef("a stranger asks for the chain of letter %d", l.number)
	sim.startTask(func() func() error {
		chain, err := c.ChainUnverified(ctx, l.id)
		return func() error {
			if err != nil {
				sim.tracef("  the stranger: %v", err)
				if isTransient(err) {
					return nil
				}
				return fmt.Errorf("the chain of letter %d, which has a receipt: %w", l.number, err)
			}
			r, err := client.Verify(ctx, chain, sim.authors.policies, time.Now())
			switch {
			case err != nil:
				return fmt.Errorf("the chain of letter %d: %w", l.number, err)
			case r.ID != l.id:
				return fmt.Errorf("the chain of letter %d ends with record %s", l.number, r.ID)
			}
			if listed, err := record.ListedKeys(r.Statement); err == nil && len(listed) == 0 && r.Authorship != client.AuthorshipByChain {
				return fmt.Errorf("the chain of letter %d does not prove who signed it", l.number)
			}
			return nil
		}
	})
}
