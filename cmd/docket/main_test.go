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
)

// TestUsage: whatever a command line lacks is said in words of ours.
func TestUsage(t *testing.T) {
	for line, want := range map[string]string{
		"sign":                          "docket sign wants RECORD\nhint: docket sign --key FILE… RECORD; docket sign --help tells more\n",
		"sign order.yaml":               "docket sign needs --key, --pae or --attach\nhint: ",
		"sign a b --pae":                "docket sign wants RECORD; got a b\nhint: ",
		"sign a --attach s":             "--attach and --public-key go together; without --public-key\nhint: ",
		"sign a --pae --key k":          "--key and --pae exclude each other\nhint: ",
		"merge a":                       "docket merge wants A B…; got a\nhint: docket merge A B…; ",
		"trust":                         "docket trust wants URL\nhint: docket trust URL --charter ID --to DIR; ",
		"trust u":                       "docket trust needs --charter and --to\nhint: ",
		"keygen":                        "docket keygen needs --out\nhint: docket keygen --out FILE; ",
		"show":                          "docket show wants RECORD-ID | '#INDEX' | THREAD | DESIGNATION | PARTY | SCHEME:VALUE\nhint: ",
		"diff":                          "docket diff wants SIZE|DATE [SIZE|DATE]\nhint: ",
		"sync there":                    "docket sync takes flags only; got \"there\"\nhint: docket sync --trust DIR; ",
		"import ofac sdn.csv":           "docket import ofac wants SDN.csv ADD.csv ALT.csv; got sdn.csv\nhint: docket import ofac SDN.csv",
		"witness evidence verify":       "docket witness evidence verify wants FILE\nhint: ",
		"witness evidence show --dir d": "docket witness evidence show wants ID\nhint: ",
		"keygen --nothing":              "unknown flag: --nothing\nhint: docket keygen --out FILE; ",
	} {
		status, said := runForUsage(t.Context(), strings.Fields(line)...)
		if status != exitMisused || !strings.HasPrefix(said, "docket: "+want) {
			t.Errorf("docket %s: exit %d, %q; want %q", line, status, said, want)
		}
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
	if status != exitNotYet || !strings.Contains(said, "the round was broken off") || !strings.Contains(said, "hint: interrupted; run the same command again") {
		t.Errorf("exit %d, %q", status, said)
	}
}
