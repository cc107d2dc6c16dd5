package witness

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

// maxEvidenceTrees is how many trees in evidence are enough for a halted log. maxConsistentTrees is
// how many are remembered to be on the history that was cosigned.
const (
	maxEvidenceTrees   = 32
	maxConsistentTrees = 4096
)

// logState is what the witness knows of one log.
//
// updateLock is held from the check of a checkpoint until its cosignatures exist; it
// guards newest, hasNewest, the log's limiter and the writes to its state. Of two
// concurrent updates the second is checked against the result of the first, so no
// smaller tree is signed after a larger one (tlog-witness "add-checkpoint", the race).
// mu guards the fields below it. The other fields are constant or atomic.
type logState struct {
	origin string
	config atomic.Pointer[logConfig] // nil: not on the list

	updateLock chan struct{}
	newest     proof.Tree // the last one cosigned; durable
	hasNewest  bool       // there is one

	newestSize       atomic.Uint64                    // of newest; read without the lock
	lastCosignatures atomic.Pointer[cosignatureLines] // the last cosignatures that are known: of newest, unless a crash took those; may be nil

	cachedCosignatures atomic.Pointer[cachedCosignatures] // the same, if they were made since the start, to be given again

	compareTime time.Duration // its part of the last round; the round's own
	sinceTrim   atomic.Int64  // checkpoints kept since older ones were forgotten

	largestConsistent atomic.Pointer[noteAndTree] // the largest that a round found to extend ours; may be nil, or be behind by now

	mu              sync.Mutex
	pending         map[proof.Tree]*pendingCheckpoint // checkpoints that the log signed, not yet compared
	dropped         int                               // that were not stored among them, for lack of space
	consistentTrees map[proof.Tree]bool               // found to be what ours begins with
	evidenceByTree  map[proof.Tree]string             // trees that are in stored evidence, and its ID

	needsLookUp atomic.Bool // what the keys cosigned of it is being looked up; nothing is signed meanwhile
	halted      atomic.Bool // evidence is not acknowledged, as far as was looked
}

// cosignatureLines are the cosignatures of one checkpoint, as lines.
type cosignatureLines struct {
	size  uint64
	lines []byte
}

// logConfig is how the witness serves a log at present.
type logConfig struct {
	Log
	newCheckpoints *checkpointLimiter
	*rateLimits
}

// rateLimits bounds requests about a log that clients and peers make. Each kind has its
// own limit, so a flood of one kind does not block another.
//
// A refused submission has no limit: a refusal costs less than verifying the log's
// signature did, the log needs it to learn the witness's size, and any client that has
// a checkpoint of the log could exhaust the limit in the log's place.
type rateLimits struct {
	redundant     *rate.Limiter // handed in, and nothing new; evidence too
	comparisons   *rate.Limiter // handed in, and to be compared at once
	sourceFetches *rate.Limiter // handed in, and larger than all that is known: the log is asked
	anomalyLogs   *rate.Limiter // what is logged of proofs that fail
}

func newRateLimits() *rateLimits {
	l := func() *rate.Limiter { return rate.NewLimiter(1, 64) }
	return &rateLimits{l(), l(), l(), l()}
}

// loadLogState recalls what the state has of a log.
func (w *Witness) loadLogState(origin string) (*logState, error) {
	v := &logState{origin: origin, updateLock: make(chan struct{}, 1), pending: map[proof.Tree]*pendingCheckpoint{}, consistentTrees: map[proof.Tree]bool{}, evidenceByTree: map[proof.Tree]string{}}
	v.sinceTrim.Store(trimEvery) // how many there are is not known
	needsLookUp, err := w.state.needsLookUp(origin)
	if err != nil {
		return nil, err
	}
	v.needsLookUp.Store(needsLookUp)
	note, err := w.state.newestCheckpoint(origin)
	if err != nil {
		return nil, err
	}
	if note != nil {
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil {
			return nil, fmt.Errorf("the newest checkpoint in the state: %w", err)
		}
		v.setNewest(cp.Tree())
		g, err := w.state.cosignatures(origin)
		if err != nil {
			return nil, err
		}
		v.lastCosignatures.Store(g)
	}
	pending, err := w.state.pendingCheckpoints(origin)
	if err != nil {
		return nil, err
	}
	for _, p := range pending {
		v.pending[p.tree] = p
	}
	return v, w.state.evidence(origin, func(_, id string, trees []proof.Tree) error {
		v.addEvidence(id, trees...)
		if v.halted.Load() {
			return nil // one is enough
		}
		decided, err := w.evidence.Acknowledgement(id)
		v.halted.Store(decided == nil)
		return err
	})
}

