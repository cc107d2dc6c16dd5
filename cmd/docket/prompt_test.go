package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// terminal runs a command before which somebody sits: terminal STATUS SCREEN {WORDS
// KEYS}… -- COMMAND… waits for words on the screen and types keys, ^C for Ctrl-C and ^M
// for Enter; SIGTERM is the signal. It wants the exit status, and writes what was on the screen to SCREEN.
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
	keys, err := pty.Start(cmd)
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
