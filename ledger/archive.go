package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrNotArchived: no checkpoint of that time or size is kept. Published ones are
// thinned to one a minute, and nothing proves a time under quorum none.
var ErrNotArchived = errors.New("no such checkpoint is kept")

// toArchive is the published checkpoint as it is archived before the next one replaces it, if it
// is the last of its minute by quorum time, and of these the first or last of its size, since the
// one shows what was knowable and the other what was not there yet; or if it is the last under
// its policy, so that the charter stays provable under its own witnesses. nil if it is not archived.
//
// It is archived under the time of its quorum, or that of the one before if that is
// later: witnesses' clocks differ, the order of the sizes is certain.
func (l *Ledger[V]) toArchive(old, next *proof.Published) (*archivedCheckpoint, error) {
	if old == nil {
		return nil, nil
	}
	last := l.archived.newest()
	wanted, err := l.shouldArchive(old, next, last)
	if err != nil || !wanted {
		return nil, err
	}
	k := &archivedCheckpoint{archiveKey{max(unixSeconds(old.ExistedBy()), last.timestamp), old.Checkpoint().Size}, old.Note()}
	if k.archiveKey == last.archiveKey {
		return nil, nil // before the ledger was opened, which had not come to publish the next one
	}
	return k, nil
}

func (l *Ledger[V]) shouldArchive(old, next *proof.Published, last archivedCheckpoint) (bool, error) {
	size, after := old.Checkpoint().Size, next.Checkpoint().Size
	if after > size {
		_, was, err := l.fold.Policy(size)
		if err != nil {
			return false, err
		}
		_, is, err := l.fold.Policy(after)
		if err != nil || is != was {
			return is != was, err
		}
	}
	if old.ExistedBy().IsZero() || minuteOf(old) == minuteOf(next) {
		return false, nil
	}
	return after > size || last.size != size || last.note == nil, nil
}

func minuteOf(p *proof.Published) time.Time { return p.ExistedBy().Truncate(time.Minute) }

// unixSeconds is a time as a timestamp; no time, and any before 1970, is 0.
func unixSeconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

