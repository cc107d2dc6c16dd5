package customers_test

import (
	"flag"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// benchLog is a log on the machine's own disk, with accounts that are open.
func benchLog(b *testing.B, accounts int) (n *node, dir string) {
	b.Helper()
	w := newWorld(b)
	mem := w.fs
	w.fs, dir = vfs.Default, b.TempDir()
	w.storeOptions = pebblestore.Options{} // as docket customers serve has it
	raw, err := mem.Open("vault.age")
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	if w.under, err = dir, copyOut(raw, filepath.Join(dir, "vault.age")); err != nil {
		b.Fatal(err)
	}
	n = w.mustOpen(b)
	b.Cleanup(func() { n.close() })
	for at := 0; at < accounts; at += 1000 {
		var some []event.Input
		for i := at; i < min(accounts, at+1000); i++ {
			some = append(some, opened(fmt.Sprintf("acct-%07d", i), fmt.Sprintf("Customer %d of the Bench", i)))
		}
		n.add(b, some...)
	}
	return n, dir
}

func benchAccess(i, accounts int) event.Input {
	account := fmt.Sprintf("acct-%07d", (i*7919)%accounts)
	in := access(account, i%60, "192.0.2.7")
	in.ID = fmt.Sprintf("login-%d", i)
	in.Content = &event.Access{IP: netip.AddrFrom4([4]byte{byte(10 + i%accounts>>16), byte(i % accounts >> 8), byte(i % accounts), byte(i % 3)}), Action: "login"}
	return in
}

// BenchmarkAccess is log-ins by batches of 1,000 from two callers, twenty of each customer as long
// as there are so many: events a second, bytes of all files an event, and then how long a search
// takes by address, by account and by name, and a customer's newest 50 events. A large log is
// -bench.accounts 1000000 -benchtime 20000000x.
func BenchmarkAccess(b *testing.B) {
	accounts := min(*benchAccounts, max(2_000, b.N/20))
	n, dir := benchLog(b, accounts)
	before, cpu := bytesIn(b, dir), cpuTime(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 2 {
		wg.Go(func() {
			for {
				from := int(next.Add(1000)) - 1000
				if from >= b.N {
					return
				}
				var some []event.Input
				for i := from; i < min(b.N, from+1000); i++ {
					some = append(some, benchAccess(i, accounts))
				}
				n.add(b, some...)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/event")
	const searches = 200
	var finding, reading time.Duration
	for i := range searches {
		at := time.Now()
		query := []string{fmt.Sprintf("10.%d.%d.1", i>>8, i), fmt.Sprintf("account:acct-%07d", i), fmt.Sprintf("customer %d of the bench", i)}[i%3]
		found, _, err := n.Find(b.Context(), reader, query, 20)
		if err != nil {
			b.Fatal(err)
		}
		finding += time.Since(at)
		if len(found) > 0 {
			at = time.Now()
			if _, _, err := n.Events(b.Context(), reader, found[0].Handle, math.MaxUint64, 50); err != nil {
				b.Fatal(err)
			}
			reading += time.Since(at)
		}
	}
	b.ReportMetric(float64(finding.Microseconds())/1000/searches, "ms/find")
	b.ReportMetric(float64(reading.Microseconds())/1000/searches, "ms/chain")
	if err := n.close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(bytesIn(b, dir)-before)/float64(b.N), "B/event")
}

// BenchmarkSingle is log-ins one by one, each waited for, from 64 callers.
func BenchmarkSingle(b *testing.B) {
	const accounts = 1000
	n, _ := benchLog(b, accounts)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				n.add(b, benchAccess(i, accounts))
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

var benchAccounts = flag.Int("bench.accounts", 100_000, "how many customers BenchmarkFind has, and BenchmarkAccess at most")

// BenchmarkFind searches among many customers, each search logged, and says how long opening their
// accounts, closing a period and auditing the log take with them.
func BenchmarkFind(b *testing.B) {
	accounts := *benchAccounts
	at, cpu := time.Now(), cpuTime(b)
	n, _ := benchLog(b, accounts)
	b.Logf("%d accounts opened in %v, %v of processors each", accounts, time.Since(at).Round(time.Second), (cpuTime(b)-cpu)/time.Duration(accounts))
	at = time.Now()
	if _, err := n.ClosePeriod(b.Context(), day(-1)); err != nil {
		b.Fatal(err)
	}
	closing := time.Since(at)
	at = time.Now()
	if _, err := n.Audit(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	audit := time.Since(at)
	b.ResetTimer()
	for i := range b.N {
		query := []string{"customer 7701 bench", "acct-0004711@mail.example", "account:acct-0012345", "costumer 5005"}[i%4]
		if _, _, err := n.Find(b.Context(), reader, query, 20); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(closing.Milliseconds()), "ms/close")
	b.ReportMetric(float64(audit.Milliseconds()), "ms/audit")
}

func bytesIn(b *testing.B, dir string) (sum int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, infoErr := d.Info(); infoErr == nil {
				sum += info.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

// cpuTime is what the process has used of all processors: what says more than the clock where
// others use them too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
