package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/witness"
)

func (a *app) fsck() *cobra.Command {
	f := fsckCmd{app: a}
	c := &cobra.Command{
		Use:   "fsck DIR",
		Short: "Check all that lies in a ledger's or a witness's directory, and repair what is derived",
		Long: `Reads everything in the directory of a ledger that is not running: every entry, which
is hashed, its signatures verified, judged by the rules as it was when it was admitted;
every tile and every checkpoint, the published one and those that it keeps, against the
tree of the entries and against the policy in force at its size; and every row of the
register against that replay.

What is derived it makes anew from the entries, beside what was there: the register, and
the tiles, with which it writes the whole store anew, since a database cannot be mended
in its place. The damaged store stays, as DIR/store.damaged-1. A bucket or a database that
the ledger is kept in (DIR/store.url) is read as it is at this moment, whoever writes to it,
and never changed. What is lost it names, with
what to do: an entry, a checkpoint. --dry-run changes nothing.

It takes about as long as a replay, and as much of the disk as what it makes anew. A copy
of a ledger, in a trust directory, is checked by docket sync --verify.

Of a witness's directory it reads every row of the state, and compares it with what was
noted at the last stop; with --logs it verifies the logs' signatures too. Nothing of a
state is derived.

Exit status: 0 nothing is damaged any more; 1 something is lost, or with --dry-run is to be
repaired; 3 another docket process has the directory open.`,
		Example: `  docket fsck ledger
  docket fsck --dry-run --json ledger
  docket fsck --logs logs.txt w1`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	c.Flags().StringVar(&f.logs, "logs", "", "of a witness: its list of logs, whose signatures are then verified")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what is damaged, and change nothing")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// fsckCmd is one run of docket fsck.
type fsckCmd struct {
	app            *app
	logs           string // a witness's list
	dryRun, asJSON bool
}

func (f *fsckCmd) run(c *cobra.Command, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "trust.json")); err == nil {
		return usageError("%s is a trust directory; wanted a ledger's or a witness's", dir).hint("docket sync --verify --trust %s checks every file of its copy, and mends it", dir)
	}
	if witnessnode.Exists(dir) {
		if err := idle(c, "on a witness's directory, in which nothing is derived", "dry-run"); err != nil {
			return err
		}
		return f.runWitness(c, dir)
	}
	if err := idle(c, "on a ledger's directory: its charter names its keys", "logs"); err != nil {
		return err
	}
	check := node.Fsck{Files: vfs.Default, Dir: dir, Fatal: f.app.diskFailed}
	if f.dryRun {
		scratch, err := os.MkdirTemp("", "docket-fsck-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch)
		if err := client.Room(vfs.Default, scratch, 0, 0); err != nil {
			return err
		}
		check.Scratch = filepath.Join(scratch, "register")
	}
	var finish func()
	check.OnProgress, finish = f.app.progressOfSteps()
	report, err := check.Run(c.Context())
	finish()
	switch {
	case errors.Is(err, node.ErrInUse):
		return notYet("%w", err).hint("end the docket serve that has it open, and run the same command again; docket doctor looks at one that runs")
	case errors.Is(err, node.ErrNoLedger):
		return usageError("%w", err).hint("name the directory that docket serve --dir names")
	case err != nil:
		return err
	}
	if err := f.print(dir, report); err != nil {
		return err
	}
	switch {
	case len(report.Lost) > 0:
		return refusal("%s: %s", dir, countLosses(len(report.Lost))).hint("%s", report.Lost[0].Do)
	case f.dryRun && len(report.Repaired) > 0:
		return refusal("%s is damaged, and nothing is lost", dir).hint("docket fsck %s repairs it", dir)
	}
	return nil
}

// fsckJSON is what fsck prints as JSON.
type fsckJSON struct {
	Dir         string      `json:"dir"`
	Ledger      *record.ID  `json:"ledger,omitempty"`
	Origin      string      `json:"origin,omitempty"`
	Size        uint64      `json:"size"`
	Root        string      `json:"root"`
	Judged      uint64      `json:"judged"`
	Tiles       uint64      `json:"tiles"`
	Kept        uint64      `json:"keptCheckpoints"`
	KeptUnknown uint64      `json:"keptCheckpointsNotJudged,omitempty"`
	Published   *uint64     `json:"published,omitempty"` // size
	Withheld    int         `json:"withheld,omitempty"`
	Sealed      string      `json:"sealed,omitempty"` // why no writer may open it
	Rows        uint64      `json:"rows"`             // of the register, that were compared
	Repaired    []string    `json:"repaired"`         // or to be repaired, with dryRun
	DryRun      bool        `json:"dryRun,omitempty"`
	Lost        []node.Loss `json:"lost"`
	Whole       bool        `json:"whole"`
}

func (f *fsckCmd) print(dir string, r *node.FsckReport) error {
	if f.asJSON {
		out := fsckJSON{
			Dir: dir, Origin: r.Origin, Size: r.Head.Size, Root: r.Head.Root.String(), Judged: r.Judged, Tiles: r.Tiles, Kept: r.Archived, KeptUnknown: r.UnjudgedKept,
			Rows: r.Rows, Withheld: r.Withheld, Sealed: r.Sealed, Repaired: append([]string{}, r.Repaired...), DryRun: f.dryRun, Lost: append([]node.Loss{}, r.Lost...),
		}
		if !r.Ledger.IsZero() {
			out.Ledger = &r.Ledger
		}
		if r.Published != nil {
			size := r.Published.Checkpoint().Size
			out.Published = &size
		}
		out.Whole = len(out.Lost) == 0 && (len(out.Repaired) == 0 || !f.dryRun)
		return f.app.printJSON(out)
	}
	a := f.app
	if r.Origin != "" {
		a.printf("ledger %s %s\n", r.Ledger, printable(r.Origin))
	}
	facts := []string{register.FormatEntryCount(r.Head.Size), fmt.Sprintf("%d judged", r.Judged), plural(int(r.Tiles), "tile"), plural(int(r.Archived), "kept checkpoint")}
	if r.Rows > 0 {
		facts = append(facts, plural(int(r.Rows), "row")+" of the register")
	}
	a.printf("%s\n", strings.Join(facts, ", "))
	if r.Published != nil {
		a.printf("published: size %d\n", r.Published.Checkpoint().Size)
	}
	if r.Sealed != "" {
		a.printf("sealed: no writer may open it: %s\n", printable(r.Sealed))
	}
	if r.Withheld > 0 {
		a.printf("withheld: %s\n", register.FormatEntryCount(uint64(r.Withheld)))
	}
	if r.UnjudgedKept > 0 {
		a.printf("not checked: the signatures of %s, since the charter of that time was not reached\n", plural(int(r.UnjudgedKept), "kept checkpoint"))
	}
	word := "repaired"
	if f.dryRun {
		word = "to repair"
	}
	for _, what := range r.Repaired {
		a.printf("%s: %s\n", word, printable(what))
	}
	for _, l := range r.Lost {
		a.printf("lost: %s\n  do: %s\n", printable(l.What), printable(l.Do))
	}
	if len(r.Repaired)+len(r.Lost) == 0 {
		a.printf("nothing is damaged\n")
	}
	return nil
}

func countLosses(n int) string {
	if n == 1 {
		return "something is lost"
	}
	return fmt.Sprintf("%d things are lost", n)
}

// runWitness checks a witness's directory.
func (f *fsckCmd) runWitness(c *cobra.Command, dir string) error {
	var logs witness.LogList
	if f.logs != "" {
		text, err := f.app.readFile(f.logs)
		if err == nil {
			logs, err = witness.ParseLogs(text)
		}
		if err != nil {
			return usageError("--logs %s: %w", f.logs, err)
		}
	}
	keys, err := witnessnode.LoadKeys(c.Context(), dir)
	if err != nil {
		return err
	}
	var public []proof.Key
	for _, k := range keys {
		public = append(public, k.Key())
	}
	do := fmt.Sprintf("bring back %s/state as it was last, never an older copy; if there is none, move it away, and docket witness serve --new-state asks the logs and the peers what these keys have cosigned", dir)
	r, err := witness.CheckState(vfs.Default, dir, public, logs)
	switch {
	case errors.Is(err, witness.ErrRunning):
		return notYet("%w", err).hint("end it, and run the same command again")
	case errors.Is(err, witness.ErrNoState), disk.Damaged(err):
		return refusal("%w", err).hint("%s", do)
	case err != nil:
		return err
	}
	if f.asJSON {
		err = f.app.printJSON(map[string]any{"dir": dir, "logs": r.Logs, "checkpoints": r.Checkpoints, "verified": r.Verified, "noted": r.Noted, "lost": append([]string{}, r.Faults...), "whole": len(r.Faults) == 0})
	} else {
		f.app.printf("%s of %s, %d of them verified against --logs\n", plural(r.Checkpoints, "checkpoint"), plural(r.Logs, "log"), r.Verified)
		for _, what := range r.Faults {
			f.app.printf("lost: %s\n", printable(what))
		}
		if !r.Noted && len(r.Faults) == 0 {
			f.app.printf("the witness did not end by itself the last time: its next start looks up what it cosigned\n")
		}
		if len(r.Faults) == 0 {
			f.app.printf("nothing is damaged\n")
		}
	}
	if err == nil && len(r.Faults) > 0 {
		err = refusal("%s: %s", dir, countLosses(len(r.Faults))).hint("%s", do)
	}
	return err
}
