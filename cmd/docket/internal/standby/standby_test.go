package standby_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// promise is within how long after a writer's death the standby writes.
const promise = 15 * time.Second

// A writer dies in each of the ways in which one can, or is only cut off from the witnesses.
func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*machine)
		over bool // the standby takes over
	}{
		"kill -9":                                 {func(m *machine) { m.kill() }, true},
		"SIGSTOP":                                 {func(m *machine) { m.freeze() }, true},
		"cut off from the store":                  {func(m *machine) { m.set(none, both) }, true},
		"no answers from the store":               {func(m *machine) { m.set(out, both) }, true},
		"no answers from anybody":                 {func(m *machine) { m.set(out, out) }, true},
		"no answers from the store, no witnesses": {func(m *machine) { m.set(out, none) }, true},
		"cut off from the witnesses":              {func(m *machine) { m.set(both, none) }, false},
		"no answers from the witnesses":           {func(m *machine) { m.set(both, out) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.start("a")
				w.wantWriter(a, promise)
				b := w.start("b")
				w.submitAll(0, 20)
				time.Sleep(3 * lease)
				if b.writes() != nil {
					t.Fatal("the standby took over from a writer that lives")
				}
				submitted := make(chan struct{})
				w.running.Go(func() { defer close(submitted); w.submitAll(20, 50) })
				time.Sleep(7 * time.Millisecond)
				c.harm(a)
				if !c.over {
					time.Sleep(2 * time.Minute)
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
				time.Sleep(2 * lease)
				a.heal()
				w.wantTakenOver(a, promise) // its requests of before the harm are still on their way
				w.submitAll(50, 60)
				w.wantOneHistory(b)
				if over, err := b.hasEnded(); over {
					t.Errorf("the new writer ended: %v", err)
				}
			})
		})
	}
}

// Who stands by shows what the writer publishes a second later, to whoever reads there.
func TestStandbyShowsWhatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.pair()
		for i := range 20 {
			w.submitAll(10+i, 11+i)
			time.Sleep(1100 * time.Millisecond)
			if got, want := b.shows(), a.writes().PublishedSize(); got != want {
				t.Errorf("it shows %d entries, and %d are published", got, want)
			}
		}
	})
}

// A writer that was stopped and wakes up, idle or with records in its hands, ends; what it says
// before is true, and what it took and did not commit is committed once, elsewhere.
func TestZombie(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.start("a")
				w.wantWriter(a, promise)
				b := w.start("b")
				w.submitAll(0, 5)
				a.freeze()
				refused := make(chan error, 1)
				blob := pebblestore.NewBlob([]byte("in the zombie's hands"))
				if busy {
					w.running.Go(func() { refused <- a.submit(blob) })
				}
				w.wantWriter(b, promise)
				w.submitAll(5, 10)
				a.thaw()
				if busy {
					if err := <-refused; err == nil {
						t.Error("its submitter has a receipt")
					}
				}
				w.wantTakenOver(a, lease)
				if over := (*standby.OverError)(nil); !errors.As(a.err, &over) || over.URL != "http://b.example" || over.Epoch != 2 {
					t.Errorf("it says %v", a.err)
				}
				receipt, err := a.writes().Receipt(t.Context(), 3)
				check(t, err)
				w.acked = append(w.acked, acked{pebblestore.NewBlob([]byte("record 3")), receipt})
				w.submitAnywhere(blob)
				w.wantOneHistory(b)
			})
		})
	}
}

// Of several standbys one takes the store; the others go on waiting, and take its place when it
// is gone, also in the midst of its own taking.
func TestSeveralStandbys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.start("a")
		w.wantWriter(a, promise)
		w.submitAll(0, 5)
		others := []*machine{w.start("b"), w.start("c"), w.start("d")}
		time.Sleep(lease)
		var takings atomic.Int32
		for _, m := range others {
			m.onEachPut(func(object string) {
				if object == "head" && takings.Add(1) == 2 {
					m.kill() // it has taken the store, and nobody hears of it
				}
			})
		}
		for _, epoch := range []uint64{2, 4} {
			for _, m := range w.machines {
				if m.writes() != nil {
					m.kill()
				}
			}
			time.Sleep(2 * promise)
			if got := w.epoch(); got != epoch {
				t.Fatalf("epoch %d, want %d", got, epoch)
			}
		}
		var writer *machine
		for _, m := range others {
			if over, err := m.hasEnded(); m.writes() != nil && !over && m.reachesStore() {
				writer = m
			} else if over && !errors.Is(err, ledger.ErrUnknown) {
				t.Errorf("%s ended with %v", m.name, err)
			}
		}
		if writer == nil {
			t.Fatal("nobody writes")
		}
		w.submitAll(5, 10)
		w.wantOneHistory(writer)
	})
}

