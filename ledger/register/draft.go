package register

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Draft is a run of entries that are judged but not yet part of the register. It
// reads through to the register and sees its own earlier records. A draft that
// is dropped leaves no trace and needs no closing; one that is advanced becomes
// part of the register.
//
// One goroutine uses a draft at a time. A draft begun with [Draft.Next] reads
// the one below it, which must be finished and be advanced first.
type Draft struct {
	r        *Register
	earlier  []*Draft // judged earlier and not yet advanced when this one was begun, oldest first
	start    uint64   // index of its first record
	admitted time.Time
	tip

	threads      map[record.Thread]*ThreadRow
	keys         map[string]*KeyRow
	formerNames  map[string]bool                 // what [Draft.hadFormerName] looks up
	licenceSteps map[record.Thread][]LicenceStep // what its records list
	records      map[record.ID]int               // where in judged
	judged       []JudgedRecord
	batch        *pebble.Batch
	scratch      []byte
	gaps         *sparseGaps // of a [SparseReplay] replay; nil where all records below are known
	wholeThreads bool        // of a [SparseReplay]: see its WholeThreads
}

// Begin opens a draft on the register as it is: its records are admitted at that
// time, of which what is below a millisecond is cut off.
func (r *Register) Begin(admitted time.Time) *Draft {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newDraft(admitted, r.tip)
}

// Next opens a draft on top of this one, which must not be judged into any
// more. So the records of one commit can be judged while the one before is
// being written. If this draft is never advanced, neither can the next be.
func (d *Draft) Next(admitted time.Time) *Draft {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	n := d.r.newDraft(admitted, d.tip)
	// Those that were advanced meanwhile are in the register: if they were kept, each
	// draft of a busy ledger would hold all before it.
	for _, b := range append(slices.Clip(d.earlier), d) {
		if b.next > d.r.tip.next {
			n.earlier = append(n.earlier, b)
		}
	}
	return n
}

func (r *Register) newDraft(admitted time.Time, on tip) *Draft {
	return &Draft{
		r: r, start: on.next, admitted: admitted.UTC().Truncate(time.Millisecond), tip: on,
		threads: make(map[record.Thread]*ThreadRow), keys: make(map[string]*KeyRow), formerNames: make(map[string]bool), licenceSteps: make(map[record.Thread][]LicenceStep),
		records: make(map[record.ID]int), batch: r.db.Load().NewBatch(),
	}
}

// Len is the number of records judged into the draft.
func (d *Draft) Len() int { return int(d.next - d.start) }

// NextIndex is the log index that the next record takes.
func (d *Draft) NextIndex() uint64 { return d.next }

// Judge decides whether the record may stand at the next index, and makes its
// entry with the signatures that count. An error that is a *[record.Refusal]
// concerns that record alone and leaves the draft as it was; any other means
// that the draft must be dropped.
func (d *Draft) Judge(v record.Verified) (record.Entry, error) {
	if c, ok := v.Statement().Predicate.(*record.Charter); ok && c.Rules > RulesVersion {
		return record.Entry{}, unsupported("/predicate/rules", "this ledger's binary has rules %d, and not rules %d: upgrade it before the charter", RulesVersion, c.Rules)
	}
	return d.judge(v, d.admitted)
}

// errClockBack is no refusal of a record: the ledger must wait until its clock is
// right.
var errClockBack = errors.New("admission times never go back")

func (d *Draft) judge(v record.Verified, admitted time.Time) (record.Entry, error) {
	if admitted.Before(d.lastAdmitted) {
		return record.Entry{}, fmt.Errorf("admitting entry %d at %s: the entry before it was admitted at %s, and %w",
			d.next, admitted.Format(time.RFC3339Nano), d.lastAdmitted.Format(time.RFC3339Nano), errClockBack)
	}
	j := judgment{draft: d, v: v, st: v.Statement(), id: v.ID(), index: d.next, admitted: admitted}
	if err := j.judge(); err != nil {
		return record.Entry{}, err
	}
	e, err := v.Entry(admitted, j.countsSignature)
	if err != nil {
		return record.Entry{}, err
	}
	return e, d.writeRows(&j)
}

