package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openStore opens one that is cheap to open often.
func openStore(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(fs, "map", Options{CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
	check(t, err)
	return s
}

// history is a map as it was at each size.
type history struct {
	entries map[Key]Value
	sizes   []uint64
	maps    map[uint64]*Map
}

func newHistory() *history {
	h := &history{entries: map[Key]Value{}, maps: map[uint64]*Map{}}
	h.add(0, nil)
	return h
}

func (h *history) add(size uint64, batch []Entry) {
	for _, e := range batch {
		h.entries[e.Key] = e.Value
	}
	var all []Entry
	for k, v := range h.entries {
		all = append(all, Entry{k, v})
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Key.Compare(b.Key) })
	h.sizes, h.maps[size] = append(h.sizes, size), must(Build(slices.Values(all)))
}

// batch has new keys, and some that are there, with the same value or another.
func (h *history) batch(rng *rand.Rand, most int) []Entry {
	made := map[Key]Value{}
	there := slices.SortedFunc(maps.Keys(h.entries), Key.Compare)
	for range rng.IntN(most + 1) {
		k := []func(*rand.Rand) Key{someKey, closeKey}[rng.IntN(2)](rng)
		if len(there) > 0 && rng.IntN(3) == 0 {
			k = there[rng.IntN(len(there))]
		}
		made[k] = value(fmt.Sprint(rng.IntN(3)))
	}
	var entries []Entry
	for k, v := range made { // in any order
		entries = append(entries, Entry{k, v})
	}
	return entries
}

// same holds a store's map to be that of the history, in all that can be asked of it.
func (h *history) same(t *testing.T, v *View, rng *rand.Rand) {
	t.Helper()
	want := h.maps[v.Size()]
	if want == nil || v.Root() != want.Root() {
		t.Fatalf("size %d: root %s, want one of %v", v.Size(), v.Root(), h.sizes)
	}
	var all []Entry
	for e, err := range v.Entries(Prefix{}) {
		check(t, err)
		all = append(all, e)
	}
	if !slices.Equal(all, slices.Collect(want.Entries(Prefix{}))) {
		t.Fatalf("size %d: %d entries are not those of the map", v.Size(), len(all))
	}
	for range 8 {
		queries := []Query{someKey(rng), closeKey(rng), someKey(rng).Prefix()}
		if len(all) > 0 {
			queries = append(queries, all[rng.IntN(len(all))].Key)
		}
		for _, q := range queries {
			if k, ok := q.(Key); ok {
				got, there, err := v.Value(k)
				wanted, wantThere := want.Value(k)
				if err != nil || there != wantThere || there && got != wanted {
					t.Fatalf("size %d: %s has %x, %v, %v; want %x, %v", v.Size(), k, got, there, err, wanted, wantThere)
				}
			}
		}
		got, err := v.Prove(queries...)
		check(t, err)
		if !bytes.Equal(got.Format(), must(want.Prove(queries...)).Format()) {
			t.Fatalf("size %d: the proof of %s is not that of the map in memory", v.Size(), queries)
		}
	}
}

// A store has the map of each size, whatever the order in which entries came, after it
// is opened again, and until it is pruned; then nothing is left that no map needs.
func TestStoreKeepsTheMapOfEachSize(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			fs, h := vfs.NewMem(), newHistory()
			s := openStore(t, fs)
			size := uint64(0)
			for range 12 {
				size += 1 + rng.Uint64N(5)
				batch := h.batch(rng, []int{3, 60}[rng.IntN(2)])
				h.add(size, batch)
				root, err := s.Update(size, batch)
				if err != nil || root != h.maps[size].Root() {
					t.Fatalf("size %d: root %s, %v; want %s", size, root, err, h.maps[size].Root())
				}
				if rng.IntN(4) == 0 {
					check(t, s.Close())
					s = openStore(t, fs)
				}
			}
			for _, size := range h.sizes {
				h.same(t, must(s.At(size)), rng)
			}
			from := h.sizes[rng.IntN(len(h.sizes))]
			kept := must(s.At(from))
			check(t, s.Prune(t.Context(), from-rng.Uint64N(min(2, from+1))))
			h.same(t, kept, rng)
			for _, size := range h.sizes {
				v, err := s.At(size)
				switch {
				case size >= from:
					check(t, err)
					h.same(t, v, rng)
				case from > size+1 && !errors.Is(err, ErrNotKept):
					t.Fatalf("size %d, pruned below %d: %v", size, from, err)
				}
			}
			check(t, s.Prune(t.Context(), size))
			check(t, s.Close())
			s = openStore(t, fs)
			defer s.Close()
			h.same(t, s.Newest(), rng)
			if rows, want := countRows(t, s), max(len(h.entries)-1, 0); rows[rowNode] != want || rows[rowRoot] != 1 {
				t.Errorf("after pruning all but a map of %d keys: %d rows of inner nodes, %d of roots", len(h.entries), rows[rowNode], rows[rowRoot])
			}
		})
	}
}

