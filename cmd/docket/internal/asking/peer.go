package asking

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
	firstRest = time.Second
	maxRest   = time.Minute
)

// maxTold bounds what a witness may ask for with Retry-After: what it says in an
// hour of trouble must not cost the ledger its quorum for a day.
const maxTold = 10 * time.Minute

// maxNeeded is how long it is left alone while there is no quorum without it: publication
// does not wait for longer once it is well.
const maxNeeded = 30 * time.Second

// peer is one URL, at which one or more witnesses of a policy live. Asker.mu guards
// its fields; while busy is set, one goroutine asks.
type peer struct {
	url      string
	call     *wire.Witness
	interval time.Duration // least time between two requests

	busy      bool               // there is the goroutine
	at, next  *round             // what it is being asked, and after that
	rehearsal *rehearsal         // what it is to be asked before that
	newer     chan struct{}      // holds one value when next or rehearsal was set
	cancel    context.CancelFunc // breaks off the request under way
	asked     map[kind]time.Time // when the last request began

	size  uint64 // that it cosigned last, as far as known
	known bool
	last  *proof.Signed // the same, as it was asked about it; nil if it has not since the start

	latency  time.Duration  // of its last good answer
	failures int            // since then
	rest     time.Time      // until when it is left alone, unless it is needed
	told     map[kind]leave // when it asked to be left alone
}

// kind is what a witness is asked for. Each has an allowance of its own there, or may
// have: one that is used up says nothing about the other.
type kind bool

const (
	advance kind = false // a checkpoint that it has not cosigned
	repeat  kind = true  // the one that it cosigned last, once more
)

// leave is since when, until when, and why.
type leave struct {
	since, until time.Time
	err          error
}

func newPeer(url string, transport http.RoundTripper) (*peer, error) {
	call, err := wire.NewWitness(url, transport)
	if err != nil {
		return nil, err
	}
	return &peer{url: url, call: call, newer: make(chan struct{}, 1), asked: make(map[kind]time.Time), told: make(map[kind]leave)}, nil
}

func (p *peer) rests() bool { return time.Now().Before(p.rest) }

// mayBeAsked is an error while the witness has asked to be left alone with such things,
// and for half a minute at most where it is needed.
func (p *peer) mayBeAsked(ask ledger.Ask, needed bool) error {
	told := p.told[p.kind(ask)]
	until := told.until
	if soon := told.since.Add(maxNeeded); needed && soon.Before(until) {
		until = soon
	}
	if time.Now().Before(until) {
		return &ledger.RestError{Until: until, Err: told.err}
	}
	return nil
}

// old is the size that the witness cosigned last, as far as known: where the proof
// begins.
func (p *peer) old(ask ledger.Ask) uint64 {
	if !p.known && ask.Again {
		return ask.Tree().Size // most likely: it cosigned what was published
	}
	return min(p.size, ask.Tree().Size)
}

// kind is what the question will be to it, as far as known.
func (p *peer) kind(ask ledger.Ask) kind { return kindOf(p.old(ask), ask) }

func kindOf(old uint64, ask ledger.Ask) kind { return kind(old == ask.Tree().Size) }

// due is when the interval is over: what is new does not wait for what was repeated.
func (p *peer) due(ask ledger.Ask) time.Time {
	last := p.asked[advance]
	if again := p.asked[repeat]; p.kind(ask) == repeat && again.After(last) {
		last = again
	}
	if last.IsZero() {
		return last
	}
	return last.Add(p.interval)
}

// ask makes the request of one round and gives the round what came of it.
func (a *Asker) ask(ctx context.Context, p *peer, r *round) {
	begun := time.Now()
	sigs, what, err := a.addCheckpoint(ctx, p, r.ask)
	took := time.Since(begun)
	at := namesAt(r.ask.Policy, p.url)
	answer := new(ledger.Answer)
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
			switch at, off := timeOf(s), untimely(timeOf(s)); {
			case off != nil:
				wrong[w.Name] = off
			case at.Before(r.ask.NotBefore):
				wrong[w.Name] = fmt.Errorf("its cosignature is stamped %s, too early to tell what it has seen since; one stamped %s or later counts", at.Format(time.RFC3339), r.ask.NotBefore.UTC().Format(time.RFC3339))
			default:
				counted = append(counted, w.Name)
			}
		}
		err = joined(at, wrong)
	} else if r.ask.Introduces() {
		answer, counted, err = a.whereabouts(ctx, p, r, at, err)
	} else if divergent(err, r.ask.Tree().Size) {
		if note, lost := p.call.Checkpoint(ctx, originOf(r.ask)); lost == nil {
			answer.Seen = append(answer.Seen, note)
		} else {
			err = fmt.Errorf("%w; and what it has cosigned it does not show: %w", err, lost)
		}
	}
	if unknown(err) {
		err = fmt.Errorf("%w; unless it says otherwise, its operator adds to its list of logs what docket init --origin %s --contact WHO prints; the files of older keys, if they were taken away too early, come back to keys/ until then", err, originOf(r.ask))
	}
	a.note(p, r, what, at, good, wrong, err, took)
	r.give(p.url, err, answer, counted)
}

