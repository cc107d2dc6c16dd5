package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// history is a thread below a size. It holds its newest version alone: what a record
// did to the thread, and the states after it, are read when asked for.
type history struct {
	r      reads
	thread string
	size   uint64
	top    *ThreadRow // newest below size; nil: not yet read, or there is none
}

// histories yields the threads of a prefix that sort after another, in their own
// order.
func (v *View) histories(prefix, after string, yield func(*history) (more bool, err error)) error {
	return v.r.threads(prefix, after, v.size, func(row *ThreadRow) (bool, error) {
		return yield(&history{r: v.r, thread: row.Thread, size: v.size, top: row})
	})
}

// history reads one thread; nil means that there is none.
func (v *View) history(thread string) (*history, error) {
	h := &history{r: v.r, thread: thread, size: v.size}
	if newest, err := h.newest(); err != nil || newest == nil {
		return nil, err
	}
	return h, nil
}

// newest is the newest version, nil if there is none.
func (h *history) newest() (*ThreadRow, error) {
	var err error
	switch {
	case h.top == nil:
		h.top, err = h.r.newest(h.thread, h.size)
	case h.top.State == nil:
		err = h.r.state(h.top)
	}
	return h.top, err
}

// below is the newest version below an index, nil if there is none.
func (h *history) below(index uint64) (*ThreadRow, error) {
	if index > h.size || h.top != nil && h.top.Index < index {
		return h.newest()
	}
	return h.r.newest(h.thread, index)
}

// known is the same history as the ledger had it at a smaller size.
func (h *history) known(size uint64) *history {
	then := &history{r: h.r, thread: h.thread, size: min(size, h.size)}
	if h.top != nil && h.top.Index < size {
		then.top = h.top
	}
	return then
}

// life is the designation at an instant with everything known at the history's
// size: of an imported one that was delisted and designated again, the newest life
// that had begun, by admission or by its dates; nil before the first.
func (h *history) life(c clock) (*designationLife, error) {
	row, err := h.begun(c)
	if row == nil || err != nil {
		return nil, err
	}
	return h.lived(row)
}

// begun is the newest version of that life.
func (h *history) begun(c clock) (*ThreadRow, error) {
	row, err := h.newest()
	for row != nil && err == nil {
		d := row.State.(*DesignationRow)
		if c.passed(d.Opened) || !c.today().Before(d.from(c.zoneAt(d.Opened.Index))) {
			return row, nil
		}
		row, err = h.below(d.Opened.Index)
	}
	return nil, err
}

// lived is the life of the designation whose state a version has.
func (h *history) lived(row *ThreadRow) (*designationLife, error) {
	d := row.State.(*DesignationRow)
	life := &designationLife{DesignationRow: d}
	return life, course(row, d.Opened.Index, h.step, life.happened)
}

// party is the party of a version, with its standing up to there.
func (h *history) party(row *ThreadRow) (*partyLife, error) {
	life := &partyLife{PartyRow: row.State.(*PartyRow)}
	return life, course(row, 0, h.step, life.happened)
}

// step is what the record of an index did to the thread.
func (h *history) step(index uint64) (*ThreadRow, error) { return h.r.step(h.thread, index) }

// decides says whether the state of a version is enough to know what holds on the clock's
// day: one from which the record looks ahead, in the zone of its time and in the clock's.
func (c clock) decides(row *ThreadRow) bool {
	today := c.today()
	return !today.Before(c.date(row.step())) && !today.Before(record.DateOf(row.Admitted, c.zone))
}

// standing is the party's standing on the clock's day. What the newest version says of
// the days ahead is enough, unless a day before it is asked for.
func (h *history) standing(row *ThreadRow, c clock) (string, error) {
	if c.decides(row) {
		return c.standing(row.State.(*PartyRow).ahead()), nil
	}
	life, err := h.party(row)
	if err != nil {
		return "", err
	}
	return c.standing(life), nil
}

// status is what the designation is at an instant, in the sense of [history.life].
func (h *history) status(c clock) (Status, error) {
	row, err := h.begun(c)
	if err != nil || row == nil {
		return StatusNone, err
	}
	d := row.State.(*DesignationRow)
	life := d.ahead()
	if !c.decides(row) {
		if life, err = h.lived(row); err != nil {
			return StatusNone, err
		}
	}
	return life.StatusOn(c.today(), c.zoneAt(d.Opened.Index)), nil
}

// shownTurns visits the newest turns of a version that take takes, as many as an answer
// shows, oldest first, and before them those others that are given; cut gets the name if
// there are more.
func (h *history) shownTurns(row *ThreadRow, from uint64, also []Step, name string, cut *[]string, take func(*ThreadRow) bool, show func(*ThreadRow)) error {
	var rows []*ThreadRow
	looked, more := 0, false
	err := turns(row, h.step, func(row *ThreadRow) bool {
		looked++
		switch {
		case row.Index < from:
			return false
		case len(rows) == MaxShown || looked > 4*MaxShown:
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
			row, err := h.step(s.Index)
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

// key is a key that a record of the thread added.
func (h *history) key(id string) (*KeyRow, error) {
	k, err := h.r.keyRow(id, h.size)
	if err == nil && k == nil {
		err = fmt.Errorf("no row of key %s of %s: %w", id, h.thread, ErrDamaged)
	}
	return k, err
}

// ids are the records on the thread from an index on, oldest first.
func (h *history) ids(from uint64) (ids []record.ID, err error) {
	err = h.r.historyFrom(h.thread, from, h.size, func(row *ThreadRow) (bool, error) {
		ids = append(ids, row.ID)
		return true, nil
	})
	return ids, err
}

// maxRests is how many records of one thread an answer names.
const maxRests = 16

// rests are the records that an answer about the thread rests on, oldest first: the one
// that opened it, and the newest. cut gets "records" if there are others between.
func (h *history) rests(opened Step, cut *[]string) (ids []record.ID, err error) {
	err = h.r.history(h.thread, h.size, func(row *ThreadRow) (bool, error) {
		switch {
		case row.Index < opened.Index:
			return false, nil
		case len(ids) == maxRests-1 && row.Index > opened.Index:
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
func (h *history) formerNames(now string, cut *[]string) ([]string, error) {
	names, more, err := h.r.formerNames(h.thread, h.size, now, maxFormer)
	if more {
		*cut = append(*cut, "formerName")
	}
	return names, err
}
