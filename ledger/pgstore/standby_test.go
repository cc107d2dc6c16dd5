package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pgstore"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

func openStore(t testing.TB, url string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func takenStore(t *testing.T, url string) *pgstore.Store {
	t.Helper()
	s := openStore(t, url)
	if err := s.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantHead(t *testing.T, s *pgstore.Store, want ledger.Head) {
	t.Helper()
	if h, err := s.Head(t.Context()); err != nil || h != want {
		t.Fatalf("head %v, %v; want %v", h, err, want)
	}
}

// call is one that is under way. Its context ends only by end.
type call struct {
	end  context.CancelFunc
	done chan error
}

func begin(t *testing.T, f func(context.Context) error) call {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel) // before the store is closed, which waits for it
	c := call{cancel, make(chan error, 1)}
	go func() { c.done <- f(ctx) }()
	return c
}

// giveUp ends the call's context; it must not have come to anything.
func (c call) giveUp(t *testing.T, what string) {
	t.Helper()
	c.end()
	if err := <-c.done; !errors.Is(err, context.Canceled) || errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("%s, given up: %v, want context.Canceled", what, err)
	}
}

const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

func awaitWaiting(server *pgstoretest.Server, n int) { server.Await(waiting, fmt.Sprint(n)) }

func awaitHead(server *pgstoretest.Server, h ledger.Head) {
	server.Await("SELECT size FROM docket.head", fmt.Sprint(h.Size))
}