// addCheckpoint sends the checkpoint with the proof from what the witness cosigned
// last. If that was something else than remembered, it says so, and is asked once
// more. what was asked of it then, is told too.
func (a *Asker) addCheckpoint(ctx context.Context, p *peer, ask ledger.Ask) (sigs []proof.Signature, what kind, err error) {
	a.mu.Lock()
	old := p.old(ask)
	a.mu.Unlock()
	for again := false; ; again = true {
		what = kindOf(old, ask)
		path, err := ask.Consistency(ctx, old)
		if err != nil {
			return nil, what, err
		}
		sigs, err := p.call.AddCheckpoint(ctx, wire.AddCheckpoint{Old: old, Path: path, Note: ask.Signed.Note()})
		conflict := (*wire.Conflict)(nil)
		if again || !errors.As(err, &conflict) || conflict.Size > ask.Tree().Size {
			return sigs, what, err
		}
		old = conflict.Size
	}
}

// divergent says that a refusal may come from a witness who has cosigned something
// that this checkpoint does not lead on from: it stands further, or at another root
// (422 or, with some, a 409 of another form).
func divergent(err error, size uint64) bool {
	if c := (*wire.Conflict)(nil); errors.As(err, &c) {
		return c.Size > size
	}
	s := (*wire.Status)(nil)
	return errors.As(err, &s) && (s.Code == http.StatusConflict || s.Code == http.StatusUnprocessableEntity)
}

// unknown says that a witness may not know this log, or not by the keys that it signs
// with now (tlog-witness "add-checkpoint"): after a rotation that was not waited for.
func unknown(err error) bool {
	s := (*wire.Status)(nil)
	return wire.NotFound(err) || errors.As(err, &s) && s.Code == http.StatusForbidden
}

// note remembers how it went.
func (a *Asker) note(p *peer, r *round, what kind, at []proof.Witness, good map[string]proof.Signature, wrong map[string]error, err error, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := r.ask.Tree().Size
	if len(good) > 0 {
		p.size, p.known, p.latency, p.last = size, true, took, r.ask.Signed
	} else {
		p.known = false
	}
	for _, w := range at {
		st := a.standing(w.Name)
		st.err = ""
		if s, ok := good[w.Name]; ok {
			st.size, st.at = size, timeOf(s)
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
		p.failures, p.rest = 0, time.Time{}
		delete(p.told, what)
		return
	}
	select {
	case <-a.ending:
		return // broken off; nobody's fault
	default:
	}
	s := (*wire.Status)(nil)
	switch now := time.Now(); {
	case errors.As(err, &s) && s.Code == http.StatusTooManyRequests:
		p.told[what] = leave{now, now.Add(min(max(s.RetryAfter, firstRest), maxTold)), err}
	case s != nil && s.RetryAfter > 0: // it has no time at all
		l := leave{now, now.Add(min(s.RetryAfter, maxTold)), err}
		p.told[advance], p.told[repeat] = l, l
		fallthrough
	default:
		p.rest = now.Add(min(firstRest<<min(p.failures, 10), maxRest))
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

// timeOf is when a cosignature that verifies was made (tlog-cosignature "Format").
func timeOf(s proof.Signature) time.Time {
	return time.Unix(int64(min(binary.BigEndian.Uint64(s.Sig), math.MaxInt64)), 0).UTC()
}

func originOf(ask ledger.Ask) string {
	return ask.Signed.Checkpoint().Origin
}

// joined is what is wrong with the witnesses of one URL, in the policy's order.
func joined(at []proof.Witness, wrong map[string]error) error {
	var errs []error
	for _, w := range at {
		if err := wrong[w.Name]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.Name, err))
		}
	}
	return errors.Join(errs...)
}
