package register

import (
	"errors"
	"fmt"
)

// ReadBudget is how much one question may read of the register: rows, and the bytes of
// their keys and values. Whoever asks on behalf of strangers sets it; what it does not
// reach ends in a place from which to go on ([PartialListError]), never in a scan without end.
type ReadBudget struct {
	Rows, Bytes int
}

// WithBudget is the view with a bound on the work of all questions that are asked of it
// together. It belongs to one goroutine.
func (v *View) WithBudget(w ReadBudget) *View {
	bounded := *v
	bounded.rows.budget = &w
	return &bounded
}

// partialQuery asks what an answer has by the way, with at most a quarter of its work; where
// that does not reach, cut gets the name of the list.
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

// ErrOverBudget: a question about one thing needs more work than it may take. Whoever has
// a replayed copy can ask that, without a bound.
var ErrOverBudget = errors.New("the question needs more work than one may take here")

// PartialListError says that a list took all the work that it may before it ended: what it
// yielded is right, and After is where it goes on.
type PartialListError struct {
	After string // as the filter takes it
	// Skipped is what the list left out, since it alone needs more than all the work
	// of one question; "" if nothing.
	Skipped string
}

func (e *PartialListError) Error() string {
	return fmt.Sprintf("the list goes on after %q: it needs more work than one question may take", e.After)
}

// chargeRow counts one row, and refuses it where the question's work is used up.
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

// chargeCompute counts work in memory that grows with what was read, as rows.
func (r rowReader) chargeCompute(n int) error {
	if r.budget == nil {
		return nil
	}
	if r.budget.Rows -= n; r.budget.Rows < 0 {
		return ErrOverBudget
	}
	return nil
}

// RowsRead counts the rows that were read since the register was made, by everybody.
func (r *Register) RowsRead() uint64 { return r.rowsRead.Load() }

// listProgress remembers how far a list has come, for the place where it goes on.
type listProgress struct {
	startedAfter, passed, current string // where it began, what it has passed, what it is at
}

// partial makes a list's end of used up work the place where it goes on. What it cannot
// pass with all the work of a question it leaves out.
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
