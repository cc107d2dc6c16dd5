package pebblestore

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// InOrder is a file system on which Pebble always finds its manifest after a crash.
// Pebble creates the manifest, then a marker that names it, removes the marker before,
// and syncs the directory once: enough where a journal keeps the order of names, as
// that of ext4 does. POSIX does not promise it. Where a marker comes back without its
// manifest, a store does not open; where both markers are gone, it opens empty, which
// looks like a log that has not begun.
func InOrder(fs vfs.FS) vfs.FS { return inOrder{fs} }

type inOrder struct{ vfs.FS }

func (f inOrder) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.settle(name); err != nil {
		return nil, err
	}
	return f.FS.Create(name, category)
}

func (f inOrder) Remove(name string) error {
	if err := f.settle(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// settle makes the names so far durable before a marker changes.
func (f inOrder) settle(name string) error {
	if !strings.HasPrefix(f.PathBase(name), "marker.") {
		return nil
	}
	d, err := f.OpenDir(f.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
