package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// CheckPolicy refuses a charter whose policy lacks one of the directory's keys:
// nobody could verify what the ledger signs with it.
func (k Keys) CheckPolicy(c *record.Charter) error {
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return fmt.Errorf("the charter's policy: %w", err)
	}
	if c.Origin != k.Origin {
		return fmt.Errorf("the charter's origin is %s, this directory's keys are named %s", c.Origin, k.Origin)
	}
	if _, unnamed := k.diffPolicy(policy); len(unnamed) > 0 {
		return fmt.Errorf("the charter's policy lacks this directory's log key %s (docket init prints them all)", keyText(unnamed[0]))
	}
	return nil
}

// diffPolicy finds the log keys of the policy that are not here, and those here that
// are not in the policy.
func (k Keys) diffPolicy(policy *proof.Policy) (missing, unnamed []proof.Key) {
	missing = policy.LogKeys(k.Origin)
	for _, s := range k.Signers {
		if i := slices.IndexFunc(missing, s.Key().SamePublicKey); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else {
			unnamed = append(unnamed, s.Key())
		}
	}
	return missing, unnamed
}

// CheckKeys holds the directory's keys against the newest charter: what they sign
// from now on has to satisfy its policy. [ledger.ErrNoLogKey] if they cannot; what
// only needs somebody's attention goes to the log. Without a charter there is
// nothing to say.
func (n *Node) CheckKeys() error {
	policy, since, err := n.policy()
	if policy == nil || err != nil {
		return err
	}
	missing, unnamed := n.config.Keys.diffPolicy(policy)
	if !n.Ledger.CanSign(policy) {
		return fmt.Errorf("the charter at index %d: %w: it names %s; here are %s", since, ledger.ErrNoLogKey, keyTexts(missing), keyTexts(unnamed))
	}
	for _, key := range missing {
		n.config.Log.Warn("the charter's policy names a log key that is not here: nothing is signed with it", "origin", key.Name(), "key", keyText(key), "charter", since)
	}
	for _, key := range unnamed {
		n.config.Log.Warn("the charter's policy does not name a log key that is here: it signs, for witnesses that know it, and counts for no verifier", "origin", key.Name(), "key", keyText(key), "charter", since)
	}
	return nil
}

// keyText is a key's ID as its vkey and its signature lines bear it. An ML-DSA vkey
// has 1,800 characters.
func keyText(k proof.Key) string { return fmt.Sprintf("%08x (%s)", k.ID(), k.Algorithm()) }

func keyTexts(keys []proof.Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = keyText(k)
	}
	return strings.Join(texts, ", ")
}
