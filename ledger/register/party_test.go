package register_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// TestLaterEnrolment replaces what describes a party, and nothing else.
func TestLaterEnrolment(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	e := &record.Enrolment{LegalName: "Acme Clouds, Inc.", Country: "CA", Roles: []record.Role{record.RoleProvider}}
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", e, "acme-cloud/compliance", "authority/officer-1")
	if names := indexedNames(t, b, "party/acme-cloud"); !sameWords(names[0]+"; "+names[1], "acme cloud inc fictional; acme clouds inc") {
		t.Errorf("found by %q", names)
	}
	authority := &record.Enrolment{LegalName: "Office", Country: "XA", Roles: []record.Role{record.RoleAuthority}}
	mustSubmit(t, b, "party/authority", "authority", authority, "authority/officer-2", "root/root-1", "root/root-3")
	b.Must(b.Provider("new")) // the keys are what they were
}

// TestSubjects: a document's digest is taken as it is; without one, the subject
// is what RECORDS.md says of the kind.
func TestSubjects(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	wrong := sha256.Sum256([]byte("anything"))
	for _, c := range []struct {
		thread record.Thread
		issuer string
		say    record.Predicate
		bound  bool // to one digest
		keys   []string
	}{
		{"party/new", "new", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("new/o")}},
			true, []string{"new/o", "authority/officer-1"}},
		{"party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}},
			true, []string{"acme-cloud/compliance", "authority/officer-1"}},
		{"party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/new")}},
			true, []string{"acme-cloud/compliance", "acme-cloud/new"}},
		{"party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), true, []string{"acme-cloud/compliance"}},
		{"party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, true, []string{"authority/officer-1"}},
		{"designation/1", "authority", b.NewDesignation("Kestrel"), false, officers},
		{"cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, false, []string{"acme-cloud/compliance"}},
	} {
		st := b.Statement(c.thread, c.issuer, c.say)
		st.Subject.SHA256 = wrong
		if c.bound {
			wantRefusal(t, judgeRefused(t, b, b.Sign(st, c.keys...)), "invalid /subject/0/digest/sha256")
			if st.Kind == record.KindStanding {
				continue
			}
			st.Document = &record.Document{Name: "order.pdf"}
		}
		v, err := record.Open(b.Sign(st, c.keys...), b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register.Begin(b.Now).Judge(v); err != nil {
			t.Errorf("%s about a document: %v", st.Kind, err)
		}
	}
}

// TestReads: each record is found by its ID, once.
func TestReads(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	n, seen := 0, make(map[uint64]bool)
	err := b.Register.IDs(func(index uint64, id record.ID) bool {
		if seen[index] || index >= 3 || id != record.IDOf(b.Entries[index].Envelope.Payload) {
			t.Fatalf("%s at %d, after %v", id, index, seen)
		}
		seen[index] = true
		if got, ok, err := b.Register.Lookup(id); err != nil || !ok || got != index {
			t.Errorf("%s found at %d, %t, %v; want %d", id, got, ok, err, index)
		}
		if row, err := b.Register.Record(index); err != nil || row.ID != id || !row.Admitted.Equal(b.Entries[index].Admitted) {
			t.Errorf("record %d is %+v, %v", index, row, err)
		}
		n++
		return true
	})
	if err != nil || n != 3 {
		t.Errorf("%d records, %v; want 3", n, err)
	}
	if _, ok, err := b.Register.Lookup(record.ID{1}); ok || err != nil {
		t.Errorf("an unknown ID: %t, %v", ok, err)
	}
	if _, err := b.Register.Record(3); err == nil {
		t.Error("a record beyond the size was read")
	}
	for keyid, want := range map[string]string{
		b.KeyID("acme-cloud/ci"): "acme-cloud ci", b.KeyID("root/root-2"): "the root set root-2", b.KeyID("nobody/1"): " ",
	} {
		if owner, holder, _, err := b.Register.KeyOwner(keyid); err != nil || owner+" "+holder != want {
			t.Errorf("owner %q, holder %q, %v; want %q", owner, holder, err, want)
		}
	}
}

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
func submit(b *registertest.Fixture, thread record.Thread, issuer string, p record.Predicate, keys ...string) (record.Entry, error) {
	env, _ := sign(b, thread, issuer, p, keys...)
	return b.Submit(env)
}

func mustSubmit(t *testing.T, b *registertest.Fixture, thread record.Thread, issuer string, p record.Predicate, keys ...string) record.Entry {
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
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/second")), "acme-cloud/compliance")), "conflict")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", add), "acme-cloud/compliance", "acme-cloud/second")), "invalid /predicate/add/0/key")

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
	wantRefusal(t, err, "forbidden")
	if _, err := d.Judge(open(keys)); err != nil {
		t.Fatal(err)
	}
	_, err = d.Judge(open(old))
	wantRefusal(t, err, "forbidden")

	// The same holds in a draft on top of one that is not advanced yet.
	next := d.Next(b.Now)
	_, err = next.Judge(open(old))
	wantRefusal(t, err, "forbidden")
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
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	b.Now = time.Date(2026, 11, 26, 4, 59, 59, 999e6, time.UTC)
	b.Must(env)
}

