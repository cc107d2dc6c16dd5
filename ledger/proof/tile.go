package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
)

// TileHeight is the height of every tile, TileWidth how many hashes (or entries)
// a full one has (tlog-tiles "Merkle Tree").
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
	maxLevel   = 63 // the grammar's

	maxTileLevel = 7 // of a tree of 2^64 − 1 entries
)

// TileID names one tile as a tree of a certain size has it. Any prefix that was
// ever published stays servable: a partial tile is a prefix of what it grew into.
type TileID struct {
	Level uint8
	Index uint64
	Width int // 1 to 256 hashes
}

// EntryBundleID names the entries below one tile of level 0.
type EntryBundleID struct {
	Index uint64
	Width int // 1 to 256 entries
}

// Path is the tile's path below the log's prefix: "tile/0/x001/234.p/56".
func (t TileID) Path() string {
	return fmt.Sprintf("tile/%d/%s", t.Level, indexPath(t.Index, t.Width))
}

// Path is the bundle's path below the log's prefix: "tile/entries/x001/234".
func (b EntryBundleID) Path() string { return "tile/entries/" + indexPath(b.Index, b.Width) }

func (t TileID) String() string        { return t.Path() }
func (b EntryBundleID) String() string { return b.Path() }

// Tile is the tile that has the hashes of the bundle's entries.
func (b EntryBundleID) Tile() TileID { return TileID{Index: b.Index, Width: b.Width} }

// Full is the tile with its full width.
func (t TileID) Full() TileID { t.Width = TileWidth; return t }

// Full is the bundle with its full width.
func (b EntryBundleID) Full() EntryBundleID { b.Width = TileWidth; return b }

// In reports whether a tree of that size has all hashes of the tile.
func (t TileID) In(size uint64) bool {
	// SPEC: tlog-tiles Partial Tiles: no empty tile is served
	return t.Width > 0 && t.Width <= tileWidthAt(size, t.Level, t.Index)
}

// In reports whether a tree of that size has all entries of the bundle.
func (b EntryBundleID) In(size uint64) bool { return b.Tile().In(size) }

// ParseTilePath reads [TileID.Path] and accepts nothing that Path would not write:
// no leading slash, empty or trailing segment, escape, or superfluous zero.
func ParseTilePath(path string) (TileID, error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return TileID{}, tilePathError(path, `does not begin with "tile/"`)
	}
	level, number, ok := strings.Cut(rest, "/")
	if !ok {
		return TileID{}, tilePathError(path, "want tile/<level>/<index>")
	}
	l, err := parseDecimal(level)
	// SPEC: tlog-tiles Merkle Tree: a level is a decimal from 0 to 63 without leading zeros
	if err != nil || level == "" || l > maxLevel {
		return TileID{}, tilePathError(path, "the level is not a number from 0 to 63")
	}
	n, w, err := parseIndexPath(number)
	if err != nil {
		return TileID{}, tilePathError(path, err.Error())
	}
	return TileID{Level: uint8(l), Index: n, Width: w}, nil
}

// ParseEntryBundlePath reads [EntryBundleID.Path], as strictly.
func ParseEntryBundlePath(path string) (EntryBundleID, error) {
	number, ok := strings.CutPrefix(path, "tile/entries/")
	if !ok {
		return EntryBundleID{}, tilePathError(path, `does not begin with "tile/entries/"`)
	}
	n, w, err := parseIndexPath(number)
	if err != nil {
		return EntryBundleID{}, tilePathError(path, err.Error())
	}
	return EntryBundleID{Index: n, Width: w}, nil
}

func tilePathError(path, why string) error { return fmt.Errorf("tile path %q: %s", path, why) }

// indexPath writes <N>[.p/<W>]: three digits an element, "x" before all but the last.
func indexPath(n uint64, width int) string {
	// SPEC: tlog-tiles Merkle Tree: an index is a number in path elements of three digits
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		// SPEC: tlog-tiles Merkle Tree: all elements but the last begin with an x
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	if width != TileWidth {
		s += fmt.Sprintf(".p/%d", width)
	}
	return s
}

