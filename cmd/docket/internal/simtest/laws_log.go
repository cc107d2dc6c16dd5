package simtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// checkEntries: what was published is there unchanged; what is new follows its
// thread, is there once, is admitted no earlier than what was before it, and was
// never refused.
func (l *ledgerInvariants) checkEntries(ctx context.Context, m *ledgerNode, size uint64) error {
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

func (l *ledgerInvariants) addEntry(index uint64, raw []byte) error {
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
	for _, letter := range l.w.authors.submissions {
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
func (l *ledgerInvariants) checkRoot(ctx context.Context, m *ledgerNode, cp proof.Checkpoint) error {
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
	for id := range proof.Tiles(l.published.Size, cp.Size) {
		if tile, err := m.node.Ledger.Tile(ctx, id); err != nil || !bytes.Equal(tile, log.Tile(id)) {
			return fmt.Errorf("%s is not what the entries make (%v)", id, err)
		}
	}
	l.published = cp.Tree()
	return nil
}

// checkReceipts: every receipt and every other promise holds in the tree as it is.
// Their signatures were verified when they came; see [laws.verify].
func (l *ledgerInvariants) checkReceipts(cp proof.Checkpoint) error {
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
func (l *ledgerInvariants) checkCommitted() error {
	for id := range l.committed {
		if _, ok := l.indexes[id]; !ok {
			return fmt.Errorf("record %s was committed, and it is gone", id)
		}
	}
	return nil
}