// TestRecovery: when all keys are lost a registrar adds some; they count a week
// later, and until then whoever has an officer key can undo it.
func TestRecovery(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	for _, party := range []string{"acme-cloud", "delta-racks"} {
		mustSubmit(t, b, record.PartyThread(party), "authority", &record.Keys{Add: []record.PartyKey{b.Officer(party + "/new")}}, "authority/officer-1", party+"/new")
	}
	env, keys := sign(b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/new")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")

	mustSubmit(t, b, "party/delta-racks", "delta-racks", revoke(b, "delta-racks/new"), "delta-racks/compliance")
	b.Now = start.Add(days(7) - time.Millisecond)
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	b.Now = start.Add(days(7))
	b.Must(env)
	env, keys = sign(b, "response/1/delta-racks", "delta-racks", acknowledged, "delta-racks/new")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")

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
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
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
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", k), names...)), "invalid /predicate/add")
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
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
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
	wantRefusal(t, judgeRefused(t, b, env), "forbidden")
	mustSubmit(t, b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/ci")
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/compliance")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "authority", standing("suspended", today(b))), "authority/officer-1")), "conflict")
	mustSubmit(t, b, "party/acme-cloud", "authority", standing("active", today(b)), "authority/officer-1")
	b.Must(env)
	mustSubmit(t, b, "party/acme-cloud", "authority", standing("withdrawn", today(b)), "authority/officer-1")

	// The authority itself: root keys suspend it, and only they restore it.
	mustSubmit(t, b, "party/authority", "authority", standing("suspended", today(b)), "root/root-1", "root/root-2")
	wantRefusal(t, judgeRefused(t, b, b.Designate("2", b.NewDesignation("Other"))), "forbidden")
	wantRefusal(t, judgeRefused(t, b, b.Provider("new")), "forbidden")
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
		"log/1", "authority/officer-1")), "invalid /predicate/keys/0/key")

	charter := func(policy string) record.Envelope {
		c := b.CharterPredicate
		c.Policy = policy
		return b.Sign(b.Statement("charter", "authority", &c), "root/root-1", "root/root-2")
	}
	wantRefusal(t, judgeRefused(t, b, charter("three")), "invalid /predicate/policy")
	wantRefusal(t, judgeRefused(t, b, charter("nonsense")), "invalid /predicate/policy")
	b.Must(charter("two"))
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("witness/1")}}), "acme-cloud/compliance", "witness/1")),
		"invalid /predicate/add/0/key")
}

// newKeys are n officer keys of a party that nobody has seen, from a number on, and what
// they sign with.
func newKeys(b *registertest.Fixture, party string, from, n int) (keys []record.PartyKey, names []string) {
	for i := range n {
		name := fmt.Sprintf("%s/n-%d", party, from+i)
		keys, names = append(keys, b.Officer(name)), append(names, name)
	}
	return keys, names
}

// swapKeys revokes seven keys and adds seven: what the holder of one officer key said
// 1,500 times.
func swapKeys(b *registertest.Fixture, round int) (k *record.Keys, added []string) {
	k = new(record.Keys)
	k.Add, added = newKeys(b, "acme-cloud", 7*round, 7)
	if round > 0 {
		_, old := newKeys(b, "acme-cloud", 7*round-7, 7)
		k.Revoke = revoke(b, old...).Revoke
	}
	return k, added
}

