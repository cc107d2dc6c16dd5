// Package simtest runs deterministic simulations, in one goroutine and from one seed,
// of a ledger on a disk that loses unsynced writes, its witnesses, and those who use it,
// over a network that drops, delays and repeats, by clocks that are set back. All parts
// are the real ones; only disk, network and time are simulated. After every step all
// invariants are checked (DESIGN.md section 9). It is test support.
//
// A simulation runs in days. A day is one synctest bubble, so that time passes only
// when the simulation lets it; at night every machine is off, and its clock may show
// any time in the morning.
//
// A [scenario] says who is there. Without witnesses the policy is "quorum none": clients
// submit valid and invalid records, followers crash, an auditor replays all, and the disk
// fails. With witnesses, some of them are dishonest, clocks differ, and others send them
// requests that they must refuse; the operator may restore an old backup, and may later
// sign two histories with the same keys and serve each to some clients.
//
// With customers, the ledger is alone and a provider publishes the periods of a private
// customer log on it (customerlog.go), whose machine crashes on its own.
//
// To add a part, give it a disk ([crashedDisk]) and links of its own on the [network],
// steps in steps.go, and invariants beside the others. What it does while the other parts
// go on is a task ([simulation.startTask]).
package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/witness"
)

const (
	origin     = "docket.example/sim"
	ledgerHost = "ledger.example"
	ledgerURL  = "http://" + ledgerHost
)

// scenario is the configuration of one simulation. The zero one is a ledger alone.
type scenario struct {
	witnesses, quorum  int
	dishonest          int  // of those in the quorum
	extraWitness       bool // one more is asked and does not count
	fork               bool
	dishonestBehaviour behaviour // of the dishonest; any if empty
	customers          bool      // alone, with a provider that keeps a private customer log
}

// quorumsIntersect tells whether any two quorums have an honest witness in common.
func (p scenario) quorumsIntersect() bool { return 2*p.quorum-p.witnesses > p.dishonest }

var scenarios = []scenario{
	{witnesses: 3, quorum: 2, extraWitness: true},
	{witnesses: 4, quorum: 3, dishonest: 1},
	{witnesses: 5, quorum: 4, dishonest: 1, extraWitness: true},
	{witnesses: 7, quorum: 5, dishonest: 2},
}

// scenarioFor is the scenario of a seed: the sound ones in turn, each with a fork two
// times out of three.
func scenarioFor(seed uint64) scenario {
	p := scenarios[seed%uint64(len(scenarios))]
	p.fork = seed%3 != 0
	return p
}

// simulation is everything that outlives a day: disks, actors, what they know, and the
// invariants. It belongs to the goroutine of [Run].
type simulation struct {
	seed   uint64
	rng    *rand.Rand
	dayCtx context.Context // of the day
	trace  []string
	events map[string]int
	now    time.Time // what the clocks show when the next day begins
	latest time.Time // the latest that they ever showed

	scenario   scenario
	net        *network
	policy     *proof.Policy
	ledger     *ledgerNode
	authors    *authors
	invariants *invariants

	followers []*follower
	auditor   *auditor
	customers *customerNode // nil if there is none

	maliciousLog *maliciousLog    // nil before the fork
	undecided    *record.Envelope // of an operator's own: whether it was committed is not known yet
	designations int
	backup       backup // of the ledger
	onBackup     bool   // the ledger lives on a backup now
	slowLog      *slowLog
	witnesses    []*witnessNode
	clients      []*clientNode

	mu           sync.Mutex  // guards what follows
	tasksStarted int         // started so far
	tasksDone    []asyncTask // ended, and not yet heard of
}

// asyncTask is what an actor does while the simulation goes on: a request in flight, a
// sync. Its result is taken between two steps.
type asyncTask struct {
	number int
	finish func() error
}

