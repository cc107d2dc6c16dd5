// Package storetest holds the laws of a [ledger.Store] as a test that every Store
// runs, and stores that fail on purpose, for the tests of what stands above.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Medium is where a store keeps its things: a disk, a bucket.
type Medium interface {
	// Open opens the store that the medium holds, a new one in an empty medium, and takes
	// nothing. A medium that is no [SharedMedium] has one opener at a time.
	Open(t testing.TB) ClosableStore

	// Second is another handle on the store that open has open, as another process has it:
	// what one writes the other reads. An engine that lets no second process in hands
	// out one within the process. It is read alone, and closed with the first.
	Second(t testing.TB, open ClosableStore) ledger.Store

	// Crash is a world as it may be found if everything stopped now: what the
	// store was told is durable is there, of the rest whatever rng says. This
	// world goes on beside it.
	Crash(rng *rand.Rand) Medium
}

// SmallMedium is one on which each read is dear: if Small, no law makes a log of more than some
// hundred entries on it.
type SmallMedium interface {
	Medium
	Small() bool
}

// manyEntries need tiles of three levels, if the medium takes so many.
func manyEntries(w Medium) int {
	if s, ok := w.(SmallMedium); ok && s.Small() {
		return 300
	}
	return 65_536
}

// ClosableStore is a store that can be closed.
type ClosableStore interface {
	ledger.Store
	Close() error
}

// Run checks the laws that stand beside [ledger.Store], each on an empty medium.
func Run(t *testing.T, empty func(t testing.TB) Medium) {
	run(t, empty, func(t *testing.T, law func(t *testing.T)) { law(t) })
}

// RunInBubbles is Run with the time of [synctest]: for a medium that waits for nothing but its
// own timers and requests within the process.
func RunInBubbles(t *testing.T, empty func(t testing.TB) Medium) { run(t, empty, synctest.Test) }

