package record

// KindReseller is a provider's word on one of its resellers.
const KindReseller Kind = "reseller"

var resellerSpec = newKindSpec[ResellerReport](Spec{
	Summary:        "A provider records one of its resellers: not confirmed yet, verified together with it, in breach, or terminated. The reseller's programme itself stays private.",
	Signers:        "an officer key of the provider; with status active one of the reseller too",
	Thread:         "reseller/R/P",
	Subject:        SubjectDocument,
	PrivateSubject: true,
})

// ResellerStatus is how things stand between a provider and its reseller.
type ResellerStatus string

const (
	ResellerUnconfirmed ResellerStatus = "unconfirmed"
	ResellerActive      ResellerStatus = "active"
	ResellerBreach      ResellerStatus = "breach"
	ResellerTerminated  ResellerStatus = "terminated"
)

// ResellerReport says how things stand between a provider and its reseller.
type ResellerReport struct {
	Provider   string         `json:"provider" rule:"required fmt=segment max=64" doc:"the provider's party ID, as in the thread" eg:"acme-cloud"`
	Status     ResellerStatus `json:"status" rule:"required enum=unconfirmed|active|breach|terminated" doc:"active: verified, the reseller signs too; the others the provider alone signs; a breach ends in terminated within the charter's time" eg:"active"`
	Reseller   *Reseller      `json:"reseller,omitempty" rule:"usual" doc:"who it is; required with status unconfirmed"`
	CIPInPlace *bool          `json:"cipInPlace,omitempty" rule:"usual" doc:"the reseller has an identification programme of its own" eg:"true"`
	VerifiedAt *Date          `json:"verifiedAt,omitempty" doc:"the day on which it was verified; required with status active, and only there; verified anew within the charter's time between certifications" eg:"2027-01-15"`
	Attempts   []Date         `json:"attempts,omitempty" rule:"items=100" doc:"days on which the provider tried to have it confirmed" eg:"[2026-11-02]"`
}

// Reseller describes one, who need not be a party.
type Reseller struct {
	ID        string `json:"id,omitempty" rule:"fmt=segment max=64" doc:"the reseller's party ID, as in the thread" eg:"lumen-resale"`
	LegalName string `json:"legalName" rule:"required" doc:"as registered" eg:"Lumen Resale GmbH (fictional)"`
	Country   string `json:"country" rule:"required fmt=country" doc:"ISO 3166-1 alpha-2; XA to XZ for fictional ones" eg:"XC"`
}

// Kind is KindReseller.
func (*ResellerReport) Kind() Kind { return KindReseller }

func (r *ResellerReport) check(s *Statement, f *faultList) {
	if r.Provider != s.Thread.Party() {
		f.add("/predicate/provider", "is %q; the thread is %q's", r.Provider, s.Thread.Party())
	}
	f.addIf(r.Reseller == nil && r.Status == ResellerUnconfirmed, "is missing: who it is that could not be confirmed", "/predicate/reseller")
	if r.Reseller != nil && r.Reseller.ID != "" && r.Reseller.ID != s.Thread.Reseller() {
		f.add("/predicate/reseller/id", "is %q; the thread is about %q", r.Reseller.ID, s.Thread.Reseller())
	}
	active := r.Status == ResellerActive
	f.addIf(active && r.VerifiedAt == nil, "is missing: the day on which the reseller was verified", "/predicate/verifiedAt")
	f.addIf(!active && r.VerifiedAt != nil, "is for status active alone", "/predicate/verifiedAt")
}
