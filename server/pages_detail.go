package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

type designationPage struct {
	pageHeader
	view.DesignationDetail
	Effect    string // what it brings about, in words
	Ended     *register.LifecycleEvent
	Life      *lifePicture
	Facts     []member
	LookAlike []string
	Document  *pageDocument
	Withheld  string
	Evidence  []recordLine
	Amended   []amendment
	Licences  []view.Licence
	Answered  int // of Asked, who have answered
	Asked     int
	Late      int
	Thread    pagePart[recordLine]
	Duties    pagePart[view.Duty]
	Whose     string // what the page is about, which its duties need not name
}

// amendment is a record that amended a designation, in a sentence.
type amendment struct {
	view.Amendment
	Says string
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
	page := designationPage{
		pageHeader: s.pageHeader(q, d.Name+", designation "+d.Thread.Name()), DesignationDetail: d, Effect: designationEffect(d),
		Whose: d.Thread.Name(),
	}
	name := url.QueryEscape(d.Thread.Name())
	page.take("docket show "+d.Thread.Name(), append([]dataLink{
		{"JSON", "/v1/register" + designationURL(d.Thread.Name())}, {"Duties (CSV)", "/v1/register/duties.csv?designation=" + name},
		{"Duties (calendar)", "/v1/register/duties.ics?designation=" + name},
	}, receiptLinks(d.Record)...)...)
	page.About = "Designation " + d.Thread.Name() + ", " + statusWords(d.Status) + " " + page.When + ". " + page.Effect
	for _, e := range d.Events {
		if e.Kind == record.KindRevocation {
			page.Ended = &e
		}
	}
	names := append([]string{d.Name}, d.FormerName...)
	for _, a := range d.Alias {
		names = append(names, a.Name)
	}
	page.LookAlike, page.Facts = lookAlikes(names...), designationFacts(page.pageHeader, d)
	page.Life = lifeOf(q, d, page.When)
	rows, err := recordsPart(q, x, "records", view.RecordFilter{Thread: d.Thread})
	if err != nil {
		return err
	}
	if page.Thread, err = s.linesPart(x, rows); err != nil {
		return err
	}
	if index, known, err := s.cfg.Register.Lookup(d.Opened); err != nil {
		return err
	} else if known {
		st, withheld, err := s.statementOf(x, index)
		if err != nil {
			return err
		}
		page.Document, page.Withheld = documentOf(st), withheld
	}
	if page.Amended, err = s.amendments(x, d); err != nil {
		return err
	}
	if page.Evidence, err = s.evidence(q, x, d.Current.Evidence); err != nil {
		return err
	}
	err = q.view.WithBudget(s.cfg.QueryBudget).Licences(view.LicenceFilter{Designation: d.Thread.Name()}, q.asOf.At, func(l view.Licence) bool {
		page.Licences = append(page.Licences, l)
		return len(page.Licences) < partLimit
	})
	if err := partOfList(err); err != nil {
		return err
	}
	if page.Duties, err = dutiesPart(q, x, view.DutyFilter{Designation: string(d.Thread)}); err != nil {
		return err
	}
	for state, n := range d.Board.Counts[view.DutyRespond] {
		page.Asked += n
		switch state {
		case view.DutyMet, view.DutyLate:
			page.Answered += n
		case view.DutyOverdue:
			page.Late += n
		}
	}
	return x.answerPage(http.StatusOK, "designation", page)
}

// designationFacts are what there is to say of one, line by line.
func designationFacts(f pageHeader, d view.DesignationDetail) (facts []member) {
	add := func(name string, texts ...string) {
		m := member{Name: name}
		for _, text := range texts {
			if text != "" {
				m.Items = append(m.Items, member{Text: text})
			}
		}
		if len(m.Items) > 0 {
			facts = append(facts, m)
		}
	}
	link := func(name string, url func(string) string, texts ...string) {
		m := member{Name: name}
		for _, text := range texts {
			if text != "" {
				m.Items = append(m.Items, member{Text: text, URL: url(text)})
			}
		}
		if len(m.Items) > 0 {
			facts = append(facts, m)
		}
	}
	identifier := func(scheme string) func(string) string {
		return func(value string) string { return identifierURL(scheme, value) }
	}
	asn := make([]string, len(d.ASN))
	for i, n := range d.ASN {
		asn[i] = strconv.FormatInt(n, 10)
	}
	findings := make([]string, len(d.Current.Findings))
	for i, finding := range d.Current.Findings {
		findings[i] = statusWords(finding)
	}
	link("Jurisdiction", jurisdictionURL, d.Country)
	add("Is a", d.Schema+withText(", ", d.Current.Target.Role))
	add("Also known as", aliasTexts(d.Alias)...)
	add("Formerly", d.FormerName...)
	link("LEI", identifier(register.SchemeLEI), d.LEI)
	link("Registration number", identifier(register.SchemeRegistration), d.RegistrationNumber)
	link("ASN", identifier(register.SchemeASN), asn...)
	link("Domain", identifier(register.SchemeDomain), d.Domain...)
	add("Address", addressTexts(d.Address)...)
	add("Program", d.Program...)
	add("List", sourceText(d.Source))
	add("Determined on", dateOrNone(d.Current.DeterminedOn))
	add("In force", "from "+d.EffectiveFrom.String()+withWord(" until ", d.EffectiveUntil))
	add("Answers due", dateOrNone(d.ResponseDue))
	add("Findings", findings...)
	add("Federal Register", d.Current.FederalRegisterNotice)
	add("What could be known "+f.When, knowableText(string(d.Knowable), d.KnowableBy))
	return facts
}

