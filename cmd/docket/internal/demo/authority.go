package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// admitCharter writes, signs and admits the charter. It is the one record that does not
// go over HTTP: there is no server before there is a ledger.
func (s *scenario) admitCharter(ctx context.Context) (err error) {
	s.printChapter("authority")
	if s.dates, err = newScenarioDates(time.Now(), zoneAtFirst); err != nil {
		return err
	}
	c := s.newCharter(zoneAtFirst)
	st := s.statement(record.CharterThread, record.Authority, c)
	if err := s.attachDocument(st, "charter.txt", c.Name+"\n\nCharter of the ledger "+origin+".\n"); err != nil {
		return err
	}
	env, err := s.sign(ctx, st, "root-root-1", "root-root-2", "root-root-3")
	if err != nil {
		return err
	}
	if _, _, err := s.node.Admit(ctx, env); err != nil {
		return err
	}
	s.ledger = record.IDOf(env.Payload)
	s.heads[record.CharterThread] = s.ledger
	r, err := s.client.Receipt(ctx, s.ledger, client.SinglePolicy{Only: s.policy})
	if err != nil {
		return err
	}
	if err := s.saveReceipt("charter", r); err != nil {
		return err
	}
	s.printStep("#0", "charter", "Office of Cloud Restrictions, 2 of 3 root keys, 3 witnesses (2 must cosign)")
	return nil
}

// enrolAndDesignate enrols all parties, tries an order with one signature, and gives
// three.
func (s *scenario) enrolAndDesignate(ctx context.Context) error {
	var names []string
	all := s.enrolments()
	for _, e := range all {
		if err := s.enrol(ctx, e); err != nil {
			return err
		}
		names = append(names, e.party)
	}
	names[0] = "authority (3 officers)"
	s.printStep(fmt.Sprintf("#1-%d", len(all)), "enrolments", strings.Join(names, ", "))

	orders := s.orders()
	for i, o := range orders {
		st := s.statement(record.DesignationThread(o.name), record.Authority, o.says)
		if err := s.attachDocument(st, "order-"+o.name+".txt", orderText(o)); err != nil {
			return err
		}
		if i == 0 {
			_, err := s.send(ctx, st, "authority-officer-1")
			s.expectRefused("designation", o.name+" with one officer's signature", err)
		}
		if _, err := s.submit(ctx, "designation-"+o.name, st, "authority-officer-1", "authority-officer-2"); err != nil {
			return err
		}
	}
	s.printStep("#6-8", "designations", fmt.Sprintf("%s %s, %s %s, %s %s; 2 officers each", orders[0].name, orders[0].short, orders[1].name, orders[1].short, orders[2].name, orders[2].short))

	return nil
}

// enrol enrols a party. Its first key is what the record is about.
func (s *scenario) enrol(ctx context.Context, e enrolment) error {
	st := s.statement(record.PartyThread(e.party), e.party, e.says)
	key, err := e.says.Keys[0].Key.Key()
	if err != nil {
		return err
	}
	st.Subject.SHA256 = record.IDOf(key.DER())
	_, err = s.submit(ctx, "enrolment-"+e.party, st, e.sign...)
	return err
}

// newCharter is the constitution of the demo's ledger, in which days end by that time zone.
func (s *scenario) newCharter(timeZone string) *record.Charter {
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
	kestrel := d.designation(record.Target{
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
	kestria := d.designation(record.Target{Schema: "Jurisdiction", Name: "Kestria (fictional)", Country: "XB"}, "jurisdiction", "prohibit")
	kestria.Findings = []string{"no-mutual-legal-assistance"}
	lumen := d.designation(record.Target{
		Schema: "Company", Role: "reseller", Name: "Lumen Resale GmbH (fictional)", Country: "XC", Domain: []string{"lumen-resale.example"},
	}, "person", "prohibit")
	return []order{{"2026-014", "Kestrel Hosting", kestrel}, {"2026-015", "Kestria (jurisdiction)", kestria}, {"2026-016", "Lumen Resale", lumen}}
}

// designation is one that is determined today. The dates are copied: each record has its own.
func (d scenarioDates) designation(target record.Target, measure, action string, conditions ...record.Condition) *record.Designation {
	return &record.Designation{
		Measure: measure, Action: action, Target: target, Program: []string{"CLOUD-1"}, Conditions: conditions,
		DeterminedOn: &d.today, EffectiveFrom: &d.from, EffectiveUntil: &d.until, ResponseDue: &d.due,
	}
}

type order struct {
	name, short string
	says        *record.Designation
}

func orderText(o order) string {
	return fmt.Sprintf("ORDER %s (fictional)\n\nOffice of Cloud Restrictions\n\n%s is subject to special measures from %s.\n", o.name, o.says.Target.Name, o.says.EffectiveFrom)
}
