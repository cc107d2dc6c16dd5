package server

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// The HTML pages: html/template escapes what others have signed for the place where it
// stands, and the policy below lets a browser load nothing but our own style sheet and our own
// script files, and ask nobody but this server, so that a hole in the first would still run no
// script of another's.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed web
var webFiles embed.FS

var (
	pageTemplates = parsePages()
	styleSheet    = append(mustRead("web/style.css"), mustRead("web/things.css")...)
	styleSheetTag = entityTag(styleSheet)
)

// pageWords are what the templates call, to say what a view has as a page says it.
var pageWords = template.FuncMap{
	"name":     record.Thread.Name,
	"date":     dateOrNone,
	"instant":  func(t time.Time) string { return t.Format(pageTimeFormat) },
	"roles":    joinWords[record.Role],
	"may":      joinWords[record.KeyFunction],
	"warnings": joinWords[string],
	"check":    func(id record.ID, what string) checkLink { return checkLink{id, what} },
	"thing":    thingURL,
	"shown":    shownText,
	"thread":   threadURL,
	"words":    memberWords,
	"kind":     kindWords,
	"dated":    datedText,
	"said":     saidText,
	"duty":     dutyWords,
	"entries":  register.FormatEntryCount,
}

// parsePages parses each page in web with what all of them share.
func parsePages() map[string]*template.Template {
	parsed := make(map[string]*template.Template)
	shared := template.Must(template.New("").Funcs(pageWords).ParseFS(webFiles, "web/layout.html", "web/tables.html", "web/things.html"))
	files, err := webFiles.ReadDir("web")
	if err != nil {
		panic(err) // embedded by this very file
	}
	for _, f := range files {
		name, isPage := strings.CutSuffix(f.Name(), ".html")
		if !isPage || shared.Lookup(f.Name()) != nil {
			continue
		}
		page := template.Must(template.Must(shared.Clone()).ParseFS(webFiles, "web/"+f.Name()))
		parsed[name] = page.Lookup(f.Name())
	}
	return parsed
}

func mustRead(name string) []byte {
	b, err := webFiles.ReadFile(name)
	if err != nil {
		panic(err) // embedded by this very file
	}
	return b
}

func (s *Server) style(x *request) error {
	return x.answerEmbedded("text/css; charset=utf-8", styleSheet, styleSheetTag)
}

// answerPage renders a page whole before it sends anything.
func (x *request) answerPage(status int, name string, data any) error {
	var body bytes.Buffer
	if err := pageTemplates[name].Execute(&body, data); err != nil {
		return fmt.Errorf("rendering the page %s: %w", name, err)
	}
	h := x.Writer.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(status, "text/html; charset=utf-8", body.Bytes())
}

// answerProblemPage tells people of a failure, in the words of its problem.
func (x *request) answerProblemPage(err error) {
	p := problemOf(err)
	x.problem = p
	if p.status() == http.StatusServiceUnavailable {
		x.Writer.Header().Set("Retry-After", p.retrySeconds())
	}
	title := problemKinds[p.kind].title
	data := failurePage{pageHeader: pageHeader{Title: title, Ledger: x.server.ledgerTitle()}, Detail: sentence(p.detail)}
	if err := x.answerPage(p.status(), "failure", data); err != nil {
		x.answerProblem(err)
	}
}

