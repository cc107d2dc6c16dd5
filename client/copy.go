package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// copyDir is a local copy of a log in the layout of C2SP tlog-tiles: tiles and entry
// bundles as files, which any static web server could hand on. It is a [reader.Source]:
// what is read from it is checked against a trusted root.
type copyDir struct {
	files    vfs.FS
	dir      string
	unsynced map[string]bool // files that were kept, and are to be synced before they count
}

func (c copyDir) path(p string) string { return c.files.PathJoin(c.dir, p) }

// Published reads the trusted checkpoint.
func (c copyDir) Published(context.Context) ([]byte, error) {
	note, err := disk.ReadFile(c.files, c.path(checkpointFile))
	if missing(err) {
		return nil, nil
	}
	return note, err
}

// Tiles reads tiles, each of at least the width asked, cut to it. A partial tile
// may have grown since: then the wider one begins with it.
func (c copyDir) Tiles(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	rows := make([][]byte, len(ids))
	for i, id := range ids {
		data, err := c.readWidest(id.Path(), id.Full().Path())
		if err != nil {
			return nil, err
		}
		if len(data) < id.Width*sha256.Size {
			return nil, fmt.Errorf("%s: %d bytes, want %d hashes: the copy is damaged", id, len(data), id.Width)
		}
		rows[i] = data[:id.Width*sha256.Size]
	}
	return rows, nil
}

// Entries reads the entries [start, end).
func (c copyDir) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	var entries [][]byte
	for id := range proof.EntryBundles(start, end) {
		b, err := c.Bundle(ctx, id)
		if err != nil {
			return nil, err
		}
		first := id.Index * proof.TileWidth
		entries = append(entries, b[max(start, first)-first:]...)
	}
	return entries, nil
}

// Bundle reads the entries of one bundle.
func (c copyDir) Bundle(_ context.Context, id proof.EntryBundleID) ([][]byte, error) {
	data, err := c.readWidest(id.Path(), id.Full().Path())
	if err != nil {
		return nil, err
	}
	// A wider file than asked begins with what was asked: count as it is read.
	for width := id.Width; width <= proof.TileWidth; width++ {
		if entries, err := proof.ParseEntryBundle(data, width); err == nil {
			return entries[:id.Width], nil
		} else if id.Width == proof.TileWidth {
			return nil, fmt.Errorf("%s: %w: the copy is damaged", id, err)
		}
	}
	return nil, fmt.Errorf("%s: the copy is damaged", id)
}

// readWidest reads the file of a partial tile or bundle, or else the full one, or else
// any partial one beside it.
func (c copyDir) readWidest(partial, full string) ([]byte, error) {
	for _, name := range []string{partial, full} {
		if data, err := disk.ReadFile(c.files, c.path(name)); err == nil || !missing(err) {
			return data, err
		}
	}
	widths, err := c.files.List(c.path(full + ".p"))
	if err != nil && !missing(err) {
		return nil, err
	}
	best, name := 0, ""
	for _, w := range widths {
		var n int
		if _, err := fmt.Sscan(w, &n); err == nil && n > best && fmt.Sprint(n) == w {
			best, name = n, w
		}
	}
	if best == 0 {
		return nil, fmt.Errorf("%s is not in the copy", partial)
	}
	return disk.ReadFile(c.files, c.path(full+".p/"+name))
}

// writeRun writes what one run of a follower brings. Partial files of an earlier run
// are removed once what they grew into is there.
func (c *copyDir) writeRun(r *entryRun) error {
	for _, b := range r.bundles {
		data, err := proof.FormatEntryBundle(b.entries)
		if err != nil {
			return err
		}
		if err := c.put(b.id.Path(), b.id.Full().Path(), b.id.Width, data); err != nil {
			return err
		}
	}
	for _, t := range r.tiles {
		if err := c.put(t.ID.Path(), t.ID.Full().Path(), t.ID.Width, t.Hashes); err != nil {
			return err
		}
	}
	return nil
}

