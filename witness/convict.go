package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrPendingFull: too many checkpoints wait to be compared; hand it in again later.
var ErrPendingFull = errors.New("too many checkpoints of this log wait to be compared; try again later")

// ComparisonResult is what became of a checkpoint that was handed in.
type ComparisonResult string

const (
	Consistent      ComparisonResult = "on the history that this witness cosigned"
	CoveredByLarger ComparisonResult = "what a larger checkpoint begins with, which waits to be compared"
	NotYetCompared  ComparisonResult = "kept, to be compared in the next round"
	AheadOfKnown    ComparisonResult = "larger than all that is known here; kept while there is room"
	Forked          ComparisonResult = "not on one history with other checkpoints; see /v1/evidence"
)

// AddSeenCheckpoint takes a checkpoint that a client or an auditor was shown. It is compared with
// what this witness cosigned at that size at once, and with everything else by the
// next [Witness.Gossip]; or now, if there is no room to wait and it can be compared.
// One that bears a key of this witness and is larger than all that it knows to have
// cosigned is the newest from then on: its state is an old copy, or was lost.
// Errors: [ErrMalformed], [ErrUnknownLog], [ErrUntrusted], [ErrPendingFull],
// [RateError] if there are too many that say nothing new, or have to be compared now.
func (w *Witness) AddSeenCheckpoint(ctx context.Context, note []byte) (ComparisonResult, error) {
	v, signed, err := w.openNote(note)
	if err != nil {
		return "", err
	}
	s := v.servedConfig()
	if s == nil {
		return "", ErrUnknownLog
	}
	if c, err := w.newComparison(v); err != nil {
		return "", err
	} else if err := c.recoverNewest(ctx, []*proof.Signed{signed}); err != nil {
		return "", err
	}
	result, found, err := w.compareOrEnqueue(ctx, v, signed)
	switch {
	case errors.Is(err, ErrPendingFull):
		return w.compareSynchronously(ctx, v, s, signed)
	case err == nil && found == 0 && result != NotYetCompared && result != AheadOfKnown:
		err = allow(s.redundant)
	}
	return result, err
}

// compareOrEnqueue takes a checkpoint that was handed in, without a look at the log. found is how
// much evidence it made.
func (w *Witness) compareOrEnqueue(ctx context.Context, v *logState, signed *proof.Signed) (result ComparisonResult, found int, err error) {
	if err := v.lock(ctx); err != nil {
		return "", 0, err
	}
	defer v.unlock()
	if found, err = w.compareSameSize(v, signed); err != nil {
		return "", found, err
	}
	t := signed.Checkpoint().Tree()
	switch {
	case t.Size == 0 && t.Root == proof.EmptyRoot(), w.knownConsistent(v, t):
		return Consistent, found, nil
	case v.evidenceID(t) != "":
		return Forked, found, nil
	case !w.addPending(v, signed, fromClient):
		return "", found, ErrPendingFull
	case t.Size > v.maxComparable():
		return AheadOfKnown, found, nil
	}
	return NotYetCompared, found, nil
}

// compareTimeout is how long somebody waits for a comparison.
const compareTimeout = 10 * time.Second

// compareSynchronously compares one checkpoint that finds no room while whoever handed it in
// waits. If it is larger than all that is known, the log may know more by now. Of what
// cannot be compared yet, what is larger than ours takes the room of a larger one.
func (w *Witness) compareSynchronously(ctx context.Context, v *logState, s *logConfig, signed *proof.Signed) (ComparisonResult, error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	c, err := w.newComparison(v)
	if err != nil {
		return "", err
	}
	t := signed.Checkpoint().Tree()
	if t.Size > v.maxComparable() && allow(s.sourceFetches) == nil {
		if _, err := c.addObserved(ctx, c.fetchFromSources(ctx)); err != nil && !canceled(err) {
			return "", err
		}
		if err := c.findLargestConsistent(ctx); err != nil && !canceled(err) {
			return "", err
		}
	}
	result := AheadOfKnown
	if t.Size <= v.maxComparable() {
		if err := allow(s.comparisons); err != nil {
			return "", err
		}
		if result, err = c.compareTree(ctx, noteAndTree{t, signed.Note()}); canceled(err) {
			result, err = NotYetCompared, nil
		}
	}
	switch {
	case result != AheadOfKnown && result != NotYetCompared:
		return result, err
	case t.Size > c.ours.tree.Size && w.replaceLargestPending(v, signed):
		return result, nil
	}
	v.countDropped()
	return "", ErrPendingFull
}

