package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) storeCopy() *cobra.Command {
	m := storeCopyCmd{app: a}
	c := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Move a ledger to another store: directory, bucket or database",
		Long: `Moves the ledger kept in FROM to TO: entries, tiles, the checkpoints that are kept, the
published one. Origin, keys and receipts stay what they are. FROM is the ledger's
directory, or its store's URL; TO is a directory, s3://… or postgres://…, with no log in it.

A log must never live twice. So FROM is sealed first: from then on it says "moved to TO",
and no docket opens it for writing, while reads go on. TO is sealed until all is in it and
was read there, each entry and tile checked against the root. End docket serve before, and
every standby: while a writer of FROM shows that it lives, nothing is sealed.

Cut off at any point, the same command goes on. In the end the directory, if FROM is one,
notes where its ledger is now (store.url), and docket serve --dir goes on there; on other
machines docket serve --dir D --store TO notes it. The directory keeps the keys. FROM may
be deleted once a backup of TO is made.

--undo gives up a move that is not at its end, as when TO was named wrong or is lost to
you: TO is sealed for good, then FROM is opened again.

Exit status: 3 run the same command again.`,
		Example: `  docket store copy ledger 's3://records/cip?region=eu-central-1'
  docket store copy ledger postgres://docket@db.ocr.example/ledger
  docket store copy 's3://records/cip?region=eu-central-1' ledger`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return m.run(c.Context(), args[0], args[1]) },
	}
	c.Flags().BoolVar(&m.undo, "undo", false, "give up a move that is not at its end: FROM goes on")
	c.Flags().BoolVar(&m.asJSON, "json", false, "print JSON")
	return c
}

// storeCopyCmd is one run of docket store copy.
type storeCopyCmd struct {
	app          *app
	undo, asJSON bool

	fromDir  string // the ledger's directory, if FROM is one
	from, to stores.URL
}

func (m *storeCopyCmd) run(ctx context.Context, from, to string) error {
	if err := m.parse(from, to); err != nil {
		return err
	}
	opened := &closers{}
	defer opened.Close()
	source, err := m.openFrom(ctx, opened)
	if err != nil {
		return m.explain(err)
	}
	move := ledger.Move{From: source, FromName: m.from.String(), ToName: m.to.String()}
	if err := m.checkFrom(ctx, move); err != nil {
		return err
	}
	if move.To, err = m.openTo(ctx, opened); err != nil {
		return m.explain(err)
	}
	if m.undo {
		return m.runUndo(ctx, move, opened)
	}
	if err := m.checkRoom(ctx, source, move.To); err != nil {
		return err
	}
	var finish func()
	move.OnProgress, finish = m.app.progressOfSteps()
	moved, err := move.Run(ctx)
	finish()
	if err != nil {
		return m.explain(err)
	}
	if err := errors.Join(opened.Close(), m.note()); err != nil {
		return err
	}
	return m.print(moved)
}

// closers are closed in the order opposite to that of their opening, and once.
type closers struct{ open []io.Closer }

func (c *closers) add(one io.Closer) { c.open = append(c.open, one) }

func (c *closers) Close() (err error) {
	for i := len(c.open) - 1; i >= 0; i-- {
		err = errors.Join(err, c.open[i].Close())
	}
	c.open = nil
	return err
}

// parse finds out what is named.
func (m *storeCopyCmd) parse(from, to string) (err error) {
	if m.from, err = parseStore(from); err != nil {
		return err
	}
	if m.to, err = parseStore(to); err != nil {
		return err
	}
	if !m.from.IsShared() {
		m.fromDir = m.from.Directory
		if err := node.HasStore(vfs.Default, m.fromDir); err != nil {
			return explainUnread(err, from)
		}
		noted, err := node.StoreURL(vfs.Default, m.fromDir)
		if err != nil {
			return refusal("%w", err)
		}
		// After a move's last step but the note, or where it is run once more, the directory's own store is meant.
		if noted.IsShared() && !noted.IsSame(m.to) {
			m.from = noted
		} else if _, err := os.Stat(filepath.Join(m.fromDir, "store")); noted.IsShared() && errors.Is(err, fs.ErrNotExist) {
			return usageError("the ledger is in %s already", noted)
		}
	}
	if m.from.IsSame(m.to) {
		return usageError("the ledger is in %s already", m.to)
	}
	if !m.to.IsShared() {
		noted, err := node.StoreURL(vfs.Default, m.to.Directory)
		if err != nil {
			return refusal("%w", err)
		}
		if noted.IsShared() && !noted.IsSame(m.from) {
			return usageError("%s is the directory of a ledger that is kept in %s", to, noted).hint("docket store copy %s %[1]s", noted)
		}
	}
	return nil
}

