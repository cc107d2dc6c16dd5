package server

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

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
	f.Data[0] = dataLink{"JSON", "/v1/register/licences/" + url.PathEscape(thread.Name())}
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
	add("Permits", statusWords(c.Permits), "")
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
	f.Data[0] = dataLink{"JSON", "/v1/register/requests/" + url.PathEscape(thread.Request())}
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
		add("By what", statusWords(r.Type), "")
	}
	add("Whose cooperation", r.Jurisdiction, jurisdictionURL(r.Jurisdiction))
	add("Asked", r.Asked.String(), "")
	add("To answer by", r.DueOn.String(), "")
	if r.Due != nil && *r.Due != r.DueOn {
		add("Last day to answer", r.Due.String(), "")
	}
	add("Decided", dateOrNone(r.Decided), "")
	if r.Days != nil {
		add("Took", web.Count(r.Days, "day"), "")
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
