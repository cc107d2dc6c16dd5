package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// threadHistory reads a thread as of a size. It holds the newest version alone; deltas
// and earlier states are read when needed.
type threadHistory struct {
	r         rowReader
	thread    string
	size      uint64
	newestRow *ThreadRow // newest below size; nil: not yet read, or there is none
}

// eachThread yields the threads of a prefix that sort after another, in their own
// order.
func (v *View) eachThread(prefix, after string, yield func(*threadHistory) (more bool, err error)) error {
	return v.rows.scanThreads(prefix, after, v.size, func(row *ThreadRow) (bool, error) {
		return yield(&threadHistory{r: v.rows, thread: row.Thread, size: v.size, newestRow: row})
	})
}

// threadHistory reads one thread; nil means that there is none.
func (v *View) threadHistory(thread string) (*threadHistory, error) {
	h := &threadHistory{r: v.rows, thread: thread, size: v.size}
	if newest, err := h.newest(); err != nil || newest == nil {
		return nil, err
	}
	return h, nil
}

// newest is the newest version, nil if there is none.
func (h *threadHistory) newest() (*ThreadRow, error) {
	var err error
	switch {
	case h.newestRow == nil:
		h.newestRow, err = h.r.newestVersion(h.thread, h.size)
	case h.newestRow.State == nil:
		err = h.r.loadState(h.newestRow)
	}
	return h.newestRow, err
}

// newestBelow is the newest version below an index, nil if there is none.
func (h *threadHistory) newestBelow(index uint64) (*ThreadRow, error) {
	if index > h.size || h.newestRow != nil && h.newestRow.Index < index {
		return h.newest()
	}
	return h.r.newestVersion(h.thread, index)
}

// upTo is the same history as the ledger had it at a smaller size.
func (h *threadHistory) upTo(size uint64) *threadHistory {
	then := &threadHistory{r: h.r, thread: h.thread, size: min(size, h.size)}
	if h.newestRow != nil && h.newestRow.Index < size {
		then.newestRow = h.newestRow
	}
	return then
}

// timelineAt is the designation at an instant with everything known at the history's
// size: of an imported one that was delisted and designated again, the newest life
// that had begun, by admission or by its dates; nil before the first.
func (h *threadHistory) timelineAt(c asOf) (*designationTimeline, error) {
	row, err := h.rowAt(c)
	if row == nil || err != nil {
		return nil, err
	}
	return h.timeline(row)
}

// rowAt is the newest version of that life.
func (h *threadHistory) rowAt(c asOf) (*ThreadRow, error) {
	row, err := h.newest()
	for row != nil && err == nil {
		d := row.State.(*DesignationRow)
		if c.includes(d.Opened) || !c.today().Before(d.firstDay(c.zoneAt(d.Opened.Index))) {
			return row, nil
		}
		row, err = h.newestBelow(d.Opened.Index)
	}
	return nil, err
}

// timeline is the life of the designation whose state a version has.
func (h *threadHistory) timeline(row *ThreadRow) (*designationTimeline, error) {
	d := row.State.(*DesignationRow)
	life := &designationTimeline{DesignationRow: d}
	return life, transitionsForward(row, d.Opened.Index, h.version, life.add)
}

// partyTimeline is the party of a version, with its standing up to there.
func (h *threadHistory) partyTimeline(row *ThreadRow) (*partyTimeline, error) {
	life := &partyTimeline{PartyRow: row.State.(*PartyRow)}
	return life, transitionsForward(row, 0, h.version, life.add)
}

// version is what the record of an index did to the thread.
func (h *threadHistory) version(index uint64) (*ThreadRow, error) {
	return h.r.version(h.thread, index)
}

// decidedBy says whether the state of a version is enough to know what holds on the clock's
// day: one from which the record looks ahead, in the zone of its time and in the clock's.
func (c asOf) decidedBy(row *ThreadRow) bool {
	today := c.today()
	return !today.Before(c.admissionDate(row.Ref())) && !today.Before(record.DateOf(row.Admitted, c.zone))
}

