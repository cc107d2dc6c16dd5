package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const origin = "docket.example/test"

// world is a whole ledger server on a memory file system, and people who sign.
type world struct {
	*registertest.World
	t        testing.TB
	server   *Server
	ledger   *public.Ledger
	register *register.Register
	policy   *proof.Policy
	log      *bytes.Buffer // what the server logged; read it when nothing is under way
	address  string        // where listen serves
	stop     func() error  // ends the ledger's Run, and returns what it returned
}

// settings of a world; the zero value is a ledger without witnesses.
type settings struct {
	server Config
	ledger ledger.Config
	policy string    // lines beside the log's; "quorum none" if empty
	idle   bool      // Run is not started
	fs     vfs.FS    // in memory if nil
	dir    string    // on fs
	key    [2]string // the log's, private and public; made if empty
	fast   bool      // the register has its own defaults, not a test's small ones
}

// withoutCosignatures are the settings of a ledger whose one witness never answers.
func withoutCosignatures(t testing.TB) settings {
	t.Helper()
	_, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, "witness.example/w")
	if err != nil {
		t.Fatal(err)
	}
	return settings{
		policy: "witness w " + vkey + " https://witness.example\nquorum w\n",
		ledger: ledger.Config{Cosign: func(context.Context, ledger.CosignRequest) (ledger.CosignResponse, error) {
			return ledger.CosignResponse{}, nil
		}},
	}
}

func newWorld(t testing.TB, set settings) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	skey, vkey := set.key[0], set.key[1]
	var err error
	if skey == "" {
		skey, vkey, err = proof.GenerateKey(proof.Ed25519, origin)
		must(err)
	}
	signer, err := proof.ParseSigner(skey)
	must(err)
	if set.policy == "" {
		set.policy = "quorum none\n"
	}
	text := "log " + vkey + "\n" + set.policy
	w := &world{World: registertest.New(time.Now(), origin, text), t: t, log: new(bytes.Buffer)}
	w.policy, err = proof.ParsePolicy([]byte(text))
	must(err)

	if set.fs == nil {
		set.fs = vfs.NewMem()
	}
	store, err := pebblestore.Open(set.fs, filepath.Join(set.dir, "store"), pebblestore.Options{})
	must(err)
	options := registertest.SmallOptions()
	if set.fast {
		options = register.Options{Health: registertest.Health()}
	}
	w.register, err = register.Open(set.fs, filepath.Join(set.dir, "register"), options)
	must(err)
	set.ledger.Origin, set.ledger.Signers = origin, []*proof.Signer{signer}
	w.ledger, err = ledger.Open(t.Context(), store, public.Fold(w.register), set.ledger)
	must(err)

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	run := make(chan error, 1)
	if !set.idle {
		go func() { run <- w.ledger.Run(ctx) }()
	} else {
		run <- nil
	}
	w.stop = sync.OnceValue(func() error { cancel(); return <-run })
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("the ledger ended with %v", err)
		}
		w.register.Close()
		store.Close()
	})

	set.server.Ledger, set.server.Register = w.ledger, w.register
	if set.server.Log == nil {
		set.server.Log = slog.New(slog.NewJSONHandler(&lockedBuffer{w: w.log}, nil))
	}
	w.server, err = New(set.server)
	must(err)
	return w
}

// newEnrolledWorld is a world with its charter, its authority and these providers enrolled.
func newEnrolledWorld(t testing.TB, set settings, providers ...string) *world {
	t.Helper()
	w := newWorld(t, set)
	w.enrol(providers...)
	return w
}

// enrol submits the charter, and enrols the authority and these providers.
func (w *world) enrol(providers ...string) {
	w.t.Helper()
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	for _, p := range providers {
		w.mustSubmit(w.Provider(p))
	}
}

// forTest is the same world for a subtest.
func (w *world) forTest(t testing.TB) *world {
	sub := *w
	sub.t = t
	return &sub
}

// mustSubmit submits a record that is admitted, and returns the index that it got.
func (w *world) mustSubmit(env record.Envelope) *httptest.ResponseRecorder {
	w.t.Helper()
	r := w.post(env.Marshal())
	if r.Code != http.StatusCreated {
		w.t.Fatalf("submitting: %d %s", r.Code, r.Body)
	}
	w.NoteAdmitted(env)
	w.Now = time.Now()
	return r
}

func (w *world) post(body []byte, query ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	path := "/v1/records"
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Header.Set("Content-Type", typeJSON)
	return w.do(r)
}

func (w *world) get(path string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	if err := setTarget(r, path); err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(out, r)
	d, err := loadAPIDescription()
	if err != nil {
		w.t.Fatal(err)
	}
	d.check(w.t, r, out)
	return out
}

