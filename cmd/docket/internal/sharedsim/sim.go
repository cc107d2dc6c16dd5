// Package sharedsim simulates, from one seed, a ledger in an object store that several machines
// reach: who writes and renews a lease, who stands by and takes over, zombies that were taken over,
// two replicas, and clients that know the URLs of all. Machines are killed, frozen and cut off, also in one
// direction; links lose requests and answers, hang, apply late and list what was; replicas
// are told lies. Store, ledger, register, server, lease, replica, client and witnesses are the real ones; the
// bucket is gofakes3 in this process. After each step the laws are checked by somebody whom nothing fails
// (laws.go). In the end the log shows a second history, which ends both replicas.
//
// What becomes of a request hangs on the seed, on who sends it, on its object and on how often
// that was asked for, and not on the order in which goroutines come to it. A simulation is one
// synctest bubble. It is test support.
//
// Many seeds, of which each has a second of a processor:
//
//	go test -c -o sharedsim.test ./cmd/docket/internal/sharedsim
//	./sharedsim.test -first 1000 -seeds 2000 -test.timeout 0
package sharedsim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/nodetest"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/witness"
)

const (
	origin    = "docket.example/shared"
	machines  = 3
	witnesses = 3
	replicas  = 2
	clients   = 2

	storeFaultPercent = 4 // of the requests to the store
	callFaultPercent  = 8 // of the calls to a machine
	liePercent        = 8 // of what a replica is answered

	lateCheckpointPercent = 25 // of the public checkpoints come later
	lateSwapPercent       = 4  // likewise of the swaps of the head and of what is published

	publicCheckpoint = "some/log/public/checkpoint"
	privatePublished = "some/log/private/published"
	privateHead      = "some/log/private/head"
)

// Report is what happened.
type Report struct {
	Entries uint64
	Took    time.Duration // in the simulation
	Events  map[string]int
	Trace   string
}

// simulation is everything there is. It belongs to the goroutine of [Run].
type simulation struct {
	t         *testing.T
	seed      uint64
	rng       *rand.Rand
	ctx       context.Context
	bucket    *objectstoretest.Server
	keys      node.Keys
	witnesses []*proof.Cosigner
	policy    *proof.Policy
	hosts     nodetest.Hosts // the witnesses
	machines  []*machine
	replicas  []*copyServer
	clients   []*user
	writing   *registertest.World // who writes the records
	laws      *laws
	records   []record.Envelope // all that were ever submitted
	links     []*objectstoretest.Link

	calm      atomic.Bool // nothing fails now but what is cut off, frozen or dead
	forked    atomic.Bool // there are two histories
	suspended gate        // everything stands still

	mu     sync.Mutex     // guards what follows
	count  map[string]int // how often a request was made
	events map[string]int
	trace  strings.Builder
}

// Run lets so many steps happen. The error is a law that was broken.
func Run(t *testing.T, seed uint64, steps int) (r *Report, err error) {
	synctest.Test(t, func(t *testing.T) {
		begun, sim := time.Now(), newSimulation(t, seed)
		defer sim.end()
		if err = sim.begin(); err == nil {
			for n := range steps {
				sim.tracef("%d:", n)
				if err = sim.step(); err != nil {
					break
				}
			}
		}
		if err == nil {
			err = sim.finish()
		}
		r = &Report{Entries: uint64(len(sim.laws.entries)), Took: time.Since(begun), Events: sim.events, Trace: sim.trace.String()}
	})
	return r, err
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	sim := &simulation{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 15)), ctx: t.Context(), bucket: objectstoretest.NewServer(), events: map[string]int{}, count: map[string]int{}}
	sim.keys, _ = nodetest.NewKeys(t, origin)
	text, names := "", ""
	for _, s := range sim.keys.Signers {
		text += fmt.Sprintf("log %s\n", s.Key())
	}
	for i := range witnesses {
		host := fmt.Sprintf("w%d.example", i)
		key := nodetest.NewCosigner(t, host)
		sim.witnesses = append(sim.witnesses, key)
		text += fmt.Sprintf("witness w%d %s http://%s\n", i, key.Key(), host)
		names += fmt.Sprintf(" w%d", i)
	}
	sim.witnessAnew()
	text += fmt.Sprintf("group all 2%s\nquorum all\n", names)
	var err error
	sim.policy, err = proof.ParsePolicy([]byte(text))
	must(err)
	sim.writing = registertest.New(time.Now(), origin, text)
	sim.laws = newLaws(sim)
	for i := range machines {
		sim.machines = append(sim.machines, newMachine(sim, fmt.Sprintf("m%d.example", i)))
	}
	for i := range replicas {
		sim.replicas = append(sim.replicas, &copyServer{route: route{sim: sim, name: fmt.Sprintf("r%d.example", i)}, fromStore: i == 0, disk: vfs.NewCrashableMem()})
	}
	for i := range clients {
		var urls []string
		for j := range machines {
			urls = append(urls, "http://"+sim.machines[(i+j)%machines].name)
		}
		urls = append(urls, "http://"+sim.replicas[i%replicas].name)
		name := fmt.Sprintf("client-%d", i)
		servers, err := wire.NewServers(calls{sim, name}, urls...)
		must(err)
		u := &user{sim: sim, name: name, disk: vfs.NewMem(), Client: client.At(servers)}
		servers.OnSwitch = func(string, string, error) { sim.countEvent("a client goes on with another server") }
		sim.clients = append(sim.clients, u)
	}
	return sim
}

