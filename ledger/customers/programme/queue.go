package programme

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Row is one line of the queue: what is due of whom.
type Row struct {
	Handle  event.Handle `json:"handle"`
	Account string       `json:"account"`
	Name    string       `json:"name"`
	Due
}

// Page is a part of the queue, and how much there is in all.
type Page struct {
	Day  record.Date `json:"day"`
	Rows []Row       `json:"rows"`           // what was due first, first
	Next Cursor      `json:"next,omitempty"` // for the next page; "" after the last
	Due  int         `json:"due"`            // of all pages, the late ones too
	Late int         `json:"late"`
}

// Cursor is where a page of the queue ended. It stays good when the queue changes: what
// comes after it by date is on the next page.
type Cursor string

// ErrCursor: a text that is none.
var ErrCursor = errors.New("after: no place in the queue: take next of the page before, as it is")

// Ask is what is asked of the queue.
type Ask struct {
	Day      record.Date // asked about
	Zone     *time.Location
	LateOnly bool
	Duty     Duty   // "": all
	After    Cursor // "": the first page
	Limit    int    // rows a page, at least 1
}

// Queue is what is due of all customers, what was due first, first: one pass over them, in
// the memory of one page. Errors are those of the iterator, and of a cursor that is none.
func (h *History) Queue(states iter.Seq2[*event.State, error], ask Ask) (Page, error) {
	page := Page{Day: ask.Day, Rows: []Row{}}
	if ask.Limit < 1 {
		return page, fmt.Errorf("a page of %d rows: want 1 at least", ask.Limit)
	}
	after, err := parseCursor(ask.After)
	if err != nil {
		return page, err
	}
	for s, err := range states {
		if err != nil {
			return page, err
		}
		for _, due := range h.Due(s, ask.Zone, ask.Day) {
			late := due.Late(ask.Day)
			if ask.LateOnly && !late || ask.Duty != "" && ask.Duty != due.Duty {
				continue
			}
			page.Due++
			if late {
				page.Late++
			}
			row := Row{Handle: s.Handle, Account: s.Customer.Account, Name: s.Customer.Name, Due: due}
			if ask.After != "" && compare(row.key(), after) <= 0 {
				continue
			}
			page.add(row, ask.Limit+1)
		}
	}
	if len(page.Rows) > ask.Limit {
		page.Rows = page.Rows[:ask.Limit]
		page.Next = page.Rows[ask.Limit-1].cursor()
	}
	return page, nil
}

// add keeps the first rows of a page, and one beyond, which tells that there is another.
func (p *Page) add(row Row, most int) {
	i, _ := slices.BinarySearchFunc(p.Rows, row, func(a, b Row) int { return compare(a.key(), b.key()) })
	if i == most {
		return
	}
	if len(p.Rows) == most {
		p.Rows = p.Rows[:most-1]
	}
	p.Rows = slices.Insert(p.Rows, i, row)
}

// key orders rows: no two are alike.
func (r *Row) key() [5]string {
	return [5]string{r.By.String(), r.Handle.String(), string(r.Duty), r.About, strings.Join(r.Elements, ",")}
}

func compare(a, b [5]string) int { return slices.Compare(a[:], b[:]) }

func (r *Row) cursor() Cursor {
	key := r.key()
	return Cursor(strings.Join(key[:], "|"))
}

func parseCursor(c Cursor) (key [5]string, err error) {
	if c == "" {
		return key, nil
	}
	parts := strings.SplitN(string(c), "|", len(key))
	_, dateErr := record.ParseDate(parts[0])
	if len(parts) != len(key) || cmp.Or(dateErr, handleFault(parts[min(1, len(parts)-1)])) != nil {
		return key, ErrCursor
	}
	return [5]string(parts), nil
}

func handleFault(text string) error {
	_, err := event.ParseHandle(text)
	return err
}
