package register

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Tables of the register. Every key is
//
//	table byte, text, 0x00                     (a plain row)
//	table byte, text, 0x00, 8 bytes, 0x09      (a row versioned or listed by log index)
//
// The last byte tells Pebble where the suffix begins, so that its bloom filters
// see the text alone and a thread that does not exist costs no disk read. The
// text never holds 0x00: the record package refuses control characters.
const (
	tableCursor     = 'c' // how far the register has come
	tableRecord     = 'r' // index → RecordRow
	tableID         = 'i' // record ID → index
	tableThread     = 't' // thread, newest version first → what the record did: a ThreadRow without its state
	tableState      = 's' // thread, newest version first → State, of those threads whose records do not say it all
	tableKey        = 'k' // keyid, newest first → KeyRow
	tableFormer     = 'f' // thread, name key, name, since → nothing: a name that was replaced
	tableIdentifier = 'n' // scheme, value, thread, newest first → one IdentifierUse byte
	tableKind       = 'y' // kind, oldest first → nothing
	tableIssuer     = 'e' // issuer, oldest first → nothing
	tableReseller   = 'l' // provider, reseller → nothing: of whom a provider keeps a thread
	tableLicence    = 'a' // thread whose duties are paused, oldest first → LicenceStep
	tableProvider   = 'p' // party ID → nothing: who has duties, apart from the sponsored
	tableSearch     = 'w' // word or key of similar names, thread, newest first → nothing
)

const suffixLen = 9 // 8 bytes of index and the length itself

// comparer orders keys bytewise and splits off the index suffix.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "docket.register"
	c.Split = func(key []byte) int {
		n := len(key)
		if n > suffixLen && key[n-1] == suffixLen && key[n-suffixLen-1] == 0 {
			return n - suffixLen
		}
		return n
	}
	// Shortened separators would not end as our keys do.
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	return &c
}()

func appendPlain(dst []byte, table byte, text []byte) []byte {
	dst = append(append(dst, table), text...)
	return append(dst, 0)
}

// appendListed makes the key of a row that is listed oldest first.
func appendListed[S ~string](dst []byte, table byte, text S, index uint64) []byte {
	dst = append(append(dst, table), text...)
	dst = append(dst, 0)
	return append(binary.BigEndian.AppendUint64(dst, index), suffixLen)
}

// appendVersion makes the key of a row of which the newest comes first: a seek
// to the version of index n−1 finds what held at size n.
func appendVersion[S ~string](dst []byte, table byte, text S, index uint64) []byte {
	return appendListed(dst, table, text, ^index)
}

// splitVersion takes a versioned key apart.
func splitVersion(key []byte) (text []byte, index uint64) {
	n := len(key) - suffixLen
	return key[1 : n-1], ^binary.BigEndian.Uint64(key[n:])
}

// splitListed takes a listed key apart.
func splitListed(key []byte) (text []byte, index uint64) {
	text, index = splitVersion(key)
	return text, ^index
}

func recordKey(index uint64) []byte {
	return appendPlain(nil, tableRecord, binary.BigEndian.AppendUint64(nil, index))
}

func idKey(id record.ID) []byte { return appendPlain(make([]byte, 0, 34), tableID, id[:]) }

// prefixBounds are the bounds of all rows of a table whose text begins with prefix.
func prefixBounds[S ~string](table byte, prefix S) (lower, upper []byte) {
	lower = append([]byte{table}, prefix...)
	upper = bytes.Clone(lower)
	for i := len(upper) - 1; i >= 0; i-- {
		if upper[i]++; upper[i] != 0 {
			return lower, upper[:i+1]
		}
	}
	return lower, nil
}

// identifierText is the text of an identifier row.
func identifierText(scheme, value string, thread record.Thread) string {
	return scheme + "\x1f" + value + "\x1f" + string(thread)
}

// rowReader reads committed rows as of a size: it sees the rows of indexes below it. A
// caller that reads as of the cursor takes the cursor first, once. Rows read are
// counted, and bounded where a query has a [ReadBudget].
type rowReader struct {
	db       *database
	rowsRead *atomic.Uint64 // read since the register was made, in all
	budget   *ReadBudget    // left to the query that reads; nil: no bound

	touched func(index uint64) // told of the record that wrote each row that is read; may be nil
}

// database is where the rows lie, until [Register.Adopt] puts another in its place.
type database = atomic.Pointer[disk.DB]

