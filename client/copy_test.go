package client

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Any number of processes read a copy side by side, one of them for as long as a pager
// stands open, and a sync waits for none: a reader goes on with what it opened, and
// whoever opens it afterwards has the new one. Generations that nobody reads go.
func TestReadersShare(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	dir := t.TempDir() + "/trust"
	writer := w.trust(vfs.Default, dir)
	must(t, writer.Sync(t.Context(), w.client(), nil))
	must(t, writer.Close())

	open := func() *Trust {
		t.Helper()
		reader, err := OpenTrust(vfs.Default, dir)
		must(t, err)
		if _, err := reader.Register(); err != nil {
			t.Fatal(err)
		}
		return reader
	}
	paging := open()
	var g sync.WaitGroup
	for range 6 {
		g.Go(func() {
			reader := open()
			w.wantSameRegister(reader)
			must(t, reader.Close())
		})
	}
	g.Wait()

	before := registerDigest(t, paging.copy.Register)
	for size := uint64(400); size <= 700; size += 100 {
		w.growTo(size)
		must(t, writer.Sync(t.Context(), w.client(), nil))
		must(t, writer.Close())
		newest := open()
		if newest.CoveredSize() != size {
			t.Errorf("after a sync to %d a new reader covers %d", size, newest.CoveredSize())
		}
		w.wantSameRegister(newest)
		must(t, newest.Close())
	}
	if registerDigest(t, paging.copy.Register) != before || paging.CoveredSize() != 300 {
		t.Errorf("the reader from before covers %d now", paging.CoveredSize())
	}
	if _, err := paging.Entry(t.Context(), 299); err != nil {
		t.Errorf("an entry of the reader from before: %v", err)
	}
	kept, err := writer.generations()
	must(t, err)
	if !slices.Equal(kept, []int{5, 1}) {
		t.Errorf("kept are the generations %v, want the newest and the one that is read", kept)
	}
	must(t, paging.Close())
	must(t, writer.Sync(t.Context(), w.client(), nil))
	w.growTo(800)
	must(t, writer.Sync(t.Context(), w.client(), nil))
	if kept, err = writer.generations(); err != nil || !slices.Equal(kept, []int{6}) {
		t.Errorf("kept are the generations %v (%v) after the reader has gone", kept, err)
	}
}

// copyWithResponse is a world with an answer, a synced trust directory of it that is closed,
// and the answer's receipt.
func copyWithResponse(t *testing.T) (w *world, files vfs.FS, trust *Trust, receipt *Receipt) {
	t.Helper()
	w, id := worldWithResponse(t)
	receipt, err := w.client().Receipt(t.Context(), id, SinglePolicy{w.policy})
	must(t, err)
	files = vfs.NewMem()
	trust = w.trust(files, "trust")
	must(t, trust.Sync(t.Context(), w.client(), nil))
	must(t, trust.Close())
	return w, files, trust, receipt
}

// A copy is read from where nothing can be written: a disk that is full, or read-only, or
// somebody else's.
func TestReadOnlyCopy(t *testing.T) {
	w, files, _, receipt := copyWithResponse(t)
	for _, cause := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EACCES} {
		var wrote []string
		denied := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				wrote = append(wrote, op.Path)
				return &os.PathError{Op: "open", Path: op.Path, Err: cause}
			}
			return nil
		}))
		reader, err := OpenTrust(denied, "trust")
		must(t, err)
		report, err := Verify(t.Context(), receipt.Text, reader, time.Now())
		if err != nil || report.Authorship != AuthorshipByReplay {
			t.Errorf("%v: a genuine receipt: %+v, %v", cause, report, err)
		}
		w.wantSameRegister(reader)
		must(t, reader.Close())
		if len(wrote) > 0 {
			t.Errorf("%v: a reader wrote %q", cause, wrote)
		}
		if err := reader.Sync(t.Context(), w.client(), nil); !errors.Is(err, cause) {
			t.Errorf("a sync that cannot write: %v, want %v", err, cause)
		}
	}
}

// A sync that is interrupted leaves the copy that was good before.
func TestInterruptedSyncKeepsCopy(t *testing.T) {
	skipSerial(t)
	w := newWorld(t)
	w.growTo(600)
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	must(t, trust.Sync(t.Context(), w.client(), nil))
	before := registerDigest(t, trust.copy.Register)
	must(t, trust.Close())
	w.growTo(2600)
	for count := 1; ; count++ {
		crashing, written := true, 0
		cut := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !crashing || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || strings.Contains(op.Path, nextGenerationDir) {
				return nil // Pebble ends the process where its own writes fail
			}
			if written++; written > 7*count {
				return syscall.ENOSPC
			}
			return nil
		}))
		again, err := OpenTrust(cut, "trust")
		must(t, err)
		err = again.Sync(t.Context(), w.client(), nil)
		crashing = false
		if err == nil {
			w.wantSameRegister(again)
			must(t, again.Close())
			if count < 5 {
				t.Errorf("only %d syncs failed", count)
			}
			return
		}
		must(t, again.Close())
		left, err := OpenTrust(files, "trust")
		must(t, err)
		r, err := left.Register()
		if err != nil {
			t.Fatalf("after %d writes: %v", 7*count, err)
		}
		if left.CoveredSize() == 600 && registerDigest(t, r) != before {
			t.Fatalf("after %d writes the copy is another", 7*count)
		}
		for _, index := range []uint64{0, 255, 256, 511, 599} {
			if _, err := left.Entry(t.Context(), index); err != nil {
				t.Fatalf("after %d writes: %v", 7*count, err)
			}
		}
		must(t, left.Close())
		if left.CoveredSize() > 600 {
			return
		}
	}
}

