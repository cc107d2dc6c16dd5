package server

import (
	"context"
	"sync/atomic"
	"time"
)

// gate bounds the work that a stranger can make the server do: at most slots
// verifications run at once, at most queue callers wait for one, none longer
// than patience. Beyond that the answer is a cheap "busy".
type gate struct {
	slots    chan struct{}
	queue    int64
	patience time.Duration
	waiting  atomic.Int64
}

func newGate(slots, queue int, patience time.Duration) *gate {
	return &gate{slots: make(chan struct{}, slots), queue: int64(queue), patience: patience}
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
		return busy("%d records already wait to be verified", g.queue)
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return busy("no turn to verify the signatures within %s", g.patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave() { <-g.slots }

func busy(format string, args ...any) *problem {
	p := refuse(overloaded, format, args...)
	p.retryAfter = time.Second
	return p
}
