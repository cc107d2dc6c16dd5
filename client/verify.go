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
	// NotChecked: inclusion alone was proven.
	NotChecked Authorship = iota
	// ByChain: the keys stand in enrolments that are on the ledger before the record;
	// whether they were revoked or suspended between was not checked.
	ByChain
	// ByReplay: the entry is one of a replayed copy, every rule judged.
	ByReplay
)

// Report is what a verification proves, and how far.
type Report struct {
	ID        record.ID
	Entry     record.Entry
	Statement *record.Statement
	Index     uint64
	Published *proof.Published
	Policy    *proof.Policy

	Authorship Authorship
	Covers     uint64               // ByReplay: the size of the copy
	Signers    []register.KeyHolder // one a signature, in the entry's order; Holder is empty where unknown
}

// Verify checks a receipt, or a chain of which the last receipt is the record's,
// offline, under the policies of a trust directory or a single one. Only with a
// trust directory that covers the index, or a chain, is authorship checked. What is of
// another history than a trust directory's is a *[ForkError].
func Verify(ctx context.Context, file []byte, p Policies, now time.Time) (*Report, error) {
	chain, err := proof.ParseChain(file)
	if err != nil {
		return nil, err
	}
	verified := make([]*proof.VerifiedReceipt, len(chain))
	for i, r := range chain {
		if verified[i], err = verifyReceipt(ctx, nil, r, p, now); err != nil {
			if len(chain) > 1 {
				return nil, fmt.Errorf("receipt %d of the chain: %w", i+1, err)
			}
			return nil, err
		}
	}
	last := verified[len(verified)-1]
	r := &Report{Index: last.Index(), Published: last.Published(), Policy: last.Published().Policy()}
	if r.Entry, err = record.ParseEntry(last.Entry()); err != nil {
		return nil, err
	}
	r.ID = record.IDOf(r.Entry.Envelope.Payload)
	if r.Statement, err = record.ParseStatement(r.Entry.Envelope.Payload); err != nil {
		return nil, err
	}
	for _, s := range r.Entry.Envelope.Signatures {
		r.Signers = append(r.Signers, register.KeyHolder{KeyID: s.KeyID})
	}
	if t, ok := p.(*Trust); ok {
		if err := t.author(r); err != nil {
			return nil, err
		}
	}
	if r.Authorship == NotChecked && len(chain) > 1 {
		if err := r.byChain(verified[:len(verified)-1]); err != nil {
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
	if t, ok := p.(*Trust); ok {
		return v, t.agrees(ctx, c, v)
	}
	return v, nil
}

// author tells whose keys signed, of an entry that the replayed copy has: there it was
// judged.
func (t *Trust) author(r *Report) error {
	reg, err := t.Copy()
	if errors.Is(err, ErrNoCopy) {
		return nil
	} else if err != nil {
		return err
	}
	if r.Index >= reg.Size() {
		return nil
	}
	r.Authorship, r.Covers = ByReplay, reg.Size()
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

// byChain finds the signers' keys in the chain's own records and verifies the
// signatures with them. A chain brings later records too (the newest charter has
// the policy, and what became of the keys since is for people to see); they gave
// nobody the right to sign this one.
func (r *Report) byChain(chain []*proof.VerifiedReceipt) error {
	keys := make(map[string]*record.Key)
	holders := make(map[string]register.KeyHolder)
	for _, v := range chain {
		if v.Index() >= r.Index {
			continue
		}
		e, err := record.ParseEntry(v.Entry())
		if err != nil {
			return err
		}
		st, err := record.ParseStatement(e.Envelope.Payload)
		if err != nil {
			return err
		}
		listed, err := record.ListedKeys(st)
		if err != nil {
			return err
		}
		for i, k := range listed {
			keys[k.ID()] = k
			h := register.KeyHolder{KeyID: k.ID(), Added: v.Index()}
			switch p := st.Predicate.(type) {
			case *record.Charter:
				h.Holder = p.RootKeys[i].Holder
			case *record.Enrolment:
				h.Party, h.Holder, h.Use = partyOf(st), p.Keys[i].Holder, p.Keys[i].Use
			case *record.Keys:
				h.Party, h.Holder, h.Use = partyOf(st), p.Add[i].Holder, p.Add[i].Use
			}
			if _, known := holders[h.KeyID]; !known {
				holders[h.KeyID] = h
			}
		}
	}
	for i, s := range r.Signers {
		h, ok := holders[s.KeyID]
		if !ok {
			return nil // not the chain of this record: authorship stays unchecked
		}
		r.Signers[i] = h
	}
	if _, err := record.Reopen(r.Entry, func(id string) *record.Key { return keys[id] }); err != nil {
		return err
	}
	r.Authorship = ByChain
	return nil
}

// partyOf is the party whose thread a record is on: "party/acme-cloud" → acme-cloud.
func partyOf(st *record.Statement) string {
	const prefix = "party/"
	if len(st.Thread) > len(prefix) && st.Thread[:len(prefix)] == prefix {
		return st.Thread[len(prefix):]
	}
	return st.Issuer
}
