package customers_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Tests{M: m}.Run()) }

type css = chromedp.CSS

// A day of the compliance team, in a browser: what is due, a customer, a hit decided, a search,
// the periods. On a phone and on a desk, in the light and in the dark, nothing reaches out of
// the window, axe has nothing to say, and nothing is asked of another place.
func TestJourneyInBrowser(t *testing.T) {
	axe := browsertest.Axe(t, "../node_modules")
	h := newHouse(t)
	h.unlock()
	h.people()
	if _, err := h.log.ClosePeriod(t.Context(), record.DateOf(h.now, h.now.Location()).AddDays(-1)); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(h.Handler())
	t.Cleanup(listening.Close)
	p := browsertest.Open(t, listening.URL+"/")
	h.approve(h.prepare("acct-2"), 0)
	look := func(where, want string) {
		t.Helper()
		if text := p.Text("main"); !strings.Contains(text, want) {
			t.Errorf("%s: the page does not say %q:\n%s", where, want, text)
		}
		for _, screen := range []struct {
			width  int64
			scheme string
		}{{1280, "dark"}, {390, "light"}} {
			p.See(screen.width, screen.scheme)
			if beyond := p.Overflow(); beyond != "" {
				t.Errorf("%s at %d px: %s", where, screen.width, beyond)
			}
			for _, fault := range p.Inaccessible(axe) {
				t.Errorf("%s, %s: %s", where, screen.scheme, fault)
			}
		}
	}

	p.Do(chromedp.Navigate(listening.URL + "/sign-in"))
	look("sign in", "Sign in")
	p.Do(chromedp.SendKeys(css("input[name=key]"), h.keys["compliance-1"]+"\r"), chromedp.WaitVisible(css("nav")))
	look("queue", "Marsh Lantern Trading")

	p.Do(chromedp.Click(css(`nav a[href="/?duty=decide"]`)), chromedp.WaitVisible(css(`nav a[href="/?duty=decide"][aria-current]`)), chromedp.Click(css("td.main a")), chromedp.WaitVisible(css("#chain")))
	look("customer", "Screening hit designation/2026-014")
	p.Do(chromedp.Click(css("input[value=false-positive]")), chromedp.SendKeys(css(".hit textarea"), "Another seat."), chromedp.Click(css(".hit button")), chromedp.WaitVisible(css("li.met")))
	look("decided", "it is somebody else")

	p.Do(chromedp.Click(css(`nav a[href="/search"]`)), chromedp.SendKeys(css("input[name=query]"), "brandt\r"), chromedp.WaitVisible(css("table")))
	look("search", "Ilse Brandt")
	p.Do(chromedp.Click(css("td.main a")), chromedp.Click(css(".chain summary")), chromedp.WaitVisible(css(".folded")))
	look("time line", "12 log-ins from 2 addresses")

	p.Do(chromedp.Click(css(`nav a[href="/periods"]`)), chromedp.WaitVisible(css(".numbers")))
	look("periods", "1 period to publish")
	p.Do(chromedp.Click(css(`nav a[href="/disclosures"]`)), chromedp.WaitVisible(css("article.hit")))
	look("disclosures", "waits for the second approval")
	p.Do(chromedp.Click(css(`nav a[href="/house"]`)), chromedp.WaitVisible(css("q")))
	look("who looked", "brandt")
}
