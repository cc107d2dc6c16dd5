package verifier

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// newEpoch is a cast of other keys, for the time after a rotation.
func newEpoch(now time.Time, name string) cast {
	c := newCast(now)
	c.log = newTestKey(proof.Ed25519, origin+"#"+name) // whose seed is of that name
	c.log.name = origin
	for i := range c.w {
		c.w[i] = newTestKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.%s.example/w", i+1, name))
	}
	return c
}

// nextCharter follows the one on the ledger, with another policy.
func (l *testLog) nextCharter(policy string, change func(*record.Charter), signers ...string) record.Envelope {
	c := l.CharterPredicate
	c.RootKeys = slices.Clone(c.RootKeys)
	c.Policy = policy
	if change != nil {
		change(&c)
	}
	return l.Sign(l.Statement("charter", record.Authority, &c), signers...)
}

// Chains, under a pinned charter and under a policy, with one charter and with two.
func TestChainsAgree(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	first, second := newEpoch(now, "first"), newEpoch(now, "second")
	l := standardLog(t, first.policy(), now.Add(-2*time.Minute))
	old := l.leaves()
	l.admit(l.nextCharter(second.policy(), nil, "root/root-1", "root/root-2"), "root/root-1", "root/root-2")
	l.admit(l.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}), "acme-cloud/ci")
	leaves, charter := l.leaves(), []byte(record.IDOf(l.entries[0].Envelope.Payload).String())

	before := func(i int) []byte { return receiptOf(old, i, first.lines) }
	after := func(i int) []byte { return receiptOf(leaves, i, second.lines) }
	// A smaller tree that no path of the others makes up: of the first three entries.
	small := func(i int) []byte { return receiptOf(leaves[:3], i, first.lines) }
	// The first charter, in the tree of another history: one entry is another, and how many there are.
	elsewhere := func(entry, size int) []byte {
		other := slices.Clone(leaves[:size])
		other[entry] = leaves[6]
		return receiptOf(other, 0, first.lines)
	}
	// Nine entries, so that a tree of seven ends in nodes that its first entry's path does not show.
	nine := append(slices.Clone(leaves), leaves[4], leaves[6])
	ofNine := func(i int) []byte { return receiptOf(nine, i, first.lines) }
	chains := map[string][][]byte{
		"another entry 1, seen in a node": {elsewhere(1, 5), receiptOf(leaves, 1, first.lines), receiptOf(leaves, 2, first.lines)},
		"another entry 5, seen in a root": {elsewhere(5, 7), ofNine(1), ofNine(2), ofNine(4), ofNine(7)},
		"a history with another entry 1":  {elsewhere(1, 5), after(1), after(2), after(5), after(6)},
		"a history with another entry 4":  {elsewhere(4, 5), after(1), after(2), after(5), after(6)},
		"a history of the same size":      {before(0), before(1), receiptOf(append(slices.Clone(old[:4]), leaves[6]), 2, first.lines), before(3)},
		"an old tree, the new policy":     {before(0), receiptOf(old, 1, second.lines), after(2), after(5), after(6)},
		"whole":                           {before(0), after(1), after(2), after(3), after(5), after(6)},
		"before the rotation":             {before(0), before(1), before(2), before(3), before(4)},
		"of one charter":                  {before(0), before(1), before(3)},
		"without the newest charter":      {before(0), before(1), before(2), before(3), before(6 - 2)},
		"without the first charter":       {after(1), after(2), after(5), after(6)},
		"without the authority":           {before(0), after(2), after(5), after(6)},
		"an earlier tree":                 {small(0), after(1), after(2), after(5), after(6)},
		"the charter alone":               {before(0)},
		"a lone receipt":                  {after(6)},
		"a record twice":                  {before(0), after(1), after(1), after(5), after(6)},
		"the record within":               {before(0), after(1), after(6), after(5), after(6)},
		"out of order":                    {before(0), after(2), after(1), after(5), after(6)},
		"charters out of order":           {after(5), before(0), after(1), after(2), after(6)},
		"an entry under the old policy":   {before(0), before(1), after(2), after(5), after(6)},
		"the new charter in an old tree":  {before(0), after(1), receiptOf(leaves[:6], 5, first.lines), after(6)},
		"the last charter as the record":  {before(0), after(1), after(5)},
		"another log's entry":             {before(0), bytes.ReplaceAll(after(1), []byte("\n"+origin+"\n"), []byte("\ndocket.example/other\n")), after(5), after(6)},
	}
	pins := map[string][]byte{"pinned": charter, "first policy": []byte(first.policy()), "second policy": []byte(second.policy()), "another pin": []byte(strings.Repeat("0", 63) + "1")}
	var trials []trial
	for how, pin := range pins {
		for name, chain := range chains {
			trials = append(trials, trial{name + ", " + how, pin, slices.Concat(chain...)})
		}
	}
	whole := slices.Concat(chains["whole"]...)
	for i := 0; i < len(whole); i += 173 {
		mutated := bytes.Clone(whole)
		mutated[i] ^= 1 << (i % 8)
		trials = append(trials, trial{fmt.Sprintf("whole, byte %d", i), charter, mutated})
	}
	// Forged histories, published by a quorum that does not look.
	forge := func(name string, entries ...record.Entry) {
		forged := slices.Clone(leaves[:5])
		for _, e := range entries {
			forged = append(forged, e.Marshal())
		}
		// Everything else is as it should be: the first charter in its own time, the rest under the next policy.
		lines := first.lines
		if st, err := record.ParseStatement(entries[0].Envelope.Payload); err == nil && st.Kind == record.KindCharter {
			lines = second.lines
		}
		chain := receiptOf(forged[:5], 0, first.lines)
		for i := 1; i < len(forged); i++ {
			chain = append(chain, receiptOf(forged, i, lines)...)
		}
		trials = append(trials, trial{"forged: " + name, charter, chain}, trial{"forged, by policy: " + name, []byte(first.policy()), chain})
	}
	asCharter := func(env record.Envelope, keys ...string) record.Entry {
		fork := &testLog{World: l.World, t: t, entries: slices.Clone(l.entries[:5]), at: l.at}
		return fork.entries[fork.admit(env, keys...)]
	}
	follow := func(st *record.Statement) *record.Statement {
		st.Follows = record.IDOf(l.entries[0].Envelope.Payload)
		return st
	}
	successor := func(change func(*record.Charter)) *record.Statement {
		c := l.CharterPredicate
		c.RootKeys, c.Policy = slices.Clone(c.RootKeys), second.policy()
		change(&c)
		return follow(l.Statement("charter", record.Authority, &c))
	}
	forge("nothing: a charter as it should be", asCharter(l.Sign(successor(func(*record.Charter) {}), "root/root-1", "root/root-2"), "root/root-1", "root/root-2"))
	forge("a charter that one root key signed", asCharter(l.Sign(successor(func(*record.Charter) {}), "root/root-1"), "root/root-1"))
	forge("a charter that its own root keys alone signed", asCharter(l.Sign(successor(func(c *record.Charter) {
		c.RootKeys = []record.RootKey{l.RootKey("root-8"), l.RootKey("root-9")}
	}), "root/root-8", "root/root-9", "root/root-1"), "root/root-1"))
	forge("a charter that wants more of its own root keys", asCharter(l.Sign(successor(func(c *record.Charter) { c.Thresholds.Root = 3 }), "root/root-1", "root/root-2"), "root/root-1", "root/root-2"))
	forge("a charter of another origin", asCharter(l.Sign(successor(func(c *record.Charter) {
		c.Origin = "docket.example/other"
	}), "root/root-1", "root/root-2"), "root/root-1", "root/root-2"))
	forge("a charter whose new root key did not sign", asCharter(l.Sign(successor(func(c *record.Charter) { c.RootKeys = append(c.RootKeys, l.RootKey("root-9")) }), "root/root-1", "root/root-2"), "root/root-1", "root/root-2"))
	forge("a charter that follows nothing", asCharter(l.Sign(func() *record.Statement {
		st := successor(func(*record.Charter) {})
		st.Follows = record.IDOf([]byte("another"))
		return st
	}(), "root/root-1", "root/root-2"), "root/root-1", "root/root-2"))
	forge("an answer that another's key signed", func() record.Entry {
		e := l.entries[4]
		e.Envelope.Payload = bytes.Replace(e.Envelope.Payload, []byte("acknowledged"), []byte("wound-down"), 1)
		return e
	}())
	if n := agree(t, p, now, trials); n < 9 {
		t.Errorf("%d of %d verify, want 9 at least", n, len(trials))
	}
}