// What a primary shows and its standby lacks does not count: nobody is shown it, and nobody
// goes on from it.
func TestSynchronousStandby(t *testing.T) {
	whole := t
	primary := pgstoretest.Start(t)
	if err := openStore(t, primary.URL()).CheckStandby(t.Context()); !errors.Is(err, pgstore.ErrNoStandby) {
		t.Errorf("without a standby: %v, want ErrNoStandby", err)
	}
	standby := primary.Standby()
	url := primary.URL(standby)
	open := func() *pgstore.Store { return openStore(t, url) } // stays open until the whole test ends
	taken := func() *pgstore.Store { return takenStore(t, url) }
	way := pgstoretest.NewProxy(t, primary)
	log := &storetest.ReferenceLog{}
	writer := taken()
	if err := writer.CheckStandby(t.Context()); err != nil {
		t.Errorf("with a standby: %v", err)
	}
	extend := func(s *pgstore.Store) ledger.Head {
		t.Helper()
		x := log.Grow(10)
		if err := s.Extend(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		return x.New
	}
	extend(writer)

	t.Run("a deadline cancels nothing", func(t *testing.T) {
		x := log.Grow(10)
		thaw := standby.Freeze()
		c := begin(whole, func(ctx context.Context) error { return writer.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		c.giveUp(t, "extending")
		awaitWaiting(primary, 1)
		if seen := primary.SQL("SELECT size FROM docket.head"); seen != fmt.Sprint(x.Old.Size) {
			t.Errorf("the server shows %s entries", seen)
		}
		thaw()
		awaitHead(primary, x.New)
		wantHead(t, writer, x.New)
		if strings.Contains(primary.Log(), "canceling") {
			t.Errorf("something was cancelled:\n%s", primary.Log())
		}
		extend(writer)
	})

	t.Run("a wait for the standby is cancelled", func(t *testing.T) {
		reader := open()
		x := log.Grow(10)
		wantHead(t, reader, x.Old)
		thaw := standby.Freeze()
		write := begin(whole, func(ctx context.Context) error { return writer.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		primary.SQL("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		awaitHead(primary, x.New) // it is there, and not on the standby
		awaitWaiting(primary, 1)  // the writer asks what became of it
		read := begin(whole, func(ctx context.Context) error { _, err := reader.Head(ctx); return err })
		awaitWaiting(primary, 2)
		taking := open()
		take := begin(whole, taking.Take)
		primary.Await("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1")
		if n := strings.Count(primary.Log(), "canceling wait for synchronous replication"); n != 1 {
			t.Errorf("%d waits were cancelled", n)
		}
		write.giveUp(t, "extending")
		read.giveUp(t, "reading the head")
		thaw()
		if err := <-take.done; err != nil {
			t.Fatal(err)
		}
		wantHead(t, taking, x.New)
		wantHead(t, reader, x.New)
		if err := writer.Extend(t.Context(), x); !errors.Is(err, ledger.ErrTakenOver) {
			t.Errorf("extending again: %v, want ErrTakenOver", err)
		}
		writer = taking
		extend(writer)
	})

	t.Run("a write is settled once the standby is back", func(t *testing.T) {
		x := log.Grow(10)
		thaw := standby.Freeze()
		write := begin(whole, func(ctx context.Context) error { return writer.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		primary.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		awaitHead(primary, x.New)
		awaitWaiting(primary, 1)
		thaw()
		if err := <-write.done; err != nil {
			t.Errorf("extending: %v", err)
		}
		extend(writer)
	})

	t.Run("the list of standbys is emptied and filled", func(t *testing.T) {
		s := takenStore(t, way.URL())
		x := log.Grow(10)
		if err := s.Extend(t.Context(), x); err != nil { // on a connection that goes on
			t.Fatal(err)
		}
		x = log.Grow(10)
		thaw := standby.Freeze()
		write := begin(whole, func(ctx context.Context) error { return s.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		flow := way.Hold() // so that the writer asks only when the list is full again
		primary.Reload("synchronous_standby_names = ''")
		awaitHead(primary, x.New)
		awaitWaiting(primary, 0)
		primary.Reload("synchronous_standby_names = 'standby'")
		primary.Await("SHOW synchronous_standby_names", "standby")
		flow()
		awaitWaiting(primary, 1)
		thaw()
		if err := <-write.done; err != nil {
			t.Errorf("extending: %v", err)
		}
		extend(s)
		writer = taken()
	})

	t.Run("the list of standbys is emptied", func(t *testing.T) {
		reader := open()
		x := log.Grow(10)
		thaw := standby.Freeze()
		write := begin(whole, func(ctx context.Context) error { return writer.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		primary.Reload("synchronous_standby_names = ''")
		if err := <-write.done; !errors.Is(err, pgstore.ErrNoStandby) || !strings.Contains(err.Error(), "standby=none") {
			t.Errorf("extending: %v, want ErrNoStandby", err)
		}
		awaitHead(primary, x.New)
		if h, err := reader.Head(t.Context()); !errors.Is(err, pgstore.ErrNoStandby) {
			t.Errorf("reading: %v, %v; want ErrNoStandby", h, err)
		}
		if err := open().Take(t.Context()); !errors.Is(err, pgstore.ErrNoStandby) {
			t.Errorf("taking: %v, want ErrNoStandby", err)
		}
		alone := takenStore(t, url+"&standby=none")
		wantHead(t, alone, x.New)
		extend(alone)
		if err := open().CheckStandby(t.Context()); !errors.Is(err, pgstore.ErrNoStandby) {
			t.Errorf("without a standby: %v, want ErrNoStandby", err)
		}
		thaw()
		primary.Reload("synchronous_standby_names = 'standby'")
		primary.Await("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")
		writer = taken()
		extend(writer)
	})

	t.Run("the list of standbys is emptied while a taking is in doubt", func(t *testing.T) {
		taking := openStore(whole, way.URL())
		thaw := standby.Freeze()
		take := begin(whole, taking.Take)
		awaitWaiting(primary, 1)
		flow := way.Hold() // so that it asks what became of it only when the list is empty
		primary.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		primary.Reload("synchronous_standby_names = ''")
		primary.Await("SHOW synchronous_standby_names", "")
		flow()
		if err := <-take.done; !errors.Is(err, pgstore.ErrNoStandby) {
			t.Errorf("taking: %v, want ErrNoStandby", err)
		}
		thaw()
		primary.Reload("synchronous_standby_names = 'standby'")
		primary.Await("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")
		writer = taken()
		extend(writer)
	})

	t.Run("the primary is killed while a commit waits, starts again, and the standby is promoted", func(t *testing.T) {
		before := log.Clone()
		x := log.Grow(10)
		standby.Kill()
		write := begin(whole, func(ctx context.Context) error { return writer.Extend(ctx, x) })
		awaitWaiting(primary, 1)
		primary.Kill()
		primary.Restart()
		awaitHead(primary, x.New) // what the standby never had
		awaitWaiting(primary, 1)  // the writer asks what became of it
		reader := open()
		read := begin(whole, func(ctx context.Context) error { _, err := reader.Head(ctx); return err })
		awaitWaiting(primary, 2)
		taking := open()
		take := begin(whole, taking.Take)
		primary.Await("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1")
		for what, c := range map[string]call{"extending": write, "reading": read, "taking": take} {
			c.giveUp(t, what)
		}
		primary.Kill()
		standby.Restart()
		standby.Promote()
		if err := open().Take(t.Context()); !errors.Is(err, pgstore.ErrNoStandby) {
			t.Errorf("taking the promoted server, alone: %v, want ErrNoStandby", err)
		}
		standby.Standby()
		after := taken()
		wantHead(t, after, x.Old)
		wantHead(t, reader, x.Old)
		if err := taking.Extend(t.Context(), x); !errors.Is(err, ledger.ErrNotTaken) {
			t.Errorf("extending what was not taken: %v", err)
		}
		before.Salt = "another history"
		log = before
		wantHead(t, reader, extend(after))
		all, err := reader.Entries(t.Context(), 0, x.Old.Size+10)
		if err != nil || bytes.HasPrefix(all[x.Old.Size], x.Entries[0]) {
			t.Errorf("entry %d is %q, %v", x.Old.Size, all[x.Old.Size], err)
		}
	})
}