// newSimulation makes the machines and the people; nothing has happened yet.
func newSimulation(seed uint64, p scenario) *simulation {
	sim := &simulation{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC),
		scenario: p, net: newNetwork(seed), events: make(map[string]int),
	}
	var text strings.Builder
	keys := node.Keys{Origin: origin}
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		secret, public, err := proof.GenerateKey(alg, origin)
		must(err)
		signer, err := proof.ParseSigner(secret)
		must(err)
		keys.Signers = append(keys.Signers, signer)
		fmt.Fprintf(&text, "log %s %s\n", public, ledgerURL)
	}
	sim.addQuorum(&text)
	var err error
	sim.policy, err = proof.ParsePolicy([]byte(text.String()))
	must(err)
	sim.ledger = &ledgerNode{net: sim.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	sim.ledger.cosignConfig.Transport = sim.net.transportOf(ledgerHost)
	sim.authors = newAuthors(sim, text.String())
	sim.invariants = newInvariants(sim)
	sim.net.observe = sim.invariants.onResponse
	if sim.alone() {
		sim.followers, sim.auditor = []*follower{newFollower(sim, "follower-1"), newFollower(sim, "follower-2")}, &auditor{sim: sim}
		if p.customers {
			sim.customers = newCustomerNode(sim)
		}
		return sim
	}
	for i := range 4 {
		sim.clients = append(sim.clients, &clientNode{sim: sim, name: fmt.Sprintf("watcher-%d", i), disk: vfs.NewCrashableMem()})
	}
	sim.slowLog = newSlowLog(sim)
	sim.net.faultOdds = 12 // there are so many calls in each step
	return sim
}

// alone says that the ledger has no witnesses.
func (sim *simulation) alone() bool { return sim.scenario.witnesses == 0 }

// addQuorum adds the witnesses to the network and to the policy, and says how many of them
// it takes.
func (sim *simulation) addQuorum(policy *strings.Builder) {
	p := sim.scenario
	if sim.alone() {
		policy.WriteString("quorum none\n")
		return
	}
	members := ""
	for i := range p.witnesses {
		c := honest
		switch {
		case i < p.dishonest:
			if c = p.dishonestBehaviour; c == "" {
				c = pick(sim, equivocating, equivocating, restoredFromBackup, restoredFromBackup, malformed, offline, stalled, clockSkewed)
			}
		case i == p.witnesses-1 && p.witnesses-p.dishonest > p.quorum:
			c = pick(sim, honest, slow)
		}
		members += " " + sim.addWitness(policy, i, c)
	}
	fmt.Fprintf(policy, "group quorum %d%s\n", p.quorum, members)
	if p.extraWitness {
		sim.addWitness(policy, p.witnesses, pick(sim, honest, slow, malformed, stalled))
	}
	policy.WriteString("quorum quorum\n")
}

// checkpointBurst is how many new checkpoints a log may save up with a witness: more
// than a simulation makes of them, and few enough for an outsider to send.
const checkpointBurst = 100

// logList is the witnesses' list of logs.
func (sim *simulation) logList() witness.LogList {
	l := witness.Log{Origin: origin, QPD: 24 * checkpointBurst, Contact: "operator@" + ledgerHost}
	for _, s := range sim.ledger.keys.Signers {
		l.Keys = append(l.Keys, s.Key())
	}
	return witness.LogList{l, {Origin: slowLogOrigin, Keys: []proof.Key{sim.slowLog.signer.Key()}, QPD: 1 << 30, Contact: "nobody"}}
}

// addWitness adds a witness to the network and its keys to the policy, as one group.
func (sim *simulation) addWitness(policy *strings.Builder, i int, c behaviour) (group string) {
	s, vkeys := newWitnessNode(sim, fmt.Sprintf("w%d.example", i), c)
	for k, vkey := range vkeys {
		fmt.Fprintf(policy, "witness w%d-%d %s %s\n", i, k, vkey, s.url())
	}
	group = fmt.Sprintf("w%d", i)
	fmt.Fprintf(policy, "group %s all w%d-0 w%d-1\n", group, i, i)
	sim.witnesses = append(sim.witnesses, s)
	sim.net.distant[s.name] = true
	sim.countEvent("a witness: " + string(c))
	sim.countEvent(fmt.Sprintf("a witness's clock is ahead: %v", s.clockOffset > 0))
	return group
}

