package view

import (
	"errors"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Record finds a record by its ID.
func (v *View) Record(id record.ID) (register.RecordRow, error) {
	index, ok, err := v.rows.Lookup(id)
	if err != nil {
		return register.RecordRow{}, err
	}
	if !ok {
		return register.RecordRow{}, v.absentError("record %s", id)
	}
	return v.RecordAt(index)
}

// RecordAt is the record of an index.
func (v *View) RecordAt(index uint64) (register.RecordRow, error) {
	if index >= v.Size() {
		return register.RecordRow{}, v.absentError("index %d", index)
	}
	return v.rows.Record(index)
}

// Thread yields the records on a thread, oldest first, from an index on; none at all is
// an [AbsentError].
func (v *View) Thread(thread record.Thread, from uint64, yield func(register.RecordRow) bool) error {
	if h, err := v.threadHistory(thread); err != nil {
		return err
	} else if h == nil {
		return v.absentError("thread %s", thread)
	}
	return v.Records(RecordFilter{Thread: thread, From: from}, yield)
}

// Head is the newest record on a thread: what the next one must follow.
func (v *View) Head(thread record.Thread) (register.RecordRow, error) {
	row, err := v.rows.Thread(thread)
	if err != nil {
		return register.RecordRow{}, err
	}
	if row == nil {
		return register.RecordRow{}, v.absentError("thread %s", thread)
	}
	return v.RecordAt(row.Index)
}

// RecordFilter chooses records; what is empty chooses all.
type RecordFilter struct {
	Kind   record.Kind
	Thread record.Thread
	Issuer string
	From   uint64 // least index

	// Attestations chooses what providers file: responses and certifications.
	Attestations bool
}

// Records yields the records that a filter chooses, in log order, until yield
// returns false. To go on later, ask from the last one's index + 1; so does a
// [PartialListError], whose After is such an index.
func (v *View) Records(f RecordFilter, yield func(register.RecordRow) bool) error {
	next := f.From
	each := func(row register.RecordRow) bool {
		next = row.Index + 1
		return !f.matches(row.Kind, row.Issuer) || yield(row)
	}
	var err error
	switch {
	case f.Thread != "":
		err = v.rows.Steps(f.Thread, f.From, func(step *register.ThreadRow) (bool, error) {
			row, err := v.rows.Record(step.Index)
			return err == nil && each(row), err
		})
	case f.Issuer != "":
		err = v.rows.RecordsOf(f.Issuer, f.From, each)
	case f.Kind != "":
		err = v.rows.RecordsOfKind(f.Kind, f.From, each)
	default:
		err = v.rows.Records(f.From, each)
	}
	if errors.Is(err, register.ErrOverBudget) && next > f.From {
		return &PartialListError{After: strconv.FormatUint(next-1, 10)}
	}
	return err
}

func (f RecordFilter) matches(kind record.Kind, issuer string) bool {
	return (f.Kind == "" || kind == f.Kind) && (f.Issuer == "" || issuer == f.Issuer) &&
		(!f.Attestations || kinds[kind].files)
}

// Charter is the newest charter of a view: what judges the entry of index Size.
type Charter struct {
	Record  register.RecordRow    `json:"entry"`
	Charter record.Charter        `json:"charter"`
	Roots   []register.RootKeyRow `json:"rootKeys"`
	Entries uint64                `json:"entries"`       // that the view sees
	Records []record.ID           `json:"records"`       // the first charter, and the newest: at most 16, oldest first
	Cut     []string              `json:"cut,omitempty"` // "records" if there are more: the thread "charter" has all
}

// Charter is the newest charter; its policy text is Charter.Policy.
func (v *View) Charter() (Charter, error) {
	charters := v.rows.Charters()
	n := len(charters)
	if n == 0 {
		return Charter{}, v.absentError("charter")
	}
	r, err := v.RecordAt(charters[n-1].Index)
	if err != nil {
		return Charter{}, err
	}
	newest, err := v.rows.Thread(record.CharterThread)
	if err != nil {
		return Charter{}, err
	}
	row := newest.State.(*register.CharterRow)
	c := Charter{Record: r, Charter: row.Charter, Roots: row.Root, Entries: v.Size()}
	for i, t := range charters {
		if i > 0 && i <= n-maxRecordIDs {
			c.Cut = []string{"records"}
			continue
		}
		c.Records = append(c.Records, t.ID)
	}
	return c, nil
}

// Policy is the text of the newest charter's policy, and the index from which on it holds.
func (v *View) Policy() (text string, from uint64, err error) {
	c, err := v.Charter()
	return c.Charter.Policy, c.Record.Index, err
}
