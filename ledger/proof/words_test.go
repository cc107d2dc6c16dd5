package proof

import (
	"strings"
	"testing"
)

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
		err  error
		want string
	}{
		{verify(twoOfThree, r.Checkpoint), "not enough cosignatures: 1 of 2 (w2, w3 missing)"},
		{verify(twoOfThree, elsewhere.Note()), "the checkpoint is of another log: other.example, wanted log.example/1"},
		{verify(noLogs, elsewhere.Note()), "the checkpoint is of other.example, and the policy lists no log"},
		{verify(twoOfThree, unsigned), "no signature of the log log.example/1 by a key that is trusted for it ("},
		{verify(twoOfThree, altered), "the signature by log.example/1 (key "},
		{errMoved, "entry is not in the tree it claims"},
		{VerifyConsistency(f.tree(8), f.tree(5), nil), "the larger tree is not shown to extend the smaller one: size went back from 8 to 5"},
	} {
		if test.err == nil || !strings.HasPrefix(test.err.Error(), test.want) {
			t.Errorf("got %v, want %s…", test.err, test.want)
		}
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
