package view_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// TestEffects tells a story and reads what a dry run says before each record.
func TestEffects(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis", "cirrus", "delta-racks", "echo")
	short := func(name string) string { return b.KeyID(name)[:len("SHA256:")+8] + "…" }
	first := b.Designate("0", b.NewDesignation("Early"))
	for _, c := range []struct {
		thread record.Thread
		issuer string
		say    record.Predicate
		keys   []string
		want   string
	}{
		{"party/echo", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, []string{"authority/officer-1"},
			"echo is suspended from 2026-11-23 on"},
		{"designation/1", "authority", b.NewDesignation("Kestrel"), officers,
			"is in force from 2027-06-01 until 2028-05-31; opens 4 duties to respond, due 2027-01-08"},
		{"designation/ofac-sdn-36", "authority", b.NewListedDesignation("36", "AERO"), []string{"authority/nightly-import"},
			"is in force at once"},
		{"designation/1", "authority", &record.Amendment{Type: "alias", Reason: "x", Add: fragment(t, `{"target":{"alias":[{"name":"K","type":"aka"}]}}`)}, officers,
			"amends designation/1, \"Kestrel\""},
		{"response/1/acme-cloud", "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: ptr(today(b).AddDays(99))}, []string{"acme-cloud/ci"},
			"meets the duty to respond to designation/1; opens a duty to conclude by 2027-03-02"},
		{"response/1/borealis", "borealis", acknowledged, []string{"borealis/ci"},
			"meets the duty to respond to designation/1; opens a duty to conclude by 2027-06-01, when it takes effect"},
		{"response/ofac-sdn-36/borealis", "borealis", noRelationship, []string{"borealis/ci"},
			"answers designation/ofac-sdn-36, which asks for no answer"},
		{"designation/1", "authority", &record.Amendment{Type: "scope", Reason: "x", Set: setMember("scope", setMember("successors", true)), ResponseDue: ptr(today(b).AddDays(60))}, officers,
			"amends designation/1, \"Kestrel\"; re-opens 4 duties to respond, due 2027-01-22"},
		{"designation/1", "authority", suspend(b, 3, ptr(today(b).AddDays(9))), officers,
			"suspends designation/1 from 2026-11-26 until 2026-12-02; what falls due meanwhile is due 2027-01-02"},
		{"designation/1", "authority", &record.Reinstatement{EffectiveOn: today(b).AddDays(5), Reason: "x"}, officers,
			"reinstates designation/1 from 2026-11-28 on"},
		{"licence/1", "authority", &record.Licence{Type: "general", Designations: []string{"1"}, From: today(b).AddDays(-2), Until: today(b).AddDays(50)}, []string{"authority/officer-2"},
			"licenses from 2026-11-23 until 2027-01-12; pauses everybody's duties to respond and to conclude by 1 designation; what falls due meanwhile is due 2027-02-12"},
		{"designation/1", "authority", &record.Amendment{Type: "correction", Reason: "x", Set: setMember("findings", []any{"f"}), Reopens: true, ResponseDue: ptr(today(b).AddDays(35))}, officers,
			"amends designation/1, \"Kestrel\"; re-opens 4 duties to respond, due 2027-02-12"},
		{"licence/2", "authority", &record.Licence{Type: "specific", Holder: "cirrus", Sections: []string{"§ 7.306"}, From: today(b), Until: today(b)}, []string{"authority/officer-2"},
			"licenses from 2026-11-23 until 2026-11-23; pauses no duty"},
		{"licence/3", "authority", &record.Licence{Type: "adp-exemption", Holder: "cirrus", From: today(b), Until: today(b).AddDays(9)}, []string{"authority/officer-2"},
			"licenses from 2026-11-23 until 2026-12-02; pauses cirrus's duties to certify and to commit to its customer log; what falls due meanwhile is due 2027-01-02"},
		{"licence/3", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "superseded", Reason: "x"}, []string{"authority/officer-2"},
			"revokes licence/3 from 2026-11-23 on (superseded): final"},
		{"reseller/lumen/cirrus", "cirrus", &record.ResellerReport{Provider: "cirrus", Status: "unconfirmed", Reseller: &record.Reseller{LegalName: "L", Country: "XC"}}, []string{"cirrus/compliance"},
			"cirrus's reseller lumen is unconfirmed; nothing is owed by it until it is active"},
		{"party/lumen", "lumen", &record.Enrolment{LegalName: "L", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/desk")}}, []string{"lumen/desk", "cirrus/compliance"},
			"enrols lumen as reseller with 1 key; they sign from index 24 on"},
		{"reseller/lumen/cirrus", "cirrus", &record.ResellerReport{Provider: "cirrus", Status: "active", VerifiedAt: ptr(today(b).AddDays(-1))}, []string{"cirrus/compliance", "lumen/desk"},
			"cirrus's reseller lumen is active; to be verified anew by 2027-11-22"},
		{"reseller/lumen/cirrus", "cirrus", &record.ResellerReport{Provider: "cirrus", Status: "breach"}, []string{"cirrus/compliance"},
			"cirrus's reseller lumen is in breach; to be terminated by 2026-12-23"},
		{"reseller/lumen/cirrus", "cirrus", &record.ResellerReport{Provider: "cirrus", Status: "terminated"}, []string{"cirrus/compliance"},
			"cirrus's reseller lumen is terminated"},
		{"designation/1", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "error", Reason: "x"}, officers,
			"revokes designation/1 from 2026-11-23 on (error): final"},
		{"cip/cirrus", "cirrus", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, []string{"cirrus/compliance"},
			"certifies cirrus from 2026-11-23 until 2026-11-23"},
		{"customer-log/acme-cloud", "acme-cloud", registertest.NewPrivateLog("acme.example").Commit(today(b).AddDays(-2)), []string{"acme-cloud/ci"},
			"commits acme-cloud to the 0 leaves of acme.example, until 2026-11-21; the next is due 2026-12-22"},
		{"customer-log/acme-cloud", "acme-cloud", restarted(registertest.NewPrivateLog("acme-2.example").Commit(today(b).AddDays(-3))), []string{"acme-cloud/ci"},
			"says for ever that the private log of acme-cloud was lost; commits acme-cloud to the 0 leaves of acme-2.example, until 2026-11-20; covers no new day: an earlier record reaches until 2026-11-21"},
		{"abuse/acme-cloud", "acme-cloud", &record.AbuseReport{PeriodFrom: today(b), PeriodUntil: today(b), Band: "0"}, []string{"acme-cloud/ci"},
			"reports abuse at acme-cloud from 2026-11-23 until 2026-11-23; the next is due 2026-12-24"},
		{"ai/1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: today(b).AddDays(-15), Threshold: "t"}, []string{"acme-cloud/ci"},
			"reports a training run that acme-cloud knew of on 2026-11-08, in time: it is due 2026-11-23"},
		{"ai/1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: today(b), Threshold: "t"}, []string{"acme-cloud/ci"},
			"reports a training run that acme-cloud knew of on 2026-11-08; the first report on the thread decides whether it was in time"},
		{"ai/2/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: today(b).AddDays(-16), Threshold: "t"}, []string{"acme-cloud/ci"},
			"reports a training run that acme-cloud knew of on 2026-11-07, late: it was due 2026-11-22"},
		{"party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/new")}, Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci")}}}, []string{"acme-cloud/compliance", "acme-cloud/new"},
			"revokes key " + short("acme-cloud/ci") + " of ci; it signs no more from index 36 on; adds key " + short("acme-cloud/new") + " of new (officer); it signs from index 36 on"},
		{"party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/lost")}}, []string{"authority/officer-1", "acme-cloud/lost"},
			"adds key " + short("acme-cloud/lost") + " of lost (officer), added by the registrar: it counts from 2026-11-30T18:00:00Z on"},
		{"party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "Acme II", Country: "US", Roles: []record.Role{record.RoleProvider}}, []string{"acme-cloud/compliance", "authority/officer-1"},
			"replaces what describes acme-cloud"},
		{"charter", "authority", &b.CharterPredicate, []string{"root/root-1", "root/root-2"},
			"amends the charter; it judges from index 39 on"},
	} {
		env := b.Sign(b.Statement(c.thread, c.issuer, c.say), c.keys...)
		size := b.Register.Size()
		if got := effectsOf(t, b, env); got != c.want {
			t.Errorf("%s: got %q, want %q", c.say.Kind(), got, c.want)
		}
		if b.Register.Size() != size {
			t.Fatal("a dry run changed the register")
		}
		b.Must(env)
	}

	// An answer to what was asked before is admitted and meets nothing; one that
	// comes late says so.
	b.Must(first)
	b.Now = b.Now.Add(days(60))
	if got := effectsOf(t, b, b.Respond("0", "delta-racks", noRelationship)); got != "meets the duty to respond to designation/0, late: it was due 2027-01-08" {
		t.Errorf("late: got %q", got)
	}
	submit(t, b, "designation/0", "authority", &record.Amendment{Type: "correction", Reason: "x", Set: setMember("findings", []any{"f"}), Reopens: true, ResponseDue: ptr(today(b).AddDays(60))}, officers...)
	st := b.Statement("response/0/delta-racks", "delta-racks", noRelationship)
	st.Subject.SHA256 = record.IDOf(first.Payload)
	if got := effectsOf(t, b, b.Sign(st, "delta-racks/ci")); got != "meets no duty: it is about the record at index 39, but index 40 asks anew" {
		t.Errorf("stale: got %q", got)
	}
}

