package server

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// changesSince is how long before its end a question about changes begins where it does
// not say, as that of somebody who reads a feed does not.
const changesSince = 7 * 24 * time.Hour

// changesQuery is a question what changed between two states of the ledger.
type changesQuery struct {
	*registerQuery
	before *view.View
	then   time.Time
}

// changesAnswer is a page of changes.
type changesAnswer struct {
	From    asOf          `json:"from"`
	AsOf    asOf          `json:"asOf"` // to
	Changes []view.Change `json:"changes"`
	Next    string        `json:"next,omitempty"`
	Skipped []string      `json:"skipped,omitempty"`
}

// parseChanges reads the two states, each a size (when the last entry below it was admitted)
// or a time (with all that was knowable then). The cursor of a page fixes the second.
func (s *Server) parseChanges(x *request) (*changesQuery, error) {
	q, err := s.parseListQuery(x, cursorChanges, "from", "to")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"at", "size"} {
		if q.has(name) {
			q.addFault(name, "is not a parameter of this path; from and to say which two states")
		}
	}
	c := &changesQuery{registerQuery: q}
	published := q.view
	if q.has("to") {
		if q.view, q.asOf.At, err = s.stateOf(q, "to", published); err != nil {
			return nil, err
		}
	}
	if q.has("from") {
		c.before, c.then, err = s.stateOf(q, "from", published)
	} else {
		c.then = q.asOf.At.Add(-changesSince)
		c.before, err = s.knowable(published, c.then)
	}
	if err := cmp.Or(err, q.firstFault()); err != nil {
		return nil, err
	}
	if c.before.Size() > q.view.Size() || c.then.After(q.asOf.At) {
		q.addFault("from", "is later than to")
		return nil, q.firstFault()
	}
	if q.view.Size() != q.asOf.Size {
		q.asOf.Size = q.view.Size()
		tree, err := s.cfg.Ledger.TreeAt(x.Request.Context(), q.asOf.Size)
		if err != nil {
			return nil, err
		}
		q.asOf.Root = tree.Root.String()
	}
	q.asOf.Ahead = q.view.Ahead(q.asOf.At, time.Now())
	return c, nil
}

// stateOf is the state that a parameter names, of those that the view has.
func (s *Server) stateOf(q *registerQuery, name string, v *view.View) (*view.View, time.Time, error) {
	size, err := strconv.ParseUint(q.text(name), 10, 63)
	if err != nil {
		at := q.time(name, func(d record.Date) time.Time { return endOfDay(v, d) })
		if err := q.firstFault(); err != nil {
			return v, at, nil // it is told with the others
		}
		state, err := s.knowable(v, at)
		return state, at, err
	}
	if size > v.Size() {
		q.addFault(name, "is %d; the ledger has published %s", size, register.FormatEntryCount(v.Size()))
		return v, time.Time{}, nil
	}
	state, err := s.viewAt(v, size)
	if err != nil || size == 0 {
		return state, time.Time{}, err
	}
	last, err := state.RecordAt(size - 1)
	return state, last.Admitted, err
}

// knowable is the view at the size that was knowable at a time.
func (s *Server) knowable(v *view.View, at time.Time) (*view.View, error) {
	k, err := v.Knowable(at)
	if err != nil {
		return nil, err
	}
	return s.viewAt(v, k.Size)
}

func (s *Server) viewAt(v *view.View, size uint64) (*view.View, error) {
	if size == v.Size() {
		return v, nil
	}
	smaller, err := view.At(s.cfg.Register, size)
	if err != nil {
		return nil, err
	}
	return smaller.WithBudget(s.cfg.QueryBudget), nil
}

// page reads a page of changes.
func (c *changesQuery) page() (changesAnswer, error) {
	p := newListPage(c.limit, view.Change.Position)
	err := p.finish(c.registerQuery, "after", c.view.Changes(c.before, c.then, c.asOf.At, c.position, p.add))
	next := c.nextCursor(cursorChanges, p.after)
	return changesAnswer{From: asOf{Size: c.before.Size(), At: c.then}, AsOf: c.asOf, Changes: p.items, Next: next, Skipped: p.skipped}, err
}

// changes is GET /v1/register/changes.
func (s *Server) changes(x *request) error {
	c, err := s.parseChanges(x)
	if err != nil {
		return err
	}
	answer, err := c.page()
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

// changesCSV is GET /v1/register/changes.csv. The next page is named in a Link header.
func (s *Server) changesCSV(x *request) error {
	return s.answerChanges(x, typeTable, func(w io.Writer, source view.Source, _ view.FeedLinks) view.ChangeWriter {
		return view.NewChangesCSV(w, source)
	})
}

// changesFeed is GET /v1/register/changes.atom.
func (s *Server) changesFeed(x *request) error {
	return s.answerChanges(x, "application/atom+xml; charset=utf-8", view.NewChangesFeed)
}

func (s *Server) answerChanges(x *request, media string, format func(io.Writer, view.Source, view.FeedLinks) view.ChangeWriter) error {
	c, err := s.parseChanges(x)
	if err != nil {
		return err
	}
	source, err := c.source(x) // before the page, which may use up the work of a question
	if err != nil {
		return err
	}
	answer, err := c.page()
	if err != nil {
		return err
	}
	links := view.FeedLinks{Self: source.URL + x.Request.URL.RequestURI()}
	links.Next = x.linkNext(source, c.pageURL(x.Request.URL.EscapedPath(), "after", answer.Next))
	var text bytes.Buffer
	w := format(&text, source, links)
	for _, ch := range answer.Changes {
		if err := w.Add(ch); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return x.answerBytes(http.StatusOK, media, text.Bytes())
}
