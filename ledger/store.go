package ledger

import (
	"context"
	"errors"

	"github.com/seed-53cf897a/docket/ledger/proof"
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
//  5. An archived checkpoint never changes, nor does the order. An Archive that
//     does not come after all others is [ErrConflict] and changes nothing;
//     archiving the newest one again is nil and changes nothing. Archive obeys 3.
//
// A Store is safe for concurrent use; what it returns may be kept, and what it
// is given is not kept.
type Store interface {
	// Head is the newest head; of a new store size 0 with the empty root.
	Head(ctx context.Context) (Head, error)

	// Tiles returns for each ID the first Width hashes of that tile, packed, 32
	// bytes each. Every tile must be below the head ([ErrMissing] otherwise).
	Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error)

	// Entries returns the entries [start, end); end must not be beyond the head
	// ([ErrMissing] otherwise).
	Entries(ctx context.Context, start, end uint64) ([][]byte, error)

	// Extend replaces the head x.Old by x.New.
	Extend(ctx context.Context, x Extension) error

	// Published returns the bytes of the published checkpoint; nil if there is none.
	Published(ctx context.Context) ([]byte, error)

	// Publish replaces the published checkpoint old (nil if there is none) by next.
	Publish(ctx context.Context, old, next []byte) error

	// Archive stores a checkpoint after those that are archived already: neither its
	// Timestamp nor its Size may be less than theirs.
	Archive(ctx context.Context, k ArchivedCheckpoint) error

	// ArchivedUpTo is the newest archived checkpoint of which neither Timestamp nor
	// Size is greater than these; nil if there is none.
	ArchivedUpTo(ctx context.Context, stamp, size uint64) (*ArchivedCheckpoint, error)
}

var (
	// ErrConflict: the store is not where the caller thought; nothing was changed.
	ErrConflict = errors.New("another writer moved the store's head")

	// ErrMissing: what was asked for is not below the store's head, or was lost.
	ErrMissing = errors.New("not in the store")
)

// Head is how far a log has come: its size in entries and the RFC 6962 root over
// them. Of an empty log the root is [proof.EmptyRoot].
type Head = proof.Tree

// ArchivedCheckpoint is a checkpoint that was published once, and is kept since another one
// replaced it. A store does not look into it.
type ArchivedCheckpoint struct {
	Timestamp uint64 // under which it is filed: seconds since 1970
	Size      uint64 // of its tree
	Note      []byte
}

// Extension is one step of the log from Old to New.
type Extension struct {
	Old, New Head

	// Entries are the bytes of the entries [Old.Size, New.Size), in order.
	Entries [][]byte

	// Tiles are all tiles that these entries began or grew, whole, at the width
	// they have at New: a tile only ever grows at its end.
	Tiles []Tile
}

// Tile is one tile with its hashes packed, 32 bytes each.
type Tile struct {
	ID     proof.TileID
	Hashes []byte
}