// CheckpointAt is the newest kept checkpoint of which the quorum is stamped no
// later than t: what was knowable then. [ErrNotArchived] if none is.
func (l *Ledger[V]) CheckpointAt(ctx context.Context, t time.Time) (*proof.Published, error) {
	newest := l.Published()
	if newest == nil {
		return nil, fmt.Errorf("%w: nothing is published", ErrNotArchived)
	}
	if at := newest.ExistedBy(); !at.IsZero() && !at.After(t) {
		return newest, nil
	}
	for size := uint64(math.MaxUint64); ; {
		k, err := l.archived.upTo(ctx, unixSeconds(t), size)
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint kept of %s: %w", t.UTC().Format(time.RFC3339), err)
		}
		if k == nil {
			return nil, fmt.Errorf("%w: none has a quorum that is stamped %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		p, err := l.verifyArchived(ctx, k)
		if err != nil {
			return nil, err
		}
		if at := p.ExistedBy(); !at.IsZero() && !at.After(t) {
			return p, nil
		}
		if k.size == 0 {
			return nil, fmt.Errorf("%w: none has a quorum that is stamped %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		size = k.size - 1 // the last one under a policy whose quorum was none
	}
}

// CheckpointUpTo is the newest checkpoint of at most that size, of those that are
// kept or published. [ErrNotArchived] if none is. Of the index of a charter, it is the
// last one under the charter before.
func (l *Ledger[V]) CheckpointUpTo(ctx context.Context, size uint64) (*proof.Published, error) {
	if newest := l.Published(); newest != nil && newest.Checkpoint().Size <= size {
		return newest, nil
	}
	k, err := l.archived.upTo(ctx, math.MaxUint64, size)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint kept under size %d: %w", size, err)
	}
	if k == nil {
		return nil, fmt.Errorf("%w: none is of size %d or less", ErrNotArchived, size)
	}
	return l.verifyArchived(ctx, k)
}

// ReceiptUpTo is the receipt of the entry at index against [Ledger.CheckpointUpTo]
// of that size. [ErrNotArchived] if that is too small to hold the entry.
func (l *Ledger[V]) ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error) {
	p, err := l.CheckpointUpTo(ctx, size)
	if err != nil {
		return proof.Receipt{}, err
	}
	if p.Checkpoint().Size <= index {
		return proof.Receipt{}, fmt.Errorf("%w: none is of a size above %d and up to %d", ErrNotArchived, index, size)
	}
	return l.ReceiptAgainst(ctx, index, p)
}

// ErrOtherTree: a checkpoint is of no tree that this log has.
var ErrOtherTree = errors.New("a checkpoint of another tree than this log's")

// CheckpointOf is the checkpoint that a note is of, as it was published: by the note, if it
// satisfies the policy of its size, or as it is kept. [ErrOtherTree], [ErrNotArchived].
func (l *Ledger[V]) CheckpointOf(ctx context.Context, note []byte) (*proof.Published, error) {
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	switch {
	case cp.Origin != l.config.Origin:
		return nil, fmt.Errorf("%w: it is of %s", ErrOtherTree, cp.Origin)
	case cp.Size == 0 || cp.Size > l.PublishedSize():
		return nil, fmt.Errorf("%w: size %d, and %d is published", ErrNotArchived, cp.Size, l.PublishedSize())
	}
	made, err := l.owner.TreeAt(ctx, l.tree.Load().Snapshot, cp.Size)
	if err != nil {
		return nil, err
	}
	if made != cp.Tree() {
		return nil, fmt.Errorf("%w: at size %d its root is %s", ErrOtherTree, cp.Size, made.Root)
	}
	policy, _, err := l.fold.Policy(cp.Size)
	if err != nil {
		return nil, fmt.Errorf("policy for size %d: %w", cp.Size, err)
	}
	if p, err := policy.Verify(note, time.Now()); err == nil {
		return p, nil
	}
	p, err := l.CheckpointUpTo(ctx, cp.Size)
	if err == nil && p.Checkpoint().Size != cp.Size {
		return nil, fmt.Errorf("%w: none of size %d, and this one does not satisfy the policy by itself", ErrNotArchived, cp.Size)
	}
	return p, err
}

// verifyArchived checks what was read back against the tree and the policy of its time.
func (l *Ledger[V]) verifyArchived(ctx context.Context, k *archivedCheckpoint) (*proof.Published, error) {
	policy, _, err := l.fold.Policy(k.size)
	if err != nil {
		return nil, fmt.Errorf("policy for size %d: %w", k.size, err)
	}
	p, err := policy.Verify(k.note, farFuture)
	if err != nil {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d: %w", ErrCorrupt, k.size, err)
	}
	cp, tree := p.Checkpoint(), l.tree.Load()
	if cp.Size != k.size || cp.Size > tree.Size {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d is of size %d", ErrCorrupt, k.size, cp.Size)
	}
	made, err := l.owner.TreeAt(ctx, tree.Snapshot, cp.Size)
	if err != nil {
		return nil, err
	}
	if cp.Tree() != made || cp.Origin != l.config.Origin {
		return nil, fmt.Errorf("%w: the kept checkpoint of size %d is of another tree", ErrCorrupt, k.size)
	}
	return p, nil
}

// archive finds the checkpoints that were published once among the blobs of a store. The
// time under which they are filed never goes back from one number to the next, nor does
// the size: so both are found by bisection, and no index is stored.
type archive struct {
	store Store
	keys  *lru.Cache[uint64, archiveKey] // by number, of those that were read last

	mu    sync.Mutex // guards what follows, since it is read while Publish adds
	count uint64
	last  archivedCheckpoint // the newest; without a note if there is none
}

// archiveKey is what an archived checkpoint is looked up by.
type archiveKey struct {
	timestamp uint64 // under which it is filed: seconds since 1970
	size      uint64 // of its tree
}

type archivedCheckpoint struct {
	archiveKey
	note []byte
}

// archiveKeys is how many keys are kept, 16 bytes each: those by which a bisection begins
// are always among them.
const archiveKeys = 1 << 14

// newArchive is one of which nothing is read yet.
func newArchive(store Store) *archive {
	a := &archive{store: store}
	a.keys, _ = lru.New[uint64, archiveKey](archiveKeys) // an error only of a size below 1
	return a
}

// openArchive reads how many there are, and the newest.
func openArchive(ctx context.Context, store Store) (*archive, error) {
	var err error
	a := newArchive(store)
	if a.count, err = store.ArchivedCount(ctx); err != nil {
		return nil, fmt.Errorf("counting the kept checkpoints: %w", err)
	}
	if a.count > 0 {
		a.last, err = a.read(ctx, a.count-1)
	}
	return a, err
}

// recount takes notice of those that another writer has added.
func (a *archive) recount(ctx context.Context) error {
	count, err := a.store.ArchivedCount(ctx)
	if err != nil {
		return fmt.Errorf("counting the kept checkpoints: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count = max(a.count, count)
	return nil
}

func (a *archive) newest() archivedCheckpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// add files a checkpoint after all others, and publishes another. One caller adds at a time.
func (a *archive) add(ctx context.Context, k archivedCheckpoint, old, next []byte) error {
	a.mu.Lock()
	number := a.count
	a.mu.Unlock()
	if err := ArchiveAndPublish(ctx, a.store, number, ArchiveBlob(k.timestamp, k.note), old, next); err != nil {
		return fmt.Errorf("keeping the checkpoint of size %d: %w", k.size, err)
	}
	a.keys.Add(number, k.archiveKey)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count, a.last = number+1, k
	return nil
}

// upTo is the newest one of which neither time nor size is greater than these; nil if
// there is none.
func (a *archive) upTo(ctx context.Context, timestamp, size uint64) (*archivedCheckpoint, error) {
	a.mu.Lock()
	low, high := uint64(0), a.count // those below low are within both, those from high on are not
	a.mu.Unlock()
	for low < high {
		middle := low + (high-low)/2
		k, ok := a.keys.Get(middle)
		if !ok {
			c, err := a.read(ctx, middle)
			if err != nil {
				return nil, err
			}
			k = c.archiveKey
		}
		if k.timestamp <= timestamp && k.size <= size {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return nil, nil
	}
	c, err := a.read(ctx, low-1)
	return &c, err
}

func (a *archive) read(ctx context.Context, number uint64) (archivedCheckpoint, error) {
	blob, err := a.store.Archived(ctx, number)
	if err != nil {
		return archivedCheckpoint{}, fmt.Errorf("reading the kept checkpoint %d: %w", number, err)
	}
	k, err := parseArchiveBlob(blob)
	if err != nil {
		return archivedCheckpoint{}, fmt.Errorf("%w: the kept checkpoint %d: %w", ErrCorrupt, number, err)
	}
	a.keys.Add(number, k.archiveKey)
	return k, nil
}

// ArchiveBlob is what the archive holds of a checkpoint: the time under which it is filed,
// in seconds since 1970, on a line of its own, and then the signed note.
func ArchiveBlob(timestamp uint64, note []byte) []byte {
	return append(fmt.Appendf(nil, "%d\n", timestamp), note...)
}

func parseArchiveBlob(blob []byte) (k archivedCheckpoint, err error) {
	line, note, ok := bytes.Cut(blob, []byte("\n"))
	if k.timestamp, err = strconv.ParseUint(string(line), 10, 64); err != nil || !ok {
		return k, errors.New("it does not begin with a time")
	}
	cp, _, err := proof.ParseCheckpoint(note)
	k.size, k.note = cp.Size, note
	return k, err
}

// KeptCheckpoints reads the checkpoints that a store keeps, whoever writes there. It verifies nothing:
// what it finds is what the store says.
type KeptCheckpoints struct{ kept *archive }

// ReadKept makes one. It reads nothing yet.
func ReadKept(store Store) *KeptCheckpoints { return &KeptCheckpoints{newArchive(store)} }

// CheckpointAt is the note of the newest kept checkpoint that is filed under t or earlier, of
// those that somebody beside the log has signed: the others prove no time. [ErrNotArchived] if
// there is none.
func (a *KeptCheckpoints) CheckpointAt(ctx context.Context, t time.Time) ([]byte, error) {
	if err := a.kept.recount(ctx); err != nil {
		return nil, err
	}
	for size := uint64(math.MaxUint64); ; {
		k, err := a.kept.upTo(ctx, unixSeconds(t), size)
		if err != nil {
			return nil, err
		}
		if k == nil {
			return nil, fmt.Errorf("%w: none is filed under %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		cp, signatures, err := proof.ParseCheckpoint(k.note)
		if err != nil {
			return nil, fmt.Errorf("%w: a kept checkpoint: %w", ErrCorrupt, err)
		}
		if slices.ContainsFunc(signatures, func(s proof.Signature) bool { return s.Name != cp.Origin }) {
			return k.note, nil
		}
		if k.size == 0 {
			return nil, fmt.Errorf("%w: none has a cosignature that is filed under %s or earlier", ErrNotArchived, t.UTC().Format(time.RFC3339))
		}
		size = k.size - 1
	}
}
