package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Fsck checks all that lies in a ledger's directory, which no other process has open: the
// store against its own head, and each row of the register against a replay from the first
// entry on. What is derived it makes anew, beside what was there, which takes its place
// when it is whole; of what is lost it says what to do.
type Fsck struct {
	Files   vfs.FS
	Dir     string
	Scratch string // where the entries are replayed; "": in Dir, and then what is damaged is repaired
	Log     *slog.Logger
	Fatal   func(reason string) // as in [Config]

	OnProgress func(doing string, reached, size uint64) // may be nil
}

// FsckReport is what was found.
type FsckReport struct {
	ledger.Checked
	Ledger    record.ID // the charter at index 0, if that was judged
	Origin    string    // likewise
	Rows      uint64    // of the register, that were compared
	WrongRows uint64
	Sealed    string   // why no writer may open the store; empty if one may
	Withheld  int      // entries whose bytes are not served
	Repaired  []string // what was made anew, or would be
	Lost      []Loss
}

// Loss is what nothing here brings back, and what to do about it.
type Loss struct {
	What string `json:"what"`
	Do   string `json:"do"`
}

func (r *FsckReport) lose(do, format string, args ...any) {
	r.Lost = append(r.Lost, Loss{fmt.Sprintf(format, args...), do})
}

func (r *FsckReport) repair(format string, args ...any) {
	r.Repaired = append(r.Repaired, fmt.Sprintf(format, args...))
}

// ErrNoLedger: there is no store in the directory.
var ErrNoLedger = errors.New("there is no ledger's store")

// Names of a store that is made beside the damaged one: while it grows, and once it is whole.
const (
	storeDir     = "store"
	growingStore = "store.next"
	wholeStore   = "store.whole"
	scratchDir   = "fsck" // in register, where the next start of the ledger removes what it does not know
)

// Run checks, and repairs. [ErrInUse] if another process has the directory open.
func (f Fsck) Run(ctx context.Context) (*FsckReport, error) {
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
	if f.OnProgress == nil {
		f.OnProgress = func(string, uint64, uint64) {}
	}
	c := &fsck{Fsck: f, report: new(FsckReport), health: disk.NewHealth(disk.Config{Fatal: f.Fatal})}
	if _, err := f.Files.Stat(f.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: there is no such directory", f.Dir, ErrNoLedger)
	}
	lock, err := disk.Lock(f.Files, c.path("lock"))
	switch {
	case errors.Is(err, disk.ErrLocked):
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	case err != nil && f.Scratch != "" && errors.Is(err, syscall.EROFS): // nobody writes there
		lock = io.NopCloser(nil)
	case err != nil:
		return nil, err
	}
	return c.report, errors.Join(c.run(ctx), lock.Close())
}

// fsck is one run of an Fsck.
type fsck struct {
	Fsck
	report *FsckReport
	health *disk.Health

	at    stores.URL // where the ledger is kept
	store readable   // nothing is written to it

	register    *register.Register // the one in use, read only; nil where it is damaged or missing
	registerErr error              // why there is none, or why it is not to stay
	newest      int                // number of the one in use; 0 if there is none
	fresh       *register.Register // the replay
	scratch     string             // where that lies
}

func (c *fsck) path(name string) string { return c.Files.PathJoin(c.Dir, name) }

func (c *fsck) run(ctx context.Context) error {
	withheld, err := ReadWithheld(c.Files, c.Dir)
	if err != nil {
		c.report.lose("bring back "+c.path(WithheldFile)+" from the backup", "which entries are withheld: %v", err)
	}
	c.report.Withheld = len(withheld)
	if c.at, err = StoreURL(c.Files, c.Dir); err != nil {
		return err
	}
	if !c.at.IsShared() {
		if err := c.finishReplacing(); err != nil {
			return err
		}
	}
	c.store, err = openToRead(ctx, c.Files, c.Dir, stores.Options{Log: c.Log}, c.health)
	if errors.Is(err, ledger.ErrCorrupt) {
		c.report.lose(c.bringBack(), "the store cannot be opened: %v", err)
		return nil
	} else if err != nil {
		return err
	}
	defer func() {
		if c.store != nil {
			c.store.Close() // it was only read
		}
	}()
	if c.report.Sealed, err = c.store.Sealed(ctx); err != nil {
		return err
	}
	if err := c.openRegister(); err != nil {
		return err
	}
	defer func() {
		if c.register != nil {
			c.register.Close() // it was only read
		}
	}()
	if err := c.replay(ctx); err != nil {
		return err
	}
	return c.mend(ctx)
}