func countRows(t *testing.T, s *Store) map[byte]int {
	rows := map[byte]int{}
	it := must(s.db.NewIter(nil))
	for ok := it.First(); ok; ok = it.Next() {
		rows[it.Key()[0]]++
	}
	check(t, it.Close())
	return rows
}

// power fails before one of the writes: what the disk is after that is taken then.
type power struct {
	mem *vfs.MemFS
	rng *rand.Rand

	mu      sync.Mutex
	left    int // writes until then
	crashed *vfs.MemFS
}

func (p *power) String() string { return "power" }

func (p *power) MaybeError(op errorfs.Op) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		if p.left--; p.left == 0 {
			p.crashed = p.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * p.rng.IntN(3), RNG: p.rng})
		}
	}
	return nil
}

func (p *power) disk() *vfs.MemFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashed
}

// The power fails before each single write, of updates and of pruning: the store has the map of
// one of the sizes, whole, and none that was reported is lost.
func TestCrashAtEachWrite(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	h := newHistory()
	batches := map[uint64][]Entry{}
	for size := uint64(1); size <= 6; size++ {
		batches[size] = h.batch(rng, 40)
		h.add(size, batches[size])
	}
	// run goes on from where the store stands to the last size, and prunes at two of them.
	run := func(s *Store, reported func(size uint64)) error {
		for size := s.Newest().Size() + 1; size <= 6; size++ {
			if _, err := s.Update(size, batches[size]); err != nil {
				return err
			}
			reported(size)
			if size%3 == 0 {
				if err := errors.Join(s.Prune(t.Context(), size-1), s.db.Flush()); err != nil {
					return err
				}
			}
		}
		return nil
	}
	writes := 1
	for ; ; writes++ {
		p := &power{mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(uint64(writes), 7)), left: writes}
		s := openStore(t, errorfs.Wrap(p.mem, p))
		last := uint64(0)
		check(t, run(s, func(size uint64) {
			if p.disk() == nil {
				last = size
			}
		}))
		check(t, s.Close())
		if p.disk() == nil {
			break
		}
		s = openStore(t, p.disk())
		if size := s.Newest().Size(); size < last {
			t.Fatalf("write %d: the map is of size %d after a crash, and %d was reported", writes, size, last)
		}
		h.same(t, s.Newest(), rng)
		check(t, run(s, func(uint64) {}))
		h.same(t, s.Newest(), rng)
		check(t, s.Prune(t.Context(), 6))
		if rows := countRows(t, s); rows[rowNode] != len(h.entries)-1 {
			t.Fatalf("write %d: %d rows of inner nodes are left, want %d", writes, rows[rowNode], len(h.entries)-1)
		}
		check(t, s.Close())
	}
	if writes < 30 {
		t.Errorf("%d writes in all: not what this test is for", writes)
	}
}

// Views are read while the map grows and is pruned: each gives the same as at first, or says
// that it is let go.
func TestViewsWhileTheMapGrows(t *testing.T) {
	s, h := openStore(t, vfs.NewMem()), newHistory()
	rng := rand.New(rand.NewPCG(1, 8))
	var readers sync.WaitGroup
	grown := make(chan struct{})
	for size := uint64(1); size <= 20; size++ {
		batch := h.batch(rng, 30)
		h.add(size, batch)
		must(s.Update(size, batch))
		v, want := must(s.At(size)), h.maps[size]
		readers.Go(func() {
			for read := range 6 { // the last one when all is written
				if read == 5 {
					<-grown
				}
				got, err := v.Prove(Prefix{})
				if errors.Is(err, ErrNotKept) && size < 20 {
					return
				}
				if err != nil || !bytes.Equal(got.Format(), must(want.Prove(Prefix{})).Format()) {
					t.Errorf("size %d while others are written: %v", size, err)
					return
				}
			}
		})
		if size > 5 {
			check(t, s.Prune(t.Context(), size-5))
		}
	}
	check(t, s.Prune(t.Context(), 20))
	close(grown)
	readers.Wait()
	check(t, s.Close())
}

