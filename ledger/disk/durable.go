package disk

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Durable files. A file is written under another name in its directory, synced, renamed,
// and the directory is synced. Each step has its reason:
//
//   - POSIX promises of a rename that no process sees anything but the old file or the
//     new one, and nothing of what a power cut leaves. A file system may keep the new name
//     and not the bytes, so the bytes are synced first.
//   - A synced file without a durable name is lost. fsync(2) says it in so many words: the
//     entry in the directory needs an fsync of the directory. So does that of each new
//     directory in the one above it ([MakeDir]).
//   - A sync that failed is not tried again on the same file: on Linux the pages that did
//     not reach the disk count as clean afterwards, and the next sync succeeds. The
//     temporary file is removed, and whoever repeats the write begins with another one.
//
// Sources: POSIX.1-2024, rename and fsync; Linux man-pages, fsync(2) and rename(2);
// Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, on which of these
// steps file systems reorder; Rebello et al., "Can Applications Recover from fsync
// Failures?", ATC 2020.
//
// What a crash leaves: the old file or the new one, whole; and perhaps a temporary one,
// which nothing reads ([Unfinished]). What a full disk leaves, or any other error: the old
// file, except that an error of the last sync leaves it open which of the two the next
// crash brings back. A nil error means that the new one stays.

// Sync says when a file that is written is to be durable.
type Sync bool

const (
	// SyncNow: on return.
	SyncNow Sync = true
	// SyncLater: once [SyncTree] was called. Until then a crash may take the file away, or
	// leave it with other bytes, which only what is checked when it is read, or can be made
	// again, can afford.
	SyncLater Sync = false
)

// ErrOtherContent: the file is there, and holds something else.
var ErrOtherContent = errors.New("exists with other content")

// ReadFile reads a whole file; fs.ErrNotExist is in the error's tree if there is none.
func ReadFile(files vfs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// WriteFile puts data in the place of whatever file has that name, in one step. mode is
// that of the file, less the process's umask; a file system in memory knows none.
func WriteFile(files vfs.FS, name string, data []byte, mode fs.FileMode, sync Sync) error {
	return writeFile(files, name, data, mode, sync, files.Rename)
}

// WriteNew writes a file that must not exist with other content: [ErrOtherContent]. The
// same bytes again are fine, so that what was interrupted can be repeated. Of two that
// write at once, one wins.
func WriteNew(files vfs.FS, name string, data []byte, mode fs.FileMode, sync Sync) error {
	switch old, err := ReadFile(files, name); {
	case err == nil && !bytes.Equal(old, data):
		return fmt.Errorf("%s %w", name, ErrOtherContent)
	case err == nil && sync == SyncNow:
		return SyncDirs(files, files.PathDir(name)) // the write before may have been cut off here
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	err := writeFile(files, name, data, mode, sync, func(temporary, name string) error { return placeNew(files, temporary, name) })
	if errors.Is(err, fs.ErrExist) { // meanwhile
		return WriteNew(files, name, data, mode, sync)
	}
	return err
}

// PlaceNew gives a file that is whole and synced its name, durably; fs.ErrExist is in the
// error's tree where a file of that name is there, which stays.
func PlaceNew(files vfs.FS, temporary, name string) error {
	if err := placeNew(files, temporary, name); err != nil {
		return err
	}
	return SyncDirs(files, files.PathDir(name))
}

// placeNew gives a temporary file a name that no file had a moment before. It is a link,
// since a rename would replace a file that another process has just written.
func placeNew(files vfs.FS, temporary, name string) error {
	err := files.Link(temporary, name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) { // link(2): EPERM
		return files.Rename(temporary, name) // a file system without links, as on many a stick
	}
	if err == nil {
		err = files.Remove(temporary)
	}
	return err
}

// StreamNew is [WriteNew] of what write writes, which may be more than fits in memory.
// After an error of write, which is in the tree of its own, there is no file that was not
// there before.
func StreamNew(files vfs.FS, name string, mode fs.FileMode, sync Sync, write func(io.Writer) error) error {
	return streamFile(files, name, mode, sync, write, func(temporary, name string) error {
		err := fs.ErrExist
		if _, old := files.Stat(name); errors.Is(old, fs.ErrNotExist) {
			err = placeNew(files, temporary, name)
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		same, err := sameContent(files, temporary, name)
		switch {
		case err != nil:
			return err
		case !same:
			return ErrOtherContent
		}
		return files.Remove(temporary)
	})
}

// sameContent compares two files.
func sameContent(files vfs.FS, one, two string) (bool, error) {
	a, err := files.Open(one)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := files.Open(two)
	if err != nil {
		return false, err
	}
	defer b.Close()
	var left, right [32 << 10]byte
	for {
		n, err := io.ReadFull(a, left[:])
		m, other := io.ReadFull(b, right[:])
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		for _, err := range []error{err, other} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if err != nil {
			return true, nil
		}
	}
}

func writeFile(files vfs.FS, name string, data []byte, mode fs.FileMode, sync Sync, place func(temporary, name string) error) error {
	return streamFile(files, name, mode, sync, func(w io.Writer) error {
		_, err := w.Write(bytes.Clone(data)) // a vfs.File may change what it is given
		return err
	}, place)
}

func streamFile(files vfs.FS, name string, mode fs.FileMode, sync Sync, write func(io.Writer) error, place func(temporary, name string) error) error {
	f, temporary, err := create(files, name, mode)
	if err != nil {
		return writing(name, err)
	}
	err = write(f)
	if err == nil && sync == SyncNow {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = place(temporary, name)
	}
	if err != nil {
		files.Remove(temporary) // if that fails too, nothing reads it
		return writing(name, err)
	}
	if sync == SyncNow {
		return writing(name, SyncDirs(files, files.PathDir(name)))
	}
	return nil
}

// create begins the temporary file of a name. On the machine's own file system it has a
// random part, since two processes may write one name at once, and its mode from the
// first moment: whoever opens a key's file while it is empty could read it later.
func create(files vfs.FS, name string, mode fs.FileMode) (f vfs.File, temporary string, err error) {
	if files != vfs.Default {
		temporary = name + temporarySuffix
		f, err = files.Create(temporary, vfs.WriteCategoryUnspecified)
		return f, temporary, err
	}
	temporary = name + "." + rand.Text() + temporarySuffix
	made, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		err = made.Close()
	}
	if err == nil {
		f, err = files.OpenReadWrite(temporary, vfs.WriteCategoryUnspecified)
	}
	return f, temporary, err
}

const temporarySuffix = ".tmp"

// Unfinished says of a file's name that it is a temporary one of another file, which a
// crash may leave.
func Unfinished(name, of string) bool {
	rest, ok := strings.CutPrefix(name, of)
	return ok && strings.HasPrefix(rest, ".") && strings.HasSuffix(rest, temporarySuffix)
}

// writing names the file that was to be written in place of the temporary one.
func writing(name string, err error) error {
	var file *fs.PathError
	var two *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &file):
		err = file.Err
	case errors.As(err, &two):
		err = two.Err
	}
	return &fs.PathError{Op: "writing", Path: name, Err: err}
}

