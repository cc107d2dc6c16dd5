package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"github.com/rogpeppe/go-internal/testscript"
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

// What is wider than the terminal is cut, the widest column first, by what is seen: a
// character of East Asia is two places wide, a combining mark none.
func TestListFitsTheTerminal(t *testing.T) {
	var out bytes.Buffer
	w := &table{w: &out, width: 30}
	printRow(w, "1", "東京クラウド", "x")
	printRow(w, "10", "e\u0301te\u0301", "y")
	w.Flush()
	if got, want := out.String(), "1   東京クラウド  x\n10  e\u0301te\u0301           y\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.Reset()
	printRow(w, "in-force", "designation/2026-014", "東京クラウド東京クラウド", "XB")
	printRow(w, "expired", "designation/2", "Żółć", "XB")
	w.Flush()
	for line := range strings.Lines(out.String()) {
		if n := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); n > 30 {
			t.Errorf("%d places: %q", n, line)
		}
	}
	if !strings.HasPrefix(out.String(), "in-force  designation…  東京") || !strings.Contains(out.String(), "…") {
		t.Errorf("%q", out.String())
	}
	for width, want := range map[int]string{1: "…", 2: "…", 3: "東…", 4: "東…", 5: "東京…", 6: "東京ク"} {
		if got := cutToWidth("東京ク", width); got != want {
			t.Errorf("cut to %d: %q, want %q", width, got, want)
		}
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

// terminal runs a command before which somebody sits: terminal STATUS SCREEN {WORDS
// KEYS}… -- COMMAND… waits for words on the screen and types keys, ^C for Ctrl-C and ^M
// for Enter; SIGTERM is the signal. $COLUMNS is the terminal's width, which has none without it. It wants the exit status, and writes what was on the screen to SCREEN.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	dashes := slices.Index(args, "--")
	if neg || dashes < 2 || dashes%2 != 0 || dashes+1 == len(args) {
		ts.Fatalf("usage: terminal STATUS SCREEN {WORDS KEYS}… -- COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(args[dashes+1], args[dashes+2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "DOCKET_TRUST", "DOCKET_PASSWORD", "GOCOVERDIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var size *pty.Winsize
	if columns, err := strconv.ParseUint(ts.Getenv("COLUMNS"), 10, 16); err == nil {
		size = &pty.Winsize{Rows: 24, Cols: uint16(columns)}
	}
	keys, err := pty.StartWithSize(cmd, size)
	ts.Check(err)
	defer keys.Close()
	slow := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer slow.Stop()

	var screen bytes.Buffer
	shown := 0 // up to where the words have been found
	read := func() bool {
		b := make([]byte, 4096)
		n, err := keys.Read(b)
		screen.Write(b[:n])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) { // EIO: nobody holds the other side
			ts.Check(err)
		}
		return err == nil
	}
	for step := args[2:dashes]; len(step) > 0; step = step[2:] {
		for {
			if at := strings.Index(screen.String()[shown:], step[0]); at >= 0 {
				shown += at + len(step[0])
				break
			}
			if !read() {
				ts.Fatalf("it ended, or a minute went by, before %q:\n%s", step[0], &screen)
			}
		}
		if step[1] == "SIGTERM" {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
			continue
		}
		_, err := io.WriteString(keys, strings.NewReplacer("^C", "\x03", "^M", "\r").Replace(step[1]))
		ts.Check(err)
	}
	for read() {
	}
	cmd.Wait() // the status says it all
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), screen.Bytes(), 0o644))
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d, want %d:\n%s", got, want, &screen)
	}
}
