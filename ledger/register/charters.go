package register

import (
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Charters are the rows of all charters, oldest first.
func (r *Register) Charters() ([]RecordRow, error) {
	var all []RecordRow
	var failed error
	err := r.ofKind(record.KindCharter, 0, r.Size(), func(index uint64) bool {
		row, err := r.recordRow(index)
		all, failed = append(all, row), err
		return err == nil
	})
	return all, errors.Join(err, failed)
}

// Era is what a charter says of the checkpoints of its time: those of the sizes above
// its index, up to the index of the next charter.
type Era struct {
	Since  uint64 // index of the charter
	Origin string
	Policy string // tlog-policy text
}

// EraAt is that of the newest charter below a size: what judges a checkpoint of that
// size. Every publication asks, so that of the newest charter is in memory.
func (r *Register) EraAt(size uint64) (Era, error) {
	r.mu.Lock()
	row := r.tip.charter
	r.mu.Unlock()
	if row == nil || row.Index >= size {
		var err error
		if row, err = r.newest(ownerRoot, size); err != nil {
			return Era{}, err
		}
	}
	if row == nil {
		return Era{}, fmt.Errorf("no charter below size %d", size)
	}
	c := row.State.(*CharterRow)
	return Era{row.Index, c.Origin, c.Policy}, nil
}
