package client

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

const (
	bundlesPerRun = 4 // bundles that are verified, hashed and folded together
	maxReadAhead  = 16
)

// readBundle reads the entries of one bundle from a server, or from a disk.
type readBundle func(ctx context.Context, id proof.EntryBundleID) ([][]byte, error)

// logReplayer replays the entries of a log: it hashes every one into its own tree,
// verifies every signature on all cores, and folds them in order. Three stages
// run at once, each at most a batch ahead of the next.
type logReplayer struct {
	read       readBundle
	tree       *merkleTree
	register   *register.Register
	signedTree *signedTree           // what the entries must be; nil where the caller compares the root
	write      func(*entryRun) error // stores what was read, before it is folded; may be nil
	progress   func(entries uint64)  // the size reached; may be nil

	signatures uint64 // verified so far
}

// entryRun is what one batch brings.
type entryRun struct {
	start   uint64 // index of the first entry
	bundles []bundle
	full    []tile // tiles that the run completes
	partial []tile // tiles as they are at its end
	head    proof.Tree
	batch   *register.VerifiedBatch
}

// bundle is the entries of one bundle, from its first on.
type bundle struct {
	id      proof.EntryBundleID
	entries [][]byte
}

// replayTo follows the log up to a size and returns the head that its entries make.
// Errors are the reader's, the keeper's, a *[SourceError] if entries are not those of the
// signed tree (none of their run was kept), and *[register.EntryError] of the first
// entry that must not be in a ledger; the register then holds what came before
// its batch.
func (f *logReplayer) replayTo(ctx context.Context, size uint64) (proof.Tree, error) {
	g, ctx := errgroup.WithContext(ctx)
	verified := make(chan *entryRun, 1)
	g.Go(func() error {
		defer close(verified)
		return f.verify(ctx, size, verified)
	})
	g.Go(func() error {
		replayer := f.register.NewReplayer(1) // Take alone: it verifies nothing
		for r := range verified {
			if err := replayer.Fold(r.batch, r.head.Root); err != nil {
				return err
			}
			f.signatures += r.batch.Signatures()
			if f.progress != nil {
				f.progress(r.head.Size)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return proof.Tree{}, err
	}
	return f.tree.head()
}

// verify reads, hashes, keeps and verifies, in log order.
func (f *logReplayer) verify(ctx context.Context, size uint64, out chan<- *entryRun) error {
	replayer := f.register.NewReplayer(0)
	for r, err := range f.entryRuns(ctx, size) {
		if err != nil {
			return err
		}
		var entries [][]byte
		for _, b := range r.bundles {
			entries = append(entries, b.entries[max(r.start, b.id.Index*proof.TileWidth)-b.id.Index*proof.TileWidth:]...)
		}
		for _, e := range entries {
			if err := f.tree.append(e); err != nil {
				return err
			}
		}
		r.full, r.partial = f.tree.takeTiles()
		if r.head, err = f.tree.head(); err != nil {
			return err
		}
		if f.signedTree != nil {
			if err := f.signedTree.checkRun(ctx, r); err != nil {
				return err
			}
		}
		if f.write != nil {
			if err := f.write(r); err != nil {
				return err
			}
		}
		if r.batch, err = replayer.Verify(ctx, entries); err != nil {
			return err
		}
		select {
		case out <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// entryRuns yields the bundles from the tree's size on, some read ahead in parallel.
func (f *logReplayer) entryRuns(ctx context.Context, size uint64) func(yield func(*entryRun, error) bool) {
	return func(yield func(*entryRun, error) bool) {
		type answer struct {
			bundle
			err error
		}
		ctx, cancel := context.WithCancel(ctx)
		slots := make(chan chan answer, maxReadAhead)
		var g errgroup.Group
		defer g.Wait()
		defer cancel()
		g.Go(func() error {
			defer close(slots)
			for id := range proof.EntryBundles(f.tree.size(), size) {
				slot := make(chan answer, 1)
				select {
				case slots <- slot:
				case <-ctx.Done():
					return nil
				}
				g.Go(func() error {
					entries, err := f.read(ctx, id)
					slot <- answer{bundle{id, entries}, err}
					return nil
				})
			}
			return nil
		})
		r := &entryRun{start: f.tree.size()}
		for slot := range slots {
			a := <-slot
			if a.err != nil {
				yield(nil, a.err)
				return
			}
			r.bundles = append(r.bundles, a.bundle)
			if len(r.bundles) == bundlesPerRun {
				if !yield(r, nil) {
					return
				}
				r = &entryRun{start: f.tree.size()}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		} else if len(r.bundles) > 0 {
			yield(r, nil)
		}
	}
}

// merkleTree grows a Merkle tree from entries and cuts it into tiles, so that a
// follower computes every hash itself and takes none from the server.
type merkleTree struct {
	edge      *compact.Range
	lastTiles [8][]byte // the last tile of each level as far as it has grown, 32 bytes a hash
	fullTiles []tile    // tiles completed since the last cut
}

// tile is one tile's hashes, packed.
type tile struct {
	id   proof.TileID
	data []byte
}

var rangeFactory = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func newMerkleTree() *merkleTree { return &merkleTree{edge: rangeFactory.NewEmptyRange(0)} }

// size is the number of entries in the tree.
func (t *merkleTree) size() uint64 { return t.edge.End() }

func (t *merkleTree) append(entry []byte) error {
	leaf := proof.LeafHash(entry)
	return t.edge.Append(leaf[:], func(id compact.NodeID, hash []byte) {
		if id.Level%proof.TileHeight != 0 {
			return // inner nodes of a tile are not stored
		}
		level := id.Level / proof.TileHeight
		t.lastTiles[level] = append(t.lastTiles[level], hash...)
		if len(t.lastTiles[level]) == proof.TileWidth*sha256.Size {
			t.fullTiles = append(t.fullTiles, tile{proof.TileID{Level: uint8(level), Index: id.Index / proof.TileWidth, Width: proof.TileWidth}, t.lastTiles[level]})
			t.lastTiles[level] = nil
		}
	})
}

// takeTiles returns the tiles completed since the last cut, and the partial ones as they are.
func (t *merkleTree) takeTiles() (full, partial []tile) {
	full, t.fullTiles = t.fullTiles, nil
	for level, row := range t.lastTiles {
		if len(row) > 0 {
			index := t.size() >> (proof.TileHeight * (level + 1))
			partial = append(partial, tile{proof.TileID{Level: uint8(level), Index: index, Width: len(row) / sha256.Size}, row})
		}
	}
	return full, partial
}

// head is the tree's head.
func (t *merkleTree) head() (proof.Tree, error) {
	head := proof.Tree{Size: t.size(), Root: proof.EmptyRoot()}
	if head.Size == 0 {
		return head, nil
	}
	root, err := t.edge.GetRootHash(nil)
	if err != nil {
		return head, fmt.Errorf("root of size %d: %w", head.Size, err)
	}
	copy(head.Root[:], root)
	return head, nil
}

// loadMerkleTree rebuilds the right edge of a tree of that size from its partial tiles
// and the full ones beside them. Every hash read enters the root: a caller that
// compares it with a trusted root has checked them all.
func loadMerkleTree(size uint64, read func([]proof.TileID) ([][]byte, error)) (*merkleTree, error) {
	var ids []proof.TileID
	for level := uint8(0); size>>(proof.TileHeight*level) > 0; level++ {
		if n := size >> (proof.TileHeight * level); n%proof.TileWidth != 0 {
			ids = append(ids, proof.TileID{Level: level, Index: n / proof.TileWidth, Width: int(n % proof.TileWidth)})
		}
	}
	rows, err := read(ids)
	if err != nil {
		return nil, fmt.Errorf("reading the right edge at size %d: %w", size, err)
	}
	t := newMerkleTree()
	for i, id := range ids {
		t.lastTiles[id.Level] = append([]byte(nil), rows[i]...)
	}
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		level, height := id.Level/proof.TileHeight, id.Level%proof.TileHeight
		first := int(id.Index << height % proof.TileWidth)
		hashes = append(hashes, subtreeRoot(t.lastTiles[level][first*sha256.Size:][:sha256.Size<<height]))
	}
	t.edge, err = rangeFactory.NewRange(0, size, hashes)
	return t, err
}

// subtreeRoot hashes a run of 2^h packed hashes up to their common root.
func subtreeRoot(row []byte) []byte {
	if len(row) == sha256.Size {
		return row
	}
	half := len(row) / 2
	return rfc6962.DefaultHasher.HashChildren(subtreeRoot(row[:half]), subtreeRoot(row[half:]))
}
