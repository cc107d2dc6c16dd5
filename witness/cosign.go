package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Why a checkpoint is not cosigned (tlog-witness "add-checkpoint"). The HTTP face
// makes status codes of them.
var (
	ErrMalformed    = errors.New("the request is malformed")                                                    // 400
	ErrUnknownLog   = errors.New("this witness does not serve a log of that origin")                            // 404
	ErrUntrusted    = errors.New("the checkpoint is not signed by a key that this witness trusts for that log") // 403
	ErrOldTooLarge  = errors.New("the old size is larger than the checkpoint")                                  // 400
	ErrInconsistent = errors.New("the checkpoint is not shown to extend the one cosigned before")               // 422
	ErrNoRoom       = errors.New("this witness has no space to keep what it would cosign; try again later")     // 503
	ErrLookingUp    = errors.New("this witness looks up what it has cosigned of this log; try again later")     // 503
)

// ConflictError is an old size other than that of the last cosigned checkpoint: 409.
type ConflictError struct{ Size uint64 } // the last cosigned one

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the last checkpoint cosigned here has size %d", e.Size)
}

// HaltedError is a log that was caught with two histories: 403, until a person has
// acknowledged the evidence.
type HaltedError struct{ Origin string }

func (e *HaltedError) Error() string {
	return fmt.Sprintf("this witness holds evidence of two histories of %s and cosigns nothing more of it until its operator has acknowledged that; see /v1/evidence", e.Origin)
}

// Cosign does add-checkpoint: it returns one cosignature by each key of the witness,
// once the checkpoint is durable as the newest of its log. Errors are those above,
// [ErrBroken], damage on the disk, or ctx's; whatever the error, nothing was signed.
//
// Any client that has a checkpoint of the log can submit it, so a log's limit is
// charged only for a tree that is new here, once. A repeated request for the newest
// checkpoint is answered with cosignatures at most [proof.MaxCosignatureReuse] old.
func (w *Witness) Cosign(ctx context.Context, r wire.AddCheckpoint) ([]proof.Signature, error) {
	v, signed, err := w.openNote(r.Note)
	if v == nil {
		return nil, err
	}
	var sigs []proof.Signature
	if err == nil {
		sigs, err = w.cosign(ctx, v, signed, r)
	}
	v.offer(signed, r, err)
	w.metrics.countRequest(v.origin, err)
	return sigs, err
}

// offer hands to gossip what was refused and may be one of two histories: it came from
// another size than was cosigned last, or with a proof that fails. Gossip writes nothing
// now, and a cosignature never waits for it.
func (v *logState) offer(signed *proof.Signed, r wire.AddCheckpoint, refused error) {
	switch stale := new(ConflictError); {
	case errors.As(refused, &stale):
		v.gossip.Offer(signed, nil)
	case errors.Is(refused, ErrInconsistent) && 0 < r.Old && r.Old < signed.Checkpoint().Size:
		v.gossip.Offer(signed, refused)
	}
}

func (w *Witness) cosign(ctx context.Context, v *logState, signed *proof.Signed, r wire.AddCheckpoint) ([]proof.Signature, error) {
	if v.needsLookUp.Load() { // it only ever ends, and what was found stands then
		return nil, ErrLookingUp
	}
	// Before updateLock is taken: a flood of repetitions must not queue before the log.
	if sigs := w.cachedAnswer(v, signed, r); sigs != nil {
		return sigs, nil
	}
	// SPEC: tlog-witness add-checkpoint: the old size is checked and the checkpoint persisted in one step, or a smaller one could follow a larger
	if err := v.Lock(ctx); err != nil {
		return nil, fmt.Errorf("waiting for an earlier checkpoint of %s: %w", v.origin, err)
	}
	defer v.Unlock()
	if sigs := w.cachedAnswer(v, signed, r); sigs != nil {
		return sigs, nil // made for another while this one waited
	}
	// SPEC: tlog-witness add-checkpoint: what fails a check is not cosigned, even where it is kept as a sign of misbehaviour
	if err := w.checkRequest(v, signed, r); err != nil {
		return nil, err
	}
	cp := signed.Checkpoint()
	// Persist before signing, the whole note: a cosignature that we forget is a fork
	// we allowed, and without the log's signature nothing could be proven later.
	// SPEC: tlog-witness add-checkpoint: the checkpoint is persisted before the answer
	if err := w.persistNewest(v, signed); err != nil {
		return nil, err
	}
	return w.cosignNewest(v, cp)
}

// cachedCosignatures are the cosignatures of the newest checkpoint, as they were made.
type cachedCosignatures struct {
	tree proof.Tree
	at   time.Time
	sigs []proof.Signature
}

// cachedAnswer returns the cached cosignatures for a repeated request for the newest
// checkpoint, nil if they are too old or the request is another one. It needs no lock:
// an earlier cosignature may be returned after a larger tree was signed, as it may also
// be read later. Age is by the wall clock, which also stamped them.
func (w *Witness) cachedAnswer(v *logState, signed *proof.Signed, r wire.AddCheckpoint) []proof.Signature {
	last := v.cachedCosignatures.Load()
	if last == nil || signed.Checkpoint().Tree() != last.tree || r.Old != last.tree.Size || len(r.Path) > 0 {
		return nil
	}
	age := time.Now().Round(0).Sub(last.at.Round(0))
	if age < 0 || age >= proof.MaxCosignatureReuse || v.servedConfig() == nil || w.brokenErr() != nil || v.gossip.Halted() {
		return nil
	}
	return last.sigs
}

