package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/bits"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// readCounter counts what is read of the archive.
type readCounter struct {
	ledger.Store
	reads int
}

func (c *readCounter) Archived(ctx context.Context, number uint64) ([]byte, error) {
	c.reads++
	return c.Store.Archived(ctx, number)
}

// Whatever time and size are asked for, after each checkpoint and after a reopening, the
// answer is the last one filed that is within both; and it costs a bisection.
func TestArchiveUpTo(t *testing.T) {
	signer, _ := storetest.NewLogKey(t, testOrigin)
	store := &readCounter{Store: must(pebblestore.Open(vfs.NewMem(), "log", smallOptions))}
	defer store.Store.(*pebblestore.Store).Close()
	a := must(ledger.OpenArchive(t.Context(), store))
	type kept struct {
		timestamp, size uint64
		note            []byte
	}
	var all []kept
	check := func(a ledger.Archive, bounds []uint64) {
		t.Helper()
		for _, timestamp := range bounds {
			for _, size := range bounds {
				var want kept
				for _, k := range all {
					if k.timestamp <= timestamp && k.size <= size {
						want = k
					}
				}
				store.reads = 0
				gotTime, gotSize, note, err := a.UpTo(t.Context(), timestamp, size)
				if err != nil || gotTime != want.timestamp || gotSize != want.size || !bytes.Equal(note, want.note) {
					t.Fatalf("the last one kept up to time %d and size %d of %d is of time %d and size %d, %v; want %d and %d", timestamp, size, len(all), gotTime, gotSize, err, want.timestamp, want.size)
				}
				if most := bits.Len(uint(len(all))) + 1; store.reads > most {
					t.Fatalf("%d reads to find one of %d, want at most %d", store.reads, len(all), most)
				}
			}
		}
	}
	bounds := []uint64{0, 1, 2, 3, 5, 8, 9, 10, 100, 1 << 40, math.MaxUint64}
	check(a, bounds)
	for i, next := range [][2]uint64{{0, 1}, {0, 3}, {2, 3}, {3, 3}, {3, 9}, {9, 9}, {9, 10}, {1 << 40, 1 << 33}} {
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: next[1], Root: proof.LeafHash([]byte{byte(i)})}, signer)).Note()
		if err := a.Add(t.Context(), next[0], next[1], note); err != nil {
			t.Fatal(err)
		}
		all = append(all, kept{next[0], next[1], note})
		check(a, bounds)
		check(must(ledger.OpenArchive(t.Context(), store)), bounds)
	}
	for i := range uint64(300) {
		timestamp, size := 1<<41+i/2, uint64(1<<34)+i/3
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: size, Root: proof.EmptyRoot()}, signer)).Note()
		if err := a.Add(t.Context(), timestamp, size, note); err != nil {
			t.Fatal(err)
		}
		all = append(all, kept{timestamp, size, note})
	}
	bounds = []uint64{7, 1 << 34, 1<<34 + 1, 1<<34 + 50, 1<<34 + 99, 1<<34 + 100, 1 << 41, 1<<41 + 1, 1<<41 + 149, 1<<41 + 150}
	check(a, bounds)
	check(must(ledger.OpenArchive(t.Context(), store)), bounds)
}

// testdata/archive-by-size/log was written by a version whose store kept checkpoints under
// size and time, and moments.json says what that version answered. It opens, whatever
// write of the opening is cut off by a crash; answers the same; and goes on.
func TestArchiveOfAnEarlierVersion(t *testing.T) {
	const dir = "testdata/archive-by-size"
	var moments []struct {
		At   time.Time
		Size uint64
	}
	if err := json.Unmarshal(must(os.ReadFile(dir+"/moments.json")), &moments); err != nil || len(moments) < 30 {
		t.Fatal(len(moments), err)
	}
	w := newTestEnv(t)
	w.policy = must(proof.ParsePolicy(must(os.ReadFile(dir + "/policy.txt"))))
	mem := vfs.NewCrashableMem()
	if ok, err := vfs.Clone(vfs.Default, mem, dir+"/log", "log", vfs.CloneSync); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for _, name := range []string{"log", ""} {
		if d := must(mem.OpenDir(name)); d.Sync() != nil || d.Close() != nil {
			t.Fatal("the copy is not durable")
		}
	}
	check := func(t *testing.T, n *testLedger) {
		t.Helper()
		if got := n.Published().Checkpoint().Size; got != 41 {
			t.Fatalf("published is size %d", got)
		}
		for _, m := range moments {
			p, err := n.CheckpointAt(t.Context(), m.At)
			if err != nil || p.Checkpoint().Size != m.Size {
				t.Fatalf("at %s: %v, want size %d", m.At, err, m.Size)
			}
			p, err = n.CheckpointUpTo(t.Context(), m.Size)
			if err != nil || p.Checkpoint().Size != m.Size {
				t.Fatalf("up to size %d: %v", m.Size, err)
			}
		}
		if count := must(n.store.ArchivedCount(t.Context())); count < 20 || count > 40 {
			t.Fatalf("%d are archived", count)
		}
	}
	var mu sync.Mutex // Pebble writes in the background too
	var crashes []*vfs.MemFS
	w.fs = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, mem.CrashClone(vfs.CrashCloneCfg{}))
		}
		return nil
	}))
	n := w.mustOpen(t)
	check(t, n)
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < 20 {
		t.Fatalf("%d writes", len(crashes))
	}
	for i, left := range crashes {
		if testing.Short() && i%4 != 0 {
			continue
		}
		n := w.onDisk(left).mustOpen(t)
		check(t, n)
		n = w.onDisk(left).reopen(t, n)
		check(t, n)
		n.close()
	}
}
