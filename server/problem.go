package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// problemKind is one row of the table below: what clients decide by. The type
// URI is "urn:docket:problem:" and the kind; kinds never change their meaning.
type problemKind string

const (
	problemMalformed      problemKind = "malformed"
	problemFraming        problemKind = "framing"
	problemParameter      problemKind = "parameter"
	problemNotFound       problemKind = "not-found"
	problemMethod         problemKind = "method"
	problemMediaType      problemKind = "media-type"
	problemSlowBody       problemKind = "slow-body"
	problemTooLarge       problemKind = "too-large"
	problemInvalid        problemKind = "invalid"
	problemUnsupported    problemKind = "unsupported"
	problemForbidden      problemKind = "forbidden"
	problemConflict       problemKind = "conflict"
	problemLogKeys        problemKind = "log-keys"
	problemUnpublished    problemKind = "not-yet-published"
	problemChainTooLong   problemKind = "chain-too-long"
	problemTooMuchWork    problemKind = "too-much-work"
	problemCosignature    problemKind = "cosignature"
	problemTooMany        problemKind = "too-many"
	problemTooEarly       problemKind = "too-early"
	problemOverloaded     problemKind = "overloaded"
	problemNoQuorum       problemKind = "no-quorum"
	problemClock          problemKind = "clock"
	problemDiskLow        problemKind = "disk-low"
	problemOutcomeUnknown problemKind = "outcome-unknown"
	problemStopped        problemKind = "stopped"
	problemDamaged        problemKind = "damaged"
	problemRebuilding     problemKind = "rebuilding"
	problemWriterAway     problemKind = "writer-away"
	problemLoop           problemKind = "loop"
	problemWithheld       problemKind = "withheld"
	problemInternal       problemKind = "internal"
)

// problemKinds gives each kind its status and its title (RFC 9457 section 3.1).
var problemKinds = map[problemKind]struct {
	status int
	title  string
}{
	problemMalformed:      {http.StatusBadRequest, "The body is not one that this path takes"},
	problemFraming:        {http.StatusBadRequest, "Where the request ends is not clear"},
	problemParameter:      {http.StatusBadRequest, "A query parameter is wrong"},
	problemNotFound:       {http.StatusNotFound, "There is no such thing on this ledger"},
	problemMethod:         {http.StatusMethodNotAllowed, "This path does not take that method"},
	problemMediaType:      {http.StatusUnsupportedMediaType, "The media type is not one that this path takes"},
	problemSlowBody:       {http.StatusRequestTimeout, "The body did not arrive in time"},
	problemTooLarge:       {http.StatusRequestEntityTooLarge, "The record is over a limit"},
	problemInvalid:        {http.StatusUnprocessableEntity, "The record breaks the rules of its kind"},
	problemUnsupported:    {http.StatusUnprocessableEntity, "This server does not know that kind of record"},
	problemForbidden:      {http.StatusForbidden, "The signatures do not permit this"},
	problemConflict:       {http.StatusConflict, "The record does not follow the thread as it is"},
	problemLogKeys:        {http.StatusConflict, "This log holds no key of the new policy"},
	problemUnpublished:    {http.StatusConflict, "The record is committed but not yet published"},
	problemChainTooLong:   {http.StatusUnprocessableEntity, "The chain is longer than a chain file may be"},
	problemTooMuchWork:    {http.StatusUnprocessableEntity, "The question is too large for this server"},
	problemCosignature:    {http.StatusUnprocessableEntity, "The cosignature is none of a checkpoint of this ledger"},
	problemTooMany:        {http.StatusTooManyRequests, "Too many records in a short time"},
	problemTooEarly:       {http.StatusServiceUnavailable, "The record is dated ahead of the ledger's clock"},
	problemOverloaded:     {http.StatusServiceUnavailable, "The server is busy"},
	problemNoQuorum:       {http.StatusServiceUnavailable, "Too few witnesses answer; the backlog is full"},
	problemClock:          {http.StatusServiceUnavailable, "The server's clock is off"},
	problemDiskLow:        {http.StatusServiceUnavailable, "The server's disk takes nothing more"},
	problemOutcomeUnknown: {http.StatusServiceUnavailable, "The outcome is not known"},
	problemStopped:        {http.StatusServiceUnavailable, "The ledger takes no records"},
	problemDamaged:        {http.StatusInternalServerError, "The server's disk is damaged"},
	problemRebuilding:     {http.StatusServiceUnavailable, "The register is being made anew"},
	problemWriterAway:     {http.StatusServiceUnavailable, "The ledger's writer is not reached"},
	problemLoop:           {http.StatusLoopDetected, "The request goes round in a circle"},
	problemWithheld:       {http.StatusUnavailableForLegalReasons, "The entry is withheld by this server"},
	problemInternal:       {http.StatusInternalServerError, "The server failed"},
}

