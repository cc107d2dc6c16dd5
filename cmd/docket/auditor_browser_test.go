package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-53cf897a/docket/server/browsertest"
)

// goAsAuditor reads the demo's copy in docket browse: each page says VERIFIED and by whom, what came since he last
// looked bears a mark until he says that he has seen it, a ledger that is away costs him nothing but the news; and a
// receipt that he drops on the page that he has kept is verified by the policy that he pinned.
func goAsAuditor(t *testing.T, docket, dir, kept string) {
	const known = 6 // records at his last look
	must(t, os.WriteFile(filepath.Join(dir, "d/trust", browsedFile), fmt.Appendf(nil, `{"size":%d}`, known), 0o644))
	browse := exec.Command(docket, "browse", "--trust", "d/trust", "--no-open")
	browse.Dir, browse.Env = dir, readmeEnviron()
	out, err := browse.StdoutPipe()
	must(t, err)
	must(t, browse.Start())
	t.Cleanup(func() {
		browse.Process.Signal(os.Interrupt)
		browse.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	home := strings.TrimSpace(line)
	p := browsertest.Open(t, home)
	want := func(selector string, texts ...string) {
		t.Helper()
		shown := strings.Join(strings.Fields(p.Text(selector)), " ")
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				t.Errorf("%s does not say %q:\n%s", selector, text, shown)
			}
		}
	}
	marks := func() (first string, n int) {
		t.Helper()
		found := browsertest.Evaluate[[]string](p, `[...document.querySelectorAll("main .new")].map(e => e.parentElement.innerText)`)
		if len(found) == 0 {
			return "", 0
		}
		return found[0], len(found)
	}

	p.Open(home)
	want(".word", "VERIFIED.", "needed", "records are new since you last looked")
	if text := p.Text("body"); strings.Contains(text, "UNVERIFIED") {
		t.Errorf("a copy of one's own says UNVERIFIED:\n%s", text)
	}
	p.Follow(`.word a[href="/changes?from=6"]`)
	want("main", "designation/2026-014")
	p.Follow(`nav a[href="/designations"]`)
	listed := browsertest.Evaluate[int](p, `document.querySelectorAll("main tbody tr").length`)
	if _, n := marks(); n == 0 || n != listed {
		t.Errorf("of %d designations, all of which are new, %d bear a mark", listed, n)
	}
	p.Follow(`main td a`)
	if first, n := marks(); n == 0 || !strings.HasPrefix(first, "new") {
		t.Errorf("a designation that is new has %d records with a mark, first %q", n, first)
	}
	page := browsertest.Evaluate[string](p, `location.pathname`)
	p.Follow(`.word form[action="/browse/seen"] button`)
	want(".word", "Nothing is new since you last looked.")
	if at := browsertest.Evaluate[string](p, `location.pathname`); at != page {
		t.Errorf("whoever marks all as seen is led from %s to %s", page, at)
	}
	p.Follow(`nav a[href="/designations"]`)
	if _, n := marks(); n != 0 {
		t.Errorf("%d designations bear a mark after all are marked as seen", n)
	}
	p.Follow(`.word form[action="/browse/sync"] button`) // the demo's ledger is gone
	want(".word [role=status]", "connection refused")
	want("main", "VERIFIED.")

	// The same check as everywhere, of his copy's receipt; then the file that he has kept, on which he drops one.
	p.Open(home + "designations/2026-014")
	p.Follow("a[data-verifier]")
	p.Await(`document.querySelector("#results").innerText.includes("NOT CHECKED")`)

	p = browsertest.Open(t, "file://"+kept)
	p.Open("file://" + kept)
	p.Do(chromedp.SetUploadFiles(chromedp.CSS("#trust-file"), []string{filepath.Join(dir, "d/policy.txt")}), chromedp.WaitEnabled(chromedp.CSS("#trust-use")))
	p.TabTo("#trust-use")
	p.Press(kb.Enter)
	p.Await(`!document.querySelector("#trust-some").hidden`)
	receipts, err := filepath.Glob(filepath.Join(dir, "d/receipts/*.tlog-proof"))
	must(t, err)
	for _, step := range []input.DispatchDragEventType{"dragEnter", "dragOver", "drop"} {
		browsertest.Call(p, input.DispatchDragEvent, input.DispatchDragEventParams{Type: step, X: 200, Y: 200, Data: &input.DragData{Items: []*input.DragDataItem{}, Files: receipts[:1], DragOperationsMask: 1}})
	}
	p.Await(`document.querySelector(".result.verified")`)
	want(".result.verified", filepath.Base(receipts[0]))
}
