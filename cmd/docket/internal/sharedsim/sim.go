// Package sharedsim simulates, from one seed, a ledger in an object store that several machines
// reach: who writes, who stands by and takes over, zombies that were taken over, and clients that
// know the URLs of all, over links that lose requests and answers, hang, apply late and list what
// was. Store, ledger, register, server, client and witnesses are the real ones; the bucket is
// gofakes3 in this process. After each step the laws are checked by somebody whom nothing fails
// (laws.go).
//
// What becomes of a request hangs on the seed, on who sends it, on its object and on how often
// that was asked for, and not on the order in which goroutines come to it. A simulation is one
// synctest bubble. It is test support.
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
	clients   = 2

	storeFaultPercent = 4 // of the requests to the store
	callFaultPercent  = 8 // of the calls to a machine

	publicCheckpoint = "some/log/public/checkpoint"
)

// Report is what happened.
type Report struct {
	Entries uint64
	Events  map[string]int
	Trace   string
}

// simulation is everything there is. It belongs to the goroutine of [Run].
type simulation struct {
	seed     uint64
	rng      *rand.Rand
	ctx      context.Context
	bucket   *objectstoretest.Server
	keys     node.Keys
	policy   *proof.Policy
	hosts    nodetest.Hosts // the witnesses
	machines []*machine
	clients  []*user
	writing  *registertest.World // who writes the records
	laws     *laws
	events   map[string]int
	trace    strings.Builder
	records  []record.Envelope // all that were ever submitted
	calm     bool              // nothing fails any more
	owner    *machine          // whose process has taken the store last; nil where that is not known
	links    []*objectstoretest.Link

	mu    sync.Mutex     // guards counts
	count map[string]int // how often a request was made
}

// Run lets so many steps happen. The error is a law that was broken.
func Run(t *testing.T, seed uint64, steps int) (r *Report, err error) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSimulation(t, seed)
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
		r = &Report{Entries: uint64(len(sim.laws.entries)), Events: sim.events, Trace: sim.trace.String()}
	})
	return r, err
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	sim := &simulation{seed: seed, rng: rand.New(rand.NewPCG(seed, 15)), ctx: t.Context(), bucket: objectstoretest.NewServer(), events: map[string]int{}, count: map[string]int{}}
	sim.keys, _ = nodetest.NewKeys(t, origin)
	text, names := "", ""
	for _, s := range sim.keys.Signers {
		text += fmt.Sprintf("log %s\n", s.Key())
	}
	for i := range witnesses {
		host := fmt.Sprintf("w%d.example", i)
		key := nodetest.NewCosigner(t, host)
		c := nodetest.WitnessConfig(vfs.NewMem(), sim.keys, key)
		must(witness.CreateState(c))
		served := nodetest.OpenWitness(t, c)
		sim.hosts.Handle(host, served.Handler())
		text += fmt.Sprintf("witness w%d %s http://%s\n", i, key.Key(), host)
		names += fmt.Sprintf(" w%d", i)
		t.Cleanup(func() { served.Close() })
	}
	text += fmt.Sprintf("group all 2%s\nquorum all\n", names)
	var err error
	sim.policy, err = proof.ParsePolicy([]byte(text))
	must(err)
	sim.writing = registertest.New(time.Now(), origin, text)
	sim.laws = newLaws(sim)
	for i := range machines {
		sim.machines = append(sim.machines, &machine{sim: sim, name: fmt.Sprintf("m%d.example", i), disk: vfs.NewCrashableMem()})
	}
	for i := range clients {
		var urls []string
		for j := range machines {
			urls = append(urls, "http://"+sim.machines[(i+j)%machines].name)
		}
		servers, err := wire.NewServers(calls{sim, i}, urls...)
		must(err)
		u := &user{sim: sim, name: fmt.Sprintf("client-%d", i), disk: vfs.NewMem(), Client: client.At(servers)}
		servers.OnSwitch = func(string, string, error) { sim.countEvent("a client goes on with another server") }
		sim.clients = append(sim.clients, u)
	}
	return sim
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("sharedsim: %v", err))
	}
}

