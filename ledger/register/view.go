package register

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// View answers queries of the register as it was at one size. It stays what it is while
// the register grows; a Reset or Close of the register ends it. What depends on the
// clock is asked with a time, and every answer names the records that it rests on, so
// that each can be proven.
type View struct {
	register        *Register
	rows            rowReader
	size            uint64
	charters        []CharterTerms  // below size, oldest first
	checkpointTimes CheckpointTimes // nil: not known
}

// LatestView is the view of everything folded so far.
func (r *Register) LatestView() (*View, error) { return r.ViewAt(r.Size()) }

// ViewAt is the view at a size. One that the register has not reached is an error.
func (r *Register) ViewAt(size uint64) (*View, error) {
	if have := r.Size(); size > have {
		return nil, fmt.Errorf("as of size %d: the register has %s so far", size, FormatEntryCount(have))
	}
	return &View{register: r, rows: r.rowReader, size: size, charters: r.termsBelow(size)}, nil
}

// Size is the number of entries that the view sees.
func (v *View) Size() uint64 { return v.size }

// asOf asks as of an instant, in the time zone of the charter that was in force then.
// An empty ledger has no time zone and no records to ask about.
func (v *View) asOf(at time.Time) asOf {
	return asOf{instant: at, charters: v.charters}.withZone()
}

// asOfAll is that clock for what stands in the view at the instant: all its records
// were there, whatever their admission times say.
func (v *View) asOfAll(at time.Time) asOf {
	return asOf{instant: at, charters: v.charters, includesBelow: v.size}.withZone()
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
	return fmt.Sprintf("no %s: no such record among all %s%s", e.What, FormatEntryCount(e.Size), e.Hint)
}

func (v *View) absentError(format string, args ...any) error {
	return &AbsentError{What: fmt.Sprintf(format, args...), Size: v.size}
}

// FormatEntryCount is a number of entries as a sentence says it: "1 entry", "7,379 entries".
func FormatEntryCount(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " entries"
}

// Knowable is how much of a ledger was knowable at an instant, and by whose word.
type Knowable struct {
	Size     uint64    `json:"size"`              // the entries below it
	Cosigned time.Time `json:"cosigned,omitzero"` // when a quorum of witnesses had; zero: by admission times, the ledger's own word
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
	k := Knowable{Size: v.size}
	if v.checkpointTimes != nil {
		var err error
		if k, err = v.checkpointTimes(at); err != nil {
			return Knowable{}, err
		}
		k.Size = min(k.Size, v.size)
	}
	if !k.Cosigned.IsZero() {
		return k, nil
	}
	admitted, err := v.entriesAdmittedBy(at)
	return Knowable{Size: min(k.Size, admitted)}, err
}

// entriesAdmittedBy is how many of the view's entries were admitted by an instant.
// Admission times never go back, so they can be searched.
func (v *View) entriesAdmittedBy(at time.Time) (uint64, error) {
	var failed error
	if v.size > 0 {
		switch newest, err := v.rows.recordRow(v.size - 1); {
		case err != nil:
			return 0, err
		case !newest.Admitted.After(at): // most queries are not about the past
			return v.size, nil
		}
	}
	n := sort.Search(int(v.size), func(i int) bool {
		row, err := v.rows.recordRow(uint64(i))
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
	earlier, err := v.register.ViewAt(k.Size)
	if err != nil {
		return instantViews{}, err
	}
	return instantViews{current: v.asOf(at), knowable: earlier.asOfAll(at), extent: k}, nil
}

// ReadBudget is how much one query may read of the register: rows, and the bytes of
// their keys and values. A list that exceeds it ends with a [PartialListError], which
// says where it goes on; a query about one thing fails with [ErrOverBudget].
type ReadBudget struct {
	Rows, Bytes int
}

// WithBudget is the view with a budget for all queries of it together. It belongs to
// one goroutine.
func (v *View) WithBudget(w ReadBudget) *View {
	bounded := *v
	bounded.rows.budget = &w
	return &bounded
}

// partialQuery runs a secondary query of an answer with at most a quarter of the
// remaining budget. Where that is not enough, it appends name to cut and returns no
// error.
func (v *View) partialQuery(name string, cut *[]string, ask func(*View) error) error {
	part := v
	if left := v.rows.budget; left != nil {
		part = v.WithBudget(ReadBudget{left.Rows / 4, left.Bytes / 4})
		before := *part.rows.budget
		defer func() {
			left.Rows -= before.Rows - part.rows.budget.Rows
			left.Bytes -= before.Bytes - part.rows.budget.Bytes
		}()
	}
	err := ask(part)
	if more := (*PartialListError)(nil); errors.As(err, &more) || errors.Is(err, ErrOverBudget) {
		*cut, err = append(*cut, name), nil
	}
	return err
}

// ErrOverBudget: a query about one thing exceeds its budget. A replayed copy answers
// the same query without a bound.
var ErrOverBudget = errors.New("the question needs more work than one may take here")

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

// chargeRow counts one row, and refuses it where the query's budget is used up.
func (r rowReader) chargeRow(bytes int) error {
	r.rowsRead.Add(1)
	if r.budget == nil {
		return nil
	}
	r.budget.Rows--
	r.budget.Bytes -= bytes
	if r.budget.Rows < 0 || r.budget.Bytes < 0 {
		return ErrOverBudget
	}
	return nil
}

// chargeCompute counts computing that grows with the rows read, in units of one row.
func (r rowReader) chargeCompute(n int) error {
	if r.budget == nil {
		return nil
	}
	if r.budget.Rows -= n; r.budget.Rows < 0 {
		return ErrOverBudget
	}
	return nil
}

// RowsRead counts the rows that were read since the register was made, in all.
func (r *Register) RowsRead() uint64 { return r.rowsRead.Load() }

// listProgress remembers how far a list has come, for the place where it goes on.
type listProgress struct {
	startedAfter, passed, current string // where it began, what it has passed, what it is at
}

// partial turns the end of a list's budget into the place where it goes on. What alone
// exceeds the whole budget of a query it leaves out.
func (p *listProgress) partial(err error) error {
	switch {
	case !errors.Is(err, ErrOverBudget):
		return err
	case p.passed == p.startedAfter && p.current == "": // not even the way to the first
		return err
	case p.passed == p.startedAfter:
		return &PartialListError{After: p.current, Skipped: p.current}
	}
	return &PartialListError{After: p.passed}
}
