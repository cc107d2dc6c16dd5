package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// claim is a checkpoint as somebody shows it.
type claim struct {
	by   string
	note []byte
}

// signedTree is a tree that bears the log's signature.
type signedTree struct {
	by    []string
	notes [][]byte
}

// note takes a checkpoint in that somebody shows.
func (r *restoring) note(by string, note []byte) {
	r.claims = append(r.claims, claim{by, note})
}

// findCharter reads the first charter, which its record ID proves, whoever hands it out.
func (r *restoring) findCharter(ctx context.Context) error {
	var why error
	for _, s := range r.sources {
		for _, width := range []int{1, proof.TileWidth} {
			entries, err := s.log.Bundle(ctx, proof.EntryBundleID{Width: width})
			if err != nil {
				why = errors.Join(why, err)
				continue
			}
			id, c, err := firstCharter(entries[:1])
			if err == nil && id != r.manifest.Ledger {
				err = fmt.Errorf("%w: %s is of another ledger, %s; this one is %s", ErrOther, s.name, id, r.manifest.Ledger)
				if s != r.sources[0] {
					return err
				}
			}
			var policy *proof.Policy
			if err == nil {
				policy, err = proof.ParsePolicy([]byte(c.Policy))
			}
			if err != nil {
				why = errors.Join(why, err)
				break
			}
			if len(r.policies) == 0 {
				r.policies = []*proof.Policy{policy}
			}
			break
		}
	}
	if len(r.policies) == 0 {
		return fmt.Errorf("%w: nobody has the charter at index 0: %w", ErrDamaged, why)
	}
	for _, s := range r.sources {
		if s.chain == nil {
			continue
		}
		raw, err := s.chain(ctx, r.manifest.Ledger)
		if err != nil {
			continue // it hands on tiles alone
		}
		policies, err := client.ChainPolicies(raw, r.manifest.Ledger, time.Now())
		if err != nil {
			r.warn("%s: its chain of charters does not hold, and is not gone by: %v", s.name, err)
			continue
		}
		r.policies = append(r.policies, policies...)
		if chain, err := proof.ParseChain(raw); err == nil {
			for _, receipt := range chain {
				r.chained = append(r.chained, receipt.Checkpoint)
			}
		}
	}
	return nil
}

// hear asks the witnesses of a policy, and takes in what they show.
func (r *restoring) hear(ctx context.Context, policy *proof.Policy) (quorum string, err error) {
	if policy.QuorumIsNone() && len(policy.Witnesses()) == 0 {
		return "none", nil
	}
	answered, silent := r.askWitnesses(ctx, policy)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for _, err := range silent {
		r.warn("a witness does not say how far the log goes: %v", err)
	}
	if !policy.Satisfied(answered...) && !r.WithoutWitnesses {
		return "", fmt.Errorf("%w: %d of %d keys' witnesses answer, and the quorum is %s", ErrNoQuorum, len(answered), len(policy.Witnesses()), policy.QuorumName())
	}
	return policy.QuorumName(), nil
}

// policy is the one that holds for a size; nil for none.
func (r *restoring) policy(size uint64) (*proof.Policy, error) {
	if size == 0 {
		return nil, nil
	}
	p, _, err := r.fold.Policy(size)
	return p, err
}

// keys are the log's keys, as far as they are known: each is named by a charter.
func (r *restoring) keys() (keys []proof.Key) {
	for _, p := range r.policies {
		keys = append(keys, p.LogKeys(r.origin)...)
	}
	return append(keys, r.own...)
}

// sift takes from what was shown what bears the log's signature.
func (r *restoring) sift() {
	keys := r.keys()
	r.claims = slices.DeleteFunc(r.claims, func(c claim) bool {
		s, err := proof.VerifyLog(c.note, r.origin, keys...)
		if err != nil || s.Checkpoint().Size == 0 {
			return err == nil
		}
		tree := s.Checkpoint().Tree()
		if r.signed[tree] == nil {
			r.signed[tree] = new(signedTree)
		}
		t := r.signed[tree]
		if !slices.Contains(t.by, c.by) {
			t.by = append(t.by, c.by)
		}
		t.notes = append(t.notes, c.note)
		return true
	})
}

