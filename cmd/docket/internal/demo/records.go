package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

const timeZone = "America/New_York"

// scenarioDates are computed from today, so that the story is always about now.
type scenarioDates struct {
	today, from, until, due, windDown record.Date
	year                              int
}

func newScenarioDates(now time.Time) (scenarioDates, error) {
	zone, err := rules1.Location(timeZone)
	if err != nil {
		return scenarioDates{}, err
	}
	today := rules1.DateIn(now, zone)
	from := today.AddDays(190)
	return scenarioDates{
		today: today, from: from, until: from.Add(record.Period{Years: 1}).AddDays(-1),
		due: today.AddDays(46), windDown: from.AddDays(-17), year: today.Year,
	}, nil
}

// newCharter is the constitution of the demo's ledger.
func (s *scenario) newCharter() *record.Charter {
	var roots []record.RootKey
	for _, holder := range []string{"root-1", "root-2", "root-3"} {
		roots = append(roots, record.RootKey{Key: s.keyring.pem("root-" + holder), Holder: holder})
	}
	days := func(n int) record.Period { return record.Period{Days: n} }
	return &record.Charter{
		Name: "Office of Cloud Restrictions (fictional)", Origin: origin, TimeZone: timeZone, Rules: 1,
		RootKeys:   roots,
		Thresholds: record.Thresholds{Root: 2, Designation: 2, Registrar: 1, Licensing: 1, Import: 1},
		Periods: record.Periods{
			Notice: days(180), Term: record.Period{Years: 1}, Response: days(30), Certification: record.Period{Years: 1},
			ResellerBreach: days(30), AIReport: days(15), Commitment: days(31), Draft: days(30), Recovery: days(7),
		},
		Policy:      s.policy.Text(),
		Imports:     []record.ImportList{{List: "ofac-sdn", MaxRemovedPercent: 2}},
		RefusalsKey: s.keys.Refusals.Key().String(),
	}
}

// enrolments are the parties, in the order in which they join, and who signs.
func (s *scenario) enrolments() []enrolment {
	c := s.keyring
	all := []enrolment{{
		party: record.Authority,
		says: &record.Enrolment{
			LegalName: "Office of Cloud Restrictions (fictional)", Country: "XA", Roles: []record.Role{record.RoleAuthority},
			Keys: []record.PartyKey{
				c.officer("authority", "officer-1", record.FuncDesignator, record.FuncRegistrar),
				c.officer("authority", "officer-2", record.FuncDesignator, record.FuncLicensing),
				c.officer("authority", "officer-3", record.FuncDesignator, record.FuncDemands),
				c.automation("authority", "nightly-import", record.FuncImporter),
			},
		},
		sign: []string{"root-root-1", "root-root-2", "authority-officer-1", "authority-officer-2", "authority-officer-3", "authority-nightly-import"},
	}}
	for _, p := range []struct {
		id, name, country string
		automation        bool
	}{
		{"acme-cloud", "Acme Cloud, Inc. (fictional)", "US", true},
		{"borealis-compute", "Borealis Compute AB (fictional)", "XC", true},
		{"cirrus-hosting", "Cirrus Hosting Ltd (fictional)", "XD", false},
		{"delta-racks", "Delta Racks LLC (fictional)", "US", false},
	} {
		e := enrolment{
			party: p.id,
			says: &record.Enrolment{
				LegalName: p.name, Country: p.country, Roles: []record.Role{record.RoleProvider},
				Keys: []record.PartyKey{c.officer(p.id, "compliance")}, Contact: "compliance@" + p.id + ".example",
			},
			sign: []string{p.id + "-compliance", "authority-officer-1"},
		}
		if p.automation {
			e.says.Keys = append(e.says.Keys, c.automation(p.id, "ci"))
			e.sign = append(e.sign, p.id+"-ci")
		}
		all = append(all, e)
	}
	return all
}

type enrolment struct {
	party string
	says  *record.Enrolment
	sign  []string
}

// orders are the three designations.
func (s *scenario) orders() []order {
	d := s.dates
	days := func(target record.Target, measure, action string, conditions ...record.Condition) *record.Designation {
		due, until, from, today := d.due, d.until, d.from, d.today
		return &record.Designation{
			Measure: measure, Action: action, Target: target, Program: []string{"CLOUD-1"}, Conditions: conditions,
			DeterminedOn: &today, EffectiveFrom: &from, EffectiveUntil: &until, ResponseDue: &due,
		}
	}
	kestrel := days(record.Target{
		Schema: "Company", Role: "reseller", Name: "Kestrel Hosting FZ-LLC (fictional)", Country: "XB",
		Alias: []record.Alias{
			{Name: "Kestrel Cloud", Type: "aka"},
			{Name: "Кестрел Хостинг", Type: "aka", Script: "Cyrl"},
			{Name: "KH", Type: "aka", Weak: true},
		},
		RegistrationNumber: "0048213", ASN: []int64{64511}, Domain: []string{"kestrel-hosting.example"},
		Address: []record.Address{{Full: "1 Harbour Road, Port Kestrel", Country: "XB"}},
	}, "person", "condition",
		record.Condition{ID: "c1", Text: "No new accounts for the target or through its resale."},
		record.Condition{ID: "c2", Text: "Existing accounts only with identity verified within 30 days."})
	kestrel.Findings = []string{"anonymous-resale", "no-response-to-abuse"}
	kestria := days(record.Target{Schema: "Jurisdiction", Name: "Kestria (fictional)", Country: "XB"}, "jurisdiction", "prohibit")
	kestria.Findings = []string{"no-mutual-legal-assistance"}
	lumen := days(record.Target{
		Schema: "Company", Role: "reseller", Name: "Lumen Resale GmbH (fictional)", Country: "XC", Domain: []string{"lumen-resale.example"},
	}, "person", "prohibit")
	return []order{{"2026-014", "Kestrel Hosting", kestrel}, {"2026-015", "Kestria (jurisdiction)", kestria}, {"2026-016", "Lumen Resale", lumen}}
}

