package gossip

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

// comparison compares the checkpoints of one log in one round: the newest cosigned
// here, those that peers and sources show now, and the pending ones. Two of one size
// are compared directly. Of two sizes, the smaller must be a prefix of the larger,
// which the log's tiles show. A tree larger than ours stays pending until ours, or
// another tree, begins with it.
type comparison struct {
	*Log
	ours         noteAndTree // zero if nothing was cosigned
	observed     []noteAndTree
	unreadable   map[proof.Tree]error // larger than maxComparable, and why no source serves the tiles
	unresponsive map[*source]bool     // did not answer, and are not asked again
	Stats

	failed      int    // trees that no source could compare
	lastFailure error  // of one of them
	shownByLog  uint64 // the largest size that the log itself shows now
}

// compareShown compares all that there is of a log: what peers show, what the log shows
// where it is read, and what waits.
func (l *Log) compareShown(ctx context.Context, fromPeers []*proof.Signed) Stats {
	c, err := l.newComparison()
	if err == nil {
		observed := append(fromPeers, c.fetchFromSources(ctx)...)
		c.Fetched = len(observed)
		if err = c.recoverNewest(ctx, observed); err == nil {
			err = c.compareAll(ctx, observed)
		}
	}
	if err != nil && ctx.Err() == nil {
		l.g.cfg.Log.Error("checkpoints were not compared", "origin", l.origin, "err", err)
	}
	if dropped := l.takeDropped(); c.failed+dropped > 0 && c.lastFailure != errNoSource {
		l.logAnomaly(fmt.Sprintf("%d trees could not be compared with others, and %d found no room to wait", c.failed, dropped), cmp.Or(c.lastFailure, ErrPendingFull))
	}
	l.g.cfg.Log.Debug("compared", "origin", l.origin, "fetched", c.Fetched, "one history", c.Compared, "waiting", c.Waiting)
	return c.Stats
}

func (l *Log) newComparison() (*comparison, error) {
	c := &comparison{Log: l, unreadable: map[proof.Tree]error{}, unresponsive: map[*source]bool{}}
	var err error
	c.ours, err = l.newest()
	return c, err
}

// fetchFromSources fetches what the log shows at each place where it is read.
func (c *comparison) fetchFromSources(ctx context.Context) (now []*proof.Signed) {
	var mu sync.Mutex
	forEachParallel(c.g, c.g.sources[c.origin], func(s *source) {
		signed, gone := c.tryFetch(ctx, s.log.URL(), s.log.Checkpoint)
		mu.Lock()
		defer mu.Unlock()
		c.unresponsive[s] = gone
		if signed != nil {
			now = append(now, signed)
			c.shownByLog = max(c.shownByLog, signed.Checkpoint().Size)
		}
	})
	return now
}

// compareAll compares all that waits, and what is shown and found no room.
func (c *comparison) compareAll(ctx context.Context, now []*proof.Signed) error {
	defer c.Save()
	overflow, err := c.addObserved(ctx, now)
	if err != nil {
		return err
	}
	if err := c.Save(); err != nil { // before the log is asked for tiles, which takes its time
		return err
	}
	if err := c.findLargestConsistent(ctx); err != nil {
		return err
	}
	for _, ref := range c.pendingByAttempts() {
		result, err := c.compareTree(ctx, ref)
		switch {
		case err != nil:
			return err
		case result == NotYetCompared, result == CoveredByLarger && c.countFailure(ref.tree):
			c.Waiting++
		default:
			c.Compared++
			c.removePending(ref.tree)
		}
	}
	for _, ref := range overflow {
		result, err := c.compareTree(ctx, ref)
		switch {
		case err != nil:
			return err
		case result == NotYetCompared:
			c.countDropped()
		default:
			c.Compared++
		}
	}
	return nil
}

