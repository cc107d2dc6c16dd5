// Package reader shows what one log has published, wherever it lies: its newest published
// checkpoint, and below that its tiles, entries, receipts and consistency proofs. The
// writer of a log, a replica, a mirror and a client's copy read by the same code.
//
// It promises that whatever it returns is checked: a checkpoint by the function that the
// caller hands in, all else against the root of the checkpoint. A rotten disk gives an
// error and not a wrong proof. It shows nothing that does not continue what it has shown.
//
// It does not know how a log lies on a disk: a [Source] does. It writes nothing, starts no
// goroutine, and looks at its source again only when [Reader.Refresh] is called.
//
//	r := reader.New(store, reader.Config{Verify: func(note []byte) (*proof.Published, error) {
//		return policy.Verify(note, time.Now())
//	}})
//	if err := r.Refresh(ctx); err != nil { // the newest published checkpoint, if it continues the last
//		return err
//	}
//	receipt, err := r.Receipt(ctx, 7) // of the entry at index 7, against that checkpoint
//
// Why everybody reads by one code: ledger/DESIGN.md section 6, "The seam".
package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Source is where a log lies: a ledger's Store, or a copy. It is safe for concurrent use,
// and what it returns may be kept.
type Source interface {
	// Published returns the bytes of the published checkpoint; nil if there is none.
	Published(ctx context.Context) ([]byte, error)

	// Tiles returns for each ID the first Width hashes of that tile, packed, 32
	// bytes each, or more of it. [ErrMissing] for a tile that is not there.
	Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error)

	// Entries returns the entries [start, end). [ErrMissing] if one is not there.
	Entries(ctx context.Context, start, end uint64) ([][]byte, error)
}

var (
	// ErrUnpublished: the index is committed at most, or not there at all.
	ErrUnpublished = errors.New("not below the published size")

	// ErrMissing: what was asked for is not below the source's head, or was lost.
	ErrMissing = errors.New("not in the store")

	// ErrCorrupt: what the source holds cannot be read, or does not hash to the root that
	// it belongs to. Whatever needs something else goes on.
	ErrCorrupt = errors.New("what the store holds is damaged")
)

// Config is what a Reader needs beside its source. The zero value reads nothing but what
// its owner shows ([Owner]).
type Config struct {
	// Verify makes of a note what it proves: signatures, and the quorum of the policy that
	// holds for its size. Without it there is no Refresh.
	Verify func(note []byte) (*proof.Published, error)

	Published  *proof.Published // what is shown at first; nil: nothing
	CacheTiles int              // checked full tiles kept in memory, as of [proof.NewTileReader]

	// Remake has tiles that the source lost or holds damaged made anew from what lies
	// below them.
	Remake bool

	Log *slog.Logger // nil discards
}

// Reader shows the published state of one log. It may be used by several goroutines.
type Reader struct {
	source Source
	config Config
	tiles  *proof.TileReader

	refreshing sync.Mutex                     // held by Refresh
	shown      atomic.Pointer[shown]          // what is published
	committed  atomic.Pointer[proof.Snapshot] // of which what is published is a prefix; nil without an Owner
	saidRemade atomic.Bool                    // that a tile was made anew: once
}

// shown is the published checkpoint, and the way to hear of the next one.
type shown struct {
	checkpoint *proof.Published // nil before the first
	next       chan struct{}    // closed when another one is shown
}

// New reads a log from its source. It shows nothing before [Reader.Refresh] but what
// config has.
func New(source Source, config Config) *Reader {
	r := &Reader{source: source, config: config}
	if config.Log == nil {
		r.config.Log = slog.New(slog.DiscardHandler)
	}
	r.tiles = proof.NewTileReader(r.readTiles, config.CacheTiles)
	if config.Remake {
		r.tiles.Remake = r.remake
	}
	r.shown.Store(&shown{config.Published, make(chan struct{})})
	return r
}

// Refresh reads what the source has published, and shows it if that verifies and continues
// what was shown: [proof.ErrInconsistent] if it does not, or goes back. Where nothing is
// new it does nothing.
func (r *Reader) Refresh(ctx context.Context) error {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	note, err := r.source.Published(ctx)
	if err != nil {
		return fmt.Errorf("reading the published checkpoint: %w", err)
	}
	last := r.Published()
	switch {
	case note == nil && last == nil, last != nil && bytes.Equal(note, last.Note()):
		return nil
	case note == nil:
		return fmt.Errorf("%w: nothing is published where size %d was", proof.ErrInconsistent, last.Checkpoint().Size)
	case r.config.Verify == nil:
		return errors.New("another checkpoint is published, and nothing is there to verify it with")
	}
	next, err := r.config.Verify(note)
	if err != nil {
		return fmt.Errorf("the published checkpoint: %w", err)
	}
	if last != nil {
		was, is := last.Checkpoint().Tree(), next.Checkpoint().Tree()
		if was.Size > is.Size {
			return fmt.Errorf("%w: size %d is published where size %d was", proof.ErrInconsistent, is.Size, was.Size)
		}
		begins, err := r.tiles.At(is).TreeAt(ctx, was.Size)
		if err != nil {
			return wrapCorrupt(err)
		}
		if begins != was {
			return fmt.Errorf("%w: size %d, of which the first %d entries have another root than was published", proof.ErrInconsistent, is.Size, was.Size)
		}
	}
	r.show(next)
	return nil
}

func (r *Reader) show(p *proof.Published) {
	old := r.shown.Swap(&shown{p, make(chan struct{})})
	close(old.next)
}

// Published is the newest published checkpoint that is shown; nil before the first.
func (r *Reader) Published() *proof.Published { return r.shown.Load().checkpoint }