func (c *fsck) bringBack() string {
	if c.at.IsShared() {
		return fmt.Sprintf("bring back the newest backup, with what is still here: docket restore BACKUP --to NEW --with %[1]s, then docket store copy NEW to another bucket, prefix or database; never a store from before the last checkpoint that was published", c.Dir)
	}
	return fmt.Sprintf("bring back the newest backup of %[1]s/store, with what is still here: docket restore BACKUP --to NEW --with %[1]s; never a store from before the last checkpoint that was published", c.Dir)
}

// still is a store as it is at one moment, while a writer elsewhere goes on: what is kept is
// counted first, then what is published is read, then the head, and all below stays as it is.
type still struct {
	ledger.Store
	head                               ledger.Head
	published                          []byte
	archived                           uint64
	headErr, publishedErr, archivedErr error
}

func hold(ctx context.Context, store ledger.Store) still {
	s := still{Store: store}
	s.archived, s.archivedErr = store.ArchivedCount(ctx)
	s.published, s.publishedErr = store.Published(ctx)
	s.head, s.headErr = store.Head(ctx)
	return s
}

func (s still) Head(context.Context) (ledger.Head, error)     { return s.head, s.headErr }
func (s still) Published(context.Context) ([]byte, error)     { return s.published, s.publishedErr }
func (s still) ArchivedCount(context.Context) (uint64, error) { return s.archived, s.archivedErr }

// finishReplacing goes on where an earlier run was cut off.
func (c *fsck) finishReplacing() error {
	_, none := c.Files.Stat(c.path(storeDir))
	_, noWhole := c.Files.Stat(c.path(wholeStore))
	switch {
	case none != nil && !errors.Is(none, fs.ErrNotExist):
		return none
	case none != nil && noWhole != nil:
		return fmt.Errorf("%s: %w", c.Dir, ErrNoLedger)
	case c.Scratch != "" && none != nil:
		return fmt.Errorf("an fsck was cut off while it put %s in the place of %s: run it again, to repair", c.path(wholeStore), c.path(storeDir))
	case c.Scratch != "":
		return nil
	case none != nil:
		return disk.Rename(c.Files, c.path(wholeStore), c.path(storeDir))
	}
	return errors.Join(c.Files.RemoveAll(c.path(growingStore)), c.Files.RemoveAll(c.path(wholeStore)))
}

// openRegister opens the register in use.
func (c *fsck) openRegister() error {
	all, err := disk.Generations(c.Files, c.path("register"))
	if err != nil {
		return fmt.Errorf("looking for the register: %w", err)
	}
	if len(all) == 0 {
		c.registerErr = errors.New("there is none")
		return nil
	}
	c.newest = all[0]
	o := client.RegisterOptions()
	o.ReadOnly, o.Health = true, c.health
	c.register, err = register.Open(c.Files, c.Files.PathJoin(c.path("register"), strconv.Itoa(c.newest)), o)
	switch {
	case errors.Is(err, register.ErrEarlierVersion):
		c.registerErr = errors.New("it is of an earlier version of docket")
	case register.IsDamaged(err):
		c.registerErr = err
	case err != nil:
		return err
	case c.register.Size() == 0:
		c.registerErr = errors.New("it is empty")
	}
	return nil
}

// replay checks the store, and the register on the way.
func (c *fsck) replay(ctx context.Context) error {
	if c.scratch = c.Scratch; c.scratch == "" {
		if err := disk.MakeDir(c.Files, c.path("register"), 0o755); err != nil {
			return err
		}
		c.scratch = c.Files.PathJoin(c.path("register"), scratchDir)
	}
	o := client.RegisterOptions()
	o.Health = c.health
	if err := c.Files.RemoveAll(c.scratch); err != nil {
		return err
	}
	var err error
	if c.fresh, err = register.Open(c.Files, c.scratch, o); err != nil {
		return err
	}
	var store ledger.Store = c.store
	if c.at.IsShared() {
		store = hold(ctx, c.store)
	}
	check := ledger.Check[record.Verified]{
		Store: store, Fold: public.Fold(c.fresh), OnMark: c.compare,
		OnProgress: func(reached, size uint64) { c.OnProgress("checking", reached, size) },
	}
	if c.registerErr == nil {
		check.Mark = c.register.Size()
	}
	found, err := check.Run(ctx)
	if errors.Is(err, ledger.ErrCorrupt) {
		c.report.lose(c.bringBack(), "%v", err)
		return c.dropFresh()
	} else if err != nil {
		return errors.Join(err, c.dropFresh())
	}
	c.report.Checked = *found
	c.report.Ledger = c.fresh.Ledger()
	if found.Judged > 0 {
		era, err := c.fresh.PolicyEpochAt(found.Judged)
		if err != nil {
			return errors.Join(err, c.dropFresh())
		}
		c.report.Origin = era.Origin
	}
	return nil
}

