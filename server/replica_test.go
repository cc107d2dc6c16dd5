package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// published is a ledger as the source of a copy.
type published struct{ *public.Ledger }

func (p published) Published(context.Context) ([]byte, error) {
	return p.Ledger.Published().Note(), nil
}

func (p published) Tiles(ctx context.Context, ids []proof.TileID) (rows [][]byte, err error) {
	for _, id := range ids {
		row, err := p.Tile(ctx, id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// replicaWorld is a replica of a world, and the way between them.
type replicaWorld struct {
	*world
	state   ReplicaState
	asked   []*http.Request
	respond func(r *http.Request) (*http.Response, error) // in the writer's stead; nil asks it
}

func newReplica(t *testing.T, w *world, set Config) *replicaWorld {
	t.Helper()
	r := &replicaWorld{state: ReplicaState{Size: w.ledger.PublishedSize(), Verified: true, Reached: time.Now()}}
	verify := func(note []byte) (*proof.Published, error) { return w.policy.Verify(note, time.Now()) }
	if set.Register == nil {
		set.Register = w.register
	}
	var past func(context.Context, time.Time) (*proof.Published, error)
	if set.Copy != nil {
		past = set.Copy.Replica.CheckpointAt
	}
	set.Copy = &Copy{
		Reader: reader.New(published{w.ledger}, reader.Config{Published: w.ledger.Published(), Verify: verify}),
		Replica: &Replica{
			URL: func() string { return "http://writer.example" }, Send: r.send, State: func() ReplicaState { return r.state },
			ReceiptUpTo: func(context.Context, uint64, uint64) (proof.Receipt, error) {
				return proof.Receipt{}, ledger.ErrNotArchived
			},
			CheckpointAt: past,
			Verify:       func(_ context.Context, note []byte) (*proof.Published, error) { return verify(note) },
		},
	}
	s, err := New(set)
	if err != nil {
		t.Fatal(err)
	}
	sub := *w
	sub.server, sub.t = s, t
	r.world = &sub
	r.respond = func(q *http.Request) (*http.Response, error) {
		answer := httptest.NewRecorder()
		if q.URL.IsAbs() {
			t.Errorf("a request to %s: whoever sends it knows where to", q.URL)
		}
		q.RequestURI, q.RemoteAddr = q.URL.RequestURI(), "192.0.2.9:9"
		w.server.Handler().ServeHTTP(answer, q)
		return answer.Result(), nil
	}
	return r
}

func (r *replicaWorld) send(q *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, q)
	return r.respond(q)
}

// What is sent to a replica is answered as the writer does, and what is published already by
// the replica itself.
func TestReplicaForwards(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	r := newReplica(t, w, Config{})
	env := r.Provider("borealis")
	body := env.Marshal()
	verdict := r.wantJSON(r.post(body, "dry-run=true"), http.StatusOK)
	if verdict["admissible"] != true || len(r.asked) != 1 {
		t.Errorf("a dry run: %v, asked %d times", verdict, len(r.asked))
	}
	q := httptest.NewRequest(http.MethodPost, "/v1/records", bytes.NewReader(body))
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-Forwarded-For", "203.0.113.9") // of no proxy that is trusted here
	answer := r.do(q)
	if answer.Code != http.StatusCreated || answer.Header().Get("Docket-Index") != "3" || answer.Header().Get("Location") == "" {
		t.Errorf("a new record: %d %v", answer.Code, answer.Header())
	}
	r.verifyReceipt(answer.Body.Bytes())
	sent := r.asked[len(r.asked)-1]
	if via := sent.Header.Get("Via"); via != "1.1 docket-"+r.server.processID || strings.Join(sent.Header.Values("X-Forwarded-For"), ", ") != "192.0.2.1" {
		t.Errorf("sent on with Via %q, X-Forwarded-For %q", via, sent.Header.Values("X-Forwarded-For"))
	}
	if got := answer.Header().Get("Docket-Replica"); got != "size=3, lag=0, age=0, verified" {
		t.Errorf("Docket-Replica: %s", got)
	}

	entry, err := w.ledger.Entry(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	known, err := record.ParseEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	old := known.Envelope.Marshal()
	r.asked = nil
	r.respond = func(*http.Request) (*http.Response, error) { return nil, errors.New("away") }
	if answer := r.post(old); answer.Code != http.StatusOK || len(r.asked) > 0 {
		t.Errorf("what is published already: %d, asked %d times", answer.Code, len(r.asked))
	}
}

// Whatever stands where the writer should, the sender gets a problem that says what to do, reads go
// on, and nothing of another program's is handed on.
func TestReplicaWithoutWriter(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	r := newReplica(t, w, Config{})
	body := r.Provider("borealis").Marshal()
	answering := func(status int, media string, text io.Reader) func(*http.Request) (*http.Response, error) {
		return func(q *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}, "Set-Cookie": {"a=b"}, "Location": {"http://elsewhere.example/"}}, Body: io.NopCloser(text), Request: q}, nil
		}
	}
	for name, respond := range map[string]func(*http.Request) (*http.Response, error){
		"no connection":  func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"a web page":     answering(200, "text/html", strings.NewReader("<script>")),
		"a redirection":  answering(307, "text/plain", strings.NewReader("there")),
		"no media type":  answering(200, "", strings.NewReader("x")),
		"a bare refusal": answering(404, "text/plain", strings.NewReader("404 page not found")),
		"without an end": answering(200, "text/plain", endless{}),
		"cut off":        answering(200, "text/plain", io.MultiReader(strings.NewReader("c2sp"), cutOff{})),
	} {
		r.respond = respond
		answer := r.post(body)
		p := r.wantProblem(answer, problemWriterAway)
		if answer.Header().Get("Retry-After") == "" || answer.Header().Get("Set-Cookie")+answer.Header().Get("Location") != "" || !strings.Contains(p["detail"].(string), "send the same bytes again") {
			t.Errorf("%s: %v %v", name, p, answer.Header())
		}
		if r.get("/v1/records").Code != http.StatusOK {
			t.Errorf("%s: reads do not go on", name)
		}
	}
	// A checkpoint of the past is handed on only as what it is.
	r.respond = answering(200, "text/plain", bytes.NewReader(bytes.Replace(w.ledger.Published().Note(), []byte("\n3\n"), []byte("\n2\n"), 1)))
	r.wantProblem(r.get("/v1/checkpoints?at=2027-01-01T00:00:00Z"), problemWriterAway)
	r.respond = answering(200, "text/plain", bytes.NewReader(w.ledger.Published().Note()))
	if got := r.get("/v1/checkpoints?at=2027-01-01T00:00:00Z"); got.Code != http.StatusOK {
		t.Errorf("a checkpoint that verifies: %d", got.Code)
	}
	// The writer's own refusals are its own.
	r.respond = answering(409, "application/problem+json", strings.NewReader(`{"type":"urn:docket:problem:conflict","title":"No","status":409,"detail":"no"}`))
	if got := r.post(body); got.Code != http.StatusConflict {
		t.Errorf("a refusal: %d", got.Code)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What is too large, goes round in a circle, or comes from who was refused too often, is not sent.
func TestReplicaSendsNotOn(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	r := newReplica(t, w, Config{RefusalRate: Rate{PerSecond: 0.001, Burst: 2}})
	body := r.Provider("borealis").Marshal()
	r.wantProblem(r.post(bytes.Repeat([]byte(" "), 1<<20)), problemTooLarge)
	for _, via := range []string{"1.1 docket-" + r.server.processID, "1.1 a, 1.1 docket-1, 1.1 docket-2, 1.1 docket-3,1.1 docket-4"} {
		q := httptest.NewRequest(http.MethodPost, "/v1/records", bytes.NewReader(body))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Via", via)
		r.wantProblem(r.do(q), problemLoop)
	}
	if len(r.asked) > 0 {
		t.Errorf("asked %d times", len(r.asked))
	}
	for range 2 {
		if got := r.post([]byte(`{}`)); got.Code < 400 || got.Code >= 500 {
			t.Errorf("no record: %d", got.Code)
		}
	}
	r.wantProblem(r.post([]byte(`{}`)), problemTooMany)
	if len(r.asked) != 2 {
		t.Errorf("asked %d times", len(r.asked))
	}
	r = newReplica(t, w, Config{})
	r.server.forwarding = newConcurrencyLimiter("requests for the writer", 1, 0, 0)
	if err := r.server.forwarding.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantProblem(r.post(body), problemOverloaded)
	if len(r.asked) > 0 {
		t.Errorf("with as many at work as may be, asked %d times", len(r.asked))
	}
	r.server.forwarding.release()
	if got := r.post(body); got.Code != http.StatusCreated {
		t.Errorf("once it is through: %d", got.Code)
	}
}

// Of a checkpoint of which the beginning is judged, as up to an entry that is withheld, that is shown.
func TestReplicaShowsWhatIsJudged(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	judged, err := register.Open(vfs.NewMem(), "r", register.Options{Health: registertest.Health()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { judged.Close() })
	entries, err := w.ledger.Entries(t.Context(), 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := w.ledger.TreeAt(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	replayer := judged.NewReplayer(0)
	b, err := replayer.Verify(t.Context(), entries)
	if err == nil {
		err = replayer.Fold(b, tree.Root)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := newReplica(t, w, Config{Register: judged})
	if got := r.wantJSON(r.get("/healthz"), http.StatusOK)["published"]; got != 2.0 {
		t.Errorf("it shows %v entries, and 2 are judged", got)
	}
}

// Pages, /readyz and metrics say how far behind a replica is, and whether it has replayed; a fork
// leaves nothing but the word that there is one.
func TestReplicaSays(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	r := newReplica(t, w, Config{})
	r.state.Lag, r.state.Verified, r.state.Away, r.state.Reached = 2, false, "the source is out of reach", time.Now().Add(-time.Hour)
	page := r.get("/").Body.String()
	for _, words := range []string{"UNVERIFIED", "http://writer.example", "It has not replayed the records yet", "2 newer records came there", "It last reached the ledger at"} {
		if !strings.Contains(page, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	ready := r.wantJSON(r.get("/readyz"), http.StatusOK)["replica"].(map[string]any)
	if ready["lag"] != 2.0 || ready["verified"] != false || ready["away"] != "the source is out of reach" {
		t.Errorf("readyz: %v", ready)
	}
	for _, line := range []string{"docket_replica_lag_entries 2", "docket_replica_verified 0", "docket_ready 1"} {
		if !strings.Contains(r.metricsText(), line) {
			t.Errorf("the metrics have no %q", line)
		}
	}
	r.state.Stopped = errors.New("fork: two of size 3")
	for _, path := range []string{"/checkpoint", "/", "/v1/records", "/tile/0/000.p/3"} {
		if got := r.get(path); got.Code != http.StatusServiceUnavailable {
			t.Errorf("%s after a fork: %d", path, got.Code)
		}
	}
	not := r.wantJSON(r.get("/readyz"), http.StatusServiceUnavailable)
	if !strings.Contains(not["reasons"].([]any)[0].(string), "fork: two of size 3") {
		t.Errorf("readyz after a fork: %v", not)
	}
}

// Who stands by for the writer says so, and has whoever could not be answered ask again soon.
func TestStandbySays(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	r := newReplica(t, w, Config{})
	if role := r.wantJSON(r.get("/healthz"), http.StatusOK)["role"]; role != "replica" {
		t.Errorf("the role of a replica: %v", role)
	}
	r.state.Standby = &StandbyState{Epoch: 3, Writer: "http://a.example", Able: true}
	ready := r.wantJSON(r.get("/readyz"), http.StatusOK)
	if by := ready["replica"].(map[string]any)["standby"].(map[string]any); ready["role"] != "standby" || by["epoch"] != 3.0 || by["writer"] != "http://a.example" || by["able"] != true {
		t.Errorf("readyz: %v", ready)
	}
	r.respond = func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
	away := r.post(r.Provider("borealis").Marshal())
	r.wantProblem(away, problemWriterAway)
	if got := away.Header().Get("Retry-After"); got != "1" {
		t.Errorf("the writer is away: Retry-After %s", got)
	}
	r.state.Waits = errors.New("this server takes the place of another")
	for _, path := range []string{"/checkpoint", "/", "/v1/records", "/v1/witnesses"} {
		if got := r.get(path); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "1" || !strings.Contains(got.Body.String(), "takes the place of another") {
			t.Errorf("%s while it takes over: %d %v %s", path, got.Code, got.Header(), got.Body)
		}
	}
	not := r.wantJSON(r.get("/readyz"), http.StatusServiceUnavailable)
	if reasons := not["reasons"].([]any); len(reasons) != 1 || reasons[0] != "this server takes the place of another" {
		t.Errorf("readyz while it takes over: %v", not)
	}
	r.wantJSON(r.get("/healthz"), http.StatusOK)
}

// What a copy knows of the past is asked where its checkpoints are kept, and of nobody else: those are handed
// on, none is so old, or they are not read now.
func TestStandbyKnowsThePast(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	var asked []time.Time
	var lost error
	r := newReplica(t, w, Config{Copy: &Copy{Replica: &Replica{CheckpointAt: func(ctx context.Context, at time.Time) (*proof.Published, error) {
		asked = append(asked, at)
		if lost != nil {
			return nil, lost
		}
		return w.ledger.CheckpointAt(ctx, at)
	}}}})
	const records, checkpoint = "/v1/register/parties?at=2030-01-02T00:00:00Z", "/v1/checkpoints?at=2030-01-02T00:00:00Z"
	if got := r.get(records); got.Code != http.StatusOK || len(asked) == 0 {
		t.Errorf("records as of a moment: %d, asked for %v", got.Code, asked)
	}
	r.wantProblem(r.get(checkpoint), problemNotFound)
	lost = errors.New("connection lost")
	for _, path := range []string{records, checkpoint} {
		answer := r.get(path)
		if p := r.wantProblem(answer, problemWriterAway); answer.Header().Get("Retry-After") != "10" || strings.Contains(fmt.Sprint(p), "connection lost") {
			t.Errorf("%s: %v, Retry-After %s", path, p, answer.Header().Get("Retry-After"))
		}
	}
	if len(r.asked) > 0 {
		t.Errorf("the writer was asked %d times", len(r.asked))
	}
}
