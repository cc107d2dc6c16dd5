package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// durably is each way to change a durable file. It begins with what before makes of the
// file dir/file, which may be nothing.
var durably = []struct {
	name          string
	before, after string // content; "" if it is not there
	do            func(files vfs.FS) error
}{
	{"a new file", "", "new", func(files vfs.FS) error {
		return disk.WriteNew(files, "dir/file", []byte("new"), 0o600, disk.SyncNow)
	}},
	{"the same once more", "new", "new", func(files vfs.FS) error {
		return disk.WriteNew(files, "dir/file", []byte("new"), 0o600, disk.SyncNow)
	}},
	{"a stream", "", "new", streamNew},
	{"the same stream once more", "new", "new", streamNew},
	{"a file in place of none", "", "new", func(files vfs.FS) error {
		return disk.WriteFile(files, "dir/file", []byte("new"), 0o644, disk.SyncNow)
	}},
	{"a file in place of another", "old", "new", func(files vfs.FS) error {
		return disk.WriteFile(files, "dir/file", []byte("new"), 0o644, disk.SyncNow)
	}},
	{"a new directory's file", "", "new", func(files vfs.FS) error {
		if err := disk.MakeDir(files, "dir", 0o755); err != nil {
			return err
		}
		return disk.WriteFile(files, "dir/file", []byte("new"), 0o644, disk.SyncNow)
	}},
	{"a file that is synced later", "", "new", func(files vfs.FS) error {
		if err := files.MkdirAll("dir", 0o755); err != nil {
			return err
		}
		if err := disk.WriteFile(files, "dir/file", []byte("new"), 0o644, disk.SyncLater); err != nil {
			return err
		}
		if err := disk.SyncTree(files, "dir", "dir/file"); err != nil {
			return err
		}
		return disk.SyncDirs(files, "")
	}},
	{"a new file where there are no links", "", "new", func(files vfs.FS) error {
		return disk.WriteNew(errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpLink {
				return syscall.EPERM
			}
			return nil
		})), "dir/file", []byte("new"), 0o600, disk.SyncNow)
	}},
	{"no file", "old", "", func(files vfs.FS) error { return disk.Remove(files, "dir/file") }},
	{"another name", "", "new", func(files vfs.FS) error {
		if err := disk.WriteNew(files, "dir/file.next", []byte("new"), 0o644, disk.SyncNow); err != nil {
			return err
		}
		return disk.Rename(files, "dir/file.next", "dir/file")
	}},
}

func streamNew(files vfs.FS) error {
	return disk.StreamNew(files, "dir/file", 0o644, disk.SyncNow, func(w io.Writer) error {
		_, err := io.WriteString(w, "n")
		if err == nil {
			_, err = io.WriteString(w, "ew")
		}
		return err
	})
}

// begun is a file system that crashes, with what is there before.
func begun(t *testing.T, before, name string) *vfs.MemFS {
	files := vfs.NewCrashableMem()
	if name != "a new directory's file" && name != "a file that is synced later" {
		check(t, disk.MakeDir(files, "dir", 0o755))
	}
	if before != "" {
		check(t, disk.WriteNew(files, "dir/file", []byte(before), 0o644, disk.SyncNow))
	}
	return files
}

// contentOf is "" for a file that is not there.
func contentOf(t *testing.T, files vfs.FS) string {
	data, err := disk.ReadFile(files, "dir/file")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

// The power fails at each step of a change, and after it, on a disk that keeps what was
// not synced, or loses it block by block and name by name: the file is the old one or the
// new one, whole, and once the change is acknowledged the new one. Then the change is
// repeated, and succeeds.
func TestDurableFilesSurviveCrashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range durably {
		t.Run(c.name, func(t *testing.T) {
			for range 50 {
				now := begun(t, c.before, c.name)
				var mu sync.Mutex
				var left []*vfs.MemFS
				crash := func() {
					mu.Lock()
					defer mu.Unlock()
					left = append(left, now.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
				}
				check(t, c.do(errorfs.Wrap(now, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
						crash()
					}
					return nil
				}))))
				steps := len(left)
				for range 10 {
					left = append(left, now.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
				}
				for i, after := range left {
					got := contentOf(t, after)
					if i >= steps && got != c.after || got != c.before && got != c.after && !strings.Contains(c.name, "later") {
						t.Fatalf("crash %d of %d: %q, want %q or %q", i, steps, got, c.before, c.after)
					}
					if strings.Contains(c.name, "later") {
						continue // what it left is checked by whoever reads it
					}
					if c.name == "another name" && got == c.after {
						continue // done
					}
					check(t, c.do(after))
					if got := contentOf(t, after.CrashClone(vfs.CrashCloneCfg{})); got != c.after {
						t.Fatalf("repeated after crash %d of %d: %q, want %q", i, steps, got, c.after)
					}
				}
			}
		})
	}
}

