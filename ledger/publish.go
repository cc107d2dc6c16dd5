package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Cosign asks the witnesses of a policy for their cosignatures and returns once
// they make a quorum, or ctx ends, or nobody is left to ask. It is handed in,
// since the ledger speaks no network.
type Cosign func(ctx context.Context, ask Ask) (Answer, error)

// Ask is one checkpoint to be cosigned.
type Ask struct {
	Note   []byte // the checkpoint with the log's own signatures
	Tree   proof.Tree
	Policy *proof.Policy

	// Again says that this checkpoint was published before: it is shown so that a
	// witness who has seen more can say so before anything new is signed.
	Again bool

	// Consistency proves that the tree of a smaller size leads up to this one.
	Consistency func(ctx context.Context, from uint64) ([]proof.Hash, error)
}

// Answer is what the witnesses said. What it holds is judged by the ledger: a
// cosignature that does not verify is dropped, and of the other checkpoints only
// one that bears this log's own signature is believed.
type Answer struct {
	Cosignatures []proof.Signature

	// Seen are checkpoints of this log, as notes, fetched from witnesses who claim
	// to have cosigned something larger, or something else.
	Seen [][]byte
}

// shown is the published checkpoint, and the way to hear of the next one.
type shown struct {
	published *proof.Published // nil before the first
	next      chan struct{}    // closed when another one is shown
}

func (s *shown) size() uint64 {
	if s.published == nil {
		return 0
	}
	return s.published.Checkpoint().Size
}

func (s *shown) note() []byte {
	if s.published == nil {
		return nil
	}
	return s.published.Note()
}

