package schema

import (
	"fmt"
	"strings"
	"testing"
)

// TestGrammars: the quick matcher of each class format is its published pattern.
func TestGrammars(t *testing.T) {
	for name, g := range grammars {
		if g.rest == "" {
			continue
		}
		g := *g
		re := compileGrammars(map[Format]*grammar{name: {pattern: g.pattern}})[name].compiled
		for a := range 128 {
			for _, s := range []string{string(rune(a)), "a" + string(rune(a)), "A" + string(rune(a)), fmt.Sprintf("a%cb", a), strings.Repeat("a", a), strings.Repeat("0", a), fmt.Sprintf("A%sz", strings.Repeat("b", a%5))} {
				if g.matches(s) != re.MatchString(s) {
					t.Errorf("%s: %q: got %v", name, s, g.matches(s))
				}
			}
		}
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"acme-cloud", "borealis", "2026-014", "2026-015"}
	for written, want := range map[string]string{
		"acme-cluod": "acme-cloud",
		"Borealsi":   "borealis",
		"2026-14":    "2026-014", // a letter is missing in two words: the first
		"acme":       "acme-cloud",
		"BOR":        "borealis",
		"bo":         "", // two letters begin too much
		"2026":       "", // two words
		"cloud":      "",
		"":           "",
	} {
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got := DidYouMean(written, words); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}
