package server

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// threadURL is the page of a thread: its own where its family has one, else that of any thread.
func threadURL(t record.Thread) string {
	switch family := t.Family(); {
	case t.Name() == "" && t != record.CharterThread:
		return ""
	case family == record.FamilyDesignation:
		return "/designations/" + url.PathEscape(t.Name())
	case family == record.FamilyParty:
		return "/parties/" + url.PathEscape(t.Name())
	case family == record.FamilyLicence:
		return "/licences/" + url.PathEscape(t.Name())
	case family == record.FamilyDisclosure && t.Party() == "":
		return "/requests/" + url.PathEscape(t.Request())
	}
	return (&url.URL{Path: "/threads/" + string(t)}).EscapedPath()
}

func partyURL(id string) string        { return threadURL(record.PartyThread(id)) }
func designationURL(id string) string  { return threadURL(record.DesignationThread(id)) }
func jurisdictionURL(c string) string  { return "/jurisdictions/" + url.PathEscape(c) }
func identifierURL(s, v string) string { return "/identifiers/" + s + "/" + url.PathEscape(v) }

// recordLine is one record in a list of a page: what it says in a sentence, where the page tells.
type recordLine struct {
	register.RecordRow
	Says string
	New  bool // of a copy: it came since its reader last looked
}

// maxSayings is how many records of one list a page reads for what they say; the others it names.
const maxSayings = 25

// sayings are the lines of some records.
func (s *Server) sayings(x *request, rows []register.RecordRow) ([]recordLine, error) {
	lines := make([]recordLine, len(rows))
	copied := s.copyState()
	for i, r := range rows {
		lines[i].RecordRow, lines[i].New = r, copied != nil && r.Index >= copied.Seen
		if i >= maxSayings {
			continue
		}
		st, withheld, err := s.statementOf(x, r.Index)
		if err != nil {
			return nil, err
		}
		if lines[i].Says = withheld; st != nil {
			lines[i].Says = view.Summary(st)
		}
	}
	return lines, nil
}

// linesPart are the lines of a part of a page.
func (s *Server) linesPart(x *request, p pagePart[register.RecordRow]) (pagePart[recordLine], error) {
	lines, err := s.sayings(x, p.Items)
	return pagePart[recordLine]{lines, p.Next, p.Skipped}, err
}

