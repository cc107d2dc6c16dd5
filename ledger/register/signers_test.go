package register_test

import (
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestWhoMayNotSign tries to break each rule of RECORDS.md "Keys and who may
// sign" on a ledger with the authority and three providers, of which one is
// suspended and one withdrawn.
func TestWhoMayNotSign(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks", "echo-stopped", "foxtrot-gone")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	for party, status := range map[string]string{"echo-stopped": "suspended", "foxtrot-gone": "withdrawn"} {
		env, _ := sign(b, "party/"+party, "authority", &record.Standing{Status: status, EffectiveOn: today(b), Reason: "test"}, "authority/officer-1")
		b.Must(env)
	}
	// A second key of officer-1, a registrar beside it, an automation importer more.
	env, _ := sign(b, "party/authority", "authority", &record.Keys{Add: []record.PartyKey{
		b.Officer("authority/officer-1#2", record.FuncDesignator, record.FuncRegistrar),
		b.Recovery("authority/safe"),
	}}, "root/root-1", "root/root-3", "authority/officer-1#2", "authority/safe")
	b.Must(env)

	provider := func(id string, keys ...record.PartyKey) *record.Enrolment {
		return &record.Enrolment{LegalName: id, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: keys}
	}
	reseller := func(roles ...record.Role) *record.Enrolment {
		return &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: append([]record.Role{record.RoleReseller}, roles...), Keys: []record.PartyKey{b.Officer("lumen/o")}}
	}
	ack := &record.Response{Status: "acknowledged"}
	cip := &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}
	officers := func(n int, stem string) (keys []record.PartyKey, names []string) {
		for i := range n {
			name := fmt.Sprintf("%s/o-%d", stem, i)
			keys, names = append(keys, b.Officer(name)), append(names, name)
		}
		return keys, names
	}
	six, sixNames := officers(6, "many")
	eight, eightNames := officers(8, "toomany")

	for _, c := range []struct {
		name   string
		thread string
		issuer string
		say    record.Predicate
		keys   []string
		class  record.RefusalClass
		words  string
	}{
		// Thresholds count distinct holders.
		{"one officer", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1"},
			record.Forbidden, "2 officers needed, 1 signed (officer-1)"},
		{"one officer with two keys", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/officer-1#2"},
			record.Forbidden, "2 officers needed, 1 signed (officer-1)"},
		{"an officer and a stranger's key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "acme-cloud/compliance"},
			record.Forbidden, "belongs to acme-cloud"},
		{"an officer and a key that nobody enrolled", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "nobody/1"},
			record.Forbidden, "is not enrolled"},
		{"an officer and a root key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "root/root-1"},
			record.Forbidden, "is a root key"},
		{"an officer and the recovery key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/safe"},
			record.Forbidden, "is a recovery key of safe"},
		{"an officer and the importer, nothing imported", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/nightly-import"},
			record.Forbidden, "is an automation key of nightly-import (importer)"},
		{"the importer alone, nothing imported", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/nightly-import"},
			record.Forbidden, "2 officers needed, none signed"},
		{"the importer revokes an order", "designation/2026-014", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/nightly-import"},
			record.Forbidden, "2 officers needed"},
		{"one designator on an imported thread", "designation/ofac-sdn-36", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/officer-2"},
			record.Forbidden, "1 importer needed, none signed; key "},
		{"who that was", "designation/ofac-sdn-36", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/officer-2"},
			record.Forbidden, " is an officer key of officer-2 (designator"},
		{"a provider designates", "designation/1", "authority", b.NewDesignation("x"), []string{"acme-cloud/compliance"},
			record.Forbidden, "belongs to acme-cloud"},

		// Root keys.
		{"one root key enrols again the authority", "party/authority", "authority", &record.Enrolment{LegalName: "y", Country: "XA", Roles: []record.Role{record.RoleAuthority}},
			[]string{"root/root-1", "authority/officer-1"}, record.Forbidden, "2 root keys needed, 1 signed (root-1)"},
		{"root keys alone enrol again the authority", "party/authority", "authority", &record.Enrolment{LegalName: "y", Country: "XA", Roles: []record.Role{record.RoleAuthority}},
			[]string{"root/root-1", "root/root-2"}, record.Forbidden, "1 officer needed"},
		{"a registrar appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"authority/officer-1", "authority/new"}, record.Forbidden, "2 root keys needed, none signed"},
		{"one root key appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"root/root-1", "authority/officer-1", "authority/new"}, record.Forbidden, "2 root keys needed, 1 signed (root-1)"},
		{"root keys appoint a designator who did not sign", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"root/root-1", "root/root-2"}, record.Forbidden, "every listed key signs"},
		{"a designator revokes a key of the authority", "party/authority", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-1")}}},
			[]string{"authority/officer-2"}, record.Forbidden, "1 registrar needed, none signed"},
		{"root keys revoke a key of the authority", "party/authority", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"root/root-1", "root/root-2", "root/root-3"}, record.Forbidden, "1 registrar needed, none signed"},
		{"root keys replace a key of the authority", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new")}, Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"root/root-1", "root/root-2", "authority/new"}, record.Forbidden, "1 registrar needed, none signed"},
		{"a registrar replaces a key of the authority", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new")}, Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"authority/officer-1", "root/root-1", "authority/new"}, record.Forbidden, "2 root keys needed, 1 signed (root-1)"},
		{"a registrar suspends the authority", "party/authority", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"},
			[]string{"authority/officer-1"}, record.Forbidden, "2 root keys needed"},

		// Enrolments.
		{"an enrolment without a registrar", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o"},
			record.Forbidden, "1 registrar needed, none signed"},
		{"an enrolment by a designator", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o", "authority/officer-2"},
			record.Forbidden, "is an officer key of authority's officer-2 (designator, licensing)"},
		{"an enrolment without possession", "party/new", "new", provider("new", b.Officer("new/o"), b.Automation("new/ci")), []string{"new/o", "authority/officer-1"},
			record.Forbidden, "every listed key signs"},
		{"an enrolment of eight keys", "party/new", "new", provider("new", eight...), append(eightNames[:7:7], "authority/officer-1"),
			record.Forbidden, "every listed key signs"},
		{"a provider sponsors a provider", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o", "acme-cloud/compliance"},
			record.Forbidden, "1 registrar needed"},
		{"a provider sponsors a reseller that audits", "party/lumen", "lumen", reseller(record.RoleAuditor), []string{"lumen/o", "acme-cloud/compliance"},
			record.Forbidden, "1 registrar needed"},
		{"automation sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "acme-cloud/ci"},
			record.Forbidden, "1 registrar needed"},
		{"a suspended provider sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "echo-stopped/compliance"},
			record.Forbidden, "1 registrar needed"},
		{"a withdrawn provider sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "foxtrot-gone/compliance"},
			record.Forbidden, "1 registrar needed"},
		{"a withdrawn ID is used again", "party/foxtrot-gone", "foxtrot-gone", provider("Foxtrot II"), []string{"foxtrot-gone/compliance", "authority/officer-1"},
			record.Forbidden, "foxtrot-gone is withdrawn"},
		{"a later enrolment without an officer", "party/acme-cloud", "acme-cloud", provider("Acme II"), []string{"authority/officer-1", "acme-cloud/ci"},
			record.Forbidden, "1 officer needed"},
		{"a later enrolment without a registrar", "party/acme-cloud", "acme-cloud", provider("Acme II"), []string{"acme-cloud/compliance"},
			record.Forbidden, "1 registrar needed"},
		{"a later enrolment adds a key", "party/acme-cloud", "acme-cloud", provider("Acme II", b.Officer("acme-cloud/two")), []string{"acme-cloud/compliance", "acme-cloud/two", "authority/officer-1"},
			record.Invalid, "lists no keys"},
		{"a later enrolment changes roles", "party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "Acme", Country: "US", Roles: []record.Role{record.RoleProvider, record.RoleAuditor}}, []string{"acme-cloud/compliance", "authority/officer-1"},
			record.Invalid, "does not change that"},

		// One key, one owner, one holder.
		{"a key of two parties", "party/new", "new", provider("new", b.Officer("delta-racks/compliance")), []string{"delta-racks/compliance", "authority/officer-1"},
			record.Invalid, "belongs to delta-racks"},
		{"a root key as a party's", "party/new", "new", provider("new", b.Officer("root/root-1")), []string{"root/root-1", "authority/officer-1"},
			record.Invalid, "belongs to the root set"},
		{"an authority's key as a party's", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("authority/officer-2")}}, []string{"acme-cloud/compliance", "authority/officer-2"},
			record.Invalid, "belongs to authority"},
		{"a key that is there already", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/compliance")}}, []string{"acme-cloud/compliance"},
			record.Invalid, "already"},

		// keys.
		{"automation adds a key", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Automation("acme-cloud/two")}}, []string{"acme-cloud/ci", "acme-cloud/two"},
			record.Forbidden, "1 officer needed, none signed"},
		{"automation revokes a key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/safe")}}}, []string{"acme-cloud/ci"},
			record.Forbidden, "1 officer needed"},
		{"an added key does not sign", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"acme-cloud/compliance"},
			record.Forbidden, "every listed key signs"},
		{"an added key signs alone", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"acme-cloud/two"},
			record.Forbidden, "1 officer needed"},
		{"recovery adds an automation key", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two"), b.Automation("acme-cloud/ci-2")}}, []string{"acme-cloud/safe", "acme-cloud/two", "acme-cloud/ci-2"},
			record.Forbidden, "a recovery key signs only for officer keys"},
		{"recovery revokes an automation key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci")}}}, []string{"acme-cloud/safe"},
			record.Forbidden, "a recovery key signs only for officer keys"},
		{"another party changes keys", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci")}}}, []string{"delta-racks/compliance"},
			record.Forbidden, "belongs to delta-racks"},
		{"a party revokes another's key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("delta-racks/ci")}}}, []string{"acme-cloud/compliance"},
			record.Invalid, "is none of acme-cloud"},
		{"a designator adds a party's key", "party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"authority/officer-2", "acme-cloud/two"},
			record.Forbidden, "1 registrar needed"},
		{"a registrar revokes a party's own key", "party/acme-cloud", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/compliance")}}}, []string{"authority/officer-1"},
			record.Forbidden, "was not added by a registrar"},
		{"keys of nobody", "party/nobody", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("nobody/1")}}, []string{"authority/officer-1", "nobody/1"},
			record.Invalid, "nobody was enrolled"},

		// Standing of parties.
		{"a suspended provider certifies", "cip/echo-stopped", "echo-stopped", cip, []string{"echo-stopped/compliance"},
			record.Forbidden, "echo-stopped is suspended"},
		{"a withdrawn provider responds", "response/2026-014/foxtrot-gone", "foxtrot-gone", ack, []string{"foxtrot-gone/compliance"},
			record.Forbidden, "foxtrot-gone is withdrawn"},
		{"a withdrawn provider changes keys", "party/foxtrot-gone", "foxtrot-gone", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("foxtrot-gone/ci")}}}, []string{"foxtrot-gone/compliance"},
			record.Forbidden, "foxtrot-gone is withdrawn"},
		{"a registrar helps a withdrawn provider", "party/foxtrot-gone", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("foxtrot-gone/new")}}, []string{"authority/officer-1", "foxtrot-gone/new"},
			record.Forbidden, "foxtrot-gone is withdrawn"},
		{"a withdrawn party comes back", "party/foxtrot-gone", "authority", &record.Standing{Status: "active", EffectiveOn: today(b), Reason: "x"}, []string{"authority/officer-1"},
			record.Conflict, "for good"},
		{"a designator suspends a party", "party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, []string{"authority/officer-2"},
			record.Forbidden, "1 registrar needed"},

		// Providers.
		{"automation certifies", "cip/acme-cloud", "acme-cloud", cip, []string{"acme-cloud/ci"},
			record.Forbidden, "1 officer needed, none signed"},
		{"recovery responds", "response/2026-014/acme-cloud", "acme-cloud", ack, []string{"acme-cloud/safe"},
			record.Forbidden, "is a recovery key of safe"},
		{"one provider for another", "response/2026-014/acme-cloud", "acme-cloud", ack, []string{"delta-racks/compliance"},
			record.Forbidden, "belongs to delta-racks"},
		{"the authority responds", "response/2026-014/authority", "authority", ack, []string{"authority/officer-1"},
			record.Forbidden, "authority is no provider"},
		{"an issuer that nobody enrolled", "response/2026-014/acme-clowd", "acme-clowd", ack, []string{"acme-cloud/ci"},
			record.Invalid, `did you mean "acme-cloud"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, c.issuer, c.say, c.keys...)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.class, c.words)
		})
	}

	t.Run("six keys and a registrar", func(t *testing.T) {
		env, names := sign(b, "party/many", "many", provider("many", six...), append(sixNames, "authority/officer-1")...)
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		e, err := b.Register.Begin(b.Now).Judge(v)
		if err != nil {
			t.Fatal(err)
		}
		wantSigners(t, b, e, names...)
	})
	t.Run("eight keys leave no room for a registrar", func(t *testing.T) {
		env, keys := sign(b, "party/toomany", "toomany", provider("toomany", eight...), append(eightNames, "authority/officer-1")...)
		wantRefusal(t, judgeRefused(t, b, env, keys...), record.Invalid, "list at most 7")
	})
}

// TestTwoRegistrars: with a threshold of two, one registrar's two keys are one.
func TestTwoRegistrars(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	mustSubmit(t, b, "party/authority", "authority", &record.Keys{Add: []record.PartyKey{
		b.Officer("authority/officer-1#2", record.FuncRegistrar), b.Officer("authority/officer-4", record.FuncRegistrar),
	}}, "root/root-1", "root/root-2", "authority/officer-1#2", "authority/officer-4")
	b.Must(charterEnvelope(b, func(c *record.Charter) { c.Thresholds.Registrar = 2 }, "root/root-1", "root/root-2"))

	e := &record.Enrolment{LegalName: "New", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("new/o")}}
	standing := &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}
	recovery := &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/new")}}
	for _, c := range []struct {
		thread, issuer string
		say            record.Predicate
		own            []string
	}{
		{"party/new", "new", e, []string{"new/o"}},
		{"party/acme-cloud", "authority", standing, nil},
		{"party/acme-cloud", "authority", recovery, []string{"acme-cloud/new"}},
	} {
		env, keys := sign(b, c.thread, c.issuer, c.say, append(c.own[:len(c.own):len(c.own)], "authority/officer-1", "authority/officer-1#2")...)
		wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "2 registrars needed, 1 signed (officer-1)")
		env, _ = sign(b, c.thread, c.issuer, c.say, append(c.own[:len(c.own):len(c.own)], "authority/officer-1", "authority/officer-4")...)
		if _, err := b.Submit(env); err != nil {
			t.Errorf("%s: %v", c.say.Kind(), err)
		}
	}
	// Revoking one of the authority's keys still takes one.
	mustSubmit(t, b, "party/authority", "authority", revoke(b, "authority/officer-1#2"), "authority/officer-4")
}

// TestMaySign: who may not sign is told whose the key is, before there is a signature.
func TestMaySign(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	mustSubmit(t, b, "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Recovery("authority/safe")}}, "root/root-1", "root/root-3", "authority/safe")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
	mustSubmit(t, b, "party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/late")}}, "authority/officer-1", "acme-cloud/late")
	ack := &record.Response{Status: "acknowledged"}
	late := b.NewDesignation("Lumen")
	late.EffectiveFrom = ptr(today(b))
	automation := &record.Keys{Add: []record.PartyKey{b.Automation("acme-cloud/two")}}
	for _, c := range []struct {
		thread, issuer string
		say            record.Predicate
		key, words     string // none: it may, or Preflight says what is at fault
	}{
		{"designation/1", "authority", b.NewDesignation("x"), "authority/officer-1", ""},
		{"designation/1", "authority", b.NewDesignation("x"), "authority/nightly-import", "is an automation key of nightly-import (importer), and may not sign this designation"},
		{"designation/1", "authority", b.NewDesignation("x"), "root/root-1", "is a root key, and"},
		{"designation/1", "authority", b.NewDesignation("x"), "acme-cloud/compliance", "belongs to acme-cloud, and"},
		{"designation/1", "authority", b.NewDesignation("x"), "nobody/1", "is not enrolled, and"},
		{"designation/1", "authority", late, "nobody/1", ""},
		{"designation/2026-014", "authority", b.NewDesignation("x"), "nobody/1", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "acme-cloud/ci", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "delta-racks/ci", "belongs to delta-racks, and"},
		{"response/2026-099/acme-cloud", "acme-cloud", ack, "delta-racks/ci", ""},
		{"party/acme-cloud", "acme-cloud", automation, "acme-cloud/two", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "acme-cloud/late", "was added by the registrar and counts from"},
		{"party/acme-cloud", "acme-cloud", automation, "acme-cloud/safe", "is a recovery key of safe, and"},
	} {
		err := b.Register.Begin(b.Now).MaySign(b.Statement(c.thread, c.issuer, c.say), b.Signer(c.key).Key())
		switch {
		case c.key == "acme-cloud/late":
			wantRefusal(t, err, record.TooEarly, c.words)
		case c.words != "":
			wantRefusal(t, err, record.Forbidden, c.words)
		case err != nil:
			t.Errorf("%s on %s: %v", c.key, c.thread, err)
		}
	}
}