// Of two syncs of one directory the second waits for the first, and not for ever.
func TestConcurrentSyncsWait(t *testing.T) {
	w := newWorld(t)
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	synctest.Test(t, func(t *testing.T) {
		release, err := trust.lockForSync(t.Context())
		must(t, err)
		begun := time.Now()
		if _, err := trust.lockForSync(t.Context()); !errors.Is(err, ErrSyncing) || time.Since(begun) < syncLockTimeout || time.Since(begun) > 2*syncLockTimeout {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		go func() {
			time.Sleep(time.Second)
			release()
		}()
		second, err := trust.lockForSync(t.Context())
		must(t, err)
		must(t, second())
	})
}

// A copy that cannot be read is as good as none: what it would prove is not checked, and
// the next sync makes another.
func TestUnreadableCopy(t *testing.T) {
	w, files, trust, receipt := copyWithResponse(t)
	names, err := files.List(trust.generationDir(1))
	must(t, err)
	for _, name := range names {
		path := files.PathJoin(trust.generationDir(1), name)
		data, err := disk.ReadFile(files, path)
		must(t, err)
		for i := range data {
			data[i] ^= 0x55
		}
		must(t, disk.WriteFile(files, path, data, 0o644, disk.SyncNow))
	}
	report, err := Verify(t.Context(), receipt.Text, trust, time.Now())
	if err != nil || report.Authorship != AuthorshipNotChecked {
		t.Errorf("a genuine receipt: %+v, %v", report, err)
	}
	damage := (*DamageError)(nil)
	if _, err := trust.Register(); !errors.Is(err, ErrNoCopy) || !errors.As(err, &damage) {
		t.Errorf("the copy: %v", err)
	}
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// Damage in a register is the error of whoever meets it, and the next sync that has
// something to do, or is asked to look, is not stopped by it.
func TestDamagedRegister(t *testing.T) {
	skipSerial(t)
	w := newWorld(t)
	w.growTo(300)
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	const tries = 40
	met := 0
	for i := range tries {
		must(t, trust.Sync(t.Context(), w.client(), nil))
		must(t, trust.Close())
		all, err := trust.generations()
		must(t, err)
		names, err := files.List(trust.generationDir(all[0]))
		must(t, err)
		for _, name := range names {
			if !strings.HasSuffix(name, ".sst") {
				continue
			}
			name = files.PathJoin(trust.generationDir(all[0]), name)
			data, err := disk.ReadFile(files, name)
			must(t, err)
			data[len(data)*i/tries] ^= 1
			must(t, disk.WriteFile(files, name, data, 0o644, disk.SyncNow))
		}
		if r, err := trust.Register(); err == nil {
			err = r.Dump(io.Discard)
			if err != nil && (!register.IsDamaged(err) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), trust.path(registerDir))) {
				t.Errorf("damaged at %d/%d: %v", i, tries, err)
			}
			if err != nil {
				met++
			}
		} else if !errors.Is(err, ErrNoCopy) {
			t.Errorf("damaged at %d/%d: %v", i, tries, err)
		} else {
			met++
		}
		if i%8 != 7 { // else there is nothing new to sync
			w.growTo(uint64(301 + i))
			must(t, trust.Sync(t.Context(), w.client(), nil))
		}
		_, err = trust.VerifyCopy(t.Context(), w.client(), nil)
		must(t, err)
		w.wantSameRegister(trust)
	}
	if met < tries/2 {
		t.Errorf("damage was met %d times of %d", met, tries)
	}
}

// A sync that cannot write down what it believes, as on a full disk, leaves the copy of
// what is believed.
func TestSyncThatCannotWriteCheckpointKeepsCopy(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	dir := t.TempDir() + "/trust"
	trust := w.trust(vfs.Default, dir)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	must(t, trust.Close())
	w.growTo(400)
	full := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasPrefix(op.Path, dir+"/"+checkpointFile) {
			return syscall.ENOSPC
		}
		return nil
	}))
	again, err := OpenTrust(full, dir)
	must(t, err)
	if err := again.Sync(t.Context(), w.client(), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is full: %v", err)
	}
	must(t, again.Close())
	left, err := OpenTrust(vfs.Default, dir)
	must(t, err)
	if left.CoveredSize() != 300 {
		t.Errorf("the copy covers %d", left.CoveredSize())
	}
	must(t, left.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(left)
	must(t, left.Close())
}

// little is a disk with little room left.
type little struct {
	vfs.FS
	free uint64
}

func (d little) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free}, nil
}

// Where a copy has no room, nothing of it is begun, and the disk is what is blamed: with
// what is free and what it takes.
func TestNoRoomForCopy(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	const need = leastRoom + 300*(entryRoom+rowsRoom)
	for free, enough := range map[uint64]bool{0: false, 300 * entryRoom: false, leastRoom: false, need - 1: false, need: true} {
		files := little{vfs.NewMem(), free}
		trust := w.trust(files, "trust")
		err := trust.Sync(t.Context(), w.client(), nil)
		var short *SpaceError
		if enough {
			must(t, err)
		} else if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &short) || short.Free != free || short.Need != need {
			t.Errorf("%d bytes: %v", free, err)
		} else if _, err := files.Stat(trust.path(nextGenerationDir)); !missing(err) {
			t.Errorf("%d bytes: a register was begun (%v)", free, err)
		}
		if enough { // a register that is made anew takes as much again, whatever is new
			files.free = leastRoom
			again := w.trust(files, "trust")
			if _, err := again.VerifyCopy(t.Context(), w.client(), nil); !errors.As(err, &short) || short.Need != leastRoom+300*rowsRoom {
				t.Errorf("anew: %v", err)
			}
			must(t, again.Close())
		}
		must(t, trust.Close())
	}
}
