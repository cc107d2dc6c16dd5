package witness

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// logState is what the witness knows of one log.
//
// updateLock is held from the check of a checkpoint until its cosignatures exist; it
// guards newest, hasNewest, the log's limiter and the writes to its state. Of two
// concurrent updates the second is checked against the result of the first, so no
// smaller tree is signed after a larger one (tlog-witness "add-checkpoint", the race).
// The other fields are constant or atomic.
type logState struct {
	w      *Witness
	origin string
	gossip *gossip.Log
	config atomic.Pointer[logConfig] // nil: not on the list

	updateLock chan struct{}
	newest     proof.Tree // the last one cosigned; durable
	hasNewest  bool       // there is one

	newestSize         atomic.Uint64                      // of newest; read without the lock
	lastCosignatures   atomic.Pointer[cosignatureLines]   // the last cosignatures that are known: of newest, unless a crash took those; may be nil
	cachedCosignatures atomic.Pointer[cachedCosignatures] // the same, if they were made since the start, to be given again

	sinceTrim   atomic.Int64 // checkpoints kept since older ones were forgotten
	needsLookUp atomic.Bool  // what the keys cosigned of it is being looked up; nothing is signed meanwhile
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
}

// loadLogState recalls what the state has of a log.
func (w *Witness) loadLogState(origin string) (*logState, error) {
	v := &logState{w: w, origin: origin, updateLock: make(chan struct{}, 1)}
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
	v.gossip, err = w.gossip.Log(origin, v)
	return v, err
}

// configure serves the log as the list says. A log whose rate limit has not changed
// keeps what it has used of it.
func (v *logState) configure(l Log) {
	s := &logConfig{Log: l, newCheckpoints: newCheckpointLimiter(l.QPD)}
	if old := v.config.Load(); old != nil && old.QPD == l.QPD {
		s.newCheckpoints = old.newCheckpoints
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

// Lock implements [gossip.History].
func (v *logState) Lock(ctx context.Context) error {
	select {
	case v.updateLock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unlock implements [gossip.History].
func (v *logState) Unlock() { <-v.updateLock }

// Keys implements [gossip.History].
func (v *logState) Keys() []proof.Key {
	if s := v.servedConfig(); s != nil {
		return s.Keys
	}
	return nil
}

// Newest implements [gossip.History].
func (v *logState) Newest() ([]byte, error) { return v.w.state.newestCheckpoint(v.origin) }

// NewestSize implements [gossip.History].
func (v *logState) NewestSize() uint64 { return v.newestSize.Load() }

// At implements [gossip.History].
func (v *logState) At(size uint64) ([]byte, error) { return v.w.state.checkpointAt(v.origin, size) }

// Recover implements [gossip.History].
func (v *logState) Recover(s *proof.Signed, own []byte) error {
	if err := v.w.brokenErr(); err != nil {
		return err
	}
	t, on := s.Checkpoint().Tree(), &cosignatureLines{s.Checkpoint().Size, own}
	if err := v.w.state.putRecovered(v.origin, t.Size, s.WithoutCosignatures(), on); err != nil {
		return v.w.markBroken(fmt.Errorf("keeping the checkpoint of %s at %d: %w", v.origin, t.Size, err))
	}
	if !v.needsLookUp.Load() {
		v.w.log.Error("these keys have cosigned more of this log than the state knew: an old copy of it was brought back, or another process has the keys",
			"origin", v.origin, "known", v.newest.Size, "size", t.Size)
	}
	v.setNewest(t)
	v.lastCosignatures.Store(on)
	v.sinceTrim.Add(1)
	return nil
}

// LookedUp implements [gossip.History].
func (v *logState) LookedUp() error {
	if err := v.w.state.setLookedUp(v.origin); err != nil {
		return v.w.markBroken(fmt.Errorf("noting that %s was looked up: %w", v.origin, err))
	}
	v.needsLookUp.Store(false)
	return nil
}

// Sync implements [gossip.History].
func (v *logState) Sync() error {
	return v.w.state.putCosignatures(v.origin, v.lastCosignatures.Load(), true)
}

// historyLimit is how many checkpoints of each log are kept beside the newest: those
// that peers may still show.
const (
	historyLimit = 4096
	trimEvery    = 1024 // checkpoints
)

// trim forgets old checkpoints once there are many more than are kept.
func (w *Witness) trim(v *logState) {
	if v.sinceTrim.Load() < trimEvery {
		return
	}
	v.sinceTrim.Store(0)
	if err := w.state.trim(v.origin, historyLimit); err != nil {
		w.markBroken(fmt.Errorf("forgetting old checkpoints of %s: %w", v.origin, err))
	}
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
		return &gossip.RateError{After: after}
	}
	err := gossip.Allow(a.limiter)
	var slow *gossip.RateError
	if errors.As(err, &slow) {
		a.reserved, a.reservedUntil = size, now.Add(slow.After+reservationTime)
	}
	return err
}
