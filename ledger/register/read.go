package register

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// reads are of committed rows and as of a size: they see the rows of indexes below
// it. Whoever reads as of the cursor takes it first, once. What they cost is counted,
// and within a question's [Work] also bounded.
type reads struct {
	db   *database
	rows *atomic.Uint64 // read since the register was made, by everybody
	work *Work          // left to the question that reads; nil: no bound
}

// database is where the rows lie, until [Register.Adopt] puts another in its place.
type database = atomic.Pointer[disk.DB]

// value reads one plain row; nil means that there is none.
func (r reads) value(key []byte) ([]byte, error) {
	b, closer, err := r.db.Load().Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, r.spend(len(key))
	case err != nil:
		return nil, fmt.Errorf("reading register row: %w", err)
	}
	b = append([]byte{}, b...)
	return b, errors.Join(closer.Close(), r.spend(len(key)+len(b)))
}

// Lookup finds the log index of a record.
func (r *Register) Lookup(id record.ID) (index uint64, ok bool, err error) {
	b, err := r.value(idKey(id))
	if err != nil || b == nil {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(b), true, nil
}

// Record reads the row of an index; one at or beyond the register's size is an error.
func (r *Register) Record(index uint64) (RecordRow, error) {
	if size := r.Size(); index >= size {
		return RecordRow{}, fmt.Errorf("reading record %d of a register of %d", index, size)
	}
	return r.recordRow(index)
}

func (r reads) recordRow(index uint64) (RecordRow, error) {
	b, err := r.value(recordKey(index))
	if err != nil {
		return RecordRow{}, err
	}
	if b == nil {
		return RecordRow{}, fmt.Errorf("no record row %d: %w", index, ErrDamaged)
	}
	return decodeRecordRow(index, b)
}

// IDs yields every record ID in log order, for whoever keeps a filter in front
// of [Register.Lookup]. It stops early when yield returns false.
func (r *Register) IDs(yield func(index uint64, id record.ID) bool) error {
	return r.records(0, ^uint64(0), func(row RecordRow) bool { return yield(row.Index, row.ID) })
}

// records yields the rows of indexes [from, below) in log order.
func (r reads) records(from, below uint64, yield func(RecordRow) bool) error {
	return r.scan(recordKey(from), recordKey(below), func(key, value []byte) (bool, error) {
		row, err := decodeRecordRow(binary.BigEndian.Uint64(key[1:]), value)
		return err == nil && yield(row), err
	})
}

// listed yields the indexes in [from, below) of the rows listed under a text, in log
// order.
func (r reads) listed(table byte, text string, from, below uint64, yield func(index uint64) (more bool, err error)) error {
	return r.scan(appendListed(nil, table, text, from), appendListed(nil, table, text, below), func(key, _ []byte) (bool, error) {
		_, index := listedOf(key)
		return yield(index)
	})
}

// newest reads the thread's newest version below a size; nil means that there is none.
func (r reads) newest(thread string, below uint64) (found *ThreadRow, err error) {
	err = r.history(thread, below, func(row *ThreadRow) (bool, error) {
		found = row
		return false, nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	return found, r.state(found)
}

// history yields what each record below a size did to a thread, newest first, without
// the states: [reads.state] reads one.
func (r reads) history(thread string, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	if below == 0 {
		return nil
	}
	lower := appendVersion(nil, tableThread, thread, below-1)
	_, upper := prefixBounds(tableThread, thread+"\x00")
	return r.scan(lower, upper, func(key, value []byte) (bool, error) {
		_, index := versionOf(key)
		row, err := decodeStep(thread, index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// step is what the record of an index did to its thread.
func (r reads) step(thread string, index uint64) (*ThreadRow, error) {
	b, err := r.value(appendVersion(nil, tableThread, thread, index))
	if err != nil {
		return nil, err
	}
	return decodeStep(thread, index, b)
}

// historyFrom is history of the records from an index on, oldest first.
func (r reads) historyFrom(thread string, from, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	if below <= from {
		return nil
	}
	lower := appendVersion(nil, tableThread, thread, below-1)
	_, upper := prefixBounds(tableThread, thread+"\x00")
	if from > 0 {
		upper = appendVersion(nil, tableThread, thread, from-1)
	}
	return r.scanBack(lower, upper, func(key, value []byte) (bool, error) {
		_, index := versionOf(key)
		row, err := decodeStep(thread, index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// state completes a version of a thread with its state.
func (r reads) state(row *ThreadRow) error {
	if stateOf(row.Thread) == nil {
		return row.decodeState(nil)
	}
	b, err := r.value(appendVersion(nil, tableState, row.Thread, row.Index))
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("no state of %s at %d: %w", row.Thread, row.Index, ErrDamaged)
	}
	return row.decodeState(b)
}

// threads yields each thread whose name begins with prefix and sorts after another, in
// order, with its newest version below a size, which has no state yet. It goes from
// thread to thread, however many versions each has.
func (r reads) threads(prefix, after string, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	lower, upper := prefixBounds(tableThread, prefix)
	if after >= prefix {
		lower = pastThread(after)
	}
	return r.hop(lower, upper, below, pastThread, func(thread string, index uint64, value []byte) (bool, error) {
		row, err := decodeStep(thread, index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// pastThread is a key beyond those of a thread: no thread's name has a byte so low.
func pastThread(thread string) []byte { return append([]byte{tableThread}, thread+"\x01"...) }

// providers yields those that were enrolled below a size, by ID, of those that sort after
// another. However many resellers they sponsored, it goes from provider to provider.
func (r reads) providers(after string, below uint64, yield func(id string) (more bool, err error)) error {
	past := func(id string) []byte { return append([]byte{tableProvider}, id+"\x01"...) }
	lower, upper := prefixBounds(tableProvider, "")
	if after != "" {
		lower = past(after)
	}
	return r.hop(lower, upper, below, past, func(id string, _ uint64, _ []byte) (bool, error) { return yield(id) })
}

// hop yields the newest version below a size of each text among the versioned rows of
// [lower, upper), and goes on with the first row that is not before past(text).
func (r reads) hop(lower, upper []byte, below uint64, past func(text string) []byte, yield func(text string, index uint64, value []byte) (more bool, err error)) error {
	if below == 0 {
		return nil
	}
	it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	more := true
	for ok := it.First(); ok && more; {
		key, value := it.Key(), it.Value()
		if err := r.spend(len(key) + len(value)); err != nil {
			return errors.Join(err, it.Close())
		}
		raw, index := versionOf(key)
		text := string(raw)
		if index >= below {
			ok = it.SeekGE(appendVersion(nil, key[0], text, below-1))
			continue
		}
		if more, err = yield(text, index, value); err != nil {
			return errors.Join(err, it.Close())
		}
		if more {
			ok = it.SeekGE(past(text))
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}

// keyRow reads a key as it was at a size; nil means that it was nobody's.
func (r reads) keyRow(keyid string, below uint64) (found *KeyRow, err error) {
	if below == 0 {
		return nil, nil
	}
	lower := appendVersion(nil, tableKey, keyid, below-1)
	_, upper := prefixBounds(tableKey, keyid+"\x00")
	err = r.scan(lower, upper, func(_, value []byte) (bool, error) {
		found, err = decodeKeyRow(value)
		return false, err
	})
	return found, err
}

// identified yields each thread that used an identifier below a size, with the
// newest use, by thread, of those that sort after another.
func (r reads) identified(scheme, value, after string, below uint64, yield func(thread string, index uint64, use IdentifierUse) (more bool, err error)) error {
	prefix := identifierText(scheme, value, "")
	lower, upper := prefixBounds(tableIdentifier, prefix)
	past := func(text string) []byte { return append([]byte{tableIdentifier}, text+"\x01"...) }
	if after != "" {
		lower = past(prefix + after)
	}
	return r.hop(lower, upper, below, past, func(text string, index uint64, use []byte) (bool, error) {
		thread := strings.TrimPrefix(text, prefix)
		if thread == "" || len(use) != 1 {
			return false, fmt.Errorf("identifier row %q: %w", text, ErrDamaged)
		}
		return yield(thread, index, IdentifierUse(use[0]))
	})
}

// bears is how a thread used an identifier below a size, 0 if it never did.
func (r reads) bears(scheme, value, thread string, below uint64) (use IdentifierUse, err error) {
	if below == 0 {
		return 0, nil
	}
	text := identifierText(scheme, value, thread)
	_, upper := prefixBounds(tableIdentifier, text+"\x00")
	err = r.scan(appendVersion(nil, tableIdentifier, text, below-1), upper, func(_, value []byte) (bool, error) {
		use = IdentifierUse(value[0])
		return false, nil
	})
	return use, err
}

// scan yields the rows of [lower, upper); key and value are good until the next.
func (r reads) scan(lower, upper []byte, yield func(key, value []byte) (more bool, err error)) error {
	return r.walk(lower, upper, (*pebble.Iterator).First, (*pebble.Iterator).Next, yield)
}

// scanBack is scan from the last row to the first.
func (r reads) scanBack(lower, upper []byte, yield func(key, value []byte) (more bool, err error)) error {
	return r.walk(lower, upper, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, yield)
}

func (r reads) walk(lower, upper []byte, begin, next func(*pebble.Iterator) bool, yield func(key, value []byte) (more bool, err error)) error {
	it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	for ok := begin(it); ok; ok = next(it) {
		more, err := false, r.spend(len(it.Key())+len(it.Value()))
		if err == nil {
			more, err = yield(it.Key(), it.Value())
		}
		if err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}
