package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// wantClockError wants an error of the clock's, with the words of the golden file.
func wantClockError(t *testing.T, err error) {
	t.Helper()
	off := (*ledger.ClockError)(nil)
	if !errors.Is(err, ledger.ErrClock) || !errors.As(err, &off) {
		t.Errorf("got %v, want %v", err, ledger.ErrClock)
		return
	}
	refusaltest.Words(t, off.Error()) // who found out first is the scheduler's choice
}

// Before the first commit after the start, and after the clock was moved, the
// witnesses have to confirm it. One of them may say what it likes.
func TestWitnessesConfirmClock(t *testing.T) {
	for _, c := range []struct {
		name string
		off  []time.Duration // of the witnesses' clocks
		deaf []bool
		ok   bool // it commits
	}{
		{"all agree", []time.Duration{0, 0, 0}, nil, true},
		{"they differ a little", []time.Duration{4 * time.Minute, -4 * time.Minute, 0}, nil, true},
		{"one is ahead", []time.Duration{time.Hour, 0, 0}, nil, true},
		{"one is behind", []time.Duration{0, -time.Hour, 0}, nil, true},
		{"all are ahead", []time.Duration{6 * time.Minute, 6 * time.Minute, 6 * time.Minute}, nil, false},
		{"all are behind", []time.Duration{-6 * time.Minute, -6 * time.Minute, -6 * time.Minute}, nil, false},
		{"two are ahead", []time.Duration{time.Hour, time.Hour, 0}, nil, false},
		{"one is behind, and one does not answer", []time.Duration{0, -time.Hour, 0}, []bool{true, false, false}, false},
		{"nobody answers", []time.Duration{0, 0, 0}, []bool{true, true, false}, false},
	} {
		for _, moved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moved %t", c.name, moved), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, p := newWitnessedEnv(t)
					n := w.mustOpen(t)
					n.addAll(t, numberedBlobs(0, 3)...)
					n = w.reopen(t, n)
					defer func() { n.close() }()
					if moved {
						if err := n.CheckClock(t.Context()); err != nil {
							t.Fatal(err)
						}
						n.MoveClock(-2 * time.Minute)
						wantClockError(t, n.ClockErr())
					}
					p.mu.Lock()
					copy(p.clockOffset, c.off)
					copy(p.unresponsive, c.deaf)
					p.mu.Unlock()
					stop := n.startRun(t)
					defer stop()

					ticket := n.appendAll(t, numberedBlobs(3, 4)...)[0]
					_, err := ticket.AwaitCommitted(t.Context())
					if c.ok || c.name == "nobody answers" && !moved { // nothing speaks against a clock that nobody confirms
						if err != nil {
							t.Errorf("%s (moved: %v): %v", c.name, moved, err)
						}
						return
					}
					wantClockError(t, err)
					if size := n.Head().Size; size != 3 {
						t.Errorf("%s (moved: %v): size %d", c.name, moved, size)
					}
					p.mu.Lock()
					clear(p.clockOffset)
					clear(p.unresponsive)
					p.mu.Unlock()
					time.Sleep(time.Minute)
					if _, err := n.appendAll(t, numberedBlobs(3, 4)...)[0].AwaitCommitted(t.Context()); err != nil {
						t.Errorf("%s (moved: %v): it does not recover: %v", c.name, moved, err)
					}
				})
			})
		}
	}
}

// A clock that drifts away while the ledger runs is noticed by what is published;
// that is published all the same, and nothing more is admitted.
func TestClockDrifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		defer n.close()
		n.addAll(t, numberedBlobs(0, 3)...)
		p.clockOffset = []time.Duration{-7 * time.Minute, -7 * time.Minute, -7 * time.Minute}
		n.addAll(t, numberedBlobs(3, 4)...)
		ticket := n.appendAll(t, numberedBlobs(4, 5)...)[0]
		if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrClock) {
			t.Errorf("committing: %v", err)
		}
		if _, err := ticket.AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrClock) || n.Head().Size != 4 {
			t.Errorf("the waiter got %v; size %d", err, n.Head().Size)
		}
		p.clockOffset = make([]time.Duration, 3)
		if err := n.CheckClock(t.Context()); err != nil {
			t.Error(err)
		}
		n.addAll(t, numberedBlobs(4, 5)...)
	})
}