func run(t *testing.T, empty func(t testing.TB) Medium, within func(*testing.T, func(*testing.T))) {
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
		{"of many writers one wins", lawOneWriterWins},
		{"what is archived stays under its number", lawArchiveInOrder},
		{"archiving and publishing is one write", lawArchiveAndPublish},
		{"an ended context ends a call", lawContextEndsCalls},
		{"a reader follows another's writes", lawReaderFollows},
		{"buffers are not shared", lawNoSharedBuffers},
		{"readers see heads and all below", lawConcurrentReaders},
	} {
		t.Run(law.name, func(t *testing.T) { within(t, func(t *testing.T) { law.check(t, empty(t)) }) })
	}
	for _, law := range sealedLaws {
		t.Run(law.name, func(t *testing.T) { within(t, func(t *testing.T) { law.check(t, empty(t)) }) })
	}
	for _, law := range sharedLaws {
		t.Run(law.name, func(t *testing.T) {
			within(t, func(t *testing.T) {
				w, ok := empty(t).(SharedMedium)
				if !ok {
					t.Skip("one machine reaches this store")
				}
				law.check(t, w)
			})
		})
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
	extend(t, s, log.Grow(manyEntries(w)))
	for _, size := range []int{1, 255, 256, 257, 512, manyEntries(w), len(log.entries)} {
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
	at := log.Head(len(log.entries))
	elsewhere := at
	elsewhere.Root[0] ^= 1
	for name, x := range map[string]ledger.Extension{
		"to another root of the same size": {Old: at, New: elsewhere},
		"to a larger size without entries": {Old: at, New: ledger.Head{Size: at.Size + 1, Root: elsewhere.Root}},
	} {
		if err := s.Extend(t.Context(), x); err == nil {
			t.Errorf("%s: it was taken", name)
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
		after := openTaken(t, survivor)
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

// lawOneWriterWins is laws 1, 4 and 5 with many at once: each has another next state, and
// one of them, whole, is what becomes of it.
func lawOneWriterWins(t *testing.T, w Medium) {
	s := openStore(t, w)
	const writers, rounds = 16, 4
	log := &ReferenceLog{}
	extend(t, s, log.Grow(200))
	var note []byte
	for round := range rounds {
		rivals := make([]*ReferenceLog, writers)
		steps := make([]ledger.Extension, writers)
		for i := range rivals {
			rivals[i] = log.Clone()
			rivals[i].Salt = fmt.Sprintf("writer %d of round %d", i, round)
			steps[i] = rivals[i].Grow(40 + i)
		}
		blob := func(what string, i int) []byte { return fmt.Appendf(nil, "%s %d of round %d", what, i, round) }
		for what, write := range map[string]func(i int) error{
			"extending":  func(i int) error { return s.Extend(t.Context(), steps[i]) },
			"publishing": func(i int) error { return s.Publish(t.Context(), note, blob("checkpoint", i)) },
			"archiving":  func(i int) error { return s.Archive(t.Context(), uint64(round), blob("blob", i)) },
		} {
			errs := make([]error, writers)
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() { errs[i] = write(i) })
			}
			all.Wait()
			won := -1
			for i, err := range errs {
				switch {
				case err == nil && won < 0:
					won = i
				case !errors.Is(err, ledger.ErrConflict):
					t.Fatalf("%s: writer %d got %v, and %d won", what, i, err, won)
				}
			}
			if won < 0 {
				t.Fatalf("%s: nobody won", what)
			}
			switch what {
			case "extending":
				log = rivals[won]
				checkStore(t, s, log)
			case "publishing":
				note = blob("checkpoint", won)
				if got, err := s.Published(t.Context()); err != nil || !bytes.Equal(got, note) {
					t.Fatalf("published %q, %v; %q won", got, err, note)
				}
			case "archiving":
				if got, err := s.Archived(t.Context(), uint64(round)); err != nil || !bytes.Equal(got, blob("blob", won)) {
					t.Fatalf("archived %q, %v; writer %d won", got, err, won)
				}
			}
		}
	}
}

// lawArchiveInOrder is law 5: numbers go up by one, and none is lost or changed.
func lawArchiveInOrder(t *testing.T, w Medium) {
	rng := rand.New(rand.NewPCG(5, 6))
	s := openStore(t, w)
	var all [][]byte
	check := func(s ledger.Store) {
		t.Helper()
		if n, err := s.ArchivedCount(t.Context()); err != nil || n != uint64(len(all)) {
			t.Fatalf("%d are archived, %v; want %d", n, err, len(all))
		}
		for i, want := range all {
			if got, err := s.Archived(t.Context(), uint64(i)); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("archived %d is %q, %v; want %q", i, got, err, want)
			}
		}
		for _, n := range []uint64{uint64(len(all)), uint64(len(all)) + 1, 1 << 40, math.MaxUint64} {
			if got, err := s.Archived(t.Context(), n); !errors.Is(err, ledger.ErrMissing) {
				t.Fatalf("archived %d of %d is %q, %v; want ErrMissing", n, len(all), got, err)
			}
		}
	}
	check(s)
	for i := range 20 {
		blob := fmt.Appendf(nil, "blob %d%*s", i, i*i, "")
		given := bytes.Clone(blob)
		if err := s.Archive(t.Context(), uint64(i), given); err != nil {
			t.Fatal(err)
		}
		clear(given)
		all = append(all, blob)
		check(s)
		if err := s.Archive(t.Context(), uint64(i), bytes.Clone(blob)); err != nil {
			t.Errorf("the newest again: %v", err)
		}
		for what, number := range map[string]uint64{"the same number": uint64(i), "a smaller one": uint64(i) - 1, "one left out": uint64(i) + 2} {
			if err := s.Archive(t.Context(), number, []byte("another")); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("%s, after %d: %v, want ErrConflict", what, i, err)
			}
		}
		if i > 0 {
			if err := s.Archive(t.Context(), uint64(i)-1, all[i-1]); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("the last but one again: %v, want ErrConflict", err)
			}
		}
		check(s)
		survivor := w.Crash(rng)
		after := survivor.Open(t)
		check(after)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = reopenStore(t, w, s)
	check(s)
	if p, err := s.Published(t.Context()); err != nil || p != nil {
		t.Errorf("archiving published %q, %v", p, err)
	}

	// Given up for lost, and applied after another one has its number.
	late := &FaultyStore{Store: s, FaultOf: func(int) Fault { return WriteDelayed }}
	if err := late.Archive(t.Context(), uint64(len(all)), []byte("late")); err == nil || errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("a held write returned %v", err)
	}
	s = reopenStore(t, w, s)
	all = append(all, []byte("the next one"))
	if err := s.Archive(t.Context(), uint64(len(all)-1), all[len(all)-1]); err != nil {
		t.Fatal(err)
	}
	if err := late.ApplyDelayed(t.Context(), s); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("applied late, after another: %v, want ErrConflict", err)
	}
	check(s)
}

