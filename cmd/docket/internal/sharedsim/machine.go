package sharedsim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

// errLaw is an error that breaks a law.
var errLaw = errors.New("a law is broken")

const lease = standby.DefaultLease

// machine is a disk with a register, and while it is up a process that stands by or writes.
type machine struct {
	route
	disk *vfs.MemFS

	life      int                // number of its process
	ctx       context.Context    // of that; written with mu held
	kill      context.CancelFunc // nil while it is off
	stop      context.CancelFunc // has it stand by no more, or end its writing, and go on as far as it was
	running   sync.WaitGroup     // its one goroutine
	dead      *atomic.Bool       // shared with the link of the process
	link      *objectstoretest.Link
	store     *objectstore.Store
	register  *register.Register
	collector *cosignatures.Collector

	mu      sync.Mutex // guards what follows
	handler http.Handler
	ledger  *public.Ledger // nil before it has taken the store
	held    *standby.Holder
	ended   bool // its process has come to its end by itself
}

func newMachine(sim *simulation, name string) *machine {
	return &machine{route: route{sim: sim, name: name}, disk: vfs.NewCrashableMem()}
}

// start starts a process that has its register open and reaches the store.
func (m *machine) start() error {
	m.life++
	ctx, kill := context.WithCancel(m.sim.ctx)
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	m.kill = kill
	m.dead = new(atomic.Bool)
	m.link = m.storeLink(m.life, m.dead, time.Duration(1+m.sim.rng.IntN(100))*time.Millisecond)
	m.sim.links = append(m.sim.links, m.link)
	c := objectstoretest.Config(throughGates{&m.route, m.link})
	c.Manual, c.KeepStages = true, keepStages
	var err error
	if m.store, err = objectstore.Open(m.ctx, c); err != nil {
		return err
	}
	o := client.RegisterOptions()
	o.CacheBytes, o.Health = 1<<20, registertest.Health()
	if m.register, err = register.Open(m.disk, "register", o); err != nil {
		return fmt.Errorf("%w: %s opens its register: %w", errLaw, m.name, err)
	}
	m.collector = cosignatures.New(cosignatures.Config{Transport: throughGates{&m.route, witnessLink{&m.route}}, Timeout: 3 * time.Second})
	return nil
}

func (m *machine) config() ledger.Config {
	return ledger.Config{
		Origin: origin, Signers: m.sim.keys.Signers, MaxBatchItems: 3, MaxPoolItems: 40, MaxBacklog: 60,
		Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			m.sim.laws.noteSigned(m.name, ask.Signed)
			return m.collector.Cosign(ctx, ask)
		},
	}
}

func (m *machine) lease() standby.Config {
	return standby.Config{URL: "http://" + m.name, Lease: lease}
}

// run has the goroutine of the process do something, until stop.
func (m *machine) run(what func(context.Context)) {
	ctx, stop := context.WithCancel(m.ctx)
	m.stop = stop
	m.running.Go(func() {
		what(ctx)
		if ctx.Err() == nil {
			m.mu.Lock()
			m.ended = true
			m.mu.Unlock()
		}
	})
}

// standBy has a machine that is off wait for the writer to die, and then take its place.
func (m *machine) standBy() {
	if m.kill != nil {
		return
	}
	if err := m.start(); err != nil {
		m.sim.tracef("%s starts: %v", m.name, err)
		m.crash()
		return
	}
	c := m.config()
	c.StoreTimeout = lease
	follower, err := ledger.Follow(m.store, public.Fold(m.register), c)
	must(err)
	by := standby.New(m.store, m.lease())
	m.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "it stands by", http.StatusServiceUnavailable)
	}))
	m.sim.tracef("%s stands by", m.name)
	m.sim.countEvent("stands by")
	m.run(func(ctx context.Context) {
		held, err := by.Become(ctx, follower, m.open)
		if err == nil {
			m.sim.countEvent("a standby takes over")
			m.sim.tracef("%s takes over, after %d", m.name, held.Taken()-1)
			m.hold(ctx, held)
		} else if ctx.Err() == nil {
			m.sim.countEvent("a standby gives up")
			m.sim.tracef("%s stands by no more: %v", m.name, err)
		}
	})
}

// open opens the ledger of a process that is to take the store.
func (m *machine) open(ctx context.Context, held *standby.Holder) error {
	c := m.config()
	c.Take = held.Take
	l, err := ledger.Open(ctx, m.store, public.Fold(m.register), c)
	if errors.Is(err, ledger.ErrRollback) || errors.Is(err, objectstore.ErrLost) {
		err = fmt.Errorf("%w: %s cannot take the store: %w", errLaw, m.name, err)
		m.sim.laws.breach(err)
	}
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{Ledger: l, Register: m.register})
	must(err)
	m.sim.countEvent("takes the store")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger, m.held, m.handler = l, held, s.Handler()
	return nil
}

// hold renews the lease of a machine that writes, until it is told to stop or was taken over.
func (m *machine) hold(ctx context.Context, held *standby.Holder) {
	err := held.Run(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return m.writes().Err()
	})
	held.End(ctx)
	if over := (*standby.OverError)(nil); errors.As(err, &over) {
		m.sim.countEvent("a zombie ends")
	}
	m.sim.tracef("%s holds the lease no more: %v", m.name, err)
}

