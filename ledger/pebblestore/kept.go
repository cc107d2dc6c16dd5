package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
)

// Keep implements [ledger.Store]. Each checkpoint has two rows, one found by its
// size and one by its stamp. Both are in the order in which they were kept, since
// neither number ever falls.
func (s *Store) Keep(ctx context.Context, k ledger.Kept) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	last, err := s.LastKept(ctx, math.MaxUint64, math.MaxUint64)
	if err != nil {
		return err
	}
	if last != nil {
		if k.Stamp == last.Stamp && k.Size == last.Size {
			return nil
		}
		if k.Stamp < last.Stamp || k.Size < last.Size {
			return fmt.Errorf("%w: a checkpoint of size %d, stamped %d, is kept already", ledger.ErrConflict, last.Size, last.Stamp)
		}
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set(keptKey(keyKept, k.Size, k.Stamp), k.Note, nil); err != nil {
		return err
	}
	if err := b.Set(keptKey(keyKeptAt, k.Stamp, k.Size), nil, nil); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// LastKept implements [ledger.Store]. The newest row up to the size and the newest
// up to the stamp are both ends of a prefix of the same sequence: the shorter one
// satisfies both.
func (s *Store) LastKept(_ context.Context, stamp, size uint64) (*ledger.Kept, error) {
	bySize, err := s.lastBelow(keyKept, size)
	if err != nil || bySize == nil {
		return nil, err
	}
	byStamp, err := s.lastBelow(keyKeptAt, stamp)
	if err != nil || byStamp == nil {
		return nil, err
	}
	k := ledger.Kept{Size: min(bySize.first, byStamp.second), Stamp: min(bySize.second, byStamp.first)}
	k.Note, err = get(s.db, keptKey(keyKept, k.Size, k.Stamp))
	if err == nil && k.Note == nil {
		err = fmt.Errorf("%w: the kept checkpoint of size %d, stamped %d", ledger.ErrMissing, k.Size, k.Stamp)
	}
	return &k, err
}

type keptRow struct{ first, second uint64 }

// lastBelow is the last row whose first number is not greater than most.
func (s *Store) lastBelow(prefix byte, most uint64) (row *keptRow, err error) {
	defer func() { err = judged(err) }()
	defer s.db.Rescue(&err)
	upper := []byte{prefix + 1}
	if most < math.MaxUint64 {
		upper = binary.BigEndian.AppendUint64([]byte{prefix}, most+1)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if !it.Last() {
		return nil, it.Error()
	}
	key := it.Key()
	if len(key) != 1+8+8 {
		return nil, fmt.Errorf("a row of a kept checkpoint with a key of %d bytes", len(key))
	}
	return &keptRow{binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:])}, nil
}