// openNote finds the log of a note, nil if it is not on the list, and verifies that the
// log signed it.
func (w *Witness) openNote(note []byte) (*logState, *proof.Signed, error) {
	origin, _, _ := bytes.Cut(note, []byte("\n"))
	v := w.logState(string(origin))
	if v == nil {
		if _, _, err := proof.ParseCheckpoint(note); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return nil, nil, ErrUnknownLog
	}
	signed, err := v.verify(note)
	return v, signed, err
}

// verify checks that the log signed a note, by any of its keys.
func (v *logState) verify(note []byte) (*proof.Signed, error) {
	s := v.servedConfig()
	if s == nil {
		return nil, ErrUnknownLog
	}
	// SPEC: tlog-witness add-checkpoint: a key that is trusted for the origin must have signed the checkpoint
	signed, err := proof.VerifyLog(note, v.origin, s.Keys...)
	var forged *proof.SignatureError
	var none *proof.LogSignatureError
	switch {
	case errors.As(err, &forged), errors.As(err, &none):
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return signed, nil
}

// checkRequest makes the checks of tlog-witness "add-checkpoint" that need the log's
// state, in its order. updateLock is held.
func (w *Witness) checkRequest(v *logState, signed *proof.Signed, r wire.AddCheckpoint) error {
	if err := w.brokenErr(); err != nil {
		return err
	}
	// All that gossip has to say, from memory and the state: two trees of one size are
	// evidence, whatever else is wrong with the request.
	if _, err := v.gossip.Compare(signed); err != nil {
		return err
	}
	old, next := v.oldTree(), signed.Checkpoint().Tree()
	switch {
	// SPEC: tlog-witness add-checkpoint: an old size above the checkpoint's is answered 400
	case r.Old > next.Size:
		return fmt.Errorf("%w: old %d, checkpoint %d", ErrOldTooLarge, r.Old, next.Size)
	// SPEC: tlog-witness add-checkpoint: an old size other than that of the latest cosigned checkpoint, 0 if there is none, is answered 409
	case r.Old != old.Size:
		return &ConflictError{Size: old.Size}
	// SPEC: tlog-witness add-checkpoint: a checkpoint of the old size with another root is answered 422
	case next.Size == old.Size && next.Root != old.Root && v.hasNewest:
		return fmt.Errorf("%w: another tree of %d entries was", ErrInconsistent, old.Size)
	}
	// The library's verifier knows the rest: the empty tree has one root, nothing
	// stands between it and any other tree, and equal sizes have equal roots.
	// SPEC: tlog-witness add-checkpoint: from any other old size a consistency proof of RFC 6962 must verify, or the answer is 422
	if err := proof.VerifyConsistency(old, next, r.Path); err != nil {
		return fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	if v.gossip.StillHalted() {
		return &HaltedError{Origin: v.origin}
	}
	s := v.servedConfig()
	if s == nil {
		return ErrUnknownLog // it left the list while this request waited
	}
	if v.hasNewest && next == v.newest {
		return nil // a repetition that nothing at hand answers: once in proof.MaxCosignatureReuse
	}
	if err := w.roomy(); err != nil {
		return err
	}
	return s.newCheckpoints.allow(next.Size)
}

// persistNewest makes a checkpoint the newest of its log. updateLock is held.
func (w *Witness) persistNewest(v *logState, signed *proof.Signed) error {
	cp := signed.Checkpoint()
	if v.hasNewest && cp.Tree() == v.newest {
		return nil // durable since it was cosigned first
	}
	if err := w.state.putNewest(v.origin, cp.Size, signed.WithoutCosignatures(), v.lastCosignatures.Load()); err != nil {
		return w.markBroken(fmt.Errorf("keeping the checkpoint of %s at %d: %w", v.origin, cp.Size, err))
	}
	// SPEC: tlog-witness add-checkpoint: what passes all checks becomes the latest cosigned checkpoint, and is answered 200
	v.setNewest(cp.Tree())
	v.sinceTrim.Add(1)
	return nil
}

// cosignNewest makes the cosignatures of the newest checkpoint. updateLock is held, so
// that what they say, "the largest tree seen at that time", is true.
func (w *Witness) cosignNewest(v *logState, cp proof.Checkpoint) ([]proof.Signature, error) {
	now := time.Now() // before they are stamped
	sigs, failed := make([]proof.Signature, len(w.cfg.Keys)), make([]error, len(w.cfg.Keys))
	var signing sync.WaitGroup
	for i, k := range w.cfg.Keys[1:] { // at once: a key may be far away, and ML-DSA takes its time
		signing.Go(func() { sigs[i+1], failed[i+1] = k.Cosign(cp) })
	}
	// SPEC: tlog-witness add-checkpoint: the signatures are cosignatures of the checkpoint by keys of the witness
	sigs[0], failed[0] = w.cfg.Keys[0].Cosign(cp)
	signing.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var lines []byte
	for _, s := range sigs {
		lines = append(lines, s.Line()...)
	}
	v.lastCosignatures.Store(&cosignatureLines{cp.Size, lines})
	v.cachedCosignatures.Store(&cachedCosignatures{cp.Tree(), now, sigs})
	return sigs, nil
}

// markBroken stops all signing: the disk may hold a checkpoint that memory does not
// have, and the next signature might not extend it.
func (w *Witness) markBroken(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	w.broken.CompareAndSwap(nil, &err)
	w.log.Error("a write failed; nothing more is cosigned until the witness is restarted", "err", err)
	return err
}

func (w *Witness) brokenErr() error {
	if err := w.broken.Load(); err != nil {
		return *err
	}
	return nil
}
