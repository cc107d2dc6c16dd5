package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestSearch: one question finds what is meant by whatever is known, in pages of one moment,
// and says as of when, how, and what was compared.
func TestSearch(t *testing.T) {
	w := sampleWorld(t)
	charter := w.Head("charter").String()
	for q, want := range map[string]string{
		"Kestrel Hosting":               "exact designation/2026-014",
		"host":                          "part designation/2026-014",
		"кестрел":                       "part designation/2026-014",
		"airlines aero":                 "part designation/ofac-sdn-36",
		"36":                            "part designation/ofac-sdn-36",
		"2026-015":                      "identifier designation/2026-015",
		"acme":                          "part party/acme-cloud",
		"response/2026-014/acme-cloud":  "identifier response/2026-014/acme-cloud",
		charter:                         "identifier charter",
		strings.ToUpper(charter[:9]):    "part charter",
		"http://www.kestrel.example/x?": "identifier designation/2026-014",
		"as64511":                       "identifier designation/2026-014",
	} {
		answer := w.wantJSON(w.get("/v1/register/search?q="+url.QueryEscape(q)), http.StatusOK)
		hits := answer["hits"].([]any)
		if len(hits) == 0 || answer["asOf"].(map[string]any)["size"] != 8.0 {
			t.Errorf("%q: %v", q, answer)
			continue
		}
		h := hits[0].(map[string]any)
		if got := h["how"].(string) + " " + h["thread"].(string); got != want || len(h["record"].(string)) != 64 {
			t.Errorf("%q finds %s (%v), want %s", q, got, h, want)
		}
	}
	if got := w.list("/v1/register/search?q=AS64511", "hits", "thread"); !slices.Equal(got, []string{"designation/2026-014", "designation/2026-015"}) {
		t.Errorf("page by page: %v", got)
	}
	if got := w.list("/v1/register/search?q=airlines&size=6", "hits", "thread"); len(got) != 0 {
		t.Errorf("before it was imported: %v", got)
	}
	none := w.wantJSON(w.get("/v1/register/search?q=Quetzal"), http.StatusOK)
	if none["total"] != 0.0 || len(none["compared"].([]any)) < 4 {
		t.Errorf("nothing found: %v", none)
	}
	filtered := w.wantJSON(w.get("/v1/register/search?q=AS64511&status=revoked"), http.StatusOK)
	if counts := filtered["counts"].(map[string]any); filtered["total"] != 0.0 || counts["status"].(map[string]any)["announced"] != 2.0 {
		t.Errorf("filtered: %v", filtered)
	}
	for _, query := range []string{"", "?q=", "?q=…", "?q=" + strings.Repeat("a", 301), "?q=a&kind=person", "?q=a&status=gone", "?q=a&after=x", "?q=a&country=zz", "?q=a&name=b"} {
		w.wantProblem(w.get("/v1/register/search"+query), problemParameter)
	}
}

// The page shows the same, narrows it by links, keeps what was asked in the box, and an empty
// one says what was compared. Names and questions are text, whatever they look like.
func TestSearchPage(t *testing.T) {
	w := sampleWorld(t)
	w.mustSubmit(w.Designate("2026-016", w.NewDesignation("<b>Bold</b> & Sons")))
	for path, wants := range map[string][]string{
		"/search":                   {`action="/search"`, "A name or a part of one"},
		"/search?q=kestrel":         {`value="kestrel"`, `<a href="/designations/2026-014" data-part="what">designation/2026-014</a>`, "3 hits for", "announced", "part", "What was compared", "whole names, aliases and former names"},
		"/search?q=acme":            {`<a href="/parties/acme-cloud" `},
		"/search?q=AS64511":         {"3 hits", "AS64511"},
		"/search?q=AS64511&limit=1": {`rel="next"`, "/search?after="},
		"/search?q=64511&kind=&country=&at=2030-01-01": {`name="at" value="2030-01-01"`, "expired"},
		"/search?q=b":                                 {"kind", `/search?kind=party&amp;q=b`},
		"/search?q=kestrel&status=revoked":            {"No hit with these filters", `href="/search?q=kestrel">all</a>`},
		"/search?q=Quetzal+Freight":                   {"Nothing for “<bdi>Quetzal Freight</bdi>” among 9 records", "names similar to “quetzal freight”, in any script", "Another spelling"},
		"/search?q=%3Cb%3Ebold":                       {"&lt;b&gt;Bold&lt;/b&gt; &amp; Sons"},
		"/search?q=%3Cscript%3Ealert(1)%3C/script%3E": {"&lt;script&gt;"},
		"/search?q=kestrel%E2%80%AE%00":               {`value="kestrel"`},
		"/search?q=%E2%80%A6":                         {"Nothing to look for"},
		"/search?q=" + strings.Repeat("a", 400):       {"at most 300 characters"},
		"/":                                           {`role="search"`, `name="q"`},
		"/parties/acme-cloud":                         {`role="search"`},
	} {
		page := w.getPage(path, http.StatusOK)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q: %s", path, want, page[strings.Index(page, "<h1"):])
			}
		}
		if strings.Contains(withoutOwnScript(page), "<script") || strings.Contains(page, "<b>Bold") {
			t.Errorf("%s: %s", path, page)
		}
	}
	empty := newWorld(t, settings{})
	if page := empty.getPage("/search?q=kestrel", http.StatusOK); !strings.Contains(page, "Nothing is published yet") {
		t.Errorf("a ledger of which nothing is published: %s", page)
	}
}
