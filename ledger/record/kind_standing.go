package record

// KindStanding suspends, restores or ends a party's standing.
const KindStanding Kind = "standing"

var standingSpec = newKindSpec[Standing](kindSpec{
	summary: "The authority suspends a party, restores it, or ends its membership for good.",
	thread:  "party/P",
	issuer:  issuedByAuthority,
	subject: subjectEnrolment,
})

// Standing changes what a party may sign, from the civil day effectiveOn on.
type Standing struct {
	Status      string `json:"status" rule:"required enum=suspended|active|withdrawn" doc:"suspended parties sign responses and keys only; withdrawn is final" eg:"suspended"`
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"the day from which it holds, admission or later; until then a newer one may replace it" eg:"2027-03-01"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Certification not filed."`
}

// Kind is KindStanding.
func (*Standing) Kind() Kind { return KindStanding }
