package view

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// threadHistory reads a thread as of a size. It holds the newest version alone; deltas
// and earlier states are read when needed.
type threadHistory struct {
	rows      register.Snapshot
	thread    record.Thread
	newestRow *register.ThreadRow // newest below size; nil: not yet read, or there is none
}

// eachThread yields the threads of a prefix that sort after another, in their own
// order.
func (v *View) eachThread(prefix, after string, yield func(*threadHistory) (more bool, err error)) error {
	return v.rows.Threads(prefix, after, func(row *register.ThreadRow) (bool, error) {
		return yield(&threadHistory{rows: v.rows, thread: row.Thread, newestRow: row})
	})
}

// threadHistory reads one thread; nil means that there is none.
func (v *View) threadHistory(thread record.Thread) (*threadHistory, error) {
	h := &threadHistory{rows: v.rows, thread: thread}
	if newest, err := h.newest(); err != nil || newest == nil {
		return nil, err
	}
	return h, nil
}

// newest is the newest version, nil if there is none.
func (h *threadHistory) newest() (*register.ThreadRow, error) {
	var err error
	switch {
	case h.newestRow == nil:
		h.newestRow, err = h.rows.Thread(h.thread)
	case h.newestRow.State == nil:
		err = h.rows.LoadState(h.newestRow)
	}
	return h.newestRow, err
}

// newestBelow is the newest version below an index, nil if there is none.
func (h *threadHistory) newestBelow(index uint64) (*register.ThreadRow, error) {
	if index > h.rows.Size() || h.newestRow != nil && h.newestRow.Index < index {
		return h.newest()
	}
	return h.rows.At(index).Thread(h.thread)
}

// upTo is the same history as the ledger had it at a smaller size.
func (h *threadHistory) upTo(size uint64) *threadHistory {
	then := &threadHistory{rows: h.rows.At(size), thread: h.thread}
	if h.newestRow != nil && h.newestRow.Index < size {
		then.newestRow = h.newestRow
	}
	return then
}

// rowAt is the newest version of the designation at an instant with everything known at the
// history's size: of an imported one that was delisted and designated again, of the newest
// life that had begun, by admission or by its dates; nil before the first.
func (h *threadHistory) rowAt(c asOf) (*register.ThreadRow, error) {
	row, err := h.newest()
	for row != nil && err == nil {
		d := row.State.(*register.DesignationRow)
		if c.includes(d.Opened) || !c.today().Before(firstDay(d, c.zoneAt(d.Opened.Index))) {
			return row, nil
		}
		row, err = h.newestBelow(d.Opened.Index)
	}
	return nil, err
}

// admittedTimeline is the newest life of the designation that had been admitted at an instant: what
// a later one's dates say of earlier days moves no duty. nil before the first.
func (h *threadHistory) admittedTimeline(c asOf) (*designationTimeline, error) {
	row, err := h.newest()
	for row != nil && err == nil {
		d := row.State.(*register.DesignationRow)
		if c.includes(d.Opened) {
			return h.timeline(row)
		}
		row, err = h.newestBelow(d.Opened.Index)
	}
	return nil, err
}

// timeline is the life of the designation whose state a version has.
func (h *threadHistory) timeline(row *register.ThreadRow) (*designationTimeline, error) {
	d := row.State.(*register.DesignationRow)
	life := &designationTimeline{DesignationRow: d}
	return life, transitionsForward(row, d.Opened.Index, h.version, life.add)
}

// partyTimeline is the party of a version, with its standing up to there.
func (h *threadHistory) partyTimeline(row *register.ThreadRow) (*partyTimeline, error) {
	life := &partyTimeline{PartyRow: row.State.(*register.PartyRow)}
	return life, transitionsForward(row, 0, h.version, life.add)
}

// version is what the record of an index did to the thread.
func (h *threadHistory) version(index uint64) (*register.ThreadRow, error) {
	return h.rows.Step(h.thread, index)
}

