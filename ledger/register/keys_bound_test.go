package register_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

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
	r := wantRefusal(t, judgeRefused(t, b, env, keys...), record.Conflict, "has added 63 keys in 2026 and may add 1 more", "again from 2027-01-01 on")
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
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Conflict, "may add 0 more")
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
		v, err := b.Register.ViewAt(size)
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
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Invalid, "is acme-cloud's already")
	env, keys = sign(b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/ci"), "acme-cloud/old")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Forbidden, "was valid until 2026-11-23")

	k := revoke(b, "acme-cloud/old")
	k.Revoke[0].CompromisedSince = &record.Instant{Time: start.Add(time.Hour)}
	mustSubmit(t, b, "party/acme-cloud", "acme-cloud", k, "acme-cloud/compliance")
	env, keys = sign(b, "party/acme-cloud", "acme-cloud", revoke(b, "acme-cloud/old"), "acme-cloud/compliance")
	wantRefusal(t, judgeRefused(t, b, env, keys...), record.Conflict, "was revoked at index 5 already")
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
	if _, err := record.Open(unnamed, b.Register.CandidateKeysFor(unnamed)); err == nil || !strings.Contains(err.Error(), "set keyid") {
		t.Errorf("without key IDs: %v, want to be told to set them", err)
	}
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
