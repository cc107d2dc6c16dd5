// Package browsertest opens pages in a real browser, for tests: Chromium, headless, driven over
// its DevTools protocol. Where there is none a test is skipped with one line.
//
// A page that is opened must stay quiet: an error on its console, an exception that nobody caught and a
// request to another place than the test allows each fail the test.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds what one test does in the browser: a page that hangs fails it.
const patience = 2 * time.Minute

// commands are the names under which distributions install it.
var commands = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"}

// Page is one tab of a browser of its own, with nothing stored in it.
type Page struct {
	t       testing.TB
	ctx     context.Context
	allowed []string

	mu     sync.Mutex // guards faults, which the browser's events write
	faults []string
}

// Open starts a browser. allowed are the prefixes of the addresses that its pages may ask for.
func Open(t testing.TB, allowed ...string) *Page {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes too long for -short")
	}
	path := ""
	for _, name := range commands {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser here: apt-get install chromium fonts-noto-core")
	}
	// Without its sandbox Chromium runs as root too; it sees nothing but these pages.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	allowed = append(allowed, "data:image/svg+xml;base64,") // by which the browser itself draws a field for a date
	p := &Page{t: t, ctx: ctx, allowed: allowed}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing the browser: %v", err)
		}
		cancel()
		for _, fault := range p.Faults() {
			t.Error(fault)
		}
	})
	p.must(chromedp.Listen(ctx, p.watch))
	Call(p, network.Enable, network.EnableParams{})
	Call(p, log.Enable, cdp.Empty{})
	Call(p, runtime.Enable, cdp.Empty{})
	return p
}

func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("in the browser: %v", err)
	}
}

// watch notes what a page must not do.
func (p *Page) watch(event any) {
	fault := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		for _, prefix := range p.allowed {
			if strings.HasPrefix(e.Request.URL, prefix) {
				return
			}
		}
		fault = "the page asks for " + e.Request.URL
	case *runtime.EventExceptionThrown:
		fault = "on the page: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			fault += ": " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			fault = "an error on the page's console"
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			fault = "on the page's console: " + e.Entry.Text
		}
	}
	if fault == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fault)
}

// Faults returns what was noted so far, and forgets it: for pages that must be stopped.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	noted := p.faults
	p.faults = nil
	return noted
}

// Do does these things on the page, one after another.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, steps...))
}

// Run does one thing on the page and returns what it gives.
func Run[T any](p *Page, action chromedp.Action[T]) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, action)
	p.must(err)
	return result
}

// Evaluate gives an expression's value, as JSON decodes it, once its promise is kept.
func Evaluate[T any](p *Page, expression string) T {
	p.t.Helper()
	return Run(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Call calls a command of the browser that answers nothing.
func Call[P any](p *Page, command cdp.Command[P, cdp.Empty], params P) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, command, params)
	p.must(err)
}

// Before runs a script on every page that is opened from now on, before the page's own.
func (p *Page) Before(script string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	p.must(err)
}

// Text is the text of the element that a CSS selector names, once it is seen.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Run(p, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Axe reads the script that judges whether pages are accessible, from a node_modules folder.
// Where there is none the test is skipped.
func Axe(t testing.TB, modules string) (script string) {
	t.Helper()
	raw, err := os.ReadFile(modules + "/axe-core/axe.min.js")
	if err != nil {
		t.Skip("no axe-core here: (cd server && npm ci --ignore-scripts)")
	}
	return string(raw)
}

// Inaccessible is what axe has to say of the page that is open: WCAG 2.2 AA as far as a machine
// can judge it.
func (p *Page) Inaccessible(axe string) (faults []string) {
	p.t.Helper()
	Evaluate[bool](p, axe+"; true")
	return Evaluate[[]string](p, `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] }).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 2).map(n => n.html.slice(0, 200) + " " + (n.any[0]?.message ?? "")).join(" | ")))`)
}

// See has the browser's window so wide, and its user prefer a scheme of colours: light or dark.
func (p *Page) See(width int64, scheme string) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, 900))
	Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// Overflow names what reaches beyond the window's width; "" if nothing does, so that nobody has
// to scroll sideways.
func (p *Page) Overflow() string {
	p.t.Helper()
	return Evaluate[string](p, `document.documentElement.scrollWidth <= innerWidth ? "" : document.documentElement.scrollWidth + " px: " + [...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest(".scroll, pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 160)).join("\n")`)
}