// AcceptEvidence judges evidence from elsewhere under the keys of the log, keeps it and
// halts the log. news is false if it says nothing new. Errors: [ErrUnknownLog], it is
// no evidence, or [RateError] if there is too much that says nothing new.
func (w *Witness) AcceptEvidence(ctx context.Context, e proof.Evidence) (id string, isNew bool, err error) {
	if err := e.CheckSameLog(); err != nil {
		return "", false, err // before it is anybody's log: it is none for any
	}
	v := w.logState(e.Origin())
	if v == nil {
		return "", false, ErrUnknownLog
	}
	if err := v.lock(ctx); err != nil {
		return "", false, err
	}
	defer v.unlock()
	if id, isNew, err = w.haltWithEvidence(v, e); isNew {
		return id, isNew, err
	}
	if s := v.servedConfig(); s != nil {
		err = cmp.Or(allow(s.redundant), err)
	}
	return id, isNew, err
}

// haltWithEvidence keeps evidence, if it verifies, and halts the log. What is kept holds the
// log's own signatures alone, so that strangers' lines make no second piece of it. The turn
// is held, so that nothing is being signed meanwhile.
func (w *Witness) haltWithEvidence(v *logState, e proof.Evidence) (id string, isNew bool, err error) {
	s := v.servedConfig()
	if s == nil {
		return "", false, ErrUnknownLog
	}
	view, err := e.Verify(s.Keys...)
	if err != nil {
		return "", false, err
	}
	if e, err = withoutOtherSignatures(view, e.Nodes); err != nil {
		return "", false, err
	}
	if known := w.knownEvidenceID(v, viewTrees(view)); known != "" {
		return known, false, nil
	}
	// Stop first: should the disk fail, nothing is signed all the same.
	v.halted.Store(true)
	if id, err = w.evidence.add(e); err != nil {
		return "", true, w.markBroken(err)
	}
	v.addEvidence(id, viewTrees(view)...)
	w.evidenceIndex.add(id)
	w.log.Error("this log signed two histories; it is halted until a person acknowledges the evidence",
		"origin", v.origin, "evidence", id, "finding", view.String())
	w.metrics.countEvidence(v.origin)
	// What it shows of the log stays: no checkpoint comes that would take it along.
	if err := errors.Join(w.state.charge(v.origin, id, viewTrees(view)), w.state.putCosignatures(v.origin, v.lastCosignatures.Load(), true)); err != nil {
		return id, true, w.markBroken(fmt.Errorf("keeping what is held against %s: %w", v.origin, err))
	}
	return id, true, nil
}

// withoutOtherSignatures is the same evidence without signatures of others.
func withoutOtherSignatures(view *proof.SplitView, nodes []proof.Hash) (proof.Evidence, error) {
	var second []byte
	if view.Second() != nil {
		second = view.Second().WithoutCosignatures()
	}
	return proof.NewEvidence(view.First().WithoutCosignatures(), second, nodes...)
}

func viewTrees(view *proof.SplitView) []proof.Tree {
	t := []proof.Tree{view.First().Checkpoint().Tree()}
	if view.Second() != nil {
		t = append(t, view.Second().Checkpoint().Tree())
	}
	return t
}