// writeRows writes the rows of a record that was judged. From here on an error is
// no refusal: the draft is spoilt.
func (d *Draft) writeRows(j *judgment) error {
	st := j.st
	rec := RecordRow{
		Index: j.index, ID: j.id, Kind: st.Kind, Thread: st.Thread, Issuer: st.Issuer,
		IssuedAt: st.IssuedAt, Admitted: j.admitted, Follows: st.Follows, SubjectDigest: st.Subject.SHA256,
	}
	row := &ThreadRow{Thread: st.Thread, Index: rec.Index, ID: rec.ID, Kind: rec.Kind, Admitted: rec.Admitted, Delta: j.did, State: j.state}
	if j.head != nil {
		row.Delta.Prior = j.head.LastTransition()
	}
	value, err := rec.encode()
	if err != nil {
		return err
	}
	did, state, err := row.encode()
	if err != nil {
		return err
	}
	var index [8]byte
	binary.BigEndian.PutUint64(index[:], rec.Index)
	d.put(appendPlain(d.scratchKey(), tableRecord, index[:]), value)
	d.put(appendPlain(d.scratchKey(), tableID, rec.ID[:]), index[:])
	d.put(appendVersion(d.scratchKey(), tableThread, row.Thread, row.Index), did)
	if state != nil {
		d.put(appendVersion(d.scratchKey(), tableState, row.Thread, row.Index), state)
	}
	d.put(appendListed(d.scratchKey(), tableKind, string(rec.Kind), rec.Index), nil)
	d.put(appendListed(d.scratchKey(), tableIssuer, rec.Issuer, rec.Index), nil)
	if p := row.party(); p != nil && p.Enrolled.Index == rec.Index && p.HasRole(record.RoleProvider) {
		d.put(appendVersion(d.scratchKey(), tableProvider, p.ID, rec.Index), nil)
	}
	for _, k := range j.keys {
		value, err := k.encode()
		if err != nil {
			return err
		}
		d.put(appendVersion(d.scratchKey(), tableKey, k.ID, rec.Index), value)
		d.keys[k.ID] = k
	}
	if err := errors.Join(d.writeIdentifiers(j, row), d.writeLicenceSteps(row)); err != nil {
		return err
	}
	d.writeSearchRows(j, row)
	if row.Kind == record.KindReseller && j.head == nil {
		d.put(appendVersion(d.scratchKey(), tableReseller, resellerText(row.Thread.Party(), row.Thread.Reseller()), row.Index), nil)
	}
	d.threads[row.Thread] = row
	d.records[rec.ID] = len(d.judged)
	d.judged = append(d.judged, JudgedRecord{Record: rec, Before: j.head, After: row, Keys: j.keys})
	if row.charter() != nil {
		d.charter = row
		if rec.Index == 0 {
			d.ledger = rec.ID
		}
	}
	d.lastAdmitted = rec.Admitted
	d.next++
	return nil
}

// scratchKey is the scratch space for one key at a time.
func (d *Draft) scratchKey() []byte { return d.scratch[:0] }

// put adds a row; the batch copies both. It fails only for a batch that was
// already applied, which a finished draft's is.
func (d *Draft) put(key, value []byte) {
	d.scratch = key
	if err := d.batch.Set(key, value, nil); err != nil {
		panic(fmt.Sprintf("register: writing into a draft that was advanced: %v", err))
	}
}

// lookupThread is the newest version of a thread below the draft's next index, nil if
// there is none.
func (d *Draft) lookupThread(name record.Thread) (*ThreadRow, error) {
	if row := d.threads[name]; row != nil {
		return row, nil
	}
	for _, b := range slices.Backward(d.earlier) {
		if row := b.threads[name]; row != nil {
			return row, nil
		}
	}
	row, err := d.r.lookupThread(name, d.start)
	if err == nil && row == nil {
		d.gaps.addNotFound(string(name))
	}
	return row, err
}

// keyRow is the newest row of a key, nil if it has no owner yet.
func (d *Draft) keyRow(keyid string) (*KeyRow, error) {
	if k := d.keys[keyid]; k != nil {
		return k, nil
	}
	for _, b := range slices.Backward(d.earlier) {
		if k := b.keys[keyid]; k != nil {
			return k, nil
		}
	}
	return d.r.keyRow(keyid, d.start)
}

// recordRow finds the row of a record that stands below the draft's next index.
func (d *Draft) recordRow(id record.ID) (row RecordRow, ok bool, err error) {
	if i, ok := d.records[id]; ok {
		return d.judged[i].Record, true, nil
	}
	for _, b := range slices.Backward(d.earlier) {
		if i, ok := b.records[id]; ok {
			return b.judged[i].Record, true, nil
		}
	}
	index, ok, err := d.r.Lookup(id)
	if err != nil || !ok || index >= d.start {
		d.gaps.addNotFound("record " + id.String())
		return RecordRow{}, false, err
	}
	row, err = d.r.recordRow(index)
	return row, err == nil, err
}

// partyRow is the state of a party, nil if it was never enrolled; in a sparse replay, a
// *[NotShownError] where that is not known.
func (d *Draft) partyRow(id string) (*PartyRow, error) {
	row, err := d.lookupThread(record.PartyThread(id))
	if err != nil {
		return nil, err
	}
	switch {
	case d.gaps != nil && (row == nil || row.State == nil):
		return nil, &NotShownError{Index: d.next, What: fmt.Sprintf("what stands on %s", record.PartyThread(id))}
	case row == nil:
		return nil, nil
	}
	return row.party(), nil
}

// Advance makes the draft part of the register, without sync: the log is what
// is durable. root is the log's at the draft's end. After an error the register
// must be closed and opened anew.
func (r *Register) Advance(d *Draft, root [32]byte) error {
	if at := r.Size(); at != d.start {
		return fmt.Errorf("advancing a draft begun at %d: the register is at %d", d.start, at)
	}
	cursor := Cursor{Size: d.next, Root: root}
	d.put(cursorKey, cursor.encode())
	if err := r.db.Load().Apply(d.batch, pebble.NoSync); err != nil {
		return fmt.Errorf("advancing register to %d: %w", d.next, err)
	}
	if err := errors.Join(d.batch.Close(), r.closeIter()); err != nil {
		return fmt.Errorf("advancing register to %d: %w", d.next, err)
	}
	var terms []CharterTerms
	for _, e := range d.judged {
		if e.After.Thread == ownerRoot {
			t, err := e.After.terms()
			if err != nil {
				return fmt.Errorf("advancing register to %d: %w", d.next, err)
			}
			terms = append(terms, t)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range d.threads {
		r.cacheFor(row.Thread).put(row)
	}
	r.tip, r.root, r.terms = d.tip, root, append(r.terms, terms...)
	d.earlier, d.batch = nil, nil
	return nil
}

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
