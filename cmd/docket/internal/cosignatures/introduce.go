package cosignatures

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// knownSize is what a witness says of itself that has not cosigned the empty tree:
// by the size of its 409 and by the checkpoint that it shows ([ledger.CosignRequest.ProbesNewLog]).
//
// A witness that never cosigned anything of the log has no reason to refuse the empty
// tree: tlog-witness allows it, "add-checkpoint" names the root it must have, and the
// published implementations cosign it. One that refuses it all the same, as malformed,
// is asked for its newest checkpoint instead: a 404 says that it never cosigned one
// ("Monitor Retrieval Mechanism"). Any other refusal says nothing.
func (a *Collector) knownSize(ctx context.Context, p *peer, r *cosignRound, at []proof.Witness, refusal error) (answer *ledger.CosignResponse, counted []string, err error) {
	answer, err = new(ledger.CosignResponse), refusal
	size, claimed := uint64(0), false
	conflict, status := (*wire.ConflictError)(nil), (*wire.StatusError)(nil)
	switch {
	case errors.As(refusal, &conflict) && conflict.Size > 0:
		size, claimed = conflict.Size, true
	case errors.As(refusal, &status) && slices.Contains([]int{http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity}, status.Code):
	default:
		return answer, nil, err
	}
	note, lost := p.client.Checkpoint(ctx, originOf(r.ask))
	switch {
	case lost == nil:
		answer.Checkpoints = append(answer.Checkpoints, note)
		if cp, _, bad := proof.ParseCheckpoint(note); bad == nil && !claimed {
			size, claimed = cp.Size, true
		}
	case wire.IsNotFound(lost) && !claimed:
		claimed, err = true, nil
	}
	if claimed {
		for _, w := range at {
			answer.Claims = append(answer.Claims, ledger.SizeClaim{Witness: w.Name, Size: size})
			counted = append(counted, w.Name)
		}
	}
	return answer, counted, err
}

// awaitAll waits for those who are not needed for the quorum.
func (a *Collector) awaitAll(ctx context.Context, r *cosignRound) {
	timeout := time.NewTimer(a.config.Timeout)
	defer timeout.Stop()
	select {
	case <-r.all:
	case <-timeout.C:
	case <-ctx.Done():
	case <-a.closing:
	}
}

// fetchFromLog fetches what is shown at the log's own URL.
func (a *Collector) fetchFromLog(ctx context.Context, url string, r *cosignRound) {
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	a.workers.Go(func() {
		select {
		case <-a.closing:
			cancel()
		case <-ctx.Done():
		}
	})
	log, err := wire.NewLog(url, a.config.Transport)
	if err != nil {
		r.addFromLog(nil, err)
		return
	}
	note, err := log.Checkpoint(ctx)
	if wire.IsNotFound(err) {
		err = nil // it shows nothing yet
	}
	r.addFromLog(note, err)
}

// logURLs are those that the policy gives for a log, each once.
func logURLs(policy *proof.Policy, origin string) (urls []string) {
	for _, l := range policy.Logs() {
		if l.Key.Name() == origin && l.URL != "" && !slices.Contains(urls, l.URL) {
			urls = append(urls, l.URL)
		}
	}
	return urls
}