// knownEvidenceID is the ID of kept evidence beside which trees show nothing new: one of
// them stands in it and is not on the line that this witness follows. Otherwise an
// acknowledged fork would halt the log anew with every honest step beside it. A
// further step of the fork is new, when it is held against our own line.
func (w *Witness) knownEvidenceID(v *logState, shown []proof.Tree) (id string) {
	for _, t := range shown {
		if known := v.evidenceID(t); known != "" && !w.hasCosigned(v, t) {
			return known
		}
	}
	for _, t := range shown {
		if v.evidenceID(t) == "" {
			return v.cappedEvidenceID()
		}
	}
	return v.evidenceID(shown[0])
}

// hasCosigned tells whether the witness has cosigned, or was about to cosign, that
// tree. A tree so old that it was forgotten is not on it.
func (w *Witness) hasCosigned(v *logState, t proof.Tree) bool {
	note, err := w.state.checkpointAt(v.origin, t.Size)
	if err != nil || note == nil {
		return false
	}
	cp, _, err := proof.ParseCheckpoint(note)
	return err == nil && cp.Tree() == t
}

// knownConsistent tells whether a tree is known to be on the history that the witness
// cosigned.
func (w *Witness) knownConsistent(v *logState, t proof.Tree) bool {
	return v.hasConsistent(t) || w.hasCosigned(v, t)
}

// isHalted tells whether a log is halted. An acknowledgement is a file that a person
// puts on the shelf, so it is looked for whenever it would make a difference.
func (w *Witness) isHalted(v *logState) bool {
	if !v.halted.Load() {
		return false
	}
	for _, id := range v.evidenceIDs() {
		decided, err := w.evidence.Acknowledgement(id)
		if err != nil {
			w.log.Error("an acknowledgement cannot be read; the log stays halted", "origin", v.origin, "evidence", id, "err", err)
		}
		if decided == nil {
			return true
		}
	}
	w.log.Warn("all evidence against this log is acknowledged; it is served again", "origin", v.origin)
	v.halted.Store(false)
	return false
}

// compareSameSize looks for evidence that needs no more than what is at hand: an empty
// tree with a wrong root, or another tree of the same size. found is how much of it
// was new. An error means that the state could not be read or written. The turn is held.
func (w *Witness) compareSameSize(v *logState, signed *proof.Signed) (found int, err error) {
	cp := signed.Checkpoint()
	if cp.Size == 0 {
		if cp.Root != proof.EmptyRoot() {
			return w.haltWithNotes(v, signed.Note(), nil)
		}
		return 0, nil
	}
	conflicting := v.conflicting(cp.Tree())
	var ours []byte
	if cp.Size <= v.newestSize.Load() { // of what is larger nothing was cosigned
		if ours, err = w.state.checkpointAt(v.origin, cp.Size); err != nil {
			return 0, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, cp.Size, err)
		}
	}
	if ours != nil && !w.hasCosigned(v, cp.Tree()) {
		conflicting = append(conflicting, ours)
	}
	for _, other := range conflicting {
		n, err := w.haltWithNotes(v, signed.Note(), other)
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// haltWithNotes makes evidence of one or two notes of which the signatures were verified,
// and convicts. If the keys have left the list since, it is nothing.
func (w *Witness) haltWithNotes(v *logState, a, b []byte) (found int, err error) {
	e, err := proof.NewEvidence(a, b)
	if err != nil {
		return 0, fmt.Errorf("making evidence: %w", err)
	}
	_, isNew, err := w.haltWithEvidence(v, e)
	var unsigned *proof.LogSignatureError
	switch {
	case errors.As(err, &unsigned), errors.Is(err, ErrUnknownLog):
		return 0, nil
	case err == nil && isNew:
		return 1, nil
	}
	return 0, err
}

// logAnomaly notes what is odd and proves nothing: it is logged and counted, never
// passed on, and halts nothing.
func (w *Witness) logAnomaly(origin, what string, err error) {
	w.log.Warn("suspicion: "+what, "origin", origin, "err", err)
	w.metrics.countAnomaly(origin)
}
