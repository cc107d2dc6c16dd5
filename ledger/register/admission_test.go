package register_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// TestWindow: admitted within [issuedAt − 5 min, issuedAt + draft period], both
// ends included.
func TestWindow(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	b.Now = start.Add(time.Hour)
	env := b.Respond("1", "acme-cloud", acknowledged)
	order := b.Statement("designation/1", "authority", revocation(b, "error"))
	early, late := b.Now.Add(-5*time.Minute), b.Now.Add(days(30))

	b.Now = early.Add(-time.Millisecond)
	r := wantRefusal(t, judgeRefused(t, b, env), "too early")
	if !r.RetryAt.Equal(early) {
		t.Errorf("retry at %s, want %s", r.RetryAt, early)
	}
	b.Now = late.Add(time.Millisecond)
	if r := wantRefusal(t, judgeRefused(t, b, env), "conflict"); !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	if r := wantRefusal(t, judgeRefused(t, b, b.Sign(order, officers...)), "conflict"); r.Current != b.Head("designation/1") {
		t.Errorf("current %s, want the designation", r.Current)
	}
	for _, at := range []time.Time{early, late} {
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Register.Begin(at).Judge(v); err != nil {
			t.Errorf("admitted at %s: %v", at, err)
		}
	}
}

// TestClockBack: admission times never go back, and that is nobody's refusal.
func TestClockBack(t *testing.T) {
	b := registertest.NewFixture(start)
	env := b.Provider("acme-cloud")
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *record.Refusal
	if _, err := b.Register.Begin(start.Add(-time.Millisecond)).Judge(v); err == nil || errors.As(err, &refusal) {
		t.Errorf("got %v, want an error that is no refusal", err)
	}
	if got := b.Register.LastAdmitted(); !got.Equal(start) {
		t.Errorf("last admitted %s, want %s", got, start)
	}
}

// TestFollows: two writers cannot overwrite each other.
func TestFollows(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	st := b.Statement("response/1/acme-cloud", "acme-cloud", acknowledged)
	st.Follows = record.ID{1}
	r := wantRefusal(t, judgeRefused(t, b, b.Sign(st, "acme-cloud/ci")), "conflict")
	if !r.Current.IsZero() {
		t.Errorf("current %s of a thread that is not there", r.Current)
	}
	first, second := b.Respond("1", "acme-cloud", acknowledged), b.Respond("1", "acme-cloud", noRelationship)
	b.Must(first)
	r = wantRefusal(t, judgeRefused(t, b, second), "conflict")
	if want := record.IDOf(first.Payload); r.Current != want {
		t.Errorf("current %s, want %s", r.Current, want)
	}
	wantRefusal(t, judgeRefused(t, b, first), "conflict") // the same again is the ledger's to answer
	stale := b.Respond("1", "acme-cloud", noRelationship)
	b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: "licensed"}))
	r = wantRefusal(t, judgeRefused(t, b, stale), "conflict")
	if r.Current != b.Head("response/1/acme-cloud") {
		t.Errorf("current %s, want the newest", r.Current)
	}
	wantRefusal(t, b.Register.Begin(b.Now).Preflight(mustParse(t, stale)), "conflict")
}

