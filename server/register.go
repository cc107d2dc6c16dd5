package server

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// asOf says for which size and instant an answer of the register holds.
type asOf struct {
	Size  uint64    `json:"size"`
	Root  string    `json:"root,omitempty"` // of the tree of that size, as a checkpoint writes it
	At    time.Time `json:"at"`
	Ahead bool      `json:"ahead,omitempty"` // At is of a day to come
}

// registerQuery is what all queries of the register have in common: a view at the
// published size or a smaller one, an instant, and for lists a position and a limit.
type registerQuery struct {
	*params
	view     *view.View
	asOf     asOf
	position string // the list goes on after it
	limit    int
	budget   register.ReadBudget // of one question
	withheld *[]Withheld         // as it was before the view was made
}

// parseQuery reads the parameters of a query; known are those beside at and size.
func (s *Server) parseQuery(x *request, known ...string) (*registerQuery, error) {
	return s.parseListQuery(x, 0, known...)
}

// listQuestion is what the API and a page ask alike.
type listQuestion[A any] struct {
	list       byte
	parameters []string // beside those of all lists
	answer     func(*registerQuery) (A, error)
}

func (l listQuestion[A]) ask(s *Server, x *request) (q *registerQuery, answer A, err error) {
	if q, err = s.parseListQuery(x, l.list, l.parameters...); err == nil {
		answer, err = l.answer(q)
	}
	return q, answer, err
}

