// Package pebblestore keeps a log in a directory, with Pebble: the embedded
// default of [ledger.Store]. It also has [BlobFold], the smallest [ledger.Fold].
//
// One Extend is one synced batch. Entries lie one under each key; a tile lies
// packed under one key and is written again, longer, as it grows: 256 keys for it
// were measured a hundred times slower to read.
//
// Pebble does not return a failed sync: it ends the process, since the state of the
// disk is unknown then. So here the death of the process is the recovery path
// ([disk.Health]).
package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Store is a [ledger.Store] in one directory.
type Store struct {
	db  *disk.DB
	fs  vfs.FS
	dir string

	extending  sync.Mutex // held over compare and swap of the head
	publishing sync.Mutex // held over compare and swap of the published checkpoint
	archiving  sync.Mutex // held over compare and append of a kept checkpoint
}

var _ ledger.Store = (*Store)(nil)

// Open opens the store in dir, and makes it if there is none. A directory has one
// opener at a time. [ledger.ErrCorrupt] where it is damaged.
func Open(fs vfs.FS, dir string, o Options) (*Store, error) {
	db, err := openDB(fs, dir, Name, o, tuneForLog)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, judged(err))
	}
	return &Store{db: db, fs: fs, dir: dir}, nil
}

// Name is that of a store among the databases of a process.
const Name = "store"

// judged makes [ledger.ErrCorrupt] of damage.
func judged(err error) error {
	if disk.Damaged(err) && !errors.Is(err, ledger.ErrCorrupt) {
		return fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
	}
	return err
}

// Close waits for reads and writes in progress.
func (s *Store) Close() error { return s.db.Close() }

// FreeBytes is how many bytes the disk still takes.
func (s *Store) FreeBytes() (uint64, error) {
	u, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	return u.AvailBytes, nil
}

// Head implements [ledger.Store].
func (s *Store) Head(context.Context) (ledger.Head, error) {
	v, err := get(s.db, []byte{keyHead})
	switch {
	case err != nil:
		return ledger.Head{}, fmt.Errorf("reading the head: %w", err)
	case v == nil:
		return ledger.Head{Root: proof.EmptyRoot()}, nil
	}
	return decodeHead(v)
}

// Extend implements [ledger.Store].
func (s *Store) Extend(ctx context.Context, x ledger.Extension) error {
	if x.New.Size-x.Old.Size != uint64(len(x.Entries)) {
		return fmt.Errorf("an extension from %d to %d with %d entries", x.Old.Size, x.New.Size, len(x.Entries))
	}
	s.extending.Lock()
	defer s.extending.Unlock()
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	if head != x.Old {
		return fmt.Errorf("%w: it is at %d, not %d", ledger.ErrConflict, head.Size, x.Old.Size)
	}
	size := 256
	for _, e := range x.Entries {
		size += len(e) + 32
	}
	for _, t := range x.Tiles {
		size += len(t.Hashes) + 32
	}
	b := s.db.NewBatchWithSize(size)
	defer b.Close()
	for i, e := range x.Entries {
		op := b.SetDeferred(entryKeySize, len(e))
		putEntryKey(op.Key, x.Old.Size+uint64(i))
		copy(op.Value, e)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	for _, t := range x.Tiles {
		if err := b.Set(tileKey(t.ID), t.Hashes, nil); err != nil {
			return err
		}
	}
	if err := b.Set([]byte{keyHead}, encodeHead(x.New), nil); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// Tiles implements [ledger.Store].
func (s *Store) Tiles(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		v, err := get(s.db, tileKey(id))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", id, err)
		}
		want := id.Width * len(proof.Hash{})
		if len(v) < want {
			return nil, fmt.Errorf("%w: %s, of which %d bytes are there", ledger.ErrMissing, id, len(v))
		}
		out[i] = v[:want:want]
	}
	return out, nil
}

// Entries implements [ledger.Store].
func (s *Store) Entries(ctx context.Context, start, end uint64) (out [][]byte, err error) {
	if start >= end {
		return nil, nil
	}
	defer func() { err = judged(err) }()
	defer s.db.Rescue(&err)
	var key, limit [entryKeySize]byte
	putEntryKey(key[:], start)
	if end-start == 1 {
		v, err := get(s.db, key[:])
		if err == nil && v == nil {
			err = fmt.Errorf("%w: entry %d", ledger.ErrMissing, start)
		}
		return [][]byte{v}, err
	}
	putEntryKey(limit[:], end)
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: key[:], UpperBound: limit[:]})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && bytes.Equal(it.Key(), key[:]); ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("reading entry %d: %w", start+uint64(len(out)), err)
		}
		out = append(out, bytes.Clone(v))
		putEntryKey(key[:], start+uint64(len(out)))
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("reading the entries [%d, %d): %w", start, end, err)
	}
	if got := start + uint64(len(out)); got != end {
		return nil, fmt.Errorf("%w: entry %d", ledger.ErrMissing, got)
	}
	return out, nil
}

// Published implements [ledger.Store].
func (s *Store) Published(context.Context) ([]byte, error) {
	v, err := get(s.db, []byte{keyPublished})
	if err != nil {
		return nil, fmt.Errorf("reading the published checkpoint: %w", err)
	}
	return v, nil
}

// Publish implements [ledger.Store].
func (s *Store) Publish(ctx context.Context, old, next []byte) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	current, err := s.Published(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(current, old) {
		return fmt.Errorf("%w: another checkpoint was published", ledger.ErrConflict)
	}
	return s.db.Set([]byte{keyPublished}, next, pebble.Sync)
}

// get returns a copy of a value; nil if there is none.
func get(db *disk.DB, key []byte) ([]byte, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, judged(err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// Archive implements [ledger.Store]. Each checkpoint has two rows, one found by its
// size and one by its timestamp. Both are in the order in which they were archived,
// since neither number ever falls.
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
// up to the timestamp are both ends of a prefix of the same sequence: the shorter one
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

// The first byte of a key says what lies there. The entries are the bulk and in
// ascending order, so that what is compacted once need not be touched again.
const (
	keyEntry      = 'e' // index, 8 bytes big-endian → the entry
	keyHead       = 'h' // → size, 8 bytes big-endian; root
	keyArchived   = 'k' // size, timestamp, 8 bytes big-endian each → a signed note
	keyArchivedAt = 'm' // timestamp, size, 8 bytes big-endian each → nothing
	keyPublished  = 'p' // → the signed note
	keyTile       = 't' // level, 1 byte; index, 8 bytes big-endian → its hashes so far

	keyCursor = 'c' // of an Index → head that it was advanced to
	keyItem   = 'i' // of an Index: record ID → index, 8 bytes big-endian
)

const entryKeySize = 9

func putEntryKey(k []byte, index uint64) {
	k[0] = keyEntry
	binary.BigEndian.PutUint64(k[1:], index)
}

func tileKey(id proof.TileID) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyTile, id.Level}, id.Index)
}

// archiveKey is the key of a kept checkpoint under either prefix.
func archiveKey(prefix byte, first, second uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{prefix}, first), second)
}

func encodeHead(h ledger.Head) []byte {
	return append(binary.BigEndian.AppendUint64(nil, h.Size), h.Root[:]...)
}

func decodeHead(b []byte) (h ledger.Head, err error) {
	if len(b) != 8+len(h.Root) {
		return h, fmt.Errorf("a head of %d bytes", len(b))
	}
	h.Size = binary.BigEndian.Uint64(b)
	copy(h.Root[:], b[8:])
	return h, nil
}
