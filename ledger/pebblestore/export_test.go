package pebblestore

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Second is a store on the same database, with locks of its own: it is read alone.
func (s *Store) Second() *Store { return &Store{db: s.db, fs: s.fs, dir: s.dir} }

// WriteArchiveBySize writes an archive as an earlier version did.
func WriteArchiveBySize(fs vfs.FS, dir string, rows int) error {
	s, err := Open(fs, dir, Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		return err
	}
	if err := s.db.Delete([]byte{keyFormat}, pebble.NoSync); err != nil {
		return err
	}
	for i := range rows {
		timestamp := binary.BigEndian.AppendUint64(nil, uint64(i/2))
		size := binary.BigEndian.AppendUint64(nil, uint64(i))
		b := s.db.NewBatch()
		if err := errors.Join(
			b.Set(slices.Concat([]byte{keyArchivedBySize}, size, timestamp), []byte{byte(i), byte(i >> 8)}, nil),
			b.Set(slices.Concat([]byte{keyArchivedByTime}, timestamp, size), nil, nil),
			s.db.Apply(b, pebble.NoSync), b.Close()); err != nil {
			return err
		}
	}
	return s.Close()
}

// WriteFormat says that a store is of that format.
func WriteFormat(s *Store, format uint64) error {
	return s.db.Set([]byte{keyFormat}, binary.BigEndian.AppendUint64(nil, format), pebble.Sync)
}

// ReadFormat is the format that a store says it is of.
func ReadFormat(s *Store) uint64 {
	v, err := get(s.db, []byte{keyFormat})
	if err != nil || len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}
