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
	register *Register
	r        reads
	size     uint64
	charters []charterTerms // below size, oldest first
	cosigned Cosigned       // nil: nobody says
}

// Now is the view of everything folded so far.
func (r *Register) Now() (*View, error) { return r.At(r.Size()) }

// At is the view at a size. One that the register has not reached is an error.
func (r *Register) At(size uint64) (*View, error) {
	if have := r.Size(); size > have {
		return nil, fmt.Errorf("as of size %d: the register has %s so far", size, Entries(have))
	}
	return &View{register: r, r: r.reads, size: size, charters: r.termsBelow(size)}, nil
}

// Size is the number of entries that the view sees.
func (v *View) Size() uint64 { return v.size }

// clock asks as of an instant, in the time zone of the charter that was in force then.
// An empty ledger has no time zone and no records to ask about.
func (v *View) clock(at time.Time) clock {
	return clock{at: at, charters: v.charters}.zoned()
}

// whole is that clock for what stands in the view at the instant: all its records
// were there, whatever their admission times say.
func (v *View) whole(at time.Time) clock {
	return clock{at: at, charters: v.charters, there: v.size}.zoned()
}

// Today is the civil date of an instant in the charter's time zone.
func (v *View) Today(at time.Time) record.Date { return v.clock(at).today() }

// Ahead tells whether an instant is of a day to come: what nobody has recorded yet is
// told as not recorded.
func (v *View) Ahead(at, now time.Time) bool { return v.Today(at).After(v.Today(now)) }

// AbsentError says that the view has no such thing. Over a replayed copy that is
// a proof: every entry was seen.
type AbsentError struct {
	What string // "designation 2026-099", "record 3fa9…"
	Size uint64
	Hint string // `; did you mean "2026-014"?`, or nothing
}

func (e *AbsentError) Error() string {
	return fmt.Sprintf("no %s: no such record among all %s%s", e.What, Entries(e.Size), e.Hint)
}

func (v *View) absent(format string, args ...any) error {
	return &AbsentError{What: fmt.Sprintf(format, args...), Size: v.size}
}

// Entries is a number of entries as a sentence says it: "1 entry", "7,379 entries".
func Entries(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " entries"
}
