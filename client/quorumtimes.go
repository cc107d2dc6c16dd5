package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// quorumTimes says when a quorum had cosigned how much of a log: sizes and times,
// both rising. A checkpoint that another one of its size or more precedes says
// nothing beside it, and is left out.
type quorumTimes []quorumTime

// merged are the times with others. Those that are none, of quorum none, are left out.
func (q quorumTimes) merged(others ...quorumTime) quorumTimes {
	all := slices.Concat(q, others)
	slices.SortFunc(all, func(a, b quorumTime) int {
		return cmp.Or(a.existedBy.Compare(b.existedBy), cmp.Compare(b.size, a.size))
	})
	var rising quorumTimes
	for _, t := range all {
		if !t.existedBy.IsZero() && t.size > rising.last().size {
			rising = append(rising, quorumTime{size: t.size, existedBy: t.existedBy.UTC()})
		}
	}
	return rising
}

// last is the newest; the zero one if there is none.
func (q quorumTimes) last() quorumTime {
	if len(q) == 0 {
		return quorumTime{}
	}
	return q[len(q)-1]
}

// newestBy is the newest by an instant. Before the first, no time is proven, and no more than
// the first one's size can have been there.
func (q quorumTimes) newestBy(at time.Time) quorumTime {
	n := sort.Search(len(q), func(i int) bool { return q[i].existedBy.After(at) })
	switch {
	case n > 0:
		return q[n-1]
	case len(q) > 0:
		return quorumTime{size: q[0].size}
	}
	return quorumTime{size: math.MaxUint64}
}

// timesHeader is the first line of the file.
const timesHeader = "docket-quorum-times/v1"

// format writes a line for each: "9 2026-11-23T18:19:06Z".
func (q quorumTimes) format() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, timesHeader)
	for _, t := range q {
		fmt.Fprintln(&b, t.size, t.existedBy.Format(time.RFC3339))
	}
	return b.Bytes()
}

// parseQuorumTimes reads what format wrote, and nothing else.
func parseQuorumTimes(text []byte) (quorumTimes, error) {
	var q quorumTimes
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n == 1 {
			continue
		}
		size, at, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var t quorumTime
		var bad error
		if t.size, bad = strconv.ParseUint(size, 10, 64); bad == nil {
			t.existedBy, bad = time.Parse(time.RFC3339, at)
		}
		if bad != nil {
			return nil, fmt.Errorf("line %d: %w", n, bad)
		}
		q = append(q, t)
	}
	if !bytes.Equal(q.merged().format(), text) {
		return nil, errors.New("it is not a list of quorum times as this binary writes it")
	}
	return q.merged(), nil
}

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

// Checkpoint is the newest one that the server hands out.
func (s serverSource) Checkpoint(ctx context.Context) ([]byte, error) { return s.c.checkpoint(ctx) }

// Bundle is the server's; where an entry of it is withheld the *[wire.WithheldError] names the
// first such, and others are fetched one by one.
func (s serverSource) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	return (&copySource{server: s.c}).bundle(ctx, id)
}

// ChainUnverified is the server's [Client.ChainUnverified].
func (s serverSource) ChainUnverified(ctx context.Context, id record.ID) ([]byte, error) {
	return s.c.ChainUnverified(ctx, id)
}

// CheckpointAt asks the server's GET /v1/checkpoints. A server of tiles alone has no
// such path, and refuses it in its own way.
func (s serverSource) CheckpointAt(ctx context.Context, t time.Time) ([]byte, error) {
	note, err := s.c.GetUnverified(ctx, "/v1/checkpoints?at="+url.QueryEscape(t.UTC().Format(time.RFC3339)))
	if p := (*Problem)(nil); errors.As(err, &p) && p.Status < http.StatusInternalServerError && !p.Retryable() {
		return nil, errNotArchived
	}
	return note, err
}

// quorumTime is the size of a checkpoint of the log's one history, and the times that the
// checkpoint proves.
type quorumTime struct {
	size        uint64
	existedBy   time.Time // of its quorum: the tree existed by then
	newestSince time.Time // from then on a whole quorum has called it the newest; zero where it is not needed
}

// quorumTimeOf are those of a checkpoint.
func quorumTimeOf(p *proof.Published) quorumTime {
	return quorumTime{p.Checkpoint().Size, p.ExistedBy(), newestQuorumTime(p)}
}

