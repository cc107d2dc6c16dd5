package record

// KindRevocation ends a designation for good.
const KindRevocation Kind = "revocation"

var revocationSpec = newKindSpec[Revocation](kindSpec{
	summary: "A designation ends for good; only a list's entity can come back, after delisted.",
	thread:  "designation/D",
	subject: subjectDocument,
})

// Revocation ends a designation.
type Revocation struct {
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"the day from which it is lifted; shown as such, history is not rewritten" eg:"2027-12-02"`
	Cause       string `json:"cause" rule:"required enum=lifted|error|court-order|superseded|delisted" doc:"delisted: gone from a published list" eg:"lifted"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Undertakings accepted."`
}

// Kind is KindRevocation.
func (*Revocation) Kind() Kind { return KindRevocation }
