package record

import "slices"

// KindEnrolment makes a party known, with its roles and keys.
const KindEnrolment Kind = "enrolment"

var enrolmentSpec = newKindSpec[Enrolment](kindSpec{
	summary: "A party joins: its legal name, roles and keys. Every key listed signs, then a registrar (for the authority: root keys).",
	thread:  "party/P",
	subject: subjectFirstKey,
})

// Role is what a party is to the ledger.
type Role string

const (
	RoleAuthority Role = "authority"
	RoleProvider  Role = "provider"
	RoleReseller  Role = "reseller"
	RoleAuditor   Role = "auditor"
)

// KeyUse of a key (RECORDS.md "Keys and who may sign").
type KeyUse string

const (
	UseOfficer    KeyUse = "officer"
	UseAutomation KeyUse = "automation"
	UseRecovery   KeyUse = "recovery"
)

// KeyFunction is what a key of the authority may do.
type KeyFunction string

const (
	FuncDesignator KeyFunction = "designator"
	FuncLicensing  KeyFunction = "licensing"
	FuncRegistrar  KeyFunction = "registrar"
	FuncImporter   KeyFunction = "importer"
	FuncDemands    KeyFunction = "demands"
)

// Enrolment is a party. A later one on the thread replaces what describes the
// party, and lists no keys: those come and go by [Keys].
type Enrolment struct {
	LegalName string     `json:"legalName" rule:"required" doc:"as registered" eg:"Acme Cloud, Inc. (fictional)"`
	Country   string     `json:"country" rule:"required fmt=country" doc:"ISO 3166-1 alpha-2; XA to XZ for fictional ones" eg:"US"`
	Roles     []Role     `json:"roles" rule:"required enum=authority|provider|reseller|auditor" doc:"what the party is to the ledger" eg:"[provider]"`
	Keys      []PartyKey `json:"keys,omitempty" rule:"usual items=8" doc:"required in a party's first record, and there only; every key signs it"`
	LEI       string     `json:"lei,omitempty" rule:"fmt=lei" doc:"ISO 17442 legal entity identifier" eg:"9999DOCKETDEMO000118"`
	Website   string     `json:"website,omitempty" rule:"fmt=url" doc:"http or https" eg:"https://acme-cloud.example"`
	Contact   string     `json:"contact,omitempty" doc:"a function mailbox, no person" eg:"compliance@acme-cloud.example"`
}

// PartyKey is a key of a party and what it is for.
type PartyKey struct {
	Key       PEM           `json:"key" rule:"required" doc:"public key, PKIX PEM: {file: F} or {kms: URI}" eg:"{file: compliance.pub}"`
	Use       KeyUse        `json:"use" rule:"required enum=officer|automation|recovery" doc:"automation keys sign routine records only; recovery keys replace lost officer keys" eg:"officer"`
	Holder    string        `json:"holder" rule:"required fmt=segment max=64" doc:"a post, never a person's name; thresholds count holders" eg:"compliance"`
	Functions []KeyFunction `json:"functions,omitempty" rule:"enum=designator|licensing|registrar|importer|demands" doc:"of the authority's keys only" eg:"[designator]"`
	NotAfter  *Date         `json:"notAfter,omitempty" doc:"last day on which it signs (inclusive)" eg:"2027-12-31"`
}

// Kind is KindEnrolment.
func (*Enrolment) Kind() Kind { return KindEnrolment }

func (e *Enrolment) check(s *Statement, f *faultList) {
	f.addIf(len(e.Keys) == 0 && s.Follows.IsZero(), "is missing: a party's first record lists its keys", "/predicate/keys")
	authority := s.Issuer == Authority
	f.addIf(authority && (len(e.Roles) != 1 || e.Roles[0] != RoleAuthority), `must be [authority], the only role of party "authority"`, "/predicate/roles")
	f.addIf(!authority && slices.Contains(e.Roles, RoleAuthority), `names authority, which only party "authority" is`, "/predicate/roles")
	checkKeys(e.Keys, authority, "/predicate/keys", f)
}

// checkKeys are the rules of keys that need no register.
func checkKeys(keys []PartyKey, authority bool, pointer string, f *faultList) {
	listed := make(map[PEM]bool, len(keys))
	for i, k := range keys {
		f.addIf(listed[k.Key], "is listed twice: a key has one holder and one use", "%s/%d/key", pointer, i)
		listed[k.Key] = true
		functions := len(k.Functions) > 0
		switch {
		case functions && !authority:
			f.add(formatPointer("%s/%d/functions", pointer, i), "only the authority's keys have functions: leave it out")
		case functions && k.Use == UseRecovery:
			f.add(formatPointer("%s/%d/functions", pointer, i), "a recovery key signs nothing but keys records: leave it out")
		case k.Use == UseAutomation && slices.ContainsFunc(k.Functions, func(fn KeyFunction) bool { return fn != FuncImporter }):
			f.add(formatPointer("%s/%d/functions", pointer, i), "an automation key can be an importer, nothing else")
		}
	}
}
