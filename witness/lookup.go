package witness

import (
	"context"
	"fmt"
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
	w *Witness

	mu       sync.Mutex
	timedOut map[string]bool // peers that used up their time; they are asked about no other log
}

// LookUp determines, for each log whose cosigned checkpoints the state does not cover
// ([RecreateState]), the largest checkpoint that bears a key of the log and one of this
// witness, from the log's sources and the peers. That checkpoint becomes the newest;
// what conflicts with it is evidence. Until a log was looked up it is not cosigned
// ([ErrLookingUp]); other logs do not wait. A source or peer that does not answer
// within 30 s is skipped and logged. It returns when all logs were looked up; after ctx
// ends the rest is left for the next call.
func (w *Witness) LookUp(ctx context.Context) {
	l := &lookUp{w: w, timedOut: map[string]bool{}}
	logs := slices.DeleteFunc(w.servedLogs(), func(v *logState) bool { return !v.needsLookUp.Load() })
	forEachParallel(w, logs, func(v *logState) {
		if ctx.Err() != nil {
			return
		}
		if err := l.lookUpLog(ctx, v); err != nil && ctx.Err() == nil {
			w.log.Error("a log was not looked up; nothing of it is cosigned until the witness is restarted", "origin", v.origin, "err", err)
		}
	})
}

// lookUpLoop looks up whenever there is something to.
func (w *Witness) lookUpLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.lookUpNeeded:
			w.LookUp(ctx)
		}
	}
}

// anyNeedsLookUp tells whether a log of the list is to be looked up; mu is held.
func (w *Witness) anyNeedsLookUp(list LogList) bool {
	return slices.ContainsFunc(list, func(l Log) bool { return w.logs[l.Origin].needsLookUp.Load() })
}

// lookUpLog looks up one log, and ends that it is sought.
func (l *lookUp) lookUpLog(ctx context.Context, v *logState) error {
	c, err := l.w.newComparison(v)
	if err != nil {
		return err
	}
	shown, asked, silent := l.fetchAll(ctx, v, c)
	if ctx.Err() != nil || v.servedConfig() == nil {
		return ctx.Err() // what left the list is looked up when it comes back
	}
	if err := l.compareFetched(ctx, c, shown); err != nil {
		return err
	}
	if err := l.w.state.setLookedUp(v.origin); err != nil {
		return l.w.markBroken(fmt.Errorf("noting that %s was looked up: %w", v.origin, err))
	}
	v.needsLookUp.Store(false)
	l.report(v, c, asked, silent)
	return nil
}

// compareFetched takes the largest that was found for ours, and compares all that is shown.
// What cannot be compared in time waits for the next round of gossip.
func (l *lookUp) compareFetched(ctx context.Context, c *comparison, shown []*proof.Signed) error {
	compareCtx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	err := c.recoverNewest(compareCtx, shown)
	if err == nil {
		err = c.compareAll(compareCtx, shown)
	}
	if canceled(err) && ctx.Err() == nil {
		return nil
	}
	return err
}