// Publish signs the committed head, gathers cosignatures until the policy's quorum
// is satisfied, persists the checkpoint, then shows it and wakes who waits for
// it. With nothing new it does nothing.
//
// [ErrNoQuorum] leaves everything as it was: call it again. So does ctx's error.
// [ErrRollback] and a failed write stop the ledger.
func (l *Ledger[V]) Publish(ctx context.Context) (err error) {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	old, tree := l.shown.Load(), l.view.Load()
	if err := l.reassure(ctx, old, tree); err != nil {
		return err
	}
	if tree.Size == old.size() {
		return nil
	}
	if f := l.config.Watch.Published; f != nil {
		begun := time.Now()
		defer func() { f(tree.Size, time.Since(begun), err) }()
	}
	policy, err := l.fold.Policy(tree.Size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", tree.Size, err)
	}
	cp := proof.Checkpoint{Origin: l.config.Origin, Size: tree.Size, Root: tree.Root}
	note, err := proof.SignCheckpoint(cp, l.config.Signers...)
	if err != nil {
		return err
	}
	published, err := l.gather(ctx, Ask{Note: note, Tree: tree.Head, Policy: policy}, tree)
	if err != nil {
		return fmt.Errorf("publishing size %d: %w", tree.Size, err)
	}
	// What a quorum has cosigned is persisted even if the caller gives up now: the
	// outcome would be unknown otherwise.
	if err := l.store.Publish(context.WithoutCancel(ctx), old.note(), published.Note()); err != nil {
		if !errors.Is(err, ErrConflict) {
			err = fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return l.stop(fmt.Errorf("persisting the checkpoint of size %d: %w", tree.Size, err))
	}
	l.show(published)
	return nil
}

// show makes a checkpoint the published one. Persisted first: what was shown is
// remembered.
func (l *Ledger[V]) show(p *proof.Published) {
	old := l.shown.Swap(&shown{p, make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}

// reassure shows the last published checkpoint to a quorum once after opening,
// before anything new is signed: a store that was rolled back would otherwise
// sign a second history (DESIGN.md section 6).
func (l *Ledger[V]) reassure(ctx context.Context, last *shown, tree *view) error {
	if l.reassured || last.published == nil || l.config.Cosign == nil || last.published.Policy().IsNone() {
		return nil
	}
	cp, signatures, err := proof.ParseCheckpoint(last.note())
	if err != nil {
		return err
	}
	// The cosignatures of then say nothing about what the witnesses have seen since.
	own := slices.DeleteFunc(signatures, func(s proof.Signature) bool { return s.Name != cp.Origin })
	note, err := proof.FormatNote(cp, own...)
	if err != nil {
		return err
	}
	_, err = l.gather(ctx, Ask{Note: note, Tree: cp.Tree(), Policy: last.published.Policy(), Again: true}, tree)
	if err != nil {
		return fmt.Errorf("showing the published checkpoint of size %d again: %w", cp.Size, err)
	}
	l.reassured = true
	return nil
}

// gather asks for cosignatures and judges what comes back.
func (l *Ledger[V]) gather(ctx context.Context, ask Ask, tree *view) (*proof.Published, error) {
	var answer Answer
	var asking error
	if l.config.Cosign != nil && !ask.Policy.IsNone() {
		ask.Consistency = func(ctx context.Context, from uint64) ([]proof.Hash, error) {
			return l.consistency(ctx, tree, from, ask.Tree.Size)
		}
		answer, asking = l.config.Cosign(ctx, ask)
		for _, note := range answer.Seen {
			if err := l.checkSeen(ctx, note, ask.Policy, tree); err != nil {
				return nil, l.stop(err)
			}
		}
	}
	published, err := l.admit(ask, answer.Cosignatures)
	if quorum := (*proof.QuorumError)(nil); errors.As(err, &quorum) {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNoQuorum, err), asking)
	}
	return published, err
}

// admit verifies the note with the cosignatures that came. One that does not
// verify would condemn the note: it is dropped, and its witness named.
func (l *Ledger[V]) admit(ask Ask, cosignatures []proof.Signature) (*proof.Published, error) {
	for {
		note, err := proof.AddSignatures(ask.Note, cosignatures...)
		if err != nil {
			return nil, err
		}
		published, err := ask.Policy.Verify(note, time.Now())
		bad := (*proof.SignatureError)(nil)
		if !errors.As(err, &bad) {
			return published, err
		}
		rest := slices.DeleteFunc(slices.Clone(cosignatures), func(s proof.Signature) bool { return s.Name == bad.Name && s.ID == bad.ID })
		if len(rest) == len(cosignatures) {
			return nil, err // the log's own
		}
		l.config.Log.Error("a witness's cosignature does not verify; going on without it", "origin", l.config.Origin, "size", ask.Tree.Size, "witness", bad.Name)
		cosignatures = rest
	}
}

// checkSeen judges a checkpoint that a witness says it has cosigned. Its size
// alone is only a claim: what counts is this log's own signature.
func (l *Ledger[V]) checkSeen(ctx context.Context, note []byte, policy *proof.Policy, tree *view) error {
	keys := policy.LogKeys(l.config.Origin)
	for _, s := range l.config.Signers {
		keys = append(keys, s.Key())
	}
	seen, err := proof.VerifyLog(note, l.config.Origin, keys...)
	if err != nil {
		l.config.Log.Error("a witness claims a checkpoint that this log did not sign; going on without it", "origin", l.config.Origin, "err", err)
		return nil
	}
	cp := seen.Checkpoint()
	if cp.Size > tree.Size {
		return fmt.Errorf("%w: it is of size %d, the store's head of %d", ErrRollback, cp.Size, tree.Size)
	}
	root, err := l.rootAt(ctx, tree, cp.Size)
	if err != nil {
		return err
	}
	if cp.Root != root {
		return fmt.Errorf("%w: at size %d its root is %s, the store's %s", ErrRollback, cp.Size, cp.Root, root)
	}
	return nil
}

// Published is the newest published checkpoint; nil before the first.
func (l *Ledger[V]) Published() *proof.Published { return l.shown.Load().published }

// AwaitPublished waits until the entry at index is below the published size.
// It returns why the ledger stopped if it does first; ctx's error likewise.
func (l *Ledger[V]) AwaitPublished(ctx context.Context, index uint64) (*proof.Published, error) {
	for {
		s := l.shown.Load()
		if s.size() > index {
			return s.published, nil
		}
		select {
		case <-s.next:
		case <-l.stopped:
			if s := l.shown.Load(); s.size() > index {
				return s.published, nil
			}
			return nil, fmt.Errorf("%w: %w", ErrStopped, l.Err())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
