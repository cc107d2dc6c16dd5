package simtest

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// ledgerInvariants remember all that was ever published and said, and hold the ledger against
// it (DESIGN.md section 9). They hash for themselves, and share with the ledger
// what auditors share: record, proof, register.
type ledgerInvariants struct {
	w      *LedgerSim
	policy *proof.Policy

	entries   [][]byte // published so far
	indexes   map[record.ID]uint64
	heads     map[string]record.ID // newest record of each thread
	admitted  time.Time            // of the newest entry
	roots     map[uint64]proof.Hash
	published proof.Tree

	receipts       []*client.Receipt   // every one that was handed out
	committed      map[record.ID]bool  // the ledger said so
	refusedStatus  map[record.ID]int   // refused since it was sent last: the status
	shadowFS       *vfs.MemFS          // where the shadow is at night
	shadowRegister *register.Register  // replayed entry by entry, never reset
	digests        map[uint64]digest   // of the shadow, by size
	kinds          map[record.Kind]int // entries of each kind
	refusals       map[int]int         // by status
	compared       uint64              // size at which the ledger's register was compared last
}

func newLedgerInvariants(w *LedgerSim, policy string) *ledgerInvariants {
	parsed, err := proof.ParsePolicy([]byte(policy))
	must(err)
	return &ledgerInvariants{
		w: w, policy: parsed, indexes: make(map[record.ID]uint64), heads: make(map[string]record.ID), roots: make(map[uint64]proof.Hash),
		published: proof.Tree{Root: proof.EmptyRoot()}, committed: make(map[record.ID]bool), refusedStatus: make(map[record.ID]int),
		shadowFS: vfs.NewMem(), digests: make(map[uint64]digest), kinds: make(map[record.Kind]int), refusals: make(map[int]int),
	}
}

// openShadow opens the shadow, whose goroutines live within a day.
func (l *ledgerInvariants) openShadow() (err error) {
	l.shadowRegister, err = register.Open(l.shadowFS, "shadow", registerOptions())
	return err
}

// onSent: the record may be admitted from now on.
func (l *ledgerInvariants) onSent(id record.ID) { delete(l.refusedStatus, id) }

// onRefused: nobody will find the record in the log, unless it is under way once more.
func (l *ledgerInvariants) onRefused(id record.ID, p *client.Problem, last bool) error {
	if last {
		l.refusedStatus[id] = p.Status
	}
	l.refusals[p.Status]++
	switch p.Status {
	case 400, 403, 409, 413, 422:
	default:
		return fmt.Errorf("answered %d: %w", p.Status, p)
	}
	if l.committed[id] {
		return fmt.Errorf("refused after the ledger said that it is committed: %w", p)
	}
	if index, ok := l.indexes[id]; ok {
		return fmt.Errorf("refused, and it is at index %d: %w", index, p)
	}
	return nil
}

// onCommitted: the ledger says that it has the record.
func (l *ledgerInvariants) onCommitted(id record.ID) error {
	l.committed[id] = true
	return nil
}

// onReceipt: a receipt was handed out.
func (l *ledgerInvariants) onReceipt(r *client.Receipt) error {
	for _, old := range l.receipts {
		if old.ID == r.ID && old.Index() != r.Index() {
			return fmt.Errorf("at index %d, and before it was at %d", r.Index(), old.Index())
		}
	}
	l.receipts = append(l.receipts, r)
	l.committed[r.ID] = true
	return nil
}

// check re-checks every law of a ledger that is up.
func (l *ledgerInvariants) check(ctx context.Context, m *ledgerNode) error {
	if m.node == nil {
		return nil
	}
	p := m.node.Ledger.Published()
	if p == nil {
		return l.checkUnpublished()
	}
	cp := p.Checkpoint()
	for _, law := range []func() error{
		func() error { return l.checkEntries(ctx, m, cp.Size) },
		func() error { return l.checkRoot(ctx, m, cp) },
		func() error { return l.checkReceipts(cp) },
		func() error { return l.checkRegister(m) },
	} {
		if err := law(); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledgerInvariants) checkUnpublished() error {
	if l.published.Size > 0 {
		return fmt.Errorf("size %d was published, and now nothing is", l.published.Size)
	}
	return nil
}

// onSynced: a follower's copy is that of the published tree.
func (l *ledgerInvariants) onSynced(c syncResult) error {
	if root, ok := l.roots[c.tree.Size]; ok && root != c.tree.Root {
		return fmt.Errorf("it believes root %s at size %d, the ledger published %s", c.tree.Root, c.tree.Size, root)
	}
	if want, ok := l.digests[c.tree.Size]; ok && c.digest != want {
		return fmt.Errorf("at size %d its register differs from one that was replayed", c.tree.Size)
	}
	return nil
}

// onAudited: the auditor has seen the tree that was published.
func (l *ledgerInvariants) onAudited(r *client.AuditReport) error {
	if root, ok := l.roots[r.Tree.Size]; ok && root != r.Tree.Root {
		return fmt.Errorf("found root %s at size %d, the ledger published %s", r.Tree.Root, r.Tree.Size, root)
	}
	return nil
}

// checkFromScratch is every law once more and from nothing: each receipt parsed and verified
// again, the register replayed from zero.
func (l *ledgerInvariants) checkFromScratch() error {
	for _, r := range l.receipts {
		parsed, err := proof.ParseReceipt(r.Text)
		if err != nil {
			return err
		}
		if v, err := parsed.Verify(l.policy, time.Now()); err != nil || v.Index() != r.Index() {
			return fmt.Errorf("the receipt of index %d does not verify any more (%v)", r.Index(), err)
		}
	}
	r, err := register.Open(vfs.NewMem(), "replayed", registerOptions())
	if err != nil {
		return err
	}
	defer r.Close()
	if len(l.entries) == 0 {
		return nil
	}
	if err := replayEntries(r, l.entries, l.published.Root); err != nil {
		return fmt.Errorf("replaying from zero: %w", err)
	}
	if got, err := digestOf(r); err != nil || got != l.digests[l.published.Size] {
		return fmt.Errorf("at size %d a replay from zero differs (%v)", l.published.Size, err)
	}
	return nil
}
