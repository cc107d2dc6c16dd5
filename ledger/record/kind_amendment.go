package record

// KindAmendment changes a designation.
const KindAmendment Kind = "amendment"

var amendmentSpec = newKindSpec[Amendment](kindSpec{
	summary: "A designation is corrected or extended: items dropped, fields unset and set, items added, in this order.",
	thread:  "designation/D",
	subject: subjectDocument,
})

// Amendment changes the designation of its thread; [Amend] applies it.
type Amendment struct {
	Type        string   `json:"type" rule:"required enum=correction|alias|target-detail|scope|extension|deadline" doc:"what may change: anything, aliases, other target fields, scope and conditions, effectiveUntil, responseDue" eg:"correction"`
	Reason      string   `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Registration number misprinted in the order."`
	Drop        Object   `json:"drop,omitempty" rule:"lists" doc:"list items to remove; each must be there, exactly" eg:"{target: {domain: [old.example]}}"`
	Unset       []string `json:"unset,omitempty" rule:"fmt=path" doc:"optional fields to remove" eg:"[federalRegisterNotice]"`
	Set         Object   `json:"set,omitempty" rule:"usual" doc:"fields to replace; objects are merged member by member, lists replaced whole" eg:"{target: {registrationNumber: \"0048231\"}}"`
	Add         Object   `json:"add,omitempty" rule:"lists" doc:"list items to append; none may be there yet" eg:"{target: {domain: [new.example]}}"`
	ResponseDue *Date    `json:"responseDue,omitempty" doc:"the new last day to respond, when this re-opens the duty" eg:"2027-03-31"`
	Reopens     bool     `json:"reopens,omitempty" doc:"everybody must respond again; type scope always re-opens" eg:"true"`
	Source      *Source  `json:"source,omitempty" doc:"of an imported amendment: the published list"`
}

// Kind is KindAmendment.
func (*Amendment) Kind() Kind { return KindAmendment }

// ReopensDuty reports whether providers must respond again.
func (a *Amendment) ReopensDuty() bool { return a.Reopens || a.Type == "scope" }

func (a *Amendment) check(s *Statement, f *faultList) {
	checkSource(a.Source, s.Thread, f)
	f.addIf(len(a.Drop)+len(a.Unset)+len(a.Set)+len(a.Add) == 0 && !a.ReopensDuty(), "changes nothing: give drop, unset, set or add", "/predicate")
	f.addIf(a.ResponseDue != nil && !a.ReopensDuty(), "only an amendment that re-opens the duty has it; to move the day use type deadline and set: {responseDue: …}", "/predicate/responseDue")
	for i, path := range a.Unset {
		if _, err := resolveFieldPath(path); err != nil {
			f.add(formatPointer("/predicate/unset/%d", i), "%v", err)
		}
	}
	f.list = append(f.list, a.forbiddenFaults()...)
}
