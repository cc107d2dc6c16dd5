package bench

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

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
