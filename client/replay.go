package client

import (
	"bytes"
	"context"

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
	tree       *proof.Appender
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
	tiles   []proof.Tile // tiles that the run begins or grows, as they are at its end
	head    proof.Tree
	batch   *register.VerifiedBatch
}

// bundle is the entries of one bundle, from its first on.
type bundle struct {
	id      proof.EntryBundleID
	entries [][]byte
}

// beginsAsBefore says that what the first bundle has from before the run is what the tree has there: it is
// written with the rest, and the run does not hash it.
func (r *entryRun) beginsAsBefore() bool {
	b := r.bundles[0]
	for _, t := range r.tiles {
		if t.ID.Level != 0 || t.ID.Index != b.id.Index {
			continue
		}
		for i, e := range b.entries[:r.start-min(r.start, b.id.Index*proof.TileWidth)] {
			if h := proof.LeafHash(e); !bytes.Equal(h[:], t.Hashes[i*len(h):][:len(h)]) {
				return false
			}
		}
	}
	return true
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
	return f.tree.Tree()
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
			if err := f.tree.Append(proof.LeafHash(e)); err != nil {
				return err
			}
		}
		r.tiles = f.tree.TakeTiles()
		if r.head, err = f.tree.Tree(); err != nil {
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
			for id := range proof.EntryBundles(f.tree.Size(), size) {
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
		r := &entryRun{start: f.tree.Size()}
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
				r = &entryRun{start: f.tree.Size()}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		} else if len(r.bundles) > 0 {
			yield(r, nil)
		}
	}
}
