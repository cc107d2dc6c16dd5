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

// A sealed store is read as before, is taken and written by nobody, and is of a format that an
// earlier docket leaves alone. One that is taken sealed is filled, across reopens, until it is
// unsealed.
func TestSeals(t *testing.T) {
	ctx, fs := t.Context(), vfs.NewMem()
	open := func() *pebblestore.Store { return world{fs}.Open(t).(*pebblestore.Store) }
	reopen := func(s *pebblestore.Store) *pebblestore.Store {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return open()
	}
	var sealed *ledger.SealedError
	refused := func(s *pebblestore.Store, log *storetest.ReferenceLog, why string) {
		t.Helper()
		for what, err := range map[string]error{
			"Take": s.Take(ctx), "Extend": s.Extend(ctx, log.Clone().Grow(1)), "Publish": s.Publish(ctx, nil, []byte("note")), "Archive": s.Archive(ctx, 0, []byte("blob")),
			"TakeSealed": s.TakeSealed(ctx, "another reason"), "Seal": s.Seal(ctx, "another reason"), "Unseal": s.Unseal(ctx),
		} {
			if !errors.As(err, &sealed) || sealed.Why != why {
				t.Errorf("%s of a sealed store: %v", what, err)
			}
		}
	}
	s, log := open(), &storetest.ReferenceLog{}
	if err := errors.Join(s.Take(ctx), s.Extend(ctx, log.Grow(300)), s.Seal(ctx, "moved to elsewhere")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		refused(s, log, "moved to elsewhere")
		if why, err := s.Sealed(ctx); err != nil || why != "moved to elsewhere" {
			t.Errorf("sealed: %q, %v", why, err)
		}
		if h, err := s.Head(ctx); err != nil || h != log.Head(300) {
			t.Errorf("head of a sealed store: %v, %v", h, err)
		}
		if format := pebblestore.ReadFormat(s); format != 3 {
			t.Errorf("a sealed store is of format %d", format)
		}
		s = reopen(s)
	}
	if err := errors.Join(s.TakeSealed(ctx, "moved to elsewhere"), s.Unseal(ctx), s.Take(ctx), s.Extend(ctx, log.Grow(1))); err != nil {
		t.Errorf("unsealing: %v", err)
	}
	if err := s.TakeSealed(ctx, "copying"); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("taking sealed a store with entries: %v", err)
	}
	if format := pebblestore.ReadFormat(s); format != 2 {
		t.Errorf("an unsealed store is of format %d", format)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	fs, log = vfs.NewMem(), &storetest.ReferenceLog{}
	s = open()
	for range 3 {
		if err := errors.Join(s.TakeSealed(ctx, "copying"), s.Extend(ctx, log.Grow(3))); err != nil {
			t.Fatal(err)
		}
		s = reopen(s)
		refused(s, log, "copying")
	}
	if err := errors.Join(s.TakeSealed(ctx, "copying"), s.Unseal(ctx), s.Extend(ctx, log.Grow(1))); err != nil {
		t.Error(err)
	}
	s = reopen(s)
	if err := errors.Join(s.Take(ctx), s.Extend(ctx, log.Grow(1)), s.Close()); err != nil {
		t.Error(err)
	}
}
