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

// registerQuery is what every question to the register has in common: the published
// size or a smaller one, an instant, and for lists a page.
type registerQuery struct {
	*params
	view     *register.View
	asOf     asOf
	position string // the list goes on after it
	limit    int
}

// parseQuery reads the parameters of a question; known are those beside at and size.
func (s *Server) parseQuery(x *request, known ...string) (*registerQuery, error) {
	return s.parseListQuery(x, 0, known...)
}

// parseListQuery is ask for a list that is read in pages; list is 0 for what is none.
func (s *Server) parseListQuery(x *request, list byte, known ...string) (*registerQuery, error) {
	known = append(known, "at", "size")
	if list != 0 {
		known = append(known, "after", "limit")
	}
	q := &registerQuery{params: x.parseParams(known...)}
	from := cursor{}
	if list != 0 {
		from = q.cursor("after", list)
		q.position, q.limit = from.position, q.params.limit()
	}
	published := s.publishedSize()
	q.asOf.Size = published
	if from.size > 0 {
		q.asOf.Size = from.size
	}
	q.asOf.Size = q.number("size", q.asOf.Size)
	if q.asOf.Size > published {
		q.addFault("size", "is %d; the ledger has published %s", q.asOf.Size, register.FormatEntryCount(published))
	}
	if err := q.firstFault(); err != nil {
		return nil, err
	}
	view, err := s.cfg.Register.ViewAt(q.asOf.Size)
	if err != nil {
		return nil, err
	}
	q.view = view.WithCheckpointTimes(s.checkpointTimes(x.Request.Context())).WithBudget(s.cfg.QueryBudget)
	switch {
	case q.has("at"): // any instant, also the one that Go has for none
		q.asOf.At = q.time("at", func(d record.Date) time.Time { return startOfDay(q.view, d) })
	case from.size > 0:
		q.asOf.At = from.at
	default:
		q.asOf.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	return q, q.firstFault()
}

// startOfDay is the first moment of a civil date as the charter's time zone has it,
// to the second. The view alone knows the zone, so it is asked for the date until
// the date is reached.
func startOfDay(v *register.View, d record.Date) time.Time {
	const most = 36 * 60 * 60 // seconds around midnight UTC that hold it in any zone
	utc := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	early := utc.Add(-most / 2 * time.Second)
	n := sort.Search(most, func(s int) bool { return !v.LocalDate(early.Add(time.Duration(s) * time.Second)).Before(d) })
	return early.Add(time.Duration(n) * time.Second)
}

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
	if errors.Is(err, register.ErrBadPosition) {
		q.addCursorFault(name)
		return q.firstFault()
	}
	var more *register.PartialListError
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

// continuation says how a list of a page goes on: where, and without what.
type continuation struct {
	Next    string // address; "" if it does not
	Skipped []string
}

// queryPart is one of the lists of a page about one thing: as much as the page shows from
// where ?name= says on, and the page that goes on. Each takes the work of a question.
func queryPart[T any](q *registerQuery, x *request, name string, list byte, place func(T) string, ask func(v *register.View, after string, yield func(T) bool) error) ([]T, continuation, error) {
	from := q.cursor(name, list)
	if err := q.firstFault(); err != nil {
		return nil, continuation{}, err
	}
	p := newListPage(register.MaxListItems, place)
	if err := p.finish(q, name, ask(q.view.WithBudget(x.server.cfg.QueryBudget), from.position, p.add)); err != nil {
		return nil, continuation{}, err
	}
	return p.items, continuation{q.pageURL(x.Request.URL.EscapedPath(), name, q.nextCursor(list, p.after)), p.skipped}, nil
}