// TestKeysOfAYear: a party adds at most 64 keys in a civil year of the charter's zone, is
// told the day from which it may again, and may revoke meanwhile. What enrolled it, and
// what a registrar adds, does not count.
func TestKeysOfAYear(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud") // three keys, which do not count
	const thread = "party/acme-cloud"
	for round := range 9 {
		k, names := swapKeys(b, round)
		mustSubmit(t, b, thread, "acme-cloud", k, append(names, "acme-cloud/compliance")...)
	}
	k := new(record.Keys)
	var names []string
	k.Add, names = newKeys(b, "acme-cloud", 100, 2)
	env, keys := sign(b, thread, "acme-cloud", k, append(names, "acme-cloud/compliance")...)
	r := wantRefusal(t, judgeRefused(t, b, env, keys...), "conflict")
	if r.Earliest != "2027-01-01" || r.Current != b.Head(thread) {
		t.Errorf("earliest %q after %s, want 2027-01-01 after %s", r.Earliest, r.Current, b.Head(thread))
	}
	one, _ := newKeys(b, "acme-cloud", 100, 1)
	mustSubmit(t, b, thread, "acme-cloud", &record.Keys{Add: one}, "acme-cloud/n-100", "acme-cloud/compliance")
	mustSubmit(t, b, thread, "acme-cloud", revoke(b, "acme-cloud/n-100", "acme-cloud/n-62"), "acme-cloud/compliance")

	byRegistrar, _ := newKeys(b, "acme-cloud", 200, 1)
	mustSubmit(t, b, thread, "authority", &record.Keys{Add: byRegistrar}, "acme-cloud/n-200", "authority/officer-1")

	k.Add, names = newKeys(b, "acme-cloud", 300, 1)
	newYear := time.Date(2027, 1, 1, 5, 0, 0, 0, time.UTC) // midnight in New York
	b.Now = newYear.Add(-time.Millisecond)
	env, keys = sign(b, thread, "acme-cloud", k, append(names, "acme-cloud/compliance")...)
	wantRefusal(t, judgeRefused(t, b, env, keys...), "conflict")
	b.Now = newYear
	mustSubmit(t, b, thread, "acme-cloud", k, append(names, "acme-cloud/compliance")...)

	for round := range 9 { // the authority is held to it too
		k, names := new(record.Keys), []string{"root/root-1", "root/root-2", "authority/officer-1"}
		for i := range 5 {
			name := fmt.Sprintf("authority/n-%d", 5*round+i)
			k.Add, names = append(k.Add, b.Officer(name)), append(names, name)
			if round > 0 {
				k.Revoke = append(k.Revoke, revoke(b, fmt.Sprintf("authority/n-%d", 5*round-5+i)).Revoke...)
			}
		}
		mustSubmit(t, b, "party/authority", "authority", k, names...)
	}
}

// TestSwappedKeysAreBounded: revoking seven keys and adding seven, as often as
// somebody may, adds to the register what the records say, each time the same.
func TestSwappedKeysAreBounded(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	const thread, rounds, tenth = "party/acme-cloud", 200, 20
	size := len(dump(t, b.Register))
	var grown []int
	for round := range rounds {
		k, names := swapKeys(b, round)
		if round < 9 { // that is what the law lets stand
			mustSubmit(t, b, thread, "acme-cloud", k, append(names, "acme-cloud/compliance")...)
		} else { // and beyond it go those that a registrar added
			if round == 9 {
				mustSubmit(t, b, thread, "acme-cloud", revoke(b, "acme-cloud/n-56", "acme-cloud/n-57", "acme-cloud/n-58", "acme-cloud/n-59", "acme-cloud/n-60", "acme-cloud/n-61", "acme-cloud/n-62"), "acme-cloud/compliance")
				k.Revoke = nil
			}
			mustSubmit(t, b, thread, "authority", k, append(names, "authority/officer-1")...)
		}
		if round%tenth == tenth-1 {
			now := len(dump(t, b.Register))
			grown, size = append(grown, now-size), now
		}
	}
	if first, last := grown[1], grown[len(grown)-1]; last > first+first/20 {
		t.Errorf("%d records made the register grow by %d bytes early and by %d late: %v", tenth, first, last, grown)
	}
}

// TestKeyAsOfASize: a key that was revoked later is shown as it was at each size.
func TestKeyAsOfASize(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	enrolled := b.Register.Size()
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/compliance")
	for size, want := range map[uint64]bool{enrolled: true, enrolled + 1: false} {
		v, err := view.At(b.Register, size)
		if err != nil {
			t.Fatal(err)
		}
		p, err := v.Party("acme-cloud", b.Now)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Keys) != 3 {
			t.Fatalf("size %d: %d keys, want 3", size, len(p.Keys))
		}
		for _, k := range p.Keys {
			if k.ID == b.KeyID("acme-cloud/ci") && (k.Live != want || (k.Revoked == nil) != want) {
				t.Errorf("size %d: live %t, revoked %v, want live %t", size, k.Live, k.Revoked, want)
			}
		}
	}
}

