package register_test

import (
	"crypto/sha256"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
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
		thread, issuer string
		say            record.Predicate
		words          string // "" = any digest will do
		keys           []string
	}{
		{"party/new", "new", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("new/o")}},
			"the first key's DER", []string{"new/o", "authority/officer-1"}},
		{"party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}},
			"the party's first enrolment record", []string{"acme-cloud/compliance", "authority/officer-1"}},
		{"party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/new")}},
			"the first added key's DER", []string{"acme-cloud/compliance", "acme-cloud/new"}},
		{"party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "the party's enrolment", []string{"acme-cloud/compliance"}},
		{"party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, "the party's enrolment", []string{"authority/officer-1"}},
		{"designation/1", "authority", b.NewDesignation("Kestrel"), "", officers},
		{"cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, "", []string{"acme-cloud/compliance"}},
	} {
		st := b.Statement(c.thread, c.issuer, c.say)
		st.Subject.SHA256 = wrong
		if c.words != "" {
			wantRefusal(t, judgeRefused(t, b, b.Sign(st, c.keys...)), record.Invalid, "/subject/0/digest/sha256", c.words)
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

// TestReads: each record is found by its ID, and in log order.
func TestReads(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	var n uint64
	err := b.Register.IDs(func(index uint64, id record.ID) bool {
		if index != n || id != record.IDOf(b.Entries[n].Envelope.Payload) {
			t.Errorf("%d: %s at %d", n, id, index)
		}
		if got, ok, err := b.Register.Lookup(id); err != nil || !ok || got != index {
			t.Errorf("%s found at %d, %t, %v; want %d", id, got, ok, err, index)
		}
		if row, err := b.Register.Record(index); err != nil || row.ID != id || !row.Admitted.Equal(b.Entries[n].Admitted) {
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