// metricsText is what Prometheus is told, on the listener that is its alone.
func (w *world) metricsText() string {
	w.t.Helper()
	out := httptest.NewRecorder()
	promhttp.HandlerFor(w.server.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(out, httptest.NewRequest("GET", "/metrics", nil))
	return out.Body.String()
}

// wantJSON reads the answer as JSON.
func (w *world) wantJSON(r *httptest.ResponseRecorder, status int) map[string]any {
	w.t.Helper()
	if r.Code != status {
		w.t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	var v map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		w.t.Fatalf("%v: %s", err, r.Body)
	}
	return v
}

// verifyReceipt verifies a receipt from scratch, as its owner would.
func (w *world) verifyReceipt(text []byte) *proof.VerifiedReceipt {
	w.t.Helper()
	r, err := proof.ParseReceipt(text)
	if err != nil {
		w.t.Fatalf("%v:\n%s", err, text)
	}
	v, err := r.Verify(w.policy, time.Now())
	if err != nil {
		w.t.Fatalf("a receipt that was handed out does not verify: %v", err)
	}
	return v
}

// wantProblem checks that an answer is a problem of that kind.
func (w *world) wantProblem(r *httptest.ResponseRecorder, kind problemKind) map[string]any {
	w.t.Helper()
	p := w.wantJSON(r, problemKinds[kind].status)
	if p["type"] != "urn:docket:problem:"+string(kind) {
		w.t.Fatalf("a problem of type %v, want %s: %s", p["type"], kind, r.Body)
	}
	return p
}

// ofThisRun is what is other in every run: IDs, instants and days.
var ofThisRun = regexp.MustCompile(`[0-9a-f]{64}|\b\d{4}-\d\d-\d\d(T[\d:.]+Z)?`)

// wantRefusal wants a problem whose faults lie at these pointers, and whose words are those
// of the golden file.
func (w *world) wantRefusal(r *httptest.ResponseRecorder, kind problemKind, pointers ...string) map[string]any {
	w.t.Helper()
	p := w.wantProblem(r, kind)
	words, got := fmt.Sprint(p["detail"]), []string(nil)
	faults, _ := p["faults"].([]any)
	for _, f := range faults {
		fault := f.(map[string]any)
		got = append(got, fault["pointer"].(string))
		words += "\n" + fault["detail"].(string)
	}
	if !slices.Equal(got, pointers) {
		w.t.Errorf("faults at %q, want them at %q: %s", got, pointers, r.Body)
	}
	refusaltest.Words(w.t, ofThisRun.ReplaceAllString(words, "X"))
	return p
}

// lockedBuffer lets several goroutines write into one buffer.
type lockedBuffer struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// apiDescription is openapi.json, ready to be held against every answer that the
// tests of this package get.
type apiDescription struct {
	doc   *openapi3.T
	paths []apiPath
}

type apiPath struct {
	pattern *regexp.Regexp
	path    string
	item    *openapi3.PathItem
}

var loadAPIDescription = sync.OnceValues(func() (*apiDescription, error) {
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	for _, media := range []string{"text/calendar", "text/csv", "text/event-stream", "application/atom+xml"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		return nil, err
	}
	d := &apiDescription{doc: doc}
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	for path, item := range doc.Paths.Map() {
		pattern := "^" + placeholder.ReplaceAllString(strings.ReplaceAll(path, ".", `\.`), `[^/]+`) + "$"
		if strings.HasPrefix(path, "/tile/") {
			pattern = strings.TrimSuffix(pattern, `[^/]+$`) + ".+$"
		}
		d.paths = append(d.paths, apiPath{regexp.MustCompile(pattern), path, item})
	}
	return d, nil
})

// check holds an answer against its description: the status is one of those
// said, and so is the media type; the body fits its schema.
func (d *apiDescription) check(t testing.TB, r *http.Request, out *httptest.ResponseRecorder) {
	t.Helper()
	for _, p := range d.paths {
		operation := p.item.GetOperation(r.Method)
		if operation == nil || !p.pattern.MatchString(r.URL.EscapedPath()) || strings.HasPrefix(r.URL.Path, "/tile/entries/") != strings.HasPrefix(p.path, "/tile/entries/") {
			continue
		}
		if operation.Responses.Value(strconv.Itoa(out.Code)) == nil {
			t.Errorf("%s %s: the answer %d is not described: %s", r.Method, r.URL, out.Code, out.Body)
			return
		}
		err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{
				Request: r,
				Route:   &routers.Route{Spec: d.doc, Path: p.path, PathItem: p.item, Method: r.Method, Operation: operation},
			},
			Status: out.Code,
			Header: out.Header(),
			Body:   io.NopCloser(bytes.NewReader(out.Body.Bytes())),
		})
		if err != nil {
			t.Errorf("%s %s: the answer is not as described: %v", r.Method, r.URL, err)
		}
		return
	}
}

// pipeListener is a listener whose connections are in memory, so that a synctest
// bubble sees when everybody waits.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client is an HTTP client of the listener.
func (p *pipeListener) client(t testing.TB) *http.Client {
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) },
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// setTarget sets a request's path and query as net/http does when it reads a
// request line, without httptest's panics.
func setTarget(r *http.Request, target string) error {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	r.URL, r.RequestURI = u, target
	return nil
}
