package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The aims at 50 ms a PUT, without the time of the witnesses, and what others have published.
const (
	aimIdle     = "aim ≤ 3.5 ×"
	aimAtRate   = "aim ≤ 6 × at 1,000/s"
	aimPuts     = "aim ≤ 30,000 at 1,000/s"
	aimEntries  = "aim ≥ 5,000"
	aimLag      = "aim ≤ 1"
	aimStart    = "aim ≤ 30 at a million on 2 cores"
	sunlight    = "Sunlight 287,364 (published)"
	tesseraRate = "Tessera on MinIO and MariaDB 500 (published)"
)

// pacing is how often a ledger writes to its store.
type pacing struct {
	name            string
	commit, publish time.Duration
	putsAim         string
}

var pacings = []pacing{
	{"as fast as it goes", 0, 0, ""},
	{"1 publication, 8 commits a second", 125 * time.Millisecond, time.Second, aimPuts},
}

const (
	idleRecords = 20
	putSamples  = 20
	// maxStoreEntries are those of the closed loop: a store that is a thousand times slower than
	// a disk is known after fewer.
	maxStoreEntries = 50_000
)

// store measures the core over a store that several machines reach: the one of Options.Store, else one
// in this process whose every request takes Options.PutDelay. The log is of a policy without
// witnesses, whose time comes on top of what is measured.
func (r *run) store(ctx context.Context) error {
	m, err := r.openStoreBench(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.timePuts(ctx); err != nil {
		return err
	}
	for _, p := range pacings {
		if err := m.measure(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for _, lease := range r.Leases {
		if err := m.failOver(ctx, lease); err != nil {
			return fmt.Errorf("a writer dies, with a lease of %s: %w", lease, err)
		}
	}
	if err := m.replicaLag(ctx); err != nil {
		return fmt.Errorf("a replica follows: %w", err)
	}
	if err := r.replicaStart(ctx); err != nil {
		return fmt.Errorf("a replica starts: %w", err)
	}
	return nil
}

// Replica is the name of the store beside the measured one, in which there is a ledger with a register.
const Replica = "replica"

// storeBench is a log in a store, under measurement.
type storeBench struct {
	*run
	store  stores.Shared
	open   func(beside string) (stores.Shared, error) // another handle on it; on the one of that name beside it, if that is not ""
	count  *putCounter                                // nil: its writes are no PUTs
	signer *proof.Signer
	index  *pebblestore.BlobFold
	fold   func(dir string) (*pebblestore.BlobFold, error) // another index
	close  func()
	blob   func(i int) pebblestore.Blob
	next   int     // number of the next entry
	put    float64 // how long a small write takes, p50, in ms
}

func (r *run) openStoreBench(ctx context.Context) (*storeBench, error) {
	const origin = "bench.example/store"
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		return nil, err
	}
	m := &storeBench{run: r, blob: blobMaker(r.Size)}
	if m.signer, err = proof.ParseSigner(skey); err != nil {
		return nil, err
	}
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	if err != nil {
		return nil, err
	}
	if err = m.openStore(ctx); err != nil {
		return nil, err
	}
	health := disk.NewHealth(disk.Config{Fatal: r.Fatal})
	m.fold = func(dir string) (*pebblestore.BlobFold, error) {
		return pebblestore.OpenBlobFold(vfs.Default, filepath.Join(r.dir, dir), policy, pebblestore.Options{Health: health})
	}
	if m.index, err = m.fold("store-index"); err != nil {
		return nil, errors.Join(err, m.store.Close())
	}
	m.close = func() { m.index.Close(); m.store.Close() }
	return m, nil
}

// openStore opens the store to be measured, which must be new, as the one beside it, and has what is sent to it counted.
func (m *storeBench) openStore(ctx context.Context) (err error) {
	if m.Store.IsZero() {
		link := objectstoretest.NewLink(objectstoretest.NewServer())
		link.Delay = m.PutDelay
		m.count = &putCounter{to: link}
		m.open = func(beside string) (stores.Shared, error) {
			c := objectstoretest.Config(m.count)
			c.Prefix = path.Join(c.Prefix, beside)
			return objectstore.Open(ctx, c)
		}
		m.store, err = m.open("")
		return err
	}
	o := stores.Options{}
	if m.Store.Bucket != "" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64
		m.count = &putCounter{to: transport}
		o.Transport = m.count
	}
	m.open = func(beside string) (stores.Shared, error) {
		at := m.Store
		if beside != "" {
			at = at.Beside(beside)
		}
		return stores.OpenShared(ctx, at, o)
	}
	for _, beside := range []string{Replica, ""} {
		if m.store, err = m.open(beside); err != nil {
			return err
		}
		epoch, err := m.store.Epoch(ctx)
		if err == nil && epoch > 0 {
			err = fmt.Errorf("%s: a ledger is there: name a prefix, or a schema, of its own, which the measurement fills and leaves", m.Store)
		}
		if err == nil && beside != "" {
			err = m.store.Close()
		} else if err != nil {
			err = errors.Join(err, m.store.Close())
		}
		if err != nil {
			return err
		}
	}
	m.Filling()
	return nil
}

// putCounter counts the PUTs that go through it.
type putCounter struct {
	to   http.RoundTripper
	puts atomic.Int64
}

func (c *putCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		c.puts.Add(1)
	}
	return c.to.RoundTrip(r)
}

