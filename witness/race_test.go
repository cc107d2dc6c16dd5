package witness_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// The race of tlog-witness "add-checkpoint": A with size N and B with size N+K are
// checked together; had the check and the write been apart, A could roll B back.
func TestConcurrentUpdates(t *testing.T) {
	const step = 3
	h := newTestLog(sharedKeys(), 200, 200, "")
	w := mustOpen(t, config(t, "w1.example"))
	at := uint64(1)
	mustCosign(t, w, h.request(0, at))
	for range 30 {
		n, nk := h.request(at, at+1), h.request(at, at+1+step)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, q := range []wire.AddCheckpoint{n, nk} {
			wg.Go(func() { _, errs[i] = w.Cosign(t.Context(), q) })
		}
		wg.Wait()
		won := []uint64{at + 1, at + 1 + step}
		var stale *witness.ConflictError
		switch {
		case errs[0] == nil && errors.As(errs[1], &stale) && stale.Size == won[0]:
			at = won[0]
		case errs[1] == nil && errors.As(errs[0], &stale) && stale.Size == won[1]:
			at = won[1]
		default:
			t.Fatalf("exactly one must win, and the other be told by whom: %v, %v", errs[0], errs[1])
		}
		cp, _, _ := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin)))
		if cp.Size != at {
			t.Fatalf("at %d, want %d", cp.Size, at)
		}
	}
}

// Many logs, each asked by many at once while a list is reloaded, rounds are made and
// checkpoints are looked at: whatever is cosigned of a log lies on one history.
func TestConcurrentUse(t *testing.T) {
	const logs, askers, asks, seed = 5, 4, 25, 7
	var list witness.LogList
	views := make([][2]*testLog, logs)
	cfg := config(t, "w1.example")
	cfg.Keys = cfg.Keys[:1]
	cfg.Log = nil
	for i := range views {
		name := fmt.Sprintf("log.example/%d", i)
		s := newSigner(proof.Ed25519, name)
		for j, branch := range []string{"A", "B"} {
			views[i][j] = newTestLog(&testKeys{log: []*proof.Signer{s}}, 60, 5, branch)
			views[i][j].origin = name
			views[i][j].subtreeHash(0, 60) // the memo is filled before others read it
			for n := range uint64(60) {
				views[i][j].subtreeHash(0, n)
				for m := range n {
					views[i][j].consistencyPath(m, n)
				}
			}
		}
		list = append(list, logListOf(name, s)...)
	}
	cfg.Logs = list
	w := mustOpen(t, cfg)
	var mu sync.Mutex
	cosigned := map[string]map[uint64]proof.Hash{}
	ctx, stop := context.WithCancel(t.Context())
	var asking, around sync.WaitGroup
	for _, f := range []func(){
		func() { w.Gossip(ctx) },
		func() { w.SetLogs(list) },
		func() { w.Latest(ctx, list[0].Origin) },
	} {
		around.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	for i := range logs {
		for j := range askers {
			asking.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(i*askers+j)))
				at := uint64(0)
				for range asks {
					h := views[i][rng.IntN(2)]
					n := min(at+1+rng.Uint64N(3), 59)
					_, err := w.Cosign(ctx, h.request(at, n))
					var stale *witness.ConflictError
					switch {
					case err == nil:
						mu.Lock()
						if cosigned[h.origin] == nil {
							cosigned[h.origin] = map[uint64]proof.Hash{}
						}
						if root, ok := cosigned[h.origin][n]; ok && root != h.subtreeHash(0, n) {
							t.Errorf("%s: two roots cosigned at %d", h.origin, n)
						}
						cosigned[h.origin][n] = h.subtreeHash(0, n)
						mu.Unlock()
						at = n
					case errors.As(err, &stale):
						at = stale.Size
					}
				}
			})
		}
	}
	asking.Wait()
	stop()
	around.Wait()
	for i := range views {
		for branch := range 2 {
			fits := 0
			for n, root := range cosigned[views[i][0].origin] {
				if views[i][branch].subtreeHash(0, n) == root {
					fits++
				}
			}
			if fits == len(cosigned[views[i][0].origin]) {
				break
			}
			if branch == 1 {
				t.Errorf("%s: what was cosigned lies on neither history", views[i][0].origin)
			}
		}
	}
}
