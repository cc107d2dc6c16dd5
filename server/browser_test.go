package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Tests{M: m}.Run()) }

type css = chromedp.CSS

// site is a world that is served on loopback, for browsers.
type site struct {
	*world
	url string
}

// TestInBrowser is what a real browser shows of one ledger, in one browser: first what holds of every page, then how
// people go through them.
func TestInBrowser(t *testing.T) {
	browsertest.Open(t) // skips all of it where there is no browser
	s := hostileWorld(t).listenOnLoopback(t)
	for _, c := range []struct {
		name string
		run  func(site, *testing.T)
	}{
		{"every page", site.walk},
		{"the public", site.goAsPublic},
		{"an officer", site.goAsOfficer},
		{"a provider", site.goAsProvider},
		{"without a mouse", site.goByKeyboard},
		{"typing", site.typeAndFind},
		{"behind a proxy", site.goBehindProxy},
		{"a page that stays", site.openPermalink},
		{"on paper", site.print},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(site{s.forTest(t), s.url}, t) })
	}
}

// hostileWorld is a sample ledger that is sixty days old, so that what was due by now is late: names come in all
// scripts, and one tries everything. It trusts proxies on this machine.
func hostileWorld(t *testing.T) *world {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		t.Fatal(err)
	}
	set := settings{fs: vfs.NewMem(), key: [2]string{skey, vkey}, server: Config{Proxies: []string{"127.0.0.1"}}}
	founded := time.Now().AddDate(0, 0, -60)
	w := new(world)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(founded)) // a bubble begins in the year 2000
		then := newWorld(t, set)
		then.fillSample()
		w.World = then.World
	})
	people := w.World
	w = newWorld(t, set)
	w.World = people
	w.Now = time.Now()
	w.fillHostile()
	return w
}

// listenOnLoopback serves the world until the test ends.
func (w *world) listenOnLoopback(t *testing.T) site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return site{w, "http://" + l.Addr().String()}
}

// fillHostile adds what the sample lacks.
func (w *world) fillHostile() {
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
}

// open opens a tab that may ask this site alone.
func (s site) open(width, height int64) *browsertest.Page {
	s.t.Helper()
	p := browsertest.Open(s.t, s.url+"/")
	p.Do(chromedp.EmulateViewport(width, height))
	return p
}

// wantText wants these words in an element.
func (s site) wantText(p *browsertest.Page, selector string, wants ...string) {
	s.t.Helper()
	text := strings.Join(strings.Fields(p.Text(selector)), " ")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			s.t.Errorf("%s does not say %q:\n%s", selector, want, text)
		}
	}
}

// refuseText wants none of these words in an element.
func (s site) refuseText(p *browsertest.Page, selector string, others ...string) {
	s.t.Helper()
	text := strings.Join(strings.Fields(p.Text(selector)), " ")
	for _, other := range others {
		if strings.Contains(text, other) {
			s.t.Errorf("%s says %q:\n%s", selector, other, text)
		}
	}
}

// wantAt wants the tab to be on a page of this site.
func (s site) wantAt(p *browsertest.Page, want string) {
	s.t.Helper()
	if at := browsertest.Evaluate[string](p, `location.href`); at != s.url+want {
		s.t.Errorf("the browser is at %s, want %s", strings.TrimPrefix(at, s.url), want)
	}
}
