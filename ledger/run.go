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

// How long Run waits before it asks the witnesses again: twice as long each time, but no
// longer than one of them wants to be left alone.
const (
	minRetryPause = 200 * time.Millisecond
	maxRetryPause = 30 * time.Second
)

// clockRetryInterval is the least time between two clock checks that failed:
// submissions may arrive far faster than that.
const clockRetryInterval = time.Second

// clockCheckInterval is how often Run checks a clock that is off while no records
// arrive: clients that send no records to a ledger that is not ready would not see it
// become ready again.
const clockCheckInterval = 30 * time.Second

// lateDelay is how long late cosignatures are collected before they are written.
const lateDelay = time.Second

// Run commits and publishes as items come, until ctx ends: then it accepts
// nothing more, commits and publishes what it had accepted within Config.ShutdownTimeout,
// and returns nil. Any other return is why the ledger stopped; it must be
// reopened then.
//
// When idle, an item is committed and published at once. Under load each commit
// takes what came during the one before.
func (l *Ledger[V]) Run(ctx context.Context) error {
	stepCtx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a commit that has begun is not torn
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { l.commitLoop(ctx, stepCtx) })
	loops.Go(func() { l.publishLoop(ctx) })
	loops.Wait()
	if err := l.Err(); err != nil {
		return err
	}
	l.pool.close(fmt.Errorf("%w: %w", ErrStopped, errClosed))
	shutdownCtx, done := context.WithTimeout(stepCtx, l.config.ShutdownTimeout)
	defer done()
	if l.pool.len() > 0 {
		if err := l.CheckClock(shutdownCtx); err != nil {
			l.pool.failAll(err)
		}
	}
	err := l.commit(shutdownCtx, nil, true)
	if err == nil {
		err = l.Publish(shutdownCtx)
	}
	l.stop(errClosed)
	if !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrNoLogKey) && !errors.Is(err, ErrClock) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if waiting := l.Backlog(); waiting > 0 {
		l.config.Log.Warn("closed with entries that are committed and not published; the next start publishes them", "origin", l.config.Origin, "size", l.Head().Size, "entries", waiting, "err", err)
	} else {
		l.config.Log.Info("closed; all that is committed is published, and only the last step failed", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
	}
	return nil
}

// commitLoop commits what comes, by a clock that the witnesses were asked about.
func (l *Ledger[V]) commitLoop(ctx, stepCtx context.Context) {
	var asked time.Time
	var unconfirmed error // the clock was not confirmed
	watch := time.NewTicker(clockCheckInterval)
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stopped:
			return
		case <-l.pool.wake:
		case <-watch.C:
			if l.clockErr(time.Now()) == nil {
				continue
			}
		}
		switch {
		case l.clockConfirmed():
			unconfirmed = nil
		case asked.IsZero(), unconfirmed != nil && time.Since(asked) >= clockRetryInterval, unconfirmed == nil && l.ClockErr() != nil:
			unconfirmed = l.CheckClock(ctx)
			asked = time.Now()
		}
		err := unconfirmed
		if unconfirmed == nil {
			err = l.commit(stepCtx, ctx, true)
		} else if ctx.Err() == nil && l.Err() == nil {
			l.pool.failAll(unconfirmed)
		}
		if errors.Is(err, ErrClock) {
			l.logClockError(err)
		}
	}
}

// publishLoop publishes what is committed; has the published checkpoint cosigned
// anew when nothing else was published for long; and takes in what came late. What
// fails is tried again, ever more slowly; but what is committed meanwhile goes first.
func (l *Ledger[V]) publishLoop(ctx context.Context) {
	recosign := newHeartbeat(l.config.RecosignInterval)
	defer recosign.Stop()
	var lateTimer <-chan time.Time // late answers are taken together, soon
	for {
		var step func(context.Context) error
		wait, wake := l.config.PublishInterval, l.commitWake
		select {
		case <-ctx.Done():
			return
		case <-l.stopped:
			return
		case <-l.late.wake:
			if lateTimer == nil {
				lateTimer = time.After(lateDelay)
			}
			continue
		case <-lateTimer:
			lateTimer = nil
			step, wait = l.MergeLate, 0
		case <-recosign.C:
			step = l.Recosign
		case <-wake:
			step, wake = l.Publish, nil
		}
		before := l.PublishedSize()
		if l.retry(ctx, step, wake) {
			l.retry(ctx, l.Publish, nil)
			wait = l.config.PublishInterval
		}
		if wake == nil && l.PublishedSize() == before {
			wait = 0 // it was published already, with what was committed before: no interval begins anew
		}
		recosign.reset()
		if !l.sleep(ctx, wait) {
			return
		}
	}
}

// retry takes a step until it succeeds, or ctx or the ledger ends. If wake fires
// meanwhile, it abandons the step and returns true.
func (l *Ledger[V]) retry(ctx context.Context, step func(context.Context) error, wake <-chan struct{}) (preempted bool) {
	for pause := minRetryPause; ; pause = min(2*pause, maxRetryPause) {
		err, preempted := runUnlessWoken(ctx, step, wake)
		if errors.Is(err, ErrCorrupt) { // the tree that it would sign, or show to be consistent
			l.stop(err)
		}
		if preempted || err == nil || ctx.Err() != nil || l.Err() != nil {
			return preempted
		}
		pause := max(pause, min(l.config.PublishInterval, maxRetryPause)) // a failure is no publication and must not delay the next one
		if until := earliestRetry(err); !until.IsZero() {
			pause = min(pause, max(time.Until(until), minRetryPause))
		}
		l.config.Log.Error("the witnesses are asked again", "origin", l.config.Origin, "size", l.Head().Size, "in", pause.String(), "err", err)
		select {
		case <-ctx.Done():
			return false
		case <-l.stopped:
			return false
		case <-wake:
			return true
		case <-time.After(pause):
		}
	}
}

// runUnlessWoken takes a step, and cancels it if wake fires: a step that waits for a
// witness that does not answer must not delay new work for the others.
func runUnlessWoken(ctx context.Context, step func(context.Context) error, wake <-chan struct{}) (err error, preempted bool) {
	if wake == nil {
		return step(ctx), false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- step(ctx) }()
	select {
	case err := <-ended:
		return err, false
	case <-wake:
		cancel()
		return <-ended, true
	}
}

// sleep returns false if the ledger or ctx ends first.
func (l *Ledger[V]) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-l.stopped:
		return false
	case <-time.After(d):
		return true
	}
}

// heartbeat beats once, some time after it was reset last.
type heartbeat struct {
	*time.Timer
	interval time.Duration // below zero: never
}

func newHeartbeat(every time.Duration) heartbeat {
	h := heartbeat{time.NewTimer(max(every, 0)), every}
	if every < 0 {
		h.Stop()
	}
	return h
}

func (h heartbeat) reset() {
	if h.interval > 0 {
		h.Reset(h.interval)
	}
}