// TestOutdatedKeyIsRevoked: a key past notAfter leaves the party's row and can still be
// revoked, and said to be compromised; it cannot be added again.
func TestOutdatedKeyIsRevoked(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	old := b.Officer("acme-cloud/old")
	old.NotAfter = ptr(today(b))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{old}}, "acme-cloud/old", "acme-cloud/compliance")
	b.Now = b.Now.Add(days(2))
	next, names := newKeys(b, "acme-cloud", 0, 1)
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: next}, append(names, "acme-cloud/compliance")...)

	env, keys := sign(b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{old}}, "acme-cloud/old", "acme-cloud/compliance")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "invalid /predicate/add/0/key")
	env, keys = sign(b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/old")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")

	k := revoke(b, "acme-cloud/old")
	k.Revoke[0].CompromisedSince = &record.Instant{Time: start.Add(time.Hour)}
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", k, "acme-cloud/compliance")
	env, keys = sign(b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/old"), "acme-cloud/compliance")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "conflict")
	h, ok, err := b.Register.KeyHolder(b.KeyID("acme-cloud/old"))
	if err != nil || !ok || h.Revoked != 5 || h.Compromised == nil || !strings.Contains(fmt.Sprint(h.Warnings()), "compromised since") {
		t.Errorf("got %+v, %t, %v", h, ok, err)
	}
}

// TestSponsorsAreBounded: anybody can ask who may have sponsored a reseller. It costs the
// same however many providers there are, and a sponsor whose key is named is found.
func TestSponsorsAreBounded(t *testing.T) {
	b := registertest.NewFixture(start)
	const last = 120
	var cost [2]uint64
	var lumen record.Envelope
	for i := range last + 1 {
		b.Must(b.Provider(fmt.Sprintf("p-%03d", i)))
		if i != last/2 && i != last {
			continue
		}
		e := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/o")}}
		lumen = b.Sign(b.Statement("party/lumen", "lumen", e), "lumen/o", fmt.Sprintf("p-%03d/compliance", i))
		st, err := record.ParseStatement(lumen.Payload)
		if err != nil {
			t.Fatal(err)
		}
		b.Register.EmptyCaches()
		before := b.Register.RowsRead()
		if n := len(b.Register.CandidateKeysFor(lumen)(st)); n > record.MaxVerifications+16 {
			t.Errorf("%d candidates", n)
		}
		cost[i/last] = b.Register.RowsRead() - before
	}
	if cost[1] > cost[0] {
		t.Errorf("among %d providers %d rows were read, among %d %d", last/2, cost[0], last, cost[1])
	}
	unnamed := lumen
	unnamed.Signatures = nil
	for _, s := range lumen.Signatures {
		s.KeyID = ""
		unnamed.Signatures = append(unnamed.Signatures, s)
	}
	_, err := record.Open(unnamed, b.Register.CandidateKeysFor(unnamed))
	wantRefusal(t, err, "forbidden") // and told to set key IDs
	v, err := record.Open(lumen, b.Register.CandidateKeysFor(lumen))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Register.Begin(b.Now).Judge(v); err != nil {
		t.Error(err)
	}
}

// TestReplayForgetsKeys: a replay keeps in memory the keys of what it has not yet folded,
// not of the whole ledger.
func TestReplayForgetsKeys(t *testing.T) {
	b := registertest.NewFixture(start)
	for i := range 30 {
		b.Must(b.Provider(fmt.Sprintf("p-%02d", i)))
	}
	r, err := register.Open(vfs.NewMem(), "replayed", registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := r.NewReplayer(1)
	const batch = 4
	for from := 0; from < len(b.Entries); from += batch {
		var lines [][]byte
		for _, e := range b.Entries[from:min(from+batch, len(b.Entries))] {
			lines = append(lines, e.Marshal())
		}
		verified, err := p.Verify(t.Context(), lines)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Fold(verified, [32]byte{}); err != nil {
			t.Fatal(err)
		}
		if n := p.ListedKeys(); n > batch*4 {
			t.Fatalf("%d keys are held after %d entries", n, from)
		}
	}
	if dump(t, r) == "" || r.Size() != b.Register.Size() {
		t.Errorf("replayed %d entries of %d", r.Size(), b.Register.Size())
	}
}

// TestChargedKeys: whoever is named by others' words alone answers for nothing.
func TestChargedKeys(t *testing.T) {
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
		name   string
		thread record.Thread
		issuer string
		say    record.Predicate
		keys   []string
		after  time.Duration
		want   string
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
		got, err := b.Register.ChargedKeys(v, b.Now.Add(c.after))
		var who []string
		for _, s := range got {
			who = append(who, s.String())
		}
		if strings.Join(who, ", ") != c.want || err != nil {
			t.Errorf("%s: %q answer for it, %v; want %q", c.name, who, err, c.want)
		}
	}
}
