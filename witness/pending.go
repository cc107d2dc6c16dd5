package witness

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// setAside keeps a checkpoint for the next round to compare; false if there is no
// room.
func (w *Witness) setAside(v *ward, signed *proof.Signed) bool {
	t := signed.Checkpoint().Tree()
	if t.Size == 0 || w.onOurLine(v, t) || v.chargedIn(t) != "" {
		return true // on one history with everything, or compared before
	}
	note, err := logNote(signed)
	if err != nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, there := v.pending[t]; there {
		return true
	}
	if len(v.pending) >= maxPending {
		return false
	}
	v.pending[t] = note
	if err := w.state.hold(v.origin, t, note); err != nil {
		w.doubt(fmt.Errorf("keeping a checkpoint to compare: %w", err))
	}
	return true
}

// makeRoom lets the smallest tree go if there is no room, for what the peers show:
// theirs is not lost to a flood of old checkpoints that strangers hand in.
func (w *Witness) makeRoom(v *ward) {
	if all := v.waiting(); len(all) >= maxPending {
		w.dropPending(v, all[0])
	}
}

// dropPending forgets a checkpoint that was compared.
func (w *Witness) dropPending(v *ward, t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, there := v.pending[t]; !there {
		return
	}
	delete(v.pending, t)
	if err := w.state.release(v.origin, t); err != nil {
		w.doubt(fmt.Errorf("forgetting a compared checkpoint: %w", err))
	}
}

// waiting are the trees whose checkpoints wait to be compared, the smallest first.
func (v *ward) waiting() []proof.Tree {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.SortedFunc(maps.Keys(v.pending), compareTrees)
}

// waitingNote is the checkpoint of a tree that waits; nil if it no longer does.
func (v *ward) waitingNote(t proof.Tree) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pending[t]
}

// rivals are the checkpoints that wait and have another tree of that size.
func (v *ward) rivals(t proof.Tree) (notes [][]byte) {
	for _, other := range v.waiting() {
		if other.Size == t.Size && other != t {
			notes = append(notes, v.waitingNote(other))
		}
	}
	return notes
}

// compareTrees orders by size, then by root.
func compareTrees(a, b proof.Tree) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), bytes.Compare(a.Root[:], b.Root[:]))
}
