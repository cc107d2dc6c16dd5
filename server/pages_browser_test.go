package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

// hostileWorld is a sample ledger in which names come in all scripts, and one tries everything.
func hostileWorld(t *testing.T) *world {
	t.Helper()
	w := sampleWorld(t)
	for i, name := range []string{
		`<script>alert("1")</script>"'><img src=x onerror=alert(2)>`,
		"شركة الاستضافة السحابية المحدودة",
		"雲端託管有限公司（香港）",
		"Wolkenbetreibergesellschaftsbeteiligungsverwaltung" + strings.Repeat("sgesellschaft", 12),
	} {
		w.mustSubmit(w.Designate(fmt.Sprintf("2027-10%d", i), w.NewDesignation(name)))
	}
	w.mustSubmit(w.Sign(w.Statement("licence/2027-003", record.Authority, &record.Licence{
		Type: record.LicenceGeneral, Designations: []string{"2026-014"}, From: w.today(), Until: w.today().AddDays(30), Permits: "wind-down",
	}), "authority/officer-2"))
	w.mustSubmit(w.Request("2027-001", w.NewRequest("acme-cloud")))
	return w
}

// pagesToSee are the pages that a browser test looks at: one of each, and of each list one that is chosen.
func (w *world) pagesToSee() []string {
	return []string{
		"/", "/?at=2031-01-01", "/search", "/search?q=kestrel", "/search?q=Quetzal", "/designations", "/designations?country=XB&status=announced",
		"/designations/2026-014", "/designations/2027-100", "/designations/2027-101", "/duties", "/duties?party=acme-cloud&at=2031-01-01", "/licences", "/licences/2027-003",
		"/requests", "/requests/2027-001", "/cooperation", "/jurisdictions/XB", "/parties", "/parties/acme-cloud", "/changes", "/changes?from=3&to=5", "/records", "/records?kind=designation",
		"/records/" + w.Head("response/2026-014/acme-cloud").String(), "/threads/response/2026-014/acme-cloud", "/identifiers/domain/kestrel.example",
		"/lists", "/checkpoints", "/schemas", "/api", "/how-to-verify",
	}
}

// No page scrolls sideways on a phone, says anything on the console or asks another place for something.
func TestPagesOnAPhone(t *testing.T) {
	w := hostileWorld(t)
	p, url := w.listenInBrowser(t)
	for _, width := range []int64{390, 320} { // 320 is 400 % of 1280
		p.Do(chromedp.EmulateViewport(width, 800))
		for _, path := range w.pagesToSee() {
			p.Do(chromedp.Navigate(url + path))
			if beyond := p.Overflow(); beyond != "" {
				t.Errorf("%s at %d px: %s", path, width, beyond)
			}
			if hidden := browsertest.Evaluate[string](p, `[...document.querySelectorAll(".state")].filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.right > innerWidth || r.left < 0) && getComputedStyle(e).display !== "none"; }).map(e => e.textContent).join(", ")`); hidden != "" {
				t.Errorf("%s at %d px has states out of sight: %s", path, width, hidden)
			}
		}
	}
}

// axe finds nothing to say of any page, light or dark: WCAG 2.2 AA as far as a machine can judge it.
func TestPagesAreAccessible(t *testing.T) {
	axe := browsertest.Axe(t, "node_modules")
	w := hostileWorld(t)
	p, url := w.listenInBrowser(t)
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 390}, {"dark", 1280}} {
		p.See(look.width, look.scheme)
		for _, path := range w.pagesToSee() {
			p.Do(chromedp.Navigate(url + path))
			for _, fault := range p.Inaccessible(axe) {
				t.Errorf("%s, %s: %s", path, look.scheme, fault)
			}
		}
	}
}
