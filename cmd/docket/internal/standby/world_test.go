package standby_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/nodetest"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

const (
	origin = "log.example/1"
	lease  = standby.DefaultLease
)

// world is a store that machines reach, three witnesses of which two make the quorum, and
// what was seen of the log from outside.
type world struct {
	*testing.T
	ctx      context.Context // of every machine
	bucket   *objectstoretest.Server
	keys     node.Keys
	policy   *proof.Policy
	hosts    nodetest.Hosts
	machines []*machine
	running  sync.WaitGroup

	mu     sync.Mutex         // guards what follows
	signed []proof.Checkpoint // all that any machine has signed
	acked  []acked
}

// acked is a record whose submitter has its receipt.
type acked struct {
	blob    pebblestore.Blob
	receipt proof.Receipt
}

func newWorld(t *testing.T) *world {
	w := &world{T: t}
	w.keys, _ = nodetest.NewKeys(t, origin)
	text := ""
	for _, s := range w.keys.Signers {
		text += fmt.Sprintf("log %s\n", s.Key())
	}
	for i := range 3 {
		host := fmt.Sprintf("w%d.example", i)
		key, files := nodetest.NewCosigner(t, host), vfs.NewMem()
		c := nodetest.WitnessConfig(files, w.keys, key)
		check(t, witness.CreateState(c))
		served := nodetest.OpenWitness(t, c)
		w.hosts.Handle(host, served.Handler())
		text += fmt.Sprintf("witness w%d %s http://%s\n", i, key.Key(), host)
		t.Cleanup(func() { served.Close() }) // after the machines
	}
	var err error
	w.policy, err = proof.ParsePolicy([]byte(text + "group all 2 w0 w1 w2\nquorum all\n"))
	check(t, err)
	w.bucket = objectstoretest.NewServer()
	ctx, cancel := context.WithCancel(t.Context())
	w.ctx = ctx
	t.Cleanup(func() {
		cancel()
		for _, m := range w.machines {
			m.heal()
		}
		w.running.Wait()
	})
	return w
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// link is a machine's way to the others. A request that is cut never arrives; where only the
// answers are cut, it does.
type link struct {
	mu               sync.Mutex // guards what follows
	store, witnesses direction
	frozen           chan struct{} // closed when it goes on; nil while it runs
	onPut            func(object string)
}

// onEachPut has f called with the name of each object of this machine's that arrives from now on.
func (l *link) onEachPut(f func(object string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onPut = f
}

// hasPut says that an object of this machine's has arrived.
func (l *link) hasPut(object string) {
	l.mu.Lock()
	f := l.onPut
	l.mu.Unlock()
	if f != nil {
		f(object)
	}
}

type direction int

const (
	both direction = iota
	none
	out // requests arrive, and no answer comes back
)

// pass lets a call through as far as the link does.
func (l *link) pass(ctx context.Context, which func(*link) direction, call func()) error {
	l.mu.Lock()
	frozen, d := l.frozen, which(l)
	l.mu.Unlock()
	if frozen != nil {
		<-frozen // what it was about to send it sends then
		l.mu.Lock()
		d = which(l)
		l.mu.Unlock()
	}
	if d != none {
		call()
	}
	l.mu.Lock()
	frozen, now := l.frozen, which(l)
	l.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	if d != both || now != both {
		<-ctx.Done()
		return ctx.Err()
	}
	return ctx.Err()
}

func (l *link) set(store, witnesses direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store, l.witnesses = store, witnesses
}

// reachesStore says whether it is not cut off from the store.
func (l *link) reachesStore() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store == both
}

func (l *link) heal() { l.set(both, both); l.thaw() }

// freeze is SIGSTOP, thaw SIGCONT.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = make(chan struct{})
}

func (l *link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

// kill is what others see of kill −9.
func (l *link) kill() { l.set(none, none) }

// RoundTrip implements [http.RoundTripper], to the witnesses.
func (m *machine) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if passed := m.pass(r.Context(), func(l *link) direction { return l.witnesses }, func() { resp, err = m.w.hosts.RoundTrip(r) }); passed != nil {
		return nil, passed
	}
	return resp, err
}

// machine is one process: it stands by, writes, and ends.
type machine struct {
	link
	w     *world
	name  string
	by    *standby.Standby
	stop  context.CancelFunc // tells it to end
	ended chan struct{}      // closed once err is final
	err   error

	mu       sync.Mutex // guards what follows
	follower *ledger.Follower[pebblestore.Blob]
	ledger   *ledger.Ledger[pebblestore.Blob]
}

// shows is the size that a machine shows that stands by.
func (m *machine) shows() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.follower.Reader().PublishedSize()
}

// start starts one that stands by.
func (w *world) start(name string) *machine {
	m := &machine{w: w, name: name, ended: make(chan struct{})}
	ctx, stop := context.WithCancel(w.ctx)
	m.stop = stop
	w.machines = append(w.machines, m)
	store := w.handle(&m.link)
	m.by = standby.New(store, standby.Config{URL: "http://" + name + ".example", Lease: lease})
	w.running.Go(func() {
		defer close(m.ended)
		m.err = m.run(ctx, store)
	})
	return m
}

// pair is a writer with some records, and who has come to stand by for it.
func (w *world) pair() (a, b *machine) {
	w.T.Helper()
	a = w.start("a")
	w.wantWriter(a, promise)
	w.submitAll(0, 5)
	b = w.start("b")
	time.Sleep(lease)
	return a, b
}

