package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagged are the flags that a script has shown to have an effect, as "docket sync --json".
type flagged map[string]bool

type flaggedKey struct{}

// differs runs a command with the flags between "[" and "]" and without them, each in a
// copy of the script's directory, and wants a pattern to match what comes of the first and
// not of the second: differs PATTERN docket VERB… [ --flag … ]…. What comes of it is its
// exit status as "exit N", what it prints, and the files that are there then as "file N".
// With ! before the pattern it is the other way round. What serves is ended once it does;
// with "-- /PATH" at the end it is asked for that first, and its answer counts.
func differs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || args[1] != "docket" {
		ts.Fatalf("usage: differs PATTERN docket VERB… [ --flag … ]")
	}
	pattern, before := strings.CutPrefix(args[0], "!")
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	var with, without []string
	var flags []string
	inside, asked := false, ""
	if n := len(args); args[n-2] == "--" {
		args, asked = args[:n-2], args[n-1]
	}
	for _, a := range args[2:] {
		switch {
		case a == "[" || a == "]":
			inside = a == "["
			continue
		case !inside:
			without = append(without, a)
		case strings.HasPrefix(a, "--"):
			flags = append(flags, a)
		}
		with = append(with, a)
	}
	verb := verbOf(ts, with)
	for _, flag := range flags {
		ts.Value(flaggedKey{}).(flagged)[verb+" "+flag] = true
	}
	a, b := outcome(ts, with, asked), outcome(ts, without, asked)
	if before {
		a, b = b, a
	}
	if !re.MatchString(a) || re.MatchString(b) {
		ts.Fatalf("%s makes no such difference (%s). One is:\n%s\nThe other is:\n%s", strings.Join(flags, " "), args[0], a, b)
	}
}

// elsewhere says of flags of a verb that a test of that name shows their effect, or a
// script: elsewhere WHERE docket [VERB…] --flag….
func elsewhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "docket" {
		ts.Fatalf("usage: elsewhere TEST|SCRIPT docket [VERB…] --flag…")
	}
	first := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "--") })
	verb, flags := strings.Join(args[1:first], " "), args[first:]
	for _, flag := range flags {
		if !shownIn(ts, args[0], flag) {
			ts.Fatalf("%s does not show what %s %s does", args[0], verb, flag)
		}
		ts.Value(flaggedKey{}).(flagged)[verb+" "+flag] = true
	}
}

// shownIn tells whether there is such a test, or such a script that gives the flag.
func shownIn(ts *testscript.TestScript, where, flag string) bool {
	if strings.HasSuffix(where, ".txtar") {
		text, err := os.ReadFile(filepath.Join(packageDir, "testdata", "script", where))
		ts.Check(err)
		return regexp.MustCompile(` ` + flag + `[\s=]`).Match(text)
	}
	found := false
	ts.Check(filepath.WalkDir(filepath.Join(packageDir, "..", ".."), func(name string, d fs.DirEntry, err error) error {
		if err == nil && !found && strings.HasSuffix(name, "_test.go") {
			var text []byte
			text, err = os.ReadFile(name)
			found = bytes.Contains(text, []byte("func "+where+"("))
		}
		return err
	}))
	return found
}

// packageDir is the directory of this package: a script runs elsewhere.
var packageDir, _ = os.Getwd()

// everyFlag wants each flag of each verb to have been shown.
func everyFlag(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: every-flag")
	}
	shown := ts.Value(flaggedKey{}).(flagged)
	var missing []string
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name := c.CommandPath() + " --" + f.Name; !shown[name] && c.Name() != "completion" && !strings.Contains(name, "docket completion ") {
				missing = append(missing, name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(commandLine())
	if len(missing) > 0 {
		ts.Fatalf("nothing shows what these do; give each a line here:\n%s", strings.Join(missing, "\n"))
	}
}

func commandLine() *cobra.Command {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	return a.rootCmd()
}

// verbOf is the verb of a command line, as help names it.
func verbOf(ts *testscript.TestScript, args []string) string {
	c, _, err := commandLine().Find(args)
	ts.Check(err)
	return c.CommandPath()
}

// readers are verbs that write nothing, and need no copy.
var readers = []string{"list", "show", "duties", "diff", "verify", "audit", "policy", "schema", "version"}

// outcome is all that comes of a command in a copy of the script's directory.
func outcome(ts *testscript.TestScript, args []string, asked string) string {
	dir := ts.MkAbs(".")
	if !slices.Contains(readers, args[0]) {
		var err error
		dir, err = os.MkdirTemp("", "docket-flags-*") // outside of what is copied
		ts.Check(err)
		defer os.RemoveAll(dir)
		ts.Check(exec.Command("cp", "-a", ts.MkAbs(".")+"/.", dir).Run())
	}
	cmd := exec.Command("docket", args...)
	cmd.Dir = dir
	for _, name := range []string{"PATH", "HOME", "TMPDIR", trustEnv, ledgerEnv, "GOCOVERDIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, storeCredentials(ts)...)
	var said, printed bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	slow := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer slow.Stop()
	lines := bufio.NewReader(out)
	if slices.Contains(args, "serve") {
		first, _ := lines.ReadString('\n')
		printed.WriteString(first)
		if url := strings.TrimSpace(first); asked != "" && url != "" {
			if answer, err := http.Get(url + asked); err == nil {
				body, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				fmt.Fprintf(&printed, "%s\n%s\n", answer.Status, body)
			}
		}
		cmd.Process.Signal(syscall.SIGTERM)
	}
	_, err = io.Copy(&printed, lines)
	ts.Check(err)
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	text := fmt.Sprintf("exit %d\n%s%s", cmd.ProcessState.ExitCode(), &printed, &said)
	ts.Check(filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, name); err == nil && !d.IsDir() && !strings.Contains(rel, "register/") {
			text += "file " + rel + "\n"
		}
		return err
	}))
	return text
}
