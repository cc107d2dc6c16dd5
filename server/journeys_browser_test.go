package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

// Somebody who heard a name finds it while typing, reads what it means and since when, who has not answered, how it
// stands on a day to come, and has it checked by a policy of his own, which the browser remembers, never the server.
func (s site) goAsPublic(t *testing.T) {
	p := s.open(1280, 900)
	p.Open(s.url + "/")
	s.wantText(p, "main", "Whom it restricts today", "Who is late", "Is it healthy?", "Yes: what is sent now is recorded and published.")
	p.Do(chromedp.SendKeys(css("#find"), "kestr"))
	p.Await(`document.querySelector(".hits li")?.checkVisibility()`)
	s.wantText(p, ".hits", "Kestrel Hosting", "announced")
	p.Follow(".hits li")

	s.wantAt(p, "/designations/2026-014")
	from := s.today().AddDays(190 - 60).String()
	s.wantText(p, "main", "Today: announced. It takes effect on "+from, "1 of 2", "1 overdue", "announced from", "← today", from+" until", "No new accounts.", "Licences", "2027-003")
	p.Follow(`.owed a[href="/parties/borealis"]`)
	s.wantText(p, "main", "borealis, Inc. (fictional)", "Today: active.", "2 overdue", "overdue to answer 2026-014, Kestrel Hosting due "+s.today().AddDays(46-60).String())
	p.Follow(`nav a[href="/duties"]`)
	s.wantText(p, ".board", "Kestrel Hosting", "overdue")

	day := s.today().AddDays(300).String()
	p.Do(chromedp.Click(css(".word summary")), chromedp.WaitVisible(css(`.word input[name="at"]`)))
	browsertest.Evaluate[bool](p, fmt.Sprintf(`(document.querySelector('.word input[name="at"]').value = %q) !== ""`, day))
	p.Follow(".word form button")
	s.wantText(p, "main", "That day is to come", day+" is asked about", "due by then")
	s.refuseText(p, "main", "overdue", "today")
	p.Follow(`.board thead a[href^="/designations/2026-014"]`)
	s.wantAt(p, "/designations/2026-014?at="+day)
	s.wantText(p, "main", "On "+day+": in force.", "That day is to come", "1 due by then")
	s.refuseText(p, "main", "overdue", "today")
	p.Follow("[data-now]")
	s.wantAt(p, "/designations/2026-014")
	s.wantText(p, "main", "Today: announced.")

	p.Follow("a[data-verifier]")
	p.Do(chromedp.WaitVisible(css("#results-section")))
	s.wantText(p, "#results", "NOT CHECKED", "ou have not said whom you trust")
	p.Do(chromedp.SendKeys(css("#trust-text"), s.policy.Text()), chromedp.WaitEnabled(css("#trust-use")))
	s.wantText(p, "#trust-preview", s.policy.Fingerprint(), "quorum none")
	p.Do(chromedp.Click(css("#trust-use")), chromedp.WaitVisible(css(".result.verified")))
	s.wantText(p, "#results", "designation/2026-014", s.Head("designation/2026-014").String(), "issuer NOT CHECKED", "by the ledger's clock", "not proven: no witnesses in the policy", "Kestrel Hosting", "signed by authority, holder officer-1")
	s.wantText(p, ".verdict", "VERIFIED that it is on the ledger", "NOT CHECKED whether its issuer had the right")
	s.wantText(p, "#status", "verified that it is on the ledger; not checked")

	// The browser remembers; another page leads here too.
	p.Open(s.url + "/parties/borealis")
	p.Follow("a[data-verifier]")
	p.Do(chromedp.WaitVisible(css(".result.verified")), chromedp.Click(css("#trust-forget")), chromedp.WaitVisible(css(".result.undecided")))
	p.Do(chromedp.Reload(), chromedp.WaitVisible(css("#trust-none")))
	if shown := browsertest.Evaluate[bool](p, `!document.getElementById("results-section").hidden`); shown {
		t.Error("a file that was handed over is still there after a reload")
	}
}

