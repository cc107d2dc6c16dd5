// Package public is the public ledger: the engine of package ledger with records for items
// and the register for its fold. What may enter, the register says; how it becomes durable
// and published, the engine.
//
//	reg, err := register.Open(fs, "register", options)
//	l, err := ledger.Open(ctx, store, public.Fold(reg), ledger.Config{Origin: "log.example/1", Signers: signers})
//	v, err := record.Open(envelope, reg.CandidateKeys) // whose signatures verify
//	ticket, err := l.Append(ctx, v)                    // judged by the commit that takes it in
package public

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Ledger is a ledger of records.
type Ledger = ledger.Ledger[record.Verified]

// Fold makes the register the fold of a ledger of records. The register stays the
// caller's to open, to read and to close.
func Fold(r *register.Register) ledger.Fold[record.Verified] { return &fold{register: r} }

type fold struct {
	register *register.Register
	replayer *register.Replayer // of a replay under way

	mu         sync.Mutex // guards what follows
	policyText string     // the policy parsed last
	policy     *proof.Policy
}

// draft is a draft of the register, as the engine wants it.
type draft struct {
	*register.Draft
	register *register.Register // that it is of
}

// Judge returns the bytes of the entry.
func (d draft) Judge(v record.Verified) ([]byte, error) {
	e, err := d.Draft.Judge(v)
	if err != nil {
		return nil, folded(err)
	}
	return e.Marshal(), nil
}

func (d draft) Next(admitted time.Time) ledger.Draft[record.Verified] {
	return draft{d.Draft.Next(admitted), d.register}
}

func (d draft) Advance(head ledger.Head) error { return d.register.Advance(d.Draft, head.Root) }

// folded makes [ledger.ErrFold] of a register's damage.
func folded(err error) error {
	if register.IsDamaged(err) {
		return fmt.Errorf("%w: %w", ledger.ErrFold, err)
	}
	return err
}

var _ ledger.Refusal = (*record.Refusal)(nil) // otherwise one would stop the ledger

func (f *fold) ID(v record.Verified) ledger.ID { return v.ID() }

func (f *fold) Cursor() ledger.Head {
	c := f.register.Cursor()
	if c.Size == 0 {
		return ledger.Head{Root: proof.EmptyRoot()}
	}
	return ledger.Head{Size: c.Size, Root: c.Root}
}

func (f *fold) Begin(admitted time.Time) ledger.Draft[record.Verified] {
	return draft{f.register.Begin(admitted), f.register}
}

func (f *fold) Replay(ctx context.Context, entries [][]byte, head ledger.Head) error {
	if f.replayer == nil {
		f.replayer = f.register.NewReplayer(0)
	}
	b, err := f.replayer.Verify(ctx, entries)
	if err != nil {
		return err
	}
	return f.replayer.Fold(b, head.Root)
}

func (f *fold) Lookup(id ledger.ID) (uint64, bool, error) {
	index, ok, err := f.register.Lookup(id)
	return index, ok, folded(err)
}

func (f *fold) IDs(yield func(ledger.ID) error) error {
	var failed error
	err := f.register.IDs(func(_ uint64, id record.ID) bool {
		failed = yield(id)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return folded(err)
}

// Policy is that of the newest charter below size. Policies change seldom and are
// asked for with each publication, so the last one is kept.
func (f *fold) Policy(size uint64) (*proof.Policy, uint64, error) {
	epoch, err := f.register.PolicyEpochAt(size)
	if err != nil {
		return nil, 0, folded(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.policy == nil || f.policyText != epoch.Policy {
		p, err := proof.ParsePolicy([]byte(epoch.Policy))
		if err != nil {
			return nil, 0, fmt.Errorf("the charter's policy: %w", err)
		}
		f.policyText, f.policy = epoch.Policy, p
	}
	return f.policy, epoch.Since, nil
}

func (f *fold) AdmittedAt(entry []byte) (time.Time, error) {
	e, err := record.ParseEntry(entry)
	return e.Admitted, err
}
