package register_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const reselling record.Thread = "reseller/lumen/acme-cloud"

// report is acme-cloud's word on lumen.
func report(b *registertest.Fixture, status record.ResellerStatus) *record.ResellerReport {
	r := &record.ResellerReport{Provider: "acme-cloud", Status: status}
	switch status {
	case record.ResellerUnconfirmed:
		r.Reseller = &record.Reseller{LegalName: "Lumen", Country: "XC"}
	case record.ResellerActive:
		r.VerifiedAt = ptr(today(b))
	}
	return r
}

func resellingWorld() *registertest.Fixture {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	e := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/desk"), b.Automation("lumen/ci")}}
	b.Must(b.Sign(b.Statement("party/lumen", "lumen", e), "lumen/desk", "lumen/ci", "acme-cloud/compliance"))
	return b
}

// TestResellerSigners: an active reseller is the word of both, all else the provider's alone.
func TestResellerSigners(t *testing.T) {
	b := resellingWorld()
	both := []string{"acme-cloud/compliance", "lumen/desk"}
	auditor := &record.Enrolment{LegalName: "Vigil", Country: "XC", Roles: []record.Role{record.RoleAuditor}, Keys: []record.PartyKey{b.Officer("vigil/desk")}}
	b.Must(b.Sign(b.Statement("party/vigil", "vigil", auditor), "vigil/desk", "authority/officer-1"))
	stopped := &record.Enrolment{LegalName: "Halt", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("halt/desk")}}
	b.Must(b.Sign(b.Statement("party/halt", "halt", stopped), "halt/desk", "authority/officer-1"))
	b.Must(b.Sign(b.Statement("party/halt", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "r"}), "authority/officer-1"))
	for _, c := range []struct {
		name   string
		thread record.Thread
		by     string
		say    *record.ResellerReport
		keys   []string
		want   string
	}{
		{"active by the provider alone", reselling, "acme-cloud", report(b, "active"), both[:1], "forbidden"},
		{"active by the reseller alone", reselling, "acme-cloud", report(b, "active"), both[1:], "forbidden"},
		{"active by the reseller's machine", reselling, "acme-cloud", report(b, "active"), []string{"acme-cloud/compliance", "lumen/ci"}, "forbidden"},
		{"active by the provider's machine", reselling, "acme-cloud", report(b, "active"), []string{"acme-cloud/ci", "lumen/desk"}, "forbidden"},
		{"unconfirmed by the provider's machine", reselling, "acme-cloud", report(b, "unconfirmed"), []string{"acme-cloud/ci"}, "forbidden"},
		{"unconfirmed by the authority", reselling, "acme-cloud", report(b, "unconfirmed"), []string{"authority/officer-1"}, "forbidden"},
		{"by a reseller as provider", "reseller/acme-cloud/lumen", "lumen", &record.ResellerReport{Provider: "lumen", Status: "active", VerifiedAt: ptr(today(b))}, both, "forbidden"},
		{"active and not enrolled", "reseller/lumem/acme-cloud", "acme-cloud", report(b, "active"), both[:1], "invalid /predicate/thread"},
		{"active and no reseller", "reseller/vigil/acme-cloud", "acme-cloud", report(b, "active"), []string{"acme-cloud/compliance", "vigil/desk"}, "invalid /predicate/thread"},
		{"active and suspended", "reseller/halt/acme-cloud", "acme-cloud", report(b, "active"), []string{"acme-cloud/compliance", "halt/desk"}, "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, c.by, c.say, c.keys...)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
		})
	}
	// Who is not a party can be unconfirmed.
	wantSigners(t, b, b.Must(b.Sign(b.Statement("reseller/nobody/acme-cloud", "acme-cloud", report(b, "unconfirmed")), both[0])), both[0])
	wantSigners(t, b, b.Must(b.Sign(b.Statement(reselling, "acme-cloud", report(b, "active")), both...)), both...)
	b.Must(b.Sign(b.Statement("party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "r"}), "authority/officer-1"))
	env, keys := sign(b, reselling, "acme-cloud", report(b, "terminated"), both[0])
	t.Run("by a suspended provider", func(t *testing.T) { wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden") })
}

// TestResellerDates: nothing is verified or tried on a day to come, nor verified before it
// last was.
func TestResellerDates(t *testing.T) {
	b := resellingWorld()
	both := []string{"acme-cloud/compliance", "lumen/desk"}
	on := func(n int) *record.ResellerReport {
		r := report(b, "active")
		r.VerifiedAt = ptr(today(b).AddDays(n))
		return r
	}
	tried := report(b, "unconfirmed")
	tried.Attempts = []record.Date{today(b), today(b).AddDays(1)}
	abroad := report(b, "unconfirmed")
	abroad.Reseller.Country = "ZZ"
	b.Must(b.Sign(b.Statement(reselling, "acme-cloud", on(-3)), both...))
	for _, c := range []struct {
		name   string
		thread record.Thread
		say    *record.ResellerReport
		want   string
	}{
		{"verified tomorrow", reselling, on(1), "invalid /predicate/verifiedAt"},
		{"verified before", reselling, on(-4), "invalid /predicate/verifiedAt"},
		{"tried tomorrow", "reseller/nobody/acme-cloud", tried, "invalid /predicate/attempts/1"},
		{"of no country", "reseller/nobody/acme-cloud", abroad, "invalid /predicate/reseller/country"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, "acme-cloud", c.say, both...)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
		})
	}
	b.Must(b.Sign(b.Statement(reselling, "acme-cloud", on(-3)), both...)) // said again
	b.Must(b.Sign(b.Statement(reselling, "acme-cloud", report(b, "breach")), both[0]))
	b.Must(b.Sign(b.Statement(reselling, "acme-cloud", report(b, "terminated")), both[0]))
	env, keys := sign(b, reselling, "acme-cloud", on(-4), both...)
	t.Run("verified before, in another life", func(t *testing.T) {
		wantRefusal(t, judgeRefused(t, b, env, keys...), "invalid /predicate/verifiedAt")
	})
}

// TestResellerLife: of each status, which ones may follow it.
func TestResellerLife(t *testing.T) {
	all := []record.ResellerStatus{"unconfirmed", "active", "breach", "terminated"}
	for _, c := range []struct {
		before record.ResellerStatus // "" for the first
		may    []record.ResellerStatus
	}{
		{"", all[:2]},
		{"unconfirmed", all},
		{"active", all[1:]},
		{"breach", all[3:]},
		{"terminated", all[:2]},
	} {
		for _, next := range all {
			t.Run(fmt.Sprintf("%s after %s", next, c.before), func(t *testing.T) {
				b := resellingWorld()
				for _, s := range map[record.ResellerStatus][]record.ResellerStatus{
					"unconfirmed": {"unconfirmed"}, "active": {"active"}, "breach": {"active", "breach"}, "terminated": {"unconfirmed", "terminated"},
				}[c.before] {
					b.Must(b.Sign(b.Statement(reselling, "acme-cloud", report(b, s)), "acme-cloud/compliance", "lumen/desk"))
				}
				env, keys := sign(b, reselling, "acme-cloud", report(b, next), "acme-cloud/compliance", "lumen/desk")
				if slices.Contains(c.may, next) {
					b.Must(env)
					return
				}
				want := "conflict"
				if c.before == "" {
					want = "invalid /predicate/status"
				}
				wantRefusal(t, judgeRefused(t, b, env, keys...), want)
			})
		}
	}
}
