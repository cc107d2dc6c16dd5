package customers

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
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// problemKind is a row of the table below; the type URI is "urn:docket:problem:" and the kind.
type problemKind string

const (
	problemMalformed      problemKind = "malformed"
	problemUnknown        problemKind = "unknown-client"
	problemForbidden      problemKind = "forbidden"
	problemNotFound       problemKind = "not-found"
	problemTooLarge       problemKind = "too-large"
	problemInvalid        problemKind = "invalid"
	problemConflict       problemKind = "conflict"
	problemWrongKey       problemKind = "wrong-key"
	problemNotLedUp       problemKind = "not-led-up"
	problemTooMany        problemKind = "too-many"
	problemLocked         problemKind = "locked"
	problemOverloaded     problemKind = "overloaded"
	problemUnsigned       problemKind = "unsigned-period"
	problemOutcomeUnknown problemKind = "outcome-unknown"
	problemStopped        problemKind = "stopped"
	problemDamaged        problemKind = "damaged"
	problemInternal       problemKind = "internal"
)

// problemKinds gives each kind its status and its title (RFC 9457 section 3.1).
var problemKinds = map[problemKind]struct {
	status int
	title  string
}{
	problemMalformed:      {http.StatusBadRequest, "The body is not one that this path takes"},
	problemUnknown:        {http.StatusUnauthorized, "Who asks is not known"},
	problemForbidden:      {http.StatusForbidden, "The client has not the role for this"},
	problemNotFound:       {http.StatusNotFound, "There is no such thing in this log"},
	problemTooLarge:       {http.StatusRequestEntityTooLarge, "The request is over a limit"},
	problemInvalid:        {http.StatusUnprocessableEntity, "What was sent breaks its schema"},
	problemConflict:       {http.StatusConflict, "It does not fit the log as it is"},
	problemNotLedUp:       {http.StatusConflict, "The log does not lead up to its newest public record"},
	problemWrongKey:       {http.StatusForbidden, "That key does not open the vault"},
	problemTooMany:        {http.StatusTooManyRequests, "Too many requests in a short time"},
	problemLocked:         {http.StatusServiceUnavailable, "The vault is locked"},
	problemOverloaded:     {http.StatusServiceUnavailable, "The server is busy"},
	problemUnsigned:       {http.StatusServiceUnavailable, "The newest period's checkpoint is not signed yet"},
	problemOutcomeUnknown: {http.StatusServiceUnavailable, "The outcome is not known"},
	problemStopped:        {http.StatusServiceUnavailable, "The log takes nothing more"},
	problemDamaged:        {http.StatusInternalServerError, "The log's disk is damaged"},
	problemInternal:       {http.StatusInternalServerError, "The server failed"},
}

// problem is an error as a client sees it (RFC 9457).
type problem struct {
	kind       problemKind
	detail     string
	faults     []record.Fault
	retryAfter time.Duration
	events     []Outcome
	cause      error // what the log gets and the client does not
}

func (p *problem) Error() string { return string(p.kind) + ": " + p.detail }
func (p *problem) Unwrap() error { return p.cause }
func (p *problem) status() int   { return problemKinds[p.kind].status }

func newProblem(k problemKind, format string, args ...any) *problem {
	return &problem{kind: k, detail: fmt.Sprintf(format, args...)}
}

// Problem is the body of every answer that is no success.
type Problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance,omitempty"`
	Faults   []record.Fault `json:"faults,omitempty"`
	Events   []Outcome      `json:"events,omitempty"` // of a batch: what became of each
}

// fail answers with an error. It is the only place where a client is told of a failure.
func (x *request) fail(err error) {
	p := problemOf(err)
	x.failed = p
	if p.kind == problemUnknown {
		x.Header().Set("WWW-Authenticate", `Bearer realm="docket customers"`)
	}
	writeProblem(x, p, x.server.instance(x))
}

func writeProblem(w http.ResponseWriter, p *problem, instance string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if s := p.status(); s == http.StatusServiceUnavailable || s == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.retryAfter.Seconds())))))
	}
	body, err := json.Marshal(Problem{
		Type: record.ProblemURN + string(p.kind), Title: problemKinds[p.kind].title, Status: p.status(), Detail: p.detail,
		Instance: instance, Faults: p.faults, Events: p.events,
	})
	if err != nil {
		panic(err) // texts and numbers alone
	}
	w.WriteHeader(p.status())
	w.Write(append(body, '\n'))
}

// refuse answers what never reaches a handler.
func refuse(w http.ResponseWriter, _ *http.Request, status int, words string) {
	kind := problemMalformed
	if status == http.StatusServiceUnavailable {
		kind = problemOverloaded
	}
	writeProblem(w, newProblem(kind, "%s", words), "")
}

// problemOf makes a problem of any error. What is neither a refusal nor one of the log's own
// words is the server's fault, of which the client learns nothing.
func problemOf(err error) *problem {
	var p *problem
	var refusal *record.Refusal
	var large *http.MaxBytesError
	again := func(k problemKind, wait time.Duration, detail string) *problem {
		return &problem{kind: k, detail: detail, retryAfter: wait, cause: err}
	}
	if p := disclosureProblem(err); p != nil {
		return p
	}
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		kind := problemKind(refusal.Class.String())
		if _, ok := problemKinds[kind]; !ok {
			kind = problemInvalid
		}
		return &problem{kind: kind, detail: refusal.Detail, faults: refusal.Faults}
	case errors.As(err, &large):
		return newProblem(problemTooLarge, "the body is larger than %d bytes", large.Limit)
	case errors.Is(err, errUnknown):
		return newProblem(problemUnknown, "%v", errUnknown)
	case errors.Is(err, vault.ErrLocked):
		return again(problemLocked, time.Minute, "the vault is locked: nothing is read and nothing was taken in; docket customers unlock opens it, then send the same again")
	case errors.Is(err, vault.ErrNoCustomer):
		return newProblem(problemNotFound, "there is no such customer, or it is erased")
	case errors.Is(err, vault.ErrWrongKey):
		return newProblem(problemWrongKey, "%v", err)
	case errors.Is(err, private.ErrTooMany):
		return newProblem(problemTooLarge, "%v", err)
	case errors.Is(err, programme.ErrCursor):
		return newProblem(problemMalformed, "%v", err)
	case errors.Is(err, private.ErrPeriod):
		return newProblem(problemConflict, "%v", err)
	case errors.Is(err, private.ErrUnpublished):
		return again(problemUnsigned, 30*time.Second, "the newest period's checkpoint is not signed yet, and nothing is taken in before it is: docket customers publish tries it again")
	case errors.Is(err, ledger.ErrCorrupt):
		return &problem{kind: problemDamaged, cause: err, detail: "what was asked for lies on a damaged part of the disk: bring back a backup of data/ and log/"}
	case errors.Is(err, ledger.ErrStopped):
		return again(problemStopped, 10*time.Second, "the log takes nothing more before it is opened anew; send the same again then")
	case errors.Is(err, ledger.ErrUnknown):
		return again(problemOutcomeUnknown, 5*time.Second, "the events may or may not be in the log; send the same again, and they are there once")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return again(problemOverloaded, time.Second, "there was no answer in time; ask again")
	}
	return &problem{kind: problemInternal, detail: "the cause is in the server's log, under this instance", cause: err}
}
