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

// errNotArchived: the source has no cosigned checkpoint of that time.
var errNotArchived = errors.New("no cosigned checkpoint of that time is kept")

// checkpointArchive is a source that keeps the checkpoints it published.
type checkpointArchive interface {
	// CheckpointAt is the newest one whose quorum is stamped no later than t;
	// errNotArchived if there is none.
	CheckpointAt(ctx context.Context, t time.Time) ([]byte, error)
}

// serverSource is a ledger's server as a source.
type serverSource struct {
	*wire.Log
	c *Client
}

// ChainUnverified is the server's [Client.ChainUnverified].
func (s serverSource) ChainUnverified(ctx context.Context, id record.ID) ([]byte, error) {
	return s.c.ChainUnverified(ctx, id)
}

// CheckpointAt asks the server's GET /v1/checkpoints. Whoever hands on tiles alone
// refuses the path, each in its own way, and keeps none.
func (s serverSource) CheckpointAt(ctx context.Context, t time.Time) ([]byte, error) {
	note, _, err := s.c.call(ctx, http.MethodGet, "/v1/checkpoints?at="+url.QueryEscape(t.UTC().Format(time.RFC3339)), "", nil)
	if p := (*Problem)(nil); errors.As(err, &p) && p.Status < http.StatusInternalServerError && !p.Retryable() {
		return nil, errNotArchived
	}
	return note, err
}

// checkpointTimes is the size of a checkpoint of the log's one history, and the times that the
// checkpoint proves.
type checkpointTimes struct {
	size        uint64
	existedBy   time.Time // of its quorum: the tree existed by then
	newestSince time.Time // from then on a whole quorum has called it the newest; zero where nobody asks
}

// timesOf are those of a checkpoint.
func timesOf(p *proof.Published) checkpointTimes {
	return checkpointTimes{p.Checkpoint().Size, p.ExistedBy(), newestQuorumTime(p)}
}

// archiveReader is a log whose published checkpoints somebody keeps.
type archiveReader struct {
	source   checkpointArchive
	policies Policies
	newest   *proof.Published
	tiles    proof.ReadTiles // of the newest one's tree
	limit    int             // checkpoints of one walk; beyond, the walk takes wider steps
}

// parallelWalks is how many walks go through the kept checkpoints at once.
const parallelWalks = 8

// fetchBetween fetches the kept checkpoints that are larger and newer than after, back
// from an instant, in several stretches of time at once; the first one that is not,
// and others of those sizes, may be among them. Each is judged by the policy of its
// size, and must be of the newest one's history: what is not is a fault, a
// *[ForkError] if the log signed it.
func (k archiveReader) fetchBetween(ctx context.Context, after checkpointTimes, until time.Time) (kept []checkpointTimes, faults []error, err error) {
	stretch := max(until.Sub(after.existedBy)/parallelWalks+1, time.Hour)
	var walks [parallelWalks]archiveWalk
	g, walking := errgroup.WithContext(ctx)
	for i := range walks {
		until := until.Add(-time.Duration(i) * stretch)
		if until.Before(after.existedBy) {
			break
		}
		g.Go(func() error {
			return walks[i].run(walking, k, checkpointTimes{size: after.size, existedBy: until.Add(-stretch)}, until)
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
			t := timesOf(p)
			if t.size > k.newest.Checkpoint().Size || slices.Contains(kept[max(0, len(kept)-1):], t) {
				continue // published meanwhile; or where two stretches meet
			}
			switch tree, err := builder.TreeAt(ctx, t.size, k.newest.Checkpoint().Tree()); {
			case err != nil && isTransient(ctx, err):
				return nil, nil, err
			case err != nil:
				faults = append(faults, fmt.Errorf("consistency with the kept size %d: %w", t.size, err))
			case tree != p.Checkpoint().Tree():
				fork := newForkError(ctx, k.tiles, k.newest, p)
				fork.archivedAt = t.existedBy
				faults = append(faults, fork)
			default:
				kept = append(kept, t)
			}
		}
	}
	return kept, faults, nil
}

// archiveWalk is one stretch of time, and the checkpoints kept of it.
type archiveWalk struct {
	found []*proof.Published
	newer int // checkpoints that were larger than the newest one
	fault error
}

// maxNewer is how many checkpoints beyond the newest one a walk steps over: they were
// published during one sync.
const maxNewer = 64

// run goes from one kept checkpoint to the one before, down to the first that is
// not both larger and newer than what is known.
func (w *archiveWalk) run(ctx context.Context, k archiveReader, after checkpointTimes, until time.Time) error {
	step := time.Second
	for at := until; ; {
		note, err := k.source.CheckpointAt(ctx, at)
		if errors.Is(err, errNotArchived) {
			return nil
		} else if err != nil {
			return fmt.Errorf("asking for the checkpoint of %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		if cp, _, err := proof.ParseCheckpoint(note); err == nil && cp.Size > k.newest.Checkpoint().Size {
			// Published meanwhile, perhaps under a charter that is not known yet.
			if at = at.Add(-max(step, time.Minute)); w.newer == maxNewer || at.Before(after.existedBy) {
				return nil
			}
			w.newer++
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
		if p.Checkpoint().Size <= after.size || !p.ExistedBy().After(after.existedBy) {
			return nil
		}
		if len(w.found) == k.limit {
			step = max(step, p.ExistedBy().Sub(after.existedBy)/time.Duration(k.limit))
		}
		at = p.ExistedBy().Add(-step)
	}
}
