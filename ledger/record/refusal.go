package record

import (
	"fmt"
	"time"
)

// RefusalClass says which kind of "no" a refusal is, so that every face (HTTP, command
// line, dry run) treats it alike (DESIGN.md section 7).
type RefusalClass int

const (
	Malformed   RefusalClass = iota + 1 // not JSON, not an envelope: 400
	TooLarge                            // over a limit; Limit and Size are set: 413
	Invalid                             // a field breaks its kind's rules; Faults are set: 422
	Forbidden                           // signature, key or number of holders: 403
	Conflict                            // stale follows, step not allowed, draft period over: 409
	TooEarly                            // issuedAt ahead of the ledger's clock; RetryAt is set: 503
	Unsupported                         // a kind or rules version that this binary lacks: 422, "upgrade"
)

// Refusal is why one record is not admitted. It concerns that record alone and
// leaves no trace in the log.
type Refusal struct {
	Class  RefusalClass
	Detail string  // one sentence for people, lower case, saying what to do next where that helps
	Faults []Fault // Invalid: each field at fault

	Current   ID        // Conflict: the thread's newest record, zero if none
	RetryAt   time.Time // TooEarly: the instant at which the same envelope becomes fine
	Earliest  string    // Invalid, Conflict: the earliest civil date allowed, "2006-01-02"
	Transient bool      // Invalid: the day, a charter or what is recorded on other threads may yet heal it
	Limit     int       // TooLarge: bytes allowed (signatures, where Detail counts those)
	Size      int       // TooLarge: bytes seen (likewise)
}

// Fault is one field at fault. Pointer is a JSON Pointer (RFC 6901) from the
// statement's root ("/predicate/target/country"); "" is the statement itself.
type Fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (f Fault) String() string {
	if f.Pointer == "" {
		return f.Detail
	}
	return f.Pointer + ": " + f.Detail
}

func (r *Refusal) Error() string {
	switch len(r.Faults) {
	case 0:
		return r.Detail
	case 1:
		return fmt.Sprintf("%s: %s", r.Detail, r.Faults[0])
	}
	return fmt.Sprintf("%s: %s (and %d more)", r.Detail, r.Faults[0], len(r.Faults)-1)
}

// Refuse makes a refusal of one sentence.
func Refuse(c RefusalClass, format string, args ...any) *Refusal {
	return &Refusal{Class: c, Detail: fmt.Sprintf(format, args...)}
}