// statementOf is what a record says; of one that is withheld nil, and the words that say so.
func (s *Server) statementOf(x *request, index uint64) (st *record.Statement, withheld string, err error) {
	_, entry, err := s.readEntry(x, index)
	if p := (*problem)(nil); errors.As(err, &p) && p.kind == problemWithheld {
		return nil, "Withheld by this server.", nil
	}
	if err != nil {
		return nil, "", err
	}
	if st, err = record.ParseStatement(entry.Envelope.Payload); err != nil {
		return nil, "", fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	return st, "", nil
}

// pageDocument is the document that a record is about, as its signers describe it.
type pageDocument struct {
	Digest    string // SHA-256, hexadecimal
	Name      string
	Of        string // the kind of the record
	MediaType string
	Bytes     string
	URLs      []string
	Private   bool // the digest is a commitment: it tells nothing of the document
}

func documentOf(st *record.Statement) *pageDocument {
	if st == nil {
		return nil
	}
	d := &pageDocument{Digest: hex.EncodeToString(st.Subject.SHA256[:]), Name: st.Subject.Name, Of: string(st.Kind), Private: st.CommitsToDocument()}
	if doc := st.Document; doc != nil {
		d.Name, d.MediaType, d.URLs = cmp.Or(doc.Name, d.Name), doc.MediaType, doc.URL
		if doc.Bytes != nil {
			d.Bytes = strconv.FormatInt(*doc.Bytes, 10) + " bytes"
		}
	}
	return d
}

// member is one member of a statement, for people: a text, or members of its own.
type member struct {
	Name  string
	Text  string
	URL   string // where what the text names has a page
	Code  bool
	Lines bool // of several lines
	Items []member
}

// hiddenMembers are those that a page of a record says elsewhere.
var hiddenMembers = []string{"ledger", "thread", "issuer", "issuedAt", "follows", "document"}

// membersOf reads a predicate for people.
func membersOf(st *record.Statement) []member {
	var list []member
	for _, m := range st.Object() {
		if !slices.Contains(hiddenMembers, m.Name) {
			list = append(list, memberOf(m.Name, m.Value))
		}
	}
	return list
}

func memberOf(name string, value any) member {
	m := member{Name: memberWords(name)}
	switch v := value.(type) {
	case schema.Object:
		if c, ok := v.Lookup("commit").(string); ok && len(v) == 1 {
			m.Text, m.Code = "committed, and not told: "+c, true
			return m
		}
		for _, inner := range v {
			m.Items = append(m.Items, memberOf(inner.Name, inner.Value))
		}
	case []any:
		scalar := true
		for _, item := range v {
			if _, ok := item.(schema.Object); ok {
				scalar = false
			}
		}
		if !scalar || len(v) == 1 {
			for i, item := range v {
				one := memberOf(name, item)
				if one.Name = strconv.Itoa(i + 1); len(v) == 1 {
					one.Name = m.Name
					return one
				}
				m.Items = append(m.Items, one)
			}
			return m
		}
		for _, item := range v {
			one := memberOf(name, item)
			one.Name = ""
			m.Items = append(m.Items, one)
		}
	case bool:
		m.Text = map[bool]string{true: "yes", false: "no"}[v]
	case string:
		m.Text, m.Lines = v, strings.Contains(v, "\n")
		if key, err := record.PEM(v).Key(); err == nil {
			m.Text, m.Code, m.Lines = key.ID(), true, false
			break
		}
		m.URL = memberURL(name, v)
		m.Code = strings.HasPrefix(m.URL, "/records/") || len(v) >= 40 && !strings.ContainsAny(v, " \n")
	default:
		m.Text = fmt.Sprint(v)
		if name == "asn" {
			m.URL = identifierURL(register.SchemeASN, m.Text)
		}
	}
	return m
}

// memberURL is the page of what a member names, "" where it has none.
func memberURL(name, value string) string {
	switch name {
	case "holder", "auditee", "provider", "sponsor":
		if record.PartyThread(value).Party() != "" {
			return partyURL(value)
		}
	case "designations":
		return designationURL(value)
	case "jurisdiction", "country":
		return jurisdictionURL(value)
	case "lei":
		return identifierURL(register.SchemeLEI, value)
	case "domain":
		return identifierURL(register.SchemeDomain, value)
	case "evidence", "request", "record":
		if id, err := record.ParseID(value); err == nil {
			return "/records/" + id.String()
		}
	}
	return ""
}

// thread is what all pages about one thread have.
type threadFace struct {
	pageHeader
	Name     string        // of the thing
	Family   string        // what it is: "Licence"
	On       record.Thread // itself
	Says     string        // the newest record of it, in a sentence
	State    string        // "" where it has none
	Facts    []member
	Document *pageDocument
	Newest   record.ID
	Records  pagePart[recordLine]
	Duties   pagePart[view.Duty]
	Whose    string // a party that its duties need not name
	JSON     string // the same by the API
	Command  string // that proves it
	About    string // what such a thread is, for who has not met one
	Receipts []recordLine
	Members  []member // what the newest record says, decoded
	Withheld string
}

// families are what the threads of a family are called, and what they are.
var families = map[record.Family]struct{ name, about string }{
	record.FamilyCharter:       {"Charter", "The ledger's rules: who holds the root keys, how many must sign, which witnesses must cosign, and how long periods are."},
	record.FamilyResponse:      {"Response", "A provider's answers to one designation, newest last. Each new one replaces what the one before it said."},
	record.FamilyCertification: {"Certification", "A provider certifies, each year, that its customer identification programme was reviewed and kept to."},
	record.FamilyReseller:      {"Reseller", "What a provider says of one of its resellers: not confirmed, verified together with it, in breach, or terminated. The reseller's programme itself stays private."},
	record.FamilyLicence:       {"Licence", "The authority permits for a while what a designation restricts, or exempts a provider. Duties are put off meanwhile."},
	record.FamilyCustomerLog:   {"Customer log", "A provider commits to its private log of customers. The log stays private; what it held on a day can no longer be changed unseen."},
	record.FamilyAbuse:         {"Abuse reports", "A provider commits to its batch of abuse reports of each period, also to an empty one. The reports stay private."},
	record.FamilyAITraining:    {"AI training report", "A provider reports that a customer trains, or is about to train, a large model. The report itself stays private."},
	record.FamilyDisclosure:    {"Request to disclose", "The authority asks a provider to disclose, and for a state's cooperation. What was handed over stays private; that it was asked and answered does not."},
	record.FamilyAssessment:    {"Assessment", "An auditor says what it found of a party over a period, and which tree of records it had replayed."},
}

// threadPage is the page of any thread that has none of its own.
func (s *Server) threadPage(x *request) error {
	thread, err := record.ParseThread(strings.TrimPrefix(x.Param("thread"), "/"))
	if err != nil {
		return newProblem(problemNotFound, "no record stands on such a thread")
	}
	if own := threadURL(thread); !strings.HasPrefix(own, "/threads/") {
		x.Redirect(http.StatusPermanentRedirect, own)
		return nil
	}
	q, err := s.parseQuery(x, "records")
	if err != nil {
		return err
	}
	f, st, err := s.threadFace(q, x, thread)
	if err != nil {
		return err
	}
	if st != nil {
		f.State, f.Facts = stateOf(st), factsOf(st)
		f.Says = strings.TrimLeft(strings.TrimPrefix(f.Says, f.State), ", ")
		f.Members = membersOf(st)
	}
	if f.Duties.Items, err = threadDuties(q, thread); err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "thread", f)
}