// sayUnproven warns of checkpoints that claim more and bear no signature of the log's.
func (r *restoring) sayUnproven() {
	for _, c := range r.claims {
		cp, _, err := proof.ParseCheckpoint(c.note)
		switch {
		case err != nil:
			r.warn("%s shows a checkpoint that is none: %v", c.by, err)
		case cp.Origin != r.origin:
			r.warn("%s shows a checkpoint of another log, %s", c.by, cp.Origin)
		default:
			r.warn("%s shows a checkpoint of size %d that this log has not signed, as far as its keys are known: it is not gone by", c.by, cp.Size)
		}
	}
}

// largest is the largest tree that bears the log's signature.
func (r *restoring) largest() (largest proof.Tree) {
	for t := range r.signed {
		if t.Size > largest.Size {
			largest = t
		}
	}
	return largest
}

// trees are those that bear the log's signature, the largest first.
func (r *restoring) trees() (all []proof.Tree) {
	for t := range r.signed {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b proof.Tree) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Root.String(), b.Root.String()))
	})
	return all
}

// checkSigned holds what was made against every tree that the log signed and that is not
// larger.
func (r *restoring) checkSigned(ctx context.Context) error {
	made := proof.NewTileReader(r.store.Tiles, 512).At(r.head)
	var good proof.Tree // the largest of those that are of what was made
	var bad []proof.Tree
	for _, t := range r.trees() {
		if t.Size > r.head.Size {
			continue
		}
		begins, err := made.TreeAt(ctx, t.Size)
		switch {
		case err != nil:
			return err
		case begins != t:
			bad = append(bad, t)
		case good.Size == 0:
			good = t
		}
	}
	if len(bad) == 0 {
		return nil
	}
	if r.tailUsed {
		return errTail
	}
	smaller, larger := bad[0], good
	if smaller.Size > larger.Size {
		smaller, larger = larger, smaller
	}
	e := &ForkError{Smaller: smaller, Larger: larger}
	for _, t := range []proof.Tree{smaller, larger} {
		if s := r.signed[t]; s != nil {
			e.Notes = append(e.Notes, s.notes[0])
		}
	}
	if s := r.signed[smaller]; s != nil {
		e.SmallerShown = s.by
	}
	if s := r.signed[larger]; s != nil {
		e.LargerShown = s.by
	}
	return e
}

// publish stores the largest checkpoint that a quorum has cosigned.
func (r *restoring) publish(ctx context.Context) (*proof.Published, error) {
	for _, t := range r.trees() {
		policy, err := r.policy(t.Size)
		if err != nil {
			return nil, err
		}
		if p := r.signed[t].published(policy); p != nil {
			return p, r.store.Publish(ctx, nil, p.Note())
		}
	}
	return nil, nil
}

// published is the checkpoint with all cosignatures that were found and verify, if those
// make a quorum; nil otherwise.
func (s *signedTree) published(policy *proof.Policy) *proof.Published {
	now := time.Now()
	var base *proof.Signed
	var good []proof.Signature
	for _, note := range s.notes {
		signed, err := policy.VerifyLog(note)
		if err == nil {
			signed, err = policy.VerifyLog(signed.WithoutCosignatures())
		}
		if err == nil {
			base = signed
			break
		}
	}
	if base == nil {
		return nil
	}
	for _, note := range s.notes {
		_, sigs, err := proof.ParseCheckpoint(note)
		if err != nil {
			continue
		}
		for _, sig := range sigs {
			if !slices.ContainsFunc(policy.Witnesses(), func(w proof.Witness) bool { return w.Key.Name() == sig.Name && w.Key.ID() == sig.ID }) {
				continue
			}
			// One that does not verify would condemn the note.
			if _, err := policy.VerifyCosigned(base, []proof.Signature{sig}, now); err == nil || errors.As(err, new(*proof.QuorumError)) {
				good = append(good, sig)
			}
		}
	}
	p, err := policy.VerifyCosigned(base, good, now)
	if err != nil {
		return nil
	}
	return p
}
