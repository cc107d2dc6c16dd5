package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// compareAll puts all that is known of a log side by side: the newest checkpoint
// cosigned here, what peers and sources showed in this round, and what waits from
// before. Two of one size are compared as they are; of two sizes, the smaller must
// be what the larger tree begins with, which only the log's tiles can tell. A tree
// larger than ours waits until ours, or another, begins with it.
func (w *Witness) compareAll(ctx context.Context, v *ward, shown []*proof.Signed, r *Round) {
	if err := w.gather(ctx, v, shown, r); err != nil {
		w.log.Error("checkpoints were not compared", "origin", v.origin, "err", err)
		return
	}
	for _, t := range v.waiting() {
		settled, err := w.settle(ctx, v, t, shown, r)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.Error("checkpoints were not compared", "origin", v.origin, "size", t.Size, "err", err)
		case settled:
			r.Compared++
			w.dropPending(v, t)
		default:
			r.Waiting++
		}
	}
}

// gather compares what was shown with what is at hand, and lets the rest wait.
func (w *Witness) gather(ctx context.Context, v *ward, shown []*proof.Signed, r *Round) error {
	for _, s := range shown {
		if err := v.take(ctx); err != nil {
			return err
		}
		found, err := w.compareSize(v, s)
		r.Evidence += found
		if w.onOurLine(v, s.Checkpoint().Tree()) {
			r.Compared++
		} else {
			w.makeRoom(v)
			w.setAside(v, s)
		}
		v.give()
		if err != nil {
			return err
		}
	}
	return nil
}

// settle compares a tree that waits with the newest one cosigned here, with what was
// shown in this round and with the largest that waits. true: it needs no more
// thought, because a larger tree begins with it and speaks for it from now on, or
// because it stands in evidence.
func (w *Witness) settle(ctx context.Context, v *ward, t proof.Tree, shown []*proof.Signed, r *Round) (bool, error) {
	note := v.waitingNote(t)
	if note == nil || w.onOurLine(v, t) || v.chargedIn(t) != "" {
		return true, nil
	}
	var last error
	for _, ref := range w.references(v, t, shown) {
		e, err := w.align(ctx, v, reference{t, note}, ref)
		switch {
		case err != nil:
			last = err
		case e != nil:
			return w.convictFound(ctx, v, *e, r)
		case ref.tree.Size > t.Size:
			return true, nil
		}
	}
	if last != nil {
		w.suspect(v.origin, fmt.Sprintf("a tree of %d entries could not be compared with others", t.Size), last)
	}
	return false, nil
}

func (w *Witness) convictFound(ctx context.Context, v *ward, e proof.Evidence, r *Round) (bool, error) {
	if err := v.take(ctx); err != nil {
		return false, err
	}
	defer v.give()
	_, news, err := w.convict(v, e)
	if news {
		r.Evidence++
	}
	return err == nil, err
}

// reference is a checkpoint, by the tree in it.
type reference struct {
	tree proof.Tree
	note []byte
}

// references are what a tree can be compared with, ours first. A fork that is known
// speaks for nothing.
func (w *Witness) references(v *ward, t proof.Tree, shown []*proof.Signed) []reference {
	var refs []reference
	add := func(tree proof.Tree, note []byte) {
		same := func(r reference) bool { return r.tree == tree }
		if note == nil || tree.Size == 0 || tree.Size == t.Size || slices.ContainsFunc(refs, same) {
			return
		}
		if v.chargedIn(tree) == "" || w.onOurLine(v, tree) {
			refs = append(refs, reference{tree, note})
		}
	}
	if note, err := w.state.latest(v.origin); err == nil && note != nil {
		if cp, _, err := proof.ParseCheckpoint(note); err == nil {
			add(cp.Tree(), note)
		}
	}
	for _, s := range shown {
		add(s.Checkpoint().Tree(), s.Note())
	}
	if all := v.waiting(); len(all) > 0 {
		largest := all[len(all)-1]
		add(largest, v.waitingNote(largest))
	}
	return refs
}

// align finds out whether the smaller of two trees is what the larger begins with,
// from the log's tiles, as any of the sources serves them; they are checked against
// the larger root. nil, nil: it is. Evidence: it is not. An error: nobody knows.
func (w *Witness) align(ctx context.Context, v *ward, a, b reference) (*proof.Evidence, error) {
	if a.tree.Size > b.tree.Size {
		a, b = b, a
	}
	err := errors.New("no place is known where this log's tiles can be read")
	for _, s := range w.sources[v.origin] {
		var left, right []proof.Hash
		if left, right, err = s.builder.Ranges(ctx, a.tree.Size, b.tree); err != nil {
			continue
		}
		e, err := proof.NewEvidence(a.note, b.note, append(left, right...)...)
		if err != nil {
			return nil, err
		}
		if _, err = e.Verify(v.keys()...); errors.Is(err, proof.ErrNoEvidence) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return &e, nil
	}
	return nil, err
}
