package register

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Snapshot reads what the fold had written when the register had one size, whatever was
// folded since: records, threads, keys, identifiers, charters. It is what questions are
// answered from, and nothing else of the register is.
//
// A Snapshot is a value: [Snapshot.At] and [Snapshot.WithBudget] give another. What it
// returns is shared by all readers and read only. A Reset or Close of the register ends it.
type Snapshot struct {
	rows     rowReader
	size     uint64
	charters []CharterTerms // oldest first; perhaps some from size on
	withheld withheldRecords
}

// Snapshot reads the register as of a size. One that it has not reached is an error.
func (r *Register) Snapshot(size uint64) (Snapshot, error) {
	if have := r.Size(); size > have {
		return Snapshot{}, fmt.Errorf("as of size %d: the register has %s so far", size, FormatEntryCount(have))
	}
	return Snapshot{r.rowReader, size, r.termsBelow(size), r.withheldNow()}, nil
}

// FormatEntryCount is a number of entries as a sentence says it: "1 entry", "7,379 entries".
func FormatEntryCount(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " entries"
}

// At is the snapshot of a smaller size; a larger one changes nothing.
func (s Snapshot) At(size uint64) Snapshot {
	s.size = min(size, s.size)
	return s
}

// Size is the number of entries that it sees.
func (s Snapshot) Size() uint64 { return s.size }

// Charters are the terms of all charters, oldest first.
func (s Snapshot) Charters() []CharterTerms {
	n := len(s.charters)
	for n > 0 && s.charters[n-1].Index >= s.size {
		n--
	}
	return s.charters[:n:n]
}

// Lookup finds the index of a record.
func (s Snapshot) Lookup(id record.ID) (index uint64, ok bool, err error) {
	b, err := s.rows.get(idKey(id))
	if err != nil || b == nil {
		return 0, false, err
	}
	index = binary.BigEndian.Uint64(b)
	return index, index < s.size, nil
}

// Record is the row of an index below the size.
func (s Snapshot) Record(index uint64) (RecordRow, error) { return s.rows.recordRow(index) }

// Records yields the rows of all records from an index on, in log order.
func (s Snapshot) Records(from uint64, yield func(RecordRow) bool) error {
	return s.rows.scanRecords(from, s.size, yield)
}

// RecordsOfKind is [Snapshot.Records] of one kind.
func (s Snapshot) RecordsOfKind(kind record.Kind, from uint64, yield func(RecordRow) bool) error {
	return s.listedRecords(tableKind, string(kind), from, yield)
}

// RecordsOf is [Snapshot.Records] of one issuer.
func (s Snapshot) RecordsOf(issuer string, from uint64, yield func(RecordRow) bool) error {
	return s.listedRecords(tableIssuer, issuer, from, yield)
}

func (s Snapshot) listedRecords(table byte, text string, from uint64, yield func(RecordRow) bool) error {
	return s.rows.scanListed(table, text, from, s.size, func(index uint64) (bool, error) {
		row, err := s.rows.recordRow(index)
		return err == nil && yield(row), err
	})
}

// Thread is the newest version of a thread with its state, nil if there is none.
func (s Snapshot) Thread(thread record.Thread) (*ThreadRow, error) {
	row, err := s.rows.newestVersion(thread, s.size)
	return s.withheld.version(row), err
}

// LoadState completes a version with its state, which [Snapshot.Threads] and the steps lack.
func (s Snapshot) LoadState(row *ThreadRow) error {
	if err := s.rows.loadState(row); err != nil {
		return err
	}
	row.State = s.withheld.version(row).State
	return nil
}

// Step is what the record of an index did to its thread: a version without its state.
func (s Snapshot) Step(thread record.Thread, index uint64) (*ThreadRow, error) {
	row, err := s.rows.version(thread, index)
	return s.withheld.version(row), err
}

