package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

const perPut = 50 * time.Millisecond

// running is a ledger over a bucket where each request takes 50 ms.
type running struct {
	*ledger.Ledger[pebblestore.Blob]
	store *objectstore.Store
	link  *objectstoretest.Link
	end   func()
}

func run(t *testing.T, c ledger.Config, commitInterval time.Duration) *running {
	t.Helper()
	w := newWorld()
	w.config = func(c *objectstore.Config) { c.CommitInterval = commitInterval }
	w.faults = func(l *objectstoretest.Link) { l.Delay = perPut }
	store := w.Handle(t).(*objectstore.Store)
	signer, policy := storetest.NewLogKey(t, origin)
	small := pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 4 << 20}
	index, err := pebblestore.OpenBlobFold(vfs.NewMem(), "index", policy, small)
	if err != nil {
		t.Fatal(err)
	}
	c.Origin, c.Signers, c.RecosignInterval = origin, append(c.Signers, signer), -1
	l, err := ledger.Open(t.Context(), store, index, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := l.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return &running{l, store, w.links[store], func() {
		cancel()
		loop.Wait()
		if err := errors.Join(store.Close(), index.Close()); err != nil {
			t.Error(err)
		}
	}}
}

// submit appends a blob, and returns how long it took until it was published.
func (r *running) submit(t *testing.T, n int) time.Duration {
	begun := time.Now()
	ticket, err := r.Append(t.Context(), pebblestore.NewBlob(fmt.Appendf(nil, "blob %d %0400d", n, n)))
	if err != nil {
		t.Error(err)
		return 0
	}
	a, err := ticket.AwaitCommitted(t.Context())
	if err == nil {
		_, err = r.AwaitPublished(t.Context(), a.Index)
	}
	if err != nil {
		t.Error(err)
	}
	return time.Since(begun)
}

// 5,000 records a second and more go through, in batches, of which each is two PUTs.
func TestThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, ledger.Config{Overlap: true}, 0)
		defer r.end()
		begun := time.Now()
		const records = 20_000
		var all sync.WaitGroup
		for i := range records {
			all.Go(func() { r.submit(t, i) })
			if i%10_000 == 9_999 {
				all.Wait()
			}
		}
		rate := int(records / time.Since(begun).Seconds())
		t.Logf("%d records a second", rate)
		if rate < 5_000 {
			t.Errorf("%d records a second, want 5,000", rate)
		}
	})
}

// A publication is three PUTs one after another, and nothing else: stage, head, published. The
// fan-out is beside it.
func TestIdlePublicationTakesThreePuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, ledger.Config{}, 0)
		defer r.end()
		time.Sleep(time.Minute)
		for i := range 20 {
			before := r.link.Count("PUT")
			if took := r.submit(t, i); took != 3*perPut {
				t.Errorf("the record %d took %v, want three PUTs of %v", i, took, perPut)
			}
			time.Sleep(10 * time.Second)
			// Beside it: the partial tile and bundle, and the checkpoint; and once a new tile's.
			if puts := r.link.Count("PUT") - before; puts > 3+3 {
				t.Errorf("the record %d took %d PUTs", i, puts)
			}
		}
		before := r.link.Count("PUT") + r.link.Count("GET")
		time.Sleep(time.Hour)
		if asked := r.link.Count("PUT") + r.link.Count("GET") - before; asked > 0 {
			t.Errorf("an idle hour took %d requests", asked)
		}
	})
}

// At 1,000 records a second.
func TestFiguresUnderLoad(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   ledger.Config
		puts     int           // a million records
		interval time.Duration // of commits
		p50, p99 time.Duration // submitted to published
	}{
		{"as fast as it goes", ledger.Config{Overlap: true}, 60_000, 0, 6 * perPut, 8 * perPut},
		{"one publication and 8 commits a second", ledger.Config{Overlap: true, PublishInterval: time.Second}, 30_000, time.Second / 8, 800 * time.Millisecond, 1400 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, c.config, c.interval)
				defer r.end()
				time.Sleep(time.Minute)
				const rate, seconds = 1000, 6
				took := make([]time.Duration, rate*seconds)
				before := r.link.Count("PUT")
				var all sync.WaitGroup
				for i := range took {
					all.Go(func() { took[i] = r.submit(t, i) })
					time.Sleep(time.Second / rate)
				}
				all.Wait()
				slices.Sort(took)
				puts := (r.link.Count("PUT") - before) * 1_000_000 / len(took)
				p50, p99 := took[len(took)/2], took[len(took)*99/100]
				t.Logf("submitted to published p50 %v, p99 %v; %d PUTs a million", p50, p99, puts)
				if p50 > c.p50 || p99 > c.p99 || puts > c.puts {
					t.Errorf("want at most %v, %v, %d", c.p50, c.p99, c.puts)
				}
			})
		})
	}
}
