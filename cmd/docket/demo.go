package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/demo"
)

func (a *app) demo() *cobra.Command {
	o := demo.Options{Out: a.out, Docket: commandName(os.Args[0])}
	c := &cobra.Command{
		Use:   "demo [--once]",
		Short: "Play the whole network on loopback, with fictional parties",
		Long: `Plays the whole of Docket on loopback with fictional parties and throw-away keys:
an authority restricts, providers screen their customers, answer and report, a licence
puts a duty off, a request goes unanswered and a finding cites it, another is answered
from a provider's private customer log, an auditor checks, and what must be refused is
refused. There is a duty of each kind. It needs no set-up
and takes a few seconds; dates are computed from today.

A request is called unanswered on the day after its last one. The demo waits for no
day and sets no clock: by its second charter the office moves across the date line,
and its calendar is a day further.

Afterwards the directory holds policy.txt, trust/, receipts/, screening/ (a list of
customers, exceptions, reports), customers/ (the private log) and the unencrypted keys
of everybody, and the ledger stays up until it is interrupted, so that every other verb
can be tried on it. An earlier demo in the directory is replaced; anything else is left
alone.`,
		Example: `  docket demo
  docket demo --once && docket verify --trust docket-demo/trust docket-demo/receipts/*.tlog-proof`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !loopback(o.Listen) {
				return usageError("--listen %s: the demo's keys are for anybody, so it stays on loopback", o.Listen).hint("like 127.0.0.1:8470; docket serve listens elsewhere")
			}
			o.Fatal, o.Width = a.diskFailed, a.terminalWidth()
			err := demo.Run(c.Context(), o)
			switch {
			case errors.Is(err, demo.ErrNotOurs):
				return refusal("%w", err).hint("name another directory with --dir")
			case errors.Is(err, demo.ErrRunning):
				return notYet("%w", err).hint("end it, or name another directory with --dir")
			}
			return err
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "docket-demo", "directory for the demo's files")
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "loopback address for the ledger")
	c.Flags().BoolVar(&o.Once, "once", false, "end after the story")
	return c
}

// commandName is how a person calls this binary again: by its name alone where the shell
// finds it, and by "go run" where that built it, since it is gone by then.
func commandName(name string) string {
	if _, err := exec.LookPath("docket"); err == nil {
		return "docket"
	}
	if strings.Contains(name, "go-build") {
		return "go run ./cmd/docket"
	}
	return name
}

// loopback tells whether an address to listen on can be reached from this machine
// alone. An empty host is every interface.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}
