package register_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// walker says random things, most of them properly signed, and tries what comes
// of it: a refusal, or an entry.
type walker struct {
	*registertest.Fixture
	rng            *rand.Rand
	parties        []string
	keys           []string // every key that was ever made
	orders         int
	newcomers      int // who asked to be enrolled
	admitted       map[record.Kind]int
	refusedForever []*record.Statement // what was refused for ever
}

func newWalker(seed uint64) *walker {
	w := &walker{
		Fixture: registertest.NewFixture(start, "acme-cloud", "borealis"), rng: rand.New(rand.NewPCG(seed, 1)),
		parties: []string{"acme-cloud", "borealis", "authority"}, admitted: make(map[record.Kind]int),
		keys: []string{"root/root-1", "root/root-2", "root/root-3", "authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import"},
	}
	for _, p := range w.parties[:2] {
		w.keys = append(w.keys, p+"/compliance", p+"/ci", p+"/safe")
	}
	second := &record.Keys{Add: []record.PartyKey{w.Officer("authority/registrar", record.FuncRegistrar)}}
	w.Must(w.Sign(w.Statement("party/authority", "authority", second), "root/root-1", "root/root-2", "authority/registrar"))
	return w
}

// pick is one of the words.
func (w *walker) pick(words ...string) string { return words[w.rng.IntN(len(words))] }

// day is a date around today.
func (w *walker) day(from, n int) record.Date { return today(w.Fixture).AddDays(from + w.rng.IntN(n)) }

// randomRecord is one random record and those who should sign it.
func (w *walker) randomRecord() (thread, issuer string, p record.Predicate, keys []string) {
	n := max(0, w.orders-1-w.rng.IntN(3)) // one of the newest orders
	order := fmt.Sprintf("designation/2026-%d", n)
	party := w.pick(w.parties...)
	provider := w.pick(w.parties[:2]...)
	officers := []string{"authority/officer-1", "authority/officer-2", "authority/officer-3"}
	switch w.rng.IntN(15) {
	case 0:
		d := w.NewDesignation(w.pick("Kestrel", "Lumen", "Кестрел"))
		d.ResponseDue, d.EffectiveFrom = ptr(w.day(28, 40)), ptr(w.day(179, 20))
		d.EffectiveUntil = ptr(d.EffectiveFrom.AddDays(200 + w.rng.IntN(180)))
		return fmt.Sprintf("designation/2026-%d", w.orders-w.rng.IntN(min(2, w.orders+1))), "authority", d, officers
	case 1:
		id := w.pick("36", "37", "38")
		return "designation/ofac-sdn-" + id, "authority", w.NewListedDesignation(id, w.pick("AERO", "CARIBBEAN")), []string{"authority/nightly-import"}
	case 2:
		id := w.pick("36", "37", "38")
		return "designation/ofac-sdn-" + id, "authority", &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", w.pick("A", "B", "C")))}, []string{"authority/nightly-import"}
	case 3:
		id := w.pick("36", "37", "38")
		return "designation/ofac-sdn-" + id, "authority", revocation(w.Fixture, w.pick("delisted", "delisted", "delisted", "error")), []string{"authority/nightly-import", "authority/officer-3"}
	case 4:
		return order, "authority", suspend(w.Fixture, w.rng.IntN(3), ptr(w.day(3, 30))), officers
	case 5:
		return order, "authority", reinstate(w.Fixture, w.rng.IntN(3)), officers
	case 6:
		if w.rng.IntN(4) > 0 {
			return order, "authority", &record.Amendment{Type: "alias", Reason: "r", Add: addAlias(w.pick("K", "L", "M", "N"))}, officers
		}
		return order, "authority", revocation(w.Fixture, w.pick("lifted", "superseded")), officers
	case 7:
		return order, "authority", &record.Amendment{Type: "scope", Reason: "r", Set: setMember("scope", setMember("successors", w.rng.IntN(2) == 0)), ResponseDue: ptr(w.day(28, 9))}, officers
	case 8, 9:
		return fmt.Sprintf("response/2026-%d/%s", n, provider), provider,
			&record.Response{Status: w.pick("acknowledged", "winding-down", "licensed"), WindDownBy: ptr(w.day(10, 20))}, []string{provider + "/ci"}
	case 10:
		return "cip/" + provider, provider, &record.CIPCertification{PeriodFrom: w.day(-400, 30), PeriodUntil: w.day(-35, 30), Initial: w.Head("cip/" + provider).IsZero()}, []string{provider + "/compliance"}
	case 11:
		return "party/" + party, "authority", &record.Standing{Status: w.pick("suspended", "active"), EffectiveOn: w.day(-2, 4), Reason: "r"}, []string{"authority/officer-1", "authority/registrar", "root/root-1", "root/root-2"}
	case 12:
		c := w.CharterPredicate
		c.Thresholds.Registrar, c.Thresholds.Designation = 1+w.rng.Int64N(2), 1+w.rng.Int64N(2)
		return "charter", "authority", &c, []string{"root/root-1", "root/root-2", "root/root-3"}
	case 13:
		return w.newcomer()
	default:
		name := fmt.Sprintf("%s/k-%d", party, len(w.keys))
		k := &record.Keys{Add: []record.PartyKey{w.Officer(name)}}
		if w.rng.IntN(2) == 0 {
			k.Revoke = append(k.Revoke, record.KeyRevocation{KeyID: w.KeyID(w.keys[w.rng.IntN(len(w.keys))])})
		}
		w.keys = append(w.keys, name)
		return "party/" + party, party, k, []string{party + "/compliance", "root/root-1", "root/root-3", "authority/officer-1", name}
	}
}

