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
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// The lists, each with what /v1 answers to the same question, and links to that answer.

// listHeader is the header of a page that lists what an address under /v1 answers.
func (s *Server) listHeader(q *registerQuery, title, data, command string) pageHeader {
	f := s.pageHeader(q, title)
	given := q.without("after")
	f.take(command, dataLink{"JSON", withQuery(data, given)}, dataLink{"CSV", withQuery(data+".csv", given)})
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

// count counts by these members what is kept of a list, of what the question chooses by the others; it is shown with
// what the question chooses by all. chosen are the places of these.
func count[T, I any](c *listChoices, q *registerQuery, members []listMember[T], k *kept[T, I]) (chosen []int32) {
	k.counting.Do(func() { k.counts, _ = countBy(k.Items, members, make([]string, len(members))) })
	by, asked := k.counts, make([]string, len(members))
	for i, m := range members {
		asked[i] = q.text(m.name)
	}
	if slices.ContainsFunc(asked, func(s string) bool { return s != "" }) {
		by, chosen = countBy(k.Items, members, asked)
	} else {
		chosen = make([]int32, len(k.Items))
		for i := range chosen {
			chosen[i] = int32(i)
		}
	}
	c.Total = len(chosen)
	if !k.Whole {
		c.Some = notAll
	}
	for i, m := range members {
		c.choose(q, m.name, by[i])
	}
	return chosen
}

// countBy counts by each member those that have what is asked of the others, and finds those that have all of it.
func countBy[T any](items []T, members []listMember[T], asked []string) (by []map[string]int, chosen []int32) {
	by = make([]map[string]int, len(members))
	for i := range members {
		by[i] = make(map[string]int)
	}
	for place, item := range items {
		misses, missed := 0, 0
		for i, m := range members {
			if asked[i] != "" && !m.has(item, asked[i]) {
				misses, missed = misses+1, i
			}
		}
		if misses > 1 {
			continue
		}
		if misses == 0 {
			chosen = append(chosen, int32(place))
		}
		for i, m := range members {
			if misses == 0 || missed == i {
				m.each(item, func(value string) { by[i][value]++ })
			}
		}
	}
	return by, chosen
}

// listMember is a parameter by which a list is chosen, and what of an item is compared with it.
type listMember[T any] struct {
	name string
	one  func(T) string   // "" where it has none
	many func(T) []string // of one that has several
}

func (m listMember[T]) each(item T, visit func(value string)) {
	if m.many != nil {
		for _, value := range m.many(item) {
			visit(value)
		}
	} else if value := m.one(item); value != "" {
		visit(value)
	}
}

func (m listMember[T]) has(item T, value string) bool {
	if m.many != nil {
		return slices.Contains(m.many(item), value)
	}
	return m.one(item) == value
}

// pageOf are the items of one page of a list that is kept by thread: those at the chosen places after the question's
// position.
func pageOf[T, I, R any](q *registerQuery, list byte, k *kept[T, I], chosen []int32, thread func(T) record.Thread, read func(T) (R, error)) (items []R, next string, err error) {
	from, _ := slices.BinarySearchFunc(chosen, q.position, func(place int32, after string) int {
		if string(thread(k.Items[place])) > after {
			return 1
		}
		return -1
	})
	for _, place := range chosen[from:] {
		t := thread(k.Items[place])
		if len(items) == q.limit {
			return items, q.nextCursor(list, q.position), nil
		}
		item, err := read(k.Items[place])
		if errors.Is(err, register.ErrOverBudget) && len(items) > 0 {
			return items, q.nextCursor(list, q.position), nil
		}
		if err != nil {
			return nil, "", err
		}
		items, q.position = append(items, item), string(t)
	}
	return items, "", nil
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
	q, err := s.parseListQuery(x, designationsQuestion.list, designationsQuestion.parameters...)
	if err != nil {
		return err
	}
	filter, err := designationFilter(q)
	if err != nil {
		return err
	}
	var list *kept[designationMark, byStatus]
	if q.has("name") {
		list, err = s.designationsNamed(q, filter.Name)
	} else {
		list, err = s.designationList.get(s, q)
	}
	if err == nil {
		err = q.follow(s, x, list.size)
	}
	if err != nil {
		return err
	}
	page := designationsPage{
		pageHeader: s.listHeader(q, "Designations", "/v1/register/designations", "docket list designations"),
		Name:       q.text("name"), Statuses: view.Statuses, Status: q.text("status"), Country: q.text("country"),
	}
	page.About = "Whom the authority restricts, by status, country, program and list."
	chosen, next := count(&page.listChoices, q, designationMembers, list), ""
	if list.Whole {
		page.Designations, next, err = pageOf(q, cursorDesignations, list, chosen, func(m designationMark) record.Thread { return m.Thread },
			func(m designationMark) (view.Designation, error) {
				return q.view.DesignationSummary(m.Thread, q.asOf.At)
			})
	} else {
		q.view = q.view.WithBudget(s.pageBudget())
		var answer designationsAnswer
		answer, err = designationsOf(q)
		page.Designations, page.Skipped, next = answer.Designations, answer.Skipped, answer.Next
	}
	if err != nil {
		return err
	}
	page.Next = q.pageURL(q.path, "after", next)
	return x.answerPage(http.StatusOK, "designations", page)
}

// designationsNamed reads those that bear a name or bore it, as far as the work of a page goes.
func (s *Server) designationsNamed(q *registerQuery, name string) (*kept[designationMark, byStatus], error) {
	m, err := q.moment()
	if err != nil {
		return nil, err
	}
	named := keptList[designationMark, byStatus]{most: s.designationList.most, index: countByStatus, read: func(v *view.View, at time.Time, yield func(designationMark) bool) error {
		return markDesignations(v, view.DesignationFilter{Name: name}, at, yield)
	}}
	return named.readAt(q.view.WithBudget(s.pageBudget()), m, func() bool { return true })
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
	q, err := s.parseListQuery(x, licencesQuestion.list, licencesQuestion.parameters...)
	if err != nil {
		return err
	}
	if _, err := licenceFilter(q); err != nil {
		return err
	}
	list, err := s.licenceList.follow(s, x, q)
	if err != nil {
		return err
	}
	page := licencesPage{pageHeader: s.listHeader(q, "Licences", "/v1/register/licences", "docket list licences")}
	page.About = "What the authority permits in spite of a restriction, to whom and until when."
	next, byMarks := "", !q.has("designation") && !q.has("jurisdiction")
	if list.Whole && byMarks {
		chosen := count(&page.listChoices, q, licenceMembers, list)
		page.Licences, next, err = pageOf(q, cursorLicences, list, chosen, func(m licenceMark) record.Thread { return m.Thread },
			func(m licenceMark) (view.Licence, error) { return q.view.Licence(m.Thread, q.asOf.At) })
	} else {
		q.view = q.view.WithBudget(s.pageBudget())
		var answer licencesAnswer
		answer, err = licencesOf(q)
		page.Licences, page.Skipped, next = answer.Licences, answer.Skipped, answer.Next
		if byMarks {
			count(&page.listChoices, q, licenceMembers, list)
		}
	}
	if err != nil {
		return err
	}
	page.Next = q.pageURL(q.path, "after", next)
	return x.answerPage(http.StatusOK, "licences", page)
}

var licenceMembers = []listMember[licenceMark]{
	{name: "status", one: func(l licenceMark) string { return l.Status }},
	{name: "party", one: func(l licenceMark) string { return l.Party }},
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
	q, err := s.parseListQuery(x, requestsQuestion.list, requestsQuestion.parameters...)
	if err != nil {
		return err
	}
	if _, err := requestFilter(q); err != nil {
		return err
	}
	list, err := s.requestList.follow(s, x, q)
	if err != nil {
		return err
	}
	page := requestsPage{pageHeader: s.listHeader(q, "Requests to disclose", "/v1/register/requests", "docket list requests")}
	page.About = "What the authority asked providers to disclose, for which jurisdiction's cooperation, and what came of it."
	chosen, next := count(&page.listChoices, q, requestMembers, list), ""
	if list.Whole {
		page.Requests, next, err = pageOf(q, cursorRequests, list, chosen, func(r view.Request) record.Thread { return r.Thread },
			func(r view.Request) (view.Request, error) { return r, nil })
	} else {
		q.view = q.view.WithBudget(s.pageBudget())
		var answer requestsAnswer
		answer, err = requestsOf(q)
		page.Requests, page.Skipped, next = answer.Requests, answer.Skipped, answer.Next
	}
	if err != nil {
		return err
	}
	page.Next = q.pageURL(q.path, "after", next)
	return x.answerPage(http.StatusOK, "requests", page)
}

var requestMembers = []listMember[view.Request]{
	{name: "status", one: func(r view.Request) string { return string(r.Status) }},
	{name: "jurisdiction", one: func(r view.Request) string { return r.Jurisdiction }},
	{name: "party", one: func(r view.Request) string { return r.Provider }},
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
	list, err := s.requestList.follow(s, x, q)
	if err != nil {
		return err
	}
	page := cooperationPage{pageHeader: s.listHeader(q, "Cooperation", "/v1/register/cooperation", "docket list cooperation")}
	page.About = "How each jurisdiction answered the requests to disclose, as anybody can count."
	if page.Cooperation, page.TooMuch, err = s.cooperationIn(q, list, jurisdiction); err != nil {
		return err
	}
	slices.SortStableFunc(page.Cooperation, func(a, b view.Cooperation) int { return cmp.Compare(b.Unanswered, a.Unanswered) })
	return x.answerPage(http.StatusOK, "cooperation", page)
}

// cooperationIn counts the requests of one jurisdiction, or of all, unless they are more than a page may count.
func (s *Server) cooperationIn(q *registerQuery, list *kept[view.Request, []view.Cooperation], code string) (of []view.Cooperation, tooMuch bool, err error) {
	if list.Whole {
		return slices.DeleteFunc(slices.Clone(list.Index), func(c view.Cooperation) bool { return code != "" && c.Jurisdiction != code }), false, nil
	}
	if of, err = q.view.WithBudget(s.pageBudget()).Cooperation(code, q.asOf.At); errors.Is(err, register.ErrOverBudget) {
		return nil, true, nil
	}
	return of, false, err
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
	for i := range page.Data {
		path, _, _ := strings.Cut(page.Data[i].URL, "?")
		page.Data[i].URL = withQuery(path, q.without("after", "below"))
	}
	if page.Oldest = q.has("kind") || q.has("thread") || q.has("issuer"); page.Oldest {
		answer, err := recordsOf(q)
		if err != nil {
			return err
		}
		if page.Records, err = s.sayings(x, answer.Records); err != nil {
			return err
		}
		page.Older = q.pageURL(q.path, "after", answer.Next)
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
	page.Data = append(page.Data, dataLink{"Atom", withQuery("/v1/register/changes.atom", given)})
	given.Set("from", strconv.FormatUint(answer.From.Size, 10)) // a size stays what it is
	given.Set("to", strconv.FormatUint(answer.AsOf.Size, 10))
	page.Same = withQuery(c.path, given)
	if page.From != "" || page.To != "" {
		page.Prove = "docket diff " + cmp.Or(page.From, page.ThenDay) + " " + cmp.Or(page.To, page.EndDay)
	}
	return x.answerPage(http.StatusOK, "changes", page)
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
	Programs      []string // the first of them
	MorePrograms  int
	URL           string
}

// maxPrograms is how many programs of a list are named.
const maxPrograms = 100

// sourcesPage says from which published lists designations were imported.
func (s *Server) sourcesPage(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	list, err := s.designationList.follow(s, x, q)
	if err != nil {
		return err
	}
	page := sourcesPage{pageHeader: s.listHeader(q, "Lists and imports", "/v1/register/designations", "docket list designations")}
	page.About = "From which published lists designations were imported, and how many of each stand here."
	if !list.Whole {
		page.Some = notAll
	}
	by, programs := make(map[string]*sourceLine), make(map[string]map[string]bool)
	for _, d := range list.Items {
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
		all := slices.Sorted(maps.Keys(programs[list]))
		by[list].Programs, by[list].MorePrograms = all[:min(len(all), maxPrograms)], max(0, len(all)-maxPrograms)
		page.Sources = append(page.Sources, *by[list])
	}
	return x.answerPage(http.StatusOK, "lists", page)
}

// changeSays tells in a few words what became of a thread.
func changeSays(c view.Change) string {
	switch {
	case c.Before == string(view.StatusNone) && c.After != "":
		return "new"
	case len(c.Changed) > 0:
		names := make([]string, len(c.Changed))
		for i, name := range c.Changed {
			names[i] = memberWords(name)
		}
		return "changed: " + strings.Join(names, ", ")
	case len(c.Records) > 0:
		return web.Count(len(c.Records), "record") + " added"
	}
	return "by the calendar alone"
}