// Who could not publish takes nothing, says so, and takes it when it can.
func TestStandbyWithoutWitnesses(t *testing.T) {
	for name, harm := range map[string]func(*machine){
		"cut off from the witnesses":    func(m *machine) { m.set(both, none) },
		"no answers from the witnesses": func(m *machine) { m.set(both, out) },
		"cut off from the store":        func(m *machine) { m.set(none, both) },
		"no answers from the store":     func(m *machine) { m.set(out, both) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a, b := w.pair()
				if st := b.by.Status(); st.Cannot != nil || st.Lapsed || st.Writer != "http://a.example" || st.Epoch != 1 || st.Age > lease/2 {
					t.Errorf("it stands by: %+v", st)
				}
				harm(b)
				time.Sleep(lease)
				a.kill()
				time.Sleep(time.Minute)
				if st := b.by.Status(); b.writes() != nil || st.Cannot == nil || w.epoch() != 1 {
					t.Fatalf("it took over: %+v", st)
				}
				b.heal()
				w.wantWriter(b, promise+lease)
				w.submitAll(5, 10)
				w.wantOneHistory(b)
			})
		})
	}
}

// A writer that ends by itself is not waited for.
func TestWriterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.pair()
		a.stop()
		<-a.ended
		check(t, a.err)
		w.wantWriter(b, lease/5)
		w.submitAll(5, 10)
		w.wantOneHistory(b)
	})
}

// A store that moved is taken by nobody: who stands by for it ends, and says where it is.
func TestSealedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.pair()
		a.stop()
		<-a.ended
		mover := w.handle(&link{})
		check(t, mover.Take(t.Context()))
		check(t, mover.Seal(t.Context(), "moved to s3://elsewhere"))
		<-b.ended
		if sealed := (*ledger.SealedError)(nil); !errors.As(b.err, &sealed) || sealed.Why != "moved to s3://elsewhere" {
			t.Errorf("it ended with %v", b.err)
		}
	})
}

// The lease is anybody's who can write to the store. Whatever lies there, a writer that lives
// is not hurt for good, one that is dead has a successor, and no record is lost.
func TestHostileLeases(t *testing.T) {
	of := func(l standby.Lease) func(int, []byte) []byte {
		return func(i int, _ []byte) []byte { l.Nonce = fmt.Sprint(i); return l.Bytes() }
	}
	for name, forge := range map[string]func(i int, first []byte) []byte{
		"garbage":                   func(i int, _ []byte) []byte { return fmt.Appendf(nil, "garbage %d", i) },
		"nothing":                   func(int, []byte) []byte { return nil },
		"huge":                      func(i int, _ []byte) []byte { return append(bytes.Repeat([]byte(" "), 1<<20), byte(i)) },
		"the first, restored":       func(_ int, first []byte) []byte { return first },
		"of an earlier epoch":       of(standby.Lease{Epoch: 0, URL: "http://x.example", Length: lease}),
		"of a later epoch":          of(standby.Lease{Epoch: 9, URL: "http://x.example", Length: lease}),
		"for ever":                  of(standby.Lease{Epoch: 1, URL: "http://x.example", Length: 24 * time.Hour}),
		"with a password":           of(standby.Lease{Epoch: 1, URL: "http://u:p@x.example", Length: lease}),
		"of something else":         of(standby.Lease{Epoch: 1, URL: "javascript:alert(1)", Length: lease}),
		"of a writer that has gone": of(standby.Lease{Epoch: 1, Length: lease, Ended: true}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.start("a")
				w.wantWriter(a, promise)
				w.submitAll(0, 5)
				forger := w.handle(&link{})
				first, err := forger.Blob(t.Context(), "lease")
				check(t, err)
				b := w.start("b")
				time.Sleep(lease)
				a.kill()
				for i := range 300 {
					if b.writes() != nil {
						break
					}
					if blob := forge(i, first); blob == nil {
						check(t, forger.DeleteBlob(t.Context(), "lease"))
					} else {
						check(t, forger.PutBlob(t.Context(), "lease", blob))
					}
					time.Sleep(100 * time.Millisecond)
					if st := b.by.Status(); st.Writer != "" && st.Writer != "http://a.example" {
						t.Fatalf("it says that %q writes", st.Writer)
					}
				}
				w.wantWriter(b, time.Second)
				w.submitAll(5, 10)
				w.wantOneHistory(b)
			})
		})
	}
}

