package standby

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// Config is how a writer's life is told, and watched.
type Config struct {
	URL   string        // where others reach this process; "" says nothing
	Lease time.Duration // DefaultLease if zero
	Log   *slog.Logger  // nil discards
}

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store is a shared store of which the lease is renewed from its taking on, until [Store.End].
type Store struct {
	ledger.Shared
	config Config
	after  uint64

	epoch     uint64        // by which it writes; 0 before the taking. Set by Take, before the goroutine begins
	takenOver chan struct{} // closed once another one has taken the store
	cancel    context.CancelFunc
	renewing  sync.WaitGroup

	mu        sync.Mutex // guards what follows
	renewedAt time.Time
}

// NewStore is the store for a ledger that takes the place of the writer of this epoch.
func NewStore(s ledger.Shared, after uint64, c Config) *Store {
	return &Store{Shared: s, config: c.withDefaults(), after: after, takenOver: make(chan struct{})}
}

// Take takes the store, if nobody else has since the epoch that it follows, and renews the
// lease from then on. [ledger.ErrTakenOver].
func (s *Store) Take(ctx context.Context) error {
	if s.epoch > 0 {
		return nil
	}
	if err := s.Shared.TakeAfter(ctx, s.after); err != nil {
		return err
	}
	s.epoch = s.after + 1
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.renewing.Go(func() { s.renew(ctx) })
	return nil
}

// Epoch by which this process writes; 0 before it has taken the store.
func (s *Store) Taken() uint64 { return s.epoch }

// TakenOver is closed once another writer has taken the store since. The ledger may learn
// of it sooner, by a write of its own.
func (s *Store) TakenOver() <-chan struct{} { return s.takenOver }

// renew renews the lease every third of its length, until ctx ends or another one has taken
// the store. A writer that cannot renew it goes on: if another one takes its place, the
// store says so.
func (s *Store) renew(ctx context.Context) {
	failing := false
	for {
		err := s.renewOnce(ctx, Lease{Epoch: s.epoch, URL: s.config.URL, Length: s.config.Lease})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ledger.ErrTakenOver):
			close(s.takenOver)
			return
		case err != nil && !failing:
			s.config.Log.Error("the lease is not renewed: a standby may take over", "epoch", s.epoch, "err", err)
		case err == nil && failing:
			s.config.Log.Info("the lease is renewed again", "epoch", s.epoch)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.config.Lease / 3):
		}
	}
}

// renewOnce looks first who writes: the lease is the newest writer's, and one that hears no
// answer is not to say that it lives.
func (s *Store) renewOnce(ctx context.Context, l Lease) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Lease)
	defer cancel()
	epoch, err := s.Shared.Epoch(ctx)
	if err != nil {
		return fmt.Errorf("reading who writes: %w", err)
	}
	if epoch > s.epoch {
		return fmt.Errorf("epoch %d after %d: %w", epoch, s.epoch, ledger.ErrTakenOver)
	}
	if err := s.Shared.PutBlob(ctx, blobName, l.renewed().Bytes()); err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewedAt = time.Now()
	return nil
}

// Age is for how long the lease has not been renewed.
func (s *Store) Age() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewedAt.IsZero() {
		return 0
	}
	return time.Since(s.renewedAt)
}

// End renews the lease no more, and says in it that this writer has ended, so that nobody has
// to wait for it to lapse. The ledger must have stopped. Without a taking it does nothing.
func (s *Store) End(ctx context.Context) {
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.renewing.Wait()
	err := s.renewOnce(context.WithoutCancel(ctx), Lease{Epoch: s.epoch, URL: s.config.URL, Length: s.config.Lease, Ended: true})
	if err != nil && !errors.Is(err, ledger.ErrTakenOver) {
		s.config.Log.Warn("the lease was not given back: it lapses", "epoch", s.epoch, "err", err)
	}
}

// OverError: another writer has taken the store since. Whatever this one has published is a
// prefix of what that one goes on with.
type OverError struct {
	Epoch uint64 // of that one's taking
	URL   string // where it takes records; "" if it has not said
}

func (e *OverError) Error() string {
	at := ""
	if e.URL != "" {
		at = ", at " + e.URL
	}
	return "another writer took over" + at
}

// Is has it be [ledger.ErrTakenOver].
func (e *OverError) Is(target error) bool { return target == ledger.ErrTakenOver }

// Run runs the ledger over the taken store, until run ends; ctx tells it to, or that another
// one has taken the store. It returns [*OverError] then, and whenever the store says so after
// an error of whatever kind: of a writer that was cut off, or whose witnesses have seen
// more, that is the reason.
func (s *Store) Run(ctx context.Context, run func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var noticing sync.WaitGroup
	noticing.Go(func() {
		select {
		case <-s.takenOver:
			stop()
		case <-running.Done():
		}
	})
	err := run(running)
	stop()
	noticing.Wait()
	if err == nil && !isClosed(s.takenOver) {
		return nil
	}
	if over := s.over(ctx); over != nil {
		return over
	}
	return err
}

// over is who has taken the store since; nil if nobody has, as far as the store says.
func (s *Store) over(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Lease)
	defer cancel()
	w := NewWatcher(s.Shared, s.config)
	err := w.Look(ctx)
	epoch, lease := w.Writer()
	if epoch > s.epoch {
		return &OverError{epoch, lease.URL}
	}
	if err != nil && isClosed(s.takenOver) {
		return &OverError{Epoch: s.epoch + 1}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
