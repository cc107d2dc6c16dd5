package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Check reads all that a store holds, while nothing writes to it: every entry, every tile
// and every checkpoint, and has a fold judge the entries from the first one on. It writes
// nothing to the store, and keeps a batch of entries in memory.
type Check[V any] struct {
	Store Store
	Fold  Fold[V] // an empty one

	// OnMark is called when the fold has come to the size Mark, if it does.
	Mark   uint64
	OnMark func() error

	OnProgress func(reached, size uint64) // may be nil
}

// Checked is what a [Check] found.
type Checked struct {
	Head        Head
	LostEntries []Span // those that cannot be read, or are not those of the head's tree
	Unproven    error  // why nothing shows whether the others are those of the head's tree; nil if they are

	Judged    uint64 // entries below which the fold has taken in
	JudgedErr error  // why it has taken in no more

	Tiles      uint64 // that were compared with what the entries make
	WrongTiles []Span // of these, by number: those that cannot be read, or are others; the entries make them anew

	NothingPublished bool             // there is no published checkpoint
	Published        *proof.Published // nil if there is none, it was not judged, or is not what it should be
	PublishedErr     error            // why it is not

	Archived     uint64 // checkpoints that are kept
	ArchiveErr   error  // why it is not known how many
	LostKept     []Span // of these, by number: those that cannot be read, or are none of this log
	UnjudgedKept uint64 // of these: of sizes that the fold did not come to, so that nothing says by whom they must be signed
}

// Whole says that every entry was read, and is the one that the head is of.
func (c *Checked) Whole() bool { return len(c.LostEntries) == 0 && c.Unproven == nil }

// Span is a run of what is counted, and what is wrong with the first.
type Span struct {
	From, To uint64 // To is the one after the last
	Err      error
}

// addSpan adds one that comes after all others.
func addSpan(spans []Span, at uint64, err error) []Span {
	if n := len(spans); n > 0 && spans[n-1].To == at {
		spans[n-1].To++
		return spans
	}
	return append(spans, Span{at, at + 1, err})
}

// Run checks. An error means that it could not go on: the head cannot be read, the fold's
// own disk fails, or ctx has ended.
func (c Check[V]) Run(ctx context.Context) (*Checked, error) {
	c.Store = boundedStore{c.Store, time.Minute}
	head, err := c.Store.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	_, known := reader.NewOwned(c.Store, reader.Config{CacheTiles: 64, Remake: true})
	k := &checking[V]{Check: c, found: &Checked{Head: head}, known: known, tree: proof.NewAppender()}
	if err := k.begin(ctx); err != nil {
		return nil, err
	}
	for id := range proof.EntryBundles(0, head.Size) {
		if err := k.bundle(ctx, id); err != nil {
			return nil, err
		}
		if c.OnProgress != nil {
			c.OnProgress(id.Index*proof.TileWidth+uint64(id.Width), head.Size)
		}
	}
	if err := k.end(ctx); err != nil {
		return nil, err
	}
	return k.found, nil
}

// checking is one run of a Check.
type checking[V any] struct {
	Check[V]
	found *Checked
	known reader.Owner    // the tree of the head, as far as tiles, or entries below them, make it
	tree  *proof.Appender // of the leaves up to here; nil from the first on that nothing shows
	batch [][]byte        // entries that the fold has not taken in yet

	published *keptCheckpoint // nil: none, it cannot be read, or it was met
	next      *keptCheckpoint // of the archive; nil after the last
	after     uint64          // the number of the one after next
	last      archiveKey      // of the one before next
	met       []keptCheckpoint
}

// keptCheckpoint is one of the tree's, whose signatures are not verified yet.
type keptCheckpoint struct {
	archivedCheckpoint
	number uint64 // in the archive, if it is there
}

// gone says that what was to be read is damaged or missing, and not that it could not be
// read for another reason.
func gone(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) }

// begin reads the published checkpoint, and the first of the archive.
func (k *checking[V]) begin(ctx context.Context) error {
	note, err := k.Store.Published(ctx)
	if err != nil && !gone(err) {
		return err
	}
	k.found.PublishedErr, k.found.NothingPublished = err, err == nil && note == nil
	if note != nil {
		cp, _, err := proof.ParseCheckpoint(note)
		if err == nil && cp.Size > k.found.Head.Size {
			err = fmt.Errorf("it is of size %d, and the head of %d: %w", cp.Size, k.found.Head.Size, ErrRollback)
		}
		if k.found.PublishedErr = err; err == nil {
			k.published = &keptCheckpoint{archivedCheckpoint: archivedCheckpoint{archiveKey{0, cp.Size}, note}}
		}
	}
	k.found.Archived, err = k.Store.ArchivedCount(ctx)
	if gone(err) {
		k.found.ArchiveErr = err
	} else if err != nil {
		return err
	}
	if err := k.readNext(ctx); err != nil {
		return err
	}
	return k.meet(ctx)
}