// witnessAnew has the witnesses begin with nothing seen.
func (sim *simulation) witnessAnew() {
	for _, key := range sim.witnesses {
		c := nodetest.WitnessConfig(vfs.NewMem(), sim.keys, key)
		must(witness.CreateState(c))
		served := nodetest.OpenWitness(sim.t, c)
		sim.hosts.Handle(key.Key().Name(), served.Handler())
		sim.t.Cleanup(func() { served.Close() })
	}
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("sharedsim: %v", err))
	}
}

func (sim *simulation) tracef(format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.trace.WriteString(line)
}

func (sim *simulation) countEvent(what string) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.events[what]++
}

// dice are of a request: its number among its like, and the throw.
func (sim *simulation) dice(what string) uint64 {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.count[what]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", sim.seed, what, sim.count[what])
	return rand.New(rand.NewPCG(h.Sum64(), 1)).Uint64()
}

// begin has one machine take the store and admit the first records.
func (sim *simulation) begin() error {
	sim.calm.Store(true)
	m := sim.machines[0]
	if err := m.take(); err != nil {
		return fmt.Errorf("the first taking: %w", err)
	}
	for _, write := range []func() record.Envelope{sim.writing.Charter, sim.writing.Authority} {
		env := write()
		v, err := record.Open(env, m.register.CandidateKeys)
		if err != nil {
			return err
		}
		l := m.writes()
		if _, err := l.Append(sim.ctx, v); err != nil {
			return err
		}
		if err := errors.Join(l.Commit(sim.ctx), l.Publish(sim.ctx)); err != nil {
			return err
		}
		sim.writing.NoteAdmitted(env)
		sim.records = append(sim.records, env)
	}
	for _, c := range sim.replicas {
		c.start()
	}
	sim.calm.Store(false)
	return sim.laws.check()
}

// step is one thing that happens, after which the laws hold.
func (sim *simulation) step() error {
	m, c := sim.machines[sim.rng.IntN(machines)], sim.replicas[sim.rng.IntN(replicas)]
	u := sim.clients[sim.rng.IntN(clients)]
	m.reap()
	c.reap()
	var err error
	switch n := sim.rng.IntN(100); {
	case n < 34:
		err = u.submit(sim.pickRecord())
	case n < 42:
		err = sim.drive()
	case n < 50:
		err = sim.force(m)
	case n < 56:
		m.standBy()
	case n < 62:
		m.crash()
	case n < 66:
		how := cut(sim.rng.IntN(int(cuts)))
		m.toStore.Store(int32(how))
		sim.tracef("%s is cut off from the store: %v", m.name, how)
		sim.countEvent("cut off from the store")
	case n < 68:
		how := cut(sim.rng.IntN(int(cuts)))
		m.toWitnesses.Store(int32(how))
		sim.tracef("%s is cut off from the witnesses: %v", m.name, how)
		sim.countEvent("cut off from the witnesses")
	case n < 71:
		if m.frozen.isShut() {
			m.thaw()
		} else {
			m.freeze()
		}
	case n < 75:
		if c.kill == nil {
			c.start()
		} else {
			c.crash()
		}
	case n < 79:
		sim.tracef("what was held arrives")
		err = sim.releaseStrangers()
		sim.release()
	case n < 81:
		err = sim.cleanUp()
	case n < 86:
		err = sim.overtake()
	case n < 91:
		err = sim.succession()
	case n < 96:
		err = u.sync()
	default:
		switch d := []time.Duration{time.Second, 20 * time.Second, time.Minute}[sim.rng.IntN(3)]; d {
		case time.Minute:
			sim.tracef("%s go by, and everything stands still", d)
			sim.sleepLong(d)
		default:
			sim.tracef("%s go by", d)
			time.Sleep(d)
		}
	}
	if err != nil {
		return err
	}
	return sim.laws.check()
}

