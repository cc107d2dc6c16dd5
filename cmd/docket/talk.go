package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// say prints one line of talk to stderr.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// printf prints a result to stdout.
func (a *app) printf(format string, args ...any) {
	fmt.Fprintf(a.out, format, args...)
}

// printJSON prints one value as one line of JSON: what a script reads.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// count is a number of things as a sentence says it.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// table aligns columns that are written with tabs between them; flush it.
func (a *app) table() *tabwriter.Writer {
	return tabwriter.NewWriter(&trimmed{w: a.out}, 0, 8, 2, ' ', 0)
}

// trimmed writes what it is given without the spaces that end a line: those that
// pad a last cell with nothing in it.
type trimmed struct {
	w      io.Writer
	spaces int // seen, not written yet
}

func (t *trimmed) Write(p []byte) (int, error) {
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

// confirm asks a yes-or-no question. Without a terminal, or at the end of the
// input, the answer is no: nothing is signed by accident.
func (a *app) confirm(question string) (bool, error) {
	if !a.tty {
		return false, misuse("%s needs an answer, and there is no terminal to ask on", question).hint("pass --yes after reading what it shows")
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
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

// printable makes foreign text fit for a terminal: control and bidirectional control
// characters and what no reader sees, which no record may hold but a file or a server
// might, are shown as escapes.
func printable(s string) string {
	unsafe := func(i int, r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f || rules1.Hidden(s, i) }
	var b strings.Builder
	for i, r := range s {
		switch {
		case !unsafe(i, r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, "\\U%08x", r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// sentence writes names as a sentence lists them, with "and" or "or" before the last.
func sentence(names []string, last string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " " + last + " " + names[n-1]
	}
	return strings.Join(names, "")
}