// newcomer is an enrolment, of a reseller by a sponsor or by registrars, of a provider
// by registrars. Where only a sponsor leaves room for a reseller's keys, one signs:
// whoever signs first is not told what another introducer would heal.
func (w *walker) newcomer() (thread, issuer string, p record.Predicate, keys []string) {
	id := fmt.Sprintf("newcomer-%d", w.newcomers)
	w.newcomers++
	e := &record.Enrolment{LegalName: id, Country: "XC", Roles: []record.Role{record.RoleReseller}}
	if w.rng.IntN(2) == 0 {
		e.Roles[0] = record.RoleProvider
	}
	for i := range 1 + w.rng.IntN(record.MaxSignatures) {
		keys = append(keys, fmt.Sprintf("%s/k-%d", id, i))
		e.Keys = append(e.Keys, w.Officer(keys[i]))
	}
	if e.Roles[0] == record.RoleReseller && (len(keys) > record.MaxSignatures-2 || w.rng.IntN(2) == 0) {
		return "party/" + id, id, e, append(keys, w.pick(w.parties[:2]...)+"/compliance")
	}
	return "party/" + id, id, e, append(keys, "authority/officer-1", "authority/registrar")
}

// step says one thing and returns whether it was admitted.
func (w *walker) step(t *testing.T) bool {
	w.Now = w.Now.Add(time.Duration(w.rng.Int64N(int64(20 * time.Hour)))).Truncate(time.Millisecond)
	thread, issuer, p, keys := w.randomRecord()
	if w.rng.IntN(5) == 0 { // somebody else signs too, or instead
		keys[w.rng.IntN(len(keys))] = w.keys[w.rng.IntN(len(w.keys))]
	}
	st := w.Statement(thread, issuer, p)
	if w.rng.IntN(20) == 0 {
		st.Follows = record.ID{byte(w.rng.Int())}
	}
	if _, err := record.EncodeStatement(st); err != nil {
		return false
	}
	env := w.Sign(st, keys...)
	v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
		for _, name := range keys {
			all = append(all, w.Signer(name).Key())
		}
		return all
	})
	if err != nil {
		t.Fatal(err)
	}
	d := w.Register.Begin(w.Now)
	first := d.Preflight(v.Statement())
	may := make(map[string]error)
	for _, s := range v.Signatures() {
		may[s.Key.ID()] = d.MaySign(v.Statement(), s.Key)
	}
	e, err := d.Judge(v)
	checkPreflight(t, first, err)
	var told *record.Refusal
	if errors.As(first, &told) && told.Class == record.Invalid && !told.Transient {
		w.refusedForever = append(w.refusedForever, v.Statement())
	}
	if err != nil {
		var refusal *record.Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("%s on %s: an error that is no refusal: %v", st.Kind, thread, err)
		}
		return false
	}
	checkMaySign(t, may, e)
	w.checkCandidatesSuffice(t, env, e)
	if w.rng.IntN(4) == 0 {
		return false // a dry run: the draft is dropped
	}
	root := registertest.NextRoot(w.Root, e)
	if err := w.Register.Advance(d, root); err != nil {
		t.Fatal(err)
	}
	w.Root, w.Entries = root, append(w.Entries, e)
	w.NoteAdmitted(env)
	if st.Kind == record.KindDesignation && thread == fmt.Sprintf("designation/2026-%d", w.orders) {
		w.orders++
	}
	w.admitted[st.Kind]++
	return true
}

