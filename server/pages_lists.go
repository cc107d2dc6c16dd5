package server

import (
	"net/http"
	"net/url"

	"github.com/seed-53cf897a/docket/ledger/register"
)

// designationList is the table of designations with its form, on whichever page.
type designationList struct {
	Path                  string // of that page, which the form leads back to
	Statuses              []register.Status
	Status, Name, Country string
	Designations          []designationLine
	Next                  string
}

type designationLine struct {
	ID, Name, Country string
	Status            register.Status
	Error             bool
	From, Until       string
}

// queryDesignationList answers the form.
func (s *Server) queryDesignationList(x *request) (*registerQuery, designationList, error) {
	q, err := s.parseListQuery(x, cursorDesignations, "status", "name", "country")
	if err != nil {
		return nil, designationList{}, err
	}
	q.dropEmpty("status", "name", "country") // a form sends its empty fields too
	answer, err := designationsOf(q)
	if err != nil {
		return nil, designationList{}, err
	}
	list := designationList{
		Path:     x.FullPath(),
		Statuses: register.Statuses, Status: q.text("status"), Name: q.text("name"), Country: q.text("country"),
		Next: q.pageURL(x.FullPath(), "after", answer.Next),
	}
	for _, d := range answer.Designations {
		list.Designations = append(list.Designations, designationLine{
			ID: designationName(d.Thread), Name: d.Name, Country: d.Country, Status: d.Status, Error: d.Error,
			From: d.EffectiveFrom.String(), Until: dateOrNone(d.EffectiveUntil),
		})
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

// pageURL is the address of the page that goes on with a list, whose cursor has that name:
// the same question otherwise. "" if there is none.
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
	Parties []partyLine
	Next    string
}

type partyLine struct {
	ID, Name, Country, Roles, Standing, Enrolled string
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
	page := partiesPage{pageHeader: s.pageHeader(q, "Parties"), Next: q.pageURL(x.FullPath(), "after", answer.Next)}
	for _, p := range answer.Parties {
		page.Parties = append(page.Parties, partyLine{p.ID, p.LegalName, p.Country, joinWords(p.Roles), p.Standing, p.Enrolled.String()})
	}
	return x.answerPage(http.StatusOK, "parties", page)
}