// An officer sees who is late, the latest first, in words and not by colour alone, chooses those, and takes what
// changed as a table.
func (s site) goAsOfficer(t *testing.T) {
	p := s.open(1280, 900)
	p.Open(s.url + "/")
	s.wantText(p, `section[aria-labelledby="late"]`, "borealis: ", "acme-cloud: ", "overdue", "due "+s.today().AddDays(46-60).String())
	p.Follow(`section[aria-labelledby="late"] .more a`)
	s.wantAt(p, "/duties")

	board := browsertest.Evaluate[[][]string](p, `[...document.querySelectorAll(".board tr")].map(tr => [...tr.cells].map(c => c.innerText.replace(/\s+/g, " ").trim()))`)
	var parties, columns []string
	for _, row := range board {
		parties = append(parties, row[0])
	}
	for _, cell := range board[0] {
		name, _, _ := strings.Cut(cell, " ")
		columns = append(columns, name)
	}
	if !slices.Equal(parties, []string{"Party", "borealis", "acme-cloud"}) || !slices.Equal(columns[:3], []string{"Party", "2026-014", "2026-015"}) {
		t.Errorf("the board has the rows %q and the columns %q; what is late for longest comes first", parties, columns)
	}
	late := "overdue, due " + s.today().AddDays(46-60).String()
	if !strings.Contains(board[1][1], late) || !strings.Contains(board[1][2], late) || !strings.Contains(board[2][2], late) || !strings.Contains(board[2][1], ": no relationship met") {
		t.Errorf("the board says\n%q", board)
	}
	colours := browsertest.Evaluate[[]string](p, `[".cell.overdue", ".cell.met", ".cell.open"].map(c => getComputedStyle(document.querySelector(c)).backgroundColor)`)
	if slices.Sort(colours); len(slices.Compact(colours)) != 3 {
		t.Errorf("the colours of what is late, answered and open are %q", colours)
	}
	states := browsertest.Evaluate[[]string](p, `[...document.querySelectorAll("#duties ~ .scroll tbody .state")].map(e => e.innerText)`)
	if first := slices.IndexFunc(states, func(state string) bool { return state != "overdue" }); first != 3 || slices.Contains(states[first:], "overdue") || states[len(states)-1] != "met" {
		t.Errorf("the list has the states %q: what is late comes first, what is done last", states)
	}

	// Those that are late alone: as many as the page said.
	if said := browsertest.Evaluate[string](p, `document.querySelector('.facet a[href="/duties?state=overdue"] b').innerText`); said != "3" {
		t.Errorf("%s are said to be overdue, want 3", said)
	}
	p.Follow(`.facet a[href="/duties?state=overdue"]`)
	if states := browsertest.Evaluate[[]string](p, `[...document.querySelectorAll("#duties ~ .scroll tbody .state")].map(e => e.innerText)`); !slices.Equal(states, []string{"overdue", "overdue", "overdue"}) {
		t.Errorf("of the overdue alone the list has the states %q", states)
	}
	p.Follow(`.board a[href="/duties?party=borealis"]`)
	s.wantText(p, "main", "Those of borealis")

	// What came to be in the last weeks, as a table for a spreadsheet.
	p.Follow(`nav a[href="/changes"]`)
	p.Do(chromedp.SendKeys(css(`main input[name="from"]`), s.today().AddDays(-30).String()))
	p.Follow("main .filter button")
	s.wantText(p, "main", "designation/2027-100", "licence/2027-003")
	s.refuseText(p, "main table", "designation/2026-015")
	table := browsertest.Evaluate[string](p, `fetch([...document.querySelectorAll(".take a")].find(a => a.innerText === "CSV").href).then(r => r.text())`)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) < 6 || !strings.Contains(table, "designation/2027-100") || strings.Contains(table, "designation/2026-015") {
		t.Errorf("the table has the lines %q", lines)
	}
}