func withText(word, text string) string {
	if text == "" {
		return ""
	}
	return word + text
}

// designationEffect says what a designation brings about, in words that hold on the day asked about.
func designationEffect(d view.DesignationDetail) string {
	whom := "it"
	if d.Measure == "jurisdiction" {
		whom = "persons in this jurisdiction"
	}
	what := "no cloud infrastructure may be provided to " + whom
	if d.Action == "condition" {
		what = "cloud infrastructure may be provided to " + whom + " only on conditions"
	}
	span := "from " + d.EffectiveFrom.String() + withWord(" until the end of ", d.EffectiveUntil)
	text := ""
	switch d.Status {
	case view.StatusRevoked:
		return "It restricts nothing any more: it was revoked."
	case view.StatusExpired:
		return "It restricts nothing any more: its last day was " + dateOrNone(d.EffectiveUntil) + "."
	case view.StatusSuspended:
		text = "It is suspended. Otherwise, " + span + ", " + what + "."
	case view.StatusAnnounced:
		text = "It takes effect on " + d.EffectiveFrom.String() + ". From then on" + withWord(", until the end of ", d.EffectiveUntil) + ", " + what + "."
	default:
		text = web.Sentence(span + ", " + what)
	}
	if scope := d.Current.Scope; scope != nil {
		var also []string
		if scope.Successors {
			also = append(also, "its successors")
		}
		if scope.OwnershipPct != nil {
			also = append(also, fmt.Sprintf("whoever it owns to %d %% or more", *scope.OwnershipPct))
		}
		if len(also) > 0 {
			text += " It means " + strings.Join(also, ", and ") + ", too."
		}
	}
	return text
}

// amendments are those that its answer tells of, each in a sentence.
func (s *Server) amendments(x *request, d view.DesignationDetail) (list []amendment, err error) {
	for _, a := range d.Amendments {
		st, says, err := s.statementOf(x, a.Index)
		if err != nil {
			return nil, err
		}
		if st != nil {
			says = view.Summary(st)
		}
		list = append(list, amendment{a, says})
	}
	return list, nil
}

