package record

// KindCIPCertification is a provider's yearly certification of its customer
// identification programme.
const KindCIPCertification Kind = "cip-certification"

var cipCertificationSpec = newKindSpec[CIPCertification](kindSpec{
	summary:        "A provider certifies its customer identification programme for a period; the form itself stays private.",
	thread:         "cip/P",
	subject:        subjectDocument,
	privateSubject: true,
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
