package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// replay folds every entry. The first that must not be in a ledger ends the
// judging, since what follows has no state to be judged by; hashing goes on, if the log
// signed how far. It reports whether there is nothing more to audit.
func (a Audit) replay(ctx context.Context, r *AuditReport, reg *register.Register, note []byte, cp proof.Checkpoint, by signerStatus) (done bool, err error) {
	f := &logReplayer{read: a.Source.Bundle, tree: proof.NewAppender(), register: reg}
	f.write = func(run *entryRun) error {
		full := slices.DeleteFunc(run.tiles, func(t proof.Tile) bool { return t.ID.Width < proof.TileWidth })
		if run.head.Size == cp.Size {
			full = append(full, f.tree.PartialTiles()...)
		}
		return a.compareTiles(ctx, r, run.head, full)
	}
	if a.OnProgress != nil {
		f.progress = func(n uint64) { a.OnProgress(n, cp.Size) }
	}
	_, err = f.replayTo(ctx, cp.Size)
	var bad *register.EntryError
	var old *register.UpgradeError
	var withheld *wire.WithheldError
	switch {
	case errors.As(err, &withheld) && withheld.Index > 0 && withheld.Index < cp.Size:
		return false, a.replayUpToWithheld(ctx, r, reg, cp, withheld)
	case errors.As(err, &old):
		return false, fmt.Errorf("entry %d: %w", old.Index, err)
	case errors.As(err, &bad):
		var again *register.EntryError
		if err := a.replayUpTo(ctx, reg, bad.Index, cp.Size); errors.As(err, &again) {
			r.Ledger, r.Checked, r.RootMismatch = reg.Ledger(), reg.Size(), true
			r.addSourceFinding("entry %d was in order when it was read first, and when it was read again: %v: the source does not hand out the same twice, so that what is wrong with it is no fault of the log", again.Index, again.Err)
			return true, nil
		} else if err != nil {
			return false, err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, bad.Index
		must := fmt.Sprintf("entry %d must not be in this ledger: ", bad.Index)
		why := strings.TrimPrefix(bad.Err.Error(), must) // the register says it as well
		if by == signerUnknown {
			if by, err = signerAt(reg, note, bad.Index); err != nil {
				return false, err
			}
		}
		if by != signerLog {
			if fault, err := a.checkEntry(ctx, cp.Tree(), bad.Index); err != nil {
				return false, err
			} else if fault != nil {
				r.RootMismatch = true
				r.addSourceFinding("entry %d is not in order (%s), and not what the checkpoint of size %d says of it (%v): no fault of the log; the %d entries after it were not fetched", bad.Index, why, cp.Size, fault, cp.Size-bad.Index-1)
				return true, nil
			}
			r.addFinding("%s%s; the %d entries after it were not fetched, since no charter before it names a key that signed the checkpoint", must, why, cp.Size-bad.Index-1)
			return true, nil
		}
		if r.Tree, err = hashAll(ctx, a.Source.Bundle, cp.Size); err != nil {
			return false, err
		}
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries make the root %s; the checkpoint says %s: what the source hands out is not what the log signed, so that what is wrong with it is no fault of the log; judged up to entry %d (%s)", cp.Size, r.Tree.Root, cp.Root, bad.Index, why)
		} else {
			r.LogFault = must + why
			r.addFinding("%s; the %d entries after it were hashed, not judged", r.LogFault, cp.Size-bad.Index-1)
		}
	case err != nil:
		return false, err
	default:
		if r.Tree, err = f.tree.Tree(); err != nil {
			return false, err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, cp.Size
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries make the root %s; the checkpoint says %s: what the source hands out is not what the log signed", cp.Size, r.Tree.Root, cp.Root)
		}
	}
	switch {
	case a.Charter.IsZero():
		r.Notes = append(r.Notes, fmt.Sprintf("no charter was pinned: this is the ledger of whoever wrote charter %s", r.Ledger))
	case a.Charter != r.Ledger && r.Checked > 0:
		r.addFinding("the charter at index 0 is %s; pinned is %s", r.Ledger, a.Charter)
	}
	return false, nil
}

