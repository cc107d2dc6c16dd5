package ledger

import (
	"context"
	"sync"
)

// Admission is where an item stands in the log.
type Admission struct {
	Index     uint64
	Duplicate bool // it was there before: Index is the first entry's
}

// Ticket is a place in the pool. Its verdict comes with the commit that takes
// the item in or refuses it.
type Ticket struct {
	done      <-chan struct{} // closed once a and err are final
	admission Admission
	err       error
}

// AwaitCommitted waits for the verdict: where the item is, durably, or why not. The
// error is a *record.Refusal if the item was judged and refused; [ErrUnknown] if
// it may or may not be in the log; ctx's error if that ended first, and then
// the item stays in the pool.
func (t *Ticket) AwaitCommitted(ctx context.Context) (Admission, error) {
	select {
	case <-t.done:
		return t.admission, t.err
	default:
	}
	select {
	case <-t.done:
		return t.admission, t.err
	case <-ctx.Done():
		return Admission{}, ctx.Err()
	}
}

// closedChan is the done channel of tickets that never had to wait.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// batch is what is judged, hashed and written together. Its tickets share one
// channel: an item costs no channel of its own, and a verdict one broadcast.
type batch[V Item] struct {
	items   []queuedItem[V]
	decided int // how many from the front have been committed or refused
	done    chan struct{}
}

type queuedItem[V Item] struct {
	item   V
	ticket *Ticket
}

// fail gives every ticket that has no verdict yet this one, and wakes all.
func (b *batch[V]) fail(err error) {
	for _, w := range b.items[b.decided:] {
		if w.ticket.err == nil {
			w.ticket.err = err
		}
	}
	close(b.done)
}

// pool holds what was appended and is not yet taken, in order, already cut into
// batches.
type pool[V Item] struct {
	limit, perBatch int
	wake            chan struct{} // holds one value while there is something to take

	mu        sync.Mutex
	batches   []*batch[V]
	queued    int
	closedErr error // set once nothing is accepted any more
}

func newPool[V Item](limit, perBatch int) *pool[V] {
	return &pool[V]{limit: limit, perBatch: perBatch, wake: make(chan struct{}, 1)}
}

// put appends an item, or says why it cannot.
func (p *pool[V]) put(v V) (*Ticket, error) {
	t := &Ticket{}
	p.mu.Lock()
	if p.closedErr != nil || p.queued >= p.limit {
		defer p.mu.Unlock()
		if p.closedErr != nil {
			return nil, p.closedErr
		}
		return nil, ErrBusy
	}
	n := len(p.batches)
	if n == 0 || len(p.batches[n-1].items) >= p.perBatch {
		p.batches = append(p.batches, &batch[V]{done: make(chan struct{})})
		n++
	}
	b := p.batches[n-1]
	t.done = b.done
	b.items = append(b.items, queuedItem[V]{v, t})
	p.queued++
	p.mu.Unlock()
	p.notify()
	return t, nil
}

// take removes the oldest batch; nil if there is none.
func (p *pool[V]) take() *batch[V] {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) == 0 {
		return nil
	}
	b := p.batches[0]
	p.batches[0] = nil
	p.batches = p.batches[1:]
	p.queued -= len(b.items)
	if len(p.batches) > 0 {
		p.notify()
	}
	return b
}

// failAll gives all that waits the same verdict.
func (p *pool[V]) failAll(err error) {
	for b := p.take(); b != nil; b = p.take() {
		b.fail(err)
	}
}

// close makes every later put fail with err; what is in the pool stays.
func (p *pool[V]) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closedErr == nil {
		p.closedErr = err
	}
}

// len is the number of items waiting.
func (p *pool[V]) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued
}

func (p *pool[V]) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
