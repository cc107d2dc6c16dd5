package server

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// The handlers below ask the register as of the published size. What they answer
// is the server's word: who must not trust it asks a replayed copy.

type designationsAnswer struct {
	AsOf         asOf                   `json:"asOf"`
	Designations []register.Designation `json:"designations"`
	Next         string                 `json:"next,omitempty"`
	Skipped      []string               `json:"skipped,omitempty"`
}

func (s *Server) designations(x *request) error {
	q, err := s.parseListQuery(x, cursorDesignations, "status", "country", "program", "list", "name")
	if err != nil {
		return err
	}
	answer, err := designationsOf(q)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

func designationsOf(q *registerQuery) (designationsAnswer, error) {
	filter := register.DesignationFilter{
		Status:  oneOf(q.params, "status", register.Statuses),
		Country: q.country("country"), Program: q.text("program"), List: q.text("list"), Name: q.text("name"),
		After: q.position,
	}
	if err := q.firstFault(); err != nil {
		return designationsAnswer{}, err
	}
	p := newListPage(q.limit, func(d register.Designation) string { return d.Thread })
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
	d, err := q.view.Designation("designation/"+x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.DesignationDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, d, moreLinks(d.Cut, nil, recordsURL(d.Thread))})
}

type partiesAnswer struct {
	AsOf    asOf             `json:"asOf"`
	Parties []register.Party `json:"parties"`
	Next    string           `json:"next,omitempty"`
	Skipped []string         `json:"skipped,omitempty"`
}

func (s *Server) parties(x *request) error {
	q, err := s.parseListQuery(x, cursorParties, "role", "status")
	if err != nil {
		return err
	}
	answer, err := partiesOf(q)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, answer)
}

func partiesOf(q *registerQuery) (partiesAnswer, error) {
	filter := register.PartyFilter{
		Role:     oneOf(q.params, "role", []record.Role{record.RoleAuthority, record.RoleProvider, record.RoleReseller, record.RoleAuditor}),
		Standing: q.oneOf("status", "active", "suspended", "withdrawn"),
		After:    q.position,
	}
	if err := q.firstFault(); err != nil {
		return partiesAnswer{}, err
	}
	p := newListPage(q.limit, func(p register.Party) string { return p.ID })
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
		register.PartyDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, p, moreLinks(p.Cut, map[string]string{
		"keys":         "/v1/register/parties/" + p.ID + "/keys",
		"attestations": "/v1/records?issuer=" + p.ID,
		"duties":       "/v1/register/duties/" + p.ID,
	}, recordsURL("party/"+p.ID))})
}

// moreLinks says where what an answer cuts is read whole, in pages.
func moreLinks(cut []string, at map[string]string, otherwise string) map[string]string {
	links := make(map[string]string, len(cut))
	for _, name := range cut {
		links[name] = cmp.Or(at[name], otherwise)
	}
	return links
}

func recordsURL(thread string) string { return "/v1/records?thread=" + url.QueryEscape(thread) }

type keysAnswer struct {
	AsOf    asOf                `json:"asOf"`
	Keys    []register.PartyKey `json:"keys"`
	Next    string              `json:"next,omitempty"`
	Skipped []string            `json:"skipped,omitempty"`
}

// partyKeys are the keys that a party ever had.
func (s *Server) partyKeys(x *request) error {
	q, err := s.parseListQuery(x, cursorKeys)
	if err != nil {
		return err
	}
	p := newListPage(q.limit, register.PartyKey.Position)
	if err := p.finish(q, "after", q.view.Keys(x.Param("id"), q.position, q.asOf.At, p.add)); err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, keysAnswer{q.asOf, p.items, q.nextCursor(cursorKeys, p.after), p.skipped})
}

type dutiesAnswer struct {
	AsOf    asOf            `json:"asOf"`
	Duties  []register.Duty `json:"duties"`
	Next    string          `json:"next,omitempty"`
	Skipped []string        `json:"skipped,omitempty"`
}

func (s *Server) duties(x *request) error {
	q, err := s.parseListQuery(x, cursorDuties, "party", "designation", "kind", "state")
	if err != nil {
		return err
	}
	return s.answerDuties(x, q, q.text("party"))
}

// partyDuties are one party's: its calendar.
func (s *Server) partyDuties(x *request) error {
	q, err := s.parseListQuery(x, cursorDuties, "designation", "kind", "state")
	if err != nil {
		return err
	}
	return s.answerDuties(x, q, x.Param("id"))
}

func (s *Server) answerDuties(x *request, q *registerQuery, party string) error {
	filter := register.DutyFilter{
		Party:       party,
		Designation: q.text("designation"),
		Kind:        oneOf(q.params, "kind", register.DutyKinds),
		State:       oneOf(q.params, "state", register.DutyStates),
		After:       q.position,
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	p := newListPage(q.limit, register.Duty.Position)
	if err := p.finish(q, "after", q.view.Duties(filter, q.asOf.At, p.add)); err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, dutiesAnswer{q.asOf, p.items, q.nextCursor(cursorDuties, p.after), p.skipped})
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
		register.Charter
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, c.Charter.Policy, c.Record.Index, c, moreLinks(c.Cut, nil, recordsURL("charter"))})
}

func (s *Server) identifier(x *request) error {
	q, err := s.parseListQuery(x, cursorIdentifier)
	if err != nil {
		return err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	if !slices.Contains(register.IdentifierSchemes, scheme) {
		return newProblem(problemNotFound, "no scheme of identifiers is called %q; there are %s", clipText(scheme), strings.Join(register.IdentifierSchemes, ", "))
	}
	p := newListPage(q.limit, func(m register.IdentifierMatch) string { return m.Thread })
	if err := p.finish(q, "after", q.view.IdentifierMatches(scheme, value, q.position, q.asOf.At, p.add)); err != nil {
		return err
	}
	found := q.view.NormalizeIdentifier(scheme, value)
	found.Matches = p.items
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.Identifier
		Next    string   `json:"next,omitempty"`
		Skipped []string `json:"skipped,omitempty"`
	}{q.asOf, found, q.nextCursor(cursorIdentifier, p.after), p.skipped})
}
