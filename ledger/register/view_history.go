package register

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// history is a thread with all its versions below a size, newest first. Versions
// are decoded when asked for: most questions need the newest alone.
type history struct {
	r        *Register
	thread   string
	versions []version
}

type version struct {
	index uint64
	raw   []byte // as [ThreadRow] is encoded without its state: record ID, admission time, …
	row   *ThreadRow
}

// did is what the record did; its state is nil.
func (x *version) did(thread string) (*ThreadRow, error) { return decodeStep(thread, x.index, x.raw) }

func (x *version) id() record.ID       { return record.ID(x.raw[:32]) }
func (x *version) admitted() time.Time { return fromMillis(binary.BigEndian.Uint64(x.raw[32:])) }

// histories yields the threads of a prefix that sort after another, each whole,
// in their own order.
func (v *View) histories(prefix, after string, yield func(*history) (more bool, err error)) error {
	lower, upper := prefixBounds(tableThread, prefix)
	if after >= prefix {
		lower = append([]byte{tableThread}, after+"\x01"...) // no thread's name has a byte so low
	}
	var h *history
	more := true
	err := v.r.scan(lower, upper, func(key, value []byte) (bool, error) {
		text, index := versionOf(key)
		if index >= v.size {
			return true, nil
		}
		if h == nil || h.thread != string(text) {
			if h != nil {
				var err error
				if more, err = yield(h); err != nil || !more {
					return false, err
				}
			}
			h = &history{r: v.r, thread: string(text)}
		}
		h.versions = append(h.versions, version{index: index, raw: slices.Clone(value)})
		return true, nil
	})
	if err != nil || h == nil || !more {
		return err
	}
	_, err = yield(h)
	return err
}

// history reads one thread; nil means that there is none.
func (v *View) history(thread string) (*history, error) {
	var found *history
	err := v.histories(thread+"\x00", "", func(h *history) (bool, error) { found = h; return false, nil })
	return found, err
}

// below is the newest version below an index, nil if there is none.
func (h *history) below(index uint64) (*ThreadRow, error) {
	for i := range h.versions {
		x := &h.versions[i]
		if x.index >= index {
			continue
		}
		if x.row == nil {
			row, err := x.did(h.thread)
			if err == nil {
				err = h.r.state(row)
			}
			if err != nil {
				return nil, err
			}
			x.row = row
		}
		return x.row, nil
	}
	return nil, nil
}

func (h *history) newest() (*ThreadRow, error) { return h.below(^uint64(0)) }

// life is the designation at an instant with everything known at the history's
// size: of an imported one that was delisted and designated again, the newest life
// that had begun, by admission or by its dates; nil before the first.
func (h *history) life(c clock) (*designationLife, error) {
	row, err := h.newest()
	for row != nil && err == nil {
		d := row.State.(*DesignationRow)
		if c.passed(d.Opened) || !c.today().Before(d.from(c.zone)) {
			return h.lived(row)
		}
		row, err = h.below(d.Opened.Index)
	}
	return nil, err
}

// lived is the life of the designation whose state a version has.
func (h *history) lived(row *ThreadRow) (*designationLife, error) {
	d := row.State.(*DesignationRow)
	life := &designationLife{DesignationRow: d}
	return life, h.did(d.Opened.Index, row.Index, life.happened)
}

// party is the party of a version, with its standing up to there.
func (h *history) party(row *ThreadRow) (*partyLife, error) {
	life := &partyLife{PartyRow: row.State.(*PartyRow)}
	return life, h.did(0, row.Index, life.happened)
}

// did visits what the records from one index to another did, oldest first.
func (h *history) did(from, to uint64, visit func(*ThreadRow)) error {
	for i := range slices.Backward(h.versions) {
		if x := &h.versions[i]; x.index >= from && x.index <= to {
			row, err := x.did(h.thread)
			if err != nil {
				return err
			}
			visit(row)
		}
	}
	return nil
}

// keys are all keys that a party ever had below a size, in the order in which they came.
func (h *history) keys(below uint64) (keys []KeyRow, err error) {
	var ids []string
	if err := h.did(0, below-1, func(row *ThreadRow) { ids = append(ids, row.Did.Added...) }); err != nil {
		return nil, err
	}
	for _, id := range ids {
		k, err := h.r.keyRow(id, below)
		if err != nil {
			return nil, err
		}
		if k == nil {
			return nil, fmt.Errorf("no row of key %s of %s: %w", id, h.thread, errDamaged)
		}
		keys = append(keys, *k)
	}
	return keys, nil
}

// status is what the designation is at an instant, in the sense of [history.life].
func (h *history) status(c clock) (Status, error) {
	d, err := h.life(c)
	if err != nil || d == nil {
		return StatusNone, err
	}
	return d.StatusOn(c.today(), c.zone), nil
}

// known is the same history as the ledger had it at a smaller size.
func (h *history) known(size uint64) *history {
	i := slices.IndexFunc(h.versions, func(x version) bool { return x.index < size })
	if i < 0 {
		return &history{r: h.r, thread: h.thread}
	}
	return &history{r: h.r, thread: h.thread, versions: h.versions[i:]}
}

// ids are the records on the thread from an index on, oldest first.
func (h *history) ids(from uint64) []record.ID {
	var ids []record.ID
	for i := len(h.versions) - 1; i >= 0; i-- {
		if x := &h.versions[i]; x.index >= from {
			ids = append(ids, x.id())
		}
	}
	return ids
}
