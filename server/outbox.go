package server

import (
	"container/list"
	"sync"
	"time"
)

// smallAnswer is the largest answer that the outbox does not count: a receipt with
// the largest entry fits into it. So connections bound those.
const smallAnswer = 80 << 10 // bytes

// outbox bounds the memory of answers that are on their way, however slowly they are
// read: those of one address to an eighth of all, and where all have too much the one
// that was begun first is broken off, so that whoever reads nothing keeps nobody else
// from being answered. mu guards what is below it.
type outbox struct {
	limit int // bytes

	mu   sync.Mutex
	sum  int
	from map[string]int // by address; no entry is 0
	sent list.List      // of *parcels, in the order in which they were begun
}

// parcel is an answer on its way.
type parcel struct {
	address  string
	size     int
	breakOff func()
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, from: make(map[string]int)}
}

// take counts an answer that goes to an address until it is given back, or refuses
// it. Nobody waits here with an answer in his hands. An answer larger than an
// address's share is let through alone. breakOff ends it; it is not called any more once
// giveBack has returned.
func (o *outbox) take(address string, size int, breakOff func()) (giveBack func(), err error) {
	if size <= smallAnswer {
		return func() {}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if held := o.from[address]; held > 0 && held+size > o.limit/8 {
		return nil, busyFor(5*time.Second, "%d bytes of answers to %s are not yet read; read them first", held, address)
	}
	for o.sum > 0 && o.sum+size > o.limit {
		first := o.sent.Front()
		o.add(first.Value.(*parcel), -1)
		o.sent.Remove(first).(*parcel).breakOff()
	}
	p := &parcel{address, size, breakOff}
	place := o.sent.PushBack(p)
	o.add(p, 1)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		n := o.sent.Len()
		if o.sent.Remove(place); o.sent.Len() < n {
			o.add(p, -1)
		}
	}, nil
}

func (o *outbox) add(p *parcel, sign int) {
	o.sum += sign * p.size
	if o.from[p.address] += sign * p.size; o.from[p.address] == 0 {
		delete(o.from, p.address)
	}
}
