package server

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a token bucket: Burst at once, then PerSecond for ever.
type Rate struct {
	PerSecond float64 // below 0: no bound
	Burst     int     // 0 means 1
}

// Check refuses a rate at which a bucket that is empty stays so: whoever has used
// up his burst would be locked out for good.
func (r Rate) Check() error {
	switch {
	case r.PerSecond == 0:
		return fmt.Errorf("0 records a second would be %d, and then none for ever; below 0 means no limit", max(1, r.Burst))
	case math.IsNaN(r.PerSecond) || math.IsInf(r.PerSecond, 0):
		return fmt.Errorf("%g records a second: want a number; below 0 means no limit", r.PerSecond)
	case r.Burst < 0:
		return fmt.Errorf("%d records at once: want 1 or more", r.Burst)
	}
	return nil
}

// reserve is what each key has beside what its party's keys share: of 50 a second and 500
// at once, 1 and 10.
func (r Rate) reserve() Rate { return Rate{r.PerSecond / 50, max(1, r.Burst/50)} }

// describeTokens says what is counted where a large record counts several times.
func (r Rate) describeTokens() string {
	return fmt.Sprintf("%g records of %d KiB a second, %d at once", r.PerSecond, bytesPerToken>>10, r.Burst)
}

func (r Rate) String() string {
	return fmt.Sprintf("%g records a second, %d at once", r.PerSecond, r.Burst)
}

// tokenBuckets holds one token bucket per key, at most max of them: memory is
// bounded however many keys there are. mu guards byKey; each limiter guards
// itself.
type tokenBuckets struct {
	rate Rate
	max  int

	mu    sync.Mutex
	byKey map[string]*rate.Limiter
}

// newTokenBuckets makes none, which refuses nothing, of a rate below 0.
func newTokenBuckets(r Rate, max int) *tokenBuckets {
	if r.PerSecond < 0 {
		return nil
	}
	return &tokenBuckets{rate: r, max: max, byKey: make(map[string]*rate.Limiter)}
}

// take takes tokens of key's bucket, also such as are not there yet: then the bucket
// stays empty for longer. No charge takes more than a full bucket has.
func (b *tokenBuckets) take(key string, tokens int) {
	if b != nil {
		b.bucket(key).ReserveN(time.Now(), min(tokens, max(1, b.rate.Burst)))
	}
}

// wait says whether key's bucket has no token now, and takes none.
func (b *tokenBuckets) wait(key string) (wait time.Duration, yes bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	l := b.byKey[key]
	b.mu.Unlock()
	if l == nil {
		return 0, false
	}
	missing := 1 - l.Tokens()
	if missing <= 0 {
		return 0, false
	}
	return time.Duration(missing / b.rate.PerSecond * float64(time.Second)), true
}

func (b *tokenBuckets) bucket(key string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.byKey[key]
	if l == nil {
		if len(b.byKey) >= b.max {
			b.evict()
		}
		l = rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)
		b.byKey[key] = l
	}
	return l
}

// evict forgets the buckets that are full again, which loses nothing; if every
// one is in use, any one, so that the bound holds.
func (b *tokenBuckets) evict() {
	for key, l := range b.byKey {
		if l.Tokens() >= float64(b.rate.Burst) {
			delete(b.byKey, key)
		}
	}
	for key := range b.byKey {
		if len(b.byKey) < b.max {
			return
		}
		delete(b.byKey, key)
	}
}
