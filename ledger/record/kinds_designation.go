package record

import "github.com/seed-53cf897a/docket/ledger/record/schema"

// KindDesignation restricts a foreign person or jurisdiction.
const KindDesignation Kind = "designation"

var designationSpec = newKindSpec[Designation](Spec{
	Summary: "The authority restricts a foreign person or jurisdiction from a day on, for a term. Designators sign; of an imported list, importers.",
	Signers: "designators; of a list's entity also importers",
	Thread:  "designation/D",
	Subject: SubjectDocument,
})

// Designation is a restriction. One with a Source was imported from a published list.
type Designation struct {
	Measure               string      `json:"measure" rule:"required enum=person|jurisdiction" doc:"what is restricted" eg:"person"`
	Action                string      `json:"action" rule:"required enum=prohibit|condition" doc:"no service at all, or only on conditions" eg:"prohibit"`
	Target                Target      `json:"target" rule:"required" doc:"who or what is restricted"`
	Program               []string    `json:"program" rule:"required max=200" doc:"the programmes under which it stands" eg:"[CLOUD-1]"`
	DeterminedOn          *Date       `json:"determinedOn,omitempty" rule:"usual" doc:"required unless imported: the day of the decision, not after admission" eg:"2026-12-01"`
	EffectiveFrom         *Date       `json:"effectiveFrom,omitempty" rule:"usual" doc:"required unless imported: first day in force; admission + the charter's notice or later" eg:"2027-06-01"`
	Conditions            []Condition `json:"conditions,omitempty" rule:"items=100" doc:"required with action condition"`
	Findings              []string    `json:"findings,omitempty" rule:"fmt=lines max=4000" doc:"factor codes" eg:"[anonymous-resale]"`
	Evidence              []ID        `json:"evidence,omitempty" rule:"items=100" doc:"record IDs of this ledger, below this record, that the findings rest on: unanswered requests, abuse reports"`
	EffectiveUntil        *Date       `json:"effectiveUntil,omitempty" rule:"usual" doc:"required unless imported: last day in force (inclusive), within the charter's term" eg:"2028-05-31"`
	ResponseDue           *Date       `json:"responseDue,omitempty" doc:"last day to respond (inclusive); absent: no duty" eg:"2027-01-08"`
	Scope                 *Scope      `json:"scope,omitempty" doc:"who else is meant"`
	FederalRegisterNotice string      `json:"federalRegisterNotice,omitempty" doc:"citation of the notice" eg:"\"00 FR 00000 (fictional)\""`
	Source                *Source     `json:"source,omitempty" doc:"of an imported designation: the published list"`
}

// Target is who or what a designation restricts.
type Target struct {
	Schema             string    `json:"schema" rule:"required enum=Person|Organization|Company|LegalEntity|Vessel|Airplane|Jurisdiction" doc:"kind of target, in FollowTheMoney's words; LegalEntity: a person or an organisation" eg:"Company"`
	Name               string    `json:"name" rule:"required" doc:"its name" eg:"Kestrel Hosting FZ-LLC (fictional)"`
	Alias              []Alias   `json:"alias,omitempty" doc:"other names"`
	Country            string    `json:"country,omitempty" rule:"fmt=country" doc:"ISO 3166-1 alpha-2; XA to XZ for fictional ones; required of a jurisdiction" eg:"XB"`
	Role               string    `json:"role,omitempty" rule:"usual enum=foreign-provider|reseller|customer" doc:"of a person: required unless imported" eg:"reseller"`
	LEI                string    `json:"lei,omitempty" rule:"fmt=lei" doc:"ISO 17442 legal entity identifier" eg:"9999DOCKETDEMO000118"`
	RegistrationNumber string    `json:"registrationNumber,omitempty" rule:"max=200" doc:"in its company register, as written there" eg:"\"0048213\""`
	ASN                []int64   `json:"asn,omitempty" rule:"lo=0 hi=4294967295" doc:"autonomous system numbers" eg:"[64511]"`
	Domain             []string  `json:"domain,omitempty" rule:"fmt=domain max=253" doc:"domain names" eg:"[kestrel-hosting.example]"`
	Address            []Address `json:"address,omitempty" doc:"addresses"`
}

