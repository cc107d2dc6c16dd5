package customers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

// publicLedger stands for the ledger, which wants a record every so many days: whoever publishes
// closes real periods over the server's own paths.
type publicLedger struct {
	w         *world
	mu        sync.Mutex // guards what follows
	every     int
	published []record.Date
	fails     error
	tried     int
}

// is is what the ledger was told so far.
func (p *publicLedger) is() (published []record.Date, tried int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.published), p.tried
}

func (p *publicLedger) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *publicLedger) Owed(context.Context) (o customers.Owed, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.published); n > 0 {
		o.Newest = p.published[n-1]
		o.By = o.Newest.AddDays(p.every)
	}
	return o, nil
}

func (p *publicLedger) ask(method, path, body string) error {
	r := httptest.NewRequest(method, "/v1/customers/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	customers.AsSchedule(p.w.Handler()).ServeHTTP(out, r)
	switch out.Code {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return vault.ErrLocked
	}
	return errors.New(out.Body.String())
}

func (p *publicLedger) Publish(_ context.Context, until record.Date) error {
	var fails error
	p.set(func() { p.tried, fails = p.tried+1, p.fails })
	if err := p.ask("GET", "periods", ""); err != nil || fails != nil {
		return errors.Join(err, fails)
	}
	if until.IsZero() {
		return nil
	}
	if err := p.ask("POST", "periods", fmt.Sprintf(`{"until":%q}`, until)); err != nil {
		return err
	}
	p.set(func() { p.published = append(p.published, until) })
	return nil
}

// publishing is what /healthz, which anybody may ask, and the metrics say.
func (p *publicLedger) publishing(t *testing.T) string {
	t.Helper()
	return want[customers.Health](t, p.w.ask("", "GET", "/healthz", "", ""), http.StatusOK).Publishing
}

// Each period is published on the day by which it is due, the first at once; what is due while the
// vault is locked waits for it, and is made up for by one record; what is late is an alarm.
func TestPublishesWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		west := time.FixedZone("", -3600) // where it is 23:00
		p := &publicLedger{every: 2, w: newWorld(t, customers.Config{Zone: west, Log: slog.New(slog.NewTextHandler(&said, nil))})}
		if got := p.publishing(t); got != "" {
			t.Errorf("without a schedule /healthz says %q", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.w.PublishOnSchedule(ctx, p) })
		look := func(when string, records int, words ...string) {
			t.Helper()
			synctest.Wait()
			if published, _ := p.is(); len(published) != records {
				t.Errorf("%s: %d records are published, want %d", when, len(published), records)
			}
			for _, w := range words {
				if got := p.publishing(t); !strings.Contains(got, w) {
					t.Errorf("%s: /healthz says %q, want %q", when, got, w)
				}
			}
		}
		unlock := func() {
			t.Helper()
			if err := p.w.Unlock(ctx, private.Who{By: "owner"}, p.w.id); err != nil {
				t.Fatal(err)
			}
		}
		look("locked from the start", 0, "the first public record is due", "waits for the vault")
		unlock()
		look("unlocked", 1, "due by")
		yesterday := record.DateOf(time.Now(), west).AddDays(-1)
		if published, _ := p.is(); published[0] != yesterday {
			t.Errorf("it covers the days until %s, want %s", published[0], yesterday)
		}
		time.Sleep(59 * time.Minute)
		look("the day before", 1)
		time.Sleep(2 * time.Minute)
		look("on the day", 2)
		want[struct{}](t, p.w.post("lock", ""), http.StatusOK)
		p.set(func() { p.every = 0 }) // sooner than this can have been kept
		time.Sleep(time.Hour)
		look("locked when it is due", 2, "alarm: late", "waits for the vault")
		if got := said.String(); strings.Count(got, "is published once the vault is unlocked") != 1 || !strings.Contains(got, "level=ERROR msg=\"the newest public record is late\"") {
			t.Errorf("the log says %s", got)
		}
		unlock()
		look("unlocked again", 3, "due by")
		if got := p.publishing(t); strings.Contains(got, "alarm") {
			t.Errorf("/healthz says %q when all is published", got)
		}
		cancel()
		running.Wait()
	})
}

// What failed is tried again, less and less often; that the log does not lead up to the ledger is
// an alarm.
func TestPublishingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publicLedger{every: 2, w: unlocked(t, customers.Config{})}
		p.fails = errors.New("out of reach")
		var pauses []time.Duration
		for range 8 {
			pauses = append(pauses, p.w.PublishDue(t.Context(), p))
		}
		if pauses[0] != time.Minute || pauses[2] != 4*time.Minute || pauses[7] != time.Hour {
			t.Errorf("tried again after %v", pauses)
		}
		if got := p.publishing(t); !strings.Contains(got, "failed 8 times in a row") || strings.Contains(got, "out of reach") {
			t.Errorf("/healthz says %q", got)
		}
		p.fails = fmt.Errorf("%w: a restored backup", private.ErrNotLedUp)
		p.w.PublishDue(t.Context(), p)
		if got := p.publishing(t); !strings.Contains(got, "alarm: the log does not lead up") {
			t.Errorf("/healthz says %q", got)
		}
		p.fails = nil
		if pause := p.w.PublishDue(t.Context(), p); pause != time.Hour || len(p.published) != 1 || strings.Contains(p.publishing(t), "alarm") {
			t.Errorf("mended: next in %v, %d records, /healthz says %q", pause, len(p.published), p.publishing(t))
		}
	})
}

// The schedule keeps no vault open, however often it tries.
func TestScheduleIsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publicLedger{every: 2, w: unlocked(t, customers.Config{LockAfter: 10 * time.Minute}), fails: errors.New("out of reach")}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.w.LockWhenIdle(ctx) })
		running.Go(func() { p.w.PublishOnSchedule(ctx, p) })
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if _, tried := p.is(); tried < 3 || !p.w.Locked() {
			t.Errorf("after 11 minutes and %d tries locked: %v", tried, p.w.Locked())
		}
		cancel()
		running.Wait()
	})
}