// Remove removes a file, if it is there, durably.
func Remove(files vfs.FS, name string) error {
	if err := files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDirs(files, files.PathDir(name))
}

// Rename gives a file or a directory another name, durably. What lies in it is to be
// durable before.
func Rename(files vfs.FS, old, name string) error {
	if err := files.Rename(old, name); err != nil {
		return err
	}
	from, to := files.PathDir(old), files.PathDir(name)
	if from == to {
		return SyncDirs(files, to)
	}
	return SyncDirs(files, to, from) // a crash between the two leaves both names, and not none
}

// MakeDir makes a directory, and those above it that are missing, durably: what is
// synced in a directory is lost with it while its own name is not. Called again after a
// crash, it makes the name durable that the crash has left.
func MakeDir(files vfs.FS, dir string, mode fs.FileMode) error {
	above := files.PathDir(dir)
	if _, err := files.Stat(above); err != nil && above != dir {
		if err := MakeDir(files, above, mode); err != nil {
			return err
		}
	}
	if err := files.MkdirAll(dir, mode); err != nil {
		return err
	}
	return SyncDirs(files, above)
}

// SyncDirs makes the names in these directories durable.
func SyncDirs(files vfs.FS, dirs ...string) error {
	for _, dir := range dirs {
		d, err := files.OpenDir(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return fmt.Errorf("syncing %s: %w", dir, err)
		}
	}
	return nil
}

// SyncTree makes files durable that were written with [SyncLater], with the names of the
// directories between them and root, which holds them all.
func SyncTree(files vfs.FS, root string, names ...string) error {
	var dirs []string
	seen := make(map[string]bool)
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("syncing %s: %w", name, err)
		}
		for dir := files.PathDir(name); !seen[dir]; dir = files.PathDir(dir) {
			seen[dir] = true
			dirs = append(dirs, dir)
			if dir == root {
				break
			}
		}
	}
	return SyncDirs(files, dirs...)
}
