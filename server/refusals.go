package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// problemOf makes a problem of any error: the table of DESIGN.md section 7. What
// is neither a refusal nor one of the ledger's own words is the server's fault,
// of which the client learns nothing.
func problemOf(err error) *problem {
	var (
		p       *problem
		refusal *record.Refusal
		clock   *ledger.ClockError
		absent  *register.AbsentError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return problemOfRefusal(refusal)
	case errors.As(err, &absent):
		return newProblem(problemNotFound, "%s", absent)
	case errors.Is(err, register.ErrOverBudget):
		return newProblem(problemTooMuchWork, "the answer needs more work than this server does for one question: ask a replayed copy instead, which has no such bound (docket sync, docket show)")
	case errors.Is(err, ledger.ErrRollback), errors.Is(err, ledger.ErrUnprovenClaim):
		return retryable(problemStopped, time.Minute, err, "the ledger's store does not hold what this log has signed, so that it signs nothing more; its operator has to act; nothing was written")
	case errors.Is(err, ledger.ErrStopped) && damage(err):
		return retryable(problemStopped, time.Minute, err, "the ledger's disk is damaged where it has to be read to go on, so that it signs nothing more; its operator has to act; nothing was written, reads go on")
	case errors.Is(err, ledger.ErrCorrupt):
		return &problem{kind: damaged, cause: err, detail: "what was asked for lies on a damaged part of the server's disk, and its operator was told; the rest goes on, and another server or mirror of this ledger may have it"}
	case errors.Is(err, ledger.ErrFold), register.IsDamaged(err):
		return retryable(rebuilding, 10*time.Second, err, "the register is damaged where it was asked, and is made anew from the entries; ask again, or send the same bytes again: nothing was written")
	case errors.Is(err, ledger.ErrStopped): // also when it stopped for an unknown outcome: that was another's
		return retryable(problemStopped, 10*time.Second, err, "the ledger accepts nothing until it is reopened; nothing was written, send the same bytes again")
	case errors.Is(err, ledger.ErrUnknown):
		return retryable(problemOutcomeUnknown, 5*time.Second, err, "the record may or may not be in the log; send the same bytes again, and it is there once")
	case errors.Is(err, ledger.ErrBusy):
		return retryable(problemOverloaded, time.Second, err, "too many records wait to be committed; nothing was written, send the same bytes again")
	case errors.As(err, &clock): // before the quorum, which was asked for the clock's sake
		return ofClock(clock, err)
	case errors.Is(err, ledger.ErrBacklog), errors.Is(err, ledger.ErrNoQuorum):
		return retryable(problemNoQuorum, 30*time.Second, err, "too many records wait for the witnesses' quorum; nothing was written, send the same bytes again")
	case errors.Is(err, ledger.ErrUnpublished):
		p := newProblem(problemNotFound, "not below the published size")
		p.cause = err
		return p
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return retryable(problemOverloaded, time.Second, err, "there was no answer in time; ask again")
	}
	return &problem{kind: problemInternal, detail: "the cause is in the server's log, under this instance", cause: err}
}

// maxClockWait bounds the Retry-After of a clock that is behind the newest entry: it may
// be mended at any moment, and by itself it can take years.
const maxClockWait = 10 * time.Minute

// ofClock says against what the clock is off, and when it is worth to try again: when it
// has caught up with the newest entry, or once the witnesses have been asked anew, which
// the next submission does.
func ofClock(c *ledger.ClockError, err error) *problem {
	reason, wait := c.Reason, 5*time.Second
	switch {
	case !c.Until.IsZero():
		wait = min(time.Until(c.Until), maxClockWait)
	case errors.Is(err, ledger.ErrNoQuorum):
		reason, wait = reason+": too few of them answer", 15*time.Second
	}
	return retryable(problemClock, wait, err, "the server's clock is off: "+reason+"; nothing was written, send the same bytes again")
}

// damage tells whether an error comes of a damaged disk.
func damage(err error) bool {
	return errors.Is(err, ledger.ErrCorrupt) || errors.Is(err, ledger.ErrFold) || register.IsDamaged(err)
}

// problemOfRefusal is the part of the table that concerns the record itself. A refusal
// is made for people and for the client, so all of it goes out.
func problemOfRefusal(r *record.Refusal) *problem {
	p := &problem{
		detail:   r.Detail,
		faults:   r.Faults,
		limit:    r.Limit,
		size:     r.Size,
		earliest: r.Earliest,
		current:  r.Current,
		retryAt:  r.RetryAt,
	}
	switch r.Class {
	case record.Malformed:
		p.kind = problemMalformed
	case record.TooLarge:
		p.kind = problemTooLarge
	case record.Invalid:
		p.kind = problemInvalid
	case record.Forbidden:
		p.kind = problemForbidden
	case record.Conflict:
		p.kind = problemConflict
	case record.TooEarly:
		p.kind = problemTooEarly
	case record.Unsupported:
		p.kind = problemUnsupported
	default:
		p.kind, p.detail, p.cause = problemInternal, "the cause is in the server's log, under this instance", fmt.Errorf("refusal of class %d: %w", r.Class, r)
	}
	return p
}

// retryable is a problem that passes by itself.
func retryable(k problemKind, wait time.Duration, cause error, detail string) *problem {
	return &problem{kind: k, detail: detail, retryAfter: wait, cause: cause}
}
