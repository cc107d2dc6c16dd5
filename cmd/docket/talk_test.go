package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestTable aligns what has something after it, and pads no end of a line.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	w := (&app{out: &out}).table()
	printRow(w, "open", "acme cloud", "")
	printRow(w, "overdue", "b", "since then")
	printRow(w, "", "", "")
	w.Flush()
	if got, want := out.String(), "open     acme cloud\noverdue  b           since then\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHiddenCharactersAreEscaped tries what a terminal would obey, or not show, wherever a
// stranger's text is printed: as it is, and as JSON, where it stays the same text.
func TestHiddenCharactersAreEscaped(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Żółć, 東京, Müller":   "plain, Żółć, 東京, Müller",
		"\x1b[2J":                   `\u001b[2J`,
		"\u009b2J":                  `\u009b2J`,
		"a\u202eb\u2066c\u061cd":    `a\u202eb\u2066c\u061cd`,
		"a\u200bb\ufeffc\u2060d":    `a\u200bb\ufeffc\u2060d`,
		"a\u00adb\u034fc":           `a\u00adb\u034fc`,
		"a\u200db\u200cc":           `a\u200db\u200cc`,
		"ශ්\u200dරී ලංකා":           "ශ්\u200dරී ලංකා",
		"می\u200cخواهم":             "می\u200cخواهم",
		"x\U000e0041y\ufe0fz\u3164": `x\udb40\udc41y\ufe0fz\u3164`,
		"a\u2028b":                  `a\u2028b`,
		"\x9b2J":                    `\ufffd2J`,
	} {
		var out, talk bytes.Buffer
		a := &app{out: &out, err: &talk}
		a.printf("%s", in)
		a.logf("%s", in)
		if out.String() != want || talk.String() != want+"\n" || printable(in) != want {
			t.Errorf("%q: printed %q, said %q, a piece of it %q, want %q", in, out.String(), talk.String(), printable(in), want)
		}
		out.Reset()
		if err := a.printJSON(in); err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != string([]rune(in)) || printableLines(out.String()) != out.String() {
			t.Errorf("%q: as JSON %s, which is %q (%v)", in, out.String(), back, err)
		}
	}
	if got := printable("a\nb\tc"); got != `a\u000ab\u0009c` {
		t.Errorf("a piece of a line: %q", got)
	}
	if got := printableLines("a\nb\tc"); got != "a\nb\tc" {
		t.Errorf("whole lines: %q", got)
	}
}
