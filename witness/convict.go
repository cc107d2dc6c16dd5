package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrNotNow: too many checkpoints wait to be compared; hand it in again later.
var ErrNotNow = errors.New("too many checkpoints of this log wait to be compared; try again later")

// Verdict is what became of a checkpoint that was handed in.
type Verdict string

const (
	OnOurLine   Verdict = "on the history that this witness cosigned"
	SpokenFor   Verdict = "what a larger checkpoint begins with, which waits to be compared"
	NotCompared Verdict = "kept, to be compared in the next round"
	Beyond      Verdict = "larger than all that is known here; kept while there is room"
	InEvidence  Verdict = "not on one history with other checkpoints; see /v1/evidence"
)

// See takes a checkpoint that a client or an auditor was shown. It is compared with
// what this witness cosigned at that size at once, and with everything else by the
// next [Witness.Gossip]; or now, if there is no room to wait and it can be compared.
// One that bears a key of this witness and is larger than all that it knows to have
// cosigned is the newest from then on: its state is an old copy, or was lost.
// Errors: [ErrMalformed], [ErrUnknownLog], [ErrUntrusted], [ErrNotNow],
// [RateError] if there are too many that say nothing new, or have to be compared now.
func (w *Witness) See(ctx context.Context, note []byte) (Verdict, error) {
	v, signed, err := w.open(note)
	if err != nil {
		return "", err
	}
	s := v.served()
	if s == nil {
		return "", ErrUnknownLog
	}
	if c, err := w.comparing(v); err != nil {
		return "", err
	} else if err := c.recall(ctx, []*proof.Signed{signed}); err != nil {
		return "", err
	}
	verdict, found, err := w.receive(ctx, v, signed)
	switch {
	case errors.Is(err, ErrNotNow):
		return w.compareNow(ctx, v, s, signed)
	case err == nil && found == 0 && verdict != NotCompared && verdict != Beyond:
		err = spend(s.known)
	}
	return verdict, err
}

// receive takes a checkpoint that was handed in, without a look at the log. found is how
// much evidence it made.
func (w *Witness) receive(ctx context.Context, v *ward, signed *proof.Signed) (verdict Verdict, found int, err error) {
	if err := v.take(ctx); err != nil {
		return "", 0, err
	}
	defer v.give()
	if found, err = w.compareSize(v, signed); err != nil {
		return "", found, err
	}
	t := signed.Checkpoint().Tree()
	switch {
	case t.Size == 0 && t.Root == proof.EmptyRoot(), w.settledBefore(v, t):
		return OnOurLine, found, nil
	case v.chargedIn(t) != "":
		return InEvidence, found, nil
	case !w.setAside(v, signed, handedIn):
		return "", found, ErrNotNow
	case t.Size > v.horizon():
		return Beyond, found, nil
	}
	return NotCompared, found, nil
}

// waitLimit is how long somebody waits for a comparison.
const waitLimit = 10 * time.Second

// compareNow compares one checkpoint that finds no room while whoever handed it in
// waits. If it is larger than all that is known, the log may know more by now. Of what
// cannot be compared yet, what is larger than ours takes the room of a larger one.
func (w *Witness) compareNow(ctx context.Context, v *ward, s *service, signed *proof.Signed) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	c, err := w.comparing(v)
	if err != nil {
		return "", err
	}
	t := signed.Checkpoint().Tree()
	if t.Size > v.horizon() && spend(s.distant) == nil {
		if _, err := c.gather(ctx, c.askSources(ctx)); err != nil && !canceled(err) {
			return "", err
		}
		if err := c.lookAhead(ctx); err != nil && !canceled(err) {
			return "", err
		}
	}
	verdict := Beyond
	if t.Size <= v.horizon() {
		if err := spend(s.unsure); err != nil {
			return "", err
		}
		if verdict, err = c.settle(ctx, reference{t, signed.Note()}); canceled(err) {
			verdict, err = NotCompared, nil
		}
	}
	switch {
	case verdict != Beyond && verdict != NotCompared:
		return verdict, err
	case t.Size > c.ours.tree.Size && w.squeezeIn(v, signed):
		return verdict, nil
	}
	v.turnAway()
	return "", ErrNotNow
}

// Accept judges evidence from elsewhere under the keys of the log, keeps it and
// halts the log. news is false if it says nothing new. Errors: [ErrUnknownLog], it is
// no evidence, or [RateError] if there is too much that says nothing new.
func (w *Witness) Accept(ctx context.Context, e proof.Evidence) (id string, news bool, err error) {
	if err := e.OneLog(); err != nil {
		return "", false, err // before it is anybody's log: it is none for any
	}
	v := w.ward(e.Origin())
	if v == nil {
		return "", false, ErrUnknownLog
	}
	if err := v.take(ctx); err != nil {
		return "", false, err
	}
	defer v.give()
	if id, news, err = w.convict(v, e); news {
		return id, news, err
	}
	if s := v.served(); s != nil {
		err = cmp.Or(spend(s.known), err)
	}
	return id, news, err
}

