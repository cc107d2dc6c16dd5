package stores

import (
	"errors"
	"sync"
	"testing"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

func openAt(t *testing.T, at URL, server *objectstoretest.Server) Shared {
	t.Helper()
	o := Options{}
	if server != nil {
		o.Transport = objectstoretest.NewLink(server)
	}
	s, err := OpenShared(t.Context(), at, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Two that move the same ledger to the same place at once do not come into each other's way
// but by ending each other: it lives in one place at any moment, and in the end where it moved.
func TestTwoMovesAtOnce(t *testing.T) {
	at := bucket(t)
	for round := range 5 {
		a, b := objectstoretest.NewServer(), objectstoretest.NewServer()
		log := &storetest.ReferenceLog{}
		writer := openAt(t, at, a)
		if err := errors.Join(writer.Take(t.Context()), writer.Extend(t.Context(), log.Grow(300)), writer.Archive(t.Context(), 0, []byte("kept")), writer.Publish(t.Context(), nil, []byte("note"))); err != nil {
			t.Fatal(err)
		}
		move := func() ledger.Move {
			return ledger.Move{From: openAt(t, at, a), To: openAt(t, at, b), FromName: "a", ToName: "b"}
		}
		var both sync.WaitGroup
		for range 2 {
			m := move()
			both.Go(func() {
				if _, err := m.Run(t.Context()); err != nil && !errors.Is(err, ledger.ErrConflict) && !errors.As(err, new(*ledger.SealedError)) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		both.Wait()
		var sealed *ledger.SealedError
		if err := writer.Extend(t.Context(), log.Clone().Grow(1)); !errors.As(err, &sealed) || sealed.Why != "moved to b" {
			t.Errorf("round %d: the writer of what has moved: %v", round, err)
		}
		if moved, err := move().Run(t.Context()); err != nil || moved.Head != log.Head(300) || moved.Archived != 1 {
			t.Fatalf("round %d: once more: %+v, %v", round, moved, err)
		}
		if err := openAt(t, at, a).Take(t.Context()); !errors.As(err, new(*ledger.SealedError)) {
			t.Errorf("round %d: a may be taken: %v", round, err)
		}
		if err := openAt(t, at, b).Take(t.Context()); err != nil {
			t.Errorf("round %d: b may not be taken: %v", round, err)
		}
	}
}

// A ledger moves from a bucket to a database, and on from there.
func TestMoveToADatabase(t *testing.T) {
	database, err := Parse(pgstoretest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), database, Options{}, nil); err != nil {
		t.Fatal(err)
	}
	at, a, b := bucket(t), objectstoretest.NewServer(), objectstoretest.NewServer()
	log := &storetest.ReferenceLog{}
	writer := openAt(t, at, a)
	if err := errors.Join(writer.Take(t.Context()), writer.Extend(t.Context(), log.Grow(1100)), writer.Archive(t.Context(), 0, []byte("kept")), writer.Publish(t.Context(), nil, []byte("note"))); err != nil {
		t.Fatal(err)
	}
	m := ledger.Move{From: openAt(t, at, a), To: openAt(t, database, nil), FromName: "a", ToName: "database"}
	if moved, err := m.Run(t.Context()); err != nil || moved.Head != log.Head(1100) {
		t.Fatalf("%+v, %v", moved, err)
	}
	next := openAt(t, database, nil)
	if err := errors.Join(next.Take(t.Context()), next.Extend(t.Context(), log.Grow(1))); err != nil {
		t.Fatal(err)
	}
	m = ledger.Move{From: openAt(t, database, nil), To: openAt(t, at, b), FromName: "database", ToName: "b"}
	if moved, err := m.Run(t.Context()); err != nil || moved.Head != log.Head(1101) {
		t.Fatalf("%+v, %v", moved, err)
	}
}