// threadFace reads what all such pages have. The statement is that of the newest record, nil where
// it is withheld.
func (s *Server) threadFace(q *registerQuery, x *request, thread record.Thread) (f threadFace, st *record.Statement, err error) {
	head, err := q.view.Head(thread)
	if err != nil {
		return f, nil, err
	}
	family := families[thread.Family()]
	name := cmp.Or(family.name, memberWords(string(thread.Family())))
	if thread.Family() == record.FamilyDisclosure && thread.Party() != "" {
		name = "Receipt for a disclosure"
	}
	f = threadFace{
		Name: threadName(thread), Family: name, About: family.about, On: thread, Newest: head.ID,
		JSON: recordsURL(thread), Command: "docket show " + string(thread),
	}
	f.pageHeader = s.pageHeader(q, name+": "+f.Name)
	st, f.Withheld, err = s.statementOf(x, head.Index)
	if err != nil {
		return f, nil, err
	}
	if st != nil {
		f.Says, f.Document = view.Summary(st), documentOf(st)
	}
	rows, err := recordsPart(q, x, "records", view.RecordFilter{Thread: thread})
	if err != nil {
		return f, nil, err
	}
	f.Records, err = s.linesPart(x, rows)
	return f, st, err
}

// threadName is what a person calls the thing on a thread.
func threadName(t record.Thread) string {
	switch t.Family() {
	case record.FamilyCharter:
		return "the ledger's rules"
	case record.FamilyResponse:
		return t.Party() + " on " + t.Designation()
	case record.FamilyReseller:
		return t.Reseller() + ", of " + t.Party()
	case record.FamilyAITraining:
		run, party, _ := strings.Cut(t.Name(), "/")
		return run + ", reported by " + party
	case record.FamilyAssessment:
		name, party, _ := strings.Cut(t.Name(), "/")
		return name + ", by " + party
	case record.FamilyDisclosure:
		if t.Party() != "" {
			return t.Party() + " on request " + t.Request()
		}
	}
	return t.Name()
}

