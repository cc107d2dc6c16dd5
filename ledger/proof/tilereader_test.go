package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// Every proof of every tree to 100, and around the sizes where tiles fill up, is
// the one that RFC 6962 defines.
func TestTileReader(t *testing.T) {
	f := newReferenceTree(66_000)
	for _, n := range buildSizes() {
		tree := f.tree(n)
		r := &tileReader{t: t, f: f, size: tree.Size}
		b := NewTileReader(r.read, 0)
		for _, i := range sampleIndexes(n) {
			if i == n {
				continue
			}
			calls := r.calls
			in, err := b.At(tree).InclusionProof(t.Context(), uint64(i))
			if err != nil {
				t.Fatalf("inclusion of %d in %d: %v", i, n, err)
			}
			if r.calls > calls+1 || r.calls == 0 {
				t.Errorf("inclusion of %d in %d: %d reads", i, n, r.calls-calls)
			}
			if in.Index != uint64(i) || in.Leaf != f.leaves[i] || !slices.Equal(in.Path, f.path(i, 0, n)) {
				t.Fatalf("inclusion of %d in %d: not the proof of RFC 6962", i, n)
			}
		}
		for _, m := range sampleIndexes(n) {
			old, path, err := b.At(tree).ConsistencyProof(t.Context(), uint64(m))
			if err != nil {
				t.Fatalf("%d to %d: %v", m, n, err)
			}
			var want []Hash
			if m > 0 {
				want = f.subproof(m, 0, n, true)
			}
			if old != f.tree(m) || !slices.Equal(path, want) {
				t.Fatalf("consistency of %d and %d: not the proof of RFC 6962", m, n)
			}
			left, right, err := b.At(tree).CompactRanges(t.Context(), uint64(m))
			if err != nil {
				t.Fatalf("ranges of %d in %d: %v", m, n, err)
			}
			if whole, err := treeFromRanges(tree.Size, tree.Size, nil, nil); n == 0 && (err != nil || whole != tree) {
				t.Errorf("folding nothing: %v, %v", whole, err)
			}
			if part, err := treeFromRanges(uint64(m), uint64(m), left, nil); err != nil || part != f.tree(m) {
				t.Errorf("left of %d in %d: %v", m, n, err)
			}
			if whole, err := treeFromRanges(uint64(m), tree.Size, left, right); err != nil || whole != tree {
				t.Errorf("ranges of %d in %d: %v", m, n, err)
			}
		}
		if _, err := b.At(tree).InclusionProof(t.Context(), tree.Size); err == nil {
			t.Errorf("size %d: an index beyond it is proven", n)
		}
		if _, _, err := b.At(tree).ConsistencyProof(t.Context(), tree.Size+1); err == nil {
			t.Errorf("size %d: a larger tree is proven to be in it", n)
		}
		if _, _, err := b.At(tree).CompactRanges(t.Context(), tree.Size+1); err == nil {
			t.Errorf("size %d: ranges beyond it", n)
		}
	}
}

func buildSizes() (sizes []int) {
	for n := range 101 {
		sizes = append(sizes, n)
	}
	return append(sizes, 254, 255, 256, 257, 258, 511, 512, 513, 768, 1023, 1025, 65_535, 65_536, 65_537, 65_793, 65_999)
}

func sampleIndexes(n int) (is []int) {
	for i := 0; i <= n; i++ {
		if n <= 100 || i < 3 || i > n-3 || i%256 < 2 && i%(256*23) < 600 || i == 65_535 || i == 65_536 {
			is = append(is, i)
		}
	}
	return is
}

// A store that only has the tile as it grew later gives more than was asked for.
func TestTileReaderWithLongerTiles(t *testing.T) {
	f := newReferenceTree(300)
	for n := 1; n <= 256; n += 17 {
		read := func(_ context.Context, ids []TileID) ([][]byte, error) {
			var out [][]byte
			for _, id := range ids {
				id.Width = tileWidthAt(300, id.Level, id.Index)
				out = append(out, f.tile(id))
			}
			return out, nil
		}
		in, err := NewTileReader(read, 0).At(f.tree(n)).InclusionProof(t.Context(), uint64(n-1))
		if err != nil || !slices.Equal(in.Path, f.path(n-1, 0, n)) {
			t.Errorf("size %d: %v", n, err)
		}
	}
}

