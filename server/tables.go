package server

import (
	"bytes"
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// listTable is a list of the API as a table for spreadsheets. It takes what the list takes, and has of each item
// what people look for; the rest is in the JSON.
type listTable struct {
	path    string
	columns []string
	read    func(s *Server, x *request) (q *registerQuery, rows [][]string, next string, err error)
}

// listTables are all but that of changes, whose format the tools write too.
var listTables = []listTable{
	{"/v1/records.csv", []string{"index", "record", "kind", "thread", "issuer", "issuedAt", "admitted", "follows"},
		rowsOf(recordsQuestion, func(a recordsAnswer) ([]register.RecordRow, string) { return a.Records, a.Next }, recordCells)},
	{"/v1/register/designations.csv", []string{"thread", "name", "status", "country", "program", "list", "listID", "effectiveFrom", "effectiveUntil", "responseDue", "publishedInError", "record"},
		rowsOf(designationsQuestion, func(a designationsAnswer) ([]view.Designation, string) { return a.Designations, a.Next }, designationCells)},
	{"/v1/register/licences.csv", []string{"thread", "status", "holder", "designations", "permits", "from", "until", "publishedInError"},
		rowsOf(licencesQuestion, func(a licencesAnswer) ([]view.Licence, string) { return a.Licences, a.Next }, licenceCells)},
	{"/v1/register/parties.csv", []string{"party", "legalName", "standing", "country", "roles", "enrolled", "lei", "website", "record"},
		rowsOf(partiesQuestion, func(a partiesAnswer) ([]view.Party, string) { return a.Parties, a.Next }, partyCells)},
	{"/v1/register/duties.csv", []string{"party", "kind", "about", "target", "state", "due", "metOn", "answer", "metBy", "openedBy", "publishedInError"},
		rowsOf(dutiesQuestion, func(a dutiesAnswer) ([]view.Duty, string) { return a.Duties, a.Next }, dutyCells)},
	{"/v1/register/requests.csv", []string{"thread", "status", "jurisdiction", "provider", "type", "asked", "dueOn", "decided", "days", "record"},
		rowsOf(requestsQuestion, func(a requestsAnswer) ([]view.Request, string) { return a.Requests, a.Next }, requestCells)},
	{"/v1/register/cooperation.csv", []string{"jurisdiction", "asked", "answered", "unanswered", "challenged", "withdrawn", "open", "sealed", "medianDays"},
		rowsOf(cooperationQuestion, func(a cooperationAnswer) ([]view.Cooperation, string) { return a.Cooperation, "" }, cooperationCells)},
	{"/v1/register/search.csv", []string{"kind", "thread", "name", "status", "country", "how", "matched", "publishedInError", "record"},
		rowsOf(searchQuestion, func(a searchAnswer) ([]view.Hit, string) { return a.Hits, a.Next }, hitCells)},
	{"/v1/register/identifiers.csv", []string{"thread", "use", "name", "status", "since"}, (*Server).identifierRows},
}

// rowsOf reads the table of a question that the API answers.
func rowsOf[A, T any](l listQuestion[A], items func(A) ([]T, string), cells func(T) []string) func(*Server, *request) (*registerQuery, [][]string, string, error) {
	return func(s *Server, x *request) (*registerQuery, [][]string, string, error) {
		q, answer, err := l.ask(s, x)
		if err != nil {
			return nil, nil, "", err
		}
		list, next := items(answer)
		return q, eachRow(list, cells), next, nil
	}
}

func eachRow[T any](list []T, cells func(T) []string) [][]string {
	rows := make([][]string, len(list))
	for i, item := range list {
		rows[i] = cells(item)
	}
	return rows
}

// answer sends a page of the table, with the next one in a Link header.
func (t listTable) answer(s *Server, x *request) error {
	q, rows, next, err := t.read(s, x)
	if err != nil {
		return err
	}
	source, err := q.view.WithBudget(s.cfg.QueryBudget).SourceOf(q.asOf.At, q.asOf.Root, x.baseURL())
	if err != nil {
		return err
	}
	var text bytes.Buffer
	w := view.NewTable(&text, source, t.columns...)
	for _, cells := range rows {
		if err := w.Row(cells...); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	x.linkNext(source, q.pageURL(x.Request.URL.EscapedPath(), "after", next))
	return x.answerBytes(http.StatusOK, typeTable, text.Bytes())
}

const typeTable = "text/csv; charset=utf-8; header=present"

// linkNext names the next page of what has no place for it, "" if there is none. It returns its address.
func (x *request) linkNext(source view.Source, next string) string {
	h := x.Writer.Header()
	h.Set("Cache-Control", cacheRevalidate)
	if next == "" {
		return ""
	}
	next = source.URL + next
	h.Set("Link", "<"+next+`>; rel="next"`)
	return next
}

// identifierRows are who bears the identifier that ?scheme= and ?value= name, or bore it.
func (s *Server) identifierRows(x *request) (*registerQuery, [][]string, string, error) {
	q, err := s.parseListQuery(x, cursorIdentifier, "scheme", "value")
	if err != nil {
		return nil, nil, "", err
	}
	for _, name := range []string{"scheme", "value"} {
		if q.text(name) == "" {
			q.addFault(name, "is needed: whose identifier is it that is looked for?")
		}
	}
	answer, err := identifierOf(q, q.oneOf("scheme", register.IdentifierSchemes...), q.text("value"))
	if err != nil {
		return nil, nil, "", err
	}
	return q, eachRow(answer.Matches, func(m view.IdentifierMatch) []string {
		name, status := "", ""
		if d := m.Designation; d != nil {
			name, status = d.Name, string(d.Status)
		}
		if p := m.Party; p != nil {
			name, status = p.LegalName, p.Standing
		}
		return []string{string(m.Thread), m.Use, name, status, m.Since.String()}
	}), answer.Next, nil
}

// Cells hold what JSON does: days and instants as there, lists with blanks between, nothing for what is not so.

func recordCells(r register.RecordRow) []string {
	follows := ""
	if !r.Follows.IsZero() {
		follows = r.Follows.String()
	}
	return []string{strconv.FormatUint(r.Index, 10), r.ID.String(), string(r.Kind), string(r.Thread), r.Issuer, r.IssuedAt.UTC().Format(time.RFC3339Nano), r.Admitted.UTC().Format(timeFormat), follows}
}

func designationCells(d view.Designation) []string {
	var source view.SourceName
	if d.Source != nil {
		source = *d.Source
	}
	return []string{string(d.Thread), d.Name, string(d.Status), d.Country, strings.Join(d.Program, " "), source.List, source.ID,
		d.EffectiveFrom.String(), dateOrNone(d.EffectiveUntil), dateOrNone(d.ResponseDue), errorCell(d.Error), d.Record.String()}
}

func licenceCells(l view.Licence) []string {
	c := l.Current
	return []string{string(l.Thread), string(l.Status), c.Holder, strings.Join(c.Designations, " "), c.Permits, c.From.String(), c.Until.String(), errorCell(l.Error)}
}

func partyCells(p view.Party) []string {
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	return []string{p.ID, p.LegalName, p.Standing, p.Country, strings.Join(roles, " "), p.Enrolled.String(), p.LEI, p.Website, p.Record.String()}
}

func dutyCells(d view.Duty) []string {
	metBy := ""
	if d.MetBy != nil {
		metBy = d.MetBy.String()
	}
	return []string{d.Party, string(d.Kind), d.About(), d.Target, string(d.State), dateOrNone(d.Due), dateOrNone(d.MetOn), d.Answer, metBy, d.OpenedBy.String(), errorCell(d.Error)}
}

func requestCells(r view.Request) []string {
	days := ""
	if r.Days != nil {
		days = strconv.Itoa(*r.Days)
	}
	return []string{string(r.Thread), string(r.Status), r.Jurisdiction, r.Provider, r.Type, r.Asked.String(), r.DueOn.String(), dateOrNone(r.Decided), days, r.Record.String()}
}

func cooperationCells(c view.Cooperation) []string {
	cells := []string{c.Jurisdiction}
	for _, n := range []int{c.Asked, c.Answered, c.Unanswered, c.Challenged, c.Withdrawn, c.Open, c.Sealed} {
		cells = append(cells, strconv.Itoa(n))
	}
	median := ""
	if c.MedianDays != nil {
		median = strconv.FormatFloat(*c.MedianDays, 'f', -1, 64)
	}
	return append(cells, median)
}

func hitCells(h view.Hit) []string {
	return []string{h.Kind, string(h.Thread), h.Name, h.Status, h.Country, string(h.How), cmp.Or(h.Matched, h.Name), errorCell(h.Error), h.Record.String()}
}

func errorCell(published bool) string {
	if published {
		return "true"
	}
	return ""
}
