package standby

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// Watcher sees by its lease whether a store's writer lives. It may be used by several
// goroutines.
type Watcher struct {
	store  ledger.Shared
	config Config

	mu   sync.Mutex // guards what follows
	seen sighting
}

// sighting is what was seen last.
type sighting struct {
	known   bool // something was seen
	epoch   uint64
	lease   Lease     // of that epoch; the zero value: there is none
	changed time.Time // when that was first seen, with a monotonic part
	lapsed  bool
	err     error // of the newest look
}

// NewWatcher watches a store. It has seen nothing before [Watcher.Look].
func NewWatcher(s ledger.Shared, c Config) *Watcher {
	return &Watcher{store: s, config: c.withDefaults()}
}

// Look reads who writes, and that one's lease. One of another epoch, or that cannot be read,
// is as none: it is no sign of life. An error says that nothing was seen; it is no sign of
// death.
func (w *Watcher) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.config.Lease)
	defer cancel()
	begun := time.Now()
	epoch, err := w.store.Epoch(ctx)
	var lease Lease
	if err == nil {
		lease, err = w.readLease(ctx, epoch)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.seen
	s.err = err
	switch {
	case err != nil:
	case !s.known, epoch != s.epoch, lease.Nonce != s.lease.Nonce && lease.Nonce != "":
		*s = sighting{known: true, epoch: epoch, lease: lease, changed: time.Now(), lapsed: lease.Ended}
	default: // from its first sight to the beginning of this look nobody has renewed it
		s.lapsed = s.lapsed || begun.Sub(s.changed) >= w.length(s.lease)
	}
	return err
}

// length is how long a lease must be unchanged: for as long as its writer says, if that
// renews it more seldom than one of this process's would be.
func (w *Watcher) length(l Lease) time.Duration { return max(w.config.Lease, l.Length) }

func (w *Watcher) readLease(ctx context.Context, epoch uint64) (Lease, error) {
	blob, err := w.store.Blob(ctx, blobName)
	if errors.Is(err, ledger.ErrMissing) {
		return Lease{}, nil
	}
	if err != nil {
		return Lease{}, err
	}
	lease, err := ParseLease(blob)
	if err != nil || lease.Epoch != epoch {
		return Lease{}, nil
	}
	return lease, nil
}

// Writer is the epoch of the newest taking, and its lease as far as it was seen.
func (w *Watcher) Writer() (epoch uint64, l Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.epoch, w.seen.lease
}

// Lapsed says whether the writer is to be taken for dead, and since when its lease has not
// changed; the zero time before the first sight.
func (w *Watcher) Lapsed() (lapsed bool, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.lapsed, w.seen.changed
}

// Err is why the newest look saw nothing; nil if it saw.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.err
}

// pause is how long after a look the next one comes: ten in a lease, and one as it may lapse.
func (w *Watcher) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	every := w.config.Lease / 10
	if left := w.length(w.seen.lease) - time.Since(w.seen.changed); w.seen.known && left > 0 {
		return min(every, left)
	}
	return every
}

// AliveError: another process writes to the store.
type AliveError struct{ Lease Lease }

func (e *AliveError) Error() string {
	at := ""
	if e.Lease.URL != "" {
		at = " at " + e.Lease.URL
	}
	return "another process writes this ledger" + at + ", and renews its lease"
}

// AwaitFree waits until nobody renews the lease, and returns the epoch after which the store
// may be taken: at once where there is no lease or its writer has ended, and otherwise once
// the lease has lapsed. [AliveError] if it is renewed meanwhile.
func (w *Watcher) AwaitFree(ctx context.Context) (epoch uint64, err error) {
	if err := w.Look(ctx); err != nil {
		return 0, err
	}
	first, lease := w.Writer()
	if lapsed, _ := w.Lapsed(); lapsed || lease.Nonce == "" {
		return first, nil
	}
	w.config.Log.Info("another process wrote this ledger last: its lease must lapse first", "epoch", first, "writer", lease.URL, "lease", w.length(lease).String())
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(w.pause()):
		}
		if err := w.Look(ctx); err != nil {
			return 0, err
		}
		epoch, now := w.Writer()
		if lapsed, _ := w.Lapsed(); lapsed {
			return epoch, nil
		}
		if epoch != first || now.Nonce != lease.Nonce {
			return 0, &AliveError{now}
		}
	}
}
