package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// historyLimit is how many checkpoints of each log are kept beside the newest: those
// that peers may still show.
const (
	historyLimit = 4096
	trimEvery    = 1024 // checkpoints
)

// Timeouts of a round, so that a slow peer or log takes little time from the others.
const (
	callTimeout  = 20 * time.Second // for one call
	shareTimeout = 40 * time.Second // for one peer, or one log
	roundTimeout = 2 * time.Minute  // to ask and compare; evidence is passed on all the same
)

// logSource is one place where a log can be read.
type logSource struct {
	log   *wire.Log
	tiles *proof.TileReader
}

// initPeersAndSources prepares the calls that Gossip makes.
func (w *Witness) initPeersAndSources() error {
	for _, url := range w.cfg.Peers {
		p, err := wire.NewWitness(url, w.cfg.Transport)
		if err != nil {
			return fmt.Errorf("peer %s: %w", url, err)
		}
		w.peers = append(w.peers, &peer{Witness: p, deliveries: map[string]delivery{}})
	}
	w.sources = make(map[string][]*logSource)
	for origin, urls := range w.cfg.Sources {
		for _, url := range urls {
			l, err := wire.NewLog(url, w.cfg.Transport)
			if err != nil {
				return fmt.Errorf("source of %s: %w", origin, err)
			}
			// No cache: tiles of the one history must not speak for the other.
			w.sources[origin] = append(w.sources[origin], &logSource{l, proof.NewTileReader(l.Tiles, -1)})
		}
	}
	return nil
}

// GossipStats is what one [Witness.Gossip] did.
type GossipStats struct {
	Fetched   int // checkpoints that peers and sources showed
	Compared  int // of these and of those handed in, found to be on one history
	Waiting   int // could not be compared yet
	Evidence  int // new pieces of evidence found here
	Delivered int // pieces of evidence that a peer took
}

func (r *GossipStats) add(more GossipStats) {
	r.Fetched += more.Fetched
	r.Compared += more.Compared
	r.Waiting += more.Waiting
	r.Evidence += more.Evidence
	r.Delivered += more.Delivered
}

// Gossip makes one round: it passes on what evidence there is, fetches the newest
// checkpoint of each log from the peers and from where the log is read, compares
// them and those that were handed in with the history cosigned here, and passes on
// what that proved. What cannot be fetched or proven is a suspicion and has no
// consequence. Whatever the others do, a round ends after some minutes; what it leaves,
// the next one begins with. After ctx ends it returns what was done so far.
func (w *Witness) Gossip(ctx context.Context) GossipStats {
	w.gossipMu.Lock()
	defer w.gossipMu.Unlock()
	r := GossipStats{Delivered: w.deliver(ctx)}
	logs := w.servedLogs()
	comparing, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	for _, v := range logs {
		w.noticeAcknowledgement(comparing, v)
	}
	r.add(w.compareLogs(comparing, logs, w.fetchFromPeers(comparing, logs)))
	r.Delivered += w.deliver(ctx)
	w.metrics.setLastRound()
	return r
}

// forEachParallel does something with all of several at once, as many as are allowed.
func forEachParallel[T any](w *Witness, all []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(w.cfg.Parallel)
	for _, item := range all {
		g.Go(func() error { do(item); return nil })
	}
	g.Wait()
}

// compareLogs compares each log's checkpoints, the log that took least time in the last
// round first: logs that serve no tiles, or slowly, delay only each other.
func (w *Witness) compareLogs(ctx context.Context, logs []*logState, observed map[string][]*proof.Signed) (r GossipStats) {
	var mu sync.Mutex
	quickest := slices.Clone(logs)
	slices.SortStableFunc(quickest, func(a, b *logState) int { return cmp.Compare(a.compareTime, b.compareTime) })
	forEachParallel(w, quickest, func(v *logState) {
		start := time.Now()
		v.compareTime = 0 // one that was not compared is among the first of the next round
		if ctx.Err() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		found := w.compareLog(ctx, v, observed[v.origin])
		w.trim(v)
		v.compareTime = time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		r.add(found)
	})
	return r
}

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

// tryFetchCheckpoint fetches one checkpoint, and verifies it. nil if there is none, or
// none of the log's; gone if the source does not answer.
func (w *Witness) tryFetchCheckpoint(ctx context.Context, v *logState, from string, fetch func(context.Context) ([]byte, error)) (s *proof.Signed, gone bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := w.fetchCheckpoint(ctx, v, from, fetch)
	var unreachable *wire.UnreachableError
	if err != nil && !wire.IsNotFound(err) && !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrMalformed) {
		w.log.Info("a checkpoint could not be fetched", "origin", v.origin, "from", from, "err", err)
	}
	return s, errors.As(err, &unreachable)
}

