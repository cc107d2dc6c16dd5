package pebblestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Blob is an item that is always admitted: bytes, identified by their SHA-256.
type Blob struct {
	data []byte
	id   ledger.ID
}

// NewBlob takes data over; the caller must not change it any more.
func NewBlob(data []byte) Blob { return Blob{data, sha256.Sum256(data)} }

// ID is the SHA-256 of its bytes.
func (b Blob) ID() ledger.ID { return b.id }

// BlobFold is a fold that admits every blob once and remembers where: exact
// deduplication and nothing else. With it the ledger's own cost can be measured,
// and its laws tested, without the register's. Its entries are the admission
// time, 8 bytes of big-endian Unix milliseconds, and then the blob.
type BlobFold struct {
	fs      vfs.FS
	dir     string
	options Options
	policy  *proof.Policy
	db      *disk.DB
	cursor  ledger.Head
}

var _ ledger.Fold[Blob] = (*BlobFold)(nil)

// OpenBlobFold opens the index in dir, and makes it if there is none. Every
// checkpoint of its ledger has to satisfy policy.
func OpenBlobFold(fs vfs.FS, dir string, policy *proof.Policy, o Options) (*BlobFold, error) {
	x := &BlobFold{fs: fs, dir: dir, options: o, policy: policy}
	if err := x.open(); err != nil {
		return nil, fmt.Errorf("opening the index %s: %w", dir, err)
	}
	return x, nil
}

func (x *BlobFold) open() (err error) {
	if x.db, err = openDB(x.fs, x.dir, "index", x.options, tuneForLookups); err != nil {
		return err
	}
	v, err := get(x.db, []byte{keyCursor})
	switch {
	case err != nil:
		return errors.Join(err, x.db.Close())
	case v == nil:
		x.cursor = ledger.Head{Root: proof.EmptyRoot()}
		return nil
	}
	x.cursor, err = decodeHead(v)
	return err
}

// Close waits for reads and writes in progress.
func (x *BlobFold) Close() error { return x.db.Close() }

// ID implements [ledger.Fold].
func (x *BlobFold) ID(b Blob) ledger.ID { return b.id }

// Cursor implements [ledger.Fold].
func (x *BlobFold) Cursor() ledger.Head { return x.cursor }

// Begin implements [ledger.Fold].
func (x *BlobFold) Begin(admitted time.Time) ledger.Draft[Blob] {
	return &blobDraft{fold: x, admitted: uint64(admitted.UnixMilli())}
}

type blobDraft struct {
	fold     *BlobFold
	admitted uint64
	ids      []ledger.ID
}

// Judge implements [ledger.Draft].
func (d *blobDraft) Judge(b Blob) ([]byte, error) {
	d.ids = append(d.ids, b.id)
	entry := make([]byte, 0, 8+len(b.data))
	return append(binary.BigEndian.AppendUint64(entry, d.admitted), b.data...), nil
}

// Next implements [ledger.Draft]. Blobs do not depend on one another, so neither do
// drafts.
func (d *blobDraft) Next(admitted time.Time) ledger.Draft[Blob] { return d.fold.Begin(admitted) }

// Advance implements [ledger.Draft].
func (d *blobDraft) Advance(head ledger.Head) error { return d.fold.advance(d.ids, head) }

// advance writes the rows sorted: neighbours in a batch are neighbours in the
// memory table, which finds their place the faster.
func (x *BlobFold) advance(ids []ledger.ID, head ledger.Head) error {
	type row struct {
		id    ledger.ID
		index uint64
	}
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = row{id, x.cursor.Size + uint64(i)}
	}
	slices.SortFunc(rows, func(a, b row) int { return bytes.Compare(a.id[:], b.id[:]) })
	b := x.db.NewBatchWithSize(len(rows)*56 + 64)
	defer b.Close()
	for _, r := range rows {
		op := b.SetDeferred(1+len(r.id), 8)
		op.Key[0] = keyItem
		copy(op.Key[1:], r.id[:])
		binary.BigEndian.PutUint64(op.Value, r.index)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	if err := b.Set([]byte{keyCursor}, encodeHead(head), nil); err != nil {
		return err
	}
	if err := x.db.Apply(b, pebble.NoSync); err != nil {
		return err
	}
	x.cursor = head
	return nil
}

// Replay implements [ledger.Fold].
func (x *BlobFold) Replay(_ context.Context, entries [][]byte, head ledger.Head) error {
	ids := make([]ledger.ID, len(entries))
	for i, e := range entries {
		if len(e) < 8 {
			return fmt.Errorf("entry %d has %d bytes", x.cursor.Size+uint64(i), len(e))
		}
		ids[i] = sha256.Sum256(e[8:])
	}
	return x.advance(ids, head)
}

// Lookup implements [ledger.Fold].
func (x *BlobFold) Lookup(id ledger.ID) (uint64, bool, error) {
	v, err := x.db.Row(append([]byte{keyItem}, id[:]...))
	if v == nil || err != nil {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(v), true, nil
}

// IDs implements [ledger.Fold].
func (x *BlobFold) IDs(yield func(ledger.ID) error) error {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyItem}, UpperBound: []byte{keyItem + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := yield(ledger.ID(it.Key()[1:])); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

// Policy implements [ledger.Fold].
func (x *BlobFold) Policy(uint64) (*proof.Policy, uint64, error) { return x.policy, 0, nil }

// AdmittedAt implements [ledger.Fold].
func (x *BlobFold) AdmittedAt(entry []byte) (time.Time, error) {
	if len(entry) < 8 {
		return time.Time{}, fmt.Errorf("an entry of %d bytes", len(entry))
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(entry))).UTC(), nil
}
