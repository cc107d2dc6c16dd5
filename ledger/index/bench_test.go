package index

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	benchKeys  = flag.Int("bench.keys", 100_000, "how many keys BenchmarkStore puts into a map")
	benchBatch = flag.Int("bench.batch", 1_000, "how many keys at a time")
)

func benchEntry(i int) Entry {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	return Entry{HashedKey(h), Value(h)}
}

// BenchmarkStore fills a map on the machine's own disk, and prints beside it what it would take to make
// the root anew, from entries that are sorted and in memory, after each batch.
func BenchmarkStore(b *testing.B) {
	for b.Loop() {
		s, err := Open(vfs.Default, b.TempDir(), Options{})
		check(b, err)
		var heap runtime.MemStats
		var sorted []Entry
		var naive time.Duration // of all rebuilds, from one in ten
		batches := *benchKeys / *benchBatch
		var updates, pruning time.Duration
		for i := range batches {
			var batch []Entry
			for j := range *benchBatch {
				batch = append(batch, benchEntry(i**benchBatch+j))
			}
			start := time.Now()
			root, err := s.Update(uint64(i+1), batch)
			check(b, err)
			updates += time.Since(start)
			if i%100 == 99 {
				start = time.Now()
				check(b, s.Prune(b.Context(), uint64(i+1)))
				pruning += time.Since(start)
			}
			if sorted = append(sorted, batch...); i == batches-1 || i%(batches/10) == batches/10-1 {
				slices.SortFunc(sorted, func(a, b Entry) int { return a.Key.Compare(b.Key) })
				start = time.Now()
				if again := must(Root(slices.Values(sorted))); again != root {
					b.Fatalf("batch %d: root %s, and made anew %s", i, root, again)
				}
				took := time.Since(start)
				naive += took * time.Duration(batches/10)
				b.Logf("%d keys: updates %v in all, pruning %v; one root made anew %v; disk %d MiB",
					len(sorted), updates.Round(time.Millisecond), pruning.Round(time.Millisecond), took.Round(time.Millisecond), s.db.Metrics().DiskSpaceUsage()>>20)
			}
		}
		n := float64(batches * *benchBatch)
		b.ReportMetric(n/updates.Seconds(), "keys/s")
		b.ReportMetric(updates.Seconds()*1000/float64(batches), "ms/batch")
		b.ReportMetric(naive.Seconds()/updates.Seconds(), "times-faster-than-anew")
		runtime.GC()
		runtime.ReadMemStats(&heap) // Pebble's block cache is beside it, and has its own bound
		b.ReportMetric(float64(heap.HeapInuse>>20), "MiB-heap")
		start := time.Now()
		const proofs = 1000
		size := 0
		for i := range proofs {
			p, err := s.Newest().Prove(benchEntry(i * 97).Key)
			check(b, err)
			size += len(p.Format())
		}
		b.ReportMetric(time.Since(start).Seconds()*1e6/proofs, "µs/proof")
		b.ReportMetric(float64(size)/proofs, "bytes/proof")
		check(b, s.Close())
	}
}

// BenchmarkUpdate is a batch of new keys on a map of -bench.keys: processor time a batch.
func BenchmarkUpdate(b *testing.B) {
	s, err := Open(vfs.Default, b.TempDir(), Options{})
	check(b, err)
	batches := uint64(0)
	update := func(from, n int) {
		batch := make([]Entry, n)
		for i := range batch {
			batch[i] = benchEntry(from + i)
		}
		batches++
		_, err := s.Update(batches, batch)
		check(b, err)
	}
	const atOnce = 20_000
	at := 0
	for ; at < *benchKeys; at += atOnce {
		update(at, atOnce)
	}
	check(b, s.Prune(b.Context(), batches))
	before := cpuTime(b)
	for b.Loop() {
		update(at, *benchBatch)
		at += *benchBatch
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/batch")
	check(b, s.Close())
}

// cpuTime is what the process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkVerify(b *testing.B) {
	var all []Entry
	for i := range 10_000 {
		all = append(all, benchEntry(i))
	}
	slices.SortFunc(all, func(a, b Entry) int { return a.Key.Compare(b.Key) })
	m := must(Build(slices.Values(all)))
	data := must(m.Prove(all[77].Key)).Format()
	for b.Loop() {
		p, err := ParseProof(data)
		check(b, err)
		if _, ok, err := p.VerifyKey(m.Root(), all[77].Key); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
