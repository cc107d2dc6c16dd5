package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
)

const storeFlagHelp = "`URL` of the bucket or the database that the ledger is kept in; noted in the directory"

func (a *app) store() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "Probe a store beyond this machine; move a ledger from one store to another",
		Long: `A ledger is kept in its directory, in a bucket of an object store that speaks S3, or in a
PostgreSQL database. These are their names:

  ledger                                             the directory that docket serve --dir names
  s3://BUCKET/PREFIX?region=NAME                     of AWS
  s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path-style   of another store; endpoint may be repeated
  postgres://USER@HOST/DATABASE                      of a server with a synchronous standby, or alone

Credentials come from the environment, as these stores' own tools take them
(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the machine's role; PGPASSWORD,
~/.pgpass). None is kept in the ledger's directory, or printed.`,
	}
	c.AddCommand(a.storeProbe(), a.storeCopy())
	return c
}

func (a *app) storeProbe() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "probe URL",
		Short: "Try whether a store keeps what a ledger rests on",
		Long: `Tries what a ledger rests on: that of many who write at once one wins, over every endpoint
given; that a write on an old condition is refused; that what was written is read at once,
and listed. Several stores that speak S3 accept such conditions and do not keep them: a
ledger there would fork. Of a database it asks for the settings without which a commit may
be lost.

It writes under the prefix given, beside any ledger that is there, and removes what it
wrote. docket init and each start of docket serve do the same, and refuse what fails.
Passing shows that the store does not break a promise now; only its makers can say that it
never does.

Exit status: 0 each was kept, 1 one was not, or the store was not reached.`,
		Example: `  docket store probe 's3://records/probe?endpoint=https://s3.ocr.example&region=eu-1'
  docket store probe --json postgres://docket@db.ocr.example/ledger`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.probeStore(c.Context(), args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// kept is how one promise was, as --json has it.
type kept struct {
	Promise string `json:"promise"`
	Kept    bool   `json:"kept"`
	Error   string `json:"error,omitempty"`
}

func (a *app) probeStore(ctx context.Context, text string, asJSON bool) error {
	at, err := parseStore(text)
	if err != nil {
		return err
	}
	if !at.IsShared() {
		return usageError("%s is a directory: its disk is this machine's, and there is nothing to probe", text).hint("docket fsck %s reads all that a ledger's directory holds", text)
	}
	all := []kept{}
	err = stores.Probe(ctx, at, stores.Options{}, func(name string, bad error) {
		p := kept{Promise: name, Kept: bad == nil}
		word := "kept"
		if bad != nil {
			p.Error, word = bad.Error(), "NOT KEPT"
		}
		if all = append(all, p); !asJSON {
			a.printf("%-8s  %s\n", word, name)
		}
	})
	if asJSON {
		if err := a.printJSON(map[string]any{"store": at.String(), "promises": all, "kept": err == nil}); err != nil {
			return err
		}
	}
	var broken *stores.BrokenError
	switch {
	case errors.As(err, &broken):
		return explainStoreError(fmt.Errorf("%s: %w", at, err), "")
	case err != nil:
		return refusal("%s: %w", at, err).hint("see that it is reached from here, that the bucket or the database is there, and that the environment has credentials for it")
	case !asJSON:
		a.logf("%s: all that a ledger rests on was kept, as far as one try shows", at)
	}
	return nil
}

func parseStore(text string) (stores.URL, error) {
	at, err := stores.Parse(text)
	if err != nil {
		return at, usageError("%w", err)
	}
	return at, nil
}

// openStore opens the store of a ledger's directory for who is to write: the one that --store
// names, or that the directory notes; nil if that is Pebble's, in the directory.
func (a *app) openStore(ctx context.Context, dir, given string, log *slog.Logger) (stores.Shared, error) {
	var at stores.URL
	if given != "" {
		var err error
		if at, err = parseStore(given); err != nil {
			return nil, fmt.Errorf("--store: %w", err)
		}
		if !at.IsShared() {
			return nil, usageError("--store %s is a directory; want a bucket or a database", given).hint("without --store a ledger is kept in its own directory; docket store copy moves one to another")
		}
	}
	store, err := node.OpenStore(ctx, vfs.Default, dir, at, stores.Options{Log: log})
	if err != nil {
		return nil, explainOpenError(err, dir)
	}
	return store, nil
}

// openedLedger is a node, with the store that was opened for it.
type openedLedger struct {
	*node.Node
	store stores.Shared // nil: Pebble's, which the node has opened
}

// openLedger opens a ledger's directory, of which one process at a time has the use, and its
// store.
func (a *app) openLedger(c *cobra.Command, given string, config node.Config) (*openedLedger, error) {
	store, err := a.openStore(c.Context(), config.Dir, given, config.Log)
	if err != nil {
		return nil, err
	}
	if store != nil {
		config.Store = store
	}
	n, err := a.openNode(c, config)
	if err != nil {
		if store != nil {
			store.Close() // nothing was written
		}
		return nil, err
	}
	return &openedLedger{n, store}, nil
}

// Close closes the node, then its store. Closing twice is closing once.
func (l *openedLedger) Close() error {
	err := l.Node.Close()
	if l.store != nil {
		err = errors.Join(err, l.store.Close())
		l.store = nil
	}
	return err
}

// storeIn is where the ledger of a directory is kept, for people.
func storeIn(dir string) string {
	if at, err := node.StoreURL(vfs.Default, dir); err == nil && at.IsShared() {
		return at.String()
	}
	return filepath.Join(dir, "store")
}

// isStoreError says of an error that explainStoreError says what to do about it.
func isStoreError(err error) bool {
	var broken *stores.BrokenError
	var sealed *ledger.SealedError
	return errors.As(err, &broken) || errors.As(err, &sealed) || errors.Is(err, node.ErrOtherStore)
}

// explainStoreError tells what to do about a store that is not to be written to.
func explainStoreError(err error, dir string) error {
	var broken *stores.BrokenError
	var sealed *ledger.SealedError
	switch {
	case errors.As(err, &broken):
		return refusal("%w", err).hint("no setting of docket makes up for that: take another store, or other settings of this one, and run docket store probe again")
	case errors.As(err, &sealed):
		return refusal("%w", err).hint("%s", doAboutSeal(sealed.Why, dir))
	case errors.Is(err, node.ErrOtherStore):
		return usageError("%w", err).hint("docket store copy %s URL moves it; if the same store has another address now, write that into %[1]s/store.url", dir)
	}
	return refusal("%w", err)
}

// doAboutSeal says what to do about a store that is sealed.
func doAboutSeal(why, dir string) string {
	name, moved := ledger.MovedTo(why)
	to, err := stores.Parse(name)
	switch {
	case !moved:
		return "run the docket store copy that fills it once more, to its end"
	case err == nil && to.IsShared():
		return fmt.Sprintf("docket serve --dir %s --store '%s'; if that is not whole yet, run the same docket store copy once more", dir, to)
	}
	return fmt.Sprintf("docket serve --dir %s; if that is not whole yet, run the same docket store copy once more", name)
}
