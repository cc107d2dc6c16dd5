package record

// KindSuspension pauses a designation; KindReinstatement ends the pause.
const (
	KindSuspension    Kind = "suspension"
	KindReinstatement Kind = "reinstatement"
)

var suspensionSpec = newKindSpec[Suspension](kindSpec{
	summary: "A designation is not in force for a while; duties that fall due meanwhile are put off, its term runs on.",
	thread:  "designation/D",
	subject: subjectDocument,
})

var reinstatementSpec = newKindSpec[Reinstatement](kindSpec{
	summary: "A suspended designation is again what its dates say.",
	thread:  "designation/D",
	subject: subjectDocument,
})

// Suspension pauses a designation.
type Suspension struct {
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"first day of the pause; admission or later" eg:"2027-08-01"`
	Until       *Date  `json:"until,omitempty" doc:"last day of the pause; in force again the next day by the clock alone" eg:"2027-10-31"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Talks on mutual legal assistance."`
}

// Reinstatement ends a suspension.
type Reinstatement struct {
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"the day from which it holds; admission or later" eg:"2027-09-15"`
	Until       *Date  `json:"until,omitempty" doc:"last day for which it is meant" eg:"2027-12-31"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Talks ended."`
}

// Kind is KindSuspension.
func (*Suspension) Kind() Kind { return KindSuspension }

// Kind is KindReinstatement.
func (*Reinstatement) Kind() Kind { return KindReinstatement }

func (p *Suspension) check(_ *Statement, f *faultList) {
	checkOrder(&p.EffectiveOn, p.Until, "/predicate/until", "effectiveOn", f)
}

func (p *Reinstatement) check(_ *Statement, f *faultList) {
	checkOrder(&p.EffectiveOn, p.Until, "/predicate/until", "effectiveOn", f)
}
