package asking_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// Whatever a witness answers without which there is no quorum, and however seldom the log
// publishes, it is asked again within half a minute: publication never waits longer for a
// witness that is well.
func TestNeededWitnessIsAskedWithinHalfAMinute(t *testing.T) {
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
		"silence":                    {ill: dead},
		"500, and seldom publishing": {ill: says(500, ""), interval: time.Hour},
		"429, and seldom publishing": {ill: says(429, "600"), interval: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, 0)
				w.close()
				w.ledger.Interval, w.ledger.Heartbeat = c.interval, -1
				w.open()
				defer w.run()()
				index := uint64(0)
				add := func() uint64 {
					index++
					return must(must(w.l.Append(t.Context(), pebblestore.NewBlob(fmt.Append(nil, "blob ", index)))).Committed(t.Context())).Index
				}
				must(w.l.AwaitPublished(t.Context(), add()))
				w.witnesses[1].behave(down)
				for ill := time.Second; ill < 3*time.Minute; ill += 39 * time.Second {
					time.Sleep(c.interval + time.Minute)
					needed := w.witnesses[0]
					var asked, through time.Time // its last request
					watch := func(h http.HandlerFunc) http.HandlerFunc {
						return func(rw http.ResponseWriter, r *http.Request) {
							asked = time.Now()
							if gap := time.Since(through); !through.IsZero() && gap > most {
								t.Errorf("ill for %s: asked again after %s", ill, gap)
							}
							h(rw, r)
							through = time.Now()
						}
					}
					needed.behave(watch(c.ill))
					waits := add()
					time.Sleep(ill)
					synctest.Wait()
					needed.behave(watch(needed.honest))
					well := time.Now()
					if asked.After(through) {
						well = asked.Add(10 * time.Second) // it is given up on a request that began before
					}
					must(w.l.AwaitPublished(t.Context(), waits))
					if took := time.Since(well); took > most {
						t.Errorf("ill for %s: published %s after it was well", ill, took)
					}
				}
			})
		})
	}
}
