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

// maxCharged is how many trees in evidence are enough for a halted log. maxProven is
// how many are remembered to be on the history that was cosigned.
const (
	maxCharged = 32
	maxProven  = 4096
)

// ward is one log as the witness knows it.
//
// Its turn is held from the check of a checkpoint to its cosignatures, and guards
// newest, known, the log's allowance and the writes to its state: of two updates the
// second is checked against what the first left, and no smaller tree is signed after a
// larger one (tlog-witness "add-checkpoint", the race). mu guards what stands below it.
// The rest is fixed or atomic.
type ward struct {
	origin string
	conf   atomic.Pointer[service] // nil: not on the list

	turn   chan struct{}
	newest proof.Tree // the last one cosigned; durable
	known  bool       // there is one

	size  atomic.Uint64         // of newest, for whoever only looks
	given atomic.Pointer[given] // the last cosignatures that are known: of newest, unless a crash took those; may be nil

	recent atomic.Pointer[recent] // the same, if they were made since the start, to be given again

	took      time.Duration // its part of the last round; the round's own
	untrimmed atomic.Int64  // checkpoints kept since older ones were forgotten

	ahead atomic.Pointer[reference] // the largest that a round found to extend ours; may be nil, or be behind by now

	mu      sync.Mutex
	pending map[proof.Tree]*pending // checkpoints that the log signed, not yet compared
	crowded int                     // that found no room among them
	proven  map[proof.Tree]bool     // found to be what ours begins with
	charged map[proof.Tree]string   // trees that stand in evidence on the shelf, and its ID

	sought atomic.Bool // what the keys cosigned of it is being looked up; nothing is signed meanwhile
	halted atomic.Bool // evidence is not acknowledged, as far as was looked
}

// given are the cosignatures of one checkpoint, as lines.
type given struct {
	size  uint64
	lines []byte
}

// service is how the witness serves a log at present.
type service struct {
	Log
	advances *allowance
	*gate
}

// gate bounds what others say of the log. Each kind has an allowance of its own, so
// that no flood of one keeps out another.
//
// A submission that is refused has none: the refusal costs less than it took to verify
// the log's signature, the log has to learn from it where we stand, and whoever has one
// of its checkpoints could use up any allowance in its place.
type gate struct {
	known   *rate.Limiter // handed in, and nothing new; evidence too
	unsure  *rate.Limiter // handed in, and to be compared at once
	distant *rate.Limiter // handed in, and larger than all that is known: the log is asked
	odd     *rate.Limiter // what is logged of proofs that fail
}

func newGate() *gate {
	l := func() *rate.Limiter { return rate.NewLimiter(1, 64) }
	return &gate{l(), l(), l(), l()}
}

// newWard recalls what the state has of a log.
func (w *Witness) newWard(origin string) (*ward, error) {
	v := &ward{origin: origin, turn: make(chan struct{}, 1), pending: map[proof.Tree]*pending{}, proven: map[proof.Tree]bool{}, charged: map[proof.Tree]string{}}
	v.untrimmed.Store(trimEvery) // nobody knows how many there are
	sought, err := w.state.sought(origin)
	if err != nil {
		return nil, err
	}
	v.sought.Store(sought)
	note, err := w.state.latest(origin)
	if err != nil {
		return nil, err
	}
	if note != nil {
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil {
			return nil, fmt.Errorf("the newest checkpoint in the state: %w", err)
		}
		v.settle(cp.Tree())
		g, err := w.state.signatures(origin)
		if err != nil {
			return nil, err
		}
		v.given.Store(g)
	}
	held, err := w.state.pending(origin)
	if err != nil {
		return nil, err
	}
	for _, p := range held {
		v.pending[p.tree] = p
	}
	return v, w.state.evidence(origin, func(_, id string, trees []proof.Tree) error {
		v.charge(id, trees...)
		if v.halted.Load() {
			return nil // one is enough
		}
		decided, err := w.shelf.Acknowledgement(id)
		v.halted.Store(decided == nil)
		return err
	})
}

