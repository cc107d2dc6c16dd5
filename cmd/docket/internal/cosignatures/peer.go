package cosignatures

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// How long a witness that failed is left alone: twice as long after each failure.
// Then it is asked once, and all is as before if it answers.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// maxRetryAfter bounds a witness's Retry-After, so that one overloaded hour does not
// cost the ledger its quorum for a day.
const maxRetryAfter = 10 * time.Minute

// maxPauseIfNeeded is how long it is left alone while there is no quorum without it: publication
// does not wait for longer once it is well.
const maxPauseIfNeeded = 30 * time.Second

// peer is one URL, at which one or more witnesses of a policy live. Asker.mu guards
// its fields; while busy is set, one goroutine asks.
type peer struct {
	url      string
	client   *wire.Witness
	interval time.Duration // least time between two requests

	busy             bool                      // there is the goroutine
	current, pending *cosignRound              // what it is being asked, and after that
	rehearsal        *rehearsal                // what it is to be asked before that
	wake             chan struct{}             // holds one value when next or rehearsal was set
	cancel           context.CancelFunc        // cancels the request in flight
	lastRequest      map[requestKind]time.Time // when the last request began

	cosignedSize uint64 // that it cosigned last, as far as known
	sizeKnown    bool
	last         *proof.Signed // the same, as it was asked about it; nil if it has not since the start

	latency      time.Duration                  // of its last good answer
	failures     int                            // since then
	backoffUntil time.Time                      // until when it is left alone, unless it is needed
	pauses       map[requestKind]requestedPause // when it asked to be left alone
}

// requestKind distinguishes requests that may have separate rate limits at a witness.
type requestKind bool

const (
	newCheckpoint  requestKind = false // a checkpoint that it has not cosigned
	sameCheckpoint requestKind = true  // the one that it cosigned last, once more
)

// requestedPause is since when, until when, and why.
type requestedPause struct {
	since, until time.Time
	err          error
}

func newPeer(url string, transport http.RoundTripper) (*peer, error) {
	call, err := wire.NewWitness(url, transport)
	if err != nil {
		return nil, err
	}
	return &peer{url: url, client: call, wake: make(chan struct{}, 1), lastRequest: make(map[requestKind]time.Time), pauses: make(map[requestKind]requestedPause)}, nil
}

func (p *peer) backingOff() bool { return time.Now().Before(p.backoffUntil) }

// checkAllowed is an error while the witness has asked to be left alone with such things,
// and for half a minute at most where it is needed.
func (p *peer) checkAllowed(ask ledger.CosignRequest, needed bool) error {
	told := p.pauses[p.requestKindOf(ask)]
	until := told.until
	if soon := told.since.Add(maxPauseIfNeeded); needed && soon.Before(until) {
		until = soon
	}
	if time.Now().Before(until) {
		return &ledger.RetryAfterError{Until: until, Err: told.err}
	}
	return nil
}

// oldSize is the size that the witness cosigned last, as far as known: where the proof
// begins.
func (p *peer) oldSize(ask ledger.CosignRequest) uint64 {
	if !p.sizeKnown && ask.Resubmission {
		return ask.Tree().Size // most likely: it cosigned what was published
	}
	return min(p.cosignedSize, ask.Tree().Size)
}

// requestKindOf is the kind of request that this peer will see, as far as known.
func (p *peer) requestKindOf(ask ledger.CosignRequest) requestKind {
	return requestKindFor(p.oldSize(ask), ask)
}

func requestKindFor(old uint64, ask ledger.CosignRequest) requestKind {
	return requestKind(old == ask.Tree().Size)
}

// nextAllowed is when the interval is over: what is new does not wait for what was repeated.
func (p *peer) nextAllowed(ask ledger.CosignRequest) time.Time {
	last := p.lastRequest[newCheckpoint]
	if again := p.lastRequest[sameCheckpoint]; p.requestKindOf(ask) == sameCheckpoint && again.After(last) {
		last = again
	}
	if last.IsZero() {
		return last
	}
	return last.Add(p.interval)
}

// request makes the request of one round and gives the round what came of it.
func (a *Collector) request(ctx context.Context, p *peer, r *cosignRound) {
	begun := time.Now()
	sigs, what, err := a.addCheckpoint(ctx, p, r.ask)
	took := time.Since(begun)
	at := witnessesAt(r.ask.Policy, p.url)
	answer := new(ledger.CosignResponse)
	var wrong map[string]error
	var good map[string]proof.Signature
	var counted []string
	if err == nil {
		good, wrong = r.verify(sigs, at)
		for _, w := range at {
			s, ok := good[w.Name]
			if !ok {
				continue
			}
			answer.Cosignatures = append(answer.Cosignatures, s)
			switch at, off := cosignatureTime(s), untimely(cosignatureTime(s)); {
			case off != nil:
				wrong[w.Name] = off
			case at.Before(r.ask.NotBefore):
				wrong[w.Name] = fmt.Errorf("its cosignature is stamped %s, too early to tell what it has seen since; one stamped %s or later counts", at.Format(time.RFC3339), r.ask.NotBefore.UTC().Format(time.RFC3339))
			default:
				counted = append(counted, w.Name)
			}
		}
		err = joinWitnessErrors(at, wrong)
	} else if r.ask.ProbesNewLog() {
		answer, counted, err = a.knownSize(ctx, p, r, at, err)
	} else if isDivergent(err, r.ask.Tree().Size) {
		if note, lost := p.client.Checkpoint(ctx, originOf(r.ask)); lost == nil {
			answer.Checkpoints = append(answer.Checkpoints, note)
		} else {
			err = fmt.Errorf("%w; and what it has cosigned it does not show: %w", err, lost)
		}
	}
	if isUnknownLog(err) {
		err = fmt.Errorf("%w; unless it says otherwise, its operator adds to its list of logs what docket init --origin %s --contact WHO prints; the files of older keys, if they were taken away too early, come back to keys/ until then", err, originOf(r.ask))
	}
	a.recordOutcome(p, r, what, at, good, wrong, err, took)
	r.addResponse(p.url, err, answer, counted)
}

