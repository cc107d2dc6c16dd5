package cosignatures

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// cosignRound is one checkpoint for which all witnesses of a policy are asked.
type cosignRound struct {
	ask         ledger.CosignRequest
	quorumOrAll chan struct{} // closed once the quorum is satisfied, or all have answered
	all         chan struct{} // closed once all have answered

	needsPaused bool // there is no quorum without those who failed or asked to be left alone; set before the start

	mu              sync.Mutex // guards what follows
	outstanding     int        // peers that have not answered; below zero before the start
	outstandingURLs int        // URLs of the log that have not answered
	ended           bool       // the asker has its answer; what comes is late
	quorumClosed    bool       // done is closed
	allClosed       bool       // all is closed
	counted         []string   // witnesses whose cosignature counts, by name
	answer          ledger.CosignResponse
	errs            []error
}

func newCosignRound(ask ledger.CosignRequest) *cosignRound {
	return &cosignRound{ask: ask, quorumOrAll: make(chan struct{}), all: make(chan struct{})}
}

// addError records why a witness is not asked.
func (r *cosignRound) addError(who string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Errorf("%s: %w", who, err))
}

// keep takes what a witness gave for the same checkpoint before.
func (r *cosignRound) keep(w proof.Witness, kept map[string]proof.Signature) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer.Kept = append(r.answer.Kept, kept[w.Name])
	r.counted = append(r.counted, w.Name)
}

// start says how many will answer: witnesses, and URLs of the log.
func (r *cosignRound) start(n, urls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outstanding, r.outstandingURLs = n, urls
	r.closeIfDone()
}

// addFromLog takes what is shown at one URL of the log: nothing, if it shows none.
func (r *cosignRound) addFromLog(note []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outstandingURLs--
	if err != nil {
		r.answer.Unresponsive = append(r.answer.Unresponsive, err)
	} else if note != nil {
		r.answer.Checkpoints = append(r.answer.Checkpoints, note)
	}
	r.closeIfDone()
}

// addResponse takes one peer's answer: err, cosignatures that verify, and a checkpoint
// that it claims to have seen. The counted witnesses count now, for their
// cosignatures or for what they said instead.
func (r *cosignRound) addResponse(who string, err error, a *ledger.CosignResponse, counted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outstanding--
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", who, err))
	}
	if a != nil && r.ended {
		if r.ask.OnLate != nil {
			r.ask.OnLate(*a)
		}
		return
	}
	if a != nil {
		r.answer.Cosignatures = append(r.answer.Cosignatures, a.Cosignatures...)
		r.answer.Checkpoints = append(r.answer.Checkpoints, a.Checkpoints...)
		r.answer.Claims = append(r.answer.Claims, a.Claims...)
		r.counted = append(r.counted, counted...)
	}
	r.closeIfDone()
}

func (r *cosignRound) closeIfDone() {
	if !r.quorumClosed && r.outstandingURLs == 0 && (r.outstanding == 0 || r.ask.Policy.Satisfied(r.counted...)) {
		r.quorumClosed = true
		close(r.quorumOrAll)
	}
	if !r.allClosed && r.outstandingURLs == 0 && r.outstanding == 0 {
		r.allClosed = true
		close(r.all)
	}
}

// result returns what has come so far.
func (r *cosignRound) result() (ledger.CosignResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.ask.Policy.Satisfied(r.counted...) {
		return r.answer, nil
	}
	if r.outstanding > 0 {
		r.errs = append(r.errs, fmt.Errorf("%d witnesses have not answered yet", r.outstanding))
	}
	return r.answer, errors.Join(r.errs...)
}

// verify leaves the cosignatures by these witnesses that verify, and says of each
// witness that gave none, or one that is no good, why. Signatures by keys of none of
// these witnesses are ignored (tlog-witness "add-checkpoint").
func (r *cosignRound) verify(sigs []proof.Signature, at []proof.Witness) (good map[string]proof.Signature, wrong map[string]error) {
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
	if len(all) == 0 || r.verifyCosignatures(all...) == nil {
		return good, wrong
	}
	for name, s := range good { // at least one is bad: which?
		if err := r.verifyCosignatures(s); err != nil {
			wrong[name] = err
			delete(good, name)
		}
	}
	return good, wrong
}

// verifyCosignatures verifies cosignatures: with them the note is good, though it may lack a
// quorum.
func (r *cosignRound) verifyCosignatures(sigs ...proof.Signature) error {
	_, err := r.ask.Policy.VerifyCosigned(r.ask.Signed, sigs, time.Now())
	if short := (*proof.QuorumError)(nil); errors.As(err, &short) {
		return nil
	}
	return err
}