// problem is an error as a client sees it (RFC 9457). Handlers return one, or an
// error of a package below, and [problemOf] makes it one.
type problem struct {
	kind   problemKind
	detail string

	// The extension members of section 7's table; zero values are left out.
	faults     []record.Fault
	limit      int
	size       int
	earliest   string
	current    record.ID
	index      *uint64
	retryAt    time.Time
	retryAfter time.Duration
	refusal    string // the signed note
	withheld   []Withheld
	leaf       string // base64
	proof      string // a tlog-proof without its extra line

	// cause is what the log gets and the client does not.
	cause error
}

func (p *problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %s: %v", p.kind, p.detail, p.cause)
	}
	return fmt.Sprintf("%s: %s", p.kind, p.detail)
}

func (p *problem) Unwrap() error { return p.cause }

func (p *problem) status() int { return problemKinds[p.kind].status }

// newProblem makes a problem of one sentence.
func newProblem(k problemKind, format string, args ...any) *problem {
	return &problem{kind: k, detail: fmt.Sprintf(format, args...)}
}

// problemJSON is the body of every answer that is not a success.
type problemJSON struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance,omitempty"`
	Faults   []record.Fault `json:"faults,omitempty"`
	Limit    int            `json:"limit,omitempty"`
	Size     int            `json:"size,omitempty"`
	Earliest string         `json:"earliest,omitempty"`
	Current  string         `json:"current,omitempty"`
	Index    *uint64        `json:"index,omitempty"`
	RetryAt  string         `json:"retryAt,omitempty"`
	Refusal  string         `json:"refusal,omitempty"`
	Withheld []Withheld     `json:"withheld,omitempty"`
	Leaf     string         `json:"leaf,omitempty"`
	Proof    string         `json:"proof,omitempty"`
}

func (p *problem) body(instance string) problemJSON {
	b := problemJSON{
		Type:     record.ProblemURN + string(p.kind),
		Title:    problemKinds[p.kind].title,
		Status:   p.status(),
		Detail:   p.detail,
		Instance: instance,
		Faults:   p.faults,
		Limit:    p.limit,
		Size:     p.size,
		Earliest: p.earliest,
		Index:    p.index,
		Refusal:  p.refusal,
		Withheld: p.withheld,
		Leaf:     p.leaf,
		Proof:    p.proof,
	}
	if !p.current.IsZero() {
		b.Current = p.current.String()
	}
	if !p.retryAt.IsZero() {
		b.RetryAt = p.retryAt.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return b
}

// retrySeconds is the Retry-After header's value: every 429 and 503 has one
// (RFC 9110 section 10.2.3), rounded up, so that who obeys it is not early again.
func (p *problem) retrySeconds() string {
	wait := p.retryAfter
	if !p.retryAt.IsZero() {
		wait = time.Until(p.retryAt)
	}
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// answerProblem answers with err. It is the only place where a client is told of a
// failure.
func (x *request) answerProblem(err error) {
	p := problemOf(err)
	x.problem = p
	h := x.Writer.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Encoding")
	h.Del("ETag")
	switch p.status() {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", p.retrySeconds())
	case http.StatusUnavailableForLegalReasons:
		h.Set("Link", `</>; rel="blocked-by"`) // RFC 7725 section 4: it is this server that does
	}
	body, err := json.Marshal(p.body(x.instanceURN()))
	if err != nil {
		panic(err) // strings and integers alone
	}
	x.Writer.WriteHeader(p.status())
	x.Writer.Write(append(body, '\n'))
}

// problemOf makes a problem of any error: the table of DESIGN.md section 7. What
// is neither a refusal nor one of the ledger's own words is the server's fault,
// of which the client learns nothing.
func problemOf(err error) *problem {
	var (
		p       *problem
		refusal *record.Refusal
		clock   *ledger.ClockError
		absent  *view.AbsentError
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
		return &problem{kind: problemDamaged, cause: err, detail: "what was asked for lies on a damaged part of the server's disk, and its operator was told; the rest goes on, and another server or mirror of this ledger may have it"}
	case errors.Is(err, ledger.ErrFold), register.IsDamaged(err):
		return retryable(problemRebuilding, 10*time.Second, err, "the register is damaged where it was asked, and is made anew from the entries; ask again, or send the same bytes again: nothing was written")
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
	case errors.Is(err, reader.ErrUnpublished):
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
		kind:     problemKind(r.Class.String()),
		detail:   r.Detail,
		faults:   r.Faults,
		limit:    r.Limit,
		size:     r.Size,
		earliest: r.Earliest,
		current:  r.Current,
		retryAt:  r.RetryAt,
	}
	if p.kind == "" {
		p.kind, p.detail, p.cause = problemInternal, "the cause is in the server's log, under this instance", fmt.Errorf("refusal of class %d: %w", int(r.Class), r)
	}
	return p
}

// retryable is a problem that passes by itself.
func retryable(k problemKind, wait time.Duration, cause error, detail string) *problem {
	return &problem{kind: k, detail: detail, retryAfter: wait, cause: cause}
}
