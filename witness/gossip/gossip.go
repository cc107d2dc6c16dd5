// Package gossip finds out whether a log shows different people different histories. It
// compares the checkpoints of a log that peers, clients and the log itself show with those
// that this witness has cosigned, and makes evidence of two that no history has.
//
// What it promises: what was handed in by a client is kept until it is compared; two
// signed checkpoints of one size that reach it in any way, and two of different sizes where
// the log's tiles can be read, become evidence that anybody can verify offline; evidence
// halts its log until a person acknowledges it, and nothing else does. What it does not
// do: sign anything, or keep the witness from signing in any other way. Add-checkpoint
// asks it one question, [Log.Compare], which is answered from memory and the witness's own
// state, and hands it what was refused, [Log.Offer], which writes nothing: peers that
// hang, sources that lie and queues that are full cost add-checkpoint nothing.
//
// # States
//
// Gossip deals in trees: a size and a root that the log has signed. Of one tree of a log it
// is known that it is
//
//	cosigned    this witness cosigned it                     [History], row c of the state
//	consistent  ours, the newest cosigned, begins with it    memory: it is found again
//	pending     not compared yet                             memory, and then row p
//	forked      it and another tree are on no history        the file ID.split-view, and then row e
//	unknown     anything else: it was not seen, or a larger one that is pending begins with it
//
// Pending trees are the one queue that there is: 64 of each log from each source, which
// is a client, the log, or a round. The log itself is in one of three states:
//
//	sought   what the keys cosigned of it is being looked up   rows u and l of the state
//	served
//	halted   there is evidence that nobody acknowledged        the evidence files
//
// # Transitions
//
// In the order in which they are tried. "Conflicting" is a tree of the same size with
// another root that is cosigned, pending, or the largest known to extend ours.
//
//	input                               tree                     then
//
//	add-checkpoint asks before          empty, wrong root        forked; log halted
//	it signs ([Log.Compare])            one is conflicting       both forked; log halted
//	                                    else                     nothing
//
//	add-checkpoint has refused it:      unknown                  pending, or dropped where 64 are
//	409, or the proof fails             else                     nothing
//	([Log.Offer])
//
//	a client was shown it               larger, and signed by    log recovered (below)
//	([Log.AddSeen])                     the witness's own key
//	                                    one is conflicting       both forked; log halted
//	                                    unknown                  pending; where 64 are, compared
//	                                                             at once, or refused
//	                                    else                     the client is told what it is
//
//	a round: a peer or the log          as if a client showed it, but where 64 are pending it is
//	shows it ([Gossip.Round])           compared in this round alone
//
//	a round compares what is pending,   ours begins with it      consistent
//	by the tiles of the log             another, larger one      unknown; from a client: pending
//	                                    begins with it
//	                                    the smaller is no        both forked; log halted
//	                                    prefix of the larger
//	                                    no tiles can be read     pending
//
//	evidence from elsewhere             verifies, and is new     forked; log halted
//	([Log.AcceptEvidence])              else                     nothing
//
//	input                               log                      then
//
//	[Gossip.LookUp]: all were asked     sought                   the largest tree that is signed by log
//	                                                             and witness: recovered; served
//	recovered                           any                      that tree is ours, and what was ours
//	                                                             is pending
//	the last piece is acknowledged      halted                   served: seen by the next request or round
//
// What is durable before what: a log is halted in memory, then the evidence file is synced,
// then row e is written, so that no crash forgets evidence that a request was refused for.
// The row p of what was ours comes before the synced write that replaces it, and
// that before anything is signed; only then the log counts as looked up. Rows p and e are
// not synced: p comes again, and e is read from the files.
package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Timeouts of a round, so that a slow peer or log takes little time from the others.
const (
	callTimeout  = 20 * time.Second // for one call
	shareTimeout = 40 * time.Second // for one peer, or one log
	roundTimeout = 2 * time.Minute  // to ask and compare; evidence is passed on all the same
)