func parseIndexPath(s string) (n uint64, width int, err error) {
	number, partial, isPartial := strings.Cut(s, ".p/")
	width = TileWidth
	if isPartial {
		w, err := parseDecimal(partial)
		if err != nil || partial == "" || w < 1 || w >= TileWidth {
			return 0, 0, errors.New("the width is not a number from 1 to 255")
		}
		width = int(w)
	}
	elements := strings.Split(number, "/")
	if len(elements) > 7 { // 20 digits hold 2^64
		return 0, 0, errors.New("the index is too long")
	}
	digits := ""
	for i, e := range elements {
		if i < len(elements)-1 {
			var ok bool
			// SPEC: tlog-tiles Merkle Tree: all elements but the last begin with an x
			if e, ok = strings.CutPrefix(e, "x"); !ok {
				return 0, 0, errors.New("want x before all but the last three digits of the index")
			}
		}
		// SPEC: tlog-tiles Merkle Tree: an index is a number in path elements of three digits
		if len(e) != 3 {
			return 0, 0, errors.New("want the index in elements of three digits")
		}
		digits += e
	}
	if len(elements) > 1 && elements[0] == "x000" {
		return 0, 0, errors.New("leading zeros in the index")
	}
	short := strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
	if n, err = parseDecimal(short); err != nil {
		return 0, 0, fmt.Errorf("index: %w", err)
	}
	return n, width, nil
}

// tileWidthAt is how many hashes of a tile a tree of that size has, at most 256. A hash
// stands in level l for 256^l entries, so an incomplete one is not there yet.
func tileWidthAt(size uint64, level uint8, index uint64) int {
	if level > maxTileLevel {
		return 0
	}
	// SPEC: tlog-tiles Partial Tiles: a partial tile is not hashed into a tile above
	hashes := size >> (uint(level) * TileHeight)
	if start := index << TileHeight; start>>TileHeight == index && hashes > start {
		// SPEC: tlog-tiles Merkle Tree: a full tile has 256 hashes
		return int(min(hashes-start, TileWidth))
	}
	return 0
}

// EntryBundles are the bundles that hold the entries [from, to), as wide as they are in
// a tree of size to.
func EntryBundles(from, to uint64) iter.Seq[EntryBundleID] {
	return func(yield func(EntryBundleID) bool) {
		for index := from >> TileHeight; from < to && index <= (to-1)>>TileHeight; index++ {
			if !yield(EntryBundleID{Index: index, Width: tileWidthAt(to, 0, index)}) {
				return
			}
		}
	}
}

// FormatEntryBundle writes entries as an entry bundle (tlog-tiles "Log entries"): each
// after its length as a big-endian uint16.
func FormatEntryBundle(entries [][]byte) ([]byte, error) {
	if len(entries) < 1 || len(entries) > TileWidth {
		return nil, fmt.Errorf("entry bundle of %d entries, want 1 to %d", len(entries), TileWidth)
	}
	size := 0
	for _, e := range entries {
		size += 2 + len(e)
	}
	b := make([]byte, 0, size)
	for i, e := range entries {
		if len(e) > math.MaxUint16 {
			return nil, fmt.Errorf("entry bundle: entry %d has %d bytes, limit %d", i, len(e), math.MaxUint16)
		}
		// SPEC: tlog-tiles Log entries: a bundle is entries, each after its length as a big-endian uint16
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
	}
	return b, nil
}

// ParseEntryBundle reads a bundle of exactly width entries. The entries are slices of
// data. Nothing is verified: their hashes are those of the tile only if compared.
func ParseEntryBundle(data []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, fmt.Errorf("entry bundle of %d entries, want 1 to %d", width, TileWidth)
	}
	entries := make([][]byte, 0, width)
	for len(data) > 0 {
		if len(entries) == width {
			return nil, fmt.Errorf("entry bundle: %d bytes after %d entries", len(data), width)
		}
		if len(data) < 2 {
			return nil, fmt.Errorf("entry bundle: cut off in the length of entry %d", len(entries))
		}
		// SPEC: tlog-tiles Log entries: a bundle is entries, each after its length as a big-endian uint16
		n := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+n {
			return nil, fmt.Errorf("entry bundle: cut off in entry %d: %d of %d bytes", len(entries), len(data)-2, n)
		}
		entries = append(entries, data[2:2+n:2+n])
		data = data[2+n:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("entry bundle of %d entries, want %d", len(entries), width)
	}
	return entries, nil
}
