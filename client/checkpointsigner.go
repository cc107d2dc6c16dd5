package client

import (
	"context"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// signerStatus is what is known of who signed a checkpoint before the log is read.
type signerStatus int

const (
	signerNone    signerStatus = iota // none of the log's keys did
	signerLog                         // one of them did
	signerUnknown                     // a later charter, which the source shows only among its entries, may name the key
)

// charterSource is a source that shows the chain of a ledger's charters.
type charterSource interface {
	ChainUnverified(ctx context.Context, id record.ID) ([]byte, error)
}

// findSigner looks for the log's key among those of the trusted checkpoint's policy, of
// the charter at index 0, and of the charters after it.
func (a Audit) findSigner(ctx context.Context, note []byte, cp proof.Checkpoint) (signerStatus, error) {
	if policy := a.trustedPolicy(cp.Size); policy != nil {
		if _, err := policy.VerifyLog(note); err == nil {
			return signerLog, nil
		}
	}
	if cp.Size == 0 {
		return signerUnknown, nil // there is nothing to fetch
	}
	first, err := firstEntry(ctx, a.Source.Bundle, cp.Size)
	if err != nil {
		return signerNone, err
	}
	e, err := record.ParseEntry(first)
	if err != nil {
		return signerUnknown, nil // the replay says what is wrong with it, and ends there
	}
	id := record.IDOf(e.Envelope.Payload)
	if st, err := record.ParseStatement(e.Envelope.Payload); err == nil {
		if c, ok := st.Predicate.(*record.Charter); ok && signedByCharterKey(note, c) {
			return signerLog, nil
		}
	}
	source, ok := a.Source.(charterSource)
	if !ok {
		return signerUnknown, nil
	}
	raw, err := source.ChainUnverified(ctx, id)
	if err != nil && isTransient(ctx, err) {
		return signerNone, err
	} else if err != nil {
		return signerUnknown, nil // it hands on tiles alone
	}
	known, err := chartersInChain(raw, id, time.Now())
	if err != nil {
		return signerNone, nil
	}
	for _, c := range known {
		if signedByCharterKey(note, c.content) {
			return signerLog, nil
		}
	}
	return signerNone, nil
}

// trustedPolicy is the one by which a checkpoint of that size counted, as far as the charters
// that were trusted before tell; nil if none were.
func (a Audit) trustedPolicy(size uint64) *proof.Policy {
	if a.TrustedPolicies != nil {
		if policy, err := a.TrustedPolicies.Policy(size); err == nil {
			return policy
		}
	}
	if a.Trusted != nil {
		return a.Trusted.Policy()
	}
	return nil
}

// signedByCharterKey reports whether one of the log keys that a charter names signed a note.
func signedByCharterKey(note []byte, c *record.Charter) bool {
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return false
	}
	_, err = policy.VerifyLog(note)
	return err == nil
}

// signerAt is what the charter in force at an index says of who signed a checkpoint.
func signerAt(reg *register.Register, note []byte, index uint64) (signerStatus, error) {
	if reg.Size() == 0 {
		return signerNone, nil
	}
	era, err := reg.PolicyEpochAt(index)
	if err != nil {
		return signerNone, err
	}
	policy, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return signerNone, err
	}
	if _, err := policy.VerifyLog(note); err != nil {
		return signerNone, nil
	}
	return signerLog, nil
}
