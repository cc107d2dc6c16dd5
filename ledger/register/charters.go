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

// PolicyAt is the policy text, and the origin, of the newest charter below a size:
// what judges a checkpoint of that size.
func (r *Register) PolicyAt(size uint64) (text, origin string, err error) {
	row, err := r.newest(ownerRoot, size)
	if err != nil {
		return "", "", err
	}
	if row == nil {
		return "", "", fmt.Errorf("no charter below size %d", size)
	}
	c := row.State.(*CharterRow)
	return c.Policy, c.Origin, nil
}
