package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// answerFor is how err reaches a client, and the log that the server wrote.
func answerFor(err error) (*httptest.ResponseRecorder, string) {
	var out bytes.Buffer
	s := &Server{log: slog.New(slog.NewTextHandler(&out, nil)), processID: "test", answerMemory: newAnswerMemory(1 << 20), requestLog: newLineLimiter(), faultLog: newLineLimiter()}
	s.metrics = newMetrics(s)
	w := httptest.NewRecorder()
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/x", s.ginHandler("/x", func(*request) error { return err }, (*request).answerProblem))
	e.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	return w, out.String()
}

func TestProblemTable(t *testing.T) {
	current := record.IDOf([]byte("the newest"))
	full := &Server{cfg: servedConfig{Config: Config{Ledger: new(public.Ledger), Room: func() error { return errors.New("the disk is full") }}}}
	for _, c := range []struct {
		err    error
		status int
		kind   problemKind
		wants  string // part of the body
	}{
		{record.Refuse(record.Malformed, "not JSON"), 400, problemMalformed, "not JSON"},
		{&record.Refusal{Class: record.TooLarge, Detail: "too much", Limit: 48_000, Size: 50_000}, 413, problemTooLarge, `"limit":48000,"size":50000`},
		{&record.Refusal{Class: record.Invalid, Detail: "no", Faults: []record.Fault{{Pointer: "/predicate/a~1b", Detail: "odd"}}}, 422, problemInvalid, `"faults":[{"pointer":"/predicate/a~1b","detail":"odd"}]`},
		{&record.Refusal{Class: record.Invalid, Detail: "notice too short", Earliest: "2027-06-01"}, 422, problemInvalid, `"earliest":"2027-06-01"`},
		{record.Refuse(record.Forbidden, "2 officers needed, 1 signed (officer-1)"), 403, problemForbidden, "2 officers needed, 1 signed (officer-1)"},
		{&record.Refusal{Class: record.Conflict, Detail: "sign again", Current: current}, 409, problemConflict, `"current":"` + current.String() + `"`},
		{record.Refuse(record.Unsupported, "kind licence: upgrade"), 422, problemUnsupported, "upgrade"},
		{fmt.Errorf("judging: %w", record.Refuse(record.Forbidden, "wrapped")), 403, problemForbidden, `"detail":"wrapped"`},
		{ledger.ErrBusy, 503, problemOverloaded, ""},
		{ledger.ErrBacklog, 503, problemNoQuorum, ""},
		{ledger.ErrNoQuorum, 503, problemNoQuorum, ""},
		{&ledger.ClockError{Reason: "it is 7m0s ahead of w1"}, 503, problemClock, "it is 7m0s ahead of w1"},
		{&ledger.ClockError{Reason: "it was moved by 1h0m0s", Cause: fmt.Errorf("%w: dial tcp 10.0.0.3", ledger.ErrNoQuorum)}, 503, problemClock, "it was moved by 1h0m0s: too few of them answer"},
		{ledger.ErrUnknown, 503, problemOutcomeUnknown, ""},
		{fmt.Errorf("%w: %w", ledger.ErrStopped, ledger.ErrUnknown), 503, problemStopped, ""},
		{ledger.ErrStopped, 503, problemStopped, ""},
		{ledger.ErrRollback, 503, problemStopped, ""},
		{ledger.ErrUnprovenClaim, 503, problemStopped, ""},
		{ledger.ErrCorrupt, 500, problemDamaged, "lies on a damaged part"},
		{fmt.Errorf("%w: extending: %w", ledger.ErrStopped, ledger.ErrCorrupt), 503, problemStopped, "signs nothing more"},
		{ledger.ErrFold, 503, problemRebuilding, "made anew"},
		{register.ErrDamaged, 503, problemRebuilding, "made anew"},
		{reader.ErrUnpublished, 404, problemNotFound, ""},
		{full.checkWritable(), 503, problemDiskLow, "the disk is full; nothing was written, reads go on"},
		{rateLimited(1500*time.Millisecond, "the limit of %s is %s", "acme", Rate{2, 3}), 429, problemTooMany, "the limit of acme is 2 records a second, 3 at once"},
		{context.DeadlineExceeded, 503, problemOverloaded, ""},
		{errors.New("open /var/lib/docket/000017.sst: too many open files"), 500, problemInternal, ""},
		{&record.Refusal{Class: 99, Detail: "of a newer package"}, 500, problemInternal, ""},
	} {
		w, _ := answerFor(c.err)
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: status %d %v, want %d", c.err, w.Code, w.Header(), c.status)
		}
		var body problemJSON
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%v: %v", c.err, err)
		}
		if body.Type != "urn:docket:problem:"+string(c.kind) || body.Status != c.status || body.Title == "" || body.Detail == "" || body.Instance != "urn:docket:request:test-1" {
			t.Errorf("%v: %+v, want kind %s", c.err, body, c.kind)
		}
		if !strings.Contains(w.Body.String(), c.wants) {
			t.Errorf("%v: %s, want %s", c.err, w.Body, c.wants)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (c.status == 429 || c.status == 503) || retry == "0" {
			t.Errorf("%v: status %d with Retry-After %q", c.err, c.status, retry)
		}
	}
}

func TestTooEarlySaysWhenItBecomesFine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := answerFor(&record.Refusal{Class: record.TooEarly, Detail: "dated ahead", RetryAt: time.Now().Add(90*time.Second + time.Millisecond)})
		if got := w.Header().Get("Retry-After"); got != "91" {
			t.Errorf("Retry-After %q, want 91: never a moment too early", got)
		}
		if !strings.Contains(w.Body.String(), `"retryAt":"2000-01-01T00:01:30.001Z"`) {
			t.Errorf("%s, want the instant", w.Body)
		}
	})
}

func TestInnerDetailsStayInTheLog(t *testing.T) {
	const inner = "/var/lib/docket/000017.sst"
	for _, err := range []error{
		errors.New(inner),
		fmt.Errorf("extending: %w: %s", ledger.ErrUnknown, inner),
		fmt.Errorf("%w: %s", ledger.ErrCorrupt, inner),
		fmt.Errorf("%w: %s", reader.ErrUnpublished, inner),
		&ledger.ClockError{Reason: "it was moved", Cause: errors.New(inner)},
	} {
		w, log := answerFor(err)
		if strings.Contains(w.Body.String(), inner) {
			t.Errorf("the client was told %s", w.Body)
		}
		if !strings.Contains(log, inner) || strings.Count(log, "\n") != 1 {
			t.Errorf("the log has %q, want one line with the cause", log)
		}
	}
}

func TestEveryKindOfProblemHasATitleAndAStatus(t *testing.T) {
	for k, row := range problemKinds {
		if row.title == "" || http.StatusText(row.status) == "" {
			t.Errorf("%s: %+v", k, row)
		}
	}
}

func TestPanicsAreAnsweredAndLogged(t *testing.T) {
	var out bytes.Buffer
	s := &Server{log: slog.New(slog.NewTextHandler(&out, nil)), processID: "test", answerMemory: newAnswerMemory(1 << 20), requestLog: newLineLimiter(), faultLog: newLineLimiter()}
	s.metrics = newMetrics(s)
	e := gin.New()
	e.GET("/x", s.ginHandler("/x", func(*request) error { panic("broken invariant") }, (*request).answerProblem))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "invariant") || !strings.Contains(out.String(), "broken invariant") {
		t.Errorf("answered %d %s; logged %s", w.Code, w.Body, out.String())
	}
}
