// Package storetest holds the laws of a [ledger.Store] as a test that every Store
// runs, and stores that fail on purpose, for the tests of what stands above.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Medium is where a store keeps its things: a disk, a bucket.
type Medium interface {
	// Open opens the store that the medium holds, a new one in an empty medium. A
	// medium has one opener at a time.
	Open(t testing.TB) ClosableStore

	// Crash is a world as it may be found if everything stopped now: what the
	// store was told is durable is there, of the rest whatever rng says. This
	// world goes on beside it.
	Crash(rng *rand.Rand) Medium
}

// ClosableStore is a store that can be closed.
type ClosableStore interface {
	ledger.Store
	Close() error
}

// Run checks the laws that stand beside [ledger.Store], each on an empty medium.
func Run(t *testing.T, empty func(t testing.TB) Medium) {
	for _, law := range []struct {
		name  string
		check func(t *testing.T, w Medium)
	}{
		{"a new store is empty", lawNewStoreIsEmpty},
		{"every prefix stays readable", lawPrefixesStayReadable},
		{"beyond the head there is nothing", lawNothingBeyondHead},
		{"a conflict changes nothing", lawConflictChangesNothing},
		{"nil means durable", lawNilMeansDurable},
		{"an extension may be applied late", lawLateExtendConflicts},
		{"the published checkpoint is swapped", lawPublishCompareAndSwap},
		{"what was kept stays, in its order", lawArchiveInOrder},
		{"buffers are not shared", lawNoSharedBuffers},
		{"readers see heads and all below", lawConcurrentReaders},
	} {
		t.Run(law.name, func(t *testing.T) { law.check(t, empty(t)) })
	}
}

func lawNewStoreIsEmpty(t *testing.T, w Medium) {
	s := openStore(t, w)
	if h, err := s.Head(t.Context()); err != nil || h != (ledger.Head{Root: proof.EmptyRoot()}) {
		t.Errorf("head %v, %v; want size 0 and the empty root", h, err)
	}
	if p, err := s.Published(t.Context()); err != nil || p != nil {
		t.Errorf("published %q, %v; want nil", p, err)
	}
	if e, err := s.Entries(t.Context(), 0, 0); err != nil || len(e) != 0 {
		t.Errorf("no entries: %v, %v", e, err)
	}
}

// lawPrefixesStayReadable grows a log across the boundaries of tiles and reads everything
// that any earlier head covered, again after a reopen.
func lawPrefixesStayReadable(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	for _, n := range []int{1, 1, 2, 251, 1, 1, 255, 300, 1} {
		extend(t, s, log.Grow(n))
		checkStore(t, s, log)
	}
	extend(t, s, log.Grow(65_536))
	for _, size := range []int{1, 255, 256, 257, 512, 65_536, len(log.entries)} {
		checkTiles(t, s, log, size)
	}
	s = reopenStore(t, w, s)
	checkStore(t, s, log)
}

func lawNothingBeyondHead(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	extend(t, s, log.Grow(300))
	for _, r := range [][2]uint64{{300, 301}, {299, 301}, {0, 301}, {1 << 40, 1<<40 + 2}} {
		if e, err := s.Entries(t.Context(), r[0], r[1]); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("entries [%d, %d): %d entries, %v; want ErrMissing", r[0], r[1], len(e), err)
		}
	}
	for _, id := range []proof.TileID{{Index: 1, Width: 45}, {Index: 2, Width: 1}, {Level: 1, Width: 2}, {Level: 2, Width: 1}} {
		if _, err := s.Tiles(t.Context(), []proof.TileID{{Width: 256}, id}); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("%v: %v; want ErrMissing", id, err)
		}
	}
}

func lawConflictChangesNothing(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	first := log.Grow(3)
	extend(t, s, first)
	extend(t, s, log.Grow(260))
	other := &ReferenceLog{Salt: "another history"}
	other.Grow(3)
	atOtherRoot := log.Clone().Grow(5)
	atOtherRoot.Old.Root[0] ^= 1
	for name, x := range map[string]ledger.Extension{
		"the same again":      first,
		"from a smaller size": other.Grow(7),
		"from a larger size":  func() ledger.Extension { l := log.Clone(); l.Grow(1); return l.Grow(1) }(),
		"from another root":   atOtherRoot,
	} {
		if err := s.Extend(t.Context(), x); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
		checkStore(t, s, log)
	}
	s = reopenStore(t, w, s)
	checkStore(t, s, log)
	extend(t, s, log.Grow(1))
	checkStore(t, s, log)
}

