package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Public is the public ledger: of records, judged by the register.
type Public = Ledger[record.Verified]

// RegisterFold makes the register the fold of the public ledger. The register stays
// the caller's to open, to read and to close.
func RegisterFold(r *register.Register) Fold[record.Verified] { return &registerFold{register: r} }

type registerFold struct {
	register *register.Register
	replayer *register.Replayer // of a replay in progress

	mu         sync.Mutex // guards what follows
	policyText string     // the policy parsed last
	policy     *proof.Policy
}

// RegisterDraft is the draft of the public ledger. What it embeds has the effects of
// the records that it has judged (Ledger.DryRun).
type RegisterDraft struct{ *register.Draft }

// Judge returns the bytes of the entry.
func (d RegisterDraft) Judge(v record.Verified) ([]byte, error) {
	e, err := d.Draft.Judge(v)
	if err != nil {
		return nil, folded(err)
	}
	return e.Marshal(), nil
}

// folded makes [ErrFold] of a register's damage.
func folded(err error) error {
	if register.IsDamaged(err) {
		return fmt.Errorf("%w: %w", ErrFold, err)
	}
	return err
}

func (f *registerFold) Cursor() Head {
	c := f.register.Cursor()
	if c.Size == 0 {
		return Head{Root: proof.EmptyRoot()}
	}
	return Head{Size: c.Size, Root: c.Root}
}

func (f *registerFold) Begin(previous Draft[record.Verified], admitted time.Time) Draft[record.Verified] {
	if previous == nil {
		return RegisterDraft{f.register.Begin(admitted)}
	}
	return RegisterDraft{previous.(RegisterDraft).Next(admitted)}
}

func (f *registerFold) Advance(d Draft[record.Verified], head Head) error {
	return f.register.Advance(d.(RegisterDraft).Draft, head.Root)
}

func (f *registerFold) Replay(ctx context.Context, entries [][]byte, head Head) error {
	if f.replayer == nil {
		f.replayer = f.register.NewReplayer(0)
	}
	b, err := f.replayer.Verify(ctx, entries)
	if err != nil {
		return err
	}
	return f.replayer.Fold(b, head.Root)
}

func (f *registerFold) Lookup(id record.ID) (uint64, bool, error) {
	index, ok, err := f.register.Lookup(id)
	return index, ok, folded(err)
}

func (f *registerFold) IDs(yield func(record.ID) error) error {
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
func (f *registerFold) Policy(size uint64) (*proof.Policy, uint64, error) {
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

func (f *registerFold) AdmittedAt(entry []byte) (time.Time, error) {
	e, err := record.ParseEntry(entry)
	return e.Admitted, err
}
