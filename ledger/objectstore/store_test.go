package objectstore_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// world is a storetest.SharedMedium: an object store in this process.
type world struct {
	server *objectstoretest.Server
	links  map[storetest.SharedHandle]*objectstoretest.Link
	config func(*objectstore.Config)
	faults func(*objectstoretest.Link)
	small  bool
}

func newWorld() *world {
	return &world{server: objectstoretest.NewServer(), links: map[storetest.SharedHandle]*objectstoretest.Link{}}
}

func (w *world) Open(t testing.TB) storetest.ClosableStore { return w.Handle(t) }

func (w *world) Second(t testing.TB, _ storetest.ClosableStore) ledger.Store { return w.Handle(t) }

func (w *world) Handle(t testing.TB) storetest.SharedHandle {
	t.Helper()
	link := objectstoretest.NewLink(w.server)
	if w.faults != nil {
		w.faults(link)
	}
	c := objectstoretest.Config(link)
	c.RequestTimeout = 2 * time.Second
	if w.config != nil {
		w.config(&c)
	}
	s, err := objectstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.links[s] = link
	return s
}

func (w *world) Small() bool { return w.small }

func (w *world) Delay(_ testing.TB, h storetest.SharedHandle) (release func()) {
	link := w.links[h]
	link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
		if r.Method == "PUT" && r.Conditional {
			return objectstoretest.HangLater
		}
		return objectstoretest.None
	})
	return link.Release
}

func (w *world) Crash(*rand.Rand) storetest.Medium {
	c := newWorld()
	c.server, c.config, c.faults, c.small = w.server.Clone(), w.config, w.faults, w.small
	return c
}

func TestStoreLaws(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Medium { return newWorld() })
}
