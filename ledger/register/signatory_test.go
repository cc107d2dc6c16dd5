package register_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestResponsibleKeys: whoever is named by others' words alone answers for nothing.
func TestResponsibleKeys(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: revoke(b, "acme-cloud/ci").Revoke}, "acme-cloud/compliance")
	short := b.Officer("acme-cloud/short")
	short.NotAfter = ptr(today(b).AddDays(9))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{short}}, "acme-cloud/compliance", "acme-cloud/short")

	enrol := func(keys ...string) *record.Enrolment {
		e := &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleReseller}}
		for _, k := range keys {
			e.Keys = append(e.Keys, b.Officer(k))
		}
		return e
	}
	charter := b.CharterPredicate
	charter.RootKeys = []record.RootKey{b.RootKey("usurper")}
	charter.Thresholds.Root = 1
	mole := &record.Keys{Add: []record.PartyKey{b.Officer("delta-racks/mole")}}
	for _, c := range []struct {
		name           string
		thread, issuer string
		say            record.Predicate
		keys           []string
		after          time.Duration
		want           string
	}{
		{"its own key", "response/1/acme-cloud", "acme-cloud", acknowledged, []string{"acme-cloud/compliance"}, 0, "acme-cloud's compliance"},
		{"a key on its last day", "response/1/acme-cloud", "acme-cloud", acknowledged, []string{"acme-cloud/short"}, days(9), "acme-cloud's short"},
		{"a key whose time is over", "response/1/acme-cloud", "acme-cloud", acknowledged, []string{"acme-cloud/short"}, days(10), ""},
		{"one officer of two", "designation/2", "authority", b.NewDesignation("x"), officers[:1], 0, "authority's officer-1"},
		{"two officers", "designation/2", "authority", b.NewDesignation("x"), officers[:2], 0, "authority's officer-2, authority's officer-1"},
		{"an enrolment's own keys", "party/acme-cloud", "acme-cloud", enrol("stranger/key"), []string{"stranger/key"}, 0, ""},
		{"a revoked key, listed", "party/acme-cloud", "acme-cloud", enrol("acme-cloud/ci"), []string{"acme-cloud/ci"}, 0, ""},
		{"a registrar", "party/new", "new", enrol("new/key"), []string{"new/key", "authority/officer-1"}, 0, "authority's officer-1"},
		{"a sponsor", "party/new", "new", enrol("new/key"), []string{"new/key", "delta-racks/compliance"}, 0, "delta-racks's compliance"},
		{"a provider in the authority's name", "party/delta-racks", "authority", mole, []string{"delta-racks/mole", "delta-racks/compliance"}, 0, "delta-racks's compliance"},
		{"a charter's own keys", "charter", "authority", &charter, []string{"root/usurper"}, 0, ""},
		{"a root key", "charter", "authority", &charter, []string{"root/usurper", "root/root-1"}, 0, "the root set's root-1"},
	} {
		env, _ := sign(b, c.thread, c.issuer, c.say, c.keys...)
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := b.Register.ResponsibleKeys(v, b.Now.Add(c.after))
		var who []string
		for _, s := range got {
			who = append(who, s.String())
		}
		if strings.Join(who, ", ") != c.want || err != nil {
			t.Errorf("%s: %q answer for it, %v; want %q", c.name, who, err, c.want)
		}
	}
}
