package register_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// emptyFixture is a world with a register in which nothing stands.
func emptyFixture(t *testing.T) *registertest.Fixture {
	t.Helper()
	r, err := register.Open(vfs.NewMem(), "register", registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	return &registertest.Fixture{World: registertest.New(start, "docket.example/test", "any"), Register: r}
}

// charterEnvelope is the world's charter with changes, signed by these root keys.
func charterEnvelope(b *registertest.Fixture, change func(*record.Charter), keys ...string) record.Envelope {
	c := b.CharterPredicate
	c.RootKeys = append([]record.RootKey(nil), c.RootKeys...)
	change(&c)
	return b.Sign(b.Statement("charter", "authority", &c), keys...)
}

func unchanged(*record.Charter) {}

// TestFirstRecords: index 0 is a charter, judged by itself; index 1 enrols the authority.
func TestFirstRecords(t *testing.T) {
	b := emptyFixture(t)
	other := emptyFixture(t)
	foreign := other.Must(other.Charter())
	b.Ledger = record.IDOf(foreign.Envelope.Payload)
	wantRefusal(t, judgeRefused(t, b, b.Authority()), record.Conflict, "no charter yet")
	b.Ledger = record.ID{}
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, unchanged, "root/root-1", "root/root-2")), record.Forbidden, "every listed key signs")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, func(c *record.Charter) { c.Rules = 2 }, "root/root-1", "root/root-2", "root/root-3")), record.Unsupported, "upgrade")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, func(c *record.Charter) { c.TimeZone = "Mars/Olympus" }, "root/root-1", "root/root-2", "root/root-3")), record.Invalid, "Mars/Olympus")

	e := b.Must(b.Charter())
	wantSigners(t, b, e, "root/root-1", "root/root-2", "root/root-3")
	if got, want := b.Register.Ledger(), record.IDOf(e.Envelope.Payload); got != want {
		t.Errorf("ledger %s, want %s", got, want)
	}
	wantRefusal(t, judgeRefused(t, b, b.Provider("acme-cloud"), "authority/officer-1"), record.Conflict, "index 1 is its enrolment")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, unchanged, "root/root-1", "root/root-2")), record.Conflict, "index 1 is its enrolment")
	enrol := &record.Enrolment{LegalName: "x", Country: "XA", Roles: []record.Role{record.RoleAuthority}, Keys: []record.PartyKey{b.Officer("authority/officer-1", record.FuncRegistrar)}}
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/authority", "authority", enrol), "authority/officer-1", "root/root-3")), record.Forbidden, "2 root keys needed, 1 signed (root-3)")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/authority", "authority", enrol), "root/root-1", "root/root-3")), record.Forbidden, "every listed key signs")
	b.Must(b.Authority())

	st := b.Statement("party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("acme-cloud/o")}})
	st.Ledger = record.ID{1}
	wantRefusal(t, judgeRefused(t, b, b.Sign(st, "acme-cloud/o", "authority/officer-1")), record.Invalid, "signed for 01000", "this is "+b.Ledger.String())
}

