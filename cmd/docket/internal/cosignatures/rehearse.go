package cosignatures

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// maxRehearsal is how long one witness is given in a rehearsal: what is to be published
// meanwhile waits for it.
const maxRehearsal = 3 * time.Second

// Rehearsed is how a rehearsal went. The zero value: no witness was asked.
type Rehearsed struct {
	At        time.Time // when the last witness had answered
	Quorum    bool      // those who are ready make the policy's quorum
	Witnesses []Readiness
}

// Readiness says whether one witness cosigns what some of the log's keys sign alone.
type Readiness struct {
	Name     string // in the policy
	InQuorum bool   // it can contribute to the quorum
	Ready    bool
	Error    string // why not; "" if it is
}

// Rehearse asks each witness of the policy asked under last to cosign once more what it
// cosigned last, with the log's signatures by these keys alone: a witness that does so
// does not need the others. A witness keeps its state by origin and not by key, and the
// tree is the one that it has: no proof is needed, and nothing new is signed, by the
// log least of all (tlog-witness "add-checkpoint").
//
// Each is asked between two rounds, so that no other checkpoint is in flight, and not
// before its Retry-After has passed. How it answers changes nothing about how it is
// asked otherwise. It takes Config.Timeout and maxRehearsal at most, or until ctx ends.
func (a *Collector) Rehearse(ctx context.Context, keys ...proof.Key) Rehearsed {
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout+maxRehearsal)
	defer cancel()
	policy, asked, wrong := a.enqueueRehearsals(ctx, keys)
	if policy == nil {
		return Rehearsed{}
	}
	for _, x := range asked {
		select {
		case said := <-x.said:
			for name, err := range said {
				wrong[name] = err
			}
		case <-ctx.Done():
			a.withdraw(x)
		case <-a.closing:
		}
	}
	var ready []string
	var all []Readiness
	for _, w := range policy.Witnesses() {
		s := Readiness{Name: w.Name, InQuorum: slices.ContainsFunc(policy.QuorumWitnesses(), func(in proof.Witness) bool { return in.Name == w.Name })}
		err, answered := wrong[w.Name]
		switch {
		case !answered:
			s.Error = "it has not answered yet"
		case err != nil:
			s.Error = err.Error()
		default:
			s.Ready = true
			ready = append(ready, w.Name)
		}
		all = append(all, s)
	}
	result := Rehearsed{At: time.Now(), Quorum: policy.Satisfied(ready...), Witnesses: all}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.policy.Text() == policy.Text() {
		a.rehearsed = result
	}
	return result
}

// Rehearsed is how the last rehearsal went, if it was under the policy asked under last.
func (a *Collector) Rehearsed() Rehearsed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rehearsed
}

// rehearsal is one request to one peer.
type rehearsal struct {
	peer   *peer
	keys   []proof.Key
	policy *proof.Policy
	said   chan map[string]error // one value: of each witness there, by its name, why it is not ready; nil if it is
}

// enqueueRehearsals queues a rehearsal for each peer of the policy, and says of which
// witnesses it is known that they cannot be asked.
func (a *Collector) enqueueRehearsals(ctx context.Context, keys []proof.Key) (*proof.Policy, []*rehearsal, map[string]error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.policy == nil {
		return nil, nil, nil
	}
	wrong := make(map[string]error)
	var all []*rehearsal
	for _, w := range a.policy.Witnesses() {
		p, err := a.peer(w)
		if err != nil {
			wrong[w.Name] = err
			continue
		}
		if slices.ContainsFunc(all, func(x *rehearsal) bool { return x.peer == p }) {
			continue
		}
		x := &rehearsal{peer: p, keys: keys, policy: a.policy, said: make(chan map[string]error, 1)}
		p.rehearsal = x
		all = append(all, x)
		a.wake(ctx, p)
	}
	return a.policy, all, wrong
}

// withdraw removes a rehearsal whose caller no longer waits.
func (a *Collector) withdraw(x *rehearsal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.peer.rehearsal == x {
		x.peer.rehearsal = nil
	}
}