// dropFresh removes the replay.
func (c *fsck) dropFresh() error {
	if c.fresh == nil {
		return nil
	}
	err := c.fresh.Close()
	c.fresh = nil
	return errors.Join(err, c.Files.RemoveAll(c.scratch))
}

// compare holds the register in use against the replay, where that has come as far.
func (c *fsck) compare() error {
	if has, made := c.register.Cursor(), c.fresh.Cursor(); has.Root != made.Root {
		c.registerErr = ledger.ErrRollback
		return nil
	}
	var err error
	c.report.Rows, c.report.WrongRows, err = c.fresh.Compare(c.register)
	switch {
	case register.IsDamaged(err):
		c.registerErr = err
	case err != nil:
		return err
	case c.report.WrongRows > 0:
		c.registerErr = fmt.Errorf("%d of %d rows are not what the entries make", c.report.WrongRows, c.report.Rows)
	}
	return nil
}

// mend says what is lost, and makes anew what is derived.
func (c *fsck) mend(ctx context.Context) error {
	if c.fresh == nil {
		return nil
	}
	r := c.report
	err := c.sayLost()
	if err == nil && r.Whole() && c.at.IsShared() && len(r.WrongTiles) > 0 {
		r.lose("docket store copy "+c.Dir+" to another bucket, prefix or database: it makes every tile anew from the entries", "%d of %d tiles, the first because %v", countSpans(r.WrongTiles), r.Tiles, r.WrongTiles[0].Err)
	}
	if err == nil && !c.at.IsShared() && r.Whole() && r.PublishedErr == nil && r.ArchiveErr == nil && len(r.WrongTiles)+len(r.LostKept) > 0 {
		err = c.replaceStore(ctx)
	}
	if err == nil && r.Whole() && r.JudgedErr == nil && c.registerErr != nil && !errors.Is(c.registerErr, ledger.ErrRollback) {
		r.repair("the register: %v: made anew from the entries", c.registerErr)
		if c.Scratch == "" {
			err = c.replaceRegister()
		}
	}
	return errors.Join(err, c.dropFresh())
}

// sayLost says what is not derived, and is not as it should be.
func (c *fsck) sayLost() error {
	r := c.report
	backup := c.bringBack()
	for _, s := range r.LostEntries {
		r.lose(backup+"; a mirror, and whoever has synced, has these entries too", "%s: %v", spanText("entry", "entries", s), s.Err)
	}
	if r.Unproven != nil {
		r.lose(backup, "%v", r.Unproven)
	}
	if c.registerErr == nil && c.register.Size() > r.Head.Size {
		c.registerErr = ledger.ErrRollback
	}
	if errors.Is(c.registerErr, ledger.ErrRollback) {
		r.lose(backup+"; until then leave the register where it is: it alone knows that there was more", "the register has seen %d entries, and the store has %d, or others: the store has lost something", c.register.Size(), r.Head.Size)
	}
	var bad *register.EntryError
	var old *register.UpgradeError
	switch {
	case errors.As(r.JudgedErr, &old):
		return r.JudgedErr
	case !r.Whole(), r.JudgedErr == nil:
	case errors.As(r.JudgedErr, &bad):
		r.lose("nothing here changes that, and whoever replays this ledger finds the same: keep this directory, and say so to those who rely on it", "entry %d must not be in this ledger: %v", bad.Index, bad.Err)
	default:
		return r.JudgedErr
	}
	switch {
	case r.PublishedErr != nil:
		r.lose(backup+"; the witnesses and mirrors show what was published last", "the published checkpoint: %v", r.PublishedErr)
	case r.NothingPublished && r.Archived > 0:
		r.lose(backup+"; the witnesses and mirrors show what was published last", "the published checkpoint is gone: %d older ones are kept", r.Archived)
	}
	if r.ArchiveErr != nil {
		r.lose(backup, "which older checkpoints are kept cannot be read: %v", r.ArchiveErr)
	}
	for _, s := range r.LostKept {
		r.lose("an older backup of "+c.storeName()+" may have it; without it what was knowable then is told by the one before, and if it was the last under its charter, records of that time have no chain",
			"%s: %v", spanText("the kept checkpoint number", "the kept checkpoints number", s), s.Err)
	}
	return nil
}