func (l listQuestion[A]) answerJSON(s *Server, x *request) error {
	_, answer, err := l.ask(s, x)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

// parseListQuery is [Server.parseQuery] for a list that is read in pages; list is 0 for what is none.
func (s *Server) parseListQuery(x *request, list byte, known ...string) (*registerQuery, error) {
	known = append(known, "at", "size")
	if list != 0 {
		known = append(known, "after", "limit")
	}
	q := &registerQuery{params: x.parseParams(known...), budget: s.cfg.QueryBudget, withheld: s.cfg.Ledger.withheld.last()}
	items := uint64(defaultLimit)
	if x.page {
		q.dropEmpty(known...) // a form sends its empty fields too
		items = pageLimit
	}
	from := cursor{}
	if list != 0 {
		from = q.cursor("after", list)
		if q.position, q.limit = from.position, q.params.limit(items); x.page {
			q.limit = min(q.limit, pageLimit)
		}
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
	v, err := view.At(s.cfg.Register, q.asOf.Size)
	if err != nil {
		return nil, err
	}
	q.view = v.WithCheckpointTimes(s.checkpointTimes(x.Request.Context())).WithBudget(s.cfg.QueryBudget)
	switch {
	case q.has("at"): // any instant, also the one that Go has for none
		q.asOf.At = q.time("at", func(d record.Date) time.Time { return endOfDay(q.view, d) })
	case from.size > 0:
		q.asOf.At = from.at
	default:
		q.asOf.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	if err := q.firstFault(); err != nil {
		return nil, err
	}
	q.asOf.Ahead = v.Ahead(q.asOf.At, time.Now())
	tree, err := s.cfg.Ledger.TreeAt(x.Request.Context(), q.asOf.Size)
	if err != nil {
		return nil, err
	}
	q.asOf.Root = tree.Root.String()
	return q, nil
}

// endOfDay is the last moment of a civil date there: instants on the ledger are in whole
// milliseconds. RFC 3339 has no year after 9999, and neither has JSON.
func endOfDay(v *view.View, d record.Date) time.Time {
	end := startOfDay(v, d.AddDays(1)).Add(-time.Millisecond)
	if end.After(lastInstant) {
		return lastInstant
	}
	return end
}

// startOfDay is the first moment of a civil date as the charter's time zone has it,
// to the second. The view alone knows the zone, so it is asked for the date until
// the date is reached.
func startOfDay(v *view.View, d record.Date) time.Time {
	const most = 36 * 60 * 60 // seconds around midnight UTC that hold it in any zone
	utc := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	early := utc.Add(-most / 2 * time.Second)
	n := sort.Search(most, func(s int) bool { return !v.LocalDate(early.Add(time.Duration(s) * time.Second)).Before(d) })
	return early.Add(time.Duration(n) * time.Second)
}

// The handlers below ask the register as of the published size. What they answer
// is the server's word: who must not trust it asks a replayed copy.

type designationsAnswer struct {
	AsOf         asOf               `json:"asOf"`
	Designations []view.Designation `json:"designations"`
	Next         string             `json:"next,omitempty"`
	Skipped      []string           `json:"skipped,omitempty"`
}

var designationsQuestion = listQuestion[designationsAnswer]{cursorDesignations, []string{"status", "country", "program", "list", "name"}, designationsOf}

func (s *Server) designations(x *request) error {
	return designationsQuestion.answerJSON(s, x)
}

func designationFilter(q *registerQuery) (view.DesignationFilter, error) {
	return view.DesignationFilter{
		Status:  oneOf(q.params, "status", view.Statuses),
		Country: q.country("country"), Program: q.text("program"), List: q.text("list"), Name: q.text("name"),
		After: q.position,
	}, q.firstFault()
}

func designationsOf(q *registerQuery) (designationsAnswer, error) {
	filter, err := designationFilter(q)
	if err != nil {
		return designationsAnswer{}, err
	}
	p := newListPage(q.limit, func(d view.Designation) string { return string(d.Thread) })
	if err := p.finish(q, "after", q.view.Designations(filter, q.asOf.At, p.add)); err != nil {
		return designationsAnswer{}, err
	}
	return designationsAnswer{q.asOf, p.items, q.nextCursor(cursorDesignations, p.after), p.skipped}, nil
}

func (s *Server) designation(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	d, err := q.view.Designation(record.DesignationThread(x.Param("id")), q.asOf.At)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		view.DesignationDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, d, moreLinks(d.Cut, map[string]string{
		"board": "/v1/register/duties?designation=" + d.Thread.Name(),
	}, recordsURL(d.Thread))})
}

type licencesAnswer struct {
	AsOf     asOf           `json:"asOf"`
	Licences []view.Licence `json:"licences"`
	Next     string         `json:"next,omitempty"`
	Skipped  []string       `json:"skipped,omitempty"`
}

var licencesQuestion = listQuestion[licencesAnswer]{cursorLicences, []string{"status", "party", "designation", "jurisdiction"}, licencesOf}

func (s *Server) licences(x *request) error {
	return licencesQuestion.answerJSON(s, x)
}

func licenceFilter(q *registerQuery) (view.LicenceFilter, error) {
	return view.LicenceFilter{
		Status: oneOf(q.params, "status", view.LicenceStatuses), Holder: q.text("party"), Designation: q.text("designation"),
		Jurisdiction: q.country("jurisdiction"), After: q.position,
	}, q.firstFault()
}

func licencesOf(q *registerQuery) (licencesAnswer, error) {
	filter, err := licenceFilter(q)
	if err != nil {
		return licencesAnswer{}, err
	}
	p := newListPage(q.limit, func(l view.Licence) string { return string(l.Thread) })
	if err := p.finish(q, "after", q.view.Licences(filter, q.asOf.At, p.add)); err != nil {
		return licencesAnswer{}, err
	}
	return licencesAnswer{q.asOf, p.items, q.nextCursor(cursorLicences, p.after), p.skipped}, nil
}

func (s *Server) licence(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	l, err := q.view.Licence(record.LicenceThread(x.Param("id")), q.asOf.At)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		view.Licence
	}{q.asOf, l})
}

type partiesAnswer struct {
	AsOf    asOf         `json:"asOf"`
	Parties []view.Party `json:"parties"`
	Next    string       `json:"next,omitempty"`
	Skipped []string     `json:"skipped,omitempty"`
}

var partiesQuestion = listQuestion[partiesAnswer]{cursorParties, []string{"role", "status"}, partiesOf}

