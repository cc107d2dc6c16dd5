package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Store keeps one log: its entries, its tiles, its head and its published
// checkpoint. It knows layout and nothing else; sequencing, hashing and signing
// stand above it (DESIGN.md section 6, "The seam").
//
// The laws, which package storetest checks of every Store:
//
//  1. Extend replaces Old by New, with the entries and tiles between, or returns
//     [ErrConflict] and changes nothing.
//  2. After a head was returned once, everything below it stays readable and
//     unchanged. What was staged and never became a head is invisible.
//  3. Nil means durable. Any error but ErrConflict means unknown: the extension
//     is applied, or is not, or will be applied later, even after a reopen; in
//     the last case a next Extend from the old head must conflict.
//  4. Publish obeys 1 and 3 for the published checkpoint.
//  5. An archived blob never changes, and none between two is missing. An Archive under
//     another number than the next is [ErrConflict] and changes nothing; archiving the
//     newest one again is nil and changes nothing. Archive obeys 3.
//  6. Take makes this handle the one that writes. Whatever an earlier one still has in flight
//     conflicts from then on, and what was read before Take returned may be outdated. A
//     sealed store is not taken ([SealedError]). A write before Take is [ErrNotTaken], unless
//     the engine lets no second opener in anyhow. Take obeys 3; taking again is harmless.
//  7. A call returns soon after its context has ended: a read with an error, a write with
//     nil or an error as of 3. The ledger gives every call a deadline. Only a write to a
//     disk of this machine that is full may wait on.
//
// A Store is safe for concurrent use; what it returns may be kept, and what it
// is given is not kept.
type Store interface {
	// Source reads what is published, tiles and entries. Every tile and entry must be
	// below the head ([ErrMissing] otherwise). Tiles reads many in one call.
	reader.Source

	// Take opens the store for writing. [Open] calls it before it reads anything.
	Take(ctx context.Context) error

	// Head is the newest head; of a new store size 0 with the empty root.
	Head(ctx context.Context) (Head, error)

	// Extend replaces the head x.Old by x.New.
	Extend(ctx context.Context, x Extension) error

	// Publish replaces the published checkpoint old (nil if there is none) by next.
	Publish(ctx context.Context, old, next []byte) error

	// ArchivedCount is how many blobs are archived: they have the numbers below it.
	ArchivedCount(ctx context.Context) (uint64, error)

	// Archive stores a blob under the next number. What it holds, and what it is looked
	// up by, is the ledger's business.
	Archive(ctx context.Context, number uint64, blob []byte) error

	// Archived returns the blob of that number ([ErrMissing] if there is none).
	Archived(ctx context.Context, number uint64) ([]byte, error)
}

// ArchivingStore is a Store that archives and publishes in one write, because each one is dear.
// Whatever hands on the calls of another Store hands on this one by [ArchiveAndPublish].
type ArchivingStore interface {
	Store

	// ArchiveAndPublish is Archive and Publish: of an error neither or both may be done.
	// [ErrConflict] if either conflicts, and then neither is.
	ArchiveAndPublish(ctx context.Context, number uint64, blob, old, next []byte) error
}

// ArchiveAndPublish archives a blob and then publishes, in one write if the store can.
func ArchiveAndPublish(ctx context.Context, s Store, number uint64, blob, old, next []byte) error {
	if a, ok := s.(ArchivingStore); ok {
		return a.ArchiveAndPublish(ctx, number, blob, old, next)
	}
	if err := s.Archive(ctx, number, blob); err != nil {
		return err
	}
	return s.Publish(ctx, old, next)
}

var (
	// ErrConflict: the store is not where the caller thought; nothing was changed.
	ErrConflict = errors.New("another writer moved the store's head")

	// ErrMissing: what was asked for is not below the store's head, or was lost.
	ErrMissing = reader.ErrMissing

	// ErrCorrupt: what the store holds cannot be read, or does not hash to the root that
	// it belongs to. Whatever needs something else goes on.
	ErrCorrupt = reader.ErrCorrupt
)

