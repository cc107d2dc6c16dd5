package simtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// invariants remember all that was ever published, said and cosigned, and hold ledger,
// witnesses and clients against it (DESIGN.md section 9). They hash for themselves, and
// share with the ledger what auditors share: record, proof, register. They observe every
// response on the network, and know all histories.
type invariants struct {
	sim *simulation

	entries   [][]byte // published so far, by a log that is honest
	indexes   map[record.ID]uint64
	heads     map[record.Thread]record.ID // newest record of each thread
	admitted  time.Time                   // of the newest entry
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
	comparedNode   *node.Node          // whose that was

	trusted              map[string]map[proof.Tree]bool // by client: all that it ever believed
	halted               map[string]bool                // witnesses that hold evidence
	signedByMaliciousLog map[proof.Tree]bool            // by the forger: evidence may speak of these
	histories            [2]history

	mu         sync.Mutex                     // answers come on the callers' goroutines; guards what follows
	cosigned   map[string]map[proof.Tree]bool // by witness: all that its key was ever seen under
	requested  map[proof.Tree][]byte          // what the honest ledger has asked to be cosigned
	violations []error                        // seen on the wire
}

func newInvariants(sim *simulation) *invariants {
	return &invariants{
		sim: sim, indexes: make(map[record.ID]uint64), heads: make(map[record.Thread]record.ID), roots: make(map[uint64]proof.Hash),
		published: proof.Tree{Root: proof.EmptyRoot()}, committed: make(map[record.ID]bool), refusedStatus: make(map[record.ID]int),
		shadowFS: vfs.NewMem(), digests: make(map[uint64]digest), kinds: make(map[record.Kind]int), refusals: make(map[int]int),
		cosigned: make(map[string]map[proof.Tree]bool), requested: make(map[proof.Tree][]byte), trusted: make(map[string]map[proof.Tree]bool),
		halted: make(map[string]bool), signedByMaliciousLog: make(map[proof.Tree]bool),
	}
}

// openShadow opens the shadow, whose goroutines live within a day.
func (l *invariants) openShadow() (err error) {
	l.shadowRegister, err = register.Open(l.shadowFS, "shadow", registerOptions())
	return err
}

// recordSent: the record may be admitted from now on.
func (l *invariants) recordSent(id record.ID) { delete(l.refusedStatus, id) }

