// Package cosignatures collects the cosignatures of a ledger's witnesses over HTTP
// (C2SP tlog-witness, "add-checkpoint").
//
// It asks all witnesses of a policy in parallel, also those outside the quorum, and
// returns as soon as the quorum is satisfied; later cosignatures are passed to
// ask.OnLate. Each witness has at most one request at a time; of several pending
// checkpoints only the newest is sent.
//
// It promises nothing about the witnesses. Each cosignature is verified before it
// counts, and the ledger verifies all of them again.
package cosignatures

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Config says how to ask. The zero value is good.
type Config struct {
	Transport http.RoundTripper // http.DefaultTransport if nil

	// Timeout is how long one witness is given for one answer, proof and retry
	// included; 10 s if zero.
	Timeout time.Duration

	// MinInterval is the least time between two new checkpoints for one witness, by its
	// name in the policy: what its operator grants a log (the "qpd" of the witness
	// network's lists is so many in 24 h). What is repeated waits as long after either.
	// Of several at one URL the longest counts.
	MinInterval map[string]time.Duration

	Log *slog.Logger // nil discards
}

// Collector asks the witnesses of one ledger, and remembers of each what it cosigned
// last. It is safe for concurrent use.
type Collector struct {
	config  Config
	closing chan struct{} // closed by Close

	workers sync.WaitGroup // a goroutine for each witness that is being asked

	mu        sync.Mutex // guards what follows, and the peers
	closed    bool
	policy    *proof.Policy             // the one asked under last
	rehearsed Rehearsed                 // under that one; zero if there was no rehearsal
	peers     map[string]*peer          // by URL
	statuses  map[string]*witnessStatus // by the witness's name in the policy
}

// New makes an asker. Close it before the ledger's store is closed.
func New(c Config) *Collector {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{config: c, closing: make(chan struct{}), peers: make(map[string]*peer), statuses: make(map[string]*witnessStatus)}
}

// errClosed is what a round ends with when the asker does.
var errClosed = errors.New("the asker was closed")

// Cosign is a [ledger.CosignFunc]. It returns once the quorum is satisfied, every
// witness has answered or failed, or ctx has ended; later answers go to ask.OnLate. The
// error says of each witness why it gave nothing; with a quorum it is nil.
//
// If ask.ProbesNewLog, it waits beyond the quorum for all witnesses that answer within
// Config.Timeout, and for the log's own URL: this happens once in the life of a log,
// and a single witness may know of earlier checkpoints.
func (a *Collector) Cosign(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
	r := newCosignRound(ask)
	if err := a.startRound(ctx, r); err != nil {
		return ledger.CosignResponse{}, err
	}
	select {
	case <-r.quorumOrAll:
		if ask.ProbesNewLog() {
			a.awaitAll(ctx, r)
		}
	case <-ctx.Done():
	case <-a.closing:
	}
	return r.result()
}

// startRound puts the round to all witnesses that can be asked.
func (a *Collector) startRound(ctx context.Context, r *cosignRound) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errClosed
	}
	if a.policy == nil || a.policy.Text() != r.ask.Policy.Text() {
		a.rehearsed = Rehearsed{}
	}
	a.policy = r.ask.Policy
	r.needsPaused = !r.ask.Policy.Satisfied(a.responsiveWitnesses(r.ask)...)
	var asked []*peer
	for _, w := range r.ask.Policy.Witnesses() {
		p, err := a.peer(w)
		if err != nil {
			a.witnessStatus(w.Name).err = err.Error()
			r.addError(w.Name, err)
			continue
		}
		if kept := a.kept(p, r.ask); kept != nil {
			r.keep(w, kept)
			continue
		}
		if err := p.checkAllowed(r.ask, r.needsPaused); err != nil {
			r.addError(w.Name, err)
			continue
		}
		if !slices.Contains(asked, p) {
			asked = append(asked, p)
		}
	}
	// A witness that failed is not asked for a while, unless the others make no quorum:
	// it may have recovered meanwhile.
	if !r.ask.ProbesNewLog() && !r.needsPaused {
		asked = slices.DeleteFunc(asked, func(p *peer) bool { return p.backingOff() })
	}
	var urls []string
	if r.ask.ProbesNewLog() {
		if urls = logURLs(r.ask.Policy, originOf(r.ask)); len(urls) == 0 {
			r.answer.Unresponsive = append(r.answer.Unresponsive, errors.New("the policy gives no URL of the log"))
		}
	}
	r.start(len(asked), len(urls))
	for _, url := range urls {
		a.workers.Go(func() { a.fetchFromLog(ctx, url, r) })
	}
	for _, p := range asked {
		a.enqueue(ctx, p, r)
	}
	return nil
}

