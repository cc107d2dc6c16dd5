package pebblestore

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The first byte of a key says what lies there. The entries are the bulk and in
// ascending order, so that what is compacted once need not be touched again.
const (
	keyEntry      = 'e' // index, 8 bytes big-endian → the entry
	keyHead       = 'h' // → size, 8 bytes big-endian; root
	keyArchived   = 'k' // size, stamp, 8 bytes big-endian each → a signed note
	keyArchivedAt = 'm' // stamp, size, 8 bytes big-endian each → nothing
	keyPublished  = 'p' // → the signed note
	keyTile       = 't' // level, 1 byte; index, 8 bytes big-endian → its hashes so far

	keyCursor = 'c' // of an Index → head that it was advanced to
	keyItem   = 'i' // of an Index: record ID → index, 8 bytes big-endian
)

const entryKeySize = 9

func putEntryKey(k []byte, index uint64) {
	k[0] = keyEntry
	binary.BigEndian.PutUint64(k[1:], index)
}

func tileKey(id proof.TileID) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyTile, id.Level}, id.Index)
}

// archiveKey is the key of a kept checkpoint under either prefix.
func archiveKey(prefix byte, first, second uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{prefix}, first), second)
}

func encodeHead(h ledger.Head) []byte {
	return append(binary.BigEndian.AppendUint64(nil, h.Size), h.Root[:]...)
}

func decodeHead(b []byte) (h ledger.Head, err error) {
	if len(b) != 8+len(h.Root) {
		return h, fmt.Errorf("a head of %d bytes", len(b))
	}
	h.Size = binary.BigEndian.Uint64(b)
	copy(h.Root[:], b[8:])
	return h, nil
}