// A provider's compliance officer looks on a phone what is asked of it, and by when; its automation answers; then the
// page says so, and the answer is verified under the charter that the provider pinned.
func (s site) goAsProvider(t *testing.T) {
	p := s.open(390, 844)
	p.Open(s.url + "/")
	p.Do(chromedp.SendKeys(css("#find"), "acme"))
	p.PressAndFollow(kb.Enter)
	s.wantText(p, "[data-found]", "hit")
	p.Follow(`[data-hit] a[href="/parties/acme-cloud"]`)
	s.wantText(p, "main", "acme-cloud, Inc. (fictional)", "1 overdue", "overdue to answer 2026-015, Lumen Resale", "compliance", "may sign")
	calendar := browsertest.Evaluate[string](p, `fetch(document.querySelector('main a[href^="/v1/register/duties.ics"]').href).then(r => r.text())`)
	if !strings.Contains(calendar, "BEGIN:VCALENDAR") || !strings.Contains(calendar, "2026-015") || strings.Contains(calendar, "borealis") {
		t.Errorf("its calendar is\n%s", calendar)
	}
	p.Follow(`.owed a[href="/designations/2026-015"]`)
	s.wantText(p, "main", "Lumen Resale", "0 of 2", "only on conditions", "Verified identity only.", "docket show 2026-015")

	s.mustSubmit(s.Respond("2026-015", "acme-cloud", &record.Response{Status: "no-relationship"}))
	p.Do(chromedp.Reload())
	s.wantText(p, "main", "1 of 2", "1 overdue")
	answer := s.Head("response/2026-015/acme-cloud").String()
	p.Follow(`.owed a[href="/records/` + answer + `"]`)
	s.wantText(p, "main", "acme-cloud says:", "no-relationship", answer)
	p.Follow(`.around a[rel="prev"]`)
	p.Follow(`.around a[rel="next"]`)
	s.wantAt(p, "/records/"+answer)
	p.Do(chromedp.Click(css("#entry")), chromedp.WaitVisible(css("pre.bytes")))
	s.wantText(p, "pre.bytes", "payload")

	// Files of one's own, one of them spoilt, under the pinned charter, which the chain leads back to.
	chain := s.get("/v1/records/" + answer + "/receipt?chain=true").Body.Bytes()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "answer.tlog-proof"), filepath.Join(dir, "spoilt.tlog-proof")
	spoilt := append([]byte(nil), chain...)
	spoilt[len("c2sp.org/tlog-proof@v1\nextra ")+40] ^= 1
	document := filepath.Join(dir, "order.txt") // whose digest the subject of the designation is
	order := filepath.Join(dir, "order.tlog-proof")
	for name, raw := range map[string][]byte{good: chain, bad: spoilt, document: []byte("designation/2026-015"), order: s.get("/v1/records/" + s.Head("designation/2026-015").String() + "/receipt?chain=true").Body.Bytes()} {
		if err := os.WriteFile(name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.Follow("a[data-verifier]")
	charter := s.Head("charter").String()
	p.Do(chromedp.SendKeys(css("#trust-text"), charter), chromedp.WaitEnabled(css("#trust-use")), chromedp.Click(css("#trust-use")), chromedp.WaitVisible(css(".result.verified")))
	s.wantText(p, ".result.verified", "ledger "+charter+", which you pinned", "response/2026-015/acme-cloud")
	p.Do(chromedp.EmulateViewport(320, 800), chromedp.SetUploadFiles(css("#file"), []string{good, bad, order, document}))
	p.Await(`document.querySelectorAll(".result").length === 4`)
	if verdicts := browsertest.Evaluate[[]string](p, `[...document.querySelectorAll(".result")].map(e => e.querySelector(".filename").innerText + " " + e.classList[1])`); !slices.Equal(verdicts, []string{"answer.tlog-proof verified", "spoilt.tlog-proof refused", "order.tlog-proof verified", "order.txt verified"}) {
		t.Errorf("the verdicts are %q", verdicts)
	}
	s.wantText(p, "#results", "It is the document that the designation on designation/2026-015 is about", "docket verify --charter "+charter+" answer.tlog-proof")
	s.wantItFits(p, "/verify.html with results", 320)
}
