package bench

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// records measures Append of real responses, signatures verified beforehand,
// through the whole register. The ledger stays for the runs after it.
func (r *run) records(ctx context.Context) error {
	w, err := r.newBenchLedger(ctx, "records", r.Records)
	if err != nil {
		return err
	}
	verified := make([]record.Verified, r.Records)
	if err := w.openAll(w.responses(r.Records), verified); err != nil {
		return err
	}
	took, err := appendAll(ctx, w.node.Ledger, r.Records, func(i int) (record.Verified, error) { return verified[i], nil })
	if err != nil {
		return err
	}
	r.row("records: durable appends, full register", perSecond(r.Records, took), "records/s")
	r.recordsLedger = w
	return w.reopen(ctx)
}

// latency offers records at a fixed rate, whether or not the ledger keeps up, and
// measures from when each was offered to when it was published, beside what the disk's
// syncs took before and after. How far the offers were behind the schedule is a row of
// its own: a runtime's timers are late by up to a millisecond, and whatever is above it
// was waiting for a core that the ledger had.
func (r *run) latency(ctx context.Context) error {
	n := int(r.For.Seconds() * float64(r.Rate))
	w, err := r.newBenchLedger(ctx, "latency", n)
	if err != nil {
		return err
	}
	defer w.node.Close()
	verified := make([]record.Verified, n)
	if err := w.openAll(w.responses(n), verified); err != nil {
		return err
	}
	before, err := r.fsyncTimes()
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- w.node.Ledger.Run(running) }()
	published, failed, late := make([]time.Duration, n), make([]error, n), make([]time.Duration, n)
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(r.Rate))
		if err := pause(ctx, time.Until(due)); err != nil {
			break
		}
		offered := time.Now()
		late[i] = offered.Sub(due)
		wg.Go(func() {
			failed[i] = w.publish(ctx, verified[i])
			published[i] = time.Since(offered)
		})
	}
	wg.Wait()
	end()
	if err := errors.Join(append(failed, <-ran, ctx.Err())...); err != nil {
		return err
	}
	after, err := r.fsyncTimes()
	if err != nil {
		return err
	}
	syncs := append(before, after...)
	slices.Sort(syncs)
	slices.Sort(published)
	r.rowWithLimit("submit to published, p50", quantile(published, 0.5), "ms", quantile(syncs, 0.5), "fsync p50")
	r.rowWithLimit("submit to published, p99", quantile(published, 0.99), "ms", quantile(syncs, 0.99), "fsync p99")
	slices.Sort(late)
	r.row("offered behind schedule, p99", quantile(late, 0.99), "ms")
	return nil
}

func (w *benchLedger) publish(ctx context.Context, v record.Verified) error {
	t, err := w.node.Ledger.Append(ctx, v)
	if err != nil {
		return err
	}
	a, err := t.AwaitCommitted(ctx)
	if err != nil {
		return err
	}
	_, err = w.node.Ledger.AwaitPublished(ctx, a.Index)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
