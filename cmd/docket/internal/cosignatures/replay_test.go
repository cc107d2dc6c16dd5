package cosignatures_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/witness"
)

// setQPD lets the log make so many requests a day of each witness.
func (w *testNetwork) setQPD(qpd uint32) {
	list := witness.Log{Origin: origin, QPD: qpd, Contact: "log@example"}
	for _, s := range w.signers {
		list.Keys = append(list.Keys, s.Key())
	}
	for _, s := range w.witnesses {
		if err := s.witness.SetLogs(witness.LogList{list}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// replayClient has no key, as many addresses as he likes, and what the log has published.
type replayClient struct {
	w       *testNetwork
	notes   [][]byte // by one of the log's keys, which is enough: the smallest first
	address int
}

// recordNotes notes what the log shows now.
func (s *replayClient) recordNotes() {
	p := s.w.l.Published()
	if p == nil {
		return
	}
	cp, sigs, err := proof.ParseCheckpoint(p.Note())
	if err != nil {
		s.w.t.Fatal(err)
	}
	key := s.w.signers[0].Key()
	own := slices.IndexFunc(sigs, func(sig proof.Signature) bool { return sig.Name == key.Name() && sig.ID == key.ID() })
	if note := must(proof.FormatNote(cp, sigs[own])); len(s.notes) == 0 || !bytes.Equal(note, s.notes[len(s.notes)-1]) {
		s.notes = append(s.notes, note)
	}
}

// send asks a witness from an address that he has not used before.
func (s *replayClient) send(to *testWitness, a wire.AddCheckpoint) (status int) {
	s.address++
	r := httptest.NewRequestWithContext(s.w.t.Context(), "POST", "/add-checkpoint", bytes.NewReader(a.Format()))
	r.RemoteAddr = fmt.Sprintf("[2001:db8:%x:%x::1]:4096", s.address>>16, s.address&0xffff)
	rec := httptest.NewRecorder()
	to.witness.Handler().ServeHTTP(rec, r)
	return rec.Code
}

// repeat sends every witness the published checkpoint again, and again, until it takes
// no more, or n times.
func (s *replayClient) repeat(n int) {
	s.recordNotes()
	if len(s.notes) == 0 {
		return
	}
	note := s.notes[len(s.notes)-1]
	cp, _, _ := proof.ParseCheckpoint(note)
	for _, to := range s.w.witnesses {
		for range n {
			if s.send(to, wire.AddCheckpoint{Old: cp.Size, Note: note}) == http.StatusTooManyRequests {
				break
			}
		}
	}
}

// replay sends every witness an old checkpoint, as one that has to learn where the
// witness stands, until it takes no more, or n times.
func (s *replayClient) replay(n int) {
	s.recordNotes()
	for _, to := range s.w.witnesses {
		for _, note := range [][]byte{s.notes[0], s.notes[len(s.notes)-1]} {
			for range n {
				if s.send(to, wire.AddCheckpoint{Note: note}) == http.StatusTooManyRequests {
					break
				}
			}
		}
	}
}

// every calls f in a goroutine now and then each interval, until stop.
func every(interval time.Duration, f func()) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			f()
			select {
			case <-end:
				return
			case <-time.After(interval):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// Whoever repeats the published checkpoint to the witnesses, as fast as they take it,
// delays no publication: not by day, not where the log's requests are few, and not
// after a restart.
func TestReplayedRequestsDelayNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and its goroutines are those of every round: run without -short")
	}
	for _, c := range []struct {
		qpd   uint32
		pause time.Duration // between two publications
		often time.Duration // between two repetitions
	}{{86_400, 4 * time.Minute, 500 * time.Millisecond}, {100, 16 * time.Minute, 10 * time.Second}} {
		t.Run(fmt.Sprintf("qpd %d", c.qpd), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				w.setQPD(c.qpd)
				stop := w.run()
				publish := func(when string) {
					t.Helper()
					begun, at := time.Now(), w.l.Head().Size
					must(w.l.Append(t.Context(), pebblestore.NewBlob(fmt.Appendf(nil, "blob %d", at))))
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					defer cancel()
					_, err := w.l.AwaitPublished(ctx, at)
					if took := time.Since(begun); err != nil || took > 0 {
						t.Errorf("%s, published after %s: %v", when, took, err)
					}
				}
				publish("before anybody repeats it")
				s := &replayClient{w: w}
				s.repeat(int(c.qpd/24) + 10) // all that may be saved up
				time.Sleep(7 * time.Millisecond)
				leave := every(c.often, func() { s.repeat(2) })
				for range 3 {
					time.Sleep(c.pause)
					publish("while a stranger repeats it")
				}
				time.Sleep(10*time.Minute + 7*time.Second) // a heartbeat falls into it
				if age := time.Since(w.l.Published().LastCosignedAt()); age > 20*time.Second {
					t.Errorf("the newest cosignature is %s old", age)
				}
				time.Sleep(max(0, c.pause-10*time.Minute))
				publish("after a heartbeat")
				leave()
				stop()
				w.reopen()
				leave = every(c.often, func() { s.repeat(2) })
				time.Sleep(c.pause)
				stop = w.run()
				publish("after a restart")
				leave()
				stop()
			})
		})
	}
}

