package standby_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// promise is within how long after a writer's death the standby writes.
const promise = 15 * time.Second

// A writer dies in each of the ways in which one can, or is only cut off from the witnesses.
func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*machine)
		over bool // the standby takes over
	}{
		"kill -9":                                  {func(m *machine) { m.kill() }, true},
		"SIGSTOP":                                  {func(m *machine) { m.freeze() }, true},
		"cut off from the store":                   {func(m *machine) { m.set(none, both) }, true},
		"cut off from all":                         {func(m *machine) { m.set(none, none) }, true},
		"no answers from the store":                {func(m *machine) { m.set(out, both) }, true},
		"no answers from anybody":                  {func(m *machine) { m.set(out, out) }, true},
		"cut off from the witnesses":               {func(m *machine) { m.set(both, none) }, false},
		"no answers from the witnesses":            {func(m *machine) { m.set(both, out) }, false},
		"no answers from the store, none to other": {func(m *machine) { m.set(out, none) }, true},
	} {
		for _, heals := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", for two minutes", false: ", for ever"}[heals], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					a := w.start("a")
					w.wantWriter(a, promise)
					b := w.start("b")
					w.submitAll(0, 20)
					time.Sleep(time.Minute)
					if b.writes() != nil {
						t.Fatal("the standby took over from a writer that lives")
					}
					submitted := make(chan struct{})
					w.running.Go(func() { defer close(submitted); w.submitAll(20, 60) })
					time.Sleep(7 * time.Millisecond)
					c.harm(a)
					if !c.over {
						time.Sleep(5 * time.Minute)
						if over, err := a.hasEnded(); b.writes() != nil || over {
							t.Fatalf("the standby took over, for nothing; ended %v, %v", over, err)
						}
						a.heal()
						<-submitted
						w.wantOneHistory(a)
						return
					}
					w.wantWriter(b, promise)
					<-submitted
					time.Sleep(2 * time.Minute)
					if heals {
						a.heal()
						switch over, err := a.hasEnded(); {
						case !over:
							w.wantTakenOver(a, lease)
						case !errors.Is(err, ledger.ErrTakenOver) && !errors.Is(err, ledger.ErrUnknown):
							t.Errorf("it ended with %v", err)
						}
					}
					w.submitAll(60, 70)
					w.wantOneHistory(b)
					if over, err := b.hasEnded(); over {
						t.Errorf("the new writer ended: %v", err)
					}
				})
			})
		}
	}
}
