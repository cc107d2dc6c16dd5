package record

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// KindDisclosureRequest is a demand to disclose what is known of a customer.
const KindDisclosureRequest Kind = "disclosure-request"

var disclosureRequestSpec = newKindSpec[DisclosureRequest](Spec{
	Summary: "The authority asks a provider to disclose, openly or under seal; later records open the request or say what became of it.",
	Signers: "an officer of the authority with the function demands",
	Thread:  "disclosure/N",
	Subject: SubjectDocument,

	SealableSubject: true,
})

// Statuses of a request to disclose (RECORDS.md "Requests to disclose"). That it was answered
// the provider's receipt says.
const (
	RequestRequested  = "requested"
	RequestChallenged = "challenged"
	RequestWithdrawn  = "withdrawn"
	RequestUnanswered = "unanswered"
)

// requestToAnotherState is the one type of request that goes to another state's authority,
// which then needs nobody's key to encrypt to.
const requestToAnotherState = "mlat"

// DisclosureRequest asks a provider to disclose. The first record of its thread has all terms;
// a later one says what became of it, and may leave out what stands.
type DisclosureRequest struct {
	Status       string       `json:"status" rule:"required enum=requested|challenged|withdrawn|unanswered" doc:"the first record of a thread: requested; a later one: what became of it, or requested to open it" eg:"requested"`
	Type         Sealable     `json:"type,omitzero" rule:"usual enum=subpoena|warrant|2703d|mlat|cloud-agreement" doc:"by what it is asked; under seal {secret: warrant}" eg:"warrant"`
	Provider     Sealable     `json:"provider,omitzero" rule:"usual fmt=segment max=64" doc:"party ID of whom it asks; under seal {secret: acme-cloud}" eg:"acme-cloud"`
	Jurisdiction string       `json:"jurisdiction,omitempty" rule:"usual fmt=country" doc:"ISO 3166-1 alpha-2: whose cooperation it asks for" eg:"XB"`
	DueOn        *Date        `json:"dueOn,omitempty" rule:"usual" doc:"last day to answer (inclusive); the day of admission or later" eg:"2027-03-01"`
	Recipient    string       `json:"recipient,omitempty" rule:"usual fmt=recipient max=1959" doc:"age recipient, hybrid (age-keygen -pq), to which bundles are encrypted; required unless the type is mlat, and always under seal"`
	SealedUntil  *Date        `json:"sealedUntil,omitempty" doc:"of a sealed request: the day from which a later record may open it" eg:"2027-06-30"`
	Open         *RequestOpen `json:"open,omitempty" doc:"in a later record, from sealedUntil on: what was sealed; {file: NAME.salts.json} takes it from the request's salts file"`
}

// RequestOpen opens the commitments of a sealed request.
type RequestOpen struct {
	Type     string       `json:"type" rule:"required enum=subpoena|warrant|2703d|mlat|cloud-agreement" doc:"by what it was asked" eg:"warrant"`
	Provider string       `json:"provider" rule:"required fmt=segment max=64" doc:"party ID of whom it asks" eg:"acme-cloud"`
	Salts    RequestSalts `json:"salts" rule:"required" doc:"as they stand in the salts file of the request"`
}

// RequestSalts are the salts of the two commitments.
type RequestSalts struct {
	Type     string `json:"type" rule:"required fmt=root" doc:"base64 of 32 bytes, the salt of /type" eg:"qL9zRVx4XNwZC0b6H3B8H0G3S2cT1kQyq0V7mP4dLhE="`
	Provider string `json:"provider" rule:"required fmt=root" doc:"base64 of 32 bytes, the salt of /provider" eg:"pM0aSWy5YOxAD1c7I4C9I1H4T3dU2lRzr1W8nQ5eMiE="`
}

// Kind is KindDisclosureRequest.
func (*DisclosureRequest) Kind() Kind { return KindDisclosureRequest }

// isSealed tells whether the type or the provider is a commitment.
func (r *DisclosureRequest) isSealed() bool {
	return r.Type.Commitment != nil || r.Provider.Commitment != nil
}

