package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// cutSealer fails from one of its writes on, as a process that is cut off there: that one is
// not applied, or is and nobody is told.
type cutSealer struct {
	ledger.Sealer
	writes *int // left, of all stores of a move
	apply  bool
}

var errCut = errors.New("cut off")

func (c cutSealer) write(w func() error) error {
	*c.writes--
	if *c.writes > 0 {
		return w()
	}
	if *c.writes == 0 && c.apply {
		if err := w(); err != nil {
			return err
		}
	}
	return errCut
}

func (c cutSealer) Take(ctx context.Context) error {
	return c.write(func() error { return c.Sealer.Take(ctx) })
}

func (c cutSealer) Extend(ctx context.Context, x ledger.Extension) error {
	return c.write(func() error { return c.Sealer.Extend(ctx, x) })
}

func (c cutSealer) Publish(ctx context.Context, old, next []byte) error {
	return c.write(func() error { return c.Sealer.Publish(ctx, old, next) })
}

func (c cutSealer) Archive(ctx context.Context, number uint64, blob []byte) error {
	return c.write(func() error { return c.Sealer.Archive(ctx, number, blob) })
}

func (c cutSealer) Seal(ctx context.Context, why string) error {
	return c.write(func() error { return c.Sealer.Seal(ctx, why) })
}

func (c cutSealer) TakeSealed(ctx context.Context, why string) error {
	return c.write(func() error { return c.Sealer.TakeSealed(ctx, why) })
}

func (c cutSealer) Unseal(ctx context.Context) error {
	return c.write(func() error { return c.Sealer.Unseal(ctx) })
}

// farSealer takes a while to read what it keeps.
type farSealer struct{ ledger.Sealer }

func (f farSealer) Archived(ctx context.Context, number uint64) ([]byte, error) {
	time.Sleep(20 * time.Millisecond)
	return f.Sealer.Archived(ctx, number)
}

// Kept checkpoints are read several at once: while a log moves, nobody may write to it.
func TestMoveReadsSeveralAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMoveWorld(t, 10)
		const kept = 3 + 200
		w.with("from", func(from *pebblestore.Store) error {
			for n := uint64(3); n < kept; n++ {
				if err := from.Archive(t.Context(), n, fmt.Appendf(nil, "kept %d", n)); err != nil {
					return err
				}
			}
			w.with("to", func(to *pebblestore.Store) error {
				told := map[string]uint64{}
				m := ledger.Move{From: farSealer{from}, To: farSealer{to}, FromName: "a", ToName: "b", OnProgress: func(doing string, reached, _ uint64) { told[doing] = reached }}
				begun := time.Now()
				moved, err := m.Run(t.Context())
				if err != nil || moved.Archived != kept {
					t.Fatalf("%+v, %v", moved, err)
				}
				if took := time.Since(begun); took > 3*kept*20*time.Millisecond/8 {
					t.Errorf("it took %v", took)
				}
				if told["copying the kept checkpoints"] != kept || told["verifying the kept checkpoints"] != kept {
					t.Errorf("it told %v", told)
				}
				return nil
			})
			return nil
		})
	})
}

// moveWorld is two stores, the first with a log.
type moveWorld struct {
	t    *testing.T
	fs   *vfs.MemFS
	log  *storetest.ReferenceLog
	size int
}

// moveSize is two batches of a copy.
const moveSize = 1030

func newMoveWorld(t *testing.T, entries int) *moveWorld {
	w := &moveWorld{t, vfs.NewMem(), &storetest.ReferenceLog{}, entries}
	w.with("from", func(s *pebblestore.Store) error {
		err := errors.Join(s.Extend(t.Context(), w.log.Grow(3)), s.Extend(t.Context(), w.log.Grow(entries-3)), s.Publish(t.Context(), nil, []byte("note")))
		for n := range uint64(3) {
			err = errors.Join(err, s.Archive(t.Context(), n, fmt.Appendf(nil, "kept %d", n)))
		}
		return err
	})
	return w
}

