package register_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// walker tries what a [registertest.Author] says: it comes to a refusal, or an entry.
type walker struct {
	*registertest.Author
	refusedForever []*record.Statement // what was refused for ever
	steps          int
	verdicts       []judged // of every fourth step
}

func newWalker(seed uint64) *walker { return &walker{Author: registertest.NewAuthor(start, seed)} }

// step says one thing and returns whether it was admitted.
func (w *walker) step(t *testing.T) bool {
	st, keys := w.Propose()
	if st == nil {
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
	if w.steps++; w.steps%4 == 0 {
		w.noteVerdict(t, env)
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
			t.Fatalf("%s on %s: an error that is no refusal: %v", st.Kind, st.Thread, err)
		}
		return false
	}
	checkMaySign(t, may, e)
	w.checkCandidatesSuffice(t, env, e)
	if w.Rand.IntN(4) == 0 {
		return false // a dry run: the draft is dropped
	}
	root := registertest.NextRoot(w.Root, e)
	if err := w.Register.Advance(d, root); err != nil {
		t.Fatal(err)
	}
	w.Root, w.Entries = root, append(w.Entries, e)
	w.Admit(st, env)
	return true
}

// judged is what the rules said of an envelope, when and at which size.
type judged struct {
	env  record.Envelope
	size uint64
	at   time.Time
	says string
}

func (w *walker) noteVerdict(t *testing.T, env record.Envelope) {
	t.Helper()
	verdict, err := w.Register.Begin(w.Now).Verdict(env)
	if err != nil {
		t.Fatal(err)
	}
	w.verdicts = append(w.verdicts, judged{env, w.Register.Size(), w.Now, verdictText(verdict)})
}

func verdictText(v register.Verdict) string {
	if v.Refused == nil {
		return fmt.Sprint("admissible ", v.Signers)
	}
	return fmt.Sprint(v.Refused.Rule(), v.Signers, v.Refused)
}

