package register_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// admitAll is the entry that a dishonest ledger makes of an envelope: every
// signature kept, whoever made it, and no rule asked.
func admitAll(t *testing.T, b *registertest.Fixture, env record.Envelope, keys ...string) record.Entry {
	t.Helper()
	v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
		for _, name := range keys {
			all = append(all, b.Signer(name).Key())
		}
		return all
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.Entry(b.Now, func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// forgeryFixture is a log to forge on: two providers, one of them suspended, an order,
// an imported entity, a revoked key and one that a registrar added a moment ago.
func forgeryFixture(t *testing.T) *registertest.Fixture {
	b := registertest.NewFixture(start, "acme-cloud", "echo-stopped")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	mustSubmit(t, b, "party/echo-stopped", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, "authority/officer-1")
	mustSubmit(t, b, "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/officer-1#2", record.FuncDesignator)}}, "root/root-1", "root/root-2", "authority/officer-1#2")
	mustSubmit(t, b, "party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/late")}}, "authority/officer-1", "acme-cloud/late")
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/gone")}}, "acme-cloud/compliance", "acme-cloud/gone")
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/gone"), "acme-cloud/compliance")
	mustSubmit(t, b, "response/1/acme-cloud", "acme-cloud", acknowledged, "acme-cloud/ci")
	return b
}

// TestForgedEntries: whatever a ledger admits against the rules, a replay of its
// bytes names the entry and says why (DESIGN.md section 3, promise 3).
func TestForgedEntries(t *testing.T) {
	b := forgeryFixture(t)
	const order, answer, cip = "designation/1", "response/1/acme-cloud", "cip/acme-cloud"
	certify := &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}
	soon := b.NewDesignation("Lumen")
	soon.EffectiveFrom = ptr(today(b).AddDays(179))
	undone := &record.Amendment{Type: "correction", Reason: "x", Drop: setMember("program", []any{"CLOUD-1"}), Add: setMember("program", []any{"CLOUD-1"})}
	reseller := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/o")}}
	unheld := b.CharterPredicate
	unheld.RootKeys = append(unheld.RootKeys[:3:3], b.RootKey("root-4"))
	for _, c := range []struct {
		name   string
		thread string
		issuer string
		say    record.Predicate
		change func(*record.Statement)
		keys   []string
		words  string
	}{
		{"one designator", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1"}, "2 officers needed, 1 signed (officer-1)"},
		{"one designator with two keys", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1", "authority/officer-1#2"}, "2 officers needed, 1 signed (officer-1)"},
		{"an importer on an order", order, "authority", revocation(b, "lifted"), nil, []string{"authority/nightly-import"}, "2 officers needed"},
		{"a third key that is none of theirs", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1", "authority/officer-2", "acme-cloud/compliance"}, "differs from what its record and signatures make"},
		{"a signature more than counts", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/ci", "acme-cloud/safe"}, "differs from what its record and signatures make"},
		{"a key that was revoked", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/gone"}, "was revoked at index"},
		{"a registrar's key before its time", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/late"}, "was added by the registrar and counts from 2026-11-30T18:00:00Z on"},
		{"automation certifies", cip, "acme-cloud", certify, nil, []string{"acme-cloud/ci"}, "1 officer needed"},
		{"the suspended certify", "cip/echo-stopped", "echo-stopped", certify, nil, []string{"echo-stopped/compliance"}, "is suspended"},
		{"automation sponsors", "party/lumen", "lumen", reseller, nil, []string{"lumen/o", "acme-cloud/ci"}, "1 registrar needed"},
		{"a registrar appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}}, nil, []string{"authority/officer-1", "authority/new"}, "2 root keys needed"},
		{"a root key that does not sign", "charter", "authority", &unheld, nil, []string{"root/root-1", "root/root-2"}, "every listed key signs"},
		{"another ledger's record", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Ledger[0] ^= 1 }, []string{"acme-cloud/ci"}, "this is " + b.Ledger.String()},
		{"a stale follows", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Follows = record.ID{1} }, []string{"acme-cloud/ci"}, "has moved on"},
		{"signed tomorrow", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.IssuedAt = b.Now.Add(6 * time.Minute) }, []string{"acme-cloud/ci"}, "ahead of this ledger's clock"},
		{"an old draft", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.IssuedAt = b.Now.Add(-days(31)) }, []string{"acme-cloud/ci"}, "draft period over"},
		{"too short a notice", "designation/2", "authority", soon, nil, officers, "notice is P180D"},
		{"an amendment that undoes itself", order, "authority", undone, nil, officers, "undoes itself"},
		{"a designation twice", order, "authority", b.NewDesignation("x"), nil, officers, "exists already"},
		{"an answer about another thing", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Subject.SHA256 = [32]byte{1} }, []string{"acme-cloud/ci"}, "stands on designation/1"},
		{"a first certification that is not initial", cip, "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b)}, nil, []string{"acme-cloud/compliance"}, "initial must be true"},
		{"text that is not NFC", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Note = "e\u0301" }, []string{"acme-cloud/ci"}, "NFC"},
		{"an issuer that nobody enrolled", "response/1/nobody", "nobody", acknowledged, func(st *record.Statement) { st.Subject.SHA256 = b.Head(order) }, []string{"acme-cloud/ci"}, "nobody is not enrolled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := b.Statement(c.thread, c.issuer, c.say)
			if c.change != nil {
				c.change(st)
			}
			wantEntryFault(t, b, c.words, admitAll(t, b, b.Sign(st, c.keys...), c.keys...).Marshal())
		})
	}

	fresh := b.Respond("1", "acme-cloud", noRelationship)
	e := admitAll(t, b, fresh, "acme-cloud/ci")
	spoilt, stranger, back := e, admitAll(t, b, b.Sign(mustParse(t, fresh), "nobody/x"), "nobody/x"), e
	spoilt.Envelope.Signatures = []record.Signature{{KeyID: e.Envelope.Signatures[0].KeyID, Sig: bytes.Repeat([]byte{1}, 64)}}
	back.Admitted = b.Now.Add(-time.Millisecond)
	wantEntryFault(t, b, "not a signature by", spoilt.Marshal())
	wantEntryFault(t, b, "no key", stranger.Marshal())
	wantEntryFault(t, b, "admission times never go back", back.Marshal())
	wantEntryFault(t, b, "its end", append(e.Marshal(), '\n'))
	wantEntryFault(t, b, "response/1/acme-cloud exists", b.Entries[len(b.Entries)-1].Marshal(), e.Marshal()) // the same record again
}

