package server

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/server/browsertest"
)

// pagesToSee are the pages that the walk looks at: one of each, and of each list one that is chosen.
func (w *world) pagesToSee() []string {
	return []string{
		"/", "/?at=2031-01-01", "/search", "/search?q=kestrel", "/search?q=Quetzal", "/designations", "/designations?country=XB&status=announced",
		"/designations/2026-014", "/designations/2027-100", "/designations/2027-101", "/duties", "/duties?party=acme-cloud&at=2031-01-01", "/licences", "/licences/2027-003",
		"/requests", "/requests/2027-001", "/cooperation", "/jurisdictions/XB", "/parties", "/parties/acme-cloud", "/changes", "/changes?from=3&to=5", "/records", "/records?kind=designation",
		"/records/" + w.Head("response/2026-014/acme-cloud").String(), "/threads/response/2026-014/acme-cloud", "/identifiers/domain/kestrel.example",
		"/lists", "/checkpoints", "/schemas", "/api", "/how-to-verify",
	}
}

// look is how a page is shown.
type look struct {
	width, height int64
	scheme, media string
}

// see shows the page that is open so, without opening it anew.
func (l look) see(p *browsertest.Page) {
	p.Do(chromedp.EmulateViewport(l.width, l.height))
	browsertest.Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: l.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}})
}

// slow makes the browser's processor so many times slower.
func slow(p *browsertest.Page, times float64) {
	browsertest.Call(p, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: times})
}

// Of every page: nothing moves once it is there; axe finds nothing to say of it, light on a phone and dark on a desk
// (WCAG 2.2 AA as far as a machine can judge it); at 390 px, and at the 320 that are 400 % of 1280, it scrolls downwards
// alone and hides no state; printed, it has what it says and no controls. Beside that no page may say anything on the
// console or ask another place for something, as always.
func (s site) walk(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Log("no axe-core here, by which the pages are judged: (cd server && npm ci --ignore-scripts)")
	}
	p := s.open(390, 844)
	for _, path := range append(s.pagesToSee(), "/verify.html") {
		look{390, 844, "light", ""}.see(p)
		if path == "/verify.html" {
			slow(p, 20) // what its script brings late is seen to come
		}
		p.Open(s.url + path)
		if moved := browsertest.Evaluate[[]string](p, layoutShifts); len(moved) > 0 {
			t.Errorf("%s moves while it is shown: %q", path, moved)
		}
		slow(p, 1)
		s.wantItFits(p, path, 390)
		if axe != nil {
			browsertest.Evaluate[bool](p, string(axe)+"; true")
			s.askAxe(p, path+", light", `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]`)
			look{1280, 900, "dark", ""}.see(p)
			s.askAxe(p, path+", dark", `{ type: "rule", values: ["color-contrast"] }`) // structure and names are what they were
		}
		look{320, 256, "light", ""}.see(p)
		s.wantItFits(p, path, 320)
		if path != "/verify.html" { // which has its own rules for paper
			look{800, 900, "light", "print"}.see(p)
			if left := browsertest.Evaluate[[]string](p, seen(`nav, form, button, .skip, .check, .facets`)); len(left) > 0 {
				t.Errorf("%s, printed, has %q", path, left)
			}
			s.wantItFits(p, path+", printed,", 800)
		}
	}
}

// layoutShifts are what moved since the page was opened, but for what a reader moved himself, and for a table whose last
// rows came a packet later on a busy machine and made a column a hair wider: a hundredth is a tenth of what counts as good.
const layoutShifts = `new Promise(done => {
	const moved = [];
	const note = entries => {
		for (const e of entries) if (!e.hadRecentInput && e.value > 0.01) moved.push(e.value + ": " + e.sources.map(s => (s.node?.outerHTML ?? "").slice(0, 80)).join(", "));
	};
	const observer = new PerformanceObserver(list => note(list.getEntries()));
	observer.observe({ type: "layout-shift", buffered: true });
	requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => { note(observer.takeRecords()); done(moved); })));
})`

// seen is an expression for what of these elements is to be seen.
func seen(selector string) string {
	return `[...document.querySelectorAll("` + selector + `")].filter(e => e.checkVisibility() && e.getClientRects().length > 0).map(e => e.outerHTML.slice(0, 80))`
}

// wantItFits wants a page that is no wider than its screen, and each state where it is seen.
func (s site) wantItFits(p *browsertest.Page, path string, width int) {
	s.t.Helper()
	if wide := browsertest.Evaluate[int](p, `document.documentElement.scrollWidth`); wide > width {
		s.t.Errorf("%s is %d px wide on a screen of %d: %s", path, wide, width, browsertest.Evaluate[string](p, `[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest("pre") && (matchMedia("print").matches || !e.parentElement.closest(".scroll"))).slice(0, 3).map(e => e.outerHTML.slice(0, 160)).join("\n")`))
	}
	if hidden := browsertest.Evaluate[string](p, `[...document.querySelectorAll(".state")].filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.right > innerWidth || r.left < 0) && getComputedStyle(e).display !== "none"; }).map(e => e.textContent).join(", ")`); hidden != "" {
		s.t.Errorf("%s at %d px has states out of sight: %s", path, width, hidden)
	}
}

// askAxe asks axe, which the page has, about the page by these rules.
func (s site) askAxe(p *browsertest.Page, page, rules string) {
	s.t.Helper()
	found := browsertest.Evaluate[[]string](p, `axe.run({ runOnly: `+rules+`, resultTypes: ["violations"] }).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 2).map(n => n.html.slice(0, 200) + " " + (n.any[0]?.message ?? "")).join(" | ")))`)
	for _, fault := range found {
		s.t.Errorf("%s: %s", page, fault)
	}
}

// A page on paper says what it says on the screen, folded or not, and leaves out what can only be clicked on.
func (s site) print(t *testing.T) {
	p := s.open(1280, 900)
	p.Open(s.url + "/designations/2026-014")
	p.Do(chromedp.EmulateViewport(800, 900))
	pdf := browsertest.Run(p, chromedp.PrintToPDF())
	if !strings.HasPrefix(string(pdf[:min(5, len(pdf))]), "%PDF-") || slices.Max(pdf) == 0 {
		t.Errorf("printing gives %d bytes that are no PDF", len(pdf))
	}
}
