package server

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

type jurisdictionPage struct {
	pageHeader
	Code         string
	Cooperation  *view.Cooperation // nil: nobody asked
	TooMuch      bool              // more requests than one question counts
	Designations []view.Designation
	Requests     []view.Request
	MoreListed   string // where the rest of the designations is; "" if there is none
	MoreAsked    bool
}

// jurisdictionPage shows what is designated in a jurisdiction, and how it cooperated.
func (s *Server) jurisdictionPage(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	code, err := register.Country(x.Param("code"))
	if err != nil {
		return newProblem(problemNotFound, "no jurisdiction has the code %q: two letters, as ISO 3166-1 has them", clipText(x.Param("code")))
	}
	page := jurisdictionPage{pageHeader: s.pageHeader(q, "Jurisdiction "+code), Code: code}
	page.take("docket list designations --country "+code,
		dataLink{"Designations (JSON)", "/v1/register/designations?country=" + code}, dataLink{"Designations (CSV)", "/v1/register/designations.csv?country=" + code},
		dataLink{"Requests (JSON)", "/v1/register/requests?jurisdiction=" + code}, dataLink{"Requests (CSV)", "/v1/register/requests.csv?jurisdiction=" + code},
		dataLink{"Cooperation (JSON)", "/v1/register/cooperation?jurisdiction=" + code})
	budget := s.cfg.QueryBudget
	list, err := q.view.WithBudget(budget).Cooperation(code, q.asOf.At)
	switch {
	case errors.Is(err, register.ErrOverBudget):
		page.TooMuch = true
	case err != nil:
		return err
	case len(list) > 0:
		page.Cooperation = &list[0]
	}
	cut := false
	err = q.view.WithBudget(budget).Designations(view.DesignationFilter{Country: code}, q.asOf.At, func(d view.Designation) bool {
		if cut = len(page.Designations) == view.MaxListItems; !cut {
			page.Designations = append(page.Designations, d)
		}
		return !cut
	})
	if err := partOfList(err); err != nil {
		return err
	}
	if cut || err != nil {
		page.MoreListed = "/designations?country=" + code
	}
	err = q.view.WithBudget(budget).Requests(view.RequestFilter{Jurisdiction: code}, q.asOf.At, func(r view.Request) bool {
		if page.MoreAsked = len(page.Requests) == view.MaxListItems; !page.MoreAsked {
			page.Requests = append(page.Requests, r)
		}
		return !page.MoreAsked
	})
	if err := partOfList(err); err != nil {
		return err
	}
	page.MoreAsked = page.MoreAsked || err != nil
	return x.answerPage(http.StatusOK, "jurisdiction", page)
}

type identifierPage struct {
	pageHeader
	view.Identifier
	Scheme string // for people
	Next   string
}

// identifierPage shows who bears an identifier, or bore it.
func (s *Server) identifierPage(x *request) error {
	q, answer, err := s.askIdentifier(x)
	if err != nil {
		return err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	words := map[string]string{register.SchemeLEI: "LEI", register.SchemeASN: "ASN", register.SchemeDomain: "Domain", register.SchemeName: "Name", register.SchemeRegistration: "Registration number"}[scheme]
	page := identifierPage{
		pageHeader: s.pageHeader(q, words+" "+clipText(value)), Identifier: answer.Identifier, Scheme: words,
		Next: q.pageURL(x.Request.URL.EscapedPath(), "after", answer.Next),
	}
	page.take("docket search "+shellQuote(scheme+":"+value), dataLink{"JSON", "/v1/register" + identifierURL(scheme, value)}, dataLink{"CSV", "/v1/register/identifiers.csv?scheme=" + scheme + "&value=" + url.QueryEscape(value)})
	return x.answerPage(http.StatusOK, "identifier", page)
}
