package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
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
	health := disk.NewHealth(disk.Config{Fatal: r.Fatal})
	store, err := pebblestore.Open(vfs.Default, filepath.Join(dir, "log"), pebblestore.Options{Health: health})
	if err != nil {
		return err
	}
	defer store.Close()
	index, err := pebblestore.OpenBlobFold(vfs.Default, filepath.Join(dir, "index"), policy, pebblestore.Options{Health: health})
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
func appendAll[V any](ctx context.Context, l *ledger.Ledger[V], n int, item func(i int) (V, error)) (took time.Duration, err error) {
	err = whileRunning(ctx, l, func() error {
		begun := time.Now()
		err := appendWhileRunning(ctx, l, n, item)
		took = time.Since(begun)
		return err
	})
	return took, err
}

// whileRunning runs a ledger while f does something.
func whileRunning[V any](ctx context.Context, l *ledger.Ledger[V], f func() error) error {
	running, end := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- l.Run(running) }()
	err := f()
	end()
	return errors.Join(err, <-ran)
}

// appendWhileRunning is appendAll for a ledger that runs.
func appendWhileRunning[V any](ctx context.Context, l *ledger.Ledger[V], n int, item func(i int) (V, error)) error {
	const maxPending = 8192 // items that wait for their commit at once
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	var first error
	var once sync.Once
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
	return errors.Join(first, ctx.Err())
}

// records measures Append of real responses, signatures verified beforehand,
// through the whole register. The ledger stays for the runs after it.
func (r *run) records(ctx context.Context) error {
	w, err := r.newBenchLedger(ctx, "records", r.Records, node.Config{})
	if err != nil {
		return err
	}
	took, err := w.fill(ctx, r.Records, w.responses)
	if err != nil {
		return err
	}
	r.row("records: durable appends, full register", perSecond(r.Records, took), "records/s")
	r.recordsLedger = w
	return nil
}

// fill appends n records, some at a time, and returns how long the appends took: signing and verifying go before.
func (w *benchLedger) fill(ctx context.Context, n int, sign func(n int) []record.Envelope) (took time.Duration, err error) {
	const atOnce = 50_000 // verified records in memory
	for left := n; left > 0; left -= atOnce {
		verified, err := w.openAll(sign(min(atOnce, left)))
		if err != nil {
			return took, err
		}
		part, err := appendAll(ctx, w.node.Ledger, len(verified), func(i int) (record.Verified, error) { return verified[i], nil })
		if took += part; err != nil {
			return took, err
		}
		if err := w.reopen(ctx); err != nil {
			return took, err
		}
	}
	return took, nil
}

// latency offers records at a fixed rate, whether or not the ledger keeps up, and
// measures from when each was due to when it was published, beside what the disk's
// syncs took before and after. How far the offers were behind the schedule, which is part of
// that, is a row of its own: a runtime's timers are late by up to a millisecond, and whatever is above it
// was waiting for a core that the ledger had.
func (r *run) latency(ctx context.Context) error {
	n := int(r.For.Seconds() * float64(r.Rate))
	w, err := r.newBenchLedger(ctx, "latency", n, node.Config{})
	if err != nil {
		return err
	}
	defer w.node.Close()
	verified, err := w.openAll(w.responses(n))
	if err != nil {
		return err
	}
	before, err := r.fsyncTimes()
	if err != nil {
		return err
	}
	var published, late []time.Duration
	if err := whileRunning(ctx, w.node.Ledger, func() (err error) {
		published, late, err = r.openLoop(ctx, n, func(i int) error { return w.publish(ctx, verified[i]) })
		return err
	}); err != nil {
		return err
	}
	after, err := r.fsyncTimes()
	if err != nil {
		return err
	}
	syncs := append(before, after...)
	slices.Sort(syncs)
	slices.Sort(published)
	r.rowWithLimit("submit to published, p50", quantile(published, 0.5), "ms", quantile(syncs, 0.5), "fsync p50")
	r.rowWithLimit("submit to published, p99", quantile(published, 0.99), "ms", quantile(syncs, 0.99), "fsync p99")
	slices.Sort(late)
	r.row("offered behind schedule, p99", quantile(late, 0.99), "ms")
	return nil
}

