package disk_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The power fails at each write of an opening, on a disk that keeps unsynced names or
// loses them one by one: the store opens, and has what it had.
func TestOpensWhateverOrderNamesAreKeptIn(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s, err := pebblestore.Open(disk, "store", pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head := ledger.Head{Size: 1, Root: proof.LeafHash([]byte("entry"))}
	leaf := proof.LeafHash([]byte("entry"))
	tile := proof.Tile{ID: proof.TileID{Width: 1}, Hashes: leaf[:]}
	if err := s.Extend(t.Context(), ledger.Extension{Old: old, New: head, Entries: [][]byte{[]byte("entry")}, Tiles: []proof.Tile{tile}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	crashes := 0
	for range 40 {
		var mu sync.Mutex // Pebble writes in the background too
		var left []*vfs.MemFS
		now := disk.CrashClone(vfs.CrashCloneCfg{})
		s, err := pebblestore.Open(errorfs.Wrap(now, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				left = append(left, now.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
			}
			return nil
		})), "store", pebblestore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		for i, after := range left {
			s, err := pebblestore.Open(after, "store", pebblestore.Options{})
			if err != nil {
				t.Fatalf("crash %d of an opening: %v", i, err)
			}
			if got, err := s.Head(t.Context()); err != nil || got != head {
				t.Fatalf("crash %d of an opening: head %v, %v, want %v", i, got, err, head)
			}
			s.Close()
			crashes++
		}
		mu.Unlock()
	}
	if crashes < 200 {
		t.Errorf("only %d crashes", crashes)
	}
}
