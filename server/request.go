package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server/front"
)

// request is one HTTP request while it is handled: gin's context, and what the request
// log and the metrics report afterwards.
type request struct {
	*gin.Context
	server      *Server
	serial      uint64
	index       *uint64  // of the record that the request is about, where known
	problem     *problem // the failure that was answered, nil if none
	page        bool     // answers people, see [request.parseParams]
	releaseTurn func()   // gives back the request's slot of a limiter, nil if it has none
}

// handler answers one request: decode, call, encode. An error becomes a problem.
type handler func(*request) error

// acquire waits for a slot of a limiter, which is held until release. A request holds
// at most one slot.
func (x *request) acquire(g *concurrencyLimiter) error {
	if err := g.acquire(x.Request.Context()); err != nil {
		return err
	}
	x.releaseTurn = g.release
	return nil
}

// release gives back the request's slot, if it has one.
func (x *request) release() {
	if x.releaseTurn != nil {
		x.releaseTurn()
		x.releaseTurn = nil
	}
}

// setIndex notes the index of the record that the request is about.
func (x *request) setIndex(index uint64) { x.index = &index }

// instanceURN identifies the request in problems (RFC 9457 "instance") and in the log.
func (x *request) instanceURN() string {
	return "urn:docket:request:" + x.server.processID + "-" + strconv.FormatUint(x.serial, 10)
}

// ginHandler makes a gin handler of h: the answer, then one line in the log.
// fail says how an error is shown: as a problem, or as a page for people.
func (s *Server) ginHandler(route string, h handler, fail func(*request, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		x := &request{Context: c, server: s, serial: s.requestCount.Add(1)}
		c.Writer.Header()["X-Content-Type-Options"] = nosniff
		front.LetPagesRead(c.Writer.Header(), c.Request.Method, corsExposed)
		defer func() {
			if err := recover(); err != nil {
				if err == http.ErrAbortHandler {
					panic(err)
				}
				x.answerPanic(err, fail)
			}
			s.logAndCount(x, route, time.Since(start))
		}()
		s.setReplicaHeader(c.Writer.Header())
		s.cfg.Ledger.withheld.now() // before the register is asked
		err := s.refuseStopped(route)
		if err == nil {
			err = h(x)
		}
		if err != nil {
			fail(x, err)
		}
	}
}

var nosniff = []string{"nosniff"}

// answerPanic answers for a handler that panicked. The process goes on; the log has
// what an operator must look at.
func (x *request) answerPanic(reason any, fail func(*request, error)) {
	err := fmt.Errorf("panic: %v", reason)
	x.server.log.Error("panic in a handler", "err", err, "stack", string(debug.Stack()))
	if !x.Writer.Written() {
		fail(x, err)
	}
}

// logAndCount writes the request log's one line, unless there are too many, and counts.
func (s *Server) logAndCount(x *request, route string, took time.Duration) {
	status := x.Writer.Status()
	s.metrics.countRequest(route, x.Request.Method, status, took)
	level, lines := slog.LevelInfo, s.requestLog
	if x.problem != nil {
		s.metrics.countProblem(x.problem.kind)
		if x.problem.kind == problemInternal || x.problem.kind == problemStopped || x.problem.kind == problemDamaged {
			level, lines = slog.LevelError, s.faultLog
		}
	}
	if !s.log.Enabled(context.Background(), level) || !lines.allow(status == http.StatusCreated) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", knownMethod(x.Request.Method)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int("bytes", max(0, x.Writer.Size())),
		slog.String("duration", took.Round(time.Microsecond).String()),
		slog.Uint64("request", x.serial),
	)
	if x.index != nil {
		attrs = append(attrs, slog.Uint64("index", *x.index))
	}
	if x.problem != nil {
		attrs = append(attrs, slog.String("problem", string(x.problem.kind)))
		if x.problem.cause != nil {
			attrs = append(attrs, slog.Any("err", x.problem.cause))
		}
	}
	lines.log(s.log, level, attrs)
}

// knownMethod keeps a made-up method out of logs and labels.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost:
		return m
	}
	return "other"
}

// answerBytes sends a complete body. Its size counts towards the answer memory until it
// is sent, and the limiter's slot is released first: a slow reader holds no slot.
func (x *request) answerBytes(status int, media string, body []byte) error {
	sent, err := x.server.answerMemory.reserve(x.server.address(x), len(body), x.abort)
	if err != nil {
		return err
	}
	defer sent()
	x.release()
	h := x.Writer.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.Writer.WriteHeader(status)
	x.Writer.Write(body) // an error means that the client is gone
	return nil
}

// abort ends the answer before it is complete; the client sees that it is truncated.
func (x *request) abort() {
	http.NewResponseController(x.Writer).SetWriteDeadline(time.Unix(1, 0)) // one that cannot be broken off goes on
}

