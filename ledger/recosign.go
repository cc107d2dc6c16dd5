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

// Show asks the witnesses of a policy to come to cosign the published checkpoint: whoever
// writes such a policy learns whether they would. What they answer is judged, and not
// kept; nothing is signed but what is published. Without a published checkpoint, or
// where the policy asks for no witness, it does nothing. Errors as of [Ledger.Publish].
func (l *Ledger[V]) Show(ctx context.Context, policy *proof.Policy) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	last := l.shown.Load()
	if last.published == nil || !l.witnessed(policy) {
		return nil
	}
	if !l.Signs(policy) {
		return ErrNoLogKey
	}
	signed, err := l.signAgain(last.published, policy)
	if err != nil {
		return err
	}
	if _, _, err := l.gather(ctx, Ask{Signed: signed, Policy: policy, Again: true}, l.view.Load()); err != nil {
		return fmt.Errorf("showing the checkpoint of size %d under a policy to come: %w", last.size(), err)
	}
	return nil
}

// reassure shows the last published checkpoint to a quorum once after opening,
// before anything new is signed: a store that was rolled back would otherwise
// sign a second history (DESIGN.md section 6). Cosignatures that witnesses gave before
// the opening, and give again, do not count for it.
func (l *Ledger[V]) reassure(ctx context.Context) error {
	if l.reassured {
		return nil
	}
	return l.recosign(ctx)
}

// recosign shows the published checkpoint to a quorum of the newest policy's
// witnesses, since those before may be gone for ever. If the ledger ended after a
// part of them had cosigned the next checkpoint, they cosign nothing smaller any
// more: then it shows that one, which it has signed before and the store leads up
// to, and a quorum of that publishes it.
func (l *Ledger[V]) recosign(ctx context.Context) error {
	last, tree := l.shown.Load(), l.view.Load()
	if last.published == nil {
		return nil
	}
	policy, era, err := l.fold.Policy(tree.Size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", tree.Size, err)
	}
	if !l.witnessed(policy) {
		return nil
	}
	cp := last.published.Checkpoint()
	signed, err := l.signAgain(last.published, policy)
	if err != nil {
		return err
	}
	for {
		ask := Ask{Signed: signed, Policy: policy, Again: true}
		if !l.reassured {
			ask.NotBefore = l.notBefore()
		}
		fresh, seen, err := l.gather(ctx, ask, tree)
		// Those who cosign the smaller one may be few, and wrong about the time too.
		if (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrClock)) && seen.Size > cp.Size {
			cp.Size, cp.Root = seen.Size, seen.Root
			if signed, err = l.sign(cp); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("showing the checkpoint of size %d again: %w", cp.Size, err)
		}
		l.reassured = true
		if cp.Size == last.size() {
			_, sigs, err := proof.ParseCheckpoint(fresh.Note())
			if err != nil {
				return err
			}
			return l.addNewer(ctx, ofWitnesses(last.published.Policy(), sigs))
		}
		if _, since, err := l.fold.Policy(cp.Size); err != nil || since != era {
			return err // it has to be published under another policy than this quorum's
		}
		return l.replace(ctx, fresh)
	}
}

// notBefore is how long before the opening a cosignature may be stamped that speaks for
// what its witness had seen by then. The opening is reckoned back from now: a clock that
// was wrong then, and set right since, would otherwise have nothing count for hours.
func (l *Ledger[V]) notBefore() time.Time {
	now := time.Now()
	return now.Round(0).Add(-now.Sub(l.opened) - proof.MaxRepeat).Truncate(time.Second)
}

// witnessed says that there are witnesses to wait for.
func (l *Ledger[V]) witnessed(p *proof.Policy) bool { return l.config.Cosign != nil && !p.IsNone() }

// signAgain is the checkpoint with the log's own signatures alone, by its present
// keys and by those that the newest policy names: cosignatures of then say nothing
// about what the witnesses have seen since, and other witnesses take no request above
// 10 KiB, which is too little for a third generation of keys that nobody wants.
func (l *Ledger[V]) signAgain(p *proof.Published, newest *proof.Policy) (*proof.Signed, error) {
	cp, signatures, err := proof.ParseCheckpoint(p.Note())
	if err != nil {
		return nil, err
	}
	own, err := l.sign(cp)
	if err != nil {
		return nil, err
	}
	named := newest.LogKeys(cp.Origin)
	return own.With(slices.DeleteFunc(signatures, func(s proof.Signature) bool {
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
	s := l.shown.Load()
	if s.published == nil || s.size() != size {
		return nil
	}
	return l.addNewer(ctx, timely(ofWitnesses(s.published.Policy(), sigs), time.Time{}, time.Now()))
}

// addNewer puts those cosignatures on the published checkpoint that are newer than
// what it bears of the same key.
func (l *Ledger[V]) addNewer(ctx context.Context, sigs []proof.Signature) error {
	s := l.shown.Load()
	_, there, err := proof.ParseCheckpoint(s.note)
	if err != nil {
		return err
	}
	sigs = slices.DeleteFunc(sigs, func(n proof.Signature) bool {
		return slices.ContainsFunc(there, func(o proof.Signature) bool {
			return o.Name == n.Name && o.ID == n.ID && stamp(o) >= stamp(n)
		})
	})
	if len(sigs) == 0 {
		return nil
	}
	// Both were timely when they came; a clock that went back since changes nothing.
	merged, err := l.admitAt(Ask{Signed: s.published.Signed(), Policy: s.published.Policy()}, sigs, anyTime)
	if err != nil || bytes.Equal(merged.Note(), s.note) {
		return err
	}
	return l.replace(ctx, merged)
}

// latecomers are what witnesses said about the newest checkpoint that they were
// asked about, after it had its quorum.
type latecomers struct {
	wake chan struct{} // holds one value while there is something to take

	mu   sync.Mutex
	size uint64
	a    Answer
}

// maxLateSeen is how many checkpoints of witnesses are held until they are judged.
const maxLateSeen = 16

func (c *latecomers) put(size uint64, a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.size {
		c.size, c.a.Cosignatures = size, nil
	}
	if size == c.size && len(c.a.Cosignatures)+len(a.Cosignatures) <= proof.MaxSignatures {
		c.a.Cosignatures = append(c.a.Cosignatures, a.Cosignatures...)
	}
	if len(c.a.Seen)+len(a.Seen) <= maxLateSeen {
		c.a.Seen = append(c.a.Seen, a.Seen...)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *latecomers) take() (uint64, Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.a
	c.a = Answer{}
	return c.size, a
}

// TakeLate judges what witnesses said after their quorum was there: cosignatures
// are merged as [Ledger.AddCosignatures] does, and a checkpoint that this store
// does not lead up to is [ErrRollback], which stops the ledger. Nobody is asked for
// anything, and it goes on when ctx has ended: what was said would be lost.
func (l *Ledger[V]) TakeLate(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	size, a := l.late.take()
	for _, note := range a.Seen {
		policy, _, err := l.fold.Policy(l.Head().Size)
		if err != nil {
			return fmt.Errorf("policy for size %d: %w", l.Head().Size, err)
		}
		if _, err := l.checkSeen(ctx, note, policy, l.view.Load()); err != nil {
			return l.stop(err)
		}
	}
	return l.AddCosignatures(ctx, size, a.Cosignatures...)
}