// readNext reads the next checkpoint of the archive that can be read.
func (k *checking[V]) readNext(ctx context.Context) error {
	for k.next = nil; k.next == nil && k.after < k.found.Archived; k.after++ {
		blob, err := k.Store.Archived(ctx, k.after)
		if err != nil && !gone(err) {
			return err
		}
		var c archivedCheckpoint
		if err == nil {
			c, err = parseArchiveBlob(blob)
		}
		switch {
		case err != nil:
		case c.timestamp < k.last.timestamp || c.size < k.last.size:
			err = fmt.Errorf("it is filed under %d s and of size %d, and the one before it under %d s and of size %d", c.timestamp, c.size, k.last.timestamp, k.last.size)
		case c.size > k.found.Head.Size:
			err = fmt.Errorf("it is of size %d, and the head of %d: %w", c.size, k.found.Head.Size, ErrRollback)
		default:
			k.next, k.last = &keptCheckpoint{c, k.after}, c.archiveKey
			continue
		}
		k.found.LostKept = addSpan(k.found.LostKept, k.after, err)
	}
	return nil
}

// meet compares the checkpoints of the tree's present size with the tree.
func (k *checking[V]) meet(ctx context.Context) error {
	size := k.tree.Size()
	compare := func(c keptCheckpoint) error {
		tree, err := k.tree.Tree()
		if err != nil {
			return err
		}
		cp, _, err := proof.ParseCheckpoint(c.note)
		if err == nil && cp.Tree() != tree {
			err = fmt.Errorf("it says that the first %d entries have the root %s; they have %s", size, cp.Root, tree.Root)
		}
		return err
	}
	for k.next != nil && k.next.size == size {
		if err := compare(*k.next); err != nil {
			k.found.LostKept = addSpan(k.found.LostKept, k.next.number, err)
		} else {
			k.met = append(k.met, *k.next)
		}
		if err := k.readNext(ctx); err != nil {
			return err
		}
	}
	if k.published != nil && k.published.size == size {
		k.found.PublishedErr = compare(*k.published)
	}
	return nil
}

// bundle reads the entries of one bundle, and the tiles that they complete.
func (k *checking[V]) bundle(ctx context.Context, id proof.EntryBundleID) error {
	start := id.Index * proof.TileWidth
	entries, faults, err := k.readEntries(ctx, start, start+uint64(id.Width))
	if err != nil {
		return err
	}
	leaves, err := k.leaves(ctx, id, entries, faults)
	if err != nil {
		return err
	}
	for i := range entries {
		if faults[i] != nil {
			k.found.LostEntries = addSpan(k.found.LostEntries, start+uint64(i), faults[i])
		}
	}
	if k.tree == nil {
		return nil
	}
	if leaves == nil {
		if err := k.judge(ctx); err != nil {
			return err
		}
		k.stopJudging(fmt.Errorf("entry %d: %w", k.found.LostEntries[len(k.found.LostEntries)-1].From, ErrCorrupt))
		k.tree = nil
		k.found.Unproven = fmt.Errorf("neither entries nor tiles show what entries stood in [%d, %d): %w", start, start+uint64(id.Width), ErrCorrupt)
		return nil
	}
	for i, leaf := range leaves {
		if faults[i] != nil { // what comes after it has no state to be judged by
			if err := k.judge(ctx); err != nil {
				return err
			}
			k.stopJudging(fmt.Errorf("entry %d is lost: %w", start+uint64(i), faults[i]))
		}
		if err := k.tree.Append(leaf); err != nil {
			return err
		}
		if k.found.JudgedErr == nil {
			k.batch = append(k.batch, entries[i])
		}
		if err := k.meet(ctx); err != nil {
			return err
		}
		if size := k.tree.Size(); len(k.batch) == replayBatch || size == k.Mark || size == k.found.Head.Size {
			if err := k.judge(ctx); err != nil {
				return err
			}
		}
	}
	if k.found.JudgedErr != nil {
		if err := k.judge(ctx); err != nil {
			return err
		}
	}
	return k.compareTiles(ctx, fullTiles(k.tree.TakeTiles()))
}

// readEntries reads entries, each alone where all together cannot be read; a fault for each
// that is gone.
func (k *checking[V]) readEntries(ctx context.Context, start, end uint64) (entries [][]byte, faults []error, err error) {
	faults = make([]error, end-start)
	if entries, err = k.Store.Entries(ctx, start, end); err == nil || !gone(err) {
		return entries, faults, err
	}
	entries = make([][]byte, end-start)
	for i := range entries {
		one, err := k.Store.Entries(ctx, start+uint64(i), start+uint64(i)+1)
		if err != nil && !gone(err) {
			return nil, nil, err
		}
		if faults[i] = err; err == nil {
			entries[i] = one[0]
		}
	}
	return entries, faults, nil
}

