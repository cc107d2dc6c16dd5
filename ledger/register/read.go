package register

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// The reads below are of committed rows and as of a size: they see the rows of
// indexes below it. Whoever reads as of the cursor takes it first, once.

// value reads one plain row; nil means that there is none.
func (r *Register) value(key []byte) ([]byte, error) {
	r.read.Add(1)
	b, closer, err := r.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading register row: %w", err)
	}
	b = append([]byte{}, b...)
	return b, closer.Close()
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

func (r *Register) recordRow(index uint64) (RecordRow, error) {
	b, err := r.value(recordKey(index))
	if err != nil {
		return RecordRow{}, err
	}
	if b == nil {
		return RecordRow{}, fmt.Errorf("no record row %d: %w", index, errDamaged)
	}
	return decodeRecordRow(index, b)
}

// IDs yields every record ID in log order, for whoever keeps a filter in front
// of [Register.Lookup]. It stops early when yield returns false.
func (r *Register) IDs(yield func(index uint64, id record.ID) bool) error {
	return r.records(0, ^uint64(0), func(row RecordRow) bool { return yield(row.Index, row.ID) })
}

// records yields the rows of indexes [from, below) in log order.
func (r *Register) records(from, below uint64, yield func(RecordRow) bool) error {
	return r.scan(recordKey(from), recordKey(below), func(key, value []byte) (bool, error) {
		row, err := decodeRecordRow(binary.BigEndian.Uint64(key[1:]), value)
		return err == nil && yield(row), err
	})
}

// ofKind yields the indexes in [from, below) of one kind's records, in log order.
func (r *Register) ofKind(kind record.Kind, from, below uint64, yield func(index uint64) bool) error {
	return r.listed(tableKind, string(kind), from, below, yield)
}

// ofIssuer yields the indexes in [from, below) of one issuer's records, in log order.
func (r *Register) ofIssuer(issuer string, from, below uint64, yield func(index uint64) bool) error {
	return r.listed(tableIssuer, issuer, from, below, yield)
}

func (r *Register) listed(table byte, text string, from, below uint64, yield func(index uint64) bool) error {
	return r.scan(appendListed(nil, table, text, from), appendListed(nil, table, text, below), func(key, _ []byte) (bool, error) {
		_, index := listedOf(key)
		return yield(index), nil
	})
}

// newest reads the thread's newest version below a size; nil means that there is none.
func (r *Register) newest(thread string, below uint64) (found *ThreadRow, err error) {
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
// the states: [Register.state] reads one.
func (r *Register) history(thread string, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
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

// state completes a version of a thread with its state.
func (r *Register) state(row *ThreadRow) error {
	if stateOf(row.Thread) == nil {
		return row.decodeState(nil)
	}
	b, err := r.value(appendVersion(nil, tableState, row.Thread, row.Index))
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("no state of %s at %d: %w", row.Thread, row.Index, errDamaged)
	}
	return row.decodeState(b)
}

// threadNames are the threads below a size whose name begins with prefix, in order. It
// goes from thread to thread, however many versions each has.
func (r *Register) threadNames(prefix string, below uint64) (names []string, err error) {
	if below == 0 {
		return nil, nil
	}
	lower, upper := prefixBounds(tableThread, prefix)
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("reading register: %w", err)
	}
	for ok := it.First(); ok; {
		r.read.Add(1)
		text, index := versionOf(it.Key())
		name := string(text)
		if index >= below {
			ok = it.SeekGE(appendVersion(nil, tableThread, name, below-1))
			continue
		}
		names = append(names, name)
		ok = it.SeekGE(append([]byte{tableThread}, name+"\x01"...)) // no thread's name has a byte so low
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("reading register: %w", err)
	}
	return names, nil
}

// keyRow reads a key as it was at a size; nil means that it was nobody's.
func (r *Register) keyRow(keyid string, below uint64) (found *KeyRow, err error) {
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
// newest use. An empty value yields every value of the scheme.
func (r *Register) identified(scheme, value string, below uint64, yield func(value, thread string, index uint64, use IdentifierUse) bool) error {
	prefix := scheme + "\x1f"
	if value != "" {
		prefix += value + "\x1f"
	}
	lower, upper := prefixBounds(tableIdentifier, prefix)
	var done string
	return r.scan(lower, upper, func(key, use []byte) (bool, error) {
		text, index := versionOf(key)
		if index >= below || string(text) == done {
			return true, nil
		}
		done = string(text)
		part := strings.Split(done, "\x1f")
		if len(part) != 3 || len(use) != 1 {
			return false, fmt.Errorf("identifier row %q: %w", done, errDamaged)
		}
		return yield(part[1], part[2], index, IdentifierUse(use[0])), nil
	})
}

// scan yields the rows of [lower, upper); key and value are good until the next.
func (r *Register) scan(lower, upper []byte, yield func(key, value []byte) (more bool, err error)) error {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		r.read.Add(1)
		more, err := yield(it.Key(), it.Value())
		if err != nil || !more {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}
