package customers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Owed is what the public ledger wants next of the log, as far as it is known here.
type Owed struct {
	Newest record.Date // the newest record's last day; zero: there is no record yet
	By     record.Date // by which day the next is due; zero: none is owed at present
}

// Publisher publishes a log's periods. It calls the server as [AsSchedule].
type Publisher interface {
	// Owed asks the ledger, or says what was known of it last where it is out of reach.
	Owed(ctx context.Context) (Owed, error)

	// Publish publishes the periods that are closed and not public yet, in order. Then, unless
	// until is zero, it ends a period on that day and publishes it too. [private.ErrNotLedUp],
	// [vault.ErrLocked].
	Publish(ctx context.Context, until record.Date) error
}

// How often the schedule looks, and how soon it tries again what has failed: twice as late each
// time, up to publishEvery.
const (
	publishEvery = time.Hour
	publishAgain = time.Minute
)

// publishing is how a schedule stands; its zero value is that there is none.
type publishing struct {
	mu       sync.Mutex
	on       bool
	owed     Owed
	late     bool // the newest public record is older than the ledger allows
	waiting  bool // something is due, and the vault is locked
	failures int  // in a row
	notLedUp bool // the failure is that the log does not lead up to its newest public record
}

// PublishOnSchedule publishes each period when it is due, until ctx ends.
func (s *Server) PublishOnSchedule(ctx context.Context, p Publisher) {
	for ctx.Err() == nil {
		timer := time.NewTimer(s.PublishDue(ctx, p))
		select {
		case <-ctx.Done():
		case <-s.unlocked:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// PublishDue is one step of the schedule: it publishes what is due, if the vault is unlocked,
// and returns how long to wait before the next step. A record is due on the very day by which the
// ledger wants it, and covers the days before, so that a day remains for what fails; missed
// periods are made up for by one record until yesterday. The first one is due at once.
func (s *Server) PublishDue(ctx context.Context, p Publisher) time.Duration {
	owed, err := s.publishDue(ctx, p)
	if ctx.Err() != nil {
		return publishEvery
	}
	today := s.today()
	locked := errors.Is(err, vault.ErrLocked)
	st := &s.publishing
	st.mu.Lock()
	defer st.mu.Unlock()
	wasWaiting := st.waiting
	if owed != nil {
		st.owed = *owed
	}
	st.on = true
	st.late = !st.owed.By.IsZero() && today.After(st.owed.By)
	st.waiting = locked
	st.notLedUp = errors.Is(err, private.ErrNotLedUp)
	if st.late {
		s.log.Error("the newest public record is late", "due", st.owed.By.String(), "locked", locked)
	}
	switch {
	case err == nil:
		st.failures = 0
		return publishEvery
	case locked:
		st.failures = 0
		if !wasWaiting && !st.late {
			s.log.Warn("a period is due, and is published once the vault is unlocked", "due", st.owed.By.String())
		}
		return publishEvery
	}
	pause := min(publishAgain<<min(st.failures, 10), publishEvery)
	st.failures++
	if st.notLedUp {
		s.log.Error("the log does not lead up to its newest public record, and nothing is published: a restored backup?", "err", err)
	} else {
		s.log.Error("what is due was not published", "err", err, "failures", st.failures, "again", pause.String())
	}
	return pause
}

// publishDue is the step itself; owed is nil where nothing came to be known of it.
// [vault.ErrLocked] if something is due and the vault is locked.
func (s *Server) publishDue(ctx context.Context, p Publisher) (owed *Owed, err error) {
	locked := s.Locked()
	var failed error
	if !locked {
		// Before what is owed is looked at: that may be closed already. That the log leads up to
		// the ledger is known by it also where nothing is due.
		if failed = p.Publish(ctx, record.Date{}); errors.Is(failed, vault.ErrLocked) {
			locked, failed = true, nil
		}
	}
	o, err := p.Owed(ctx)
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	today := s.today()
	switch due := o.Newest.IsZero() || !o.By.IsZero() && !today.Before(o.By); {
	case failed != nil || !due:
		return &o, failed
	case locked:
		return &o, vault.ErrLocked
	}
	until := today.AddDays(-1)
	if !until.After(o.Newest) {
		until = today // a ledger that wants a record each day
	}
	if err := p.Publish(ctx, until); err != nil {
		return &o, err
	}
	s.log.Info("published on schedule", "until", until.String())
	if o, err = p.Owed(ctx); err != nil {
		return nil, err
	}
	return &o, nil
}

// words are for /healthz.
func (p *publishing) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := "the next public record is due by " + p.owed.By.String()
	if p.owed.By.IsZero() {
		due = "no public record is owed at present"
		if p.owed.Newest.IsZero() {
			due = "the first public record is due"
		}
	}
	if p.late {
		due = "alarm: late: " + due
	}
	switch {
	case !p.on:
		return ""
	case p.notLedUp:
		return "alarm: the log does not lead up to its newest public record, and nothing is published"
	case p.waiting:
		return due + ", and waits for the vault to be unlocked"
	case p.failures > 0:
		return fmt.Sprintf("%s; failed %d times in a row, and is tried again", due, p.failures)
	}
	return due
}

// register adds the gauges of a schedule.
func (p *publishing) register(gauge func(name, help string, f func() float64)) {
	add := func(name, help string, f func() float64) {
		gauge("docket_customers_publish_"+name, help, func() float64 {
			p.mu.Lock()
			defer p.mu.Unlock()
			return f()
		})
	}
	flag := func(of *bool) func() float64 {
		return func() float64 {
			if *of {
				return 1
			}
			return 0
		}
	}
	add("late", "1 while the newest public record is older than the ledger allows.", flag(&p.late))
	add("waiting", "1 while a period is due and the vault is locked.", flag(&p.waiting))
	add("not_led_up", "1 while the log does not lead up to its newest public record: nothing is published.", flag(&p.notLedUp))
	add("failures", "How often in a row publishing on schedule failed.", func() float64 { return float64(p.failures) })
}
