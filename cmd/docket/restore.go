package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/backup"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) restore() *cobra.Command {
	var o backup.Restore
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore BACKUP --to DIR [--with URL-or-DIR]…",
		Short: "Make a ledger's directory of a backup, and of what others hold",
		Long: `Makes DIR, which docket serve opens, of BACKUP and of what came after it. DIR is not
there yet, or holds nothing but D/keys. docket store copy moves what was made to a bucket or
a database, where the ledger is to go on there.

A log must go on from all that it has signed: one that goes on from less signs a second
history, and its witnesses halt it for good. So the witnesses of the newest charter are
asked how far the log goes; as many as make a quorum must answer. What the backup lacks
of that comes from the sources that --with names, as often as needed: a server or mirror
(its URL, or a directory in the layout of C2SP tlog-tiles), a trust directory that was
synced, another backup, a ledger's own directory of which a part is damaged, the bucket or
the database that one is kept in (s3://…, postgres://…). Nobody is believed: every entry is checked against a tree that
the log has signed, and judged by the rules. A larger checkpoint without the log's
signature is told, and not gone by. Nothing is signed.

If nobody has some of the entries, it says which, and leaves nothing behind that a ledger
could be opened in: find another copy, and run it again.

Entries that were committed and not published when the backup was made are kept, and
published by docket serve, unless the log has gone on without them.

With "quorum none" there is no witness to ask: what the sources show is what there is.
--without-witnesses is for witnesses who are gone for ever: then likewise. docket serve
asks them all the same before it signs anything new.`,
		Example: `  docket restore /backup/ledger --to ledger --with https://mirror.example --with trust
  docket serve --dir ledger`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Files, o.Backup, o.Fatal = vfs.Default, args[0], a.diskFailed
			o.Warn = func(format string, args ...any) {
				a.logf("docket: warning: %s", printable(fmt.Sprintf(format, args...)))
			}
			o.Room = func(entries uint64) error { return client.Room(vfs.Default, o.To, entries, entries) }
			var bar *progressbar.ProgressBar
			o.Progress = func(reached, size uint64) {
				if bar == nil {
					bar = a.progress("restoring", int64(size))
				}
				bar.ChangeMax64(int64(size))
				bar.Set64(int64(reached))
			}
			r, err := o.Make(c.Context())
			if bar != nil {
				bar.Finish()
			}
			if err != nil {
				return explainRestore(err, o)
			}
			return a.printRestored(r, o, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&o.To, "to", "", "directory of the ledger to make")
	f.StringArrayVar(&o.With, "with", nil, "URL or directory of a mirror, a copy, another backup, a store; may be repeated")
	f.BoolVar(&o.WithoutWitnesses, "without-witnesses", false, "those who do not answer are gone for ever")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("to")
	c.MarkFlagDirname("to")
	return c
}

func explainRestore(err error, o backup.Restore) error {
	var missing *backup.MissingError
	var fork *backup.ForkError
	var bad *register.EntryError
	var unreachable *wire.UnreachableError
	switch {
	case errors.As(err, &missing) && missing.Silent != nil:
		return notYet("%w", err).hint("%s did not answer, and may have them: run it again when it does, or name other sources with --with; nothing is in %s that a ledger could be opened in", strings.Join(missing.Silent, ", "), o.To)
	case errors.As(err, &missing):
		return refusal("%w", err).hint("nothing is in %s that a ledger could be opened in. Name more sources with --with: a mirror, the trust directory of an auditor or a provider (docket sync makes its copy), a newer backup; run it again with all of them. Without these entries this log cannot go on: what it would sign is a second history", o.To)
	case errors.As(err, &fork):
		next, bad := writeNotes(o.To+".evidence", fork.Notes)
		if bad != nil {
			return errors.Join(err, bad)
		}
		return refusal("%w", err).hint("two processes have signed with these keys, or they were stolen: restore nothing until it is explained, and show the witnesses what the log signed: docket witness gossip --to URL %s", strings.Join(next, " "))
	case errors.As(err, &bad):
		return refusal("%w", err).hint("the log signed what the rules do not admit, or a newer docket did: docket audit says more; if a later version made these entries, upgrade docket")
	case errors.Is(err, backup.ErrNoQuorum):
		return notYet("%w", err).hint("run it again when they answer; if they are gone for ever, --without-witnesses goes by what the sources show, and docket serve asks all the same before it signs")
	case errors.Is(err, backup.ErrInTheWay):
		return refusal("%w", err).hint("move what is there away, and keep it: mv %s %[1]s.lost; or name another directory", o.To)
	case errors.Is(err, backup.ErrBusy):
		return notYet("%w", err).hint("end what has %s open, or name another directory", o.To)
	case errors.Is(err, backup.ErrNone):
		return usageError("%w", err).hint("want what docket backup made; and with --with URLs, and directories of mirrors, synced trust directories, backups or ledgers")
	case errors.Is(err, backup.ErrOther), errors.Is(err, backup.ErrUnopened):
		return refusal("%w", err).hint("leave that source out, or name another copy in its place")
	case errors.Is(err, backup.ErrLater):
		return refusal("%w", err)
	case errors.Is(err, backup.ErrDamaged):
		return refusal("%w", err).hint("restore another backup of this ledger, and name this one with --with")
	case errors.As(err, &unreachable):
		return notYet("%w", err)
	}
	return err
}

// writeNotes keeps checkpoints, each in a file named by its content.
func writeNotes(dir string, notes [][]byte) (names []string, err error) {
	for _, note := range notes {
		name, err := writeNote(dir, note)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func (a *app) printRestored(r *backup.RestoreReport, o backup.Restore, asJSON bool) error {
	if asJSON {
		return a.printJSON(map[string]any{
			"ledger": r.Ledger, "origin": r.Origin, "size": r.Size, "root": r.Root.String(), "ofBackup": min(r.Backup, r.Size), "unsigned": r.Unsigned,
			"published": r.Published, "keptCheckpoints": r.Archived, "keys": r.HasKeys, "quorum": r.Quorum,
		})
	}
	a.logf("%s: %s of %s, %d of them not in %s; published %d", o.To, register.FormatEntryCount(r.Size), printable(r.Origin), r.Size-min(r.Backup, r.Size), o.Backup, r.Published)
	if r.Quorum == "none" {
		a.logf("there are no witnesses to say whether the log has gone further: what the backup and the sources show is taken for all of it")
	}
	if r.Unsigned > 0 {
		a.logf("the last %s were committed, and no signature over them was found: docket serve publishes them", register.FormatEntryCount(r.Unsigned))
	}
	if r.HasKeys {
		a.logf("next: docket serve --dir %s; nothing was signed until now", o.To)
	} else {
		a.logf("next: bring the log's keys to %s/keys, which are not in the backup; then docket serve --dir %[1]s; nothing was signed until now", o.To)
	}
	a.printf("%s size %d root %s\n", printable(r.Origin), r.Size, r.Root)
	return nil
}