// stateOf is how a thing stands by the record alone, "" where the record does not say.
func stateOf(st *record.Statement) string {
	switch p := st.Predicate.(type) {
	case *record.Response:
		return p.Status
	case *record.ResellerReport:
		return string(p.Status)
	case *record.Assessment:
		return p.Opinion
	case *record.DisclosureReceipt:
		if p.Challenged {
			return "challenged"
		}
		return "answered"
	case *record.CustomerLog:
		if p.Restart != nil {
			return "begun anew"
		}
	}
	return ""
}

// dutyWords say what is to be done, before what it is about is named.
func dutyWords(d view.Duty) string {
	switch d.Kind {
	case view.DutyRespond:
		return "to answer"
	case view.DutyCertify:
		return "to certify its identification programme"
	case view.DutyReseller:
		return "to " + string(d.Task)
	case view.DutyDisclose:
		return "to answer"
	}
	return "to " + d.Kind.Words()
}

// factsOf are what is to be seen first of a kind: whom the record names, with links.
func factsOf(st *record.Statement) []member {
	t := st.Thread
	var facts []member
	party := func(name, id string) {
		facts = append(facts, member{Name: name, Text: id, URL: partyURL(id)})
	}
	say := func(name, text string) {
		if text != "" {
			facts = append(facts, member{Name: name, Text: text})
		}
	}
	switch p := st.Predicate.(type) {
	case *record.Response:
		party("Provider", t.Party())
		facts = append(facts, member{Name: "Answers", Text: t.Designation(), URL: designationURL(t.Designation())})
		say("Concluded by", dateOrNone(p.WindDownBy))
	case *record.ResellerReport:
		party("Provider", p.Provider)
		party("Reseller", t.Reseller())
		if r := p.Reseller; r != nil {
			say("Legal name", r.LegalName)
			facts = append(facts, member{Name: "Country", Text: r.Country, URL: jurisdictionURL(r.Country)})
		}
		say("Verified on", dateOrNone(p.VerifiedAt))
	case *record.Assessment:
		party("Auditor", st.Issuer)
		party("Audited", p.Auditee)
		say("Opinion", p.Opinion)
		say("Period", p.PeriodFrom.String()+" until "+p.PeriodUntil.String())
		say("Scope", p.Scope)
		say("Tree replayed", register.FormatEntryCount(uint64(p.At.Size)))
	case *record.CIPCertification:
		party("Provider", t.Party())
		say("Certifies", p.PeriodFrom.String()+" until "+p.PeriodUntil.String())
	case *record.AbuseReport:
		party("Provider", t.Party())
		say("Newest period", p.PeriodFrom.String()+" until "+p.PeriodUntil.String())
		say("Reports in it", p.Band)
	case *record.AITrainingReport:
		party("Provider", t.Party())
		say("Known on", p.KnownOn.String())
		say("Threshold", p.Threshold)
	case *record.CustomerLog:
		party("Provider", t.Party())
		say("Private log", p.Origin)
		say("Leaves", strconv.FormatInt(p.Size, 10))
		say("Events until", p.PeriodUntil.String())
	case *record.DisclosureReceipt:
		party("Provider", t.Party())
		facts = append(facts, member{Name: "Request", Text: t.Request(), URL: threadURL(record.RequestThread(t.Request()))})
	default:
		if id := t.Party(); id != "" {
			party("Party", id)
		}
	}
	return facts
}

// threadDuties are those of the thread's party that are about it: as many of them as the work of one
// question finds.
func threadDuties(q *registerQuery, thread record.Thread) (list []view.Duty, err error) {
	party := thread.Party()
	kinds := map[record.Family]view.DutyKind{
		record.FamilyCertification: view.DutyCertify, record.FamilyReseller: view.DutyReseller, record.FamilyCustomerLog: view.DutyCustomerLog,
		record.FamilyAbuse: view.DutyAbuseReport, record.FamilyAITraining: view.DutyAITrainingReport, record.FamilyDisclosure: view.DutyDisclose,
	}
	f := view.DutyFilter{Party: party, Kind: kinds[thread.Family()]}
	if thread.Family() == record.FamilyResponse {
		f.Designation = string(record.DesignationThread(thread.Designation()))
	} else if f.Kind == "" || party == "" {
		return nil, nil
	}
	err = q.view.Duties(f, q.asOf.At, func(d view.Duty) bool {
		if d.Reseller != "" && d.Reseller != thread || d.Thread != "" && d.Thread != thread || d.Request != "" && d.Request.Request() != thread.Request() {
			return true
		}
		list = append(list, d)
		return len(list) < view.MaxListItems
	})
	return list, partOfList(err)
}