type order struct {
	name, short string
	says        *record.Designation
}

// correction amends the first order's registration number.
func (s *scenario) correction() *record.Amendment {
	return &record.Amendment{
		Type: "correction", Reason: "Registration number misprinted in the order; a second domain found.",
		Set: schema.Object{{Name: "target", Value: schema.Object{{Name: "registrationNumber", Value: "0048231"}}}},
		Add: schema.Object{{Name: "target", Value: schema.Object{{Name: "domain", Value: []any{"kestrel-cloud.example"}}}}},
	}
}

// certification certifies a provider's programme for this year, as far as it is over.
func (s *scenario) certification(thread record.Thread) *record.CIPCertification {
	accounts := record.NewOpening("/counts/foreignAccounts", "1204")
	return &record.CIPCertification{
		PeriodFrom: record.Date{Year: s.dates.year, Month: time.January, Day: 1}, PeriodUntil: s.dates.today,
		Reviewed: true, UpdatedForServices: true, UpdatedForThreats: true, Compliant: true, UnverifiableResolved: true, Initial: true,
		Counts: map[string]record.Commitment{"foreignAccounts": accounts.Commit(s.ledger, thread)},
	}
}

// document is the fictional paper behind a record; its digest is the subject.
func (s *scenario) document(name, text string) (record.Subject, *record.Document, error) {
	data := []byte(text)
	if err := s.write("documents/"+name, data); err != nil {
		return record.Subject{}, nil, err
	}
	size := int64(len(data))
	return record.Subject{Name: name, SHA256: record.IDOf(data)}, &record.Document{Name: name, MediaType: "text/plain", Bytes: &size}, nil
}

func orderText(o order) string {
	return fmt.Sprintf("ORDER %s (fictional)\n\nOffice of Cloud Restrictions\n\n%s is subject to special measures from %s.\n", o.name, o.says.Target.Name, o.says.EffectiveFrom)
}

// keyring holds the keys of all parties of the demo, by party-holder, as it also writes
// them, unencrypted, into one directory.
type keyring struct {
	dir     string
	signers map[string]*draft.Signer
}

// partyHolders are the holders of each party, in order.
var partyHolders = []struct {
	party   string
	holders []string
}{
	{"root", []string{"root-1", "root-2", "root-3"}},
	{"authority", []string{"officer-1", "officer-2", "officer-3", "nightly-import"}},
	{"acme-cloud", []string{"compliance", "ci"}},
	{"borealis-compute", []string{"compliance", "ci"}},
	{"cirrus-hosting", []string{"compliance"}},
	{"delta-racks", []string{"compliance"}},
}

func newKeyring(dir string) (*keyring, error) {
	c := &keyring{dir: dir, signers: make(map[string]*draft.Signer)}
	for _, p := range partyHolders {
		for _, holder := range p.holders {
			if err := c.add(p.party + "-" + holder); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *keyring) add(name string) error {
	private, public, err := draft.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, name+".pem")
	if err := os.WriteFile(file, private, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(file+".pub", public, 0o644); err != nil {
		return err
	}
	c.signers[name], err = draft.LoadSigner(private, nil)
	return err
}

// signer is the key of a party's holder: "authority-officer-1".
func (c *keyring) signer(name string) (*draft.Signer, error) {
	s := c.signers[name]
	if s == nil {
		return nil, fmt.Errorf("nobody in the story is called %s", name)
	}
	return s, nil
}

func (c *keyring) pem(name string) record.PEM { return c.signers[name].Key().PEM() }

func (c *keyring) officer(party, holder string, functions ...record.KeyFunction) record.PartyKey {
	return record.PartyKey{Key: c.pem(party + "-" + holder), Use: record.UseOfficer, Holder: holder, Functions: functions}
}

func (c *keyring) automation(party, holder string, functions ...record.KeyFunction) record.PartyKey {
	return record.PartyKey{Key: c.pem(party + "-" + holder), Use: record.UseAutomation, Holder: holder, Functions: functions}
}