// Steps yields what the records of a thread did to it, from an index on, oldest first.
func (s Snapshot) Steps(thread record.Thread, from uint64, yield func(*ThreadRow) (more bool, err error)) error {
	return s.rows.versionsForward(thread, from, s.size, s.shown(yield))
}

// StepsBackward is [Snapshot.Steps] of all records, newest first.
func (s Snapshot) StepsBackward(thread record.Thread, yield func(*ThreadRow) (more bool, err error)) error {
	return s.rows.versionsBackward(thread, s.size, s.shown(yield))
}

// Threads yields the threads whose names begin with prefix and sort after another, in
// order, each with its newest version.
func (s Snapshot) Threads(prefix, after string, yield func(*ThreadRow) (more bool, err error)) error {
	return s.rows.scanThreads(prefix, after, s.size, s.shown(yield))
}

// shown yields what is shown of each version.
func (s Snapshot) shown(yield func(*ThreadRow) (more bool, err error)) func(*ThreadRow) (more bool, err error) {
	return func(row *ThreadRow) (bool, error) { return yield(s.withheld.version(row)) }
}

// Providers yields the IDs of the providers that sort after another, in order.
func (s Snapshot) Providers(after string, yield func(id string) (more bool, err error)) error {
	return s.rows.scanProviders(after, s.size, yield)
}

// Nearest is the thread whose name differs by a slip of the pen from that of one which does
// not exist, among those of its family that stand near it; "" if there is none.
func (s Snapshot) Nearest(thread record.Thread) (record.Thread, error) {
	threads, err := s.rows.neighbouringThreads(thread, s.size)
	if err != nil {
		return "", err
	}
	names := make([]string, len(threads))
	for i, t := range threads {
		names[i] = t.Name()
	}
	if i := slices.Index(names, schema.Nearest(thread.Name(), names)); i >= 0 {
		return threads[i], nil
	}
	return "", nil
}

// Key is a key as it was, nil if it had no owner.
func (s Snapshot) Key(keyid string) (*KeyRow, error) {
	k, err := s.rows.keyRow(keyid, s.size)
	return s.withheld.key(k), err
}

// IdentifierUses yields the threads that use an identifier or used it, those that sort
// after another, in order, each with the record that made its newest use. Scheme and
// value are as people write them; of a scheme that is none there are none.
func (s Snapshot) IdentifierUses(scheme, value, after string, yield func(thread record.Thread, since uint64, use IdentifierUse) (more bool, err error)) error {
	index, key := indexScheme(scheme), IdentifierKey(scheme, value)
	if index == "" || key == "" {
		return nil
	}
	return s.rows.scanIdentifierUses(index, key, after, s.size, yield)
}

// IdentifierUse is how one thread uses an identifier, 0 if it never did.
func (s Snapshot) IdentifierUse(scheme, value string, thread record.Thread) (IdentifierUse, error) {
	index, key := indexScheme(scheme), IdentifierKey(scheme, value)
	if index == "" || key == "" {
		return 0, nil
	}
	return s.rows.identifierUse(index, key, thread, s.size)
}

// FormerNames are names that a thread replaced and does not bear now, those first
// replaced first: at most that many, and whether there are more.
func (s Snapshot) FormerNames(thread record.Thread, now string, most int) (names []string, more bool, err error) {
	if names, withheld := s.withheld.formerNames(thread, s.size); withheld {
		return names, false, nil
	}
	return s.rows.formerNames(thread, s.size, now, most)
}

// ReadBudget is how much may be read of the register, for one question: rows, and the
// bytes of their keys and values.
type ReadBudget struct {
	Rows, Bytes int
}

// ErrOverBudget: a question exceeds its budget. A replayed copy answers the same one
// without a bound.
var ErrOverBudget = errors.New("the question needs more work than one may take here")

// WithBudget is the snapshot whose reads, and those of each made from it, are taken from a
// budget; one over it is [ErrOverBudget]. A budget belongs to one goroutine; nil: no bound.
func (s Snapshot) WithBudget(left *ReadBudget) Snapshot {
	s.rows.budget = left
	return s
}