// TestTransientRefusals: whoever signs first on an older copy is told what may be healed by then,
// and what never is.
func TestTransientRefusals(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	order := func(change func(*record.Designation)) *record.Designation {
		d := b.NewDesignation("Kestrel")
		change(d)
		return d
	}
	c := b.CharterPredicate
	c.Origin = "docket.example/other"
	for _, k := range []struct {
		thread  record.Thread
		issuer  string
		say     record.Predicate
		passing bool
		want    string
	}{
		{"designation/2", "authority", order(func(d *record.Designation) { d.EffectiveFrom = ptr(today(b).AddDays(100)) }), true, "invalid /predicate/effectiveFrom"},
		{"designation/2", "authority", order(func(d *record.Designation) { d.DeterminedOn = ptr(today(b).AddDays(1)) }), true, "invalid /predicate/determinedOn"},
		{"designation/2", "authority", order(func(d *record.Designation) { d.Target.Country = "ZZ" }), false, "invalid /predicate/target/country"},
		{"designation/ofac-sdn-2", "authority", b.NewDesignation("Kestrel"), true, "invalid /predicate/thread"},
		{"designation/eu-2", "authority", order(func(d *record.Designation) { d.Source = &record.Source{List: "eu", ID: "2"} }), true, "invalid /predicate/source/list"},
		{"response/2/acme-cloud", "acme-cloud", acknowledged, true, "invalid /predicate/thread"},
		{"cip/nobody", "nobody", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}, true, "invalid /predicate/issuer"},
		{"cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b)}, false, "invalid /predicate/initial"},
		{"party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("delta-racks/compliance")}}, false, "invalid /predicate/add/0/key"},
		{"charter", "authority", &c, false, "invalid /predicate/origin"},
	} {
		r := wantRefusal(t, b.Register.Begin(b.Now).Preflight(b.Statement(k.thread, k.issuer, k.say)), k.want)
		if r.Transient != k.passing {
			t.Errorf("%v: passing %t, want %t", r, r.Transient, k.passing)
		}
	}
}

func mustParse(t *testing.T, env record.Envelope) *record.Statement {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

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
	wantRefusal(t, judgeRefused(t, b, b.Authority()), "conflict")
	b.Ledger = record.ID{}
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, unchanged, "root/root-1", "root/root-2")), "forbidden")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, func(c *record.Charter) { c.Rules = 2 }, "root/root-1", "root/root-2", "root/root-3")), "unsupported /predicate/rules")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, func(c *record.Charter) { c.TimeZone = "Mars/Olympus" }, "root/root-1", "root/root-2", "root/root-3")), "invalid /predicate")

	e := b.Must(b.Charter())
	wantSigners(t, b, e, "root/root-1", "root/root-2", "root/root-3")
	if got, want := b.Register.Ledger(), record.IDOf(e.Envelope.Payload); got != want {
		t.Errorf("ledger %s, want %s", got, want)
	}
	wantRefusal(t, judgeRefused(t, b, b.Provider("acme-cloud"), "authority/officer-1"), "conflict")
	wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, unchanged, "root/root-1", "root/root-2")), "conflict")
	enrol := &record.Enrolment{LegalName: "x", Country: "XA", Roles: []record.Role{record.RoleAuthority}, Keys: []record.PartyKey{b.Officer("authority/officer-1", record.FuncRegistrar)}}
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/authority", "authority", enrol), "authority/officer-1", "root/root-3")), "forbidden")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/authority", "authority", enrol), "root/root-1", "root/root-3")), "forbidden")
	b.Must(b.Authority())

	st := b.Statement("party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("acme-cloud/o")}})
	st.Ledger = record.ID{1}
	wantRefusal(t, judgeRefused(t, b, b.Sign(st, "acme-cloud/o", "authority/officer-1")), "invalid /predicate/ledger")
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
		want   string
	}{
		{"one root key", unchanged, []string{"root/root-1"}, "forbidden"},
		{"officers", unchanged, []string{"authority/officer-1", "authority/officer-2"}, "forbidden"},
		{"another origin", func(c *record.Charter) { c.Origin = "docket.example/other" }, []string{"root/root-1", "root/root-2"}, "invalid /predicate/origin"},
		{"a new key that does not sign", rotate, []string{"root/root-1", "root/root-2", "root/root-3", "root/root-4"}, "forbidden"},
		{"too few of the old", rotate, []string{"root/root-2", "root/root-4", "root/root-5"}, "forbidden"},
		{"too few of the new", func(c *record.Charter) { c.Thresholds.Root = 3 }, []string{"root/root-1", "root/root-2"}, "forbidden"},
		{"a party's key", func(c *record.Charter) {
			c.RootKeys = append(c.RootKeys, record.RootKey{Key: b.Signer("acme-cloud/compliance").Key().PEM(), Holder: "root-4"})
		}, []string{"root/root-1", "root/root-2", "acme-cloud/compliance"}, "invalid /predicate/rootKeys/3/key"},
		{"another holder", func(c *record.Charter) { c.RootKeys[0].Holder = "root-9" }, []string{"root/root-1", "root/root-2"}, "invalid /predicate/rootKeys/0/key"},
		{"newer rules", func(c *record.Charter) { c.Rules = 2 }, []string{"root/root-1", "root/root-2"}, "unsupported /predicate/rules"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantRefusal(t, judgeRefused(t, b, charterEnvelope(b, c.change, c.keys...), c.keys...), c.want)
		})
	}

	e := b.Must(charterEnvelope(b, rotate, "root/root-1", "root/root-2", "root/root-3", "root/root-4", "root/root-5"))
	wantSigners(t, b, e, "root/root-1", "root/root-2", "root/root-3", "root/root-4", "root/root-5")
	// From the next index the new set counts alone.
	standing := &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "test"}
	env := b.Sign(b.Statement("party/authority", "authority", standing), "root/root-1", "root/root-2", "root/root-3")
	wantRefusal(t, judgeRefused(t, b, env, "root/root-1"), "forbidden")
	wantRefusal(t, judgeRefused(t, b, b.Sign(b.Statement("party/new", "new", &record.Enrolment{LegalName: "x", Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("root/root-1")}}),
		"root/root-1", "authority/officer-1")), "invalid /predicate/keys/0/key")
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
	wantRefusal(t, d.Apply(e, v), "upgrade 4")
}