func (s *Server) parties(x *request) error {
	return partiesQuestion.answerJSON(s, x)
}

func partiesOf(q *registerQuery) (partiesAnswer, error) {
	filter := view.PartyFilter{
		Role:     oneOf(q.params, "role", []record.Role{record.RoleAuthority, record.RoleProvider, record.RoleReseller, record.RoleAuditor}),
		Standing: q.oneOf("status", "active", "suspended", "withdrawn"),
		After:    q.position,
	}
	if err := q.firstFault(); err != nil {
		return partiesAnswer{}, err
	}
	p := newListPage(q.limit, func(p view.Party) string { return p.ID })
	if err := p.finish(q, "after", q.view.Parties(filter, q.asOf.At, p.add)); err != nil {
		return partiesAnswer{}, err
	}
	return partiesAnswer{q.asOf, p.items, q.nextCursor(cursorParties, p.after), p.skipped}, nil
}

func (s *Server) party(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	p, err := q.view.Party(x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		view.PartyDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, p, moreLinks(p.Cut, map[string]string{
		"keys":         "/v1/register/parties/" + p.ID + "/keys",
		"attestations": "/v1/records?issuer=" + p.ID,
		"duties":       "/v1/register/duties/" + p.ID,
	}, recordsURL(record.PartyThread(p.ID)))})
}

// moreLinks says where what an answer cuts is read whole, in pages.
func moreLinks(cut []string, at map[string]string, otherwise string) map[string]string {
	links := make(map[string]string, len(cut))
	for _, name := range cut {
		links[name] = cmp.Or(at[name], otherwise)
	}
	return links
}

func recordsURL(thread record.Thread) string {
	return "/v1/records?thread=" + url.QueryEscape(string(thread))
}

type keysAnswer struct {
	AsOf    asOf            `json:"asOf"`
	Keys    []view.PartyKey `json:"keys"`
	Next    string          `json:"next,omitempty"`
	Skipped []string        `json:"skipped,omitempty"`
}

// partyKeys are the keys that a party ever had.
func (s *Server) partyKeys(x *request) error {
	q, err := s.parseListQuery(x, cursorKeys)
	if err != nil {
		return err
	}
	p := newListPage(q.limit, view.PartyKey.Position)
	if err := p.finish(q, "after", q.view.Keys(x.Param("id"), q.position, q.asOf.At, p.add)); err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, keysAnswer{q.asOf, p.items, q.nextCursor(cursorKeys, p.after), p.skipped})
}

type dutiesAnswer struct {
	AsOf    asOf        `json:"asOf"`
	Duties  []view.Duty `json:"duties"`
	Next    string      `json:"next,omitempty"`
	Skipped []string    `json:"skipped,omitempty"`
}

var dutiesQuestion = listQuestion[dutiesAnswer]{cursorDuties, dutyParameters, func(q *registerQuery) (dutiesAnswer, error) { return dutiesOf(q, q.text("party")) }}

func (s *Server) listDuties(x *request) error { return dutiesQuestion.answerJSON(s, x) }