// convict keeps evidence, if it verifies, and halts the log. What is kept holds the
// log's own signatures alone, so that strangers' lines make no second piece of it. The turn
// is held, so that nothing is being signed meanwhile.
func (w *Witness) convict(v *ward, e proof.Evidence) (id string, news bool, err error) {
	s := v.served()
	if s == nil {
		return "", false, ErrUnknownLog
	}
	view, err := e.Verify(s.Keys...)
	if err != nil {
		return "", false, err
	}
	if e, err = bare(view, e.Nodes); err != nil {
		return "", false, err
	}
	if known := w.alreadyKnown(v, trees(view)); known != "" {
		return known, false, nil
	}
	// Stop first: should the disk fail, nothing is signed all the same.
	v.halted.Store(true)
	if id, err = w.shelf.put(e); err != nil {
		return "", true, w.doubt(err)
	}
	v.charge(id, trees(view)...)
	w.evidence.add(id)
	w.log.Error("this log signed two histories; it is halted until a person acknowledges the evidence",
		"origin", v.origin, "evidence", id, "finding", view.String())
	w.metrics.convicted(v.origin)
	// What it shows of the log stays: no checkpoint comes that would take it along.
	if err := errors.Join(w.state.charge(v.origin, id, trees(view)), w.state.signed(v.origin, v.given.Load(), true)); err != nil {
		return id, true, w.doubt(fmt.Errorf("keeping what is held against %s: %w", v.origin, err))
	}
	return id, true, nil
}

// bare is the same evidence without signatures of others.
func bare(view *proof.SplitView, nodes []proof.Hash) (proof.Evidence, error) {
	var second []byte
	if view.Second() != nil {
		second = view.Second().Own()
	}
	return proof.NewEvidence(view.First().Own(), second, nodes...)
}

func trees(view *proof.SplitView) []proof.Tree {
	t := []proof.Tree{view.First().Checkpoint().Tree()}
	if view.Second() != nil {
		t = append(t, view.Second().Checkpoint().Tree())
	}
	return t
}

// alreadyKnown is the ID of kept evidence beside which trees show nothing new: one of
// them stands in it and is not on the line that this witness follows. Otherwise an
// acknowledged fork would halt the log anew with every honest step beside it. A
// further step of the fork is new, when it is held against our own line.
func (w *Witness) alreadyKnown(v *ward, shown []proof.Tree) (id string) {
	for _, t := range shown {
		if known := v.chargedIn(t); known != "" && !w.onOurLine(v, t) {
			return known
		}
	}
	for _, t := range shown {
		if v.chargedIn(t) == "" {
			return v.enough()
		}
	}
	return v.chargedIn(shown[0])
}

// onOurLine tells whether the witness has cosigned, or was about to cosign, that
// tree. A tree so old that it was forgotten is not on it.
func (w *Witness) onOurLine(v *ward, t proof.Tree) bool {
	note, err := w.state.at(v.origin, t.Size)
	if err != nil || note == nil {
		return false
	}
	cp, _, err := proof.ParseCheckpoint(note)
	return err == nil && cp.Tree() == t
}

// settledBefore tells whether a tree is known to be on the history that the witness
// cosigned.
func (w *Witness) settledBefore(v *ward, t proof.Tree) bool {
	return v.remembers(t) || w.onOurLine(v, t)
}

// isHalted tells whether a log is halted. An acknowledgement is a file that a person
// puts on the shelf, so it is looked for whenever it would make a difference.
func (w *Witness) isHalted(v *ward) bool {
	if !v.halted.Load() {
		return false
	}
	for _, id := range v.held() {
		decided, err := w.shelf.Acknowledgement(id)
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

// compareSize looks for evidence that needs no more than what is at hand: an empty
// tree with a wrong root, or another tree of the same size. found is how much of it
// was new. An error means that the state could not be read or written. The turn is held.
func (w *Witness) compareSize(v *ward, signed *proof.Signed) (found int, err error) {
	cp := signed.Checkpoint()
	if cp.Size == 0 {
		if cp.Root != proof.EmptyRoot() {
			return w.charge(v, signed.Note(), nil)
		}
		return 0, nil
	}
	rivals := v.rivals(cp.Tree())
	var ours []byte
	if cp.Size <= v.size.Load() { // of what is larger nothing was cosigned
		if ours, err = w.state.at(v.origin, cp.Size); err != nil {
			return 0, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, cp.Size, err)
		}
	}
	if ours != nil && !w.onOurLine(v, cp.Tree()) {
		rivals = append(rivals, ours)
	}
	for _, other := range rivals {
		n, err := w.charge(v, signed.Note(), other)
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// charge makes evidence of one or two notes of which the signatures were verified,
// and convicts. If the keys have left the list since, it is nothing.
func (w *Witness) charge(v *ward, a, b []byte) (found int, err error) {
	e, err := proof.NewEvidence(a, b)
	if err != nil {
		return 0, fmt.Errorf("making evidence: %w", err)
	}
	_, news, err := w.convict(v, e)
	var unsigned *proof.LogSignatureError
	switch {
	case errors.As(err, &unsigned), errors.Is(err, ErrUnknownLog):
		return 0, nil
	case err == nil && news:
		return 1, nil
	}
	return 0, err
}

// suspect notes what is odd and proves nothing: it is logged and counted, never
// passed on, and halts nothing.
func (w *Witness) suspect(origin, what string, err error) {
	w.log.Warn("suspicion: "+what, "origin", origin, "err", err)
	w.metrics.suspected(origin)
}
