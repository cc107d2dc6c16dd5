package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Publish signs the committed head, gathers cosignatures until the policy's quorum
// is satisfied, persists the checkpoint, then shows it and wakes who waits for
// it. With nothing new it does nothing. Before the first publication of all it asks
// whether this log is new ([Ledger.ProbeNewLog]).
//
// [ErrNoQuorum], [ErrNoLogKey] and [ErrClock] leave everything as it was: call it
// again. So does ctx's error. [ErrRollback], [ErrUnprovenClaim] and a failed write stop the
// ledger, and so does a store that cannot say whether it leads up to what a witness shows.
func (l *Ledger[V]) Publish(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	if err := l.resubmitPublished(ctx); err != nil {
		return err
	}
	tree := l.tree.Load()
	if err := l.probeBeforeFirstPublication(ctx, tree.Size); err != nil {
		return err
	}
	sizes, err := l.sizesToPublish(l.PublishedSize(), tree.Size)
	if err != nil {
		return err
	}
	for i, size := range sizes {
		err := l.publishAt(ctx, tree, size)
		if i < len(sizes)-1 && (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrNoLogKey)) {
			l.config.Log.Error("no checkpoint shows this policy's last entry under that policy: its witnesses do not answer, or its log keys are not here", "origin", l.config.Origin, "size", size, "err", err)
			continue // perhaps they are gone permanently; the next size has its own
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sizesToPublish returns the sizes to publish between two sizes: the last one, and
// before it the last size under each policy that came and went in between, because each
// policy must be shown once under its own witnesses.
func (l *Ledger[V]) sizesToPublish(from, to uint64) ([]uint64, error) {
	if to <= from {
		return nil, nil
	}
	sizes := []uint64{to}
	for at := to; ; {
		_, since, err := l.fold.Policy(at)
		if err != nil {
			return nil, fmt.Errorf("policy for size %d: %w", at, err)
		}
		if at < to && since >= from {
			sizes = append(sizes, at)
		}
		if since <= from {
			slices.Reverse(sizes)
			return sizes, nil
		}
		at = since
	}
}

// publishAt is one publication, of a prefix of the committed tree.
func (l *Ledger[V]) publishAt(ctx context.Context, tree *treeSnapshot, size uint64) (err error) {
	if f := l.config.Hooks.Published; f != nil {
		begun := time.Now()
		defer func() { f(size, time.Since(begun), err) }()
	}
	policy, _, err := l.fold.Policy(size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !l.CanSign(policy) {
		return fmt.Errorf("publishing size %d: %w", size, ErrNoLogKey) // no witness needs to see it
	}
	if l.needsWitnesses(policy) {
		if err := tree.checkAdmissionTime(time.Now()); err != nil {
			return fmt.Errorf("publishing size %d: %w", size, err)
		}
	}
	cp := proof.Checkpoint{Origin: l.config.Origin, Size: size, Root: tree.Root}
	if size < tree.Size {
		made, err := l.owner.TreeAt(ctx, tree.Snapshot, size)
		if err != nil {
			return err
		}
		cp.Root = made.Root
	}
	// SPEC: tlog-checkpoint Signatures: a log signs nothing that is inconsistent with what it signed before
	signed, err := l.sign(cp)
	if err != nil {
		return err
	}
	published, _, err := l.collectCosignatures(ctx, CosignRequest{Signed: signed, Policy: policy}, tree)
	if err != nil {
		return fmt.Errorf("publishing size %d: %w", size, err)
	}
	l.resubmitted = l.resubmitted || l.needsWitnesses(policy) // a quorum knows of nothing larger
	return l.publishCosigned(ctx, published)
}

// CanSign reports whether the policy names one of the log's keys: a checkpoint that
// satisfies it can be made only then. One key is enough, while others come and go.
func (l *Ledger[V]) CanSign(policy *proof.Policy) bool {
	named := policy.LogKeys(l.config.Origin)
	return slices.ContainsFunc(l.config.Signers, func(s *proof.Signer) bool {
		return slices.ContainsFunc(named, s.Key().SamePublicKey)
	})
}

// publishCosigned makes a checkpoint the published one, in the store and then in sight:
// what was shown is remembered. What a quorum has cosigned is persisted even if
// the caller gives up now: the outcome would be unknown otherwise.
func (l *Ledger[V]) publishCosigned(ctx context.Context, next *proof.Published) error {
	ctx = context.WithoutCancel(ctx)
	old := l.Published()
	last, err := l.toArchive(old, next)
	switch {
	case err != nil:
	case last != nil:
		err = l.archived.add(ctx, *last, old.Note(), next.Note())
	default:
		err = l.store.Publish(ctx, noteOf(old), next.Note())
	}
	if err != nil {
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknown) {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return l.stop(fmt.Errorf("persisting the checkpoint of size %d: %w", next.Checkpoint().Size, err))
	}
	l.owner.Show(next)
	return nil
}

// noteOf is the note of the published checkpoint; nil before the first.
func noteOf(p *proof.Published) []byte {
	if p == nil {
		return nil
	}
	return p.Note()
}

// AwaitPublished waits until the entry at index is below the published size.
// It returns why the ledger stopped if it does first; ctx's error likewise.
func (l *Ledger[V]) AwaitPublished(ctx context.Context, index uint64) (*proof.Published, error) {
	for {
		p, next := l.Next()
		if p != nil && p.Checkpoint().Size > index {
			return p, nil
		}
		select {
		case <-next:
		case <-l.stopped:
			if p := l.Published(); p != nil && p.Checkpoint().Size > index {
				return p, nil
			}
			return nil, fmt.Errorf("%w: %w", ErrStopped, l.Err())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Recosign asks the witnesses to cosign the published checkpoint again and shows
// the newer cosignatures instead of the older: that nothing was published since is
// as fresh a statement as any, and clients want one. Without a published
// checkpoint, or where the quorum is none, it does nothing. Errors as of [Ledger.Publish].
func (l *Ledger[V]) Recosign(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	return l.recosign(ctx)
}

// Show asks the witnesses of a policy to come to cosign the published checkpoint: it
// tells the author of such a policy whether they would. Their answers are verified and
// not stored; nothing is signed but what is published. Without a published checkpoint,
// or where the policy asks for no witness, it does nothing. Errors as of
// [Ledger.Publish].
func (l *Ledger[V]) Show(ctx context.Context, policy *proof.Policy) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	last := l.Published()
	if last == nil || !l.needsWitnesses(policy) {
		return nil
	}
	if !l.CanSign(policy) {
		return ErrNoLogKey
	}
	signed, err := l.signPublished(last, policy)
	if err != nil {
		return err
	}
	if _, _, err := l.collectCosignatures(ctx, CosignRequest{Signed: signed, Policy: policy, Resubmission: true}, l.tree.Load()); err != nil {
		return fmt.Errorf("showing the checkpoint of size %d under a policy to come: %w", last.Checkpoint().Size, err)
	}
	return nil
}

// resubmitPublished sends the published checkpoint to a quorum once after opening,
// before anything new is signed. A store that was rolled back would otherwise sign a
// second history (DESIGN.md section 6). Cosignatures that witnesses gave before the
// opening, and give again, do not count for it.
func (l *Ledger[V]) resubmitPublished(ctx context.Context) error {
	if l.resubmitted {
		return nil
	}
	return l.recosign(ctx)
}

// recosign shows the published checkpoint to a quorum of the newest policy's witnesses,
// since those before may be gone permanently. If the ledger ended after a part of them
// had cosigned the next checkpoint, they cosign nothing smaller any more: then it shows
// that one, which it has signed before and the store leads up to, and a quorum of that
// publishes it.
func (l *Ledger[V]) recosign(ctx context.Context) error {
	last, tree := l.Published(), l.tree.Load()
	if last == nil {
		return nil
	}
	policy, since, err := l.fold.Policy(tree.Size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", tree.Size, err)
	}
	if !l.needsWitnesses(policy) {
		return nil
	}
	renewed, err := l.showAgain(ctx, last, policy, tree)
	if err != nil {
		return err
	}
	l.resubmitted = true
	if renewed.Checkpoint().Size == last.Checkpoint().Size {
		_, sigs, err := proof.ParseCheckpoint(renewed.Note())
		if err != nil {
			return err
		}
		return l.mergeNewer(ctx, onlyPolicyWitnesses(last.Policy(), sigs))
	}
	if _, itsSince, err := l.fold.Policy(renewed.Checkpoint().Size); err != nil || itsSince != since {
		return err // it has to be published under another policy than this quorum's
	}
	return l.publishCosigned(ctx, renewed)
}

// showAgain shows a published checkpoint to a quorum, or the one after it that some have
// cosigned, and returns it as they cosigned it.
func (l *Ledger[V]) showAgain(ctx context.Context, last *proof.Published, policy *proof.Policy, tree *treeSnapshot) (*proof.Published, error) {
	cp := last.Checkpoint()
	signed, err := l.signPublished(last, policy)
	if err != nil {
		return nil, err
	}
	for {
		ask := CosignRequest{Signed: signed, Policy: policy, Resubmission: true}
		if !l.resubmitted {
			ask.NotBefore = l.notBefore()
		}
		renewed, seen, err := l.collectCosignatures(ctx, ask, tree)
		// Those who cosign the smaller one may be few, and wrong about the time too.
		if (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrClock)) && seen.Size > cp.Size {
			cp.Size, cp.Root = seen.Size, seen.Root
			if signed, err = l.sign(cp); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("showing the checkpoint of size %d again: %w", cp.Size, err)
		}
		return renewed, nil
	}
}

// notBefore is how long before the opening a cosignature may be stamped that speaks for
// what its witness had seen by then. The opening is reckoned back from now: a clock that
// was wrong then, and set right since, would otherwise have nothing count for hours.
func (l *Ledger[V]) notBefore() time.Time {
	now := time.Now()
	return now.Round(0).Add(-now.Sub(l.openedAt) - proof.MaxCosignatureReuse).Truncate(time.Second)
}

// needsWitnesses says that there are witnesses to wait for.
func (l *Ledger[V]) needsWitnesses(p *proof.Policy) bool {
	return l.config.Cosign != nil && !p.QuorumIsNone()
}

// signPublished is the checkpoint with the log's own signatures alone, by its present
// keys and by those that the newest policy names: cosignatures of then say nothing
// about what the witnesses have seen since, and other witnesses take no request above
// 10 KiB, which leaves no room for keys that the newest policy no longer names.
func (l *Ledger[V]) signPublished(p *proof.Published, newest *proof.Policy) (*proof.Signed, error) {
	cp, signatures, err := proof.ParseCheckpoint(p.Note())
	if err != nil {
		return nil, err
	}
	signed, err := l.sign(cp)
	if err != nil {
		return nil, err
	}
	named := newest.LogKeys(cp.Origin)
	return signed.WithSignatures(slices.DeleteFunc(signatures, func(s proof.Signature) bool {
		return !slices.ContainsFunc(named, func(k proof.Key) bool { return k.Name() == s.Name && k.ID() == s.ID })
	}))
}

// AddCosignatures merges cosignatures that came after their checkpoint of this size
// was published into it, if it is still the newest. Those that do not verify are
// dropped; of one key the newest stays.
func (l *Ledger[V]) AddCosignatures(ctx context.Context, size uint64, sigs ...proof.Signature) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	p := l.Published()
	if p == nil || p.Checkpoint().Size != size {
		return nil
	}
	return l.mergeNewer(ctx, countableAt(onlyPolicyWitnesses(p.Policy(), sigs), time.Time{}, time.Now()))
}

// mergeNewer puts those cosignatures on the published checkpoint that are newer than
// what it bears of the same key.
func (l *Ledger[V]) mergeNewer(ctx context.Context, sigs []proof.Signature) error {
	p := l.Published()
	_, present, err := proof.ParseCheckpoint(p.Note())
	if err != nil {
		return err
	}
	sigs = slices.DeleteFunc(sigs, func(n proof.Signature) bool {
		return slices.ContainsFunc(present, func(o proof.Signature) bool {
			return o.Name == n.Name && o.ID == n.ID && timestampOf(o) >= timestampOf(n)
		})
	})
	if len(sigs) == 0 {
		return nil
	}
	// Both were timely when they came; a clock that went back since changes nothing.
	merged, err := l.verifyCosignedAt(CosignRequest{Signed: p.Signed(), Policy: p.Policy()}, sigs, farFuture)
	if err != nil || bytes.Equal(merged.Note(), p.Note()) {
		return err
	}
	return l.publishCosigned(ctx, merged)
}

// lateResponses are what witnesses said about the newest checkpoint that they were
// asked about, after it had its quorum.
type lateResponses struct {
	wake chan struct{} // holds one value while there is something to take

	mu       sync.Mutex
	size     uint64
	response CosignResponse
}

// maxLateCheckpoints is how many checkpoints of witnesses are held until they are judged.
const maxLateCheckpoints = 16

func (c *lateResponses) put(size uint64, a CosignResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.size {
		c.size, c.response.Cosignatures = size, nil
	}
	if size == c.size && len(c.response.Cosignatures)+len(a.Cosignatures) <= proof.MaxSignatures {
		c.response.Cosignatures = append(c.response.Cosignatures, a.Cosignatures...)
	}
	if len(c.response.Checkpoints)+len(a.Checkpoints) <= maxLateCheckpoints {
		c.response.Checkpoints = append(c.response.Checkpoints, a.Checkpoints...)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *lateResponses) take() (uint64, CosignResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.response
	c.response = CosignResponse{}
	return c.size, a
}

// MergeLate processes the responses that arrived after their quorum: cosignatures are
// merged as [Ledger.AddCosignatures] does, and a checkpoint that this store does not
// lead up to is [ErrRollback], which stops the ledger. It sends no request, and ignores
// the end of ctx, because the responses would be lost.
func (l *Ledger[V]) MergeLate(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	policy, _, err := l.fold.Policy(l.Head().Size) // first: what is taken is lost after an error
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", l.Head().Size, err)
	}
	size, a := l.late.take()
	for _, note := range a.Checkpoints {
		if _, err := l.checkSeen(ctx, note, policy, l.tree.Load()); err != nil {
			return l.stop(err)
		}
	}
	return l.AddCosignatures(ctx, size, a.Cosignatures...)
}
