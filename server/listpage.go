package server

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Lists are answered a page at a time: what a page holds, and where the next one goes on.

// listPage gathers one page of a list: it takes each item until the page is full,
// and then knows where the next one goes on.
type listPage[T any] struct {
	limit   int
	items   []T
	after   string // the list goes on after this place; "" if it does not
	skipped []string
	place   func(T) string
}

func newListPage[T any](limit int, place func(T) string) *listPage[T] {
	return &listPage[T]{limit: limit, items: []T{}, place: place}
}

// add is the yield of the register's lists. It looks one item further than the
// page, to tell whether there is a next one.
func (p *listPage[T]) add(item T) bool {
	if len(p.items) == p.limit {
		p.after = p.place(p.items[p.limit-1])
		return false
	}
	p.items = append(p.items, item)
	return true
}

// finish takes how the list ended: where its work was used up, it goes on too. name is
// the parameter that said where it began.
func (p *listPage[T]) finish(q *registerQuery, name string, err error) error {
	if errors.Is(err, view.ErrBadPosition) {
		q.addCursorFault(name)
		return q.firstFault()
	}
	var more *view.PartialListError
	if !errors.As(err, &more) {
		return err
	}
	p.after = more.After
	if more.Skipped != "" {
		p.skipped = []string{more.Skipped}
	}
	return nil
}

// nextCursor is the cursor of the page that goes on after a place; "" if there is none.
func (q *registerQuery) nextCursor(list byte, after string) string {
	if after == "" {
		return ""
	}
	return cursor{list: list, size: q.asOf.Size, at: q.asOf.At, position: after}.String()
}

// pagePart is one of the lists of a page about one thing: as much of it as the page shows.
type pagePart[T any] struct {
	Items   []T
	Next    string // address of the page that goes on; "" if there is none
	Skipped []string
}

// partLimit is how many items of one of its lists a page about one thing shows: it may have four such lists.
const partLimit = maxSayings

// queryPart reads such a list from where ?name= says on. Each takes the budget of a
// query.
func queryPart[T any](q *registerQuery, x *request, name string, list byte, place func(T) string, ask func(v *view.View, after string, yield func(T) bool) error) (pagePart[T], error) {
	from := q.cursor(name, list)
	if err := q.firstFault(); err != nil {
		return pagePart[T]{}, err
	}
	p := newListPage(partLimit, place)
	if err := p.finish(q, name, ask(q.view.WithBudget(x.server.cfg.QueryBudget), from.position, p.add)); err != nil {
		return pagePart[T]{}, err
	}
	return pagePart[T]{p.items, q.pageURL(x.Request.URL.EscapedPath(), name, q.nextCursor(list, p.after)), p.skipped}, nil
}

// Lists that are read in pages; each one's cursors begin with its letter, so
// that none is taken for another's.
const (
	cursorRecords      = 'r'
	cursorDesignations = 'd'
	cursorParties      = 'p'
	cursorDuties       = 'u'
	cursorKeys         = 'k'
	cursorIdentifier   = 'i'
	cursorChanges      = 'c'
	cursorLicences     = 'l'
	cursorRequests     = 'q'
	cursorSearch       = 's'
	cursorBoard        = 'b'
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
