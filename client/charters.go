package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// charter is one charter of the pinned ledger, proven by its receipt.
type charter struct {
	index    uint64
	id       record.ID
	content  *record.Charter
	policy   *proof.Policy
	receipt  proof.Receipt
	verified *proof.VerifiedReceipt // what it proves; nil of a first charter whose place in the log is not shown yet
}

// charters are all charters known, oldest first; the first is the pinned one.
type charters []charter

// policy is the one that judges a checkpoint of that size: the newest charter's
// below it. There is always one: the pinned charter is at index 0.
func (c charters) policy(size uint64) *proof.Policy {
	p := c[0].policy
	for _, next := range c[1:] {
		if next.index < size {
			p = next.policy
		}
	}
	return p
}

// Policy is that policy: charters are [Policies].
func (c charters) Policy(size uint64) (*proof.Policy, error) { return c.policy(size), nil }

// atIndex is the charter at an index, nil if none is known there.
func (c charters) atIndex(index uint64) *charter {
	if i := slices.IndexFunc(c, func(k charter) bool { return k.index == index }); i >= 0 {
		return &c[i]
	}
	return nil
}

// below are those among the first size entries.
func (c charters) below(size uint64) charters {
	n := len(c)
	for n > 0 && c[n-1].index >= size {
		n--
	}
	return c[:n]
}

// format writes the chain of charters, and nothing else.
func (c charters) format() ([]byte, error) {
	chain := make([]proof.Receipt, len(c))
	for i := range c {
		chain[i] = c[i].receipt
	}
	return proof.FormatChain(chain)
}

// proven reports whether the receipts of all are there.
func (c charters) proven() bool {
	return !slices.ContainsFunc(c, func(k charter) bool { return k.verified == nil })
}

// newest is the charter in force as far as is known.
func (c charters) newest() charter { return c[len(c)-1] }

// checkCharters judges a chain that begins with the pinned charter. The anchor is
// the root keys: each charter is signed by thresholds of the old root set and of
// the new. Each receipt satisfies the policy that is in force where its checkpoint was
// published, the charter's own until the next one, so that the chain holds even when
// every witness and log key of an older one is gone.
func checkCharters(pin record.ID, chain []proof.Receipt, now time.Time) (charters, error) {
	var known charters
	for _, r := range chain {
		next, err := known.next(pin, r)
		if err != nil {
			return nil, err
		}
		known = append(known, next)
	}
	if len(known) == 0 {
		return nil, errors.New("no charter in the chain")
	}
	for i := range known {
		c := &known[i]
		v, err := known.verify(chain[i], now)
		if err != nil {
			return nil, fmt.Errorf("charter %s at index %d: %w", c.id, c.index, err)
		}
		if origin := v.Published().Checkpoint().Origin; origin != c.content.Origin {
			return nil, fmt.Errorf("charter %s: proven in the log %s, its origin is %s", c.id, origin, c.content.Origin)
		}
		c.verified = v
	}
	return known, nil
}

// next judges the charter of a receipt as the one after those known, by whoever signed it.
func (c charters) next(pin record.ID, r proof.Receipt) (charter, error) {
	e, err := record.ParseEntry(r.Entry)
	if err != nil {
		return charter{}, fmt.Errorf("charter at index %d: %w", r.Index, err)
	}
	var old *record.Charter
	var oldID record.ID
	if len(c) > 0 {
		old, oldID = c.newest().content, c.newest().id
	}
	id := record.IDOf(e.Envelope.Payload)
	if len(c) == 0 && (id != pin || r.Index != 0) {
		return charter{}, &OtherLedgerError{Charter: id, Index: r.Index, Pinned: pin}
	}
	content, err := checkSuccessor(old, oldID, e)
	if err != nil {
		return charter{}, fmt.Errorf("charter %s at index %d: %w", id, r.Index, err)
	}
	policy, err := proof.ParsePolicy([]byte(content.Policy))
	if err != nil {
		return charter{}, fmt.Errorf("charter %s: its policy: %w", id, err)
	}
	if len(c) > 0 && r.Index <= c.newest().index {
		return charter{}, fmt.Errorf("charter %s at index %d: out of order", id, r.Index)
	}
	return charter{index: r.Index, id: id, content: content, policy: policy, receipt: r}, nil
}

// verify judges a receipt by the policy in force where its checkpoint was published.
func (c charters) verify(r proof.Receipt, now time.Time) (*proof.VerifiedReceipt, error) {
	cp, _, err := proof.ParseCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	return r.Verify(c.policy(cp.Size), now)
}

// checkSuccessor checks that a charter may follow the one before it (nil for the pinned
// one): RECORDS.md "Kinds", charter, "who signs".
func checkSuccessor(old *record.Charter, oldID record.ID, e record.Entry) (*record.Charter, error) {
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return nil, err
	}
	next, ok := st.Predicate.(*record.Charter)
	if !ok {
		return nil, fmt.Errorf("this is a %s", st.Kind)
	}
	listed, err := record.ListedKeys(st)
	if err != nil {
		return nil, err
	}
	candidates := slices.Clone(listed)
	if old != nil {
		if st.Follows != oldID {
			return nil, fmt.Errorf("it follows %s, not %s: a charter is missing between", st.Follows, oldID)
		}
		if next.Origin != old.Origin {
			return nil, fmt.Errorf("it changes the origin from %s to %s", old.Origin, next.Origin)
		}
		for _, k := range old.RootKeys {
			key, err := k.Key.Key()
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, key)
		}
	}
	v, err := record.OpenEntry(e, func(id string) *record.Key {
		for _, k := range candidates {
			if k.ID() == id {
				return k
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return next, checkRootSigners(v, old, next)
}

// checkRootSigners applies the register's rule of who must sign a charter.
func checkRootSigners(v record.Verified, old, next *record.Charter) error {
	needs, err := register.RequiredCharterSigners(old, next)
	if err != nil {
		return err
	}
	which := map[register.RootKeySet]string{register.OldRootKeys: "old", register.NewRootKeys: "new"}
	for _, need := range needs {
		holders, missing := need.SignedBy(v)
		switch {
		case need.Set == register.AddedRootKeys && len(missing) > 0:
			at := slices.IndexFunc(next.RootKeys, func(k record.RootKey) bool { return isKey(k.Key, missing[0].ID) })
			return fmt.Errorf("root key %d (%s) is new and did not sign", at+1, missing[0].Holder)
		case int64(len(holders)) < need.Holders:
			return fmt.Errorf("%d of the %s root keys' holders needed, %d signed", need.Holders, which[need.Set], len(holders))
		}
	}
	return nil
}

func isKey(text record.PEM, id string) bool {
	key, err := text.Key()
	return err == nil && key.ID() == id
}