func (c *copyDir) put(name, full string, width int, data []byte) error {
	p := c.path(name)
	if err := c.files.MkdirAll(c.files.PathDir(p), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := rewriteFile(c.files, p, data, disk.SyncLater); err != nil {
		return err
	}
	if c.unsynced == nil {
		c.unsynced = make(map[string]bool)
	}
	c.unsynced[p] = true
	narrower, err := c.files.List(c.path(full + ".p"))
	if missing(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("looking beside %s: %w", name, err)
	}
	for _, w := range narrower {
		if n, err := strconv.Atoi(w); err == nil && n >= width {
			continue // a wider one is of what was trusted already
		}
		delete(c.unsynced, c.path(full+".p/"+w))
		if err := c.files.Remove(c.path(full + ".p/" + w)); err != nil && !missing(err) {
			return fmt.Errorf("removing what %s replaces: %w", name, err)
		}
	}
	return nil
}

// sync makes durable what was kept.
func (c *copyDir) sync() error {
	if err := disk.SyncTree(c.files, c.dir, slices.Collect(maps.Keys(c.unsynced))...); err != nil {
		return fmt.Errorf("syncing the copy: %w", err)
	}
	c.unsynced = nil
	return nil
}

// resume finds how far a register and the files beside it go together: the tree of
// the register's size, if the files at its right edge make the register's root.
// Otherwise the register begins anew, and the files are written again as it goes.
func (c copyDir) resume(ctx context.Context, r *register.Register) (*proof.Appender, error) {
	cursor := r.Cursor()
	if cursor.Size == 0 {
		return proof.NewAppender(), nil
	}
	if t, err := proof.LoadAppender(ctx, proof.Tree{Size: cursor.Size, Root: cursor.Root}, c.Tiles); err == nil {
		return t, nil
	}
	if err := r.Reset(); err != nil {
		return nil, err
	}
	return proof.NewAppender(), nil
}

// The register of a copy stands in generations, register/1, register/2 and so on. Each
// was whole and durable before it got its name, and is not written to afterwards: any
// number of processes read one side by side, from a disk that is full or read-only too,
// while a sync makes the next one under register/next. So no reader waits for a sync,
// no sync for a reader, and one that is interrupted leaves the generation that was
// there.
//
// A process that reads a generation holds a shared lock on its directory, where the
// file system has such locks; a sync removes older ones without a lock.
const (
	registerDir       = "register"
	nextGenerationDir = registerDir + "/next"
	lockFile          = "sync.lock"
)

// generations are the numbers of those that are there, newest first.
func (t *Trust) generations() ([]int, error) {
	return disk.Generations(t.files, t.path(registerDir))
}

func (t *Trust) generationDir(n int) string {
	return t.files.PathJoin(t.path(registerDir), strconv.Itoa(n))
}

// generation is one that is open for reading.
type generation struct {
	*register.Register
	lock vfs.File // the directory, locked
}

func (g *generation) close() error { return errors.Join(g.Close(), g.lock.Close()) }

// openGeneration opens the generation that makes the trusted checkpoint.
func (t *Trust) openGeneration() (*generation, error) {
	for try := 0; ; try++ {
		all, err := t.generations()
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s: %w", t.dir, ErrNoCopy)
		}
		var damage error // of the newest that is damaged
		for _, n := range all {
			g, err := t.openGenerationAt(n)
			switch {
			case errors.Is(err, register.ErrDamaged) || missing(err):
				if damage == nil {
					damage = &DamageError{Dir: t.dir, Where: fmt.Sprintf(" in %s/%d", registerDir, n), NoCopy: true, Err: err}
				}
				continue
			case err != nil:
				return nil, err
			}
			cursor := g.Cursor()
			if t.checkpoint != nil && cursor.Size == t.checkpoint.Checkpoint().Size && cursor.Root == t.checkpoint.Checkpoint().Root {
				return g, nil
			}
			if err := g.close(); err != nil {
				return nil, err
			}
		}
		// A sync may have ended since the checkpoint was read, or removed what was listed.
		newer := t.reloadCheckpoint()
		if now, err := t.generations(); err == nil && (newer || !slices.Equal(now, all)) && try < 3 {
			continue
		}
		if damage != nil {
			return nil, damage
		}
		return nil, fmt.Errorf("%s: %w: its last sync did not finish", t.dir, ErrNoCopy)
	}
}