// lawNilMeansDurable crashes after each write that returned nil.
func lawNilMeansDurable(t *testing.T, w Medium) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := openStore(t, w)
	log := &ReferenceLog{}
	var note []byte
	for i := range 12 {
		extend(t, s, log.Grow(1+rng.IntN(90)))
		next := fmt.Appendf(nil, "checkpoint %d", i)
		if err := s.Publish(t.Context(), note, next); err != nil {
			t.Fatal(err)
		}
		note = next
		survivor := w.Crash(rng)
		after := survivor.Open(t)
		checkStore(t, after, log)
		if p, err := after.Published(t.Context()); err != nil || !bytes.Equal(p, note) {
			t.Errorf("after crash %d: published %q, %v; want %q", i, p, err, note)
		}
		extend(t, after, log.Clone().Grow(2)) // it can go on from there
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// lawLateExtendConflicts is law 3: an Extend that was given up for lost arrives after a reopen.
func lawLateExtendConflicts(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	extend(t, s, log.Grow(100))

	// It arrives before anything else: who then goes on from the old head conflicts.
	lost, rival := log.Grow(10), log.Truncated(10).Grow(20)
	f := &FaultyStore{Store: s, FaultOf: func(int) Fault { return WriteDelayed }}
	if err := f.Extend(t.Context(), lost); err == nil || errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("a held extension returned %v", err)
	}
	s = reopenStore(t, w, s)
	if err := f.ApplyDelayed(t.Context(), s); err != nil {
		t.Fatalf("applied late: %v", err)
	}
	if err := s.Extend(t.Context(), rival); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("extending the old head: %v, want ErrConflict", err)
	}
	checkStore(t, s, log)

	// It arrives after another extension: it conflicts, and changes nothing.
	lost, rival = log.Clone().Grow(10), log.Grow(20)
	f = &FaultyStore{Store: s, FaultOf: func(int) Fault { return WriteDelayed }}
	if err := f.Extend(t.Context(), lost); err == nil {
		t.Fatal("a held extension returned nil")
	}
	s = reopenStore(t, w, s)
	extend(t, s, rival)
	if err := f.ApplyDelayed(t.Context(), s); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("applied late, after another: %v, want ErrConflict", err)
	}
	checkStore(t, s, log)
}

func lawPublishCompareAndSwap(t *testing.T, w Medium) {
	s := openStore(t, w)
	a, b := []byte("checkpoint a"), []byte("checkpoint b")
	for _, step := range []struct {
		old, next []byte
		conflict  bool
	}{{a, b, true}, {nil, a, false}, {nil, b, true}, {b, a, true}, {a, b, false}, {a, b, true}} {
		err := s.Publish(t.Context(), step.old, step.next)
		if step.conflict != errors.Is(err, ledger.ErrConflict) || !step.conflict && err != nil {
			t.Errorf("%q → %q: %v", step.old, step.next, err)
		}
	}
	s = reopenStore(t, w, s)
	if p, err := s.Published(t.Context()); err != nil || !bytes.Equal(p, b) {
		t.Errorf("published %q, %v; want %q", p, err, b)
	}
	if h, err := s.Head(t.Context()); err != nil || h.Size != 0 {
		t.Errorf("publishing moved the head: %v, %v", h, err)
	}
}

// lawArchiveInOrder is law 5: it asks for every pair of bounds after each step.
func lawArchiveInOrder(t *testing.T, w Medium) {
	rng := rand.New(rand.NewPCG(5, 6))
	s := openStore(t, w)
	var all []ledger.ArchivedCheckpoint
	check := func(s ledger.Store) {
		t.Helper()
		bounds := []uint64{0, 1, 2, 3, 5, 8, 9, 10, 100, 1 << 40, math.MaxUint64}
		for _, stamp := range bounds {
			for _, size := range bounds {
				var want *ledger.ArchivedCheckpoint
				for _, k := range all {
					if k.Timestamp <= stamp && k.Size <= size {
						want = &k
					}
				}
				got, err := s.ArchivedUpTo(t.Context(), stamp, size)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("the last one kept up to stamp %d and size %d is %+v, %v; want %+v", stamp, size, got, err, want)
				}
			}
		}
	}
	check(s)
	for _, next := range [][2]uint64{{0, 1}, {0, 3}, {2, 3}, {3, 3}, {3, 9}, {9, 9}, {9, 10}, {1 << 40, 1 << 33}} {
		k := ledger.ArchivedCheckpoint{Timestamp: next[0], Size: next[1], Note: fmt.Appendf(nil, "checkpoint %d at %d", next[1], next[0])}
		given := k
		given.Note = bytes.Clone(k.Note)
		if err := s.Archive(t.Context(), given); err != nil {
			t.Fatal(err)
		}
		clear(given.Note)
		all = append(all, k)
		check(s)
		if err := s.Archive(t.Context(), ledger.ArchivedCheckpoint{Timestamp: k.Timestamp, Size: k.Size, Note: []byte("another")}); err != nil {
			t.Errorf("the newest again: %v", err)
		}
		for _, older := range [][2]uint64{{k.Timestamp, k.Size - 1}, {k.Timestamp + 1, k.Size - 1}} {
			if err := s.Archive(t.Context(), ledger.ArchivedCheckpoint{Timestamp: older[0], Size: older[1]}); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("stamp %d and size %d after %d and %d: %v, want ErrConflict", older[0], older[1], k.Timestamp, k.Size, err)
			}
		}
		if k.Timestamp > 0 {
			if err := s.Archive(t.Context(), ledger.ArchivedCheckpoint{Timestamp: k.Timestamp - 1, Size: k.Size + 1}); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("an older stamp: %v, want ErrConflict", err)
			}
		}
		check(s)
		after := w.Crash(rng).Open(t)
		check(after)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = reopenStore(t, w, s)
	check(s)
	if p, err := s.Published(t.Context()); err != nil || p != nil {
		t.Errorf("keeping published %q, %v", p, err)
	}
}