// Next is [Reader.Published] with a channel that is closed when another one is shown.
func (r *Reader) Next() (*proof.Published, <-chan struct{}) {
	s := r.shown.Load()
	return s.checkpoint, s.next
}

// PublishedSize is the size below which everything is shown; 0 before the first
// checkpoint.
func (r *Reader) PublishedSize() uint64 {
	if p := r.Published(); p != nil {
		return p.Checkpoint().Size
	}
	return 0
}

// publishedTree is the tree to read; empty before the first checkpoint.
func (r *Reader) publishedTree() proof.TreeReader {
	p := r.Published() // first: the committed tree is never behind it
	if p == nil {
		return r.tiles.At(proof.Tree{Root: proof.EmptyRoot()})
	}
	return r.at(p.Checkpoint().Tree())
}

// at reads a tree that was published.
func (r *Reader) at(tree proof.Tree) proof.TreeReader {
	if s := r.committed.Load(); s != nil {
		return r.tiles.Within(s, tree)
	}
	return r.tiles.At(tree)
}

// TreeAt is the tree of the first entries, as many of them as are published at most.
func (r *Reader) TreeAt(ctx context.Context, size uint64) (proof.Tree, error) {
	t := r.publishedTree()
	if published := t.Tree().Size; size > published {
		return proof.Tree{}, fmt.Errorf("%w: the tree of %d entries of %d", ErrUnpublished, size, published)
	}
	tree, err := t.TreeAt(ctx, size)
	return tree, wrapCorrupt(err)
}

// Entries are the entries [start, end), which must be published.
func (r *Reader) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	t := r.publishedTree()
	if size := t.Tree().Size; start > end || end > size {
		return nil, fmt.Errorf("%w: entries [%d, %d) of %d", ErrUnpublished, start, end, size)
	}
	return r.readEntries(ctx, t, start, end)
}

// Entry is one published entry.
func (r *Reader) Entry(ctx context.Context, index uint64) ([]byte, error) {
	t := r.publishedTree()
	if size := t.Tree().Size; index >= size {
		return nil, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, size)
	}
	e, err := r.readEntries(ctx, t, index, index+1)
	if err != nil {
		return nil, err
	}
	return e[0], nil
}

// readEntries are entries of a tree, each checked against its leaf.
func (r *Reader) readEntries(ctx context.Context, t proof.TreeReader, start, end uint64) ([][]byte, error) {
	entries, err := r.source.Entries(ctx, start, end)
	if err != nil {
		return nil, fmt.Errorf("reading entries [%d, %d): %w", start, end, err)
	}
	if uint64(len(entries)) != end-start {
		return nil, fmt.Errorf("%w: %d entries for [%d, %d)", ErrCorrupt, len(entries), start, end)
	}
	if err := t.CheckEntries(ctx, start, entries); err != nil {
		return nil, wrapCorrupt(err)
	}
	return entries, nil
}

// Tile is a tile, its hashes packed, at a width that the published size has or
// that any smaller size had. The caller must not change it.
func (r *Reader) Tile(ctx context.Context, id proof.TileID) ([]byte, error) {
	t := r.publishedTree()
	if size := t.Tree().Size; !id.In(size) {
		return nil, fmt.Errorf("%w: %s of a tree of %d", ErrUnpublished, id, size)
	}
	// SPEC: tlog-tiles Partial Tiles: the partial tiles of each published size are served
	row, err := t.Tile(ctx, id)
	return row, wrapCorrupt(err)
}

// Receipt is the receipt of the entry at index against the newest published
// checkpoint.
func (r *Reader) Receipt(ctx context.Context, index uint64) (proof.Receipt, error) {
	return r.ReceiptAgainst(ctx, index, r.Published())
}

// ReceiptAgainst is the receipt of the entry at index against a checkpoint of this
// log, as [Reader.Published] gave it: so several can be made against one.
func (r *Reader) ReceiptAgainst(ctx context.Context, index uint64, published *proof.Published) (proof.Receipt, error) {
	if published == nil {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d, and nothing is published", ErrUnpublished, index)
	}
	tree := published.Checkpoint().Tree()
	if index >= tree.Size {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d of %d", ErrUnpublished, index, tree.Size)
	}
	entries, err := r.source.Entries(ctx, index, index+1)
	if err != nil {
		return proof.Receipt{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	if len(entries) != 1 {
		return proof.Receipt{}, fmt.Errorf("%w: %d entries for index %d", ErrCorrupt, len(entries), index)
	}
	in, err := r.at(tree).InclusionProof(ctx, index)
	if err != nil {
		return proof.Receipt{}, wrapCorrupt(err)
	}
	if proof.LeafHash(entries[0]) != in.Leaf {
		return proof.Receipt{}, fmt.Errorf("%w: entry %d is not that of the tree", ErrCorrupt, index)
	}
	return proof.Receipt{Entry: entries[0], Index: index, Path: in.Path, Checkpoint: published.Note()}, nil
}

// ConsistencyProof proves that the tree of size from leads up to that of size to,
// which must be published.
func (r *Reader) ConsistencyProof(ctx context.Context, from, to uint64) ([]proof.Hash, error) {
	t := r.publishedTree()
	if size := t.Tree().Size; from > to || to > size {
		return nil, fmt.Errorf("%w: consistency of %d and %d in a tree of %d", ErrUnpublished, from, to, size)
	}
	larger, err := t.TreeAt(ctx, to)
	if err != nil {
		return nil, wrapCorrupt(err)
	}
	_, path, err := r.at(larger).ConsistencyProof(ctx, from)
	return path, wrapCorrupt(err)
}

// wrapCorrupt makes [ErrCorrupt] of tiles that do not add up.
func wrapCorrupt(err error) error {
	if errors.Is(err, proof.ErrCorrupt) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
