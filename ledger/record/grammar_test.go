package record

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
