package gossip

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// History is what a witness has cosigned of one log, and how gossip has a say in it. The
// witness implements it.
type History interface {
	// Keys are those by which the witness knows the log at present; none if it does not
	// serve it.
	Keys() []proof.Key
	// Lock waits until nothing of the log is being cosigned, and keeps it so. Gossip holds
	// it while it reads memory and the state, writes evidence or recovers; never while it
	// asks anybody.
	Lock(context.Context) error
	Unlock()

	// Newest is the note of the newest checkpoint that may have been cosigned, nil if there is
	// none; At that of one size, nil if there is none or it is long ago.
	Newest() (note []byte, err error)
	NewestSize() uint64
	At(size uint64) (note []byte, err error)

	// Recover makes a larger checkpoint the newest that these keys have cosigned, durably,
	// with the cosignature lines that it bears. The caller holds Lock.
	Recover(s *proof.Signed, own []byte) error
	// LookedUp notes durably that all were asked what these keys have cosigned of the log.
	LookedUp() error
	// Sync makes durable what the witness shows of the log.
	Sync() error
}

// maxEvidenceTrees is how many trees in evidence are enough for a halted log. maxConsistentTrees is
// how many are remembered to be on the history that was cosigned.
const (
	maxEvidenceTrees   = 32
	maxConsistentTrees = 4096
)

// Log is what gossip knows of one log. mu guards the fields below it, and is held for
// reading and writing memory alone: add-checkpoint waits for it. The other fields are
// constant or atomic.
type Log struct {
	g       *Gossip
	origin  string
	history History
	limits

	compareTime time.Duration               // its part of the last round; the round's own
	halted      atomic.Bool                 // evidence is not acknowledged, as far as was looked
	largest     atomic.Pointer[noteAndTree] // the largest that a round found to extend ours; may be nil, or be behind by now
	saving      sync.Mutex                  // one writes rows at a time

	mu         sync.Mutex
	pending    map[proof.Tree]*pendingCheckpoint
	unsaved    map[proof.Tree]bool   // whose row is not what pending says
	dropped    int                   // that were not stored among them, for lack of space
	consistent map[proof.Tree]bool   // found to be what ours begins with
	evidence   map[proof.Tree]string // trees that are in stored evidence, and its ID
}

// limits bounds requests about a log that clients and peers make. Each kind has its
// own limit, so a flood of one kind does not block another.
//
// A refused submission has no limit: a refusal costs less than verifying the log's
// signature did, the log needs it to learn the witness's size, and any client that has
// a checkpoint of the log could exhaust the limit in the log's place.
type limits struct {
	redundant     *rate.Limiter // handed in, and nothing new; evidence too
	comparisons   *rate.Limiter // handed in, and to be compared at once
	sourceFetches *rate.Limiter // handed in, and larger than all that is known: the log is asked
	failedProofs  *rate.Limiter // what is logged of proofs that fail
}

// RateError is a log that has used up its new checkpoints, or others who have used up
// what they may hand in of it.
type RateError struct{ After time.Duration }

func (e *RateError) Error() string {
	return fmt.Sprintf("too many requests of this kind for this log; the next is due in %s", e.After.Round(time.Second))
}

// Allow takes one request from a rate limit, or says when the next is allowed: [RateError].
func Allow(l *rate.Limiter) error {
	r := l.Reserve()
	if after := r.Delay(); after > 0 {
		r.Cancel()
		return &RateError{After: after}
	}
	return nil
}

// Log recalls what the state and the evidence files have of a log.
func (g *Gossip) Log(origin string, h History) (*Log, error) {
	limit := func() *rate.Limiter { return rate.NewLimiter(1, 64) }
	l := &Log{g: g, origin: origin, history: h, limits: limits{limit(), limit(), limit(), limit()},
		unsaved: map[proof.Tree]bool{}, consistent: map[proof.Tree]bool{}, evidence: map[proof.Tree]string{}}
	var err error
	if l.pending, err = g.pendingRows(origin); err != nil {
		return nil, err
	}
	return l, g.evidenceRows(origin, func(_, id string, trees []proof.Tree) error {
		l.addEvidence(id, trees)
		if l.halted.Load() {
			return nil // one is enough
		}
		decided, err := g.store.Acknowledgement(id)
		l.halted.Store(decided == nil)
		return err
	})
}

// noteAndTree is a checkpoint, by the tree in it.
type noteAndTree struct {
	tree proof.Tree
	note []byte
}

// newest is the newest checkpoint that may have been cosigned; zero if there is none.
func (l *Log) newest() (noteAndTree, error) {
	note, err := l.history.Newest()
	return l.parse(note, err)
}

// cosignedAt is the checkpoint of that size that was cosigned, or was about to be; zero if
// there is none, or it is so old that it was forgotten.
func (l *Log) cosignedAt(size uint64) (noteAndTree, error) {
	note, err := l.history.At(size)
	return l.parse(note, err)
}

// parse reads a note of the state.
func (l *Log) parse(note []byte, err error) (noteAndTree, error) {
	if err != nil || note == nil {
		return noteAndTree{}, err
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return noteAndTree{}, fmt.Errorf("a checkpoint of %s in the state: %w", l.origin, err)
	}
	return noteAndTree{cp.Tree(), note}, nil
}

// hasCosigned tells whether the witness has cosigned that tree, as far as can be read.
func (l *Log) hasCosigned(t proof.Tree) bool {
	ours, err := l.cosignedAt(t.Size)
	return err == nil && ours.note != nil && ours.tree == t
}

// knownConsistent tells whether a tree is known to be on the history that the witness
// cosigned.
func (l *Log) knownConsistent(t proof.Tree) bool {
	l.mu.Lock()
	known := l.consistent[t]
	l.mu.Unlock()
	return known || l.hasCosigned(t)
}

// addConsistent notes that ours begins with a tree. When there are too many all are
// forgotten: they are found again.
func (l *Log) addConsistent(t proof.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.consistent) >= maxConsistentTrees {
		clear(l.consistent)
	}
	l.consistent[t] = true
}

// maxComparable is the size of the largest tree that is known to be on one history with
// ours: what is larger cannot be compared yet.
func (l *Log) maxComparable() uint64 {
	if r := l.largest.Load(); r != nil {
		return max(r.tree.Size, l.history.NewestSize())
	}
	return l.history.NewestSize()
}

// addEvidence notes that trees stand in evidence.
func (l *Log) addEvidence(id string, trees []proof.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range trees {
		l.evidence[t] = id
	}
}

// evidenceID is the ID of evidence in which a tree stands; "" if there is none.
func (l *Log) evidenceID(t proof.Tree) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.evidence[t]
}

// evidenceIDs are the IDs of the evidence against the log.
func (l *Log) evidenceIDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Compact(slices.Sorted(maps.Values(l.evidence)))
}

// logAnomaly notes what is odd and proves nothing: it is logged and counted, never
// passed on, and halts nothing.
func (l *Log) logAnomaly(what string, err error) {
	l.g.cfg.Log.Warn("suspicion: "+what, "origin", l.origin, "err", err)
	l.g.cfg.Anomaly(l.origin)
}

func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// rowKey begins the key of a row about a log, as the witness's state has them: an origin has
// no control characters, so 00 ends it.
func rowKey(kind byte, origin string) []byte { return append(append([]byte{kind}, origin...), 0) }

// rowsEnd is the key behind all rows whose keys begin so.
func rowsEnd(key []byte) []byte { return append(key[:len(key)-1:len(key)-1], key[len(key)-1]+1) }
