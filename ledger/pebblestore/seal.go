package pebblestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
)

// mayWrite is why nothing is written. The caller holds sealing.
func (s *Store) mayWrite() error {
	if s.sealed != "" && !s.filling {
		return &ledger.SealedError{Why: s.sealed}
	}
	return nil
}

// Take implements [ledger.Store]: a directory has one opener at a time.
func (s *Store) Take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.sealing.Lock()
	defer s.sealing.Unlock()
	s.filling = false
	return s.mayWrite()
}

// Sealed implements [ledger.Sealer].
func (s *Store) Sealed(ctx context.Context) (why string, err error) {
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	return s.sealed, ctx.Err()
}

// Seal implements [ledger.Sealer].
func (s *Store) Seal(ctx context.Context, why string) error {
	if why == "" {
		return errors.New("a seal says why")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.sealing.Lock() // what is being written ends before
	defer s.sealing.Unlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
	if err := s.writeSeal(why); err != nil {
		return err
	}
	s.sealed, s.filling = why, false
	return nil
}

// writeSeal writes the row, or without a reason removes it, with the format that goes with it.
func (s *Store) writeSeal(why string) error {
	b := s.db.NewBatch()
	defer b.Close()
	format, err := uint64(sealedFormat), error(nil)
	if why == "" {
		format, err = formatVersion, b.Delete([]byte{keySealed}, nil)
	} else {
		err = b.Set([]byte{keySealed}, []byte(why), nil)
	}
	if err := errors.Join(err, b.Set([]byte{keyFormat}, encodeFormat(format), nil)); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// TakeSealed implements [ledger.Sealer].
func (s *Store) TakeSealed(ctx context.Context, why string) error {
	if why == "" {
		return errors.New("a seal says why")
	}
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if s.sealed == why {
		s.filling = true
		return ctx.Err()
	}
	if s.sealed != "" {
		return &ledger.SealedError{Why: s.sealed}
	}
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	published, err := s.Published(ctx)
	if err != nil {
		return err
	}
	archived, err := s.ArchivedCount(ctx)
	if err != nil {
		return err
	}
	if head.Size > 0 || published != nil || archived > 0 {
		return fmt.Errorf("%w: it is not empty: a log of %d entries is in it", ledger.ErrConflict, head.Size)
	}
	if err := s.writeSeal(why); err != nil {
		return err
	}
	s.sealed, s.filling = why, true
	return nil
}

// Unseal implements [ledger.Sealer].
func (s *Store) Unseal(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.sealing.Lock()
	defer s.sealing.Unlock()
	switch {
	case s.sealed == "":
		return nil
	case !s.filling:
		return &ledger.SealedError{Why: s.sealed}
	}
	if err := s.writeSeal(""); err != nil {
		return err
	}
	s.sealed, s.filling = "", false
	return nil
}
