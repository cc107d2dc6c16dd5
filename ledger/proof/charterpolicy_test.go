package proof

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

func TestCheckCharterPolicy(t *testing.T) {
	keys := policyKeys(t)
	for _, test := range []struct{ text, err string }{
		{"log L1\nlog L1pq\nquorum none\n", ""},
		{"log L1\nwitness a W1\nwitness b W2\nwitness c W3\ngroup g 2 a b c\nquorum g\n", ""},
		{"log L1\nwitness a W1\nwitness b W2\ngroup g any a b\nquorum g\n", ErrDisjointQuorums.Error()},
		{"log L1\n", "no quorum line"},
		{"quorum none\n", "no log key"},
		{"log L1\nlog " + otherSigner(t).Key().String() + "\nquorum none\n", "other.example"},
	} {
		err := CheckCharterPolicy(keys.Replace(test.text), testOrigin)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%q: got %v, want %q", test.text, err, test.err)
		}
	}
	if err := CheckCharterPolicy(keys.Replace("log L1\nquorum none\n"), "another.example"); err == nil || errors.Is(err, ErrDisjointQuorums) {
		t.Errorf("another origin: %v", err)
	}
}

func TestPolicyKeys(t *testing.T) {
	c := newTestKeys(t)
	raw, err := PolicyEd25519Keys(c.policy(t, "quorum w1\n").Text())
	if err != nil || len(raw) != 4 { // one log key and three witnesses' are Ed25519
		t.Fatalf("%d keys, %v", len(raw), err)
	}
	if !bytes.Equal(raw[0], c.log.Key().Public().(ed25519.PublicKey)) {
		t.Error("the log's key is not the first")
	}
	if _, err := PolicyEd25519Keys("quorum"); err == nil {
		t.Error("keys of no policy")
	}
}
