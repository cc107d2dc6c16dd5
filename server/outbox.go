package server

import (
	"container/list"
	"sync"
	"time"
)

// maxUncountedAnswer is the largest answer that the outbox does not count: a receipt with
// the largest entry fits into it. So connections bound those.
const maxUncountedAnswer = 80 << 10 // bytes

// answerMemory bounds the memory of answers that are on their way, however slowly they are
// read: those of one address to an eighth of all, and where all have too much the one
// that was begun first is broken off, so that whoever reads nothing keeps nobody else
// from being answered. mu guards what is below it.
type answerMemory struct {
	limit int // bytes

	mu        sync.Mutex
	total     int
	byAddress map[string]int // by address; no entry is 0
	inFlight  list.List      // of *parcels, in the order in which they were begun
}

// pendingAnswer is an answer on its way.
type pendingAnswer struct {
	address string
	size    int
	abort   func()
}

func newAnswerMemory(limit int) *answerMemory {
	return &answerMemory{limit: limit, byAddress: make(map[string]int)}
}

// reserve counts an answer that goes to an address until it is given back, or refuses
// it. Nobody waits here with an answer in his hands. An answer larger than an
// address's share is let through alone. abort ends it; it is not called any more once
// release has returned.
func (o *answerMemory) reserve(address string, size int, abort func()) (release func(), err error) {
	if size <= maxUncountedAnswer {
		return func() {}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if held := o.byAddress[address]; held > 0 && held+size > o.limit/8 {
		return nil, busyProblemAfter(5*time.Second, "%d bytes of answers to %s are not yet read; read them first", held, address)
	}
	for o.total > 0 && o.total+size > o.limit {
		first := o.inFlight.Front()
		o.addSize(first.Value.(*pendingAnswer), -1)
		o.inFlight.Remove(first).(*pendingAnswer).abort()
	}
	p := &pendingAnswer{address, size, abort}
	place := o.inFlight.PushBack(p)
	o.addSize(p, 1)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		n := o.inFlight.Len()
		if o.inFlight.Remove(place); o.inFlight.Len() < n {
			o.addSize(p, -1)
		}
	}, nil
}

func (o *answerMemory) addSize(p *pendingAnswer, sign int) {
	o.total += sign * p.size
	if o.byAddress[p.address] += sign * p.size; o.byAddress[p.address] == 0 {
		delete(o.byAddress, p.address)
	}
}
