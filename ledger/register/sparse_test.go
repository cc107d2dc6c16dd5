package register_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// replaySparsely replays some entries of a log sparsely, and returns what was not checked in the
// last one.
func replaySparsely(t *testing.T, entries []record.Entry, indexes ...int) (unchecked []string, err error) {
	t.Helper()
	s, err := register.NewSparseReplay(registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, i := range indexes {
		if unchecked, err = s.Apply(uint64(i), entries[i]); err != nil {
			return nil, err
		}
	}
	return unchecked, nil
}

// Of an honest log, a sparse replay accuses no entry, whichever it is shown: all charters,
// of each party everything or nothing, of all else what chance brings. All of them pass
// where all are shown.
func TestSparseAcceptsHonestLog(t *testing.T) {
	for seed := range uint64(2) {
		w := newWalker(seed)
		for range 300 {
			w.step(t)
		}
		statements := make([]*record.Statement, len(w.Entries))
		all := make([]int, len(w.Entries))
		for i, e := range w.Entries {
			statements[i], all[i] = mustParse(t, e.Envelope), i
		}
		if _, err := replaySparsely(t, w.Entries, all...); err != nil {
			t.Fatalf("all shown: %v (seed %d)", err, seed)
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		verdicts := make(map[string]int)
		for range 25 {
			s, err := register.NewSparseReplay(registertest.SmallOptions())
			if err != nil {
				t.Fatal(err)
			}
			threads := map[record.Thread]bool{"charter": true, "party/authority": rng.IntN(8) > 0}
			for i, e := range w.Entries {
				thread := statements[i].Thread
				on, decided := threads[thread]
				if !decided {
					on = rng.IntN(3) > 0
					threads[thread] = on
				}
				if !on || thread.Family() != record.FamilyParty && thread != "charter" && rng.IntN(3) == 0 {
					continue
				}
				unchecked, err := s.Apply(uint64(i), e)
				var hidden *register.NotShownError
				switch {
				case errors.As(err, &hidden):
					verdicts["not shown"]++
				case err != nil:
					t.Fatalf("entry %d, a %s on %s: %v (seed %d)", i, statements[i].Kind, thread, err, seed)
				case len(unchecked) > 0:
					verdicts["in part"]++
				default:
					verdicts["whole"]++
				}
				if err != nil {
					break
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("seed %d: %v", seed, verdicts)
		for _, v := range []string{"not shown", "in part", "whole"} {
			if verdicts[v] == 0 {
				t.Errorf("no verdict %q: the test tests nothing of it (seed %d)", v, seed)
			}
		}
	}
}

// What a dishonest ledger admits is refused by the few records that show it.
func TestSparseRejectsForgeries(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	first := b.Respond("1", "acme-cloud", acknowledged)
	b.Must(first)
	b.Must(b.Respond("1", "acme-cloud", noRelationship))
	next := len(b.Entries)
	certify := &record.CIPCertification{PeriodFrom: today(b), PeriodUntil: today(b), Initial: true}
	for _, c := range []struct {
		name  string
		env   record.Envelope
		keys  []string
		shown []int  // before the record itself
		want  string // "not shown": it cannot be told
	}{
		{"one officer of two", b.Sign(b.Statement("designation/2", "authority", b.NewDesignation("x")), "authority/officer-1"),
			[]string{"authority/officer-1"}, []int{0, 1}, "entry 7 forbidden"},
		{"one officer of two, amending what is not shown", b.Sign(b.Statement("designation/1", "authority", &record.Amendment{Type: "correction", Reason: "r", Set: setMember("action", "prohibit")}), "authority/officer-1"),
			[]string{"authority/officer-1"}, []int{0, 1}, "entry 7 forbidden"},
		{"a provider's key for an order", b.Sign(b.Statement("designation/2", "authority", b.NewDesignation("x")), "delta-racks/compliance"),
			[]string{"delta-racks/compliance"}, []int{0, 1, 3}, "entry 7 forbidden"},
		{"the importer on an order", b.Sign(b.Statement("designation/1", "authority", revocation(b, "lifted")), "authority/nightly-import"),
			[]string{"authority/nightly-import"}, []int{0, 1}, "entry 7 forbidden"},
		{"another party's key, its own records shown", b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), "delta-racks/ci"),
			[]string{"delta-racks/ci"}, []int{0, 1, 3}, "entry 7 forbidden"},
		{"another party's key, both parties shown", b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), "delta-racks/ci"),
			[]string{"delta-racks/ci"}, []int{0, 1, 2, 3}, "entry 7 forbidden"},
		{"automation certifies", b.Sign(b.Statement("cip/acme-cloud", "acme-cloud", certify), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2}, "entry 7 forbidden"},
		{"an authority key that enrols itself", b.Sign(b.Statement("party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/self", record.FuncDesignator)}}), "authority/self"),
			[]string{"authority/self"}, []int{0, 1}, "entry 7 forbidden"},
		{"an authority key that a registrar adds", b.Sign(b.Statement("party/authority", "authority", &record.Keys{Add: []record.PartyKey{b.Officer("authority/self", record.FuncDesignator)}}), "authority/officer-1", "authority/self"),
			[]string{"authority/officer-1", "authority/self"}, []int{0, 1}, "entry 7 forbidden"},
		{"a provider that no registrar enrolled", b.Sign(b.Statement("party/lumen", "lumen", &record.Enrolment{LegalName: "L", Country: "XC", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{b.Officer("lumen/o")}}), "lumen/o"),
			[]string{"lumen/o"}, []int{0, 1}, "entry 7 forbidden"},
		{"a standing that no registrar signed", b.Sign(b.Statement("party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "r"}), "authority/officer-2"),
			[]string{"authority/officer-2"}, []int{0, 1}, "entry 7 forbidden"},
		{"a record of another ledger", b.Sign(other(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship)), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2}, "entry 7 invalid /predicate/ledger"},
		{"what follows an older record than the newest shown", b.Sign(follows(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), record.ID{}), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2, 4, 5}, "entry 7 conflict"},
		{"what follows an older record than the newest shown, both shown", b.Sign(follows(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), record.IDOf(first.Payload)), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2, 4, 5, 6}, "entry 7 conflict"},
		{"what follows a record on another thread", b.Sign(follows(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), b.Head("designation/1")), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2, 4}, "entry 7 invalid /predicate/follows"},
		{"an answer about what stands on another thread", b.Sign(about(b.Statement("response/9/acme-cloud", "acme-cloud", noRelationship), b.Head("designation/1")), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2, 4}, "entry 7 invalid /subject/0/digest/sha256"},
		{"an answer about a party", b.Sign(about(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), b.Head("party/acme-cloud")), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1, 2}, "entry 7 invalid /subject/0/digest/sha256"},
		{"a key of nobody", b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), "nobody/x"),
			[]string{"nobody/x"}, []int{0, 1, 2}, "not shown 7"},
		{"an issuer who is not shown", b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{0, 1}, "not shown 7"},
		{"an authority that is not shown", b.Sign(b.Statement("designation/2", "authority", b.NewDesignation("x")), "delta-racks/ci"),
			[]string{"delta-racks/ci"}, []int{0, 3}, "not shown 3"},
		{"no charter", b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", noRelationship), "acme-cloud/ci"),
			[]string{"acme-cloud/ci"}, []int{1}, "not shown 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries := append(b.Entries[:next:next], admitAll(t, b, c.env, c.keys...))
			_, err := replaySparsely(t, entries, append(c.shown, next)...)
			wantRefusal(t, err, c.want)
		})
	}
}

