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
	firstPause = 200 * time.Millisecond
	maxPause   = 30 * time.Second
)

// clockPause is for how long nobody asks the witnesses about the clock again after
// they did not confirm it: submissions may come far faster than that.
const clockPause = time.Second

// clockWatch is how often Run looks whether the clock is off while nobody submits
// anything, and then asks the witnesses: whoever sends no records to a ledger that is not
// ready would not see it become ready again.
const clockWatch = 30 * time.Second

// lateDelay is how long late cosignatures are collected before they are written.
const lateDelay = time.Second

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
	if l.pool.len() > 0 {
		if err := l.CheckClock(grace); err != nil {
			l.pool.refuse(err)
		}
	}
	err := l.commit(grace, true)
	if err == nil {
		err = l.Publish(grace)
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
func (l *Ledger[V]) commitLoop(ctx, steps context.Context) {
	var asked time.Time
	var why error // the clock was not confirmed
	watch := time.NewTicker(clockWatch)
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
		case l.confirmed():
			why = nil
		case asked.IsZero(), why != nil && time.Since(asked) >= clockPause, why == nil && l.ClockErr() != nil:
			why = l.CheckClock(ctx)
			asked = time.Now()
		}
		err := why
		if why == nil {
			err = l.commit(steps, true)
		} else if ctx.Err() == nil && l.Err() == nil {
			l.pool.refuse(why)
		}
		if errors.Is(err, ErrClock) {
			l.sayClock(err)
		}
	}
}

// publishLoop publishes what is committed; has the published checkpoint cosigned
// anew when nothing else was published for long; and takes in what came late. What
// fails is tried again, ever more slowly; but what is committed meanwhile goes first.
func (l *Ledger[V]) publishLoop(ctx context.Context) {
	heart := newHeart(l.config.Heartbeat)
	defer heart.Stop()
	var ripe <-chan time.Time // late answers are taken together, soon
	for {
		var step func(context.Context) error
		wait, fresh := l.config.Interval, l.fresh
		select {
		case <-ctx.Done():
			return
		case <-l.stopped:
			return
		case <-l.late.wake:
			if ripe == nil {
				ripe = time.After(lateDelay)
			}
			continue
		case <-ripe:
			ripe = nil
			step, wait = l.TakeLate, 0
		case <-heart.C:
			step = l.Recosign
		case <-fresh:
			step, fresh = l.Publish, nil
		}
		if l.insist(ctx, step, fresh) {
			l.insist(ctx, l.Publish, nil)
			wait = l.config.Interval
		}
		heart.reset()
		if !l.sleep(ctx, wait) {
			return
		}
	}
}

// insist takes a step until it succeeds, or ctx or the ledger ends. If something
// comes on fresh meanwhile, it gives the step up and returns true.
func (l *Ledger[V]) insist(ctx context.Context, step func(context.Context) error, fresh <-chan struct{}) (overtaken bool) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err, overtaken := unless(ctx, step, fresh)
		if errors.Is(err, ErrCorrupt) { // the tree that it would sign, or show to be consistent
			l.stop(err)
		}
		if overtaken || err == nil || ctx.Err() != nil || l.Err() != nil {
			return overtaken
		}
		pause := max(pause, min(l.config.Interval, maxPause)) // a failure is no publication, and cost nobody one
		if until := restsUntil(err); !until.IsZero() {
			pause = min(pause, max(time.Until(until), firstPause))
		}
		l.config.Log.Error("the witnesses are asked again", "origin", l.config.Origin, "size", l.Head().Size, "in", pause.String(), "err", err)
		select {
		case <-ctx.Done():
			return false
		case <-l.stopped:
			return false
		case <-fresh:
			return true
		case <-time.After(pause):
		}
	}
}

// unless takes a step, and breaks it off if something comes on fresh: one that waits for
// a witness who does not answer must not keep the others from new work.
func unless(ctx context.Context, step func(context.Context) error, fresh <-chan struct{}) (err error, overtaken bool) {
	if fresh == nil {
		return step(ctx), false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- step(ctx) }()
	select {
	case err := <-ended:
		return err, false
	case <-fresh:
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

// heart beats once, some time after it was reset last.
type heart struct {
	*time.Timer
	every time.Duration // below zero: never
}

func newHeart(every time.Duration) heart {
	h := heart{time.NewTimer(max(every, 0)), every}
	if every < 0 {
		h.Stop()
	}
	return h
}

func (h heart) reset() {
	if h.every > 0 {
		h.Reset(h.every)
	}
}
