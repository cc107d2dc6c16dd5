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
	malformed    problemKind = "malformed"
	badFraming   problemKind = "framing"
	badParameter problemKind = "parameter"
	notFound     problemKind = "not-found"
	badMethod    problemKind = "method"
	badMediaType problemKind = "media-type"
	slowBody     problemKind = "slow-body"
	tooLarge     problemKind = "too-large"
	invalid      problemKind = "invalid"
	unsupported  problemKind = "unsupported"
	forbidden    problemKind = "forbidden"
	conflict     problemKind = "conflict"
	logKeys      problemKind = "log-keys"
	unpublished  problemKind = "not-yet-published"
	longChain    problemKind = "chain-too-long"
	tooMuch      problemKind = "too-much-work"
	tooMany      problemKind = "too-many"
	tooEarly     problemKind = "too-early"
	overloaded   problemKind = "overloaded"
	noQuorum     problemKind = "no-quorum"
	clockBehind  problemKind = "clock"
	diskLow      problemKind = "disk-low"
	unknown      problemKind = "outcome-unknown"
	stopped      problemKind = "stopped"
	damaged      problemKind = "damaged"
	rebuilding   problemKind = "rebuilding"
	internal     problemKind = "internal"
)

// problemKinds gives each kind its status and its title (RFC 9457 section 3.1).
var problemKinds = map[problemKind]struct {
	status int
	title  string
}{
	malformed:    {http.StatusBadRequest, "The body is not a DSSE envelope or Sigstore bundle"},
	badFraming:   {http.StatusBadRequest, "Where the request ends is not clear"},
	badParameter: {http.StatusBadRequest, "A query parameter is wrong"},
	notFound:     {http.StatusNotFound, "There is no such thing on this ledger"},
	badMethod:    {http.StatusMethodNotAllowed, "This path does not take that method"},
	badMediaType: {http.StatusUnsupportedMediaType, "The media type is not one that this path takes"},
	slowBody:     {http.StatusRequestTimeout, "The body did not arrive in time"},
	tooLarge:     {http.StatusRequestEntityTooLarge, "The record is over a limit"},
	invalid:      {http.StatusUnprocessableEntity, "The record breaks the rules of its kind"},
	unsupported:  {http.StatusUnprocessableEntity, "This server does not know that kind of record"},
	forbidden:    {http.StatusForbidden, "The signatures do not permit this record"},
	conflict:     {http.StatusConflict, "The record does not follow the thread as it is"},
	logKeys:      {http.StatusConflict, "This log holds no key of the new policy"},
	unpublished:  {http.StatusConflict, "The record is committed but not yet published"},
	longChain:    {http.StatusUnprocessableEntity, "The chain is longer than a chain file may be"},
	tooMuch:      {http.StatusUnprocessableEntity, "The question is too large for this server"},
	tooMany:      {http.StatusTooManyRequests, "Too many records in a short time"},
	tooEarly:     {http.StatusServiceUnavailable, "The record is dated ahead of the ledger's clock"},
	overloaded:   {http.StatusServiceUnavailable, "The server is busy"},
	noQuorum:     {http.StatusServiceUnavailable, "Too few witnesses answer; the backlog is full"},
	clockBehind:  {http.StatusServiceUnavailable, "The server's clock is off"},
	diskLow:      {http.StatusServiceUnavailable, "The server's disk takes nothing more"},
	unknown:      {http.StatusServiceUnavailable, "The outcome is not known"},
	stopped:      {http.StatusServiceUnavailable, "The ledger takes no records"},
	damaged:      {http.StatusInternalServerError, "The server's disk is damaged"},
	rebuilding:   {http.StatusServiceUnavailable, "The register is being made anew"},
	internal:     {http.StatusInternalServerError, "The server failed"},
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

// refuse makes a problem of one sentence.
func refuse(k problemKind, format string, args ...any) *problem {
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

// fail answers with err. It is the only place where a client is told of a
// failure.
func (x *exchange) fail(err error) {
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
	body, err := json.Marshal(p.body(x.urn()))
	if err != nil {
		panic(err) // strings and integers alone
	}
	x.Writer.WriteHeader(p.status())
	x.Writer.Write(append(body, '\n'))
}
