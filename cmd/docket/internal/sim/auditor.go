package sim

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

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
