package server

import (
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
	designations, err := s.designationList.follow(s, x, q)
	if err != nil {
		return err
	}
	requests, err := s.requestList.get(s, q)
	if err != nil {
		return err
	}
	page := jurisdictionPage{pageHeader: s.pageHeader(q, "Jurisdiction "+code), Code: code}
	page.take("docket list designations --country "+code,
		dataLink{"Designations (JSON)", "/v1/register/designations?country=" + code}, dataLink{"Designations (CSV)", "/v1/register/designations.csv?country=" + code},
		dataLink{"Requests (JSON)", "/v1/register/requests?jurisdiction=" + code}, dataLink{"Requests (CSV)", "/v1/register/requests.csv?jurisdiction=" + code},
		dataLink{"Cooperation (JSON)", "/v1/register/cooperation?jurisdiction=" + code})
	var cooperation []view.Cooperation
	if cooperation, page.TooMuch, err = s.cooperationIn(q, requests, code); err != nil {
		return err
	}
	if len(cooperation) > 0 {
		page.Cooperation = &cooperation[0]
	}
	more := !designations.Whole
	for _, m := range designations.Items {
		if m.Country != code {
			continue
		}
		if more = more || len(page.Designations) == pageLimit; len(page.Designations) == pageLimit {
			break
		}
		d, err := q.view.DesignationSummary(m.Thread, q.asOf.At)
		if err != nil {
			return err
		}
		page.Designations = append(page.Designations, d)
	}
	if more {
		page.MoreListed = "/designations?country=" + code
	}
	page.MoreAsked = !requests.Whole
	for _, r := range requests.Items {
		if r.Jurisdiction != code {
			continue
		}
		if len(page.Requests) == pageLimit {
			page.MoreAsked = true
			break
		}
		page.Requests = append(page.Requests, r)
	}
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
