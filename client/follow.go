package client

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

const (
	batchBundles = 4 // bundles that are verified, hashed and folded together
	readAhead    = 16
)

// readBundle reads the entries of one bundle from a server, or from a disk.
type readBundle func(ctx context.Context, id proof.BundleID) ([][]byte, error)

// follower replays the entries of a log: it hashes every one into its own tree,
// verifies every signature on all cores, and folds them in order. Three stages
// run at once, each at most a batch ahead of the next.
type follower struct {
	read     readBundle
	tree     *tree
	register *register.Register
	signed   *signedTree          // what the entries must be; nil where the caller compares the root
	keep     func(*run) error     // stores what was read, before it is folded; may be nil
	progress func(entries uint64) // the size reached; may be nil

	signatures uint64 // verified so far
}

// run is what one batch brings.
type run struct {
	start   uint64 // index of the first entry
	bundles []bundle
	full    []tile // tiles that the run completes
	partial []tile // tiles as they are at its end
	head    proof.Tree
	batch   *register.Batch
}

// bundle is the entries of one bundle, from its first on.
type bundle struct {
	id      proof.BundleID
	entries [][]byte
}

// to follows the log up to a size and returns the head that its entries make.
// Errors are the reader's, the keeper's, a *[SourceError] if entries are not those of the
// signed tree (none of their run was kept), and *[register.EntryError] of the first
// entry that must not be in a ledger; the register then holds what came before
// its batch.
func (f *follower) to(ctx context.Context, size uint64) (proof.Tree, error) {
	g, ctx := errgroup.WithContext(ctx)
	verified := make(chan *run, 1)
	g.Go(func() error {
		defer close(verified)
		return f.verify(ctx, size, verified)
	})
	g.Go(func() error {
		replayer := f.register.Replayer(1) // Take alone: it verifies nothing
		for r := range verified {
			if err := replayer.Take(r.batch, r.head.Root); err != nil {
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
	return f.tree.at()
}

// verify reads, hashes, keeps and verifies, in log order.
func (f *follower) verify(ctx context.Context, size uint64, out chan<- *run) error {
	replayer := f.register.Replayer(0)
	for r, err := range f.runs(ctx, size) {
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
		r.full, r.partial = f.tree.cut()
		if r.head, err = f.tree.at(); err != nil {
			return err
		}
		if f.signed != nil {
			if err := f.signed.check(ctx, r); err != nil {
				return err
			}
		}
		if f.keep != nil {
			if err := f.keep(r); err != nil {
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

// runs yields the bundles from the tree's size on, some read ahead in parallel.
func (f *follower) runs(ctx context.Context, size uint64) func(yield func(*run, error) bool) {
	return func(yield func(*run, error) bool) {
		type answer struct {
			bundle
			err error
		}
		ctx, cancel := context.WithCancel(ctx)
		slots := make(chan chan answer, readAhead)
		var g errgroup.Group
		defer g.Wait()
		defer cancel()
		g.Go(func() error {
			defer close(slots)
			for id := range proof.Bundles(f.tree.size(), size) {
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
		r := &run{start: f.tree.size()}
		for slot := range slots {
			a := <-slot
			if a.err != nil {
				yield(nil, a.err)
				return
			}
			r.bundles = append(r.bundles, a.bundle)
			if len(r.bundles) == batchBundles {
				if !yield(r, nil) {
					return
				}
				r = &run{start: f.tree.size()}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		} else if len(r.bundles) > 0 {
			yield(r, nil)
		}
	}
}