// kept are the cosignatures by all witnesses of a URL that they gave for this checkpoint
// before, by name; nil if one is missing, or they are to be made anew. a.mu is held.
func (a *Collector) kept(p *peer, ask ledger.CosignRequest) map[string]proof.Signature {
	if ask.Resubmission || ask.ProbesNewLog() {
		return nil
	}
	kept := make(map[string]proof.Signature)
	for _, w := range witnessesAt(ask.Policy, p.url) {
		st := a.witnessStatus(w.Name)
		if st.of != ask.Tree() || st.gave.Name != w.Key.Name() || st.gave.ID != w.Key.ID() {
			return nil
		}
		kept[w.Name] = st.gave
	}
	return kept
}

// responsiveWitnesses are the witnesses that gave a cosignature, or answered last and have not asked
// to be left alone; a.mu is held.
func (a *Collector) responsiveWitnesses(ask ledger.CosignRequest) (names []string) {
	for _, w := range ask.Policy.Witnesses() {
		if p, err := a.peer(w); err == nil && (a.kept(p, ask) != nil || p.failures == 0 && p.checkAllowed(ask, false) == nil) {
			names = append(names, w.Name)
		}
	}
	return names
}

// peer is the witness's URL; a.mu is held.
func (a *Collector) peer(w proof.Witness) (*peer, error) {
	if w.URL == "" {
		return nil, errors.New("the policy gives no URL for it")
	}
	p := a.peers[w.URL]
	if p == nil {
		var err error
		if p, err = newPeer(w.URL, a.config.Transport); err != nil {
			return nil, err
		}
		a.peers[w.URL] = p
	}
	p.interval = max(p.interval, a.config.MinInterval[w.Name])
	return p, nil
}

// enqueue gives the peer a round, now or when it is through with what it is at. A
// round that waits already is pushed out by the newer. a.mu is held.
func (a *Collector) enqueue(ctx context.Context, p *peer, r *cosignRound) {
	if p.pending != nil {
		p.pending.addResponse(p.url, errSuperseded, nil, nil)
	}
	p.pending = r
	a.wake(ctx, p)
}