// report says what came of it.
func (l *lookUp) report(v *logState, c *comparison, asked int, silent []string) {
	log := l.w.log.With("origin", v.origin, "asked", asked)
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
func (l *lookUp) fetchAll(ctx context.Context, v *logState, c *comparison) (shown []*proof.Signed, asked int, silent []string) {
	type place struct {
		url  string
		hear func(context.Context) ([]*proof.Signed, error)
		gone func()
	}
	var places []place
	for _, s := range l.w.sources[v.origin] {
		places = append(places, place{s.log.URL(), func(ctx context.Context) ([]*proof.Signed, error) { return l.fetchFromSource(ctx, v, s.log) },
			func() { c.unresponsive[s] = true }})
	}
	for _, p := range l.w.peers {
		places = append(places, place{p.URL(), func(ctx context.Context) ([]*proof.Signed, error) { return l.fetchFromPeer(ctx, v, p) }, func() {}})
	}
	found := make([][]*proof.Signed, len(places)) // in the places' order, not in that of their answers
	numbers := make([]int, len(places))
	for i := range numbers {
		numbers[i] = i
	}
	forEachParallel(l.w, numbers, func(i int) {
		p := places[i]
		ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
		defer cancel()
		of, err := p.hear(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		found[i] = of
		if err != nil {
			silent = append(silent, p.url)
			p.gone()
			l.w.log.Info("what was cosigned cannot be learned here", "origin", v.origin, "from", p.url, "err", err)
		}
	})
	slices.Sort(silent)
	return slices.Concat(found...), len(places), silent
}

// fetchFromPeer asks what a peer shows, unless it used up its time on another log.
func (l *lookUp) fetchFromPeer(ctx context.Context, v *logState, p *peer) ([]*proof.Signed, error) {
	l.mu.Lock()
	timedOut := l.timedOut[p.URL()]
	l.mu.Unlock()
	if timedOut {
		return nil, errUnresponsive
	}
	s, err := l.fetchCheckpoint(ctx, v, p.URL(), func(ctx context.Context) ([]byte, error) { return p.Checkpoint(ctx, v.origin) })
	if ctx.Err() != nil {
		l.mu.Lock()
		l.timedOut[p.URL()] = true
		l.mu.Unlock()
	}
	if s == nil {
		return nil, err
	}
	return []*proof.Signed{s}, err
}

// fetchFromSource asks what the log shows now. If that is not ours, as after days without this
// witness, it asks for what the log showed before.
func (l *lookUp) fetchFromSource(ctx context.Context, v *logState, log *wire.Log) ([]*proof.Signed, error) {
	now, err := l.fetchCheckpoint(ctx, v, log.URL(), log.Checkpoint)
	if now == nil {
		return nil, err
	}
	shown := []*proof.Signed{now}
	if l.w.ownCosignatures(now) != nil {
		return shown, nil
	}
	before, err := l.findLastCosigned(ctx, v, log)
	if before != nil {
		shown = append(shown, before)
	}
	return shown, err
}

// findLastCosigned searches the checkpoints that a log keeps for the last one that is ours: back
// from now in steps that double, then between what is ours and what is not. Where this
// witness was absent more than once it may find an earlier one, which is as true. nil
// if there is none, or the log keeps none.
func (l *lookUp) findLastCosigned(ctx context.Context, v *logState, log *wire.Log) (found *proof.Signed, err error) {
	isCosignedAt := func(at time.Time) (earlier bool, err error) {
		note, err := fetchWithRetry(ctx, func(ctx context.Context) ([]byte, error) { return log.CheckpointAt(ctx, at) })
		if err != nil && !wire.IsRefusal(err) {
			return false, err
		}
		s, why := v.verify(note)
		switch {
		case err != nil, why != nil:
			return true, nil // none is so old, or none by keys that are still trusted
		case l.w.ownCosignatures(s) == nil:
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

// fetchCheckpoint asks one place until it says something; nil, nil: that it has none.
func (l *lookUp) fetchCheckpoint(ctx context.Context, v *logState, from string, fetch func(context.Context) ([]byte, error)) (*proof.Signed, error) {
	s, err := l.w.fetchCheckpoint(ctx, v, from, func(ctx context.Context) ([]byte, error) { return fetchWithRetry(ctx, fetch) })
	if wire.IsNotFound(err) {
		return nil, nil
	}
	return s, err
}

// fetchWithRetry fetches again until there is an answer, if only a refusal. Right after a
// start the network may not be there yet.
func fetchWithRetry(ctx context.Context, fetch func(context.Context) ([]byte, error)) ([]byte, error) {
	for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
		note, err := fetch(ctx)
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

// ownCosignatures are this witness's own signature lines under a checkpoint that the log
// signed, by those of its keys that verify; nil if there are none. Their times do not
// matter: whatever the clock was then, the keys signed it.
func (w *Witness) ownCosignatures(s *proof.Signed) (lines []byte) {
	for _, k := range w.cfg.Keys {
		by, err := proof.VerifyLog(s.Note(), s.Checkpoint().Origin, k.Key())
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
		if l := c.w.ownCosignatures(s); l != nil {
			last, lines = s, l
		}
	}
	if last == nil {
		return nil
	}
	if err := c.w.adoptRecovered(ctx, c.v, last, lines); err != nil {
		return err
	}
	var err error
	c.ours, err = c.w.loadNewest(c.v)
	return err
}

// adoptRecovered makes a checkpoint that these keys have cosigned the newest, if it is larger.
// Nothing says yet that it extends the one before, which waits to be compared with it.
func (w *Witness) adoptRecovered(ctx context.Context, v *logState, s *proof.Signed, lines []byte) error {
	if err := v.lock(ctx); err != nil {
		return err
	}
	defer v.unlock()
	t := s.Checkpoint().Tree()
	if err := w.brokenErr(); err != nil || v.hasNewest && t.Size <= v.newest.Size {
		return err
	}
	var before *pendingCheckpoint
	if v.hasNewest {
		ref, err := w.loadNewest(v)
		if err != nil {
			return err
		}
		if ref.tree.Size > 0 {
			before = &pendingCheckpoint{noteAndTree: ref, source: fromClient}
		}
	}
	on := &cosignatureLines{size: t.Size, lines: lines}
	if err := w.state.putRecovered(v.origin, t.Size, s.WithoutCosignatures(), on, before); err != nil {
		return w.markBroken(fmt.Errorf("keeping the checkpoint of %s at %d: %w", v.origin, t.Size, err))
	}
	if !v.needsLookUp.Load() {
		w.log.Error("these keys have cosigned more of this log than the state knew: an old copy of it was brought back, or another process has the keys",
			"origin", v.origin, "known", v.newest.Size, "size", t.Size)
	}
	v.setNewest(t)
	v.lastCosignatures.Store(on)
	v.largestConsistent.Store(nil)
	v.sinceTrim.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.consistentTrees)
	if before != nil {
		v.pending[before.tree] = before
	}
	return nil
}
