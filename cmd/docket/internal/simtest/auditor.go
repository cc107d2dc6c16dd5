package simtest

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
	w             *LedgerSim
	auditing      bool
	lastPublished *proof.Published
}

func (a *auditor) audit() {
	if a.auditing || a.w.authors.Ledger.IsZero() {
		return
	}
	a.auditing = true
	c, err := client.New(ledgerURL, a.w.net.transportOf("auditor"))
	must(err)
	ctx := a.w.dayCtx
	audit := client.Audit{Source: c.Source(), Charter: a.w.authors.Ledger, Trusted: a.lastPublished, Files: vfs.NewMem(), Dir: "audit"}
	a.w.tracef("the auditor replays everything")
	a.w.startTask(func() func() error {
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
		a.w.tracef("  the auditor: %v", err)
		if isTransient(err) {
			return nil
		}
		return err
	}
	a.w.tracef("  the auditor judged %d entries, %d signatures", r.Checked, r.Signatures)
	if len(r.Findings) > 0 || r.Published == nil {
		return fmt.Errorf("finds fault with an honest ledger: %q", r.Findings)
	}
	a.lastPublished = r.Published
	return a.w.invariants.onAudited(r)
}

// verifyRandomChain asks for a chain of records that ends with somebody's, and checks who
// signed it with nothing else in hand but the policy.
func (w *LedgerSim) verifyRandomChain() {
	known := w.authors.withReceipt()
	if len(known) == 0 {
		return
	}
	l := known[w.rng.IntN(len(known))]
	c, err := client.New(ledgerURL, w.net.transportOf("stranger"))
	must(err)
	ctx := w.dayCtx
	w.tracef("a stranger asks for the chain of letter %d", l.number)
	w.startTask(func() func() error {
		chain, err := c.ChainUnverified(ctx, l.id)
		return func() error {
			if err != nil {
				w.tracef("  the stranger: %v", err)
				if isTransient(err) {
					return nil
				}
				return fmt.Errorf("the chain of letter %d, which has a receipt: %w", l.number, err)
			}
			r, err := client.Verify(ctx, chain, w.authors.policies, time.Now())
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
