package server

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// events reads a stream event by event.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (w *world) openStream(t *testing.T, query string, header ...string) (*events, func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+w.address+"/v1/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %s", answer.Status, answer.Header)
	}
	return &events{t, bufio.NewScanner(answer.Body)}, func() { answer.Body.Close() }
}

// next is the next event: its ID, its type, its data; "" three times at the end.
func (e *events) next() (id, kind, data string) {
	e.t.Helper()
	for e.lines.Scan() {
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data += value + "\n"
		case "":
			if kind != "" {
				return id, kind, data
			}
		}
	}
	return "", "", ""
}

func (e *events) want(ids string) {
	e.t.Helper()
	var got []string
	for range strings.Fields(ids) {
		id, kind, _ := e.next()
		if kind == "checkpoint" {
			id = "checkpoint"
		}
		got = append(got, id)
	}
	if strings.Join(got, " ") != ids {
		e.t.Errorf("the stream says %q, want %q", got, ids)
	}
}

// A stream has every published record once, in order, from where its reader says on, and
// goes on with what is published while it is open.
func TestStream(t *testing.T) {
	w := sampleWorld(t)
	stop := w.listen()
	defer stop()
	s, done := w.openStream(t, "?from=5")
	defer done()
	s.want("5 6 7 checkpoint")
	w.mustSubmit(w.Designate("2026-016", w.NewDesignation("Marrow Net")))
	id, kind, data := s.next()
	if id != "8" || kind != "record" || !strings.Contains(data, `"thread":"designation/2026-016"`) {
		t.Errorf("the new record came as %q %q %q", id, kind, data)
	}
	_, kind, note := s.next()
	if cp, _, err := proof.ParseCheckpoint([]byte(note)); kind != "checkpoint" || err != nil || cp.Size != 9 {
		t.Errorf("after it comes %q %q, %v", kind, note, err)
	}

	again, done := w.openStream(t, "?from=0", "Last-Event-ID", "6")
	defer done()
	again.want("7 8 checkpoint")
	some, done := w.openStream(t, "?from=0&kind=designation&limit=2")
	defer done()
	some.want("4 5")
	if id, kind, data := some.next(); kind != "" {
		t.Errorf("beyond its limit: %q %q %q", id, kind, data)
	}
	for _, wrong := range []string{"from=99", "kind=charta", "limit=0", "at=2026-01-01"} {
		w.wantProblem(w.get("/v1/stream?"+wrong), problemParameter)
	}
	w.wantProblem(w.get("/v1/stream", "Last-Event-ID", "x"), problemParameter)
	w.wantProblem(w.get("/v1/stream", "Last-Event-ID", "99"), problemParameter)
}

// Nobody is told of a record before a quorum has cosigned it.
func TestStreamShowsWhatIsPublishedAlone(t *testing.T) {
	set := withoutCosignatures(t)
	set.server.PublishWait = time.Millisecond
	w := newWorld(t, set)
	w.post(w.Charter().Marshal())
	w.wantProblem(w.get("/v1/stream?from=1"), problemParameter)
}

// Streams have places of their own: an address has few, and one that ends gives its back.
func TestStreamsAreBounded(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{MaxConnections: 128}}, "acme-cloud")
	stop := w.listen()
	defer stop()
	first, done := w.openStream(t, "?from=0")
	first.want("0 1 2 checkpoint")
	_, doneToo := w.openStream(t, "?from=0")
	defer doneToo()
	answer, err := http.Get("http://" + w.address + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream of an address that may have two: %s", answer.Status)
	}
	done()
	for { // until the server has seen that it is gone
		answer, err := http.Get("http://" + w.address + "/v1/stream?from=0&limit=1")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
	}
}

// A server that stops ends its streams at once, and no request of its grace is waited for.
func TestStreamsEndWithTheServer(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	stop := w.listen()
	s, done := w.openStream(t, "?from=0")
	defer done()
	s.want("0 1 2 checkpoint")
	stop()
	if id, kind, _ := s.next(); kind != "" {
		t.Errorf("after the end: %s %s", id, kind)
	}
}

// timedWriter notes what is written, and when.
type timedWriter struct {
	*httptest.ResponseRecorder
	begun time.Time
	said  []string
}

func (w *timedWriter) Write(b []byte) (int, error) {
	w.said = append(w.said, time.Since(w.begun).String()+" "+strings.TrimSpace(string(b)))
	return len(b), nil
}

// A stream with nothing to tell says so every 15 seconds, in a comment that is no event, so that
// both ends learn of a connection that is dead; and it ends with its reader.
func TestStreamHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnrolledWorld(t, settings{}, "acme-cloud")
		ctx, leave := context.WithCancel(t.Context())
		out := &timedWriter{ResponseRecorder: httptest.NewRecorder(), begun: time.Now()}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.server.Handler().ServeHTTP(out, httptest.NewRequest("GET", "/v1/stream", nil).WithContext(ctx))
		}()
		time.Sleep(3*streamHeartbeat + time.Second)
		leave()
		<-ended
		if got, want := strings.Join(out.said, ", "), "0s retry: 3000, 15s :, 30s :, 45s :"; got != want {
			t.Errorf("the stream says %q, want %q", got, want)
		}
		if w.server.streams.total != 0 {
			t.Error("its place is not given back")
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// unreadWriter is a connection whose client reads nothing: a write waits for its deadline.
type unreadWriter struct {
	http.ResponseWriter
	deadline time.Time
}

func (w *unreadWriter) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func (w *unreadWriter) Write([]byte) (int, error) {
	time.Sleep(time.Until(w.deadline))
	return 0, os.ErrDeadlineExceeded
}

// A reader who takes nothing is cut off: places are for those who read.
func TestStreamOfASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := gin.CreateTestContext(&unreadWriter{ResponseWriter: httptest.NewRecorder()})
		c.Request = httptest.NewRequest("GET", "/v1/stream", nil)
		start := time.Now()
		if err := (&request{Context: c}).sendEvents([]byte(":\n\n")); !errors.Is(err, errReaderGone) {
			t.Errorf("got %v, want %v", err, errReaderGone)
		}
		if took := time.Since(start); took != streamPatience {
			t.Errorf("a reader who takes nothing has %s, want %s", took, streamPatience)
		}
	})
	table := newPlaceTable("stream", 1, 1)
	leave, err := table.enter("192.0.2.7", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_, err = table.enter("192.0.2.8", time.Minute)
	wantBusy(t, "all places are taken", err)
	leave()
	if len(table.byAddress) != 0 || table.total != 0 {
		t.Errorf("%+v after all have left", table)
	}
}