// Alias is another name of a target.
type Alias struct {
	Name   string `json:"name" rule:"required" doc:"the name" eg:"Kestrel Cloud"`
	Type   string `json:"type" rule:"required enum=aka|fka|nka" doc:"also, formerly, or now known as" eg:"aka"`
	Weak   bool   `json:"weak,omitempty" doc:"too common to match on alone" eg:"true"`
	Script string `json:"script,omitempty" rule:"fmt=script" doc:"ISO 15924 code of its writing" eg:"Latn"`
}

// Address is where a target is, whole or in parts.
type Address struct {
	Full       string `json:"full,omitempty" doc:"as written" eg:"\"1 Harbour Road, Port Kestrel\""`
	Street     string `json:"street,omitempty" doc:"street and number" eg:"1 Harbour Road"`
	City       string `json:"city,omitempty" doc:"city" eg:"Port Kestrel"`
	Region     string `json:"region,omitempty" doc:"state or province" eg:"Kestrel Coast"`
	PostalCode string `json:"postalCode,omitempty" doc:"postal code" eg:"\"01234\""`
	Country    string `json:"country,omitempty" rule:"fmt=country" doc:"ISO 3166-1 alpha-2" eg:"XB"`
}

// Condition is one term on which service is allowed; responses name its ID.
type Condition struct {
	ID   string `json:"id" rule:"required fmt=name" doc:"a short name by which responses refer to it" eg:"c1"`
	Text string `json:"text" rule:"required fmt=lines max=4000" doc:"the condition" eg:"No new accounts for the target or through its resale."`
}

// Scope says who else a designation means.
type Scope struct {
	Successors   bool   `json:"successors" rule:"required" doc:"successors of the target too" eg:"true"`
	OwnershipPct *int64 `json:"ownershipPct,omitempty" rule:"lo=1 hi=100" doc:"whoever the target owns to this share or more" eg:"50"`
}

// Source names the published list that a designation was imported from.
type Source struct {
	List        string       `json:"list" rule:"required fmt=segment max=62" doc:"a list of the charter's imports" eg:"ofac-sdn"`
	ID          string       `json:"id" rule:"required fmt=segment max=62" doc:"the entity's ID in the list; the thread is designation/LIST-ID" eg:"\"36\""`
	Files       []SourceFile `json:"files,omitempty" rule:"items=20" doc:"the files read"`
	PublishedOn *Date        `json:"publishedOn,omitempty" doc:"the day on which the list was published" eg:"2026-11-20"`
}

// SourceFile is one file of a published list.
type SourceFile struct {
	Name   string `json:"name" rule:"required max=200" doc:"its name" eg:"sdn.csv"`
	SHA256 string `json:"sha256" rule:"required fmt=sha256" doc:"its digest"`
}

// Kind is KindDesignation.
func (*Designation) Kind() Kind { return KindDesignation }

// Imported reports whether a published list is the source.
func (d *Designation) Imported() bool { return d.Source != nil }

func (d *Designation) check(s *Statement, f *faultList) {
	checkSource(d.Source, s.Thread, f)
	d.checkFields(f)
}

// checkFields are the rules of a designation by itself, also after amendments.
func (d *Designation) checkFields(f *faultList) {
	imported := d.Imported()
	f.addIf(d.DeterminedOn == nil && !imported, "is missing: the day of the decision", "/predicate/determinedOn")
	f.addIf(d.EffectiveFrom == nil && !imported, "is missing: the first day in force", "/predicate/effectiveFrom")
	f.addIf(d.EffectiveUntil == nil && !imported, "is missing: the last day in force", "/predicate/effectiveUntil")
	f.addIf(d.ResponseDue != nil && imported, "an imported designation has no duty to respond: leave it out", "/predicate/responseDue")
	checkOrder(d.EffectiveFrom, d.EffectiveUntil, "/predicate/effectiveUntil", "effectiveFrom", f)
	f.addIf(d.Action == "condition" && len(d.Conditions) == 0 && !imported, "is missing: action condition needs conditions", "/predicate/conditions")

	t := &d.Target
	if d.Measure == "jurisdiction" {
		f.addIf(t.Schema != "Jurisdiction", "must be Jurisdiction where the measure is jurisdiction", "/predicate/target/schema")
		f.addIf(t.Country == "", "is missing: which jurisdiction", "/predicate/target/country")
		f.addIf(t.Role != "", "a jurisdiction has no role: leave it out", "/predicate/target/role")
	} else {
		f.addIf(t.Schema == "Jurisdiction", "is Jurisdiction, but the measure is person", "/predicate/target/schema")
		f.addIf(t.Role == "" && !imported, "is missing: foreign-provider, reseller or customer", "/predicate/target/role")
		f.addIf(t.Role != "" && imported, "a published list does not say it: leave it out", "/predicate/target/role")
	}
	ids := make(map[string]bool, len(d.Conditions))
	for i, c := range d.Conditions {
		f.addIf(ids[c.ID], "names two conditions", "/predicate/conditions/%d/id", i)
		ids[c.ID] = true
	}
}

