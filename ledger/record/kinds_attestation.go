package record

// KindResponse is a provider's answer to a designation.
const KindResponse Kind = "response"

var responseSpec = newKindSpec[Response](Spec{
	Summary: "A provider attests what it did about a designation, as it stood in one record of its thread.",
	Signers: "an officer or automation key of the provider",
	Thread:  "response/D/P",
	Subject: SubjectDesignation,
})

// Response attests what a provider did. Its subject is the record of the
// designation's thread that the provider saw.
type Response struct {
	Status         string      `json:"status" rule:"required enum=acknowledged|no-relationship|licensed|conditions-met|winding-down|wound-down|answered" doc:"answered: the status itself is between provider and authority, see detail" eg:"acknowledged"`
	WindDownBy     *Date       `json:"windDownBy,omitempty" doc:"the day by which it will be concluded, a duty of its own; no later than effectiveFrom or, if that is later, a response period from admission; of several the earliest counts" eg:"2027-05-15"`
	Conditions     []string    `json:"conditions,omitempty" rule:"fmt=name items=100" doc:"IDs of the conditions met so far" eg:"[c1]"`
	AccountsClosed *Commitment `json:"accountsClosed,omitempty" doc:"how many, committed: {secret: \"12\"}" eg:"{secret: \"12\"}"`
	Detail         *Commitment `json:"detail,omitempty" doc:"the answer itself, committed; required with status answered" eg:"{secret: \"winding-down\"}"`
	Screening      *Digest     `json:"screening,omitempty" doc:"commitment to a screening report's digest: {file: report.csv}" eg:"{file: report.csv}"`
}

// Kind is KindResponse.
func (*Response) Kind() Kind { return KindResponse }

func (r *Response) check(_ *Statement, f *faultList) {
	f.addIf(r.Status == "answered" && r.Detail == nil, "is missing: status answered commits to the answer", "/predicate/detail")
}

// KindCIPCertification is a provider's yearly certification of its customer
// identification programme.
const KindCIPCertification Kind = "cip-certification"

var cipCertificationSpec = newKindSpec[CIPCertification](Spec{
	Summary:        "A provider certifies its customer identification programme for a period; the form itself stays private.",
	Signers:        "an officer key of the provider",
	Thread:         "cip/P",
	Subject:        SubjectDocument,
	PrivateSubject: true,
})

// CIPCertification certifies a programme for a period.
type CIPCertification struct {
	PeriodFrom           Date                  `json:"periodFrom" rule:"required" doc:"first day certified" eg:"2025-01-01"`
	PeriodUntil          Date                  `json:"periodUntil" rule:"required" doc:"last day certified (inclusive): the day of admission or earlier" eg:"2025-12-31"`
	Reviewed             bool                  `json:"reviewed" rule:"required" doc:"the programme was reviewed" eg:"true"`
	UpdatedForServices   bool                  `json:"updatedForServices" rule:"required" doc:"updated for changes of the services" eg:"true"`
	UpdatedForThreats    bool                  `json:"updatedForThreats" rule:"required" doc:"updated for changes of the threats" eg:"true"`
	Compliant            bool                  `json:"compliant" rule:"required" doc:"complied with in the period" eg:"true"`
	UnverifiableResolved bool                  `json:"unverifiableResolved" rule:"required" doc:"every customer that could not be verified was dealt with" eg:"true"`
	Initial              bool                  `json:"initial,omitempty" doc:"the first on the thread" eg:"true"`
	Counts               map[string]Commitment `json:"counts,omitempty" rule:"names=word items=20" doc:"numbers, committed: {foreignAccounts: {secret: \"1204\"}}" eg:"{foreignAccounts: {secret: \"1204\"}}"`
}

// Kind is KindCIPCertification.
func (*CIPCertification) Kind() Kind { return KindCIPCertification }

func (c *CIPCertification) check(s *Statement, f *faultList) {
	checkOrder(&c.PeriodFrom, &c.PeriodUntil, "/predicate/periodUntil", "periodFrom", f)
	f.addIf(c.Initial && !s.Follows.IsZero(), "is true, but this follows another certification", "/predicate/initial")
}