// checkFrom refuses what FROM alone shows not to go, before a store is made in the directory TO: one
// that was left there would keep that directory from another ledger.
func (m *storeCopyCmd) checkFrom(ctx context.Context, move ledger.Move) error {
	if !m.undo {
		if err := move.CheckFrom(ctx); err != nil {
			return m.explain(err)
		}
		return m.awaitNoWriter(ctx, move.From)
	}
	why, err := move.From.Sealed(ctx)
	if err == nil && why == "" && !m.to.IsShared() && errors.Is(node.HasStore(vfs.Default, m.to.Directory), fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", m.to, ledger.ErrNotMoving)
	}
	if err != nil {
		return m.explain(err)
	}
	return nil
}

// awaitNoWriter refuses to seal what a docket serve writes to. What is sealed already nobody does.
func (m *storeCopyCmd) awaitNoWriter(ctx context.Context, from ledger.Sealer) error {
	shared, ok := from.(ledger.Shared)
	if !ok {
		return nil
	}
	why, err := from.Sealed(ctx)
	if err != nil {
		return m.explain(err)
	}
	if why != "" {
		return nil
	}
	return awaitNoWriter(ctx, shared)
}

// openFrom opens FROM, and keeps a docket serve of this machine out of its directory.
func (m *storeCopyCmd) openFrom(ctx context.Context, opened *closers) (ledger.Sealer, error) {
	if !m.from.IsShared() {
		return m.openDirectory(m.from.Directory, opened)
	}
	if m.fromDir != "" && m.fromDir != m.to.Directory {
		lock, err := node.Lock(vfs.Default, m.fromDir)
		if err != nil {
			return nil, err
		}
		opened.add(lock)
	}
	return m.openShared(ctx, m.from, opened)
}

// openTo opens TO, which is to keep what a ledger rests on.
func (m *storeCopyCmd) openTo(ctx context.Context, opened *closers) (ledger.Sealer, error) {
	if !m.to.IsShared() {
		return m.openDirectory(m.to.Directory, opened)
	}
	if !m.undo {
		if err := stores.Probe(ctx, m.to, stores.Options{}, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", m.to, err)
		}
	}
	return m.openShared(ctx, m.to, opened)
}

func (m *storeCopyCmd) openDirectory(dir string, opened *closers) (ledger.Sealer, error) {
	s, closer, err := node.OpenDirectory(vfs.Default, dir, disk.NewHealth(disk.Config{Fatal: m.app.diskFailed}))
	if err != nil {
		return nil, err
	}
	opened.add(closer)
	return s, nil
}

