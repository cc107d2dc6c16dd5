package record

// Kind names a kind of record; the predicateType is "urn:docket:<kind>:v1".
type Kind string

const (
	KindCharter          Kind = "charter"
	KindEnrolment        Kind = "enrolment"
	KindStanding         Kind = "standing"
	KindKeys             Kind = "keys"
	KindDesignation      Kind = "designation"
	KindAmendment        Kind = "amendment"
	KindSuspension       Kind = "suspension"
	KindReinstatement    Kind = "reinstatement"
	KindRevocation       Kind = "revocation"
	KindResponse         Kind = "response"
	KindCIPCertification Kind = "cip-certification"
)

func (k Kind) PredicateType() string { return "urn:docket:" + string(k) + ":v1" }

// Use of a key (RECORDS.md "Keys and who may sign").
type Use string

const (
	UseOfficer    Use = "officer"
	UseAutomation Use = "automation"
	UseRecovery   Use = "recovery"
)

// Function is what a key of the authority may do.
type Function string

const (
	FuncDesignator Function = "designator"
	FuncLicensing  Function = "licensing"
	FuncRegistrar  Function = "registrar"
	FuncImporter   Function = "importer"
	FuncDemands    Function = "demands"
)

type Role string

const (
	RoleAuthority Role = "authority"
	RoleProvider  Role = "provider"
	RoleReseller  Role = "reseller"
	RoleAuditor   Role = "auditor"
)

type Charter struct {
	Name        string
	Origin      string
	TimeZone    string // IANA name
	Rules       int64
	RootKeys    []RootKey
	Thresholds  Thresholds
	Periods     Periods
	Policy      string // tlog-policy text
	Imports     []ImportList
	RefusalsKey string       // vkey; carried, judged by nothing in rules 1
	Predecessor *Predecessor // carried, judged by nothing in rules 1
}

type RootKey struct {
	Key    PEM
	Holder string
}

// Thresholds count distinct holders.
type Thresholds struct{ Root, Designation, Registrar, Licensing, Import int64 }

type Periods struct {
	Notice, Term, Response, Certification, ResellerBreach, AIReport, Commitment, Draft, Recovery Period
}

type ImportList struct {
	List              string
	MaxRemovedPercent int64
}

type Predecessor struct {
	Origin string
	Size   int64
	Root   string // base64 of 32 bytes
}

type Enrolment struct {
	LegalName string
	Country   string
	Roles     []Role
	Keys      []PartyKey
	LEI       string
	Website   string
	Contact   string
}

type PartyKey struct {
	Key       PEM
	Use       Use
	Holder    string
	Functions []Function
	NotAfter  *Date
}

type Standing struct {
	Status      string // suspended, active, withdrawn
	EffectiveOn Date
	Reason      string
}

type Keys struct {
	Add    []PartyKey
	Revoke []KeyRevocation
}

type KeyRevocation struct {
	KeyID            string // "SHA256:…"
	CompromisedSince *Instant
}

type Designation struct {
	Measure               string // person, jurisdiction
	Action                string // prohibit, condition
	Target                Target
	Program               []string
	DeterminedOn          *Date // optional only when imported
	EffectiveFrom         *Date // likewise
	Conditions            []Condition
	Findings              []string
	EffectiveUntil        *Date // required unless imported
	ResponseDue           *Date
	Scope                 *Scope
	FederalRegisterNotice string
	Source                *Source // present = imported
}

type Target struct {
	Schema             string // Person, Organization, Company, Vessel, Airplane, Jurisdiction
	Name               string
	Alias              []Alias
	Country            string
	Role               string // foreign-provider, reseller, customer
	LEI                string
	RegistrationNumber string
	ASN                []int64
	Domain             []string
	Address            []Address
}

type Alias struct {
	Name   string
	Type   string // aka, fka, nka
	Weak   bool
	Script string // ISO 15924
}

type Address struct {
	Full                                      string
	Street, City, Region, PostalCode, Country string
}

type Condition struct{ ID, Text string }

type Scope struct {
	Successors   bool
	OwnershipPct *int64
}

// Source names the published list that a designation was imported from.
type Source struct {
	List        string
	ID          string
	Files       []SourceFile
	PublishedOn *Date
}

type SourceFile struct{ Name, SHA256 string }

type Amendment struct {
	Type        string // correction, alias, target-detail, scope, extension, deadline
	Reason      string
	Drop        Object // applied in this order, each typed by the designation's schema
	Unset       []string
	Set         Object
	Add         Object
	ResponseDue *Date // when it re-opens
	Reopens     bool
	Source      *Source
}

type Suspension struct {
	EffectiveOn Date
	Until       *Date
	Reason      string
}

type Reinstatement struct {
	EffectiveOn Date
	Until       *Date
	Reason      string
}

type Revocation struct {
	EffectiveOn Date
	Cause       string // lifted, error, court-order, superseded, delisted
	Reason      string
}

type Response struct {
	Status         string // acknowledged, no-relationship, licensed, conditions-met, winding-down, wound-down, answered
	WindDownBy     *Date
	Conditions     []string
	AccountsClosed *Commitment
	Detail         *Commitment
	Screening      *Digest
}

type CIPCertification struct {
	PeriodFrom           Date
	PeriodUntil          Date
	Reviewed             bool
	UpdatedForServices   bool
	UpdatedForThreats    bool
	Compliant            bool
	UnverifiableResolved bool
	Initial              bool
	Counts               map[string]Commitment
}

// Commitment is {"commit": hex SHA-256(…)} (RECORDS.md "Commitment").
type Commitment struct{ Commit string }

// Digest is {"sha256": hex}.
type Digest struct{ SHA256 string }

func (*Charter) Kind() Kind          { return KindCharter }
func (*Enrolment) Kind() Kind        { return KindEnrolment }
func (*Standing) Kind() Kind         { return KindStanding }
func (*Keys) Kind() Kind             { return KindKeys }
func (*Designation) Kind() Kind      { return KindDesignation }
func (*Amendment) Kind() Kind        { return KindAmendment }
func (*Suspension) Kind() Kind       { return KindSuspension }
func (*Reinstatement) Kind() Kind    { return KindReinstatement }
func (*Revocation) Kind() Kind       { return KindRevocation }
func (*Response) Kind() Kind         { return KindResponse }
func (*CIPCertification) Kind() Kind { return KindCIPCertification }