// get reads one plain row; nil means that there is none.
func (r rowReader) get(key []byte) ([]byte, error) {
	b, err := r.db.Load().Row(key)
	if err != nil {
		return nil, fmt.Errorf("reading register row: %w", err)
	}
	if b != nil {
		r.touch(key, b)
	}
	return b, r.chargeRow(len(key) + len(b))
}

// touch tells whoever asked which record wrote a row.
func (r rowReader) touch(key, value []byte) {
	if r.touched == nil {
		return
	}
	var index uint64
	switch key[0] {
	case tableCursor:
		return
	case tableRecord:
		index = binary.BigEndian.Uint64(key[1:])
	case tableID:
		index = binary.BigEndian.Uint64(value)
	case tableKind, tableIssuer, tableLicence, tableFormer:
		_, index = splitListed(key)
	default:
		_, index = splitVersion(key)
	}
	r.touched(index)
}

// Lookup finds the log index of a record.
func (r *Register) Lookup(id record.ID) (index uint64, ok bool, err error) {
	b, err := r.get(idKey(id))
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

func (r rowReader) recordRow(index uint64) (RecordRow, error) {
	b, err := r.get(recordKey(index))
	if err != nil {
		return RecordRow{}, err
	}
	if b == nil {
		return RecordRow{}, fmt.Errorf("no record row %d: %w", index, ErrDamaged)
	}
	return decodeRecordRow(index, b)
}

// IDs yields every record ID, in the order of the IDs, for callers that keep a filter in
// front of [Register.Lookup]: of all records, so no row is decoded. It stops early when
// yield returns false.
func (r *Register) IDs(yield func(index uint64, id record.ID) bool) error {
	lower, upper := prefixBounds(tableID, "")
	return r.scan(lower, upper, func(key, value []byte) (bool, error) {
		var id record.ID
		if len(key) != 1+len(id)+1 || len(value) != 8 {
			return false, fmt.Errorf("record ID row %x: %w", key, ErrDamaged)
		}
		copy(id[:], key[1:])
		return yield(binary.BigEndian.Uint64(value), id), nil
	})
}

// scanRecords yields the rows of indexes [from, below) in log order.
func (r rowReader) scanRecords(from, below uint64, yield func(RecordRow) bool) error {
	return r.scan(recordKey(from), recordKey(below), func(key, value []byte) (bool, error) {
		row, err := decodeRecordRow(binary.BigEndian.Uint64(key[1:]), value)
		return err == nil && yield(row), err
	})
}

// scanListed yields the indexes in [from, below) of the rows listed under a text, in log
// order.
func (r rowReader) scanListed(table byte, text string, from, below uint64, yield func(index uint64) (more bool, err error)) error {
	return r.scan(appendListed(nil, table, text, from), appendListed(nil, table, text, below), func(key, _ []byte) (bool, error) {
		_, index := splitListed(key)
		return yield(index)
	})
}

// newestVersion reads the thread's newest version below a size; nil means that there is none.
func (r rowReader) newestVersion(thread record.Thread, below uint64) (found *ThreadRow, err error) {
	err = r.versionsBackward(thread, below, func(row *ThreadRow) (bool, error) {
		found = row
		return false, nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	return found, r.loadState(found)
}

// versionsBackward yields what each record below a size did to a thread, newest first,
// without the states: [rowReader.loadState] reads one.
func (r rowReader) versionsBackward(thread record.Thread, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	if below == 0 {
		return nil
	}
	lower := appendVersion(nil, tableThread, thread, below-1)
	_, upper := prefixBounds(tableThread, thread+"\x00")
	return r.scan(lower, upper, func(key, value []byte) (bool, error) {
		_, index := splitVersion(key)
		row, err := decodeThreadRow(thread, index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// version is what the record of an index did to its thread.
func (r rowReader) version(thread record.Thread, index uint64) (*ThreadRow, error) {
	b, err := r.get(appendVersion(nil, tableThread, thread, index))
	if err != nil {
		return nil, err
	}
	return decodeThreadRow(thread, index, b)
}

// versionsForward is history of the records from an index on, oldest first.
func (r rowReader) versionsForward(thread record.Thread, from, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	if below <= from {
		return nil
	}
	lower := appendVersion(nil, tableThread, thread, below-1)
	_, upper := prefixBounds(tableThread, thread+"\x00")
	if from > 0 {
		upper = appendVersion(nil, tableThread, thread, from-1)
	}
	return r.scanBackward(lower, upper, func(key, value []byte) (bool, error) {
		_, index := splitVersion(key)
		row, err := decodeThreadRow(thread, index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// loadState completes a version of a thread with its state.
func (r rowReader) loadState(row *ThreadRow) error {
	if kinds[row.Kind].newState == nil {
		return row.decodeState(nil)
	}
	b, err := r.get(appendVersion(nil, tableState, row.Thread, row.Index))
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("no state of %s at %d: %w", row.Thread, row.Index, ErrDamaged)
	}
	return row.decodeState(b)
}

// scanThreads yields each thread whose name begins with prefix and sorts after another, in
// order, with its newest version below a size, which has no state yet. It goes from
// thread to thread, however many versions each has.
func (r rowReader) scanThreads(prefix, after string, below uint64, yield func(*ThreadRow) (more bool, err error)) error {
	lower, upper := prefixBounds(tableThread, prefix)
	if after >= prefix {
		lower = keyAfterThread(after)
	}
	return r.scanNewest(lower, upper, below, keyAfterThread, func(thread string, index uint64, value []byte) (bool, error) {
		row, err := decodeThreadRow(record.Thread(thread), index, value)
		if err != nil {
			return false, err
		}
		return yield(row)
	})
}

// keyAfterThread is a key beyond those of a thread: no thread's name has a byte so low.
func keyAfterThread(thread string) []byte { return append([]byte{tableThread}, thread+"\x01"...) }

// scanProviders yields those that were enrolled below a size, by ID, of those that sort after
// another. However many resellers they sponsored, it goes from provider to provider.
func (r rowReader) scanProviders(after string, below uint64, yield func(id string) (more bool, err error)) error {
	past := func(id string) []byte { return append([]byte{tableProvider}, id+"\x01"...) }
	lower, upper := prefixBounds(tableProvider, "")
	if after != "" {
		lower = past(after)
	}
	return r.scanNewest(lower, upper, below, past, func(id string, _ uint64, _ []byte) (bool, error) { return yield(id) })
}

// scanNewest yields the newest version below a size of each text among the versioned
// rows of [lower, upper), and goes on with the first row that is not before
// keyAfter(text).
func (r rowReader) scanNewest(lower, upper []byte, below uint64, keyAfter func(text string) []byte, yield func(text string, index uint64, value []byte) (more bool, err error)) error {
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
		if err := r.chargeRow(len(key) + len(value)); err != nil {
			return r.db.Load().Explain(errors.Join(err, it.Close()))
		}
		raw, index := splitVersion(key)
		text := string(raw)
		if index >= below {
			ok = it.SeekGE(appendVersion(nil, key[0], text, below-1))
			continue
		}
		r.touch(key, value)
		if more, err = yield(text, index, value); err != nil {
			return r.db.Load().Explain(errors.Join(err, it.Close()))
		}
		if more {
			ok = it.SeekGE(keyAfter(text))
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading register: %w", r.db.Load().Explain(err))
	}
	return nil
}

// keyRow reads a key as it was at a size; nil means that it had no owner.
func (r rowReader) keyRow(keyid string, below uint64) (found *KeyRow, err error) {
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

// scanIdentifierUses yields each thread that used an identifier below a size, with the
// newest use, by thread, of those that sort after another.
func (r rowReader) scanIdentifierUses(scheme, value, after string, below uint64, yield func(thread record.Thread, index uint64, use IdentifierUse) (more bool, err error)) error {
	prefix := identifierText(scheme, value, "")
	lower, upper := prefixBounds(tableIdentifier, prefix)
	past := func(text string) []byte { return append([]byte{tableIdentifier}, text+"\x01"...) }
	if after != "" {
		lower = past(prefix + after)
	}
	return r.scanNewest(lower, upper, below, past, func(text string, index uint64, use []byte) (bool, error) {
		thread := record.Thread(text[len(prefix):])
		if thread == "" || len(use) != 1 {
			return false, fmt.Errorf("identifier row %q: %w", text, ErrDamaged)
		}
		return yield(thread, index, IdentifierUse(use[0]))
	})
}

// identifierUse is how a thread used an identifier below a size, 0 if it never did.
func (r rowReader) identifierUse(scheme, value string, thread record.Thread, below uint64) (use IdentifierUse, err error) {
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
func (r rowReader) scan(lower, upper []byte, yield func(key, value []byte) (more bool, err error)) error {
	return r.iterate(lower, upper, (*pebble.Iterator).First, (*pebble.Iterator).Next, yield)
}

// scanBackward is scan from the last row to the first.
func (r rowReader) scanBackward(lower, upper []byte, yield func(key, value []byte) (more bool, err error)) error {
	return r.iterate(lower, upper, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, yield)
}

func (r rowReader) iterate(lower, upper []byte, begin, next func(*pebble.Iterator) bool, yield func(key, value []byte) (more bool, err error)) error {
	it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	for ok := begin(it); ok; ok = next(it) {
		more, err := false, r.chargeRow(len(it.Key())+len(it.Value()))
		if err == nil {
			r.touch(it.Key(), it.Value())
			more, err = yield(it.Key(), it.Value())
		}
		if err != nil || !more {
			return r.db.Load().Explain(errors.Join(err, it.Close()))
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading register: %w", r.db.Load().Explain(err))
	}
	return nil
}

// rowCache keeps the threads that were used last: at most twice limit of them, whose rows
// take at most twice bytes, but for the last one put. It has two generations: what is
// used while it is in the old one moves to the young one, and when that is full the
// old one is dropped.
type rowCache struct {
	maxRows, maxBytes int
	young, old        map[record.Thread]*ThreadRow
	youngBytes        int // bytes of young
}

// rowOverhead is what a row in memory takes beside its text, about.
const rowOverhead = 512

func newRowCache(limit, bytes int) *rowCache {
	return &rowCache{maxRows: limit, maxBytes: bytes, young: make(map[record.Thread]*ThreadRow)}
}

func (c *rowCache) get(thread record.Thread) *ThreadRow {
	if row := c.young[thread]; row != nil {
		return row
	}
	row := c.old[thread]
	if row != nil {
		c.put(row)
	}
	return row
}

func (c *rowCache) put(row *ThreadRow) {
	if was := c.young[row.Thread]; was != nil {
		c.youngBytes -= was.bytes + rowOverhead
		delete(c.young, row.Thread)
	}
	size := row.bytes + rowOverhead
	if len(c.young) >= c.maxRows || len(c.young) > 0 && c.youngBytes+size > c.maxBytes {
		c.old, c.young, c.youngBytes = c.young, make(map[record.Thread]*ThreadRow), 0
	}
	c.young[row.Thread] = row
	c.youngBytes += size
}

// lookupThread is the newest version of a thread below a size, from memory where
// that is possible; nil means that there is none. It is the one read that each
// record costs, so it goes through one iterator, kept between two Advances, and
// through the bloom filters: a thread that does not exist costs no disk read.
func (r *Register) lookupThread(thread record.Thread, below uint64) (*ThreadRow, error) {
	if below == 0 {
		return nil, nil
	}
	r.mu.Lock()
	row := r.cacheFor(thread).get(thread)
	r.mu.Unlock()
	if row != nil && row.Index < below {
		return row, nil
	}
	row, err := r.seekThread(thread, below)
	if err != nil || row == nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tip.next <= below { // else a newer version may have come meanwhile
		r.cacheFor(thread).put(row)
	}
	return row, nil
}

// cacheFor keeps parties apart: answers must not push them out. r.mu is held.
func (r *Register) cacheFor(thread record.Thread) *rowCache {
	if thread.Family() == record.FamilyParty {
		return r.partyCache
	}
	return r.threadCache
}

func (r *Register) seekThread(thread record.Thread, below uint64) (*ThreadRow, error) {
	r.iterMu.Lock()
	defer r.iterMu.Unlock()
	if r.threadIter == nil {
		it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: []byte{tableThread}, UpperBound: []byte{tableThread + 1}})
		if err != nil {
			return nil, fmt.Errorf("reading register: %w", err)
		}
		r.threadIter = it
	}
	r.rowsRead.Add(1)
	r.seekKey = appendVersion(r.seekKey[:0], tableThread, thread, below-1)
	if !r.threadIter.SeekPrefixGE(r.seekKey) {
		if err := r.threadIter.Error(); err != nil {
			return nil, fmt.Errorf("reading register: %w", r.db.Load().Explain(err))
		}
		return nil, nil
	}
	key := r.threadIter.Key()
	row, err := decodeThreadRow(thread, ^binary.BigEndian.Uint64(key[len(key)-suffixLen:]), r.threadIter.Value())
	if err != nil {
		return nil, err
	}
	return row, r.loadState(row)
}

// closeIter drops the iterator, which sees the register as it was.
func (r *Register) closeIter() error {
	r.iterMu.Lock()
	defer r.iterMu.Unlock()
	if r.threadIter == nil {
		return nil
	}
	err := r.threadIter.Close()
	r.threadIter = nil
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}