// addObserved takes what is shown now; overflow is what there was no room for.
func (c *comparison) addObserved(ctx context.Context, now []*proof.Signed) (overflow []noteAndTree, err error) {
	for _, s := range now {
		result, found, err := c.see(ctx, s, fromGossip)
		c.Evidence += found
		full := errors.Is(err, ErrPendingFull)
		if err != nil && !full {
			return nil, err
		}
		ref := noteAndTree{s.Checkpoint().Tree(), s.Note()}
		same := func(r noteAndTree) bool { return r.tree == ref.tree }
		switch {
		case result == Consistent, ref.tree.Size == 0:
			c.Compared++
		case slices.ContainsFunc(c.observed, same):
		default:
			c.observed = append(c.observed, ref)
			if full {
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
		if r.tree.Size <= c.maxComparable() {
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
			c.largest.Store(&r)
			return nil
		}
	}
	return nil
}

// compareTree compares one tree with the comparands. NotYetCompared: no tiles were
// available. Any other result is final: a larger tree begins with it and stands for it
// from now on, or it is in evidence.
func (c *comparison) compareTree(ctx context.Context, t noteAndTree) (Result, error) {
	if c.knownConsistent(t.tree) {
		return Consistent, nil
	}
	if c.evidenceID(t.tree) != "" {
		return Forked, nil
	}
	attempts := c.countAttempt(t.tree)
	var why error
	odd := attempts > patience
	for _, ref := range c.comparands(t.tree) {
		e, err := c.checkPrefix(ctx, t, ref)
		switch {
		case ctx.Err() != nil:
			return NotYetCompared, ctx.Err()
		case err != nil:
			odd = odd || !c.mayPass(err, max(t.tree.Size, ref.tree.Size))
			why = err
		case e != nil:
			return Forked, c.haltWithEvidence(ctx, *e)
		case ref.tree.Size > t.tree.Size && ref.tree == c.ours.tree:
			c.addConsistent(t.tree)
			return Consistent, nil
		case ref.tree.Size > t.tree.Size:
			return CoveredByLarger, nil
		}
	}
	if why != nil && odd {
		c.failed, c.lastFailure = c.failed+1, why
	}
	if !isTransient(why) {
		c.countFailure(t.tree)
	}
	return NotYetCompared, nil
}

// patience is how many rounds a tree may wait for what passes by itself before that is odd:
// a log publishes what was cosigned a moment later, and is started again at times.
const patience = 10

// mayPass reports whether an honest log explains that trees up to a size could not be
// compared: it does not answer now, or does not show so much yet.
func (c *comparison) mayPass(err error, size uint64) bool {
	return isTransient(err) || wire.IsNotFound(err) && size > c.shownByLog
}

func (c *comparison) haltWithEvidence(ctx context.Context, e proof.Evidence) error {
	if err := c.history.Lock(ctx); err != nil {
		return err
	}
	defer c.history.Unlock()
	_, isNew, err := c.halt(e)
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
			c.evidenceID(r.tree) != "" && !c.hasCosigned(r.tree) {
			return false
		}
		refs = append(refs, r)
		return true
	}
	add(c.ours)
	if r := c.largest.Load(); r != nil {
		add(*r)
	}
	for _, r := range c.observed {
		add(r)
	}
	waits := c.pendingByAttempts()
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
	for _, s := range c.g.sources[c.origin] {
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
		if _, err = e.Verify(c.history.Keys()...); errors.Is(err, proof.ErrNoEvidence) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return &e, nil
	}
	if b.tree.Size > c.maxComparable() {
		c.unreadable[b.tree] = err
	}
	return nil, err
}

// fetchRanges asks one source, and never again if it takes too long: so long that all can
// be asked once.
func (c *comparison) fetchRanges(ctx context.Context, s *source, at uint64, tree proof.Tree) (left, right []proof.Hash, err error) {
	limit := (shareTimeout - callTimeout) / time.Duration(len(c.g.sources[c.origin]))
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

// ErrPendingFull: too many checkpoints wait to be compared; hand it in again later.
var ErrPendingFull = errors.New("too many checkpoints of this log wait to be compared; try again later")

// Result is what became of a checkpoint that was handed in.
type Result string

const (
	Consistent      Result = "on the history that this witness cosigned"
	CoveredByLarger Result = "what a larger checkpoint begins with, which waits to be compared"
	NotYetCompared  Result = "kept, to be compared in the next round"
	AheadOfKnown    Result = "larger than all that is known here; kept while there is room"
	Forked          Result = "not on one history with other checkpoints; see /v1/evidence"
)

// AddSeen takes a checkpoint that a client or an auditor was shown. It is compared with
// what this witness cosigned at that size at once, and with everything else by the
// next [Gossip.Round]; or now, if there is no room to wait and it can be compared.
// One that bears a key of this witness and is larger than all that it knows to have
// cosigned is the newest from then on: its state is an old copy, or was lost.
// Errors: [ErrPendingFull], [RateError] if there are too many that say nothing new, or
// have to be compared now.
func (l *Log) AddSeen(ctx context.Context, s *proof.Signed) (Result, error) {
	c, err := l.newComparison()
	if err != nil {
		return "", err
	}
	if err := c.recoverNewest(ctx, []*proof.Signed{s}); err != nil {
		return "", err
	}
	result, found, err := l.see(ctx, s, fromClient)
	switch {
	case errors.Is(err, ErrPendingFull):
		result, err = c.compareSynchronously(ctx, s)
	case err == nil && found == 0 && result != NotYetCompared && result != AheadOfKnown:
		err = Allow(l.redundant)
	}
	return result, cmp.Or(err, l.Save())
}

// see compares a checkpoint with what is at hand, and lets it wait for the rest; the log is
// not asked. found is how much evidence it made. Errors: [ErrPendingFull], or those of
// [Log.Compare].
func (l *Log) see(ctx context.Context, s *proof.Signed, from pendingSource) (result Result, found int, err error) {
	if err := l.history.Lock(ctx); err != nil {
		return "", 0, err
	}
	defer l.history.Unlock()
	if found, err = l.Compare(s); err != nil {
		return "", found, err
	}
	t := s.Checkpoint().Tree()
	switch {
	case t.Size == 0 && t.Root == proof.EmptyRoot(), l.knownConsistent(t):
		return Consistent, found, nil
	case l.evidenceID(t) != "":
		return Forked, found, nil
	case !l.addPending(s, from, false):
		return "", found, ErrPendingFull
	case t.Size > l.maxComparable():
		return AheadOfKnown, found, nil
	}
	return NotYetCompared, found, nil
}

// compareTimeout is how long a client waits for a comparison.
const compareTimeout = 10 * time.Second

// compareSynchronously compares a client's checkpoint for which there is no space to
// wait, while the client waits. If it is larger than maxComparable, the log is asked
// for its newest checkpoint first. A checkpoint larger than ours that cannot be
// compared yet replaces a larger pending one.
func (c *comparison) compareSynchronously(ctx context.Context, s *proof.Signed) (result Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	t := s.Checkpoint().Tree()
	if t.Size > c.maxComparable() && Allow(c.sourceFetches) == nil {
		if _, err := c.addObserved(ctx, c.fetchFromSources(ctx)); err != nil && !canceled(err) {
			return "", err
		}
		if err := c.findLargestConsistent(ctx); err != nil && !canceled(err) {
			return "", err
		}
	}
	result = AheadOfKnown
	if t.Size <= c.maxComparable() {
		if err := Allow(c.comparisons); err != nil {
			return "", err
		}
		if result, err = c.compareTree(ctx, noteAndTree{t, s.Note()}); canceled(err) {
			result, err = NotYetCompared, nil
		}
	}
	switch {
	case result != AheadOfKnown && result != NotYetCompared:
		return result, err
	case t.Size > c.ours.tree.Size && c.addPending(s, fromClient, true):
		return result, nil
	}
	c.countDropped()
	return "", ErrPendingFull
}