// checkStillRefused: whatever was recorded since, a record that was refused for ever is.
func (w *walker) checkStillRefused(t *testing.T, seed uint64) {
	t.Helper()
	for _, st := range w.refusedForever {
		var r *record.Refusal
		if err := w.Register.Begin(w.Now).Preflight(st); !errors.As(err, &r) || r.Transient {
			t.Errorf("%s on %s was refused for ever, and now %v (seed %d)", st.Kind, st.Thread, err, seed)
		}
	}
	if len(w.refusedForever) == 0 {
		t.Errorf("nothing was refused for ever: the walk tests nothing of it (seed %d)", seed)
	}
}

// checkCandidatesSuffice: whoever offers Open the register's candidates alone gets the
// same entry as with every key in the world.
func (w *walker) checkCandidatesSuffice(t *testing.T, env record.Envelope, want record.Entry) {
	t.Helper()
	v, err := record.Open(env, w.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.Register.Begin(w.Now).Judge(v)
	if err != nil || string(e.Marshal()) != string(want.Marshal()) {
		t.Fatalf("%s: with the candidates %v, %v; want %v", v.Statement().Thread, e.Envelope.Signatures, err, want.Envelope.Signatures)
	}
}

// TestRandomWalkReplays: whatever was said, refused and dropped, a replay of the entries alone
// gives the same register, in batches of any size.
func TestRandomWalkReplays(t *testing.T) {
	for seed := range uint64(4) {
		w := newWalker(seed)
		for range 600 {
			w.step(t)
		}
		for _, kind := range []record.Kind{
			record.KindStanding, record.KindKeys, record.KindDesignation, record.KindAmendment, record.KindSuspension,
			record.KindReinstatement, record.KindRevocation, record.KindResponse, record.KindCIPCertification,
			record.KindCharter, record.KindEnrolment,
		} {
			if w.admitted[kind] == 0 && seed == 0 {
				t.Errorf("no %s was admitted: the walk tests nothing of it (seed %d)", kind, seed)
			}
		}
		w.checkStillRefused(t, seed)
		t.Logf("seed %d: %d entries: %v", seed, len(w.Entries), w.admitted)
		want := dump(t, w.Register)
		fresh, err := register.Open(vfs.NewMem(), "replayed", registertest.SmallOptions())
		if err != nil {
			t.Fatal(err)
		}
		replay(t, fresh, w.Entries, 1+w.rng.IntN(40))
		if got := dump(t, fresh); got != want {
			t.Errorf("the replayed register differs from the live one (seed %d)", seed)
		}
		if err := fresh.Reset(); err != nil {
			t.Fatal(err)
		}
		if fresh.Size() != 0 || dump(t, fresh) != "" {
			t.Errorf("a reset register is not empty (seed %d)", seed)
		}
		replayPipelined(t, fresh, w.Entries)
		if got := dump(t, fresh); got != want {
			t.Errorf("the register replayed in stacked drafts differs (seed %d)", seed)
		}
	}
}

// reopened verifies entries with the keys that they themselves list.
func reopened(t *testing.T, entries []record.Entry) []record.Verified {
	t.Helper()
	keys := make(map[string]*record.Key)
	out := make([]record.Verified, len(entries))
	for i, e := range entries {
		st, err := record.ParseStatement(e.Envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := record.ListedKeys(st)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range listed {
			keys[k.ID()] = k
		}
		if out[i], err = record.OpenEntry(e, func(keyid string) *record.Key { return keys[keyid] }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// replay applies the entries that the register lacks, in batches.
func replay(t *testing.T, r *register.Register, entries []record.Entry, batch int) {
	t.Helper()
	root, verified := r.Cursor().Root, reopened(t, entries)
	for r.Size() < uint64(len(entries)) {
		from := r.Size()
		d := r.Begin(time.Time{})
		for i := int(from); i < min(int(from)+batch, len(entries)); i++ {
			if err := d.Apply(entries[i], verified[i]); err != nil {
				t.Fatal(err)
			}
			root = registertest.NextRoot(root, entries[i])
		}
		if err := r.Advance(d, root); err != nil {
			t.Fatal(err)
		}
	}
}

// replayPipelined keeps two drafts in flight, as a ledger does whose commits and
// judging overlap.
func replayPipelined(t *testing.T, r *register.Register, entries []record.Entry) {
	t.Helper()
	var root, below [32]byte
	var pending *register.Draft
	d := r.Begin(time.Time{})
	verified := reopened(t, entries)
	for i, e := range entries {
		if err := d.Apply(e, verified[i]); err != nil {
			t.Fatal(err)
		}
		root = registertest.NextRoot(root, e)
		if i%3 != 2 && i != len(entries)-1 {
			continue
		}
		next := d.Next(time.Time{})
		if pending != nil {
			if err := r.Advance(pending, below); err != nil {
				t.Fatal(err)
			}
		}
		pending, below, d = d, root, next
	}
	if err := r.Advance(pending, below); err != nil {
		t.Fatal(err)
	}
}

// TestApplyRefuses: a replay takes no entry that judging would not have made.
func TestApplyRefuses(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	v, err := record.Open(b.Respond("1", "acme-cloud", acknowledged), b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	good, err := b.Register.Begin(b.Now).Judge(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Register.Begin(b.Now).Apply(good, v); err != nil {
		t.Fatalf("the entry itself: %v", err)
	}
	bare := b.Respond("1", "acme-cloud", acknowledged)
	more, err := record.Open(b.Sign(mustParse(t, bare), "acme-cloud/ci", "acme-cloud/safe"), func(st *record.Statement) []*record.Key {
		return append(b.Register.CandidateKeys(st), b.Signer("acme-cloud/safe").Key())
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := more.Entry(b.Now, func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	early, late := good, good
	early.Admitted, late.Admitted = start.Add(-time.Millisecond), start.Add(days(31))
	for name, c := range map[string]struct {
		e record.Entry
		v record.Verified
	}{
		"a signature that does not count": {all, more},
		"admitted before its predecessor": {early, v},
		"admitted after the draft period": {late, v},
	} {
		if err := b.Register.Begin(b.Now).Apply(c.e, c.v); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
}

// TestCrash: nothing is synced, so a crash takes the newest rows; what is left is
// a register of an earlier size, which a replay brings to the same bytes.
func TestCrash(t *testing.T) {
	w := newWalker(7)
	for range 600 {
		w.step(t)
	}
	want := dump(t, w.Register)
	o := registertest.SmallOptions()
	o.MemTableBytes = 32 << 10 // so that some of it is flushed, and that is synced
	for seed := range uint64(8) {
		fs := vfs.NewCrashableMem()
		r, err := register.Open(fs, "register", o)
		if err != nil {
			t.Fatal(err)
		}
		cut := len(w.Entries) * int(seed+1) / 8
		replay(t, r, w.Entries[:cut], 5)
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed * 14), RNG: rand.New(rand.NewPCG(seed, 2))})
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r, err = register.Open(crashed, "register", o)
		if err != nil {
			t.Fatalf("opening after the crash: %v (seed %d)", err, seed)
		}
		t.Logf("seed %d: %d of %d entries left", seed, r.Size(), cut)
		if got := r.Size(); got > uint64(cut) {
			t.Fatalf("size %d after the crash (seed %d)", got, seed)
		}
		replay(t, r, w.Entries, 9)
		if dump(t, r) != want {
			t.Errorf("the register replayed after a crash differs (seed %d)", seed)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReopen: a register that was closed goes on where it was.
func TestReopen(t *testing.T) {
	w := newWalker(9)
	for range 200 {
		w.step(t)
	}
	fs := vfs.NewMem()
	for i := 0; ; i += 10 {
		r, err := register.Open(fs, "register", registertest.SmallOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Size(), uint64(min(i, len(w.Entries))); got != want {
			t.Fatalf("size %d, want %d", got, want)
		}
		if i >= len(w.Entries) {
			if r.Cursor().Root != w.Root || r.Ledger() != w.Ledger || dump(t, r) != dump(t, w.Register) {
				t.Error("the register differs after closing and opening")
			}
			return
		}
		replay(t, r, w.Entries[:min(i+10, len(w.Entries))], 100)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkPreflight wants who signs first to be told whatever the judge says in the end, but
// for who has not signed, or need not have.
func checkPreflight(t *testing.T, first, judged error) {
	t.Helper()
	var refusal *record.Refusal
	switch {
	case errors.As(judged, &refusal) && (refusal.Class == record.Forbidden || refusal.Class == record.TooLarge):
	case fmt.Sprint(first) != fmt.Sprint(judged):
		t.Errorf("told first: %v; judged: %v", first, judged)
	}
}

// checkMaySign wants an entry to keep the signatures of those who were told that they may
// sign, and no other.
func checkMaySign(t *testing.T, may map[string]error, e record.Entry) {
	t.Helper()
	for id, told := range may {
		kept := slices.ContainsFunc(e.Envelope.Signatures, func(s record.Signature) bool { return s.KeyID == id })
		if kept != (told == nil) {
			t.Errorf("key %s was told %v; its signature was kept: %t", id, told, kept)
		}
	}
}
