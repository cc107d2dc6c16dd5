package asking

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// round is one question to all witnesses of a policy.
type round struct {
	ask  ledger.Ask
	done chan struct{} // closed once the quorum is there, or nobody is left
	all  chan struct{} // closed once nobody is left

	needed bool // there is no quorum without those who failed or asked to be left alone; set before the start

	mu      sync.Mutex // guards what follows
	left    int        // peers that have not answered; below zero before the start
	looking int        // URLs of the log that have not answered
	ended   bool       // the asker has its answer; what comes is late
	through bool       // done is closed
	heard   bool       // all is closed
	counted []string   // witnesses whose cosignature counts, by name
	answer  ledger.Answer
	errs    []error
}

func newRound(ask ledger.Ask) *round {
	return &round{ask: ask, done: make(chan struct{}), all: make(chan struct{})}
}

// fail notes why somebody is not asked.
func (r *round) fail(who string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Errorf("%s: %w", who, err))
}

// keep takes what a witness gave for the same checkpoint before.
func (r *round) keep(w proof.Witness, kept map[string]proof.Signature) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer.Kept = append(r.answer.Kept, kept[w.Name])
	r.counted = append(r.counted, w.Name)
}

// start says how many will answer: witnesses, and URLs of the log.
func (r *round) start(n, urls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.looking = n, urls
	r.check()
}

// looked takes what is shown at one URL of the log: nothing, if it shows none.
func (r *round) looked(note []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looking--
	if err != nil {
		r.answer.Silent = append(r.answer.Silent, err)
	} else if note != nil {
		r.answer.Seen = append(r.answer.Seen, note)
	}
	r.check()
}

// give takes one peer's answer: err, cosignatures that verify, and a checkpoint
// that it claims to have seen. The counted witnesses count now, for their
// cosignatures or for what they said instead.
func (r *round) give(who string, err error, a *ledger.Answer, counted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", who, err))
	}
	if a != nil && r.ended {
		if r.ask.Late != nil {
			r.ask.Late(*a)
		}
		return
	}
	if a != nil {
		r.answer.Cosignatures = append(r.answer.Cosignatures, a.Cosignatures...)
		r.answer.Seen = append(r.answer.Seen, a.Seen...)
		r.answer.Claims = append(r.answer.Claims, a.Claims...)
		r.counted = append(r.counted, counted...)
	}
	r.check()
}

func (r *round) check() {
	if !r.through && r.looking == 0 && (r.left == 0 || r.ask.Policy.Satisfied(r.counted...)) {
		r.through = true
		close(r.done)
	}
	if !r.heard && r.looking == 0 && r.left == 0 {
		r.heard = true
		close(r.all)
	}
}

// end returns what has come so far.
func (r *round) end() (ledger.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.ask.Policy.Satisfied(r.counted...) {
		return r.answer, nil
	}
	if r.left > 0 {
		r.errs = append(r.errs, fmt.Errorf("%d witnesses have not answered yet", r.left))
	}
	return r.answer, errors.Join(r.errs...)
}

// verify leaves the cosignatures by these witnesses that verify, and says of each
// witness that gave none, or one that is no good, why. Signatures by keys that are
// nobody's here are ignored (tlog-witness "add-checkpoint").
func (r *round) verify(sigs []proof.Signature, at []proof.Witness) (good map[string]proof.Signature, wrong map[string]error) {
	good, wrong = make(map[string]proof.Signature), make(map[string]error)
	var all []proof.Signature
	for _, w := range at {
		i := slices.IndexFunc(sigs, func(s proof.Signature) bool { return s.Name == w.Key.Name() && s.ID == w.Key.ID() })
		if i < 0 {
			wrong[w.Name] = errors.New("it answered without a cosignature by this key")
			continue
		}
		good[w.Name] = sigs[i]
		all = append(all, sigs[i])
	}
	if len(all) == 0 || r.holds(all...) == nil {
		return good, wrong
	}
	for name, s := range good { // at least one is bad: which?
		if err := r.holds(s); err != nil {
			wrong[name] = err
			delete(good, name)
		}
	}
	return good, wrong
}

// holds verifies cosignatures: with them the note is good, though it may lack a
// quorum.
func (r *round) holds(sigs ...proof.Signature) error {
	_, err := r.ask.Policy.Cosigned(r.ask.Signed, sigs, time.Now())
	if short := (*proof.QuorumError)(nil); errors.As(err, &short) {
		return nil
	}
	return err
}
