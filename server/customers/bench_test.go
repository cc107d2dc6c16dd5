package customers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/server/customers"
)

// BenchmarkEvents is log-ins by batches of 1,000 from two callers over HTTP, each on a
// connection of its own, durable on the machine's own disk. The callers' processor time counts too.
func BenchmarkEvents(b *testing.B) {
	const accounts, batch = 2_000, 1_000
	w := newWorldIn(b, customers.Config{}, vfs.Default, b.TempDir(), pebblestore.Options{})
	if err := w.Unlock(b.Context(), private.Who{By: "owner"}, w.id); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(customers.AsOwner(w.Handler()))
	defer server.Close()
	now := time.Now().UTC().Truncate(time.Second)
	post := func(client *http.Client, from, until int, line func(to *strings.Builder, i int)) {
		var body strings.Builder
		for i := from; i < until; i++ {
			line(&body, i)
		}
		r, err := client.Post(server.URL+"/v1/customers/events", "application/jsonl", strings.NewReader(body.String()))
		if err != nil {
			b.Error(err)
			return
		}
		defer r.Body.Close()
		if answer, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
			b.Errorf("%s %.400s: %v", r.Status, answer, err)
		}
	}
	for from := 0; from < accounts; from += batch {
		post(server.Client(), from, from+batch, func(to *strings.Builder, i int) {
			fmt.Fprintf(to, `{"account":"acct-%07d","id":"opened","kind":"opened","time":"%s","content":{"type":"person","name":"Customer %d of the Bench","country":"XB"}}`+"\n",
				i, now.Add(-2*time.Hour).Format(time.RFC3339), i)
		})
	}
	before := cpuTime(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 2 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				from := int(next.Add(batch)) - batch
				if from >= b.N || b.Failed() {
					return
				}
				post(client, from, min(b.N, from+batch), func(to *strings.Builder, i int) {
					fmt.Fprintf(to, `{"account":"acct-%07d","id":"login-%d","kind":"access","time":"%s","content":{"ip":"10.%d.%d.%d","action":"login"}}`+"\n",
						(i*7919)%accounts, i, now.Add(time.Duration(i%60-60)*time.Minute).Format(time.RFC3339), i%accounts>>8, i%accounts&0xff, i%3)
				})
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/event")
}

// cpuTime is what the process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
