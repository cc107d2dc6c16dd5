package stores

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// submitter sends records without pause, each until it has a receipt, to whichever of the
// machines answers.
type submitter struct {
	ledger  *ledger
	clients []*client.Client // one a machine
	at      int              // the one that answered last

	receipts []*client.Receipt
	again    int // records that were sent again once they had a receipt
}

// load is all submitters at work.
type load struct {
	t    testing.TB
	all  []*submitter
	told atomic.Int64  // receipts handed out
	more chan struct{} // one was handed out
	end  context.CancelFunc
	wg   sync.WaitGroup
}

// newClient talks to a machine over connections of its own.
func newClient(t testing.TB, url string) *client.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 5 * time.Second // of a machine that is frozen
	t.Cleanup(transport.CloseIdleConnections)
	return must(client.New(url, transport))
}

// startLoad lets n submitters send records to the machines.
func startLoad(l *ledger, n int, machines ...*process) *load {
	l.t.Helper()
	ctx, end := context.WithCancel(l.t.Context())
	w := &load{t: l.t, more: make(chan struct{}, 1), end: end}
	for i := range n {
		s := &submitter{ledger: l, at: i % len(machines)}
		for _, p := range machines {
			s.clients = append(s.clients, newClient(l.t, p.url))
		}
		w.all = append(w.all, s)
		w.wg.Go(func() {
			for ctx.Err() == nil {
				if err := s.send(l.t.Context()); err != nil {
					l.t.Error(err)
					return
				}
				w.told.Add(1)
				select {
				case w.more <- struct{}{}:
				default:
				}
			}
		})
	}
	l.t.Cleanup(func() { w.end(); w.wg.Wait() })
	return w
}

// wait waits until n more receipts were handed out, while nothing that is needed is down.
func (w *load) wait(n int64) {
	w.t.Helper()
	for until := w.told.Load() + n; w.told.Load() < until; {
		select {
		case <-w.more:
		case <-w.t.Context().Done():
			w.t.Fatalf("%d receipts, and no more come", w.told.Load())
		}
		if w.t.Failed() {
			w.t.FailNow()
		}
	}
}

// stop lets each submitter get the receipt that it waits for.
func (w *load) stop() (receipts []*client.Receipt) {
	w.end()
	w.wg.Wait()
	again := 0
	for _, s := range w.all {
		receipts = append(receipts, s.receipts...)
		again += s.again
	}
	w.t.Logf("%d receipts, and %d records sent again", len(receipts), again)
	return receipts
}

// send sends a new record until it has a receipt, and now and then one from before, which
// stands where it stood.
func (s *submitter) send(ctx context.Context) error {
	r, err := s.submit(ctx, s.ledger.nextRecord())
	if err != nil {
		return err
	}
	s.receipts = append(s.receipts, r)
	if len(s.receipts)%8 != 0 {
		return nil
	}
	before := s.receipts[len(s.receipts)*5/8-1]
	e, err := record.ParseEntry(before.Entry())
	if err != nil {
		return err
	}
	s.at++ // of another machine
	r, err = s.submit(ctx, e.Envelope)
	if err != nil {
		return err
	}
	if s.again++; r.Index() != before.Index() {
		return fmt.Errorf("record %s stands at %d, and again at %d", r.ID, before.Index(), r.Index())
	}
	s.receipts = append(s.receipts, r)
	return nil
}

// submit goes from one machine to the next as long as none gives a receipt.
func (s *submitter) submit(ctx context.Context, env record.Envelope) (*client.Receipt, error) {
	for tries := 1; ; tries++ {
		c := s.clients[s.at%len(s.clients)]
		sent, err := c.Submit(ctx, env.Marshal(), client.SinglePolicy{Only: s.ledger.policy}, client.Retry{})
		var gone *wire.UnreachableError
		var later *client.Problem
		switch {
		case err == nil && sent.Receipt != nil:
			return sent.Receipt, nil
		case err == nil: // committed, it says: ask again
		case errors.As(err, &gone), errors.As(err, &later) && later.Retryable():
			s.at++
		default:
			return nil, fmt.Errorf("%s: %w", c.URL(), err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("record %s has no receipt after %d tries: %w", record.IDOf(env.Payload), tries, err)
		case <-time.After(min(time.Duration(tries)*10*time.Millisecond, 200*time.Millisecond)):
		}
	}
}
