package view

import (
	"time"
)

// Board is who has to answer a designation: how each one did, when, and who is late.
type Board struct {
	// Counts are the duties that come from the designation, by kind and state. Where the
	// work of one answer ends before them ("board" in cut), those counted so far.
	Counts map[DutyKind]map[DutyState]int `json:"counts"`
	Duties []Duty                         `json:"duties"` // by party: the first 100
}

// board is the board of a designation at an instant.
func (v *View) board(h *threadHistory, at time.Time, cut *[]string) (Board, error) {
	b := Board{Counts: make(map[DutyKind]map[DutyState]int), Duties: []Duty{}}
	more := false
	var here []string
	err := v.partialQuery("board", &here, func(v *View) error {
		return v.Duties(DutyFilter{Designation: string(h.thread)}, at, func(d Duty) bool {
			if b.Counts[d.Kind] == nil {
				b.Counts[d.Kind] = make(map[DutyState]int)
			}
			b.Counts[d.Kind][d.State]++
			if more = len(b.Duties) == MaxListItems; !more {
				b.Duties = append(b.Duties, d)
			}
			return true
		})
	})
	if more && len(here) == 0 {
		here = []string{"board"}
	}
	*cut = append(*cut, here...)
	return b, err
}
