package register

import (
	"errors"
	"fmt"
)

// Work is how much one question may read of the register: rows, and the bytes of
// their keys and values. Whoever asks on behalf of strangers sets it; what it does not
// reach ends in a place from which to go on ([MoreError]), never in a scan without end.
type Work struct {
	Rows, Bytes int
}

// Within is the view with a bound on the work of all questions that are asked of it
// together. It belongs to one goroutine.
func (v *View) Within(w Work) *View {
	bounded := *v
	bounded.r.work = &w
	return &bounded
}

// aside asks what an answer has by the way, with at most a quarter of its work; where
// that does not reach, cut gets the name of the list.
func (v *View) aside(name string, cut *[]string, ask func(*View) error) error {
	part := v
	if left := v.r.work; left != nil {
		part = v.Within(Work{left.Rows / 4, left.Bytes / 4})
		given := *part.r.work
		defer func() {
			left.Rows -= given.Rows - part.r.work.Rows
			left.Bytes -= given.Bytes - part.r.work.Bytes
		}()
	}
	err := ask(part)
	if more := (*MoreError)(nil); errors.As(err, &more) || errors.Is(err, ErrTooMuch) {
		*cut, err = append(*cut, name), nil
	}
	return err
}

// ErrTooMuch: a question about one thing needs more work than it may take. Whoever has
// a replayed copy can ask that, without a bound.
var ErrTooMuch = errors.New("the question needs more work than one may take here")

// MoreError says that a list took all the work that it may before it ended: what it
// yielded is right, and After is where it goes on.
type MoreError struct {
	After string // as the filter takes it
	// Skipped is what the list left out, since it alone needs more than all the work
	// of one question; "" if nothing.
	Skipped string
}

func (e *MoreError) Error() string {
	return fmt.Sprintf("the list goes on after %q: it needs more work than one question may take", e.After)
}

// spend counts one row, and refuses it where the question's work is used up.
func (r reads) spend(bytes int) error {
	r.rows.Add(1)
	if r.work == nil {
		return nil
	}
	r.work.Rows--
	r.work.Bytes -= bytes
	if r.work.Rows < 0 || r.work.Bytes < 0 {
		return ErrTooMuch
	}
	return nil
}

// toil counts work in memory that grows with what was read, as rows.
func (r reads) toil(n int) error {
	if r.work == nil {
		return nil
	}
	if r.work.Rows -= n; r.work.Rows < 0 {
		return ErrTooMuch
	}
	return nil
}

// RowsRead counts the rows that were read since the register was made, by everybody.
func (r *Register) RowsRead() uint64 { return r.rows.Load() }

// progress remembers how far a list has come, for the place where it goes on.
type progress struct {
	begun, passed, at string // where it began, what it has passed, what it is at
}

// more makes a list's end of used up work the place where it goes on. What it cannot
// pass with all the work of a question it leaves out.
func (p *progress) more(err error) error {
	switch {
	case !errors.Is(err, ErrTooMuch):
		return err
	case p.passed == p.begun && p.at == "": // not even the way to the first
		return err
	case p.passed == p.begun:
		return &MoreError{After: p.at, Skipped: p.at}
	}
	return &MoreError{After: p.passed}
}
