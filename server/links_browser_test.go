package server

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-53cf897a/docket/server/browsertest"
)

// proxied serves the site under /ledger/ of a host that has other things too, as its X-Forwarded-Prefix says.
func (s site) proxied(t *testing.T) (address string, strayed *atomic.Int64) {
	t.Helper()
	backend, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	strayed = new(atomic.Int64)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/ledger")
		r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, "/ledger")
		r.Out.Header.Set("X-Forwarded-Prefix", "/ledger")
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/ledger/") {
			strayed.Add(1)
			http.Error(w, "another site", http.StatusNotFound)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, strayed
}

// Behind a proxy that has the ledger under a path, whatever somebody does stays under that path: links, typing, the
// choice of a day, the check in the browser, redirections and pages of what is not there.
func (s site) goBehindProxy(t *testing.T) {
	host, strayed := s.proxied(t)
	home := host + "/ledger/"
	p := browsertest.Open(t, home)
	p.Open(home)
	s.url = host + "/ledger"
	p.Do(chromedp.Focus(css("#find")))
	p.Press("kestrel")
	p.Await(hitsShown)
	p.Press(kb.ArrowDown)
	p.PressAndFollow(kb.Enter)
	s.wantAt(p, "/designations/2026-014")

	day := s.today().AddDays(300).String()
	p.Do(chromedp.Click(css(".word summary")), chromedp.WaitVisible(css(`.word input[name="at"]`)))
	browsertest.Evaluate[bool](p, `(document.querySelector('.word input[name="at"]').value = "`+day+`") !== ""`)
	p.Follow(".word form button")
	s.wantAt(p, "/designations/2026-014?at="+day+"&size=")
	p.Follow(`nav a[href^="/ledger/parties"]`)
	s.wantAt(p, "/parties?at="+day)
	p.Follow("[data-now]")
	s.wantAt(p, "/parties")

	p.Open(s.url + "/threads/designation/2026-014")
	s.wantAt(p, "/designations/2026-014")
	p.Follow("a[data-verifier]")
	p.Do(chromedp.SendKeys(css("#trust-text"), s.policy.Text()), chromedp.WaitEnabled(css("#trust-use")), chromedp.Click(css("#trust-use")), chromedp.WaitVisible(css(".result.verified")))

	p.Open(s.url + "/how-to-verify")
	s.wantText(p, `pre[aria-label="Commands to make a copy"]`, "docket trust "+s.url+" --charter")
	p.Open(s.url + "/duties")
	if outside := browsertest.Evaluate[[]string](p, `[...document.querySelectorAll("a, form, script, link")].map(e => e.href || e.action || e.src).filter(a => !a.startsWith("`+home+`"))`); len(outside) > 0 {
		t.Errorf("links of the board lead to %q", outside)
	}
	if status := browsertest.Evaluate[int](p, `fetch(document.querySelector(".take a").href).then(r => r.status)`); status != http.StatusOK {
		t.Errorf("the board as data: %d", status)
	}
	p.Open(s.url + "/designations/2026-099")
	if faults := p.Faults(); len(faults) != 1 || !strings.Contains(faults[0], "404") {
		t.Errorf("of a page that is not there the console says %q", faults)
	}
	s.wantText(p, "main", "There is no such thing")
	p.Follow("header .home")
	s.wantAt(p, "/")
	if n := strayed.Load(); n > 0 {
		t.Errorf("%d requests left the path", n)
	}
}

// A page of a size and a day that is over is kept by the browser, which asks for it once; one of the present is not.
func (s site) openPermalink(t *testing.T) {
	p := s.open(1280, 900)
	kept := "/designations/2026-014?at=" + s.today().AddDays(-30).String() + "&size=8"
	const transferred = `performance.getEntriesByType("navigation")[0].transferSize`
	for _, c := range []struct {
		path  string
		again bool
	}{{kept, false}, {"/designations/2026-014", true}, {kept, false}} {
		p.Open(s.url + c.path)
		first := browsertest.Evaluate[int](p, transferred)
		p.Open(s.url + "/how-to-verify")
		p.Open(s.url + c.path)
		if again := browsertest.Evaluate[int](p, transferred); (again > 0) != c.again {
			t.Errorf("%s: %d bytes came first, and %d when it was opened again", c.path, first, again)
		}
	}
	s.wantText(p, "main", "1 of 2", "of size 8", "for the moment")
	s.refuseText(p, "main", "today", "Licences") // which came later
}
