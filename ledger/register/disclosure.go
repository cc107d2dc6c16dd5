package register

import (
	"encoding/base64"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// RequestRow is the state of a thread disclosure/N: the terms of a request to disclose, and
// the records that said what became of it, nil where none has. No thread of requests has
// more than five records.
type RequestRow struct {
	Type         string             `cbor:"1,keyasint,omitempty"` // empty while it is sealed
	Provider     string             `cbor:"2,keyasint,omitempty"` // likewise
	SealedType   *record.Commitment `cbor:"3,keyasint,omitempty"` // of a request that was asked under seal, also when it is open
	SealedFor    *record.Commitment `cbor:"4,keyasint,omitempty"`
	SealedUntil  *record.Date       `cbor:"5,keyasint,omitempty"`
	Jurisdiction string             `cbor:"6,keyasint"`
	DueOn        record.Date        `cbor:"7,keyasint"`
	Recipient    string             `cbor:"8,keyasint,omitempty"`

	Asked      RecordRef  `cbor:"9,keyasint"`
	Opened     *RecordRef `cbor:"10,keyasint,omitempty"`
	Challenged *RecordRef `cbor:"11,keyasint,omitempty"` // as the authority says; the provider's receipt may too
	Unanswered *RecordRef `cbor:"12,keyasint,omitempty"`
	Withdrawn  *RecordRef `cbor:"13,keyasint,omitempty"`
}

// Sealed reports whether nobody but the authority and whom it asks knows who that is.
func (r *RequestRow) Sealed() bool { return r.SealedType != nil && r.Opened == nil }

// ReceiptRow is the state of a thread disclosure/N/P: the first record by which the provider
// answered the request, and the one by which it challenged it; nil where there is none.
type ReceiptRow struct {
	Answered   *RecordRef `cbor:"1,keyasint,omitempty"`
	Challenged *RecordRef `cbor:"2,keyasint,omitempty"`
}

// AssessmentRow is what later queries need of the newest assessment on a thread
// assessment/N/P.
type AssessmentRow struct {
	Opinion                 string
	PeriodFrom, PeriodUntil record.Date
}

// SchemeProvider and SchemeJurisdiction find requests to disclose, as identifiers find
// designations. Nobody asks by them but the views: a request under seal has no provider.
const (
	SchemeProvider     = "provider"
	SchemeJurisdiction = "jurisdiction"
)

func (r *RequestRow) identifiers(thread record.Thread) map[string]IdentifierUse {
	ids := newIdentifierSet(thread)
	ids.add(SchemeProvider, r.Provider, IdentifierCurrent)
	ids.add(SchemeJurisdiction, r.Jurisdiction, IdentifierCurrent)
	return ids.uses
}

func (*ReceiptRow) identifiers(record.Thread) map[string]IdentifierUse    { return nil }
func (*AssessmentRow) identifiers(record.Thread) map[string]IdentifierUse { return nil }

func (*RequestRow) renamed() bool    { return false }
func (*ReceiptRow) renamed() bool    { return false }
func (*AssessmentRow) renamed() bool { return false }

func (*RequestRow) prepare() error    { return nil }
func (*ReceiptRow) prepare() error    { return nil }
func (*AssessmentRow) prepare() error { return nil }

// judgeRequest: an officer of the authority with the function demands. The first record asks;
// a later one opens what was sealed, or says what became of the request (RECORDS.md
// "Requests to disclose").
func (j *judgment) judgeRequest(r *record.DisclosureRequest) error {
	auth, err := j.draft.partyRow(record.Authority)
	if err != nil {
		return err
	}
	if err := j.checkStanding(auth); err != nil {
		return err
	}
	if err := j.needSigners(1, "officer with the function demands", j.roleOf(auth, isDemander)); err != nil {
		return err
	}
	switch {
	case j.head == nil:
		return j.judgeFirstRequest(r)
	case j.head.isUnshown():
		j.addUnchecked("that what %s was asked for allows it", j.st.Thread)
		return nil
	}
	next := *stateOf[*RequestRow](j.head)
	if err := j.checkRequestStands(&next); err != nil {
		return err
	}
	if err := checkSameTerms(&next, r); err != nil {
		return err
	}
	if r.Open != nil {
		if err := j.openRequest(&next, r.Open); err != nil {
			return err
		}
	} else if next.Sealed() {
		const words = "would tell of what is sealed: leave it out until %s is opened"
		if j.st.Document != nil {
			return invalidForNow("/predicate/document", words, j.st.Thread)
		}
		if name := j.st.Subject.Name; name != "" && name != string(j.st.Thread) {
			return invalidForNow("/subject/0/name", words, j.st.Thread)
		}
	}
	if err := j.setRequestStatus(&next, r.Status); err != nil {
		return err
	}
	j.state, j.did.Status = &next, r.Status
	return nil
}

func (j *judgment) judgeFirstRequest(r *record.DisclosureRequest) error {
	if err := j.checkNotPast("/predicate/dueOn", *r.DueOn); err != nil {
		return err
	}
	row := &RequestRow{
		Type: r.Type.Text, Provider: r.Provider.Text, SealedType: r.Type.Commitment, SealedFor: r.Provider.Commitment, SealedUntil: r.SealedUntil,
		Jurisdiction: r.Jurisdiction, DueOn: *r.DueOn, Recipient: r.Recipient, Asked: j.ref(),
	}
	if row.Sealed() {
		if err := j.checkNotPast("/predicate/sealedUntil", *r.SealedUntil); err != nil {
			return err
		}
	} else if err := j.checkAskedProvider("/predicate/provider", row.Provider); err != nil {
		return err
	}
	j.state, j.did.Status = row, r.Status
	return nil
}

// checkAskedProvider: whom a request names is enrolled as a provider, so that it can answer.
func (j *judgment) checkAskedProvider(pointer, id string) error {
	p, err := j.knownParty(pointer, id)
	if err == nil && p != nil && !p.HasRole(record.RoleProvider) {
		err = invalid(pointer, "%s is no provider (enrolled as %s): only providers answer a request", id, joinWords(p.Roles))
	}
	return err
}

// knownParty is a party that a record names, refused where none is enrolled by that ID; nil
// where a sparse replay was not shown it.
func (j *judgment) knownParty(pointer, id string) (*PartyRow, error) {
	row, err := j.draft.lookupThread(record.PartyThread(id))
	switch {
	case err != nil:
		return nil, err
	case row.party() != nil:
		return row.party(), nil
	case j.draft.gaps != nil:
		j.draft.gaps.notFound = nil
		j.addUnchecked("that %s, which it names, is enrolled", id)
		return nil, nil
	}
	hint, err := j.draft.suggestParty(id)
	if err != nil {
		return nil, err
	}
	return nil, invalidForNow(pointer, "%s is not enrolled%s", id, hint)
}

// checkRequestStands refuses what comes after the end of a request.
func (j *judgment) checkRequestStands(row *RequestRow) error {
	if w := row.Withdrawn; w != nil && !(row.Sealed() && j.st.Kind == record.KindDisclosureRequest) {
		return j.conflict("%s was withdrawn at index %d: that is final", j.st.Thread.About(), w.Index)
	}
	return nil
}

// checkSameTerms: a later record changes no term. What it leaves out stands.
func checkSameTerms(row *RequestRow, r *record.DisclosureRequest) error {
	same := func(pointer string, given *record.Commitment, text string, sealed *record.Commitment, known string) error {
		switch {
		case given != nil && (sealed == nil || *given != *sealed):
			return invalid(pointer, "is not what the request committed to: leave it out, or commit anew by a request of its own")
		case text == "" || text == known:
			return nil
		case row.Sealed():
			return invalidForNow(pointer, "is sealed: a record with open opens it")
		}
		return invalid(pointer, "is %s, but the request says %s: withdraw it, and ask anew", text, known)
	}
	if err := same("/predicate/type", r.Type.Commitment, r.Type.Text, row.SealedType, row.Type); err != nil {
		return err
	}
	if err := same("/predicate/provider", r.Provider.Commitment, r.Provider.Text, row.SealedFor, row.Provider); err != nil {
		return err
	}
	for _, term := range []struct{ name, given, stands string }{
		{"jurisdiction", r.Jurisdiction, row.Jurisdiction}, {"dueOn", dateText(r.DueOn), row.DueOn.String()},
		{"recipient", r.Recipient, row.Recipient}, {"sealedUntil", dateText(r.SealedUntil), dateText(row.SealedUntil)},
	} {
		if term.given != "" && term.given != term.stands {
			return invalid("/predicate/"+term.name, "differs from the request's, and a later record changes no term: withdraw it, and ask anew")
		}
	}
	return nil
}

func dateText(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

// openRequest opens a sealed request: from sealedUntil on, by what gives the two commitments
// that it was asked with.
func (j *judgment) openRequest(row *RequestRow, open *record.RequestOpen) error {
	switch {
	case row.SealedType == nil:
		return invalid("/predicate/open", "%s was never sealed: leave it out", j.st.Thread)
	case row.Opened != nil:
		return j.conflict("%s was opened at index %d: leave open out", j.st.Thread, row.Opened.Index)
	case j.today.Before(*row.SealedUntil):
		return dateTooEarly("/predicate/open", *row.SealedUntil, "%s is sealed until %s, and today is %s in %s", j.st.Thread, *row.SealedUntil, j.today, j.charter.TimeZone)
	}
	for _, o := range []struct {
		name, value, salt string
		commitment        *record.Commitment
	}{{"type", open.Type, open.Salts.Type, row.SealedType}, {"provider", open.Provider, open.Salts.Provider, row.SealedFor}} {
		salt, err := base64.StdEncoding.DecodeString(o.salt)
		if err != nil {
			return invalid("/predicate/open/salts/"+o.name, "%v", err)
		}
		if o.commitment.Verify(j.st.Ledger, j.st.Thread, record.Opening{Pointer: "/" + o.name, Value: o.value, Salt: salt}) != nil {
			return invalid("/predicate/open/"+o.name, "is not what the request committed to, by that salt: both stand in its salts file")
		}
	}
	if err := j.checkAskedProvider("/predicate/open/provider", open.Provider); err != nil {
		return err
	}
	at := j.ref()
	row.Type, row.Provider, row.Opened = open.Type, open.Provider, &at
	return nil
}

// setRequestStatus applies what a later record says became of the request.
func (j *judgment) setRequestStatus(row *RequestRow, status string) error {
	at := j.ref()
	if row.Withdrawn != nil {
		if status == record.RequestWithdrawn && row.Opened != nil && row.Opened.Index == j.index {
			return nil
		}
		return j.conflict("%s was withdrawn at index %d: that is final; a record with open and status withdrawn opens it", j.st.Thread, row.Withdrawn.Index)
	}
	if status == record.RequestRequested { // it only opens
		return nil
	}
	if err := j.checkNotAnswered(row); err != nil {
		return err
	}
	switch status {
	case record.RequestChallenged:
		if row.Challenged != nil || row.Unanswered != nil {
			return j.conflict("%s is %s already", j.st.Thread, map[bool]string{true: record.RequestUnanswered, false: record.RequestChallenged}[row.Unanswered != nil])
		}
		row.Challenged = &at
	case record.RequestUnanswered:
		switch {
		case row.Unanswered != nil:
			return j.conflict("%s is %s already", j.st.Thread, status)
		case row.Sealed():
			return j.conflict("%s is sealed, and nobody can answer it on the ledger: open it first", j.st.Thread)
		}
		due, err := j.requestDue(row)
		if err != nil {
			return err
		}
		if !j.today.After(due) {
			return dateTooEarly("/predicate/status", due.AddDays(1), "%s may be answered until %s, and today is %s in %s", j.st.Thread, due, j.today, j.charter.TimeZone)
		}
		row.Unanswered = &at
	case record.RequestWithdrawn:
		row.Withdrawn = &at
	}
	return nil
}

// requestDue is the last day to answer: dueOn, of one that was opened from a seal no earlier than
// the response period after that.
func (j *judgment) requestDue(row *RequestRow) (record.Date, error) {
	if row.Opened == nil {
		return row.DueOn, nil
	}
	if row.Opened.Index == j.index {
		return row.Due(j.today, j.charter.Periods.Response), nil
	}
	charters, err := j.draft.Charters()
	if err != nil {
		return record.Date{}, err
	}
	terms := charters[0]
	for _, c := range charters {
		if c.Index < row.Opened.Index {
			terms = c
		}
	}
	return row.Due(record.DateOf(row.Opened.Admitted, terms.Zone), terms.Periods.Response), nil
}

// Due is the last day to answer, where it was opened on that day from a seal under that response
// period.
func (r *RequestRow) Due(opened record.Date, response record.Period) record.Date {
	if late := opened.Add(response); r.Opened != nil && late.After(r.DueOn) {
		return late
	}
	return r.DueOn
}

// checkNotAnswered: what was answered is neither challenged, unanswered nor withdrawn.
func (j *judgment) checkNotAnswered(row *RequestRow) error {
	if row.Sealed() {
		return nil // nobody has answered it here
	}
	thread := record.ReceiptThread(j.st.Thread.Request(), row.Provider)
	receipts, err := j.draft.lookupThread(thread)
	if err != nil {
		return err
	}
	if given := stateOf[*ReceiptRow](receipts); given != nil && given.Answered != nil {
		return j.conflict("%s was answered at index %d, by record %s", j.st.Thread, given.Answered.Index, given.Answered.ID)
	}
	if j.draft.gaps != nil {
		j.draft.gaps.notFound = nil
		j.addUnchecked("that no receipt on %s had answered it", thread)
	}
	return nil
}

// judgeReceipt: an officer of the provider that the request names. That a request is sealed is
// said to whoever answers it, in the same words, before anything is compared with what
// was sealed: an answer would tell whom it asks.
func (j *judgment) judgeReceipt(r *record.DisclosureReceipt) error {
	p, err := j.issuingProvider()
	if err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(p, isOfficer)); err != nil {
		return err
	}
	thread := j.st.Thread.About()
	next := ReceiptRow{}
	if given := stateOf[*ReceiptRow](j.head); given != nil {
		next = *given
	}
	request, err := j.draft.lookupThread(thread)
	switch {
	case err != nil:
		return err
	case j.draft.gaps != nil && (request == nil || request.isUnshown()):
		j.draft.gaps.notFound = nil
		j.addUnchecked("that %s asks %s, and is neither sealed nor withdrawn", thread, p.ID)
	case request == nil:
		return invalidForNow("/predicate/thread", "there is no %s to answer", thread)
	default:
		if err := j.checkReceipt(thread, stateOf[*RequestRow](request), p, r); err != nil {
			return err
		}
	}
	if r.Challenged {
		switch {
		case next.Answered != nil:
			return j.conflict("%s answered %s at index %d: what was answered is not challenged", p.ID, thread, next.Answered.Index)
		case next.Challenged != nil:
			return j.conflict("%s challenged %s at index %d: once is enough", p.ID, thread, next.Challenged.Index)
		}
		at := j.ref()
		next.Challenged = &at
	} else if next.Answered == nil {
		at := j.ref()
		next.Answered = &at
	}
	if !j.head.isUnshown() {
		j.state = &next
	}
	return nil
}

// checkReceipt judges a receipt by the request that it answers.
func (j *judgment) checkReceipt(thread record.Thread, row *RequestRow, p *PartyRow, r *record.DisclosureReceipt) error {
	if row.Sealed() {
		return j.conflict("%s is sealed: nobody answers it on the ledger before it is opened, from %s on", thread, *row.SealedUntil)
	}
	if row.Provider != p.ID {
		return invalid("/predicate/thread", "%s asks %s, not %s", thread, row.Provider, p.ID)
	}
	if err := j.checkRequestStands(row); err != nil {
		return err
	}
	asked, known, err := j.draft.recordRow(r.Request)
	switch {
	case err != nil:
		return err
	case known && asked.Thread == thread:
	case !known && j.draft.gaps != nil:
		j.draft.gaps.notFound = nil
		j.addUnchecked("that record %s, which it answers, stands on %s", r.Request, thread)
	default:
		return invalidForNow("/predicate/request", "no record %s stands on %s; it was asked by %s", r.Request, thread, row.Asked.ID)
	}
	return nil
}

// judgeAssessment: an officer of an enrolled auditor. Whom it audits is enrolled; the key by
// which it cosigns is nobody else's.
func (j *judgment) judgeAssessment(a *record.Assessment) error {
	p, err := j.draft.partyRow(j.st.Issuer)
	if err != nil {
		return err
	}
	if !p.HasRole(record.RoleAuditor) {
		return record.Refuse(record.Forbidden, "%s is no auditor (enrolled as %s): only auditors file a %s", p.ID, joinWords(p.Roles), j.st.Kind)
	}
	if err := j.checkStanding(p); err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(p, isOfficer)); err != nil {
		return err
	}
	if _, err := j.knownParty("/predicate/auditee", a.Auditee); err != nil {
		return err
	}
	if err := j.checkCosignerKey(a.VKey); err != nil {
		return err
	}
	j.state = &AssessmentRow{Opinion: a.Opinion, PeriodFrom: a.PeriodFrom, PeriodUntil: a.PeriodUntil}
	j.did.Status, j.did.PeriodFrom, j.did.PeriodUntil = a.Opinion, &a.PeriodFrom, &a.PeriodUntil
	return nil
}

func assessmentFromDelta(d *Delta) State {
	if d.Status == "" || d.PeriodFrom == nil || d.PeriodUntil == nil {
		return nil
	}
	return &AssessmentRow{Opinion: d.Status, PeriodFrom: *d.PeriodFrom, PeriodUntil: *d.PeriodUntil}
}
