package register

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Charters are the rows of all charters, oldest first.
func (r *Register) Charters() (all []RecordRow, err error) {
	err = r.scanListed(tableKind, string(record.KindCharter), 0, r.Size(), func(index uint64) (bool, error) {
		row, err := r.recordRow(index)
		all = append(all, row)
		return true, err
	})
	return all, err
}

// charterTerms are what a charter says of time: how long each period of its days is.
type charterTerms struct {
	RecordRef
	Periods record.Periods
	zone    *time.Location
}

// terms are those of the charter that the row's record is.
func (row *ThreadRow) terms() (charterTerms, error) {
	t := charterTerms{RecordRef: row.ref()}
	if row.Delta.Periods == nil {
		return t, fmt.Errorf("charter row %d has no periods: %w", row.Index, ErrDamaged)
	}
	t.Periods = *row.Delta.Periods
	var err error
	if t.zone, err = rules1.Location(row.Delta.TimeZone); err != nil {
		return t, fmt.Errorf("charter row %d: %w: %w", row.Index, ErrDamaged, err)
	}
	return t, nil
}

// readTerms reads those of all charters below a size, oldest first.
func (r *Register) readTerms(below uint64) (list []charterTerms, err error) {
	err = r.versionsBackward(ownerRoot, below, func(row *ThreadRow) (bool, error) {
		t, err := row.terms()
		list = append(list, t)
		return true, err
	})
	slices.Reverse(list)
	return list, err
}

// termsBelow are those of all charters below a size, oldest first; they are in memory.
func (r *Register) termsBelow(size uint64) []charterTerms {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := slices.BinarySearchFunc(r.terms, size, func(t charterTerms, size uint64) int { return cmp.Compare(t.Index, size) })
	return r.terms[:n:n]
}

// PolicyEpoch is what a charter says of the checkpoints of its time: those of the sizes above
// its index, up to the index of the next charter.
type PolicyEpoch struct {
	Since  uint64 // index of the charter
	Origin string
	Policy string // tlog-policy text
}

// PolicyEpochAt is that of the newest charter below a size: what judges a checkpoint of that
// size. Every publication asks, so that of the newest charter is in memory.
func (r *Register) PolicyEpochAt(size uint64) (PolicyEpoch, error) {
	r.mu.Lock()
	row := r.tip.charter
	r.mu.Unlock()
	if row == nil || row.Index >= size {
		var err error
		if row, err = r.newestVersion(ownerRoot, size); err != nil {
			return PolicyEpoch{}, err
		}
	}
	if row == nil {
		return PolicyEpoch{}, fmt.Errorf("no charter below size %d", size)
	}
	c := row.State.(*CharterRow)
	return PolicyEpoch{row.Index, c.Origin, c.Policy}, nil
}