// configure serves the log as the list says. A log whose allowance has not changed
// keeps what it has used of it.
func (v *ward) configure(l Log) {
	s := &service{Log: l, advances: newAllowance(l.QPD), gate: newGate()}
	if old := v.conf.Load(); old != nil {
		s.gate = old.gate
		if old.QPD == l.QPD {
			s.advances = old.advances
		}
	}
	v.conf.Store(s)
}

func (v *ward) dismiss() { v.conf.Store(nil) }

// served is nil if the log is not on the list.
func (v *ward) served() *service { return v.conf.Load() }

// settle notes that a tree is the newest one. The turn is held, or nobody else
// knows v yet.
func (v *ward) settle(t proof.Tree) {
	v.newest, v.known = t, true
	v.size.Store(t.Size)
}

// old is the tree that the next one must extend: the empty one at first.
func (v *ward) old() proof.Tree {
	if !v.known {
		return proof.Tree{Root: proof.EmptyRoot()}
	}
	return v.newest
}

func (v *ward) take(ctx context.Context) error {
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *ward) give() { <-v.turn }

func (v *ward) keys() []proof.Key {
	if s := v.served(); s != nil {
		return s.Keys
	}
	return nil
}

// horizon is the size of the largest tree that is known to be on one history with
// ours: what is larger cannot be compared yet.
func (v *ward) horizon() uint64 {
	if r := v.ahead.Load(); r != nil {
		return max(r.tree.Size, v.size.Load())
	}
	return v.size.Load()
}

// remember notes that ours begins with a tree. When there are too many all are
// forgotten: they are found again.
func (v *ward) remember(t proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.proven) >= maxProven {
		clear(v.proven)
	}
	v.proven[t] = true
}

func (v *ward) remembers(t proof.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.proven[t]
}

// charge notes that trees stand in evidence.
func (v *ward) charge(id string, trees ...proof.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range trees {
		v.charged[t] = id
	}
}

// chargedIn is the ID of evidence in which a tree stands; "" if there is none.
func (v *ward) chargedIn(t proof.Tree) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.charged[t]
}

// held are the IDs of the evidence against the log.
func (v *ward) held() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Compact(slices.Sorted(maps.Values(v.charged)))
}

// enough is the ID of some evidence if the log is halted and more of it would change
// nothing; a log could sign new evidence for ever.
func (v *ward) enough() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.charged) < maxCharged || !v.halted.Load() {
		return ""
	}
	for _, id := range v.charged {
		return id
	}
	return ""
}

// allowance is how many new checkpoints a log may bring. The ward's turn guards it.
//
// A stranger can bring what the log has published and this witness has not seen, and of
// that the smallest first, so that the log finds none left whenever it comes. So the
// next one is reserved for the largest that was refused for want of one, or what is
// larger still: that the log alone can have made. It is not reserved for ever: a log that
// was restarted may have to come back with less, as it shows what it published last.
type allowance struct {
	left     *rate.Limiter
	reserved uint64    // for this size or more
	until    time.Time // then for any
}

// reservation is for how long the next one is reserved once it is there: longer than a
// ledger waits between two tries.
const reservation = time.Minute

// newAllowance lets a log bring so many a day, and save up those of an hour, two at
// least.
func newAllowance(qpd uint32) *allowance {
	return &allowance{left: rate.NewLimiter(rate.Limit(float64(qpd)/86400), max(2, int(qpd/24)))}
}

// spend takes one for a checkpoint of that size, or says when there will be one.
func (a *allowance) spend(size uint64) error {
	now := time.Now()
	if after := a.until.Sub(now); size < a.reserved && after > 0 {
		return &RateError{After: after}
	}
	err := spend(a.left)
	var slow *RateError
	if errors.As(err, &slow) {
		a.reserved, a.until = size, now.Add(slow.After+reservation)
	}
	return err
}