func (m *machine) run(ctx context.Context, shared ledger.Shared) error {
	fold, err := pebblestore.OpenBlobFold(vfs.NewMem(), "fold", m.w.policy, pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer fold.Close()
	collector := cosignatures.New(cosignatures.Config{Transport: m})
	defer collector.Close()
	c := ledger.Config{Origin: origin, Signers: m.w.keys.Signers, Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		m.w.mu.Lock()
		m.w.signed = append(m.w.signed, ask.Signed.Checkpoint())
		m.w.mu.Unlock()
		return collector.Cosign(ctx, ask)
	}}
	following := c
	following.StoreTimeout = lease
	follower, err := ledger.Follow(ledger.Store(shared), ledger.Fold[pebblestore.Blob](fold), following)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.follower = follower
	m.mu.Unlock()
	var l *ledger.Ledger[pebblestore.Blob]
	taken, err := m.by.Become(ctx, follower, func(ctx context.Context, h *standby.Holder) (err error) {
		taking := c
		taking.Take = h.Take
		l, err = ledger.Open(ctx, ledger.Store(shared), ledger.Fold[pebblestore.Blob](fold), taking)
		return err
	})
	if err != nil {
		return err
	}
	defer taken.End(ctx)
	m.mu.Lock()
	m.ledger = l
	m.mu.Unlock()
	return taken.Run(ctx, l.Run)
}

// writes is the ledger of a machine that has taken the store; nil before.
func (m *machine) writes() *ledger.Ledger[pebblestore.Blob] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger
}

// hasEnded says whether the process is over, and why.
func (m *machine) hasEnded() (bool, error) {
	select {
	case <-m.ended:
		return true, m.err
	default:
		return false, nil
	}
}

// submit gives a record to one machine, as a client does who waits for the receipt, and asks
// again elsewhere if none comes.
func (m *machine) submit(blob pebblestore.Blob) error {
	l := m.writes()
	if l == nil {
		return errors.New("it stands by")
	}
	ctx, cancel := context.WithTimeout(m.w.ctx, 20*time.Second)
	defer cancel()
	ticket, err := l.Append(ctx, blob)
	if err != nil {
		return err
	}
	at, err := ticket.AwaitCommitted(ctx)
	if err != nil {
		return err
	}
	if _, err := l.AwaitPublished(ctx, at.Index); err != nil {
		return err
	}
	receipt, err := l.Receipt(ctx, at.Index)
	if err != nil {
		return err
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.acked = append(m.w.acked, acked{blob, receipt})
	return nil
}

// submitAll submits records until each has its receipt from some machine.
func (w *world) submitAll(from, to int) {
	for i := from; i < to; i++ {
		w.submitAnywhere(pebblestore.NewBlob(fmt.Appendf(nil, "record %d", i)))
	}
}

func (w *world) submitAnywhere(blob pebblestore.Blob) {
	for begun := time.Now(); w.ctx.Err() == nil; {
		if time.Since(begun) > 5*time.Minute {
			w.Error("nobody takes a record")
			return
		}
		for _, m := range w.machines {
			if m.submit(blob) == nil {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

// wantWriter fails unless this machine writes within so much time.
func (w *world) wantWriter(m *machine, within time.Duration) {
	w.Helper()
	for begun := time.Now(); m.writes() == nil; time.Sleep(100 * time.Millisecond) {
		if over, err := m.hasEnded(); over || time.Since(begun) > within {
			w.Fatalf("%s does not write after %v; ended %v: %v; %+v", m.name, time.Since(begun), over, err, m.by.Status())
		}
	}
}

// wantTakenOver fails unless this machine has ended within so much time, because another
// one took over.
func (w *world) wantTakenOver(m *machine, within time.Duration) {
	w.Helper()
	select {
	case <-m.ended:
	case <-time.After(within):
		w.Fatalf("%s goes on", m.name)
	}
	if over := (*standby.OverError)(nil); !errors.As(m.err, &over) || over.Epoch < 2 || !errors.Is(m.err, ledger.ErrTakenOver) {
		w.Errorf("%s ended with %v", m.name, m.err)
	}
}

// wantOneHistory checks, by what this machine publishes, every record that was acknowledged,
// and every checkpoint that was ever signed.
func (w *world) wantOneHistory(m *machine) {
	w.Helper()
	l := m.writes()
	published := l.Published()
	if published == nil {
		w.Fatal("nothing is published")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	entries, err := l.Entries(w.ctx, 0, published.Checkpoint().Size)
	check(w, err)
	index := make(map[string]int)
	for i, e := range entries {
		if j, twice := index[string(e[8:])]; twice {
			w.Errorf("entries %d and %d are the same record", j, i)
		}
		index[string(e[8:])] = i
	}
	for _, a := range w.acked {
		v, err := a.receipt.Verify(w.policy, time.Now())
		if err != nil {
			w.Errorf("a receipt does not verify: %v", err)
			continue
		}
		id, known, err := l.Lookup(a.blob.ID())
		if err != nil || !known || id != v.Index() {
			w.Errorf("a record was acknowledged at %d, and is at %d (%v, %v)", v.Index(), id, known, err)
		}
	}
	for _, cp := range w.signed {
		if cp.Size > published.Checkpoint().Size {
			w.Errorf("size %d was signed, published is %d", cp.Size, published.Checkpoint().Size)
			continue
		}
		if tree, err := l.TreeAt(w.ctx, cp.Size); cp.Size > 0 && (err != nil || tree != cp.Tree()) {
			w.Errorf("%v was signed, and the log begins with %v, %v", cp.Tree(), tree, err)
		}
	}
}