// A clock that was set back admits at the newest entry's time until it has caught up, and
// says so once a minute; farther back than verifiers grant, it admits nothing.
func TestClockBehindTheNewestEntry(t *testing.T) {
	for _, c := range []struct {
		name      string
		witnessed bool
		back      time.Duration
		admits    bool
	}{
		{"some seconds", true, 20 * time.Second, true},
		{"what verifiers grant", true, 5 * time.Minute, true},
		{"more than that", true, 5*time.Minute + time.Second, false},
		{"nobody to contradict", false, 5 * time.Minute, true},
		{"an hour, and nobody to contradict", false, time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w *testEnv
			var newest time.Time
			synctest.Test(t, func(t *testing.T) { // each bubble begins at the same time
				if w = newTestEnv(t); c.witnessed {
					w, _ = newWitnessedEnv(t)
				}
				n := w.mustOpen(t)
				time.Sleep(c.back)
				n.addAll(t, numberedBlobs(0, 3)...)
				newest = n.admittedAt(t, 2)
				if err := n.close(); err != nil {
					t.Fatal(err)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				w.config.Log = slog.New(slog.NewTextHandler(&said, nil))
				n := w.mustOpen(t)
				defer func() { n.close() }()
				if err := n.CheckClock(t.Context()); err != nil {
					t.Fatal(err)
				}
				ticket := n.appendAll(t, numberedBlobs(3, 4)...)[0]
				err := n.Commit(t.Context())
				if ready := n.ClockErr(); (ready == nil) != c.admits {
					t.Errorf("the clock is said to be: %v", ready)
				}
				if !c.admits {
					off := (*ledger.ClockError)(nil)
					want := newest.Add(-5 * time.Minute)
					if !errors.As(err, &off) || !off.Until.Equal(want) || !strings.Contains(err.Error(), want.Format(time.RFC3339)) {
						t.Fatalf("committing: %v, want until %v", err, want)
					}
					time.Sleep(time.Until(off.Until) - time.Millisecond)
					n.appendAll(t, numberedBlobs(3, 4)...)
					if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrClock) {
						t.Errorf("committing before %v: %v", off.Until, err)
					}
					time.Sleep(time.Millisecond)
					ticket = n.appendAll(t, numberedBlobs(3, 4)...)[0]
					err = n.Commit(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, err := ticket.AwaitCommitted(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := n.Publish(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := n.admittedAt(t, 3); !got.Equal(newest) {
					t.Errorf("admitted %v, the newest before it %v", got, newest)
				}
				for i := range 10 {
					time.Sleep(time.Second)
					n.addAll(t, numberedBlobs(4+i, 5+i)...)
				}
				if lines := strings.Count(said.String(), "behind the newest entry"); lines != 1 {
					t.Errorf("said %d times in 10 s:\n%s", lines, &said)
				}
				w.checkPublished(t, n)
			})
		})
	}
}

// admittedAt is when an entry was.
func (n *testLedger) admittedAt(t testing.TB, index uint64) time.Time {
	t.Helper()
	entry, err := n.Entry(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	return must(n.index.AdmittedAt(entry))
}

// Submissions that come while a clock that was moved is not confirmed do not each
// make the witnesses be asked.
func TestClockCheckIsRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		var said bytes.Buffer
		w.config.Log = slog.New(slog.NewTextHandler(&said, nil))
		n := w.mustOpen(t)
		n.addAll(t, numberedBlobs(0, 3)...)
		defer n.close()
		n.MoveClock(time.Hour)
		said.Reset()
		p.unresponsive = []bool{true, true, true}
		defer n.startRun(t)()
		p.mu.Lock()
		p.requests = nil
		p.mu.Unlock()
		for range 1000 {
			ticket := n.appendAll(t, numberedBlobs(3, 4)...)[0]
			if _, err := ticket.AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrClock) {
				t.Fatalf("committed by a clock that nobody confirmed: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.requests) > 25 {
			t.Errorf("the witnesses were asked %d times in 10 s", len(p.requests))
		}
		synctest.Wait()
		if lines := strings.Count(said.String(), "\n"); lines != 1 {
			t.Errorf("said %d times in 10 s:\n%s", lines, &said)
		}
	})
}

// A clock that is mended is noticed though nobody submits anything: a ledger that is not
// ready is sent nothing.
func TestMendedClockIsNoticedWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		defer n.close()
		n.addAll(t, numberedBlobs(0, 3)...)
		p.clockOffset = []time.Duration{-7 * time.Minute, -7 * time.Minute, -7 * time.Minute}
		n.addAll(t, numberedBlobs(3, 4)...)
		defer n.startRun(t)()
		time.Sleep(time.Hour + time.Second)
		if err := n.ClockErr(); !errors.Is(err, ledger.ErrClock) {
			t.Fatalf("7 minutes ahead of all witnesses: %v", err)
		}
		p.mu.Lock()
		clear(p.clockOffset)
		p.mu.Unlock()
		time.Sleep(30 * time.Second)
		if err := n.ClockErr(); err != nil {
			t.Errorf("30 s after it was mended: %v", err)
		}
	})
}

// Entries were committed by a clock that was ahead while no witness answered who could
// have told. Once the clock is right, nothing that holds them is signed before their
// time: no verifier would take it, and what no witness has seen can still be begun anew.
func TestEntriesAdmittedByClockAhead(t *testing.T) {
	w, p := newWitnessedEnv(t)
	marked := false
	w.config.MarkKeys = func() error { marked = true; return nil }
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2 * time.Hour)
		p.unresponsive = []bool{true, true, true}
		n := w.mustOpen(t)
		n.appendAll(t, numberedBlobs(0, 3)...)
		if err := n.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Fatal(err)
		}
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
		p.requests, p.unresponsive = nil, make([]bool, 3)
	})
	synctest.Test(t, func(t *testing.T) { // which begins where the other did: two hours before
		n := w.mustOpen(t)
		defer n.close()
		if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrClock) || marked {
			t.Errorf("publishing what is admitted in two hours: %v; marked: %t", err, marked)
		}
		if got := p.requestedSizes(); slices.ContainsFunc(got, func(size uint64) bool { return size > 0 }) {
			t.Errorf("asked about %v", got)
		}
		time.Sleep(2*time.Hour - 4*time.Minute)
		if err := n.Publish(t.Context()); err != nil || n.Published() == nil {
			t.Errorf("when it was about time: %v", err)
		}
	})
}
