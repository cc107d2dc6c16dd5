package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server"
)

func (a *app) withhold() *cobra.Command {
	w := withholdCmd{app: a}
	c := &cobra.Command{
		Use:   "withhold [--dir D] (INDEX --reason TEXT [--order URL|FILE] | --list | --undo INDEX)",
		Short: "Stop serving the bytes of an entry, and say why",
		Long: `An entry cannot be taken out of the log: every entry after it, every checkpoint and every
receipt rests on it. Its bytes can be withheld by those who serve them. From now on the
docket serve that has D open, and any later one, answers 451 with the reason wherever it
would give the entry or what was decoded of it: bundles of entries, records, receipts,
chains, the register's text, pages. Nothing has to be started again. Snapshots of the register
(serve --node-key) are not handed out while anything is withheld: new replicas replay the log.

What stays: the entry's leaf hash and all proofs; its place in the lists, with its dates,
thread and IDs; who has a receipt verifies it still. Records that follow are admitted as
before, since the bytes stay in D, and in backups of it. A copy that lacks the entry says
from which index on it cannot judge; one that had it goes on.

Nothing else stops: whoever has the entry, a copy, a mirror, a cache before the server,
can show it. A charter cannot be withheld: without it nobody can verify anything.

D/withheld.json says which entries, since when, why, and who withheld them; at most 4096.
The reason, and with --order what ordered it, are shown to everybody: an address, or the
name of a file with its SHA-256, of which nothing else is kept.

Exit status: 3 if another docket withhold is at work in D, or D cannot be read just now.`,
		Example: `  docket withhold --dir ledger 1042 --reason "Order 7/2027 of the Port Kestrel court" --order https://court.example/7
  docket withhold --dir ledger --list
  docket withhold --dir ledger --undo 1042`,
		Args: cobra.MaximumNArgs(1),
		RunE: w.run,
	}
	f := c.Flags()
	f.StringVar(&w.dir, "dir", ".", "directory of the ledger")
	f.StringVar(&w.reason, "reason", "", "why, in one line; everybody who asks for the entry is told")
	f.StringVar(&w.order, "order", "", "what ordered it: an address, or a file of which the name and the SHA-256 are shown")
	f.BoolVar(&w.list, "list", false, "list what is withheld")
	f.StringVar(&w.undo, "undo", "", "`INDEX` of an entry that is served again")
	f.BoolVar(&w.asJSON, "json", false, "with --list: print JSON")
	return c
}

// withholdCmd is one run of docket withhold.
type withholdCmd struct {
	app                      *app
	dir, reason, order, undo string
	list, asJSON             bool
}

func (w *withholdCmd) run(c *cobra.Command, args []string) error {
	if err := node.HasStore(vfs.Default, w.dir); err != nil {
		return explainUnread(err, w.dir)
	}
	switch {
	case w.list:
		if len(args) > 0 {
			return usageError("--list lists all that is withheld; %s has no effect beside it", args[0])
		}
		if err := idle(c, "with --list", "reason", "order", "undo"); err != nil {
			return err
		}
		return w.runList()
	case c.Flags().Changed("undo"):
		if len(args) > 0 {
			return usageError("--undo names the entry; %s has no effect beside it", args[0])
		}
		if err := idle(c, "with --undo", "reason", "order", "json"); err != nil {
			return err
		}
		return w.runUndo()
	case len(args) == 0:
		return usageErrorOf(c, "which entry? docket withhold wants its INDEX, --list or --undo INDEX")
	}
	if err := idle(c, "without --list", "json"); err != nil {
		return err
	}
	return w.runWithhold(c, args[0])
}

