package customers

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits bound what each client reads. Clients are those of the settings, so there are few.
type limits struct {
	rate Rate
	mu   sync.Mutex
	by   map[string]*rate.Limiter // guarded by mu
}

// read takes one read of a client.
func (l *limits) read(client string) error {
	if l.rate.PerSecond < 0 {
		return nil
	}
	l.mu.Lock()
	if l.by == nil {
		l.by = make(map[string]*rate.Limiter)
	}
	of := l.by[client]
	if of == nil {
		of = rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
		l.by[client] = of
	}
	l.mu.Unlock()
	r := of.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return nil
	}
	r.Cancel()
	return &problem{kind: problemTooMany, detail: "this client reads too often", retryAfter: max(time.Second, time.Duration(math.Ceil(wait.Seconds()))*time.Second)}
}