// rehearse asks the peer what waits for it of this kind, if anything does, and if it has
// cosigned something or nothing else waits.
func (a *Collector) rehearse(ctx context.Context, p *peer) {
	a.mu.Lock()
	x, last, told := p.rehearsal, p.last, p.pauses[sameCheckpoint]
	if x == nil || last == nil && (p.current != nil || p.pending != nil) {
		a.mu.Unlock()
		return
	}
	p.rehearsal = nil
	at := witnessesAt(x.policy, p.url)
	ctx, cancel := context.WithTimeout(ctx, min(a.config.Timeout, maxRehearsal))
	defer cancel()
	p.cancel = cancel
	closed, why := a.closed, ""
	for _, w := range at {
		if err := a.witnessStatus(w.Name).err; err != "" {
			why = ": " + err
		}
	}
	a.mu.Unlock()

	said := make(map[string]error)
	var err error
	switch wait := time.Until(told.until); {
	case closed:
		err = errClosed
	case last == nil:
		err = fmt.Errorf("it has not cosigned by the log's present keys since the start%s", why)
	case wait > 0:
		err = fmt.Errorf("it asked to be left alone for another %s: %w", wait.Round(time.Second), told.err)
	default:
		r := newCosignRound(ledger.CosignRequest{Signed: last, Policy: x.policy})
		var sigs []proof.Signature
		if sigs, err = a.resubmitSignedBy(ctx, p, last, x.keys); err == nil {
			// A cosignature is of the tree and not of its signatures: it is verified as
			// any other.
			_, said = r.verify(sigs, at)
			for _, s := range sigs {
				for _, w := range at {
					if w.Key.Name() == s.Name && w.Key.ID() == s.ID && said[w.Name] == nil {
						said[w.Name] = untimely(cosignatureTime(s))
					}
				}
			}
		}
	}
	for _, w := range at {
		if err != nil {
			said[w.Name] = err
		} else if _, known := said[w.Name]; !known {
			said[w.Name] = nil
		}
	}
	x.said <- said
}

// resubmitSignedBy shows the peer what it cosigned last, signed by these keys alone. Its error
// says in words what stands in the way.
func (a *Collector) resubmitSignedBy(ctx context.Context, p *peer, last *proof.Signed, keys []proof.Key) ([]proof.Signature, error) {
	cp, sigs, err := proof.ParseCheckpoint(last.Note())
	if err != nil {
		return nil, err
	}
	alone, err := proof.FormatNote(cp, slices.DeleteFunc(sigs, func(s proof.Signature) bool {
		return !slices.ContainsFunc(keys, func(k proof.Key) bool { return k.Name() == s.Name && k.ID() == s.ID })
	})...)
	if err != nil {
		return nil, err
	}
	again := func(note []byte) ([]proof.Signature, error) {
		return p.client.AddCheckpoint(ctx, wire.AddCheckpoint{Old: cp.Size, Note: note})
	}
	got, err := again(alone)
	s, conflict := (*wire.StatusError)(nil), (*wire.ConflictError)(nil)
	switch {
	case err == nil:
		return got, nil
	case errors.As(err, &conflict):
		return nil, fmt.Errorf("it has moved from %d on to %d, asked by somebody else: %w", cp.Size, conflict.Size, err)
	case !errors.As(err, &s):
		return nil, err
	case s.Code == http.StatusTooManyRequests || s.RetryAfter > 0:
		a.mu.Lock()
		now := time.Now()
		p.pauses[sameCheckpoint] = requestedPause{now, now.Add(min(max(s.RetryAfter, minBackoff), maxRetryAfter)), err}
		a.mu.Unlock()
		return nil, err
	case !isUnknownLog(err): // there are witnesses that answer 500 to an unknown key
		if _, other := again(last.Note()); other != nil {
			return nil, fmt.Errorf("it cosigns by no key now: %w", other)
		}
	}
	return nil, fmt.Errorf("it cosigns by the log's present keys, and does not know the new ones: %w", err)
}

// untimely is what is wrong with the time of a cosignature; nil if nothing is.
func untimely(at time.Time) error {
	if time.Until(at).Abs() > proof.MaxClockSkew {
		return fmt.Errorf("its cosignature is stamped %s, %s the clock here: one of the two is wrong", at.Format(time.RFC3339), apart(time.Until(at)))
	}
	return nil
}
