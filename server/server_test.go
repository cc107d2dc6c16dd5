package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// The server is stopped while 32 connections submit. Whoever was answered with a
// receipt has one that holds, whoever was told "committed" finds it published
// once the ledger has ended, and nobody else's record is half there.
func TestShutdownUnderLoadLosesNothing(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: -1}}})
	requests := w.responses(2000, "")
	stop := w.listen()

	type answered struct {
		request int
		status  int
		body    []byte
	}
	var mu sync.Mutex
	var all []answered
	var next, done atomic.Int64
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			c, err := net.Dial("tcp", w.address)
			if err != nil {
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				if _, err := c.Write(requests[i]); err != nil {
					return
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					return // refused before it was read
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Errorf("an answer was cut off: %v", err)
				}
				mu.Lock()
				all = append(all, answered{i, resp.StatusCode, body})
				mu.Unlock()
				if done.Add(1) == 300 {
					go stop()
				}
			}
		})
	}
	clients.Wait()
	stop()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 300 || len(all) == len(requests) {
		t.Fatalf("%d of %d answered: the server was not stopped in the middle", len(all), len(requests))
	}
	for _, a := range all {
		_, body, _ := strings.Cut(string(requests[a.request]), "\r\n\r\n")
		env, err := record.ParseEnvelope([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		index, ok, err := w.register.Lookup(record.IDOf(env.Payload))
		switch {
		case err != nil:
			t.Fatal(err)
		case a.status == http.StatusServiceUnavailable:
			continue
		case !ok || index >= w.server.publishedSize():
			t.Errorf("answered %d, and lost", a.status)
		case a.status == http.StatusCreated && w.verifyReceipt(a.body).Index() != index:
			t.Errorf("the receipt is of another index than %d", index)
		}
	}
}

// Whoever waits for a quorum that does not come is told so at half of the grace,
// before the server is gone.
func TestShutdownCancelsWaits(t *testing.T) {
	_, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, "witness.example/w")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, settings{
			policy: "witness w " + vkey + " https://witness.example\nquorum w\n",
			ledger: ledger.Config{Cosign: func(context.Context, ledger.CosignRequest) (ledger.CosignResponse, error) {
				return ledger.CosignResponse{}, nil
			}},
			server: Config{PublishWait: 50 * time.Second, ShutdownGrace: 20 * time.Second},
		})
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(ctx, l) }()
		answered := make(chan int, 1)
		go func() {
			resp, err := l.client(t).Post("http://docket/v1/records", typeJSON, bytes.NewReader(w.Charter().Marshal()))
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			resp.Body.Close()
			answered <- resp.StatusCode
		}()
		synctest.Wait()
		start := time.Now()
		cancel()
		if code := <-answered; code != http.StatusAccepted || time.Since(start) != 10*time.Second {
			t.Errorf("%d after %s, want 202 after half of the grace", code, time.Since(start))
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
		if ready := w.wantJSON(w.get("/readyz"), http.StatusServiceUnavailable); !strings.Contains(fmt.Sprint(ready["reasons"]), "stopping") {
			t.Errorf("readyz says %v", ready)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Without a quorum the answer is 202 in time, and 503 once the backlog is full;
// both inside a bubble, so that nobody waits.
func TestNoQuorum(t *testing.T) {
	set := withoutCosignatures(t)
	set.ledger.MaxBacklog = 2
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, set)
		post := func(env record.Envelope) int {
			start := time.Now()
			r := w.post(env.Marshal())
			if r.Code == http.StatusAccepted {
				w.NoteAdmitted(env)
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("202 after %s, want PublishWait", took)
				}
			} else {
				w.wantProblem(r, problemNoQuorum)
			}
			w.Now = time.Now()
			return r.Code
		}
		want := []int{202, 202, 503}
		for i, env := range []func() record.Envelope{w.Charter, w.Authority, func() record.Envelope { return w.Provider("acme-cloud") }} {
			if code := post(env()); code != want[i] {
				t.Fatalf("record %d: %d, want %d", i, code, want[i])
			}
		}
		w.wantProblem(w.get("/checkpoint"), problemNotFound)
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Who asks first once entries have waited too long is told so, and since when;
// nobody has to have asked before.
func TestReadyByTheOldestEntryThatWaits(t *testing.T) {
	set := withoutCosignatures(t)
	for _, c := range []struct {
		waits, interval time.Duration
		want            string // "" if ready
	}{
		{maxUnpublishedAge - time.Second, 0, ""},
		{time.Minute, time.Minute, ""}, // it publishes so seldom
		{90 * time.Second, time.Minute, "1 entry committed and not published, the oldest for 1m30s: too few witnesses answer"},
		{maxUnpublishedAge, 0, "1 entry committed and not published, the oldest for 30s: too few witnesses answer"},
		{62 * time.Second, 0, "1 entry committed and not published, the oldest for 1m2s: too few witnesses answer"},
	} {
		synctest.Test(t, func(t *testing.T) {
			set.server.PublishInterval = c.interval
			w := newWorld(t, set)
			if r := w.post(w.Charter().Marshal(), "wait=committed"); r.Code != http.StatusAccepted {
				t.Fatalf("%d %s", r.Code, r.Body)
			}
			time.Sleep(c.waits)
			metric, status, reasons := "docket_ready 1\n", http.StatusOK, any(nil)
			if c.want != "" {
				metric, status, reasons = "docket_ready 0\n", http.StatusServiceUnavailable, []any{c.want}
			}
			if body := w.metricsText(); !strings.Contains(body, metric) {
				t.Errorf("after %s the metrics have no %q", c.waits, metric)
			}
			if ready := w.wantJSON(w.get("/readyz"), status); !reflect.DeepEqual(ready["reasons"], reasons) {
				t.Errorf("after %s readyz says %v, want %v", c.waits, ready["reasons"], reasons)
			}
			if err := w.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	w := newWorld(t, settings{server: Config{HeaderTimeout: 50 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, IdleTimeout: 50 * time.Millisecond}})
	stop := w.listen()
	defer stop()
	for name, c := range map[string]struct{ send, want string }{
		"half a header":      {"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-T", "HTTP/1.1 400"},
		"nothing at all":     {"", ""},
		"half a body":        {"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "HTTP/1.1 408"},
		"idle":               {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		"a header too large": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 32<<10), "HTTP/1.1 431"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", w.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go conn.Write([]byte(c.send))
			got, _ := io.ReadAll(conn) // ends because the server ends it
			if !strings.HasPrefix(string(got), c.want) || c.want == "" && len(got) > 0 {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The oldest connection that waits makes room for a new one.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, settings{server: Config{MaxConnections: 2}})
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(ctx, l) }()
		var open []net.Conn
		for range 3 {
			c, err := l.dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		for i, c := range open {
			c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1))
			if closed := err == io.EOF; closed != (i == 0) {
				t.Errorf("connection %d of 3: %v", i+1, err)
			}
			c.Close()
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// One machine that holds all the connections it can keeps nobody from reading,
// submitting, or asking how the server is.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	w := newWorld(t, settings{server: Config{MaxConnections: 128}})
	stop := w.listen()
	defer stop()
	for range 300 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Post("http://"+w.address+"/v1/records", typeJSON, bytes.NewReader(w.Charter().Marshal()))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Errorf("submitting: %d", res.StatusCode)
	}
	for _, path := range []string{"/checkpoint", "/healthz", "/readyz"} {
		res, err := client.Get("http://" + w.address + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// The metrics are where the operator said, and nowhere else.
func TestMetricsAreApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, settings{server: Config{MetricsListener: l}})
	stop := w.listen()
	defer stop()
	for url, want := range map[string]string{
		"http://" + l.Addr().String() + "/metrics": "docket_ready 1",
		"http://" + w.address + "/metrics":         "not-found",
		"http://" + l.Addr().String() + "/readyz":  "404",
	} {
		res, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, want %q (%v)", url, res.StatusCode, want, err)
		}
	}
}

// A request whose end is not clear is refused like any other, and in the log.
func TestAmbiguousFramingIsRefused(t *testing.T) {
	w := newWorld(t, settings{})
	stop := w.listen()
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(conn, "POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	if text := string(got); !strings.HasPrefix(text, "HTTP/1.1 400 ") || !strings.Contains(text, "urn:docket:problem:framing") || strings.Count(text, "HTTP/1.1 ") != 1 {
		t.Errorf("got %s", got)
	}
	stop()
	if !strings.Contains(w.log.String(), `"problem":"framing"`) {
		t.Errorf("the log has no line of it: %s", w.log)
	}
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	w := newWorld(t, settings{server: Config{TLS: &tls.Config{Certificates: certified.TLS.Certificates}}})
	stop := w.listen()
	defer stop()
	pool := x509.NewCertPool()
	pool.AddCert(certified.Certificate())
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + w.address + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != http.StatusOK || (resp.ProtoMajor == 2) != h2 {
			t.Errorf("%d over %s", resp.StatusCode, resp.Proto)
		}
	}
}

func loadOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		t.Fatalf("openapi.json does not load: %v", err)
	}
	return doc
}

func TestOpenAPIIsValid(t *testing.T) {
	doc := loadOpenAPI(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("openapi.json: %v", err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi.json is of version %s", doc.OpenAPI)
	}
}

// docPaths are the route's paths as openapi.json writes them; none for pages.
func docPaths(r route) []string {
	if r.page {
		return nil
	}
	if r.doc != nil {
		return r.doc
	}
	segments := strings.Split(r.path, "/")
	for i, seg := range segments {
		if name, ok := strings.CutPrefix(seg, ":"); ok {
			segments[i] = "{" + name + "}"
		}
	}
	return []string{strings.Join(segments, "/")}
}

// Each route is described and each description is a route.
func TestOpenAPIIsTheRoutes(t *testing.T) {
	described := map[string]bool{}
	for path, item := range loadOpenAPI(t).Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for _, r := range new(Server).routes() {
		for _, path := range docPaths(r) {
			if call := r.method + " " + path; !described[call] {
				t.Errorf("openapi.json does not describe %s", call)
			} else {
				delete(described, call)
			}
		}
	}
	for call := range described {
		t.Errorf("openapi.json describes %s, which is no route", call)
	}
}

// What generators of clients need: a name for each call, and that none asks for
// credentials.
func TestOpenAPINamesItsOperations(t *testing.T) {
	doc := loadOpenAPI(t)
	if doc.Security == nil || len(doc.Security) != 0 {
		t.Errorf("openapi.json does not say that nothing asks for credentials: security is %v", doc.Security)
	}
	name := regexp.MustCompile(`^[a-z][A-Za-z]+$`)
	calls := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			call := method + " " + path
			switch other := calls[o.OperationID]; {
			case !name.MatchString(o.OperationID):
				t.Errorf("%s: the operationId is %q", call, o.OperationID)
			case other != "":
				t.Errorf("%s and %s are both called %s", call, other, o.OperationID)
			case o.Security != nil:
				t.Errorf("%s has a security of its own", call)
			}
			calls[o.OperationID] = call
		}
	}
}

func TestOpenAPISaysEveryProblem(t *testing.T) {
	statuses := map[string]bool{}
	for code, r := range loadOpenAPI(t).Paths.Find("/v1/records").Post.Responses.Map() {
		if c := r.Value.Content.Get("application/problem+json"); c != nil {
			statuses[code] = true
		}
	}
	for _, want := range strings.Fields("400 403 408 409 413 415 422 429 503") {
		if !statuses[want] {
			t.Errorf("openapi.json does not say that POST /v1/records may answer %s", want)
		}
	}
}

func TestOpenAPIHasEveryKind(t *testing.T) {
	var described []string
	for _, v := range loadOpenAPI(t).Components.Schemas["Kind"].Value.Enum {
		described = append(described, v.(string))
	}
	for _, kind := range record.Kinds() {
		if !slices.Contains(described, string(kind)) {
			t.Errorf("openapi.json does not know the kind %s", kind)
		}
	}
	if len(described) != len(record.Kinds()) {
		t.Errorf("openapi.json has %d kinds, this binary %d", len(described), len(record.Kinds()))
	}
}