// WithTrace is the snapshot that tells which record wrote each row that is read, once a row:
// what an answer rests on. The charters, which every answer rests on, are not told of.
func (s Snapshot) WithTrace(touched func(index uint64)) Snapshot {
	s.rows.touched = touched
	return s
}

// Budget is what is left, nil if there is no bound.
func (s Snapshot) Budget() *ReadBudget { return s.rows.budget }

// Charge takes computing that grows with the rows read from the budget, in units of one row.
func (s Snapshot) Charge(n int) error {
	if s.rows.budget == nil {
		return nil
	}
	if s.rows.budget.Rows -= n; s.rows.budget.Rows < 0 {
		return ErrOverBudget
	}
	return nil
}

// chargeRow counts one row, and refuses it where the query's budget is used up.
func (r rowReader) chargeRow(bytes int) error {
	r.rowsRead.Add(1)
	if r.budget == nil {
		return nil
	}
	r.budget.Rows--
	r.budget.Bytes -= bytes
	if r.budget.Rows < 0 || r.budget.Bytes < 0 {
		return ErrOverBudget
	}
	return nil
}

// RowsRead counts the rows that were read since the register was made, in all.
func (r *Register) RowsRead() uint64 { return r.rowsRead.Load() }

// JudgedRecord is one record of a draft: its thread before and after, and the keys that
// it added or revoked.
type JudgedRecord struct {
	Record        RecordRow
	Before, After *ThreadRow
	Keys          []*KeyRow
}

// Judged are the draft's records, in order.
func (d *Draft) Judged() []JudgedRecord {
	w := d.r.withheldNow()
	if len(w) == 0 {
		return d.judged
	}
	shown := slices.Clone(d.judged)
	for i := range shown {
		j := &shown[i]
		j.Before, j.After, j.Keys = w.version(j.Before), w.version(j.After), slices.Clone(j.Keys)
		for k := range j.Keys {
			j.Keys[k] = w.key(j.Keys[k])
		}
	}
	return shown
}

// Thread is the newest version of a thread as the draft sees it, nil if there is none.
func (d *Draft) Thread(thread record.Thread) (*ThreadRow, error) { return d.lookupThread(thread) }

// Step is what the record of an index did to its thread, as the draft sees it.
func (d *Draft) Step(thread record.Thread, index uint64) (*ThreadRow, error) {
	for _, b := range append(slices.Clip(d.earlier), d) {
		if i := index - b.start; index >= b.start && i < uint64(len(b.judged)) {
			return b.judged[i].After, nil
		}
	}
	return d.r.version(thread, index)
}

// Charters are the terms of all charters that the draft sees, its own included, oldest
// first.
func (d *Draft) Charters() ([]CharterTerms, error) {
	charters := d.r.termsBelow(d.start)
	for _, b := range append(slices.Clip(d.earlier), d) {
		for _, x := range b.judged {
			if x.After.Thread != ownerRoot || x.After.Index < d.start && slices.ContainsFunc(charters, func(t CharterTerms) bool { return t.Index == x.After.Index }) {
				continue // of another thread, or advanced over meanwhile
			}
			terms, err := x.After.terms()
			if err != nil {
				return nil, err
			}
			charters = append(charters, terms)
		}
	}
	return charters, nil
}

// Providers visits every provider as the draft sees it.
func (d *Draft) Providers(visit func(*PartyRow) error) error {
	var threads []record.Thread
	err := d.r.scanProviders("", d.start, func(id string) (bool, error) {
		threads = append(threads, record.PartyThread(id))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, thread := range d.withDraftParties(threads) {
		row, err := d.lookupThread(thread)
		if err != nil {
			return err
		}
		if p := row.State.(*PartyRow); p.HasRole(record.RoleProvider) {
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}
