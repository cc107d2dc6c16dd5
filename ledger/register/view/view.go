// Package view answers what is asked of the register: who is designated, who is a party,
// who owes what, what changed, who bears an identifier, which records there are, and what
// a draft would bring about. It reads a [register.Snapshot] and judges nothing: what is
// admitted, the register says alone, and does not import this package.
//
// # Contract
//
//	v, err := view.At(r, size)                       // the register as it was at that size
//	v = v.WithCheckpointTimes(times).WithBudget(most) // what was knowable when; what one caller may read
//	d, err := v.Designation("designation/2026-014", at) // one thing, or an *AbsentError
//	err = v.Duties(view.DutyFilter{Party: "acme-cloud"}, at, func(d view.Duty) bool { … })
//	effects, err := view.Effects(draft)              // of a *register.Draft, for people
//
// A [View] stays what it is while the register grows. What depends on the clock takes the
// instant that is asked about; nothing here reads a clock. Every answer names the records
// that it rests on, so that each can be proven. The types of answers are the JSON of
// /v1/register and of the tools' --json. A list yields in one order and can go on after
// what it yielded last; with a budget it may end early, in a [PartialListError].
//
// What is told of each kind of record is one row of a table (kinds.go).
package view

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// View answers queries of the register as it was at one size. It stays what it is while
// the register grows; a Reset or Close of the register ends it. What depends on the
// clock is asked with a time, and every answer names the records that it rests on, so
// that each can be proven.
type View struct {
	rows            register.Snapshot
	checkpointTimes CheckpointTimes // nil: not known
}

// Latest is the view of everything folded so far.
func Latest(r *register.Register) (*View, error) { return At(r, r.Size()) }

// At is the view at a size. One that the register has not reached is an error.
func At(r *register.Register, size uint64) (*View, error) {
	rows, err := r.Snapshot(size)
	if err != nil {
		return nil, err
	}
	return &View{rows: rows}, nil
}

// Size is the number of entries that the view sees.
func (v *View) Size() uint64 { return v.rows.Size() }

// asOf asks as of an instant, in the time zone of the charter that was in force then.
// An empty ledger has no time zone and no records to ask about.
func (v *View) asOf(at time.Time) asOf {
	return asOf{instant: at, charters: v.rows.Charters()}.withZone()
}

// asOfAll is that clock for what stands in the view at the instant: all its records
// were there, whatever their admission times say.
func (v *View) asOfAll(at time.Time) asOf {
	return asOf{instant: at, charters: v.rows.Charters(), includesBelow: v.Size()}.withZone()
}

// LocalDate is the civil date of an instant in the charter's time zone.
func (v *View) LocalDate(at time.Time) record.Date { return v.asOf(at).today() }

// Ahead reports whether an instant is of a day to come: what is not recorded yet is
// shown as not recorded.
func (v *View) Ahead(at, now time.Time) bool { return v.LocalDate(at).After(v.LocalDate(now)) }

// AbsentError says that the view has no such thing. Over a replayed copy that is
// a proof: every entry was seen.
type AbsentError struct {
	What string // "designation 2026-099", "record 3fa9…"
	Size uint64
	Hint string // `; did you mean "2026-014"?`, or nothing
}

func (e *AbsentError) Error() string {
	return fmt.Sprintf("no %s: no such record among all %s%s", e.What, register.FormatEntryCount(e.Size), e.Hint)
}

func (v *View) absentError(format string, args ...any) error {
	return &AbsentError{What: fmt.Sprintf(format, args...), Size: v.Size()}
}

// absentWithHint says that the view has no such thread, and which one a search for its name
// finds first.
func (v *View) absentWithHint(thread record.Thread) error {
	hint := ""
	var cut []string // by which there is no hint
	err := v.partialQuery("", &cut, func(v *View) (err error) {
		hint, err = v.DidYouMean(thread.Name(), thread.Family())
		return err
	})
	if err != nil {
		return err
	}
	return &AbsentError{What: string(thread.Family()) + " " + thread.Name(), Size: v.Size(), Hint: hint}
}

// WithTrace is the view that tells which record wrote each row that its answers read: all
// records but the charters that an answer rests on, some more than once.
func (v *View) WithTrace(touched func(index uint64)) *View {
	traced := *v
	traced.rows = v.rows.WithTrace(touched)
	return &traced
}

// Knowable is how much of a ledger was knowable at an instant, and by whose word.
type Knowable struct {
	Size     uint64    `json:"size"`              // the entries below it
	Cosigned time.Time `json:"cosigned,omitzero"` // when a quorum of witnesses had; zero: by admission times, the ledger's own word

	// Counted says that admission times tell no more than Size: who set it knows only some records.
	Counted bool `json:"-"`
}

// String says by whose word, for people.
func (k Knowable) String() string {
	if k.Cosigned.IsZero() {
		return "by admission times, the ledger's own word: no cosigned checkpoint of that time is kept"
	}
	return fmt.Sprintf("below size %d, cosigned %s", k.Size, k.Cosigned.UTC().Format("2006-01-02 15:04:05Z"))
}

