// Package pebblestore keeps a log in a directory, with Pebble: the embedded
// default of [ledger.Store]. It also has [BlobFold], the smallest [ledger.Fold].
//
// One Extend is one synced batch. Entries lie one under each key; a tile lies
// packed under one key and is written again, longer, as it grows: 256 keys for it
// were measured a hundred times slower to read.
//
// A write that has begun does not end with its context: while the disk is full it waits, and
// then its outcome is known. Pebble does not return a failed sync: it ends the process, since the state of the
// disk is unknown then. So here the death of the process is the recovery path
// ([disk.Health]).
package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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

	sealing sync.RWMutex // held for writing while the store is sealed or unsealed, for reading by what it forbids
	sealed  string       // why nothing is written to it, as it was when it was opened or sealed since; guarded by sealing
	filling bool         // this handle has taken it sealed, and fills it; guarded by sealing

	extending  sync.Mutex // held over compare and swap of the head
	publishing sync.Mutex // held over compare and swap of the published checkpoint
	archiving  sync.Mutex // held over count and append of an archived blob
}

var _ ledger.Sealer = (*Store)(nil)

// formatVersion is that of the rows below; an earlier one is migrated when it is opened, and
// a later one is [ErrLaterVersion]. 1 had no row that said so, and kept the archive by size.
// A sealed store is of format 3 until it is unsealed, so that no docket that knows nothing of
// seals writes to it.
const (
	formatVersion = 2
	sealedFormat  = 3
)

var (
	// ErrLaterVersion is a store that a later version of docket wrote.
	ErrLaterVersion = errors.New("upgrade docket")
	// ErrEarlierVersion is a store that an earlier version of docket wrote, and that is to be
	// read only.
	ErrEarlierVersion = errors.New("it is of an earlier version of docket: docket serve takes it over, once it is started")
)

// Open opens the store in dir, and makes it if there is none. A directory has one
// opener at a time. [ledger.ErrCorrupt] where it is damaged.
func Open(fs vfs.FS, dir string, o Options) (*Store, error) {
	db, err := openDB(fs, dir, Name, o, tuneForLog)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, judged(err))
	}
	s := &Store{db: db, fs: fs, dir: dir}
	if err := s.takeOver(o.ReadOnly); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// takeOver brings a store of an earlier format to this one.
func (s *Store) takeOver(readOnly bool) error {
	v, err := get(s.db, []byte{keyFormat})
	switch {
	case err != nil:
		return fmt.Errorf("reading its format: %w", err)
	case len(v) == 8 && binary.BigEndian.Uint64(v) == sealedFormat:
		why, err := get(s.db, []byte{keySealed})
		if err == nil && len(why) == 0 {
			err = fmt.Errorf("%w: it is sealed, and does not say why", ledger.ErrCorrupt)
		}
		s.sealed = string(why)
		return err
	case len(v) == 8 && binary.BigEndian.Uint64(v) > sealedFormat:
		return fmt.Errorf("it is of format %d, and this version of docket reads no later one than %d: %w", binary.BigEndian.Uint64(v), sealedFormat, ErrLaterVersion)
	case len(v) == 8 && binary.BigEndian.Uint64(v) == formatVersion:
		return nil
	case v != nil:
		return fmt.Errorf("%w: its format is %x", ledger.ErrCorrupt, v)
	case readOnly:
		return s.checkArchive()
	}
	if err := s.migrateArchive(); err != nil {
		return fmt.Errorf("numbering its archive: %w", err)
	}
	return s.db.Set([]byte{keyFormat}, encodeFormat(formatVersion), pebble.Sync)
}

