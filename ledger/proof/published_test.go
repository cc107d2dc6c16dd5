package proof

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// threeOperatorsPolicy is three witnesses of two keys each, of whom two must cosign.
const threeOperatorsPolicy = "group o1 any w1 w1-pq\ngroup o2 any w2 w2-pq\ngroup o3 any w3 w3-pq\ngroup all3 2 o1 o2 o3\nquorum all3\n"

func TestVerify(t *testing.T) {
	c := newTestKeys(t)
	p := c.policy(t, threeOperatorsPolicy)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	now := uint64(testTime.Unix())
	at := func(name string, stamp uint64) Signature { return c.cosignatureAt(t, name, cp, stamp) }

	for _, test := range []struct {
		name      string
		sigs      []Signature
		existedBy uint64 // 0: no quorum
		newest    uint64
		pq        bool
		short     bool // of cosignatures
	}{
		{"two", []Signature{at("w1", now-9), at("w2", now-5)}, now - 5, now - 5, false, false},
		{"three: the second proves the time", []Signature{at("w3", now), at("w1", now-9), at("w2", now-5)}, now - 5, now, false, false},
		{"both keys of one count once", []Signature{at("w1", now-9), at("w1-pq", now-8), at("w2", now)}, now, now, false, false},
		{"the other key of one is earlier", []Signature{at("w1", now-9), at("w2", now), at("w2-pq", now-4)}, now - 4, now, false, false},
		{"post-quantum", []Signature{at("w1-pq", now-9), at("w2", now-3), at("w3-pq", now-1)}, now - 3, now - 1, true, false},
		{"a clock five minutes ahead", []Signature{at("w1", now), at("w2", now+300)}, now + 300, now + 300, false, false},

		{"none", nil, 0, 0, false, true},
		{"one", []Signature{at("w2", now)}, 0, 0, false, true},
		{"both keys of one", []Signature{at("w2", now), at("w2-pq", now)}, 0, 0, false, true},
		{"more than five minutes ahead", []Signature{at("w1", now), at("w2", now+301)}, 0, 0, false, true},
		{"without a time", []Signature{at("w1", now), at("w2-pq", 0)}, 0, 0, false, true},
		{"2^63", []Signature{at("w1", now), at("w2", 1<<63)}, 0, 0, false, true},
		{"2^64-1", []Signature{at("w1", now), at("w2", math.MaxUint64)}, 0, 0, false, true},
	} {
		pub, err := p.Verify(c.cosigned(t, cp, test.sigs...), testTime)
		if test.short {
			var short *QuorumError
			if !errors.As(err, &short) {
				t.Errorf("%s: got %v, want a lack of cosignatures", test.name, err)
				continue
			}
			t.Run(test.name, func(t *testing.T) { checkWords(t, err) })
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if pub.ExistedBy().Unix() != int64(test.existedBy) || pub.LastCosignedAt().Unix() != int64(test.newest) || pub.PostQuantum() != test.pq {
			t.Errorf("%s: existed by %v, cosigned at %v, post-quantum %v", test.name, pub.ExistedBy(), pub.LastCosignedAt(), pub.PostQuantum())
		}
		if got := strings.Join(pub.SatisfiedMembers(pub.ExistedBy()), " "); got != "o1 o2" {
			t.Errorf("%s: %q had witnessed it by then, want the quorum's \"o1 o2\"", test.name, got)
		}
		if early := pub.ExistedBy().Add(-time.Second); len(pub.SatisfiedMembers(early)) >= 2 {
			t.Errorf("%s: a second earlier %v made a quorum already", test.name, pub.SatisfiedMembers(early))
		}
		if pub.Checkpoint() != cp || len(pub.LogKeys()) != 2 || len(pub.Cosignatures()) != len(test.sigs) || pub.Policy() != p {
			t.Errorf("%s: %+v", test.name, pub)
		}
	}
}

// Two lines by one key: the note's text allows it (a re-cosigned checkpoint), the
// earlier one proves the time.
func TestVerifyTakesTheEarliest(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	now := uint64(testTime.Unix())
	note, err := FormatNote(cp, slices.Concat(sigsOf(t, c.sign(t, cp)),
		[]Signature{c.cosignatureAt(t, "w1", cp, now), c.cosignatureAt(t, "w1", cp, now-60), c.cosignatureAt(t, "w1", cp, now-30)})...)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := c.policy(t, "quorum w1\n").Verify(note, testTime)
	if err != nil || pub.ExistedBy().Unix() != int64(now-60) || len(pub.Cosignatures()) != 1 {
		t.Errorf("got %v, %v", pub, err)
	}
}

func TestVerifyErrors(t *testing.T) {
	c, other := newTestKeys(t), newTestKeys(t)
	p := c.policy(t, "quorum w1\n")
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	w1 := c.cosignatureAt(t, "w1", cp, uint64(testTime.Unix()))
	good := c.cosigned(t, cp, w1)
	if _, err := p.Verify(good, testTime); err != nil {
		t.Fatal(err)
	}

	var origin *OriginError
	elsewhere, err := SignCheckpoint(Checkpoint{"other.example", 13, LeafHash(nil)}, otherSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(elsewhere.Note(), testTime); !errors.As(err, &origin) || origin.Origin != "other.example" || !slices.Equal(origin.Want, []string{testOrigin}) {
		t.Errorf("another log: %v", err)
	}
	var unsigned *LogSignatureError
	if _, err := p.Verify(other.cosigned(t, cp, w1), testTime); !errors.As(err, &unsigned) || len(unsigned.Keys) != 2 {
		t.Errorf("another key under the log's name: %v", err)
	}
	// A known key's line that does not verify condemns the note, however good the rest.
	for i, s := range sigsOf(t, good) {
		sigs := sigsOf(t, good)
		sigs[i].Sig[len(s.Sig)-1] ^= 1
		note, err := FormatNote(cp, sigs...)
		if err != nil {
			t.Fatal(err)
		}
		var bad *SignatureError
		if _, err := p.Verify(note, testTime); !errors.As(err, &bad) || bad.Name != s.Name || bad.ID != s.ID {
			t.Errorf("signature by %s: %v", s.Name, err)
		}
	}
	short := sigsOf(t, good)
	for i := range short {
		if short[i].Name == "w1.example" {
			short[i].Sig = short[i].Sig[:3]
		}
	}
	if note, err := FormatNote(cp, short...); err != nil {
		t.Error(err)
	} else if _, err := p.Verify(note, testTime); err == nil {
		t.Error("a cosignature of three bytes")
	}
	// Signatures of another text.
	next := Checkpoint{testOrigin, 14, LeafHash(nil)}
	note, err := FormatNote(next, sigsOf(t, good)...)
	if err != nil {
		t.Fatal(err)
	}
	var bad *SignatureError
	if _, err := p.Verify(note, testTime); !errors.As(err, &bad) {
		t.Errorf("signatures of another size: %v", err)
	}
	// Unknown signatures are ignored (signed-note), also of known names.
	stranger, err := AddSignatures(good, other.cosignatureAt(t, "w1", cp, 5), Signature{Name: testOrigin, ID: 7, Sig: []byte("what is this")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(stranger, testTime); err != nil {
		t.Errorf("with strangers: %v", err)
	}
	if _, err := p.Verify([]byte("hello"), testTime); err == nil {
		t.Error("no note")
	}
}

// One of several log keys is enough, the log's own ML-DSA signature is no
// cosignature, and quorum none proves no time.
func TestVerifyAnyLogKey(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	none := c.policy(t, "quorum none\n")
	for _, s := range []*Signer{c.log, c.logPQ} {
		signed, err := SignCheckpoint(cp, s)
		if err != nil {
			t.Fatal(err)
		}
		note := signed.Note()
		pub, err := none.Verify(note, testTime)
		if err != nil || !pub.ExistedBy().IsZero() || !pub.LastCosignedAt().IsZero() || pub.PostQuantum() {
			t.Errorf("%v: %+v, %v", s.Key().Algorithm(), pub, err)
			continue
		}
		if keys := pub.LogKeys(); len(keys) != 1 || keys[0].String() != s.Key().String() {
			t.Errorf("signed by %v", keys)
		}
		if _, err := c.policy(t, "quorum w1-pq\n").Verify(note, testTime); err == nil {
			t.Error("the log is its own witness")
		}
		if s == c.logPQ {
			if stamp := sigsOf(t, note)[0].Sig[:8]; !slices.Equal(stamp, make([]byte, 8)) {
				t.Errorf("the log claims a time: %x", stamp)
			}
		}
	}
	// An impossible empty tree is the log's word, and never published.
	note, err := FormatNote(Checkpoint{testOrigin, 0, Hash{1}}, signWithNoteLibrary(t, c, Checkpoint{testOrigin, 0, Hash{1}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.VerifyLog(note); err != nil {
		t.Error(err)
	}
	if _, err := none.Verify(note, testTime); err == nil {
		t.Error("an empty tree with a root is published")
	}
	empty := c.sign(t, Checkpoint{testOrigin, 0, EmptyRoot()})
	if _, err := none.Verify(empty, testTime); err != nil {
		t.Errorf("the empty tree: %v", err)
	}
}

// An origin may differ from the name of the key, for logs that are configured by
// both (the witness network's list).
func TestVerifyLogByOrigin(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{"a log with spaces", 3, LeafHash(nil)}
	note, err := FormatNote(cp, signWithNoteLibrary(t, c, cp))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := VerifyLog(note, cp.Origin, c.log.Key()); err != nil || s.Checkpoint() != cp {
		t.Error(err)
	}
	var origin *OriginError
	if _, err := VerifyLog(note, testOrigin, c.log.Key()); !errors.As(err, &origin) {
		t.Error(err)
	}
	var unsigned *LogSignatureError
	for _, keys := range [][]Key{nil, {{}}, {c.logPQ.Key()}} {
		if _, err := VerifyLog(note, cp.Origin, keys...); !errors.As(err, &unsigned) {
			t.Error(err)
		}
	}
}

// A log's ML-DSA signature has a timestamp like a witness's: one beyond 2^63 − 1 is no
// signature, though the key made it (tlog-cosignature "Format").
func TestVerifyLogTimestamp(t *testing.T) {
	secret, _, err := GenerateKey(MLDSA44, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := parsePrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	for stamp, want := range map[uint64]bool{0: true, math.MaxInt64: true, math.MaxInt64 + 1: false, math.MaxUint64: false} {
		sig, err := newMLDSASigner(key, seed).sign(cp, stamp)
		if err != nil {
			t.Fatal(err)
		}
		note, err := FormatNote(cp, Signature{Name: testOrigin, ID: key.ID(), Sig: sig})
		if err != nil {
			t.Fatal(err)
		}
		var forged *SignatureError
		if _, err := VerifyLog(note, testOrigin, key); (err == nil) != want || err != nil && !errors.As(err, &forged) {
			t.Errorf("stamped %d: %v", stamp, err)
		}
	}
}

// The library's signers stamp the clock's second.
func TestCosignTimestamp(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	for _, name := range []string{"w1", "w1-pq"} {
		before := time.Now().Unix()
		sig, err := c.witness[name].Cosign(cp)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := c.policy(t, "quorum "+name+"\n").Verify(c.cosigned(t, cp, sig), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if at := pub.ExistedBy().Unix(); at < before || at > time.Now().Unix() {
			t.Errorf("%s stamped %d, began at %d", name, at, before)
		}
		if _, err := c.witness[name].Cosign(Checkpoint{testOrigin, 0, Hash{1}}); err == nil {
			t.Errorf("%s cosigns an impossible tree", name)
		}
	}
}

// signWithNoteLibrary signs what SignCheckpoint refuses.
func signWithNoteLibrary(t testing.TB, c *testKeys, cp Checkpoint) Signature {
	t.Helper()
	sig, err := c.log.sign(cp)
	if err != nil {
		t.Fatal(err)
	}
	return Signature{Name: c.log.key.name, ID: c.log.key.ID(), Sig: sig}
}

func sigsOf(t testing.TB, note []byte) []Signature {
	t.Helper()
	_, sigs, err := ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	return sigs
}

func otherSigner(t testing.TB) *Signer {
	t.Helper()
	skey, _, err := GenerateKey(Ed25519, "other.example")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Adding cosignatures to what the log has just signed is verifying the whole note:
// the same verdict, the same result, whatever is added.
func TestVerifyCosignedAgreesWithVerify(t *testing.T) {
	c := newTestKeys(t)
	p := c.policy(t, "quorum w1\n")
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed, err := SignCheckpoint(cp, c.log, c.logPQ)
	if err != nil {
		t.Fatal(err)
	}
	now := uint64(testTime.Unix())
	own := sigsOf(t, signed.Note())
	spoilt := func(s Signature) Signature {
		s.Sig = append([]byte(nil), s.Sig...)
		s.Sig[len(s.Sig)-1] ^= 1
		return s
	}
	w1 := c.cosignatureAt(t, "w1", cp, now)
	for what, sigs := range map[string][]Signature{
		"nothing":                             nil,
		"the quorum":                          {w1},
		"a bad cosignature":                   {spoilt(w1)},
		"a stranger's":                        {w1, {Name: "stranger", ID: 7, Sig: make([]byte, 64)}},
		"the log's own again":                 {w1, own[0], own[1]},
		"in the log's name, bad, Ed25519":     {w1, spoilt(own[0])},
		"in the log's name, bad, ML-DSA":      {w1, spoilt(own[1])},
		"in the log's name, of an unused key": {w1, {Name: testOrigin, ID: own[0].ID + 1, Sig: own[0].Sig}},
	} {
		note, err := AddSignatures(signed.Note(), sigs...)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := p.Verify(note, testTime)
		got, err := p.VerifyCosigned(signed, sigs, testTime)
		if !reflect.DeepEqual(err, wantErr) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v, %v", what, got, err, want, wantErr)
		}
	}
}

// Whoever handed a signature over and changes it then changes nothing that was verified.
func TestVerifyCosignedCopiesSignatures(t *testing.T) {
	c := newTestKeys(t)
	p := c.policy(t, "quorum w1\n")
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed, err := SignCheckpoint(cp, c.log)
	if err != nil {
		t.Fatal(err)
	}
	both, err := SignCheckpoint(cp, c.log, c.logPQ)
	if err != nil {
		t.Fatal(err)
	}
	more := append(sigsOf(t, both.Note())[1:], c.cosignatureAt(t, "w1", cp, uint64(testTime.Unix())))
	first, err := p.VerifyCosigned(signed, more, testTime)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range more {
		s.Sig[20] ^= 1
	}
	again, err := p.VerifyCosigned(first.Signed(), nil, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(again.Note(), testTime); err != nil {
		t.Errorf("what counted as verified is not: %v", err)
	}
}

// That a log has signed with keys of its own makes none of them the policy's.
func TestVerifyCosignedIgnoresForeignLogKeys(t *testing.T) {
	c, other := newTestKeys(t), newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed, err := SignCheckpoint(cp, other.log)
	if err != nil {
		t.Fatal(err)
	}
	var unsigned *LogSignatureError
	if _, err := c.policy(t, "quorum none\n").VerifyCosigned(signed, nil, testTime); !errors.As(err, &unsigned) {
		t.Errorf("keys of the same name: %v", err)
	}
	// Put on later, the policy's own line is verified like any other.
	both, err := signed.WithSignatures(sigsOf(t, c.sign(t, cp)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.policy(t, "quorum none\n").VerifyCosigned(both, nil, testTime); err != nil {
		t.Error(err)
	}
	forged := sigsOf(t, c.sign(t, Checkpoint{testOrigin, 14, LeafHash(nil)}))
	if both, err = signed.WithSignatures(forged); err != nil {
		t.Fatal(err)
	}
	var bad *SignatureError
	if _, err := c.policy(t, "quorum none\n").VerifyCosigned(both, nil, testTime); !errors.As(err, &bad) {
		t.Errorf("another checkpoint's signature: %v", err)
	}
}

// With leaves what is there: a key that has signed is not replaced.
func TestWithSignaturesKeepsExisting(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed, err := SignCheckpoint(cp, c.log)
	if err != nil {
		t.Fatal(err)
	}
	other := sigsOf(t, c.sign(t, Checkpoint{testOrigin, 14, LeafHash(nil)}))
	more, err := signed.WithSignatures(other)
	if err != nil {
		t.Fatal(err)
	}
	if got := sigsOf(t, more.Note()); len(got) != 2 || !got[0].equal(sigsOf(t, signed.Note())[0]) || !got[1].equal(other[1]) {
		t.Errorf("got %v", got)
	}
}

// Own leaves what strangers added, and has each line of the log once, however often
// its keys are known.
func TestWithoutCosignatures(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed, err := SignCheckpoint(cp, c.log, c.logPQ)
	if err != nil {
		t.Fatal(err)
	}
	note := signed.Note()
	for i := range uint32(MaxSignatures - 2) {
		if note, err = AddSignatures(note, Signature{Name: testOrigin, ID: i, Sig: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	keys := []Key{c.log.Key(), c.logPQ.Key()}
	full, err := VerifyLog(note, testOrigin, slices.Repeat(keys, 60)...)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(full.WithoutCosignatures(), signed.Note()) || len(full.LogKeys()) != 2 {
		t.Errorf("%d keys, and the log's own note is\n%s", len(full.LogKeys()), full.WithoutCosignatures())
	}
}

// What a note could not hold is not written.
func TestFormatNoteRefuses(t *testing.T) {
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	sig := Signature{Name: "w", ID: 1, Sig: []byte{1}}
	large := Signature{Name: "w", ID: 1, Sig: make([]byte, maxSignatureBytes-4)}
	for what, sigs := range map[string][]Signature{
		"no signature":           nil,
		"too many":               slices.Repeat([]Signature{sig}, MaxSignatures+1),
		"too much":               slices.Repeat([]Signature{large}, MaxNoteBytes/maxSignatureBytes),
		"a name with a space":    {{Name: "w 1", ID: 1, Sig: []byte{1}}},
		"a name with a line end": {{Name: "w\n", ID: 1, Sig: []byte{1}}},
		"no name":                {{ID: 1, Sig: []byte{1}}},
		"an empty signature":     {{Name: "w", ID: 1}},
		"a signature too large":  {{Name: "w", ID: 1, Sig: make([]byte, maxSignatureBytes-3)}},
	} {
		if note, err := FormatNote(cp, sigs...); err == nil {
			t.Errorf("%s: wrote %d bytes", what, len(note))
		}
	}
	if _, err := FormatNote(Checkpoint{Origin: "a\nb"}, sig); err == nil {
		t.Error("an origin of two lines")
	}
	note, err := FormatNote(cp, slices.Repeat([]Signature{large}, 40)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, sigs, err := ParseCheckpoint(note); err != nil || len(sigs) != 40 {
		t.Errorf("the largest signatures: %d, %v", len(sigs), err)
	}
}

// What people read when a check says no: what is wrong, and with what.
func TestErrorMessages(t *testing.T) {
	c := newTestKeys(t)
	f := newReferenceTree(8)
	r := testReceipt(t, c, f, 5, 8)
	twoOfThree := c.policy(t, "group g 2 w1 w2 w3\nquorum g\n")
	elsewhere, err := SignCheckpoint(Checkpoint{"other.example", 13, LeafHash(nil)}, otherSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := FormatNote(Checkpoint{testOrigin, 8, f.mth(0, 8)}, Signature{testOrigin, 7, []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	spoiled := sigsOf(t, r.Checkpoint)
	spoiled[0].Sig[0] ^= 1
	altered, err := FormatNote(Checkpoint{testOrigin, 8, f.mth(0, 8)}, spoiled...)
	if err != nil {
		t.Fatal(err)
	}
	moved := r
	moved.Index = 4
	noLogs, err := ParsePolicy([]byte("quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(p *Policy, note []byte) error { _, err := p.Verify(note, testTime); return err }
	_, errMoved := moved.Verify(c.policy(t, "quorum w1\n"), testTime)
	for _, test := range []struct {
		err error
	}{
		{verify(twoOfThree, r.Checkpoint)},
		{verify(twoOfThree, elsewhere.Note())},
		{verify(noLogs, elsewhere.Note())},
		{verify(twoOfThree, unsigned)},
		{verify(twoOfThree, altered)},
		{errMoved},
		{VerifyConsistency(f.tree(8), f.tree(5), nil)},
	} {
		if test.err == nil {
			t.Fatal("no error")
		}
		checkWords(t, test.err)
	}
}

// A group that is half there says so, and names the witnesses below it.
func TestQuorumErrorMessage(t *testing.T) {
	c := newTestKeys(t)
	p := c.policy(t, "group x 2 w1 w2\ngroup y all w3-pq\ngroup z all x y\nquorum z\n")
	cosigned := []Cosignature{{Witness: "w2"}}
	short := p.quorum.quorumError(cosignedIn(cosigned))
	if got := short.Error(); got != "not enough cosignatures: 0 of 2 (x: 1 of 2, y missing)" {
		t.Errorf("got %s", got)
	}
	if got := strings.Join(short.Witnesses, " "); got != "w1 w3-pq" {
		t.Errorf("witnesses %s", got)
	}
}