// archiveReader reads the published checkpoints that a log has archived.
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
// *[InconsistencyError] if the log signed it.
func (k archiveReader) fetchBetween(ctx context.Context, after quorumTime, until time.Time) (kept []quorumTime, faults []error, err error) {
	stretch := max(until.Sub(after.existedBy)/parallelWalks+1, time.Hour)
	var walks [parallelWalks]archiveWalk
	g, walking := errgroup.WithContext(ctx)
	for i := range walks {
		until := until.Add(-time.Duration(i) * stretch)
		if until.Before(after.existedBy) {
			break
		}
		g.Go(func() error {
			return walks[i].walkBack(walking, k, quorumTime{size: after.size, existedBy: until.Add(-stretch)}, until)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	tiles := proof.NewTileReader(k.tiles, 0)
	for _, w := range walks {
		if w.fault != nil {
			faults = append(faults, w.fault)
		}
		for _, p := range w.found {
			t := quorumTimeOf(p)
			if t.size > k.newest.Checkpoint().Size || slices.Contains(kept[max(0, len(kept)-1):], t) {
				continue // published meanwhile; or where two stretches meet
			}
			switch tree, err := tiles.At(k.newest.Checkpoint().Tree()).TreeAt(ctx, t.size); {
			case err != nil && isTransient(ctx, err):
				return nil, nil, err
			case err != nil:
				faults = append(faults, fmt.Errorf("consistency with the kept size %d: %w", t.size, err))
			case tree != p.Checkpoint().Tree():
				fork := newInconsistencyError(ctx, k.tiles, k.newest, p)
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

// walkBack goes from one kept checkpoint to the one before, down to the first that is
// not both larger and newer than what is known.
func (w *archiveWalk) walkBack(ctx context.Context, k archiveReader, after quorumTime, until time.Time) error {
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

// maxArchivedPerWalk is how many kept checkpoints one walk of a sync takes one by one; the
// first sync of a busy ledger, old by years, then asks some thousand times.
const maxArchivedPerWalk = 512

// archiveTimeout is how long a sync goes through the kept checkpoints, however slowly their
// source answers; the copy is there before.
const archiveTimeout = 5 * time.Minute

// ViewAt is the view of the copy at a size. How much was knowable at an instant it takes
// from the quorum times that sync has kept.
func (t *Trust) ViewAt(size uint64) (*view.View, error) {
	r, err := t.Register()
	if err != nil {
		return nil, err
	}
	v, err := view.At(r, size)
	if err != nil {
		return nil, err
	}
	return v.WithCheckpointTimes(t.CosignedBy), nil
}

// CosignedBy says how much a quorum had cosigned by an instant, of the checkpoints that
// sync came to trust and of those that the ledger kept.
func (t *Trust) CosignedBy(at time.Time) (view.Knowable, error) {
	times, err := t.readTimes()
	if err != nil {
		return view.Knowable{}, err
	}
	k := times.merged(timesIfAny(t.checkpoint)...).newestBy(at) // the trusted one is of a sync that may have kept none
	return view.Knowable{Size: k.size, Cosigned: k.existedBy}, nil
}

// ExistedBy is the earliest time by which, as this trust directory knows, a quorum had
// cosigned a tree that holds the entry at an index; zero if it knows of none. It speaks of
// the one history that is trusted.
func (t *Trust) ExistedBy(index uint64) (time.Time, error) {
	times, err := t.readTimes()
	if err != nil {
		return time.Time{}, err
	}
	for _, k := range times.merged(timesIfAny(t.checkpoint)...) {
		if k.size > index {
			return k.existedBy, nil
		}
	}
	return time.Time{}, nil
}

// fetchQuorumTimes returns the known quorum times and those up to the trusted
// checkpoint: of the previously trusted one, of the trusted one, and of the checkpoints
// archived in between. It returns nil, and sends no request, if the known times already
// reach the trusted size.
func (t *Trust) fetchQuorumTimes(ctx context.Context, c *Client, r *register.Register, before *proof.Published) (quorumTimes, error) {
	next := t.checkpoint
	known, err := t.readTimes()
	if damage := (*DamageError)(nil); errors.As(err, &damage) {
		known = nil // they are learnt anew
	} else if err != nil {
		return nil, err
	}
	last := known.last()
	if last.size >= next.Checkpoint().Size || !slices.ContainsFunc(t.charters, func(c charter) bool { return !c.policy.QuorumIsNone() }) {
		return nil, nil
	}
	if last.size == 0 {
		begin, err := r.Record(0)
		if err != nil {
			return nil, err
		}
		last.existedBy = begin.Admitted
	}
	until := next.ExistedBy().Add(-time.Second)
	if next.ExistedBy().IsZero() { // without witnesses now, and perhaps not always
		until = t.now()
	}
	log := archiveReader{source: serverSource{c.log, c}, policies: t.charters, newest: next, tiles: t.tiles, limit: maxArchivedPerWalk}
	timeout := archiveTimeout
	if t.live != nil {
		timeout = liveTimesTimeout
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	kept, faults, err := log.fetchBetween(ctx, last, until)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	return known.merged(slices.Concat(kept, timesIfAny(before), timesIfAny(next))...), nil
}

// writeTimes replaces the quorum times known.
func (t *Trust) writeTimes(times quorumTimes) error {
	if times == nil {
		return nil
	}
	return rewriteFile(t.files, t.path(timesFile), times.format(), disk.SyncNow)
}

func (t *Trust) readTimes() (quorumTimes, error) {
	text, err := disk.ReadFile(t.files, t.path(timesFile))
	if missing(err) {
		return nil, nil
	}
	var times quorumTimes
	if err == nil {
		times, err = parseQuorumTimes(text)
	}
	if disk.Damaged(disk.AsDamaged(err)) {
		return nil, &DamageError{Dir: t.dir, Where: " in " + timesFile, Err: err}
	}
	return times, err
}

func timesIfAny(p *proof.Published) []quorumTime {
	if p == nil {
		return nil
	}
	return []quorumTime{quorumTimeOf(p)}
}
