package server

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// Lists that are read in pages; each one's cursors begin with its letter, so
// that none is taken for another's.
const (
	cursorRecords      = 'r'
	cursorDesignations = 'd'
	cursorParties      = 'p'
	cursorDuties       = 'u'
	cursorKeys         = 'k'
	cursorIdentifier   = 'i'
)

// cursor is where a list goes on, and as of which size and instant it began, so
// that all pages tell of the same moment. Its text is opaque to clients: what it
// holds may change.
type cursor struct {
	list     byte
	size     uint64
	at       time.Time // UTC, milliseconds; the zero time if size is 0
	position string    // of the last item of the page before; "" on the first page
}

const cursorHeaderLen = 1 + 8 + 8

func (c cursor) String() string {
	raw := make([]byte, 0, cursorHeaderLen+len(c.position))
	raw = append(raw, c.list)
	raw = binary.BigEndian.AppendUint64(raw, c.size)
	at := int64(0)
	if c.size > 0 {
		at = c.at.UnixMilli()
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(at))
	return base64.RawURLEncoding.EncodeToString(append(raw, c.position...))
}

// The instants that an answer can name: RFC 3339 writes a year with four digits.
var (
	firstInstant = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
)

var errCursor = errors.New("not a cursor of this list")

func parseCursor(list byte, text string) (cursor, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < cursorHeaderLen || raw[0] != list {
		return cursor{list: list}, errCursor
	}
	c := cursor{list: list, size: binary.BigEndian.Uint64(raw[1:]), position: string(raw[cursorHeaderLen:])}
	at := int64(binary.BigEndian.Uint64(raw[9:]))
	if c.size > 0 {
		c.at = time.UnixMilli(at).UTC()
		if c.at.Before(firstInstant) || c.at.After(lastInstant) {
			return cursor{list: list}, errCursor
		}
	}
	if c.String() != text {
		return cursor{list: list}, errCursor
	}
	return c, nil
}
