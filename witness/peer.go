package witness

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

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

// fetchFromPeers asks each peer for what it shows of each log, all peers at once, and each
// about one log after another: whoever does not answer is not asked again in this
// round, and in the next about the logs that were left.
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

// deliver passes what is on the shelf to the peers, all at once, and tells how much
// of it was taken. Whoever cannot be reached now gets it in a later round.
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
