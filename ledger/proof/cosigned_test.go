package proof

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

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