// listPartyDuties are one party's: its calendar.
func (s *Server) listPartyDuties(x *request) error {
	q, err := s.parseListQuery(x, cursorDuties, "designation", "kind", "state")
	if err != nil {
		return err
	}
	answer, err := dutiesOf(q, x.Param("id"))
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

func dutiesOf(q *registerQuery, party string) (dutiesAnswer, error) {
	filter := q.dutyFilter(party)
	if err := q.firstFault(); err != nil {
		return dutiesAnswer{}, err
	}
	p := newListPage(q.limit, view.Duty.Position)
	if err := p.finish(q, "after", q.view.Duties(filter, q.asOf.At, p.add)); err != nil {
		return dutiesAnswer{}, err
	}
	return dutiesAnswer{q.asOf, p.items, q.nextCursor(cursorDuties, p.after), p.skipped}, nil
}

// calendar is one page of duties as iCalendar. A client asks for no next page, and takes what
// it gets for all that there is: where there is more, an event on this day says so.
func (s *Server) calendar(x *request) error {
	q, err := s.parseQuery(x, "party", "designation", "kind", "state")
	if err != nil {
		return err
	}
	filter := q.dutyFilter(q.text("party"))
	if err := q.firstFault(); err != nil {
		return err
	}
	source, err := q.source(x)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	c, n := view.NewCalendar(&text, filter.CalendarTitle(source.Name), source, q.asOf.Ahead), 0
	err = q.view.Duties(filter, q.asOf.At, func(d view.Duty) bool {
		if !filter.InCalendar(d) {
			return true
		}
		if n++; n <= maxLimit {
			c.Add(d)
		}
		return n <= maxLimit
	})
	if more := (*view.PartialListError)(nil); errors.As(err, &more) || n > maxLimit {
		c.NotWhole(q.view.LocalDate(q.asOf.At), "Choose fewer by party, designation, kind or state; a replayed copy has them all: docket sync, then docket duties --ics.")
		err = nil
	}
	if err := cmp.Or(err, c.Close()); err != nil {
		return err
	}
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(http.StatusOK, "text/calendar; charset=utf-8", text.Bytes())
}

// source says of which ledger the answer is, for what is read far from it.
func (q *registerQuery) source(x *request) (view.Source, error) {
	return q.view.SourceOf(q.asOf.At, q.asOf.Root, x.baseURL())
}

// baseURL is the address under which the client reached the server, with the path under which a proxy has it.
func (x *request) baseURL() string {
	scheme := "http"
	if x.Request.TLS != nil || len(x.server.proxies) > 0 && x.Request.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: x.Request.Host, Path: x.pathPrefix()}).String()
}

// dutyFilter is what the parameters choose of a party's duties, or of all.
func (q *registerQuery) dutyFilter(party string) view.DutyFilter {
	return view.DutyFilter{
		Party:       party,
		Designation: q.text("designation"),
		Kind:        oneOf(q.params, "kind", view.DutyKinds),
		State:       oneOf(q.params, "state", view.DutyStates),
		After:       q.position,
	}
}

func (s *Server) policy(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	c, err := q.view.Charter()
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf   asOf   `json:"asOf"`
		Policy string `json:"policy"` // tlog-policy text
		From   uint64 `json:"from"`   // index of the charter that sets it
		view.Charter
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, c.Charter.Policy, c.Record.Index, c, moreLinks(c.Cut, nil, recordsURL("charter"))})
}

type identifierAnswer struct {
	AsOf asOf `json:"asOf"`
	view.Identifier
	Next    string   `json:"next,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
}

func (s *Server) identifier(x *request) error {
	_, answer, err := s.askIdentifier(x)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

// askIdentifier answers who bears the identifier that the path names, or bore it.
func (s *Server) askIdentifier(x *request) (q *registerQuery, answer identifierAnswer, err error) {
	if q, err = s.parseListQuery(x, cursorIdentifier); err != nil {
		return nil, answer, err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	if !slices.Contains(register.IdentifierSchemes, scheme) {
		return nil, answer, newProblem(problemNotFound, "no scheme of identifiers is called %q; there are %s", clipText(scheme), strings.Join(register.IdentifierSchemes, ", "))
	}
	answer, err = identifierOf(q, scheme, value)
	return q, answer, err
}

func identifierOf(q *registerQuery, scheme, value string) (answer identifierAnswer, err error) {
	if err := q.firstFault(); err != nil {
		return answer, err
	}
	p := newListPage(q.limit, func(m view.IdentifierMatch) string { return string(m.Thread) })
	if err := p.finish(q, "after", q.view.IdentifierMatches(scheme, value, q.position, q.asOf.At, p.add)); err != nil {
		return answer, err
	}
	found := q.view.NormalizeIdentifier(scheme, value)
	found.Matches = p.items
	return identifierAnswer{q.asOf, found, q.nextCursor(cursorIdentifier, p.after), p.skipped}, nil
}
