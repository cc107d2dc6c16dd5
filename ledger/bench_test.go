package ledger_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// runningLedger is a ledger on the real disk, with a fold that only deduplicates.
type runningLedger struct {
	*ledger.Ledger[pebblestore.Blob]
	stop func() error // ends Run and closes everything
}

func startLedger(b *testing.B, dir string, c ledger.Config) runningLedger {
	b.Helper()
	store, err := pebblestore.Open(vfs.Default, dir+"/log", pebblestore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	signer, policy := storetest.NewLogKey(b, testOrigin)
	index, err := pebblestore.OpenBlobFold(vfs.Default, dir+"/index", policy, pebblestore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	c.Origin, c.Signers = testOrigin, []*proof.Signer{signer}
	l, err := ledger.Open(b.Context(), store, index, c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return runningLedger{l, func() error {
		cancel()
		err := <-ended
		index.Close()
		store.Close()
		return err
	}}
}

// cpuTime is the processor time that the process has used: what a busy machine does not change.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// blobsOfSize makes blobs of incompressible bytes, all different, of which entries have
// this size.
func blobsOfSize(size int) func(i uint64) pebblestore.Blob {
	noise := make([]byte, 1<<20)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(noise)
	return func(i uint64) pebblestore.Blob {
		data := make([]byte, size-8) // the admission time has eight
		copy(data, noise[i*7919%uint64(len(noise)-size):])
		binary.BigEndian.PutUint64(data, i)
		return pebblestore.NewBlob(data)
	}
}

// fill appends n blobs, as fast as workers that each wait for their own commit can.
func fill(b *testing.B, l *ledger.Ledger[pebblestore.Blob], from, n uint64, size, workers int) {
	b.Helper()
	blob := blobsOfSize(size)
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				t, err := l.Append(b.Context(), blob(from+i))
				if err == nil {
					_, err = t.AwaitCommitted(b.Context())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkAppend is the ledger's core: 300-byte entries with exact deduplication
// to durable. Choose the size of the ledger with -benchtime 100000x and so on: the
// cost per entry stays flat.
func BenchmarkAppend(b *testing.B) {
	l := startLedger(b, b.TempDir(), ledger.Config{PublishInterval: 100 * time.Millisecond, MaxBacklog: 1 << 40})
	b.ResetTimer()
	b.ReportAllocs()
	before := cpuTime()
	fill(b, l.Ledger, 0, uint64(b.N), 300, 8192)
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	b.ReportMetric(float64(r.Maxrss)/1024, "rss-MiB")
	if err := l.stop(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkReceipt builds and checks inclusion proofs of random entries of a
// warm ledger of a million.
func BenchmarkReceipt(b *testing.B) {
	const size = 1_000_000
	l := startLedger(b, b.TempDir(), ledger.Config{PublishInterval: 100 * time.Millisecond, MaxBacklog: 1 << 40})
	fill(b, l.Ledger, 0, size, 300, 8192)
	if _, err := l.AwaitPublished(b.Context(), size-1); err != nil {
		b.Fatal(err)
	}
	for i := uint64(0); i < size; i += 256 {
		l.Receipt(b.Context(), i)
	}
	b.ResetTimer()
	b.ReportAllocs()
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		for pb.Next() {
			if _, err := l.Receipt(b.Context(), rng.Uint64N(size)); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/receipt")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
	if err := l.stop(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpenLoop offers a thousand entries a second, whether or not the ledger
// keeps up, and reports how long each took to be durable and to be published,
// beside what a bare fdatasync of 4 KiB took meanwhile.
func BenchmarkOpenLoop(b *testing.B) {
	const rate = 1000
	dir := b.TempDir()
	l := startLedger(b, dir, ledger.Config{})
	blob := blobsOfSize(800)
	committed, published := make([]time.Duration, b.N), make([]time.Duration, b.N)
	stop, syncs := make(chan struct{}), make(chan []time.Duration)
	go func() { syncs <- syncTimes(b, dir+"/probe", stop) }()
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range b.N {
		due := start.Add(time.Duration(i) * time.Second / rate)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			t, err := l.Append(b.Context(), blob(uint64(i)))
			if err != nil {
				b.Error(err)
				return
			}
			a, err := t.AwaitCommitted(b.Context())
			committed[i] = time.Since(due)
			if err == nil {
				_, err = l.AwaitPublished(b.Context(), a.Index)
			}
			if err != nil {
				b.Error(err)
			}
			published[i] = time.Since(due)
		})
	}
	wg.Wait()
	b.StopTimer()
	close(stop)
	report := func(name string, d []time.Duration) {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2].Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), name+"-p99-µs")
	}
	report("fsync", <-syncs)
	report("committed", committed)
	report("published", published)
	if err := l.stop(); err != nil {
		b.Fatal(err)
	}
}

// syncTimes measures a small durable write now and then until stop.
func syncTimes(b *testing.B, path string, stop <-chan struct{}) (took []time.Duration) {
	f, err := os.Create(path)
	if err != nil {
		b.Error(err)
		return []time.Duration{0}
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		begun := time.Now()
		_, err := f.Write(block)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			b.Error(err)
		}
		took = append(took, time.Since(begun))
		select {
		case <-stop:
			return took
		case <-time.After(20 * time.Millisecond):
		}
	}
}
