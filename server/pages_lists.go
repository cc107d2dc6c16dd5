package server

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// The lists, each with what /v1 answers to the same question, and links to that answer.

// listHeader is the header of a page that lists what an address under /v1 answers.
func (s *Server) listHeader(q *registerQuery, title, data, command string) pageHeader {
	f := s.pageHeader(q, title)
	f.Data, f.Prove = []dataLink{{"JSON", withQuery(data, q.without("after"))}}, command
	return f
}

// listChoices are the choices above a list: what was chosen, and how many there are of what else.
type listChoices struct {
	Facets []facet
	Total  int
	Some   string // why the numbers are not of all; "" if they are
}

// notAll says why numbers are not of all that there is.
const notAll = "There are more than one page counts: the numbers are of the first ones alone."

// choose adds a facet, if there is something to choose.
func (c *listChoices) choose(q *registerQuery, name string, counts map[string]int) {
	if made := q.facet(q.path, name, counts); len(counts) > 1 || made.All != "" {
		c.Facets = append(c.Facets, made)
	}
}

// countList counts by these members what a list yields, as far as the work of one question goes.
func countList[T any](c *listChoices, q *registerQuery, members []listMember[T], list func(yield func(T) bool) error) error {
	by := make(map[string]map[string]int)
	for _, m := range members {
		by[m.name] = make(map[string]int)
	}
	err := list(func(item T) bool {
		misses, missed := 0, ""
		for _, m := range members {
			if q.has(m.name) && m.of(item) != q.text(m.name) {
				misses, missed = misses+1, m.name
			}
		}
		if misses == 0 {
			c.Total++
		}
		for _, m := range members {
			if value := m.of(item); value != "" && (misses == 0 || misses == 1 && missed == m.name) {
				by[m.name][value]++
			}
		}
		return true
	})
	if partial := (*view.PartialListError)(nil); errors.As(err, &partial) {
		c.Some, err = notAll, nil
	}
	for _, m := range members {
		c.choose(q, m.name, by[m.name])
	}
	return err
}

// listMember is a parameter by which a list is chosen, and what of an item is compared with it.
type listMember[T any] struct {
	name string
	of   func(T) string
}

type designationsPage struct {
	pageHeader
	listChoices
	Name         string
	Statuses     []view.Status
	Status       string
	Country      string
	Designations []view.Designation
	Skipped      []string
	Next         string
}

// designationsPage lists the designations.
func (s *Server) designationsPage(x *request) error {
	q, answer, err := designationsQuestion.ask(s, x)
	if err != nil {
		return err
	}
	page := designationsPage{
		pageHeader: s.listHeader(q, "Designations", "/v1/register/designations", "docket list designations"),
		Name:       q.text("name"), Statuses: view.Statuses, Status: q.text("status"), Country: q.text("country"),
		Designations: answer.Designations, Skipped: answer.Skipped, Next: q.pageURL(q.path, "after", answer.Next),
	}
	page.About = "Whom the authority restricts, by status, country, program and list."
	if facts := s.overview.get(q, s.cfg.QueryBudget); facts != nil && !q.has("name") {
		by, total := facts.countDesignations(q)
		for _, m := range designationMembers {
			page.choose(q, m.name, by[m.name])
		}
		page.Total = total
		if !facts.Whole {
			page.Some = notAll
		}
	}
	return x.answerPage(http.StatusOK, "designations", page)
}

type partiesPage struct {
	pageHeader
	listChoices
	Parties []view.Party
	Skipped []string
	Next    string
}

// partiesPage lists the parties: who signs here.
func (s *Server) partiesPage(x *request) error {
	q, answer, err := partiesQuestion.ask(s, x)
	if err != nil {
		return err
	}
	page := partiesPage{
		pageHeader: s.listHeader(q, "Parties", "/v1/register/parties", "docket list parties"),
		Parties:    answer.Parties, Skipped: answer.Skipped, Next: q.pageURL(q.path, "after", answer.Next),
	}
	page.About = "Who signs on this ledger: the authority, and those who answer it."
	return x.answerPage(http.StatusOK, "parties", page)
}

type licencesPage struct {
	pageHeader
	listChoices
	Licences []view.Licence
	Skipped  []string
	Next     string
}

