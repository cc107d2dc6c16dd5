package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
// directory's, or a chain of two, is a *[InconsistencyError].
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

// verifyReceipt is the only function that verifies receipts. c is the server that sent
// it; nil offline.
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

// checkTimeAndHistory compares a verified receipt with the quorum's time and with the
// history that a trust directory has.
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

// checkAuthorship sets the signers of an entry that the replayed copy covers, where
// every rule was checked.
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
		if register.IsDamaged(err) {
			return &DamageError{Dir: t.dir, Err: err}
		} else if err != nil {
			return err
		}
		if ok {
			r.Signers[i] = h
		}
	}
	return nil
}

// PinnedCharter accepts the ledger whose first charter has this ID. The policies are
// those of the charters in the chain, each signed by the root keys of the one before. A
// receipt without charters proves nothing under it.
type PinnedCharter struct{ ID record.ID }

// Policy knows none: the chain's own charters are asked.
func (p PinnedCharter) Policy(uint64) (*proof.Policy, error) {
	return nil, fmt.Errorf("nothing is known of the ledger but its charter's ID, %s, and the charters are not here: that takes a chain (docket receipt --chain)", p.ID)
}

// ChainReport is what a chain shows beside the record, and what it cannot.
type ChainReport struct {
	NewestCharter uint64               // index of the newest charter that the chain shows; under its policy the record is proven
	Ledger        record.ID            // of the charter at index 0; zero if the chain does not show it
	KnownCharter  uint64               // index of the newest one that the trust directory knows; Charter where none was asked
	Trees         proof.TreeComparison // of the receipts' checkpoints, as far as their paths tell
	Shown         []uint64             // indexes of the records below the record's own by which its signers had the right
	Unchecked     []string             // rules that would take a record which is not shown, a clause each
	NotShown      string               // why the right to sign could not be judged; "" if it was
}

// link is one receipt of a chain, with what was read from it.
type link struct {
	receipt   proof.Receipt
	verified  *proof.VerifiedReceipt
	entry     record.Entry
	statement *record.Statement
}

// chain is a file of receipts in the file's order, of which the last is the record's.
// Each receipt is verified.
type chain struct {
	links        []link
	charters     charters // those that it shows, judged; nil where they were not asked for or that at index 0 is not among them
	knownCharter uint64   // index of the newest that a trust directory knows
	notPinned    bool     // no charter ID was given
	trees        proof.TreeComparison
}

// verifyChain verifies each receipt, and that all are of one history. The charters among
// them are judged first, since they say under which policies the rest is judged: each is
// proven under the policy in force where its checkpoint was published, all other records
// under that of the newest (DESIGN.md section 4, "Receipt").
func verifyChain(ctx context.Context, receipts []proof.Receipt, p Policies, now time.Time) (*chain, error) {
	c := &chain{links: make([]link, len(receipts))}
	for i, r := range receipts {
		c.links[i].receipt = r
	}
	if err := c.readCharters(p, now); err != nil {
		return nil, err
	}
	for i := range c.links {
		if err := c.verifyLink(ctx, &c.links[i], p, now); err != nil {
			if len(receipts) > 1 {
				return nil, fmt.Errorf("receipt %d of the chain: %w", i+1, err)
			}
			return nil, err
		}
	}
	return c, c.checkOneLog(ctx)
}

// readCharters checks the charters of the chain, from the pinned one on. With a single
// policy nothing is pinned: the chain's own first charter is taken, and the reader of
// the report has to compare its ID.
func (c *chain) readCharters(p Policies, now time.Time) error {
	var shown []proof.Receipt
	for _, l := range c.links {
		if kindOf(l.receipt) == record.KindCharter {
			shown = append(shown, l.receipt)
		}
	}
	slices.SortStableFunc(shown, func(a, b proof.Receipt) int { return cmp.Compare(a.Index, b.Index) })
	begins := len(shown) > 0 && shown[0].Index == 0
	var pin record.ID
	switch p := p.(type) {
	case PinnedCharter:
		pin = p.ID
	case *Trust:
		if _, err := p.Policy(0); err != nil {
			return err
		}
		pin = p.pin.Charter
	default:
		c.notPinned = true
		if begins {
			e, err := record.ParseEntry(shown[0].Entry)
			if err != nil {
				return err
			}
			pin = record.IDOf(e.Envelope.Payload)
		}
	}
	if _, pinned := p.(PinnedCharter); !begins || len(c.links) == 1 && !pinned {
		return nil // of a single receipt, or without the first charter, p alone says under which policy
	}
	var err error
	if c.charters, err = checkCharters(pin, shown, now); err != nil {
		return fmt.Errorf("the chain's charters: %w", err)
	}
	if t, ok := p.(*Trust); ok {
		c.knownCharter = t.charters.newest().index
		return t.checkKnownCharters(c)
	}
	c.knownCharter = c.charters.newest().index
	return nil
}

