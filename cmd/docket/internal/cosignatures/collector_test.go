package cosignatures_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// One request serves both keys of a witness, all are asked, and after the first
// time nobody has to say which size it stands at.
func TestOneRequestForAllKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 1)
		w.mustAdd(3)
		synctest.Wait()
		for i, s := range w.witnesses {
			if got := s.asked(); !slices.Equal(got, []string{"POST add-checkpoint", "POST add-checkpoint"}) {
				t.Errorf("witness %d was asked %v for the empty tree and the first checkpoint", i, got)
			}
		}
		for n := range 5 {
			w.mustAdd(n + 1)
			synctest.Wait()
		}
		for i, s := range w.witnesses {
			if got := s.asked(); len(got) != 5 {
				t.Errorf("witness %d was asked %v for five more", i, got)
			}
		}
		if err := w.l.MergeLate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if by := w.cosigned(); len(by) != 8 {
			t.Errorf("cosigned by %v, want both keys of all four, the one outside the quorum too", by)
		}
		for _, s := range w.asker.Status() {
			outside := strings.HasPrefix(s.Name, "w3")
			if s.Size != 18 || s.Error != "" || s.At.IsZero() || s.InQuorum == outside {
				t.Errorf("status %+v", s)
			}
		}
	})
}

// Nobody waits for a dead witness. It is left alone, asked once a while, and counts
// again when it answers.
func TestDeadWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(1)
		synctest.Wait()
		w.witnesses[2].asked()
		w.witnesses[2].setHandler(hangingHandler)
		begun := time.Now()
		w.mustAdd(1)
		w.mustAdd(1)
		if took := time.Since(begun); took > 0 {
			t.Errorf("waited %s for a witness that the quorum does not need", took)
		}
		time.Sleep(11 * time.Second) // its time-out
		if s := w.status("w2-4"); s.Failures != 2 && s.Failures != 1 || s.Error == "" || s.Size != 1 {
			t.Errorf("status of the dead witness: %+v", s)
		}
		w.witnesses[2].asked()
		for range 600 { // ten minutes
			w.mustAdd(1)
			time.Sleep(time.Second)
		}
		if n := len(w.witnesses[2].asked()); n < 8 || n > 25 {
			t.Errorf("the dead witness was asked %d times in ten minutes", n)
		}
		w.witnesses[2].setHandler(nil)
		time.Sleep(2 * time.Minute)
		w.mustAdd(1)
		synctest.Wait()
		if s := w.status("w2-4"); s.Failures != 0 || s.Error != "" || s.Size != w.l.Head().Size {
			t.Errorf("status of the witness that is back: %+v", s)
		}
	})
}

// A witness that the quorum needs is asked although it failed just now: the
// ledger itself waits between two tries.
func TestNeededWitnessIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.witnesses[0].setHandler(unavailableHandler)
		w.witnesses[1].setHandler(unavailableHandler)
		for range 8 {
			err := w.add(1)
			if !errors.Is(err, ledger.ErrNoQuorum) || !strings.Contains(err.Error(), "down for repairs") {
				t.Fatalf("two of three are down: %v", err)
			}
		}
		w.witnesses[0].setHandler(nil)
		w.mustAdd(1)
	})
}

// What comes after the quorum is merged for monitors.
func TestSlowWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 1)
		w.witnesses[1].setHandler(w.witnesses[1].slow(3 * time.Second))
		w.witnesses[3].setHandler(w.witnesses[3].slow(4 * time.Second))
		defer w.run()()
		must(w.l.Append(t.Context(), pebblestore.NewBlob([]byte("a blob"))))
		must(w.l.AwaitPublished(t.Context(), 0))
		if by := w.cosigned(); by["w1-4"] || by["w3-6"] {
			t.Errorf("cosigned by %v at once", by)
		}
		time.Sleep(10 * time.Second) // it is asked about the empty tree first
		if by := w.cosigned(); len(by) != 8 {
			t.Errorf("ten seconds later cosigned by %v", by)
		}
		note := must(w.store.Published(t.Context()))
		if string(note) != string(w.l.Published().Note()) {
			t.Error("what is shown is not what is persisted")
		}
	})
}

// While a slow witness is busy, only the newest checkpoint waits for it.
func TestOnlyNewestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.witnesses[1].setHandler(w.witnesses[1].slow(3 * time.Second))
		for range 50 {
			w.mustAdd(1)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if n := len(w.witnesses[1].asked()); n > 4 {
			t.Errorf("asked %d times in 7 s, each of which takes 3", n)
		}
		if s := w.status("w1-6"); s.Size != 50 || s.Latency < 3*time.Second {
			t.Errorf("in the end it has cosigned %+v", s)
		}
	})
}

