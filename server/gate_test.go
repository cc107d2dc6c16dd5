package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestConcurrencyLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newConcurrencyLimiter("records", 1, 1, time.Second)
		ctx := t.Context()
		if err := g.acquire(ctx); err != nil {
			t.Fatal(err)
		}

		turn := make(chan error, 1)
		go func() { turn <- g.acquire(ctx) }()
		synctest.Wait()
		wantBusy(t, "the queue is full", g.acquire(ctx))
		g.release()
		if err := <-turn; err != nil {
			t.Fatalf("whoever waited got %v, want the slot that was given back", err)
		}

		start := time.Now()
		wantBusy(t, "no turn in time", g.acquire(ctx))
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %s, want the gate's patience of 1s", took)
		}

		cut, cancel := context.WithCancel(ctx)
		cancel()
		if err := g.acquire(cut); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
		if n := g.waiting.Load(); n != 0 {
			t.Errorf("%d still counted as waiting", n)
		}
	})
}

func wantBusy(t *testing.T, why string, err error) {
	t.Helper()
	var p *problem
	if !errors.As(err, &p) || p.kind != problemOverloaded || p.retryAfter <= 0 {
		t.Errorf("%s: got %v, want %s with a time to retry", why, err, problemOverloaded)
	}
}