// What only the rules refuse, the page cannot: it says that it has not asked them.
func TestRulesAreNotJudged(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	l := standardLog(t, c.policy(), now.Add(-2*time.Minute))
	l.admit(l.Sign(l.Statement("designation/2026-099", record.Authority, l.NewDesignation("Kestrel Hosting")), "authority/officer-1"), "authority/officer-1")
	leaves := l.leaves()
	chain := slices.Concat(receiptOf(leaves, 0, c.lines), receiptOf(leaves, 1, c.lines), receiptOf(leaves, 5, c.lines))
	forged := trial{"one officer where two are needed", []byte(record.IDOf(l.entries[0].Envelope.Payload).String()), chain}
	if v := judgeByGo(t.Context(), forged, now); v.Verdict != "refused" || !strings.Contains(v.Reason, "2 officers needed") {
		t.Fatalf("docket verify says %+v", v)
	}
	got := judgeOnPage(t, p, now, []trial{forged})[0]
	if got.Verdict != "verified" || !strings.Contains(strings.Join(got.Unchecked, "\n"), "that enough holders signed, that the record obeys the rules") {
		t.Errorf("the page says %+v", got)
	}
}

// Each algorithm that records are signed with; with one bit of a signature changed, the chain is
// refused: such an entry can be on no ledger.
func TestRecordKeysAgree(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	l := newTestLog(t, c.policy(), now.Add(-2*time.Minute))
	l.admit(l.Charter(), "root/root-1", "root/root-2", "root/root-3")
	l.admit(l.Authority(), "root/root-1", "root/root-2")
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	another, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	must(t, err)
	signers := []crypto.Signer{p256, p384, another, rsa3072}
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA256, crypto.SHA256}
	var trials []trial
	for i, s := range signers {
		key, err := record.NewKey(s.Public())
		must(t, err)
		party := fmt.Sprintf("party-%d", i)
		e := &record.Enrolment{LegalName: party, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{{Key: key.PEM(), Use: record.UseOfficer, Holder: "compliance"}}}
		env := l.Sign(l.Statement(record.PartyThread(party), party, e), "authority/officer-1")
		digest := sha256.Sum256(record.PAE(env.Payload))
		hashed := digest[:]
		if hashes[i] == crypto.SHA384 {
			longer := sha512.Sum384(record.PAE(env.Payload))
			hashed = longer[:]
		}
		sig, err := s.Sign(rand.Reader, hashed, hashes[i])
		must(t, err)
		env, err = env.Attach(key, sig)
		must(t, err)
		at := l.admit(env, "authority/officer-1")
		chain := func(leaves [][]byte) []byte {
			return slices.Concat(receiptOf(leaves, 0, c.lines), receiptOf(leaves, 1, c.lines), receiptOf(leaves, int(at), c.lines))
		}
		pin := []byte(record.IDOf(l.entries[0].Envelope.Payload).String())
		trials = append(trials, trial{fmt.Sprintf("%s with %s", key.Algorithm(), hashes[i]), pin, chain(l.leaves())})
		for bit := range 12 {
			spoilt := l.entries[at]
			spoilt.Envelope.Signatures = slices.Clone(spoilt.Envelope.Signatures)
			for k, mine := range spoilt.Envelope.Signatures {
				if mine.KeyID == key.ID() {
					spoilt.Envelope.Signatures[k].Sig = bytes.Clone(mine.Sig)
					spoilt.Envelope.Signatures[k].Sig[bit*len(mine.Sig)/12] ^= 1 << (bit % 8)
				}
			}
			leaves := append(l.leaves()[:at:at], spoilt.Marshal())
			trials = append(trials, trial{fmt.Sprintf("%s with %s, bit %d", key.Algorithm(), hashes[i], bit), pin, chain(leaves)})
		}
	}
	if n := agree(t, p, now, trials); n != len(signers) {
		t.Errorf("%d chains verify, want %d", n, len(signers))
	}
}

