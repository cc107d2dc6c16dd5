package pebblestore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// world is a storetest.Medium: a memory file system that can lose what was not synced.
type world struct{ fs *vfs.MemFS }

func (d world) Open(t testing.TB) storetest.ClosableStore {
	s, err := pebblestore.Open(d.fs, "log", smallOptions)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Second is a handle of the same process: Pebble locks its directory, also against those
// who would only read, so that no second process opens it.
func (d world) Second(_ testing.TB, open storetest.ClosableStore) ledger.Store {
	return open.(*pebblestore.Store).Second()
}

func (d world) Crash(rng *rand.Rand) storetest.Medium {
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50}
	cfg.RNG = rng
	return world{d.fs.CrashClone(cfg)}
}

// smallOptions make a store that the tests open often cheap.
var smallOptions = pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}

func TestStoreLaws(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Medium { return world{vfs.NewCrashableMem()} })
}

// A failed sync never comes back as an error: nobody knows what is on the disk.
// The process ends; here, the goroutine panics.
func TestFailedSyncEndsTheProcess(t *testing.T) {
	mem := vfs.NewCrashableMem()
	failing := false
	injected := errors.New("the disk is gone")
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if failing && strings.HasSuffix(op.Path, ".log") {
				return injected
			}
		}
		return nil
	}))
	o := smallOptions
	o.Health = disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(reason) }})
	s, err := pebblestore.Open(fs, "log", o)
	if err != nil {
		t.Fatal(err)
	}
	log := &storetest.ReferenceLog{}
	if err := s.Extend(t.Context(), log.Grow(3)); err != nil {
		t.Fatal(err)
	}
	failing = true
	reason := func() (r any) {
		defer func() { r = recover() }()
		return s.Extend(t.Context(), log.Grow(3))
	}()
	if s, ok := reason.(string); !ok || !strings.Contains(s, injected.Error()) {
		t.Fatalf("a failed sync ended with %v, want a panic", reason)
	}
	after := world{mem.CrashClone(vfs.CrashCloneCfg{})}.Open(t)
	defer after.Close()
	if h, err := after.Head(t.Context()); err != nil || h != log.Head(3) {
		t.Errorf("head after the crash %v, %v; want %v", h, err, log.Head(3))
	}
}

// An archive that an earlier version wrote, of more rows than one write takes is numbered in their order.
func TestArchiveOfAnEarlierVersionInParts(t *testing.T) {
	fs := vfs.NewMem()
	const rows = 600
	if err := pebblestore.WriteArchiveBySize(fs, "log", rows); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := world{fs}.Open(t)
		if n, err := s.ArchivedCount(t.Context()); err != nil || n != rows {
			t.Fatalf("%d are archived, %v", n, err)
		}
		for i := range uint64(rows) {
			got, err := s.Archived(t.Context(), i)
			if want := ledger.ArchiveBlob(i/2, []byte{byte(i), byte(i >> 8)}); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("number %d is %q, %v; want %q", i, got, err, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store of a format to come is left alone, in one line; one of this format is read
// without a write, and one of an earlier one says what to do.
func TestFormats(t *testing.T) {
	fs := vfs.NewMem()
	readOnly := smallOptions
	readOnly.ReadOnly = true
	s := world{fs}.Open(t)
	log := &storetest.ReferenceLog{}
	if err := errors.Join(s.Extend(t.Context(), log.Grow(3)), s.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := pebblestore.Open(fs, "log", readOnly)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := r.Head(t.Context()); err != nil || h != log.Head(3) {
			t.Errorf("read only: %v, %v", h, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := fs.List("log"); err != nil || !slices.Equal(slices.Sorted(slices.Values(after)), slices.Sorted(slices.Values(before))) {
		t.Errorf("reading made %v of %v, %v", after, before, err)
	}
	s = world{fs}.Open(t)
	if err := errors.Join(pebblestore.WriteFormat(s.(*pebblestore.Store), 999), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []pebblestore.Options{smallOptions, readOnly} {
		if _, err := pebblestore.Open(fs, "log", o); !errors.Is(err, pebblestore.ErrLaterVersion) || strings.Contains(err.Error(), "\n") {
			t.Errorf("of format 999: %v", err)
		}
	}
	fs = vfs.NewMem()
	if err := pebblestore.WriteArchiveBySize(fs, "log", 3); err != nil {
		t.Fatal(err)
	}
	if _, err := pebblestore.Open(fs, "log", readOnly); !errors.Is(err, pebblestore.ErrEarlierVersion) {
		t.Errorf("of format 1: %v", err)
	}
}