// lawNoSharedBuffers spoils what was given and what was returned.
func lawNoSharedBuffers(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	overwritten := log.Clone().Grow(3)
	extend(t, s, overwritten)
	log.Grow(3)
	for _, e := range overwritten.Entries {
		clear(e)
	}
	for _, tile := range overwritten.Tiles {
		clear(tile.Hashes)
	}
	for range 2 {
		e, err := s.Entries(t.Context(), 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Tiles(t.Context(), []proof.TileID{{Width: 3}})
		if err != nil {
			t.Fatal(err)
		}
		checkStore(t, s, log)
		clear(e[1])
		clear(h[0])
	}
	checkStore(t, s, log)
}

// lawConcurrentReaders reads whatever the head says while it moves.
func lawConcurrentReaders(t *testing.T, w Medium) {
	s := openStore(t, w)
	full := &ReferenceLog{}
	full.Grow(2000)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range uint64(3) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(r, 0))
			for {
				select {
				case <-done:
					return
				default:
				}
				h, err := s.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if h.Size == 0 {
					continue
				}
				if want := full.Head(int(h.Size)); h != want {
					t.Errorf("head %v, want %v", h, want)
					return
				}
				i := rng.Uint64N(h.Size)
				e, err := s.Entries(t.Context(), i, h.Size)
				if err != nil || !bytes.Equal(e[0], full.entries[i]) || uint64(len(e)) != h.Size-i {
					t.Errorf("entries [%d, %d): %d of them, %v", i, h.Size, len(e), err)
					return
				}
			}
		})
	}
	log := &ReferenceLog{}
	for len(log.entries) < len(full.entries) {
		extend(t, s, log.Grow(20))
	}
	close(done)
	readers.Wait()
	checkStore(t, s, log)
}

// openStore opens a world's store for the length of a test.
func openStore(t testing.TB, w Medium) *testStore {
	o := &testStore{ClosableStore: w.Open(t)}
	t.Cleanup(func() {
		if o.ClosableStore != nil {
			o.Close()
		}
	})
	return o
}

type testStore struct{ ClosableStore }

func reopenStore(t testing.TB, w Medium, o *testStore) *testStore {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o.ClosableStore = w.Open(t)
	return o
}

func extend(t testing.TB, s ledger.Store, x ledger.Extension) {
	t.Helper()
	if err := s.Extend(t.Context(), x); err != nil {
		t.Fatalf("extending %d to %d: %v", x.Old.Size, x.New.Size, err)
	}
}

// checkStore compares all that the store holds with the log.
func checkStore(t testing.TB, s ledger.Store, log *ReferenceLog) {
	t.Helper()
	size := len(log.entries)
	if h, err := s.Head(t.Context()); err != nil || h != log.Head(size) {
		t.Fatalf("head %v, %v; want %v", h, err, log.Head(size))
	}
	got, err := s.Entries(t.Context(), 0, uint64(size))
	if err != nil || len(got) != size {
		t.Fatalf("%d entries, %v; want %d", len(got), err, size)
	}
	for i, e := range got {
		if !bytes.Equal(e, log.entries[i]) {
			t.Fatalf("entry %d is %q, want %q", i, e, log.entries[i])
		}
	}
	checkTiles(t, s, log, size)
}

// checkTiles compares every tile of the log's prefix of that size.
func checkTiles(t testing.TB, s ledger.Store, log *ReferenceLog, size int) {
	t.Helper()
	var ids []proof.TileID
	for id := range proof.Tiles(0, uint64(size)) {
		ids = append(ids, id)
	}
	got, err := s.Tiles(t.Context(), ids)
	if err != nil {
		t.Fatalf("tiles at %d: %v", size, err)
	}
	for i, id := range ids {
		if want := log.Tile(id); !bytes.Equal(got[i], want) {
			t.Fatalf("%v is %d bytes %x…, want %d bytes %x…", id, len(got[i]), got[i][:4], len(want), want[:4])
		}
	}
}
