package register

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// TestSearchKeysAreOfThisFormat: what names are searched by are rows, so that other tables or
// functions of the keys make a register of another format.
func TestSearchKeysAreOfThisFormat(t *testing.T) {
	const golden = "testdata/searchkeys.golden"
	var b strings.Builder
	fmt.Fprintf(&b, "FormatVersion %d, screen %d\n", FormatVersion, screen.Version)
	for _, name := range []string{
		"Kestrel Hosting FZ-LLC (fictional)", "11420 O'Neil Ltd.", "S.A.", "Żółć Müller", "Оренбург Датацентр", "雪鸮云计算有限公司", "한빛 클라우드", "ひかりデータ", "بنك", "ｆｕｌｌ　ｗｉｄｔｈ", "3%ers", "Муромский Завод",
	} {
		fmt.Fprintf(&b, "\n%s\n", name)
		SearchText{Scheme: SchemeName, Text: name}.rowKeys(func(key string) { fmt.Fprintf(&b, "  %s\n", key) })
	}
	if refusaltest.Update() {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if before, err := os.ReadFile(golden); err != nil || string(before) != b.String() {
		t.Errorf("%v: the keys are no longer those of %s: raise FormatVersion if a docket with these is landed, then go test -update\n%s", err, golden, b.String())
	}
}

// No key has what ends or divides a row's, and every place at which a word may begin is found.
func FuzzSearchKeys(f *testing.F) {
	for _, name := range []string{"Kestrel Hosting", "O'Neil", "雪鸮云", "a\x00b\x1fc", "\xff", strings.Repeat("長", 300), strings.Repeat("x", 100)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		keys := make(map[string]bool)
		n := 0
		SearchText{Scheme: SchemeName, Text: name}.rowKeys(func(key string) {
			n++
			if keys[key] = true; len(key) < 2 || strings.ContainsAny(key, "\x00\x1f") {
				t.Fatalf("%q has the key %q", name, key)
			}
		})
		if n > 2*256+maxSimilarKeys {
			t.Fatalf("%q has %d keys", name, n)
		}
		form := screen.FormOf(name)
		if words := strings.Fields(form.Own); len(words) > 0 && len(form.Own) < 256 {
			if asWritten, _ := form.CoveredBy(form); !asWritten {
				t.Fatalf("%q does not find itself", name)
			}
			for _, word := range words {
				if !keys[string(alphabetWord)+screen.KeyWord(word)] {
					t.Fatalf("%q: no key for %q", name, word)
				}
			}
		}
	})
}
