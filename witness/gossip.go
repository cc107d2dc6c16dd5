package witness

import (
	"context"
	"errors"
	"fmt"
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

// callLimit bounds one call, or one comparison.
const callLimit = 10 * time.Second

// source is one place where a log can be read.
type source struct {
	log     *wire.Log
	builder *proof.Builder
}

// delivery is one piece of evidence at one peer.
type delivery struct{ peer, id string }

// reach prepares the calls that Gossip makes.
func (w *Witness) reach() error {
	for _, url := range w.cfg.Peers {
		p, err := wire.NewWitness(url, w.cfg.Transport)
		if err != nil {
			return fmt.Errorf("peer %s: %w", url, err)
		}
		w.peers = append(w.peers, p)
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

// Gossip makes one round: it fetches the newest checkpoint of each log from the
// peers and from where the log is read, compares them and those that were handed in
// with the history cosigned here, and passes evidence on. What cannot be fetched or
// proven is a suspicion and has no consequence. After ctx ends it returns what was
// done so far.
func (w *Witness) Gossip(ctx context.Context) Round {
	w.gossiping.Lock()
	defer w.gossiping.Unlock()
	var r Round
	wards := w.served()
	shown := w.poll(ctx, wards)
	for i, v := range wards {
		r.add(w.compareAll(ctx, v, shown[i]))
		w.trim(v)
	}
	w.deliver(ctx, &r)
	w.metrics.round()
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

// poll asks each peer and each source for what it shows of each log, all peers and
// sources at once, and each about one log after another: whoever does not answer is
// not asked again in this round.
func (w *Witness) poll(ctx context.Context, wards []*ward) (shown [][]*proof.Signed) {
	var mu sync.Mutex
	shown = make([][]*proof.Signed, len(wards))
	take := func(i int, from string, note []byte, err error) (goOn bool) {
		if err == nil {
			var s *proof.Signed
			if s, err = wards[i].verify(note); err == nil {
				mu.Lock()
				shown[i] = append(shown[i], s)
				mu.Unlock()
				return true
			}
			if !errors.Is(err, ErrUnknownLog) {
				w.suspect(wards[i].origin, "a checkpoint shown by "+from+" is not the log's", err)
			}
			return true
		}
		if wire.NotFound(err) || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		w.log.Info("a checkpoint could not be fetched", "origin", wards[i].origin, "from", from, "err", err)
		var gone *wire.Unreachable
		return !errors.As(err, &gone)
	}
	var g errgroup.Group
	g.SetLimit(w.cfg.Parallel)
	for _, p := range w.peers {
		g.Go(func() error {
			for i, v := range wards {
				note, err := p.Checkpoint(ctx, v.origin)
				if !take(i, p.URL(), note, err) {
					break
				}
			}
			return nil
		})
	}
	for i, v := range wards {
		for _, s := range w.sources[v.origin] {
			g.Go(func() error {
				note, err := s.log.Checkpoint(ctx)
				take(i, s.log.URL(), note, err)
				return nil
			})
		}
	}
	g.Wait()
	return shown
}

// deliver passes what is on the shelf to the peers: whoever cannot be reached now
// gets it in a later round, whoever refuses it does not.
func (w *Witness) deliver(ctx context.Context, r *Round) {
	all, err := w.shelf.List()
	if err != nil {
		w.log.Error("the evidence cannot be read, so it is not passed on", "err", err)
		return
	}
	for _, p := range w.peers {
		for _, k := range all {
			d := delivery{p.URL(), k.ID}
			if w.delivered[d] {
				continue
			}
			err := p.SendEvidence(ctx, k.File)
			if err == nil {
				r.Delivered++
			}
			if w.delivered[d] = err == nil || wire.Refused(err); !w.delivered[d] {
				break
			}
		}
	}
}
