package sharedsim

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

// cut is how a machine is cut off from somebody.
type cut int32

const (
	whole   cut = iota
	apart       // nothing arrives
	unheard     // what it sends arrives, and no answer comes back
	cuts
)

func (c cut) String() string {
	return [cuts]string{"whole", "apart", "unheard"}[c]
}

// gate holds back whoever comes to it while it is shut. The zero value is open.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil while it is open
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// wait waits until it is open, whatever becomes of who sent it: a process that was stopped sends on
// waking what it was about to send.
func (g *gate) wait() (waited bool) {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return waited
		}
		waited = true
		<-shut
	}
}

// route is the way of one machine, of whatever kind, to all others.
type route struct {
	sim         *simulation
	name        string
	frozen      gate         // its process is stopped
	toStore     atomic.Int32 // a cut
	toWitnesses atomic.Int32 // likewise
	stuck       atomic.Bool  // its public checkpoint gets stuck on the way
}

// storeLink is the way to the store of one life.
func (r *route) storeLink(life int, dead *atomic.Bool, delay time.Duration) *objectstoretest.Link {
	link := objectstoretest.NewLink(r.sim.bucket)
	link.Delay = delay
	link.Set(func(q objectstoretest.Request) objectstoretest.Fault {
		dice := r.sim.dice(fmt.Sprintf("%s %d %s %s", r.name, life, q.Method, q.Key))
		own := q.Method == http.MethodPut && q.Key == publicCheckpoint
		switch all := objectstoretest.All(); {
		case dead.Load() || cut(r.toStore.Load()) == apart:
			return objectstoretest.Lost
		case cut(r.toStore.Load()) == unheard:
			return objectstoretest.Unheard
		case r.stuck.Load() && own:
			return objectstoretest.HangLater
		case r.sim.calm.Load():
			return objectstoretest.None
		case own && dice/10_000%100 < lateCheckpointPercent:
			return objectstoretest.Later
		case dice%100 >= storeFaultPercent:
			return objectstoretest.None
		default:
			f := all[dice/100%uint64(len(all))]
			r.sim.countEvent("store: " + f.String())
			return f
		}
	})
	return link
}

// isStill says that its process is stopped, or everything is.
func (r *route) isStill() bool { return r.frozen.isShut() || r.sim.suspended.isShut() }

func (r *route) waitForGates() (waited bool) {
	waited = r.frozen.wait()
	return r.sim.suspended.wait() || waited
}

// throughGates sends what arrives while its process runs.
type throughGates struct {
	*route
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t throughGates) RoundTrip(r *http.Request) (*http.Response, error) {
	caller := r.Context()
	if t.waitForGates() {
		late, cancel := context.WithTimeout(context.WithoutCancel(caller), 5*time.Second)
		defer cancel()
		r = r.WithContext(late)
	}
	res, err := t.next.RoundTrip(r)
	t.waitForGates()
	if caller.Err() != nil {
		return nil, caller.Err()
	}
	return res, err
}

// witnessLink is the machine's way to the witnesses.
type witnessLink struct{ *route }

// RoundTrip implements [http.RoundTripper].
func (w witnessLink) RoundTrip(r *http.Request) (*http.Response, error) {
	how := cut(w.toWitnesses.Load())
	if how == apart {
		return nil, errCut
	}
	res, err := w.sim.hosts.RoundTrip(r)
	if how == unheard {
		return nil, errCut
	}
	return res, err
}
