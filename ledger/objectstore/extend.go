package objectstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// Extend implements [ledger.Store]. An extension may be given while the one before it is on its way:
// it is staged meanwhile, and its head swapped after that one's.
func (s *Store) Extend(ctx context.Context, x ledger.Extension) error {
	if x.New.Size-x.Old.Size != uint64(len(x.Entries)) || x.New.Size <= x.Old.Size {
		return fmt.Errorf("an extension from %d to %d with %d entries", x.Old.Size, x.New.Size, len(x.Entries))
	}
	w, err := s.writer()
	if err != nil {
		return err
	}
	if err := w.fan.waitForRoom(ctx); err != nil {
		return err
	}
	if err := w.pace(ctx, s.config.CommitInterval); err != nil {
		return err
	}
	before, decided, err := s.accept(ctx, w, x)
	if err != nil {
		return err
	}
	st, err := s.stage(ctx, w, x)
	if before != nil {
		select {
		case <-before:
		case <-ctx.Done():
			go func() { <-before; close(decided) }() // whoever is behind waits for both
			w.lose()
			return errors.Join(ctx.Err(), err)
		}
	}
	defer close(decided)
	w.swapping.takeAnyhow() // for a moment, but for a Seal beside
	defer w.swapping.release()
	if err == nil {
		err = s.swapHead(ctx, w, x, st)
	}
	if err != nil {
		w.lose()
	}
	return err
}

// pace waits until an extension may begin.
func (w *writer) pace(ctx context.Context, interval time.Duration) error {
	if interval <= 0 {
		return nil
	}
	if err := w.extending.take(ctx); err != nil {
		return err
	}
	begin := time.Now()
	if next := w.begun.Add(interval); next.After(begin) {
		begin = next
	}
	w.begun = begin
	w.extending.release()
	timer := time.NewTimer(time.Until(begin))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lose has the next write read where the store is.
func (w *writer) lose() {
	w.extending.takeAnyhow()
	defer w.extending.release()
	w.lost = true
}

// accept takes an extension as the next one. before is closed when the one before is decided,
// and decided is to be when this one is.
func (s *Store) accept(ctx context.Context, w *writer, x ledger.Extension) (before, decided chan struct{}, err error) {
	if err := w.extending.take(ctx); err != nil {
		return nil, nil, err
	}
	defer w.extending.release()
	if w.sealing != nil {
		return nil, nil, errors.New("the store is being sealed")
	}
	if err := s.recallHead(ctx, w); err != nil {
		return nil, nil, err
	}
	if x.Old != w.accepted {
		return nil, nil, s.conflict(ctx, w, "it is at %d, not %d", w.accepted.Size, x.Old.Size)
	}
	before, decided = w.before, make(chan struct{})
	w.before, w.accepted = decided, x.New
	return before, decided, nil
}

// stage writes the staged object.
func (s *Store) stage(ctx context.Context, w *writer, x ledger.Extension) (*stage, error) {
	w.extending.takeAnyhow()
	named := len(unfanned(w.head.body.Stages, w.fan.public()))
	w.extending.release()
	var st *stage
	if named >= maxStages {
		var err error
		if st, err = w.fan.standIn(ctx, x); err != nil {
			return nil, err
		}
	}
	if st == nil {
		st = newStage(stageName{From: x.Old.Size, Old: x.Old.Size, Size: x.New.Size, Root: root(x.New.Root)}, x.Entries, x.Tiles)
	}
	data, err := st.encode()
	if err != nil {
		return nil, err
	}
	if err := s.bucket.write(ctx, s.stageKey(st.name), data, headers{}); err != nil {
		return nil, fmt.Errorf("staging: %w", err)
	}
	return st, nil
}

// swapHead makes the extension the head, and what is fanned out by now no longer named.
func (s *Store) swapHead(ctx context.Context, w *writer, x ledger.Extension, st *stage) error {
	w.extending.takeAnyhow()
	from, lost := w.head, w.lost
	w.extending.release()
	if lost {
		return errors.New("the outcome of the extension before is unknown")
	}
	if from.body.tree() != x.Old {
		return s.conflict(ctx, w, "it is at %d, not %d", from.body.Size, x.Old.Size)
	}
	next := from.body
	next.Size, next.Root, next.Nonce = x.New.Size, root(x.New.Root), newNonce()
	if st.name.From < st.name.Old {
		next.Public, next.Partials, next.Stages = st.name.From, false, nil
	} else if public := w.fan.public(); public >= next.Public {
		next.Public, next.Partials = public, true
	}
	next.Stages = append(unfanned(next.Stages, next.Public), st.name)
	now, err := swapCell(ctx, s.bucket, s.headKey(), from, next)
	var other *moved[head]
	if errors.As(err, &other) && slices.Contains(other.now.body.Stages, st.name) {
		w.end(ledger.ErrTakenOver) // by one who took over this extension too
		return nil
	}
	if errors.As(err, &other) && neverHad(other.now.body, x.New.Size) {
		other.unsure = false
	}
	if err != nil {
		return s.refused(ctx, w, fmt.Sprintf("extending to %d", x.New.Size), err)
	}
	w.extending.takeAnyhow()
	w.head = now
	w.extending.release()
	kept := st.clone() // what it was given is not kept
	s.show(now)
	s.keep(kept)
	w.fan.committed(kept)
	return nil
}

// unfanned are the stages that are needed beside what is public of a size.
func unfanned(stages []stageName, public uint64) (needed []stageName) {
	for _, n := range stages {
		if n.Size > public {
			needed = append(needed, n)
		}
	}
	return needed
}

// neverHad says of a head that does not name the stage of an extension to that size that it
// does not stem from one that did: such a head would be as large, and name it still.
func neverHad(h head, size uint64) bool {
	return h.Size < size || h.Public < size && !slices.ContainsFunc(h.Stages, func(n stageName) bool { return n.From < n.Old })
}
