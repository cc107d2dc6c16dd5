package server

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Behind a proxy that has the ledger under a path, every link leads back there: of pages, redirects, feeds
// and commands. Whoever has named no proxy believes nobody's header.
func TestPathPrefix(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{Proxies: []string{"192.0.2.0/24"}}}, "acme-cloud")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	behind := []string{"X-Forwarded-Prefix", "/ledger/", "X-Forwarded-Proto", "https"}
	link := regexp.MustCompile(` (?:href|src|action|data-verifier)="([^"#]+)"`)
	for _, path := range []string{"/", "/designations", "/designations/2026-014", "/duties", "/how-to-verify", "/search?q=kestrel", "/designations?at=2031-01-01"} {
		r := w.get(path, behind...)
		if r.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, r.Code)
		}
		for _, m := range link.FindAllStringSubmatch(r.Body.String(), -1) {
			own, ok := strings.CutPrefix(html.UnescapeString(m[1]), "/ledger")
			if !ok || !strings.HasPrefix(own, "/") {
				t.Errorf("%s leads to %s, which is not under /ledger", path, m[1])
			} else if to := w.get(own); to.Code != http.StatusOK {
				t.Errorf("%s leads to %s: %d", path, m[1], to.Code)
			}
		}
	}
	if page := w.get("/how-to-verify", behind...).Body.String(); !strings.Contains(page, "docket trust https://example.com/ledger --charter") {
		t.Errorf("what to type is not of the address that the reader sees:\n%s", page)
	}
	for _, feed := range []string{"/v1/register/changes.atom", "/v1/register/duties.ics"} {
		if text := w.get(feed, behind...).Body.String(); !strings.Contains(text, "https://example.com/ledger/") || strings.Contains(text, "example.com/v1") || strings.Contains(text, "example.com/records") {
			t.Errorf("%s leads elsewhere:\n%s", feed, text)
		}
	}
	if to := w.get("/threads/party/acme-cloud", behind...).Header().Get("Location"); to != "/ledger/parties/acme-cloud" {
		t.Errorf("redirected to %q", to)
	}
	for _, no := range []string{"//elsewhere.example", "/a b", `/"><script>`, "ledger", "/" + strings.Repeat("a", 300)} {
		if page := w.get("/", "X-Forwarded-Prefix", no).Body.String(); !strings.Contains(page, ` href="/style.css"`) {
			t.Errorf("the prefix %q is taken", no)
		}
	}
	if page := sampleWorld(t).get("/", behind...).Body.String(); !strings.Contains(page, ` href="/style.css"`) {
		t.Error("without a proxy, somebody's header is believed")
	}
}
