package register

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Tables of the register. Every key is
//
//	table byte, text, 0x00                     (a plain row)
//	table byte, text, 0x00, 8 bytes, 0x09      (a row versioned or listed by log index)
//
// The last byte tells Pebble where the suffix begins, so that its bloom filters
// see the text alone and a thread that does not exist costs no disk read. The
// text never holds 0x00: the record package refuses control characters.
const (
	tableCursor     = 'c' // how far the register has come
	tableRecord     = 'r' // index → RecordRow
	tableID         = 'i' // record ID → index
	tableThread     = 't' // thread, newest version first → what the record did: a ThreadRow without its state
	tableState      = 's' // thread, newest version first → State, of those threads whose records do not say it all
	tableKey        = 'k' // keyid, newest first → KeyRow
	tableFormer     = 'f' // thread, name key, name, since → nothing: a name that was replaced
	tableIdentifier = 'n' // scheme, value, thread, newest first → one IdentifierUse byte
	tableKind       = 'y' // kind, oldest first → nothing
	tableIssuer     = 'e' // issuer, oldest first → nothing
	tableProvider   = 'p' // party ID → nothing: whom duties are asked of, apart from those whom anybody sponsors
)

const suffixLen = 9 // 8 bytes of index and the length itself

// comparer orders keys bytewise and splits off the index suffix.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "docket.register"
	c.Split = func(key []byte) int {
		n := len(key)
		if n > suffixLen && key[n-1] == suffixLen && key[n-suffixLen-1] == 0 {
			return n - suffixLen
		}
		return n
	}
	// Shortened separators would not end as our keys do.
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	return &c
}()

func appendPlain(dst []byte, table byte, text []byte) []byte {
	dst = append(append(dst, table), text...)
	return append(dst, 0)
}

// appendListed makes the key of a row that is listed oldest first.
func appendListed(dst []byte, table byte, text string, index uint64) []byte {
	dst = append(append(dst, table), text...)
	dst = append(dst, 0)
	return append(binary.BigEndian.AppendUint64(dst, index), suffixLen)
}

// appendVersion makes the key of a row of which the newest comes first: a seek
// to the version of index n−1 finds what held at size n.
func appendVersion(dst []byte, table byte, text string, index uint64) []byte {
	return appendListed(dst, table, text, ^index)
}

// splitVersion takes a versioned key apart.
func splitVersion(key []byte) (text []byte, index uint64) {
	n := len(key) - suffixLen
	return key[1 : n-1], ^binary.BigEndian.Uint64(key[n:])
}

// splitListed takes a listed key apart.
func splitListed(key []byte) (text []byte, index uint64) {
	text, index = splitVersion(key)
	return text, ^index
}

func recordKey(index uint64) []byte {
	return appendPlain(nil, tableRecord, binary.BigEndian.AppendUint64(nil, index))
}

func idKey(id record.ID) []byte { return appendPlain(make([]byte, 0, 34), tableID, id[:]) }

// prefixBounds are the bounds of all rows of a table whose text begins with prefix.
func prefixBounds(table byte, prefix string) (lower, upper []byte) {
	lower = append([]byte{table}, prefix...)
	upper = bytes.Clone(lower)
	for i := len(upper) - 1; i >= 0; i-- {
		if upper[i]++; upper[i] != 0 {
			return lower, upper[:i+1]
		}
	}
	return lower, nil
}

// identifierText is the text of an identifier row.
func identifierText(scheme, value, thread string) string {
	return scheme + "\x1f" + value + "\x1f" + thread
}
