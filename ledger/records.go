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

// Records makes the register the fold of the public ledger. The register stays
// the caller's to open, to read and to close.
func Records(r *register.Register) Fold[record.Verified] { return &records{r: r} }

type records struct {
	r        *register.Register
	replayer *register.Replayer // of a replay under way

	mu     sync.Mutex // guards what follows
	text   string     // the policy parsed last
	policy *proof.Policy
}

// RecordDraft is the draft of the public ledger. What it embeds tells of the
// records that it has judged (Ledger.Try).
type RecordDraft struct{ *register.Draft }

// Judge returns the bytes of the entry.
func (d RecordDraft) Judge(v record.Verified) ([]byte, error) {
	e, err := d.Draft.Judge(v)
	if err != nil {
		return nil, folded(err)
	}
	return e.Marshal(), nil
}

// folded makes [ErrFold] of a register's damage.
func folded(err error) error {
	if register.Damaged(err) {
		return fmt.Errorf("%w: %w", ErrFold, err)
	}
	return err
}

func (f *records) Cursor() Head {
	c := f.r.Cursor()
	if c.Size == 0 {
		return Head{Root: proof.EmptyRoot()}
	}
	return Head{Size: c.Size, Root: c.Root}
}

func (f *records) Begin(below Draft[record.Verified], admitted time.Time) Draft[record.Verified] {
	if below == nil {
		return RecordDraft{f.r.Begin(admitted)}
	}
	return RecordDraft{below.(RecordDraft).Next(admitted)}
}

func (f *records) Advance(d Draft[record.Verified], head Head) error {
	return f.r.Advance(d.(RecordDraft).Draft, head.Root)
}

func (f *records) Replay(ctx context.Context, entries [][]byte, head Head) error {
	if f.replayer == nil {
		f.replayer = f.r.Replayer(0)
	}
	b, err := f.replayer.Verify(ctx, entries)
	if err != nil {
		return err
	}
	return f.replayer.Take(b, head.Root)
}

func (f *records) Lookup(id record.ID) (uint64, bool, error) {
	index, ok, err := f.r.Lookup(id)
	return index, ok, folded(err)
}

func (f *records) IDs(yield func(record.ID) error) error {
	var failed error
	err := f.r.IDs(func(_ uint64, id record.ID) bool {
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
func (f *records) Policy(size uint64) (*proof.Policy, uint64, error) {
	era, err := f.r.EraAt(size)
	if err != nil {
		return nil, 0, folded(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.policy == nil || f.text != era.Policy {
		p, err := proof.ParsePolicy([]byte(era.Policy))
		if err != nil {
			return nil, 0, fmt.Errorf("the charter's policy: %w", err)
		}
		f.text, f.policy = era.Policy, p
	}
	return f.policy, era.Since, nil
}

func (f *records) Admitted(entry []byte) (time.Time, error) {
	e, err := record.ParseEntry(entry)
	return e.Admitted, err
}
