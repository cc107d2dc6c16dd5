package sim

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

// auditor replays everything, each time from nothing but the charter's ID and the
// checkpoint that it saw last.
type auditor struct {
	w    *World
	away bool
	seen *proof.Published
}

func (a *auditor) audit() {
	if a.away || a.w.people.Ledger.IsZero() {
		return
	}
	a.away = true
	c, err := client.New(ledgerURL, a.w.net.from("auditor"))
	must(err)
	ctx := a.w.ctx
	audit := client.Audit{Source: c.Source(), Charter: a.w.people.Ledger, Trusted: a.seen, Files: vfs.NewMem(), Dir: "audit"}
	a.w.note("the auditor replays everything")
	a.w.start(func() func() error {
		report, err := audit.Run(ctx)
		return func() error {
			a.away = false
			if err := a.hear(report, err); err != nil {
				return fmt.Errorf("the auditor: %w", err)
			}
			return nil
		}
	})
}

func (a *auditor) hear(r *client.AuditReport, err error) error {
	if err != nil {
		a.w.note("  the auditor: %v", err)
		if passes(err) {
			return nil
		}
		return err
	}
	a.w.note("  the auditor judged %d entries, %d signatures", r.Judged, r.Signatures)
	if len(r.Findings) > 0 || r.Published == nil {
		return fmt.Errorf("finds fault with an honest ledger: %q", r.Findings)
	}
	a.seen = r.Published
	return a.w.laws.audited(r)
}

// stranger asks for a chain of records that ends with somebody's, and checks who
// signed it with nothing else in hand but the policy.
func (w *World) stranger() {
	known := w.people.receipted()
	if len(known) == 0 {
		return
	}
	l := known[w.rng.IntN(len(known))]
	c, err := client.New(ledgerURL, w.net.from("stranger"))
	must(err)
	ctx := w.ctx
	w.note("a stranger asks for the chain of letter %d", l.number)
	w.start(func() func() error {
		chain, err := c.Chain(ctx, l.id)
		return func() error {
			if err != nil {
				w.note("  the stranger: %v", err)
				if passes(err) {
					return nil
				}
				return fmt.Errorf("the chain of letter %d, which has a receipt: %w", l.number, err)
			}
			r, err := client.Verify(ctx, chain, w.people.policies, time.Now())
			switch {
			case err != nil:
				return fmt.Errorf("the chain of letter %d: %w", l.number, err)
			case r.ID != l.id:
				return fmt.Errorf("the chain of letter %d ends with record %s", l.number, r.ID)
			}
			if listed, err := record.ListedKeys(r.Statement); err == nil && len(listed) == 0 && r.Authorship != client.ByChain {
				return fmt.Errorf("the chain of letter %d does not prove who signed it", l.number)
			}
			return nil
		}
	})
}
