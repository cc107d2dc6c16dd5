package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
)

// maxFile bounds what a verb reads of one file named on the command line.
const maxFile = 16 << 20 // bytes

// readFile reads a file named on the command line; "-" is standard input.
func (a *app) readFile(name string) ([]byte, error) {
	var r io.Reader = a.in
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usageError("%s: no such file", name)
		} else if err != nil {
			return nil, usageError("%w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, usageError("%s is a directory; wanted a file", name)
		}
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, refusal("reading %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, usageError("%s: larger than %d bytes; nothing that docket reads is", name, maxFile)
	}
	return data, nil
}

// writeNew writes a file that must not exist with other content: the same
// bytes again are fine, so that a command can be repeated. The file appears
// whole or not at all, and is durable when writeNew returns.
func writeNew(name string, data []byte, mode fs.FileMode) error {
	return writeNewFile(name, data, mode, true)
}

// writeNewFile is writeNew for what need not be durable too.
func writeNewFile(name string, data []byte, mode fs.FileMode, durable bool) error {
	if old, err := os.ReadFile(name); err == nil {
		if bytes.Equal(old, data) {
			return nil
		}
		return refusal("%s exists with other content", name).hint("files are never overwritten: move it away or name another")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	return writeFile(name, data, mode, durable)
}

// replaceFile puts data in place of whatever name holds, in one step.
func replaceFile(name string, data []byte, mode fs.FileMode) error {
	return writeFile(name, data, mode, true)
}

// writeFile writes a file whole or not at all. Without durable a crash may lose it,
// which only what can be made again can afford.
func writeFile(name string, data []byte, mode fs.FileMode, durable bool) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if bad := (*fs.PathError)(nil); errors.As(err, &bad) {
		return fmt.Errorf("writing %s: %w", name, bad.Err) // the temporary name is nobody's business
	} else if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if !durable {
		return nil
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}

// output is standard output, which may be a file on a full disk or a pipe that nobody
// reads any more. What could not be written stays said: it is looked at once, at the end.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}

// whole is how a verb ended, its output considered. Whoever stops reading, as a pager
// does, has read enough: that is no failure.
func (o *output) whole(err error) error {
	switch {
	case err != nil && (o.err == nil || !errors.Is(err, o.err)):
		return err
	case o.err == nil, errors.Is(o.err, syscall.EPIPE):
		return nil
	}
	return refusal("writing the result to standard output: %w", bare(o.err)).hint("what was printed is not whole: make room where it goes, or send it elsewhere")
}

// bare is an error of a file without the name that Go has for it.
func bare(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

// diskFull says of an error that there was no room for what was to be written.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// makeRoom says what to do about a full disk: where, and how much of it is free.
func makeRoom(err error) string {
	const next = "which says nothing about the ledger, and nothing is lost: make room and run the same command again"
	var short *client.SpaceError
	if errors.As(err, &short) {
		return "the disk is full, " + next // it says where, and how much
	}
	var at *fs.PathError
	if !errors.As(err, &at) {
		return "the disk is full, " + next
	}
	dir := filepath.Dir(at.Path)
	usage, bad := vfs.Default.GetDiskUsage(dir)
	if bad != nil {
		return fmt.Sprintf("the disk of %s is full, %s", dir, next)
	}
	return fmt.Sprintf("the disk of %s is full (%d bytes are free), %s", dir, usage.AvailBytes, next)
}

// minFreeToOpen is the space on the disk without which no database is opened: Pebble lays
// out its write-ahead log ahead, and tries for ever where it cannot.
const minFreeToOpen = 64 << 20 // bytes

// checkFreeSpace looks first: what is opened on a full disk neither starts nor ends. The
// directory may be yet to be made.
func checkFreeSpace(files vfs.FS, dir string) error {
	usage, err := files.GetDiskUsage(dir)
	if above := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && above != dir {
		return checkFreeSpace(files, above)
	}
	if err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	if usage.AvailBytes < minFreeToOpen {
		return refusal("the disk of %s is full: %d MiB are free, and %d are needed to start", dir, usage.AvailBytes>>20, minFreeToOpen>>20).
			hint("free some space; nothing was opened and nothing is lost")
	}
	return nil
}
