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

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

type designationPage struct {
	pageHeader
	view.DesignationDetail
	Facts  []pageFact
	Thread pagePart[register.RecordRow]
	Duties pagePart[view.Duty]
}

// designationPage shows one designation with its thread and who has to answer, each in
// pages.
func (s *Server) designationPage(x *request) error {
	q, err := s.parseQuery(x, "records", "duties")
	if err != nil {
		return err
	}
	d, err := q.view.Designation(record.DesignationThread(x.Param("id")), q.asOf.At)
	if err != nil {
		return err
	}
	thread, err := recordsPart(q, x, "records", view.RecordFilter{Thread: d.Thread})
	if err != nil {
		return err
	}
	duties, err := dutiesPart(q, x, view.DutyFilter{Designation: string(d.Thread)})
	if err != nil {
		return err
	}
	f := s.pageHeader(q, d.Name)
	return x.answerPage(http.StatusOK, "designation", designationPage{
		pageHeader: f, DesignationDetail: d, Thread: thread, Duties: duties,
		Facts: pageFacts(
			"Knowable "+f.When, string(d.Knowable)+" ("+d.KnowableBy.String()+")",
			"Measure", d.Measure, "Action", d.Action, "Target is", d.Schema, "Country", d.Country,
			"Also known as", aliasesText(d.Alias), "Formerly", strings.Join(d.FormerName, "; "),
			"Program", strings.Join(d.Program, ", "), "List", sourceText(d.Source),
			"In force from", d.EffectiveFrom.String(), "until", dateOrNone(d.EffectiveUntil),
			"Answers due", dateOrNone(d.ResponseDue),
			"LEI", d.LEI, "Registration number", d.RegistrationNumber, "ASN", joinNumbers(d.ASN),
			"Domain", strings.Join(d.Domain, ", "), "Address", addressesText(d.Address),
			"Findings", strings.Join(d.Current.Findings, ", "),
			"Federal Register", d.Current.FederalRegisterNotice,
		),
	})
}

// recordsPart are the records of a page about one thing that a filter chooses.
func recordsPart(q *registerQuery, x *request, name string, f view.RecordFilter) (pagePart[register.RecordRow], error) {
	return queryPart(q, x, name, cursorRecords, recordPosition, func(v *view.View, after string, yield func(register.RecordRow) bool) (err error) {
		if after != "" {
			if f.From, err = indexAfter(after); err != nil {
				return view.ErrBadPosition
			}
		}
		return v.Records(f, yield)
	})
}

// dutiesPart are the duties of a page about one thing.
func dutiesPart(q *registerQuery, x *request, f view.DutyFilter) (pagePart[view.Duty], error) {
	return queryPart(q, x, "duties", cursorDuties, view.Duty.Position, func(v *view.View, after string, yield func(view.Duty) bool) error {
		f.After = after
		return v.Duties(f, q.asOf.At, yield)
	})
}

type partyPage struct {
	pageHeader
	view.Party
	Facts         []pageFact
	Keys          pagePart[view.PartyKey]
	Thread, Filed pagePart[register.RecordRow]
	Duties        pagePart[view.Duty]
}

// partyPage shows one party with its keys, its records and its calendar, each in pages.
func (s *Server) partyPage(x *request) error {
	q, err := s.parseQuery(x, "keys", "records", "filed", "duties")
	if err != nil {
		return err
	}
	p, err := q.view.PartySummary(x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	f := s.pageHeader(q, p.LegalName)
	page := partyPage{
		pageHeader: f, Party: p,
		Facts: pageFacts(
			"Knowable "+f.When, p.Knowable+" ("+p.KnowableBy.String()+")",
			"Roles", joinWords(p.Roles), "Country", p.Country, "LEI", p.LEI, "Website", p.Website, "Contact", p.Contact,
			"Formerly", strings.Join(p.FormerName, "; "), "Enrolled", p.Enrolled.String(), "Sponsor", p.Sponsor,
		),
	}
	private, err := q.view.CustomerLog(p.ID)
	if err != nil {
		return err
	}
	if private != nil {
		page.Facts = append(page.Facts, pageFacts("Private log", private.Words())...)
	}
	page.Keys, err = queryPart(q, x, "keys", cursorKeys, view.PartyKey.Position, func(v *view.View, after string, yield func(view.PartyKey) bool) error {
		return v.Keys(p.ID, after, q.asOf.At, yield)
	})
	if err != nil {
		return err
	}
	if page.Thread, err = recordsPart(q, x, "records", view.RecordFilter{Thread: record.PartyThread(p.ID)}); err != nil {
		return err
	}
	if !slices.Contains(p.Roles, record.RoleProvider) {
		return x.answerPage(http.StatusOK, "party", page) // no other party attests or owes anything
	}
	if page.Filed, err = recordsPart(q, x, "filed", view.RecordFilter{Issuer: p.ID, Attestations: true}); err != nil {
		return err
	}
	if page.Duties, err = dutiesPart(q, x, view.DutyFilter{Party: p.ID}); err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "party", page)
}