func (sim *simulation) tracef(format string, args ...any) {
	fmt.Fprintf(&sim.trace, format+"\n", args...)
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
	sim.calm = true
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
		if _, err := m.ledger.Append(sim.ctx, v); err != nil {
			return err
		}
		if err := errors.Join(m.ledger.Commit(sim.ctx), m.ledger.Publish(sim.ctx)); err != nil {
			return err
		}
		sim.writing.NoteAdmitted(env)
		sim.records = append(sim.records, env)
	}
	sim.calm = false
	return sim.laws.check()
}

// step is one thing that happens, after which the laws hold.
func (sim *simulation) step() error {
	m := sim.machines[sim.rng.IntN(machines)]
	u := sim.clients[sim.rng.IntN(clients)]
	var err error
	switch n := sim.rng.IntN(100); {
	case n < 40:
		err = u.submit(sim.pickRecord())
	case n < 50:
		err = sim.drive()
	case n < 60:
		if m.ledger == nil {
			finish := sim.writeMeanwhile(m)
			err = m.take()
			finish()
			if errors.Is(err, errLaw) {
				break
			}
			sim.tracef("%s takes the store: %v", m.name, err)
			err = nil
		}
	case n < 66:
		m.standBy()
	case n < 74:
		m.crash()
	case n < 78:
		m.cutOff = !m.cutOff
		sim.tracef("%s is cut off from the store: %v", m.name, m.cutOff)
		sim.countEvent("cut off from the store")
	case n < 80:
		m.blind = !m.blind
		sim.tracef("%s is cut off from the witnesses: %v", m.name, m.blind)
		sim.countEvent("cut off from the witnesses")
	case n < 86:
		sim.tracef("what was held arrives")
		err = sim.releaseStrangers()
		sim.release()
	case n < 88:
		err = sim.cleanUp()
	case n < 91:
		err = sim.overtake()
	case n < 96:
		err = u.sync()
	default:
		d := []time.Duration{time.Second, time.Minute, 2 * time.Hour}[sim.rng.IntN(3)]
		sim.tracef("%s go by", d)
		time.Sleep(d)
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
	sim.writing.Now = time.Now()
	id := fmt.Sprintf("%04d", len(sim.records))
	env := sim.writing.ImportListed(id, sim.writing.NewListedDesignation(id, "Entity "+id))
	sim.records = append(sim.records, env)
	return env
}

// drive has each that writes, or thinks so, commit and publish once.
func (sim *simulation) drive() error {
	for _, m := range sim.machines {
		before := sim.laws.size()
		if err := m.work(sim.rng.IntN(2) == 0); err != nil {
			return err
		}
		if after := sim.laws.size(); sim.owner != nil && sim.owner != m && after != before {
			return fmt.Errorf("%w: %s brought the log from size %d to %d, after %s had taken the store", errLaw, m.name, before, after, sim.owner.name)
		}
	}
	return nil
}

// cleanUp has all who write, or think so, clean up twice, more than an hour apart: the stages that the
// head named all that time are there for who knows none of them yet.
func (sim *simulation) cleanUp() error {
	fanOut := sim.rng.IntN(2) == 0
	for range 2 {
		for _, m := range sim.machines {
			m.cleanUp(fanOut)
		}
		time.Sleep(61 * time.Minute)
	}
	sim.laws.reopen()
	return sim.laws.check()
}

// overtake has who writes publish, another take the store, publish more and fan it out, and then the
// first one fan out what it knows of; perhaps after its checkpoint has arrived that got stuck.
func (sim *simulation) overtake() error {
	m, other := sim.owner, sim.machines[sim.rng.IntN(machines)]
	if m == nil || other == m {
		return nil
	}
	if err := m.append(); err != nil {
		sim.tracef("%s appends: %v", m.name, err)
		return nil
	}
	if err := m.work(false); err != nil || m.ledger == nil {
		return err
	}
	stuck := sim.rng.IntN(2) == 0
	if stuck {
		m.held = true
		m.fanOut()
		m.held = false
	}
	other.crash()
	if err := other.take(); err != nil {
		sim.tracef("%s takes the store: %v", other.name, err)
		if errors.Is(err, errLaw) {
			return err
		}
		return nil
	}
	if err := other.append(); err != nil {
		sim.tracef("%s appends: %v", other.name, err)
	}
	if err := errors.Join(other.work(true), sim.laws.check()); err != nil {
		return err
	}
	sim.countEvent("who was taken over fans out")
	if stuck {
		sim.tracef("the checkpoint of %s arrives", m.name)
		m.link.Release()
		if err := sim.laws.check(); err != nil {
			return err
		}
	}
	sim.tracef("%s fans out", m.name)
	m.fanOut()
	return nil
}

// writeMeanwhile has another machine, which writes or thinks so, commit a record while the store is
// taken from it, and what was held arrive. What it returns waits for the end of that.
func (sim *simulation) writeMeanwhile(taker *machine) (finish func()) {
	var going sync.WaitGroup
	if sim.rng.IntN(2) == 0 {
		going.Go(func() {
			time.Sleep(60 * time.Millisecond)
			sim.release()
		})
	}
	for _, other := range sim.machines {
		if other == taker || other.ledger == nil {
			continue
		}
		v, err := record.Open(sim.pickRecord(), other.register.CandidateKeys)
		if err != nil {
			continue // it does not know the importer yet
		}
		l, ctx := other.ledger, other.ctx
		going.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if _, err := l.Append(ctx, v); err == nil {
				l.Commit(ctx)
			}
		})
	}
	return going.Wait
}

