package demo

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPrintFits: a step is one line where that is known to fit, or where nobody knows the
// width; else no line is wider than the terminal, and no word is lost.
func TestPrintFits(t *testing.T) {
	print := func(width int) string {
		var out strings.Builder
		s := &scenario{out: &out, width: width}
		s.printStep("#6-8", "designations", "2026-014 Kestrel Hosting, 2026-015 Kestria (jurisdiction), 2026-016 Кестрел Хостинг; two officers each")
		s.printOutcome("same again", "acme-cloud's response, sent twice", "same index 10, same record")
		s.expectRefused("intruder", "delta-racks signs for cirrus-hosting", errors.New("key SHA256:WqPZfGyC… belongs to delta-racks: sign with a key of cirrus-hosting that may"))
		s.printDetail("existed by", "2026-11-27 01:56:46Z, said w1, w2 (2 of 3 needed)")
		s.printDuty("ai-training-report", "borealis-compute", "met 2026-11-26", "training run 1")
		return out.String()
	}
	whole := print(0)
	if got := strings.Count(whole, "\n"); got != 5 {
		t.Errorf("%d lines, want 5:\n%s", got, whole)
	}
	for _, width := range []int{80, 120, 200} {
		text := print(width)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("at %d columns a line has %d: %s", width, n, line)
			}
		}
		for _, word := range strings.Fields(whole) {
			if strings.Trim(word, ".") != "" && !strings.Contains(text, word) {
				t.Errorf("at %d columns %q is missing:\n%s", width, word, text)
			}
		}
	}
	if print(200) != whole {
		t.Errorf("at 200 columns:\n%s\nwant\n%s", print(200), whole)
	}
	if narrow := print(80); !strings.Contains(narrow, "delta-racks signs for cirrus-hosting\n"+strings.Repeat(" ", stepColumn+detailIndent)+"refused: key ") {
		t.Errorf("at 80 columns the outcome is not below its step:\n%s", narrow)
	}
}
