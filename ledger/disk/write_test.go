package disk_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// failing is a file system on which one write fails, or all from one on.
type failing struct {
	vfs.FS
	writes atomic.Int64
	failed atomic.Pointer[string] // the first that did
}

func failAt(fs vfs.FS, at int64, on bool, with syscall.Errno) *failing {
	x := new(failing)
	x.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
			return nil
		}
		if n := x.writes.Add(1); n != at && (!on || n < at) {
			return nil
		}
		what := fmt.Sprint(op.Kind, " of ", op.Path)
		x.failed.CompareAndSwap(nil, &what)
		return with
	}))
	return x
}

// Each single write of a database fails, of its opening after a crash, of its work and of
// its closing: it goes on, or gives an error, or ends the process in one sentence that
// says what failed. It never panics, which on a goroutine of Pebble's ends the process with
// a Go stack; it is never said to be damaged; and what was acknowledged is there afterwards.
func TestEachWriteFails(t *testing.T) {
	cut := filled(t)
	for with, on := range map[syscall.Errno]bool{syscall.EIO: false, syscall.ENOSPC: true} {
		t.Run(with.Error(), func(t *testing.T) {
			t.Parallel()
			outcomes := make(map[string]int)
			stride := int64(40)
			if testing.Short() { // as where the race detector slows everything
				stride = 6
			}
			for at := int64(1); ; at += 1 + at/stride {
				fs := cut.CrashClone(vfs.CrashCloneCfg{})
				broken := failAt(fs, at, on, with)
				outcome, kept := work(broken)
				outcomes[outcome[:4]]++
				what := broken.failed.Load()
				if what == nil {
					break
				}
				if !strings.Contains(outcome, with.Error()) && outcome[:4] != "done" && !strings.Contains(outcome, "written out") {
					t.Errorf("%v at %s: %s", with, *what, outcome)
				}
				after := fs.CrashClone(vfs.CrashCloneCfg{})
				db, err := disk.Open(options(after, panics()))
				if err != nil {
					t.Fatalf("%v at %s: it does not open any more: %v", with, *what, err)
				}
				for i := range kept {
					if _, closer, err := db.Get(key(i)); err != nil {
						t.Fatalf("%v at %s: row %d of %d is lost: %v", with, *what, i, kept, err)
					} else {
						closer.Close()
					}
				}
				check(t, db.Close())
			}
			for _, want := range []string{"done", "died"} {
				if outcomes[want] == 0 {
					t.Errorf("%v: %v", with, outcomes)
				}
			}
		})
	}
}

// work opens the database and writes rows to it. It says how that ended, and how many rows
// were acknowledged.
func work(fs vfs.FS) (outcome string, kept int) {
	var mu sync.Mutex
	kept = rows
	ended := make(chan string, 4)
	h := disk.NewHealth(disk.Config{Fatal: func(reason string) { ended <- "died: " + reason; select {} }})
	go func() {
		db, err := disk.Open(options(fs, h))
		if err != nil {
			if disk.Damaged(err) {
				ended <- fmt.Sprint("called damage: ", err)
			} else {
				ended <- fmt.Sprint("error: ", err)
			}
			return
		}
		for i := rows; i < rows+20; i++ {
			if err := db.Set(key(i), value(i), pebble.Sync); err != nil {
				ended <- fmt.Sprint("error: ", err)
				return
			}
			mu.Lock()
			kept = i + 1
			mu.Unlock()
		}
		if err := errors.Join(db.Flush(), db.Close()); err != nil {
			ended <- fmt.Sprint("error: ", err)
			return
		}
		ended <- "done"
	}()
	outcome = <-ended
	mu.Lock()
	defer mu.Unlock()
	return outcome, kept
}
