package proof

import (
	"crypto/ed25519"
	"fmt"
)

// CheckCharterPolicy judges the policy in a charter: it parses, names a log of the
// charter's origin and no other, and its quorums intersect, so that one honest
// witness is enough to prevent a fork (DESIGN.md section 3; "quorum none" is
// allowed, and warned of wherever it is read). It is part of the admission rules:
// what it refuses is in no ledger.
func CheckCharterPolicy(text, origin string) error {
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		return err
	}
	if len(p.logs) == 0 {
		return fmt.Errorf("the policy names no log key; want those of %s", origin)
	}
	for _, name := range p.Origins() {
		if name != origin {
			return fmt.Errorf("the policy names a key of the log %s; the charter's origin is %s", name, origin)
		}
	}
	return p.CheckQuorumsIntersect()
}

// PolicyEd25519Keys are the raw Ed25519 public keys, 32 bytes each, of the logs and
// witnesses that a policy names: those that might also be used to sign records,
// and must not be.
func PolicyEd25519Keys(text string) ([][]byte, error) {
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		return nil, err
	}
	var raw [][]byte
	add := func(k Key) {
		if public, ok := k.Public().(ed25519.PublicKey); ok {
			raw = append(raw, public)
		}
	}
	for _, l := range p.logs {
		add(l.Key)
	}
	for _, w := range p.witnesses {
		add(w.Key)
	}
	return raw, nil
}