// Report is what a run came to.
type Report struct {
	Trace    string // a line a step
	Root     string // of the log at the end, while it is honest
	Entries  int
	Kinds    map[record.Kind]int // entries of each kind
	Receipts int                 // handed out
	Refusals map[int]int         // by HTTP status
	Events   map[string]int      // what happened, and how often
	Faults   map[fault]int       // of calls
}

// Run simulates a scenario for that many steps and a last, quiet day, on which every
// request gets its answer and every partition heals. A violated invariant is its error.
func Run(t *testing.T, seed uint64, p scenario, steps int) (*Report, error) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	sim := newSimulation(seed, p)
	if first := sim.firstDay(); first != nil {
		if err := sim.runDay(t, first); err != nil {
			return sim.report(), err
		}
		sim.setClock()
	}
	forkAt := steps / 3
	for left := steps; left > 0; {
		today := min(left, 15+sim.intn(25))
		if sim.customers != nil {
			today = min(left, 6+sim.intn(12)) // periods end, and erasures fall due, from day to day
		}
		fork := p.fork && sim.maliciousLog == nil && steps-left >= forkAt
		if fork {
			sim.setClockLater()
		}
		left -= today
		if err := sim.runDay(t, func() error { return sim.runSteps(today, fork) }); err != nil {
			return sim.report(), err
		}
		sim.setClock()
	}
	sim.setClockLater()
	last := sim.healPartition
	if sim.alone() {
		last = sim.runFaultFreeDay
	}
	if sim.customers != nil {
		last = sim.customers.lastDay
	}
	err := sim.runDay(t, func() error { return errors.Join(last(), sim.check()) })
	return sim.report(), err
}

// firstDay is what comes before all else; nil if nothing does.
func (sim *simulation) firstDay() func() error {
	switch {
	case sim.customers != nil:
		return sim.enrolProvider
	case sim.alone() && sim.seed%2 == 1:
		return sim.growToFirstTile
	}
	return nil
}

func (sim *simulation) report() *Report {
	l := sim.invariants
	return &Report{
		Trace: strings.Join(sim.trace, "\n"), Root: l.published.Root.String(), Entries: len(l.entries), Kinds: l.kinds,
		Receipts: len(l.receipts), Refusals: l.refusals, Events: sim.events, Faults: sim.net.faultCounts,
	}
}

// runDay opens a bubble at the simulation's time and runs steps in it, with every machine
// on. At its end nothing is in flight.
func (sim *simulation) runDay(t *testing.T, steps func() error) (err error) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(sim.now)) // a bubble begins in the year 2000
		ctx, end := context.WithCancel(t.Context())
		sim.dayCtx = ctx
		defer func() {
			err = errors.Join(err, sim.endDay(end))
			sim.now = time.Now().UTC()
			sim.latest = maxTime(sim.latest, sim.now)
		}()
		must(sim.invariants.openShadow())
		if sim.maliciousLog != nil {
			must(sim.maliciousLog.open())
		}
		if !sim.alone() { // alone, the ledger starts in a step of its own
			sim.slowLog.listen(ctx)
			if err = sim.startAll(); err != nil {
				return
			}
		}
		err = steps()
	})
	return err
}

func (sim *simulation) endDay(end func()) (err error) {
	if sim.ledger.node != nil {
		sim.ledger.crash(100, 0)
	}
	for _, s := range sim.witnesses {
		s.stop(100)
	}
	if sim.customers != nil {
		sim.customers.crash(100, 0)
	}
	if sim.maliciousLog != nil {
		err = sim.maliciousLog.close()
	}
	end()
	return errors.Join(err, sim.finishTasks(), sim.invariants.shadowRegister.Close())
}

