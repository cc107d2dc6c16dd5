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

// life is the life of a designation that an instant falls into, with every correction known to the view: its
// statuses from its admission, or from its first day if that is earlier, one after the other without a gap. Before
// the first life there is none; cut gets "life" if there are more spans, or too much to read for them.
func (v *View) life(h *threadHistory, at time.Time, cut *[]string) (spans []StatusSpan, err error) {
	err = v.partialQuery("life", cut, func(v *View) error {
		c, here := v.asOf(at), &threadHistory{rows: v.rows, thread: h.thread, newestRow: h.newestRow}
		row, err := here.rowAt(c)
		if row == nil || err != nil {
			return err
		}
		d, err := here.timeline(row)
		if err != nil {
			return err
		}
		more := false
		if spans, more = c.spans(d); more {
			*cut = append(*cut, "life")
		}
		return nil
	})
	return spans, err
}

// spans are those of a life, as many as an answer has, and whether there are more.
func (c asOf) spans(d *designationTimeline) (spans []StatusSpan, more bool) {
	zone := c.zoneAt(d.Opened.Index)
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
			return spans, true
		case n > 0:
			last := day.AddDays(-1)
			spans[n-1].Until = &last
		}
		spans = append(spans, StatusSpan{Status: status, From: day})
	}
	return spans, false
}

// Amendment is a record that amended a designation, and what it changed.
type Amendment struct {
	register.RecordRow
	Changes []MemberChange `json:"changes"` // none where it re-opened the duty to answer alone
}

// maxAmendments is how many amendments an answer has.
const maxAmendments = 10

// amendments are the newest of a thread from an index on, oldest first; cut gets "amendments" if there are more, or
// too much to read for them.
func (v *View) amendments(h *threadHistory, from uint64, cut *[]string) (list []Amendment, err error) {
	err = v.partialQuery("amendments", cut, func(v *View) error {
		return v.rows.StepsBackward(h.thread, func(step *register.ThreadRow) (bool, error) {
			if step.Index <= from {
				return false, nil
			}
			r, err := v.rows.Record(step.Index)
			if err != nil || r.Kind != record.KindAmendment {
				return err == nil, err
			}
			if len(list) == maxAmendments {
				*cut = append(*cut, "amendments")
				return false, nil
			}
			a := Amendment{RecordRow: r, Changes: []MemberChange{}}
			changes, err := v.amendmentChanges(r)
			if err == nil {
				a.Changes = append(a.Changes, changes...)
				list = append(list, a)
			}
			return err == nil, err
		})
	})
	slices.Reverse(list)
	return list, err
}

// MemberChange is what an amendment did to one member of a designation: of a list the items that went
// and came, of any other its value before and after, each as text.
type MemberChange struct {
	Member  string   `json:"member"` // "target.alias"
	Removed []string `json:"removed,omitempty"`
	Added   []string `json:"added,omitempty"`
}

// amendmentChanges are the members of a designation that a record of its thread changed, by the states
// before it and after it, sorted. What is withheld of them reads so.
func (v *View) amendmentChanges(r register.RecordRow) ([]MemberChange, error) {
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