// Entries that the map has already cost it no row but that of the size.
func TestUpdateWithoutAChangeWritesNoNode(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	batch := randomMap(rand.New(rand.NewPCG(1, 9)), 60, someKey).sorted()
	root := must(s.Update(1, batch))
	before := countRows(t, s)
	if again := must(s.Update(2, batch)); again != root {
		t.Errorf("root %s, want %s", again, root)
	}
	if after := countRows(t, s); after[rowNode] != before[rowNode] || before[rowNode] != 59 {
		t.Errorf("%d rows of inner nodes, and %d before", after[rowNode], before[rowNode])
	}
	check(t, s.Close())
}

// What cannot be done is said, and leaves the store as it was.
func TestStoreRefusals(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	k := must(NewKey("a"))
	root := must(s.Update(5, []Entry{{k, value("1")}}))
	for _, c := range []struct {
		size    uint64
		entries []Entry
		want    string
	}{
		{5, nil, "it is of size 5 already"},
		{6, []Entry{{k, value("1")}, {k, value("2")}}, "twice"},
		{6, []Entry{{}}, "without a key"},
		{6, make([]Entry, MaxUpdate+1), "at most 65536 at a time"},
	} {
		if _, err := s.Update(c.size, c.entries); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("an update to size %d: %v, want %q", c.size, err, c.want)
		}
	}
	if _, err := s.At(4); !errors.Is(err, ErrNotKept) {
		t.Errorf("the map of a size that was none: %v", err)
	}
	if _, err := s.At(6); !errors.Is(err, ErrNotKept) {
		t.Errorf("the map of a size to come: %v", err)
	}
	if err := s.Prune(t.Context(), 6); err == nil {
		t.Error("all maps are pruned")
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Prune(cut, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("a prune that is cut short: %v", err)
	}
	if _, err := s.At(0); !errors.Is(err, ErrNotKept) {
		t.Errorf("the map of size 0 after a prune that was cut short: %v", err)
	}
	if v := s.Newest(); v.Size() != 5 || v.Root() != root {
		t.Errorf("the map is of size %d with root %s, want 5 and %s", v.Size(), v.Root(), root)
	}
	check(t, s.db.Set([]byte{rowFormat}, []byte{storeFormat + 1}, pebble.Sync))
	check(t, s.Close())
	if _, err := Open(fs, "map", Options{}); err == nil || !strings.Contains(err.Error(), "format [2], and this binary knows 1") {
		t.Errorf("a store of a format to come: %v", err)
	}
}

// A row that is not what was written is damage: nothing is read from it, nor proven with it.
func TestDamagedRowIsNotBelieved(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	must(s.Update(1, newHistory().batch(rand.New(rand.NewPCG(1, 9)), 60)))
	it := must(s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowNode}, UpperBound: []byte{rowNode + 1}}))
	it.Last()
	key, row := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	check(t, it.Close())
	for name, damaged := range map[string][]byte{
		"a value changed": append(bytes.Clone(row[:len(row)-1]), row[len(row)-1]^1),
		"cut off":         row[:len(row)-1],
		"too long":        append(bytes.Clone(row), 0),
		"empty":           {},
		"gone":            nil,
	} {
		if damaged == nil {
			check(t, s.db.Delete(key, pebble.Sync))
		} else {
			check(t, s.db.Set(key, damaged, pebble.Sync))
		}
		check(t, s.Close())
		health := disk.NewHealth(disk.Config{})
		s = must(Open(fs, "map", Options{Health: health}))
		if _, err := s.Newest().Prove(Prefix{}); !disk.Damaged(err) || len(health.Damage()) != 1 {
			t.Errorf("%s: %v, and told was %v; want damage", name, err, health.Damage())
		}
		for _, err := range s.Newest().Entries(Prefix{}) {
			if err != nil && !disk.Damaged(err) {
				t.Errorf("%s: %v, want damage", name, err)
			}
		}
	}
	check(t, s.Close())
}
