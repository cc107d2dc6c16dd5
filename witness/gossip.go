package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// historyKept is how many checkpoints of each log are kept beside the newest: those
// that peers may still show.
const (
	historyKept = 4096
	trimEvery   = 1024 // checkpoints
)

// Limits of a round, so that whoever dawdles takes little from the others.
const (
	callLimit  = 20 * time.Second // for one call
	shareLimit = 40 * time.Second // for one peer, or one log
	roundLimit = 2 * time.Minute  // to ask and compare; evidence is passed on all the same
)

// source is one place where a log can be read.
type source struct {
	log     *wire.Log
	builder *proof.Builder
}

// reach prepares the calls that Gossip makes.
func (w *Witness) reach() error {
	for _, url := range w.cfg.Peers {
		p, err := wire.NewWitness(url, w.cfg.Transport)
		if err != nil {
			return fmt.Errorf("peer %s: %w", url, err)
		}
		w.peers = append(w.peers, &peer{Witness: p, parcels: map[string]parcel{}})
	}
	w.sources = make(map[string][]*source)
	for origin, urls := range w.cfg.Sources {
		for _, url := range urls {
			l, err := wire.NewLog(url, w.cfg.Transport)
			if err != nil {
				return fmt.Errorf("source of %s: %w", origin, err)
			}
			// No cache: tiles of the one history must not speak for the other.
			w.sources[origin] = append(w.sources[origin], &source{l, proof.NewBuilder(l.Tiles, -1)})
		}
	}
	return nil
}

// Round is what one [Witness.Gossip] did.
type Round struct {
	Fetched   int // checkpoints that peers and sources showed
	Compared  int // of these and of those handed in, found to be on one history
	Waiting   int // could not be compared yet
	Evidence  int // new pieces of evidence found here
	Delivered int // pieces of evidence that a peer took
}

func (r *Round) add(more Round) {
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
func (w *Witness) Gossip(ctx context.Context) Round {
	w.gossiping.Lock()
	defer w.gossiping.Unlock()
	r := Round{Delivered: w.deliver(ctx)}
	wards := w.served()
	comparing, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	r.add(w.compareLogs(comparing, wards, w.askPeers(comparing, wards)))
	r.Delivered += w.deliver(ctx)
	w.metrics.round()
	return r
}

// each does something with all of several at once, as many as are allowed.
func each[T any](w *Witness, all []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(w.cfg.Parallel)
	for _, one := range all {
		g.Go(func() error { do(one); return nil })
	}
	g.Wait()
}

// compareLogs compares what there is of each log, the quickest of the last round
// first: logs that serve no tiles, or slowly, hold up each other and nobody else.
func (w *Witness) compareLogs(ctx context.Context, wards []*ward, shown map[string][]*proof.Signed) (r Round) {
	var mu sync.Mutex
	quickest := slices.Clone(wards)
	slices.SortStableFunc(quickest, func(a, b *ward) int { return cmp.Compare(a.took, b.took) })
	each(w, quickest, func(v *ward) {
		begun := time.Now()
		v.took = 0 // who had no turn is among the first of the next round
		if ctx.Err() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, shareLimit)
		defer cancel()
		found := w.compareAll(ctx, v, shown[v.origin])
		w.trim(v)
		v.took = time.Since(begun)
		mu.Lock()
		defer mu.Unlock()
		r.add(found)
	})
	return r
}

// trim forgets old checkpoints once there are many more than are kept.
func (w *Witness) trim(v *ward) {
	if v.untrimmed.Load() < trimEvery {
		return
	}
	v.untrimmed.Store(0)
	if err := w.state.trim(v.origin, historyKept); err != nil {
		w.doubt(fmt.Errorf("forgetting old checkpoints of %s: %w", v.origin, err))
	}
}

// hear fetches one checkpoint, and verifies it. nil if there is none, or none of the
// log's; gone if nobody answers.
func (w *Witness) hear(ctx context.Context, v *ward, from string, fetch func(context.Context) ([]byte, error)) (s *proof.Signed, gone bool) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, err := w.fetch(ctx, v, from, fetch)
	var unreachable *wire.Unreachable
	if err != nil && !wire.NotFound(err) && !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrMalformed) {
		w.log.Info("a checkpoint could not be fetched", "origin", v.origin, "from", from, "err", err)
	}
	return s, errors.As(err, &unreachable)
}

// fetch fetches one checkpoint, and verifies it. One that is not the log's is a suspicion.
func (w *Witness) fetch(ctx context.Context, v *ward, from string, fetch func(context.Context) ([]byte, error)) (*proof.Signed, error) {
	note, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	s, err := v.verify(note)
	if err != nil && !errors.Is(err, ErrUnknownLog) {
		w.suspect(v.origin, "a checkpoint shown by "+from+" is not the log's", err)
	}
	return s, err
}
