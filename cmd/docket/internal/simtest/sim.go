// Package simtest runs deterministic simulations, in one goroutine and from one seed,
// of a ledger on a disk that loses unsynced writes, clients that submit valid and
// invalid records over a network that drops, delays and repeats, followers that crash,
// an auditor, and clocks that are set back. All parts are the real ones; only disk,
// network and time are simulated. After every step all invariants are checked
// (DESIGN.md section 9). It is test support.
//
// A simulation runs in days. A day is one synctest bubble, so that time passes only
// when the simulation lets it; at night every machine is off, and its clock may show
// any time in the morning.
//
// [LedgerSim] is one ledger without witnesses. The network simulation ([RunNetwork])
// has witnesses, some dishonest, whose clocks differ, and clients. Its operator may
// restore an old backup, and may later sign two histories with the same keys and serve
// each to some clients. Others send the witnesses requests that they must refuse.
//
// To add a part, give it a disk ([crashedDisk]) and links of its own on the [network],
// steps in sim.go, and invariants beside the others. What it does while the other parts
// go on is a task ([LedgerSim.startTask]).
package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Report is what a run came to.
type Report struct {
	Trace    string // a line a step
	Root     string // of the log at the end
	Entries  int
	Kinds    map[record.Kind]int // entries of each kind
	Receipts int                 // handed out
	Refusals map[int]int         // by HTTP status
	Crashes  int                 // of the ledger
	Faults   map[fault]int       // of calls
}

// RunLedger simulates a ledger for that many steps and a last, quiet day on which every
// request gets its answer. A violated invariant fails the test, with the seed and the
// trace.
func RunLedger(t *testing.T, seed uint64, steps int) *Report {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	w := newLedgerSim(seed)
	var err error
	if seed%2 == 1 {
		err = w.runDay(t, w.growToFirstTile)
		w.setClock()
	}
	for left := steps; left > 0 && err == nil; {
		today := min(left, 20+w.rng.IntN(30))
		left -= today
		err = w.runDay(t, func() error { return w.runSteps(today) })
		w.setClock()
	}
	if err == nil {
		w.setClockLater()
		err = w.runDay(t, w.runFaultFreeDay)
	}
	if err != nil {
		t.Fatalf("%v\nseed %d, %d steps; again: go test ./cmd/docket/internal/simtest -run TestLedger -seed %d -steps %d\n%s", err, seed, steps, seed, steps, w.Trace())
	}
	return w.report()
}

// runDay opens the ledger's world for a day.
func (w *LedgerSim) runDay(t *testing.T, f func() error) error {
	live := func() error {
		must(w.invariants.openShadow())
		return f()
	}
	return w.simBase.runDay(t, live, func(end func()) error {
		if w.ledger.node != nil {
			w.ledger.crash(100, 0)
		}
		end()
		return errors.Join(w.finishTasks(), w.invariants.shadowRegister.Close())
	})
}

// runSteps takes steps, and checks every invariant after each.
func (w *LedgerSim) runSteps(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
		if err := errors.Join(w.finishTasks(), w.invariants.check(w.dayCtx, w.ledger)); err != nil {
			return err
		}
	}
	return w.invariants.checkFromScratch()
}

// growToFirstTile is a day without mishaps on which the ledger grows to just below the size
// at which its first tile is full. Every other world begins with one.
func (w *LedgerSim) growToFirstTile() error {
	w.net.setFaultFree(true)
	defer w.net.setFaultFree(false)
	for w.ledger.node == nil {
		if err := w.startLedger(); err != nil {
			return err
		}
	}
	for w.invariants.published.Size < proof.TileWidth-20 {
		for range 5 {
			if l := w.authors.nextSubmission(); l != nil {
				w.authors.send(l)
			}
		}
		for _, l := range w.authors.allResponses() {
			w.authors.send(l)
		}
		if err := w.commitAndPublish(); err != nil {
			return err
		}
	}
	return nil
}

