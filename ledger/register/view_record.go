package register

import (
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Record is one entry as the register knows it. The statement itself is the
// ledger's to show.
type Record struct {
	Index    uint64      `json:"index"`
	ID       record.ID   `json:"record"`
	Kind     record.Kind `json:"kind"`
	Thread   string      `json:"thread"`
	Issuer   string      `json:"issuer"`
	IssuedAt time.Time   `json:"issuedAt"`
	Admitted time.Time   `json:"admitted"`
	Follows  *record.ID  `json:"follows,omitempty"`
	Subject  record.ID   `json:"subject"` // SHA-256 of what it is about, a document's or a record's
}

func recordOf(row RecordRow) Record {
	r := Record{
		Index: row.Index, ID: row.ID, Kind: row.Kind, Thread: row.Thread, Issuer: row.Issuer,
		IssuedAt: row.IssuedAt, Admitted: row.Admitted, Subject: record.ID(row.Subject),
	}
	if !row.Follows.IsZero() {
		r.Follows = &row.Follows
	}
	return r
}

// Record finds a record by its ID.
func (v *View) Record(id record.ID) (Record, error) {
	index, ok, err := v.r.Lookup(id)
	if err != nil {
		return Record{}, err
	}
	if !ok || index >= v.size {
		return Record{}, v.absent("record %s", id)
	}
	return v.RecordAt(index)
}

// RecordAt is the record of an index.
func (v *View) RecordAt(index uint64) (Record, error) {
	if index >= v.size {
		return Record{}, v.absent("index %d", index)
	}
	row, err := v.r.recordRow(index)
	return recordOf(row), err
}

// Thread are all records on a thread, oldest first.
func (v *View) Thread(thread string) ([]Record, error) {
	h, err := v.history(thread)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, v.absent("thread %s", thread)
	}
	return v.recordsOf(h, 0)
}

// recordsOf are the records of a history from an index on, oldest first.
func (v *View) recordsOf(h *history, from uint64) ([]Record, error) {
	var list []Record
	for i := len(h.versions) - 1; i >= 0; i-- {
		if h.versions[i].index < from {
			continue
		}
		r, err := v.RecordAt(h.versions[i].index)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Head is the newest record on a thread: what the next one must follow.
func (v *View) Head(thread string) (Record, error) {
	row, err := v.r.newest(thread, v.size)
	if err != nil {
		return Record{}, err
	}
	if row == nil {
		return Record{}, v.absent("thread %s", thread)
	}
	return v.RecordAt(row.Index)
}

// RecordFilter chooses records; what is empty chooses all.
type RecordFilter struct {
	Kind   record.Kind
	Thread string
	Issuer string
	From   uint64 // least index
}

// Records yields the records that a filter chooses, in log order, until yield
// returns false. To go on later, ask from the last one's index + 1.
func (v *View) Records(f RecordFilter, yield func(Record) bool) error {
	if f.Thread != "" {
		return v.recordsOnThread(f, yield)
	}
	if f.Kind == "" && f.Issuer == "" {
		return v.r.records(f.From, v.size, func(row RecordRow) bool { return yield(recordOf(row)) })
	}
	var failed error
	each := func(index uint64) bool {
		row, err := v.r.recordRow(index)
		if err != nil {
			failed = err
			return false
		}
		return !f.chooses(row.Kind, row.Issuer) || yield(recordOf(row))
	}
	err := error(nil)
	if f.Issuer != "" {
		err = v.r.ofIssuer(f.Issuer, f.From, v.size, each)
	} else {
		err = v.r.ofKind(f.Kind, f.From, v.size, each)
	}
	if failed != nil {
		return failed
	}
	return err
}

func (v *View) recordsOnThread(f RecordFilter, yield func(Record) bool) error {
	h, err := v.history(f.Thread)
	if err != nil || h == nil {
		return err
	}
	for _, x := range slices.Backward(h.versions) {
		if x.index < f.From {
			continue
		}
		r, err := v.RecordAt(x.index)
		if err != nil {
			return err
		}
		if f.chooses(r.Kind, r.Issuer) && !yield(r) {
			return nil
		}
	}
	return nil
}

func (f RecordFilter) chooses(kind record.Kind, issuer string) bool {
	return (f.Kind == "" || kind == f.Kind) && (f.Issuer == "" || issuer == f.Issuer)
}
