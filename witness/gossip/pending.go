package gossip

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// maxPendingPerChannel is how many checkpoints of one log are pending from each source.
// maxFailures is how many rounds may compare one without result before it can be
// evicted.
const (
	maxPendingPerChannel = 64
	maxFailures          = 60
)

// pendingSource is where a pending checkpoint came from. Each source has its own
// capacity, so a flood from one source evicts nothing of another.
type pendingSource byte

const (
	fromClient pendingSource = 'h' // by clients and auditors, who were told that it is kept
	fromLog    pendingSource = 's' // to be cosigned, and was refused
	fromGossip pendingSource = 'g' // by a peer or a source, in a round of gossip
)

// pendingCheckpoint is a checkpoint that the log signed and that waits to be compared.
// Log.mu guards all but the note and its tree.
type pendingCheckpoint struct {
	noteAndTree
	source   pendingSource
	attempts int // how often it was to be compared
	failures int // how often the sources answered and it still could not be compared
}

// Offer hands over a checkpoint that add-checkpoint has refused, to be compared by the next
// round. It writes nothing and asks nobody. failed is why the proof that came with it, from a
// smaller tree that was cosigned, did not verify; nil if it was not looked at.
func (l *Log) Offer(s *proof.Signed, failed error) {
	added := l.addPending(s, fromLog, false)
	switch {
	case failed == nil && !added:
		l.countDropped()
	case failed != nil && added && Allow(l.failedProofs) == nil:
		l.logAnomaly("a checkpoint was submitted with a consistency proof that fails", failed)
	}
}

// addPending keeps a checkpoint for the next round to compare; false if there is no
// room. Its row is written by the next save.
func (l *Log) addPending(s *proof.Signed, from pendingSource, untried bool) bool {
	t := s.Checkpoint().Tree()
	if t.Size == 0 || l.knownConsistent(t) || l.evidenceID(t) != "" {
		return true // on one history with everything, or compared before
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[t]
	switch {
	case p != nil && (p.source == from || from != fromClient):
		return true
	case p == nil && !l.makeRoomLocked(t, from, untried):
		return false
	}
	l.addPendingLocked(noteAndTree{t, s.WithoutCosignatures()}, from)
	return true
}

// addPendingLocked adds a pending checkpoint, or notes of one that is pending already
// that a client was told so. mu is held.
func (l *Log) addPendingLocked(ref noteAndTree, from pendingSource) {
	if l.pending[ref.tree] == nil {
		l.pending[ref.tree] = &pendingCheckpoint{noteAndTree: ref}
	}
	l.pending[ref.tree].source = from
	l.unsaved[ref.tree] = true
}

// makeRoomLocked removes one pending checkpoint of a full source, and reports whether
// there is space. What can go is the largest of those beyond maxComparable, if the new one
// is smaller, so that a log that invents ever larger trees cannot keep smaller ones out;
// else the one with the most failures, from maxFailures on. Only what a round has compared
// without result goes, or with untried any. mu is held.
func (l *Log) makeRoomLocked(t proof.Tree, from pendingSource, untried bool) bool {
	all := l.pendingFromLocked(from)
	if len(all) < maxPendingPerChannel {
		return true
	}
	victim := slices.MaxFunc(all, func(a, b *pendingCheckpoint) int { return cmp.Compare(a.failures, b.failures) })
	if victim.failures < maxFailures {
		victim = nil
	}
	for _, p := range all {
		if (untried || p.failures > 0) && p.tree.Size > max(l.maxComparable(), t.Size) {
			victim = p
		}
	}
	if victim != nil {
		l.removePendingLocked(victim.tree)
	}
	return victim != nil
}

// pendingFromLocked are those from one source, the smallest first; mu is held.
func (l *Log) pendingFromLocked(from pendingSource) (all []*pendingCheckpoint) {
	for _, p := range l.pending {
		if p.source == from {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *pendingCheckpoint) int { return a.tree.Compare(b.tree) })
	return all
}

// removePending forgets a checkpoint that was compared.
func (l *Log) removePending(t proof.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removePendingLocked(t)
}

// removePendingLocked forgets a checkpoint; mu is held.
func (l *Log) removePendingLocked(t proof.Tree) {
	if l.pending[t] != nil {
		delete(l.pending, t)
		l.unsaved[t] = true
	}
}

// pendingByAttempts are the checkpoints that wait to be compared: those first that were tried
// in the fewest rounds, so that what cannot be compared holds up nothing that can,
// and of these the smallest.
func (l *Log) pendingByAttempts() []noteAndTree {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.SortedFunc(maps.Values(l.pending), func(a, b *pendingCheckpoint) int {
		return cmp.Or(cmp.Compare(a.attempts, b.attempts), a.tree.Compare(b.tree))
	})
	refs := make([]noteAndTree, len(all))
	for i, p := range all {
		refs[i] = p.noteAndTree
	}
	return refs
}

// countAttempt notes that a checkpoint that waits is being compared, and returns how often it
// was; 0 if it does not wait.
func (l *Log) countAttempt(t proof.Tree) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[t]
	if p == nil {
		return 0
	}
	p.attempts++
	return p.attempts
}

