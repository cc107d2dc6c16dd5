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

func (s *Server) designations(x *exchange) error {
	q, err := s.askPage(x, listDesignations, "status", "country", "program", "list", "name")
	if err != nil {
		return err
	}
	answer, err := designationsOf(q)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, answer)
}

func designationsOf(q *question) (designationsAnswer, error) {
	filter := register.DesignationFilter{
		Status:  oneOf(q.query, "status", register.Statuses),
		Country: q.country("country"), Program: q.text("program"), List: q.text("list"), Name: q.text("name"),
		After: q.place,
	}
	if err := q.done(); err != nil {
		return designationsAnswer{}, err
	}
	p := newPage(q.limit, func(d register.Designation) string { return d.Thread })
	if err := p.end(q, "after", q.view.Designations(filter, q.asOf.At, p.take)); err != nil {
		return designationsAnswer{}, err
	}
	return designationsAnswer{q.asOf, p.items, q.next(listDesignations, p.after), p.skipped}, nil
}

func (s *Server) designation(x *exchange) error {
	q, err := s.ask(x)
	if err != nil {
		return err
	}
	d, err := q.view.Designation("designation/"+x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.DesignationDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, d, more(d.Cut, nil, recordsOn(d.Thread))})
}

type partiesAnswer struct {
	AsOf    asOf             `json:"asOf"`
	Parties []register.Party `json:"parties"`
	Next    string           `json:"next,omitempty"`
	Skipped []string         `json:"skipped,omitempty"`
}

func (s *Server) parties(x *exchange) error {
	q, err := s.askPage(x, listParties, "role", "status")
	if err != nil {
		return err
	}
	answer, err := partiesOf(q)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, answer)
}

func partiesOf(q *question) (partiesAnswer, error) {
	filter := register.PartyFilter{
		Role:     oneOf(q.query, "role", []record.Role{record.RoleAuthority, record.RoleProvider, record.RoleReseller, record.RoleAuditor}),
		Standing: q.oneOf("status", "active", "suspended", "withdrawn"),
		After:    q.place,
	}
	if err := q.done(); err != nil {
		return partiesAnswer{}, err
	}
	p := newPage(q.limit, func(p register.Party) string { return p.ID })
	if err := p.end(q, "after", q.view.Parties(filter, q.asOf.At, p.take)); err != nil {
		return partiesAnswer{}, err
	}
	return partiesAnswer{q.asOf, p.items, q.next(listParties, p.after), p.skipped}, nil
}

func (s *Server) party(x *exchange) error {
	q, err := s.ask(x)
	if err != nil {
		return err
	}
	p, err := q.view.Party(x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.PartyDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, p, more(p.Cut, map[string]string{
		"keys":         "/v1/register/parties/" + p.ID + "/keys",
		"attestations": "/v1/records?issuer=" + p.ID,
		"duties":       "/v1/register/duties/" + p.ID,
	}, recordsOn("party/"+p.ID))})
}

// more says where what an answer cuts is read whole, in pages.
func more(cut []string, at map[string]string, otherwise string) map[string]string {
	links := make(map[string]string, len(cut))
	for _, name := range cut {
		links[name] = cmp.Or(at[name], otherwise)
	}
	return links
}

func recordsOn(thread string) string { return "/v1/records?thread=" + url.QueryEscape(thread) }

type keysAnswer struct {
	AsOf    asOf                `json:"asOf"`
	Keys    []register.PartyKey `json:"keys"`
	Next    string              `json:"next,omitempty"`
	Skipped []string            `json:"skipped,omitempty"`
}

// keysOf are the keys that a party ever had.
func (s *Server) keysOf(x *exchange) error {
	q, err := s.askPage(x, listKeys)
	if err != nil {
		return err
	}
	p := newPage(q.limit, register.PartyKey.Place)
	if err := p.end(q, "after", q.view.Keys(x.Param("id"), q.place, q.asOf.At, p.take)); err != nil {
		return err
	}
	return x.json(http.StatusOK, keysAnswer{q.asOf, p.items, q.next(listKeys, p.after), p.skipped})
}

type dutiesAnswer struct {
	AsOf    asOf            `json:"asOf"`
	Duties  []register.Duty `json:"duties"`
	Next    string          `json:"next,omitempty"`
	Skipped []string        `json:"skipped,omitempty"`
}

func (s *Server) duties(x *exchange) error {
	q, err := s.askPage(x, listDuties, "party", "designation", "kind", "state")
	if err != nil {
		return err
	}
	return s.answerDuties(x, q, q.text("party"))
}

// dutiesOf are one party's: its calendar.
func (s *Server) dutiesOf(x *exchange) error {
	q, err := s.askPage(x, listDuties, "designation", "kind", "state")
	if err != nil {
		return err
	}
	return s.answerDuties(x, q, x.Param("id"))
}

func (s *Server) answerDuties(x *exchange, q *question, party string) error {
	filter := register.DutyFilter{
		Party:       party,
		Designation: q.text("designation"),
		Kind:        oneOf(q.query, "kind", register.DutyKinds),
		State:       oneOf(q.query, "state", register.DutyStates),
		After:       q.place,
	}
	if err := q.done(); err != nil {
		return err
	}
	p := newPage(q.limit, register.Duty.Place)
	if err := p.end(q, "after", q.view.Duties(filter, q.asOf.At, p.take)); err != nil {
		return err
	}
	return x.json(http.StatusOK, dutiesAnswer{q.asOf, p.items, q.next(listDuties, p.after), p.skipped})
}

func (s *Server) policy(x *exchange) error {
	q, err := s.ask(x)
	if err != nil {
		return err
	}
	c, err := q.view.Charter()
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, struct {
		AsOf   asOf   `json:"asOf"`
		Policy string `json:"policy"` // tlog-policy text
		From   uint64 `json:"from"`   // index of the charter that sets it
		register.Charter
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, c.Charter.Policy, c.Record.Index, c, more(c.Cut, nil, recordsOn("charter"))})
}

func (s *Server) identifier(x *exchange) error {
	q, err := s.askPage(x, listIdentifier)
	if err != nil {
		return err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	if !slices.Contains(register.Schemes, scheme) {
		return refuse(notFound, "no scheme of identifiers is called %q; there are %s", clip(scheme), strings.Join(register.Schemes, ", "))
	}
	p := newPage(q.limit, func(m register.Match) string { return m.Thread })
	if err := p.end(q, "after", q.view.Bearers(scheme, value, q.place, q.asOf.At, p.take)); err != nil {
		return err
	}
	found := q.view.AsIdentifier(scheme, value)
	found.Matches = p.items
	return x.json(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.Identifier
		Next    string   `json:"next,omitempty"`
		Skipped []string `json:"skipped,omitempty"`
	}{q.asOf, found, q.next(listIdentifier, p.after), p.skipped})
}