// openLoop makes n offers at the rate, whether or not what is offered is done with: how long each took from when it was due,
// and how late it was made.
func (r *run) openLoop(ctx context.Context, n int, offer func(i int) error) (took, late []time.Duration, err error) {
	failed := make([]error, n)
	took, late = make([]time.Duration, n), make([]time.Duration, n)
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(r.Rate))
		if err := pause(ctx, time.Until(due)); err != nil {
			break
		}
		late[i] = time.Since(due)
		wg.Go(func() {
			failed[i] = offer(i)
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	return took, late, errors.Join(append(failed, ctx.Err())...)
}

func (w *benchLedger) publish(ctx context.Context, v record.Verified) error {
	t, err := w.node.Ledger.Append(ctx, v)
	if err != nil {
		return err
	}
	a, err := t.AwaitCommitted(ctx)
	if err != nil {
		return err
	}
	_, err = w.node.Ledger.AwaitPublished(ctx, a.Index)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	providers   = 50
	benchOrigin = "bench.example/records"
)

// benchLedger is a real ledger with a charter, an authority, providers and enough
// designations for each provider to answer.
type benchLedger struct {
	*registertest.World
	node          *node.Node
	config        node.Config
	designations  int
	responsesMade int // responses handed out
}

// newBenchLedger begins a ledger in which so many responses can be given. c has what is not as ever: the store, the
// pacing.
func (r *run) newBenchLedger(ctx context.Context, name string, responses int, c node.Config) (*benchLedger, error) {
	c.Dir = filepath.Join(r.dir, name)
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if c.Keys, err = node.CreateKeys(c.Dir, benchOrigin); err != nil {
		return nil, err
	}
	policy := ""
	for _, s := range c.Keys.Signers {
		policy += "log " + s.Key().String() + "\n"
	}
	c.Fatal, c.Ledger.MaxBacklog = r.Fatal, 1<<40
	n, err := node.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	w := &benchLedger{World: registertest.New(time.Now(), benchOrigin, policy+"quorum none\n"), node: n, config: c, designations: (responses + providers - 1) / providers}
	if err := w.appendFirstRecords(ctx); err != nil {
		return nil, errors.Join(err, w.node.Close())
	}
	return w, nil
}

// appendFirstRecords appends one by one what those after it are judged by, and then all others at once.
func (w *benchLedger) appendFirstRecords(ctx context.Context) error {
	for _, first := range []func() record.Envelope{w.Charter, w.Authority} {
		env := first()
		if _, _, err := w.node.Admit(ctx, env); err != nil {
			return err
		}
		w.NoteAdmitted(env)
	}
	envs := make([]record.Envelope, 0, providers+w.designations)
	for i := range providers {
		envs = append(envs, w.Provider(providerName(i)))
	}
	for i := range w.designations {
		envs = append(envs, w.Designate(designationName(i), w.NewDesignation("Target "+designationName(i)+" (fictional)")))
	}
	for _, env := range envs {
		w.NoteAdmitted(env)
	}
	_, err := w.fill(ctx, len(envs), inTurn(envs))
	return err
}

// inTurn hands out what is signed already.
func inTurn(envs []record.Envelope) func(n int) []record.Envelope {
	return func(n int) (next []record.Envelope) {
		next, envs = envs[:n], envs[n:]
		return next
	}
}

func providerName(i int) string    { return fmt.Sprintf("provider-%02d", i) }
func designationName(i int) string { return fmt.Sprintf("2026-%06d", i) }

// reopen opens the ledger anew: one that has run does not run again.
func (w *benchLedger) reopen(ctx context.Context) error {
	n, err := w.node.Reopen(ctx)
	if err == nil {
		w.node = n
	}
	return err
}

// responses signs the next n responses.
func (w *benchLedger) responses(n int) []record.Envelope {
	for i := range providers { // make the signers before they are shared
		w.Signer(providerName(i) + "/ci")
	}
	from := w.responsesMade
	w.responsesMade += n
	return onEachCore(n, func(i int) record.Envelope {
		at := from + i
		return w.Respond(designationName(at/providers), providerName(at%providers), &record.Response{Status: "no-relationship"})
	})
}

// onEachCore makes n records on all cores.
func onEachCore(n int, sign func(i int) record.Envelope) []record.Envelope {
	envs := make([]record.Envelope, n)
	var wg sync.WaitGroup
	for c := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := c; i < n; i += runtime.GOMAXPROCS(0) {
				envs[i] = sign(i)
			}
		})
	}
	wg.Wait()
	return envs
}

// openAll verifies envelopes on all cores, as callers of Append do.
func (w *benchLedger) openAll(envs []record.Envelope) ([]record.Verified, error) {
	var wg sync.WaitGroup
	verified, failed := make([]record.Verified, len(envs)), make([]error, runtime.GOMAXPROCS(0))
	for c := range failed {
		wg.Go(func() {
			for i := c; i < len(envs) && failed[c] == nil; i += len(failed) {
				verified[i], failed[c] = record.Open(envs[i], w.node.Register.CandidateKeys)
			}
		})
	}
	wg.Wait()
	return verified, errors.Join(failed...)
}
