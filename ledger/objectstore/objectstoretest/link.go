package objectstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what becomes of one request.
type Fault int

const (
	None      Fault = iota
	Lost            // it never arrives; the connection breaks
	Unheard         // it is applied; the connection breaks before the answer
	Later           // the connection breaks, and it arrives at [Link.Release]
	Hang            // it never arrives, and no answer comes: the caller waits until its context ends
	HangLater       // as Hang, and it arrives at Release
	Conflict        // 409 ConditionalRequestConflict, of a write; not applied
	Unmet           // 412, of a write with a condition; not applied
	Repeated        // something on the way sends it twice: the answer is that to the second
	Error           // 500; not applied
	ErrorDone       // 500; applied
	SlowDown        // 503 SlowDown; not applied
	Truncated       // of what is read, the half; the connection breaks
	Cut             // of what is read, the half, as if that was all
	OldList         // a listing as it was when the first one with that prefix was asked for
	OldBody         // what is read is what lay there before
	OldETag         // what is read bears the ETag of what lay there before
	NoETag          // what is read or written is told without an ETag

	faults
)

var faultNames = [faults]string{"none", "lost", "unheard", "later", "hang", "hang later", "409", "412", "repeated", "500", "500 applied", "503", "truncated", "cut", "old list", "old body", "old ETag", "no ETag"}

func (f Fault) String() string { return faultNames[f] }

// All are all faults.
func All() (all []Fault) {
	for f := range faults {
		all = append(all, f)
	}
	return all
}

// Request is what a fault is chosen by.
type Request struct {
	Host        string // the endpoint's
	Method      string // GET, PUT, DELETE; LIST for a listing
	Key         string // of a listing, the prefix
	Conditional bool
}

// Link is the way of one machine to a Server. It is an [http.RoundTripper].
type Link struct {
	server *Server

	// FaultOf chooses for each request; nil: None. Delay is how long each takes. Both are set before the
	// link is used, or by [Link.Set].
	FaultOf func(Request) Fault
	Delay   time.Duration

	// ReleaseEvery lets what was held arrive before each of so many requests; 0: at Release.
	ReleaseEvery int

	mu     sync.Mutex // guards FaultOf, Delay and what follows
	counts map[string]int
	sent   int
	later  []func()
	lists  map[string]*answer
	reads  map[string][]*answer // by key, the last two that differ
}

// NewLink is a way to the store.
func NewLink(s *Server) *Link {
	return &Link{server: s, counts: map[string]int{}, lists: map[string]*answer{}, reads: map[string][]*answer{}}
}

// Set changes what becomes of requests from now on. What is held is so until Release.
func (l *Link) Set(faultOf func(Request) Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.FaultOf, l.ReleaseEvery = faultOf, 0
}

// Count is how many requests of that method were sent: "PUT", "GET", "LIST", "DELETE".
func (l *Link) Count(method string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[method]
}

// Release lets what was held arrive, in its order.
func (l *Link) Release() {
	l.mu.Lock()
	held := l.later
	l.later = nil
	l.mu.Unlock()
	for _, apply := range held {
		apply()
	}
}

// errBroken is what a broken connection comes to.
var errBroken = errors.New("the connection broke")

// RoundTrip implements [http.RoundTripper].
func (l *Link) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	request := requestOf(r)
	l.mu.Lock()
	l.counts[request.Method]++
	l.sent++
	release := l.ReleaseEvery > 0 && l.sent%l.ReleaseEvery == 0
	fault, delay := None, l.Delay
	if l.FaultOf != nil {
		fault = l.FaultOf(request)
	}
	l.mu.Unlock()
	if release {
		l.Release()
	}
	if !request.takes(fault) {
		fault = None
	}
	if err := sleep(r.Context(), delay); err != nil {
		return nil, err
	}
	sent := r.Clone(context.WithoutCancel(r.Context()))
	apply := func() *answer { return l.server.serve(sent, body) }
	switch fault {
	case Lost:
		return nil, errBroken
	case Unheard:
		apply()
		return nil, errBroken
	case Hang, Later, HangLater:
		if fault != Hang {
			l.mu.Lock()
			l.later = append(l.later, func() { apply() })
			l.mu.Unlock()
		}
		if fault == Later {
			return nil, errBroken
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Conflict:
		return failure(http.StatusConflict, "ConditionalRequestConflict").response(r), nil
	case Unmet:
		return failure(http.StatusPreconditionFailed, "PreconditionFailed").response(r), nil
	case Repeated:
		apply()
	case Error, ErrorDone:
		if fault == ErrorDone {
			apply()
		}
		return failure(http.StatusInternalServerError, "InternalError").response(r), nil
	case SlowDown:
		return failure(http.StatusServiceUnavailable, "SlowDown").response(r), nil
	}
	a := apply()
	response := l.remember(request, a, fault).response(r)
	switch fault {
	case NoETag:
		response.Header.Del("ETag")
	case Truncated:
		half := a.body.Bytes()[:a.body.Len()/2]
		response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(half), brokenReader{}))
	case Cut:
		half := a.body.Bytes()[:a.body.Len()/2]
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(half)), int64(len(half))
		response.Header.Set("Content-Length", strconv.Itoa(len(half)))
	}
	return response, nil
}

// takes says whether a fault can happen to such a request.
func (r Request) takes(f Fault) bool {
	switch f {
	case Conflict, Unmet:
		return r.Method == "PUT" && r.Conditional
	case Truncated, Cut:
		return r.Method == "GET"
	case OldList:
		return r.Method == "LIST"
	case OldETag, OldBody:
		return r.Method == "GET"
	case NoETag:
		return r.Method == "GET" || r.Method == "PUT"
	}
	return true
}

// remember is the answer with what was true of it earlier.
func (l *Link) remember(r Request, a *answer, f Fault) *answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.FaultOf == nil {
		return a
	}
	switch r.Method {
	case "LIST":
		if l.lists[r.Key] == nil {
			l.lists[r.Key] = a
		}
		if f == OldList {
			return l.lists[r.Key]
		}
	case "GET":
		seen := l.reads[r.Key]
		if n := len(seen); n == 0 || seen[n-1].header.Get("ETag") != a.header.Get("ETag") {
			seen = append(seen, a)
			seen = seen[max(0, len(seen)-2):]
			l.reads[r.Key] = seen
		}
		switch old := seen[0]; f {
		case OldBody:
			return old
		case OldETag:
			if etag := old.header.Get("ETag"); etag != "" {
				mixed := &answer{a.status, a.header.Clone(), a.body}
				mixed.header.Set("ETag", etag)
				return mixed
			}
		}
	}
	return a
}

func requestOf(r *http.Request) Request {
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/"), Bucket)
	q := Request{Host: r.URL.Host, Method: r.Method, Key: strings.TrimPrefix(key, "/"), Conditional: r.Header.Get("If-Match")+r.Header.Get("If-None-Match") != ""}
	if r.URL.Query().Has("list-type") {
		q.Method, q.Key = "LIST", r.URL.Query().Get("prefix")
	}
	return q
}

func (a *answer) response(r *http.Request) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body.Bytes())), ContentLength: int64(a.body.Len()), Request: r,
	}
}

func failure(status int, code string) *answer {
	a := &answer{status: status, header: http.Header{"Content-Type": {"application/xml"}}}
	fmt.Fprintf(&a.body, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>injected</Message></Error>`, code)
	return a
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// widen lets others run.
func widen() {
	for range 100 {
		runtime.Gosched()
	}
}
