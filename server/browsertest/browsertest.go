// Package browsertest opens pages in a real browser, for tests: Chromium, headless, driven over
// its DevTools protocol. Where there is none a test is skipped with one line.
//
// All tests of a package share one browser, which [Tests] ends; each page of it remembers nothing of the
// others. A page that is opened must stay quiet: an error on its console, an exception that nobody caught and a
// request to another place than the test allows each fail the test.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience bounds one step in the browser, of those that take it a second where much else is under way:
// a page that hangs fails its test, which says at which step.
const patience = 2 * time.Minute

// commands are the names under which distributions install it.
var commands = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"}

// Tests are a package's. Its TestMain runs them by it, where they open pages.
type Tests struct{ *testing.M }

// Run runs them, and ends the browser that they shared.
func (m Tests) Run() int {
	shared.running = true
	defer func() {
		if shared.end != nil {
			shared.end()
		}
	}()
	return m.M.Run()
}

// shared is the browser of a package's tests, which run one after another: those that open pages never
// side by side.
var shared struct {
	running bool
	ctx     context.Context // nil until the first page is opened
	end     func()
}

// startBrowser starts the browser, unless it runs.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes too long for -short")
	}
	if shared.ctx != nil {
		return shared.ctx
	}
	if !shared.running {
		t.Fatal("the browser would never end: TestMain runs browsertest.Tests")
	}
	path := ""
	for _, name := range commands {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser here: apt-get install chromium fonts-noto-core fonts-noto-cjk")
	}
	// Without its sandbox Chromium runs as root too; it sees nothing but these pages.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	allocated, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, _ := chromedp.NewContext(allocated)
	if err := chromedp.Do(ctx); err != nil {
		stop()
		t.Fatalf("starting %s: %v", path, err)
	}
	shared.ctx, shared.end = ctx, func() {
		chromedp.Cancel(ctx) // closed in peace, it leaves nothing behind
		stop()
	}
	return ctx
}

// Page is one tab of the browser, with nothing stored in it.
type Page struct {
	t       testing.TB
	ctx     context.Context
	allowed []string

	mu     sync.Mutex // guards faults, which the browser's events write
	faults []string
}

// Open opens a tab. allowed are the prefixes of the addresses that its pages may ask for.
func Open(t testing.TB, allowed ...string) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(startBrowser(t), chromedp.WithNewBrowserContext())
	allowed = append(allowed, "data:image/svg+xml;base64,") // by which the browser itself draws a field for a date
	p := &Page{t: t, ctx: ctx, allowed: allowed}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing the tab: %v", err)
		}
		cancel()
		for _, fault := range p.Faults() {
			t.Error(fault)
		}
	})
	p.must(chromedp.Listen(ctx, p.watch), "opening a tab")
	Call(p, network.Enable, network.EnableParams{})
	Call(p, log.Enable, cdp.Empty{})
	Call(p, runtime.Enable, cdp.Empty{})
	return p
}

// must fails the test, saying what was under way.
func (p *Page) must(err error, doing string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("in the browser, %s: %v", doing, err)
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
	for i, step := range steps {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		err := chromedp.Do(ctx, step)
		cancel()
		p.must(err, fmt.Sprintf("at step %d of %d", i+1, len(steps)))
	}
}

// Run does one thing on the page and returns what it gives.
func Run[T any](p *Page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	p.must(err, "at a step")
	return result
}

// Evaluate gives an expression's value, as JSON decodes it, once its promise is kept.
func Evaluate[T any](p *Page, expression string) T {
	p.t.Helper()
	return Run(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Await waits until an expression holds, whatever page the tab is on by then.
func (p *Page) Await(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && holds {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("in the browser, waiting until %s: %v; the page is %s", expression, err, p.describe())
		case <-time.After(20 * time.Millisecond): // it changes, or the next one comes
		}
	}
}

// describe says on which page the tab is, for whoever reads of a failure.
func (p *Page) describe() string {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
	if err != nil {
		return "not to be read: " + err.Error()
	}
	return text
}

// Open opens an address in the tab.
func (p *Page) Open(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.Navigate(address)), "opening "+address)
}

// Follow clicks on what a CSS selector names, and waits for the page to which it leads.
func (p *Page) Follow(selector string) {
	p.t.Helper()
	p.leave(func() {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		p.must(chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))), "clicking on "+selector)
	}, "a click on "+selector)
}

// PressAndFollow presses a key that leads to another page, and waits for it.
func (p *Page) PressAndFollow(key string) {
	p.t.Helper()
	p.leave(func() { p.Press(key) }, fmt.Sprintf("the key %q", key))
}

// leave waits, once it did something, for a page that is not the one of now.
func (p *Page) leave(do func(), what string) {
	p.t.Helper()
	Evaluate[bool](p, `window.left = true`)
	do()
	p.Await(`!window.left && document.readyState === "complete" /* after ` + what + ` */`)
}

// Press presses keys, one after another.
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		for _, r := range key {
			p.press(r)
		}
	}
}

// press presses one key. Its character comes with it, as from a keyboard, and not after it, as chromedp.KeyEvent sends it:
// a page that prevents what Enter would do would send its form all the same, or not, as the two meet.
func (p *Page) press(r rune) {
	p.t.Helper()
	events := kb.Encode(r)
	down, up := events[0], events[len(events)-1]
	if len(events) == 3 {
		down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
	}
	Call(p, input.DispatchKeyEvent, *down)
	Call(p, input.DispatchKeyEvent, *up)
}

// TabTo presses the tabulator until what a CSS selector names has the focus: a reader without a mouse gets there.
func (p *Page) TabTo(selector string) {
	p.t.Helper()
	var passed []string
	for range 300 {
		p.Press(kb.Tab)
		at := Evaluate[[2]string](p, fmt.Sprintf(`(e => [e.matches(%q) ? "there" : "", e.outerHTML.slice(0, 80)])(document.activeElement)`, selector))
		if at[0] != "" {
			return
		}
		passed = append(passed, at[1])
	}
	p.t.Fatalf("in the browser, no tabulator leads to %s, but to\n%s", selector, strings.Join(passed[:20], "\n"))
}

// Call calls a command of the browser that answers nothing.
func Call[P any](p *Page, command cdp.Command[P, cdp.Empty], params P) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, command, params)
	p.must(err, "at "+string(command.Method))
}

// Before runs a script on every page that is opened from now on, before the page's own.
func (p *Page) Before(script string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	p.must(err, "adding a script")
}

// Text is the text of the element that a CSS selector names, once it is seen.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
	p.must(err, "reading "+selector)
	return text
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
