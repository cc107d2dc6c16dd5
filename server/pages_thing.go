package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

type designationPage struct {
	frame
	ID, Name   string
	Status     register.Status
	Error      bool
	Facts      []fact
	Conditions []record.Condition

	Thread                 []threadLine
	Duties                 []dutyLine
	MoreThread, MoreDuties onward
}

// designationPage shows one designation with its thread and who has to answer, each in
// pages.
func (s *Server) designationPage(x *exchange) error {
	q, err := s.ask(x, "records", "duties")
	if err != nil {
		return err
	}
	d, err := q.view.Designation("designation/"+x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	thread, moreThread, err := threadPart(q, x, "records", register.RecordFilter{Thread: d.Thread})
	if err != nil {
		return err
	}
	duties, moreDuties, err := dutyPart(q, x, register.DutyFilter{Designation: d.Thread})
	if err != nil {
		return err
	}
	f := s.frame(q, d.Name)
	return x.page(http.StatusOK, "designation", designationPage{
		frame: f, ID: designationID(d.Thread), Name: d.Name, Status: d.Status, Error: d.Error,
		Facts: facts(
			"Knowable "+f.When, string(d.Knowable)+" ("+d.KnowableBy.String()+")",
			"Measure", d.Measure, "Action", d.Action, "Target is", d.Schema, "Country", d.Country,
			"Also known as", aliases(d.Alias), "Formerly", strings.Join(d.FormerName, "; "),
			"Program", strings.Join(d.Program, ", "), "List", source(d.Source),
			"In force from", d.EffectiveFrom.String(), "until", dateOrNone(d.EffectiveUntil),
			"Answers due", dateOrNone(d.ResponseDue),
			"LEI", d.LEI, "Registration number", d.RegistrationNumber, "ASN", numbers(d.ASN),
			"Domain", strings.Join(d.Domain, ", "), "Address", addresses(d.Address),
			"Findings", strings.Join(d.Current.Findings, ", "),
			"Federal Register", d.Current.FederalRegisterNotice,
		),
		Conditions: d.Current.Conditions,
		Thread:     thread, MoreThread: moreThread,
		Duties: duties, MoreDuties: moreDuties,
	})
}

// threadPart are the records of a page about one thing that a filter chooses.
func threadPart(q *question, x *exchange, name string, f register.RecordFilter) ([]threadLine, onward, error) {
	records, on, err := part(q, x, name, listRecords, recordPlace, func(v *register.View, after string, yield func(register.Record) bool) (err error) {
		if after != "" {
			if f.From, err = pastIndex(after); err != nil {
				return register.ErrPlace
			}
		}
		return v.Records(f, yield)
	})
	return threadLines(records), on, err
}

// dutyPart are the duties of a page about one thing.
func dutyPart(q *question, x *exchange, f register.DutyFilter) ([]dutyLine, onward, error) {
	duties, on, err := part(q, x, "duties", listDuties, register.Duty.Place, func(v *register.View, after string, yield func(register.Duty) bool) error {
		f.After = after
		return v.Duties(f, q.asOf.At, yield)
	})
	return dutyLines(duties, q.view.Ahead(q.asOf.At, time.Now())), on, err
}

type partyPage struct {
	frame
	ID, Name, Status string
	Facts            []fact

	Keys                                        []keyLine
	Thread, Filed                               []threadLine
	Duties                                      []dutyLine
	MoreKeys, MoreThread, MoreFiled, MoreDuties onward
}

type keyLine struct {
	ID, Holder, Use, Functions, State, Marks string
}

// partyPage shows one party with its keys, its records and its calendar, each in pages.
func (s *Server) partyPage(x *exchange) error {
	q, err := s.ask(x, "keys", "records", "filed", "duties")
	if err != nil {
		return err
	}
	p, err := q.view.PartyAlone(x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	f := s.frame(q, p.LegalName)
	page := partyPage{
		frame: f, ID: p.ID, Name: p.LegalName, Status: p.Standing,
		Facts: facts(
			"Knowable "+f.When, p.Knowable+" ("+p.KnowableBy.String()+")",
			"Roles", join(p.Roles), "Country", p.Country, "LEI", p.LEI, "Website", p.Website, "Contact", p.Contact,
			"Formerly", strings.Join(p.FormerName, "; "), "Enrolled", p.Enrolled.String(), "Sponsor", p.Sponsor,
		),
	}
	keys, on, err := part(q, x, "keys", listKeys, register.PartyKey.Place, func(v *register.View, after string, yield func(register.PartyKey) bool) error {
		return v.Keys(p.ID, after, q.asOf.At, yield)
	})
	if err != nil {
		return err
	}
	page.MoreKeys = on
	for _, k := range keys {
		state := "may sign"
		if !k.Live {
			state = k.Idle
		}
		page.Keys = append(page.Keys, keyLine{k.ID, k.Holder, string(k.Use), join(k.Functions), state, join(k.Marks())})
	}
	if page.Thread, page.MoreThread, err = threadPart(q, x, "records", register.RecordFilter{Thread: "party/" + p.ID}); err != nil {
		return err
	}
	if !slices.Contains(p.Roles, record.RoleProvider) {
		return x.page(http.StatusOK, "party", page) // nobody else attests or owes anything
	}
	if page.Filed, page.MoreFiled, err = threadPart(q, x, "filed", register.RecordFilter{Issuer: p.ID, Attestations: true}); err != nil {
		return err
	}
	if page.Duties, page.MoreDuties, err = dutyPart(q, x, register.DutyFilter{Party: p.ID}); err != nil {
		return err
	}
	return x.page(http.StatusOK, "party", page)
}

type recordPage struct {
	frame
	ID                 record.ID
	Index              uint64
	Kind               record.Kind
	Thread, ThreadPage string
	Issuer, IssuerPage string
	Admitted           string
	Signatures         []signatureLine
	Statement          string
}

type signatureLine struct {
	Party, Holder, KeyID, Marks string
}

// recordPage shows one record as it was signed.
func (s *Server) recordPage(x *exchange) error {
	q, err := s.ask(x)
	if err != nil {
		return err
	}
	id, index, err := s.find(x)
	if err != nil {
		return err
	}
	r, err := q.view.RecordAt(index)
	if err != nil {
		return err
	}
	_, entry, err := s.entry(x, index)
	if err != nil {
		return err
	}
	var statement bytes.Buffer
	if err := json.Indent(&statement, entry.Envelope.Payload, "", "  "); err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	page := recordPage{
		frame: s.frame(q, string(r.Kind)+" #"+strconv.FormatUint(index, 10)),
		ID:    id, Index: index, Kind: r.Kind, Thread: r.Thread, Issuer: r.Issuer,
		Admitted: entry.Admitted.Format(shown), Statement: statement.String(),
	}
	switch family, name, _ := strings.Cut(r.Thread, "/"); family {
	case "designation":
		page.ThreadPage = "/designations/" + name
	case "party":
		page.ThreadPage = "/parties/" + name
	case "response":
		page.ThreadPage = "/designations/" + strings.TrimSuffix(name, "/"+r.Issuer)
	}
	if _, err := q.view.Head("party/" + r.Issuer); err == nil {
		page.IssuerPage = "/parties/" + r.Issuer
	} else if absent := (*register.AbsentError)(nil); !errors.As(err, &absent) {
		return err
	}
	for _, sig := range entry.Envelope.Signatures {
		h, _, err := s.cfg.Register.KeyHolder(sig.KeyID)
		if err != nil {
			return err
		}
		if h.Party == "" {
			h.Party = "the root set"
		}
		page.Signatures = append(page.Signatures, signatureLine{h.Party, h.Holder, sig.KeyID, join(h.Marks())})
	}
	return x.page(http.StatusOK, "record", page)
}
