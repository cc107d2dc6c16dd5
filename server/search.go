package server

import (
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

type searchAnswer struct {
	AsOf asOf `json:"asOf"`
	view.Found
	Next string `json:"next,omitempty"`
}

// searchParameters are those beside the ones that all lists have.
var searchParameters = []string{"q", "kind", "status", "country"}

var searchQuestion = listQuestion[searchAnswer]{cursorSearch, searchParameters, searchFor}

func (s *Server) search(x *request) error { return searchQuestion.answerJSON(s, x) }

func searchFor(q *registerQuery) (a searchAnswer, err error) {
	a.AsOf = q.asOf
	filter := view.SearchFilter{
		Kind: q.oneOf("kind", view.SearchKinds...), Status: q.oneOf("status", view.SearchStatuses()...), Country: q.country("country"),
		Limit: q.limit,
	}
	if q.position != "" {
		if filter.After, err = strconv.Atoi(q.position); err != nil || filter.After < 0 {
			q.addCursorFault("after")
		}
	}
	if err := q.firstFault(); err != nil {
		return a, err
	}
	a.Found, err = q.view.Search(q.text("q"), filter, q.asOf.At)
	if errors.Is(err, view.ErrEmptyQuery) || errors.Is(err, view.ErrLongQuery) {
		q.addFault("q", "cannot be searched for: %v", err)
		err = q.firstFault()
	}
	if err == nil && a.Found.Next > 0 {
		a.Next = q.nextCursor(cursorSearch, strconv.Itoa(a.Found.Next))
	}
	return a, err
}

type searchPage struct {
	pageHeader
	view.Found
	Answered bool // something was asked for that can be compared
	Fault    string
	Facets   []facet
	Onward   string // address of the next page; "" if there is none
}

// facet is one member by which hits are counted and chosen.
type facet struct {
	Name    string
	All     string // address without the choice; "" where there is none
	Choices []facetChoice
	Left    int // choices that are not shown: those with the fewest
}

// maxChoices is how many choices of a facet are shown.
const maxChoices = 12

type facetChoice struct {
	Text   string
	N      int
	URL    string
	Chosen bool
}

// searchPage is the page of the one search box. Without a question it is the box alone.
func (s *Server) searchPage(x *request) error {
	q, err := s.parseListQuery(x, cursorSearch, searchParameters...)
	if err != nil {
		return err
	}
	page := searchPage{pageHeader: s.listHeader(q, "Search", "/v1/register/search", "docket search")}
	if !q.has("q") {
		page.Data, page.Prove = nil, ""
		return x.answerPage(http.StatusOK, "search", page)
	}
	text, err := view.CleanQuery(q.text("q"))
	if err != nil {
		page.Searched, page.Fault = clipText(q.text("q")), web.Sentence(err.Error())
		return x.answerPage(http.StatusOK, "search", page)
	}
	page.Searched, page.Title = text, "Search: "+text
	page.Prove += " " + shellQuote(text)
	answer, err := searchFor(q)
	if err != nil {
		return err
	}
	found := answer.Found
	page.Answered, page.Found, page.Onward = true, found, q.pageURL(x.FullPath(), "after", answer.Next)
	for _, f := range []struct {
		name   string
		counts map[string]int
	}{{"kind", found.Counts.Kind}, {"status", found.Counts.Status}, {"country", found.Counts.Country}} {
		if made := q.facet(x.FullPath(), f.name, f.counts); len(f.counts) > 1 || made.All != "" {
			page.Facets = append(page.Facets, made)
		}
	}
	return x.answerPage(http.StatusOK, "search", page)
}

// facet makes the choices of one parameter: the same question otherwise, from its first page.
func (q *registerQuery) facet(path, name string, counts map[string]int) facet {
	with := func(value string) string {
		given := q.without("after", name)
		if value != "" {
			given.Set(name, value)
		}
		return withQuery(path, given)
	}
	f := facet{Name: name}
	if q.has(name) {
		f.All = with("")
	}
	for _, value := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	}) {
		if len(f.Choices) == maxChoices && q.text(name) != value {
			f.Left++
			continue
		}
		f.Choices = append(f.Choices, facetChoice{value, counts[value], with(value), q.text(name) == value})
	}
	return f
}

// thingURL is the page about a hit: of a record its own.
func thingURL(h view.Hit) string {
	if h.Kind == view.KindRecord {
		return "/records/" + h.Record.String()
	}
	return threadURL(h.Thread)
}

// shellQuote is a word as a shell takes it.
func shellQuote(s string) string {
	if regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`).MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
