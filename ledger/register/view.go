package register

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// View answers questions from the register as it was at one size. It stays what
// it is while the register grows; a Reset or Close of the register ends it. What
// depends on the clock is asked with a time, and every answer names the records
// that it rests on, so that each can be proven.
type View struct {
	register        *Register
	rows            rowReader
	size            uint64
	charters        []charterTerms  // below size, oldest first
	checkpointTimes CheckpointTimes // nil: nobody says
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

// Ahead tells whether an instant is of a day to come: what nobody has recorded yet is
// told as not recorded.
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
