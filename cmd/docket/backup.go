package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/backup"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) backup() *cobra.Command {
	var withoutKeys, asJSON bool
	c := &cobra.Command{
		Use:   "backup DIR TO [--without-keys]",
		Short: "Back up a ledger's directory, while docket serve runs or not",
		Long: `Copies what the ledger in DIR has committed to TO: every entry, with tiles, as
C2SP tlog-tiles writes them; the published checkpoint, and those kept of earlier times;
the log's keys, and the marks of those that have signed; the newest cosignature of each
auditor. What is derived is left out.

While docket serve runs on DIR, it answers on a socket there, DIR/backup.sock, which its
owner alone may use: nothing is locked or stopped meanwhile, since what is committed
never changes. Where nothing runs, DIR is held until the backup is made.

The same command again adds what is new. TO holds one ledger: another one's backup is
refused, and so is a ledger that has forked from its backup or holds less. Interrupted at
any point it leaves the backup that was there.

Entries that are committed and not yet published are in it too: their submitters were
told 202, and no receipt promised yet; docket restore keeps them.

TO/log is a mirror as it is: docket audit TO/log --charter ID, or any static web server.
Serve TO/log alone: TO/keys holds what signs for the log. --without-keys leaves the keys
out, and their marks in.

A backup is no ledger, and docket serve does not open it: what was signed since is not in
it. docket restore TO --to DIR makes a ledger of it again.`,
		Example: `  docket backup ledger /backup/ledger
  docket backup ledger /offsite/ledger --without-keys`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			dir, to := args[0], args[1]
			if err := checkBackupPlace(dir, to); err != nil {
				return err
			}
			from, closer, err := node.OpenCommitted(c.Context(), vfs.Default, dir, a.diskFailed)
			if err != nil {
				return explainUnread(err, dir)
			}
			defer closer.Close()
			var bar *progressbar.ProgressBar
			r, err := backup.Write(c.Context(), backup.Options{
				From: from, Keys: filepath.Join(dir, "keys"), Files: vfs.Default, To: to, WithoutKeys: withoutKeys,
				Room: func(entries uint64) error { return client.Room(vfs.Default, to, entries, 0) },
				Progress: func(reached, size uint64) {
					if bar == nil {
						bar = a.progress("copying", int64(size))
					}
					bar.Set64(int64(reached))
				},
			})
			if bar != nil {
				bar.Finish()
			}
			if err != nil {
				return explainBackup(err, dir, to)
			}
			return errors.Join(a.printBackup(r, to, asJSON), closer.Close())
		},
	}
	f := c.Flags()
	f.BoolVar(&withoutKeys, "without-keys", false, "leave the log's keys where they are")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// checkBackupPlace refuses a backup that lies in what it is of: they would be lost together.
func checkBackupPlace(dir, to string) error {
	whole := func(path string) string {
		path, err := filepath.Abs(path)
		if err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				return real
			}
		}
		return path
	}
	if inner, err := filepath.Rel(whole(dir), whole(to)); err == nil && inner != ".." && !strings.HasPrefix(inner, ".."+string(filepath.Separator)) {
		return usageError("%s lies in %s, and would be lost with it", to, dir).hint("name another place, on another disk")
	}
	return nil
}

// explainUnread says why a ledger's directory cannot be read.
func explainUnread(err error, dir string) error {
	switch {
	case ofMachine(err):
		return refusal("%w", err)
	case errors.Is(err, node.ErrSilent):
		return notYet("%w", err).hint("if that is docket serve, its log says why it has no socket: start it again, or end it until the backup is made; any other command ends by itself")
	case errors.Is(err, fs.ErrNotExist):
		if _, is := os.Stat(filepath.Join(dir, node.BackupFile)); is == nil {
			return usageError("%s is a backup, and no ledger", dir).hint("copy it as it is; docket restore %s --to DIR makes a ledger of it", dir)
		}
		return usageError("there is no ledger in %s: %w", dir, err).hint("want the directory that docket serve --dir names")
	}
	return refusal("opening the ledger in %s: %w", dir, err).hint("what is damaged is not backed up, and the backup that was made before is whole: docket restore makes a ledger of that and of what others hold")
}

func explainBackup(err error, dir, to string) error {
	switch {
	case errors.Is(err, backup.ErrEmpty):
		return usageError("%s: %w: there is nothing to back up but %[1]s/keys", dir, err).hint("copy %s/keys; after docket init --dir %[1]s --charter ENVELOPE, run this again", dir)
	case errors.Is(err, backup.ErrOther):
		return refusal("%w", err).hint("name a directory that is not there yet, or is empty, or holds this ledger's backup")
	case errors.Is(err, backup.ErrHasKeys):
		return refusal("%w", err).hint("leave out --without-keys, or remove the files log-*.key there first; those named log-*.signed stay")
	case errors.Is(err, backup.ErrLater):
		return refusal("%w", err)
	case errors.Is(err, backup.ErrOlder), errors.Is(err, backup.ErrForked):
		return refusal("%w", err).hint("nothing was written, and %s is as it was: keep it. %s is an older store, or another history: end what serves it, and make a ledger of the backup: docket restore %[1]s --to NEW --with URL-or-DIR", to, dir)
	case errors.Is(err, backup.ErrBusy):
		return notYet("%w", err).hint("run the same command again when that has ended")
	case errors.Is(err, node.ErrSilent):
		return notYet("%w", err).hint("what was copied is kept: run the same command again")
	case errors.Is(err, backup.ErrDamaged):
		return refusal("%w", err).hint("name another place for a new backup; what is damaged in the ledger itself comes back with docket restore, from the older backup and from what others hold")
	}
	return err
}

func (a *app) printBackup(r *backup.Report, to string, asJSON bool) error {
	if asJSON {
		return a.printJSON(map[string]any{
			"ledger": r.Ledger, "origin": r.Origin, "size": r.Size, "new": r.New, "root": r.Root.String(),
			"published": r.Published, "keptCheckpoints": r.Archived, "keys": r.Keys, "withheld": r.Withheld, "auditors": r.Auditors,
		})
	}
	a.logf("%s: %s of %s, %d of them new; published %d; %s kept of earlier times", to, register.FormatEntryCount(r.Size), printable(r.Origin), r.New, r.Published, plural(int(r.Archived), "checkpoint"))
	if r.Keys == 0 {
		a.logf("the log's keys are not in it: back up the directory of the keys by itself")
	} else {
		a.logf("the log's keys are in %s/keys: keep them as you keep the ledger's", to)
	}
	if r.Withheld > 0 {
		a.logf("%s withheld by the ledger: %s/withheld.json says which, and %[2]s/log has their bytes, which whoever serves it as a mirror would show", beAre(r.Withheld, "entry", "entries"), to)
	}
	a.printf("%s size %d root %s\n", printable(r.Origin), r.Size, r.Root)
	return nil
}
