package objectstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/seed-53cf897a/docket/ledger"
)

// writer is what a handle knows since it took the store: the cells as it has made them.
type writer struct {
	epoch uint64

	extending lock // held by who extends or seals; guards what follows
	head      held[head]
	lost      bool  // the outcome of a swap is unknown: the head is read before the next
	sealing   *head // the head by which Seal seals, so that it can be repeated

	publishing lock // guards what follows
	published  held[published]
	forgotten  bool // as lost, of published

	over atomic.Pointer[error] // why nothing is written any more

	fan   *fanOut
	clean cleanUp
}

// end has every later write fail with that.
func (w *writer) end(why error) { w.over.CompareAndSwap(nil, &why) }

// ended is why nothing is written any more; nil if it is.
func (w *writer) ended() error {
	if why := w.over.Load(); why != nil {
		return *why
	}
	return nil
}

// writer is the writer that a taking made, and that nobody has taken over from.
func (s *Store) writer() (*writer, error) {
	w, err := s.everWriter()
	if err != nil {
		return nil, err
	}
	return w, w.ended()
}

// everWriter is the writer that a taking made, also if it was taken over since.
func (s *Store) everWriter() (*writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing == nil {
		return nil, ledger.ErrNotTaken
	}
	return s.writing, nil
}

// setWriter replaces the writer. What runs behind the one before has ended then.
func (s *Store) setWriter(w *writer) {
	s.mu.Lock()
	old := s.writing
	s.writing = w
	s.mu.Unlock()
	if old != nil {
		old.fan.close()
	}
}

// Take implements [ledger.Store]: it swaps the head, with the next epoch, and then what is
// published. Before both have come back nothing that was read is believed.
func (s *Store) Take(ctx context.Context) error {
	return s.take(ctx, func(h head, _ published) (head, error) {
		if h.Sealed != "" {
			return h, &ledger.SealedError{Why: h.Sealed}
		}
		return h, nil
	})
}

// TakeAfter implements [ledger.Shared].
func (s *Store) TakeAfter(ctx context.Context, epoch uint64) error {
	return s.take(ctx, func(h head, _ published) (head, error) {
		switch {
		case h.Sealed != "":
			return h, &ledger.SealedError{Why: h.Sealed}
		case h.Epoch != epoch:
			return h, fmt.Errorf("%w: it has epoch %d, and %d was the newest", ledger.ErrTakenOver, h.Epoch, epoch)
		}
		return h, nil
	})
}

// TakeSealed implements [ledger.Sealer].
func (s *Store) TakeSealed(ctx context.Context, why string) error {
	if why == "" {
		return errors.New("a store is sealed for a reason")
	}
	return s.take(ctx, func(h head, p published) (head, error) {
		switch {
		case h.Sealed != "" && h.Sealed != why:
			return h, &ledger.SealedError{Why: h.Sealed}
		case h.Sealed == "" && (h.Size > 0 || p.Note != nil || p.Archived > 0):
			return h, fmt.Errorf("%w: a log lies there already, of %d entries", ledger.ErrConflict, h.Size)
		}
		h.Sealed = why
		return h, nil
	})
}

// take takes the store if may says so of what is there, with the head that may returns.
func (s *Store) take(ctx context.Context, may func(head, published) (head, error)) error {
	if err := s.taking.take(ctx); err != nil {
		return err
	}
	defer s.taking.release()
	s.setWriter(nil)
	var now held[head]
	for {
		h, err := s.readHead(ctx)
		if err != nil {
			return err
		}
		p, err := readCell[published](ctx, s.bucket, s.publishedKey())
		if err != nil {
			return fmt.Errorf("reading what is published: %w", err)
		}
		if !p.exists && h.body.Size > 0 { // found before the writer that still is one is ended
			return fmt.Errorf("%s was there: %w", s.publishedKey(), ErrLost)
		}
		next, err := may(h.body, p.body)
		if err != nil {
			return err
		}
		next.Epoch, next.Nonce = h.body.Epoch+1, newNonce()
		var other *moved[head]
		if now, err = swapCell(ctx, s.bucket, s.headKey(), h, next); errors.As(err, &other) {
			continue // a writer's commit or another taking came first
		} else if err != nil {
			return fmt.Errorf("taking the head: %w", err)
		}
		break
	}
	s.show(now)
	w := &writer{
		epoch: now.body.Epoch, head: now, extending: newLock(), publishing: newLock(),
	}
	for {
		p, err := readCell[published](ctx, s.bucket, s.publishedKey())
		switch {
		case err != nil:
			return fmt.Errorf("reading what is published: %w", err)
		case !p.exists && now.body.Size > 0:
			return fmt.Errorf("%s was there: %w", s.publishedKey(), ErrLost)
		case p.body.Epoch > w.epoch:
			return ledger.ErrTakenOver
		}
		next := p.body
		next.Format, next.Epoch, next.Nonce = format, w.epoch, newNonce()
		var other *moved[published]
		if w.published, err = swapCell(ctx, s.bucket, s.publishedKey(), p, next); errors.As(err, &other) {
			continue
		} else if err != nil {
			return fmt.Errorf("taking what is published: %w", err)
		}
		break
	}
	w.fan = s.newFanOut(ctx, w)
	s.setWriter(w)
	return nil
}