// partOfList takes the end of a question's work for the end of a list that a page has by the way.
func partOfList(err error) error {
	if more := (*view.PartialListError)(nil); errors.As(err, &more) {
		return nil
	}
	return err
}

type licencePage struct {
	threadFace
	Licence view.Licence
	Effect  string
}

// licencePage shows a licence.
func (s *Server) licencePage(x *request) error {
	q, err := s.parseQuery(x, "records")
	if err != nil {
		return err
	}
	thread := record.LicenceThread(x.Param("id"))
	l, err := q.view.Licence(thread, q.asOf.At)
	if err != nil {
		return err
	}
	f, _, err := s.threadFace(q, x, thread)
	if err != nil {
		return err
	}
	c := l.Current
	f.JSON = "/v1/register/licences/" + url.PathEscape(thread.Name())
	// The newest record may be the one that revoked it: the licence is of the first.
	if index, known, err := s.cfg.Register.Lookup(l.Records[0]); err != nil {
		return err
	} else if known {
		granted, _, err := s.statementOf(x, index)
		if err != nil {
			return err
		}
		f.Document = documentOf(granted)
	}
	add := func(name, text, link string) {
		if text != "" {
			f.Facts = append(f.Facts, member{Name: name, Text: text, URL: link})
		}
	}
	if add("Holder", c.Holder, partyURL(c.Holder)); c.Holder == "" {
		add("Holder", "everybody", "")
	}
	for _, name := range c.Designations {
		add("In spite of", name, designationURL(name))
	}
	add("Sections", strings.Join(c.Sections, "; "), "")
	add("Permits", c.Permits, "")
	add("Valid", c.From.String()+" until "+c.Until.String(), "")
	add("Terms", c.Terms, "")
	if c.TermsDigest != nil {
		add("Terms", "not public; their digest is on the record", "")
	}
	return x.answerPage(http.StatusOK, "licence", licencePage{f, l, licenceEffect(l)})
}

// licenceEffect says what a licence does, in words.
func licenceEffect(l view.Licence) string {
	who, c := "Everybody", l.Current
	if c.Holder != "" {
		who = c.Holder
	}
	may := " may do what " + cmp.Or(strings.Join(c.Designations, ", "), strings.Join(c.Sections, ", "), "the rules") + " restricts, within its terms"
	if c.Type == record.LicenceADPExemption {
		may = " is exempt from the identification programme: its duties to certify and to commit to its customer log rest"
	}
	when := fmt.Sprintf("from %s until %s", c.From, c.Until)
	switch l.Status {
	case view.LicenceRevoked:
		return fmt.Sprintf("It is revoked, and permits nothing from %s on.", l.Revoked.EffectiveOn)
	case view.LicenceExpired:
		return fmt.Sprintf("It has run out: its last day was %s.", c.Until)
	}
	return fmt.Sprintf("%s%s, %s.", who, may, when)
}

type requestPage struct {
	threadFace
	Request view.RequestDetail
	Effect  string
}

