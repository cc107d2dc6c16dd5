package witness

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// maxPendingPerSource is how many checkpoints of one log are pending from each source.
// maxFailures is how many rounds may compare one without result before it can be
// evicted.
const (
	maxPendingPerSource = 64
	maxFailures         = 60
)

// pendingSource is where a pending checkpoint came from. Each source has its own
// capacity, so a flood from one source evicts nothing of another.
type pendingSource byte

const (
	fromClient pendingSource = 'h' // by clients and auditors, who were told that it is kept
	fromLog    pendingSource = 's' // to be cosigned, and was refused
	fromGossip pendingSource = 'g' // by a peer or a source, in a round of gossip
)

var pendingSources = []pendingSource{fromClient, fromLog, fromGossip}

// pendingCheckpoint is a checkpoint that the log signed and that waits to be compared.
// logState.mu guards source, attempts and failures.
type pendingCheckpoint struct {
	noteAndTree
	source   pendingSource
	attempts int // how often it was to be compared
	failures int // how often the sources answered and it still could not be compared
}

// addPending keeps a checkpoint for the next round to compare; false if there is no
// room.
func (w *Witness) addPending(v *logState, signed *proof.Signed, from pendingSource) bool {
	t := signed.Checkpoint().Tree()
	if t.Size == 0 || w.knownConsistent(v, t) || v.evidenceID(t) != "" {
		return true // on one history with everything, or compared before
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.pending[t]
	switch {
	case p != nil && (p.source == from || from != fromClient):
		return true
	case p == nil && !w.evictPendingLocked(v, t, from):
		return false
	}
	w.addPendingLocked(v, noteAndTree{t, signed.WithoutCosignatures()}, from)
	return true
}

// addPendingLocked adds a pending checkpoint, or notes of one that is pending already
// that a client was told so. mu is held.
func (w *Witness) addPendingLocked(v *logState, ref noteAndTree, from pendingSource) {
	if v.pending[ref.tree] == nil {
		v.pending[ref.tree] = &pendingCheckpoint{noteAndTree: ref}
	}
	p := v.pending[ref.tree]
	p.source = from
	if err := w.state.putPending(v.origin, *p); err != nil {
		w.markBroken(fmt.Errorf("keeping a checkpoint to compare: %w", err))
	}
}

// evictPendingLocked removes one pending checkpoint of a full source, and reports
// whether there is space. Only checkpoints that a round has compared without result can
// go: the largest of those beyond maxComparable, if the new one is smaller; else the
// one with the most failures, from maxFailures on. mu is held.
func (w *Witness) evictPendingLocked(v *logState, t proof.Tree, from pendingSource) bool {
	all := v.pendingFromLocked(from)
	if len(all) < maxPendingPerSource {
		return true
	}
	victim := slices.MaxFunc(all, func(a, b *pendingCheckpoint) int { return cmp.Compare(a.failures, b.failures) })
	if victim.failures < maxFailures {
		victim = nil
	}
	for _, p := range all {
		if p.failures > 0 && p.tree.Size > max(v.maxComparable(), t.Size) {
			victim = p
		}
	}
	if victim != nil {
		w.removePendingLocked(v, victim.tree)
	}
	return victim != nil
}

// replaceLargestPending stores a client's checkpoint in place of the largest pending
// one, even if no round has tried that one: a log that invents ever larger trees cannot
// keep smaller ones out.
func (w *Witness) replaceLargestPending(v *logState, signed *proof.Signed) bool {
	t := signed.Checkpoint().Tree()
	v.mu.Lock()
	defer v.mu.Unlock()
	if all := v.pendingFromLocked(fromClient); len(all) >= maxPendingPerSource {
		largest := all[len(all)-1]
		if largest.tree.Size <= max(v.maxComparable(), t.Size) {
			return false
		}
		w.removePendingLocked(v, largest.tree)
	}
	w.addPendingLocked(v, noteAndTree{t, signed.WithoutCosignatures()}, fromClient)
	return true
}

// pendingFromLocked are those from one source, the smallest first; mu is held.
func (v *logState) pendingFromLocked(from pendingSource) (all []*pendingCheckpoint) {
	for _, p := range v.pending {
		if p.source == from {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *pendingCheckpoint) int { return a.tree.Compare(b.tree) })
	return all
}

// removePending forgets a checkpoint that was compared.
func (w *Witness) removePending(v *logState, t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.removePendingLocked(v, t)
}

// removePendingLocked forgets a checkpoint; mu is held.
func (w *Witness) removePendingLocked(v *logState, t proof.Tree) {
	if v.pending[t] == nil {
		return
	}
	delete(v.pending, t)
	if err := w.state.deletePending(v.origin, t); err != nil {
		w.markBroken(fmt.Errorf("forgetting a checkpoint that waited: %w", err))
	}
}

// pendingByAttempts are the checkpoints that wait to be compared: those first that were tried
// in the fewest rounds, so that what cannot be compared holds up nothing that can,
// and of these the smallest.
func (v *logState) pendingByAttempts() []noteAndTree {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := slices.SortedFunc(maps.Values(v.pending), func(a, b *pendingCheckpoint) int {
		return cmp.Or(cmp.Compare(a.attempts, b.attempts), a.tree.Compare(b.tree))
	})
	refs := make([]noteAndTree, len(all))
	for i, p := range all {
		refs[i] = p.noteAndTree
	}
	return refs
}

// countAttempt notes that a checkpoint that waits is being compared.
func (v *logState) countAttempt(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.pending[t]; p != nil {
		p.attempts++
	}
}

// countFailure counts a comparison without result although the sources answered.
func (v *logState) countFailure(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.pending[t]; p != nil {
		p.failures++
	}
}

// mustRetain reports whether a client was told that this checkpoint is kept until it is
// compared; then a larger tree that begins with it is no reason to drop it, because the
// log decides which tree that is and whether its tiles are served again. It counts as
// one failure.
func (v *logState) mustRetain(t proof.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.pending[t]
	if p == nil || p.source != fromClient {
		return false
	}
	p.failures++
	return true
}

// conflicting are the checkpoints that wait, or were found to extend ours, and have another
// tree of that size.
func (v *logState) conflicting(t proof.Tree) (notes [][]byte) {
	all := v.pendingByAttempts()
	if r := v.largestConsistent.Load(); r != nil {
		all = append(all, *r)
	}
	for _, other := range all {
		if other.tree.Size == t.Size && other.tree != t {
			notes = append(notes, other.note)
		}
	}
	return notes
}

// countDropped notes that a checkpoint could neither be compared nor wait.
func (v *logState) countDropped() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropped++
}

// takeDropped is how many these were since it was asked last.
func (v *logState) takeDropped() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.dropped
	v.dropped = 0
	return n
}
