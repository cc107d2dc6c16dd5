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

// Change is what became of one thread between two views. Before and After are the
// status of a designation or the standing of a party, which the clock alone may
// have changed; "none" before there was one.
type Change struct {
	Error   bool          `json:"publishedInError,omitempty"`
	Thread  record.Thread `json:"thread"`
	Name    string        `json:"name,omitempty"` // of a designation's target or a party
	Before  string        `json:"before,omitempty"`
	After   string        `json:"after,omitempty"`
	Changed []string      `json:"changed,omitempty"` // members that differ: "target.alias"
	Records []record.ID   `json:"records,omitempty"` // new on the thread, oldest first
	Updated time.Time     `json:"updated,omitzero"`  // when the newest of them was admitted

	newest record.ID // on the thread
}

// Position is where the change stands in the list of [View.Changes].
func (ch Change) Position() string { return string(ch.Thread) }

// Changes yields the threads that differ from an earlier view of the same
// register, each view asked at its own instant, at which all its records were there,
// by thread, from after one on, until yield returns false. With one view and two instants it tells what the clock alone changed.
// A [PartialListError] names the thread after which it goes on.
func (v *View) Changes(before *View, then, now time.Time, after string, yield func(Change) bool) error {
	if before.Size() > v.Size() {
		return fmt.Errorf("changes from size %d to %d: the first must not be the larger", before.Size(), v.Size())
	}
	was, is := before.asOfAll(then), v.asOfAll(now)
	p := listProgress{startedAfter: after, passed: after}
	return p.partial(v.eachThread("", after, func(h *threadHistory) (more bool, err error) {
		p.current = string(h.thread)
		defer func() {
			if err == nil {
				p.passed = p.current
			}
		}()
		ch, err := h.changeSince(before.Size(), is, was)
		if err != nil || ch.Before == ch.After && len(ch.Records) == 0 {
			return err == nil, err
		}
		return yield(ch), nil
	}))
}

// ChangeSince is what became of one thread since the view was of a size, both asked at one
// instant; an [AbsentError] where there is no such thread.
func (v *View) ChangeSince(thread record.Thread, size uint64, at time.Time) (Change, error) {
	h, err := v.threadHistory(thread)
	if err != nil {
		return Change{}, err
	}
	if h == nil {
		return Change{}, v.absentError("thread %s", thread)
	}
	return h.changeSince(size, v.asOfAll(at), (&View{rows: v.rows.At(size)}).asOfAll(at))
}

// changeSince compares a thread with itself as it was at a size.
func (h *threadHistory) changeSince(size uint64, is, was asOf) (ch Change, err error) {
	ch = Change{Thread: h.thread, newest: h.newestRow.ID}
	if h.newestRow.Index >= size {
		ch.Updated = h.newestRow.Admitted
		ch.Records, err = h.recordIDsFrom(size)
	}
	if err == nil {
		err = ch.compare(h, h.upTo(size), is, was)
	}
	return ch, err
}

// compare compares a thread with itself as it was.
func (ch *Change) compare(h, old *threadHistory, is, was asOf) error {
	row, err := h.newest()
	if err != nil {
		return err
	}
	last, err := old.newest()
	if err != nil {
		return err
	}
	switch s := row.State.(type) {
	case *register.DesignationRow:
		ch.Name = s.Current.Target.Name
		if e := s.Revoked; e != nil && e.Cause == causeError {
			ch.Error = true
		}
		after, err := h.status(is)
		if err != nil {
			return err
		}
		before, err := old.status(was)
		if err != nil {
			return err
		}
		ch.Before, ch.After = string(before), string(after)
		if last != nil {
			ch.Changed, err = membersChanged(last.State.(*register.DesignationRow).Current, s.Current)
		}
		return err
	case *register.PartyRow:
		ch.Name, ch.Before = s.LegalName, string(StatusNone)
		if ch.After, err = h.standing(row, is); err == nil && last != nil {
			ch.Before, err = old.standing(last, was)
		}
		return err
	}
	return nil
}

// membersChanged are the members of two values that differ as JSON, those of the
// target one by one, sorted.
func membersChanged(old, new record.Designation) ([]string, error) {
	before, after, err := designationMembers(old, new)
	return changedMembers(before, after), err
}

// designationMembers are the members of two designations as JSON, those of the target one by one.
func designationMembers(old, new record.Designation) (before, after map[string]json.RawMessage, err error) {
	before, after = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, side := range []struct {
		d  record.Designation
		to map[string]json.RawMessage
	}{{old, before}, {new, after}} {
		if err := jsonMembers("", side.d, side.to); err != nil {
			return nil, nil, err
		}
		delete(side.to, "target")
		if err := jsonMembers("target.", side.d.Target, side.to); err != nil {
			return nil, nil, err
		}
	}
	return before, after, nil
}

// changedMembers are the names of those that differ, sorted.
func changedMembers(before, after map[string]json.RawMessage) (changed []string) {
	for name, value := range after {
		if !bytes.Equal(before[name], value) {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, still := after[name]; !still {
			changed = append(changed, name)
		}
	}
	slices.SortFunc(changed, strings.Compare)
	return changed
}

func jsonMembers(prefix string, of any, to map[string]json.RawMessage) error {
	encoded, err := json.Marshal(of)
	if err != nil {
		return err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &object); err != nil {
		return err
	}
	for name, value := range object {
		to[prefix+name] = value
	}
	return nil
}
