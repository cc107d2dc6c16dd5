package simtest

import (
	"slices"
	"sync"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

const (
	origin     = "docket.example/sim"
	ledgerHost = "ledger.example"
	ledgerURL  = "http://" + ledgerHost
)

// LedgerSim is everything that outlives a day: disks, actors, what they know, and the
// laws. It is owned by the goroutine of [RunLedger].
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

// asyncTask is what an actor does while the world goes on: a request under way, a
// synchronisation. What it brought is heard of between two steps.
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

// startTask sends an actor off. run is on its own goroutine and touches nothing of
// the world but the network; what it returns is called by the world's. It comes as
// far as it can before the next one starts: their order is the seed's.
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

// finishTasks waits until nothing moves any more, then hears of the errands that have
// ended, in the order in which they were begun.
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