// Config is the gossip of one witness. FS, Dir, Keys, Log and the functions are needed.
type Config struct {
	FS   vfs.FS
	Dir  string      // of the evidence files
	Keys []proof.Key // the witness's own

	// Peers are the monitoring prefixes of other witnesses, Sources the URLs under
	// which logs can be read, by origin: more than one if they are seen to differ.
	Peers   []string
	Sources map[string][]string

	Transport http.RoundTripper // http.DefaultTransport if nil
	Parallel  int               // with how many peers, and then about how many logs, it deals at once

	Log *slog.Logger

	// Broken is told of a write with an unknown outcome, and gives the error to return.
	Broken func(error) error
	// Anomaly and Evidence count, by origin: what is odd and proves nothing, and new
	// pieces of evidence.
	Anomaly, Evidence func(origin string)
}

// Gossip is what a witness knows of its peers, of where logs are read, and of evidence. Its
// methods may be called by several goroutines.
type Gossip struct {
	cfg     Config
	db      *disk.DB // rows p and e
	store   *EvidenceStore
	index   evidenceIDs
	peers   []*peer
	sources map[string][]*source

	round sync.Mutex // one round at a time; guards what peers and logs remember of the last
}

// source is one place where a log can be read.
type source struct {
	log   *wire.Log
	tiles *proof.TileReader
}

// New checks a configuration; nothing is opened or made.
func New(cfg Config) (*Gossip, error) {
	g := &Gossip{cfg: cfg, sources: make(map[string][]*source)}
	for _, url := range cfg.Peers {
		p, err := wire.NewWitness(url, cfg.Transport)
		if err != nil {
			return nil, fmt.Errorf("peer %s: %w", url, err)
		}
		g.peers = append(g.peers, &peer{Witness: p, deliveries: map[string]delivery{}})
	}
	for origin, urls := range cfg.Sources {
		for _, url := range urls {
			l, err := wire.NewLog(url, cfg.Transport)
			if err != nil {
				return nil, fmt.Errorf("source of %s: %w", origin, err)
			}
			// No cache: tiles of the one history must not speak for the other.
			g.sources[origin] = append(g.sources[origin], &source{l, proof.NewTileReader(l.Tiles, -1)})
		}
	}
	return g, nil
}

// Open takes up the evidence files, and the rows of gossip in the witness's state.
func (g *Gossip) Open(state *disk.DB) (err error) {
	g.db = state
	if g.store, err = OpenEvidenceStore(g.cfg.FS, g.cfg.Dir); err != nil {
		return err
	}
	return g.indexEvidence()
}

// Stats is what one [Gossip.Round] did.
type Stats struct {
	Fetched   int // checkpoints that peers and sources showed
	Compared  int // of these and of those handed in, found to be on one history
	Waiting   int // could not be compared yet
	Evidence  int // new pieces of evidence found here
	Delivered int // pieces of evidence that a peer took
}

func (r *Stats) add(more Stats) {
	r.Fetched += more.Fetched
	r.Compared += more.Compared
	r.Waiting += more.Waiting
	r.Evidence += more.Evidence
	r.Delivered += more.Delivered
}

// Round makes one round: it passes on what evidence there is, fetches the newest
// checkpoint of each log from the peers and from where the log is read, compares
// them and those that are pending with the history cosigned here, and passes on
// what that proved. What cannot be fetched or proven, and does not pass by itself within
// some rounds, is a suspicion and has no
// consequence. Whatever the others do, a round ends after some minutes; what it leaves,
// the next one begins with. After ctx ends it returns what was done so far.
func (g *Gossip) Round(ctx context.Context, logs []*Log) Stats {
	g.round.Lock()
	defer g.round.Unlock()
	r := Stats{Delivered: g.deliver(ctx)}
	comparing, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	for _, l := range logs {
		l.noticeAcknowledgement(comparing)
	}
	r.add(g.compareLogs(comparing, logs, g.fetchFromPeers(comparing, logs)))
	r.Delivered += g.deliver(ctx)
	return r
}

// forEachParallel does something with all of several at once, as many as are allowed.
func forEachParallel[T any](g *Gossip, all []T, do func(T)) {
	var group errgroup.Group
	group.SetLimit(g.cfg.Parallel)
	for _, item := range all {
		group.Go(func() error { do(item); return nil })
	}
	group.Wait()
}