// leaves are the leaf hashes of a bundle's place in the tree. Where the tile does not say
// what the entries make, one of the two is damaged, and the head tells which: an entry that
// is another one gets a fault. nil where an entry is gone and nothing else shows its leaf.
func (k *checking[V]) leaves(ctx context.Context, id proof.EntryBundleID, entries [][]byte, faults []error) ([]proof.Hash, error) {
	made, whole := make([]proof.Hash, len(entries)), true
	for i, e := range entries {
		if whole = whole && faults[i] == nil; faults[i] == nil {
			made[i] = proof.LeafHash(e)
		}
	}
	if whole {
		switch rows, err := k.Store.Tiles(ctx, []proof.TileID{id.Tile()}); {
		case err != nil && !gone(err):
			return nil, err
		case err == nil && bytes.Equal(rows[0], packHashes(made)):
			return made, nil
		}
	}
	row, err := k.known.Tile(ctx, k.found.Head, id.Tile())
	switch {
	case err != nil && !gone(err):
		return nil, err
	case err != nil && whole: // whether they are the right ones, the root says at the end
		return made, nil
	case err != nil:
		return nil, nil
	}
	for i := range made {
		is := proof.Hash(row[i*len(proof.Hash{}) : (i+1)*len(proof.Hash{})])
		if faults[i] == nil && made[i] != is {
			faults[i] = fmt.Errorf("%w: it is not that of the tree", ErrCorrupt)
		}
		made[i] = is
	}
	return made, nil
}

func packHashes(hashes []proof.Hash) []byte {
	packed := make([]byte, 0, len(hashes)*len(proof.Hash{}))
	for _, h := range hashes {
		packed = append(packed, h[:]...)
	}
	return packed
}

// compareTiles holds what the store has against what the entries make.
func (k *checking[V]) compareTiles(ctx context.Context, tiles []proof.Tile) error {
	for _, t := range tiles {
		rows, err := k.Store.Tiles(ctx, []proof.TileID{t.ID})
		if err != nil && !gone(err) {
			return err
		}
		if err == nil && !bytes.Equal(rows[0], t.Hashes) {
			err = fmt.Errorf("%w: %s is not what the entries make", ErrCorrupt, t.ID)
		}
		if err != nil {
			k.found.WrongTiles = addSpan(k.found.WrongTiles, k.found.Tiles, err)
		}
		k.found.Tiles++
	}
	return nil
}

// judge has the fold take in the batch, and verifies the checkpoints whose policy it then
// knows.
func (k *checking[V]) judge(ctx context.Context) error {
	if k.found.JudgedErr == nil && len(k.batch) > 0 {
		head, err := k.tree.Tree()
		if err != nil {
			return err
		}
		if err := k.Fold.Replay(ctx, k.batch, head); err != nil {
			if ctx.Err() != nil || errors.Is(err, ErrFold) {
				return err
			}
			k.stopJudging(err)
		} else {
			k.found.Judged = head.Size
		}
	}
	k.batch = nil
	if k.Mark > 0 && k.found.Judged == k.Mark {
		if k.Mark = 0; k.OnMark != nil {
			if err := k.OnMark(); err != nil {
				return err
			}
		}
	}
	for _, c := range k.met {
		if c.size > k.found.Judged {
			k.found.UnjudgedKept++
			continue
		}
		p, err := k.verify(c)
		if err == nil && unixSeconds(p.ExistedBy()) > c.timestamp {
			err = fmt.Errorf("it is filed under %d s, and was cosigned at %d", c.timestamp, unixSeconds(p.ExistedBy()))
		}
		if err != nil {
			k.found.LostKept = addSpan(k.found.LostKept, c.number, err)
		}
	}
	k.met = nil
	return nil
}

// verify verifies the signatures of a checkpoint under the policy of its size.
func (k *checking[V]) verify(c keptCheckpoint) (*proof.Published, error) {
	policy, _, err := k.Fold.Policy(c.size)
	if err != nil {
		return nil, err
	}
	return policy.Verify(c.note, farFuture)
}

// stopJudging says why nothing more is judged: the first reason is the one.
func (k *checking[V]) stopJudging(err error) {
	if k.found.JudgedErr == nil {
		k.found.JudgedErr = err
	}
	k.batch = nil
}

// end compares the whole tree with the head, and what is left.
func (k *checking[V]) end(ctx context.Context) error {
	for ; k.next != nil; k.found.UnjudgedKept++ { // beyond what the entries show
		if err := k.readNext(ctx); err != nil {
			return err
		}
	}
	slices.SortFunc(k.found.LostKept, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	if k.tree == nil {
		return nil
	}
	made, err := k.tree.Tree()
	if err != nil {
		return err
	}
	if made != k.found.Head {
		k.found.WrongTiles = nil
		k.found.Unproven = fmt.Errorf("%w: the %d entries make the root %s, and the head says %s", ErrCorrupt, made.Size, made.Root, k.found.Head.Root)
		return nil
	}
	if err := k.compareTiles(ctx, k.tree.PartialTiles()); err != nil {
		return err
	}
	if k.published == nil || k.found.PublishedErr != nil || k.published.size > k.found.Judged {
		return nil
	}
	k.found.Published, k.found.PublishedErr = k.verify(*k.published)
	return nil
}