// evidence are the records that a finding names.
func (s *Server) evidence(q *registerQuery, x *request, ids []record.ID) ([]recordLine, error) {
	var rows []register.RecordRow
	for _, id := range ids {
		r, err := q.view.Record(id)
		if absent := (*view.AbsentError)(nil); errors.As(err, &absent) {
			continue // of a later size than is asked about
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return s.sayings(x, rows)
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
	Facts         []member
	LookAlike     []string
	Keys          pagePart[view.PartyKey]
	Thread, Filed pagePart[recordLine]
	Duties        pagePart[view.Duty]
	MoreDuties    bool // than these, the latest
	Owes          bool // it is a provider: it has duties, and a calendar of them
	Late, Open    int  // of all its duties
	Whose         string
}

// partyPage shows one party with its keys, its records and its calendar, each in pages.
func (s *Server) partyPage(x *request) error {
	q, err := s.parseQuery(x, "keys", "records", "filed")
	if err != nil {
		return err
	}
	p, err := q.view.PartySummary(x.Param("id"), q.asOf.At)
	if err != nil {
		return err
	}
	page := partyPage{
		pageHeader: s.pageHeader(q, p.LegalName+", party "+p.ID), Party: p, LookAlike: lookAlikes(append([]string{p.LegalName}, p.FormerName...)...),
		Owes: slices.Contains(p.Roles, record.RoleProvider), Whose: p.ID,
	}
	links := []dataLink{{"JSON", "/v1/register" + partyURL(p.ID)}, {"Keys (JSON)", "/v1/register" + partyURL(p.ID) + "/keys"}}
	if page.Owes {
		owner := url.QueryEscape(p.ID)
		links = append(links, dataLink{"Duties (JSON)", "/v1/register/duties/" + url.PathEscape(p.ID)},
			dataLink{"Duties (CSV)", "/v1/register/duties.csv?party=" + owner}, dataLink{"Duties (calendar)", "/v1/register/duties.ics?party=" + owner})
	}
	page.take("docket show "+p.ID, append(links, receiptLinks(p.Record)...)...)
	add := func(name, text, link string) {
		if text != "" {
			page.Facts = append(page.Facts, member{Name: name, Text: text, URL: link})
		}
	}
	add("Roles", joinWords(p.Roles), "")
	add("Jurisdiction", p.Country, jurisdictionURL(p.Country))
	add("LEI", p.LEI, identifierURL(register.SchemeLEI, p.LEI))
	add("Website", p.Website, "")
	add("Contact", p.Contact, "")
	add("Formerly", strings.Join(p.FormerName, "; "), "")
	add("Enrolled", p.Enrolled.String(), "")
	add("Sponsor", p.Sponsor, partyURL(p.Sponsor))
	private, err := q.view.CustomerLog(p.ID)
	if err != nil {
		return err
	}
	if private != nil {
		add("Private log", private.Words(), threadURL(record.CustomerLogThread(p.ID)))
	}
	add("What could be known "+page.When, knowableText(p.Knowable, p.KnowableBy), "")
	page.Keys, err = queryPart(q, x, "keys", cursorKeys, view.PartyKey.Position, func(v *view.View, after string, yield func(view.PartyKey) bool) error {
		return v.Keys(p.ID, after, q.asOf.At, yield)
	})
	if err != nil {
		return err
	}
	rows, err := recordsPart(q, x, "records", view.RecordFilter{Thread: record.PartyThread(p.ID)})
	if err != nil {
		return err
	}
	if page.Thread, err = s.linesPart(x, rows); err != nil {
		return err
	}
	if rows, err = recordsPart(q, x, "filed", view.RecordFilter{Issuer: p.ID}); err != nil {
		return err
	}
	if page.Filed, err = s.linesPart(x, rows); err != nil {
		return err
	}
	if !page.Owes {
		return x.answerPage(http.StatusOK, "party", page)
	}
	if err := s.dutiesOfParty(q, &page); err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "party", page)
}

type recordPage struct {
	pageHeader
	register.RecordRow
	Says                  string
	AboutPage, IssuerPage string // paths; "" where there is none
	Signers               []register.KeyHolder
	Members               []member
	Document              *pageDocument
	Statement             string // as it was signed, with white space
	Entry                 string // the exact line
	EntryBytes            int
	Leaf                  string     // its leaf hash in the tree, base64
	Withheld              string     // why nothing of it is shown; "" if it is
	Before, Next          *record.ID // by index
	Earlier, Newest       *record.ID // on the thread; nil where it is the first, or the newest
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
	page := recordPage{pageHeader: s.pageHeader(q, kindWords(r.Kind)+" #"+strconv.FormatUint(index, 10)), RecordRow: r, AboutPage: threadURL(r.Thread.About())}
	page.take("docket show "+r.ID.String(), append([]dataLink{{"JSON", recordPath(r.ID)}}, receiptLinks(r.ID)...)...)
	if err := page.neighbours(q); err != nil {
		return err
	}
	if _, err := q.view.Head(record.PartyThread(r.Issuer)); err == nil {
		page.IssuerPage = partyURL(r.Issuer)
	} else if absent := (*view.AbsentError)(nil); !errors.As(err, &absent) {
		return err
	}
	line, entry, err := s.readEntry(x, index)
	if p := (*problem)(nil); errors.As(err, &p) && p.kind == problemWithheld {
		page.Withheld = web.Sentence(p.detail)
		return x.answerPage(p.status(), "record", page)
	}
	if err != nil {
		return err
	}
	st, err := record.ParseStatement(entry.Envelope.Payload)
	if err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	page.Says, page.Members, page.Document = view.Summary(st), membersOf(st), documentOf(st)
	var statement bytes.Buffer
	if err := json.Indent(&statement, entry.Envelope.Payload, "", "  "); err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	page.Statement = statement.String()
	page.EntryBytes, page.Leaf = len(line), proof.LeafHash(line).String()
	page.Entry = string(line)
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

// neighbours finds the records around it: by index, and on its thread.
func (page *recordPage) neighbours(q *registerQuery) error {
	for at, to := range map[uint64]**record.ID{page.Index - 1: &page.Before, page.Index + 1: &page.Next} {
		if at >= q.view.Size() { // also below 0
			continue
		}
		r, err := q.view.RecordAt(at)
		if err != nil {
			return err
		}
		*to = &r.ID
	}
	if !page.Follows.IsZero() {
		page.Earlier = &page.Follows
	}
	head, err := q.view.Head(page.Thread)
	if err == nil && head.Index > page.Index {
		page.Newest = &head.ID
	}
	return err
}

// pageTimeFormat is how people see an instant.
const pageTimeFormat = "2006-01-02 15:04:05Z"

func dateOrNone(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func aliasTexts(list []record.Alias) []string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name
		if says := map[string]string{"fka": "formerly", "nka": "now"}[a.Type]; says != "" {
			names[i] += " (" + says + ")"
		}
		if a.Weak {
			names[i] += " (weak alias: too common to match on alone)"
		}
	}
	return names
}

func addressTexts(list []record.Address) []string {
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
	return lines
}

func sourceText(s *view.SourceName) string {
	if s == nil {
		return ""
	}
	return s.List + ", entry " + s.ID
}

func joinWords[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
