package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// maxRewrapped is how many customers' keys are wrapped anew in one batch.
const maxRewrapped = 1_000

// Rotate makes a new wrapping key, wraps each customer's key by it, and then drops the ones
// of before from the vault file, which it encrypts to other recipients (nil: to the same). No
// event is written anew. It may be cut off at any moment: both keys are in the file until
// nothing is wrapped by the older one, and the next call goes on where it ended.
//
// progress, which may be nil, is told how many of how many keys are done. What was sealed by
// the dropped keys lies in no file of the store afterwards; a backup of before has the vault
// file of its time with it ([Store.Backup]).
func Rotate(ctx context.Context, v *Vault, s *Store, recipients []Recipient, progress func(done, total uint64)) error {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	err := v.rewrite(recipients, func(x *secrets) bool {
		goesOn := len(x.Wrapping) > 1
		if !goesOn {
			x.Wrapping = append(x.Wrapping, wrapping{x.newest() + 1, newSecret()})
		}
		return !goesOn || recipients != nil
	})
	if err != nil {
		return err
	}
	if err := s.rewrap(ctx, progress); err != nil {
		return fmt.Errorf("wrapping customers' keys anew: %w; rotate again, to go on", err)
	}
	return v.rewrite(nil, func(x *secrets) bool {
		x.Wrapping = x.Wrapping[len(x.Wrapping)-1:]
		return true
	})
}

// Rotating reports whether a rotation was begun and has not ended.
func (v *Vault) Rotating() (is bool, err error) {
	err = v.with(func(o *opened) { is = len(o.secrets.Wrapping) > 1 })
	return is, err
}

// rewrap wraps all keys by the newest one, and clears away what was wrapped by others.
func (s *Store) rewrap(ctx context.Context, progress func(done, total uint64)) error {
	stats, err := s.Stats()
	if err != nil {
		return err
	}
	number, by, err := s.vault.newest()
	if err != nil {
		return err
	}
	from, done := []byte{tableKey}, uint64(0)
	for from != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, next, err := s.rewrapSome(from, number, by)
		if err != nil {
			return err
		}
		from, done = next, done+uint64(n)
		if progress != nil {
			progress(done, max(done, stats.Customers))
		}
	}
	erasing, err := s.get(metaErasing)
	if err != nil || erasing == nil {
		return err
	}
	return s.scrub(ctx, everything)
}

// rewrapSome wraps the keys of the next customers anew, and says how many it has looked at
// and from which row on to go on; nil if that were all.
func (s *Store) rewrapSome(from []byte, number uint32, by *Key) (n int, next []byte, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	err = s.apply(pebble.Sync, func(b *pebble.Batch) (err error) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{tableKey + 1}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		changed := false
		for ok := it.First(); ok; ok = it.Next() {
			if n == maxRewrapped {
				next = bytes.Clone(it.Key())
				break
			}
			n++
			if len(it.Key()) != 1+16 || len(it.Value()) < 4 {
				return fmt.Errorf("%w: a key's row", disk.ErrDamaged)
			}
			if binary.BigEndian.Uint32(it.Value()) == number {
				continue
			}
			c, err := s.openKey(Ref(it.Key()[1:]), it.Value())
			if err != nil {
				return err
			}
			if err := putKey(b, c, number, by); err != nil {
				return err
			}
			c.Key.Wipe()
			changed = true
		}
		if changed {
			err = errors.Join(b.Set(metaErasing, nil, nil), b.Set(metaNewest, binary.BigEndian.AppendUint32(nil, number), nil))
		}
		return err
	})
	return n, next, err
}
