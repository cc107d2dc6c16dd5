package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pgstore"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// loaded is a writer at work: it extends, publishes and archives one after the other, and takes
// the store again when an outcome stays unknown.
type loaded struct {
	t   *testing.T
	url string

	log     *storetest.ReferenceLog
	entries [][]byte
	note    []byte
	count   uint64 // of archived blobs

	mu       sync.Mutex
	acked    int // writes that returned nil
	reopened int
}

func (w *loaded) progress() (acked, reopened int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked, w.reopened
}

// run works until ctx ends. Every other round it archives and publishes at once.
func (w *loaded) run(ctx context.Context) {
	for s := w.take(ctx); s != nil; {
		pending := w.log.Clone()
		x := pending.Grow(7)
		note, blob := fmt.Append(nil, "checkpoint ", x.New.Size), fmt.Append(nil, "blob ", w.count)
		together := w.count%2 == 1 // one write instead of two
		err := s.Extend(ctx, x)
		if err == nil {
			w.log, w.entries = pending, append(w.entries, x.Entries...)
			if together {
				err = s.ArchiveAndPublish(ctx, w.count, blob, w.note, note)
			} else {
				err = s.Publish(ctx, w.note, note)
			}
		}
		if err == nil {
			w.note = note
			if !together {
				err = s.Archive(ctx, w.count, blob)
			}
		}
		if err == nil {
			w.count++
			w.mu.Lock()
			w.acked++
			w.mu.Unlock()
			continue
		}
		if errors.Is(err, ledger.ErrConflict) {
			w.t.Errorf("a conflict, where there is no other writer: %v", err)
		}
		s.Close()
		if s = w.take(ctx); s != nil {
			w.settle(s, pending, x, note, together)
			w.mu.Lock()
			w.reopened++
			w.mu.Unlock()
		}
	}
}

// take takes the store as soon as there is a primary with a standby.
func (w *loaded) take(ctx context.Context) *pgstore.Store {
	for ctx.Err() == nil {
		s, err := pgstore.Open(ctx, pgstore.Config{URL: w.url})
		if err == nil {
			if err = s.Take(ctx); err == nil {
				return s
			}
			s.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// settle finds out what became of the writes of one round: each is there whole, or is not.
func (w *loaded) settle(s *pgstore.Store, pending *storetest.ReferenceLog, x ledger.Extension, note []byte, together bool) {
	h, err := s.Head(w.t.Context())
	if err != nil || h != x.New && h.Size != uint64(len(w.entries)) {
		w.t.Errorf("head %v, %v; %d entries were acknowledged", h, err, len(w.entries))
		return
	}
	if h == x.New && len(w.entries) < int(h.Size) {
		w.log, w.entries = pending, append(w.entries, x.Entries...)
	}
	p, err := s.Published(w.t.Context())
	if err != nil || !bytes.Equal(p, w.note) && !bytes.Equal(p, note) {
		w.t.Errorf("published %q, %v; %q was acknowledged", p, err, w.note)
	}
	shown := bytes.Equal(p, note)
	w.note = p
	n, err := s.ArchivedCount(w.t.Context())
	if err != nil || n != w.count && n != w.count+1 {
		w.t.Errorf("%d are archived, %v; %d were acknowledged", n, err, w.count)
	}
	if together && shown != (n == w.count+1) {
		w.t.Errorf("published: %v, and archived %d of %d: one write, half of which is there", shown, n, w.count+1)
	}
	w.count = n
}

// The primary is killed under load and its standby promoted, twice: nothing that was
// acknowledged, or shown to a reader, is lost.
func TestFailover(t *testing.T) {
	first := pgstoretest.Start(t)
	second := first.Standby()
	third := second.Reserve()
	url := first.URL(second, third)
	w := &loaded{t: t, url: url, log: &storetest.ReferenceLog{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx) })
	reader := openStore(t, url)
	var shown ledger.Head
	running.Go(func() {
		for ctx.Err() == nil {
			h, err := reader.Head(ctx)
			if err != nil {
				continue // no server answers
			}
			if h.Size < shown.Size {
				t.Errorf("a reader was shown %d entries, and then %d", shown.Size, h.Size)
				return
			}
			shown = h
		}
	})
	await := func(what string, holds func(acked, reopened int) bool) {
		t.Helper()
		for !holds(w.progress()) {
			select {
			case <-ctx.Done():
				t.Fatalf("waiting until %s", what)
			case <-time.After(5 * time.Millisecond):
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	defer running.Wait()
	defer stop()
	for _, primary := range []*pgstoretest.Server{first, second} {
		before, _ := w.progress()
		await("there is load", func(acked, _ int) bool { return acked > before+10 })
		primary.Kill()
		if primary == first {
			second.Promote()
			second.Follow(third)
		} else {
			third.Promote()
			third.Standby()
		}
	}
	before, _ := w.progress()
	await("it goes on", func(acked, _ int) bool { return acked > before+10 })
	stop()
	running.Wait()
	s := takenStore(t, url)
	if h, err := s.Head(t.Context()); err != nil || h.Size < shown.Size || h.Size < uint64(len(w.entries)) {
		t.Fatalf("head %v, %v; a reader was shown %d, and %d were acknowledged", h, err, shown.Size, len(w.entries))
	}
	if got, err := s.Entries(t.Context(), 0, uint64(len(w.entries))); err != nil || !slices.EqualFunc(got, w.entries, bytes.Equal) {
		t.Errorf("%d entries, %v; want the %d that were acknowledged", len(got), err, len(w.entries))
	}
	for i := range w.count {
		if b, err := s.Archived(t.Context(), i); err != nil || string(b) != fmt.Sprint("blob ", i) {
			t.Errorf("archived %d is %q, %v", i, b, err)
		}
	}
	acked, reopened := w.progress()
	t.Logf("%d rounds of three writes were acknowledged, %d times the store was opened anew", acked, reopened)
}

// A primary that says nothing more, as of a machine without power, is left for the next server of the URL
// within a call's deadline.
func TestSilentPrimary(t *testing.T) {
	t.Parallel() // it waits most of the time
	server := pgstoretest.Start(t)
	way, other := pgstoretest.NewProxy(t, server), pgstoretest.NewProxy(t, server)
	_, host, _ := strings.Cut(way.URL(), "@")
	host, _, _ = strings.Cut(host, "/")
	s := takenStore(t, strings.Replace(other.URL(), "@", "@"+host+",", 1))
	log := &storetest.ReferenceLog{}
	if err := s.Extend(t.Context(), log.Grow(3)); err != nil {
		t.Fatal(err)
	}
	server.SQL("SELECT pg_sleep(1.5)") // after a second without use a connection is asked first
	way.Hold()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := s.CheckStandby(ctx); err == nil || strings.Contains(err.Error(), "a commit has waited") {
		t.Errorf("no commit has waited: %v", err)
	}
	if err := s.Extend(ctx, log.Grow(3)); err != nil {
		t.Errorf("extending: %v", err)
	}
}
