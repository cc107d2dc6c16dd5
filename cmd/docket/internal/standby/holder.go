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

// Holder takes a store for a ledger, and renews its lease from then on, until [Holder.End].
type Holder struct {
	store  ledger.Shared
	config Config
	after  uint64

	epoch     uint64        // by which it writes; 0 before the taking. Set by Take, before the goroutine begins
	takenOver chan struct{} // closed once another one has taken the store
	cancel    context.CancelFunc
	renewing  sync.WaitGroup

	mu        sync.Mutex // guards what follows
	renewedAt time.Time
}

// NewHolder is for a ledger that takes the place of the writer of this epoch.
func NewHolder(s ledger.Shared, after uint64, c Config) *Holder {
	return &Holder{store: s, config: c.withDefaults(), after: after, takenOver: make(chan struct{})}
}

// Take takes the store, if nobody else has since the epoch that it follows, and renews the
// lease from then on. It is the ledger's Config.Take. [ledger.ErrTakenOver].
func (h *Holder) Take(ctx context.Context) error {
	if h.epoch > 0 {
		return nil
	}
	if err := h.store.TakeAfter(ctx, h.after); err != nil {
		return err
	}
	h.epoch = h.after + 1
	ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.renewing.Go(func() { h.renew(ctx) })
	return nil
}

// Taken is the epoch by which this process writes; 0 before it has taken the store.
func (h *Holder) Taken() uint64 { return h.epoch }

// TakenOver is closed once another writer has taken the store since. The ledger may learn
// of it sooner, by a write of its own.
func (h *Holder) TakenOver() <-chan struct{} { return h.takenOver }

// renew renews the lease every third of its length, until ctx ends or another one has taken
// the store. A writer that cannot renew it goes on: if another one takes its place, the
// store says so.
func (h *Holder) renew(ctx context.Context) {
	failing := false
	for {
		err := h.renewOnce(ctx, Lease{Epoch: h.epoch, URL: h.config.URL, Length: h.config.Lease})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ledger.ErrTakenOver):
			close(h.takenOver)
			return
		case err != nil && !failing:
			h.config.Log.Error("the lease is not renewed: a standby may take over", "epoch", h.epoch, "err", err)
		case err == nil && failing:
			h.config.Log.Info("the lease is renewed again", "epoch", h.epoch)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.config.Lease / 3):
		}
	}
}

// renewOnce looks first who writes: the lease is the newest writer's, and one that hears no
// answer is not to say that it lives.
func (h *Holder) renewOnce(ctx context.Context, l Lease) error {
	ctx, cancel := context.WithTimeout(ctx, h.config.Lease)
	defer cancel()
	epoch, err := h.store.Epoch(ctx)
	if err != nil {
		return fmt.Errorf("reading who writes: %w", err)
	}
	if epoch > h.epoch {
		return fmt.Errorf("epoch %d after %d: %w", epoch, h.epoch, ledger.ErrTakenOver)
	}
	if err := h.store.PutBlob(ctx, blobName, l.renewed().Bytes()); err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewedAt = time.Now()
	return nil
}

// Age is for how long the lease has not been renewed.
func (h *Holder) Age() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.renewedAt.IsZero() {
		return 0
	}
	return time.Since(h.renewedAt)
}

// End renews the lease no more, and says in it that this writer has ended, so that nobody has
// to wait for it to lapse. The ledger must have stopped. Without a taking it does nothing.
func (h *Holder) End(ctx context.Context) {
	if !h.stop() {
		return
	}
	err := h.renewOnce(context.WithoutCancel(ctx), Lease{Epoch: h.epoch, URL: h.config.URL, Length: h.config.Lease, Ended: true})
	if err != nil && !errors.Is(err, ledger.ErrTakenOver) {
		h.config.Log.Warn("the lease was not given back: it lapses", "epoch", h.epoch, "err", err)
	}
}

// stop renews the lease no more, so that it lapses. It is false without a taking.
func (h *Holder) stop() bool {
	if h.cancel == nil {
		return false
	}
	h.cancel()
	h.renewing.Wait()
	return true
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
func (h *Holder) Run(ctx context.Context, run func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var noticing sync.WaitGroup
	noticing.Go(func() {
		select {
		case <-h.takenOver:
			stop()
		case <-running.Done():
		}
	})
	err := run(running)
	stop()
	noticing.Wait()
	if err == nil && !isClosed(h.takenOver) {
		return nil
	}
	if over := h.over(ctx); over != nil {
		return over
	}
	return err
}

// over is who has taken the store since; nil if nobody has, as far as the store says.
func (h *Holder) over(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.config.Lease)
	defer cancel()
	w := NewWatcher(h.store, h.config)
	err := w.Look(ctx)
	epoch, lease := w.Writer()
	if epoch > h.epoch {
		return &OverError{epoch, lease.URL}
	}
	if err != nil && isClosed(h.takenOver) {
		return &OverError{Epoch: h.epoch + 1}
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
