package proof

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]TileID{
		"tile/0/000":                               {0, 0, 256},
		"tile/0/x001/x234/067":                     {0, 1234067, 256}, // the text's own example
		"tile/1/000.p/17":                          {1, 0, 17},
		"tile/63/999.p/255":                        {63, 999, 255},
		"tile/0/x018/x446/x744/x073/x709/x551/615": {0, math.MaxUint64, 256},
	} {
		got, err := ParseTilePath(path)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", path, got, err)
		}
		if got := want.Path(); got != path {
			t.Errorf("got %s, want %s", got, path)
		}
		bundle := EntryBundleID{want.Index, want.Width}
		if bundle.Tile() != (TileID{0, want.Index, want.Width}) || bundle.Full().Width != 256 || bundle.In(math.MaxUint64) != bundle.Tile().In(math.MaxUint64) {
			t.Errorf("bundle %v", bundle)
		}
		if got, err := ParseEntryBundlePath(bundle.Path()); err != nil || got != bundle {
			t.Errorf("%s: got %v, %v", bundle.Path(), got, err)
		}
	}
}

func TestBadTilePaths(t *testing.T) {
	for _, path := range []string{
		"", "/", "tile", "tile/", "tile/0", "tile/0/", "tile//000", "/tile/0/000", "tile/0/000/", "tile/0//000", "tile//0/000",
		"tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/+1/000", "tile/a/000", "tile/0/0", "tile/0/00", "tile/0/0000",
		"tile/0/x000/001", "tile/0/001/000", "tile/0/x001", "tile/0/x001/x000", "tile/0/x001/", "tile/0/X001/000", "tile/0/x01/000",
		"tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/1/", "tile/0/000.p/-1",
		"tile/0/000.p//1", "tile/0/000.P/1", "tile/0/000.p/1.p/1", "tile/0%2F000", "tile/0/x001%2F000", "tile/0/000 ", "tile/0/0\u0660\u0661",
		"tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/x001/x018/x446/x744/x073/x709/x551/615", "tile/entries/000",
	} {
		if id, err := ParseTilePath(path); err == nil {
			t.Errorf("%q: read as %+v", path, id)
		}
		bundle := strings.Replace(path, "tile/0", "tile/entries", 1)
		if bundle == path || bundle == "tile/entries/000" {
			continue
		}
		if id, err := ParseEntryBundlePath(bundle); err == nil {
			t.Errorf("%q: read as %+v", bundle, id)
		}
	}
}

func TestEntryBundles(t *testing.T) {
	if got := slices.Collect(EntryBundles(70_000-113, 70_000)); !slices.Equal(got, []EntryBundleID{{272, 256}, {273, 112}}) {
		t.Errorf("bundles: %v", got)
	}
}

func TestTilesNearMaxUint64(t *testing.T) {
	edge := edgeTiles(math.MaxUint64)
	for _, id := range edge {
		if !id.In(math.MaxUint64) || id.Width != 255 {
			t.Errorf("%v", id)
		}
	}
	if len(edge) != 8 {
		t.Errorf("got %d tiles, want 8", len(edge))
	}
	for _, id := range []TileID{{8, 0, 1}, {63, 0, 1}, {0, math.MaxUint64, 1}, {0, 1 << 56, 1}, {0, 0, 0}, {0, 0, -1}} {
		if id.In(math.MaxUint64) {
			t.Errorf("%+v is in no tree", id)
		}
	}
}

func TestEntryBundle(t *testing.T) {
	for _, n := range []int{1, 2, 255, 256} {
		entries := make([][]byte, n)
		for i := range entries {
			entries[i] = testEntry(i)
		}
		entries[0] = nil // the format allows it
		data, err := FormatEntryBundle(entries)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseEntryBundle(data, n)
		if err != nil || !slices.EqualFunc(got, entries, slices.Equal) {
			t.Fatalf("%d entries: %v", n, err)
		}
		for _, bad := range [][]byte{nil, data[:len(data)-1], append(slices.Clone(data), 0), append(slices.Clone(data), 0, 0), data[1:]} {
			if _, err := ParseEntryBundle(bad, n); err == nil {
				t.Errorf("%d entries: %d bytes of %d are read", n, len(bad), len(data))
			}
		}
		if _, err := ParseEntryBundle(data, n+1); err == nil {
			t.Errorf("%d entries are read as %d", n, n+1)
		}
	}
	for _, bad := range [][][]byte{nil, make([][]byte, 257), {make([]byte, 65_536)}} {
		if _, err := FormatEntryBundle(bad); err == nil {
			t.Errorf("%d entries are written", len(bad))
		}
	}
}