type recordPage struct {
	pageHeader
	register.RecordRow
	AboutPage, IssuerPage string // paths; "" where there is none
	Signers               []register.KeyHolder
	Statement             string
	Withheld              string // why nothing of it is shown; "" if it is
}

// recordPage shows one record as it was signed.
func (s *Server) recordPage(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	_, index, err := s.findRecord(x)
	if err != nil {
		return err
	}
	r, err := q.view.RecordAt(index)
	if err != nil {
		return err
	}
	_, entry, err := s.readEntry(x, index)
	if p := (*problem)(nil); errors.As(err, &p) && p.kind == problemWithheld {
		title := string(r.Kind) + " #" + strconv.FormatUint(index, 10)
		return x.answerPage(p.status(), "record", recordPage{pageHeader: s.pageHeader(q, title), RecordRow: r, AboutPage: aboutPage(r), Withheld: sentence(p.detail)})
	}
	if err != nil {
		return err
	}
	var statement bytes.Buffer
	if err := json.Indent(&statement, entry.Envelope.Payload, "", "  "); err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	page := recordPage{
		pageHeader: s.pageHeader(q, string(r.Kind)+" #"+strconv.FormatUint(index, 10)),
		RecordRow:  r, AboutPage: aboutPage(r), Statement: statement.String(),
	}
	if _, err := q.view.Head(record.PartyThread(r.Issuer)); err == nil {
		page.IssuerPage = "/parties/" + r.Issuer
	} else if absent := (*view.AbsentError)(nil); !errors.As(err, &absent) {
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
		page.Signers = append(page.Signers, h)
	}
	return x.answerPage(http.StatusOK, "record", page)
}

// aboutPage is the page of what a record is about, "" if that has none.
func aboutPage(r register.RecordRow) string {
	switch about := r.Thread.About(); about.Family() {
	case record.FamilyDesignation:
		return "/designations/" + about.Name()
	case record.FamilyParty:
		return "/parties/" + about.Name()
	}
	return ""
}

// pageFact is one line of what a page says about its thing.
type pageFact struct{ Name, Value string }

// pageFacts leaves out what is not there.
func pageFacts(pairs ...string) []pageFact {
	var list []pageFact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, pageFact{pairs[i], pairs[i+1]})
		}
	}
	return list
}

// pageTimeFormat is how people see an instant.
const pageTimeFormat = "2006-01-02 15:04:05Z"

func dateOrNone(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func aliasesText(list []record.Alias) string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name + " (" + a.Type
		if a.Weak {
			names[i] += ", weak"
		}
		names[i] += ")"
	}
	return strings.Join(names, "; ")
}

func addressesText(list []record.Address) string {
	lines := make([]string, len(list))
	for i, a := range list {
		var parts []string
		for _, part := range []string{a.Full, a.Street, a.City, a.Region, a.PostalCode, a.Country} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		lines[i] = strings.Join(parts, ", ")
	}
	return strings.Join(lines, "; ")
}

func sourceText(s *view.SourceName) string {
	if s == nil {
		return ""
	}
	return s.List + ", entry " + s.ID
}

func joinNumbers(list []int64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, ", ")
}

func joinWords[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