// Whatever byte of whatever tile a proof reads is rotten, the proof is either the
// right one (it did not depend on that byte) or ErrCorrupt, and a repaired disk
// helps at once.
func TestTileReaderWithCorruptTiles(t *testing.T) {
	f := newReferenceTree(70_000)
	for _, n := range []int{7, 256, 300, 70_000} {
		tree := f.tree(n)
		for _, i := range []int{0, n / 3, n - 1} {
			for at := range 3 {
				r := &tileReader{t: t, f: f, size: tree.Size}
				b := NewTileReader(r.read, 0)
				rotten := 0
				r.corrupt = func(id TileID, data []byte) []byte {
					if rotten == at {
						data[len(data)/2] ^= 4
					}
					rotten++
					return data
				}
				in, err := b.At(tree).InclusionProof(t.Context(), uint64(i))
				if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && !slices.Equal(in.Path, f.path(i, 0, n)) {
					t.Errorf("%d of %d, tile %d rotten: %v", i, n, at, err)
				}
				if at == 0 && n > 1 && err == nil { // the leaf's own tile enters every hash
					t.Errorf("%d of %d: rot in the leaf's tile is not noticed", i, n)
				}
				r.corrupt = nil
				if in, err := b.At(tree).InclusionProof(t.Context(), uint64(i)); err != nil && at == 0 || err == nil && !slices.Equal(in.Path, f.path(i, 0, n)) {
					t.Errorf("%d of %d, repaired: %v", i, n, err)
				}
			}
		}
	}
	for _, spoil := range []func(TileID, []byte) []byte{
		func(_ TileID, d []byte) []byte { return d[:len(d)-1] },
		func(_ TileID, d []byte) []byte { return d[:len(d)-32] },
		func(_ TileID, d []byte) []byte { return append(d, make([]byte, 256*32)...) },
		func(TileID, []byte) []byte { return nil },
	} {
		r := &tileReader{t: t, f: f, size: 300, corrupt: spoil}
		b := NewTileReader(r.read, 0)
		if _, err := b.At(f.tree(300)).InclusionProof(t.Context(), 5); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a tile of another length: %v", err)
		}
	}
	wrong := f.tree(300)
	wrong.Root[0] ^= 1
	r := &tileReader{t: t, f: f, size: 300}
	b := NewTileReader(r.read, 0)
	if _, err := b.At(wrong).TreeAt(t.Context(), 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("consistency under another root: %v", err)
	}
	if _, _, err := b.At(wrong).CompactRanges(t.Context(), 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("ranges under another root: %v", err)
	}
	failed := errors.New("disk gone")
	b = NewTileReader(func(context.Context, []TileID) ([][]byte, error) { return nil, failed }, 0)
	if _, err := b.At(f.tree(300)).InclusionProof(t.Context(), 5); !errors.Is(err, failed) {
		t.Errorf("reader's error: %v", err)
	}
}

// A small cache, much used from several goroutines, forgets and stays right.
func TestTileReaderCache(t *testing.T) {
	f := newReferenceTree(8_000)
	tree := f.tree(8_000)
	f.path(0, 0, 8_000) // fill the memo: tiles are then read only
	for i := range 32 {
		f.tile(TileID{0, uint64(i), min(256, 8_000-i*256)})
	}
	f.tile(TileID{1, 0, 31})
	want := map[uint64][]Hash{}
	for i := uint64(0); i < 8_000; i += 37 {
		want[i] = f.path(int(i), 0, 8_000)
	}
	for _, limit := range []int{-1, 2, 4, 1000} {
		r := &tileReader{t: t, f: f, size: tree.Size}
		var calls sync.Mutex
		b := NewTileReader(func(ctx context.Context, ids []TileID) ([][]byte, error) {
			calls.Lock()
			defer calls.Unlock()
			return r.read(ctx, ids)
		}, limit)
		var wg sync.WaitGroup
		errs := make(chan error, 4)
		for range 4 {
			wg.Go(func() {
				for i := uint64(0); i < 8_000; i += 37 {
					in, err := b.At(tree).InclusionProof(t.Context(), i)
					if err != nil || !slices.Equal(in.Path, want[i]) {
						errs <- fmt.Errorf("limit %d, index %d: %w", limit, i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		if limit < 0 != (b.cache == nil) || b.cache != nil && b.cache.Len() > limit {
			t.Errorf("limit %d: %v tiles kept", limit, b.cache)
		}
	}
}

// The cache keeps what was asked for last, what an appender has just made, and no more
// than it may.
func TestTileReaderKeeps(t *testing.T) {
	const limit = 8
	f := newReferenceTree(10_000)
	a := NewAppender()
	r := &tileReader{t: t, f: f, size: 10_000}
	tiles := NewTileReader(r.read, limit)
	for i, leaf := range f.leaves {
		if err := a.Append(leaf); err != nil {
			t.Fatal(err)
		}
		if n := i + 1; n%TileWidth == 0 {
			tiles.Keep(a.TakeTiles())
			s, err := a.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			for _, first := range []uint64{uint64(n - TileWidth), 0} {
				if _, err := tiles.Within(s, s.Tree).Tile(t.Context(), TileID{Index: first / TileWidth, Width: TileWidth}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if r.calls > 0 || tiles.cache.Len() != limit {
		t.Errorf("%d reads of tiles that were asked for last; %d are kept, limit %d", r.calls, tiles.cache.Len(), limit)
	}
}

// A reader that has read one history reads another one rightly, and then the first again: what it
// keeps of the one is no damage of the other.
func TestTileReaderOfTwoHistories(t *testing.T) {
	const n = 70_000
	a, b := newReferenceTree(n), newReferenceTree(n)
	b.leaves[5][0] ^= 1
	lies := map[Tree]*referenceTree{a.tree(n): a, b.tree(n): b}
	var source *tileReader
	r := NewTileReader(func(ctx context.Context, ids []TileID) ([][]byte, error) { return source.read(ctx, ids) }, 0)
	for _, tree := range []Tree{a.tree(n), b.tree(n), a.tree(n)} {
		source = &tileReader{t: t, f: lies[tree], size: n}
		old, err := r.At(tree).TreeAt(t.Context(), 300)
		if want := lies[tree].tree(300); err != nil || old != want {
			t.Errorf("%v, %v: want %v", old, err, want)
		}
	}
}