// lawArchiveAndPublish is what an [ledger.ArchivingStore] promises.
func lawArchiveAndPublish(t *testing.T, w Medium) {
	rng := rand.New(rand.NewPCG(3, 4))
	s := openStore(t, w)
	if _, ok := s.ClosableStore.(ledger.ArchivingStore); !ok {
		t.Skip("this store archives and publishes in two writes")
	}
	var note []byte
	var all [][]byte
	check := func(s ledger.Store) {
		t.Helper()
		if p, err := s.Published(t.Context()); err != nil || !bytes.Equal(p, note) {
			t.Fatalf("published %q, %v; want %q", p, err, note)
		}
		if n, err := s.ArchivedCount(t.Context()); err != nil || n != uint64(len(all)) {
			t.Fatalf("%d are archived, %v; want %d", n, err, len(all))
		}
		for i, want := range all {
			if got, err := s.Archived(t.Context(), uint64(i)); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("archived %d is %q, %v; want %q", i, got, err, want)
			}
		}
	}
	write := func(number int, old []byte) error {
		return s.ClosableStore.(ledger.ArchivingStore).ArchiveAndPublish(t.Context(), uint64(number), []byte("another blob"), old, []byte("another"))
	}
	for i := range 5 {
		blob, next := fmt.Appendf(nil, "blob %d", i), fmt.Appendf(nil, "checkpoint %d", i)
		if err := ledger.ArchiveAndPublish(t.Context(), s.ClosableStore, uint64(i), blob, note, next); err != nil {
			t.Fatal(err)
		}
		note, all = next, append(all, blob)
		check(s)
		for what, err := range map[string]error{
			"another number": write(i, note), "one left out": write(i+2, note), "another checkpoint": write(i+1, []byte("none")), "no checkpoint": write(i+1, nil),
		} {
			if !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("%s: %v, want ErrConflict", what, err)
			}
		}
		check(s)
		after := openTaken(t, w.Crash(rng))
		check(after)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// lawContextEndsCalls is law 7: reads fail, and writes are done or not.
func lawContextEndsCalls(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	extend(t, s, log.Grow(300))
	note, blob := []byte("checkpoint"), []byte("blob")
	if err := errors.Join(s.Publish(t.Context(), nil, note), s.Archive(t.Context(), 0, blob)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, read := range map[string]func() error{
		"head":      func() error { _, err := s.Head(ended); return err },
		"published": func() error { _, err := s.Published(ended); return err },
		"tiles":     func() error { _, err := s.Tiles(ended, []proof.TileID{{Width: 256}}); return err },
		"entries":   func() error { _, err := s.Entries(ended, 0, 300); return err },
		"an entry":  func() error { _, err := s.Entries(ended, 7, 8); return err },
		"count":     func() error { _, err := s.ArchivedCount(ended); return err },
		"archived":  func() error { _, err := s.Archived(ended, 0); return err },
	} {
		if err := read(); !errors.Is(err, context.Canceled) {
			t.Errorf("reading %s: %v, want context.Canceled", what, err)
		}
	}
	grown := log.Clone()
	longer := grown.Grow(5)
	for what, err := range map[string]error{
		"extending":  s.Extend(ended, longer),
		"publishing": s.Publish(ended, note, []byte("another")),
		"archiving":  s.Archive(ended, 1, []byte("another")),
	} {
		if errors.Is(err, ledger.ErrConflict) {
			t.Errorf("%s: %v, where there is no other writer", what, err)
		}
	}
	s = reopenStore(t, w, s)
	h, err := s.Head(t.Context())
	if err != nil || h != log.Head(300) && h != grown.Head(305) {
		t.Fatalf("head %v, %v; want that of before, or that of after", h, err)
	}
	if h.Size == 305 {
		log = grown
	}
	checkStore(t, s, log)
	if p, err := s.Published(t.Context()); err != nil || !bytes.Equal(p, note) && string(p) != "another" {
		t.Errorf("published %q, %v; want that of before, or that of after", p, err)
	}
	n, err := s.ArchivedCount(t.Context())
	if err != nil || n != 1 && n != 2 {
		t.Fatalf("%d are archived, %v; want 1 or 2", n, err)
	}
	for i, want := range []string{"blob", "another"}[:n] {
		if b, err := s.Archived(t.Context(), uint64(i)); err != nil || string(b) != want {
			t.Errorf("archived %d is %q, %v; want %q", i, b, err, want)
		}
	}
	if b, err := s.Archived(t.Context(), n); !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("archived %d of %d is %q, %v; want ErrMissing", n, n, b, err)
	}
}

// openStore opens a world's store for the length of a test, and takes it.
func openStore(t testing.TB, w Medium) *testStore {
	t.Helper()
	o := &testStore{ClosableStore: openTaken(t, w)}
	t.Cleanup(func() {
		if o.ClosableStore != nil {
			o.Close()
		}
	})
	return o
}

type testStore struct{ ClosableStore }

func openTaken(t testing.TB, w Medium) ClosableStore {
	t.Helper()
	s := w.Open(t)
	if err := s.Take(t.Context()); err != nil {
		t.Fatalf("taking the store: %v", errors.Join(err, s.Close()))
	}
	return s
}

func reopenStore(t testing.TB, w Medium, o *testStore) *testStore {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o.ClosableStore = openTaken(t, w)
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
	for id := range Tiles(0, uint64(size)) {
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
