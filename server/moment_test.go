package server

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Whoever chose a moment stays there, and whoever came through a proxy under its path, wherever the links of the
// pages lead; one link leads back to the present.
func TestLinksKeepMomentAndPrefix(t *testing.T) {
	w := hostileWorld(t)
	const prefix, of = "/public/ledger", "at=2027-07-01&size=14"
	// These are of no moment, or have two of their own.
	timeless := regexp.MustCompile(`^/(?:(?:changes|checkpoints|schemas|api|how-to-verify|verify\.html|checkpoint|style\.css|check\.js|find\.js|openapi\.json)(?:[?#]|$)|v1/(?:entries|records|witnesses|auditors|checkpoints|register/changes)|schemas/|\?q=)`)
	link := regexp.MustCompile(`<(a|form|link|script)\b[^>]* (?:href|action|src)="([^"]*)"([^>]*)>`)
	queue, seen, back := []string{"/?" + of, "/threads/designation/2026-014?" + of}, map[string]bool{}, 0
	for n := 0; n < len(queue) && n < 120; n++ {
		r := w.get(queue[n], "X-Forwarded-Prefix", prefix)
		if r.Code == http.StatusPermanentRedirect {
			if to, ok := strings.CutPrefix(r.Header().Get("Location"), prefix); !ok || !strings.Contains(to, of) {
				t.Errorf("%s leads to %s", queue[n], r.Header().Get("Location"))
			}
			continue
		}
		if r.Code != http.StatusOK {
			t.Errorf("%s leads nowhere: %d", queue[n], r.Code)
			continue
		}
		for _, m := range link.FindAllStringSubmatch(r.Body.String(), -1) {
			to := html.UnescapeString(m[2])
			if strings.HasPrefix(to, "#") || strings.Contains(m[3], "external") {
				continue
			}
			path, ok := strings.CutPrefix(to, prefix)
			if !ok {
				t.Errorf("%s leads to %s, away from the proxy's path", queue[n], to)
				continue
			}
			u, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			path, _, _ = strings.Cut(path, "#")
			switch q := u.Query(); {
			case strings.Contains(m[3], "data-now"):
				back++
				if q.Has("at") || q.Has("size") {
					t.Errorf("%s leads to the present by %s", queue[n], to)
				}
			case m[1] != "a" || timeless.MatchString(path):
			case q.Get("at") == "" || q.Get("size") != "14":
				t.Errorf("%s leads to %s, at another moment", queue[n], to)
			case !seen[path] && q.Get("at") == "2027-07-01": // what a permalink leads to is the same
				seen[path] = true
				queue = append(queue, path)
			}
		}
	}
	if len(queue) < 40 || back < 40 {
		t.Errorf("%d pages were found, with %d ways back", len(queue), back)
	}
	for path, where := range map[string]func(http.Header, string) string{
		"/v1/register/changes.atom":                              func(_ http.Header, body string) string { return body },
		"/v1/records/" + w.Head("charter").String() + "/receipt": func(h http.Header, _ string) string { return `="` + "http://example.com" + h.Get("Location") },
		"/v1/register/changes.csv?limit=1":                       func(h http.Header, _ string) string { return `="` + strings.Trim(h.Get("Link"), "<") },
	} {
		r := w.get(path, "X-Forwarded-Prefix", prefix)
		text := where(r.Header(), r.Body.String())
		if addresses := regexp.MustCompile(`="https?://example\.com([^"]*)`).FindAllStringSubmatch(text, -1); len(addresses) == 0 || slices.ContainsFunc(addresses, func(m []string) bool { return !strings.HasPrefix(m[1], prefix) }) {
			t.Errorf("%s, behind a prefix, names %q in\n%s", path, addresses, text)
		}
	}
}

// A page of a size and of a day that is over says the same for ever, so that whoever has it need not ask again: not a
// byte of it changes as the ledger goes on. What may still change is asked for each time.
func TestSettledPagesStayAsTheyAre(t *testing.T) {
	w := hostileWorld(t)
	before := w.today().AddDays(-30).String()
	const kept = "public, max-age=86400, immutable"
	pages := map[string]string{}
	for _, path := range w.pagesToSee() {
		path, query, _ := strings.Cut(path, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q.Set("at", before)
		q.Set("size", "14")
		if slices.Contains([]string{"/checkpoints", "/schemas", "/api", "/how-to-verify", "/verify.html", "/changes", "/requests/2027-001"}, path) {
			continue // of no moment, of two, or nobody had asked by then
		}
		pages[path+"?"+q.Encode()] = ""
	}
	for path := range pages {
		r := w.get(path)
		if r.Code != http.StatusOK || r.Header().Get("Cache-Control") != kept {
			t.Errorf("%s: %d, %q; want it kept", path, r.Code, r.Header().Get("Cache-Control"))
		}
		pages[path] = r.Body.String()
	}
	w.mustSubmit(w.Designate("2027-200", w.NewDesignation("Kestrel Hosting Two")))
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Suspension{EffectiveOn: w.today(), Reason: "talks"}), "authority/officer-1", "authority/officer-2"))
	for path, first := range pages {
		if again := w.get(path).Body.String(); again != first {
			t.Errorf("%s changed as the ledger went on:\n%s", path, firstDifference(first, again))
		}
	}
	for _, moment := range []string{"", "?size=14", "?at=" + before, "?size=14&at=" + w.today().AddDays(30).String(), "?size=14&at=" + w.today().String()} {
		if r := w.get("/designations/2026-014" + moment); r.Code != http.StatusOK || strings.Contains(r.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("of the moment %q a page is kept: %q", moment, r.Header().Get("Cache-Control"))
		}
	}
}

// firstDifference is where two texts part.
func firstDifference(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return "…" + a[max(0, n-60):min(len(a), n+60)] + "…\n…" + b[max(0, n-60):min(len(b), n+60)] + "…"
}