// sentence begins with a capital and ends with a full stop, unless it is a question.
func sentence(s string) string {
	if !strings.HasSuffix(s, "?") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

type failurePage struct {
	pageHeader
	Detail string
}

// pageHeader is what every page has.
type pageHeader struct {
	Title       string
	Ledger      ledgerTitle
	AsOf        *asOf
	Today       string // the civil date there that is asked about; "" without a charter, which says where
	When        string // "today", or "on 2027-07-01" where another day is asked about
	Ahead       bool   // that is a day to come: what is not filed yet counts as not filed
	Unpublished string // why there is nothing to show; "" if there is
	Searched    string // what is in the search box
	At, Size    string // as the reader chose them: the search box keeps to them
}

// ledgerTitle says which ledger this is.
type ledgerTitle struct {
	Name, Origin, ID, Zone string
}

func (s *Server) ledgerTitle() ledgerTitle {
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitleOf(v)
}

func ledgerTitleOf(v *view.View) ledgerTitle {
	c, err := v.Charter()
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitle{Name: c.Charter.Name, Origin: c.Charter.Origin, ID: c.Records[0].String(), Zone: c.Charter.TimeZone}
}

func (s *Server) pageHeader(q *registerQuery, title string) pageHeader {
	f := pageHeader{Title: title, Ledger: ledgerTitleOf(q.view), AsOf: &q.asOf, At: q.text("at"), Size: q.text("size")}
	if f.Ledger.Zone != "" {
		now, asked := q.view.LocalDate(time.Now()), q.view.LocalDate(q.asOf.At)
		f.Today, f.When, f.Ahead = asked.String(), "today", q.asOf.Ahead
		if asked != now {
			f.When = "on " + f.Today
		}
	}
	switch {
	case s.publishedSize() > 0:
	case s.cfg.Ledger.Head().Size > 0:
		f.Unpublished = "Nothing is published yet: the witnesses have not cosigned."
	default:
		f.Unpublished = "Nothing is published yet: no record has come."
	}
	return f
}

type homePage struct {
	pageHeader
	designationList
	Counts     []statusCount
	Checkpoint string
}

type statusCount struct {
	N    int
	What string
}

// homePage says what this ledger is and whom it restricts today.
func (s *Server) homePage(x *request) error {
	q, list, err := s.queryDesignationList(x)
	if err != nil {
		return err
	}
	page := homePage{pageHeader: s.pageHeader(q, "Designations"), designationList: list, Counts: s.statusCounts.get(q, s.cfg.QueryBudget)}
	if p := s.cfg.Ledger.Published(); p != nil {
		page.Checkpoint = string(p.Note())
	}
	return x.answerPage(http.StatusOK, "home", page)
}

// statusCounts caches the number of designations by status for the home page. Counting
// reads all designations, so it is done at most once in statusCountsTTL, and left out
// where there are too many. It is of the present alone: pages of another instant show
// it only if its size and day are the same. mu guards what is below it; a request that
// finds it locked goes without.
type statusCounts struct {
	mu      sync.Mutex
	size    uint64
	day     record.Date
	counted time.Time
	counts  []statusCount
}

const statusCountsTTL = 10 * time.Second

// statusCountsBudgetFactor is how many query budgets a count may take: with the
// defaults 50,000 designations, in half a second of one core.
const statusCountsBudgetFactor = 10

func (t *statusCounts) get(q *registerQuery, work register.ReadBudget) []statusCount {
	if !t.mu.TryLock() {
		return nil // someone counts
	}
	defer t.mu.Unlock()
	now, day := time.Now(), q.view.LocalDate(q.asOf.At)
	present := !q.has("at") && !q.has("size") && !q.has("after")
	switch {
	case t.day == day && (t.size == q.asOf.Size || present && now.Sub(t.counted) < statusCountsTTL):
		return t.counts
	case !present:
		return nil
	}
	by, err := q.view.WithBudget(register.ReadBudget{Rows: statusCountsBudgetFactor * work.Rows, Bytes: statusCountsBudgetFactor * work.Bytes}).CountByStatus(q.asOf.At)
	if err != nil && !errors.Is(err, register.ErrOverBudget) {
		return nil // the list below it says what is wrong
	}
	t.size, t.day, t.counted, t.counts = q.asOf.Size, day, now, nil
	for _, status := range view.Statuses {
		if n := by[status]; n > 0 {
			t.counts = append(t.counts, statusCount{n, string(status)})
		}
	}
	return t.counts
}

// designationList is the table of designations with its form, on whichever page.
type designationList struct {
	Path            string // of that page, which the form leads back to
	Statuses        []view.Status
	Status, Country string
	Designations    []view.Designation
	Next            string
}

// queryDesignationList answers the form.
func (s *Server) queryDesignationList(x *request) (*registerQuery, designationList, error) {
	q, err := s.parseListQuery(x, cursorDesignations, "status", "country")
	if err != nil {
		return nil, designationList{}, err
	}
	q.dropEmpty("status", "country") // a form sends its empty fields too
	answer, err := designationsOf(q)
	if err != nil {
		return nil, designationList{}, err
	}
	list := designationList{
		Path:     x.FullPath(),
		Statuses: view.Statuses, Status: q.text("status"), Country: q.text("country"),
		Designations: answer.Designations, Next: q.pageURL(x.FullPath(), "after", answer.Next),
	}
	return q, list, nil
}

// dropEmpty forgets parameters that are given and empty.
func (q *params) dropEmpty(names ...string) {
	for _, name := range names {
		if q.values.Get(name) == "" {
			q.values.Del(name)
		}
	}
}

// pageURL is the address of the page that goes on with a list, whose cursor has that
// name: the same query otherwise. "" if there is none.
func (q *registerQuery) pageURL(path, name, after string) string {
	if after == "" {
		return ""
	}
	next := url.Values{}
	for name, given := range q.values {
		next[name] = given
	}
	next.Set(name, after)
	return path + "?" + next.Encode()
}

type designationsPage struct {
	pageHeader
	designationList
}

// designationsPage lists the designations.
func (s *Server) designationsPage(x *request) error {
	q, list, err := s.queryDesignationList(x)
	if err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "designations", designationsPage{s.pageHeader(q, "Designations"), list})
}

type partiesPage struct {
	pageHeader
	Parties []view.Party
	Next    string
}

// partiesPage lists the parties: who signs here.
func (s *Server) partiesPage(x *request) error {
	q, err := s.parseListQuery(x, cursorParties, "role", "status")
	if err != nil {
		return err
	}
	answer, err := partiesOf(q)
	if err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "parties", partiesPage{s.pageHeader(q, "Parties"), answer.Parties, q.pageURL(x.FullPath(), "after", answer.Next)})
}
