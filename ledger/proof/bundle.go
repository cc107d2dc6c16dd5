package proof

import (
	"encoding/binary"
	"fmt"
	"math"
)

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
