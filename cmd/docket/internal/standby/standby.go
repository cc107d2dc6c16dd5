package standby

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-53cf897a/docket/ledger"
)

// catchUpEvery is how long after one catching up the next one comes: what is published is read by others
// meanwhile.
const catchUpEvery = time.Second

// Candidate would take the writer's place. [ledger.Follower] is one.
type Candidate interface {
	// CatchUp brings up what it derives from the entries.
	CatchUp(ctx context.Context) error

	// Show is nil if it could publish: a quorum of witnesses answers it.
	Show(ctx context.Context) error
}

// Standby waits for a writer to die. Wait is called by one goroutine, Status by any.
type Standby struct {
	*Watcher
	store  ledger.Shared
	config Config

	mu     sync.Mutex // guards what follows
	cannot error      // why it would not take over now; nil if it would
}

// errCatchingUp: it is still at what was published before it began, which may take hours.
var errCatchingUp = errors.New("it has not caught up for the first time")

// New stands by for the writer of a store.
func New(s ledger.Shared, c Config) *Standby {
	return &Standby{Watcher: NewWatcher(s, c), store: s, config: c.withDefaults(), cannot: errCatchingUp}
}

// Status is how it stands.
type Status struct {
	Epoch  uint64        // of the newest taking
	Writer string        // the writer's URL; "" if that is not known
	Age    time.Duration // since the lease changed
	Lapsed bool
	Cannot error // why it would not take over now; nil if it would
}

// Status is how it stands.
func (s *Standby) Status() Status {
	epoch, lease := s.Writer()
	lapsed, since := s.Lapsed()
	st := Status{Epoch: epoch, Writer: lease.URL, Lapsed: lapsed}
	if !since.IsZero() {
		st.Age = time.Since(since)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Cannot = s.cannot; st.Cannot == nil {
		st.Cannot = s.Err()
	}
	return st
}

// Wait waits until the writer's lease has lapsed and the candidate has caught up and could
// publish, and returns the epoch after which it is to take the store. Cut off from the
// store or from the witnesses it goes on waiting, and says so. Errors: ctx's;
// [*ledger.SealedError], if nobody will write to the store again; and the candidate's that
// do not pass.
func (s *Standby) Wait(ctx context.Context, c Candidate) (epoch uint64, err error) {
	watching, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer stop()
	lapsed := make(chan struct{}, 1) // holds one value after a look that was the first to find it lapsed
	looking.Go(func() { s.watch(watching, lapsed) })
	for {
		err := c.CatchUp(ctx)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil && !passes(err) {
			return 0, err
		}
		if over, _ := s.Lapsed(); err == nil && over {
			var ready bool
			if epoch, ready, err = s.mayTake(ctx, c); ready || err != nil && !passes(err) {
				return epoch, err
			}
		}
		s.say(err)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-lapsed:
		case <-time.After(min(catchUpEvery, s.config.Lease/3)):
		}
	}
}

// Become waits until this process is to write, and opens the ledger: open is given what takes
// the store, and renews the lease from then on. Where another standby was faster, or the
// opening fails for what may pass, it goes on waiting: for longer each time, up to a lease, and
// for the lease that it took to lapse, so that the store is not taken over and over and another
// standby has its turn. The caller ends the lease ([Holder.End]). Errors as of [Standby.Wait],
// and those of open that do not pass.
func (s *Standby) Become(ctx context.Context, c Candidate, open func(context.Context, *Holder) error) (*Holder, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = s.config.Lease/10, s.config.Lease
	pauses.Reset()
	for {
		after, err := s.Wait(ctx, c)
		if err != nil {
			return nil, err
		}
		s.config.Log.Warn("taking over", "after", after, "writer", s.Status().Writer)
		h := NewHolder(s.store, after, s.config)
		if err = open(ctx, h); err == nil {
			return h, nil
		}
		if ctx.Err() != nil || !passes(err) {
			h.End(ctx)
			return nil, err
		}
		h.stop()
		var pause time.Duration
		if errors.Is(err, ledger.ErrTakenOver) {
			s.config.Log.Info("another standby took over; standing by", "after", after)
			pauses.Reset()
		} else {
			pause = pauses.NextBackOff()
			s.config.Log.Error("taking over came to nothing; standing by", "after", after, "again", pause.Round(time.Millisecond).String(), "err", err)
		}
		if err := s.Look(ctx); err != nil {
			s.config.Log.Debug("looking for the writer", "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// passes says of an error that the same may succeed later.
func passes(err error) bool {
	var sealed *ledger.SealedError
	if errors.As(err, &sealed) {
		return false
	}
	for _, stays := range []error{ledger.ErrRollback, ledger.ErrFold, ledger.ErrCorrupt, ledger.ErrUnprovenClaim} {
		if errors.Is(err, stays) {
			return false
		}
	}
	return true
}

// mayTake asks, of a store whose lease has lapsed, what has to be asked before it is taken.
func (s *Standby) mayTake(ctx context.Context, c Candidate) (epoch uint64, ready bool, err error) {
	asked, cancel := context.WithTimeout(ctx, s.config.Lease)
	defer cancel()
	why, err := s.store.Sealed(asked)
	if err != nil {
		return 0, false, err
	}
	if why != "" {
		return 0, false, &ledger.SealedError{Why: why}
	}
	if err := c.Show(ctx); err != nil {
		return 0, false, fmt.Errorf("the writer's lease has lapsed, and nothing is taken: %w", err)
	}
	epoch, _ = s.Writer()
	over, _ := s.Lapsed() // it may have come back while the witnesses were asked
	return epoch, over, nil
}

// watch looks until ctx ends.
func (s *Standby) watch(ctx context.Context, lapsed chan<- struct{}) {
	for was := false; ; {
		s.Look(ctx) // what it says is in Err
		over, _ := s.Lapsed()
		if over && !was {
			select {
			case lapsed <- struct{}{}:
			default:
			}
		}
		was = over
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.pause()):
		}
	}
}

// say notes why it would not take over now, and logs it once while it goes on.
func (s *Standby) say(err error) {
	s.mu.Lock()
	was := s.cannot
	s.cannot = err
	s.mu.Unlock()
	switch {
	case err != nil && (was == nil || was == errCatchingUp):
		s.config.Log.Error("standing by, and could not take over now", "err", err)
	case err == nil && was != nil && was != errCatchingUp:
		s.config.Log.Info("standing by, and could take over again")
	}
}