// Who serves without standing by does not take a store from a writer that lives.
func TestAwaitFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		watch := func() (uint64, time.Duration, error) {
			begun := time.Now()
			epoch, err := standby.NewWatcher(w.handle(&link{}), standby.Config{Lease: lease}).AwaitFree(t.Context())
			return epoch, time.Since(begun), err
		}
		if epoch, took, err := watch(); epoch != 0 || took > 0 || err != nil {
			t.Errorf("a new store: %d, %v, %v", epoch, took, err)
		}
		a := w.start("a")
		w.wantWriter(a, promise)
		w.submitAll(0, 5)
		alive := (*standby.AliveError)(nil)
		if _, took, err := watch(); !errors.As(err, &alive) || alive.Lease.URL != "http://a.example" || took > lease/2 {
			t.Errorf("beside a writer: %v, %v", took, err)
		}
		a.kill()
		if epoch, took, err := watch(); epoch != 1 || took < lease || took > lease+lease/10 || err != nil {
			t.Errorf("after one was killed: %d, %v, %v", epoch, took, err)
		}
		a.heal()
		a.stop()
		<-a.ended
		if epoch, took, err := watch(); epoch != 1 || took > 0 || err != nil {
			t.Errorf("after one has ended: %d, %v, %v", epoch, took, err)
		}
	})
}

func FuzzParseLease(f *testing.F) {
	f.Add(standby.Lease{Epoch: 3, Nonce: "n", URL: "https://a.example/x", Length: lease}.Bytes())
	f.Add(standby.Lease{Epoch: 1, Nonce: "n", Length: standby.MinLease, Ended: true}.Bytes())
	f.Add([]byte(`{"docketLease":1,"epoch":1,"nonce":"n","leaseMillis":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		l, err := standby.ParseLease(blob)
		if err != nil {
			return
		}
		if again, err := standby.ParseLease(l.Bytes()); err != nil || again != l {
			t.Errorf("%+v, again %+v, %v", l, again, err)
		}
	})
}

// willing has caught up, and could publish.
type willing struct{}

func (willing) CatchUp(context.Context) error { return nil }
func (willing) Show(context.Context) error    { return nil }

// Who cannot open the ledger, as of an older version whose rules refuse an entry, takes the store once in
// a lease at most, and leaves the lease to lapse: another one that can has its turn.
func TestOpeningThatFailsIsNotTriedAtOnce(t *testing.T) {
	for name, takes := range map[string]bool{"before the store is taken": false, "once it is taken": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.start("a")
				w.wantWriter(a, promise)
				synctest.Wait() // its lease is there
				a.kill()
				store := w.handle(new(link))
				const leases = 20
				ctx, stop := context.WithTimeout(t.Context(), leases*lease)
				defer stop()
				tries := 0
				_, err := standby.New(store, standby.Config{Lease: lease}).Become(ctx, willing{}, func(ctx context.Context, h *standby.Holder) error {
					if tries++; tries > 5*leases {
						return ledger.ErrCorrupt // does not pass
					}
					if takes {
						check(t, h.Take(ctx))
					}
					return errors.New("the rules refuse an entry")
				})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("it ends with %v, after %d tries", err, tries)
				}
				most := leases
				if !takes {
					most = 2 * leases
				}
				if tries < 5 || tries > most {
					t.Errorf("%d tries in %d leases", tries, leases)
				}
				epoch, err := store.Epoch(t.Context())
				check(t, err)
				blob, err := store.Blob(t.Context(), "lease")
				check(t, err)
				l, err := standby.ParseLease(blob)
				check(t, err)
				if takes && epoch != uint64(1+tries) || l.Ended {
					t.Errorf("epoch %d after %d tries, and the lease is %+v", epoch, tries, l)
				}
			})
		})
	}
}

// catching is a candidate that has not caught up before through is closed.
type catching struct{ through chan struct{} }

func (c catching) CatchUp(ctx context.Context) error {
	select {
	case <-c.through:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (catching) Show(context.Context) error { return nil }

// Who has never caught up could not take over, and says so however long that takes.
func TestNotAbleBeforeItHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.start("a")
		w.wantWriter(a, promise)
		by, c := standby.New(w.handle(&link{}), standby.Config{Lease: lease}), catching{make(chan struct{})}
		ctx, end := context.WithCancel(t.Context())
		w.running.Go(func() { by.Wait(ctx, c) })
		time.Sleep(time.Hour)
		if st := by.Status(); st.Cannot == nil || st.Epoch != 1 {
			t.Errorf("it has not caught up: %+v", st)
		}
		close(c.through)
		time.Sleep(lease)
		if st := by.Status(); st.Cannot != nil {
			t.Errorf("it has caught up: %+v", st)
		}
		end()
	})
}
