package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pgstore"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// world is a storetest.SharedMedium: a schema on a server that can crash. Each handle
// reaches it by a way of its own.
type world struct {
	server *pgstoretest.Server
	schema string
	cut    func(toServer bool, size int) (cut, arrived bool)

	ways sync.Map // *pgstore.Store → *pgstoretest.Proxy
}

var schemas atomic.Int32

func newWorld(server *pgstoretest.Server) *world {
	return &world{server: server, schema: fmt.Sprint("ledger", schemas.Add(1))}
}

func (w *world) open(t testing.TB) *pgstore.Store {
	t.Helper()
	way := pgstoretest.NewProxy(t, w.server)
	way.Cut = w.cut
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: way.URL() + "&schema=" + w.schema})
	for range 20 {
		if err == nil || w.cut == nil {
			break
		}
		s, err = pgstore.Open(t.Context(), pgstore.Config{URL: way.URL() + "&schema=" + w.schema})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.ways.Store(s, way)
	return s
}

func (w *world) Open(t testing.TB) storetest.ClosableStore { return w.open(t) }

func (w *world) Handle(t testing.TB) storetest.SharedHandle { return w.open(t) }

func (w *world) Second(t testing.TB, _ storetest.ClosableStore) ledger.Store {
	s := w.open(t)
	t.Cleanup(func() { s.Close() })
	return s
}

// Delay holds what a handle sends, also on connections that it makes anew.
func (w *world) Delay(_ testing.TB, h storetest.SharedHandle) (release func()) {
	way, _ := w.ways.Load(h)
	return way.(*pgstoretest.Proxy).Strand()
}

// Crash kills the server, or its sessions alone, and goes on with a copy.
func (w *world) Crash(rng *rand.Rand) storetest.Medium {
	if rng.IntN(4) == 0 && w.cut == nil {
		w.server.Kill()
		w.server.Restart()
	} else {
		w.server.Disconnect()
	}
	after := newWorld(w.server)
	after.cut = w.cut
	sql := "CREATE SCHEMA " + after.schema
	for _, table := range []string{"head", "published", "archived", "entries", "tiles", "archive", "blobs"} {
		sql += fmt.Sprintf("; CREATE TABLE %[1]s.%[3]s (LIKE %[2]s.%[3]s INCLUDING ALL); INSERT INTO %[1]s.%[3]s TABLE %[2]s.%[3]s", after.schema, w.schema, table)
	}
	w.server.SQL(sql)
	return after
}

func TestStoreLaws(t *testing.T) {
	server := pgstoretest.Start(t)
	storetest.Run(t, func(testing.TB) storetest.Medium { return newWorld(server) })
}

// An attempt that was given up arrives when the state that it began from has come back: it is too late.
func TestLateAttempt(t *testing.T) {
	w := newWorld(pgstoretest.Start(t))
	s := w.open(t)
	defer s.Close()
	a, b := []byte("checkpoint a"), []byte("checkpoint b")
	if err := errors.Join(s.Take(t.Context()), s.Publish(t.Context(), nil, a)); err != nil {
		t.Fatal(err)
	}
	way, _ := w.ways.Load(s)
	flow := way.(*pgstoretest.Proxy).HoldOpen()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Publish(ctx, a, b); err == nil || errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("publishing, and it got stuck: %v", err)
	}
	if err := errors.Join(s.Publish(t.Context(), a, b), s.Publish(t.Context(), b, a)); err != nil {
		t.Fatal(err)
	}
	flow()
	if p, err := s.Published(t.Context()); err != nil || !bytes.Equal(p, a) {
		t.Errorf("published %q, %v; want %q", p, err, a)
	}
}

// badWorld is a world whose connections break, and which is shared by nobody: what became of a
// write when another has taken the store since is then unknown, which a law of the shared ones
// does not expect.
type badWorld struct{ w *world }

func (b badWorld) Open(t testing.TB) storetest.ClosableStore { return b.w.Open(t) }
func (b badWorld) Second(t testing.TB, open storetest.ClosableStore) ledger.Store {
	return b.w.Second(t, open)
}
func (b badWorld) Crash(rng *rand.Rand) storetest.Medium { return badWorld{b.w.Crash(rng).(*world)} }

// TestStoreLawsOverABadWire: requests and answers get lost with their connections, and sessions
// end: the store finds out what became of its writes, and no law is broken.
func TestStoreLawsOverABadWire(t *testing.T) {
	if testing.Short() {
		t.Skip("the laws once more")
	}
	const seed = 15
	server := pgstoretest.Start(t)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	cuts := 0
	storetest.Run(t, func(testing.TB) storetest.Medium {
		w := newWorld(server)
		w.cut = func(_ bool, size int) (cut, arrived bool) {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(40+size/8) != 0 { // so that a large write comes through in the end
				return false, true
			}
			cuts++
			return true, rng.IntN(2) == 0
		}
		return badWorld{w}
	})
	if t.Logf("%d connections were cut (seed %d)", cuts, seed); cuts == 0 {
		t.Error("none was cut: it was a good wire")
	}
}
