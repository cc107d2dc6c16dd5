package register_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

var (
	acknowledged   = &record.Response{Status: "acknowledged"}
	noRelationship = &record.Response{Status: "no-relationship"}
)

func revoke(b *registertest.Fixture, names ...string) *record.Keys {
	k := new(record.Keys)
	for _, n := range names {
		k.Revoke = append(k.Revoke, record.KeyRevocation{KeyID: b.KeyID(n)})
	}
	return k
}

// submit signs and submits.
func submit(b *registertest.Fixture, thread, issuer string, p record.Predicate, keys ...string) (record.Entry, error) {
	env, _ := sign(b, thread, issuer, p, keys...)
	return b.Submit(env)
}

func mustSubmit(t *testing.T, b *registertest.Fixture, thread, issuer string, p record.Predicate, keys ...string) record.Entry {
	t.Helper()
	e, err := submit(b, thread, issuer, p, keys...)
	if err != nil {
		t.Fatalf("%s on %s: %v", p.Kind(), thread, err)
	}
	return e
}

// TestRevokedKey: a key signs from the index after the one that added it, up to
// and with the one that revokes it.
func TestRevokedKey(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	add := &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/second")}}
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", add, "acme-cloud/compliance", "acme-cloud/second")

	mustSubmit(t, b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/second")
	e := mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/second"), "acme-cloud/second")
	wantSigners(t, b, e, "acme-cloud/second") // its own revocation is the last that it signs

	env, keys := sign(b, "response/1/acme-cloud", "acme-cloud", noRelationship, "acme-cloud/second")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "was revoked at index 6")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/second")), "acme-cloud/compliance")), record.Conflict, "revoked at index 6 already")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", add), "acme-cloud/compliance", "acme-cloud/second")), record.Invalid, "it never comes back")

	// Beside a live key it does no harm, and is not kept.
	env, keys = sign(b, "response/1/acme-cloud", "acme-cloud", noRelationship, "acme-cloud/second", "acme-cloud/ci")
	v, err := record.Open(env, func(*record.Statement) []*record.Key {
		return []*record.Key{b.Signer(keys[0]).Key(), b.Signer(keys[1]).Key()}
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err = b.Register.Begin(b.Now).Judge(v)
	if err != nil {
		t.Fatal(err)
	}
	wantSigners(t, b, e, "acme-cloud/ci")
}

// TestAddedKeyInOneDraft: position counts, not time: within one draft a key that
// the record before added signs already, and one that it revoked no more.
func TestAddedKeyInOneDraft(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	keys := b.Sign(b.Statement("party/acme-cloud", "acme-cloud", &record.Keys{
		Add: []record.PartyKey{b.Officer("acme-cloud/second")}, Revoke: revoke(b, "acme-cloud/ci").Revoke,
	}), "acme-cloud/compliance", "acme-cloud/second")
	response := b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", acknowledged), "acme-cloud/second")
	old := b.Respond("1", "acme-cloud", acknowledged)
	all := func(*record.Statement) []*record.Key {
		return []*record.Key{b.Signer("acme-cloud/compliance").Key(), b.Signer("acme-cloud/second").Key(), b.Signer("acme-cloud/ci").Key()}
	}
	open := func(env record.Envelope) record.Verified {
		v, err := record.Open(env, all)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	d := b.Register.Begin(b.Now)
	_, err := d.Judge(open(response))
	wantRefusal(t, err, record.Forbidden, "is not enrolled")
	if _, err := d.Judge(open(keys)); err != nil {
		t.Fatal(err)
	}
	_, err = d.Judge(open(old))
	wantRefusal(t, err, record.Forbidden, "was revoked at index 4")

	// The same holds in a draft on top of one that is not advanced yet.
	next := d.Next(b.Now)
	_, err = next.Judge(open(old))
	wantRefusal(t, err, record.Forbidden, "was revoked at index 4")
	if _, err := next.Judge(open(response)); err != nil {
		t.Fatal(err)
	}
	if err := b.Register.Advance(next, [32]byte{}); err == nil {
		t.Error("a draft was advanced before the one below it")
	}
	if err := b.Register.Advance(d, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := b.Register.Advance(next, [32]byte{2}); err != nil {
		t.Fatal(err)
	}
	if got := b.Register.Cursor(); got != (register.Cursor{Size: 6, Root: [32]byte{2}}) {
		t.Errorf("cursor %v", got)
	}
}

// TestNotAfter: the admission date in the charter's time zone decides, whatever
// issuedAt says, and the day itself still counts.
func TestNotAfter(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	key := b.Automation("acme-cloud/short")
	key.NotAfter = ptr(today(b).AddDays(2))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{key}}, "acme-cloud/compliance", "acme-cloud/short")

	// 25 November ends at 24:00 in New York, 05:00 UTC.
	env, keys := sign(b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/short")
	b.Now = time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "was valid until 2026-11-25")
	b.Now = time.Date(2026, 11, 26, 4, 59, 59, 999e6, time.UTC)
	b.Must(env)
}

// TestRecovery: when all keys are lost a registrar adds some; they count a week
// later, and until then whoever has an officer key can undo it.
func TestRecovery(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	for _, party := range []string{"acme-cloud", "delta-racks"} {
		mustSubmit(t, b, "party/"+party, "authority", &record.Keys{Add: []record.PartyKey{b.Officer(party + "/new")}}, "authority/officer-1", party+"/new")
	}
	env, keys := sign(b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/new")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "was added by the registrar and counts from 2026-11-30T18:00:00Z on")

	mustSubmit(t, b, "party/delta-racks", "delta-racks", revoke(b, "delta-racks/new"), "delta-racks/compliance")
	b.Now = start.Add(days(7) - time.Millisecond)
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "counts from")
	b.Now = start.Add(days(7))
	b.Must(env)
	env, keys = sign(b, "response/1/delta-racks", "delta-racks", acknowledged, "delta-racks/new")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "was revoked")

	// A registrar takes back what a registrar added.
	mustSubmit(t, b, "party/acme-cloud", "authority", revoke(b, "acme-cloud/new"), "authority/officer-1")
}