// checkKnownCharters holds the chain's charters against those known: the chain shows all that are
// below its newest checkpoint, and may go beyond.
func (t *Trust) checkKnownCharters(c *chain) error {
	var size uint64
	for _, l := range c.links {
		cp, _, err := proof.ParseCheckpoint(l.receipt.Checkpoint)
		if err != nil {
			return err
		}
		size = max(size, cp.Size)
	}
	for _, k := range t.charters {
		at := slices.IndexFunc(c.charters, func(s charter) bool { return s.index == k.index })
		switch {
		case at >= 0 && c.charters[at].id != k.id:
			return fmt.Errorf("the chain's charter at index %d is %s; %s knows %s there: these are two histories", k.index, c.charters[at].id, t.dir, k.id)
		case at < 0 && k.index < size:
			return fmt.Errorf("the chain leaves out the charter at index %d, %s, which %s knows: ask for a new chain (docket receipt --chain)", k.index, k.id, t.dir)
		}
	}
	last := t.charters.newest().index
	for _, s := range c.charters {
		if s.index < last && !slices.ContainsFunc(t.charters, func(k charter) bool { return k.index == s.index }) {
			return fmt.Errorf("the chain shows a charter at index %d, %s, of which %s knows that there is none: these are two histories", s.index, s.id, t.dir)
		}
	}
	return nil
}

// verifyLink verifies one receipt and reads what it proves.
func (c *chain) verifyLink(ctx context.Context, l *link, p Policies, now time.Time) (err error) {
	l.verified, err = c.verifyReceipt(ctx, l.receipt, p, now)
	if err != nil {
		return err
	}
	if l.entry, err = record.ParseEntry(l.verified.Entry()); err != nil {
		return err
	}
	l.statement, err = record.ParseStatement(l.entry.Envelope.Payload)
	return err
}

func (c *chain) verifyReceipt(ctx context.Context, r proof.Receipt, p Policies, now time.Time) (*proof.VerifiedReceipt, error) {
	if c.charters == nil {
		return verifyReceipt(ctx, nil, r, p, now)
	}
	newest := c.charters.newest()
	_, single := p.(SinglePolicy)
	known := c.charters.atIndex(r.Index)
	switch {
	case known != nil && !bytes.Equal(known.verified.Entry(), r.Entry):
		return nil, fmt.Errorf("another record than the charter that the chain shows at index %d: two records of one index", r.Index)
	case single && (known == nil || known.index == newest.index):
		return verifyReceipt(ctx, nil, r, p, now)
	case known != nil:
		return known.verified, checkTimeAndHistory(ctx, nil, known.verified, p)
	}
	cp, _, err := proof.ParseCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	if cp.Size <= newest.index {
		return nil, fmt.Errorf("entry %d is proven at size %d, under a policy that the charter at index %d has replaced since: ask for a new chain (docket receipt --chain)", r.Index, cp.Size, newest.index)
	}
	v, err := r.Verify(newest.policy, now)
	if err != nil {
		return nil, err
	}
	return v, checkTimeAndHistory(ctx, nil, v, p)
}