// countFailure counts a comparison without result although the sources answered. It reports
// whether a client was told that this checkpoint is kept until it is compared.
func (l *Log) countFailure(t proof.Tree) (retain bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[t]
	if p != nil {
		p.failures++
	}
	return p != nil && p.source == fromClient
}

// conflicting are the checkpoints that wait, or were found to extend ours, and have another
// tree of that size.
func (l *Log) conflicting(t proof.Tree) (found []noteAndTree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pending {
		if p.tree.Size == t.Size && p.tree != t {
			found = append(found, p.noteAndTree)
		}
	}
	slices.SortFunc(found, func(a, b noteAndTree) int { return a.tree.Compare(b.tree) })
	if r := l.largest.Load(); r != nil && r.tree.Size == t.Size && r.tree != t {
		found = append(found, *r)
	}
	return found
}

// countDropped notes that a checkpoint could neither be compared nor wait.
func (l *Log) countDropped() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped++
}

// takeDropped is how many these were since it was asked last.
func (l *Log) takeDropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}

// keyPending begins the rows of what is pending: the tree → its source, and the note.
const keyPending = 'p'

func pendingKey(origin string, t proof.Tree) []byte {
	return append(binary.BigEndian.AppendUint64(rowKey(keyPending, origin), t.Size), t.Root[:]...)
}

// Save brings the rows of what is pending up to what memory has, in one write that is not
// synced. Memory comes first, so that nobody who adds to the queue waits for a disk.
func (l *Log) Save() error {
	l.saving.Lock()
	defer l.saving.Unlock()
	b := l.g.db.NewBatch()
	defer b.Close()
	var err error
	l.mu.Lock()
	for t := range l.unsaved {
		if p := l.pending[t]; p != nil {
			err = errors.Join(err, b.Set(pendingKey(l.origin, t), append([]byte{byte(p.source)}, p.note...), nil))
		} else {
			err = errors.Join(err, b.Delete(pendingKey(l.origin, t), nil))
		}
	}
	clear(l.unsaved)
	l.mu.Unlock()
	if err == nil && !b.Empty() {
		err = l.g.db.Apply(b, pebble.NoSync)
	}
	if err != nil {
		return l.g.cfg.Broken(fmt.Errorf("keeping what is to be compared of %s: %w", l.origin, err))
	}
	return nil
}

// pendingRows are the pending checkpoints that the state has of a log.
func (g *Gossip) pendingRows(origin string) (map[proof.Tree]*pendingCheckpoint, error) {
	lower := rowKey(keyPending, origin)
	it, err := g.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: rowsEnd(lower)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	all := make(map[proof.Tree]*pendingCheckpoint)
	for ok := it.First(); ok; ok = it.Next() {
		value := bytes.Clone(it.Value())
		if len(value) == 0 || !slices.Contains([]pendingSource{fromClient, fromLog, fromGossip}, pendingSource(value[0])) {
			continue // of another form; what waits can be lost
		}
		cp, _, err := proof.ParseCheckpoint(value[1:])
		if err != nil || cp.Origin != origin {
			continue
		}
		all[cp.Tree()] = &pendingCheckpoint{noteAndTree: noteAndTree{cp.Tree(), value[1:]}, source: pendingSource(value[0])}
	}
	return all, it.Error()
}