// checkEntry holds an entry against the tree that a checkpoint says, by the source's own
// tiles, whoever signed it. fault is why the entry, or a tile, is not of that tree: then
// nobody has signed what the source hands out.
func (a Audit) checkEntry(ctx context.Context, tree proof.Tree, index uint64) (fault, err error) {
	entries, err := EntriesOf(ctx, wholeBundles(a.Source.Bundle, tree.Size), index, index+1)
	if err != nil {
		return nil, err
	}
	fault = proof.NewTileReader(a.Source.Tiles, -1).At(tree).CheckEntries(ctx, index, entries)
	if fault != nil && isTransient(ctx, fault) {
		return nil, fault
	}
	return fault, nil
}

// replayUpTo brings the register to the last entry before one that must not be there, in a
// log of some size: the batch in which that stood was not taken in.
func (a Audit) replayUpTo(ctx context.Context, reg *register.Register, index, size uint64) error {
	if err := reg.Reset(); err != nil {
		return err
	}
	f := &logReplayer{read: wholeBundles(a.Source.Bundle, size), tree: proof.NewAppender(), register: reg}
	_, err := f.replayTo(ctx, index)
	return err
}

// wholeBundles reads each bundle as a log of that size has it, and cuts it to what is asked:
// a source need not hand out one of a smaller log.
func wholeBundles(read readBundle, size uint64) readBundle {
	return func(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
		whole := id
		whole.Width = int(min(size-id.Index*proof.TileWidth, proof.TileWidth))
		entries, err := read(ctx, whole)
		if err != nil {
			return nil, err
		}
		return entries[:id.Width], nil
	}
}

// replayUpToWithheld judges what comes before the first entry that the source withholds, and
// makes the tree of the leaf hashes from there on: that they are those of the entries,
// nobody can tell who has not all of these.
func (a Audit) replayUpToWithheld(ctx context.Context, r *AuditReport, reg *register.Register, cp proof.Checkpoint, w *wire.WithheldError) error {
	if err := reg.Reset(); err != nil {
		return err
	}
	for {
		f := &logReplayer{read: a.Source.Bundle, tree: proof.NewAppender(), register: reg}
		_, err := f.replayTo(ctx, w.Index)
		if earlier := (*wire.WithheldError)(nil); errors.As(err, &earlier) && earlier.Index > 0 && earlier.Index < w.Index {
			w = earlier // that of a bundle names the bundle's first
			continue
		}
		if err != nil {
			return err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, w.Index
		r.Withheld = &Withheld{Index: w.Index, URL: w.URL, Reason: w.Reason}
		if r.Tree, err = appendLeaves(ctx, f.tree, a.Source.Tiles, cp.Size, nil); err != nil {
			return err
		}
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries and the leaf hashes after them make the root %s; the checkpoint says %s: what the source hands out is not what the log signed", w.Index, r.Tree.Root, cp.Root)
		}
		return nil
	}
}

// hashAll makes the root of all entries and judges none.
func hashAll(ctx context.Context, read readBundle, size uint64) (proof.Tree, error) {
	t := proof.NewAppender()
	for id := range proof.EntryBundles(0, size) {
		entries, err := read(ctx, id)
		if err != nil {
			return proof.Tree{}, err
		}
		for _, e := range entries {
			if err := t.Append(proof.LeafHash(e)); err != nil {
				return proof.Tree{}, err
			}
		}
		t.TakeTiles()
	}
	return t.Tree()
}

// compareTiles holds the tiles that are served against those that the entries make: the
// full ones, and at the end the partial ones.
func (a Audit) compareTiles(ctx context.Context, r *AuditReport, head proof.Tree, tiles []proof.Tile) error {
	ids := make([]proof.TileID, len(tiles))
	for i, t := range tiles {
		ids[i] = t.ID
	}
	served, err := a.Source.Tiles(ctx, ids)
	switch {
	case err != nil && isTransient(ctx, err):
		return err
	case err != nil:
		r.addSourceFinding("tiles below size %d: %v", head.Size, err)
		return nil
	}
	for i, t := range tiles {
		if !bytes.Equal(served[i], t.Hashes) {
			r.addSourceFinding("%s is not what the entries make: proofs built from it are wrong", t.ID)
		}
	}
	return nil
}
