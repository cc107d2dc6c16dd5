package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// core measures the ledger without the register: durable appends of small entries
// with exact deduplication.
func (r *run) core(ctx context.Context) error {
	const origin = "bench.example/core"
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		return err
	}
	signer, err := proof.ParseSigner(skey)
	if err != nil {
		return err
	}
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "core")
	store, err := pebblestore.Open(vfs.Default, filepath.Join(dir, "log"), pebblestore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	index, err := pebblestore.OpenBlobFold(vfs.Default, filepath.Join(dir, "index"), policy, pebblestore.Options{})
	if err != nil {
		return err
	}
	defer index.Close()
	l, err := ledger.Open(ctx, store, index, ledger.Config{
		Origin: origin, Signers: []*proof.Signer{signer}, PublishInterval: 100 * time.Millisecond, MaxBacklog: 1 << 40,
	})
	if err != nil {
		return err
	}
	blob := blobMaker(r.Size)
	took, err := appendAll(ctx, l, r.Entries, func(i int) (pebblestore.Blob, error) { return blob(i), nil })
	if err != nil {
		return err
	}
	r.row("core: durable appends with exact dedup", perSecond(r.Entries, took), "entries/s")
	return nil
}

// blobMaker makes entries: bytes from anywhere in a pool of random ones, so that nothing
// compresses, and a number. To draw each anew was measured to cost a twelfth of all.
func blobMaker(size int) func(i int) pebblestore.Blob {
	size = max(size-8, 8) // the admission time takes eight
	pool := make([]byte, 1<<20+size)
	rand.Read(pool)
	return func(i int) pebblestore.Blob {
		data := make([]byte, size)
		copy(data, pool[i*7919%(1<<20):])
		binary.BigEndian.PutUint64(data, uint64(i))
		return pebblestore.NewBlob(data)
	}
}

// appendAll appends n items as fast as they become durable and returns how long it took.
func appendAll[V ledger.Item](ctx context.Context, l *ledger.Ledger[V], n int, item func(i int) (V, error)) (time.Duration, error) {
	const maxPending = 8192 // items that wait for their commit at once
	ctx, cancel := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	var next atomic.Int64
	var wg sync.WaitGroup
	var first error
	var once sync.Once
	begun := time.Now()
	for range min(maxPending, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				v, err := item(i)
				var t *ledger.Ticket
				if err == nil {
					t, err = l.Append(ctx, v)
				}
				if err == nil {
					_, err = t.AwaitCommitted(ctx)
				}
				if err != nil {
					once.Do(func() { first = err; cancel() })
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	cancel()
	return took, errors.Join(first, <-ran)
}
