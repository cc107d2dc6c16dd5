package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrUnprovenClaim: a witness says that it has cosigned this log at a size that nobody
// shows. Nothing that has entries was signed. Only the operator knows whether the
// log is new ([Config.NewLog]), or its store was lost.
var ErrUnprovenClaim = errors.New("a witness has cosigned this log before, so it says, and nobody shows what")

// ProbeNewLog asks the policy's witnesses, and whoever answers at the log's URL, whether
// this log is as new as its store says. It is asked by the empty tree, which is a
// prefix of every history: whoever has cosigned more must answer with that size, and
// no witness is brought to hold two histories by the question (tlog-witness
// "add-checkpoint"). As many have to answer as make a quorum.
//
// [Ledger.Publish] does it before its first signature over an entry, with the policy
// in force. Whoever is about to commit the first entry can do it before, with the
// policy to come. A ledger that has published, or was told before, asks nobody.
//
// silent is who did not answer where nobody else can tell: where the quorum is none,
// it is the log's URL alone. Errors: [ErrRollback] and [ErrUnprovenClaim], which stop the
// ledger; [ErrNoQuorum] and [ErrClock], after which it may be called again. With
// [Config.NewLog] an ErrUnprovenClaim is an ErrNoQuorum too, and stops nothing: the others who
// answer make no quorum.
func (l *Ledger[V]) ProbeNewLog(ctx context.Context, policy *proof.Policy) (unresponsive []error, err error) {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return nil, err
	}
	return l.probeNewLog(ctx, policy)
}

func (l *Ledger[V]) probeNewLog(ctx context.Context, policy *proof.Policy) (unresponsive []error, err error) {
	if l.probed || l.Published() != nil || l.config.Cosign == nil {
		return nil, nil
	}
	tree := l.tree.Load()
	signed, err := l.sign(proof.Checkpoint{Origin: l.config.Origin, Root: proof.EmptyRoot()})
	if err != nil {
		return nil, err
	}
	ask := CosignRequest{Signed: signed, Policy: policy}
	ask.ConsistencyProof = func(context.Context, uint64) ([]proof.Hash, error) { return nil, nil } // with itself
	ask.OnLate = func(a CosignResponse) { l.late.put(0, a) }
	asked := time.Now()
	answer, cosignErr := l.config.Cosign(ctx, ask)
	if err := ctx.Err(); err != nil {
		return nil, err // not everybody had the time to answer
	}

	held := uint64(0) // of this log, up to here, is a larger size no news
	if l.config.KeysMarked {
		held = tree.Size // these keys have signed for this store before
	}
	for _, note := range answer.Checkpoints {
		seenTree, err := l.checkSeen(ctx, note, policy, tree)
		if err != nil {
			return nil, l.stop(err)
		}
		held = max(held, seenTree.Size)
	}
	all := onlyPolicyWitnesses(policy, answer.Cosignatures)
	answered := l.newCosignersOf(ask, all, asked)
	var unproven []string
	for _, c := range answer.Claims {
		if c.Size <= held {
			answered = append(answered, c.Witness)
		} else { // if that was another log of this name, it cosigns nothing of this one
			unproven = append(unproven, fmt.Sprintf("%s stands at %d", c.Witness, c.Size))
		}
	}
	var claimed error
	if len(unproven) > 0 {
		claimed = fmt.Errorf("%w: %s; the store holds %d entries", ErrUnprovenClaim, strings.Join(unproven, ", "), tree.Size)
		if !l.config.NewLog {
			return nil, l.stop(claimed)
		}
		l.config.Log.Warn("going on, since the operator says that the log is new", "origin", l.config.Origin, "err", claimed)
	}
	if !policy.Satisfied(answered...) {
		if err := l.sampleClock(ask, all, nil); err != nil {
			return nil, err
		}
		return nil, errors.Join(fmt.Errorf("asking whether this log is new: %w", ErrNoQuorum), claimed, cosignErr)
	}
	l.probed = true
	if policy.QuorumIsNone() {
		unresponsive = answer.Unresponsive
	}
	return unresponsive, nil
}

// newCosignersOf are the witnesses, by their names in the policy, who have cosigned the
// empty tree just now: to do that, each must never have cosigned a larger one. An older
// cosignature, from when the log was new, says nothing about today.
func (l *Ledger[V]) newCosignersOf(ask CosignRequest, cosignatures []proof.Signature, asked time.Time) (names []string) {
	for _, s := range countableAt(cosignatures, time.Time{}, time.Now()) {
		_, err := ask.Policy.VerifyCosigned(ask.Signed, []proof.Signature{s}, time.Now())
		short := (*proof.QuorumError)(nil)
		switch {
		case err != nil && !errors.As(err, &short):
			l.config.Log.Error("a witness's cosignature does not verify; going on without it", "origin", l.config.Origin, "size", 0, "witness", s.Name)
		case time.Unix(int64(timestampOf(s)), 0).Before(asked.Add(-proof.MaxClockSkew)):
			l.config.Log.Error("a witness repeats an old cosignature; going on without it", "origin", l.config.Origin, "size", 0, "witness", s.Name)
		default:
			for _, w := range ask.Policy.Witnesses() {
				if w.Key.Name() == s.Name && w.Key.ID() == s.ID {
					names = append(names, w.Name)
				}
			}
		}
	}
	return names
}

// probeBeforeFirstPublication is introduce for a ledger that has entries, none of them published.
func (l *Ledger[V]) probeBeforeFirstPublication(ctx context.Context, size uint64) error {
	if size == 0 || l.Published() != nil {
		return nil
	}
	policy, _, err := l.fold.Policy(size) // those before may be gone for ever
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !l.CanSign(policy) {
		return nil // nothing can be published, and nothing is signed
	}
	unresponsive, err := l.probeNewLog(ctx, policy)
	for _, s := range unresponsive {
		l.config.Log.Warn("nobody says whether this log is new: there is no witness, and its URL does not answer", "origin", l.config.Origin, "size", size, "err", s)
	}
	return err
}

// sign makes the log's own signatures. Those over entries are made only once the keys
// bear their mark, durably: an empty store beside such keys is a lost one.
func (l *Ledger[V]) sign(cp proof.Checkpoint) (*proof.Signed, error) {
	if cp.Size > 0 && !l.keysMarked && l.config.MarkKeys != nil {
		if err := l.config.MarkKeys(); err != nil {
			return nil, fmt.Errorf("marking the log's keys before their first signature: %w", err)
		}
		l.keysMarked = true
	}
	return proof.SignCheckpoint(cp, l.config.Signers...)
}