// One witness of three may do whatever it likes.
func TestLyingWitness(t *testing.T) {
	var w *testNetwork
	strange := func() []byte { // a cosignature by nobody's key
		skey, _ := must2(proof.GenerateKey(proof.CosignatureEd25519, "stranger.example"))
		cp := proof.Checkpoint{Origin: origin, Size: 1, Root: proof.EmptyRoot()}
		return must(must(proof.ParseCosigner(skey)).Cosign(cp)).Line()
	}
	other := func() []byte { // by its own key, of another tree
		k := w.witnesses[2].keys[0]
		return must(k.Cosign(proof.Checkpoint{Origin: origin, Size: 99, Root: proof.Hash{1}})).Line()
	}
	logs := func() []byte { // by the log's key
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 99, Root: proof.Hash{1}}, w.signers...)).Note()
		_, lines, _ := strings.Cut(string(note), "\n\n")
		return []byte(lines)
	}
	larger := func(note func() []byte) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				out.Write(note())
				return
			}
			out.Header().Set("Content-Type", "text/x.tlog.size")
			out.WriteHeader(http.StatusConflict)
			fmt.Fprintln(out, uint64(1)<<63)
		}
	}
	say := func(status int, body func() []byte) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) { out.WriteHeader(status); out.Write(body()) }
	}
	text := func(s string) func() []byte { return func() []byte { return []byte(s) } }
	for name, h := range map[string]http.HandlerFunc{
		"a stranger's cosignature":       say(200, strange),
		"a cosignature of another tree":  say(200, func() []byte { return other() }),
		"the log's signature of another": say(200, func() []byte { return logs() }),
		"nothing":                        say(200, text("")),
		"rubbish":                        say(200, text("— \n")),
		"a flood":                        say(200, text(strings.Repeat("— w2.example AAAAAAAAAAAA\n", 1<<16))),
		"a redirection": func(out http.ResponseWriter, r *http.Request) {
			http.Redirect(out, r, "https://w0.example/x/add-checkpoint", http.StatusTemporaryRedirect)
		},
		"409 of the size that it was told": func(out http.ResponseWriter, r *http.Request) {
			out.Header().Set("Content-Type", "text/x.tlog.size")
			out.WriteHeader(409)
			fmt.Fprintln(out, 3)
		},
		"409 with rubbish":                   say(409, text("-1\n")),
		"422":                                say(422, text("no")),
		"500":                                say(500, text("no")),
		"a larger size, and nothing to show": larger(text("")),
		"a larger size, signed by nobody": larger(func() []byte {
			return []byte("log.example/1\n9\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAAA\n")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w = newTestNetwork(t, 3, 0)
				w.mustAdd(3)
				synctest.Wait()
				w.witnesses[2].setHandler(h)
				w.mustAdd(2)
				synctest.Wait()
				if s := w.status("w2-4"); s.Error == "" || s.Size != 3 {
					t.Errorf("the liar's status: %+v", s)
				}
				if err := w.l.MergeLate(t.Context()); err != nil {
					t.Error(err)
				}
				if by := w.cosigned(); len(by) != 4 {
					t.Errorf("cosigned by %v", by)
				}
				time.Sleep(time.Minute)
				w.witnesses[2].setHandler(nil)
				w.mustAdd(1)
				synctest.Wait()
				if s := w.status("w2-4"); s.Error != "" || s.Size != 6 {
					t.Errorf("honest again: %+v", s)
				}
			})
		})
	}
}

// A witness that does not know the log's keys says so by a status alone, as other
// people's do: what helps is told with it.
func TestLogUnknownToWitness(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusNotFound} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				w.witnesses[2].setHandler(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(code) })
				w.mustAdd(1)
				synctest.Wait()
				s := w.status("w2-4")
				if !strings.Contains(s.Error, " docket init --origin "+origin+" ") {
					t.Errorf("its status is %q, want the command that tells what it lacks", s.Error)
				}
				refusaltest.Words(t, s.Error)
			})
		})
	}
}

