package verifier

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Tests{M: m}.Run()) }

// The page's policy allows the one script and the one style sheet that are in it, by their
// digests, and nothing else; go test ./server/verifier -update writes them after a change.
func TestContentPolicy(t *testing.T) {
	digest := func(tag string) string {
		parts := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(parts) != 1 {
			t.Fatalf("the page has %d elements %s, want 1", len(parts), tag)
		}
		sum := sha256.Sum256([]byte(parts[0][1]))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	want := fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'", digest("script"), digest("style"))
	if got := ContentPolicy(); got != want && refusaltest.Update() {
		if err := os.WriteFile(Name, []byte(strings.Replace(page, got, want, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("the page's policy is\n%s\nwant\n%s", got, want)
	}
}

// An auditor reads it from beginning to end: it is small, plain, and refers to nothing outside.
func TestPageIsSelfContained(t *testing.T) {
	// A page that is served has 60 kB at most; this is a file that is kept, and reads every format that
	// a ledger gives: receipts, evidence, refusals (100 kB), and disclosures of a private log (30 kB).
	if len(page) >= 130_000 {
		t.Errorf("the page has %d bytes, want less than 130,000", len(page))
	}
	for _, unwanted := range []string{" src=", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "import(", "eval(", "innerHTML", "insertAdjacentHTML", "document.write", " style=", " onclick="} {
		if strings.Contains(page, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
	}
	for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if link[1] != Name {
			t.Errorf("the page links to %s", link[1])
		}
	}
	if len(SHA256()) != 64 {
		t.Errorf("SHA256 is %q", SHA256())
	}
}
