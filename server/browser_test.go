package server

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-53cf897a/docket/server/browsertest"
)

// listenInBrowser serves the world on loopback and opens a browser that may ask for nothing else.
func (w *world) listenInBrowser(t *testing.T) (p *browsertest.Page, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, l) }()
	t.Cleanup(func() { // after the browser has gone
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return browsertest.Open(t, url+"/"), url
}

type css = chromedp.CSS

// A reader finds a record, has it checked in the browser by a policy of his own, and the browser
// remembers that policy, never the server.
func TestCheckInBrowser(t *testing.T) {
	w := sampleWorld(t)
	p, url := w.listenInBrowser(t)
	record := w.Head("designation/2026-014").String()
	policy := w.policy.Text()

	// By keyboard alone: the link, Enter; then the policy, the button.
	p.Do(chromedp.Navigate(url+"/records/"+record), chromedp.Focus(css("a[data-verifier]")), chromedp.KeyEvent(kb.Enter))
	p.Do(chromedp.WaitVisible(css("#results-section")))
	if text := p.Text("#results"); !strings.Contains(text, "NOT CHECKED") || !strings.Contains(text, "you have not said whom you trust") && !strings.Contains(text, "You have not said whom you trust") {
		t.Errorf("before a policy is chosen the page says\n%s", text)
	}
	p.Do(chromedp.SendKeys(css("#trust-text"), policy), chromedp.WaitEnabled(css("#trust-use")))
	if text := p.Text("#trust-preview"); !strings.Contains(text, w.policy.Fingerprint()) || !strings.Contains(text, "quorum none") {
		t.Errorf("what would be trusted is shown as\n%s", text)
	}
	p.Do(chromedp.Focus(css("#trust-use")), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(css(".result.verified")))
	for _, want := range []string{"designation/2026-014", record, "issuer NOT CHECKED", "by the ledger's clock", "not proven: no witnesses in the policy", "Kestrel Hosting", "signed by authority, holder officer-1"} {
		if text := p.Text("#results"); !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if text := p.Text(".verdict"); !strings.Contains(text, "VERIFIED that it is on the ledger") || !strings.Contains(text, "NOT CHECKED whether its issuer had the right") {
		t.Errorf("what is verified, and what is not, is not said in one breath: %q", text)
	}
	if status := p.Text("#status"); !strings.Contains(status, "verified that it is on the ledger; not checked") {
		t.Errorf("the live region says %q", status)
	}

	// The browser remembers; the designation's page leads here too.
	p.Do(chromedp.Navigate(url+"/designations/2026-014"), chromedp.Click(css("a[data-verifier]")), chromedp.WaitVisible(css(".result.verified")))
	p.Do(chromedp.Click(css("#trust-forget")), chromedp.WaitVisible(css(".result.undecided")))
	p.Do(chromedp.Reload(), chromedp.WaitVisible(css("#trust-none")))
	if shown := browsertest.Evaluate[bool](p, `!document.getElementById("results-section").hidden`); shown {
		t.Error("a file that was handed over is still there after a reload")
	}

	// A file of one's own, spoilt; and the pinned charter.
	chain := w.get("/v1/records/" + record + "/receipt?chain=true").Body.Bytes()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "order.tlog-proof"), filepath.Join(dir, "spoilt.tlog-proof")
	spoilt := append([]byte(nil), chain...)
	spoilt[len("c2sp.org/tlog-proof@v1\nextra ")+40] ^= 1
	document := filepath.Join(dir, "order.txt") // whose digest the subject is
	for name, raw := range map[string][]byte{good: chain, bad: spoilt, document: []byte("designation/2026-014")} {
		if err := os.WriteFile(name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.Do(chromedp.SendKeys(css("#trust-text"), w.Head("charter").String()), chromedp.WaitEnabled(css("#trust-use")), chromedp.Click(css("#trust-use")))
	p.Do(chromedp.EmulateViewport(320, 800), chromedp.SetUploadFiles(css("#file"), []string{good, bad, document}), chromedp.WaitVisible(css(".result.verified")), chromedp.WaitVisible(css(".result.refused")))
	if text := p.Text("#results"); !strings.Contains(text, "It is the document that the designation on designation/2026-014 is about") {
		t.Errorf("of the document the page says\n%s", text)
	}
	if wide := browsertest.Evaluate[int](p, `document.documentElement.scrollWidth`); wide > 320 {
		t.Errorf("at 320 px, which is 400 %% of 1280, the page is %d px wide", wide)
	}
	if text := p.Text(".result.verified"); !strings.Contains(text, "ledger "+w.Head("charter").String()+", which you pinned") || !strings.Contains(text, "docket verify --charter "+w.Head("charter").String()+" order.tlog-proof") {
		t.Errorf("under the pinned charter the page says\n%s", text)
	}
}