// take has the machine take the store although its writer may well live, as one does whose standby
// believes a lease that is not there, or is told to by its operator.
func (m *machine) take() error {
	if m.kill == nil {
		if err := m.start(); err != nil {
			m.crash()
			return err
		}
	} else {
		m.stop()
		m.running.Wait()
		if m.writes() != nil {
			m.crash()
			return errors.New("it had taken it just then, and ended")
		}
	}
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Minute)
	defer cancel()
	epoch, err := m.store.Epoch(ctx)
	if err == nil {
		held := standby.NewHolder(m.store, epoch, m.lease())
		if err = m.open(ctx, held); err == nil {
			m.run(func(ctx context.Context) { m.hold(ctx, held) })
			return nil
		}
		held.End(ctx)
	}
	m.crash()
	return err
}

func (m *machine) serve(h http.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handler = h
}

// writes is the ledger of a machine that has taken the store; nil before.
func (m *machine) writes() *public.Ledger {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger
}

// epoch is that of its taking; 0 before.
func (m *machine) epoch() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ledger == nil {
		return 0
	}
	return m.held.Taken()
}

// RoundTrip is a call to the machine.
func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.isStill() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	m.mu.Lock()
	h, process := m.handler, m.ctx
	m.mu.Unlock()
	if h == nil {
		return nil, errCut
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(process, cancel)()
	in := r.Clone(ctx)
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, in)
	if err := errors.Join(r.Context().Err(), process.Err()); err != nil {
		return nil, err
	}
	res := out.Result()
	res.Request = r
	return res, nil
}

// append has a machine that writes take a new record into its pool.
func (m *machine) append() error {
	v, err := record.Open(m.sim.newRecord(), m.register.CandidateKeys)
	if err == nil {
		_, err = m.writes().Append(m.ctx, v)
	}
	return err
}

// hasEnded says that its process has come to its end by itself.
func (m *machine) hasEnded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}

// reap has a machine be off whose process has come to its end.
func (m *machine) reap() {
	if m.hasEnded() && !m.frozen.isShut() {
		m.crash()
	}
}

// work commits and publishes once, and perhaps fans out. A ledger that stopped ends its process.
func (m *machine) work(fanOut bool) error {
	m.reap()
	l := m.writes()
	if l == nil || m.frozen.isShut() {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	committed := l.Commit(ctx)
	published := l.Publish(ctx)
	m.sim.tracef("%s commits: %v; publishes: %v; size %d", m.name, committed, published, l.Head().Size)
	if fanOut {
		m.fanOut()
	}
	err := l.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrRollback):
		return fmt.Errorf("%w: %s stops: %w", errLaw, m.name, err)
	case errors.Is(err, ledger.ErrTakenOver):
		m.sim.countEvent("a zombie ends")
	default:
		m.sim.countEvent("a writer stops")
	}
	m.sim.tracef("%s ends: %v", m.name, err)
	m.stop()
	m.running.Wait()
	m.crash()
	return nil
}

// fanOut writes what it knows to be published under its public paths.
func (m *machine) fanOut() {
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	if err := m.store.FanOut(ctx); err != nil {
		m.sim.tracef("%s fans out: %v", m.name, err)
	}
}

// cleanUp removes what the store needs no more, as its writer does now and then.
func (m *machine) cleanUp(fanOut bool) {
	if m.writes() == nil || m.frozen.isShut() {
		return
	}
	if fanOut {
		m.fanOut()
	}
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	err := m.store.CleanUp(ctx)
	m.sim.tracef("%s cleans up: %v", m.name, err)
	m.sim.countEvent("cleans up")
}

// freeze is SIGSTOP, thaw SIGCONT.
func (m *machine) freeze() {
	m.sim.tracef("%s is frozen", m.name)
	m.sim.countEvent("frozen")
	m.frozen.close()
}

func (m *machine) thaw() {
	if m.frozen.isShut() {
		m.sim.tracef("%s is thawed", m.name)
		m.frozen.open()
	}
}

// heal has it reach all again.
func (m *machine) heal() {
	m.thaw()
	m.toStore.Store(int32(whole))
	m.toWitnesses.Store(int32(whole))
}

// crash is kill −9 of its process, or a loss of its power: what was not synced may be gone.
func (m *machine) crash() {
	if m.kill == nil {
		return
	}
	m.sim.tracef("%s crashes", m.name)
	m.sim.countEvent("crashes")
	left := m.sim.crashed(m.disk)
	m.dead.Store(true)
	m.serve(nil)
	m.kill()
	m.thaw()
	m.running.Wait()
	synctest.Wait()
	if m.store != nil {
		m.store.Close()
	}
	if m.collector != nil {
		m.collector.Close()
	}
	if m.register != nil {
		m.register.Close() // of a process that is dead: only its goroutines are to end
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kill, m.stop, m.store, m.register, m.collector, m.disk = nil, nil, nil, nil, nil, left
	m.handler, m.ledger, m.held, m.ended = nil, nil, nil, false
}

// crashed is what a crash leaves of a disk.
func (sim *simulation) crashed(disk *vfs.MemFS) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * sim.rng.IntN(2), RNG: rand.New(rand.NewPCG(sim.rng.Uint64(), 0))})
}
