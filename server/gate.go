package server

import (
	"context"
	"sync/atomic"
	"time"
)

// gate bounds the work that a stranger can make the server do: at most slots of
// his submissions or questions are worked on at once, at most queue wait for
// their turn, none longer than patience. Beyond that the answer is a cheap "busy".
type gate struct {
	what     string
	slots    chan struct{}
	queue    int64
	patience time.Duration
	waiting  atomic.Int64
}

func newGate(what string, slots, queue int, patience time.Duration) *gate {
	return &gate{what: what, slots: make(chan struct{}, slots), queue: int64(queue), patience: patience}
}

// enter takes a slot; leave gives it back.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return busy("%d %s already wait for their turn", g.queue, g.what)
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return busy("no turn among the %s within %s", g.what, g.patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave() { <-g.slots }

// behind makes a handler wait for its turn, which ends where its answer begins: who
// reads slowly holds none.
func (g *gate) behind(h handler) handler {
	return func(x *exchange) error {
		if err := x.enter(g); err != nil {
			return err
		}
		defer x.leave()
		return h(x)
	}
}

func busy(format string, args ...any) *problem { return busyFor(time.Second, format, args...) }

func busyFor(wait time.Duration, format string, args ...any) *problem {
	p := refuse(overloaded, format, args...)
	p.retryAfter = wait
	return p
}