// Asks tells whether the record is the one that asks. Only the first one of a thread does; later ones
// say what became of it, or open what was sealed.
func (r *DisclosureRequest) Asks() bool { return r.Status == RequestRequested && r.Open == nil }

func (r *DisclosureRequest) check(s *Statement, f *faultList) {
	sealed := r.isSealed()
	if sealed && r.Open == nil {
		f.addIf(r.Type.Text != "", "is public, but the provider is sealed: both are, or neither; write {secret: warrant}", "/predicate/type")
		f.addIf(r.Provider.Text != "", "is public, but the type is sealed: both are, or neither; write {secret: acme-cloud}", "/predicate/provider")
		f.addIf(s.Document != nil, "would tell of what is sealed: leave it out until the request is opened", "/predicate/document")
		f.addIf(s.Subject.Name != "" && s.Subject.Name != string(s.Thread), "would tell of what is sealed: leave it out until the request is opened", "/subject/0/name")
	}
	asks := r.Asks()
	if asks || s.Follows.IsZero() {
		r.checkFirst(sealed, f)
	}
	if s.Follows.IsZero() {
		return
	}
	f.addIf(r.Open != nil && r.Type.Text != "", "is sealed in the request, and opened by open: leave it out", "/predicate/type")
	f.addIf(r.Open != nil && r.Provider.Text != "", "is sealed in the request, and opened by open: leave it out", "/predicate/provider")
	f.addIf(asks, "is requested already; a later record opens it, or says challenged, withdrawn or unanswered", "/predicate/status")
}

// checkFirst is for the record that begins a thread, which has all terms.
func (r *DisclosureRequest) checkFirst(sealed bool, f *faultList) {
	if r.Status != RequestRequested {
		f.add("/predicate/status", "is %s, but nothing was requested on this thread before: the first record is requested", r.Status)
	}
	f.addIf(r.Type.IsZero(), "is missing: by what it is asked; under seal {secret: warrant}", "/predicate/type")
	f.addIf(r.Provider.IsZero(), "is missing: whom it asks; under seal {secret: acme-cloud}", "/predicate/provider")
	f.addIf(r.Jurisdiction == "", "is missing: whose cooperation it asks for", "/predicate/jurisdiction")
	f.addIf(r.DueOn == nil, "is missing: the last day to answer", "/predicate/dueOn")
	f.addIf(r.Open != nil, "opens what nobody sealed: a later record opens the request", "/predicate/open")
	switch {
	case sealed:
		f.addIf(r.Recipient == "", "is missing: a sealed request always has one, so that its absence tells nothing of the type", "/predicate/recipient")
		f.addIf(r.SealedUntil == nil, "is missing: the day from which the request may be opened", "/predicate/sealedUntil")
	default:
		f.addIf(r.Recipient == "" && r.Type.Text != requestToAnotherState, "is missing: to whom bundles are encrypted", "/predicate/recipient")
		f.addIf(r.SealedUntil != nil, "is given, but nothing is sealed: leave it out", "/predicate/sealedUntil")
	}
}

// KindDisclosureReceipt is a provider's word that it answered a request to disclose.
const KindDisclosureReceipt Kind = "disclosure-receipt"

var disclosureReceiptSpec = newKindSpec[DisclosureReceipt](Spec{
	Summary: "A provider answers a request to disclose: the digest of the bundle that it handed over, or that it challenges the request.",
	Signers: "an officer key of the provider",
	Thread:  "disclosure/N/P",
	Subject: SubjectDocument,
})

// DisclosureReceipt says what was disclosed, or that the request is challenged.
type DisclosureReceipt struct {
	Request    ID     `json:"request" rule:"required" doc:"record ID of the request, or of a later record on its thread; in a short form latest is the newest" eg:"3fa95c8e07d64b1f9b2a6c31d0e4f5872b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e"`
	Entries    *int64 `json:"entries,omitempty" rule:"usual lo=0" doc:"how many events of the customer log the bundle shows; required unless challenged" eg:"12"`
	LogSize    *int64 `json:"logSize,omitempty" rule:"usual lo=0" doc:"leaves of the customer log that they were taken from; required unless challenged" eg:"45000"`
	Challenged bool   `json:"challenged,omitempty" doc:"nothing is disclosed: the request is challenged" eg:"true"`
	Reason     string `json:"reason,omitempty" rule:"fmt=lines max=4000" doc:"required with challenged: why, for people" eg:"A motion to quash is pending."`
}

