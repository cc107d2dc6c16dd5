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
	Designations          []listedDesignation
	Next                  string
}

type listedDesignation struct {
	ID, Name, Country string
	Status            register.Status
	Error             bool
	From, Until       string
}

// listed answers the form.
func (s *Server) listed(x *exchange) (*question, designationList, error) {
	q, err := s.askPage(x, listDesignations, "status", "name", "country")
	if err != nil {
		return nil, designationList{}, err
	}
	q.blank("status", "name", "country") // a form sends its empty fields too
	answer, err := designationsOf(q)
	if err != nil {
		return nil, designationList{}, err
	}
	list := designationList{
		Path:     x.FullPath(),
		Statuses: register.Statuses, Status: q.text("status"), Name: q.text("name"), Country: q.text("country"),
		Next: q.link(x.FullPath(), "after", answer.Next),
	}
	for _, d := range answer.Designations {
		list.Designations = append(list.Designations, listedDesignation{
			ID: designationID(d.Thread), Name: d.Name, Country: d.Country, Status: d.Status, Error: d.Error,
			From: d.EffectiveFrom.String(), Until: dateOrNone(d.EffectiveUntil),
		})
	}
	return q, list, nil
}

// blank forgets parameters that are given and empty.
func (q *query) blank(names ...string) {
	for _, name := range names {
		if q.values.Get(name) == "" {
			q.values.Del(name)
		}
	}
}

// link is the address of the page that goes on with a list, whose cursor has that name:
// the same question otherwise. "" if there is none.
func (q *question) link(path, name, after string) string {
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
	frame
	designationList
}

// designationsPage lists the designations.
func (s *Server) designationsPage(x *exchange) error {
	q, list, err := s.listed(x)
	if err != nil {
		return err
	}
	return x.page(http.StatusOK, "designations", designationsPage{s.frame(q, "Designations"), list})
}

type partiesPage struct {
	frame
	Parties []listedParty
	Next    string
}

type listedParty struct {
	ID, Name, Country, Roles, Standing, Enrolled string
}

// partiesPage lists the parties: who signs here.
func (s *Server) partiesPage(x *exchange) error {
	q, err := s.askPage(x, listParties, "role", "status")
	if err != nil {
		return err
	}
	answer, err := partiesOf(q)
	if err != nil {
		return err
	}
	page := partiesPage{frame: s.frame(q, "Parties"), Next: q.link(x.FullPath(), "after", answer.Next)}
	for _, p := range answer.Parties {
		page.Parties = append(page.Parties, listedParty{p.ID, p.LegalName, p.Country, join(p.Roles), p.Standing, p.Enrolled.String()})
	}
	return x.page(http.StatusOK, "parties", page)
}
