package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// Sealer is a store that can be closed for writers for good: what was there moves
// elsewhere, and a log never lives twice. Each Store that docket ships is one.
type Sealer interface {
	Store

	// Sealed is why no writer may take the store; empty if one may.
	Sealed(ctx context.Context) (why string, err error)

	// Seal lets no writer take the store any more, for a reason that who tries is told:
	// "moved to s3://bucket/prefix". Only who has taken it may; it is the last write of this
	// handle. Reads go on. Seal obeys law 3.
	Seal(ctx context.Context, why string) error

	// TakeSealed is Take of a new store, which is sealed from its first write on, or of one
	// that is sealed for the same reason: how a copy is made and made further while nobody
	// else may write. Unseal ends it; then it is as if taken.
	TakeSealed(ctx context.Context, why string) error
	Unseal(ctx context.Context) error
}

// Shared is a store that several machines reach. Any number of handles read it; one of them
// at a time has taken it ([Store.Take]) and writes. Each taking has an epoch, larger by one
// than the one before; a handle of an earlier epoch gets [ErrTakenOver] for each write, and
// [SealedError] if what it finds is sealed.
type Shared interface {
	Sealer

	// Epoch is that of the newest taking, by whomever, read anew; 0 before the first.
	Epoch(ctx context.Context) (uint64, error)

	// TakeAfter is Take if the newest taking is still that of this epoch, and otherwise
	// [ErrTakenOver], and changes nothing: of those who see a writer die one takes its place. Of a
	// sealed store it is [SealedError], whatever the epoch.
	TakeAfter(ctx context.Context, epoch uint64) error

	// Blobs beside the log, for what no promise rests on: the write that arrives last wins, and
	// any of them may be lost. They have names as paths, "lease" or "snapshots/5", and at most
	// MaxBlobBytes. Blob is [ErrMissing] where there is none; ListBlobs is in order of the
	// names, and may be older than the newest write.
	PutBlob(ctx context.Context, name string, blob []byte) error
	Blob(ctx context.Context, name string) ([]byte, error)
	ListBlobs(ctx context.Context, prefix string) (names []string, err error)
	DeleteBlob(ctx context.Context, name string) error
}

// MaxBlobBytes is the largest blob that a Shared store keeps beside its log.
const MaxBlobBytes = 8 << 20

// blobName is what every store takes as a key, and a file system as a path; no part begins with a
// dot, as the files do that some servers put beside an object while it is written.
var blobName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

// CheckBlobName is an error of what no blob beside a log may be called.
func CheckBlobName(name string) error {
	if len(name) > 255 || !blobName.MatchString(name) {
		return fmt.Errorf("%q is no name for a blob: want parts of letters, digits, dots, hyphens and underscores between slashes, none of which begins with a dot, 255 bytes at most", name)
	}
	return nil
}

// ErrTakenOver is an [ErrConflict]: another writer has taken the store since this one did.
// Nothing is lost; this one ends.
var ErrTakenOver = fmt.Errorf("another writer took over: %w", ErrConflict)

// ErrNotTaken: the handle is for reading; nothing was written.
var ErrNotTaken = errors.New("the store was opened for reading")

// SealedError is why a sealed store is not taken.
type SealedError struct{ Why string }

func (e *SealedError) Error() string { return "no ledger may write here any more: " + e.Why }