// checkVerdicts: a register that has gone on, and was made anew, judges each envelope as the
// live one did at that size.
func (w *walker) checkVerdicts(t *testing.T, r *register.Register, seed uint64) {
	t.Helper()
	refused := 0
	for _, j := range w.verdicts {
		d, err := r.BeginAt(j.size, j.at)
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := d.Verdict(j.env)
		if err != nil {
			t.Fatal(err)
		}
		if got := verdictText(verdict); got != j.says {
			t.Fatalf("as of size %d it says\n%s\nand said\n%s (seed %d)", j.size, got, j.says, seed)
		}
		if verdict.Refused != nil && len(verdict.Signers) > 0 {
			refused++
		}
	}
	if refused < 20 {
		t.Errorf("%d refusals judged again: the walk tests nothing of it (seed %d)", refused, seed)
	}
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
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	admitted := make(map[record.Kind]int)
	for seed := range uint64(4) {
		w := newWalker(seed)
		for range 900 {
			w.step(t)
		}
		for kind, n := range w.Admitted {
			admitted[kind] += n
		}
		w.checkStillRefused(t, seed)
		t.Logf("seed %d: %d entries: %v", seed, len(w.Entries), w.Admitted)
		want := dump(t, w.Register)
		fresh, err := register.Open(vfs.NewMem(), "replayed", registertest.SmallOptions())
		if err != nil {
			t.Fatal(err)
		}
		replay(t, fresh, w.Entries, 1+w.Rand.IntN(40))
		if got := dump(t, fresh); got != want {
			t.Errorf("the replayed register differs from the live one (seed %d)", seed)
		}
		w.checkVerdicts(t, fresh, seed)
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
	for _, kind := range record.Kinds() {
		if admitted[kind] == 0 {
			t.Errorf("no %s was admitted: the walks test nothing of it", kind)
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
		thread record.Thread
		issuer string
		say    record.Predicate
		change func(*record.Statement)
		keys   []string
		want   string
	}{
		{"one designator", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1"}, "forbidden"},
		{"one designator with two keys", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1", "authority/officer-1#2"}, "forbidden"},
		{"an importer on an order", order, "authority", revocation(b, "lifted"), nil, []string{"authority/nightly-import"}, "forbidden"},
		{"a third key that is none of theirs", "designation/2", "authority", b.NewDesignation("x"), nil, []string{"authority/officer-1", "authority/officer-2", "acme-cloud/compliance"}, ""},
		{"a signature more than counts", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/ci", "acme-cloud/safe"}, ""},
		{"a key that was revoked", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/gone"}, "forbidden"},
		{"a registrar's key before its time", answer, "acme-cloud", noRelationship, nil, []string{"acme-cloud/late"}, "forbidden"},
		{"automation certifies", cip, "acme-cloud", certify, nil, []string{"acme-cloud/ci"}, "forbidden"},
		{"the suspended certify", "cip/echo-stopped", "echo-stopped", certify, nil, []string{"echo-stopped/compliance"}, "forbidden"},
		{"automation sponsors", "party/lumen", "lumen", reseller, nil, []string{"lumen/o", "acme-cloud/ci"}, "forbidden"},
		{"a registrar appoints a designator", "party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/new", record.FuncDesignator)}}, nil, []string{"authority/officer-1", "authority/new"}, "forbidden"},
		{"a root key that does not sign", "charter", "authority", &unheld, nil, []string{"root/root-1", "root/root-2"}, "forbidden"},
		{"another ledger's record", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Ledger[0] ^= 1 }, []string{"acme-cloud/ci"}, "invalid /predicate/ledger"},
		{"a stale follows", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Follows = record.ID{1} }, []string{"acme-cloud/ci"}, "conflict"},
		{"signed tomorrow", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.IssuedAt = b.Now.Add(6 * time.Minute) }, []string{"acme-cloud/ci"}, "too early"},
		{"an old draft", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.IssuedAt = b.Now.Add(-days(31)) }, []string{"acme-cloud/ci"}, "conflict"},
		{"too short a notice", "designation/2", "authority", soon, nil, officers, "invalid /predicate/effectiveFrom"},
		{"an amendment that undoes itself", order, "authority", undone, nil, officers, "invalid /predicate"},
		{"a designation twice", order, "authority", b.NewDesignation("x"), nil, officers, "conflict"},
		{"an answer about another thing", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Subject.SHA256 = [32]byte{1} }, []string{"acme-cloud/ci"}, "invalid /subject/0/digest/sha256"},
		{"a first certification that is not initial", cip, "acme-cloud", &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b)}, nil, []string{"acme-cloud/compliance"}, "invalid /predicate/initial"},
		{"text that is not NFC", answer, "acme-cloud", noRelationship, func(st *record.Statement) { st.Note = "e\u0301" }, []string{"acme-cloud/ci"}, "invalid /predicate/note"},
		{"an issuer that nobody enrolled", "response/1/nobody", "nobody", acknowledged, func(st *record.Statement) { st.Subject.SHA256 = b.Head(order) }, []string{"acme-cloud/ci"}, "invalid /predicate/issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := b.Statement(c.thread, c.issuer, c.say)
			if c.change != nil {
				c.change(st)
			}
			wantEntryFault(t, b, c.want, admitAll(t, b, b.Sign(st, c.keys...), c.keys...).Marshal())
		})
	}

	fresh := b.Respond("1", "acme-cloud", noRelationship)
	e := admitAll(t, b, fresh, "acme-cloud/ci")
	spoilt, stranger, back := e, admitAll(t, b, b.Sign(mustParse(t, fresh), "nobody/x"), "nobody/x"), e
	spoilt.Envelope.Signatures = []record.Signature{{KeyID: e.Envelope.Signatures[0].KeyID, Sig: bytes.Repeat([]byte{1}, 64)}}
	back.Admitted = b.Now.Add(-time.Millisecond)
	wantEntryFault(t, b, "", spoilt.Marshal())
	wantEntryFault(t, b, "", stranger.Marshal())
	wantEntryFault(t, b, "", back.Marshal())
	wantEntryFault(t, b, "", append(e.Marshal(), '\n'))
	wantEntryFault(t, b, "conflict", b.Entries[len(b.Entries)-1].Marshal(), e.Marshal()) // the same record again
}