// runFaultFreeDay is a day without mishaps, at whose end nothing is open: every letter has
// its answer, every follower all entries, the auditor no finding.
func (w *LedgerSim) runFaultFreeDay() error {
	w.tracef("the last day: no mishaps")
	w.net.setFaultFree(true)
	for l := range w.net.blocked {
		w.net.setBlocked(l, false)
	}
	for w.ledger.node == nil {
		if err := w.startLedger(); err != nil {
			return err
		}
	}
	for range 3 {
		for open := range slices.Chunk(w.authors.undecided(), 10) {
			for _, l := range open {
				w.authors.send(l)
			}
			if err := w.commitAndPublish(); err != nil {
				return err
			}
		}
		time.Sleep(time.Hour) // for what is dated ahead
	}
	if l := w.authors.undecided(); len(l) > 0 {
		return fmt.Errorf("%d letters have no answer on a day without mishaps: letter %d, %s", len(l), l[0].number, l[0].description)
	}
	for _, f := range w.followers {
		f.sync()
	}
	w.auditor.audit()
	if err := w.commitAndPublish(); err != nil {
		return err
	}
	for _, f := range w.followers {
		if f.trusted != w.invariants.published {
			return fmt.Errorf("%s has %d entries of %d", f.name, f.trusted.Size, w.invariants.published.Size)
		}
	}
	return errors.Join(w.invariants.checkCommitted(), w.invariants.checkFromScratch())
}

// commitAndPublish lets the ledger do all that there is to do.
func (w *LedgerSim) commitAndPublish() error {
	if err := w.finishTasks(); err != nil {
		return err
	}
	l := w.ledger.node.Ledger
	if err := errors.Join(l.Commit(w.dayCtx), l.Publish(w.dayCtx)); err != nil {
		return err
	}
	return errors.Join(w.finishTasks(), w.invariants.check(w.dayCtx, w.ledger))
}

func (w *LedgerSim) report() *Report {
	return &Report{
		Trace: w.Trace(), Root: w.invariants.published.Root.String(), Entries: len(w.invariants.entries), Kinds: w.invariants.kinds,
		Receipts: len(w.invariants.receipts), Refusals: w.invariants.refusals, Crashes: w.crashes, Faults: w.net.faultCounts,
	}
}

const (
	origin     = "docket.example/sim"
	ledgerHost = "ledger.example"
	ledgerURL  = "http://" + ledgerHost
)

// LedgerSim is everything that outlives a day: disks, actors, what they know, and the
// invariants. It belongs to the goroutine of [RunLedger].
type LedgerSim struct {
	simBase
	crashes int

	net        *network
	ledger     *ledgerNode
	authors    *authors
	followers  []*follower
	auditor    *auditor
	invariants *ledgerInvariants

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

// newLedgerSim makes the machines and the people; nothing has happened yet.
func newLedgerSim(seed uint64) *LedgerSim {
	keys := node.Keys{Origin: origin}
	policy := ""
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		secret, public, err := proof.GenerateKey(alg, origin)
		must(err)
		s, err := proof.ParseSigner(secret)
		must(err)
		keys.Signers = append(keys.Signers, s)
		policy += "log " + public + " " + ledgerURL + "\n"
	}
	policy += "quorum none\n"
	w := &LedgerSim{simBase: newSimBase(seed), net: newNetwork(seed)}
	w.ledger = &ledgerNode{net: w.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	w.ledger.cosignConfig.Transport = w.net.transportOf(ledgerHost)
	w.authors = newAuthors(w, policy)
	w.followers = []*follower{newFollower(w, "follower-1"), newFollower(w, "follower-2")}
	w.auditor = &auditor{w: w}
	w.invariants = newLedgerInvariants(w, policy)
	return w
}

// startTask starts an actor's task. run has its own goroutine and uses nothing of the
// simulation but the network; what it returns is called by the simulation's goroutine.
// It runs as far as it can before the next one starts: the seed decides their order.
func (w *LedgerSim) startTask(run func() (finish func() error)) {
	number := w.tasksStarted
	w.tasksStarted++
	go func() {
		finish := run()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tasksDone = append(w.tasksDone, asyncTask{number, finish})
	}()
	synctest.Wait()
}

// finishTasks waits until nothing moves any more, then finishes the tasks that have
// ended, in the order in which they were started.
func (w *LedgerSim) finishTasks() error {
	for {
		synctest.Wait()
		w.mu.Lock()
		done := w.tasksDone
		w.tasksDone = nil
		w.mu.Unlock()
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

// simBase is what all simulations share: the seed and its random source, a clock that
// is set between days, and a trace. A day is one synctest bubble.
type simBase struct {
	seed   uint64
	rng    *rand.Rand
	dayCtx context.Context // of the day
	trace  []string
	now    time.Time // what the clocks show when the next day begins
	latest time.Time // the latest that they ever showed
}

func newSimBase(seed uint64) simBase {
	return simBase{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)),
		now: time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC),
	}
}

