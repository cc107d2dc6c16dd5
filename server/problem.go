package server

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
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
	problemTooMany        problemKind = "too-many"
	problemTooEarly       problemKind = "too-early"
	problemOverloaded     problemKind = "overloaded"
	problemNoQuorum       problemKind = "no-quorum"
	problemClock          problemKind = "clock"
	problemDiskLow        problemKind = "disk-low"
	problemOutcomeUnknown problemKind = "outcome-unknown"
	problemStopped        problemKind = "stopped"
	damaged               problemKind = "damaged"
	rebuilding            problemKind = "rebuilding"
	problemInternal       problemKind = "internal"
)

// problemKinds gives each kind its status and its title (RFC 9457 section 3.1).
var problemKinds = map[problemKind]struct {
	status int
	title  string
}{
	problemMalformed:      {http.StatusBadRequest, "The body is not a DSSE envelope or Sigstore bundle"},
	problemFraming:        {http.StatusBadRequest, "Where the request ends is not clear"},
	problemParameter:      {http.StatusBadRequest, "A query parameter is wrong"},
	problemNotFound:       {http.StatusNotFound, "There is no such thing on this ledger"},
	problemMethod:         {http.StatusMethodNotAllowed, "This path does not take that method"},
	problemMediaType:      {http.StatusUnsupportedMediaType, "The media type is not one that this path takes"},
	problemSlowBody:       {http.StatusRequestTimeout, "The body did not arrive in time"},
	problemTooLarge:       {http.StatusRequestEntityTooLarge, "The record is over a limit"},
	problemInvalid:        {http.StatusUnprocessableEntity, "The record breaks the rules of its kind"},
	problemUnsupported:    {http.StatusUnprocessableEntity, "This server does not know that kind of record"},
	problemForbidden:      {http.StatusForbidden, "The signatures do not permit this record"},
	problemConflict:       {http.StatusConflict, "The record does not follow the thread as it is"},
	problemLogKeys:        {http.StatusConflict, "This log holds no key of the new policy"},
	problemUnpublished:    {http.StatusConflict, "The record is committed but not yet published"},
	problemChainTooLong:   {http.StatusUnprocessableEntity, "The chain is longer than a chain file may be"},
	problemTooMuchWork:    {http.StatusUnprocessableEntity, "The question is too large for this server"},
	problemTooMany:        {http.StatusTooManyRequests, "Too many records in a short time"},
	problemTooEarly:       {http.StatusServiceUnavailable, "The record is dated ahead of the ledger's clock"},
	problemOverloaded:     {http.StatusServiceUnavailable, "The server is busy"},
	problemNoQuorum:       {http.StatusServiceUnavailable, "Too few witnesses answer; the backlog is full"},
	problemClock:          {http.StatusServiceUnavailable, "The server's clock is off"},
	problemDiskLow:        {http.StatusServiceUnavailable, "The server's disk takes nothing more"},
	problemOutcomeUnknown: {http.StatusServiceUnavailable, "The outcome is not known"},
	problemStopped:        {http.StatusServiceUnavailable, "The ledger takes no records"},
	damaged:               {http.StatusInternalServerError, "The server's disk is damaged"},
	rebuilding:            {http.StatusServiceUnavailable, "The register is being made anew"},
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
}

func (p *problem) body(instance string) problemJSON {
	b := problemJSON{
		Type:     "urn:docket:problem:" + string(p.kind),
		Title:    problemKinds[p.kind].title,
		Status:   p.status(),
		Detail:   p.detail,
		Instance: instance,
		Faults:   p.faults,
		Limit:    p.limit,
		Size:     p.size,
		Earliest: p.earliest,
		Index:    p.index,
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
	}
	body, err := json.Marshal(p.body(x.instanceURN()))
	if err != nil {
		panic(err) // strings and integers alone
	}
	x.Writer.WriteHeader(p.status())
	x.Writer.Write(append(body, '\n'))
}
