package stores

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// submitter sends records without pause, each until it has a receipt, to whichever of the
// machines answers.
type submitter struct {
	cluster *cluster
	client  *client.Client
	other   *client.Client // begins with another machine

	receipts []told
	again    int // records that were sent again once they had a receipt
}

// told is what a receipt says, of which there are thousands: parsed, with all its keys, one is 400 kB.
type told struct {
	id    record.ID
	index uint64
	entry []byte
	tree  proof.Tree
	text  []byte
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

// newClient talks to the machines, from the first on, over connections of its own.
func newClient(t testing.TB, machines ...*process) *client.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 3 * time.Second // of a machine that is frozen
	t.Cleanup(transport.CloseIdleConnections)
	var urls []string
	for _, p := range machines {
		urls = append(urls, p.url)
	}
	return client.At(must(wire.NewServers(transport, urls...)))
}

// startLoad lets n submitters send records to the machines.
func startLoad(l *cluster, n int, machines ...*process) *load {
	l.t.Helper()
	ctx, end := context.WithCancel(l.t.Context())
	w := &load{t: l.t, more: make(chan struct{}, 1), end: end}
	for i := range n {
		from := func(k int) []*process { return slices.Concat(machines[k%len(machines):], machines[:k%len(machines)]) }
		s := &submitter{cluster: l, client: newClient(l.t, from(i)...), other: newClient(l.t, from(i+1)...)}
		w.all = append(w.all, s)
		w.wg.Go(func() {
			for ctx.Err() == nil {
				if err := s.send(l.t.Context()); err != nil {
					l.t.Error(err)
					w.wake()
					return
				}
				w.told.Add(1)
				w.wake()
			}
		})
	}
	l.t.Cleanup(func() { w.end(); w.wg.Wait() })
	return w
}

func (w *load) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// wait waits until n more receipts were handed out.
func (w *load) wait(n int64) {
	w.t.Helper()
	w.await(n)
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// await is wait for any goroutine.
func (w *load) await(n int64) {
	out := bounded(w.t).Done()
	for until := w.told.Load() + n; w.told.Load() < until && !w.t.Failed(); {
		select {
		case <-w.more:
		case <-out:
			w.t.Errorf("%d receipts, and no more come", w.told.Load())
		}
	}
}

// stop lets each submitter get the receipt that it waits for.
func (w *load) stop() (receipts []told) {
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
	r, err := s.submit(ctx, s.client, s.cluster.nextRecord())
	if err != nil {
		return err
	}
	s.receipts = append(s.receipts, r)
	if len(s.receipts)%8 != 0 {
		return nil
	}
	before := s.receipts[len(s.receipts)*5/8-1]
	e, err := record.ParseEntry(before.entry)
	if err != nil {
		return err
	}
	if r, err = s.submit(ctx, s.other, e.Envelope); err != nil {
		return err
	}
	if s.again++; r.index != before.index {
		return fmt.Errorf("record %s stands at %d, and again at %d", r.id, before.index, r.index)
	}
	s.receipts = append(s.receipts, r)
	return nil
}

// submit sends a record for as long as it takes any machine to give a receipt.
func (s *submitter) submit(ctx context.Context, c *client.Client, env record.Envelope) (told, error) {
	for {
		sent, err := c.Submit(ctx, env.Marshal(), client.SinglePolicy{Only: s.cluster.policy}, client.Retry{MaxElapsed: 3 * time.Minute})
		switch {
		case err != nil:
			return told{}, fmt.Errorf("record %s has no receipt: %w", record.IDOf(env.Payload), err)
		case sent.Receipt != nil:
			r := sent.Receipt
			return told{r.ID, r.Index(), bytes.Clone(r.Entry()), r.Published().Checkpoint().Tree(), bytes.Clone(r.Text)}, nil
		}
		// It is committed, it says, and not published: ask again.
	}
}
