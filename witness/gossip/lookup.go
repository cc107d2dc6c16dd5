package gossip

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// lookUpTimeout is how long one source or peer is asked what this witness has cosigned of
// one log, and then how long what was found is compared.
const lookUpTimeout = 30 * time.Second

// maxLookBack is how far back a log's kept checkpoints are searched.
const maxLookBack = 20 * 365 * 24 * time.Hour

// lookUp is one pass over the logs that are to be looked up.
type lookUp struct {
	g *Gossip

	mu       sync.Mutex
	timedOut map[string]bool // peers that used up their time; they are asked about no other log
}

// LookUp determines, for logs whose cosigned checkpoints the state does not cover, the
// largest checkpoint that bears a key of the log and one of this witness, from the log's
// sources and the peers. That checkpoint becomes the newest; what conflicts with it is
// evidence. Other logs do not wait for one. A source or peer that does not answer within
// 30 s is skipped and logged. It returns when all logs were looked up ([History.LookedUp]);
// after ctx ends the rest is left for the next call.
func (g *Gossip) LookUp(ctx context.Context, logs []*Log) {
	u := &lookUp{g: g, timedOut: map[string]bool{}}
	forEachParallel(g, logs, func(l *Log) {
		if ctx.Err() != nil {
			return
		}
		if err := u.lookUpLog(ctx, l); err != nil && ctx.Err() == nil {
			g.cfg.Log.Error("a log was not looked up; nothing of it is cosigned until the witness is restarted", "origin", l.origin, "err", err)
		}
	})
}

// lookUpLog looks up one log, and ends that it is sought.
func (u *lookUp) lookUpLog(ctx context.Context, l *Log) error {
	c, err := l.newComparison()
	if err != nil {
		return err
	}
	shown, asked, silent := u.fetchAll(ctx, c)
	if ctx.Err() != nil || len(l.history.Keys()) == 0 {
		return ctx.Err() // what left the list is looked up when it comes back
	}
	if err := compareFetched(ctx, c, shown); err != nil {
		return err
	}
	if err := l.history.LookedUp(); err != nil {
		return err
	}
	u.report(c, asked, silent)
	return nil
}

// compareFetched takes the largest that was found for ours, however long that has to wait, and
// compares all that is shown. What cannot be compared in time waits for the next round of gossip.
func compareFetched(ctx context.Context, c *comparison, shown []*proof.Signed) error {
	if err := c.recoverNewest(ctx, shown); err != nil {
		return err
	}
	compareCtx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	err := c.compareAll(compareCtx, shown)
	if canceled(err) && ctx.Err() == nil {
		return nil
	}
	return err
}

// report says what came of it.
func (u *lookUp) report(c *comparison, asked int, silent []string) {
	log := u.g.cfg.Log.With("origin", c.origin, "asked", asked)
	if c.ours.note != nil {
		log = log.With("size", c.ours.tree.Size)
	}
	switch {
	case len(silent) > 0:
		log.Warn("this log is served without the word of some who may know what was cosigned of it before", "silent", silent)
	case c.ours.note == nil:
		log.Warn("nothing that these keys have cosigned of this log was found; it is served as a new one")
	default:
		log.Info("this log was looked up; it is served from where these keys had cosigned it")
	}
}

// fetchAll asks the log where it can be read, and the peers, all at once. silent are
// those that gave no answer, or none that verifies.
func (u *lookUp) fetchAll(ctx context.Context, c *comparison) (shown []*proof.Signed, asked int, silent []string) {
	type place struct {
		url   string
		fetch func(context.Context) ([]*proof.Signed, error)
		gone  func()
	}
	var places []place
	for _, s := range u.g.sources[c.origin] {
		places = append(places, place{s.log.URL(), func(ctx context.Context) ([]*proof.Signed, error) { return c.fetchFromSource(ctx, s.log) },
			func() { c.unresponsive[s] = true }})
	}
	for _, p := range u.g.peers {
		places = append(places, place{p.URL(), func(ctx context.Context) ([]*proof.Signed, error) { return u.fetchFromPeer(ctx, c.Log, p) }, func() {}})
	}
	found := make([][]*proof.Signed, len(places)) // in the places' order, not in that of their answers
	numbers := make([]int, len(places))
	for i := range numbers {
		numbers[i] = i
	}
	forEachParallel(u.g, numbers, func(i int) {
		p := places[i]
		ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
		defer cancel()
		of, err := p.fetch(ctx)
		u.mu.Lock()
		defer u.mu.Unlock()
		found[i] = of
		if err != nil {
			silent = append(silent, p.url)
			p.gone()
			u.g.cfg.Log.Info("what was cosigned cannot be learned here", "origin", c.origin, "from", p.url, "err", err)
		}
	})
	slices.Sort(silent)
	return slices.Concat(found...), len(places), silent
}

// fetchFromPeer asks what a peer shows, unless it used up its time on another log.
func (u *lookUp) fetchFromPeer(ctx context.Context, l *Log, p *peer) ([]*proof.Signed, error) {
	u.mu.Lock()
	timedOut := u.timedOut[p.URL()]
	u.mu.Unlock()
	if timedOut {
		return nil, errUnresponsive
	}
	s, err := l.fetch(ctx, p.URL(), untilAnswered(p.checkpointOf(l)))
	if ctx.Err() != nil {
		u.mu.Lock()
		u.timedOut[p.URL()] = true
		u.mu.Unlock()
	}
	if s == nil {
		return nil, err
	}
	return []*proof.Signed{s}, err
}