// fetchCheckpoint fetches one checkpoint, and verifies it. One that is not the log's is a suspicion.
func (w *Witness) fetchCheckpoint(ctx context.Context, v *logState, from string, fetch func(context.Context) ([]byte, error)) (*proof.Signed, error) {
	note, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	s, err := v.verify(note)
	if err != nil && !errors.Is(err, ErrUnknownLog) {
		w.logAnomaly(v.origin, "a checkpoint shown by "+from+" is not the log's", err)
	}
	return s, err
}

// refusedRetryAfter is how long evidence that a peer refused is not offered to it again:
// lists of logs and keys change.
const refusedRetryAfter = time.Hour

// peer is another witness. What it remembers is the current round's own.
type peer struct {
	*wire.Witness
	lastAsked  string              // the log that it was asked about last, when it was not asked about all
	deliveries map[string]delivery // by the ID of the evidence
}

// delivery is one piece of evidence at one peer.
type delivery struct {
	final     bool      // it has it, or will never take it
	notBefore time.Time // not before
}

// fetchFromPeers asks each peer for what it shows of each log, all peers at once, and
// each about one log after another: a peer that does not answer is not asked again in
// this round, and in the next about the logs that were left.
func (w *Witness) fetchFromPeers(ctx context.Context, logs []*logState) map[string][]*proof.Signed {
	var mu sync.Mutex
	observed := make(map[string][]*proof.Signed)
	forEachParallel(w, w.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		for _, v := range p.logsInOrder(logs) {
			s, gone := w.tryFetchCheckpoint(ctx, v, p.URL(), func(ctx context.Context) ([]byte, error) { return p.Checkpoint(ctx, v.origin) })
			if s != nil {
				mu.Lock()
				observed[v.origin] = append(observed[v.origin], s)
				mu.Unlock()
			}
			if p.lastAsked = v.origin; gone || ctx.Err() != nil {
				return
			}
		}
		p.lastAsked = ""
	})
	return observed
}

// logsInOrder is all logs, those first that the peer was not asked about in the last round.
func (p *peer) logsInOrder(logs []*logState) []*logState {
	i := slices.IndexFunc(logs, func(v *logState) bool { return v.origin > p.lastAsked })
	return slices.Concat(logs[max(i, 0):], logs[:max(i, 0)])
}

// deliver sends the stored evidence to the peers, all at once, and returns how much of
// it was new to them. A peer that cannot be reached now gets it in a later round.
func (w *Witness) deliver(ctx context.Context) (delivered int) {
	all, _ := w.evidenceIndex.page("", math.MaxInt)
	var mu sync.Mutex
	forEachParallel(w, w.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		n := w.deliverTo(ctx, p, all)
		mu.Lock()
		defer mu.Unlock()
		delivered += n
	})
	return delivered
}

// deliverTo reads only what the peer may not have yet.
func (w *Witness) deliverTo(ctx context.Context, p *peer, all []string) (delivered int) {
	for _, id := range all {
		if x := p.deliveries[id]; x.final || time.Now().Before(x.notBefore) {
			continue
		}
		k, err := w.evidence.Load(id)
		if err != nil {
			w.log.Error("a piece of evidence cannot be read, so it is not passed on", "evidence", id, "err", err)
			p.deliveries[id] = delivery{notBefore: time.Now().Add(refusedRetryAfter)}
			continue
		}
		if err = p.offerEvidence(ctx, k); err == nil {
			delivered++
			continue
		}
		w.log.Info("a peer did not take evidence", "origin", k.Evidence.Origin(), "peer", p.URL(), "evidence", k.ID, "err", err)
		if !wire.IsRefusal(err) {
			return delivered
		}
	}
	return delivered
}

// offerEvidence offers one piece of evidence, and notes whether and when to do so again. It
// is final only that the file shows no split view: another log list, key or version
// may be in force tomorrow.
func (p *peer) offerEvidence(ctx context.Context, k StoredEvidence) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := p.AddEvidence(ctx, k.File)
	var s *wire.StatusError
	switch {
	case err == nil, errors.As(err, &s) && s.Code == http.StatusUnprocessableEntity:
		p.deliveries[k.ID] = delivery{final: true}
	case wire.IsRefusal(err):
		p.deliveries[k.ID] = delivery{notBefore: time.Now().Add(refusedRetryAfter)}
	case s != nil:
		p.deliveries[k.ID] = delivery{notBefore: time.Now().Add(min(s.RetryAfter, refusedRetryAfter))}
	}
	return err
}