// Kind is KindDisclosureReceipt.
func (*DisclosureReceipt) Kind() Kind { return KindDisclosureReceipt }

func (r *DisclosureReceipt) check(_ *Statement, f *faultList) {
	if r.Challenged {
		f.addIf(r.Reason == "", "is missing: why the request is challenged", "/predicate/reason")
		f.addIf(r.Entries != nil && *r.Entries != 0, "counts what was disclosed, but a challenge discloses nothing: leave it out", "/predicate/entries")
		return
	}
	f.addIf(r.Entries == nil, "is missing: how many events the bundle shows, 0 where there was nothing", "/predicate/entries")
	f.addIf(r.LogSize == nil, "is missing: how long the customer log was", "/predicate/logSize")
	f.addIf(r.Reason != "", "is given, but nothing is challenged: text for people is note", "/predicate/reason")
	if r.Entries != nil && r.LogSize != nil && *r.Entries > *r.LogSize {
		f.add("/predicate/entries", "is %d, more than the log has leaves (logSize %d)", *r.Entries, *r.LogSize)
	}
}

// KindAssessment is an auditor's opinion.
const KindAssessment Kind = "assessment"

var assessmentSpec = newKindSpec[Assessment](Spec{
	Summary: "An auditor says what it found of a party over a period, and which tree it had replayed.",
	Signers: "an officer key of the auditor",
	Thread:  "assessment/N/P",
	Subject: SubjectDocument,
})

// Assessment is the opinion of an enrolled auditor, the P of its thread.
type Assessment struct {
	Auditee     string `json:"auditee" rule:"required fmt=segment max=64" doc:"party ID of who was audited" eg:"delta-racks"`
	Scope       string `json:"scope" rule:"required max=1000" doc:"what was audited, for people" eg:"\"Customer log of 2026, every leaf\""`
	PeriodFrom  Date   `json:"periodFrom" rule:"required" doc:"first day audited" eg:"2026-01-01"`
	PeriodUntil Date   `json:"periodUntil" rule:"required" doc:"last day audited (inclusive)" eg:"2026-12-31"`
	Opinion     string `json:"opinion" rule:"required enum=unqualified|qualified|adverse|disclaimer" doc:"the auditor's opinion" eg:"unqualified"`
	At          TreeAt `json:"at" rule:"required" doc:"the tree that was replayed: this ledger's, or the auditee's log"`
	VKey        string `json:"vkey,omitempty" rule:"fmt=vkey max=4000" doc:"verifier key of this auditor as a cosigner; that has no other use"`
	Statement   string `json:"statement,omitempty" rule:"max=1000" doc:"required with vkey: what its cosignature on a checkpoint states" eg:"\"Every entry below this size was replayed and judged.\""`
}

// TreeAt names a tree.
type TreeAt struct {
	Size int64  `json:"size" rule:"required lo=0" doc:"entries in it" eg:"45000"`
	Root string `json:"root" rule:"required fmt=root" doc:"base64 of its root hash" eg:"rN1bTXz6ZPyBE2d8J5D0J2I5U4eV3mSas2X9oR6fNjE="`
}

// Kind is KindAssessment.
func (*Assessment) Kind() Kind { return KindAssessment }

func (a *Assessment) check(s *Statement, f *faultList) {
	checkOrder(&a.PeriodFrom, &a.PeriodUntil, "/predicate/periodUntil", "periodFrom", f)
	if a.Auditee == s.Issuer {
		f.add("/predicate/auditee", "is %s: nobody audits itself", fmt.Sprintf("%q", a.Auditee))
	}
	if a.VKey != "" {
		if _, err := proof.ParseAuditorKey(a.VKey); err != nil {
			f.add("/predicate/vkey", "%v", err)
		}
	}
	f.addIf(a.VKey != "" && a.Statement == "", "is missing: what a cosignature by vkey states", "/predicate/statement")
	f.addIf(a.VKey == "" && a.Statement != "", "is of a cosignature, but no vkey is given", "/predicate/statement")
}