// wantEntryFault: the log with these lines after its entries cannot be replayed, and the
// first of the lines is to blame.
func wantEntryFault(t *testing.T, b *registertest.Fixture, words string, lines ...[]byte) {
	t.Helper()
	err := replayError(t, b, lines...)
	var bad *register.EntryError
	var upgrade *register.UpgradeError
	if !errors.As(err, &bad) || errors.As(err, &upgrade) || bad.Index != uint64(len(b.Entries)) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want entry %d to blame with %q", err, len(b.Entries), words)
	}
}

// replayError replays the book's entries and these lines from nothing, and from half way.
func replayError(t *testing.T, b *registertest.Fixture, lines ...[]byte) error {
	t.Helper()
	var all [][]byte
	for _, e := range b.Entries {
		all = append(all, e.Marshal())
	}
	all = append(all, lines...)
	var errs []error
	for _, cut := range []int{0, len(b.Entries) / 2, len(b.Entries)} {
		r, err := register.Open(vfs.NewMem(), "follower", registertest.SmallOptions())
		if err != nil {
			t.Fatal(err)
		}
		p := r.NewReplayer(2)
		for _, part := range [][][]byte{all[:cut], all[cut:]} {
			batch, err := p.Verify(t.Context(), part)
			if err == nil {
				err = p.Fold(batch, [32]byte{})
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range errs {
		if len(errs) != 3 || err.Error() != errs[0].Error() {
			t.Fatalf("replayed in other batches: other errors: %q", errs)
		}
	}
	return errors.Join(errs[:min(1, len(errs))]...)
}

// TestUpgradeIsNoFault: a binary that lacks a kind or a version of the rules says
// "upgrade" and blames nobody, but not before an earlier entry that is to blame.
func TestUpgradeIsNoFault(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	n := len(b.Entries)
	answer := admitAll(t, b, b.Respond("1", "acme-cloud", acknowledged), "acme-cloud/ci")
	forged := admitAll(t, b, b.Respond("1", "acme-cloud", acknowledged), "acme-cloud/ci")
	forged.Admitted = start.Add(-time.Second)
	other := func(from, to string) []byte { // the same bytes but for one word, signed anew
		payload := bytes.Replace(answer.Envelope.Payload, []byte(from), []byte(to), 1)
		env, err := record.Sign(t.Context(), payload, b.Signer("acme-cloud/ci"))
		if err != nil {
			t.Fatal(err)
		}
		return record.Entry{Admitted: b.Now, Envelope: env}.Marshal()
	}
	licence := other("urn:docket:response:", "urn:docket:licence:")
	field := other(`"status":"acknowledged"`, `"status":"acknowledged","later":1`)
	foreign := other("urn:docket:response:v1", "https://slsa.dev/provenance/v1")
	rules2 := func(keys ...string) []byte {
		return admitAll(t, b, charterEnvelope(b, func(c *record.Charter) { c.Rules = 2 }, keys...), keys...).Marshal()
	}
	raised := rules2("root/root-1", "root/root-2")

	upgrade := func(index int, words string, lines ...[]byte) {
		t.Helper()
		err := replayError(t, b, lines...)
		var old *register.UpgradeError
		if !errors.As(err, &old) || old.Index != uint64(index) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "must not") {
			t.Errorf("got %v, want %q at %d", err, words, index)
		}
	}
	upgrade(n, `kind "licence"`, licence)
	upgrade(n+1, `kind "licence"`, answer.Marshal(), licence, field)
	upgrade(n+1, "needs rules 2 from index 5 on", raised, field)
	upgrade(n+1, "needs rules 2 from index 5 on", raised, answer.Marshal())
	upgrade(n+1, "needs rules 2 from index 5 on", raised, licence)
	wantEntryFault(t, b, "is no field here", field)
	wantEntryFault(t, b, "no Docket record", foreign)
	wantEntryFault(t, b, "2 root keys needed", rules2("root/root-1"), field)
	wantEntryFault(t, b, "admission times never go back", forged.Marshal(), licence)

	// A ledger that is born with newer rules may have a charter that we cannot read.
	b = emptyFixture(t)
	payload := bytes.Replace(b.Charter().Payload, []byte(`"rules":1`), []byte(`"rules":2,"later":1`), 1)
	env, err := record.Sign(t.Context(), payload, b.Signer("root/root-1"))
	if err != nil {
		t.Fatal(err)
	}
	upgrade(0, "needs rules 2 from index 0 on", record.Entry{Admitted: b.Now, Envelope: env}.Marshal())
	env.Payload = bytes.Replace(payload, []byte(`"rules":2`), []byte(`"rules":1`), 1)
	wantEntryFault(t, b, "is no field here", record.Entry{Admitted: b.Now, Envelope: env}.Marshal())
}
