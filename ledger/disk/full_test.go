package disk_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// lines counts the lines of a log.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

func (l *lines) with(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), words)
}

// troubled is a file system whose writes to files that end so fail, and how often that was
// tried.
type troubled struct {
	vfs.FS
	with  atomic.Pointer[syscall.Errno]
	tried atomic.Int64
}

func trouble(fs vfs.FS, ends string) *troubled {
	x := new(troubled)
	x.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if err := x.with.Load(); err != nil && strings.HasSuffix(op.Path, ends) && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
			x.tried.Add(1)
			return *err
		}
		return nil
	}))
	return x
}

func (x *troubled) begin(err syscall.Errno) { x.with.Store(&err) }
func (x *troubled) end()                    { x.with.Store(nil) }

// A flush that fails again and again is tried ever more seldom, and logged once a minute;
// reads and writes go on; and Close does not wait for it. Once the disk writes again, all
// is written out.
func TestFlushThatFailsPauses(t *testing.T) {
	for _, cause := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		synctest.Test(t, func(t *testing.T) {
			said := new(lines)
			h := disk.NewHealth(disk.Config{Log: slog.New(slog.NewTextHandler(said, nil)), WaitForSpace: true, Fatal: func(reason string) { panic(reason) }})
			fs := trouble(vfs.NewMem(), ".sst")
			db, err := disk.Open(options(fs, h))
			check(t, err)
			fs.begin(cause)
			for i := range rows / 10 {
				check(t, db.Set(key(i), value(i), pebble.Sync))
			}
			_, err = db.AsyncFlush()
			check(t, err)
			time.Sleep(10 * time.Minute)
			if tried := fs.tried.Load(); tried < 10 || tried > 80 {
				t.Errorf("%v: %d tries in ten minutes", cause, tried)
			}
			if n := said.with("in the background"); n < 9 || n > 11 {
				t.Errorf("%v: %d lines in ten minutes", cause, n)
			}
			if err := h.Failing(); err == nil {
				t.Errorf("%v: nobody is told", cause)
			}
			if _, closer, err := db.Get(key(3)); err != nil {
				t.Errorf("%v: a read: %v", cause, err)
			} else {
				closer.Close()
			}
			fs.end()
			time.Sleep(time.Minute)
			if err := h.Failing(); err != nil {
				t.Errorf("%v, and over: %v", cause, err)
			}
			fs.begin(cause)
			check(t, db.Set(key(rows), value(rows), pebble.Sync))
			_, err = db.AsyncFlush()
			check(t, err)
			time.Sleep(time.Minute)
			before := time.Now()
			check(t, db.Close())
			if waited := time.Since(before); waited > 0 {
				t.Errorf("%v: closing took %v", cause, waited)
			}
		})
	}
}

// Where writes wait for a flush that fails, being told to end ends the process; and who
// does not serve ends by itself.
func TestWritesThatWaitForAFlushEnd(t *testing.T) {
	for _, wait := range []bool{true, false} {
		died := make(chan string, 1)
		h := disk.NewHealth(disk.Config{WaitForSpace: wait, Fatal: func(reason string) { died <- reason; select {} }})
		fs := trouble(vfs.NewMem(), ".sst")
		db, err := disk.Open(options(fs, h))
		check(t, err)
		fs.begin(syscall.EIO)
		go func() { // until the process ends, which here it does not
			for i := range 10 * rows {
				db.Set(key(i), value(i), pebble.Sync)
			}
		}()
		if wait {
			h.GiveUp()
		}
		if reason := <-died; !strings.Contains(reason, "written out") {
			t.Errorf("it ended with %q", reason)
		}
	}
}

// A write-ahead log that finds the disk full waits for space, and reads go on.
func TestFullDiskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := new(lines)
		h := disk.NewHealth(disk.Config{Log: slog.New(slog.NewTextHandler(said, nil)), WaitForSpace: true, Fatal: func(reason string) { panic(reason) }})
		fs := trouble(vfs.NewMem(), ".log")
		db, err := disk.Open(options(fs, h))
		check(t, err)
		check(t, db.Set(key(0), value(0), pebble.Sync))
		fs.begin(syscall.ENOSPC)
		written := make(chan error, 1)
		go func() { written <- db.Set(key(1), value(1), pebble.Sync) }()
		time.Sleep(time.Hour)
		select {
		case err := <-written:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		if _, closer, err := db.Get(key(0)); err != nil {
			t.Errorf("a read meanwhile: %v", err)
		} else {
			closer.Close()
		}
		if n := said.with("\n"); n != 1 {
			t.Errorf("%d lines in an hour, want 1", n)
		}
		fs.end()
		check(t, <-written)
		if err := h.Failing(); err != nil {
			t.Errorf("with space again: %v", err)
		}
		check(t, db.Close())
	})
}

// Who does not serve ends at once, and so does who serves once it is told to end.
func TestFullDiskEndsWhoDoesNotWait(t *testing.T) {
	for _, wait := range []bool{true, false} {
		died := make(chan string, 1)
		h := disk.NewHealth(disk.Config{WaitForSpace: wait, Fatal: func(reason string) { died <- reason; select {} }})
		fs := trouble(vfs.NewMem(), ".log")
		db, err := disk.Open(options(fs, h))
		check(t, err)
		fs.begin(syscall.ENOSPC)
		go db.Set(key(1), value(1), pebble.Sync)
		if wait {
			h.GiveUp()
		}
		if reason := <-died; !strings.Contains(reason, "no space left") {
			t.Errorf("it ended with %q", reason)
		}
	}
}

// A write-ahead log that cannot be written ends the process in words, also where Pebble
// meets that only as it begins the next log: there it dies of a lock that it has let go of.
func TestLogThatFailsEndsInWords(t *testing.T) {
	for _, kinds := range [][]errorfs.OpKind{
		{errorfs.OpFileWrite},
		{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
		{errorfs.OpCreate, errorfs.OpReuseForWrite},
	} {
		for _, wait := range []bool{true, false} {
			var failing atomic.Bool
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if failing.Load() && strings.HasSuffix(op.Path, ".log") && slices.Contains(kinds, op.Kind) {
					return syscall.EIO
				}
				return nil
			}))
			died := make(chan string, 1)
			h := disk.NewHealth(disk.Config{WaitForSpace: wait, Fatal: func(reason string) { died <- reason; select {} }})
			db, err := disk.Open(options(fs, h))
			check(t, err)
			check(t, db.Set(key(0), value(0), pebble.NoSync))
			failing.Store(true)
			go db.Flush()
			if reason := <-died; !strings.Contains(reason, syscall.EIO.Error()) {
				t.Errorf("%v: it ended with %q", kinds, reason)
			}
		}
	}
}