// Head is how far a log has come: its size in entries and the RFC 6962 root over
// them. Of an empty log the root is [proof.EmptyRoot].
type Head = proof.Tree

// Extension is one step of the log from Old to New.
type Extension struct {
	Old, New Head

	// Entries are the bytes of the entries [Old.Size, New.Size), in order.
	Entries [][]byte

	// Tiles are all tiles that these entries began or grew, whole, at the width
	// they have at New: a tile only ever grows at its end.
	Tiles []proof.Tile
}

// Check is an error of an extension that leads nowhere: without an entry for each index between its heads, or
// to another root of the same size.
func (x Extension) Check() error {
	if x.New.Size-x.Old.Size != uint64(len(x.Entries)) || len(x.Entries) == 0 && x.New != x.Old {
		return fmt.Errorf("an extension from %d to %d with %d entries", x.Old.Size, x.New.Size, len(x.Entries))
	}
	return nil
}

// Bounded gives every call of a store a deadline: for who reads one that may hang.
func Bounded(s Store, timeout time.Duration) Store { return boundedStore{s, timeout} }

// boundedStore gives every call of a store a deadline: one that runs out is an error of a
// read, and of a write an outcome that is unknown.
type boundedStore struct {
	store   Store
	timeout time.Duration
}

func (s boundedStore) Published(ctx context.Context) ([]byte, error) {
	return bounded(ctx, s.timeout, s.store.Published)
}

func (s boundedStore) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	return bounded(ctx, s.timeout, func(ctx context.Context) ([][]byte, error) { return s.store.Tiles(ctx, ids) })
}

func (s boundedStore) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	return bounded(ctx, s.timeout, func(ctx context.Context) ([][]byte, error) { return s.store.Entries(ctx, start, end) })
}

func (s boundedStore) Head(ctx context.Context) (Head, error) {
	return bounded(ctx, s.timeout, s.store.Head)
}

func (s boundedStore) ArchivedCount(ctx context.Context) (uint64, error) {
	return bounded(ctx, s.timeout, s.store.ArchivedCount)
}

func (s boundedStore) Archived(ctx context.Context, number uint64) ([]byte, error) {
	return bounded(ctx, s.timeout, func(ctx context.Context) ([]byte, error) { return s.store.Archived(ctx, number) })
}

func (s boundedStore) Take(ctx context.Context) error { return s.write(ctx, s.store.Take) }

func (s boundedStore) Extend(ctx context.Context, x Extension) error {
	return s.write(ctx, func(ctx context.Context) error { return s.store.Extend(ctx, x) })
}

func (s boundedStore) Publish(ctx context.Context, old, next []byte) error {
	return s.write(ctx, func(ctx context.Context) error { return s.store.Publish(ctx, old, next) })
}

func (s boundedStore) Archive(ctx context.Context, number uint64, blob []byte) error {
	return s.write(ctx, func(ctx context.Context) error { return s.store.Archive(ctx, number, blob) })
}

func (s boundedStore) ArchiveAndPublish(ctx context.Context, number uint64, blob, old, next []byte) error {
	if a, ok := s.store.(ArchivingStore); ok {
		return s.write(ctx, func(ctx context.Context) error { return a.ArchiveAndPublish(ctx, number, blob, old, next) })
	}
	if err := s.Archive(ctx, number, blob); err != nil { // each within its own time
		return err
	}
	return s.Publish(ctx, old, next)
}

func bounded[T any](ctx context.Context, timeout time.Duration, read func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return read(ctx)
}

// write makes a write's error [ErrUnknown], unless it says that nothing was written. The caller giving up
// does not end it: its outcome would be unknown for nothing.
func (s boundedStore) write(ctx context.Context, w func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	err := w(ctx)
	var sealed *SealedError
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotTaken) && !errors.As(err, &sealed) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}
