package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
)

// Archive implements [ledger.Store]. Each checkpoint has two rows, one found by its
// size and one by its stamp. Both are in the order in which they were kept, since
// neither number ever falls.
func (s *Store) Archive(ctx context.Context, k ledger.ArchivedCheckpoint) error {
	s.archiving.Lock()
	defer s.archiving.Unlock()
	last, err := s.ArchivedUpTo(ctx, math.MaxUint64, math.MaxUint64)
	if err != nil {
		return err
	}
	if last != nil {
		if k.Timestamp == last.Timestamp && k.Size == last.Size {
			return nil
		}
		if k.Timestamp < last.Timestamp || k.Size < last.Size {
			return fmt.Errorf("%w: a checkpoint of size %d, stamped %d, is kept already", ledger.ErrConflict, last.Size, last.Timestamp)
		}
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set(archiveKey(keyArchived, k.Size, k.Timestamp), k.Note, nil); err != nil {
		return err
	}
	if err := b.Set(archiveKey(keyArchivedAt, k.Timestamp, k.Size), nil, nil); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// ArchivedUpTo implements [ledger.Store]. The newest row up to the size and the newest
// up to the stamp are both ends of a prefix of the same sequence: the shorter one
// satisfies both.
func (s *Store) ArchivedUpTo(_ context.Context, timestamp, size uint64) (*ledger.ArchivedCheckpoint, error) {
	bySize, err := s.lastRowUpTo(keyArchived, size)
	if err != nil || bySize == nil {
		return nil, err
	}
	byTimestamp, err := s.lastRowUpTo(keyArchivedAt, timestamp)
	if err != nil || byTimestamp == nil {
		return nil, err
	}
	k := ledger.ArchivedCheckpoint{Size: min(bySize.first, byTimestamp.second), Timestamp: min(bySize.second, byTimestamp.first)}
	k.Note, err = get(s.db, archiveKey(keyArchived, k.Size, k.Timestamp))
	if err == nil && k.Note == nil {
		err = fmt.Errorf("%w: the kept checkpoint of size %d, stamped %d", ledger.ErrMissing, k.Size, k.Timestamp)
	}
	return &k, err
}

type archiveRow struct{ first, second uint64 }

// lastRowUpTo is the last row whose first number is not greater than most.
func (s *Store) lastRowUpTo(prefix byte, most uint64) (row *archiveRow, err error) {
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
	return &archiveRow{binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:])}, nil
}
