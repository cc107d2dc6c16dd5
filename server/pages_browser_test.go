package server

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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
			if wide := browsertest.Evaluate[int](p, `document.documentElement.scrollWidth`); int64(wide) > width {
				t.Errorf("%s is %d px wide on a screen of %d: %s", path, wide, width, browsertest.Evaluate[string](p, `[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest(".scroll, pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 160)).join("\n")`))
			}
			if hidden := browsertest.Evaluate[string](p, `[...document.querySelectorAll(".state")].filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.right > innerWidth || r.left < 0) && getComputedStyle(e).display !== "none"; }).map(e => e.textContent).join(", ")`); hidden != "" {
				t.Errorf("%s at %d px has states out of sight: %s", path, width, hidden)
			}
		}
	}
}

// axe finds nothing to say of any page, light or dark: WCAG 2.2 AA as far as a machine can judge it.
func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("no axe-core here: (cd server && npm ci --ignore-scripts)")
	}
	w := hostileWorld(t)
	p, url := w.listenInBrowser(t)
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 390}, {"dark", 1280}} {
		p.Do(chromedp.EmulateViewport(look.width, 900))
		browsertest.Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}})
		for _, path := range w.pagesToSee() {
			p.Do(chromedp.Navigate(url + path))
			browsertest.Evaluate[bool](p, string(axe)+"; true")
			found := browsertest.Evaluate[[]string](p, `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] }).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 2).map(n => n.html.slice(0, 200) + " " + (n.any[0]?.message ?? "")).join(" | ")))`)
			for _, fault := range found {
				t.Errorf("%s, %s: %s", path, look.scheme, fault)
			}
		}
	}
}

// Somebody who heard a name finds it while typing, by keyboard alone, and the search without JavaScript is the
// same form.
func TestFindWhileTyping(t *testing.T) {
	w := hostileWorld(t)
	p, url := w.listenInBrowser(t)
	p.Do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url+"/"))
	p.Do(chromedp.KeyEvent(kb.Tab))
	if focused := browsertest.Evaluate[string](p, `document.activeElement.className`); focused != "skip" {
		t.Errorf("the first stop of the keyboard is %q, want the link to the content", focused)
	}
	p.Do(chromedp.SendKeys(css("#find"), "kestr"), chromedp.WaitVisible(css(".hits li")))
	if text := p.Text(".hits"); !strings.Contains(text, "Kestrel Hosting") || !strings.Contains(text, "announced") {
		t.Errorf("while typing one sees\n%s", text)
	}
	p.Do(chromedp.KeyEvent(kb.ArrowDown))
	if chosen := browsertest.Evaluate[string](p, `document.getElementById(document.getElementById("find").getAttribute("aria-activedescendant")).dataset.href`); chosen != "/designations/2026-014" {
		t.Errorf("the first that is chosen is %s", chosen)
	}
	p.Do(chromedp.KeyEvent(kb.Escape), chromedp.WaitNotVisible(css(".hits")))
	p.Do(chromedp.SendKeys(css("#find"), "el"), chromedp.WaitVisible(css(".hits li")), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(css("#thread")))
	if at := browsertest.Evaluate[string](p, `location.pathname`); at != "/designations/2026-014" {
		t.Errorf("Enter leads to %s", at)
	}
	// What somebody signed is text in the list too.
	p.Do(chromedp.SendKeys(css("#find"), "alert"), chromedp.WaitVisible(css(".hits li")))
	if text := p.Text(".hits"); !strings.Contains(text, `<script>alert("1")</script>`) {
		t.Errorf("a hostile name is shown as\n%s", text)
	}
	p.Do(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(css("[data-found]")))
	if at := browsertest.Evaluate[string](p, `location.search`); at != "?q=alert" {
		t.Errorf("without a choice Enter asks %s", at)
	}
}

// An officer looks who has to answer, at a day to come: the day stays chosen wherever the links lead, no page of it
// says that it is the present, and one link leads back.
func TestBoardOfADayToCome(t *testing.T) {
	w := hostileWorld(t)
	p, at := w.listenInBrowser(t)
	day := w.today().AddDays(300).String()
	p.Do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(at+"/"), chromedp.Click(css(`nav a[href="/duties"]`)), chromedp.WaitVisible(css(".board")))
	p.Do(chromedp.Click(css(".word summary")), chromedp.WaitVisible(css(`.word input[name="at"]`)))
	browsertest.Evaluate[bool](p, fmt.Sprintf(`document.querySelector('.word input[name="at"]').value = %q; true`, day))
	p.Do(chromedp.Click(css(".word form button")), chromedp.WaitVisible(css(".word.chosen")))
	if text := p.Text("main"); !strings.Contains(text, "That day is to come") || !strings.Contains(text, "due by then") || strings.Contains(text, "overdue") || strings.Contains(text, "today") {
		t.Errorf("of a day to come the board says\n%s", text)
	}
	p.Do(chromedp.Click(css(`.board thead a[href^="/designations/2026-014"]`)), chromedp.WaitVisible(css("#thread")))
	asked, err := url.ParseQuery(strings.TrimPrefix(browsertest.Evaluate[string](p, `location.search`), "?"))
	if err != nil || asked.Get("at") != day {
		t.Errorf("a designation is opened as of %v, want %s (%v)", asked, day, err)
	}
	p.Do(chromedp.Click(css("[data-now]")), chromedp.WaitNotPresent(css(".word.chosen")))
	if left := browsertest.Evaluate[string](p, `location.search`); left != "" {
		t.Errorf("the present is asked for with %s", left)
	}
}
