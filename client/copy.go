package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// writeRun writes what one run of a follower brings.
func (c *TileDir) writeRun(r *entryRun) error {
	for _, b := range r.bundles {
		if err := c.WriteBundle(b.id, b.entries); err != nil {
			return err
		}
	}
	return c.WriteTiles(r.tiles)
}

// resume finds how far a register and the files beside it go together: the tree of
// the register's size, if the files at its right edge make the register's root.
// Otherwise the register begins anew, and the files are written again as it goes.
func (c *TileDir) resume(ctx context.Context, r *register.Register) (*proof.Appender, error) {
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
//
// A [Live] copy has one register alone, register/next, which it reads and advances side by
// side; its end makes that a generation.
const (
	registerDir       = "register"
	nextGenerationDir = registerDir + "/next"
	besideDir         = registerDir + "/beside" // of a replay beside a live copy
	lockFile          = "sync.lock"
)

// nextPath is where a sync makes the next generation.
func (t *Trust) nextPath() string { return t.path(cmp.Or(t.nextDir, nextGenerationDir)) }

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
	lock vfs.File // the directory, locked; nil of one in memory
}

func (g *generation) close() error {
	err := g.Close()
	if g.lock != nil {
		err = errors.Join(err, g.lock.Close())
	}
	return err
}

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
			if t.checkpoint != nil && t.isCoveredTree(proof.Tree{Size: cursor.Size, Root: cursor.Root}) {
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
	o := t.registerOptions()
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
	if t.live != nil {
		return func() error { return nil }, nil // it holds the lock for as long as it lives
	}
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
	if t.live != nil {
		return t.copy.Register, nil
	}
	all, err := t.generations()
	if err != nil {
		return nil, err
	}
	if err := t.removeUnknown(); err != nil {
		return nil, err
	}
	var reached uint64
	if len(all) > 0 {
		g, err := t.openGenerationAt(all[0])
		if errors.Is(err, register.ErrLaterVersion) {
			return nil, err
		}
		if err == nil {
			if !fromScratch {
				reached = g.Cursor().Size
			}
			if err := g.close(); err != nil {
				return nil, err
			}
		}
	}
	next := t.nextPath()
	if fromScratch {
		if err := t.files.RemoveAll(next); err != nil {
			return nil, err
		}
	}
	r, err := register.Open(t.files, next, t.registerOptions())
	if err != nil || r.Cursor().Size >= reached {
		return r, err
	}
	if err := errors.Join(r.Close(), t.files.RemoveAll(next), t.clone(t.generationDir(all[0]), next)); err != nil {
		return nil, err
	}
	return register.Open(t.files, next, t.registerOptions())
}

// Rebuild makes the register of the copy anew, from the copy's own entries, where an
// earlier version of docket made it, and reports whether it did. Where this process cannot
// write to the trust directory, it has the register in memory until [Trust.Close]. Other
// damage is left to [Trust.VerifyCopy], which asks the ledger for what is missing.
func (t *Trust) Rebuild(ctx context.Context) (rebuilt bool, err error) {
	if _, err := t.Register(); !errors.Is(err, register.ErrEarlierVersion) {
		return false, nil // whoever asks for the register learns of it
	}
	release, err := t.lockForSync(ctx)
	if errors.Is(err, ErrNotSyncable) {
		r, err := register.Open(vfs.NewMem(), registerDir, RegisterOptions())
		if err != nil {
			return false, err
		}
		if err := t.replayCopy(ctx, r); err != nil {
			return false, err
		}
		t.copy = &generation{Register: r}
		return true, nil
	} else if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if _, err := t.Register(); !errors.Is(err, register.ErrEarlierVersion) {
		return false, err // another process was faster
	}
	r, err := t.openNext(true)
	if err != nil {
		return false, err
	}
	if err := t.replayCopy(ctx, r); err != nil {
		return false, err
	}
	if err := t.commitGeneration(r); err != nil {
		return false, err
	}
	t.removeOldGenerations()
	return true, nil
}

// replayCopy folds the copy's entries up to the trusted checkpoint into an empty register,
// which it closes where that fails.
func (t *Trust) replayCopy(ctx context.Context, r *register.Register) error {
	tree, err := t.coveredTree(ctx)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	f := &logReplayer{read: t.copyDir().Bundle, tree: proof.NewAppender(), register: r}
	head, err := f.replayTo(ctx, tree.Size)
	if err == nil && head != tree {
		err = fmt.Errorf("its entries have the root %s, and the trusted checkpoint %s", head.Root, tree.Root)
	}
	if err != nil && ctx.Err() == nil {
		err = &DamageError{Dir: t.dir, NoCopy: true, Err: err}
	}
	if err != nil {
		return errors.Join(err, r.Close())
	}
	return nil
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

// removeUnknown removes what an earlier version of docket kept in the register's place. What a live copy
// has of a snapshot stays until a copy of one's own stands in for it.
func (t *Trust) removeUnknown() error {
	names, err := t.files.List(t.path(registerDir))
	if err != nil && !missing(err) {
		return err
	}
	if t.nextDir == besideDir {
		names = nil // what else is there is a live copy's
	}
	for _, name := range names {
		known := []string{t.nextPath(), t.path(nextGenerationDir), t.path(startedDir), t.path(snapshotDir)}
		path := t.files.PathJoin(t.path(registerDir), name)
		if _, err := strconv.Atoi(name); err == nil || slices.Contains(known, path) {
			continue
		}
		if err := t.files.RemoveAll(path); err != nil {
			return err
		}
	}
	return disk.MakeDir(t.files, t.path(registerDir), 0o755)
}

// keepReplayed makes the register that a sync has advanced the copy; a live one is that already.
func (t *Trust) keepReplayed(r *register.Register) error {
	if t.live != nil {
		return nil
	}
	err := errors.Join(t.commitGeneration(r), t.Close())
	if err == nil && t.nextDir == "" && t.has(startedDir, snapshotDir, snapshotFile) {
		err = t.discardStarted(func() error { return disk.Remove(t.files, t.path(snapshotFile)) })
	}
	return err
}

// dropReplayed closes the register that a sync has advanced in vain; a live one goes on.
func (t *Trust) dropReplayed(r *register.Register) error {
	if t.live != nil {
		return nil
	}
	return r.Close()
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
	if err := disk.SyncDirs(t.files, t.nextPath()); err != nil {
		return err
	}
	if err := disk.Rename(t.files, t.nextPath(), t.generationDir(n)); err != nil {
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
