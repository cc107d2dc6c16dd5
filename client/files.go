package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// readFile reads one whole file; fs.ErrNotExist is in the error's tree if there is none.
func readFile(files vfs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// writeFile puts data in place of whatever name holds: whole or not at all. With
// sync it is durable on return; without, a crash may leave it damaged, which
// only what is checked when read can afford.
func writeFile(files vfs.FS, name string, data []byte, sync bool) error {
	temporary := name + ".tmp"
	f, err := files.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(bytes.Clone(data)) // a vfs.File may change what it is given
	if err == nil && sync {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = files.Rename(temporary, name)
	}
	if err == nil && sync {
		err = syncDir(files, files.PathDir(name))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// makeDir makes a directory, and those above it that are missing, durably: what is
// synced in a directory is lost with it while its own name is not.
func makeDir(files vfs.FS, dir string) error {
	above := files.PathDir(dir)
	if _, err := files.Stat(above); err != nil && above != dir {
		if err := makeDir(files, above); err != nil {
			return err
		}
	}
	if err := files.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	return syncDir(files, above)
}

func syncDir(files vfs.FS, dir string) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