// A witness who lost what it knew, or knows less or more than is remembered here,
// is served the right proof.
func TestProofFromWitnessSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(5)
		synctest.Wait()
		w.witnesses[1].setHandler(unavailableHandler)
		w.mustAdd(4)
		synctest.Wait()
		w.witnesses[1].setHandler(nil)
		for _, s := range w.witnesses {
			s.asked()
		}
		w.reopen()                                       // remembers nothing; the witnesses stand at 9, 5 and 9
		if err := w.l.Publish(t.Context()); err != nil { // nothing is new: shows the old one again
			t.Fatal(err)
		}
		synctest.Wait() // to all: a newer round would go first where one still waits
		w.mustAdd(3)
		synctest.Wait()
		for i, s := range w.witnesses {
			want := 2 // shown again, and the new one
			if i == 1 {
				want = 3 // it says once where it stands
			}
			if got := s.asked(); len(got) != want {
				t.Errorf("witness %d was asked %v, want %d requests", i, got, want)
			}
			if s := w.status(fmt.Sprintf("w%d-4", i)); s.Size != 12 || s.Error != "" {
				t.Errorf("witness %d: %+v", i, s)
			}
		}
	})
}

// The witnesses have cosigned more than the store remembers to have published: if
// the store leads up to it, that is published now; if not, it was rolled back.
func TestReopenedStoreBehindWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(5)
		synctest.Wait()
		published := w.l.Published().Note()
		w.mustAdd(2)
		synctest.Wait()
		w.commit(1)
		w.close() // and the last write of the published checkpoint is lost
		w.open()
		if err := w.store.Publish(t.Context(), must(w.store.Published(t.Context())), published); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		if got := w.l.Published().Checkpoint().Size; got != 5 {
			t.Fatalf("reopened at %d", got)
		}
		if err := w.l.Recosign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.l.Published().Checkpoint().Size; got != 7 {
			t.Errorf("published %d, want the 7 that the witnesses have cosigned", got)
		}
		if !slices.Contains(w.witnesses[0].asked(), "GET "+checkpointPath) {
			t.Error("the witness was not asked what it has cosigned")
		}
		w.mustAdd(1)
	})
}

func TestRolledBackStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(5)
		synctest.Wait()

		old := *w
		w.close()
		// The same keys and witnesses, another disk on which the log went on otherwise.
		other := old
		other.fs = vfs.NewMem()
		other.open()
		other.commit(3)
		err := other.l.Publish(t.Context())
		if err == nil {
			t.Fatal("a second history was published")
		}
		synctest.Wait()
		if late := other.l.MergeLate(t.Context()); !errors.Is(errors.Join(err, late), ledger.ErrRollback) || !errors.Is(other.l.Err(), ledger.ErrRollback) {
			t.Errorf("a store that lost what it published: %v, %v", err, late)
		}
		*w = other // which the cleanup closes
	})
}

// Each witness has its own least interval between two requests.
func TestMinInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.close()
		w.config.MinInterval = map[string]time.Duration{"w2-4": 30 * time.Second}
		w.open()
		for range 300 {
			w.mustAdd(1)
			time.Sleep(time.Second)
		}
		if n := len(w.witnesses[2].asked()) - 1; n < 10 || n > 11 { // but for the empty tree, once in a log's life
			t.Errorf("asked %d times in 300 s, once in 30 s is allowed", n)
		}
		if n := len(w.witnesses[1].asked()); n < 300 {
			t.Errorf("the other was asked %d times", n)
		}
		time.Sleep(30 * time.Second)
		w.mustAdd(1)
		synctest.Wait() // the slow one is asked here, whatever came before
		time.Sleep(10 * time.Second)
		w.witnesses[0].setHandler(unavailableHandler)
		begun := time.Now()
		w.mustAdd(1) // needs the slow one now
		if took := time.Since(begun); took <= 0 || took > 30*time.Second {
			t.Errorf("waited %s for a witness that may be asked every 30 s", took)
		}
	})
}

// Nothing new waits for what was only repeated, or is about to be.
func TestMinIntervalOfRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.close()
		const interval = 864 * time.Second // 100 requests a day
		w.config.MinInterval = map[string]time.Duration{"w0-4": interval, "w1-4": interval, "w2-4": interval}
		w.open()
		defer w.run()()
		for i, c := range []struct{ after, want time.Duration }{
			{0, 0},
			{1000 * time.Second, 0},                // a heartbeat has waited until 864 s, and was sent
			{700 * time.Second, 164 * time.Second}, // one waits
			{1500 * time.Second, 0},                // one was sent at 864 s, and the next one waits
			{time.Hour, 0},
		} {
			time.Sleep(c.after)
			begun := time.Now()
			must(w.l.Append(t.Context(), pebblestore.NewBlob(fmt.Append(nil, "blob ", i))))
			must(w.l.AwaitPublished(t.Context(), uint64(i)))
			if took := time.Since(begun); took != c.want {
				t.Errorf("%s after the one before: published after %s, want %s", c.after, took, c.want)
			}
		}
		time.Sleep(time.Hour)
		if age := time.Since(w.l.Published().LastCosignedAt()); age > interval {
			t.Errorf("the newest cosignature is %s old", age)
		}
	})
}

