package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// StatusSpan is a run of days, both inclusive, on which a designation has one status.
type StatusSpan struct {
	Status Status       `json:"status"`
	From   record.Date  `json:"from"`
	Until  *record.Date `json:"until,omitempty"` // nil: no record says when it ends
}

// maxSpans is how many spans a life has at most: what comes after them is left out.
const maxSpans = 64

// DesignationLife is the life of a designation that an instant falls into, with every correction
// known to the view: its statuses from its admission, or from its first day if that is
// earlier, one after the other without a gap. more says that there are spans after the last one.
// Before the first life there is none.
func (v *View) DesignationLife(thread record.Thread, at time.Time) (spans []StatusSpan, more bool, err error) {
	h, err := v.designationHistory(thread)
	if err != nil {
		return nil, false, err
	}
	m, err := v.momentAt(at)
	if err != nil {
		return nil, false, err
	}
	row, err := h.rowAt(m.current)
	if row == nil || err != nil {
		return nil, false, err
	}
	d, err := h.timeline(row)
	if err != nil {
		return nil, false, err
	}
	zone := m.current.zoneAt(d.Opened.Index)
	first, admitted := firstDay(d.DesignationRow, zone), record.DateOf(d.Opened.Admitted, zone)
	turns := []record.Date{first, admitted}
	if until := d.Current.EffectiveUntil; until != nil {
		turns = append(turns, until.AddDays(1))
	}
	for _, p := range d.pauses() {
		turns = append(turns, p.From)
		if p.Resume != nil {
			turns = append(turns, *p.Resume)
		}
	}
	if d.Revoked != nil {
		turns = append(turns, d.Revoked.EffectiveOn)
	}
	begin := admitted
	if first.Before(begin) {
		begin = first
	}
	slices.SortFunc(turns, record.Date.Compare)
	for _, day := range slices.Compact(turns) {
		if day.Before(begin) {
			continue
		}
		status := d.statusOn(day, zone)
		n := len(spans)
		switch {
		case n > 0 && spans[n-1].Status == status:
			continue
		case n == maxSpans:
			return spans, true, nil
		case n > 0:
			last := day.AddDays(-1)
			spans[n-1].Until = &last
		}
		spans = append(spans, StatusSpan{Status: status, From: day})
	}
	return spans, false, nil
}

// MemberChange is what an amendment did to one member of a designation: of a list the items that went
// and came, of any other its value before and after, each as text.
type MemberChange struct {
	Member  string   `json:"member"` // "target.alias"
	Removed []string `json:"removed,omitempty"`
	Added   []string `json:"added,omitempty"`
}

// AmendmentChanges are the members of a designation that a record of its thread changed, by the states
// before it and after it, sorted. What is withheld of them reads so.
func (v *View) AmendmentChanges(r register.RecordRow) ([]MemberChange, error) {
	before, err := v.rows.At(r.Index).Thread(r.Thread)
	if before == nil || err != nil {
		return nil, err
	}
	after, err := v.rows.At(r.Index + 1).Thread(r.Thread)
	if after == nil || err != nil {
		return nil, err
	}
	old, isOld := before.State.(*register.DesignationRow)
	now, isNew := after.State.(*register.DesignationRow)
	if !isOld || !isNew {
		return nil, nil
	}
	was, is, err := designationMembers(old.Current, now.Current)
	if err != nil {
		return nil, err
	}
	var changes []MemberChange
	for _, name := range changedMembers(was, is) {
		change := MemberChange{Member: name}
		gone, come := jsonItems(was[name]), jsonItems(is[name])
		for _, item := range gone {
			if !containsJSON(come, item) {
				change.Removed = append(change.Removed, jsonWords(item))
			}
		}
		for _, item := range come {
			if !containsJSON(gone, item) {
				change.Added = append(change.Added, jsonWords(item))
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// jsonItems are the items of a list, or the one value that there is; none of nothing.
func jsonItems(raw json.RawMessage) []json.RawMessage {
	if raw == nil {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) == nil {
		return items
	}
	return []json.RawMessage{raw}
}

func containsJSON(items []json.RawMessage, item json.RawMessage) bool {
	return slices.ContainsFunc(items, func(other json.RawMessage) bool { return bytes.Equal(other, item) })
}

// jsonWords is a value as a person reads it: "name: Kestrel Cloud, type: aka".
func jsonWords(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var words []string
	var open []json.Delim // objects and lists around the next token
	name, value := "", true
	for {
		token, err := dec.Token()
		if err != nil {
			return strings.Join(words, ", ")
		}
		inObject := len(open) > 0 && open[len(open)-1] == '{'
		switch t, isDelim := token.(json.Delim); {
		case isDelim && (t == '{' || t == '['):
			open, value = append(open, t), t == '['
			continue
		case isDelim:
			open = open[:len(open)-1]
		case inObject && !value:
			name, value = token.(string), true
			continue
		default:
			words = append(words, namedWord(name, fmt.Sprint(token)))
		}
		if name = ""; len(open) > 0 {
			value = open[len(open)-1] == '['
		}
	}
}

func namedWord(name, word string) string {
	if name == "" {
		return word
	}
	return name + ": " + word
}