// Each step of a change fails, once or from there on, as on a full disk: that is an error
// which names the file and no temporary one, the file is the old or the new one, and the
// disk holds nothing else once there is room; then the same change succeeds.
func TestDurableFilesFail(t *testing.T) {
	for _, c := range durably {
		for with, on := range map[syscall.Errno]bool{syscall.EIO: false, syscall.ENOSPC: true} {
			t.Run(fmt.Sprint(c.name, ", ", with), func(t *testing.T) {
				failed := 0
				for at := int64(1); ; at++ {
					files := begun(t, c.before, c.name)
					broken := failAt(files, at, on, with)
					err := c.do(broken)
					what := broken.failed.Load()
					if what == nil {
						check(t, err)
						break
					}
					failed++
					if !errors.Is(err, with) {
						t.Fatalf("%s failed: %v", *what, err)
					}
					if err != nil && strings.Contains(err.Error(), ".tmp") {
						t.Errorf("%s failed: %v names a temporary file", *what, err)
					}
					if got := contentOf(t, files); got != c.before && got != c.after {
						t.Fatalf("%s failed: %q, want %q or %q", *what, got, c.before, c.after)
					}
					if c.name == "another name" && contentOf(t, files) == c.after {
						continue
					}
					check(t, c.do(files))
					if got := contentOf(t, files.CrashClone(vfs.CrashCloneCfg{})); got != c.after {
						t.Fatalf("repeated after %s failed: %q, want %q", *what, got, c.after)
					}
					names, err := files.List("dir")
					check(t, err)
					if slices.ContainsFunc(names, func(name string) bool { return disk.Unfinished(name, "file") }) && !on {
						t.Errorf("%s failed: %q is left", *what, names)
					}
				}
				if failed == 0 {
					t.Error("no step failed")
				}
			})
		}
	}
}

// On the machine's own file system: a new file has its mode from the first moment, another
// content is refused, of many that write one name at once the first wins and all end alike,
// and nothing else is left in the directory.
func TestDurableFilesOnTheMachine(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() {
			errs[i] = disk.WriteNew(vfs.Default, name, bytes.Repeat([]byte{byte('a' + i%2)}, 1<<16), 0o600, disk.SyncNow)
		})
	}
	wait.Wait()
	got, err := disk.ReadFile(vfs.Default, name)
	check(t, err)
	for i, err := range errs {
		if wins := byte('a'+i%2) == got[0]; wins != (err == nil) || !wins && !errors.Is(err, disk.ErrOtherContent) {
			t.Errorf("writer %d: %v, and the file holds %c", i, err, got[0])
		}
	}
	if want := bytes.Repeat(got[:1], 1<<16); !bytes.Equal(got, want) {
		t.Error("the file is not whole")
	}
	for mode, sync := range map[fs.FileMode]disk.Sync{0o600: disk.SyncNow, 0o640: disk.SyncLater} {
		check(t, disk.WriteFile(vfs.Default, name, []byte("secret"), mode, sync))
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left: %v, %v", names, err)
	}
	long := bytes.Repeat([]byte("long"), 1<<15)
	broken := errors.New("broken")
	for _, c := range []struct {
		text []byte
		fail error
		want error
	}{{long, broken, broken}, {long, nil, nil}, {long, nil, nil}, {long[1:], nil, disk.ErrOtherContent}, {append(long, 'x'), nil, disk.ErrOtherContent}} {
		err := disk.StreamNew(vfs.Default, filepath.Join(dir, "stream"), 0o644, disk.SyncNow, func(w io.Writer) error {
			_, err := w.Write(c.text)
			return errors.Join(err, c.fail)
		})
		if !errors.Is(err, c.want) {
			t.Errorf("streaming %d bytes: %v, want %v", len(c.text), err, c.want)
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 1 && c.fail != nil || len(names) > 2 {
			t.Errorf("left: %v, %v", names, err)
		}
	}
	if got, err := disk.ReadFile(vfs.Default, filepath.Join(dir, "stream")); err != nil || !bytes.Equal(got, long) {
		t.Errorf("the stream's file holds %d bytes, %v", len(got), err)
	}
	lock, err := disk.Lock(vfs.Default, filepath.Join(dir, "lock"))
	check(t, err)
	if _, err := disk.Lock(vfs.Default, filepath.Join(dir, "lock")); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	check(t, lock.Close())
	if _, err := disk.Lock(vfs.Default, filepath.Join(dir, "nowhere", "lock")); err == nil || errors.Is(err, disk.ErrLocked) {
		t.Errorf("locked in no directory: %v", err)
	}
}