// reloadCheckpoint reads the trusted checkpoint anew, and reports whether another process has
// brought it further.
func (t *Trust) reloadCheckpoint() bool {
	note, err := disk.ReadFile(t.files, t.path(checkpointFile))
	if err != nil {
		return false
	}
	next, err := t.verify(note)
	if err != nil || t.checkpoint != nil && (next.Checkpoint().Size < t.size() || next.Checkpoint() == t.checkpoint.Checkpoint()) {
		return false
	}
	t.checkpoint = next
	return true
}

// What a copy takes on a disk: one of nothing, and each entry of it with its rows.
const (
	leastRoom = 3 << 20 // bytes
	entryRoom = 2 << 10 // bytes of an entry and its hashes, about
	rowsRoom  = 1 << 10 // bytes of its rows, about
)

// SpaceError is a disk that has less room than what is to be written takes. It says
// nothing about the ledger.
type SpaceError struct {
	Dir        string
	Free, Need uint64 // bytes
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space left on the disk of %s: %d KiB are free, and about %d are needed", e.Dir, e.Free>>10, e.Need>>10)
}

// Is makes it what the write itself would have met.
func (e *SpaceError) Is(target error) bool { return target == syscall.ENOSPC }

// Room looks first: a *[SpaceError] where so many more entries, and the rows of so many,
// have no room in a directory. A disk that does not tell, and one that others fill
// meanwhile, is met by the writes.
func Room(files vfs.FS, dir string, entries, rows uint64) error {
	usage, err := files.GetDiskUsage(dir)
	if need := leastRoom + entries*entryRoom + rows*rowsRoom; err == nil && usage.AvailBytes < need {
		return &SpaceError{Dir: dir, Free: usage.AvailBytes, Need: need}
	}
	return nil
}

// openGenerationAt opens a generation and holds it.
func (t *Trust) openGenerationAt(n int) (*generation, error) {
	dir := t.generationDir(n)
	pin, err := t.files.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	if !disk.LockShared(pin) { // a sync is removing it
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, register.ErrDamaged), pin.Close())
	}
	o := registerOptions(t.Fatal)
	o.ReadOnly = true
	r, err := register.Open(t.files, dir, o)
	if err != nil {
		return nil, errors.Join(err, pin.Close())
	}
	return &generation{r, pin}, nil
}

// Waiting for another process that syncs the same directory.
const (
	syncLockTimeout = 30 * time.Second
	syncLockPoll    = 50 * time.Millisecond
)

// ErrSyncing: another process is syncing the trust directory, and goes on for long.
var ErrSyncing = errors.New("another docket process is syncing this trust directory")

// ErrNotSyncable: this process cannot write to the trust directory, so it cannot sync it.
var ErrNotSyncable = errors.New("cannot sync")