// timePuts measures what bounds all else: one small write.
func (m *storeBench) timePuts(ctx context.Context) error {
	took := make([]time.Duration, putSamples)
	for i := range took {
		begun := time.Now()
		if err := m.store.PutBlob(ctx, "bench", []byte{byte(i)}); err != nil {
			return err
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	m.put = quantile(took, 0.5)
	m.row("store: one write of a byte, p50", m.put, "ms")
	return m.store.DeleteBlob(ctx, "bench")
}

// runs opens the ledger with a pacing and runs it while f does something.
func (m *storeBench) runs(ctx context.Context, p pacing, f func(l *ledger.Ledger[pebblestore.Blob]) error) (commits int64, err error) {
	var n atomic.Int64
	c := m.config()
	c.CommitInterval, c.PublishInterval = p.commit, p.publish
	c.Hooks.Committed = func(admitted, _, _ int, _ time.Duration) {
		if admitted > 0 {
			n.Add(1)
		}
	}
	l, err := ledger.Open(ctx, m.store, m.index, c)
	if err != nil {
		return 0, err
	}
	err = whileRunning(ctx, l, func() error { return f(l) })
	return n.Load(), err
}

func (m *storeBench) config() ledger.Config {
	return ledger.Config{Origin: m.signer.Key().Name(), Signers: []*proof.Signer{m.signer}, MaxBacklog: 1 << 40}
}

// measure measures one pacing: under a fixed load, and as many as can be.
func (m *storeBench) measure(ctx context.Context, p pacing) error {
	name := func(what string) string { return "store, " + p.name + ": " + what }
	report := func(what string, value float64, unit, aim string) {
		m.Report(Row{Name: name(what), Value: value, Unit: unit, Aim: aim})
	}
	times := func(what string, took []time.Duration, q float64, aim string) {
		m.Report(Row{Name: name(what), Value: quantile(took, q), Unit: "ms", Limit: m.put, LimitName: "a write", Aim: aim})
	}
	rateAim := aimAtRate
	if p.publish > 0 {
		rateAim = ""
	} else if err := m.idle(ctx, p, times); err != nil { // what comes after a pause is not paced
		return err
	}

	var loaded []time.Duration
	var puts int64
	var took time.Duration
	commits, err := m.runs(ctx, p, func(l *ledger.Ledger[pebblestore.Blob]) (err error) {
		before, err := m.settledPuts(ctx)
		if err != nil {
			return err
		}
		begun := time.Now()
		first, n := m.next, int(m.For.Seconds()*float64(m.Rate))
		m.next += n
		if loaded, _, err = m.openLoop(ctx, n, func(i int) error { return m.publish(ctx, l, first+i) }); err != nil {
			return err
		}
		took = time.Since(begun)
		puts, err = m.settledPuts(ctx)
		puts -= before
		return err
	})
	if err != nil {
		return err
	}
	n := float64(len(loaded))
	slices.Sort(loaded)
	atRate := fmt.Sprintf("%d/s, ", m.Rate)
	times(atRate+"submit to published, p50", loaded, 0.5, rateAim)
	times(atRate+"submit to published, p99", loaded, 0.99, "")
	report(atRate+"commits", float64(commits)/took.Seconds(), "/s", "")
	if m.count != nil {
		report(atRate+"PUTs a commit", float64(puts)/float64(max(commits, 1)), "", "two are the floor, and a third publishes")
		report(atRate+"PUTs a million entries", float64(puts)/n*1e6, "", joinAims(p.putsAim, sunlight))
	}

	entries := min(m.Entries, maxStoreEntries)
	begun := time.Now()
	if commits, err = m.runs(ctx, p, func(l *ledger.Ledger[pebblestore.Blob]) error {
		defer func() { took = time.Since(begun) }()
		return m.closedLoop(ctx, l, entries)
	}); err != nil {
		return err
	}
	report("as many as can be, durable", perSecond(entries, took), "entries/s", joinAims(aimEntries, tesseraRate))
	report("as many as can be, commits", float64(commits)/took.Seconds(), "/s", "")
	return nil
}

// idle measures single entries, each when nothing else is under way.
func (m *storeBench) idle(ctx context.Context, p pacing, times func(string, []time.Duration, float64, string)) error {
	var took []time.Duration
	if _, err := m.runs(ctx, p, func(l *ledger.Ledger[pebblestore.Blob]) error {
		for range idleRecords {
			if err := pause(ctx, time.Duration(4*m.put*float64(time.Millisecond))); err != nil { // until what the last one left is done
				return err
			}
			begun := time.Now()
			if err := m.publish(ctx, l, m.next); err != nil {
				return err
			}
			m.next++
			took = append(took, time.Since(begun))
		}
		return nil
	}); err != nil {
		return err
	}
	slices.Sort(took)
	times("idle, submit to published, p50", took, 0.5, aimIdle)
	times("idle, submit to published, p99", took, 0.99, "")
	return nil
}

func joinAims(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// settledPuts is how many PUTs there were once none comes any more: what was committed is written
// to its last place behind the commits.
func (m *storeBench) settledPuts(ctx context.Context) (int64, error) {
	if m.count == nil {
		return 0, nil
	}
	for puts := int64(-1); puts != m.count.puts.Load(); {
		puts = m.count.puts.Load()
		if err := pause(ctx, max(10*time.Duration(m.put*float64(time.Millisecond)), 100*time.Millisecond)); err != nil {
			return 0, err
		}
	}
	return m.count.puts.Load(), nil
}

// publish appends an entry and waits until it is published.
func (m *storeBench) publish(ctx context.Context, l *ledger.Ledger[pebblestore.Blob], i int) error {
	t, err := l.Append(ctx, m.blob(i))
	if err != nil {
		return err
	}
	a, err := t.AwaitCommitted(ctx)
	if err != nil {
		return err
	}
	_, err = l.AwaitPublished(ctx, a.Index)
	return err
}

// closedLoop appends entries as fast as they become durable.
func (m *storeBench) closedLoop(ctx context.Context, l *ledger.Ledger[pebblestore.Blob], n int) error {
	first := m.next
	m.next += n
	return appendWhileRunning(ctx, l, n, func(i int) (pebblestore.Blob, error) { return m.blob(first + i), nil })
}
