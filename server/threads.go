package server

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
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
		if query := x.Request.URL.RawQuery; query != "" {
			own += "?" + query // the moment that was chosen
		}
		x.Redirect(http.StatusPermanentRedirect, x.pathPrefix()+own)
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
	}
	f.pageHeader = s.pageHeader(q, name+": "+f.Name)
	f.take("docket show "+string(thread), append([]dataLink{{"JSON", recordsURL(thread)}}, receiptLinks(head.ID)...)...)
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

// dutyNoun is what is owed, as a heading or a cell has it.
func dutyNoun(k view.DutyKind) string {
	switch k {
	case view.DutyRespond:
		return "answer"
	case view.DutyConclude:
		return "conclusion"
	case view.DutyCertify:
		return "certification"
	case view.DutyReseller:
		return "reseller verification"
	case view.DutyDisclose:
		return "answer to a request"
	}
	return statusWords(k)
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
	case view.DutyConclude:
		return "to finish what its answer began"
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
		return len(list) < partLimit
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