// A refusal verifies by the key that the pinned charter names, and each change of it is refused.
func TestRefusalsAgree(t *testing.T) {
	p := openPage(t)
	now := time.Now().Truncate(time.Second)
	c := newCast(now)
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin+"/refusals")
	must(t, err)
	signer, err := record.ParseRefusalSigner(skey)
	must(t, err)
	l := newTestLog(t, c.policy(), now.Add(-2*time.Minute))
	l.CharterPredicate.RefusalsKey = vkey
	l.admit(l.Charter(), "root/root-1", "root/root-2", "root/root-3")
	pin := receiptOf(l.leaves(), 0, c.lines) // the charter's receipt brings its text
	said := record.RefusalNote{Ledger: record.IDOf(l.entries[0].Envelope.Payload), Record: record.IDOf([]byte("x")), Keys: []string{l.KeyID("root/root-1")}, Size: 17, Rule: "invalid #/predicate/effectiveFrom #/predicate/a%20b", Time: now.UTC()}
	signed, err := signer.Sign(said)
	must(t, err)
	file := signed.Format()
	trials := append(mutations("refusal", pin, file), trial{"refusal", pin, file})
	resign := func(name, old, new string) {
		// Signed by the very key, in another form.
		text := strings.Replace(signed.Text(), old, new, 1)
		if text == signed.Text() {
			t.Fatalf("%s changes nothing", name)
		}
		trials = append(trials, trial{"signed: " + name, pin, signText(t, skey, text)})
	}
	resign("another ledger", said.Ledger.String(), said.Record.String())
	resign("upper case", said.Record.String(), strings.ToUpper(said.Record.String()))
	resign("size 0", "size 17", "size 0")
	resign("size 017", "size 17", "size 017")
	resign("size 2^63", "size 17", "size 9223372036854775808")
	resign("size 2^63 - 1", "size 17", "size 9223372036854775807")
	resign("an unknown rule", "rule invalid", "rule wrong")
	resign("another rule", "rule invalid", "rule conflict")
	resign("no pointers", " #/predicate/effectiveFrom #/predicate/a%20b", "")
	resign("the whole", "#/predicate/a%20b", "#")
	resign("a fragment that is no pointer", "#/predicate/a%20b", "#predicate")
	resign("a needless escape", "#/predicate/a%20b", "#/predicate/%61b")
	resign("a lower-case escape", "a%20b", "a%c3%a9b")
	resign("an upper-case escape", "a%20b", "a%C3%A9b")
	resign("an escape that is no UTF-8", "a%20b", "a%FFb")
	resign("a bracket", "a%20b", "a[b")
	resign("a quote", "a%20b", "a'b")
	resign("marks", "a%20b", "a!$&()*+,;=:@~b")
	resign("no fraction", said.Time.Format(".000Z"), "Z")
	resign("a key twice", "size 17", "key "+said.Keys[0]+"\nsize 17")
	resign("a key of another form", said.Keys[0], "SHA256:"+strings.Repeat("B", 43))
	resign("no key", "key "+said.Keys[0]+"\n", "")
	key, err := record.ParseRefusalsKey(vkey)
	must(t, err)
	answers, verified := judgeOnPage(t, p, now, trials), 0
	for i, tr := range trials {
		n, err := record.ParseRefusalNote(tr.file)
		if err == nil && n.Ledger != said.Ledger {
			err = fmt.Errorf("the refusal is of the ledger %s", n.Ledger)
		}
		if err == nil {
			_, err = n.Verify(key)
		}
		want := "refused"
		if err == nil {
			want = "verified"
			verified++
		}
		if got := answers[i]; got.Verdict != want {
			t.Errorf("%s: docket verify says %v; the page says %s (%s)", tr.name, err, got.Verdict, got.Reason)
		}
	}
	if verified < 5 {
		t.Errorf("%d refusals verify, want 5 at least", verified)
	}
	if got := judgeOnPage(t, p, now, []trial{{"by a policy", []byte(c.policy()), file}, {"by an ID alone", []byte(said.Ledger.String()), file}}); got[0].Verdict != "undecided" || got[1].Verdict != "undecided" {
		t.Errorf("without the charter a refusal is %v", got)
	}
}

// signText signs any text as a signed note.
func signText(t *testing.T, skey, text string) []byte {
	t.Helper()
	s, err := note.NewSigner(skey)
	must(t, err)
	signed, err := note.Sign(&note.Note{Text: text}, s)
	must(t, err)
	return signed
}
