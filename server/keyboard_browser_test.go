package server

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-53cf897a/docket/server/browsertest"
)

// Without a mouse: Tab, arrows, Enter and Escape lead from the home page through search and a designation to a
// verdict, and wherever the focus is, it is seen.
func (s site) goByKeyboard(t *testing.T) {
	p := s.open(1280, 900)
	p.Open(s.url + "/")
	p.Press(kb.Tab)
	if first := browsertest.Evaluate[string](p, `document.activeElement.className`); first != "skip" {
		t.Errorf("the first stop is %q, want the link to the content", first)
	}
	p.TabTo("#find")
	p.Press("kestrel")
	p.Await(hitsShown)
	p.Press(kb.Escape)
	p.Await(`!document.querySelector(".hits").checkVisibility() && document.activeElement.id === "find" && document.activeElement.value === "kestrel"`)
	p.Press(kb.Backspace)
	p.Await(hitsShown)
	p.Press(kb.ArrowDown)
	p.PressAndFollow(kb.Enter)
	s.wantAt(p, "/designations/2026-014")
	s.tabThrough(p, "the designation's page")

	p.TabTo("a[data-verifier]")
	p.PressAndFollow(kb.Enter)
	p.Await(`document.querySelector("#results").innerText.includes("NOT CHECKED")`)
	p.TabTo("#trust-text")
	p.Press(s.policy.Text())
	p.Await(`!document.querySelector("#trust-use").disabled`)
	p.TabTo("#trust-use")
	p.Press(kb.Enter)
	p.Await(`document.querySelector(".result.verified")`)
	s.tabThrough(p, "/verify.html with a verdict")

	p.Open(s.url + "/duties")
	s.tabThrough(p, "the duty board")
}

// hitsShown says that answers stand below the search box.
const hitsShown = `document.querySelector(".hits li")?.checkVisibility()`

// tabThrough goes once through all that takes the focus: each is on the screen, has a ring, and nothing lies over it.
func (s site) tabThrough(p *browsertest.Page, page string) {
	s.t.Helper()
	browsertest.Evaluate[bool](p, `document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute("tabindex"), scrollTo(0, 0), window.stops = new Set(), true`)
	for n := range 300 {
		p.Press(kb.Tab)
		fault := browsertest.Evaluate[string](p, `(e => {
			if (e === document.body || stops.has(e)) return "all";
			stops.add(e);
			const what = e.outerHTML.slice(0, 120), style = getComputedStyle(e);
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "no ring: " + what;
			const seen = [...e.getClientRects()].some(r => {
				const x = Math.min(Math.max(r.left + r.width / 2, 0), innerWidth - 1), y = Math.min(Math.max(r.top + Math.min(r.height, innerHeight) / 2, 0), innerHeight - 1);
				const there = document.elementFromPoint(x, y);
				return r.bottom > 0 && r.top < innerHeight && there !== null && (e.contains(there) || there.contains(e));
			});
			return seen ? "" : "out of sight: " + what;
		})(document.activeElement)`)
		if fault == "all" {
			if n < 5 {
				s.t.Errorf("%s has %d stops alone", page, n)
			}
			return
		}
		if fault != "" {
			s.t.Errorf("%s, stop %d: %s", page, n+1, fault)
		}
	}
	s.t.Errorf("%s never lets the keyboard out", page)
}

// Answers while somebody types: those of the newest question alone, told to who does not see them, text whatever they
// say, as of the moment that was chosen; and a choice stays when a later answer still has it.
func (s site) typeAndFind(t *testing.T) {
	p := s.open(1280, 900)
	// Answers come when the test lets them.
	p.Before(`window.held = []; const real = fetch; window.fetch = (...question) => new Promise(release => held.push(release)).then(() => real(...question));`)
	p.Open(s.url + "/")
	p.Do(chromedp.Focus(css("#find")))
	p.Press("zz") // of which there are none
	p.Await(`held.length === 1`)
	p.Press(kb.Backspace, kb.Backspace, "kest")
	p.Await(`held.length === 2`)
	browsertest.Evaluate[bool](p, `held[1](), true`)
	p.Await(hitsShown)
	browsertest.Evaluate[bool](p, `held[0](), true`)
	p.Await(`document.querySelector(".find [role=status]").textContent.includes("hit")`)
	if roles := browsertest.Evaluate[string](p, `(box => [box.getAttribute("role"), box.getAttribute("aria-expanded"), document.getElementById(box.getAttribute("aria-controls")).getAttribute("role")].join())(document.querySelector("#find"))`); roles != "combobox,true,listbox" {
		t.Errorf("who does not see the box is told %q", roles)
	}

	p.Press("rel")
	p.Await(`held.length === 3`)
	p.Press(kb.ArrowDown)
	browsertest.Evaluate[bool](p, `held[2](), true`)
	p.Await(`document.querySelector(".find [role=status]").textContent.includes("kestrel")`)
	const chosen = `document.getElementById(document.getElementById("find").getAttribute("aria-activedescendant"))?.dataset.href ?? ""`
	if got := browsertest.Evaluate[string](p, chosen); got != "/designations/2026-014" {
		t.Errorf("after the last answer %q is chosen", got)
	}
	p.PressAndFollow(kb.Enter)
	s.wantAt(p, "/designations/2026-014")

	p.Do(chromedp.Focus(css("#find")))
	p.Press("2027-100")
	p.Await(`held.length === 1`)
	browsertest.Evaluate[bool](p, `held[0](), true`)
	p.Await(hitsShown)
	s.wantText(p, ".hits", `<script>alert("1")</script>`)
	p.PressAndFollow(kb.Enter) // without a choice it is the form of those who have no JavaScript
	s.wantAt(p, "/search?q=2027-100")

	day := s.today().AddDays(300).String()
	p.Open(s.url + "/parties?at=" + day)
	p.Do(chromedp.Focus(css("#find")))
	p.Press("kestrel")
	p.Await(`held.length === 1`)
	browsertest.Evaluate[bool](p, `held[0](), true`)
	p.Await(hitsShown)
	s.wantText(p, ".hits", "in force")
	p.Press(kb.ArrowDown)
	p.PressAndFollow(kb.Enter)
	s.wantAt(p, "/designations/2026-014?at="+day)
	if !strings.Contains(p.Text("main"), "That day is to come") {
		t.Error("the designation that was found is not shown as of the day that was chosen")
	}
}