// disclosurePage shows a request to disclose, of a sealed one nothing that is sealed.
func (s *Server) disclosurePage(x *request) error {
	q, err := s.parseQuery(x, "records")
	if err != nil {
		return err
	}
	thread := record.RequestThread(x.Param("id"))
	r, err := q.view.Request(thread, q.asOf.At)
	if err != nil {
		return err
	}
	f, _, err := s.threadFace(q, x, thread)
	if err != nil {
		return err
	}
	f.JSON = "/v1/register/requests/" + url.PathEscape(thread.Request())
	if r.Sealed {
		f.Document = nil // the digest tells nothing either; what could tell later is left to the record
	}
	if f.Receipts, err = s.sayings(x, r.Receipts); err != nil {
		return err
	}
	add := func(name, text, link string) {
		if text != "" {
			f.Facts = append(f.Facts, member{Name: name, Text: text, URL: link})
		}
	}
	if r.Sealed {
		add("Whom it asks", "sealed"+until(r.SealedUntil), "")
		add("By what", "sealed"+until(r.SealedUntil), "")
	} else {
		add("Whom it asks", r.Provider, partyURL(r.Provider))
		add("By what", r.Type, "")
	}
	add("Whose cooperation", r.Jurisdiction, jurisdictionURL(r.Jurisdiction))
	add("Asked", r.Asked.String(), "")
	add("To answer by", r.DueOn.String(), "")
	if r.Due != nil && *r.Due != r.DueOn {
		add("Last day to answer", r.Due.String(), "")
	}
	add("Decided", dateOrNone(r.Decided), "")
	if r.Days != nil {
		add("Took", strconv.Itoa(*r.Days)+" days", "")
	}
	return x.answerPage(http.StatusOK, "request", requestPage{f, r, requestEffect(r.Request)})
}

func until(d *record.Date) string {
	if d == nil {
		return ""
	}
	return " until " + d.String()
}

// requestEffect says how a request stands, in words.
func requestEffect(r view.Request) string {
	switch {
	case r.Status == view.RequestAnswered:
		return "It was answered" + on(r.Decided) + "."
	case r.Status == view.RequestUnanswered:
		return "Nothing came by its last day: the authority recorded it as unanswered" + on(r.Decided) + "."
	case r.Status == view.RequestChallenged:
		return "It is challenged" + on(r.Decided) + "; nothing was disclosed."
	case r.Status == view.RequestWithdrawn:
		return "The authority withdrew it" + on(r.Decided) + "."
	case r.Sealed:
		return "It is under seal" + until(r.SealedUntil) + ": whom it asks, and by what, is not told, and cannot be told from this page."
	}
	return "It waits for an answer" + withWord(" by ", r.Due) + "."
}

func on(d *record.Date) string { return withWord(" on ", d) }

func withWord(word string, d *record.Date) string {
	if d == nil {
		return ""
	}
	return word + d.String()
}

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
	JSON   string
	Next   string
}

// identifierPage shows who bears an identifier, or bore it.
func (s *Server) identifierPage(x *request) error {
	q, err := s.parseListQuery(x, cursorIdentifier)
	if err != nil {
		return err
	}
	scheme, value := x.Param("scheme"), x.Param("value")
	if !slices.Contains(register.IdentifierSchemes, scheme) {
		return newProblem(problemNotFound, "no scheme of identifiers is called %q; there are %s", clipText(scheme), strings.Join(register.IdentifierSchemes, ", "))
	}
	p := newListPage(q.limit, func(m view.IdentifierMatch) string { return string(m.Thread) })
	if err := p.finish(q, "after", q.view.IdentifierMatches(scheme, value, q.position, q.asOf.At, p.add)); err != nil {
		return err
	}
	words := map[string]string{register.SchemeLEI: "LEI", register.SchemeASN: "ASN", register.SchemeDomain: "Domain", register.SchemeName: "Name", register.SchemeRegistration: "Registration number"}[scheme]
	found := q.view.NormalizeIdentifier(scheme, value)
	found.Matches = p.items
	return x.answerPage(http.StatusOK, "identifier", identifierPage{
		pageHeader: s.pageHeader(q, words+" "+clipText(value)), Identifier: found, Scheme: words,
		JSON: "/v1/register" + identifierURL(scheme, value), Next: q.pageURL(x.Request.URL.EscapedPath(), "after", q.nextCursor(cursorIdentifier, p.after)),
	})
}
