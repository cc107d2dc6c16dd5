package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Authorship says how far it was checked that who signed had the right to.
type Authorship int

const (
	// AuthorshipNotChecked: inclusion alone was proven.
	AuthorshipNotChecked Authorship = iota
	// AuthorshipByChain: the records that the chain shows gave the right, and each of them was
	// judged; what it does not show, a later revocation above all, was not.
	AuthorshipByChain
	// AuthorshipByReplay: the entry is one of a replayed copy, every rule judged.
	AuthorshipByReplay
)

// VerifyReport is what a verification proves, and how far.
type VerifyReport struct {
	ID        record.ID
	Entry     record.Entry
	Statement *record.Statement
	Index     uint64
	Published *proof.Published
	Policy    *proof.Policy

	Authorship  Authorship
	CoveredSize uint64               // AuthorshipByReplay: the size of the copy
	Signers     []register.KeyHolder // one a signature, in the entry's order; Holder is empty where unknown
	Chain       *ChainReport         // nil of a single receipt
}

// Verify checks a receipt, or a chain of which the last receipt is the record's,
// offline, under the policies of a trust directory, a single one, or those that the
// chain's own charters give ([PinnedCharter]). Only with a trust directory that covers the
// index, or a chain, is authorship checked. What is of another history than a trust
// directory's, or a chain of two, is a *[ForkError].
func Verify(ctx context.Context, file []byte, p Policies, now time.Time) (*VerifyReport, error) {
	receipts, err := proof.ParseChain(file)
	if err != nil {
		return nil, err
	}
	c, err := verifyChain(ctx, receipts, p, now)
	if err != nil {
		return nil, err
	}
	last := c.links[len(c.links)-1]
	r := &VerifyReport{
		ID: record.IDOf(last.entry.Envelope.Payload), Entry: last.entry, Statement: last.statement, Index: last.verified.Index(),
		Published: last.verified.Published(), Policy: last.verified.Published().Policy(), Chain: c.report(),
	}
	for _, s := range r.Entry.Envelope.Signatures {
		r.Signers = append(r.Signers, register.KeyHolder{KeyID: s.KeyID})
	}
	if t, ok := p.(*Trust); ok {
		if err := t.checkAuthorship(r); err != nil {
			return nil, err
		}
	}
	if r.Authorship == AuthorshipNotChecked && r.Chain != nil {
		if err := c.checkAuthorship(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// verifyReceipt is the one way in which a receipt is believed. c is the server that
// handed it out; nil offline.
func verifyReceipt(ctx context.Context, c *Client, r proof.Receipt, p Policies, now time.Time) (*proof.VerifiedReceipt, error) {
	cp, _, err := proof.ParseCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	policy, err := p.Policy(cp.Size)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(policy, now)
	if err != nil {
		return nil, err
	}
	return v, checkTimeAndHistory(ctx, c, v, p)
}

// checkTimeAndHistory holds what a receipt proves against what else is known: the time by which the
// entry existed, and the history that a trust directory has.
func checkTimeAndHistory(ctx context.Context, c *Client, v *proof.VerifiedReceipt, p Policies) error {
	e, err := record.ParseEntry(v.Entry())
	if err != nil {
		return err
	}
	if err := admittedInTime(e.Admitted, v.Published()); err != nil {
		return fmt.Errorf("entry %d: %w", v.Index(), err)
	}
	if t, ok := p.(*Trust); ok {
		return t.checkConsistent(ctx, c, v)
	}
	return nil
}

// checkAuthorship tells whose keys signed, of an entry that the replayed copy has: there it was
// judged.
func (t *Trust) checkAuthorship(r *VerifyReport) error {
	reg, err := t.Register()
	if errors.Is(err, ErrNoCopy) {
		return nil
	} else if err != nil {
		return err
	}
	if r.Index >= reg.Size() {
		return nil
	}
	r.Authorship, r.CoveredSize = AuthorshipByReplay, reg.Size()
	for i, s := range r.Signers {
		h, ok, err := reg.KeyHolder(s.KeyID)
		if err != nil {
			return err
		}
		if ok {
			r.Signers[i] = h
		}
	}
	return nil
}
