package registertest

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Charter is the record at index 0, signed by every root key.
func (w *World) Charter() record.Envelope {
	c := w.CharterPredicate
	c.RootKeys = slices.Clone(c.RootKeys)
	return w.Sign(w.Statement("charter", record.Authority, &c), "root/root-1", "root/root-2", "root/root-3")
}

// Authority enrols the authority: officer-1 (designator, registrar), officer-2
// (designator, licensing), officer-3 (designator) and the automation key
// nightly-import (importer), with two root keys.
func (w *World) Authority() record.Envelope {
	e := &record.Enrolment{
		LegalName: "Office of Cloud Restrictions (fictional)", Country: "XA", Roles: []record.Role{record.RoleAuthority},
		Keys: []record.PartyKey{
			w.Officer("authority/officer-1", record.FuncDesignator, record.FuncRegistrar),
			w.Officer("authority/officer-2", record.FuncDesignator, record.FuncLicensing),
			w.Officer("authority/officer-3", record.FuncDesignator),
			w.Automation("authority/nightly-import", record.FuncImporter),
		},
	}
	return w.Sign(w.Statement("party/authority", record.Authority, e),
		"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import", "root/root-1", "root/root-2")
}

// Provider enrols a provider with the keys compliance (officer), ci (automation)
// and safe (recovery), and officer-1 as registrar.
func (w *World) Provider(id string) record.Envelope {
	e := &record.Enrolment{
		LegalName: id + ", Inc. (fictional)", Country: "US", Roles: []record.Role{record.RoleProvider},
		Keys: []record.PartyKey{w.Officer(id + "/compliance"), w.Automation(id + "/ci"), w.Recovery(id + "/safe")},
	}
	return w.Sign(w.Statement("party/"+id, id, e), id+"/compliance", id+"/ci", id+"/safe", "authority/officer-1")
}

// NewDesignation is a designation that any charter with the standard periods admits now:
// a company under two conditions, announced 190 days ahead, answers due in 46.
func (w *World) NewDesignation(name string) *record.Designation {
	today := record.DateOf(w.Now, zone)
	from := today.AddDays(190)
	until := from.Add(record.Period{Years: 1}).AddDays(-1)
	due := today.AddDays(46)
	return &record.Designation{
		Measure: "person", Action: "condition",
		Target:       record.Target{Schema: "Company", Name: name, Country: "XB", Role: "reseller", Domain: []string{"kestrel.example"}, ASN: []int64{64511}},
		Program:      []string{"CLOUD-1"},
		Conditions:   []record.Condition{{ID: "c1", Text: "No new accounts."}, {ID: "c2", Text: "Verified identity only."}},
		DeterminedOn: &today, EffectiveFrom: &from, EffectiveUntil: &until, ResponseDue: &due,
	}
}

// Designate signs an order on designation/NAME as two officers.
func (w *World) Designate(name string, d *record.Designation) record.Envelope {
	return w.Sign(w.Statement("designation/"+name, record.Authority, d), "authority/officer-1", "authority/officer-2")
}

// NewListedDesignation is an imported designation of the list ofac-sdn.
func (w *World) NewListedDesignation(id, name string) *record.Designation {
	return &record.Designation{
		Measure: "person", Action: "prohibit",
		Target:  record.Target{Schema: "Organization", Name: name},
		Program: []string{"SDGT"}, Source: &record.Source{List: "ofac-sdn", ID: id},
	}
}

// ImportListed signs a record on the thread of ofac-sdn's entity as the nightly import.
func (w *World) ImportListed(id string, p record.Predicate) record.Envelope {
	return w.Sign(w.Statement("designation/ofac-sdn-"+id, record.Authority, p), "authority/nightly-import")
}

// Respond answers a designation as a provider's automation key.
func (w *World) Respond(designation, provider string, r *record.Response) record.Envelope {
	return w.Sign(w.Statement("response/"+designation+"/"+provider, provider, r), provider+"/ci")
}
