package register

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Apply replays an admitted entry at the next index: the same rules, at the
// entry's own admission time. The entry must be what [Draft.Judge] makes of its
// record; any error means that this entry must not be in a ledger, or (an
// [UpgradeError]) that this binary cannot tell. The draft must then be dropped.
func (d *Draft) Apply(e record.Entry, v record.Verified) error {
	made, err := d.judge(v, e.Admitted)
	var refusal *record.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Class == record.Unsupported:
		return &UpgradeError{Index: d.next, Detail: refusal.Detail}
	case errors.As(err, &refusal), errors.Is(err, errClockBack):
		return fmt.Errorf("entry %d must not be in this ledger: %w", d.next, err)
	case err != nil:
		return &storeError{fmt.Errorf("judging entry %d: %w", d.next, err)}
	case !sameEntry(e, made):
		return fmt.Errorf("entry %d must not be in this ledger: it differs from what its record and signatures make", d.next-1)
	}
	return nil
}

// storeError is a fault of the register's own store: it accuses no entry.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// UpgradeError says that an entry needs a newer binary. It never means that the
// entry is wrong.
type UpgradeError struct {
	Index  uint64
	Detail string
}

func (e *UpgradeError) Error() string { return e.Detail }

func sameEntry(a, b record.Entry) bool {
	return a.Admitted.Equal(b.Admitted) && string(a.Envelope.Payload) == string(b.Envelope.Payload) &&
		slices.EqualFunc(a.Envelope.Signatures, b.Envelope.Signatures, func(x, y record.Signature) bool {
			return x.KeyID == y.KeyID && string(x.Sig) == string(y.Sig)
		})
}
