package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// failOver measures for how long nothing is published when a writer dies just after it has renewed
// its lease: a standby with a handle and an index of its own, which has caught up, waits
// until that has lapsed, takes the store and publishes an entry.
func (m *storeBench) failOver(ctx context.Context, lease time.Duration) (err error) {
	c := standby.Config{Lease: lease}
	store, err := m.open("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	index, err := m.fold("store-standby-" + lease.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()

	epoch, err := m.store.Epoch(ctx)
	if err != nil {
		return err
	}
	dying := &mortal{Shared: m.store, renewed: make(chan struct{})}
	writer := standby.NewHolder(dying, epoch, c)
	defer writer.End(ctx) // which cannot say any more that it ends
	wc := m.config()
	wc.Take = writer.Take
	l, err := ledger.Open(ctx, m.store, m.index, wc)
	if err != nil {
		return err
	}
	follower, err := ledger.Follow(store, index, m.config())
	if err != nil {
		return err
	}
	var begun time.Time
	by := standby.New(store, c)
	becoming, giveUp := context.WithCancel(ctx)
	var waiting sync.WaitGroup // what it opens is closed after it
	defer waiting.Wait()
	defer giveUp()
	became := make(chan error, 1)
	var next *ledger.Ledger[pebblestore.Blob]
	var holder *standby.Holder
	err = whileRunning(ctx, l, func() error {
		if err := errors.Join(m.publishNext(ctx, l), follower.CatchUp(ctx)); err != nil {
			return err
		}
		for tries := 0; ; tries++ { // a look has a part of the lease, and the store may take longer for once
			if err := by.Look(ctx); err == nil {
				break
			} else if tries == 10 {
				return err
			}
		}
		waiting.Go(func() {
			var err error
			holder, err = by.Become(becoming, follower, func(ctx context.Context, h *standby.Holder) (err error) {
				c := m.config()
				c.Take = h.Take
				next, err = ledger.Open(ctx, store, index, c)
				return err
			})
			became <- err
		})
		select {
		case <-dying.renewed:
		case <-ctx.Done():
			return ctx.Err()
		}
		dying.dead.Store(true)
		begun = time.Now()
		return nil
	})
	if err != nil {
		return err
	}
	if err := <-became; err != nil {
		return err
	}
	defer holder.End(ctx)
	return whileRunning(ctx, next, func() error {
		if err := m.publishNext(ctx, next); err != nil {
			return err
		}
		m.Report(Row{
			Name: fmt.Sprintf("store: a writer dies, until its standby publishes, lease %s", lease), Unit: "ms",
			Value: float64(time.Since(begun).Microseconds()) / 1000, Limit: float64(lease.Milliseconds()), LimitName: "the lease",
		})
		return nil
	})
}

// publishNext publishes one more entry.
func (m *storeBench) publishNext(ctx context.Context, l *ledger.Ledger[pebblestore.Blob]) error {
	m.next++
	return m.publish(ctx, l, m.next-1)
}

// mortal is a store whose user renews no lease once it is dead.
type mortal struct {
	ledger.Shared
	dead    atomic.Bool
	renewed chan struct{} // told of each renewal, if somebody waits
}

var errDead = errors.New("the process is dead")

// PutBlob implements [ledger.Shared].
func (s *mortal) PutBlob(ctx context.Context, name string, blob []byte) error {
	if s.dead.Load() {
		return errDead
	}
	err := s.Shared.PutBlob(ctx, name, blob)
	if err == nil {
		select {
		case s.renewed <- struct{}{}:
		default:
		}
	}
	return err
}
