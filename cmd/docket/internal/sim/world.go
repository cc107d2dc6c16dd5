package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

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
	seed    uint64
	rng     *rand.Rand
	ctx     context.Context // of the day
	trace   []string
	now     time.Time // what the clocks show when the next day begins
	last    time.Time // the latest that they ever showed
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
	w := &World{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), net: newNetwork(seed),
		now: time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC),
	}
	w.ledger = &machine{net: w.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	w.people = newPeople(w, policy)
	w.followers = []*follower{newFollower(w, "follower-1"), newFollower(w, "follower-2")}
	w.auditor = &auditor{w: w}
	w.laws = newLaws(w, policy)
	return w
}

// note writes one line of the trace.
func (w *World) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%4d  %s  ", len(w.trace), time.Now().UTC().Format("2006-01-02 15:04:05.000"))+fmt.Sprintf(format, args...))
}

// Trace is what happened, a line a step.
func (w *World) Trace() string { return strings.Join(w.trace, "\n") }

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

// chance is true so many times in a hundred.
func (w *World) chance(percent int) bool { return w.rng.IntN(100) < percent }

// pick is one of them.
func pick[T any](w *World, of ...T) T { return of[w.rng.IntN(len(of))] }

// short names a record in the trace.
func short(id record.ID) string { return id.String()[:8] }
