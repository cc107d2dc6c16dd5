package server

import (
	"errors"
	"sort"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// asOf says for which size and instant an answer of the register holds.
type asOf struct {
	Size uint64    `json:"size"`
	At   time.Time `json:"at"`
}

// question is what every question to the register has in common: the published
// size or a smaller one, an instant, and for lists a page.
type question struct {
	*query
	view  *register.View
	asOf  asOf
	place string // the list goes on after it
	limit int
}

// ask reads the parameters of a question; known are those beside at and size.
func (s *Server) ask(x *exchange, known ...string) (*question, error) {
	return s.askPage(x, 0, known...)
}

// askPage is ask for a list that is read in pages; list is 0 for what is none.
func (s *Server) askPage(x *exchange, list byte, known ...string) (*question, error) {
	known = append(known, "at", "size")
	if list != 0 {
		known = append(known, "after", "limit")
	}
	q := &question{query: x.query(known...)}
	from := cursor{}
	if list != 0 {
		from = q.after("after", list)
		q.place, q.limit = from.place, q.query.limit()
	}
	published := s.published()
	q.asOf.Size = published
	if from.size > 0 {
		q.asOf.Size = from.size
	}
	q.asOf.Size = q.number("size", q.asOf.Size)
	if q.asOf.Size > published {
		q.fault("size", "is %d; the ledger has published %s", q.asOf.Size, register.Entries(published))
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	view, err := s.cfg.Register.At(q.asOf.Size)
	if err != nil {
		return nil, err
	}
	q.view = view.By(s.cosigned(x.Request.Context())).Within(s.cfg.Question)
	switch {
	case q.has("at"): // any instant, also the one that Go has for none
		q.asOf.At = q.instant("at", func(d record.Date) time.Time { return begin(q.view, d) })
	case from.size > 0:
		q.asOf.At = from.at
	default:
		q.asOf.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	return q, q.done()
}

// begin is the first moment of a civil date as the charter's time zone has it,
// to the second. The view alone knows the zone, so it is asked for the date until
// the date is reached.
func begin(v *register.View, d record.Date) time.Time {
	const most = 36 * 60 * 60 // seconds around midnight UTC that hold it in any zone
	utc := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	early := utc.Add(-most / 2 * time.Second)
	n := sort.Search(most, func(s int) bool { return !v.Today(early.Add(time.Duration(s) * time.Second)).Before(d) })
	return early.Add(time.Duration(n) * time.Second)
}

// page gathers one page of a list: it takes each item until the page is full,
// and then knows where the next one goes on.
type page[T any] struct {
	limit   int
	items   []T
	after   string // the list goes on after this place; "" if it does not
	skipped []string
	place   func(T) string
}

func newPage[T any](limit int, place func(T) string) *page[T] {
	return &page[T]{limit: limit, items: []T{}, place: place}
}

// take is the yield of the register's lists. It looks one item further than the
// page, to tell whether there is a next one.
func (p *page[T]) take(item T) bool {
	if len(p.items) == p.limit {
		p.after = p.place(p.items[p.limit-1])
		return false
	}
	p.items = append(p.items, item)
	return true
}

// end takes how the list ended: where its work was used up, it goes on too. name is
// the parameter that said where it began.
func (p *page[T]) end(q *question, name string, err error) error {
	if errors.Is(err, register.ErrPlace) {
		q.noCursor(name)
		return q.done()
	}
	var more *register.MoreError
	if !errors.As(err, &more) {
		return err
	}
	p.after = more.After
	if more.Skipped != "" {
		p.skipped = []string{more.Skipped}
	}
	return nil
}

// next is the cursor of the page that goes on after a place; "" if there is none.
func (q *question) next(list byte, after string) string {
	if after == "" {
		return ""
	}
	return cursor{list: list, size: q.asOf.Size, at: q.asOf.At, place: after}.String()
}

// onward says how a list of a page goes on: where, and without what.
type onward struct {
	Next    string // address; "" if it does not
	Skipped []string
}

// part is one of the lists of a page about one thing: as much as the page shows from
// where ?name= says on, and the page that goes on. Each takes the work of a question.
func part[T any](q *question, x *exchange, name string, list byte, place func(T) string, ask func(v *register.View, after string, yield func(T) bool) error) ([]T, onward, error) {
	from := q.after(name, list)
	if err := q.done(); err != nil {
		return nil, onward{}, err
	}
	p := newPage(register.MaxShown, place)
	if err := p.end(q, name, ask(q.view.Within(x.server.cfg.Question), from.place, p.take)); err != nil {
		return nil, onward{}, err
	}
	return p.items, onward{q.link(x.Request.URL.EscapedPath(), name, q.next(list, p.after)), p.skipped}, nil
}
