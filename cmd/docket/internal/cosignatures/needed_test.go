package cosignatures_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// Whatever a witness answers without which there is no quorum, and however seldom the log
// publishes, it is asked again within half a minute: publication never waits longer for a
// witness that is well.
func TestNeededWitnessIsAskedWithinHalfAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and its goroutines are those of every round: run without -short")
	}
	says := func(status int, retryAfter string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			if retryAfter != "" {
				rw.Header().Set("Retry-After", retryAfter)
			}
			http.Error(rw, "later", status)
		}
	}
	const most = 30 * time.Second
	for name, c := range map[string]struct {
		ill      http.HandlerFunc
		interval time.Duration
	}{
		"429":                        {ill: says(429, "")},
		"429, one second":            {ill: says(429, "1")},
		"429, 45 seconds":            {ill: says(429, "45")},
		"429, a day":                 {ill: says(429, "86400")},
		"503":                        {ill: says(503, "")},
		"503, 20 seconds":            {ill: says(503, "20")},
		"503, a day":                 {ill: says(503, "86400")},
		"500":                        {ill: says(500, "")},
		"silence":                    {ill: hangingHandler},
		"500, and seldom publishing": {ill: says(500, ""), interval: time.Hour},
		"429, and seldom publishing": {ill: says(429, "600"), interval: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				w.close()
				w.ledger.PublishInterval, w.ledger.RecosignInterval = c.interval, -1
				w.open()
				defer w.run()()
				index := uint64(0)
				add := func() uint64 {
					index++
					return must(must(w.l.Append(t.Context(), pebblestore.NewBlob(fmt.Append(nil, "blob ", index)))).AwaitCommitted(t.Context())).Index
				}
				must(w.l.AwaitPublished(t.Context(), add()))
				w.witnesses[1].setHandler(unavailableHandler)
				for ill := time.Second; ill < 3*time.Minute; ill += 39 * time.Second {
					time.Sleep(c.interval + time.Minute)
					needed := w.witnesses[0]
					var mu sync.Mutex
					var asked, through time.Time // its last request; guarded by mu
					watch := func(h http.HandlerFunc) http.HandlerFunc {
						return func(rw http.ResponseWriter, r *http.Request) {
							mu.Lock()
							asked = time.Now()
							if gap := time.Since(through); !through.IsZero() && gap > most {
								t.Errorf("ill for %s: asked again after %s", ill, gap)
							}
							mu.Unlock()
							h(rw, r)
							mu.Lock()
							defer mu.Unlock()
							through = time.Now()
						}
					}
					needed.setHandler(watch(c.ill))
					waits := add()
					time.Sleep(ill)
					synctest.Wait()
					needed.setHandler(watch(needed.serveHonestly))
					well := time.Now()
					mu.Lock()
					if asked.After(through) {
						well = asked.Add(10 * time.Second) // it is given up on a request that began before
					}
					mu.Unlock()
					must(w.l.AwaitPublished(t.Context(), waits))
					if took := time.Since(well); took > most {
						t.Errorf("ill for %s: published %s after it was well", ill, took)
					}
				}
			})
		})
	}
}

// Who has cosigned a checkpoint that lacks its quorum is not asked for it again: it may
// grant a log no more requests, and the one that lacks is all that there is to wait for.
func TestWhatWasCosignedIsKept(t *testing.T) {
	for name, interval := range map[string]time.Duration{"it grants one request": 0, "it is asked every 14 minutes": 864 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				w.close()
				w.ledger.RecosignInterval = -1
				w.config.MinInterval = map[string]time.Duration{"w1-4": interval}
				w.open()
				defer w.run()()
				add := func() uint64 {
					return must(must(w.l.Append(t.Context(), pebblestore.NewBlob(fmt.Append(nil, "blob ", w.l.Head().Size)))).AwaitCommitted(t.Context())).Index
				}
				must(w.l.AwaitPublished(t.Context(), add()))
				time.Sleep(time.Hour)
				synctest.Wait()
				asked := 0
				w.witnesses[1].setHandler(func(rw http.ResponseWriter, r *http.Request) {
					if asked++; asked > 1 {
						rw.Header().Set("Retry-After", "86400")
						http.Error(rw, "the log has used up its requests", http.StatusTooManyRequests)
						return
					}
					w.witnesses[1].serveHonestly(rw, r)
				})
				w.witnesses[2].setHandler(unavailableHandler)
				w.witnesses[0].setHandler(unavailableHandler)
				waits := add()
				time.Sleep(20 * time.Minute)
				w.witnesses[0].setHandler(nil)
				patience, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := w.l.AwaitPublished(patience, waits); err != nil {
					t.Fatalf("30 s after the one that lacked was well: %v", err)
				}
				if asked != 1 {
					t.Errorf("who had cosigned it was asked %d times", asked)
				}
				if err := w.l.ClockErr(); err != nil {
					t.Errorf("what was cosigned 20 minutes ago speaks against the clock: %v", err)
				}
				if by := w.cosigned(); !by["w0-4"] || !by["w0-6"] || !by["w1-4"] || !by["w1-6"] {
					t.Errorf("cosigned by %v", by)
				}
				// What comes next is asked of all.
				w.witnesses[1].setHandler(nil)
				time.Sleep(time.Hour)
				patience, cancel = context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := w.l.AwaitPublished(patience, add()); err != nil {
					t.Errorf("the next: %v", err)
				}
			})
		})
	}
}
