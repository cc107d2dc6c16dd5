package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// errNoneKept: the source has no cosigned checkpoint of that time.
var errNoneKept = errors.New("no cosigned checkpoint of that time is kept")

// keeper is a source that keeps the checkpoints it published.
type keeper interface {
	// CheckpointAt is the newest one whose quorum is stamped no later than t;
	// errNoneKept if there is none.
	CheckpointAt(ctx context.Context, t time.Time) ([]byte, error)
}

// serverSource is a ledger's server as a source.
type serverSource struct {
	*wire.Log
	c *Client
}

// Chain is the server's [Client.Chain].
func (s serverSource) Chain(ctx context.Context, id record.ID) ([]byte, error) {
	return s.c.Chain(ctx, id)
}

// CheckpointAt asks the server's GET /v1/checkpoints. Whoever hands on tiles alone
// refuses the path, each in its own way, and keeps none.
func (s serverSource) CheckpointAt(ctx context.Context, t time.Time) ([]byte, error) {
	note, _, err := s.c.call(ctx, http.MethodGet, "/v1/checkpoints?at="+url.QueryEscape(t.UTC().Format(time.RFC3339)), "", nil)
	if p := (*Problem)(nil); errors.As(err, &p) && p.Status < http.StatusInternalServerError && !p.Later() {
		return nil, errNoneKept
	}
	return note, err
}

// timed is the size of a checkpoint of the log's one history, and the times that the
// checkpoint proves.
type timed struct {
	size  uint64
	at    time.Time // of its quorum: the tree existed by then
	since time.Time // from then on a whole quorum has called it the newest; zero where nobody asks
}

// timesProven are those of a checkpoint.
func timesProven(p *proof.Published) timed {
	return timed{p.Checkpoint().Size, p.ExistedBy(), cosignedSince(p)}
}

// keptLog is a log whose published checkpoints somebody keeps.
type keptLog struct {
	source   keeper
	policies Policies
	newest   *proof.Published
	tiles    proof.ReadTiles // of the newest one's tree
	limit    int             // checkpoints of one walk; beyond, the walk takes wider steps
}

// keptWalks is how many walks go through the kept checkpoints at once.
const keptWalks = 8

// between fetches the kept checkpoints that are larger and newer than after, back
// from an instant, in several stretches of time at once; the first one that is not,
// and others of those sizes, may be among them. Each is judged by the policy of its
// size, and must be of the newest one's history: what is not is a fault, a
// *[ForkError] if the log signed it.
func (k keptLog) between(ctx context.Context, after timed, until time.Time) (kept []timed, faults []error, err error) {
	stretch := max(until.Sub(after.at)/keptWalks+1, time.Hour)
	var walks [keptWalks]walk
	g, walking := errgroup.WithContext(ctx)
	for i := range walks {
		until := until.Add(-time.Duration(i) * stretch)
		if until.Before(after.at) {
			break
		}
		g.Go(func() error {
			return walks[i].walk(walking, k, timed{size: after.size, at: until.Add(-stretch)}, until)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	builder := proof.NewBuilder(k.tiles, 0)
	for _, w := range walks {
		if w.fault != nil {
			faults = append(faults, w.fault)
		}
		for _, p := range w.found {
			t := timesProven(p)
			if t.size > k.newest.Checkpoint().Size || slices.Contains(kept[max(0, len(kept)-1):], t) {
				continue // published meanwhile; or where two stretches meet
			}
			switch tree, err := builder.TreeAt(ctx, t.size, k.newest.Checkpoint().Tree()); {
			case err != nil && noAnswer(ctx, err):
				return nil, nil, err
			case err != nil:
				faults = append(faults, fmt.Errorf("consistency with the kept size %d: %w", t.size, err))
			case tree != p.Checkpoint().Tree():
				fork := newFork(ctx, k.tiles, k.newest, p)
				fork.kept = t.at
				faults = append(faults, fork)
			default:
				kept = append(kept, t)
			}
		}
	}
	return kept, faults, nil
}

// walk is one stretch of time, and the checkpoints kept of it.
type walk struct {
	found  []*proof.Published
	beyond int // checkpoints that were larger than the newest one
	fault  error
}

// maxBeyond is how many checkpoints beyond the newest one a walk steps over: they were
// published during one sync.
const maxBeyond = 64

// walk goes from one kept checkpoint to the one before, down to the first that is
// not both larger and newer than what is known.
func (w *walk) walk(ctx context.Context, k keptLog, after timed, until time.Time) error {
	step := time.Second
	for at := until; ; {
		note, err := k.source.CheckpointAt(ctx, at)
		if errors.Is(err, errNoneKept) {
			return nil
		} else if err != nil {
			return fmt.Errorf("asking for the checkpoint of %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		if cp, _, err := proof.ParseCheckpoint(note); err == nil && cp.Size > k.newest.Checkpoint().Size {
			// Published meanwhile, perhaps under a charter that is not known yet.
			if at = at.Add(-max(step, time.Minute)); w.beyond == maxBeyond || at.Before(after.at) {
				return nil
			}
			w.beyond++
			continue
		}
		p, err := verifyNote(k.policies, note, time.Now())
		if err == nil && (p.ExistedBy().IsZero() || p.ExistedBy().After(at)) {
			err = fmt.Errorf("it is of another time: %s", p.ExistedBy().UTC().Format(time.RFC3339))
		}
		if err != nil {
			w.fault = fmt.Errorf("the checkpoint that is kept of %s: %w", at.UTC().Format(time.RFC3339), err)
			return nil
		}
		w.found = append(w.found, p)
		if p.Checkpoint().Size <= after.size || !p.ExistedBy().After(after.at) {
			return nil
		}
		if len(w.found) == k.limit {
			step = max(step, p.ExistedBy().Sub(after.at)/time.Duration(k.limit))
		}
		at = p.ExistedBy().Add(-step)
	}
}