// configure serves the log as the list says. A log whose rate limit has not changed
// keeps what it has used of it.
func (v *logState) configure(l Log) {
	s := &logConfig{Log: l, newCheckpoints: newCheckpointLimiter(l.QPD), rateLimits: newRateLimits()}
	if old := v.config.Load(); old != nil {
		s.rateLimits = old.rateLimits
		if old.QPD == l.QPD {
			s.newCheckpoints = old.newCheckpoints
		}
	}
	v.config.Store(s)
}

func (v *logState) disable() { v.config.Store(nil) }

// servedConfig is nil if the log is not on the list.
func (v *logState) servedConfig() *logConfig { return v.config.Load() }

// setNewest sets the newest cosigned tree. The caller holds updateLock, or is the only
// one that knows v yet.
func (v *logState) setNewest(t proof.Tree) {
	v.newest, v.hasNewest = t, true
	v.newestSize.Store(t.Size)
}

// oldTree is the tree that the next one must extend: the empty one at first.
func (v *logState) oldTree() proof.Tree {
	if !v.hasNewest {
		return proof.Tree{Root: proof.EmptyRoot()}
	}
	return v.newest
}

func (v *logState) lock(ctx context.Context) error {
	select {
	case v.updateLock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *logState) unlock() { <-v.updateLock }

func (v *logState) keys() []proof.Key {
	if s := v.servedConfig(); s != nil {
		return s.Keys
	}
	return nil
}

// maxComparable is the size of the largest tree that is known to be on one history with
// ours: what is larger cannot be compared yet.
func (v *logState) maxComparable() uint64 {
	if r := v.largestConsistent.Load(); r != nil {
		return max(r.tree.Size, v.newestSize.Load())
	}
	return v.newestSize.Load()
}

// addConsistent notes that ours begins with a tree. When there are too many all are
// forgotten: they are found again.
func (v *logState) addConsistent(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.consistentTrees) >= maxConsistentTrees {
		clear(v.consistentTrees)
	}
	v.consistentTrees[t] = true
}

func (v *logState) hasConsistent(t proof.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.consistentTrees[t]
}

// addEvidence notes that trees stand in evidence.
func (v *logState) addEvidence(id string, trees ...proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range trees {
		v.evidenceByTree[t] = id
	}
}

// evidenceID is the ID of evidence in which a tree stands; "" if there is none.
func (v *logState) evidenceID(t proof.Tree) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.evidenceByTree[t]
}

// evidenceIDs are the IDs of the evidence against the log.
func (v *logState) evidenceIDs() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Compact(slices.Sorted(maps.Values(v.evidenceByTree)))
}

// cappedEvidenceID returns the ID of some evidence if the log is halted and
// maxEvidenceTrees trees are recorded, "" otherwise. Without the cap a log could make
// the witness store evidence without limit.
func (v *logState) cappedEvidenceID() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.evidenceByTree) < maxEvidenceTrees || !v.halted.Load() {
		return ""
	}
	for _, id := range v.evidenceByTree {
		return id
	}
	return ""
}

// checkpointLimiter bounds a log's new checkpoints. updateLock guards it.
//
// Any client can submit checkpoints that the log published and this witness has not
// seen, smallest first, and so use up the limit before the log comes. Therefore the
// next slot is reserved for the largest checkpoint that was refused for lack of one, or
// a larger one, which only the log can have made. The reservation expires: a restarted
// log may have to return with a smaller checkpoint.
type checkpointLimiter struct {
	limiter       *rate.Limiter
	reserved      uint64    // for this size or more
	reservedUntil time.Time // then for any
}

// reservationTime is for how long the next one is reserved once it is there: longer than a
// ledger waits between two tries.
const reservationTime = time.Minute

// newCheckpointLimiter lets a log bring so many a day, and save up those of an hour, two at
// least.
func newCheckpointLimiter(qpd uint32) *checkpointLimiter {
	return &checkpointLimiter{limiter: rate.NewLimiter(rate.Limit(float64(qpd)/86400), max(2, int(qpd/24)))}
}

// allow takes one for a checkpoint of that size, or says when there will be one.
func (a *checkpointLimiter) allow(size uint64) error {
	now := time.Now()
	if after := a.reservedUntil.Sub(now); size < a.reserved && after > 0 {
		return &RateError{After: after}
	}
	err := allow(a.limiter)
	var slow *RateError
	if errors.As(err, &slow) {
		a.reserved, a.reservedUntil = size, now.Add(slow.After+reservationTime)
	}
	return err
}