// pickRecord is a new record, or one that was submitted before.
func (sim *simulation) pickRecord() record.Envelope {
	if sim.rng.IntN(3) == 0 {
		return sim.records[sim.rng.IntN(len(sim.records))]
	}
	return sim.newRecord()
}

func (sim *simulation) newRecord() record.Envelope {
	sim.writing.Now = time.Now()
	id := fmt.Sprintf("%04d", len(sim.records))
	env := sim.writing.ImportListed(id, sim.writing.NewListedDesignation(id, "Entity "+id))
	sim.records = append(sim.records, env)
	return env
}

// finish heals everything: what was acknowledged is there, is the same for all, and a register made anew
// from the entries is the one in use.
func (sim *simulation) finish() error {
	sim.tracef("the end:")
	sim.calm.Store(true)
	for _, m := range sim.machines {
		m.heal()
		m.crash()
	}
	for _, c := range sim.replicas {
		c.reap()
		c.start()
	}
	sim.release()
	m := sim.machines[sim.rng.IntN(machines)]
	if err := m.take(); err != nil {
		return fmt.Errorf("the last taking, when all was well: %w", err)
	}
	for _, u := range sim.clients {
		if err := u.submit(sim.pickRecord()); err != nil {
			return err
		}
		if u.lastErr != nil {
			return fmt.Errorf("%s, when all was well: %w", u.name, u.lastErr)
		}
		if err := u.sync(); err != nil || u.lastErr != nil {
			return fmt.Errorf("%s, when all was well: %w", u.name, errors.Join(err, u.lastErr))
		}
	}
	for _, env := range sim.records {
		if _, acked := sim.laws.acked[record.IDOf(env.Payload)]; acked {
			if err := sim.clients[0].submit(env); err != nil || sim.clients[0].lastErr != nil {
				return fmt.Errorf("submitting an acknowledged record again: %w", errors.Join(err, sim.clients[0].lastErr))
			}
		}
	}
	if err := errors.Join(sim.drive(), sim.laws.checkAll()); err != nil { // what was committed and no more submitted is published too
		return err
	}
	if n := uint64(len(sim.laws.entries)); sim.laws.published != n {
		return fmt.Errorf("%w: %d of %d entries are published, when all was well", errLaw, sim.laws.published, n)
	}
	if err := sim.laws.checkRegister(m.name, m.register); err != nil {
		return err
	}
	return sim.fork(m)
}

// end ends all processes, that the bubble may.
func (sim *simulation) end() {
	sim.calm.Store(true)
	sim.suspended.open()
	for _, m := range sim.machines {
		m.crash()
	}
	for _, c := range sim.replicas {
		c.end()
	}
	for _, u := range sim.clients {
		u.close()
	}
	sim.release()
}

// calls are somebody's calls to the machines and the replicas.
type calls struct {
	sim  *simulation
	from string
}

var errCut = errors.New("the connection broke")

// RoundTrip implements [http.RoundTripper]. A call is lost, or its answer is.
func (c calls) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := c.sim.dice(fmt.Sprintf("call %s %s %s %s", c.from, r.URL.Host, r.Method, r.URL.Path)) % 200
	if c.sim.calm.Load() {
		fault = 200
	}
	if fault < callFaultPercent {
		c.sim.countEvent("a call is lost")
		return nil, errCut
	}
	res, err := c.sim.to(r.URL.Host).RoundTrip(r)
	if fault < 2*callFaultPercent {
		c.sim.countEvent("an answer is lost")
		return nil, errCut
	}
	return res, err
}

// to is who answers at a host.
func (sim *simulation) to(host string) http.RoundTripper {
	for _, m := range sim.machines {
		if m.name == host {
			return m
		}
	}
	for _, c := range sim.replicas {
		if c.name == host {
			return c
		}
	}
	panic("sharedsim: no host " + host)
}