// Seal implements [ledger.Sealer]. It swaps what is published first, so that once the head
// is sealed nothing changes any more.
func (s *Store) Seal(ctx context.Context, why string) error {
	w, err := s.writer()
	if err != nil {
		return err
	}
	if why == "" {
		return errors.New("a store is sealed for a reason")
	}
	for _, l := range []lock{w.extending, w.publishing} {
		if err := l.take(ctx); err != nil {
			return err
		}
		defer l.release()
	}
	if err := errors.Join(s.recallHead(ctx, w), s.recallPublished(ctx, w)); err != nil {
		return err
	}
	next := w.published.body
	next.Epoch, next.Nonce = w.epoch+1, newNonce()
	swapped, err := swapCell(ctx, s.bucket, s.publishedKey(), w.published, next)
	if other := (*moved[published])(nil); errors.As(err, &other) {
		other.unsure = false // the head is not sealed yet
	}
	if err != nil {
		w.forgotten = true
		return s.refused(ctx, w, "sealing", err)
	}
	w.published = swapped
	sealed := w.head.body
	sealed.Epoch, sealed.Nonce, sealed.Sealed = w.epoch+1, newNonce(), why
	if w.sealing != nil {
		sealed.Nonce = w.sealing.Nonce
	}
	w.sealing = &sealed
	now, err := swapCell(ctx, s.bucket, s.headKey(), w.head, sealed)
	if other := (*moved[head])(nil); errors.As(err, &other) {
		other.unsure = other.unsure && other.now.body.Sealed != "" // nobody else unseals it
	}
	if err != nil {
		return s.refused(ctx, w, "sealing", err)
	}
	w.head = now
	s.show(now)
	w.end(&ledger.SealedError{Why: why})
	return nil
}

// Unseal implements [ledger.Sealer].
func (s *Store) Unseal(ctx context.Context) error {
	w, err := s.writer()
	if err != nil {
		return err
	}
	if err := w.extending.take(ctx); err != nil {
		return err
	}
	defer w.extending.release()
	if err := s.recallHead(ctx, w); err != nil {
		return err
	}
	if w.head.body.Sealed == "" {
		return s.stillTaken(ctx, w)
	}
	next := w.head.body
	next.Nonce, next.Sealed = newNonce(), ""
	now, err := swapCell(ctx, s.bucket, s.headKey(), w.head, next)
	if err != nil {
		w.lost = true
		return s.refused(ctx, w, "unsealing", err)
	}
	w.head = now
	s.show(now)
	return nil
}

// stillTaken is [ledger.ErrTakenOver] if another handle has taken the store since, and
// [ledger.SealedError] if it has sealed it too.
func (s *Store) stillTaken(ctx context.Context, w *writer) error {
	h, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	return w.stillTaken(h.body)
}

func (w *writer) stillTaken(h head) error {
	switch {
	case h.Epoch <= w.epoch:
		return nil
	case h.Sealed != "":
		w.end(&ledger.SealedError{Why: h.Sealed})
	default:
		w.end(ledger.ErrTakenOver)
	}
	return w.ended()
}

// conflict is the error for a write from another state than that of the store.
func (s *Store) conflict(ctx context.Context, w *writer, text string, args ...any) error {
	if err := s.stillTaken(ctx, w); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ledger.ErrConflict, fmt.Sprintf(text, args...))
}

// refused is the error for a swap that was not made. Where the cell has moved, it never
// will be made, unless a request of it was lost: then it may have been there in between.
func (s *Store) refused(ctx context.Context, w *writer, what string, err error) error {
	var unsure bool
	var ofHead *moved[head]
	var ofPublished *moved[published]
	switch {
	case errors.As(err, &ofHead):
		unsure, err = ofHead.unsure, w.stillTaken(ofHead.now.body)
	case errors.As(err, &ofPublished):
		unsure, err = ofPublished.unsure, s.stillTaken(ctx, w)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	if err == nil {
		err = fmt.Errorf("%w: an earlier write of this handle came late", ledger.ErrConflict)
	}
	if unsure {
		return fmt.Errorf("%s: the store did not answer, and then: %v", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// recallHead reads the head again after a write of unknown outcome.
func (s *Store) recallHead(ctx context.Context, w *writer) error {
	if !w.lost {
		return nil
	}
	h, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	if !h.exists {
		return fmt.Errorf("%s was there: %w", s.headKey(), ErrLost)
	}
	if err := w.stillTaken(h.body); err != nil {
		return err
	}
	if h.body.tree() != w.head.body.tree() { // the extension was made
		w.fan.recalled(h.body)
	}
	w.head, w.lost = h, false
	return nil
}

// recallPublished reads what is published again after a write of unknown outcome.
func (s *Store) recallPublished(ctx context.Context, w *writer) error {
	if !w.forgotten {
		return nil
	}
	p, err := readCell[published](ctx, s.bucket, s.publishedKey())
	if err != nil {
		return err
	}
	if !p.exists {
		return fmt.Errorf("%s was there: %w", s.publishedKey(), ErrLost)
	}
	if p.body.Epoch > w.epoch { // by another, who took the head first, or by this one's Seal
		if err := s.stillTaken(ctx, w); err != nil {
			return err
		}
	}
	w.published, w.forgotten = p, false
	w.fan.publishedNow(p.body)
	return nil
}