// wake sees to it that the peer is asked what waits for it. a.mu is held.
func (a *Collector) wake(ctx context.Context, p *peer) {
	if !p.busy {
		p.busy = true
		a.workers.Go(func() { a.serveRounds(context.WithoutCancel(ctx), p) })
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// errSuperseded: a newer checkpoint was there before this one could be sent.
var errSuperseded = errors.New("a newer checkpoint went first")

// serveRounds asks a peer about one round after another, and what is rehearsed between them,
// until nothing waits.
func (a *Collector) serveRounds(ctx context.Context, p *peer) {
	for a.finishCurrent(p) {
		r, err := a.awaitNext(ctx, p)
		if r == nil {
			continue
		}
		if err != nil {
			r.addResponse(p.url, err, nil, nil)
			continue
		}
		requested, cancel := context.WithTimeout(ctx, a.config.Timeout)
		if a.markStarted(p, r, cancel) {
			a.request(requested, p, r)
		} else {
			r.addResponse(p.url, errClosed, nil, nil)
		}
		cancel()
	}
}

// finishCurrent ends what the peer was at, and tells whether there is more.
func (a *Collector) finishCurrent(p *peer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.current, p.cancel = nil, nil
	p.busy = p.pending != nil || p.rehearsal != nil
	return p.busy
}

// awaitNext waits until the peer may be asked, and returns about what: the newest; nil if
// nothing is left. An error: it is not to be asked about that.
func (a *Collector) awaitNext(ctx context.Context, p *peer) (*cosignRound, error) {
	for {
		a.rehearse(ctx, p)
		r, wait, notAllowed := a.takeNewest(p)
		if r == nil || notAllowed != nil || wait <= 0 {
			return r, notAllowed
		}
		select {
		case <-a.closing:
			return r, errClosed
		case <-p.wake: // which may not have to wait, or is to be rehearsed
		case <-time.After(wait):
		}
	}
}

// takeNewest is what the peer is to be asked about, the newest, and in how long; or why
// not. nil: nothing.
func (a *Collector) takeNewest(p *peer) (r *cosignRound, wait time.Duration, notAllowed error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.pending != nil {
		if p.current != nil {
			p.current.addResponse(p.url, errSuperseded, nil, nil)
		}
		p.current, p.pending = p.pending, nil
	}
	if p.current == nil {
		return nil, 0, nil
	}
	return p.current, time.Until(p.nextAllowed(p.current.ask)), p.checkAllowed(p.current.ask, p.current.needsPaused)
}

// markStarted notes that a request begins, and how to break it off.
func (a *Collector) markStarted(p *peer, r *cosignRound, cancel context.CancelFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.lastRequest[p.requestKindOf(r.ask)], p.cancel = time.Now(), cancel
	return !a.closed
}

// Close cancels the requests in flight and waits for them.
func (a *Collector) Close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.closing)
	}
	for _, p := range a.peers {
		if p.cancel != nil {
			p.cancel()
		}
	}
	a.mu.Unlock()
	a.workers.Wait()
}

// witnessesAt are the policy's witnesses at a URL.
func witnessesAt(policy *proof.Policy, url string) []proof.Witness {
	return slices.DeleteFunc(policy.Witnesses(), func(w proof.Witness) bool { return w.URL != url })
}

// knownSize is what a witness that did not cosign the empty tree claims: the size in
// its 409, and the checkpoint that it serves ([ledger.CosignRequest.ProbesNewLog]).
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

// Status is how one witness of the policy stands, as this ledger sees it.
type Status struct {
	Name     string // in the policy
	URL      string
	InQuorum bool // it can contribute to the quorum

	Size     uint64        // that it cosigned last since the start; 0 if it has not
	At       time.Time     // of that cosignature, by the witness's clock; zero if there is none
	Latency  time.Duration // of its last good answer
	Failures int           // since then
	Error    string        // why it gave nothing the last time; "" if it did
}

// witnessStatus is what is remembered of a witness by its name.
type witnessStatus struct {
	size uint64
	at   time.Time
	err  string

	gave proof.Signature // the newest cosignature
	of   proof.Tree      // of that tree
}

// witnessStatus is that of a name; a.mu is held.
func (a *Collector) witnessStatus(name string) *witnessStatus {
	if a.statuses[name] == nil {
		a.statuses[name] = new(witnessStatus)
	}
	return a.statuses[name]
}

// Status is that of every witness of the policy asked under last, in its order; empty
// before the first round.
func (a *Collector) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.policy == nil {
		return nil
	}
	inQuorum := make(map[string]bool)
	for _, w := range a.policy.QuorumWitnesses() {
		inQuorum[w.Name] = true
	}
	var all []Status
	for _, w := range a.policy.Witnesses() {
		st := a.witnessStatus(w.Name)
		s := Status{Name: w.Name, URL: w.URL, InQuorum: inQuorum[w.Name], Size: st.size, At: st.at, Error: st.err}
		if p := a.peers[w.URL]; p != nil {
			s.Latency, s.Failures = p.latency, p.failures
		}
		all = append(all, s)
	}
	return all
}
