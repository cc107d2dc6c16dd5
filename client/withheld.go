package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Withheld is the first entry that a copy lacks because the ledger's server withholds it. The
// copy's tree goes on to the trusted checkpoint: its hashes are there, and inclusion is
// proven. Its register ends before the entry, since nothing after it can be judged without.
type Withheld struct {
	Index  uint64 `json:"index"`
	URL    string `json:"url"`    // of who withholds it
	Reason string `json:"reason"` // in the server's words: nothing proves them
}

func (w *Withheld) Error() string {
	return fmt.Sprintf("entry %d is withheld by %s: %s; from index %[1]d on this copy cannot judge", w.Index, w.URL, w.Reason)
}

// Withheld says from which entry on the copy cannot judge, and why; nil if it holds all
// entries of the trusted checkpoint, or there is none.
func (t *Trust) Withheld() *Withheld {
	if t.checkpoint == nil {
		return nil
	}
	w := readWithheld(t.copyDir())
	if w == nil || w.Index >= t.size() {
		return nil
	}
	r, err := t.Register()
	if err != nil || r.Size() != w.Index {
		return nil // another sync completed it
	}
	return w
}

// readWithheld reads the file; nil if there is none that can be read: then the copy is
// damaged, or not synced to its end, which whoever opens it says.
func readWithheld(c *TileDir) *Withheld {
	text, err := disk.ReadFile(c.files, c.path(withheldFile))
	w := new(Withheld)
	if err != nil || json.Unmarshal(text, w) != nil || w.Index == 0 {
		return nil
	}
	return w
}

func (t *Trust) clearWithheld() error {
	if _, err := t.files.Stat(t.path(withheldFile)); missing(err) {
		return nil
	}
	return disk.Remove(t.files, t.path(withheldFile))
}

// coveredTree is the tree of the entries that the copy has: the trusted one, or its beginning
// up to what is withheld, by the copy's own hashes.
func (t *Trust) coveredTree(ctx context.Context) (proof.Tree, error) {
	tree := t.checkpoint.Checkpoint().Tree()
	w := readWithheld(t.copyDir())
	if w == nil || w.Index >= tree.Size {
		return tree, nil
	}
	return proof.NewTileReader(t.copyDir().Tiles, -1).At(tree).TreeAt(ctx, w.Index)
}

// isCoveredTree reports whether a register's tree is that of the trusted checkpoint, or its
// beginning up to what is withheld. The file that says so is no proof, the hashes are.
func (t *Trust) isCoveredTree(tree proof.Tree) bool {
	trusted := t.checkpoint.Checkpoint().Tree()
	if tree == trusted {
		return true
	}
	if w := readWithheld(t.copyDir()); w == nil || w.Index != tree.Size || tree.Size >= trusted.Size {
		return false
	}
	begins, err := t.coveredTree(context.Background())
	return err == nil && begins == tree
}

