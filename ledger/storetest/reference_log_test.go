package storetest

import (
	"math"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial
// level 0 tile of width 112, one full level 1 tile, one partial level 1 tile of
// width 17, and one partial level 2 tile of width 1" (tlog-tiles "Partial Tiles").
func TestTilesSpecExample(t *testing.T) {
	ids := slices.Collect(Tiles(0, 70_000))
	want := []proof.TileID{{Level: 0, Index: 273, Width: 112}, {Level: 1, Index: 0, Width: 256}, {Level: 1, Index: 1, Width: 17}, {Level: 2, Index: 0, Width: 1}}
	if len(ids) != 273+4 || !slices.Equal(ids[273:], want) {
		t.Errorf("got %d tiles, the last of them %v", len(ids), ids[max(0, len(ids)-4):])
	}
	if got := slices.Collect(Tiles(0, 256)); !slices.Equal(got, []proof.TileID{{Level: 0, Index: 0, Width: 256}, {Level: 1, Index: 0, Width: 1}}) {
		t.Errorf("size 256: %v", got)
	}
}

// Extending from every size to every size writes exactly the tiles that changed.
func TestTilesBetween(t *testing.T) {
	sizes := []uint64{65_535, 65_536, 65_537, 65_536 + 256, 1 << 24, 1<<24 + 65_536}
	for n := uint64(0); n <= 100; n++ {
		sizes = append(sizes, n)
	}
	for n := uint64(250); n <= 260; n++ {
		sizes = append(sizes, n, n+256)
	}
	all := func(n uint64) map[proof.TileID]bool {
		m := map[proof.TileID]bool{}
		for id := range Tiles(0, min(n, 70_000)) {
			m[id] = true
			if !id.In(n) || id.Width < 256 && (proof.TileID{Level: id.Level, Index: id.Index, Width: id.Width + 1}).In(min(n, 70_000)) {
				t.Errorf("size %d: %v has another width", n, id)
			}
		}
		return m
	}
	for _, from := range sizes {
		for _, to := range sizes {
			if from > to || to > 70_000 {
				continue
			}
			had, has := all(from), all(to)
			for id := range Tiles(from, to) {
				if !has[id] || had[id] {
					t.Errorf("%d to %d: %v is not new", from, to, id)
				}
				delete(has, id)
			}
			for id := range has {
				if !had[id] {
					t.Errorf("%d to %d: %v is missing", from, to, id)
				}
			}
		}
	}
}

func TestTilesNearMaxUint64(t *testing.T) {
	n := 0
	for id := range Tiles(math.MaxUint64-3, math.MaxUint64) {
		if !id.In(math.MaxUint64) {
			t.Errorf("%v", id)
		}
		n++
	}
	if n != 1 {
		t.Errorf("got %d tiles, want 1", n)
	}
}