// TestChangedPeriods: a record is judged by the newest charter below its index.
func TestChangedPeriods(t *testing.T) {
	b := registertest.NewFixture(start)
	order := b.NewDesignation("Kestrel")
	order.EffectiveFrom = ptr(today(b).AddDays(100))
	order.EffectiveUntil = ptr(today(b).AddDays(400))
	env := b.Designate("1", order)
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/effectiveFrom")
	b.Must(charterEnvelope(b, func(c *record.Charter) { c.Periods.Notice = record.Period{Days: 100} }, "root/root-1", "root/root-2"))
	b.Must(env)
}

// certified is a certification from a day until a day, counted from today.
func certified(b *registertest.Fixture, from, until int, initial bool) *record.CIPCertification {
	return &record.CIPCertification{PeriodFrom: today(b).AddDays(from), PeriodUntil: today(b).AddDays(until), Initial: initial}
}

// dutiesOf are a party's duties of a kind in few words, as they stand at an instant.
func dutiesOf(t *testing.T, b *registertest.Fixture, party string, kind view.DutyKind, at time.Time) (told []string) {
	t.Helper()
	v, err := view.Latest(b.Register)
	if err != nil {
		t.Fatal(err)
	}
	err = v.Duties(view.DutyFilter{Party: party, Kind: kind}, at, func(d view.Duty) bool {
		s := string(d.State)
		if d.Due != nil {
			s += " due " + d.Due.String()
		}
		told = append(told, s)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// TestCertifyNoFurtherThanToday: whoever certifies until the last day that there is
// would owe the next certification in the year 10000.
func TestCertifyNoFurtherThanToday(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	file := func(until record.Date) record.Envelope {
		c := certified(b, -300, 0, true)
		c.PeriodUntil = until
		env, _ := sign(b, "cip/acme-cloud", "acme-cloud", c, "acme-cloud/compliance")
		return env
	}
	wantRefusal(t, judgeRefused(t, b, file(mustDate("9999-12-31"))), "invalid /predicate/periodUntil")
	wantRefusal(t, judgeRefused(t, b, file(today(b).AddDays(1))), "invalid /predicate/periodUntil")
	b.Must(file(today(b)))
	if got := dutiesOf(t, b, "acme-cloud", view.DutyCertify, b.Now); len(got) != 2 || got[1] != "open due 2027-11-23" {
		t.Errorf("got %q, want the next due in a year", got)
	}
}

// TestWindDownBy: a provider gives itself no more time than a response period or
// until the designation takes effect, whichever is later; more is a licence.
func TestWindDownBy(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel"))) // in force from 1 June 2027
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AERO")))
	wind := func(designation string, by record.Date) record.Envelope {
		return b.Respond(designation, "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: &by})
	}
	from := mustDate("2027-06-01")
	for _, c := range []struct {
		after       int // days
		designation string
		by          record.Date
		earliest    string
		want        string // "" = admitted
	}{
		{0, "1", today(b).AddDays(-1), "2026-11-23", "invalid /predicate/windDownBy"},
		{0, "1", today(b), "", ""},
		{0, "1", from, "", ""},
		{0, "1", from.AddDays(1), "", "invalid /predicate/windDownBy"},
		{0, "1", mustDate("9999-12-31"), "", "invalid /predicate/windDownBy"},
		{170, "1", today(b).AddDays(200), "", ""}, // a response period goes beyond 1 June
		{170, "1", today(b).AddDays(201), "", "invalid /predicate/windDownBy"},
		{0, "ofac-sdn-36", today(b).AddDays(30), "", ""}, // in force without a date
		{0, "ofac-sdn-36", today(b).AddDays(31), "", "invalid /predicate/windDownBy"},
	} {
		b.Now = start.Add(days(c.after))
		v, err := record.Open(wind(c.designation, c.by), b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Register.Begin(b.Now).Judge(v)
		if c.want == "" {
			if err != nil {
				t.Errorf("after %d days, %s by %s: %v", c.after, c.designation, c.by, err)
			}
			continue
		}
		if r := wantRefusal(t, err, c.want); r.Earliest != c.earliest {
			t.Errorf("earliest %q, want %q", r.Earliest, c.earliest)
		}
	}

	// Of several the earliest counts.
	b.Now = start
	b.Must(wind("1", today(b).AddDays(60)))
	b.Must(wind("1", from))
	if got := dutiesOf(t, b, "acme-cloud", view.DutyConclude, b.Now); len(got) != 1 || got[0] != "open due 2027-01-22" {
		t.Errorf("got %q, want the first promise", got)
	}
}

// TestBackdatedStanding: a registrar's withdrawal from a day before its admission
// wipes no duty that is overdue; it is not admitted.
func TestBackdatedStanding(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel"))) // due 8 January 2027
	b.Now = start.Add(days(100))
	stand := func(status string, on record.Date) record.Envelope {
		env, _ := sign(b, "party/acme-cloud", "authority", &record.Standing{Status: status, EffectiveOn: on, Reason: "x"}, "authority/officer-1")
		return env
	}
	r := wantRefusal(t, judgeRefused(t, b, stand("withdrawn", mustDate("2026-12-01"))), "invalid /predicate/effectiveOn")
	if r.Earliest != "2027-03-03" {
		t.Errorf("earliest %q", r.Earliest)
	}
	b.Must(stand("withdrawn", today(b)))
	if got := dutiesOf(t, b, "acme-cloud", view.DutyRespond, b.Now); len(got) != 1 || got[0] != "overdue due 2027-01-08" {
		t.Errorf("got %q, want what was overdue before", got)
	}
}

// TestAnnouncedStanding: on a day the newest record effective by then holds, and an
// announced one may be replaced until its day.
func TestAnnouncedStanding(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	stand := func(status string, in int) record.Envelope {
		env, _ := sign(b, "party/acme-cloud", "authority", &record.Standing{Status: status, EffectiveOn: today(b).AddDays(in), Reason: "x"}, "authority/officer-1")
		return env
	}
	// on says how the party stands in so many days, by what is on the ledger now.
	on := func(in int, want string) {
		t.Helper()
		v, err := view.Latest(b.Register)
		if err != nil {
			t.Fatal(err)
		}
		p, err := v.Party("acme-cloud", b.Now.Add(days(in)))
		if err != nil || p.Standing != want {
			t.Errorf("in %d days: %s (%v), want %s", in, p.Standing, err, want)
		}
	}
	wantRefusal(t, judgeRefused(t, b, stand("active", 0)), "conflict")
	b.Must(stand("withdrawn", 20))
	wantRefusal(t, judgeRefused(t, b, stand("active", 21)), "conflict")
	wantRefusal(t, judgeRefused(t, b, stand("withdrawn", 20)), "conflict")
	b.Must(stand("suspended", 10)) // so it is not withdrawn
	on(9, "active")
	on(10, "suspended")
	on(25, "suspended")
	b.Must(stand("active", 30)) // the suspension stands until then
	on(29, "suspended")
	on(30, "active")
	b.Must(stand("active", 5)) // both are taken back
	on(10, "active")
	on(40, "active")
	wantRefusal(t, judgeRefused(t, b, stand("active", 7)), "conflict")
	b.Must(stand("withdrawn", 3))
	b.Must(stand("withdrawn", 2)) // sooner
	on(1, "active")
	on(2, "withdrawn")

	// Until its day, not on it.
	b.Now = b.Now.Add(days(2))
	wantRefusal(t, judgeRefused(t, b, stand("active", 0)), "conflict")
}

// TestLaterEnrolmentIsAboutTheFirst: without document its subject is the party's first
// enrolment record, and it lists no keys.
func TestLaterEnrolmentIsAboutTheFirst(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	first := record.IDOf(b.Entries[2].Envelope.Payload)
	enrol := func(name string, about record.ID, keys ...record.PartyKey) record.Envelope {
		e := &record.Enrolment{LegalName: name, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: keys}
		st := b.Statement("party/acme-cloud", "acme-cloud", e)
		st.Subject.SHA256 = about
		return b.Sign(st, "acme-cloud/compliance", "authority/officer-1")
	}
	b.Must(enrol("Two", first))
	second := b.Head("party/acme-cloud")
	wantRefusal(t, judgeRefused(t, b, enrol("Three", second)), "invalid /subject/0/digest/sha256")
	wantRefusal(t, judgeRefused(t, b, enrol("Three", first, b.Officer("acme-cloud/compliance"))), "invalid /predicate/keys")
	b.Must(enrol("Three", first))
}

// TestWhoMayNotSign tries to break each rule of RECORDS.md "Keys and who may
// sign" on a ledger with the authority and three providers, of which one is
// suspended and one withdrawn.
func TestWhoMayNotSign(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks", "echo-stopped", "foxtrot-gone")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	for party, status := range map[string]string{"echo-stopped": "suspended", "foxtrot-gone": "withdrawn"} {
		env, _ := sign(b, record.PartyThread(party), "authority", &record.Standing{Status: status, EffectiveOn: today(b), Reason: "test"}, "authority/officer-1")
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
		thread record.Thread
		issuer string
		say    record.Predicate
		keys   []string
		want   string
	}{
		// Thresholds count distinct holders.
		{"one officer", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1"},
			"forbidden"},
		{"one officer with two keys", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/officer-1#2"},
			"forbidden"},
		{"an officer and a stranger's key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "acme-cloud/compliance"},
			"forbidden"},
		{"an officer and a key that nobody enrolled", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "nobody/1"},
			"forbidden"},
		{"an officer and a root key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "root/root-1"},
			"forbidden"},
		{"an officer and the recovery key", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/safe"},
			"forbidden"},
		{"an officer and the importer, nothing imported", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/officer-1", "authority/nightly-import"},
			"forbidden"},
		{"the importer alone, nothing imported", "designation/1", "authority", b.NewDesignation("x"), []string{"authority/nightly-import"},
			"forbidden"},
		{"the importer revokes an order", "designation/2026-014", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/nightly-import"},
			"forbidden"},
		{"one designator on an imported thread", "designation/ofac-sdn-36", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/officer-2"},
			"forbidden"},
		{"who that was", "designation/ofac-sdn-36", "authority", &record.Revocation{EffectiveOn: today(b), Cause: "lifted", Reason: "x"}, []string{"authority/officer-2"},
			"forbidden"},
		{"a provider designates", "designation/1", "authority", b.NewDesignation("x"), []string{"acme-cloud/compliance"},
			"forbidden"},

		// Root keys.
		{"one root key enrols again the authority", "party/authority", "authority", &record.Enrolment{LegalName: "y", Country: "XA", Roles: []record.Role{record.RoleAuthority}},
			[]string{"root/root-1", "authority/officer-1"}, "forbidden"},
		{"root keys alone enrol again the authority", "party/authority", "authority", &record.Enrolment{LegalName: "y", Country: "XA", Roles: []record.Role{record.RoleAuthority}},
			[]string{"root/root-1", "root/root-2"}, "forbidden"},
		{"a registrar appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"authority/officer-1", "authority/new"}, "forbidden"},
		{"one root key appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"root/root-1", "authority/officer-1", "authority/new"}, "forbidden"},
		{"root keys appoint a designator who did not sign", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}},
			[]string{"root/root-1", "root/root-2"}, "forbidden"},
		{"a designator revokes a key of the authority", "party/authority", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-1")}}},
			[]string{"authority/officer-2"}, "forbidden"},
		{"root keys revoke a key of the authority", "party/authority", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"root/root-1", "root/root-2", "root/root-3"}, "forbidden"},
		{"root keys replace a key of the authority", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new")}, Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"root/root-1", "root/root-2", "authority/new"}, "forbidden"},
		{"a registrar replaces a key of the authority", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new")}, Revoke: []record.KeyRevocation{{KeyID: b.KeyID("authority/officer-3")}}},
			[]string{"authority/officer-1", "root/root-1", "authority/new"}, "forbidden"},
		{"a registrar suspends the authority", "party/authority", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"},
			[]string{"authority/officer-1"}, "forbidden"},

		// Enrolments.
		{"an enrolment without a registrar", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o"},
			"forbidden"},
		{"an enrolment by a designator", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o", "authority/officer-2"},
			"forbidden"},
		{"an enrolment without possession", "party/new", "new", provider("new", b.Officer("new/o"), b.Automation("new/ci")), []string{"new/o", "authority/officer-1"},
			"forbidden"},
		{"an enrolment of eight keys", "party/new", "new", provider("new", eight...), append(eightNames[:7:7], "authority/officer-1"),
			"forbidden"},
		{"a provider sponsors a provider", "party/new", "new", provider("new", b.Officer("new/o")), []string{"new/o", "acme-cloud/compliance"},
			"forbidden"},
		{"a provider sponsors a reseller that audits", "party/lumen", "lumen", reseller(record.RoleAuditor), []string{"lumen/o", "acme-cloud/compliance"},
			"forbidden"},
		{"automation sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "acme-cloud/ci"},
			"forbidden"},
		{"a suspended provider sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "echo-stopped/compliance"},
			"forbidden"},
		{"a withdrawn provider sponsors a reseller", "party/lumen", "lumen", reseller(), []string{"lumen/o", "foxtrot-gone/compliance"},
			"forbidden"},
		{"a withdrawn ID is used again", "party/foxtrot-gone", "foxtrot-gone", provider("Foxtrot II"), []string{"foxtrot-gone/compliance", "authority/officer-1"},
			"forbidden"},
		{"a later enrolment without an officer", "party/acme-cloud", "acme-cloud", provider("Acme II"), []string{"authority/officer-1", "acme-cloud/ci"},
			"forbidden"},
		{"a later enrolment without a registrar", "party/acme-cloud", "acme-cloud", provider("Acme II"), []string{"acme-cloud/compliance"},
			"forbidden"},
		{"a later enrolment adds a key", "party/acme-cloud", "acme-cloud", provider("Acme II", b.Officer("acme-cloud/two")), []string{"acme-cloud/compliance", "acme-cloud/two", "authority/officer-1"},
			"invalid /predicate/keys"},
		{"a later enrolment changes roles", "party/acme-cloud", "acme-cloud", &record.Enrolment{LegalName: "Acme", Country: "US", Roles: []record.Role{record.RoleProvider, record.RoleAuditor}}, []string{"acme-cloud/compliance", "authority/officer-1"},
			"invalid /predicate/roles"},

		// One key, one owner, one holder.
		{"a key of two parties", "party/new", "new", provider("new", b.Officer("delta-racks/compliance")), []string{"delta-racks/compliance", "authority/officer-1"},
			"invalid /predicate/keys/0/key"},
		{"a root key as a party's", "party/new", "new", provider("new", b.Officer("root/root-1")), []string{"root/root-1", "authority/officer-1"},
			"invalid /predicate/keys/0/key"},
		{"an authority's key as a party's", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("authority/officer-2")}}, []string{"acme-cloud/compliance", "authority/officer-2"},
			"invalid /predicate/add/0/key"},
		{"a key that is there already", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/compliance")}}, []string{"acme-cloud/compliance"},
			"invalid /predicate/add/0/key"},

		// keys.
		{"automation adds a key", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Automation("acme-cloud/two")}}, []string{"acme-cloud/ci", "acme-cloud/two"},
			"forbidden"},
		{"automation revokes a key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/safe")}}}, []string{"acme-cloud/ci"},
			"forbidden"},
		{"an added key does not sign", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"acme-cloud/compliance"},
			"forbidden"},
		{"an added key signs alone", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"acme-cloud/two"},
			"forbidden"},
		{"recovery adds an automation key", "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two"), b.Automation("acme-cloud/ci-2")}}, []string{"acme-cloud/safe", "acme-cloud/two", "acme-cloud/ci-2"},
			"forbidden"},
		{"recovery revokes an automation key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci")}}}, []string{"acme-cloud/safe"},
			"forbidden"},
		{"another party changes keys", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/ci")}}}, []string{"delta-racks/compliance"},
			"forbidden"},
		{"a party revokes another's key", "party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("delta-racks/ci")}}}, []string{"acme-cloud/compliance"},
			"invalid /predicate/revoke/0/keyid"},
		{"a designator adds a party's key", "party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/two")}}, []string{"authority/officer-2", "acme-cloud/two"},
			"forbidden"},
		{"a registrar revokes a party's own key", "party/acme-cloud", "authority", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("acme-cloud/compliance")}}}, []string{"authority/officer-1"},
			"forbidden"},
		{"keys of nobody", "party/nobody", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("nobody/1")}}, []string{"authority/officer-1", "nobody/1"},
			"invalid /predicate/thread"},

		// Standing of parties.
		{"a suspended provider certifies", "cip/echo-stopped", "echo-stopped", cip, []string{"echo-stopped/compliance"},
			"forbidden"},
		{"a withdrawn provider responds", "response/2026-014/foxtrot-gone", "foxtrot-gone", ack, []string{"foxtrot-gone/compliance"},
			"forbidden"},
		{"a withdrawn provider changes keys", "party/foxtrot-gone", "foxtrot-gone", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: b.KeyID("foxtrot-gone/ci")}}}, []string{"foxtrot-gone/compliance"},
			"forbidden"},
		{"a registrar helps a withdrawn provider", "party/foxtrot-gone", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("foxtrot-gone/new")}}, []string{"authority/officer-1", "foxtrot-gone/new"},
			"forbidden"},
		{"a withdrawn party comes back", "party/foxtrot-gone", "authority", &record.Standing{Status: "active", EffectiveOn: today(b), Reason: "x"}, []string{"authority/officer-1"},
			"conflict"},
		{"a designator suspends a party", "party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "x"}, []string{"authority/officer-2"},
			"forbidden"},

		// Providers.
		{"automation certifies", "cip/acme-cloud", "acme-cloud", cip, []string{"acme-cloud/ci"},
			"forbidden"},
		{"recovery responds", "response/2026-014/acme-cloud", "acme-cloud", ack, []string{"acme-cloud/safe"},
			"forbidden"},
		{"one provider for another", "response/2026-014/acme-cloud", "acme-cloud", ack, []string{"delta-racks/compliance"},
			"forbidden"},
		{"the authority responds", "response/2026-014/authority", "authority", ack, []string{"authority/officer-1"},
			"forbidden"},
		{"an issuer that nobody enrolled", "response/2026-014/acme-clowd", "acme-clowd", ack, []string{"acme-cloud/ci"},
			"invalid /predicate/issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, c.issuer, c.say, c.keys...)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
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
		wantRefusal(t, judgeRefused(t, b, env, keys...), "invalid /predicate/keys")
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
		thread record.Thread
		issuer string
		say    record.Predicate
		own    []string
	}{
		{"party/new", "new", e, []string{"new/o"}},
		{"party/acme-cloud", "authority", standing, nil},
		{"party/acme-cloud", "authority", recovery, []string{"acme-cloud/new"}},
	} {
		env, keys := sign(b, c.thread, c.issuer, c.say, append(c.own[:len(c.own):len(c.own)], "authority/officer-1", "authority/officer-1#2")...)
		wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
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
		thread    record.Thread
		issuer    string
		say       record.Predicate
		key, want string // none: it may, or Preflight says what is at fault
	}{
		{"designation/1", "authority", b.NewDesignation("x"), "authority/officer-1", ""},
		{"designation/1", "authority", b.NewDesignation("x"), "authority/nightly-import", "forbidden"},
		{"designation/1", "authority", b.NewDesignation("x"), "root/root-1", "forbidden"},
		{"designation/1", "authority", b.NewDesignation("x"), "acme-cloud/compliance", "forbidden"},
		{"designation/1", "authority", b.NewDesignation("x"), "nobody/1", "forbidden"},
		{"designation/1", "authority", late, "nobody/1", ""},
		{"designation/2026-014", "authority", b.NewDesignation("x"), "nobody/1", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "acme-cloud/ci", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "delta-racks/ci", "forbidden"},
		{"response/2026-099/acme-cloud", "acme-cloud", ack, "delta-racks/ci", ""},
		{"party/acme-cloud", "acme-cloud", automation, "acme-cloud/two", ""},
		{"response/2026-014/acme-cloud", "acme-cloud", ack, "acme-cloud/late", "too early"},
		{"party/acme-cloud", "acme-cloud", automation, "acme-cloud/safe", "forbidden"},
	} {
		err := b.Register.Begin(b.Now).MaySign(b.Statement(c.thread, c.issuer, c.say), b.Signer(c.key).Key())
		switch {
		case c.want != "":
			wantRefusal(t, err, c.want)
		case err != nil:
			t.Errorf("%s on %s: %v", c.key, c.thread, err)
		}
	}
}