func (w *moveWorld) with(dir string, do func(*pebblestore.Store) error) {
	w.t.Helper()
	s, err := pebblestore.Open(w.fs, dir, smallOptions)
	if err == nil {
		err = errors.Join(do(s), s.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// move runs a move whose writes are cut off after some.
func (w *moveWorld) move(writes int, apply bool) (moved *ledger.Moved, err error) {
	w.between(writes, apply, func(m ledger.Move) { moved, err = m.Run(w.t.Context()) })
	return moved, err
}

func (w *moveWorld) undo(writes int, apply bool) (err error) {
	w.between(writes, apply, func(m ledger.Move) { err = m.Undo(w.t.Context()) })
	return err
}

func (w *moveWorld) between(writes int, apply bool, do func(ledger.Move)) {
	w.with("from", func(from *pebblestore.Store) error {
		w.with("to", func(to *pebblestore.Store) error {
			do(ledger.Move{From: cutSealer{from, &writes, apply}, To: cutSealer{to, &writes, apply}, FromName: "a", ToName: "b"})
			return nil
		})
		return nil
	})
}

// taken says which of the two a writer may take, and wants the second to be whole if it may.
func (w *moveWorld) taken() (from, to bool) {
	w.with("from", func(s *pebblestore.Store) error { from = s.Take(w.t.Context()) == nil; return nil })
	w.with("to", func(s *pebblestore.Store) error {
		head, err := s.Head(w.t.Context())
		if err == nil && head.Size > 0 && s.Take(w.t.Context()) == nil {
			to = true
			if head != w.log.Head(w.size) {
				w.t.Errorf("a part of it may be taken, of %d entries", head.Size)
			}
		}
		return err
	})
	return from, to
}

// Cut off at any write, with the write applied or not, a log never lives twice, and the same
// move comes to the end.
func TestMoveCutOffAtEveryWrite(t *testing.T) {
	for cut := 1; ; cut++ {
		done := false
		for _, apply := range []bool{false, true} {
			w := newMoveWorld(t, moveSize)
			_, err := w.move(cut, apply)
			done = err == nil
			if from, to := w.taken(); from && to {
				t.Fatalf("cut off at write %d (applied: %v) it lives twice", cut, apply)
			}
			if !done && !errors.Is(err, errCut) {
				t.Fatalf("cut off at write %d: %v", cut, err)
			}
			moved, err := w.move(1000, false)
			if err != nil || moved.Head != w.log.Head(moveSize) || moved.Archived != 3 {
				t.Fatalf("after a cut at write %d (applied: %v): %+v, %v", cut, apply, moved, err)
			}
			if from, to := w.taken(); from || !to {
				t.Errorf("after a cut at write %d (applied: %v): from may be taken: %v; to: %v", cut, apply, from, to)
			}
			w.with("to", func(s *pebblestore.Store) error {
				note, err := s.Published(t.Context())
				blob, bad := s.Archived(t.Context(), 2)
				if string(note) != "note" || string(blob) != "kept 2" {
					t.Errorf("published %q, kept %q", note, blob)
				}
				return errors.Join(err, bad)
			})
			if moved, err := w.move(1000, false); err != nil || !moved.Already {
				t.Errorf("once more: %+v, %v", moved, err)
			}
		}
		if done {
			if cut < 10 {
				t.Errorf("a move has %d writes", cut-1)
			}
			return
		}
	}
}

// A move that was cut off anywhere is given up, and the giving up cut off anywhere too: the log
// goes on where it was, or has moved; never both, and never neither in the end.
func TestUndoCutOffAtEveryWrite(t *testing.T) {
	for cut := 1; ; cut++ {
		moved := false
		for writes := 1; ; writes++ {
			w := newMoveWorld(t, 20)
			_, err := w.move(cut, writes%2 == 0)
			moved = err == nil
			first := w.undo(writes, cut%2 == 0)
			if from, to := w.taken(); from && to {
				t.Fatalf("cut off at write %d, and at %d of the undoing, it lives twice", cut, writes)
			}
			err = w.undo(1000, false)
			from, to := w.taken()
			if from == to || from != (err == nil || errors.Is(err, ledger.ErrNotMoving)) || !from && !errors.Is(err, ledger.ErrMoved) {
				t.Fatalf("cut off at write %d, and at %d of the undoing: from may be taken: %v; to: %v; %v", cut, writes, from, to, err)
			}
			if from {
				w.with("from", func(s *pebblestore.Store) error {
					return errors.Join(s.Take(t.Context()), s.Extend(t.Context(), w.log.Clone().Grow(1)))
				})
			}
			if !errors.Is(first, errCut) {
				break
			}
		}
		if moved {
			return
		}
	}
}

// What is in the way stays as it is, and so does what was to be moved.
func TestMoveRefusals(t *testing.T) {
	other := &storetest.ReferenceLog{Salt: "another"}
	fill := func(s *pebblestore.Store) error { return s.Extend(t.Context(), other.Clone().Grow(5)) }
	for _, c := range []struct {
		name   string
		change func(w *moveWorld)
		want   string
		sealed bool // from, afterwards
	}{
		{"another log", func(w *moveWorld) { w.with("to", fill) }, "b: it is not empty: a log of 5 entries is in it", false},
		{"nothing to move", func(w *moveWorld) { w.fs = vfs.NewMem() }, "a: there are no entries to move", false},
		{"moved elsewhere", func(w *moveWorld) {
			w.with("from", func(s *pebblestore.Store) error { return s.Seal(t.Context(), "moved to c") })
		}, "a: no ledger may write here any more: moved to c", true},
		{"to is filled from elsewhere", func(w *moveWorld) {
			w.with("to", func(s *pebblestore.Store) error { return s.TakeSealed(t.Context(), "not all is copied yet from c") })
		}, "b: no ledger may write here any more: not all is copied yet from c", false},
		{"to was taken by a stranger meanwhile", func(w *moveWorld) {
			if _, err := w.move(3, false); !errors.Is(err, errCut) { // Take, Seal
				t.Fatal(err)
			}
			w.with("to", fill)
		}, "b: it is not empty: a log of 5 entries is in it", true},
		{"to holds other entries", func(w *moveWorld) {
			if _, err := w.move(4, false); !errors.Is(err, errCut) { // Take, Seal, TakeSealed
				t.Fatal(err)
			}
			w.with("to", func(s *pebblestore.Store) error {
				return errors.Join(s.TakeSealed(t.Context(), "not all is copied yet from a"), fill(s))
			})
		}, "b: it is not empty: what is in it is not of this log", true},
	} {
		w := newMoveWorld(t, 20)
		c.change(w)
		if _, err := w.move(1000, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		w.with("from", func(s *pebblestore.Store) error {
			if why, err := s.Sealed(t.Context()); err != nil || (why != "") != c.sealed {
				t.Errorf("%s: it is sealed: %q, %v", c.name, why, err)
			}
			return nil
		})
	}
}