// fetchFromSource asks what the log shows now. If that is not ours, as after days without this
// witness, it asks for what the log showed before.
func (l *Log) fetchFromSource(ctx context.Context, log *wire.Log) ([]*proof.Signed, error) {
	now, err := l.fetch(ctx, log.URL(), untilAnswered(log.Checkpoint))
	if now == nil {
		return nil, err
	}
	shown := []*proof.Signed{now}
	if l.g.ownCosignatures(now) != nil {
		return shown, nil
	}
	before, err := l.findLastCosigned(ctx, log)
	if before != nil {
		shown = append(shown, before)
	}
	return shown, err
}

// findLastCosigned searches the checkpoints that a log keeps for the last one that is ours: back
// from now in steps that double, then between what is ours and what is not. Where this
// witness was absent more than once it may find an earlier one, which is as true. nil
// if there is none, or the log keeps none.
func (l *Log) findLastCosigned(ctx context.Context, log *wire.Log) (found *proof.Signed, err error) {
	isCosignedAt := func(at time.Time) (earlier bool, err error) {
		note, err := untilAnswered(func(ctx context.Context) ([]byte, error) { return log.CheckpointAt(ctx, at) })(ctx)
		if err != nil && !wire.IsRefusal(err) {
			return false, err
		}
		s, why := proof.VerifyLog(note, l.origin, l.history.Keys()...)
		switch {
		case err != nil, why != nil:
			return true, nil // none is so old, or none by keys that are still trusted
		case l.g.ownCosignatures(s) == nil:
			return false, nil
		}
		if found == nil || s.Checkpoint().Size > found.Checkpoint().Size {
			found = s
		}
		return true, nil
	}
	late := time.Now()
	if none, err := isCosignedAt(late); none || err != nil {
		return found, err
	}
	early := late
	for step, reached := time.Minute, false; !reached; step *= 2 {
		if step > maxLookBack {
			return found, nil
		}
		early = late.Add(-step)
		if reached, err = isCosignedAt(early); err != nil {
			return found, err
		}
	}
	for late.Sub(early) > time.Second {
		middle := early.Add(late.Sub(early) / 2)
		isEarlier, err := isCosignedAt(middle)
		switch {
		case err != nil:
			return found, err
		case isEarlier:
			early = middle
		default:
			late = middle
		}
	}
	return found, nil
}

// untilAnswered asks again until there is an answer, if only a refusal. Right after a
// start the network may not be there yet.
func untilAnswered(call func(context.Context) ([]byte, error)) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
			note, err := call(ctx)
			if err == nil || wire.IsRefusal(err) {
				return note, err
			}
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(pause):
			}
		}
	}
}

// ownCosignatures are this witness's own signature lines under a checkpoint that the log
// signed, by those of its keys that verify; nil if there are none. Their times do not
// matter: whatever the clock was then, the keys signed it.
func (g *Gossip) ownCosignatures(s *proof.Signed) (lines []byte) {
	for _, k := range g.cfg.Keys {
		by, err := proof.VerifyLog(s.Note(), s.Checkpoint().Origin, k)
		if err != nil {
			continue
		}
		_, sigs, err := proof.ParseCheckpoint(by.WithoutCosignatures())
		if err != nil {
			continue
		}
		for _, sig := range sigs {
			lines = append(lines, sig.Line()...)
		}
	}
	return lines
}

// recoverNewest makes the largest checkpoint that bears a key of this witness the
// newest, if the state does not know it: the state was lost, or it is an old copy, or
// the keys are used elsewhere too. It is on the disk before anything is signed on it.
func (c *comparison) recoverNewest(ctx context.Context, shown []*proof.Signed) error {
	var last *proof.Signed
	var lines []byte
	for _, s := range shown {
		cp := s.Checkpoint()
		if c.ours.note != nil && cp.Size <= c.ours.tree.Size || cp.Size == 0 && cp.Root != proof.EmptyRoot() ||
			last != nil && cp.Tree().Compare(last.Checkpoint().Tree()) <= 0 {
			continue
		}
		if own := c.g.ownCosignatures(s); own != nil {
			last, lines = s, own
		}
	}
	if last == nil {
		return nil
	}
	if err := c.adopt(ctx, last, lines); err != nil {
		return err
	}
	var err error
	c.ours, err = c.newest()
	return err
}

// adopt makes a checkpoint that these keys have cosigned the newest, if it is larger.
// Nothing says yet that it extends the one before, which waits to be compared with it.
func (l *Log) adopt(ctx context.Context, s *proof.Signed, own []byte) error {
	if err := l.history.Lock(ctx); err != nil {
		return err
	}
	defer l.history.Unlock()
	before, err := l.newest()
	if err != nil || before.note != nil && s.Checkpoint().Size <= before.tree.Size {
		return err
	}
	if before.tree.Size > 0 {
		l.mu.Lock()
		l.addPendingLocked(before, fromClient) // however many there are
		l.mu.Unlock()
		if err := l.Save(); err != nil {
			return err
		}
	}
	if err := l.history.Recover(s, own); err != nil {
		return err
	}
	l.largest.Store(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.consistent)
	return nil
}