// answerUnzipped answers with what a gzip stream holds, unpacked while it is sent.
func (x *request) answerUnzipped(media string, zipped []byte) error {
	raw, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return fmt.Errorf("unpacking the answer: %w", err)
	}
	sent, err := x.server.answerMemory.reserve(x.server.address(x), len(zipped), x.abort)
	if err != nil {
		return err
	}
	defer sent()
	x.release()
	x.Writer.Header()["Content-Type"] = []string{media}
	x.Writer.WriteHeader(http.StatusOK)
	if x.Request.Method != http.MethodHead {
		io.Copy(x.Writer, raw) // what was packed here unpacks; an error means that the client is gone
	}
	return nil
}

// answerJSON answers with a value that says what may change until the next time.
func (x *request) answerJSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	h := x.Writer.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", cacheRevalidate)
	}
	return x.answerBytes(status, typeJSON, append(body, '\n'))
}

// answerEmbedded answers with a file of this binary, which changes with it alone.
func (x *request) answerEmbedded(media string, body []byte, tag string) error {
	h := x.Writer.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", tag)
	if etagMatches(x.Request.Header.Get("If-None-Match"), tag) {
		x.Status(http.StatusNotModified)
		return nil
	}
	return x.answerBytes(http.StatusOK, media, body)
}

// A page of a list has defaultLimit items unless ?limit= says otherwise, up to maxLimit.
const (
	defaultLimit = 100
	maxLimit     = 1000

	pageLimit = 50 // of a page for people, which has at most 60 kB
)

// params reads the query parameters of one request. Each may be given once. The first
// fault is kept; callers check firstFault once, at the end.
type params struct {
	path   string // of the request
	values url.Values
	err    *problem
}

// parseParams reads the parameters that are known. An unknown one is refused by the API,
// so that a typing error is not taken for "no filter", and dropped by a page, which shows
// its filters: mail programs and social networks append their own to the links that
// people send each other.
func (x *request) parseParams(known ...string) *params {
	q := &params{path: x.Request.URL.EscapedPath()}
	if x.Request.URL.RawQuery == "" {
		return q
	}
	values, err := url.ParseQuery(x.Request.URL.RawQuery)
	if err != nil {
		q.err = newProblem(problemParameter, "the query is not well-formed: percent-encode names and values, and join them with &")
		return q
	}
	q.values = values
	for name, given := range values {
		switch isKnown := slices.Contains(known, name); {
		case !isKnown && x.page:
			delete(values, name)
		case !isKnown:
			q.addFault(name, "is not a parameter of this path; it takes %s", joinOrNone(known))
		case len(given) > 1:
			q.addFault(name, "is given %d times", len(given))
		}
	}
	return q
}

func joinOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (q *params) addFault(name, format string, args ...any) {
	if q.err == nil {
		q.err = newProblem(problemParameter, "?%s "+format, append([]any{clipText(name)}, args...)...)
	}
}

// firstFault is the first fault, nil if there was none.
func (q *params) firstFault() error {
	if q.err == nil {
		return nil
	}
	return q.err
}

func (q *params) has(name string) bool { return q.values.Has(name) }

func (q *params) text(name string) string { return q.values.Get(name) }

// oneOf reads a word of a closed set; "" if the parameter is absent.
func (q *params) oneOf(name string, words ...string) string {
	v := q.values.Get(name)
	if q.has(name) && !slices.Contains(words, v) {
		q.addFault(name, "is %q; it is one of %s", clipText(v), strings.Join(words, ", "))
	}
	return v
}

// oneOf is [params.oneOf] for the words of a type.
func oneOf[T ~string](q *params, name string, words []T) T {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return T(q.oneOf(name, all...))
}

func (q *params) flag(name string) bool {
	return q.oneOf(name, "true", "false") == "true"
}

// country reads the code of a country, however it is written; "" if the parameter is
// absent. What is read stands in its place from then on.
func (q *params) country(name string) string {
	if !q.has(name) {
		return ""
	}
	code, err := register.Country(clipText(q.values.Get(name)))
	if err != nil {
		q.addFault(name, "is not understood: %v", err)
		return ""
	}
	q.values.Set(name, code)
	return code
}

