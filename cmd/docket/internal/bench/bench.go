// Package bench measures a ledger on the machine at hand, in one run with what
// the machine itself can do: every row has a limit beside it, since only the
// ratio says anything on a shared machine. It writes into a directory of its own
// and removes it.
package bench

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
)

// Options of a run.
type Options struct {
	Dir      string          // where the disk to be measured is; a directory in it is made and removed
	Entries  int             // entries of the core's run
	Records  int             // records of the runs with the register
	Size     int             // bytes of an entry of the core's run
	Rate     int             // records a second of the open loop
	For      time.Duration   // how long the open loop and the HTTP load last
	Conns    int             // connections of the HTTP load
	Store    stores.URL      // of the store's run, which must be new and is left full; zero: one in this process
	PutDelay time.Duration   // how long each request to that one takes
	Leases   []time.Duration // with each a writer of the store dies once
	Filling  func()          // told before anything is written to Store, or beside it
	Report   func(Row)       // told of each row as it is measured

	Fatal func(reason string) // ends the process when the state of the disk is unknown
}

// Row is one figure beside what bounds it.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is what the machine did in this run without the ledger; 0: none applies.
	Limit     float64 `json:"limit,omitempty"`
	LimitName string  `json:"limitName,omitempty"`
	Aim       string  `json:"aim,omitempty"` // what is aimed at, and what others have published

	// Of a page: Value is the median of the times to the first byte, First that of the first answer.
	First float64 `json:"first,omitempty"`
	P99   float64 `json:"p99,omitempty"`
	CPU   float64 `json:"cpu,omitempty"`   // of one answer, with whoever asked
	Bytes int     `json:"bytes,omitempty"` // as sent
	Rows  int     `json:"rows,omitempty"`  // of the register that an answer read
}

// Names are what can be measured, in order.
var Names = []string{"limits", "core", "records", "latency", "http", "proofs", "audit", "pages", "store"}

// Run measures what is named, all if nothing is.
func Run(ctx context.Context, o Options, names ...string) error {
	for _, n := range names {
		if !slices.Contains(Names, n) {
			return fmt.Errorf("no measurement %q; there are %v", n, Names)
		}
	}
	dir, err := os.MkdirTemp(o.Dir, "docket-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &run{Options: o, dir: dir}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"limits", r.limits}, {"core", r.core}, {"records", r.records}, {"latency", r.latency},
		{"http", r.http}, {"proofs", r.proofs}, {"audit", r.audit}, {"pages", r.pages}, {"store", r.store},
	} {
		// The limits are measured always: the rest is read beside them.
		if part.name != "limits" && len(names) > 0 && !slices.Contains(names, part.name) {
			continue
		}
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
	}
	return nil
}

// run is one run of measurements and what the earlier ones found.
type run struct {
	Options
	dir           string
	recordsLedger *benchLedger // the ledger that the records went into
}

func (r *run) row(name string, value float64, unit string) {
	r.Report(Row{Name: name, Value: value, Unit: unit})
}

func (r *run) rowWithLimit(name string, value float64, unit string, limit float64, limitName string) {
	r.Report(Row{Name: name, Value: value, Unit: unit, Limit: limit, LimitName: limitName})
}

// quantile of sorted durations, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
}

func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }

// limits measures what the machine can do: syncs of its disk, signatures of its cores.
func (r *run) limits(context.Context) error {
	took, err := r.fsyncTimes()
	if err != nil {
		return err
	}
	slices.Sort(took)
	r.row("fsync of 4 KiB, p50", quantile(took, 0.5), "ms")
	r.row("fsync of 4 KiB, p99", quantile(took, 0.99), "ms")

	rate, err := verifications()
	r.row("Ed25519 verifications, all cores", rate, "/s")
	return err
}

// fsyncTimes is how long each of a thousand appends of 4 KiB took to be on the disk.
func (r *run) fsyncTimes() ([]time.Duration, error) {
	f, err := os.Create(filepath.Join(r.dir, "sync"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	block, took := make([]byte, 4096), make([]time.Duration, 1000)
	for i := range took {
		begun := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took[i] = time.Since(begun)
	}
	return took, nil
}

// verifications is how many Ed25519 signatures all cores verify in a second.
func verifications() (perSecond float64, err error) {
	verify, err := newVerification()
	if err != nil {
		return 0, err
	}
	return onAllCores(time.Second, verify), nil
}

// newVerification returns what verifies one signature of 800 bytes.
func newVerification() (verify func(), err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	message := make([]byte, 800)
	sig := ed25519.Sign(private, message)
	return func() { ed25519.Verify(public, message, sig) }, nil
}

// rowBesideVerifications measures f between two measurements of what the cores can
// verify: the machine's speed may have changed since the run began.
func (r *run) rowBesideVerifications(name, unit string, f func() (perSecond float64, err error)) error {
	before, err := verifications()
	if err != nil {
		return err
	}
	figure, err := f()
	if err != nil {
		return err
	}
	after, err := verifications()
	if err != nil {
		return err
	}
	r.rowWithLimit(name, figure, unit, (before+after)/2, "Ed25519 verifications")
	return nil
}

// onAllCores repeats f on every core and counts.
func onAllCores(duration time.Duration, f func()) (perSecond float64) {
	var n atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for time.Since(begun) < duration {
				f()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(begun).Seconds()
}

// untilDone calls f on every core until it has nothing more to do.
func untilDone(f func() bool) {
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for f() {
			}
		})
	}
	wg.Wait()
}
