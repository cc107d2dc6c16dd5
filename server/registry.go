package server

import (
	"net/http"
	"slices"
	"strconv"
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
		Country: q.text("country"), Program: q.text("program"), List: q.text("list"), Name: q.text("name"),
		After: q.place,
	}
	if err := q.done(); err != nil {
		return designationsAnswer{}, err
	}
	p := newPage[register.Designation](q.limit)
	if err := q.view.Designations(filter, q.asOf.At, p.take); err != nil {
		return designationsAnswer{}, err
	}
	next := q.next(listDesignations, p.more, func() string { return p.items[len(p.items)-1].Thread })
	return designationsAnswer{q.asOf, p.items, next}, nil
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
	}{q.asOf, d})
}

type partiesAnswer struct {
	AsOf    asOf             `json:"asOf"`
	Parties []register.Party `json:"parties"`
	Next    string           `json:"next,omitempty"`
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
	p := newPage[register.Party](q.limit)
	if err := q.view.Parties(filter, q.asOf.At, p.take); err != nil {
		return partiesAnswer{}, err
	}
	next := q.next(listParties, p.more, func() string { return p.items[len(p.items)-1].ID })
	return partiesAnswer{q.asOf, p.items, next}, nil
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
	}{q.asOf, p})
}

type dutiesAnswer struct {
	AsOf   asOf            `json:"asOf"`
	Duties []register.Duty `json:"duties"`
	Next   string          `json:"next,omitempty"`
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

// answerDuties pages by number: duties are computed in one fixed order for a
// size and an instant, both of which the cursor carries on.
func (s *Server) answerDuties(x *exchange, q *question, party string) error {
	filter := register.DutyFilter{
		Party:       party,
		Designation: q.text("designation"),
		Kind:        oneOf(q.query, "kind", register.DutyKinds),
		State:       oneOf(q.query, "state", register.DutyStates),
	}
	skip := 0
	if q.place != "" {
		var err error
		if skip, err = strconv.Atoi(q.place); err != nil || skip < 0 {
			q.fault("after", "is not a cursor of this list; take it from \"next\" of the page before")
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	p, seen := newPage[register.Duty](q.limit), 0
	err := q.view.Duties(filter, q.asOf.At, func(d register.Duty) bool {
		seen++
		return seen <= skip || p.take(d)
	})
	if err != nil {
		return err
	}
	next := q.next(listDuties, p.more, func() string { return strconv.Itoa(skip + len(p.items)) })
	return x.json(http.StatusOK, dutiesAnswer{q.asOf, p.items, next})
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
	}{q.asOf, c.Charter.Policy, c.Record.Index, c})
}

func (s *Server) identifier(x *exchange) error {
	q, err := s.ask(x)
	if err != nil {
		return err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	if !slices.Contains(register.Schemes, scheme) {
		return refuse(notFound, "no scheme of identifiers is called %q; there are %s", clip(scheme), strings.Join(register.Schemes, ", "))
	}
	found, err := q.view.Identifier(scheme, value, q.asOf.At)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		register.Identifier
	}{q.asOf, found})
}