// runDay opens a bubble at the simulation's time and runs steps in it. shutdown comes
// after it, calls end, and leaves nothing in flight.
func (s *simBase) runDay(t *testing.T, steps func() error, shutdown func(end func()) error) (err error) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(s.now)) // a bubble begins in the year 2000
		ctx, end := context.WithCancel(t.Context())
		s.dayCtx = ctx
		defer func() {
			err = errors.Join(err, shutdown(end))
			s.now = time.Now().UTC()
			s.latest = maxTime(s.latest, s.now)
		}()
		err = steps()
	})
	return err
}

// setClock sets the clock: on, or back.
func (s *simBase) setClock() {
	switch n := s.rng.IntN(10); {
	case n < 5:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(24 * time.Hour))))
	case n < 7:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(40 * 24 * time.Hour))))
	case n < 9:
		s.now = s.now.Add(-time.Duration(s.rng.Int64N(int64(time.Minute))))
	default:
		s.now = s.now.Add(-time.Duration(s.rng.Int64N(int64(time.Hour))))
	}
}

// setClockLater is a morning that is later than every time before.
func (s *simBase) setClockLater() { s.now = maxTime(s.now, s.latest).Add(time.Minute) }

// tracef writes one line of the trace.
func (s *simBase) tracef(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%4d  %s  ", len(s.trace), time.Now().UTC().Format("2006-01-02 15:04:05.000"))+fmt.Sprintf(format, args...))
}

// Trace is what happened, a line a step.
func (s *simBase) Trace() string { return strings.Join(s.trace, "\n") }

// chance is true so many times in a hundred.
func (s *simBase) chance(percent int) bool { return s.rng.IntN(100) < percent }

func (s *simBase) intn(n int) int { return s.rng.IntN(n) }

