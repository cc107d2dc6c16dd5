package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// logf prints one line of talk to stderr, fit for a terminal whoever's words are in it.
func (a *app) logf(format string, args ...any) {
	io.WriteString(a.err, printableLines(fmt.Sprintf(format+"\n", args...)))
}

// printf prints a result to stdout, likewise. What must keep its bytes, as a file does,
// is written to a.out itself.
func (a *app) printf(format string, args ...any) {
	io.WriteString(a.out, printableLines(fmt.Sprintf(format, args...)))
}

// printJSON prints one value as one line of JSON: what a script reads. What a terminal
// should not get stands in it as JSON's own escapes, which are the same text.
func (a *app) printJSON(v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(a.out, printableLines(b.String()))
	return err
}

// plural is a number of things as a sentence says it.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// table aligns columns that are written with tabs between them; flush it.
func (a *app) table() *tabwriter.Writer {
	return tabwriter.NewWriter(&trailingSpaceTrimmer{w: a.out}, 0, 8, 2, ' ', 0)
}

// trailingSpaceTrimmer writes what it is given without the spaces that end a line: those that
// pad a last cell with nothing in it.
type trailingSpaceTrimmer struct {
	w      io.Writer
	spaces int // seen, not written yet
}

func (t *trailingSpaceTrimmer) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+t.spaces)
	for _, b := range p {
		switch b {
		case ' ':
			t.spaces++
			continue
		case '\n':
		default:
			out = append(out, strings.Repeat(" ", t.spaces)...)
		}
		t.spaces = 0
		out = append(out, b)
	}
	_, err := t.w.Write(out)
	return len(p), err
}

// progress draws a bar on a terminal and is silent in a pipe. A total below
// zero is unknown.
func (a *app) progress(what string, total int64) *progressbar.ProgressBar {
	w := a.err
	if !a.tty {
		w = io.Discard
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(a.tty),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	)
}

// printable makes a piece of foreign text fit for a line of a terminal: control characters
// and everything else that is not seen, which no record may hold but a file or a server
// might, are shown as JSON's escapes.
func printable(s string) string { return escapeHidden(s, "") }

// printableLines does so for whole lines, which keep their ends and tabs.
func printableLines(s string) string { return escapeHidden(s, "\n\t") }

// escapeHidden escapes what a terminal obeys or does not show, but for the controls that are
// kept. A byte that is no UTF-8 may be such a control.
func escapeHidden(s, allowed string) string {
	unfit := func(i int, r rune) bool {
		return r < 0x20 && !strings.ContainsRune(allowed, r) || r >= 0x7f && r <= 0x9f || r == utf8.RuneError || rules1.IsHiddenAt(s, i)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch high, low := utf16.EncodeRune(r); {
		case !unfit(i, r):
			b.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// joinWords writes names as a sentence lists them, with "and" or "or" before the last.
func joinWords(names []string, last string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " " + last + " " + names[n-1]
	}
	return strings.Join(names, "")
}
