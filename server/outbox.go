package server

import (
	"sync"
	"time"
)

// smallAnswer is the largest answer that the outbox does not count: a receipt with
// the largest entry fits into it. So connections bound those.
const smallAnswer = 80 << 10 // bytes

// outbox bounds the memory of answers that are on their way, however slowly they are
// read: all of them together, and those of one address to an eighth of that, so
// that one who reads nothing takes the answers of nobody else. mu guards what is
// below it.
type outbox struct {
	limit int // bytes

	mu   sync.Mutex
	sum  int
	from map[string]int // by address; no entry is 0
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, from: make(map[string]int)}
}

// take counts an answer that goes to an address until it is given back, or refuses
// it. Nobody waits here with an answer in his hands. An answer larger than an
// address's share is let through alone.
func (o *outbox) take(address string, size int) (giveBack func(), err error) {
	if size <= smallAnswer {
		return func() {}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch held := o.from[address]; {
	case held > 0 && held+size > o.limit/8:
		return nil, busyFor(5*time.Second, "%d bytes of answers to %s are not yet read; read them first", held, address)
	case o.sum > 0 && o.sum+size > o.limit:
		return nil, busyFor(5*time.Second, "too many answers are on their way")
	}
	o.add(address, size)
	return sync.OnceFunc(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.add(address, -size)
	}), nil
}

func (o *outbox) add(address string, size int) {
	o.sum += size
	if o.from[address] += size; o.from[address] == 0 {
		delete(o.from, address)
	}
}
