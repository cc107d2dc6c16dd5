// Package refusaltest keeps the words of a package's refusals in one golden file, so that
// tests assert a refusal's class and where it lies, and words are mended in one place:
//
//	go test ./ledger/record -update
//
// writes testdata/refusals.golden anew. It holds a paragraph a refusal: the test's name,
// then its words behind tabs. Several refusals of one test are numbered as subtests of one
// name are, #01 the second.
package refusaltest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const file = "testdata/refusals.golden"

var (
	update = flag.Bool("update", false, "write the golden files anew")

	mu     sync.Mutex
	golden map[string]string  // words by test, read when they are first asked for
	asked  = map[string]int{} // refusals so far of each test that runs
)

// Update is whether golden files are written anew, for what else a package keeps in some.
func Update() bool { return *update }

// Words compares the words of the next refusal that a test or subtest looks at with the
// golden file, or writes them there. hide are words of this run alone, as random key IDs,
// each before what stands for it in the file.
func Words(t testing.TB, words string, hide ...string) {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if golden == nil {
		golden = read(t)
	}
	words = strings.TrimSuffix(strings.NewReplacer(hide...).Replace(words), "\n")
	name := next(t)
	switch want, known := golden[name]; {
	case known && want == words:
	case *update:
		golden[name] = words
		write(t)
	default:
		t.Errorf("%s has other words of %s:\n%s\nwant:\n%s\n(go test -update takes the new ones)", file, name, words, want)
	}
}

// next is the name of the next refusal of a test.
func next(t testing.TB) string {
	name := t.Name()
	n := asked[name]
	if n == 0 {
		t.Cleanup(func() {
			mu.Lock()
			defer mu.Unlock()
			delete(asked, name)
		})
	}
	asked[name]++
	if n > 0 {
		name += fmt.Sprintf("#%02d", n)
	}
	return name
}

// read reads the file; where all of it will be written anew, as if it were empty.
func read(t testing.TB) map[string]string {
	all := map[string]string{}
	if *update && flag.Lookup("test.run").Value.String() == "" {
		return all
	}
	raw, err := os.ReadFile(file)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n\n") {
		if test, words, ok := strings.Cut(paragraph, "\n\t"); ok {
			all[test] = strings.ReplaceAll(words, "\n\t", "\n")
		}
	}
	return all
}

func write(t testing.TB) {
	var b strings.Builder
	for i, test := range slices.Sorted(maps.Keys(golden)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n\t%s\n", test, strings.ReplaceAll(golden[test], "\n", "\n\t"))
	}
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(b.String()), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