// wantEntryFault: the log with these lines after its entries cannot be replayed, and the
// first of the lines is to blame, for this refusal where it is one.
func wantEntryFault(t *testing.T, b *registertest.Fixture, refusal string, lines ...[]byte) {
	t.Helper()
	wantRefusal(t, replayError(t, b, lines...), strings.TrimSpace(fmt.Sprintf("entry %d %s", len(b.Entries), refusal)))
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
		env, err := b.Signer("acme-cloud/ci").Sign(t.Context(), record.Envelope{Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		return record.Entry{Admitted: b.Now, Envelope: env}.Marshal()
	}
	future := other("urn:docket:response:", "urn:docket:index:")
	field := other(`"status":"acknowledged"`, `"status":"acknowledged","later":1`)
	foreign := other("urn:docket:response:v1", "https://slsa.dev/provenance/v1")
	rules2 := func(keys ...string) []byte {
		return admitAll(t, b, charterEnvelope(b, func(c *record.Charter) { c.Rules = 2 }, keys...), keys...).Marshal()
	}
	raised := rules2("root/root-1", "root/root-2")

	upgrade := func(index int, lines ...[]byte) {
		t.Helper()
		wantRefusal(t, replayError(t, b, lines...), fmt.Sprint("upgrade ", index))
	}
	upgrade(n, future)
	upgrade(n+1, answer.Marshal(), future, field)
	upgrade(n+1, raised, field)
	upgrade(n+1, raised, answer.Marshal())
	upgrade(n+1, raised, future)
	wantEntryFault(t, b, "invalid /predicate/later", field)
	wantEntryFault(t, b, "invalid /predicateType", foreign)
	wantEntryFault(t, b, "forbidden", rules2("root/root-1"), field)
	wantEntryFault(t, b, "", forged.Marshal(), future)

	// A ledger that is born with newer rules may have a charter that we cannot read.
	b = emptyFixture(t)
	payload := bytes.Replace(b.Charter().Payload, []byte(`"rules":1`), []byte(`"rules":2,"later":1`), 1)
	env, err := b.Signer("root/root-1").Sign(t.Context(), record.Envelope{Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	upgrade(0, record.Entry{Admitted: b.Now, Envelope: env}.Marshal())
	env.Payload = bytes.Replace(payload, []byte(`"rules":2`), []byte(`"rules":1`), 1)
	wantEntryFault(t, b, "invalid /predicate/later", record.Entry{Admitted: b.Now, Envelope: env}.Marshal())
}

// TestConcurrentReaders: while one goroutine judges and advances, others open
// envelopes, look records up and run dry; a dry run begun earlier sees the
// register as it was.
func TestConcurrentReaders(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	first := b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	env := b.Respond("1", "acme-cloud", acknowledged)
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	old := b.Register.Begin(b.Now)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := record.Open(env, b.Register.CandidateKeys); err != nil {
					t.Error(err)
				}
				if index, ok, err := b.Register.Lookup(record.IDOf(first.Envelope.Payload)); err != nil || !ok || index != 3 {
					t.Errorf("lookup: %d %t %v", index, ok, err)
				}
				_, err := b.Register.Begin(b.Register.LastAdmitted()).Judge(v)
				if refusal := (*record.Refusal)(nil); err != nil && (!errors.As(err, &refusal) || refusal.Class != record.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	for i := range 200 {
		status := []string{"acknowledged", "licensed"}[i%2]
		b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: status}))
	}
	close(stop)
	readers.Wait()
	if _, err := old.Judge(v); err != nil {
		t.Errorf("a draft sees records that came after it was begun: %v", err)
	}
}

// TestExplainSigners says whose key signed where nobody who may has.
func TestExplainSigners(t *testing.T) {
	b := registertest.NewFixture(start, "cirrus-hosting", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	for _, by := range []string{"delta-racks/compliance", "root/root-1", "cirrus-hosting/safe"} {
		env, _ := sign(b, "response/1/cirrus-hosting", "cirrus-hosting", acknowledged, by)
		if _, err := b.Submit(env); err == nil {
			t.Errorf("%s signed for cirrus-hosting", by)
		}
		wantRefusal(t, b.Register.Begin(b.Now).ExplainSigners(env, "cirrus-hosting"), "forbidden")
		env.Signatures[0].Sig[5] ^= 1
		if err := b.Register.Begin(b.Now).ExplainSigners(env, "cirrus-hosting"); err != nil {
			t.Errorf("a forged signature accuses: %v", err)
		}
	}
}

// A ledger that never rests judges each batch on top of one that is not advanced yet: a
// draft reads through that one alone, however many came before.
func TestStackedDraftsDoNotAccumulate(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	var below *register.Draft
	root := b.Root
	for i := range 20 {
		env := b.Respond("1", "acme-cloud", &record.Response{Status: []string{"acknowledged", "licensed"}[i%2]})
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		d := b.Register.Begin(b.Now)
		if below != nil {
			d = below.Next(b.Now)
		}
		e, err := d.Judge(v)
		if err != nil {
			t.Fatal(err)
		}
		b.NoteAdmitted(env)
		if n := d.PendingDrafts(); n > 1 {
			t.Fatalf("draft %d reads through %d others, of which one is not advanced", i, n)
		}
		if below != nil {
			if err := b.Register.Advance(below, root); err != nil {
				t.Fatal(err)
			}
		}
		below, root = d, registertest.NextRoot(root, e)
	}
	if err := b.Register.Advance(below, root); err != nil {
		t.Fatal(err)
	}
	if got := b.Register.Size(); got != 24 {
		t.Errorf("size %d, want 24", got)
	}
}
