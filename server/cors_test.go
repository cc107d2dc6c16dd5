package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// corsAnswer is how the server answers a page of another origin.
func corsAnswer(t *testing.T, method, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://verifier.example")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer
}

// A verifier that runs in a browser, on a page of another origin, reads everything
// that is public: each route of the table that answers GET, whatever it answers.
func TestPagesOfOtherOriginsRead(t *testing.T) {
	w := sampleWorld(t)
	stop := w.listen()
	defer stop()
	values := strings.NewReplacer(
		"*path", "0/000.p/1",
		"/*thread", "/response/2026-014/acme-cloud",
		":code", "XB",
		"/records/:id", "/records/"+w.Head("charter").String(),
		"/designations/:id", "/designations/2026-014",
		"/parties/:id", "/parties/acme-cloud",
		"/licences/:id", "/licences/2027-003",
		"/duties/:id", "/duties/acme-cloud",
		"/stream", "/stream?from=0&limit=1",
		"/requests/:id", "/requests/2027-001",
		":scheme", "name", ":value", "kestrel",
		":kind", "response",
		":index", "0",
		":size", "7", ":file", "MANIFEST-000001",
	)
	paths := []string{"/tile/entries/000.p/1", "/v1/records?unknown=1", "/v1/records/xyz", "/nothing", "/v1/nothing"}
	for _, r := range w.server.routes() {
		if r.method == http.MethodGet {
			paths = append(paths, values.Replace(r.path))
		}
	}
	for _, path := range paths {
		if strings.ContainsAny(path, ":*") {
			t.Fatalf("%s: say what this test puts into the path", path)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			h := corsAnswer(t, method, "http://"+w.address+path).Header
			if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: a page of another origin is kept out: %v", method, path, h)
			}
			if exposed := h.Get("Access-Control-Expose-Headers"); exposed != "Docket-Index, Docket-Record, Docket-Replica, ETag, Location, Retry-After" {
				t.Errorf("%s %s exposes %q", method, path, exposed)
			}
		}
	}
	revalidated := corsAnswer(t, "GET", "http://"+w.address+"/checkpoint", "If-None-Match", "*")
	if revalidated.StatusCode != http.StatusNotModified || revalidated.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a checkpoint that has not changed: %d %v", revalidated.StatusCode, revalidated.Header)
	}
}

// A browser asks before it sends a header of its own, like If-None-Match. It is told
// that it may read, and no more than that.
func TestPreflight(t *testing.T) {
	w := sampleWorld(t)
	stop := w.listen()
	defer stop()
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/1", "/tile/0/000.p/200", "/v1/records", "/v1/records/xyz", "/v1/register/parties", "/", "/style.css"} {
		for _, wanted := range []string{"GET", "POST"} {
			answer := corsAnswer(t, "OPTIONS", "http://"+w.address+path, "Access-Control-Request-Method", wanted, "Access-Control-Request-Headers", "if-none-match")
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin":      "*",
				"Access-Control-Allow-Methods":     "GET, HEAD",
				"Access-Control-Allow-Headers":     "If-None-Match", // Content-Type would let browsers POST
				"Access-Control-Max-Age":           "86400",
				"Access-Control-Allow-Credentials": "",
				"Allow":                            corsAnswer(t, "PUT", "http://"+w.address+path).Header.Get("Allow"),
			} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("OPTIONS %s for %s: %s is %q, want %q", path, wanted, name, got, want)
				}
			}
			if answer.Header.Get("Allow") == "" || answer.StatusCode != http.StatusNoContent || answer.ContentLength > 0 {
				t.Errorf("OPTIONS %s: %s with %d bytes", path, answer.Status, answer.ContentLength)
			}
		}
	}
	if answer := corsAnswer(t, "OPTIONS", "http://"+w.address+"/nothing"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("OPTIONS of no resource: %s", answer.Status)
	}
	if m := w.metricsText(); !strings.Contains(m, `docket_http_requests_total{method="OPTIONS",route="/checkpoint",status="204"}`) {
		t.Error("the metrics do not tell preflights from other requests")
	}
}

// A web page elsewhere submits nothing through its visitors: what they are answered it
// may not read, whether the record was admitted or refused.
func TestPagesOfOtherOriginsDoNotSubmit(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	for _, body := range []string{"hello", string(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}).Marshal())} {
		r := httptest.NewRequest("POST", "/v1/records", strings.NewReader(body))
		r.Header.Set("Content-Type", typeJSON)
		r.Header.Set("Origin", "https://elsewhere.example")
		if out := w.do(r); out.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d, and a page of another origin may read it", out.Code)
		}
	}
	// Of the media types that need no preflight none is taken.
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		r := httptest.NewRequest("POST", "/v1/records", strings.NewReader("{}"))
		r.Header.Set("Content-Type", media)
		w.wantProblem(w.do(r), problemMediaType)
	}
}