// standing is the party's standing on the clock's day. What the newest version says of
// the days ahead is enough, unless a day before it is asked for.
func (h *threadHistory) standing(row *ThreadRow, c asOf) (string, error) {
	if c.decidedBy(row) {
		return c.standingToday(row.State.(*PartyRow).currentTimeline()), nil
	}
	life, err := h.partyTimeline(row)
	if err != nil {
		return "", err
	}
	return c.standingToday(life), nil
}

// status is what the designation is at an instant, in the sense of
// [threadHistory.timelineAt].
func (h *threadHistory) status(c asOf) (Status, error) {
	row, err := h.rowAt(c)
	if err != nil || row == nil {
		return StatusNone, err
	}
	d := row.State.(*DesignationRow)
	life := d.currentTimeline()
	if !c.decidedBy(row) {
		if life, err = h.timeline(row); err != nil {
			return StatusNone, err
		}
	}
	return life.StatusOn(c.today(), c.zoneAt(d.Opened.Index)), nil
}

// latestTransitions visits the newest transitions of a version that take takes, as many
// as an answer shows, oldest first, and before them those others that are given; cut
// gets the name if there are more.
func (h *threadHistory) latestTransitions(row *ThreadRow, from uint64, also []RecordRef, name string, cut *[]string, take func(*ThreadRow) bool, show func(*ThreadRow)) error {
	var rows []*ThreadRow
	looked, more := 0, false
	err := transitionsBackward(row, h.version, func(row *ThreadRow) bool {
		looked++
		switch {
		case row.Index < from:
			return false
		case len(rows) == MaxListItems || looked > 4*MaxListItems:
			more = true
			return false
		case take(row):
			rows = append(rows, row)
		}
		return true
	})
	if err != nil {
		return err
	}
	if more {
		*cut = append(*cut, name)
		for _, s := range slices.Backward(also) {
			if len(rows) > 0 && s.Index >= rows[len(rows)-1].Index {
				continue
			}
			row, err := h.version(s.Index)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	for _, row := range slices.Backward(rows) {
		show(row)
	}
	return nil
}

// addedKey is a key that a record of the thread added.
func (h *threadHistory) addedKey(id string) (*KeyRow, error) {
	k, err := h.r.keyRow(id, h.size)
	if err == nil && k == nil {
		err = fmt.Errorf("no row of key %s of %s: %w", id, h.thread, ErrDamaged)
	}
	return k, err
}

// recordIDsFrom are the records on the thread from an index on, oldest first.
func (h *threadHistory) recordIDsFrom(from uint64) (ids []record.ID, err error) {
	err = h.r.versionsForward(h.thread, from, h.size, func(row *ThreadRow) (bool, error) {
		ids = append(ids, row.ID)
		return true, nil
	})
	return ids, err
}

// maxRecordIDs is how many records of one thread an answer names.
const maxRecordIDs = 16

// recordIDs are the records that an answer about the thread rests on, oldest first: the one
// that opened it, and the newest. cut gets "records" if there are others between.
func (h *threadHistory) recordIDs(opened RecordRef, cut *[]string) (ids []record.ID, err error) {
	err = h.r.versionsBackward(h.thread, h.size, func(row *ThreadRow) (bool, error) {
		switch {
		case row.Index < opened.Index:
			return false, nil
		case len(ids) == maxRecordIDs-1 && row.Index > opened.Index:
			ids, *cut = append(ids, opened.ID), append(*cut, "records")
			return false, nil
		}
		ids = append(ids, row.ID)
		return true, nil
	})
	slices.Reverse(ids)
	return ids, err
}

// formerNames are names that the thread bore before, those first replaced first; cut gets
// "formerName" if there are more.
func (h *threadHistory) formerNames(now string, cut *[]string) ([]string, error) {
	names, more, err := h.r.formerNames(h.thread, h.size, now, maxFormerNames)
	if more {
		*cut = append(*cut, "formerName")
	}
	return names, err
}
