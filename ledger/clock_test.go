package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// Before the first commit after the start, and after the clock was moved, the
// witnesses have to confirm it. One of them may say what it likes.
func TestClockIsConfirmed(t *testing.T) {
	for _, c := range []struct {
		name string
		off  []time.Duration // of the witnesses' clocks
		deaf []bool
		want string // "": it commits
	}{
		{"all agree", []time.Duration{0, 0, 0}, nil, ""},
		{"they differ a little", []time.Duration{4 * time.Minute, -4 * time.Minute, 0}, nil, ""},
		{"one is ahead", []time.Duration{time.Hour, 0, 0}, nil, ""},
		{"one is behind", []time.Duration{0, -time.Hour, 0}, nil, ""},
		{"all are ahead", []time.Duration{6 * time.Minute, 6 * time.Minute, 6 * time.Minute}, nil, "it is 6m0s behind the witnesses'"},
		{"all are behind", []time.Duration{-6 * time.Minute, -6 * time.Minute, -6 * time.Minute}, nil, "it is 6m0s ahead of the witnesses'"},
		{"two are ahead", []time.Duration{time.Hour, time.Hour, 0}, nil, "behind"},
		{"nobody answers", []time.Duration{0, 0, 0}, []bool{true, true, false}, "it was moved or off, and the witnesses have not confirmed it since: "},
	} {
		for _, moved := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w, p := newPanel(t)
				n := w.mustOpen(t)
				n.add(t, numbered(0, 3)...)
				n = w.reopen(t, n)
				defer func() { n.close() }()
				if moved {
					if err := n.CheckClock(t.Context()); err != nil {
						t.Fatal(err)
					}
					n.MoveClock(-2 * time.Minute)
					if err := n.ClockErr(); !errors.Is(err, ledger.ErrClock) || !strings.Contains(err.Error(), "moved by -2m0s") {
						t.Errorf("the clock was moved: %v", err)
					}
				}
				p.mu.Lock()
				copy(p.off, c.off)
				copy(p.deaf, c.deaf)
				p.mu.Unlock()
				stop := n.running(t)
				defer stop()

				ticket := n.appendAll(t, numbered(3, 4)...)[0]
				_, err := ticket.Committed(t.Context())
				if c.want == "" || c.deaf != nil && !moved { // nothing speaks against a clock that nobody confirms
					if err != nil {
						t.Errorf("%s (moved: %v): %v", c.name, moved, err)
					}
					return
				}
				if !errors.Is(err, ledger.ErrClock) || !strings.Contains(err.Error(), c.want) || n.Head().Size != 3 {
					t.Errorf("%s (moved: %v): %v, want ErrClock with %q; size %d", c.name, moved, err, c.want, n.Head().Size)
				}
				p.mu.Lock()
				clear(p.off)
				clear(p.deaf)
				p.mu.Unlock()
				time.Sleep(time.Minute)
				if _, err := n.appendAll(t, numbered(3, 4)...)[0].Committed(t.Context()); err != nil {
					t.Errorf("%s (moved: %v): it does not recover: %v", c.name, moved, err)
				}
			})
		}
	}
}

// A clock that drifts away while the ledger runs is noticed by what is published;
// that is published all the same, and nothing more is admitted.
func TestClockDrifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newPanel(t)
		n := w.mustOpen(t)
		defer n.close()
		n.add(t, numbered(0, 3)...)
		p.off = []time.Duration{-7 * time.Minute, -7 * time.Minute, -7 * time.Minute}
		n.add(t, numbered(3, 4)...)
		ticket := n.appendAll(t, numbered(4, 5)...)[0]
		if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrClock) {
			t.Errorf("committing: %v", err)
		}
		if _, err := ticket.Committed(t.Context()); !errors.Is(err, ledger.ErrClock) || n.Head().Size != 4 {
			t.Errorf("the waiter got %v; size %d", err, n.Head().Size)
		}
		p.off = make([]time.Duration, 3)
		if err := n.CheckClock(t.Context()); err != nil {
			t.Error(err)
		}
		n.add(t, numbered(4, 5)...)
	})
}

// Submissions that come while a clock that was moved is not confirmed do not each
// make the witnesses be asked.
func TestClockIsNotAskedForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newPanel(t)
		n := w.mustOpen(t)
		n.add(t, numbered(0, 3)...)
		defer n.close()
		n.MoveClock(time.Hour)
		p.deaf = []bool{true, true, true}
		defer n.running(t)()
		p.mu.Lock()
		p.asks = nil
		p.mu.Unlock()
		for range 1000 {
			ticket := n.appendAll(t, numbered(3, 4)...)[0]
			if _, err := ticket.Committed(t.Context()); !errors.Is(err, ledger.ErrClock) {
				t.Fatalf("committed by a clock that nobody confirmed: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.asks) > 25 {
			t.Errorf("the witnesses were asked %d times in 10 s", len(p.asks))
		}
	})
}