// CheckpointTimes says what a quorum of witnesses had cosigned by an instant: the size and
// time of the newest checkpoint that is stamped no later. Where no checkpoint is
// known that is so old, the time is zero, and the size is one that cannot have been
// exceeded yet. A register knows no checkpoints: a [View] is handed this.
type CheckpointTimes func(at time.Time) (Knowable, error)

// WithCheckpointTimes is the view that takes from cosigned how much was knowable at an instant; a
// view without goes by admission times alone.
func (v *View) WithCheckpointTimes(cosigned CheckpointTimes) *View {
	bounded := *v
	bounded.checkpointTimes = cosigned
	return &bounded
}

// Knowable is how many of the view's entries were knowable at an instant: the second
// meaning of "at T". What was admitted and not yet cosigned was not knowable, and
// nothing proves when it was admitted; where no checkpoint tells, admission times do.
func (v *View) Knowable(at time.Time) (Knowable, error) {
	k, err := v.checkpointedBy(at)
	if err != nil || !k.Cosigned.IsZero() || k.Counted {
		return k, err
	}
	admitted, err := v.entriesAdmittedBy(at)
	return Knowable{Size: min(k.Size, admitted)}, err
}

// checkpointedBy is what the checkpoints tell of an instant.
func (v *View) checkpointedBy(at time.Time) (Knowable, error) {
	if v.checkpointTimes == nil {
		return Knowable{Size: v.Size()}, nil
	}
	k, err := v.checkpointTimes(at)
	k.Size = min(k.Size, v.Size())
	return k, err
}

// entriesAdmittedBy is how many of the view's entries were admitted by an instant.
// Admission times never go back, so they can be searched.
func (v *View) entriesAdmittedBy(at time.Time) (uint64, error) {
	if k, err := v.checkpointedBy(at); err != nil || k.Counted {
		return k.Size, err // who knows only some records has counted them
	}
	var failed error
	if v.Size() > 0 {
		switch newest, err := v.rows.Record(v.Size() - 1); {
		case err != nil:
			return 0, err
		case !newest.Admitted.After(at): // most queries are not about the past
			return v.Size(), nil
		}
	}
	n := sort.Search(int(v.Size()), func(i int) bool {
		row, err := v.rows.Record(uint64(i))
		if err != nil {
			failed = err
		}
		return row.Admitted.After(at)
	})
	return uint64(n), failed
}

// instantViews is one instant in both meanings of "at T": current, by everything known to the
// view, and knowable, by what could be known at T; extent is how much that was.
type instantViews struct {
	current  asOf // everything known to the view
	knowable asOf // what was knowable at the instant
	extent   Knowable
}

func (v *View) momentAt(at time.Time) (instantViews, error) {
	k, err := v.Knowable(at)
	if err != nil {
		return instantViews{}, err
	}
	earlier := &View{rows: v.rows.At(k.Size)}
	return instantViews{current: v.asOf(at), knowable: earlier.asOfAll(at), extent: k}, nil
}

// WithBudget is the view with a budget for all queries of it together. It belongs to
// one goroutine.
func (v *View) WithBudget(w register.ReadBudget) *View {
	bounded := *v
	bounded.rows = v.rows.WithBudget(&w)
	return &bounded
}

// partialQuery runs a secondary query of an answer with at most a quarter of the
// remaining budget. Where that is not enough, it appends name to cut and returns no
// error.
func (v *View) partialQuery(name string, cut *[]string, ask func(*View) error) error {
	part := v
	if left := v.rows.Budget(); left != nil {
		part = v.WithBudget(register.ReadBudget{Rows: left.Rows / 4, Bytes: left.Bytes / 4})
		before := *part.rows.Budget()
		defer func() {
			left.Rows -= before.Rows - part.rows.Budget().Rows
			left.Bytes -= before.Bytes - part.rows.Budget().Bytes
		}()
	}
	err := ask(part)
	if more := (*PartialListError)(nil); errors.As(err, &more) || errors.Is(err, register.ErrOverBudget) {
		*cut, err = append(*cut, name), nil
	}
	return err
}

// PartialListError says that a list took all the work that it may before it ended: what it
// yielded is right, and After is where it goes on.
type PartialListError struct {
	After string // as the filter takes it
	// Skipped is what the list left out, since it alone exceeds the whole budget of one
	// query; "" if nothing.
	Skipped string
}

func (e *PartialListError) Error() string {
	return fmt.Sprintf("the list goes on after %q: it needs more work than one question may take", e.After)
}

// listProgress remembers how far a list has come, for the place where it goes on.
type listProgress struct {
	startedAfter, passed, current string // where it began, what it has passed, what it is at
}

// partial turns the end of a list's budget into the place where it goes on. What alone
// exceeds the whole budget of a query it leaves out.
func (p *listProgress) partial(err error) error {
	switch {
	case !errors.Is(err, register.ErrOverBudget):
		return err
	case p.passed == p.startedAfter && p.current == "": // not even the way to the first
		return err
	case p.passed == p.startedAfter:
		return &PartialListError{After: p.current, Skipped: p.current}
	}
	return &PartialListError{After: p.passed}
}
