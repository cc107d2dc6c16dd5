package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seed-53cf897a/docket/server/browsertest"
	"github.com/seed-53cf897a/docket/server/verifier"
)

// TestDemoInBrowser is what a real browser shows of the demo: to an auditor, and of its files.
func TestDemoInBrowser(t *testing.T) {
	browsertest.Open(t) // skips all of it where there is no browser
	dir := t.TempDir()
	docket, err := exec.LookPath("docket") // TestMain puts it there
	must(t, err)
	page := filepath.Join(dir, verifier.Name)
	run := func(args ...string) string {
		t.Helper()
		c := exec.Command(docket, args...)
		c.Dir, c.Env = dir, readmeEnviron()
		out, err := c.Output()
		if err != nil {
			t.Fatalf("docket %q: %v", args, err)
		}
		return string(out)
	}
	run("demo", "--once", "--dir", "d")
	run("version", "--verifier", "--out", verifier.Name)
	t.Run("the verifier says the same", func(t *testing.T) { sayTheSame(t, run, dir, page) })
	t.Run("an auditor", func(t *testing.T) { goAsAuditor(t, docket, dir, page) })
}

// sayTheSame: of each receipt of the demo, and of its evidence, the page in this binary says
// in its browser what docket verify prints, line by line.
func sayTheSame(t *testing.T, run func(args ...string) string, dir, page string) {
	p := browsertest.Open(t, "file://"+page)
	receipts, err := filepath.Glob(filepath.Join(dir, "d/receipts/*.tlog-proof"))
	must(t, err)
	evidence, err := filepath.Glob(filepath.Join(dir, "d/evidence/*.split-view"))
	must(t, err)
	if len(receipts) < 13 || len(evidence) != 1 {
		t.Fatalf("the demo leaves %d receipts and %d pieces of evidence", len(receipts), len(evidence))
	}

	type css = chromedp.CSS
	p.Do(chromedp.Navigate("file://"+page), chromedp.SetUploadFiles(css("#trust-file"), []string{filepath.Join(dir, "d/policy.txt")}), chromedp.WaitEnabled(css("#trust-use")), chromedp.Click(css("#trust-use")))
	p.Do(chromedp.SetUploadFiles(css("#file"), slices.Concat(receipts, evidence)), chromedp.WaitVisible(css(".result")))
	shown := browsertest.Evaluate[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".result")].map(e => [e.querySelector(".filename").textContent, e.innerText]))`)
	for _, file := range receipts {
		for line := range strings.Lines(run("verify", "--policy", "d/policy.txt", file)) {
			line = strings.TrimSpace(line)
			name, value, _ := strings.Cut(line, " ")
			switch {
			case strings.HasSuffix(line, ": verified offline"):
				line = "VERIFIED"
			case strings.HasPrefix(line, "issuer NOT CHECKED: "):
				line, _, _ = strings.Cut(line, ";") // what to do about it differs
			case name == "says":
				continue // the page shows the members themselves
			case len(line) > 12: // a name of 11 characters, and what it is
				line = strings.TrimSpace(line[12:])
			default:
				t.Fatalf("docket verify prints %q %q", name, value)
			}
			if got := shown[filepath.Base(file)]; !strings.Contains(got, line) {
				t.Errorf("%s: docket verify says %q; the page says\n%s", filepath.Base(file), line, got)
			}
		}
	}
	want, _ := strings.CutPrefix(strings.TrimSpace(run("witness", "evidence", "verify", "--policy", "d/policy.txt", evidence[0])), "proven: ")
	if got := shown[filepath.Base(evidence[0])]; !strings.Contains(got, want) {
		t.Errorf("docket witness evidence verify says %q; the page says\n%s", want, got)
	}
}