// bundleAround reads a bundle of which the server withholds an entry: from the copy's own
// files as far as they go, from the other sources, and entry by entry. The error is a
// *[wire.WithheldError] of the first that nobody has.
func (s *copySource) bundleAround(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	for _, other := range s.with {
		if entries, err := other.Bundle(ctx, id); err == nil && len(entries) == id.Width {
			return entries, nil
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	first := id.Index * proof.TileWidth
	entries := make([][]byte, id.Width)
	if s.localSize > first && !s.isDamaged(id.Index) {
		own := proof.EntryBundleID{Index: id.Index, Width: int(min(s.localSize-first, uint64(id.Width)))}
		if have, err := s.local.Bundle(ctx, own); err == nil {
			copy(entries, have)
		}
	}
	var mu sync.Mutex // guards lacking
	var lacking error // of the lowest index, so that it does not depend on who answers first
	lowest := id.Width
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range entries {
		if entries[i] != nil {
			continue
		}
		g.Go(func() error {
			mu.Lock()
			beyond := i > lowest
			mu.Unlock()
			if beyond {
				return nil
			}
			e, err := s.server.log.Entry(ctx, first+uint64(i))
			if w := (*wire.WithheldError)(nil); errors.As(err, &w) {
				mu.Lock()
				defer mu.Unlock()
				if i < lowest {
					lacking, lowest = err, i
				}
				return nil
			}
			entries[i] = e
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if lacking != nil {
		return nil, lacking
	}
	return entries, nil
}

// finishWithheld is [Trust.finishReplay] of a copy that was replayed up to an entry that
// nobody hands out: the hashes of the rest are fetched, and must make the signed tree; those up to the
// trusted one are there already, unless all is read anew.
func (t *Trust) finishWithheld(ctx context.Context, c *Client, r *register.Register, files *TileDir, next newestCheckpoint, w *wire.WithheldError, fromScratch bool) error {
	covered := proof.Tree{Size: r.Cursor().Size, Root: r.Cursor().Root}
	published := next.published
	grown, err := t.rightEdge(ctx, covered)
	if t.size() > covered.Size && !fromScratch {
		if further, none := proof.LoadAppender(ctx, t.checkpoint.Checkpoint().Tree(), files.Tiles); none == nil {
			grown, err = further, nil
		}
	}
	if err == nil {
		err = fetchTail(ctx, c, files, grown, next.tree)
	}
	if err == nil && (published == nil || !t.charters.proven()) {
		if err = t.refreshCharters(ctx, c); err == nil {
			published, err = t.verify(next.note)
		} else if !isTransient(ctx, err) { // a source of tiles alone
			published, err = t.judgeReplayed(ctx, r, files, next)
		}
	}
	if err == nil {
		err = files.Sync()
	}
	if err == nil {
		err = files.Prune()
	}
	if err != nil {
		return errors.Join(err, t.dropReplayed(r))
	}
	text, err := json.Marshal(&Withheld{Index: w.Index, URL: w.URL, Reason: w.Reason})
	if err == nil {
		err = rewriteFile(t.files, t.path(withheldFile), append(text, '\n'), disk.SyncNow)
	}
	if err != nil {
		return errors.Join(err, t.dropReplayed(r))
	}
	if err := t.keepReplayed(r); err != nil {
		return err
	}
	return t.trustReplayed(ctx, c, published)
}

// tilesPerFetch is how many tiles of leaf hashes are asked for together: 512 KiB.
const tilesPerFetch = 64

// fetchTail writes the tiles from one tree to a larger one that begins with it, by the
// source's leaf hashes, which must make the larger one: else a *[SourceError].
func fetchTail(ctx context.Context, c *Client, files *TileDir, grown *proof.Appender, to proof.Tree) error {
	from := grown.Size()
	made, err := appendLeaves(ctx, grown, c.log.Tiles, to.Size, files.WriteTiles)
	if err != nil {
		return err
	}
	if made != to {
		return &SourceError{URL: c.URL(), First: from, End: to.Size, Signed: to, Err: errors.New("its leaf hashes make another root")}
	}
	return nil
}

// appendLeaves appends the leaf hashes of a source's tiles up to a size, and hands the tiles
// that they make to write, which may be nil.
func appendLeaves(ctx context.Context, tree *proof.Appender, read proof.ReadTiles, size uint64, write func([]proof.Tile) error) (proof.Tree, error) {
	for tree.Size() < size {
		var ids []proof.TileID
		for n := tree.Size() / proof.TileWidth; n*proof.TileWidth < size && len(ids) < tilesPerFetch; n++ {
			ids = append(ids, proof.TileID{Index: n, Width: int(min(size-n*proof.TileWidth, proof.TileWidth))})
		}
		tiles, err := read(ctx, ids)
		if err != nil {
			return proof.Tree{}, err
		}
		for i, id := range ids {
			for n := int(tree.Size() - id.Index*proof.TileWidth); n < id.Width; n++ {
				if err := tree.Append(proof.Hash(tiles[i][n*len(proof.Hash{}) : (n+1)*len(proof.Hash{})])); err != nil {
					return proof.Tree{}, err
				}
			}
		}
		made := tree.TakeTiles()
		if write == nil {
			continue
		}
		if err := write(made); err != nil {
			return proof.Tree{}, err
		}
	}
	return tree.Tree()
}

// Bundle is the directory's bundle; of a copy that lacks what a server withholds, a
// *[wire.WithheldError].
func (d directory) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	entries, err := d.TileDir.Bundle(ctx, id)
	if w := readWithheld(d.TileDir); err != nil && w != nil && w.Index < id.Index*proof.TileWidth+uint64(id.Width) && (errors.Is(err, reader.ErrMissing) || errors.Is(err, reader.ErrCorrupt)) {
		return nil, &wire.WithheldError{URL: w.URL, Index: w.Index, Reason: w.Reason, Err: err}
	}
	return entries, err
}