func (c *fsck) storeName() string {
	if c.at.IsShared() {
		return c.at.String()
	}
	return c.path(storeDir)
}

func spanText(one, many string, s ledger.Span) string {
	if s.To-s.From == 1 {
		return fmt.Sprintf("%s %d", one, s.From)
	}
	return fmt.Sprintf("%s %d to %d", many, s.From, s.To-1)
}

// replaceStore makes a store of what the damaged one holds: Pebble cannot mend a table in
// its place. The damaged one stays beside it, under another name.
func (c *fsck) replaceStore(ctx context.Context) error {
	r := c.report
	wrong := countSpans(r.WrongTiles)
	aside, err := c.freeName("store.damaged")
	if err != nil {
		return err
	}
	if c.Scratch == "" {
		if err := c.makeStore(ctx); err != nil {
			return err
		}
		err := c.store.Close()
		c.store = nil
		if err = errors.Join(err, disk.Rename(c.Files, c.path(growingStore), c.path(wholeStore))); err == nil {
			err = disk.Rename(c.Files, c.path(storeDir), aside)
		}
		if err == nil {
			err = disk.Rename(c.Files, c.path(wholeStore), c.path(storeDir))
		}
		if err != nil {
			return err
		}
	}
	if wrong > 0 {
		r.repair("%d of %d tiles, the first because %v: made anew from the entries", wrong, r.Tiles, r.WrongTiles[0].Err)
	}
	r.repair("the store is written anew without what was damaged; the one before is %s, and may be deleted once a backup of this one is made", aside)
	return nil
}

func countSpans(spans []ledger.Span) (n uint64) {
	for _, s := range spans {
		n += s.To - s.From
	}
	return n
}

// freeName is a name that nothing has, with the next number.
func (c *fsck) freeName(base string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s-%d", c.path(base), n)
		if _, err := c.Files.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// makeStore writes what is whole into another store.
func (c *fsck) makeStore(ctx context.Context) error {
	size, err := c.sizeOf(c.path(storeDir))
	if err != nil {
		return err
	}
	if usage, err := c.Files.GetDiskUsage(c.Dir); err == nil && usage.AvailBytes < size {
		return &client.SpaceError{Dir: c.Dir, Free: usage.AvailBytes, Need: size}
	}
	next, err := pebblestore.Open(c.Files, c.path(growingStore), pebblestore.Options{Health: c.health})
	if err != nil {
		return err
	}
	err = ledger.Copy(ctx, c.store, next, &c.report.Checked, func(reached, size uint64) { c.OnProgress("writing", reached, size) })
	if err == nil && c.report.Sealed != "" { // where the ledger has moved, it does not come to life again
		err = next.Seal(ctx, c.report.Sealed)
	}
	return errors.Join(err, next.Close())
}

// sizeOf is what the files of a directory take, in bytes.
func (c *fsck) sizeOf(dir string) (sum uint64, err error) {
	names, err := c.Files.List(dir)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		info, err := c.Files.Stat(c.Files.PathJoin(dir, name))
		if err != nil {
			return 0, err
		}
		sum += uint64(info.Size())
	}
	return sum, nil
}

// replaceRegister makes the replay the register in use. The one before goes.
func (c *fsck) replaceRegister() error {
	if c.register != nil {
		c.register.Close() // it was only read
		c.register = nil
	}
	err := errors.Join(c.fresh.Flush(), c.fresh.Close())
	if c.fresh = nil; err != nil {
		return err
	}
	next := c.Files.PathJoin(c.path("register"), strconv.Itoa(c.newest+1))
	if err := disk.Rename(c.Files, c.scratch, next); err != nil {
		return err
	}
	for n := range c.newest {
		if err := c.Files.RemoveAll(c.Files.PathJoin(c.path("register"), strconv.Itoa(n+1))); err != nil {
			return err
		}
	}
	return nil
}