// lockForSync lets one process sync at a time: it waits for another one, not for ever.
func (t *Trust) lockForSync(ctx context.Context) (release func() error, err error) {
	for deadline := time.Now().Add(syncLockTimeout); ; {
		held, err := disk.Lock(t.files, t.path(lockFile))
		switch {
		case err == nil:
			return held.Close, nil
		case !errors.Is(err, disk.ErrLocked):
			return nil, fmt.Errorf("%w: locking %s: %w", ErrNotSyncable, t.dir, err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("%s: %w: it was waited for %v", t.dir, ErrSyncing, syncLockTimeout)
		}
		select {
		case <-time.After(syncLockPoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// openNext opens the register that a sync advances: what an interrupted one has left, if it
// is further than the newest generation, else that generation's content; an empty one
// where there is neither, or to begin anew.
func (t *Trust) openNext(fromScratch bool) (*register.Register, error) {
	all, err := t.generations()
	if err != nil {
		return nil, err
	}
	if err := t.removeUnknown(); err != nil {
		return nil, err
	}
	var reached uint64
	if len(all) > 0 && !fromScratch {
		if g, err := t.openGenerationAt(all[0]); err == nil {
			reached = g.Cursor().Size
			if err := g.close(); err != nil {
				return nil, err
			}
		}
	}
	next := t.path(nextGenerationDir)
	if fromScratch {
		if err := t.files.RemoveAll(next); err != nil {
			return nil, err
		}
	}
	r, err := register.Open(t.files, next, registerOptions(t.Fatal))
	if err != nil || r.Cursor().Size >= reached {
		return r, err
	}
	if err := errors.Join(r.Close(), t.files.RemoveAll(next), t.clone(t.generationDir(all[0]), next)); err != nil {
		return nil, err
	}
	return register.Open(t.files, next, registerOptions(t.Fatal))
}

// clone makes a copy of a directory that is not written to: tables are shared, since
// they are never changed, and the little else is copied.
func (t *Trust) clone(from, to string) error {
	if err := disk.MakeDir(t.files, to, 0o755); err != nil {
		return err
	}
	names, err := t.files.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		old, new := t.files.PathJoin(from, name), t.files.PathJoin(to, name)
		if strings.HasSuffix(name, ".sst") && t.files.Link(old, new) == nil {
			continue
		}
		if name == "LOCK" {
			continue
		}
		data, err := disk.ReadFile(t.files, old)
		if err == nil {
			err = disk.WriteFile(t.files, new, data, 0o644, disk.SyncNow)
		}
		if err != nil {
			return fmt.Errorf("copying %s: %w", old, err)
		}
	}
	return nil
}

// removeUnknown removes what an earlier version of docket kept in the register's place.
func (t *Trust) removeUnknown() error {
	names, err := t.files.List(t.path(registerDir))
	if err != nil && !missing(err) {
		return err
	}
	for _, name := range names {
		if _, err := strconv.Atoi(name); err == nil || name == t.files.PathBase(nextGenerationDir) {
			continue
		}
		if err := t.files.RemoveAll(t.files.PathJoin(t.path(registerDir), name)); err != nil {
			return err
		}
	}
	return disk.MakeDir(t.files, t.path(registerDir), 0o755)
}

// commitGeneration closes the register that a sync has advanced and makes it the next generation.
func (t *Trust) commitGeneration(r *register.Register) error {
	if err := r.Flush(); err != nil {
		return errors.Join(err, r.Close())
	}
	if err := r.Close(); err != nil {
		return err
	}
	all, err := t.generations()
	if err != nil {
		return err
	}
	n := 1
	if len(all) > 0 {
		n = all[0] + 1
	}
	if err := disk.SyncDirs(t.files, t.path(nextGenerationDir)); err != nil {
		return err
	}
	if err := disk.Rename(t.files, t.path(nextGenerationDir), t.generationDir(n)); err != nil {
		return fmt.Errorf("naming the new register: %w", err)
	}
	return nil
}

// removeOldGenerations removes generations older than the newest that no process has
// open. Where the file system has no locks, the second newest stays too. What cannot be
// removed now, a later sync removes.
func (t *Trust) removeOldGenerations() {
	all, err := t.generations()
	if err != nil {
		return
	}
	for i, n := range all[min(1, len(all)):] {
		dir, err := t.files.OpenDir(t.generationDir(n))
		if err != nil {
			continue
		}
		if held, told := disk.TryLockExclusive(dir); !held && (told || i > 0) {
			t.files.RemoveAll(t.generationDir(n))
		}
		dir.Close()
	}
}

// rewriteFile writes what is derived: where a directory stands in the file's place, it
// goes.
func rewriteFile(files vfs.FS, name string, data []byte, sync disk.Sync) error {
	if info, err := files.Stat(name); err == nil && info.IsDir() {
		if err := files.RemoveAll(name); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return disk.WriteFile(files, name, data, 0o644, sync)
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
