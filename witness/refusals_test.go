package witness_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// refusalWords are the words of refusals, by the case: testdata/refusals.txt has them all,
// so that tests assert classes and statuses, and words can be mended in one place.
var refusalWords = struct {
	sync.Mutex
	file    string
	byCase  map[string]string
	changed bool
}{file: "testdata/refusals.txt"}

// keyIDs differ from run to run.
var keyIDs = regexp.MustCompile(`\b[0-9a-f]{8}\b`)

// wantWords holds what is said in a case to be what the golden file says.
func wantWords(t testing.TB, name, words string) {
	t.Helper()
	words = keyIDs.ReplaceAllString(strings.TrimSuffix(words, "\n"), "KEY-ID")
	if strings.Contains(words, "\n") {
		t.Errorf("%s: %q is not one line", name, words)
	}
	g := &refusalWords
	g.Lock()
	defer g.Unlock()
	if g.byCase == nil {
		g.byCase = map[string]string{}
		text, err := os.ReadFile(g.file)
		if err != nil && !*update {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			of, said, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " | ")
			g.byCase[of] = said
		}
	}
	if *update {
		g.byCase[name], g.changed = words, true
	} else if said, ok := g.byCase[name]; !ok || said != words {
		t.Errorf("%s: it says\n%s\nand %s has\n%s\n(go test ./witness -update writes it anew)", name, words, g.file, said)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if g := &refusalWords; g.changed && code == 0 {
		var text strings.Builder
		for _, name := range slices.Sorted(maps.Keys(g.byCase)) {
			fmt.Fprintf(&text, "%s | %s\n", name, g.byCase[name])
		}
		if err := os.WriteFile(g.file, []byte(text.String()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