// checkOneLog holds the receipts against each other: their trees, and their order. The record
// stands last in the file, wherever it is in the log.
func (c *chain) checkOneLog(ctx context.Context) error {
	verified := make([]*proof.VerifiedReceipt, len(c.links))
	for i, l := range c.links {
		verified[i] = l.verified
	}
	var two *proof.SplitViewError
	var err error
	if c.trees, err = proof.CompareTrees(verified); errors.As(err, &two) {
		fork := newInconsistencyError(ctx, noTiles, two.One, two.Other)
		fork.withinChain = true
		return fork
	} else if err != nil {
		return err
	}
	last := len(c.links) - 1
	for i, l := range c.links {
		switch index := l.verified.Index(); {
		case i > 0 && i < last && index <= verified[i-1].Index():
			return fmt.Errorf("receipt %d of the chain is of index %d, and the one before it of %d: a chain goes in the order of the log, each record once", i+1, index, verified[i-1].Index())
		case i < last && index == verified[last].Index():
			return fmt.Errorf("receipts %d and %d of the chain are both of index %d: a chain shows each record once", i+1, last+1, index)
		}
	}
	return nil
}

// noTiles is for evidence of what two notes show by themselves.
func noTiles(context.Context, []proof.TileID) ([][]byte, error) {
	return nil, errors.New("a chain has no tiles")
}

// report is what is known of the chain before its records are judged; nil of a single
// receipt.
func (c *chain) report() *ChainReport {
	if len(c.links) == 1 && c.charters == nil {
		return nil
	}
	r := &ChainReport{KnownCharter: c.knownCharter, Trees: c.trees}
	if c.charters != nil {
		r.Ledger, r.NewestCharter = c.charters[0].id, c.charters.newest().index
	}
	return r
}

// checkAuthorship replays the records that the chain shows, as far as they go. A record
// that must not be in a ledger is an error, even if a quorum cosigned it.
func (c *chain) checkAuthorship(r *VerifyReport) error {
	if c.charters == nil {
		r.Chain.NotShown = "the charter at index 0 is not shown"
		return nil
	}
	if index, ok := c.unprovenCharter(); ok {
		r.Chain.Unchecked = append(r.Chain.Unchecked, fmt.Sprintf("that the charter at index %d is in the log of this policy", index))
	}
	links := slices.Clone(c.links)
	slices.SortFunc(links, func(a, b link) int { return cmp.Compare(a.verified.Index(), b.verified.Index()) })
	s, err := register.NewSparseReplay(RegisterOptions())
	if err != nil {
		return err
	}
	defer s.Close()
	for _, l := range links {
		index := l.verified.Index()
		unchecked, err := s.Apply(index, l.entry)
		if why, unknown := undecidable(err); unknown {
			if index <= r.Index {
				r.Chain.NotShown = why
				return nil
			}
			unchecked = []string{why}
		} else if err != nil {
			if bad := (*register.EntryError)(nil); errors.As(err, &bad) {
				err = bad.Err
			}
			return fmt.Errorf("by the records shown, the %s on %s (index %d) is wrong: %w", l.statement.Kind, l.statement.Thread, index, err)
		}
		for _, clause := range unchecked {
			r.Chain.Unchecked = append(r.Chain.Unchecked, fmt.Sprintf("index %d: %s", index, clause))
		}
		if index < r.Index {
			r.Chain.Shown = append(r.Chain.Shown, index)
		}
		if err != nil {
			break // of what came after the record, no more can be told
		}
	}
	if r.Signers, err = s.SignerHolders(r.Entry); err != nil {
		return err
	}
	r.Authorship = AuthorshipByChain
	return nil
}

// unprovenCharter returns the index of a charter that need not be in the log: none is
// pinned, and it is proven only under its own policy, in a tree that is not shown to be
// consistent with the record's. A forged charter would make all that follows verify.
func (c *chain) unprovenCharter() (index uint64, ok bool) {
	if !c.notPinned {
		return 0, false
	}
	apart := func(v *proof.VerifiedReceipt) bool {
		return slices.Contains(c.trees.Unproven, v.Published().Checkpoint().Tree())
	}
	record := c.links[len(c.links)-1].verified
	for _, k := range c.charters[:len(c.charters)-1] { // the newest is proven under the policy given
		if apart(k.verified) || apart(record) {
			return k.index, true
		}
	}
	return 0, false
}

// undecidable reports whether an error only says that a record is missing from the
// chain, or that this binary is too old for one.
func undecidable(err error) (why string, ok bool) {
	var hidden *register.NotShownError
	var old *register.UpgradeError
	switch {
	case errors.As(err, &hidden):
		return hidden.Error(), true
	case errors.As(err, &old):
		return old.Error(), true
	}
	return "", false
}
