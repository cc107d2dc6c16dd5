package client

import (
	"context"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// What is read of the replayed copy, checked against the trusted root.

// Receipt makes a receipt from the copy alone, against the trusted checkpoint.
func (t *Trust) Receipt(ctx context.Context, id record.ID) (proof.Receipt, error) {
	r, err := t.Register()
	if err != nil {
		return proof.Receipt{}, err
	}
	index, ok, err := r.Lookup(id)
	if err != nil {
		return proof.Receipt{}, err
	}
	if !ok {
		return proof.Receipt{}, fmt.Errorf("no record %s among all %d entries", id, r.Size())
	}
	receipt, err := t.Reader().Receipt(ctx, index)
	if err != nil {
		return proof.Receipt{}, t.damageAt(index, err)
	}
	return receipt, nil
}

// copyDir is the directory as a copy.
func (t *Trust) copyDir() *TileDir { return NewTileDir(t.files, t.dir) }

// Reader reads the copy under the trusted root, which checks all of it: the files may have
// been damaged since they were written.
func (t *Trust) Reader() *reader.Reader {
	return reader.New(t.copyDir(), reader.Config{Published: t.checkpoint, Verify: t.verify, CacheTiles: -1})
}

// readEntry reads an entry of the copy.
func (t *Trust) readEntry(ctx context.Context, index uint64) ([]byte, error) {
	entry, err := t.Reader().Entry(ctx, index)
	if err != nil {
		return nil, t.damageAt(index, err)
	}
	return entry, nil
}

// damageAt is what a copy is whose files do not make its root any more.
func (t *Trust) damageAt(index uint64, err error) error {
	return &DamageError{Dir: t.dir, Where: fmt.Sprintf(" at index %d", index), Err: err}
}

// DamageError is a copy whose own files do not hold what was verified before. It says
// nothing about the ledger, nor about what was to be held against the copy.
type DamageError struct {
	Dir    string
	Where  string // in it, with a space before; may be empty
	NoCopy bool   // nothing else answers: it is [ErrNoCopy] too
	Err    error
}

func (e *DamageError) Unwrap() error { return e.Err }

// Is makes it [ErrNoCopy] where it is that too.
func (e *DamageError) Is(target error) bool { return e.NoCopy && target == ErrNoCopy }

func (e *DamageError) Error() string {
	return fmt.Sprintf("the copy in %s is damaged%s (docket sync --verify mends it): %v", e.Dir, e.Where, e.Err)
}

// TreeAt is the tree of the copy's first entries, as the trusted checkpoint has them.
func (t *Trust) TreeAt(ctx context.Context, size uint64) (proof.Tree, error) {
	tree, err := t.Reader().TreeAt(ctx, size)
	if err != nil {
		return proof.Tree{}, &DamageError{Dir: t.dir, Err: err}
	}
	return tree, nil
}

// Entry reads one entry of the copy, checked against the trusted root.
func (t *Trust) Entry(ctx context.Context, index uint64) ([]byte, error) {
	size := t.CoveredSize()
	if index >= size {
		return nil, fmt.Errorf("index %d is not covered by the copy, which has %d entries", index, size)
	}
	return t.readEntry(ctx, index)
}