// number reads a decimal integer without leading zeros; absent if there is none.
func (q *params) number(name string, absent uint64) uint64 {
	v := q.values.Get(name)
	if !q.has(name) {
		return absent
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != v {
		q.addFault(name, "is %q; it is a decimal integer", clipText(v))
		return absent
	}
	return n
}

func (q *params) limit(absent uint64) int {
	n := q.number("limit", absent)
	if n < 1 || n > maxLimit {
		q.addFault("limit", "is %d; it is from 1 to %d", n, maxLimit)
	}
	return int(n)
}

// time reads RFC 3339, or a civil date, of which moment knows what instant it means. The
// zero time if the parameter is absent.
func (q *params) time(name string, moment func(record.Date) time.Time) time.Time {
	v := q.values.Get(name)
	if !q.has(name) {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, v); err == nil && strings.HasSuffix(v, "Z") {
		return t.UTC()
	}
	if d, err := record.ParseDate(v); err == nil {
		return moment(d)
	}
	q.addFault(name, "is %q; it is an instant like 2027-06-01T00:00:00Z or a date like 2027-06-01", clipText(v))
	return time.Time{}
}

// cursor reads a parameter that is the cursor of an earlier page of that list; the zero
// cursor without one.
func (q *params) cursor(name string, list byte) cursor {
	if !q.has(name) {
		return cursor{list: list}
	}
	c, err := parseCursor(list, q.values.Get(name))
	if err != nil {
		q.addCursorFault(name)
	}
	return c
}

func (q *params) addCursorFault(name string) {
	q.addFault(name, "is not a cursor of this list; take it from \"next\" of the page before")
}

// Media types that the ledger takes and gives.
const (
	typeJSON     = "application/json"
	typeEnvelope = "application/vnd.dsse.envelope.v1+json" // as cosign and OCI registries call it; DSSE has no name
	typeBundle   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	typeText     = "text/plain; charset=utf-8"
	typeOctets   = "application/octet-stream"
)

// typeAttestation is the name that in-toto has for one attestation in an envelope (its
// attestation framework, envelope, "Storage convention"). It names the predicate, which
// consumers are told not to rely upon.
var typeAttestation = regexp.MustCompile(`^application/vnd\.in-toto\.[a-z0-9._-]+\+dsse$`)

// checkMediaType refuses a body that does not say it is an envelope or a
// bundle. Which of the two it is, its own members say.
func checkMediaType(x *request) error {
	if enc := x.Request.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return newProblem(problemMediaType, "content encoding %q: send the record as it is", clipText(enc))
	}
	given := x.Request.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	charset, hasCharset := params["charset"]
	known := media == typeJSON || media == typeEnvelope || media == typeBundle || typeAttestation.MatchString(media)
	if err == nil && known && (!hasCharset || strings.EqualFold(charset, "utf-8")) {
		return nil
	}
	x.Header("Accept", typeJSON+", "+typeEnvelope+", "+typeBundle)
	words := ""
	if media == record.PayloadType {
		words = " is a statement without its signatures"
	}
	return newProblem(problemMediaType, "%q%s: send a DSSE envelope as %s or %s, or a Sigstore bundle as %s", clipText(given), words, typeJSON, typeEnvelope, typeBundle)
}

// bodyPool pools the buffers that request bodies are read into. No buffer is larger
// than the limit, so it holds at most one such buffer a connection.
type bodyPool struct {
	limit int
	pool  sync.Pool
}

func newBodyPool(limit int) *bodyPool {
	return &bodyPool{limit: limit, pool: sync.Pool{New: func() any {
		b := make([]byte, 0, 4096)
		return &b
	}}}
}

// read reads the whole body, at most limit bytes of it. The bytes are good until
// the buffer is put back.
func (b *bodyPool) read(r *http.Request) (*[]byte, error) {
	if r.ContentLength > int64(b.limit) {
		return nil, b.tooLarge(int(r.ContentLength), "")
	}
	buf := b.pool.Get().(*[]byte)
	data := (*buf)[:0]
	for {
		if len(data) == cap(data) {
			data = slices.Grow(data, cap(data)) // twice as much: copies are garbage
		}
		n, err := r.Body.Read(data[len(data):min(cap(data), b.limit+1)])
		data = data[:len(data)+n]
		*buf = data
		switch {
		case len(data) > b.limit:
			b.put(buf)
			return nil, b.tooLarge(len(data), "at least ")
		case err == io.EOF:
			return buf, nil
		case err != nil:
			b.put(buf)
			return nil, problemOfBody(err)
		}
	}
}

func (b *bodyPool) put(buf *[]byte) {
	*buf = (*buf)[:0]
	b.pool.Put(buf)
}

func (b *bodyPool) tooLarge(size int, atLeast string) *problem {
	p := newProblem(problemTooLarge, "the body has %s%d bytes, the limit is %d", atLeast, size, b.limit)
	p.limit, p.size = b.limit, size
	return p
}

// problemOfBody tells a client that was too slow from one that broke off.
func problemOfBody(err error) *problem {
	p := newProblem(problemMalformed, "the body broke off")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p = newProblem(problemSlowBody, "the body did not arrive in time")
	}
	p.cause = fmt.Errorf("reading the body: %w", err)
	return p
}

// clipText keeps a client's own words in an answer short.
func clipText(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
