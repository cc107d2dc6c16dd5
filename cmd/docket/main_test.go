package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// TestUsage: whatever a command line lacks is said in words of ours.
func TestUsage(t *testing.T) {
	for _, line := range []string{
		"sign",
		"sign order.yaml",
		"sign a b --pae",
		"sign a --attach s",
		"sign a --pae --key k",
		"merge a",
		"trust",
		"trust u",
		"keygen",
		"show",
		"diff",
		"sync there",
		"import ofac sdn.csv",
		"witness evidence verify",
		"witness evidence show --dir d",
		"keygen --nothing",
	} {
		t.Run(line, func(t *testing.T) {
			status, said := runForUsage(t.Context(), strings.Fields(line)...)
			if status != exitMisused || !strings.HasPrefix(said, "docket: ") || !strings.Contains(said, "\nhint: docket ") {
				t.Errorf("exit %d, %q; want misuse, and a hint at what to run", status, said)
			}
			refusaltest.Words(t, said)
		})
	}
}

// TestUsageOfEveryCommand: of no verb is cobra's own voice heard.
func TestUsageOfEveryCommand(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				visit(sub)
			}
		}
		if c.HasSubCommands() || c.Args(c, nil) == nil && c.Args(c, make([]string, 9)) == nil {
			return
		}
		for n := range 9 {
			err := c.Args(c, make([]string, n))
			for _, theirs := range []string{"arg(s)", "flag(s)", "in the group", "unknown command"} {
				if err != nil && strings.Contains(err.Error(), theirs) {
					t.Errorf("%s with %d arguments: %v", c.CommandPath(), n, err)
				}
			}
		}
	}
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	visit(a.rootCmd())
}

// runForUsage runs a command line and returns what it said.
func runForUsage(ctx context.Context, args ...string) (status int, said string) {
	var out bytes.Buffer
	a := &app{in: strings.NewReader(""), out: io.Discard, err: &out, getenv: func(string) string { return "" }}
	return a.run(ctx, args), out.String()
}

// Every verb says what it does, and shows how, by commands that exist with flags
// that it has.
func TestHelp(t *testing.T) {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				visit(sub)
			}
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		if c.HasSubCommands() {
			return
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: no example of it", c.CommandPath())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			checkExample(t, a.rootCmd(), line)
		}
	}
	visit(a.rootCmd())
}

// checkExample finds the command of an example and parses its flags.
func checkExample(t *testing.T, root *cobra.Command, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == '|' || r == '&' || r == '>' }) {
		args, ok := strings.CutPrefix(strings.TrimSpace(part), "docket ")
		if !ok {
			continue
		}
		c, rest, err := root.Find(strings.Fields(args))
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// TestGossipBrokenOff: a round that an interrupt ended is not told as one that found nothing.
func TestGossipBrokenOff(t *testing.T) {
	dir := t.TempDir()
	if status, said := runForUsage(t.Context(), "witness", "init", "--dir", dir, "--name", "w.example"); status != exitDone {
		t.Fatal(said)
	}
	logs := filepath.Join(dir, "logs.txt")
	_, vkey, err := proof.GenerateKey(proof.Ed25519, "log.example/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(logs, []byte("logs/v0\n\nvkey "+vkey+"\nqpd 1\ncontact nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	status, said := runForUsage(ctx, "witness", "gossip", "--dir", dir, "--logs", logs)
	_, refused, ok := strings.Cut(said, "\ndocket: ") // after the log's lines
	if status != exitNotYet || !ok {
		t.Errorf("exit %d, %q", status, said)
	}
	refusaltest.Words(t, refused)
}