// What takes a record that is not shown is named, clause by clause.
func TestSparseNamesUncheckedRules(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))                                                                                                        // 3
	b.Must(b.Respond("1", "acme-cloud", acknowledged))                                                                                                           // 4
	b.Must(b.Respond("1", "acme-cloud", noRelationship))                                                                                                         // 5
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/safe"), "acme-cloud/compliance")                                                    // 6
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{b.Officer("acme-cloud/n")}}, "acme-cloud/compliance", "acme-cloud/n") // 7
	b.Must(b.Sign(b.Statement("response/1/acme-cloud", "acme-cloud", acknowledged), "acme-cloud/n"))                                                             // 8
	for _, c := range []struct {
		indexes []int
		want    []string // of the last
		hidden  string
	}{
		{[]int{0}, nil, ""},
		{[]int{0, 1}, nil, ""},
		{[]int{0, 1, 2}, []string{"that nothing stood on party/acme-cloud before it"}, ""},
		{[]int{0, 1, 2, 4}, []string{"that nothing stood on response/1/acme-cloud before it", "which it answers, stands on designation/1"}, ""},
		{[]int{0, 1, 2, 5}, []string{"what stood on response/1/acme-cloud before it, which ends with record", "which it answers, stands on designation/1"}, ""},
		{[]int{0, 1, 2, 3, 4, 5}, nil, ""},
		{[]int{0, 1, 2, 6, 7, 8}, []string{"what stood on response/1/acme-cloud before it", "which it answers, stands on designation/1"}, ""},
		{[]int{0, 1, 2, 7}, nil, "not shown 7"},
		{[]int{0, 1, 7}, nil, "not shown 7"},
	} {
		got, err := replaySparsely(t, b.Entries, c.indexes...)
		if c.hidden != "" {
			wantRefusal(t, err, c.hidden)
			continue
		}
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%v: %q, %v; want %q", c.indexes, got, err, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%v: %q, want %q", c.indexes, got[i], want)
			}
		}
	}
}