// licencesPage lists the licences: what is permitted in spite of a designation.
func (s *Server) licencesPage(x *request) error {
	q, answer, err := licencesQuestion.ask(s, x)
	if err != nil {
		return err
	}
	page := licencesPage{
		pageHeader: s.listHeader(q, "Licences", "/v1/register/licences", "docket list licences"),
		Licences:   answer.Licences, Skipped: answer.Skipped, Next: q.pageURL(q.path, "after", answer.Next),
	}
	page.About = "What the authority permits in spite of a restriction, to whom and until when."
	if q.has("designation") || q.has("jurisdiction") {
		return x.answerPage(http.StatusOK, "licences", page)
	}
	members := []listMember[view.Licence]{
		{"status", func(l view.Licence) string { return string(l.Status) }},
		{"party", func(l view.Licence) string { return l.Current.Holder }},
	}
	err = countList(&page.listChoices, q, members, func(yield func(view.Licence) bool) error {
		return q.view.WithBudget(s.cfg.QueryBudget).Licences(view.LicenceFilter{}, q.asOf.At, yield)
	})
	if err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "licences", page)
}

type requestsPage struct {
	pageHeader
	listChoices
	Requests []view.Request
	Skipped  []string
	Next     string
}

// requestsPage lists the requests to disclose.
func (s *Server) requestsPage(x *request) error {
	q, answer, err := requestsQuestion.ask(s, x)
	if err != nil {
		return err
	}
	page := requestsPage{
		pageHeader: s.listHeader(q, "Requests to disclose", "/v1/register/requests", "docket list requests"),
		Requests:   answer.Requests, Skipped: answer.Skipped, Next: q.pageURL(q.path, "after", answer.Next),
	}
	page.About = "What the authority asked providers to disclose, for which jurisdiction's cooperation, and what came of it."
	members := []listMember[view.Request]{
		{"status", func(r view.Request) string { return string(r.Status) }},
		{"jurisdiction", func(r view.Request) string { return r.Jurisdiction }},
		{"party", func(r view.Request) string { return r.Provider }},
	}
	err = countList(&page.listChoices, q, members, func(yield func(view.Request) bool) error {
		return q.view.WithBudget(s.cfg.QueryBudget).Requests(view.RequestFilter{}, q.asOf.At, yield)
	})
	if err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "requests", page)
}

type cooperationPage struct {
	pageHeader
	Cooperation []view.Cooperation
	TooMuch     bool // all together are more than one question may count
}