// onRefused records a refusal: from now on the record must not be in the log, unless it
// was submitted again.
func (l *invariants) onRefused(id record.ID, p *client.Problem, last bool) error {
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

// recordCommitted: the ledger says that it has the record.
func (l *invariants) recordCommitted(id record.ID) error {
	l.committed[id] = true
	return nil
}

// onReceipt: a receipt was handed out.
func (l *invariants) onReceipt(r *client.Receipt) error {
	for _, old := range l.receipts {
		if old.ID == r.ID && old.Index() != r.Index() {
			return fmt.Errorf("at index %d, and before it was at %d", r.Index(), old.Index())
		}
	}
	l.receipts = append(l.receipts, r)
	l.committed[r.ID] = true
	return nil
}

// check checks every invariant again.
func (l *invariants) check() error {
	if l.sim.maliciousLog == nil && l.sim.ledger.node != nil {
		if err := l.checkLedger(l.sim.dayCtx, l.sim.ledger); err != nil {
			return err
		}
	}
	return l.checkNetwork()
}

// checkLedger checks again what an honest ledger promises.
func (l *invariants) checkLedger(ctx context.Context, m *ledgerNode) error {
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

func (l *invariants) checkUnpublished() error {
	if l.published.Size > 0 {
		return fmt.Errorf("size %d was published, and now nothing is", l.published.Size)
	}
	return nil
}

// onSynced: a follower's copy is that of the published tree.
func (l *invariants) onSynced(c syncResult) error {
	if root, ok := l.roots[c.tree.Size]; ok && root != c.tree.Root {
		return fmt.Errorf("it believes root %s at size %d, the ledger published %s", c.tree.Root, c.tree.Size, root)
	}
	if want, ok := l.digests[c.tree.Size]; ok && c.digest != want {
		return fmt.Errorf("at size %d its register differs from one that was replayed", c.tree.Size)
	}
	return nil
}

// onAudited: the auditor has seen the tree that was published.
func (l *invariants) onAudited(r *client.AuditReport) error {
	if root, ok := l.roots[r.Tree.Size]; ok && root != r.Tree.Root {
		return fmt.Errorf("found root %s at size %d, the ledger published %s", r.Tree.Root, r.Tree.Size, root)
	}
	return nil
}

// checkFromScratch checks every invariant from scratch: each receipt parsed and
// verified again, the register replayed from zero.
func (l *invariants) checkFromScratch() error {
	for _, r := range l.receipts {
		parsed, err := proof.ParseReceipt(r.Text)
		if err != nil {
			return err
		}
		if v, err := parsed.Verify(l.sim.policy, time.Now()); err != nil || v.Index() != r.Index() {
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

// checkEntries: what was published is there unchanged; what is new follows its
// thread, is there once, is admitted no earlier than what was before it, and was
// never refused.
func (l *invariants) checkEntries(ctx context.Context, m *ledgerNode, size uint64) error {
	if size < l.published.Size {
		return fmt.Errorf("size %d was published, and now it is %d", l.published.Size, size)
	}
	entries, err := m.node.Ledger.Entries(ctx, 0, size)
	if err != nil {
		return fmt.Errorf("reading the entries: %w", err)
	}
	for i, old := range l.entries {
		if !bytes.Equal(entries[i], old) {
			return fmt.Errorf("entry %d has changed", i)
		}
	}
	for i, raw := range entries[len(l.entries):] {
		if err := l.addEntry(uint64(len(l.entries)), raw); err != nil {
			return fmt.Errorf("entry %d: %w", len(l.entries)+i, err)
		}
	}
	for id, status := range l.refusedStatus {
		if index, ok := l.indexes[id]; ok {
			return fmt.Errorf("record %s was refused (%d), and it is at index %d", id, status, index)
		}
	}
	return nil
}

func (l *invariants) addEntry(index uint64, raw []byte) error {
	e, err := record.ParseEntry(raw)
	if err != nil {
		return err
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return err
	}
	id := record.IDOf(e.Envelope.Payload)
	if first, twice := l.indexes[id]; twice {
		return fmt.Errorf("record %s is at index %d already", id, first)
	}
	if e.Admitted.Before(l.admitted) {
		return fmt.Errorf("admitted at %s, the entry before it at %s", e.Admitted, l.admitted)
	}
	if st.Follows != l.heads[st.Thread] {
		return fmt.Errorf("follows %s, the newest record on %s is %s", st.Follows, st.Thread, l.heads[st.Thread])
	}
	for _, letter := range l.sim.authors.submissions {
		if letter.id == id && letter.whyInvalid != "" && letter.missingSigners != nil {
			return fmt.Errorf("letter %d is forged: %s", letter.number, letter.whyInvalid)
		}
	}
	l.entries = append(l.entries, raw)
	l.indexes[id], l.heads[st.Thread], l.admitted = index, id, e.Admitted
	l.kinds[st.Kind]++
	return nil
}

// checkRoot: the checkpoint's root is that of all entries hashed anew, and its tree
// grows out of the one published before.
func (l *invariants) checkRoot(ctx context.Context, m *ledgerNode, cp proof.Checkpoint) error {
	if cp.Tree() == l.published {
		return nil
	}
	log := storetest.NewReferenceLog(l.entries)
	for size := l.published.Size; size <= cp.Size; size++ {
		l.roots[size] = log.Head(int(size)).Root
	}
	if l.roots[cp.Size] != cp.Root {
		return fmt.Errorf("the checkpoint of size %d has root %s, its entries hash to %s", cp.Size, cp.Root, l.roots[cp.Size])
	}
	if l.published.Size > 0 {
		path, err := m.node.Ledger.ConsistencyProof(ctx, l.published.Size, cp.Size)
		if err != nil {
			return err
		}
		if err := proof.VerifyConsistency(l.published, cp.Tree(), path); err != nil {
			return err
		}
	}
	for id := range storetest.Tiles(l.published.Size, cp.Size) {
		if tile, err := m.node.Ledger.Tile(ctx, id); err != nil || !bytes.Equal(tile, log.Tile(id)) {
			return fmt.Errorf("%s is not what the entries make (%v)", id, err)
		}
	}
	l.published = cp.Tree()
	return nil
}

// checkReceipts checks that every receipt and every other promise holds in the current
// tree. Their signatures were verified when they arrived
// ([invariants.onReceipt]).
func (l *invariants) checkReceipts(cp proof.Checkpoint) error {
	for _, r := range l.receipts {
		tree := r.Published().Checkpoint().Tree()
		switch {
		case r.Index() >= cp.Size || tree.Size > cp.Size:
			return fmt.Errorf("there is a receipt of index %d against size %d, and the published size is %d", r.Index(), tree.Size, cp.Size)
		case !bytes.Equal(r.Entry(), l.entries[r.Index()]):
			return fmt.Errorf("there is a receipt of another entry at index %d", r.Index())
		case tree.Root != l.roots[tree.Size]:
			return fmt.Errorf("the receipt of index %d is against size %d with root %s, which was %s", r.Index(), tree.Size, tree.Root, l.roots[tree.Size])
		}
	}
	return nil
}

// checkCommitted: whatever the ledger ever said it has is published. It holds once
// the ledger has published all that it has committed.
func (l *invariants) checkCommitted() error {
	for id := range l.committed {
		if _, ok := l.indexes[id]; !ok {
			return fmt.Errorf("record %s was committed, and it is gone", id)
		}
	}
	return nil
}

// digest is the SHA-256 of a register's dump.
type digest [sha256.Size]byte

// registerOptions are the options of a register that judges as a ledger's does.
func registerOptions() register.Options {
	o, small := client.RegisterOptions(), registertest.SmallOptions()
	o.CacheBytes, o.MemTableBytes, o.CachedThreads, o.Health = small.CacheBytes, small.MemTableBytes, small.CachedThreads, small.Health
	return o
}

// checkRegister: the register is that of one replayed beside it, byte for byte, and
// finds every record.
func (l *invariants) checkRegister(m *ledgerNode) error {
	size := l.published.Size
	if err := l.advanceShadow(); err != nil {
		return err
	}
	if m.node.Ledger.Backlog() > 0 {
		return nil // it is ahead of what is published: the next step will do
	}
	if err := l.checkCommitted(); err != nil {
		return err
	}
	if size == l.compared && m.node == l.comparedNode {
		return nil
	}
	got, err := digestOf(m.node.Register)
	if err != nil {
		return err
	}
	if got != l.digests[size] {
		return fmt.Errorf("at size %d the register differs from one that was replayed", size)
	}
	for id, want := range l.indexes {
		if index, ok, err := m.node.Register.Lookup(id); err != nil || !ok || index != want {
			return fmt.Errorf("record %s at index %d is looked up as %d, %v (%v)", id, want, index, ok, err)
		}
	}
	l.compared, l.comparedNode = size, m.node
	return nil
}

// advanceShadow takes the shadow to the published size.
func (l *invariants) advanceShadow() error {
	at := l.shadowRegister.Size()
	if at == l.published.Size {
		return nil
	}
	if err := replayEntries(l.shadowRegister, l.entries[at:], l.published.Root); err != nil {
		return err
	}
	var err error
	l.digests[l.published.Size], err = digestOf(l.shadowRegister)
	return err
}

// replayEntries replays entries as a follower does.
func replayEntries(r *register.Register, entries [][]byte, root proof.Hash) error {
	replayer := r.NewReplayer(1)
	b, err := replayer.Verify(context.Background(), entries)
	if err != nil {
		return err
	}
	return replayer.Fold(b, root)
}

func digestOf(r *register.Register) (digest, error) {
	h := sha256.New()
	err := r.Dump(h)
	return digest(h.Sum(nil)), err
}