// A witness that says when to come back is left alone until then, though not for ever,
// and for half a minute if there is no quorum without it; nobody waits for it meanwhile.
func TestRetryAfter(t *testing.T) {
	for says, want := range map[string]time.Duration{"300": 5 * time.Minute, "86400": 10 * time.Minute} {
		for _, needed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				want := want
				if needed {
					want = 30 * time.Second
				}
				w := newTestNetwork(t, 3, 0)
				w.mustAdd(1)
				if needed {
					w.witnesses[1].setHandler(unavailableHandler)
				}
				synctest.Wait()
				w.witnesses[0].asked()
				w.witnesses[0].setHandler(func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Retry-After", says)
					http.Error(rw, "the log has used up its requests", http.StatusTooManyRequests)
				})
				begun := time.Now()
				for time.Since(begun) < want-time.Second {
					step := time.Now()
					if err := w.add(1); (err != nil) != needed || needed && !strings.Contains(err.Error(), "used up its requests") {
						t.Fatal(err)
					}
					synctest.Wait()
					if took := time.Since(step); took > time.Second {
						t.Fatalf("waited %s", took)
					}
					time.Sleep(7 * time.Second)
				}
				if n := len(w.witnesses[0].asked()); n != 1 {
					t.Errorf("asked %d times in %s, needed: %v", n, want, needed)
				}
				w.witnesses[0].setHandler(nil)
				time.Sleep(time.Second)
				w.mustAdd(1)
				synctest.Wait()
				if n := len(w.witnesses[0].asked()); n != 1 {
					t.Errorf("not asked after %s, needed: %v", want, needed)
				}
			})
		}
	}
}

// Without a quorum nothing is published and the backlog fills up; when the
// witnesses are back, everything goes on by itself.
func TestRecoversByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.close()
		w.ledger.MaxBacklog = 4
		w.open()
		defer w.run()()
		blob := func(i int) pebblestore.Blob { return pebblestore.NewBlob(fmt.Append(nil, "blob ", i)) }
		must(w.l.Append(t.Context(), blob(0)))
		must(w.l.AwaitPublished(t.Context(), 0))
		w.witnesses[0].setHandler(hangingHandler)
		w.witnesses[1].setHandler(unavailableHandler)
		for i := 1; i <= 4; i++ {
			must(must(w.l.Append(t.Context(), blob(i))).AwaitCommitted(t.Context()))
		}
		if _, err := w.l.Append(t.Context(), blob(5)); !errors.Is(err, ledger.ErrBacklog) {
			t.Errorf("beyond the backlog: %v", err)
		}
		time.Sleep(time.Hour)
		if got := w.l.Published().Checkpoint().Size; got != 1 {
			t.Errorf("published %d without a quorum", got)
		}
		w.witnesses[1].setHandler(nil)
		begun := time.Now()
		must(w.l.AwaitPublished(t.Context(), 4))
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("it took %s after the witness came back", took)
		}
		must(must(w.l.Append(t.Context(), blob(5))).AwaitCommitted(t.Context()))
	})
}

// When idle, the newest checkpoint is cosigned again, and the newer cosignatures
// replace the older.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		defer w.run()()
		must(w.l.Append(t.Context(), pebblestore.NewBlob([]byte("a blob"))))
		must(w.l.AwaitPublished(t.Context(), 0))
		for range 300 {
			time.Sleep(time.Minute)
			if age := time.Since(w.l.Published().LastCosignedAt()); age > 11*time.Minute {
				t.Fatalf("the newest cosignature is %s old", age)
			}
		}
		if n := len(w.witnesses[1].asked()); n < 30 || n > 32 {
			t.Errorf("asked %d times in five hours", n)
		}
		if n := strings.Count(string(w.l.Published().Note()), "— w1.example"); n != 2 {
			t.Errorf("%d lines by a witness with two keys", n)
		}
	})
}

// Close breaks off what is under way, and nothing is asked after it.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.mustAdd(1)
		w.witnesses[1].setHandler(hangingHandler)
		w.witnesses[2].setHandler(hangingHandler)
		ended := make(chan error, 1)
		w.commit(1)
		go func() { ended <- w.l.Publish(t.Context()) }()
		synctest.Wait()
		begun := time.Now()
		w.asker.Close()
		if err := <-ended; !errors.Is(err, ledger.ErrNoQuorum) || time.Since(begun) > 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		w.witnesses[0].asked()
		if err := w.add(1); !errors.Is(err, ledger.ErrNoQuorum) || len(w.witnesses[0].asked()) > 0 {
			t.Errorf("after Close: %v", err)
		}
	})
}