// decidedBy says whether the state of a version is enough to know what holds on the clock's
// day: one from which the record looks ahead, in the zone of its time and in the clock's.
func (c asOf) decidedBy(row *register.ThreadRow) bool {
	today := c.today()
	return !today.Before(c.admissionDate(row.Ref())) && !today.Before(record.DateOf(row.Admitted, c.zone))
}

// standing is the party's standing on the clock's day. What the newest version says of
// the days ahead is enough, unless a day before it is asked for.
func (h *threadHistory) standing(row *register.ThreadRow, c asOf) (string, error) {
	if c.decidedBy(row) {
		return c.standingToday(currentParty(row.State.(*register.PartyRow))), nil
	}
	life, err := h.partyTimeline(row)
	if err != nil {
		return "", err
	}
	return c.standingToday(life), nil
}

// status is what the designation is at an instant, in the sense of
// [threadHistory.rowAt].
func (h *threadHistory) status(c asOf) (Status, error) {
	row, err := h.rowAt(c)
	if err != nil || row == nil {
		return StatusNone, err
	}
	d := row.State.(*register.DesignationRow)
	life := currentDesignation(d)
	if !c.decidedBy(row) {
		if life, err = h.timeline(row); err != nil {
			return StatusNone, err
		}
	}
	return life.statusOn(c.today(), c.zoneAt(d.Opened.Index)), nil
}

// latestTransitions visits the newest transitions of a version that take takes, as many
// as an answer shows, oldest first, and before them those others that are given; cut
// gets the name if there are more.
func (h *threadHistory) latestTransitions(row *register.ThreadRow, from uint64, also []register.RecordRef, name string, cut *[]string, take func(*register.ThreadRow) bool, show func(*register.ThreadRow)) error {
	var rows []*register.ThreadRow
	looked, more := 0, false
	err := transitionsBackward(row, h.version, func(row *register.ThreadRow) bool {
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
func (h *threadHistory) addedKey(id string) (*register.KeyRow, error) {
	k, err := h.rows.Key(id)
	if err == nil && k == nil {
		err = fmt.Errorf("no row of key %s of %s: %w", id, h.thread, register.ErrDamaged)
	}
	return k, err
}

// recordIDsFrom are the records on the thread from an index on, oldest first.
func (h *threadHistory) recordIDsFrom(from uint64) (ids []record.ID, err error) {
	err = h.rows.Steps(h.thread, from, func(row *register.ThreadRow) (bool, error) {
		ids = append(ids, row.ID)
		return true, nil
	})
	return ids, err
}

// maxRecordIDs is how many records of one thread an answer names.
const maxRecordIDs = 16

// recordIDs are the records that an answer about the thread rests on, oldest first: the one
// that opened it, and the newest. cut gets "records" if there are others between.
func (h *threadHistory) recordIDs(opened register.RecordRef, cut *[]string) (ids []record.ID, err error) {
	err = h.rows.StepsBackward(h.thread, func(row *register.ThreadRow) (bool, error) {
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
	names, more, err := h.rows.FormerNames(h.thread, now, maxFormerNames)
	if more {
		*cut = append(*cut, "formerName")
	}
	return names, err
}

// transitionsBackward visits the transitions of a thread up to a version, newest first.
// version reads what the record of an index changed on it.
func transitionsBackward(row *register.ThreadRow, version func(index uint64) (*register.ThreadRow, error), visit func(*register.ThreadRow) (more bool)) error {
	for at := row.LastTransition(); at != nil; at = row.Delta.Prior {
		if *at != row.Index {
			var err error
			if row, err = version(*at); err != nil {
				return err
			}
		}
		if !visit(row) {
			return nil
		}
	}
	return nil
}

// transitionsForward visits the transitions from an index on, oldest first.
func transitionsForward(row *register.ThreadRow, from uint64, version func(index uint64) (*register.ThreadRow, error), visit func(*register.ThreadRow)) error {
	var rows []*register.ThreadRow
	err := transitionsBackward(row, version, func(row *register.ThreadRow) bool {
		if row.Index < from {
			return false
		}
		rows = append(rows, row)
		return true
	})
	for _, row := range slices.Backward(rows) {
		visit(row)
	}
	return err
}