// addCheckpoint sends the checkpoint with the proof from what the witness cosigned
// last. If that was something else than remembered, it says so, and is asked once
// more. what was asked of it then, is told too.
func (a *Collector) addCheckpoint(ctx context.Context, p *peer, ask ledger.CosignRequest) (sigs []proof.Signature, what requestKind, err error) {
	a.mu.Lock()
	old := p.oldSize(ask)
	a.mu.Unlock()
	for again := false; ; again = true {
		what = requestKindFor(old, ask)
		path, err := ask.ConsistencyProof(ctx, old)
		if err != nil {
			return nil, what, err
		}
		sigs, err := p.client.AddCheckpoint(ctx, wire.AddCheckpoint{Old: old, Path: path, Note: ask.Signed.Note()})
		conflict := (*wire.ConflictError)(nil)
		if again || !errors.As(err, &conflict) || conflict.Size > ask.Tree().Size {
			return sigs, what, err
		}
		old = conflict.Size
	}
}

// isDivergent says that a refusal may come from a witness who has cosigned something
// that this checkpoint does not lead on from: it stands further, or at another root
// (422 or, with some, a 409 of another form).
func isDivergent(err error, size uint64) bool {
	if c := (*wire.ConflictError)(nil); errors.As(err, &c) {
		return c.Size > size
	}
	s := (*wire.StatusError)(nil)
	return errors.As(err, &s) && (s.Code == http.StatusConflict || s.Code == http.StatusUnprocessableEntity)
}

// isUnknownLog says that a witness may not know this log, or not by the keys that it signs
// with now (tlog-witness "add-checkpoint"): after a rotation that was not waited for.
func isUnknownLog(err error) bool {
	s := (*wire.StatusError)(nil)
	return wire.IsNotFound(err) || errors.As(err, &s) && s.Code == http.StatusForbidden
}

// recordOutcome remembers how it went.
func (a *Collector) recordOutcome(p *peer, r *cosignRound, what requestKind, at []proof.Witness, good map[string]proof.Signature, wrong map[string]error, err error, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := r.ask.Tree().Size
	if len(good) > 0 {
		p.cosignedSize, p.sizeKnown, p.latency, p.last = size, true, took, r.ask.Signed
	} else {
		p.sizeKnown = false
	}
	for _, w := range at {
		st := a.witnessStatus(w.Name)
		st.err = ""
		if s, ok := good[w.Name]; ok {
			st.size, st.at = size, cosignatureTime(s)
			st.gave, st.of = s, r.ask.Tree()
		}
		if e := wrong[w.Name]; e != nil {
			st.err = e.Error()
		} else if err != nil && len(good) == 0 {
			st.err = err.Error()
		}
	}
	if err == nil {
		if p.failures > 0 {
			a.config.Log.Info("the witness answers again", "witness", p.url, "size", size)
		}
		p.failures, p.backoffUntil = 0, time.Time{}
		delete(p.pauses, what)
		return
	}
	select {
	case <-a.closing:
		return // cancelled by Close; not the witness's failure
	default:
	}
	s := (*wire.StatusError)(nil)
	switch now := time.Now(); {
	case errors.As(err, &s) && s.Code == http.StatusTooManyRequests:
		p.pauses[what] = requestedPause{now, now.Add(min(max(s.RetryAfter, minBackoff), maxRetryAfter)), err}
	case s != nil && s.RetryAfter > 0: // it has no time at all
		l := requestedPause{now, now.Add(min(s.RetryAfter, maxRetryAfter)), err}
		p.pauses[newCheckpoint], p.pauses[sameCheckpoint] = l, l
		fallthrough
	default:
		p.backoffUntil = now.Add(min(minBackoff<<min(p.failures, 10), maxBackoff))
	}
	if p.failures++; p.failures == 1 {
		a.config.Log.Warn("a witness does not cosign", "witness", p.url, "size", size, "err", err)
	}
}

// apart says how far a witness's clock is from the one here.
func apart(ahead time.Duration) string {
	if ahead < 0 {
		return (-ahead).Round(time.Second).String() + " behind"
	}
	return ahead.Round(time.Second).String() + " ahead of"
}

// cosignatureTime is when a cosignature that verifies was made (tlog-cosignature "Format").
func cosignatureTime(s proof.Signature) time.Time {
	return time.Unix(int64(min(binary.BigEndian.Uint64(s.Sig), math.MaxInt64)), 0).UTC()
}

func originOf(ask ledger.CosignRequest) string {
	return ask.Signed.Checkpoint().Origin
}

// joinWitnessErrors is what is wrong with the witnesses of one URL, in the policy's order.
func joinWitnessErrors(at []proof.Witness, wrong map[string]error) error {
	var errs []error
	for _, w := range at {
		if err := wrong[w.Name]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.Name, err))
		}
	}
	return errors.Join(errs...)
}
