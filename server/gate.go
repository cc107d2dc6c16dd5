package server

import (
	"context"
	"sync/atomic"
	"time"
)

// concurrencyLimiter bounds the work that a stranger can make the server do: at most slots of
// his submissions or questions are worked on at once, at most queue wait for
// their turn, none longer than patience. Beyond that the answer is a cheap "busy".
type concurrencyLimiter struct {
	what    string
	slots   chan struct{}
	queue   int64
	maxWait time.Duration
	waiting atomic.Int64
}

func newConcurrencyLimiter(what string, slots, queue int, patience time.Duration) *concurrencyLimiter {
	return &concurrencyLimiter{what: what, slots: make(chan struct{}, slots), queue: int64(queue), maxWait: patience}
}

// acquire takes a slot; leave gives it back.
func (g *concurrencyLimiter) acquire(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return busyProblem("%d %s already wait for their turn", g.queue, g.what)
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.maxWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return busyProblem("no turn among the %s within %s", g.what, g.maxWait)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *concurrencyLimiter) release() { <-g.slots }

// limit makes a handler wait for its turn, which ends where its answer begins: who
// reads slowly holds none.
func (g *concurrencyLimiter) limit(h handler) handler {
	return func(x *request) error {
		if err := x.acquire(g); err != nil {
			return err
		}
		defer x.release()
		return h(x)
	}
}

func busyProblem(format string, args ...any) *problem {
	return busyProblemAfter(time.Second, format, args...)
}

func busyProblemAfter(wait time.Duration, format string, args ...any) *problem {
	p := newProblem(problemOverloaded, format, args...)
	p.retryAfter = wait
	return p
}
