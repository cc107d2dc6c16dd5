package proof

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
)

// Growing from every size to every size up to 100, and over the boundaries of tiles, gives
// the root that RFC 6962 defines, and exactly the tiles that changed; whether the tree was
// grown from nothing or loaded.
func TestAppender(t *testing.T) {
	f := newReferenceTree(66_000)
	sizes := buildSizes()
	grown := NewAppender()
	for k, to := range sizes {
		if k > 0 {
			checkGrows(t, f, grown, sizes[k-1], to)
		}
		for _, from := range slices.Concat(sizes[:min(k, 101)], []int{to - 1}) {
			if from < 0 || from < to-700 && to > 1100 {
				continue
			}
			a, err := LoadAppender(t.Context(), f.tree(from), (&tileReader{t: t, f: f, size: uint64(from)}).read)
			if err != nil {
				t.Fatalf("loading %d: %v", from, err)
			}
			checkGrows(t, f, a, from, to)
		}
	}
}

func checkGrows(t *testing.T, f *referenceTree, a *Appender, from, to int) {
	t.Helper()
	before, err := a.Snapshot()
	if err != nil || before.Tree != f.tree(from) {
		t.Fatalf("%d: %v, %v", from, before.Tree, err)
	}
	if got := a.TakeTiles(); len(got) > 0 {
		t.Fatalf("%d: %d tiles before anything has grown", from, len(got))
	}
	for _, leaf := range f.leaves[from:to] {
		if err := a.Append(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if tree, err := a.Tree(); err != nil || tree != f.tree(to) || a.Size() != uint64(to) {
		t.Fatalf("%d to %d: %v, %v", from, to, tree, err)
	}
	changed := map[TileID]bool{}
	for level := uint8(0); level < 3; level++ {
		for index := uint64(0); ; index++ {
			was, is := tileWidthAt(uint64(from), level, index), tileWidthAt(uint64(to), level, index)
			if is == 0 {
				break
			}
			if was < is {
				changed[TileID{level, index, is}] = true
			}
		}
	}
	for _, tile := range a.TakeTiles() {
		if !changed[tile.ID] || !bytes.Equal(tile.Hashes, f.tile(tile.ID)) {
			t.Fatalf("%d to %d: %v has not grown, is there twice, or is another", from, to, tile.ID)
		}
		delete(changed, tile.ID)
		if tile.ID.Width == TileWidth {
			var root [32]byte
			copy(root[:], tile.expanded.root())
			if span := 256 << (8 * int(tile.ID.Level)); Hash(root) != f.mth(int(tile.ID.Index)*span, int(tile.ID.Index+1)*span) || TileRoot(tile.Hashes) != Hash(root) {
				t.Fatalf("%d to %d: the root of %v is another", from, to, tile.ID)
			}
		}
	}
	if len(changed) > 0 {
		t.Fatalf("%d to %d: %d tiles are missing", from, to, len(changed))
	}
	var edge []TileID
	for _, tile := range a.PartialTiles() {
		edge = append(edge, tile.ID)
		if !bytes.Equal(tile.Hashes, f.tile(tile.ID)) {
			t.Fatalf("at %d: %v is another", to, tile.ID)
		}
	}
	if want := edgeTiles(uint64(to)); !slices.Equal(edge, want) {
		t.Fatalf("at %d: the edge is %v, want %v", to, edge, want)
	}
	// The snapshot of before has its tree still.
	none := NewTileReader(func(context.Context, []TileID) ([][]byte, error) { return nil, errors.New("read") }, -1)
	if from > 0 && from < TileWidth {
		if in, err := none.Within(before, before.Tree).InclusionProof(t.Context(), uint64(from-1)); err != nil || !slices.Equal(in.Path, f.path(from-1, 0, from)) {
			t.Fatalf("%d, after it grew to %d: %v", from, to, err)
		}
	}
}

// Partial tiles of which any one is rotten, short or missing make no tree.
func TestLoadAppenderOfDamagedTiles(t *testing.T) {
	f := newReferenceTree(70_000)
	for at := range 3 {
		for what, spoil := range map[string]func([]byte) []byte{
			"rotten": func(d []byte) []byte { d[len(d)-1] ^= 1; return d },
			"short":  func(d []byte) []byte { return d[:len(d)-32] },
			"gone":   func([]byte) []byte { return nil },
		} {
			n := 0
			r := &tileReader{t: t, f: f, size: 70_000, corrupt: func(_ TileID, d []byte) []byte {
				if n++; n == at+1 {
					return spoil(d)
				}
				return d
			}}
			if _, err := LoadAppender(t.Context(), f.tree(70_000), r.read); !errors.Is(err, ErrCorrupt) || n != 3 {
				t.Errorf("tile %d of %d %s: %v", at, n, what, err)
			}
		}
	}
}

// What is read of a tree whose right edge is in memory is that of every smaller tree, and
// nothing of it is taken from tiles of another tree, kept or read.
func TestTreeWithin(t *testing.T) {
	const size = 66_000
	f := newReferenceTree(size)
	a, err := LoadAppender(t.Context(), f.tree(size), (&tileReader{t: t, f: f, size: size}).read)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	r := &tileReader{t: t, f: f, size: size}
	tiles := NewTileReader(r.read, 0)
	for _, n := range []int{1, 2, 100, 255, 256, 257, 511, 65_535, 65_536, 65_537, 65_900, size} {
		within := tiles.Within(s, f.tree(n))
		for _, i := range []int{0, n / 3, n - 1} {
			in, err := within.InclusionProof(t.Context(), uint64(i))
			if err != nil || in.Leaf != f.leaves[i] || !slices.Equal(in.Path, f.path(i, 0, n)) {
				t.Errorf("entry %d of %d: %v", i, n, err)
			}
			var entry [][]byte
			for j := i; j < min(n, i+300); j++ {
				entry = append(entry, testEntry(j))
			}
			if err := within.CheckEntries(t.Context(), uint64(i), entry); err != nil {
				t.Errorf("entries from %d of %d: %v", i, n, err)
			}
			entry[len(entry)-1] = []byte("another")
			if err := within.CheckEntries(t.Context(), uint64(i), entry); !errors.Is(err, ErrCorrupt) {
				t.Errorf("another entry after %d of %d: %v", i, n, err)
			}
		}
		for _, id := range append(edgeTiles(uint64(n)), TileID{Width: min(n, 256)}) {
			if got, err := within.Tile(t.Context(), id); err != nil || !bytes.Equal(got, f.tile(id)) {
				t.Errorf("%v of %d: %v", id, n, err)
			}
		}
		if _, err := within.Tile(t.Context(), TileID{Index: uint64(n), Width: 1}); err == nil {
			t.Errorf("a tile beyond %d", n)
		}
		if err := within.CheckEntries(t.Context(), uint64(n), [][]byte{nil}); err == nil {
			t.Errorf("an entry beyond %d", n)
		}
	}
	other := f.tree(300)
	other.Root[0] ^= 1
	if _, err := tiles.Within(s, other).InclusionProof(t.Context(), 5); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a tree that is no prefix: %v", err)
	}
	g := newReferenceTree(0)
	for i := range size { // another log, of which this reader has kept tiles
		g.leaves = append(g.leaves, f.leaves[size-1-i])
	}
	if got, err := tiles.At(g.tree(size)).Tile(t.Context(), TileID{Width: 256}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a tile of another log: %x, %v", got, err)
	}
	if _, err := tiles.Within(s, s.Tree).Tile(t.Context(), TileID{Width: 256}); err != nil {
		t.Errorf("and then of this one: %v", err)
	}
}

// A full tile that is not the tree's is made anew, and that is checked likewise.
func TestRemake(t *testing.T) {
	f := newReferenceTree(70_000)
	for _, lies := range []bool{false, true} {
		r := &tileReader{t: t, f: f, size: 70_000, corrupt: func(id TileID, d []byte) []byte {
			if id.Width == TileWidth {
				d[0] ^= 1
			}
			return d
		}}
		tiles := NewTileReader(r.read, 0)
		remade := 0
		tiles.Remake = func(_ context.Context, id TileID, why error) ([]byte, error) {
			if !errors.Is(why, ErrCorrupt) {
				t.Errorf("%v: %v", id, why)
			}
			remade++
			row := f.tile(id)
			if lies && id.Level == 0 {
				row[40] ^= 1
			}
			return row, nil
		}
		for range 2 {
			in, err := tiles.At(f.tree(70_000)).InclusionProof(t.Context(), 5)
			if lies != errors.Is(err, ErrCorrupt) || !lies && !slices.Equal(in.Path, f.path(5, 0, 70_000)) {
				t.Errorf("remade with a lie %v: %v", lies, err)
			}
		}
		if !lies && remade != 2 {
			t.Errorf("%d tiles were remade, want 2, once", remade)
		}
	}
}