// checkSource: the identity of what was imported is its thread (RECORDS.md
// "Importing a list").
func checkSource(src *Source, thread Thread, f *faultList) {
	if src == nil {
		return
	}
	if want := ImportThread(src.List, src.ID); thread != want {
		f.add("/predicate/thread", "is %q; what is imported as %s of list %s stands on %q", thread, src.ID, src.List, want)
	}
}

// KindAmendment changes a designation.
const KindAmendment Kind = "amendment"

var amendmentSpec = newKindSpec[Amendment](Spec{
	Summary: "A designation is corrected or extended: items dropped, fields unset and set, items added, in this order.",
	Signers: "as the designation",
	Thread:  "designation/D",
	Subject: SubjectDocument,
})

// Amendment changes the designation of its thread; [Amend] applies it.
type Amendment struct {
	Type        string        `json:"type" rule:"required enum=correction|alias|target-detail|scope|extension|deadline" doc:"what may change: anything, aliases, other target fields, scope and conditions, effectiveUntil, responseDue" eg:"correction"`
	Reason      string        `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Registration number misprinted in the order."`
	Drop        schema.Object `json:"drop,omitempty" rule:"lists" doc:"list items to remove; each must be there, exactly" eg:"{target: {domain: [old.example]}}"`
	Unset       []string      `json:"unset,omitempty" rule:"fmt=path" doc:"optional fields to remove" eg:"[federalRegisterNotice]"`
	Set         schema.Object `json:"set,omitempty" rule:"usual" doc:"fields to replace; objects are merged member by member, lists replaced whole" eg:"{target: {registrationNumber: \"0048231\"}}"`
	Add         schema.Object `json:"add,omitempty" rule:"lists" doc:"list items to append; none may be there yet" eg:"{target: {domain: [new.example]}}"`
	ResponseDue *Date         `json:"responseDue,omitempty" doc:"the new last day to respond, when this re-opens the duty" eg:"2027-03-31"`
	Reopens     bool          `json:"reopens,omitempty" doc:"everybody must respond again; type scope always re-opens" eg:"true"`
	Source      *Source       `json:"source,omitempty" doc:"of an imported amendment: the published list"`
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

// KindSuspension pauses a designation; KindReinstatement ends the pause.
const (
	KindSuspension    Kind = "suspension"
	KindReinstatement Kind = "reinstatement"
)

var suspensionSpec = newKindSpec[Suspension](Spec{
	Summary: "A designation is not in force for a while; duties that fall due meanwhile are put off, its term runs on.",
	Signers: "as the designation",
	Thread:  "designation/D",
	Subject: SubjectDocument,
})

var reinstatementSpec = newKindSpec[Reinstatement](Spec{
	Summary: "A suspended designation is again what its dates say.",
	Signers: "as the designation",
	Thread:  "designation/D",
	Subject: SubjectDocument,
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

// KindRevocation ends a designation or a licence for good.
const KindRevocation Kind = "revocation"

var revocationSpec = newKindSpec[Revocation](Spec{
	Summary: "A designation or a licence ends for good; only a list's entity can come back, after delisted.",
	Signers: "as the designation or the licence",
	Thread:  "designation/D or licence/L",
	Subject: SubjectDocument,
})

// Revocation ends a designation, or a licence.
type Revocation struct {
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"the day from which it is lifted; shown as such, history is not rewritten" eg:"2027-12-02"`
	Cause       string `json:"cause" rule:"required enum=lifted|error|court-order|superseded|delisted" doc:"delisted: gone from a published list; of a licence lifted, error, superseded" eg:"lifted"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Undertakings accepted."`
}

// Kind is KindRevocation.
func (*Revocation) Kind() Kind { return KindRevocation }

func (r *Revocation) check(s *Statement, f *faultList) {
	if s.Thread.Family() == FamilyLicence && (r.Cause == "delisted" || r.Cause == "court-order") {
		f.add("/predicate/cause", "is %s; a licence is revoked by lifted, error or superseded", r.Cause)
	}
}
