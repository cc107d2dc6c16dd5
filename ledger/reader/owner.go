package reader

import (
	"context"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Owner is the side of a Reader that whoever writes the log moves on: its tree is in
// memory, and what it shows it has checked and stored before. The writer alone has it.
type Owner struct{ r *Reader }

// NewOwned is a Reader of a log that this process writes, which shows what its owner
// shows.
func NewOwned(source Source, config Config) (*Reader, Owner) {
	r := New(source, config)
	return r, Owner{r}
}

// Commit makes a tree the newest committed one. tiles are those that it has and the one
// before had not; full ones are kept.
func (o Owner) Commit(s *proof.Snapshot, tiles []proof.Tile) {
	o.r.tiles.Keep(tiles)
	o.r.committed.Store(s)
}

// Show publishes a checkpoint of a committed tree.
func (o Owner) Show(p *proof.Published) { o.r.show(p) }

// TreeAt is the tree of that size with which a committed one begins.
func (o Owner) TreeAt(ctx context.Context, s *proof.Snapshot, size uint64) (proof.Tree, error) {
	tree, err := o.r.tiles.Within(s, s.Tree).TreeAt(ctx, size)
	return tree, wrapCorrupt(err)
}

// ConsistencyProof is [Reader.ConsistencyProof] of two sizes that are committed.
func (o Owner) ConsistencyProof(ctx context.Context, s *proof.Snapshot, from, to uint64) ([]proof.Hash, error) {
	larger, err := o.TreeAt(ctx, s, to)
	if err != nil {
		return nil, err
	}
	_, path, err := o.r.tiles.Within(s, larger).ConsistencyProof(ctx, from)
	return path, wrapCorrupt(err)
}

// Entries are entries of a committed tree, each checked against its leaf.
func (o Owner) Entries(ctx context.Context, s *proof.Snapshot, start, end uint64) ([][]byte, error) {
	return o.r.readEntries(ctx, o.r.tiles.Within(s, s.Tree), start, end)
}

// Tile is a tile of a tree that the source holds, committed or not, checked against its
// root: where the source's own is damaged, as what lies below it makes it.
func (o Owner) Tile(ctx context.Context, tree proof.Tree, id proof.TileID) ([]byte, error) {
	row, err := o.r.tiles.At(tree).Tile(ctx, id)
	return row, wrapCorrupt(err)
}

// LoadAppender goes on from a tree that the source holds ([proof.LoadAppender]).
func (o Owner) LoadAppender(ctx context.Context, tree proof.Tree) (*proof.Appender, error) {
	a, err := proof.LoadAppender(ctx, tree, o.r.readTiles)
	return a, wrapCorrupt(err)
}