func restarted(c *record.CustomerLog) *record.CustomerLog {
	c.Restart = &record.LogRestart{Reason: "Both copies were lost."}
	return c
}

// TestEffectsCountTheDuties: a dry run says how many duties an order and each later
// asking opens, and that many there are: it asks those who are active then.
func TestEffectsCountTheDuties(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis", "cirrus", "delta-racks")
	stand := func(party, status string, on int) {
		submit(t, b, record.PartyThread(party), "authority", &record.Standing{Status: status, EffectiveOn: today(b).AddDays(on), Reason: "x"}, "authority/officer-1")
	}
	check := func(want string, env record.Envelope) {
		t.Helper()
		if got := effectsOf(t, b, env); !strings.Contains(got, want) {
			t.Errorf("%q, want %q in it", got, want)
		}
		b.Must(env)
		v, err := view.Latest(b.Register)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = v.Duties(view.DutyFilter{Kind: view.DutyRespond, Designation: "1"}, b.Now, func(d view.Duty) bool {
			if d.MetBy == nil && d.OpenedBy == b.Head("designation/1") { // whoever was suspended then owes what was asked before
				n++
			}
			return true
		})
		if err != nil || !strings.Contains(want, fmt.Sprintf(" %d dut", n)) {
			t.Errorf("%d duties are open (%v), want %q", n, err, want)
		}
	}
	reopen := func(reason string) record.Envelope {
		env := b.Sign(b.Statement("designation/1", "authority", &record.Amendment{Type: "correction", Reason: reason, Set: setMember("findings", []any{reason}), Reopens: true, ResponseDue: ptr(today(b).AddDays(60))}), officers...)
		return env
	}
	stand("borealis", "suspended", 0)
	check("opens 3 duties to respond", b.Designate("1", b.NewDesignation("Kestrel")))
	if got := effectsOf(t, b, b.Respond("1", "borealis", noRelationship)); got != "answers designation/1, to which borealis owes no answer" {
		t.Errorf("suspended at the designation: %q", got)
	}
	b.Must(b.Respond("1", "acme-cloud", noRelationship))

	stand("cirrus", "suspended", 0)
	check("re-opens 2 duties to respond", reopen("cirrus is suspended since"))
	stand("cirrus", "active", 0)
	stand("borealis", "active", 0)
	check("re-opens 4 duties to respond", reopen("borealis is active since"))
	b.Must(b.Provider("echo"))
	check("re-opens 5 duties to respond", reopen("echo was enrolled later"))
	stand("delta-racks", "withdrawn", 9)
	check("re-opens 5 duties to respond", reopen("delta-racks goes soon"))
	b.Now = b.Now.Add(days(10))
	check("re-opens 4 duties to respond", reopen("delta-racks is gone"))
	submit(t, b, "designation/1", "authority", suspend(b, 0, nil), officers...)
	check("re-opens 4 duties to respond, paused as long as it is suspended", reopen("it is suspended, and they are paused"))
}

func effectsOf(t *testing.T, b *registertest.Fixture, env record.Envelope) string {
	t.Helper()
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	d := b.Register.Begin(b.Now)
	if _, err := d.Judge(v); err != nil {
		t.Fatal(err)
	}
	effects, err := view.Effects(d)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(effects, "; ")
}