// compareLogs compares each log's checkpoints, the log that took least time in the last
// round first: logs that serve no tiles, or slowly, delay only each other.
func (g *Gossip) compareLogs(ctx context.Context, logs []*Log, observed map[string][]*proof.Signed) (r Stats) {
	var mu sync.Mutex
	quickest := slices.Clone(logs)
	slices.SortStableFunc(quickest, func(a, b *Log) int { return cmp.Compare(a.compareTime, b.compareTime) })
	forEachParallel(g, quickest, func(l *Log) {
		start := time.Now()
		l.compareTime = 0 // one that was not compared is among the first of the next round
		if ctx.Err() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		found := l.compareShown(ctx, observed[l.origin])
		l.compareTime = time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		r.add(found)
	})
	return r
}

// fetch asks one place for a checkpoint of the log, and verifies it. nil, nil: it has
// none. One that is not the log's is a suspicion.
func (l *Log) fetch(ctx context.Context, from string, call func(context.Context) ([]byte, error)) (*proof.Signed, error) {
	note, err := call(ctx)
	if wire.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	keys := l.history.Keys()
	if len(keys) == 0 {
		return nil, nil // it has left the list
	}
	s, err := proof.VerifyLog(note, l.origin, keys...)
	if err != nil {
		l.logAnomaly("a checkpoint shown by "+from+" is not the log's", err)
	}
	return s, err
}

// tryFetch fetches for a round, in bounded time; gone if nobody answers.
func (l *Log) tryFetch(ctx context.Context, from string, call func(context.Context) ([]byte, error)) (s *proof.Signed, gone bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := l.fetch(ctx, from, call)
	if err != nil {
		l.g.cfg.Log.Info("a checkpoint could not be fetched", "origin", l.origin, "from", from, "err", err)
	}
	var unreachable *wire.UnreachableError
	return s, errors.As(err, &unreachable)
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

// checkpointOf asks what the peer shows of a log.
func (p *peer) checkpointOf(l *Log) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) { return p.Checkpoint(ctx, l.origin) }
}

// fetchFromPeers asks each peer for what it shows of each log, all peers at once, and
// each about one log after another: a peer that does not answer is not asked again in
// this round, and in the next about the logs that were left.
func (g *Gossip) fetchFromPeers(ctx context.Context, logs []*Log) map[string][]*proof.Signed {
	var mu sync.Mutex
	observed := make(map[string][]*proof.Signed)
	forEachParallel(g, g.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		for _, l := range p.logsInOrder(logs) {
			s, gone := l.tryFetch(ctx, p.URL(), p.checkpointOf(l))
			if s != nil {
				mu.Lock()
				observed[l.origin] = append(observed[l.origin], s)
				mu.Unlock()
			}
			if p.lastAsked = l.origin; gone || ctx.Err() != nil {
				return
			}
		}
		p.lastAsked = ""
	})
	return observed
}

// logsInOrder is all logs, those first that the peer was not asked about in the last round.
func (p *peer) logsInOrder(logs []*Log) []*Log {
	i := slices.IndexFunc(logs, func(l *Log) bool { return l.origin > p.lastAsked })
	return slices.Concat(logs[max(i, 0):], logs[:max(i, 0)])
}

// deliver sends the stored evidence to the peers, all at once, and returns how much of
// it was new to them. A peer that cannot be reached now gets it in a later round.
func (g *Gossip) deliver(ctx context.Context) (delivered int) {
	all, _ := g.index.page("", math.MaxInt)
	var mu sync.Mutex
	forEachParallel(g, g.peers, func(p *peer) {
		ctx, cancel := context.WithTimeout(ctx, shareTimeout)
		defer cancel()
		n := g.deliverTo(ctx, p, all)
		mu.Lock()
		defer mu.Unlock()
		delivered += n
	})
	return delivered
}

// deliverTo reads only what the peer may not have yet.
func (g *Gossip) deliverTo(ctx context.Context, p *peer, all []string) (delivered int) {
	for _, id := range all {
		if x := p.deliveries[id]; x.final || time.Now().Before(x.notBefore) {
			continue
		}
		k, err := g.store.Load(id)
		if err != nil {
			g.cfg.Log.Error("a piece of evidence cannot be read, so it is not passed on", "evidence", id, "err", err)
			p.deliveries[id] = delivery{notBefore: time.Now().Add(refusedRetryAfter)}
			continue
		}
		if err = p.offerEvidence(ctx, k); err == nil {
			delivered++
			continue
		}
		g.cfg.Log.Info("a peer did not take evidence", "origin", k.Evidence.Origin(), "peer", p.URL(), "evidence", k.ID, "err", err)
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