func encodeFormat(format uint64) []byte { return binary.BigEndian.AppendUint64(nil, format) }

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
func (s *Store) Head(ctx context.Context) (ledger.Head, error) {
	if err := ctx.Err(); err != nil {
		return ledger.Head{}, err
	}
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
	if err := x.Check(); err != nil {
		return err
	}
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	if err := s.mayWrite(); err != nil {
		return err
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
func (s *Store) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
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
	if err := ctx.Err(); err != nil || start >= end {
		return nil, err
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
		if err := cmp.Or(err, ctx.Err()); err != nil {
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
func (s *Store) Published(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, err := get(s.db, []byte{keyPublished})
	if err != nil {
		return nil, fmt.Errorf("reading the published checkpoint: %w", err)
	}
	return v, nil
}

// Publish implements [ledger.Store].
func (s *Store) Publish(ctx context.Context, old, next []byte) error {
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
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
	v, err := db.Row(key)
	return v, judged(err)
}

// ArchivedCount implements [ledger.Store]: the last number and one.
func (s *Store) ArchivedCount(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.archivedCount()
}

func (s *Store) archivedCount() (n uint64, err error) {
	defer func() { err = judged(err) }()
	defer s.db.Rescue(&err)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyArchived}, UpperBound: []byte{keyArchived + 1}})
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.Last() {
		return 0, it.Error()
	}
	if len(it.Key()) != 9 {
		return 0, fmt.Errorf("a row of the archive with a key of %d bytes", len(it.Key()))
	}
	return binary.BigEndian.Uint64(it.Key()[1:]) + 1, nil
}

// Archive implements [ledger.Store].
func (s *Store) Archive(ctx context.Context, number uint64, blob []byte) error {
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
	s.archiving.Lock()
	defer s.archiving.Unlock()
	count, err := s.ArchivedCount(ctx)
	if err != nil {
		return err
	}
	if number+1 == count {
		newest, err := s.Archived(ctx, number)
		if err != nil {
			return err
		}
		if bytes.Equal(newest, blob) {
			return nil
		}
	}
	if number != count {
		return fmt.Errorf("%w: %d blobs are archived, this is to be number %d", ledger.ErrConflict, count, number)
	}
	return s.db.Set(archiveKey(number), blob, pebble.Sync)
}

// Archived implements [ledger.Store].
func (s *Store) Archived(ctx context.Context, number uint64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, err := get(s.db, archiveKey(number))
	if err == nil && v == nil {
		err = fmt.Errorf("%w: archived blob %d", ledger.ErrMissing, number)
	}
	return v, err
}

// checkArchive is [ErrEarlierVersion] where there is something to migrate.
func (s *Store) checkArchive() (err error) {
	defer func() { err = judged(err) }()
	defer s.db.Rescue(&err)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyArchivedBySize}, UpperBound: []byte{keyArchivedBySize + 1}})
	if err != nil {
		return err
	}
	if it.First() {
		return errors.Join(ErrEarlierVersion, it.Close())
	}
	return it.Close()
}

// migrateBatch is how many rows of an older archive get their numbers in one write.
const migrateBatch = 256

// migrateArchive gives the checkpoints their numbers that an earlier version kept under
// size and time, in the order in which they were archived, which is that of both. Each
// write takes some of them whole: one that is interrupted leaves a part that is migrated
// and a part that is not, and the next opening goes on.
func (s *Store) migrateArchive() error {
	for {
		n, err := s.migrateSome()
		if err != nil || n == 0 {
			return judged(err)
		}
	}
}

func (s *Store) migrateSome() (n int, err error) {
	defer s.db.Rescue(&err)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyArchivedBySize}, UpperBound: []byte{keyArchivedBySize + 1}})
	if err != nil {
		return 0, err
	}
	defer it.Close()
	b := s.db.NewBatch()
	defer b.Close()
	var number uint64
	for ok := it.First(); ok && n < migrateBatch; ok = it.Next() {
		if n == 0 {
			if number, err = s.archivedCount(); err != nil {
				return 0, err
			}
		}
		if len(it.Key()) != 1+8+8 {
			return 0, fmt.Errorf("a row of a kept checkpoint with a key of %d bytes", len(it.Key()))
		}
		note, err := it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		size, timestamp := it.Key()[1:9], it.Key()[9:]
		byTime := slices.Concat([]byte{keyArchivedByTime}, timestamp, size)
		if err := errors.Join(
			b.Set(archiveKey(number+uint64(n)), ledger.ArchiveBlob(binary.BigEndian.Uint64(timestamp), note), nil),
			b.Delete(it.Key(), nil), b.Delete(byTime, nil)); err != nil {
			return 0, err
		}
		n++
	}
	if err := it.Error(); err != nil || n == 0 {
		return 0, err
	}
	return n, s.db.Apply(b, pebble.Sync)
}

// The first byte of a key says what lies there. The entries are the bulk and in
// ascending order, so that what is compacted once need not be touched again.
const (
	keyArchived  = 'a' // number, 8 bytes big-endian → the blob
	keyEntry     = 'e' // index, 8 bytes big-endian → the entry
	keyFormat    = 'f' // → number of the format, 8 bytes big-endian
	keyHead      = 'h' // → size, 8 bytes big-endian; root
	keyPublished = 'p' // → the signed note
	keySealed    = 's' // → why nothing is written any more; with format 3 alone
	keyTile      = 't' // level, 1 byte; index, 8 bytes big-endian → its hashes so far

	// What an earlier version wrote, and the opening migrates.
	keyArchivedBySize = 'k' // size, timestamp, 8 bytes big-endian each → a signed note
	keyArchivedByTime = 'm' // timestamp, size, 8 bytes big-endian each → nothing

	keyCursor = 'c' // of a BlobFold → head that it was advanced to
	keyItem   = 'i' // of a BlobFold: the blob's ID → index, 8 bytes big-endian
)

const entryKeySize = 9

func putEntryKey(k []byte, index uint64) {
	k[0] = keyEntry
	binary.BigEndian.PutUint64(k[1:], index)
}

func tileKey(id proof.TileID) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyTile, id.Level}, id.Index)
}

func archiveKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyArchived}, number)
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
