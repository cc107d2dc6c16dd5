package objectstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger"
)

// Extend implements [ledger.Store]: one at a time, in two PUTs.
func (s *Store) Extend(ctx context.Context, x ledger.Extension) error {
	if err := x.Check(); err != nil {
		return err
	}
	if len(x.Entries) == 0 {
		return errors.New("an extension without entries, which no stage has")
	}
	w, err := s.writer()
	if err != nil {
		return err
	}
	if err := w.fan.waitForRoom(ctx); err != nil {
		return err
	}
	if err := w.extending.take(ctx); err != nil {
		return err
	}
	defer w.extending.release()
	switch err := w.ended(); { // while others had it
	case err != nil:
		return err
	case w.sealing != nil:
		return errors.New("the store is being sealed")
	}
	if err := s.recallHead(ctx, w); err != nil {
		return err
	}
	if now := w.head.body.tree(); now != x.Old {
		return s.conflict(ctx, w, "it is at %d, not %d", now.Size, x.Old.Size)
	}
	st, err := s.stage(ctx, w, x)
	if err != nil {
		return err // and the head is as it was
	}
	return s.swapHead(ctx, w, x, st)
}

// stage writes the staged object.
func (s *Store) stage(ctx context.Context, w *writer, x ledger.Extension) (st *stage, err error) {
	if named := unfanned(w.head.body.Stages, w.fan.public()); len(named) >= maxStages {
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
	next := w.head.body
	next.Size, next.Root, next.Nonce = x.New.Size, root(x.New.Root), newNonce()
	if st.name.From < st.name.Old {
		next.Public, next.Partials, next.Stages = st.name.From, false, nil
	} else if public := w.fan.public(); public >= next.Public {
		next.Public, next.Partials = public, true
	}
	next.Stages = append(unfanned(next.Stages, next.Public), st.name)
	now, err := swapCell(ctx, s.bucket, s.headKey(), w.head, next)
	var other *moved[head]
	if errors.As(err, &other) && slices.Contains(other.now.body.Stages, st.name) {
		w.end(ledger.ErrTakenOver) // by one who took over this extension too
		return nil
	}
	if errors.As(err, &other) && neverHad(other.now.body, x.New.Size) {
		other.unsure = false
	}
	if err != nil {
		w.lost = true
		return s.refused(ctx, w, fmt.Sprintf("extending to %d", x.New.Size), err)
	}
	w.head = now
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
