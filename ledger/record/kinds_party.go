package record

import (
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// KindCharter names the ledger's rules: root keys, thresholds, periods, policy.
const KindCharter Kind = "charter"

var charterSpec = newKindSpec[Charter](Spec{
	Summary: "The ledger's constitution: root keys, thresholds, periods, and whom verifiers accept. Its first record names the ledger.",
	Signers: "thresholds.root holders of the root keys before it and of its own, and each root key that is new",
	Thread:  "charter",
	Subject: SubjectDocument,

	noLedger: true,
})

// Charter is the record at index 0; later ones on its thread amend it.
type Charter struct {
	Name        string       `json:"name" rule:"required" doc:"the authority's name, for people" eg:"Office of Cloud Restrictions (fictional)"`
	Origin      string       `json:"origin" rule:"required fmt=origin max=200" doc:"the ledger's name for ever; later charters may not change it" eg:"docket.example/2026"`
	TimeZone    string       `json:"timeZone" rule:"required fmt=zone max=64" doc:"IANA time zone in which legal dates begin and end" eg:"America/New_York"`
	Rules       int64        `json:"rules" rule:"required lo=1 hi=1000000" doc:"version of the admission rules" eg:"1"`
	RootKeys    []RootKey    `json:"rootKeys" rule:"required items=8" doc:"kept offline; they sign charters and the authority's own enrolment, nothing else"`
	Thresholds  Thresholds   `json:"thresholds" rule:"required" doc:"distinct holders who must sign"`
	Periods     Periods      `json:"periods" rule:"required" doc:"ISO 8601; P1Y is a civil year, P365D is 365 days"`
	Policy      string       `json:"policy" rule:"required fmt=lines max=30000" doc:"tlog-policy: the log's keys, the witnesses, the quorum that verifiers accept from this record on" eg:"lines of docket init, of each docket witness init, then the quorum, two spaces before each:\n  log docket.example/2026+5f1c0a92+AW3…\n  log docket.example/2026+81d4e6b0+BqT…\n  witness w1e w1.example/docket+c07b19f3+BHx… https://w1.example\n  witness w1m w1.example/docket+2ad85e44+Bk9… https://w1.example\n  group w1 any w1e w1m\n  quorum w1\nor, without any witness: quorum none"`
	Imports     []ImportList `json:"imports" rule:"required empty items=100" doc:"published lists that importers may carry over; [] for none"`
	RefusalsKey string       `json:"refusalsKey,omitempty" rule:"fmt=vkey" doc:"verifier key of the ledger's signed refusals (Ed25519), as docket init prints it, which signs nothing else; without one nothing refused is signed"`
	ReceiptKey  string       `json:"receiptKey,omitempty" rule:"fmt=vkey" doc:"verifier key for signed receipts of submission (Ed25519), which signs nothing else"`
	Predecessor *Predecessor `json:"predecessor,omitempty" doc:"the log that this one continues; carried, judged by nothing in rules 1"`
}

// RootKey is a key of the charter and the post that holds it.
type RootKey struct {
	Key    PEM    `json:"key" rule:"required" doc:"public key, PKIX PEM" eg:"{file: root-1.pub}"`
	Holder string `json:"holder" rule:"required fmt=segment max=64" doc:"a post, never a person's name" eg:"root-1"`
}

// Thresholds count distinct holders.
type Thresholds struct {
	Root        int64 `json:"root" rule:"required lo=1 hi=8" doc:"root keys: charters, the authority's own keys" eg:"2"`
	Designation int64 `json:"designation" rule:"required lo=1 hi=8" doc:"designators: designations and their changes" eg:"2"`
	Registrar   int64 `json:"registrar" rule:"required lo=1 hi=8" doc:"registrars: enrolments and standing" eg:"1"`
	Licensing   int64 `json:"licensing" rule:"required lo=1 hi=8" doc:"licensing officers: licences" eg:"1"`
	Import      int64 `json:"import" rule:"required lo=1 hi=8" doc:"importers: imported lists" eg:"1"`
}

// Periods are the charter's parameters; the proposed rules of 2024 suggest the examples.
type Periods struct {
	Notice         Period `json:"notice" rule:"required" doc:"least time from admission to a designation's first day in force" eg:"P180D"`
	Term           Period `json:"term" rule:"required" doc:"a designation ends before its first day + term" eg:"P1Y"`
	Response       Period `json:"response" rule:"required" doc:"least time that providers have to respond" eg:"P30D"`
	Certification  Period `json:"certification" rule:"required" doc:"time between certifications" eg:"P1Y"`
	ResellerBreach Period `json:"resellerBreach" rule:"required" doc:"time from a reseller's breach to its termination" eg:"P30D"`
	AIReport       Period `json:"aiReport" rule:"required" doc:"time to report a training run" eg:"P15D"`
	Commitment     Period `json:"commitment" rule:"required" doc:"time between commitments to a customer log, and to batches of abuse reports" eg:"P31D"`
	Draft          Period `json:"draft" rule:"required" doc:"a record must be admitted within this time of issuedAt" eg:"P30D"`
	Recovery       Period `json:"recovery" rule:"required" doc:"a key that a registrar alone added can sign after this time" eg:"P7D"`
}

// ImportList is a published list that may be imported.
type ImportList struct {
	List              string `json:"list" rule:"required fmt=segment max=62" doc:"the list's name; its threads are designation/LIST-…" eg:"ofac-sdn"`
	MaxRemovedPercent int64  `json:"maxRemovedPercent" rule:"required lo=0 hi=100" doc:"an import that removes more than this stops" eg:"2"`
}

// Predecessor is the last head of an earlier ledger.
type Predecessor struct {
	Origin string `json:"origin" rule:"required fmt=origin max=200" doc:"its origin" eg:"docket.example/2025"`
	Size   int64  `json:"size" rule:"required lo=0" doc:"entries in it" eg:"1"`
	Root   string `json:"root" rule:"required fmt=root" doc:"base64 of its root hash"`
}

// Kind is KindCharter.
func (*Charter) Kind() Kind { return KindCharter }

func (c *Charter) listedKeys() ([]PartyKey, string) {
	keys := make([]PartyKey, len(c.RootKeys))
	for i, k := range c.RootKeys {
		keys[i] = PartyKey{Key: k.Key, Holder: k.Holder}
	}
	return keys, "rootKeys"
}

func (c *Charter) check(s *Statement, f *faultList) {
	if s.Ledger.IsZero() != s.Follows.IsZero() {
		f.add("/predicate/ledger", "a charter at index 0 has neither ledger nor follows; a later one has both")
	}
	holders := map[string]bool{}
	keys := map[PEM]bool{}
	for i, k := range c.RootKeys {
		holders[k.Holder] = true
		f.addIf(keys[k.Key], "is listed twice: a key has one holder", "/predicate/rootKeys/%d/key", i)
		keys[k.Key] = true
	}
	if int(c.Thresholds.Root) > len(holders) {
		f.add("/predicate/thresholds/root", "is %d, but the root keys have %d holders: nothing could ever be signed", c.Thresholds.Root, len(holders))
	}
	for _, k := range []struct{ vkey, member string }{{c.RefusalsKey, "refusalsKey"}, {c.ReceiptKey, "receiptKey"}} {
		if k.vkey == "" {
			continue
		}
		if key, err := proof.ParseLogKey(k.vkey); err != nil {
			f.add("/predicate/"+k.member, "%v", err)
		} else if key.Algorithm() != proof.Ed25519 {
			f.add("/predicate/"+k.member, "is of %s, which signs checkpoints alone; want %s", key.Algorithm(), proof.Ed25519)
		}
	}
	for i, a := range c.Imports {
		for j, b := range c.Imports {
			same := a.List == b.List && i > j
			f.addIf(same, "is listed twice", "/predicate/imports/%d/list", i)
			f.addIf(strings.HasPrefix(a.List, b.List+"-"), "begins with another list's name and '-': their threads could be mistaken", "/predicate/imports/%d/list", i)
		}
	}
}

// KindEnrolment makes a party known, with its roles and keys.
const KindEnrolment Kind = "enrolment"

var enrolmentSpec = newKindSpec[Enrolment](Spec{
	Summary: "A party joins: its legal name, roles and keys. Every key listed signs, then a registrar (for the authority: root keys).",
	Signers: "each key that it lists, and registrars (of the authority: root keys; of a reseller also a provider, its sponsor); a later one an officer key of the party, and registrars",
	Thread:  "party/P",
	Subject: SubjectFirstKey,
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

func (e *Enrolment) listedKeys() ([]PartyKey, string) { return e.Keys, "keys" }

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

// KindStanding suspends, restores or ends a party's standing.
const KindStanding Kind = "standing"

var standingSpec = newKindSpec[Standing](Spec{
	Summary: "The authority suspends a party, restores it, or ends its membership for good.",
	Signers: "registrars; of the authority root keys",
	Thread:  "party/P",
	issuer:  issuedByAuthority,
	Subject: SubjectEnrolment,
})

// Standing changes what a party may sign, from the civil day effectiveOn on.
type Standing struct {
	Status      string `json:"status" rule:"required enum=suspended|active|withdrawn" doc:"suspended parties sign responses and keys only; withdrawn is final" eg:"suspended"`
	EffectiveOn Date   `json:"effectiveOn" rule:"required" doc:"the day from which it holds, admission or later; until then a newer one may replace it" eg:"2027-03-01"`
	Reason      string `json:"reason" rule:"required fmt=lines max=4000" doc:"why, for people" eg:"Certification not filed."`
}

// Kind is KindStanding.
func (*Standing) Kind() Kind { return KindStanding }

// KindKeys adds and revokes a party's keys.
const KindKeys Kind = "keys"

var keysSpec = newKindSpec[Keys](Spec{
	Summary: "A party adds and revokes keys. An officer key signs, and every key added; a registrar only when all are lost.",
	Signers: "each key that it adds, and an officer key of the party; a recovery key where only officer keys change; registrars where all are lost",
	Thread:  "party/P",
	issuer:  issuedByOwnerOrAuthority,
	Subject: SubjectFirstKey,
})

// Keys changes the keys of a party.
type Keys struct {
	Add    []PartyKey      `json:"add,omitempty" rule:"usual items=8" doc:"new keys; each signs this record; at most 16 of a party are live, and it adds at most 64 a year"`
	Revoke []KeyRevocation `json:"revoke,omitempty" rule:"items=16" doc:"keys that sign no more from the next record on"`
}

// KeyRevocation names a key that signs no more.
type KeyRevocation struct {
	KeyID            string   `json:"keyid" rule:"required fmt=keyid" doc:"SHA256:… as docket show prints it" eg:"SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA"`
	CompromisedSince *Instant `json:"compromisedSince,omitempty" doc:"the party's claim of since when; it changes no validity" eg:"2026-11-20T00:00:00Z"`
}

// Kind is KindKeys.
func (*Keys) Kind() Kind { return KindKeys }

func (k *Keys) listedKeys() ([]PartyKey, string) { return k.Add, "add" }

func (k *Keys) check(s *Statement, f *faultList) {
	f.addIf(len(k.Add) == 0 && len(k.Revoke) == 0, "neither adds nor revokes a key", "/predicate")
	checkKeys(k.Add, s.Thread == PartyThread(Authority), "/predicate/add", f)
	revoked := make(map[string]bool, len(k.Revoke))
	for i, r := range k.Revoke {
		f.addIf(revoked[r.KeyID], "is revoked twice", "/predicate/revoke/%d/keyid", i)
		revoked[r.KeyID] = true
	}
}
