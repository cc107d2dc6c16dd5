package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// noteAndTree is a checkpoint, by the tree in it.
type noteAndTree struct {
	tree proof.Tree
	note []byte
}

// comparison compares the checkpoints of one log in one round: the newest cosigned
// here, those that peers and sources show now, and the pending ones. Two of one size
// are compared directly. Of two sizes, the smaller must be a prefix of the larger,
// which the log's tiles show. A tree larger than ours stays pending until ours, or
// another tree, begins with it.
type comparison struct {
	w            *Witness
	v            *logState
	ours         noteAndTree // zero if nothing was cosigned
	observed     []noteAndTree
	unreadable   map[proof.Tree]error // larger than maxComparable, and why no source serves the tiles
	unresponsive map[*logSource]bool  // did not answer, and are not asked again
	GossipStats

	failed      int   // trees that no source could compare
	lastFailure error // of one of them
}

// compareLog compares all that there is of a log: what peers show, what the log shows
// where it is read, and what waits.
func (w *Witness) compareLog(ctx context.Context, v *logState, fromPeers []*proof.Signed) GossipStats {
	c, err := w.newComparison(v)
	if err == nil {
		observed := append(fromPeers, c.fetchFromSources(ctx)...)
		c.Fetched = len(observed)
		if err = c.recoverNewest(ctx, observed); err == nil {
			err = c.compareAll(ctx, observed)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log.Error("checkpoints were not compared", "origin", v.origin, "err", err)
	}
	if dropped := v.takeDropped(); c.failed+dropped > 0 && c.lastFailure != errNoSource {
		w.logAnomaly(v.origin, fmt.Sprintf("%d trees could not be compared with others, and %d found no room to wait", c.failed, dropped), cmp.Or(c.lastFailure, ErrPendingFull))
	}
	w.log.Debug("compared", "origin", v.origin, "fetched", c.Fetched, "one history", c.Compared, "waiting", c.Waiting)
	return c.GossipStats
}

func (w *Witness) newComparison(v *logState) (*comparison, error) {
	c := &comparison{w: w, v: v, unreadable: map[proof.Tree]error{}, unresponsive: map[*logSource]bool{}}
	var err error
	c.ours, err = w.loadNewest(v)
	return c, err
}

// loadNewest is the newest checkpoint that may have been cosigned; zero if there is none.
func (w *Witness) loadNewest(v *logState) (noteAndTree, error) {
	note, err := w.state.newestCheckpoint(v.origin)
	if err != nil || note == nil {
		return noteAndTree{}, err
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return noteAndTree{}, fmt.Errorf("the newest checkpoint of %s in the state: %w", v.origin, err)
	}
	return noteAndTree{cp.Tree(), note}, nil
}

// fetchFromSources fetches what the log shows at each place where it is read.
func (c *comparison) fetchFromSources(ctx context.Context) (now []*proof.Signed) {
	var mu sync.Mutex
	forEachParallel(c.w, c.w.sources[c.v.origin], func(s *logSource) {
		signed, gone := c.w.tryFetchCheckpoint(ctx, c.v, s.log.URL(), s.log.Checkpoint)
		mu.Lock()
		defer mu.Unlock()
		c.unresponsive[s] = gone
		if signed != nil {
			now = append(now, signed)
		}
	})
	return now
}

// compareAll compares all that waits, and what is shown and found no room.
func (c *comparison) compareAll(ctx context.Context, now []*proof.Signed) error {
	overflow, err := c.addObserved(ctx, now)
	if err != nil {
		return err
	}
	if err := c.findLargestConsistent(ctx); err != nil {
		return err
	}
	for _, ref := range c.v.pendingByAttempts() {
		result, err := c.compareTree(ctx, ref)
		switch {
		case err != nil:
			return err
		case result == NotYetCompared, result == CoveredByLarger && c.v.mustRetain(ref.tree):
			c.Waiting++
		default:
			c.Compared++
			c.w.removePending(c.v, ref.tree)
		}
	}
	for _, ref := range overflow {
		result, err := c.compareTree(ctx, ref)
		switch {
		case err != nil:
			return err
		case result == NotYetCompared:
			c.v.countDropped()
		default:
			c.Compared++
		}
	}
	return nil
}

// addObserved compares what is shown now with what is at hand, and lets the rest wait.
func (c *comparison) addObserved(ctx context.Context, now []*proof.Signed) (overflow []noteAndTree, err error) {
	for _, s := range now {
		if err := c.v.lock(ctx); err != nil {
			return nil, err
		}
		found, err := c.w.compareSameSize(c.v, s)
		c.v.unlock()
		c.Evidence += found
		if err != nil {
			return nil, err
		}
		ref := noteAndTree{s.Checkpoint().Tree(), s.Note()}
		same := func(r noteAndTree) bool { return r.tree == ref.tree }
		switch {
		case c.w.knownConsistent(c.v, ref.tree), ref.tree.Size == 0:
			c.Compared++
		case slices.ContainsFunc(c.observed, same):
		default:
			c.observed = append(c.observed, ref)
			if !c.w.addPending(c.v, s, fromGossip) {
				overflow = append(overflow, ref)
			}
		}
	}
	return overflow, nil
}

// findLargestConsistent finds the largest tree shown now that extends ours: up to there all trees
// can be compared.
func (c *comparison) findLargestConsistent(ctx context.Context) error {
	if c.ours.tree.Size == 0 {
		return nil
	}
	larger := slices.Clone(c.observed)
	slices.SortFunc(larger, func(a, b noteAndTree) int { return b.tree.Compare(a.tree) })
	for _, r := range larger {
		if r.tree.Size <= c.v.maxComparable() {
			return nil
		}
		e, err := c.checkPrefix(ctx, c.ours, r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e != nil:
			if err := c.haltWithEvidence(ctx, *e); err != nil {
				return err
			}
		case err == nil:
			c.v.largestConsistent.Store(&r)
			return nil
		}
	}
	return nil
}

// compareTree compares one tree with the comparands. NotYetCompared: no tiles were
// available. Any other result is final: a larger tree begins with it and stands for it
// from now on, or it is in evidence.
func (c *comparison) compareTree(ctx context.Context, t noteAndTree) (ComparisonResult, error) {
	if c.w.knownConsistent(c.v, t.tree) {
		return Consistent, nil
	}
	if c.v.evidenceID(t.tree) != "" {
		return Forked, nil
	}
	c.v.countAttempt(t.tree)
	var why error
	for _, ref := range c.comparands(t.tree) {
		e, err := c.checkPrefix(ctx, t, ref)
		switch {
		case ctx.Err() != nil:
			return NotYetCompared, ctx.Err()
		case err != nil:
			why = err
		case e != nil:
			return Forked, c.haltWithEvidence(ctx, *e)
		case ref.tree.Size > t.tree.Size && ref.tree == c.ours.tree:
			c.v.addConsistent(t.tree)
			return Consistent, nil
		case ref.tree.Size > t.tree.Size:
			return CoveredByLarger, nil
		}
	}
	if why != nil {
		c.failed, c.lastFailure = c.failed+1, why
	}
	if !isTransient(why) {
		c.v.countFailure(t.tree)
	}
	return NotYetCompared, nil
}

func (c *comparison) haltWithEvidence(ctx context.Context, e proof.Evidence) error {
	if err := c.v.lock(ctx); err != nil {
		return err
	}
	defer c.v.unlock()
	_, isNew, err := c.w.haltWithEvidence(c.v, e)
	if isNew {
		c.Evidence++
	}
	return err
}

// comparands are what a tree can be compared with: ours, what extends it, what is shown
// now, and the largest that waits and can be read; larger ones first, since they can
// speak for it. A fork that is known speaks for nothing.
func (c *comparison) comparands(t proof.Tree) []noteAndTree {
	var refs []noteAndTree
	add := func(r noteAndTree) bool {
		same := func(other noteAndTree) bool { return r.tree == other.tree }
		if r.tree.Size == 0 || r.tree.Size == t.Size || c.unreadable[r.tree] != nil || slices.ContainsFunc(refs, same) ||
			c.v.evidenceID(r.tree) != "" && !c.w.hasCosigned(c.v, r.tree) {
			return false
		}
		refs = append(refs, r)
		return true
	}
	add(c.ours)
	if r := c.v.largestConsistent.Load(); r != nil {
		add(*r)
	}
	for _, r := range c.observed {
		add(r)
	}
	waits := c.v.pendingByAttempts()
	slices.SortFunc(waits, func(a, b noteAndTree) int { return b.tree.Compare(a.tree) })
	for _, r := range waits {
		if r.tree.Size > t.Size && add(r) {
			break
		}
	}
	smaller := func(r noteAndTree) bool { return r.tree.Size < t.Size }
	return append(slices.DeleteFunc(slices.Clone(refs), smaller), slices.DeleteFunc(refs, func(r noteAndTree) bool { return !smaller(r) })...)
}

var (
	// errNoSource is a matter of configuration: it was told when the list was taken.
	errNoSource     = errors.New("no place is known where this log's tiles can be read")
	errUnresponsive = errors.New("where this log's tiles can be read, nobody answers in time")
)

// checkPrefix determines from the log's tiles whether the smaller of two trees is a
// prefix of the larger. The tiles are verified against the larger root. nil, nil: it
// is. Evidence: it is not. An error: no source could tell.
func (c *comparison) checkPrefix(ctx context.Context, a, b noteAndTree) (*proof.Evidence, error) {
	if a.tree.Size > b.tree.Size {
		a, b = b, a
	}
	if err := c.unreadable[b.tree]; err != nil {
		return nil, err
	}
	err := errNoSource
	for _, s := range c.w.sources[c.v.origin] {
		if c.unresponsive[s] {
			err = errUnresponsive
			continue
		}
		var left, right []proof.Hash
		if left, right, err = c.fetchRanges(ctx, s, a.tree.Size, b.tree); err != nil {
			continue
		}
		e, err := proof.NewEvidence(a.note, b.note, append(left, right...)...)
		if err != nil {
			return nil, err
		}
		if _, err = e.Verify(c.v.keys()...); errors.Is(err, proof.ErrNoEvidence) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return &e, nil
	}
	if b.tree.Size > c.v.maxComparable() {
		c.unreadable[b.tree] = err
	}
	return nil, err
}

// fetchRanges asks one source, and never again if it takes too long: so long that all can
// be asked once.
func (c *comparison) fetchRanges(ctx context.Context, s *logSource, at uint64, tree proof.Tree) (left, right []proof.Hash, err error) {
	limit := (shareTimeout - callTimeout) / time.Duration(len(c.w.sources[c.v.origin]))
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	left, right, err = s.tiles.At(tree).CompactRanges(call, at)
	c.unresponsive[s] = call.Err() != nil
	return left, right, err
}

// isTransient reports whether a source failed to answer, so that a later attempt may
// succeed.
func isTransient(err error) bool {
	var gone *wire.UnreachableError
	var status *wire.StatusError
	return errors.As(err, &gone) || errors.Is(err, errUnresponsive) || errors.As(err, &status) && status.Retryable()
}