// refuseEmptyTree is honest, but refuses the empty tree as malformed, whatever it has
// cosigned: tlog-witness does not say so, but it may happen.
func (s *testWitness) refuseEmptyTree(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a, bad := wire.ParseAddCheckpoint(body)
	if r.Method == http.MethodPost && err == nil && bad == nil {
		if cp, _, err := proof.ParseCheckpoint(a.Note); err == nil && cp.Size == 0 {
			http.Error(out, "a checkpoint of nothing", http.StatusBadRequest)
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.serveHonestly(out, r)
}

// hideCheckpoint is honest, and shows nothing at its monitoring prefix.
func (s *testWitness) hideCheckpoint(out http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.NotFound(out, r)
		return
	}
	s.serveHonestly(out, r)
}

// The store is lost, and all that was derived from it; the keys are still there. The
// witnesses see nothing of a second history, and when the store is back the first one
// goes on.
func TestLostStore(t *testing.T) {
	for name, c := range map[string]struct {
		witnesses func(*testWitness) http.HandlerFunc
		want      error
	}{
		"as this project's":              {func(s *testWitness) http.HandlerFunc { return s.serveHonestly }, ledger.ErrRollback},
		"they refuse the empty tree":     {func(s *testWitness) http.HandlerFunc { return s.refuseEmptyTree }, ledger.ErrRollback},
		"they show nothing":              {func(s *testWitness) http.HandlerFunc { return s.hideCheckpoint }, ledger.ErrUnprovenClaim},
		"the log is not on their lists":  {func(*testWitness) http.HandlerFunc { return http.NotFound }, ledger.ErrNoQuorum},
		"they are down":                  {func(*testWitness) http.HandlerFunc { return unavailableHandler }, ledger.ErrNoQuorum},
		"only one of them, and it is ok": {nil, ledger.ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				if c.witnesses != nil {
					for _, s := range w.witnesses {
						s.setHandler(s.refuseEmptyTree) // all begin with a log all the same
					}
				}
				w.mustAdd(5)
				synctest.Wait()
				disk := w.fs
				w.close()

				w.fs = vfs.NewMem()
				w.open()
				for i, s := range w.witnesses {
					if c.witnesses != nil {
						s.setHandler(c.witnesses(s))
					} else if i > 0 {
						s.setHandler(hangingHandler)
					} else { // it never heard of the log
						s.setHandler(func(out http.ResponseWriter, r *http.Request) {
							if r.Method == http.MethodPost {
								http.Error(out, "a checkpoint of nothing", http.StatusUnprocessableEntity)
								return
							}
							http.NotFound(out, r)
						})
					}
				}
				w.commit(3)
				err := w.l.Publish(t.Context())
				synctest.Wait()
				if err := errors.Join(err, w.l.MergeLate(t.Context())); !errors.Is(err, c.want) {
					t.Errorf("publishing a second history: %v, want %v", err, c.want)
				}
				w.close()

				w.fs = disk
				w.open()
				for _, s := range w.witnesses {
					s.setHandler(nil)
				}
				w.mustAdd(1)
				synctest.Wait()
				for i, s := range w.witnesses {
					if kept, err := s.witness.Evidence().List(); err != nil || len(kept) > 0 {
						t.Errorf("witness %d has evidence: %v, %v", i, kept, err)
					}
				}
			})
		})
	}
}

// Of three witnesses two are enough, and have never heard of the log. The third has
// cosigned what was never published, before the store was lost: it is heard, though it
// is the slowest.
func TestOneWitnessKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1, Root: proof.LeafHash(nil)}, w.signers...)).Note()
		must(w.witnesses[2].witness.Cosign(t.Context(), wire.AddCheckpoint{Note: note}))
		w.witnesses[2].setHandler(w.witnesses[2].slow(4 * time.Second))
		if err := w.add(3); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("publishing a second history: %v", err)
		}
		synctest.Wait()
		if kept, err := w.witnesses[2].witness.Evidence().List(); err != nil || len(kept) > 0 {
			t.Errorf("it has evidence: %v, %v", kept, err)
		}
	})
}

// A witness that hangs holds up the first checkpoint once, and not for long.
func TestOneWitnessHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.witnesses[2].setHandler(hangingHandler)
		begun := time.Now()
		w.mustAdd(1)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("the first checkpoint took %s", took)
		}
		begun = time.Now()
		w.mustAdd(1)
		if took := time.Since(begun); took > 0 {
			t.Errorf("the second one %s", took)
		}
	})
}
