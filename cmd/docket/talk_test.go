package main

import (
	"bytes"
	"testing"
)

// TestTable aligns what has something after it, and pads no end of a line.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	w := (&app{out: &out}).table()
	row(w, "open", "acme cloud", "")
	row(w, "overdue", "b", "since then")
	row(w, "", "", "")
	w.Flush()
	if got, want := out.String(), "open     acme cloud\noverdue  b           since then\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPrintable shows what would change the words around it, or what no reader sees.
func TestPrintable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Kestrel Hosting, Кестрел 株式会社", "Kestrel Hosting, Кестрел 株式会社"},
		{"a\x1b[2J\nb\u009bc", `a\u001b[2J\u000ab\u009bc`},
		{"a\u202eb\u2066c\u200fd\u061ce", `a\u202eb\u2066c\u200fd\u061ce`},
		{"a\u200bb\u00adc\ufeffd\u2028e\U000e0041", `a\u200bb\u00adc\ufeffd\u2028e\U000e0041`},
		{"a\u200db", `a\u200db`},
		{"\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0dc1\u0dca\u200d\u0dbb\u0dd3"},
	} {
		if got := printable(c.text); got != c.want {
			t.Errorf("printable(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}