// TestEndlessRecovery: a period beyond all calendars is an odd charter, no broken row.
func TestEndlessRecovery(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	b.Must(charterEnvelope(b, func(c *record.Charter) { c.Periods.Recovery = record.Period{Years: 9999} }, "root/root-1", "root/root-2"))
	mustSubmit(t, b, "party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/new")}}, "authority/officer-1", "acme-cloud/new")
	env, keys := sign(b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/new")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "counts from 9999-12-31T23:59:59.999Z on")
}

// TestReplacedKey: a record that adds and revokes keys of the authority keeps the
// signatures of roots and registrars alike.
func TestReplacedKey(t *testing.T) {
	b := registertest.NewFixture(start)
	replace := &record.Keys{Add: []record.PartyKey{b.Officer("authority/new")}, Revoke: revoke(b, "authority/officer-3").Revoke}
	names := []string{"authority/officer-1", "root/root-1", "root/root-3", "authority/new"}
	wantSigners(t, b, mustSubmit(t, b, "party/authority", "authority", replace, names...), names...)
}

// TestRecoveryKey: it replaces officers, at once.
func TestRecoveryKey(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	k := revoke(b, "acme-cloud/compliance")
	k.Add = []record.PartyKey{b.Officer("acme-cloud/compliance#2")}
	e := mustSubmit(t, b, "party/acme-cloud", "acme-cloud", k, "acme-cloud/safe", "acme-cloud/compliance#2")
	wantSigners(t, b, e, "acme-cloud/safe", "acme-cloud/compliance#2")
	mustSubmit(t, b, "cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, "acme-cloud/compliance#2")
}

// TestCompromisedSince is a claim between the key's admission and now; it
// changes no validity.
func TestCompromisedSince(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Now = start.Add(days(3))
	for at, ok := range map[time.Time]bool{
		start.Add(-time.Millisecond): false, start: true, b.Now: true, b.Now.Add(time.Millisecond): false,
	} {
		k := revoke(b, "acme-cloud/ci")
		k.Revoke[0].CompromisedSince = &record.Instant{Time: at}
		v, err := record.Open(b.Sign(b.Statement("party/acme-cloud", "acme-cloud", k), "acme-cloud/compliance"), b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register.Begin(b.Now).Judge(v); (err == nil) != ok {
			t.Errorf("compromised since %s: %v", at, err)
		}
	}
}

// TestMaxLiveKeys: revoked and outdated keys are not live.
func TestMaxLiveKeys(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud") // 3 keys
	add := func(from, n int) (*record.Keys, []string) {
		k, names := new(record.Keys), []string{"acme-cloud/compliance"}
		for i := range n {
			name := fmt.Sprintf("acme-cloud/k-%d", from+i)
			k.Add, names = append(k.Add, b.Officer(name)), append(names, name)
		}
		return k, names
	}
	for _, from := range []int{0, 6} {
		k, names := add(from, 6)
		mustSubmit(t, b, "party/acme-cloud", "acme-cloud", k, names...)
	}
	k, names := add(12, 2)
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", k), names...)), record.Invalid, "17 live keys")
	k.Revoke = revoke(b, "acme-cloud/k-0").Revoke
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", k, names...)
}

// TestSponsor: a provider introduces a reseller instead of a registrar.
func TestSponsor(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	e := mustSubmit(t, b, "party/lumen", "lumen", &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/o")}},
		"lumen/o", "acme-cloud/compliance")
	wantSigners(t, b, e, "lumen/o", "acme-cloud/compliance")
	env, keys := sign(b, "cip/lumen", "lumen", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, "lumen/o")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "lumen is no provider (enrolled as reseller)")
}

// TestKeptSignatures: all that count, also beyond the threshold and two keys of
// one holder; and nothing else.
func TestKeptSignatures(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	mustSubmit(t, b, "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/officer-1#2", record.FuncDesignator)}},
		"root/root-1", "root/root-2", "root/root-3", "authority/officer-1#2")
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN")))
	four := []string{"authority/officer-1", "authority/officer-1#2", "authority/officer-2", "authority/officer-3"}
	env, _ := sign(b, "designation/1", "authority", b.NewDesignation("Kestrel"), append(four, "authority/nightly-import", "acme-cloud/compliance", "root/root-1")...)
	v, err := record.Open(env, func(*record.Statement) (keys []*record.Key) {
		for _, name := range append(four, "authority/nightly-import", "acme-cloud/compliance", "root/root-1") {
			keys = append(keys, b.Signer(name).Key())
		}
		return keys
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Register.Begin(b.Now).Judge(v)
	if err != nil {
		t.Fatal(err)
	}
	wantSigners(t, b, e, four...)

	// On an imported thread both importers and designators act.
	e = mustSubmit(t, b, "designation/ofac-sdn-36", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "delisted", Reason: "gone"},
		"authority/nightly-import", "authority/officer-3")
	wantSigners(t, b, e, "authority/nightly-import", "authority/officer-3")
}

