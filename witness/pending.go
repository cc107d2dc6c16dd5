package witness

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// maxPending is how many checkpoints of one log wait in each room. patience is how
// many rounds one that others could be compared with waits before it gives way.
const (
	maxPending = 64
	patience   = 60
)

// room is the place of those that came by one way. Each way has its own, so that
// whoever floods one crowds out nothing that came by another.
type room byte

const (
	handedIn  room = 'h' // by clients and auditors, who were told that it is kept
	submitted room = 's' // to be cosigned, and was refused
	shown     room = 'g' // by a peer or a source, in a round of gossip
)

var rooms = []room{handedIn, submitted, shown}

// pending is a checkpoint that the log signed and that waits to be compared. The
// ward's mu guards in, tries and vain.
type pending struct {
	reference
	in    room
	tries int // how often it was to be compared
	vain  int // how often whoever could know was there, and did not
}

// setAside keeps a checkpoint for the next round to compare; false if there is no
// room.
func (w *Witness) setAside(v *ward, signed *proof.Signed, in room) bool {
	t := signed.Checkpoint().Tree()
	if t.Size == 0 || w.settledBefore(v, t) || v.chargedIn(t) != "" {
		return true // on one history with everything, or compared before
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.pending[t]
	switch {
	case p != nil && (p.in == in || in != handedIn):
		return true
	case p == nil && !w.makeRoom(v, t, in):
		return false
	}
	w.hold(v, reference{t, signed.Own()}, in)
	return true
}

// hold keeps a checkpoint, or notes of one that waits that somebody was told so. mu
// is held.
func (w *Witness) hold(v *ward, ref reference, in room) {
	if v.pending[ref.tree] == nil {
		v.pending[ref.tree] = &pending{reference: ref}
	}
	p := v.pending[ref.tree]
	p.in = in
	if err := w.state.hold(v.origin, *p); err != nil {
		w.doubt(fmt.Errorf("keeping a checkpoint to compare: %w", err))
	}
}

// makeRoom lets one go if the room is full: none that no round has compared in vain
// yet. Of those beyond all that is known, the largest goes for a smaller: nearer ones
// are compared sooner, and if the log made them up it is caught with them. Of the
// others, the one that was compared in vain most often, when patience is at its end.
// mu is held.
func (w *Witness) makeRoom(v *ward, t proof.Tree, in room) bool {
	all := v.inside(in)
	if len(all) < maxPending {
		return true
	}
	victim := slices.MaxFunc(all, func(a, b *pending) int { return cmp.Compare(a.vain, b.vain) })
	if victim.vain < patience {
		victim = nil
	}
	for _, p := range all {
		if p.vain > 0 && p.tree.Size > max(v.horizon(), t.Size) {
			victim = p
		}
	}
	if victim != nil {
		w.release(v, victim.tree)
	}
	return victim != nil
}

// squeezeIn keeps a checkpoint that was handed in in place of the largest, which no
// round needs to have tried: a log that makes up one tree after another, beyond all
// that is known, keeps nothing out that is smaller.
func (w *Witness) squeezeIn(v *ward, signed *proof.Signed) bool {
	t := signed.Checkpoint().Tree()
	v.mu.Lock()
	defer v.mu.Unlock()
	if all := v.inside(handedIn); len(all) >= maxPending {
		largest := all[len(all)-1]
		if largest.tree.Size <= max(v.horizon(), t.Size) {
			return false
		}
		w.release(v, largest.tree)
	}
	w.hold(v, reference{t, signed.Own()}, handedIn)
	return true
}

// inside are those that wait in one room, the smallest first; mu is held.
func (v *ward) inside(in room) (all []*pending) {
	for _, p := range v.pending {
		if p.in == in {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *pending) int { return compareTrees(a.tree, b.tree) })
	return all
}

// dropPending forgets a checkpoint that was compared.
func (w *Witness) dropPending(v *ward, t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.release(v, t)
}

// release forgets a checkpoint; mu is held.
func (w *Witness) release(v *ward, t proof.Tree) {
	if v.pending[t] == nil {
		return
	}
	delete(v.pending, t)
	if err := w.state.release(v.origin, t); err != nil {
		w.doubt(fmt.Errorf("forgetting a checkpoint that waited: %w", err))
	}
}

// waiting are the checkpoints that wait to be compared: those first that were tried
// in the fewest rounds, so that what cannot be compared holds up nothing that can,
// and of these the smallest.
func (v *ward) waiting() []reference {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := slices.SortedFunc(maps.Values(v.pending), func(a, b *pending) int {
		return cmp.Or(cmp.Compare(a.tries, b.tries), compareTrees(a.tree, b.tree))
	})
	refs := make([]reference, len(all))
	for i, p := range all {
		refs[i] = p.reference
	}
	return refs
}

// tried notes that a checkpoint that waits is being compared.
func (v *ward) tried(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.pending[t]; p != nil {
		p.tries++
	}
}

// inVain notes that it was in vain, though whoever could know was there.
func (v *ward) inVain(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.pending[t]; p != nil {
		p.vain++
	}
}

// promised tells whether somebody was told that a checkpoint is kept until it is
// compared. That a larger tree speaks for it is no reason to drop it: the log decides
// which one that is, and whether its tiles are ever seen again. It waits as one that was
// compared in vain.
func (v *ward) promised(t proof.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.pending[t]
	if p == nil || p.in != handedIn {
		return false
	}
	p.vain++
	return true
}

// rivals are the checkpoints that wait, or were found to extend ours, and have another
// tree of that size.
func (v *ward) rivals(t proof.Tree) (notes [][]byte) {
	all := v.waiting()
	if r := v.ahead.Load(); r != nil {
		all = append(all, *r)
	}
	for _, other := range all {
		if other.tree.Size == t.Size && other.tree != t {
			notes = append(notes, other.note)
		}
	}
	return notes
}

// turnAway notes that a checkpoint could neither be compared nor wait.
func (v *ward) turnAway() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.crowded++
}

// takeTurnedAway is how many these were since it was asked last.
func (v *ward) takeTurnedAway() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.crowded
	v.crowded = 0
	return n
}

// compareTrees orders by size, then by root.
func compareTrees(a, b proof.Tree) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), bytes.Compare(a.Root[:], b.Root[:]))
}