func (w *withholdCmd) runWithhold(c *cobra.Command, text string) error {
	index, ok := parseIndex(text)
	if !ok {
		return usageError("%q is no index: want the number of an entry", text)
	}
	if w.reason == "" {
		return usageErrorOf(c, "--reason is missing: everybody who asks for entry %d is told why it is withheld", index)
	}
	if err := node.CheckWithheldWords(w.reason); err != nil {
		return usageError("--reason: %w", err)
	}
	order, err := w.orderWords()
	if err != nil {
		return err
	}
	from, closer, err := node.OpenCommitted(c.Context(), vfs.Default, w.dir, w.app.diskFailed)
	if err != nil {
		return explainUnread(err, w.dir)
	}
	defer closer.Close()
	head, err := from.Head(c.Context())
	if err != nil {
		return err
	}
	if index >= head.Size {
		return refusal("the ledger in %s has %d entries: there is no entry %d", w.dir, head.Size, index).hint("docket list records prints the index of each record first")
	}
	entries, err := from.Entries(c.Context(), index, index+1)
	if err != nil {
		return err
	}
	e, err := record.ParseEntry(entries[0])
	if err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	if st.Kind == record.KindCharter {
		return refusal("entry %d is a charter: without it nobody can verify anything of this ledger", index).hint("a charter is the authority's own text, and is amended by another one; what it says goes on standing in the log")
	}
	id := record.IDOf(e.Envelope.Payload)
	err = node.Withhold(vfs.Default, w.dir, node.Withheld{By: userName(), Withheld: server.Withheld{
		Index: index, Record: id, Kind: st.Kind, Thread: st.Thread, Reason: w.reason, Order: order, Since: time.Now().UTC().Truncate(time.Second),
	}})
	if err := w.explain(err); err != nil {
		return err
	}
	w.app.printf("%d %s\n", index, id)
	w.app.logf("withheld: entry %d, the %s on %s; its bytes are in %s as before, and are not served", index, st.Kind, st.Thread, w.dir)
	w.app.logf("caches before the server, mirrors and copies have it until they are told; docket withhold --dir %s --undo %d serves it again", w.dir, index)
	return nil
}

func (w *withholdCmd) runUndo() error {
	index, ok := parseIndex(w.undo)
	if !ok {
		return usageError("%q is no index: want the number of an entry", w.undo)
	}
	was, err := node.StopWithholding(vfs.Default, w.dir, index)
	if err := w.explain(err); err != nil {
		return err
	}
	w.app.printf("%d %s\n", index, was.Record)
	w.app.logf("entry %d is served again; it was withheld since %s: %s", index, was.Since.Format(time.DateOnly), was.Reason)
	return nil
}

func (w *withholdCmd) runList() error {
	list, err := node.ReadWithheld(vfs.Default, w.dir)
	if err := w.explain(err); err != nil {
		return err
	}
	if w.asJSON {
		return w.app.printJSON(map[string]any{"withheld": append([]node.Withheld{}, list...)})
	}
	for _, e := range list {
		order := ""
		if e.Order != "" {
			order = " (" + e.Order + ")"
		}
		w.app.printf("%d  %s  by %s  %s on %s  %s%s\n", e.Index, e.Since.Format(time.RFC3339), e.By, e.Kind, e.Thread, e.Reason, order)
	}
	if len(list) == 0 {
		w.app.logf("nothing is withheld in %s", w.dir)
	}
	return nil
}

// explain says what to do about an error of the list of what is withheld.
func (w *withholdCmd) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrWithheldAlready):
		return refusal("%w", err).hint("docket withhold --dir %s --undo INDEX first, for another reason", w.dir)
	case errors.Is(err, node.ErrNotWithheld):
		return refusal("%w", err).hint("docket withhold --dir %s --list", w.dir)
	case errors.Is(err, node.ErrWithheldDamaged):
		return withheldDamaged(err, w.dir)
	case errors.Is(err, disk.ErrLocked):
		return notYet("another docket withhold is at work in %s", w.dir).hint("run the same command again")
	}
	return err
}

// withheldDamaged says what to do about a list that cannot be read.
func withheldDamaged(err error, dir string) error {
	file := filepath.Join(dir, node.WithheldFile)
	return refusal("%w", err).hint("bring back %s from the backup; nothing is served that may be withheld: if nothing was, remove %s", file, file)
}

// orderWords are what is shown of --order.
func (w *withholdCmd) orderWords() (string, error) {
	if w.order == "" {
		return "", nil
	}
	words := w.order
	if u, err := url.Parse(w.order); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		if _, err := os.Stat(w.order); errors.Is(err, fs.ErrNotExist) {
			return "", usageError("--order %s: neither an address (https://…) nor a file", w.order)
		}
		text, err := w.app.readFile(w.order)
		if err != nil {
			return "", usageError("--order: %w", err)
		}
		words = fmt.Sprintf("%s, SHA-256 %x", filepath.Base(w.order), sha256.Sum256(text))
	}
	if err := node.CheckWithheldWords(words); err != nil {
		return "", usageError("--order: %w", err)
	}
	return words, nil
}

// userName is who runs the command, as the machine knows them.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
