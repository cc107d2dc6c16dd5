package record

// KindLicence lets somebody do what a designation restricts, for a while.
const KindLicence Kind = "licence"

var licenceSpec = newKindSpec[Licence](Spec{
	Summary: "The authority permits for a while what a designation restricts, or exempts a provider from the identification programme; duties are put off meanwhile.",
	Signers: "thresholds.licensing officers with the function licensing",
	Thread:  "licence/L",
	Subject: SubjectDocument,
})

// LicenceType says whom a licence is for and from what it frees.
type LicenceType string

const (
	LicenceGeneral      LicenceType = "general"       // everybody
	LicenceSpecific     LicenceType = "specific"      // its holder
	LicenceADPExemption LicenceType = "adp-exemption" // its holder, from the identification programme too
)

// Licence pauses duties of its holder, or of everybody.
type Licence struct {
	Type         LicenceType `json:"type" rule:"required enum=general|specific|adp-exemption" doc:"general: everybody may; specific: its holder; adp-exemption: its holder, whose duties to certify and to commit to its customer log are paused too" eg:"specific"`
	Holder       string      `json:"holder,omitempty" rule:"fmt=segment max=64" doc:"a provider's party ID; required unless general" eg:"acme-cloud"`
	Designations []string    `json:"designations,omitempty" rule:"usual fmt=segment items=100" doc:"designations by name, whose duties to respond and to conclude are paused; general and specific have them, or sections" eg:"[2026-014]"`
	Sections     []string    `json:"sections,omitempty" rule:"items=100" doc:"instead of designations: of the rules, in free text; pauses nothing" eg:"[\"§ 7.306\"]"`
	From         Date        `json:"from" rule:"required" doc:"first day; it pauses nothing before it is admitted" eg:"2027-06-01"`
	Until        Date        `json:"until" rule:"required" doc:"last day (inclusive): the day of admission or later" eg:"2027-09-30"`
	Permits      string      `json:"permits,omitempty" rule:"usual" doc:"what it permits, in a free term" eg:"wind-down"`
	Terms        string      `json:"terms,omitempty" rule:"max=4000" doc:"under which terms, as a general licence has them" eg:"Existing contracts only."`
	TermsDigest  *Digest     `json:"termsDigest,omitempty" doc:"instead of terms: SHA-256 of terms that are not public" eg:"{sha256: 77c1b2a3948576f6e5d4c3b2a1908f7e6d5c4b3a29181706f5e4d3c2b1a09f8e}"`
}

// Kind is KindLicence.
func (*Licence) Kind() Kind { return KindLicence }

func (l *Licence) check(_ *Statement, f *faultList) {
	checkOrder(&l.From, &l.Until, "/predicate/until", "from", f)
	general := l.Type == LicenceGeneral
	f.addIf(general && l.Holder != "", "names one party; a general licence is everybody's: leave it out", "/predicate/holder")
	f.addIf(!general && l.Holder == "", "is missing: whom the licence is for", "/predicate/holder")
	f.addIf(len(l.Designations) > 0 && len(l.Sections) > 0, "stands beside designations: give one of them", "/predicate/sections")
	f.addIf(l.Type != LicenceADPExemption && len(l.Designations)+len(l.Sections) == 0, "is missing: name designations, or sections", "/predicate/designations")
	f.addIf(l.Terms != "" && l.TermsDigest != nil, "stands beside terms: give one of them", "/predicate/termsDigest")
}