// TestSuspendedParty signs responses and keys, and all again once it is active.
func TestSuspendedParty(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	standing := func(status string, on record.Date) *record.Standing {
		return &record.Standing{Status: status, EffectiveOn: on, Reason: "test"}
	}
	cip := &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}
	mustSubmit(t, b, "party/acme-cloud", "authority", standing("suspended", today(b).AddDays(1)), "authority/officer-1")
	env, _ := sign(b, "cip/acme-cloud", "acme-cloud", cip, "acme-cloud/compliance")
	b.Now = b.Now.Add(days(1)) // now it is effective
	wantRefusal(t, judgeRefused(t, b, env), record.Forbidden, "acme-cloud is suspended")
	mustSubmit(t, b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/ci")
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/compliance")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "authority", standing("suspended", today(b))), "authority/officer-1")), record.Conflict, "is suspended already")
	mustSubmit(t, b, "party/acme-cloud", "authority", standing("active", today(b)), "authority/officer-1")
	b.Must(env)
	mustSubmit(t, b, "party/acme-cloud", "authority", standing("withdrawn", today(b)), "authority/officer-1")

	// The authority itself: root keys suspend it, and only they restore it.
	mustSubmit(t, b, "party/authority", "authority", standing("suspended", today(b)), "root/root-1", "root/root-2")
	wantRefusal(t, judgeRefused(t, b, b.Designate("2", b.NewDesignation("Other"))), record.Forbidden, "authority is suspended")
	wantRefusal(t, judgeRefused(t, b, b.Provider("new")), record.Forbidden, "authority is suspended")
	mustSubmit(t, b, "party/authority", "authority", revoke(b, "authority/officer-3"), "authority/officer-1")
	mustSubmit(t, b, "party/authority", "authority", standing("active", today(b)), "root/root-1", "root/root-2")
	b.Must(b.Designate("2", b.NewDesignation("Other")))
}

// TestLogKeys: log and witness keys are nobody else's, whichever came first.
func TestLogKeys(t *testing.T) {
	policies := map[string][]string{"one": {"log/1"}, "two": {"log/1", "witness/1"}, "three": {"acme-cloud/compliance"}}
	w := registertest.New(start, "docket.example/test", "one")
	o := registertest.SmallOptions()
	o.PolicyKeys = func(text string) (keys [][]byte, err error) {
		for _, name := range policies[text] {
			keys = append(keys, rawKey(w.Signer(name)))
		}
		return keys, nil
	}
	o.CheckPolicy = func(text, origin string) error {
		if policies[text] == nil || origin != "docket.example/test" {
			return fmt.Errorf("no such policy")
		}
		return nil
	}
	r, err := register.Open(vfs.NewMem(), "register", o)
	if err != nil {
		t.Fatal(err)
	}
	b := &registertest.Fixture{World: w, Register: r}
	b.Must(b.Charter())
	b.Must(b.Authority())
	b.Must(b.Provider("acme-cloud"))
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/new", "new", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("log/1")}}),
		"log/1", "authority/officer-1")), record.Invalid, "belongs to the policy's log or witnesses")

	charter := func(policy string) record.Envelope {
		c := b.CharterPredicate
		c.Policy = policy
		return b.Sign(b.Statement("charter", "authority", &c), "root/root-1", "root/root-2")
	}
	wantRefusal(t, judgeRefused(t, b, charter("three")), record.Invalid, "belongs to acme-cloud")
	wantRefusal(t, judgeRefused(t, b, charter("nonsense")), record.Invalid, "no such policy")
	b.Must(charter("two"))
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("witness/1")}}), "acme-cloud/compliance", "witness/1")),
		record.Invalid, "belongs to the policy's log or witnesses")
}