// runSteps takes steps, and checks every invariant after each.
func (sim *simulation) runSteps(steps int, fork bool) error {
	if fork {
		if err := sim.fork(); err != nil {
			return err
		}
	}
	step := sim.stepNetwork
	if sim.alone() {
		step = sim.stepAlone
	}
	if sim.customers != nil {
		step = sim.stepCustomers
	}
	for range steps {
		if err := step(); err != nil {
			return err
		}
		if err := sim.check(); err != nil {
			return err
		}
	}
	return sim.invariants.checkFromScratch()
}

// check finishes what has ended, and checks every invariant again.
func (sim *simulation) check() error {
	if err := sim.finishTasks(); err != nil {
		return err
	}
	for _, s := range sim.witnesses {
		if s.stopIfPowerFailed() {
			sim.tracef("%s has lost its power", s.name)
			sim.countEvent("witness loses power")
		}
	}
	if sim.customers != nil {
		if err := sim.customers.check(); err != nil {
			return err
		}
	}
	return sim.invariants.check()
}

// countEvent counts what happened.
func (sim *simulation) countEvent(what string) { sim.events[what]++ }

// startTask starts an actor's task. run has its own goroutine and uses nothing of the
// simulation but the network; what it returns is called by the simulation's goroutine.
// It runs as far as it can before the next one starts: the seed decides their order.
func (sim *simulation) startTask(run func() (finish func() error)) {
	number := sim.tasksStarted
	sim.tasksStarted++
	go func() {
		finish := run()
		sim.mu.Lock()
		defer sim.mu.Unlock()
		sim.tasksDone = append(sim.tasksDone, asyncTask{number, finish})
	}()
	synctest.Wait()
}

// finishTasks waits until nothing moves any more, then finishes the tasks that have
// ended, in the order in which they were started.
func (sim *simulation) finishTasks() error {
	for {
		synctest.Wait()
		sim.mu.Lock()
		done := sim.tasksDone
		sim.tasksDone = nil
		sim.mu.Unlock()
		if len(done) == 0 {
			return nil
		}
		slices.SortFunc(done, func(a, b asyncTask) int { return a.number - b.number })
		for _, e := range done {
			if err := e.finish(); err != nil {
				return err
			}
		}
	}
}

// waitIdle waits until the requests that were cut off have noticed it.
func (m *ledgerNode) waitIdle() { synctest.Wait() }

// shortID names a record in the trace.
func shortID(id record.ID) string { return id.String()[:8] }

// setClock sets the clock: on, or back.
func (sim *simulation) setClock() {
	switch n := sim.rng.IntN(10); {
	case n < 5:
		sim.now = sim.now.Add(time.Duration(sim.rng.Int64N(int64(24 * time.Hour))))
	case n < 7:
		sim.now = sim.now.Add(time.Duration(sim.rng.Int64N(int64(40 * 24 * time.Hour))))
	case n < 9:
		sim.now = sim.now.Add(-time.Duration(sim.rng.Int64N(int64(time.Minute))))
	default:
		sim.now = sim.now.Add(-time.Duration(sim.rng.Int64N(int64(time.Hour))))
	}
}

// setClockLater is a morning that is later than every time before.
func (sim *simulation) setClockLater() { sim.now = maxTime(sim.now, sim.latest).Add(time.Minute) }

// tracef writes one line of the trace. Which number a file of Pebble's has depends on when
// its own goroutines flushed, and tells nothing.
func (sim *simulation) tracef(format string, args ...any) {
	line := pebbleFileNumber.ReplaceAllString(fmt.Sprintf(format, args...), "N.$1")
	sim.trace = append(sim.trace, fmt.Sprintf("%4d  %s  ", len(sim.trace), time.Now().UTC().Format("2006-01-02 15:04:05.000"))+line)
}

var pebbleFileNumber = regexp.MustCompile(`\b[0-9]{6,}\.(log|sst|blob)\b`)

// chance is true so many times in a hundred.
func (sim *simulation) chance(percent int) bool { return sim.rng.IntN(100) < percent }

func (sim *simulation) intn(n int) int { return sim.rng.IntN(n) }

// pick is one of them.
func pick[T any](sim *simulation, of ...T) T { return of[sim.intn(len(of))] }

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
