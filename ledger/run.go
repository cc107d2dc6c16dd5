package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errClosed is why a ledger stopped that was told to.
var errClosed = errors.New("closed")

// How long Run waits before it asks the witnesses again: twice as long each time.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 30 * time.Second
)

// Run commits and publishes as items come, until ctx ends: then it accepts
// nothing more, commits and publishes what it had accepted within Config.Grace,
// and returns nil. Any other return is why the ledger stopped; it must be
// reopened then.
//
// When idle, an item is committed and published at once. Under load each commit
// takes what came during the one before.
func (l *Ledger[V]) Run(ctx context.Context) error {
	steps, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a commit that has begun is not torn
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { l.commitLoop(ctx, steps) })
	loops.Go(func() { l.publishLoop(ctx) })
	loops.Wait()
	if err := l.Err(); err != nil {
		return err
	}
	l.pool.close(fmt.Errorf("%w: %w", ErrStopped, errClosed))
	grace, done := context.WithTimeout(steps, l.config.Grace)
	defer done()
	err := l.commit(grace, true)
	if err == nil {
		err = l.Publish(grace)
	}
	l.stop(errClosed)
	if errors.Is(err, ErrNoQuorum) || errors.Is(err, context.DeadlineExceeded) {
		l.config.Log.Warn("closed with entries that are committed and not published; the next start publishes them", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
		return nil
	}
	return err
}

func (l *Ledger[V]) commitLoop(ctx, steps context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stopped:
			return
		case <-l.pool.wake:
		}
		if err := l.commit(steps, true); errors.Is(err, ErrClock) {
			l.config.Log.Error("nothing can be committed", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
		}
	}
}

func (l *Ledger[V]) publishLoop(ctx context.Context) {
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stopped:
			return
		case <-l.fresh:
		}
		wait := l.config.Interval
		if err := l.Publish(ctx); err != nil && ctx.Err() == nil && l.Err() == nil {
			l.config.Log.Error("the committed head is not published; trying again", "origin", l.config.Origin, "size", l.Head().Size, "in", pause, "err", err)
			wait = max(wait, pause)
			pause = min(2*pause, maxPause)
			l.rouse()
		} else {
			pause = firstPause
		}
		if wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-l.stopped:
				return
			case <-time.After(wait):
			}
		}
	}
}
