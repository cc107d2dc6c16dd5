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
