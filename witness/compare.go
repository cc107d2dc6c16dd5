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

// reference is a checkpoint, by the tree in it.
type reference struct {
	tree proof.Tree
	note []byte
}

// comparison puts what is known of one log side by side, once: the newest checkpoint
// cosigned here, what peers and sources show now, and what waits from before. Two of
// one size are compared as they are; of two sizes, the smaller must be what the
// larger tree begins with, which only the log's tiles can tell. A tree larger than
// ours waits until ours, or another, begins with it.
type comparison struct {
	w      *Witness
	v      *ward
	ours   reference // zero if nothing was cosigned
	shown  []reference
	opaque map[proof.Tree]error // beyond all that is known, and why nobody serves the tiles
	silent map[*source]bool     // did not answer, and are not asked again
	Round

	inVain int   // trees of which nobody knows
	why    error // of one of them
}

// compareAll compares all that there is of a log: what peers show, what the log shows
// where it is read, and what waits.
func (w *Witness) compareAll(ctx context.Context, v *ward, fromPeers []*proof.Signed) Round {
	c, err := w.comparing(v)
	if err == nil {
		now := append(fromPeers, c.askSources(ctx)...)
		c.Fetched = len(now)
		if err = c.recall(ctx, now); err == nil {
			err = c.run(ctx, now)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log.Error("checkpoints were not compared", "origin", v.origin, "err", err)
	}
	if away := v.takeTurnedAway(); c.inVain+away > 0 && c.why != errNoSource {
		w.suspect(v.origin, fmt.Sprintf("%d trees could not be compared with others, and %d found no room to wait", c.inVain, away), cmp.Or(c.why, ErrNotNow))
	}
	w.log.Debug("compared", "origin", v.origin, "fetched", c.Fetched, "one history", c.Compared, "waiting", c.Waiting)
	return c.Round
}

func (w *Witness) comparing(v *ward) (*comparison, error) {
	c := &comparison{w: w, v: v, opaque: map[proof.Tree]error{}, silent: map[*source]bool{}}
	var err error
	c.ours, err = w.newestOf(v)
	return c, err
}

// newestOf is the newest checkpoint that may have been cosigned; zero if there is none.
func (w *Witness) newestOf(v *ward) (reference, error) {
	note, err := w.state.latest(v.origin)
	if err != nil || note == nil {
		return reference{}, err
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return reference{}, fmt.Errorf("the newest checkpoint of %s in the state: %w", v.origin, err)
	}
	return reference{cp.Tree(), note}, nil
}

// askSources fetches what the log shows at each place where it is read.
func (c *comparison) askSources(ctx context.Context) (now []*proof.Signed) {
	var mu sync.Mutex
	each(c.w, c.w.sources[c.v.origin], func(s *source) {
		signed, gone := c.w.hear(ctx, c.v, s.log.URL(), s.log.Checkpoint)
		mu.Lock()
		defer mu.Unlock()
		c.silent[s] = gone
		if signed != nil {
			now = append(now, signed)
		}
	})
	return now
}

// run compares all that waits, and what is shown and found no room.
func (c *comparison) run(ctx context.Context, now []*proof.Signed) error {
	homeless, err := c.gather(ctx, now)
	if err != nil {
		return err
	}
	if err := c.lookAhead(ctx); err != nil {
		return err
	}
	for _, ref := range c.v.waiting() {
		verdict, err := c.settle(ctx, ref)
		switch {
		case err != nil:
			return err
		case verdict == NotCompared, verdict == SpokenFor && c.v.promised(ref.tree):
			c.Waiting++
		default:
			c.Compared++
			c.w.dropPending(c.v, ref.tree)
		}
	}
	for _, ref := range homeless {
		verdict, err := c.settle(ctx, ref)
		switch {
		case err != nil:
			return err
		case verdict == NotCompared:
			c.v.turnAway()
		default:
			c.Compared++
		}
	}
	return nil
}

// gather compares what is shown now with what is at hand, and lets the rest wait.
func (c *comparison) gather(ctx context.Context, now []*proof.Signed) (homeless []reference, err error) {
	for _, s := range now {
		if err := c.v.take(ctx); err != nil {
			return nil, err
		}
		found, err := c.w.compareSize(c.v, s)
		c.v.give()
		c.Evidence += found
		if err != nil {
			return nil, err
		}
		ref := reference{s.Checkpoint().Tree(), s.Note()}
		same := func(r reference) bool { return r.tree == ref.tree }
		switch {
		case c.w.settledBefore(c.v, ref.tree), ref.tree.Size == 0:
			c.Compared++
		case slices.ContainsFunc(c.shown, same):
		default:
			c.shown = append(c.shown, ref)
			if !c.w.setAside(c.v, s, shown) {
				homeless = append(homeless, ref)
			}
		}
	}
	return homeless, nil
}

// lookAhead finds the largest tree shown now that extends ours: up to there all trees
// can be compared.
func (c *comparison) lookAhead(ctx context.Context) error {
	if c.ours.tree.Size == 0 {
		return nil
	}
	larger := slices.Clone(c.shown)
	slices.SortFunc(larger, func(a, b reference) int { return compareTrees(b.tree, a.tree) })
	for _, r := range larger {
		if r.tree.Size <= c.v.horizon() {
			return nil
		}
		e, err := c.align(ctx, c.ours, r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e != nil:
			if err := c.convict(ctx, *e); err != nil {
				return err
			}
		case err == nil:
			c.v.ahead.Store(&r)
			return nil
		}
	}
	return nil
}

// settle compares one tree with the others. NotCompared: nobody knows yet. Otherwise
// it needs no more thought, because a larger tree begins with it and speaks for it
// from now on, or because it stands in evidence.
func (c *comparison) settle(ctx context.Context, t reference) (Verdict, error) {
	if c.w.settledBefore(c.v, t.tree) {
		return OnOurLine, nil
	}
	if c.v.chargedIn(t.tree) != "" {
		return InEvidence, nil
	}
	c.v.tried(t.tree)
	var why error
	for _, ref := range c.others(t.tree) {
		e, err := c.align(ctx, t, ref)
		switch {
		case ctx.Err() != nil:
			return NotCompared, ctx.Err()
		case err != nil:
			why = err
		case e != nil:
			return InEvidence, c.convict(ctx, *e)
		case ref.tree.Size > t.tree.Size && ref.tree == c.ours.tree:
			c.v.remember(t.tree)
			return OnOurLine, nil
		case ref.tree.Size > t.tree.Size:
			return SpokenFor, nil
		}
	}
	if why != nil {
		c.inVain, c.why = c.inVain+1, why
	}
	if !passing(why) {
		c.v.inVain(t.tree)
	}
	return NotCompared, nil
}

func (c *comparison) convict(ctx context.Context, e proof.Evidence) error {
	if err := c.v.take(ctx); err != nil {
		return err
	}
	defer c.v.give()
	_, news, err := c.w.convict(c.v, e)
	if news {
		c.Evidence++
	}
	return err
}

// others are what a tree can be compared with: ours, what extends it, what is shown
// now, and the largest that waits and can be read; larger ones first, since they can
// speak for it. A fork that is known speaks for nothing.
func (c *comparison) others(t proof.Tree) []reference {
	var refs []reference
	add := func(r reference) bool {
		same := func(other reference) bool { return r.tree == other.tree }
		if r.tree.Size == 0 || r.tree.Size == t.Size || c.opaque[r.tree] != nil || slices.ContainsFunc(refs, same) ||
			c.v.chargedIn(r.tree) != "" && !c.w.onOurLine(c.v, r.tree) {
			return false
		}
		refs = append(refs, r)
		return true
	}
	add(c.ours)
	if r := c.v.ahead.Load(); r != nil {
		add(*r)
	}
	for _, r := range c.shown {
		add(r)
	}
	waits := c.v.waiting()
	slices.SortFunc(waits, func(a, b reference) int { return compareTrees(b.tree, a.tree) })
	for _, r := range waits {
		if r.tree.Size > t.Size && add(r) {
			break
		}
	}
	smaller := func(r reference) bool { return r.tree.Size < t.Size }
	return append(slices.DeleteFunc(slices.Clone(refs), smaller), slices.DeleteFunc(refs, func(r reference) bool { return !smaller(r) })...)
}

var (
	// errNoSource is a matter of configuration: it was told when the list was taken.
	errNoSource = errors.New("no place is known where this log's tiles can be read")
	errSilent   = errors.New("where this log's tiles can be read, nobody answers in time")
)

// align finds out whether the smaller of two trees is what the larger begins with,
// from the log's tiles, as any of the sources serves them; they are checked against
// the larger root. nil, nil: it is. Evidence: it is not. An error: nobody knows.
func (c *comparison) align(ctx context.Context, a, b reference) (*proof.Evidence, error) {
	if a.tree.Size > b.tree.Size {
		a, b = b, a
	}
	if err := c.opaque[b.tree]; err != nil {
		return nil, err
	}
	err := errNoSource
	for _, s := range c.w.sources[c.v.origin] {
		if c.silent[s] {
			err = errSilent
			continue
		}
		var left, right []proof.Hash
		if left, right, err = c.ranges(ctx, s, a.tree.Size, b.tree); err != nil {
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
	if b.tree.Size > c.v.horizon() {
		c.opaque[b.tree] = err
	}
	return nil, err
}

// ranges asks one source, and never again if it takes too long: so long that all can
// be asked once.
func (c *comparison) ranges(ctx context.Context, s *source, at uint64, tree proof.Tree) (left, right []proof.Hash, err error) {
	limit := (shareLimit - callLimit) / time.Duration(len(c.w.sources[c.v.origin]))
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	left, right, err = s.builder.Ranges(call, at, tree)
	c.silent[s] = call.Err() != nil
	return left, right, err
}

// passing tells whether somebody may know a little later: it was not the answer that
// was missing, but whoever gives it.
func passing(err error) bool {
	var gone *wire.Unreachable
	var status *wire.Status
	return errors.As(err, &gone) || errors.Is(err, errSilent) || errors.As(err, &status) && status.Later()
}