// TestCharterAmendment: the old threshold and the new, and every new root key.
func TestCharterAmendment(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	rotate := func(c *record.Charter) { // root-1 goes, root-4 and root-5 come, three must sign
		c.RootKeys = []record.RootKey{c.RootKeys[1], c.RootKeys[2], b.RootKey("root-4"), b.RootKey("root-5")}
		c.Thresholds.Root = 3
	}
	for _, c := range []struct {
		name   string
		change func(*record.Charter)
		keys   []string
		class  record.RefusalClass
		words  string
	}{
		{"one root key", unchanged, []string{"root/root-1"}, record.Forbidden, "2 root keys needed, 1 signed (root-1)"},
		{"officers", unchanged, []string{"authority/officer-1", "authority/officer-2"}, record.Forbidden, "2 root keys needed, none signed"},
		{"another origin", func(c *record.Charter) { c.Origin = "docket.example/other" }, []string{"root/root-1", "root/root-2"}, record.Invalid, "the origin is docket.example/test for ever"},
		{"a new key that does not sign", rotate, []string{"root/root-1", "root/root-2", "root/root-3", "root/root-4"}, record.Forbidden, "every listed key signs"},
		{"too few of the old", rotate, []string{"root/root-2", "root/root-4", "root/root-5"}, record.Forbidden, "2 root keys needed, 1 signed (root-2)"},
		{"too few of the new", func(c *record.Charter) { c.Thresholds.Root = 3 }, []string{"root/root-1", "root/root-2"}, record.Forbidden, "3 root keys needed, 2 signed"},
		{"a party's key", func(c *record.Charter) {
			c.RootKeys = append(c.RootKeys, record.RootKey{Key: b.Signer("acme-cloud/compliance").Key().PEM(), Holder: "root-4"})
		}, []string{"root/root-1", "root/root-2", "acme-cloud/compliance"}, record.Invalid, "belongs to acme-cloud"},
		{"another holder", func(c *record.Charter) { c.RootKeys[0].Holder = "root-9" }, []string{"root/root-1", "root/root-2"}, record.Invalid, "belongs to holder root-1"},
		{"newer rules", func(c *record.Charter) { c.Rules = 2 }, []string{"root/root-1", "root/root-2"}, record.Unsupported, "upgrade"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, c.change, c.keys...), c.keys...), c.class, c.words)
		})
	}

	e := b.Must(charterEnvelope(b, rotate, "root/root-1", "root/root-2", "root/root-3", "root/root-4", "root/root-5"))
	wantSigners(t, b, e, "root/root-1", "root/root-2", "root/root-3", "root/root-4", "root/root-5")
	// From the next index the new set counts alone.
	standing := &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "test"}
	env := b.Sign(b.Statement("party/authority", "authority", standing), "root/root-1", "root/root-2", "root/root-3")
	wantRefusal(t, judgeRefused(t, b, env, "root/root-1"), record.Forbidden, "3 root keys needed, 2 signed (root-2, root-3)", "is a root key no more")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/new", "new", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("root/root-1")}}),
		"root/root-1", "authority/officer-1")), record.Invalid, "belongs to the root set")
	mustSubmit(t, b, "party/authority", "authority", standing, "root/root-2", "root/root-4", "root/root-5")
}

// TestNewerRules: entries are judged by the rules in force at their index; a
// binary that lacks them cannot tell.
func TestNewerRules(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	v, err := record.Open(charterEnvelope(b, func(c *record.Charter) { c.Rules = 2 }, "root/root-1", "root/root-2"), b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.Entry(b.Now, func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	d := b.Register.Begin(b.Now)
	if err := d.Apply(e, v); err != nil {
		t.Fatalf("the charter itself is judged by rules 1: %v", err)
	}
	b.NoteAdmitted(record.Envelope{PayloadType: record.PayloadType, Payload: v.Payload()})
	v, err = record.Open(b.Provider("new"), b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	e, err = v.Entry(b.Now, func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var upgrade *register.UpgradeError
	if err := d.Apply(e, v); !errorAs(err, &upgrade) || upgrade.Index != 4 || upgrade.Error() != "needs rules 2 from index 4 on: upgrade" {
		t.Errorf("got %v", err)
	}
}

// TestChangedPeriods: a record is judged by the newest charter below its index.
func TestChangedPeriods(t *testing.T) {
	b := registertest.NewFixture(start)
	order := b.NewDesignation("Kestrel")
	order.EffectiveFrom = ptr(today(b).AddDays(100))
	order.EffectiveUntil = ptr(today(b).AddDays(400))
	env := b.Designate("1", order)
	wantRefusal(t, judgeRefused(t, b, env), record.Invalid, "notice is P180D")
	b.Must(charterEnvelope(b, func(c *record.Charter) { c.Periods.Notice = record.Period{Days: 100} }, "root/root-1", "root/root-2"))
	b.Must(env)
}