// releaseStrangers lets what was held arrive of processes that are not the one which has taken
// the store: it changes nothing.
func (sim *simulation) releaseStrangers() error {
	if sim.owner == nil {
		return nil
	}
	before := sim.laws.size()
	for _, l := range sim.links {
		if l != sim.owner.link {
			l.Release()
		}
	}
	if after := sim.laws.size(); after != before {
		return fmt.Errorf("%w: what came late brought the log from size %d to %d, after %s had taken the store", errLaw, before, after, sim.owner.name)
	}
	return nil
}

// release lets what was held on the way arrive, also of those who are dead.
func (sim *simulation) release() {
	for _, l := range sim.links {
		l.Release()
	}
}

// finish heals everything: what was acknowledged is there, is the same for all, and a register made anew
// from the entries is the one in use.
func (sim *simulation) finish() error {
	sim.tracef("the end:")
	sim.calm = true
	for _, m := range sim.machines {
		m.cutOff, m.blind = false, false
		m.crash()
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
	if err := errors.Join(sim.drive(), sim.laws.check()); err != nil { // what was committed and no more submitted is published too
		return err
	}
	if n := uint64(len(sim.laws.entries)); sim.laws.published != n {
		return fmt.Errorf("%w: %d of %d entries are published, when all was well", errLaw, sim.laws.published, n)
	}
	return sim.laws.checkRegister(m)
}

// end ends all processes, that the bubble may.
func (sim *simulation) end() {
	sim.calm = true
	for _, m := range sim.machines {
		m.crash()
	}
	for _, u := range sim.clients {
		u.close()
	}
	sim.release()
}

// calls are the calls of a client to the machines.
type calls struct {
	sim  *simulation
	from int
}

var errCut = errors.New("the connection broke")

// RoundTrip implements [http.RoundTripper]. A call is lost, or its answer is.
func (c calls) RoundTrip(r *http.Request) (*http.Response, error) {
	var to *machine
	for _, m := range c.sim.machines {
		if m.name == r.URL.Host {
			to = m
		}
	}
	fault := c.sim.dice(fmt.Sprintf("call %d %s %s %s", c.from, to.name, r.Method, r.URL.Path)) % 200
	if c.sim.calm {
		fault = 200
	}
	if fault < callFaultPercent {
		c.sim.countEvent("a call is lost")
		return nil, errCut
	}
	res, err := to.RoundTrip(r)
	if fault < 2*callFaultPercent {
		c.sim.countEvent("an answer is lost")
		return nil, errCut
	}
	return res, err
}
