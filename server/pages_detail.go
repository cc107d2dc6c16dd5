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
	JSON      string
	Command   string
}

// amendment is a record that amended a designation, and what it changed.
type amendment struct {
	register.RecordRow
	Says    string
	Changes []view.MemberChange
}

// maxAmendments is how many amendments a designation's page tells of: the newest.
const maxAmendments = 10

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
		pageHeader: s.pageHeader(q, d.Name), DesignationDetail: d, Effect: designationEffect(d),
		JSON: "/v1/register" + designationURL(d.Thread.Name()), Command: "docket show " + d.Thread.Name(), Whose: d.Thread.Name(),
	}
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
	if page.Life, err = lifeOf(q, d, page.When); err != nil {
		return err
	}
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
	if page.Amended, err = s.amendments(q, x, d); err != nil {
		return err
	}
	if page.Evidence, err = s.evidence(q, x, d.Current.Evidence); err != nil {
		return err
	}
	err = q.view.WithBudget(s.cfg.QueryBudget).Licences(view.LicenceFilter{Designation: d.Thread.Name()}, q.asOf.At, func(l view.Licence) bool {
		page.Licences = append(page.Licences, l)
		return len(page.Licences) < view.MaxListItems
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
	add("Determined", dateOrNone(d.Current.DeterminedOn))
	add("In force", "from "+d.EffectiveFrom.String()+withWord(" until ", d.EffectiveUntil))
	add("Answers due", dateOrNone(d.ResponseDue))
	add("Findings", d.Current.Findings...)
	add("Federal Register", d.Current.FederalRegisterNotice)
	add("Knowable "+f.When, string(d.Knowable)+" ("+d.KnowableBy.String()+")")
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

// amendments are the newest amendments of a designation that its answer names, oldest first.
func (s *Server) amendments(q *registerQuery, x *request, d view.DesignationDetail) (list []amendment, err error) {
	v := q.view.WithBudget(s.cfg.QueryBudget)
	for _, r := range slices.Backward(d.History) {
		if r.Kind != record.KindAmendment {
			continue
		}
		if len(list) == maxAmendments {
			break
		}
		a := amendment{RecordRow: r}
		st, withheld, err := s.statementOf(x, r.Index)
		if err != nil {
			return nil, err
		}
		if a.Says = withheld; st != nil {
			a.Says = view.Summary(st)
		}
		if a.Changes, err = v.AmendmentChanges(r); errors.Is(err, register.ErrOverBudget) {
			break // its records, in pages, tell the others
		} else if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	slices.Reverse(list)
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
	Owes          bool // it is a provider: it has duties, and a calendar of them
	Late, Open    int  // of the duties shown
	Whose         string
	JSON, Command string
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
	page := partyPage{
		pageHeader: s.pageHeader(q, p.LegalName), Party: p, LookAlike: lookAlikes(append([]string{p.LegalName}, p.FormerName...)...),
		Owes: slices.Contains(p.Roles, record.RoleProvider), JSON: "/v1/register" + partyURL(p.ID), Command: "docket show " + p.ID, Whose: p.ID,
	}
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
	add("Knowable "+page.When, p.Knowable+" ("+p.KnowableBy.String()+")", "")
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
	if page.Duties, err = dutiesPart(q, x, view.DutyFilter{Party: p.ID}); err != nil {
		return err
	}
	for _, d := range page.Duties.Items {
		switch d.State.Shown(q.asOf.Ahead) {
		case view.DutyOverdue:
			page.Late++
		case view.DutyOpen:
			page.Open++
		}
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
	Statement             string // as it was signed, with white space; "" where that is too long for a page
	Entry                 string // the exact line; "" where that is too long for a page
	EntryBytes            int
	Leaf                  string     // its leaf hash in the tree, base64
	Withheld              string     // why nothing of it is shown; "" if it is
	Before, Next          *record.ID // by index
	Earlier, Newest       *record.ID // on the thread; nil where it is the first, or the newest
}

// maxPageText is how many bytes of one text a page shows.
const maxPageText = 12 << 10

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
	if statement.Len() <= maxPageText {
		page.Statement = statement.String()
	}
	page.EntryBytes, page.Leaf = len(line), proof.LeafHash(line).String()
	if len(line) <= maxPageText {
		page.Entry = string(line)
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
			names[i] += " (weak)"
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
