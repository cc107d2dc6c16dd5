package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// files is the file system of one database, as Pebble needs it.
//
// On it Pebble always finds its manifest after a crash. Pebble creates the manifest,
// then a marker that names it, removes the marker before, and syncs the directory once:
// enough where a journal keeps the order of names, as that of ext4 does. POSIX does not
// promise it. Where a marker comes back without its manifest, a database does not open;
// where both markers are gone, it opens empty, which looks like one that has not begun.
//
// It waits, in three cases. A table, which a flush or a compaction writes, begins after
// a pause that grows with the failures before: Pebble tries again at once, without end.
// Any other write that finds the disk full is tried again until there is space, for
// Pebble does not survive its failure ([Config.WaitForSpace]). A read that fails pauses a
// little while compactions fail, which begin again at once too.
type files struct {
	vfs.FS
	*watch
}

// Create waits until a table may be begun ([watch.turn]).
func (f *files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if table(name) {
		f.turn(category)
		made, err := f.FS.Create(name, category)
		return f.wrap(name, made, err)
	}
	if err := f.settle(name); err != nil {
		return nil, err
	}
	var made vfs.File
	err := f.patiently(func() (err error) { made, err = f.FS.Create(name, category); return err })
	return f.wrap(name, made, f.wrote(name, err))
}

func (f *files) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	var made vfs.File
	err := f.patiently(func() (err error) { made, err = f.FS.ReuseForWrite(old, name, category); return err })
	return f.wrap(name, made, f.wrote(name, err))
}

func (f *files) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	opened, err := f.FS.Open(name, o...)
	return f.wrap(name, opened, err)
}

// OpenDir is for syncing a directory.
func (f *files) OpenDir(name string) (vfs.File, error) {
	opened, err := f.FS.OpenDir(name)
	return f.wrap(name, opened, err)
}

func (f *files) Remove(name string) error {
	if err := f.settle(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *files) Rename(old, name string) error {
	return f.wrote(name, f.patiently(func() error { return f.FS.Rename(old, name) }))
}

// settle makes the names so far durable before a marker changes.
func (f *files) settle(name string) error {
	if !strings.HasPrefix(f.PathBase(name), "marker.") {
		return nil
	}
	d, err := f.OpenDir(f.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *files) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &oneFile{file, f.watch, name}, nil
}

// table says of a file that a flush or a compaction makes it: when it fails, what it has
// written is removed, and nothing is lost.
func table(name string) bool { return strings.HasSuffix(name, ".sst") || apart(name) }

// apart says of a table that it keeps values that are apart from their keys.
func apart(name string) bool { return strings.HasSuffix(name, ".blob") }

// oneFile is an open file, or a directory.
type oneFile struct {
	vfs.File
	watch *watch
	name  string
}

func (f *oneFile) Write(p []byte) (int, error) {
	if table(f.name) && !apart(f.name) {
		return f.File.Write(p)
	}
	written := 0
	err := f.watch.patiently(func() error {
		n, err := f.File.Write(p[written:])
		written += n
		return err
	})
	return written, f.watch.wrote(f.name, err)
}

func (f *oneFile) Sync() error { return f.watch.wrote(f.name, f.File.Sync()) }

func (f *oneFile) SyncData() error { return f.watch.wrote(f.name, f.File.SyncData()) }

func (f *oneFile) SyncTo(length int64) (whole bool, err error) {
	whole, err = f.File.SyncTo(length)
	return whole, f.watch.wrote(f.name, err)
}

// Preallocate lays a write-ahead log out in full where somebody serves, for the speed of
// its syncs. Elsewhere it would take most of the room of a small database.
func (f *oneFile) Preallocate(offset, length int64) error {
	if !f.watch.WaitForSpace {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// wrote ends the process where a write failed, but in two cases: that of a table, which
// is written anew; and that there is no space for a database that is being opened, while
// nothing else is at work on it.
//
// A failed sync is not tried again: nobody knows what is on the disk then. Where it is that
// of a directory, or where the end of a table of values cannot be written, Pebble panics, on
// a goroutine of its own; and so do its compactions where opening fails beside them.
func (w *watch) wrote(name string, err error) error {
	switch {
	case err == nil, table(name) && !apart(name):
		return err
	case full(err) && !apart(name) && !w.opened.Load() && !w.busy.Load():
		return err
	}
	if named := new(fs.PathError); !errors.As(err, &named) {
		err = fmt.Errorf("writing %s: %w", name, err)
	}
	w.die(err.Error())
	return err
}

func (f *oneFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	return n, f.watch.read(f.name, err)
}

func (f *oneFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	return n, f.watch.read(f.name, err)
}

// read makes damage of what the disk itself cannot read.
func (w *watch) read(name string, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrClosed) {
		return err
	}
	w.damaged(name, err)
	w.pause(min(w.compaction.pause(), firstPause))
	return errors.Join(ErrDamaged, err)
}

// Pauses before what failed is tried again: twice as long each time.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// patiently repeats a write while the disk is full. If the process is told to end
// meanwhile, it ends here: what was to be written is not on the disk, and was not
// acknowledged.
func (w *watch) patiently(do func() error) error {
	err := do()
	if !full(err) || !w.WaitForSpace || !w.opened.Load() {
		return err
	}
	defer w.stalls(err)()
	for pause := firstPause; full(err); pause = min(2*pause, maxPause) {
		select {
		case <-w.ended:
			w.die("it was told to end while the disk was full: " + err.Error())
		case <-time.After(pause):
		}
		err = do()
	}
	return err
}
