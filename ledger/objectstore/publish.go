package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger"
)

// Published implements [ledger.Store].
func (s *Store) Published(ctx context.Context) ([]byte, error) {
	p, err := s.readPublished(ctx)
	return p.Note, err
}

// ArchivedCount implements [ledger.Store].
func (s *Store) ArchivedCount(ctx context.Context) (uint64, error) {
	p, err := s.readPublished(ctx)
	return p.Archived, err
}

func (s *Store) readPublished(ctx context.Context) (published, error) {
	if err := ctx.Err(); err != nil {
		return published{}, err
	}
	p, err := readCell[published](ctx, s.bucket, s.publishedKey())
	if err == nil && !p.exists { // a taking makes it right after the head, before anything is appended
		var h held[head]
		if h, err = s.readHead(ctx); err != nil || h.body.Size == 0 {
			return published{}, err
		}
		p, err = readCell[published](ctx, s.bucket, s.publishedKey()) // the log may have begun meanwhile
	}
	switch {
	case err != nil:
		return published{}, fmt.Errorf("reading what is published: %w", err)
	case !p.exists:
		return published{}, fmt.Errorf("%s was there: %w", s.publishedKey(), ErrLost)
	}
	return p.body, nil
}

// Publish implements [ledger.Store].
func (s *Store) Publish(ctx context.Context, old, next []byte) error {
	return s.publish(ctx, "publishing", func(w *writer, p *published) error {
		if !bytes.Equal(p.Note, old) {
			return s.conflict(ctx, w, "another checkpoint was published")
		}
		p.Note = bytes.Clone(next)
		return nil
	}, func(now published) (is, never bool) { return bytes.Equal(now.Note, next), bytes.Equal(now.Note, old) })
}

// Archive implements [ledger.Store]. The blob is first kept beside what is published, where
// one swap makes it the next; then it gets an object of its own.
func (s *Store) Archive(ctx context.Context, number uint64, blob []byte) error {
	err := s.publish(ctx, "archiving", func(w *writer, p *published) error {
		return s.archiveIn(ctx, w, p, number, blob)
	}, func(now published) (is, never bool) { return archivedIn(now, number, blob) })
	if errors.Is(err, errArchived) {
		return nil
	}
	return err
}

// ArchiveAndPublish implements [ledger.ArchivingStore], by one swap.
func (s *Store) ArchiveAndPublish(ctx context.Context, number uint64, blob, old, next []byte) error {
	return s.publish(ctx, "archiving and publishing", func(w *writer, p *published) error {
		if !bytes.Equal(p.Note, old) {
			return s.conflict(ctx, w, "another checkpoint was published")
		}
		if err := s.archiveIn(ctx, w, p, number, blob); err != nil && !errors.Is(err, errArchived) {
			return err
		}
		p.Note = bytes.Clone(next)
		return nil
	}, func(now published) (is, never bool) {
		_, never = archivedIn(now, number, blob)
		return bytes.Equal(now.Note, next), never || bytes.Equal(now.Note, old)
	})
}

// errArchived: a blob is the newest already.
var errArchived = errors.New("it is archived")

// archiveIn adds a blob to the archive.
func (s *Store) archiveIn(ctx context.Context, w *writer, p *published, number uint64, blob []byte) error {
	if number+1 == p.Archived {
		newest, err := s.Archived(ctx, number)
		if err != nil {
			return err
		}
		if bytes.Equal(newest, blob) {
			if err := s.stillTaken(ctx, w); err != nil {
				return err
			}
			return errArchived
		}
	}
	if number != p.Archived {
		return s.conflict(ctx, w, "%d blobs are archived, this is to be number %d", p.Archived, number)
	}
	p.Archived++
	p.Pending = append(p.Pending, archived{number, bytes.Clone(blob)})
	return nil
}

// archivedIn says whether a blob is surely in the archive, or surely not.
func archivedIn(now published, number uint64, blob []byte) (is, never bool) {
	for _, a := range now.Pending {
		if a.Number == number {
			return bytes.Equal(a.Blob, blob), !bytes.Equal(a.Blob, blob)
		}
	}
	return false, now.Archived <= number
}

// publish changes what is published. Of what is found there instead, became says whether
// it came of the change, or whether the change was surely never made.
func (s *Store) publish(ctx context.Context, what string, change func(*writer, *published) error, became func(published) (is, never bool)) error {
	w, err := s.writer()
	if err != nil {
		return err
	}
	if err := w.publishing.take(ctx); err != nil {
		return err
	}
	defer w.publishing.release()
	if err := s.recallPublished(ctx, w); err != nil {
		return err
	}
	if w.published.body.Epoch > w.epoch {
		return errors.New("the store is being sealed")
	}
	next := w.published.body
	next.Nonce = newNonce()
	next.Pending = slices.DeleteFunc(slices.Clone(next.Pending), func(a archived) bool { return a.Number < w.fan.archivedUpTo() })
	if err := change(w, &next); err != nil {
		return err
	}
	now, err := swapCell(ctx, s.bucket, s.publishedKey(), w.published, next)
	var other *moved[published]
	if errors.As(err, &other) {
		is, never := became(other.now.body)
		if is && other.unsure {
			w.end(ledger.ErrTakenOver) // by one who took this over too
			return nil
		}
		other.unsure = other.unsure && !never
	}
	if err != nil {
		w.forgotten = true
		return s.refused(ctx, w, what, err)
	}
	w.published = now
	w.fan.publishedNow(now.body)
	return nil
}

// Archived implements [ledger.Store].
func (s *Store) Archived(ctx context.Context, number uint64) ([]byte, error) {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		o, err := s.bucket.read(ctx, s.archiveKey(number), maxCellBytes)
		if !errors.Is(err, errNoObject) {
			return o.data, err
		}
		p, err := s.readPublished(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range p.Pending {
			if a.Number == number {
				return a.Blob, nil
			}
		}
		if number >= p.Archived || try == 1 { // it may have got an object of its own in between
			return nil, fmt.Errorf("%w: archived blob %d of %d", ledger.ErrMissing, number, p.Archived)
		}
	}
}