// The ledger ended after the witnesses had cosigned more than it remembers to have
// published. However often a stranger sends what was published before, they tell it
// where they stand.
func TestReplayedRequestsHideNoSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(5)
		s := &replayClient{w: w}
		s.recordNotes()
		synctest.Wait()
		published := w.l.Published().Note()
		w.mustAdd(2)
		synctest.Wait()
		w.close() // and the last write of the published checkpoint is lost
		w.open()
		if err := w.store.Publish(t.Context(), must(w.store.Published(t.Context())), published); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		s.replay(100)
		w.commit(1)
		if err := w.l.Publish(t.Context()); err != nil || w.l.Published().Checkpoint().Size != 8 {
			t.Errorf("published %d, %v", w.l.Published().Checkpoint().Size, err)
		}
	})
}

// A witness that has had enough of repetitions is asked for new cosignatures all the
// same, even if it is the one that is needed; and one that wants nothing new is shown
// again what was published.
func TestPauseIsPerRequestKind(t *testing.T) {
	for _, repeats := range []bool{true, false} {
		t.Run(fmt.Sprintf("repeats %v", repeats), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				w.mustAdd(1)
				synctest.Wait()
				w.witnesses[1].setHandler(unavailableHandler)
				w.witnesses[0].setHandler(func(rw http.ResponseWriter, r *http.Request) {
					body := must(io.ReadAll(r.Body))
					a := must(wire.ParseAddCheckpoint(body))
					cp, _, _ := proof.ParseCheckpoint(a.Note)
					if (a.Old == cp.Size) == repeats {
						rw.Header().Set("Retry-After", "300")
						http.Error(rw, "too many of this kind", http.StatusTooManyRequests)
						return
					}
					w.witnesses[0].serveHonestly(rw, httptest.NewRequestWithContext(r.Context(), "POST", "/add-checkpoint", bytes.NewReader(body)))
				})
				refused, taken := func() error { return w.l.Recosign(t.Context()) }, func() error { return w.add(1) }
				if !repeats {
					refused, taken = func() error {
						w.witnesses[2].setHandler(unavailableHandler) // else it would stand where no other does
						defer w.witnesses[2].setHandler(nil)
						return w.add(1)
					}, refused
				}
				for range 3 {
					w.witnesses[0].asked()
					if err := refused(); err == nil {
						t.Fatal("two of three are out")
					}
					if err := taken(); err != nil {
						t.Fatalf("the other kind: %v", err)
					}
					time.Sleep(time.Second)
				}
				synctest.Wait()
				if n := len(w.witnesses[0].asked()); n != 1 {
					t.Errorf("asked %d times, want the kind that it takes alone", n)
				}
			})
		})
	}
}

// A witness, or what stands before it, that gives again what it gave long ago does not
// count after the opening, and keeps nobody from waiting for those who do.
func TestOldCosignaturesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(1)
		synctest.Wait()
		kept := httptest.NewRecorder()
		cp := w.l.Published().Checkpoint()
		ask := wire.AddCheckpoint{Old: 1, Note: must(proof.SignCheckpoint(cp, w.signers...)).Note()}
		w.witnesses[0].serveHonestly(kept, httptest.NewRequestWithContext(t.Context(), "POST", "/add-checkpoint", bytes.NewReader(ask.Format())))
		time.Sleep(time.Minute)
		w.reopen()
		w.witnesses[0].setHandler(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(kept.Body.Bytes()) })
		w.witnesses[1].setHandler(w.witnesses[1].slow(3 * time.Second))
		begun := time.Now()
		if err := w.l.Publish(t.Context()); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		s := w.status("w0-4")
		if s.Error == "" {
			t.Errorf("%+v", s)
		}
		refusaltest.Words(t, s.Error)
	})
}
