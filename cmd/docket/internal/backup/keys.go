package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// retiredDir is where keys lie that sign no more, in the directory of the keys.
const retiredDir = "retired"

// keyFile is one file in a directory of keys.
type keyFile struct {
	name string // below it, with a slash where it is a retired one
	data []byte
}

// isMark says of a file that it is no key, but the mark of one that has signed entries.
func (f keyFile) isMark() bool { return strings.HasSuffix(f.name, ".signed") }

// readKeys reads the log's keys and their marks.
func readKeys(files vfs.FS, dir string) (all []keyFile, err error) {
	for _, below := range []string{"", retiredDir} {
		names, err := files.List(files.PathJoin(dir, below))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		slices.Sort(names)
		for _, name := range names {
			if !strings.HasPrefix(name, "log-") || !strings.HasSuffix(name, ".key") && !strings.HasSuffix(name, ".signed") {
				continue
			}
			if below != "" {
				name = below + "/" + name
			}
			data, err := disk.ReadFile(files, files.PathJoin(dir, name))
			if err != nil {
				return nil, err
			}
			all = append(all, keyFile{name, data})
		}
	}
	return all, nil
}

// placeKeys writes keys for their owner only. What is there with other content is
// [disk.ErrOtherContent]; a mark that is there is as good as any.
func placeKeys(files vfs.FS, dir string, keys []keyFile) error {
	for _, f := range keys {
		path := files.PathJoin(dir, f.name)
		if err := disk.MakeDir(files, files.PathDir(path), 0o700); err != nil {
			return err
		}
		err := disk.WriteNew(files, path, f.data, 0o600, disk.SyncNow)
		if f.isMark() && errors.Is(err, disk.ErrOtherContent) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrHasKeys: keys are to be left out, and an earlier backup has put them there.
var ErrHasKeys = errors.New("the backup holds the log's keys already")

// writeKeys copies the keys and their marks, and returns how many keys there are now. A key that was retired
// since is so in the backup too; one that is gone stays: it may be needed.
func (b *backup) writeKeys() (n int, err error) {
	own, err := readKeys(b.Files, b.Keys)
	if err != nil {
		return 0, err
	}
	there, err := readKeys(b.Files, b.path(keysDir))
	if err != nil {
		return 0, err
	}
	if b.WithoutKeys {
		if slices.ContainsFunc(there, func(f keyFile) bool { return !f.isMark() }) {
			return 0, fmt.Errorf("%w: %s", ErrHasKeys, b.path(keysDir))
		}
		own = slices.DeleteFunc(own, func(f keyFile) bool { return !f.isMark() })
	}
	if err := placeKeys(b.Files, b.path(keysDir), own); err != nil {
		if errors.Is(err, disk.ErrOtherContent) {
			return 0, fmt.Errorf("%w: %w", ErrOther, err)
		}
		return 0, err
	}
	for _, f := range own {
		if !f.isMark() {
			n++
		}
		name, retired := strings.CutPrefix(f.name, retiredDir+"/")
		if !retired || slices.ContainsFunc(own, func(o keyFile) bool { return o.name == name }) {
			continue
		}
		if slices.ContainsFunc(there, func(o keyFile) bool { return o.name == name && string(o.data) == string(f.data) }) {
			if err := disk.Remove(b.Files, b.Files.PathJoin(b.path(keysDir), name)); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}
