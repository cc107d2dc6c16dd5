package witness

import (
	"context"
	"slices"
	"sync"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// peer is another witness. What it remembers is the current round's own.
type peer struct {
	*wire.Witness
	after string          // the log that it was asked about last, when it was not asked about all
	done  map[string]bool // which evidence it has or refused, by ID
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
	all, err := w.shelf.List()
	if err != nil {
		w.log.Error("the evidence cannot be read, so it is not passed on", "err", err)
		return 0
	}
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

func (w *Witness) deliverTo(ctx context.Context, p *peer, all []Kept) (delivered int) {
	for _, k := range all {
		if p.done[k.ID] {
			continue
		}
		err := p.send(ctx, k)
		if err == nil {
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

// send offers one piece of evidence. Whoever refuses it will not be asked again.
func (p *peer) send(ctx context.Context, k Kept) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := p.SendEvidence(ctx, k.File)
	p.done[k.ID] = err == nil || wire.Refused(err)
	return err
}
