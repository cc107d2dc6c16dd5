package sharedsim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
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

// machine is a disk with a register, and while it is up a process that stands by or writes.
type machine struct {
	sim    *simulation
	name   string
	disk   *vfs.MemFS
	cutOff bool // from the store
	blind  bool // it does not reach the witnesses
	held   bool // its public checkpoint gets stuck on the way

	life      int // number of its process
	ctx       context.Context
	kill      context.CancelFunc // nil while it is off
	dead      *bool              // shared with the link of the process
	link      *objectstoretest.Link
	store     *objectstore.Store
	register  *register.Register
	collector *cosignatures.Collector
	follower  *ledger.Follower[record.Verified]
	ledger    *public.Ledger // nil before it has taken the store
	handler   http.Handler

	mu sync.Mutex // guards handler
}

// faultOf says what becomes of the request of a process.
func (m *machine) faultOf(life int, dead *bool) func(objectstoretest.Request) objectstoretest.Fault {
	return func(r objectstoretest.Request) objectstoretest.Fault {
		dice := m.sim.dice(fmt.Sprintf("%s %d %s %s", m.name, life, r.Method, r.Key))
		switch all := objectstoretest.All(); {
		case m.cutOff || *dead:
			return objectstoretest.Lost
		case m.held && r.Method == http.MethodPut && r.Key == publicCheckpoint:
			return objectstoretest.HangLater
		case m.sim.calm || dice%100 >= storeFaultPercent:
			return objectstoretest.None
		default:
			f := all[dice/100%uint64(len(all))]
			m.sim.countEvent("store: " + f.String())
			return f
		}
	}
}

// start starts a process that has its register open and reaches the store.
func (m *machine) start() error {
	m.life++
	m.ctx, m.kill = context.WithCancel(m.sim.ctx)
	m.dead = new(bool)
	link := objectstoretest.NewLink(m.sim.bucket)
	link.Delay = time.Duration(1+m.sim.rng.IntN(40)) * time.Millisecond
	link.Set(m.faultOf(m.life, m.dead))
	m.link = link
	m.sim.links = append(m.sim.links, link)
	c := objectstoretest.Config(link)
	c.Manual = true
	var err error
	if m.store, err = objectstore.Open(m.ctx, c); err != nil {
		return err
	}
	o := client.RegisterOptions()
	o.CacheBytes, o.Health = 1<<20, registertest.Health()
	if m.register, err = register.Open(m.disk, "register", o); err != nil {
		return fmt.Errorf("%w: %s opens its register: %w", errLaw, m.name, err)
	}
	m.collector = cosignatures.New(cosignatures.Config{Transport: toWitnesses{m}, Timeout: 3 * time.Second})
	return nil
}

// toWitnesses is the machine's way to the witnesses.
type toWitnesses struct{ m *machine }

func (w toWitnesses) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.m.blind {
		return nil, errCut
	}
	return w.m.sim.hosts.RoundTrip(r)
}

func (m *machine) config() ledger.Config {
	return ledger.Config{
		Origin: origin, Signers: m.sim.keys.Signers, MaxBatchItems: 3, MaxPoolItems: 40, MaxBacklog: 60,
		Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			m.sim.laws.noteSigned(m.name, ask.Signed.Checkpoint())
			return m.collector.Cosign(ctx, ask)
		},
	}
}

// standBy brings the register of a machine that does not write up to what is published.
func (m *machine) standBy() {
	if m.ledger != nil {
		return
	}
	if m.kill == nil {
		if err := m.start(); err != nil {
			m.sim.tracef("%s starts: %v", m.name, err)
			m.crash()
			return
		}
	}
	var err error
	if m.follower == nil {
		m.follower, err = ledger.Follow(m.store, public.Fold(m.register), m.config())
	}
	if err == nil {
		err = m.follower.CatchUp(m.ctx)
	}
	m.sim.tracef("%s stands by: %v", m.name, err)
	m.sim.countEvent("stands by")
}

// take has the machine take the store, whoever has it.
func (m *machine) take() error {
	m.sim.owner = nil
	if m.kill == nil {
		if err := m.start(); err != nil {
			m.crash()
			return err
		}
	}
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Minute)
	defer cancel()
	l, err := ledger.Open(ctx, m.store, public.Fold(m.register), m.config())
	if err == nil {
		var s *server.Server
		if s, err = server.New(server.Config{Ledger: l, Register: m.register}); err == nil {
			m.ledger, m.sim.owner = l, m
			m.serve(s.Handler())
			m.sim.countEvent("takes the store")
			return nil
		}
	}
	m.crash()
	if errors.Is(err, ledger.ErrRollback) || errors.Is(err, objectstore.ErrLost) {
		return fmt.Errorf("%w: %s cannot take the store: %w", errLaw, m.name, err)
	}
	return err
}

func (m *machine) serve(h http.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handler = h
}

// RoundTrip is a call to the machine.
func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
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
	v, err := record.Open(m.sim.pickRecord(), m.register.CandidateKeys)
	if err == nil {
		_, err = m.ledger.Append(m.ctx, v)
	}
	return err
}

// work commits and publishes once, and perhaps fans out. A ledger that stopped ends its process.
func (m *machine) work(fanOut bool) error {
	if m.ledger == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	committed := m.ledger.Commit(ctx)
	published := m.ledger.Publish(ctx)
	m.sim.tracef("%s commits: %v; publishes: %v; size %d", m.name, committed, published, m.ledger.Head().Size)
	if fanOut {
		m.fanOut()
	}
	err := m.ledger.Err()
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
	if m.ledger == nil {
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

// crash is kill −9 of its process, or a loss of its power: what was not synced may be gone.
func (m *machine) crash() {
	if m.kill == nil {
		return
	}
	m.sim.tracef("%s crashes", m.name)
	m.sim.countEvent("crashes")
	left := m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * m.sim.rng.IntN(2), RNG: rand.New(rand.NewPCG(m.sim.rng.Uint64(), 0))})
	*m.dead = true
	m.serve(nil)
	m.kill()
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
	if m.sim.owner == m {
		m.sim.owner = nil
	}
	m.kill, m.store, m.register, m.collector, m.follower, m.ledger, m.disk = nil, nil, nil, nil, nil, nil, left
}