func (m *storeCopyCmd) openShared(ctx context.Context, at stores.URL, opened *closers) (ledger.Sealer, error) {
	s, err := stores.OpenShared(ctx, at, stores.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	opened.add(s)
	return s, nil
}

// checkRoom refuses to fill this machine's disk with what TO lacks.
func (m *storeCopyCmd) checkRoom(ctx context.Context, from, to ledger.Sealer) error {
	if m.to.IsShared() {
		return nil
	}
	head, err := from.Head(ctx)
	if err != nil {
		return m.explain(err)
	}
	has, err := to.Head(ctx)
	if err != nil {
		return m.explain(err)
	}
	return client.Room(vfs.Default, m.to.Directory, head.Size-min(has.Size, head.Size), 0)
}

// note writes into the ledger's directory where it is kept now.
func (m *storeCopyCmd) note() error {
	if !m.to.IsShared() {
		return node.NoteStore(vfs.Default, m.to.Directory, m.to)
	}
	if m.fromDir == "" {
		return nil
	}
	return node.NoteStore(vfs.Default, m.fromDir, m.to)
}

func (m *storeCopyCmd) print(moved *ledger.Moved) error {
	a := m.app
	if m.asJSON {
		return a.printJSON(map[string]any{
			"from": m.from.String(), "to": m.to.String(), "size": moved.Head.Size, "root": moved.Head.Root.String(), "keptCheckpoints": moved.Archived, "already": moved.Already,
		})
	}
	if moved.Already {
		a.logf("an earlier run had moved it already")
	}
	a.logf("%s moved to %s; %s is sealed, and says so to whoever would write there", register.FormatEntryCount(moved.Head.Size), m.to, m.from)
	switch _, err := os.Stat(m.to.Directory + "/keys"); {
	case !m.to.IsShared() && err != nil:
		a.logf("next: bring the log's keys with their marks (log-*.key, log-*.signed) to %s/keys; then docket serve --dir %[1]s", m.to)
	case !m.to.IsShared():
		a.logf("next: docket serve --dir %s", m.to)
	case m.fromDir != "":
		a.logf("next: docket serve --dir %s, which notes it; on other machines docket serve --dir D --store '%s'", m.fromDir, m.to)
	default:
		a.logf("next: docket serve --dir D --store '%s', on each machine", m.to)
	}
	a.printf("%s size %d root %s\n", m.to, moved.Head.Size, moved.Head.Root)
	return nil
}

func (m *storeCopyCmd) runUndo(ctx context.Context, move ledger.Move, opened *closers) error {
	if err := move.Undo(ctx); err != nil {
		return m.explain(err)
	}
	if err := opened.Close(); err != nil {
		return err
	}
	m.app.logf("%s goes on; %s is sealed for good, and may be deleted", m.from, m.to)
	return nil
}

// explain tells what to do about a move that is not at its end.
func (m *storeCopyCmd) explain(err error) error {
	var sealed *ledger.SealedError
	switch {
	case errors.Is(err, node.ErrInUse):
		return notYet("%w", err).hint("end the docket serve that has it open, and run the same command again")
	case errors.Is(err, node.ErrBackup), errors.Is(err, node.ErrRestoring):
		return explainOpenError(err, m.fromDir)
	case errors.Is(err, ledger.ErrNothingToMove):
		return usageError("%w", err).hint("docket init --dir D --charter ENVELOPE --store URL begins a ledger there")
	case errors.Is(err, ledger.ErrNotMoving):
		return usageError("%w, and nothing was changed", err).hint("the ledger is in %s, and nothing keeps docket serve from it", m.from)
	case errors.Is(err, ledger.ErrMoved):
		return refusal("%w", err).hint("the ledger goes on in %s; docket store copy moves it from there to a place where no log is", m.to)
	case errors.Is(err, ledger.ErrOccupied):
		return refusal("%w", err).hint("nothing in it was changed: name another prefix, database or directory; if %s is sealed for it already, docket store copy --undo opens that again", m.from)
	case errors.As(err, &sealed):
		return refusal("%w", err).hint("%s", m.doAboutSeal(sealed.Why))
	case isStoreError(err):
		return explainStoreError(err, m.fromDir)
	case errors.Is(err, ledger.ErrTakenOver):
		return notYet("%w", err).hint("another docket store copy, or a writer, was at work there: see that there is none, and run the same command again")
	case errors.Is(err, ledger.ErrCorrupt), errors.Is(err, ledger.ErrMissing):
		return refusal("%w", err).hint("docket fsck says what is damaged. If that is %s: docket store copy --undo %[1]s %s, docket restore BACKUP --to NEW --with %[1]s, and move NEW; if it is %[2]s: --undo, and another place", m.from, m.to)
	case stores.Passes(err):
		return notYet("%w", err).hint("nothing lives twice: run the same command again, and it goes on where it was cut off")
	}
	return refusal("%w", err).hint("nothing lives twice: once that is mended the same command goes on where it was cut off")
}

// doAboutSeal says what to do about a store that belongs to another move.
func (m *storeCopyCmd) doAboutSeal(why string) string {
	if name, moved := ledger.MovedTo(why); moved {
		return fmt.Sprintf("if that is FROM, the ledger is in %s, or on its way there: the same docket store copy with that TO goes on, or with --undo gives it up; if it is TO, name another place, or move the old store/ of that directory away", name)
	}
	return "name another prefix, database or directory; or run the docket store copy that fills this one once more"
}