// Whose the signing keys were is told from what is shown, and what became of them since.
func TestSparseHolders(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	b.Must(b.Respond("1", "acme-cloud", acknowledged))
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/compliance")
	for _, c := range []struct {
		indexes []int
		revoked uint64
	}{{[]int{0, 1, 2, 4}, 0}, {[]int{0, 1, 2, 4, 5}, 5}} {
		s, err := register.NewSparseReplay(registertest.SmallOptions())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range c.indexes {
			if _, err := s.Apply(uint64(i), b.Entries[i]); err != nil {
				t.Fatal(err)
			}
		}
		h, err := s.SignerHolders(b.Entries[4])
		if err != nil || len(h) != 1 || h[0].Party != "acme-cloud" || h[0].Holder != "ci" || h[0].Added != 2 || h[0].Revoked != c.revoked {
			t.Errorf("%v: %+v, %v", c.indexes, h, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func other(st *record.Statement) *record.Statement {
	st.Ledger[0] ^= 1
	return st
}

func follows(st *record.Statement, id record.ID) *record.Statement {
	st.Follows = id
	return st
}

func about(st *record.Statement, id record.ID) *record.Statement {
	st.Subject.SHA256 = id
	return st
}

// How the designation stood when it was answered, a sparse replay cannot know: an
// amendment may have come between.
func TestSparseAnswerToAmended(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	third := &record.Amendment{Type: "scope", Reason: "r", ResponseDue: ptr(today(b).AddDays(50)), Add: setMember("conditions", []any{append(setMember("id", "c3"), setMember("text", "More.")...)})}
	b.Must(b.Sign(b.Statement("designation/1", "authority", third), officers...))
	b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: "conditions-met", Conditions: []string{"c3"}}))
	unchecked, err := replaySparsely(t, b.Entries, 0, 1, 2, 3, 5)
	if want := "that designation/1 has the conditions which it names"; err != nil || !slices.Contains(unchecked, want) {
		t.Errorf("%q, %v; want %q", unchecked, err, want)
	}
}
