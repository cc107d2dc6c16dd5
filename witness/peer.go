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

// refusedPause is how long evidence that a peer refused is not offered to it again:
// lists of logs and keys change.
const refusedPause = time.Hour

// peer is another witness. What it remembers is the current round's own.
type peer struct {
	*wire.Witness
	after   string            // the log that it was asked about last, when it was not asked about all
	parcels map[string]parcel // by the ID of the evidence
}

// parcel is one piece of evidence at one peer.
type parcel struct {
	done  bool      // it has it, or will never take it
	again time.Time // not before
}

// askPeers asks each peer for what it shows of each log, all peers at once, and each
// about one log after another: whoever does not answer is not asked again in this
// round, and in the next about the logs that were left.
func (w *Witness) askPeers(ctx context.Context, wards []*ward) map[string][]*proof.Signed {
	var mu sync.Mutex
	shown := make(map[string][]*proof.Signed)
	each(w, w.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareLimit)
		defer cancel()
		for _, v := range p.turn(wards) {
			s, gone := w.hear(ctx, v, p.URL(), func(ctx context.Context) ([]byte, error) { return p.Checkpoint(ctx, v.origin) })
			if s != nil {
				mu.Lock()
				shown[v.origin] = append(shown[v.origin], s)
				mu.Unlock()
			}
			if p.after = v.origin; gone || ctx.Err() != nil {
				return
			}
		}
		p.after = ""
	})
	return shown
}

// turn is all logs, those first that the peer was not asked about in the last round.
func (p *peer) turn(wards []*ward) []*ward {
	i := slices.IndexFunc(wards, func(v *ward) bool { return v.origin > p.after })
	return slices.Concat(wards[max(i, 0):], wards[:max(i, 0)])
}

// deliver passes what is on the shelf to the peers, all at once, and tells how much
// of it was taken. Whoever cannot be reached now gets it in a later round.
func (w *Witness) deliver(ctx context.Context) (delivered int) {
	all, _ := w.evidence.page("", math.MaxInt)
	var mu sync.Mutex
	each(w, w.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareLimit)
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
		if x := p.parcels[id]; x.done || time.Now().Before(x.again) {
			continue
		}
		k, err := w.shelf.Show(id)
		if err != nil {
			w.log.Error("a piece of evidence cannot be read, so it is not passed on", "evidence", id, "err", err)
			p.parcels[id] = parcel{again: time.Now().Add(refusedPause)}
			continue
		}
		if err = p.send(ctx, k); err == nil {
			delivered++
			continue
		}
		w.log.Info("a peer did not take evidence", "origin", k.Evidence.Origin(), "peer", p.URL(), "evidence", k.ID, "err", err)
		if !wire.Refused(err) {
			return delivered
		}
	}
	return delivered
}

// send offers one piece of evidence, and notes whether and when to do so again. It
// is final only that the file shows no split view: another log list, key or version
// may be in force tomorrow.
func (p *peer) send(ctx context.Context, k Kept) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := p.SendEvidence(ctx, k.File)
	var s *wire.Status
	switch {
	case err == nil, errors.As(err, &s) && s.Code == http.StatusUnprocessableEntity:
		p.parcels[k.ID] = parcel{done: true}
	case wire.Refused(err):
		p.parcels[k.ID] = parcel{again: time.Now().Add(refusedPause)}
	case s != nil:
		p.parcels[k.ID] = parcel{again: time.Now().Add(min(s.RetryAfter, refusedPause))}
	}
	return err
}