// cooperationPage counts the requests by jurisdiction.
func (s *Server) cooperationPage(x *request) error {
	q, err := s.parseQuery(x, "jurisdiction")
	if err != nil {
		return err
	}
	jurisdiction := q.country("jurisdiction")
	if err := q.firstFault(); err != nil {
		return err
	}
	page := cooperationPage{pageHeader: s.listHeader(q, "Cooperation", "/v1/register/cooperation", "docket list cooperation")}
	page.About = "How each jurisdiction answered the requests to disclose, as anybody can count."
	page.Cooperation, err = q.view.Cooperation(jurisdiction, q.asOf.At)
	if errors.Is(err, register.ErrOverBudget) && jurisdiction == "" {
		page.TooMuch, err = true, nil
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(page.Cooperation, func(a, b view.Cooperation) int { return cmp.Compare(b.Unanswered, a.Unanswered) })
	return x.answerPage(http.StatusOK, "cooperation", page)
}

type recordsPage struct {
	pageHeader
	listChoices
	Records      []recordLine
	Newer, Older string // addresses; "" where there are none
	Kind         string
	Oldest       bool // first
}

// recordsPage lists the records: all of them with the newest first, those that are chosen with the oldest.
func (s *Server) recordsPage(x *request) error {
	q, err := s.parseListQuery(x, cursorRecords, "kind", "thread", "issuer", "below")
	if err != nil {
		return err
	}
	if !q.has("limit") {
		q.limit = maxSayings // each of them says what it is
	}
	page := recordsPage{pageHeader: s.listHeader(q, "Records", "/v1/records", "docket list records"), Kind: q.text("kind")}
	page.About = "Everything that was recorded, in its order."
	page.Data[0].URL = withQuery("/v1/records", q.without("after", "below", "at", "size"))
	if page.Oldest = q.has("kind") || q.has("thread") || q.has("issuer"); page.Oldest {
		rows, next, err := recordsOf(q)
		if err != nil {
			return err
		}
		if page.Records, err = s.sayings(x, rows); err != nil {
			return err
		}
		page.Older = q.pageURL(q.path, "after", next)
		return x.answerPage(http.StatusOK, "records", page)
	}
	below := min(q.number("below", q.asOf.Size), q.asOf.Size)
	if err := q.firstFault(); err != nil {
		return err
	}
	first := below - min(below, uint64(q.limit))
	var rows []register.RecordRow
	for index := below; index > first; index-- {
		r, err := q.view.RecordAt(index - 1)
		if errors.Is(err, register.ErrOverBudget) && len(rows) > 0 {
			first = index // the next page goes on here
			break
		}
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	if page.Records, err = s.sayings(x, rows); err != nil {
		return err
	}
	at := func(below uint64) string {
		given := q.without("below")
		if below < q.asOf.Size {
			given.Set("below", strconv.FormatUint(below, 10))
		}
		return withQuery(q.path, given)
	}
	if first > 0 {
		page.Older = at(first)
	}
	if below < q.asOf.Size {
		page.Newer = at(below + uint64(q.limit))
	}
	return x.answerPage(http.StatusOK, "records", page)
}

type changesPage struct {
	pageHeader
	From, To        string // as the reader chose them
	Then, Until     asOf
	ThenDay, EndDay string
	Changes         []view.Change
	Skipped         []string
	Next            string
}

// changesPage says what changed between two states of the ledger.
func (s *Server) changesPage(x *request) error {
	c, err := s.parseChanges(x)
	if err != nil {
		return err
	}
	answer, err := c.page()
	if err != nil {
		return err
	}
	page := changesPage{
		pageHeader: s.listHeader(c.registerQuery, "Changes", "/v1/register/changes", "docket diff "+c.view.LocalDate(c.then).String()),
		From:       c.text("from"), To: c.text("to"), Then: answer.From, Until: answer.AsOf,
		ThenDay: c.view.LocalDate(answer.From.At).String(), EndDay: c.view.LocalDate(answer.AsOf.At).String(),
		Changes: answer.Changes, Skipped: answer.Skipped, Next: c.pageURL(c.path, "after", answer.Next),
	}
	page.About = "What changed on the ledger between two days or sizes."
	given := c.without("after")
	page.Data = append(page.Data, dataLink{"CSV", withQuery("/v1/register/changes.csv", given)}, dataLink{"Atom", withQuery("/v1/register/changes.atom", given)})
	given.Set("from", strconv.FormatUint(answer.From.Size, 10)) // a size stays what it is
	given.Set("to", strconv.FormatUint(answer.AsOf.Size, 10))
	page.Same = withQuery(c.path, given)
	if page.From != "" || page.To != "" {
		page.Prove = "docket diff " + cmp.Or(page.From, page.ThenDay) + " " + cmp.Or(page.To, page.EndDay)
	}
	return x.answerPage(http.StatusOK, "changes", page)
}

// dutyBoard is who has to answer what: parties by designations.
type dutyBoard struct {
	Columns []boardColumn
	Rows    []boardRow
	Left    int // designations that are not shown: those with the least to do
}

type boardColumn struct {
	Name, Target string
	Error        bool
}

type boardRow struct {
	Party string
	Cells [][]view.Duty // by column
	Late  int
}

// Bounds of a board: a page holds no more.
const (
	boardColumns = 6
	boardRows    = 30
	boardDuties  = 2000
)

// newDutyBoard takes duties that are sorted by lateness: so are its rows and its columns.
func newDutyBoard(duties []view.Duty) (b dutyBoard) {
	columns, rows, left := make(map[record.Thread]int), make(map[string]int), make(map[record.Thread]bool)
	for _, d := range duties {
		if d.Designation == "" {
			continue
		}
		column, ok := columns[d.Designation]
		if !ok {
			if len(b.Columns) == boardColumns {
				left[d.Designation] = true
				continue
			}
			column = len(b.Columns)
			columns[d.Designation] = column
			b.Columns = append(b.Columns, boardColumn{d.Designation.Name(), d.Target, d.Error})
		}
		row, ok := rows[d.Party]
		if !ok {
			if len(b.Rows) == boardRows {
				continue
			}
			row = len(b.Rows)
			rows[d.Party] = row
			b.Rows = append(b.Rows, boardRow{Party: d.Party})
		}
		for len(b.Rows[row].Cells) <= column {
			b.Rows[row].Cells = append(b.Rows[row].Cells, nil)
		}
		b.Rows[row].Cells[column] = append(b.Rows[row].Cells[column], d)
	}
	for i := range b.Rows {
		for len(b.Rows[i].Cells) < len(b.Columns) {
			b.Rows[i].Cells = append(b.Rows[i].Cells, nil)
		}
	}
	b.Left = len(left)
	return b
}

type dutiesPage struct {
	pageHeader
	listChoices
	Board    dutyBoard
	Duties   pagePart[view.Duty]
	Party    string
	Calendar string
	First    bool // page of the list, which has the board
}

var dutyParameters = []string{"party", "designation", "kind", "state"}

// dutiesPage is the board of duties, and the list of them, what is late first.
func (s *Server) dutiesPage(x *request) error {
	q, err := s.parseListQuery(x, cursorBoard, dutyParameters...)
	if err != nil {
		return err
	}
	page := dutiesPage{pageHeader: s.listHeader(q, "Duties", "/v1/register/duties", "docket duties"), Party: q.text("party")}
	page.About = "Who has to answer what, by when, and who is late."
	page.Calendar = withQuery("/v1/register/duties.ics", q.without("after"))
	page.Data = append(page.Data, dataLink{"Calendar", page.Calendar})
	if page.Party != "" {
		page.Prove += " --party " + page.Party
	}
	filter := q.dutyFilter(page.Party)
	filter.Kind, filter.State, filter.After = "", "", "" // counted, and chosen below
	from := 0
	if q.position != "" {
		if from, err = strconv.Atoi(q.position); err != nil || from < 0 {
			q.addCursorFault("after")
		}
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	var all []view.Duty
	members := []listMember[view.Duty]{
		{"state", func(d view.Duty) string { return string(d.State.Shown(page.Ahead)) }},
		{"kind", func(d view.Duty) string { return string(d.Kind) }},
	}
	err = countList(&page.listChoices, q, members, func(yield func(view.Duty) bool) error {
		full := false
		err := q.view.Duties(filter, q.asOf.At, func(d view.Duty) bool {
			if (!q.has("kind") || string(d.Kind) == q.text("kind")) && (!q.has("state") || members[0].of(d) == q.text("state")) {
				all = append(all, d)
			}
			full = len(all) == boardDuties
			return yield(d) && !full
		})
		if err == nil && full {
			err = &view.PartialListError{}
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, byLateness)
	if page.First = from == 0; page.First {
		page.Board = newDutyBoard(all)
	}
	page.Duties.Items = all[min(from, len(all)):min(from+q.limit, len(all))]
	if from+q.limit < len(all) {
		page.Duties.Next = q.pageURL(q.path, "after", q.nextCursor(cursorBoard, strconv.Itoa(from+q.limit)))
	}
	return x.answerPage(http.StatusOK, "duties", page)
}

type sourcesPage struct {
	pageHeader
	Sources []sourceLine
	Own     int // designations of no list
	Some    string
}

// sourceLine is a published list, with how many of its entries stand here.
type sourceLine struct {
	List          string
	N, Restricted int
	Programs      []string
	URL           string
}

// sourcesPage says from which published lists designations were imported.
func (s *Server) sourcesPage(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	page := sourcesPage{pageHeader: s.listHeader(q, "Lists and imports", "/v1/register/designations", "docket list designations")}
	page.About = "From which published lists designations were imported, and how many of each stand here."
	facts := s.overview.get(q, s.cfg.QueryBudget)
	if facts == nil || !facts.Whole {
		page.Some = notAll
	}
	if facts != nil {
		by, programs := make(map[string]*sourceLine), make(map[string]map[string]bool)
		for _, d := range facts.Designations {
			if d.List == "" {
				page.Own++
				continue
			}
			line := by[d.List]
			if line == nil {
				line = &sourceLine{List: d.List, URL: "/designations?list=" + url.QueryEscape(d.List)}
				by[d.List], programs[d.List] = line, make(map[string]bool)
			}
			line.N++
			if d.Status == view.StatusInForce {
				line.Restricted++
			}
			for _, program := range d.Program {
				programs[d.List][program] = true
			}
		}
		for _, list := range slices.Sorted(maps.Keys(by)) {
			by[list].Programs = slices.Sorted(maps.Keys(programs[list]))
			page.Sources = append(page.Sources, *by[list])
		}
	}
	return x.answerPage(http.StatusOK, "lists", page)
}

// changeSays tells in a few words what became of a thread.
func changeSays(c view.Change) string {
	switch {
	case c.Before == string(view.StatusNone) && c.After != "":
		return "new"
	case len(c.Changed) > 0:
		return "changed: " + strings.Join(c.Changed, ", ")
	case len(c.Records) > 0:
		return web.Count(len(c.Records), "record") + " added"
	}
	return "by the calendar alone"
}