// pick is one of them.
func pick[T any](s interface{ intn(n int) int }, of ...T) T { return of[s.intn(len(of))] }

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// step is one thing that happens.
func (w *LedgerSim) step() error {
	switch n := w.rng.IntN(100); {
	case w.ledger.node == nil:
		return w.startLedger()
	case n < 22:
		for range 1 + w.rng.IntN(4) {
			if l := w.authors.nextSubmission(); l != nil {
				w.authors.send(l)
			}
		}
	case n < 27:
		for _, l := range w.authors.conflictingPair() {
			w.authors.send(l)
		}
	case n < 31:
		for _, l := range w.authors.allResponses() {
			w.authors.send(l)
		}
		return w.commitOrPublish()
	case n < 34:
		if l := w.authors.addMissingSignatures(); l != nil {
			w.authors.send(l)
		}
	case n < 41:
		w.authors.resendAny()
	case n < 63:
		return w.commitOrPublish()
	case n < 66:
		return w.failPowerOrDisk(false)
	case n < 69:
		return w.failPowerOrDisk(true)
	case n < 72:
		w.crashLedger()
	case n < 74:
		w.tracef("the ledger is restarted")
		return errors.Join(w.ledger.stop(), w.startLedger())
	case n < 76:
		return w.deleteRegister()
	case n < 82:
		w.followers[w.rng.IntN(len(w.followers))].sync()
	case n < 85:
		w.followers[w.rng.IntN(len(w.followers))].crash(pick(w, 0, 30, 70, 100))
	case n < 87:
		if f := w.followers[w.rng.IntN(len(w.followers))]; f.syncing {
			w.tracef("%s is interrupted", f.name)
			f.cancelSync()
		}
	case n < 89:
		w.auditor.audit()
	case n < 91:
		w.verifyRandomChain()
	case n < 93:
		who := pick(w, "submitter-0", "submitter-1", "follower-1", "auditor")
		cut := w.chance(50)
		w.tracef("%s and the ledger are parted: %v", who, cut)
		w.net.setBlocked(link{who, ledgerHost}, cut)
	default:
		d := pick(w, 3*time.Millisecond, time.Second, 11*time.Second, 15*time.Minute)
		w.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// commitOrPublish commits, publishes, or both.
func (w *LedgerSim) commitOrPublish() error {
	l := w.ledger.node.Ledger
	steps := pick(w, []bool{true, false}, []bool{true, true}, []bool{false, true})
	if steps[0] {
		waiting, from := l.Queued(), l.Head().Size
		err := w.ledger.runStep(w.dayCtx, l.Commit)
		w.tracef("commit of %d: from %d to %d, %v", waiting, from, l.Head().Size, err)
		synctest.Wait() // who was refused is told
		if err := w.allow(err, ledger.ErrClock); err != nil || w.ledger.node == nil {
			return err
		}
	}
	if steps[1] && l.Head().Size > 0 {
		err := w.ledger.runStep(w.dayCtx, l.Publish)
		w.tracef("publish %d: %v", l.Head().Size, err)
		return w.allow(err, nil)
	}
	return nil
}

// allow allows a step to fail as it may, or because the machine fell; then it is
// taken down.
func (w *LedgerSim) allow(err, allowed error) error {
	if w.ledger.failed() {
		w.tracef("the ledger is down")
		w.ledger.crash(100, 0)
		w.crashes++
		return nil
	}
	if err == nil || allowed != nil && errors.Is(err, allowed) {
		return nil
	}
	return fmt.Errorf("a step of the ledger: %w", err)
}

// failPowerOrDisk prepares a failure of power or disk, and goes on until it comes.
func (w *LedgerSim) failPowerOrDisk(disk bool) error {
	after, keep := w.rng.IntN(6), pick(w, 0, 20, 50, 80, 100)
	what := "power"
	if disk {
		what = "disk"
	}
	w.tracef("the %s will fail after %d writes, %d %% of what was not synced will be kept", what, after, keep)
	w.ledger.fault.arm(disk, after, keep, w.rng.Uint64())
	for range 3 {
		if l := w.authors.nextSubmission(); l != nil {
			w.authors.send(l)
		}
		if err := w.finishTasks(); err != nil {
			return err
		}
		if err := w.commitOrPublish(); err != nil || w.ledger.node == nil {
			return err
		}
	}
	return nil
}

// crashLedger ends the ledger's process between two steps, or its machine.
func (w *LedgerSim) crashLedger() {
	keep := pick(w, 0, 40, 80, 100)
	w.tracef("the ledger crashes, %d %% of what it had not synced is kept", keep)
	w.ledger.crash(keep, w.rng.Uint64())
	w.crashes++
}

// deleteRegister deletes the register, which is derived.
func (w *LedgerSim) deleteRegister() error {
	w.tracef("the ledger's register is deleted")
	if err := w.ledger.stop(); err != nil {
		return err
	}
	if err := w.ledger.disk.RemoveAll("ledger/register"); err != nil {
		return err
	}
	return w.startLedger()
}

// startLedger starts the ledger; now and then the power fails once more meanwhile.
func (w *LedgerSim) startLedger() error {
	if w.chance(15) {
		w.ledger.fault.arm(false, w.rng.IntN(40), pick(w, 0, 50, 100), w.rng.Uint64())
	}
	ok, err := w.ledger.start(w.dayCtx)
	w.tracef("the ledger starts: %v", ok)
	w.invariants.compared = 0
	if !ok {
		w.crashes++
	}
	return err
}
