package server

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Each page has a title of its own, which says first what it is of and then of which ledger, and headings
// that go down a step at a time.
func TestTitlesAndHeadings(t *testing.T) {
	w := hostileWorld(t)
	title, heading := regexp.MustCompile(`<title>([^<]*) · ([^<]*)</title>`), regexp.MustCompile(`<h([1-6])[ >]`)
	of := make(map[string]string)
	for _, path := range w.pagesToSee() {
		page := w.getPage(path, http.StatusOK)
		path, _, _ := strings.Cut(path, "?")
		if m := title.FindStringSubmatch(page); path != "/" && path != "/search" {
			if m == nil || html.UnescapeString(m[2]) != "Office of Cloud Restrictions (fictional)" {
				t.Errorf("%s has the title %q", path, m)
			} else if other, taken := of[m[1]]; taken && other != path {
				t.Errorf("%s and %s have the title %q", path, other, m[1])
			} else {
				of[m[1]] = path
			}
		}
		last := byte('0')
		for _, m := range heading.FindAllStringSubmatch(page, -1) {
			if m[1][0] > last+1 {
				t.Errorf("%s: a heading of level %s follows one of %c", path, m[1], last)
			}
			last = m[1][0]
		}
		if icon := strings.Count(page, `<link rel="icon" href="/icon.svg"`); icon != 1 {
			t.Errorf("%s has %d icons", path, icon)
		}
	}
	if r := w.get("/icon.svg"); r.Code != http.StatusOK || r.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon: %d %v", r.Code, r.Header())
	}
}
