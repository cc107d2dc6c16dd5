package sim

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

// World is everything that outlives a day: disks, actors, what they know, and the
// laws. It is owned by the goroutine of [Run].
type World struct {
	story
	crashes int

	net       *network
	ledger    *machine
	people    *people
	followers []*follower
	auditor   *auditor
	laws      *laws

	mu      sync.Mutex // guards what follows
	errands int        // started so far
	done    []errand   // ended, and not yet heard of
}

// errand is what an actor does while the world goes on: a request under way, a
// synchronisation. What it brought is heard of between two steps.
type errand struct {
	number int
	hear   func() error
}

// newWorld makes the machines and the people; nothing has happened yet.
func newWorld(seed uint64) *World {
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
	w := &World{story: newStory(seed), net: newNetwork(seed)}
	w.ledger = &machine{net: w.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	w.ledger.ask.Transport = w.net.from(ledgerHost)
	w.people = newPeople(w, policy)
	w.followers = []*follower{newFollower(w, "follower-1"), newFollower(w, "follower-2")}
	w.auditor = &auditor{w: w}
	w.laws = newLaws(w, policy)
	return w
}

// start sends an actor off. run is on its own goroutine and touches nothing of
// the world but the network; what it returns is called by the world's. It comes as
// far as it can before the next one starts: their order is the seed's.
func (w *World) start(run func() (hear func() error)) {
	number := w.errands
	w.errands++
	go func() {
		hear := run()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.done = append(w.done, errand{number, hear})
	}()
	synctest.Wait()
}

// settle waits until nothing moves any more, then hears of the errands that have
// ended, in the order in which they were begun.
func (w *World) settle() error {
	for {
		synctest.Wait()
		w.mu.Lock()
		done := w.done
		w.done = nil
		w.mu.Unlock()
		if len(done) == 0 {
			return nil
		}
		slices.SortFunc(done, func(a, b errand) int { return a.number - b.number })
		for _, e := range done {
			if err := e.hear(); err != nil {
				return err
			}
		}
	}
}

// settle waits until the requests that were cut off have noticed it.
func (m *machine) settle() { synctest.Wait() }

// short names a record in the trace.
func short(id record.ID) string { return id.String()[:8] }
