package cosignatures_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// rotating is a world of three witnesses, two of which make a quorum, and one beside
// them. Its log signs with new keys too, which no witness knows yet.
func rotating(t *testing.T) (*testNetwork, []proof.Key) {
	w := newTestNetwork(t, 3, 1)
	var next []proof.Key
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, _ := must2(proof.GenerateKey(alg, origin))
		s := must(proof.ParseSigner(skey))
		w.signers, next = append(w.signers, s), append(next, s.Key())
	}
	w.reopen()
	return w, next
}

// learn adds keys to a witness's list of logs.
func (w *testNetwork) learn(i int, keys ...proof.Key) {
	w.t.Helper()
	l := witness.Log{Origin: origin, QPD: 1 << 30, Contact: "log@example", Keys: keys}
	for _, s := range w.signers[:2] {
		l.Keys = append(l.Keys, s.Key())
	}
	if err := w.witnesses[i].witness.SetLogs(witness.LogList{l}); err != nil {
		w.t.Fatal(err)
	}
}

// ready says of each witness, by its first key's name, whether it is; and why not.
func ready(r cosignatures.Rehearsed) map[string]string {
	said := make(map[string]string)
	for _, w := range r.Witnesses {
		if name, ok := strings.CutSuffix(w.Name, "-4"); ok {
			said[name] = w.Error
			if w.Ready != (w.Error == "") {
				said[name] = fmt.Sprintf("ready %t, %q", w.Ready, w.Error)
			}
		}
	}
	return said
}

// insteadOf403 answers as the witness does, but with another status to a checkpoint that
// no key signed which it knows.
func (s *testWitness) insteadOf403(code int) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		rec := &recorder{header: http.Header{}}
		s.serveHonestly(rec, r)
		if rec.code == http.StatusForbidden {
			http.Error(out, "", code)
			return
		}
		out.WriteHeader(max(rec.code, http.StatusOK))
		out.Write(rec.body.Bytes())
	}
}

type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// A rehearsal tells who would go on if the old keys were gone: who knows the new ones. It
// shows the tree that each witness has, and leaves no trace in how it is asked otherwise.
func TestRehearsal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, next := rotating(t)
		if r := w.asker.Rehearse(t.Context(), next...); r.Quorum || r.Witnesses != nil {
			t.Errorf("before anybody was asked: %+v", r)
		}
		w.mustAdd(3)
		synctest.Wait()
		all := func(what string, quorum bool, want ...string) {
			t.Helper()
			r := w.asker.Rehearse(t.Context(), next...)
			said := ready(r)
			for i, words := range want {
				got := said[fmt.Sprintf("w%d", i)]
				if words == "" && got != "" || !strings.Contains(got, words) {
					t.Errorf("%s: of w%d %q, want %q", what, i, got, words)
				}
			}
			if r.Quorum != quorum || len(r.Witnesses) != 8 || r.Witnesses[6].InQuorum || !r.Witnesses[0].InQuorum {
				t.Errorf("%s: %+v, want a quorum: %t", what, r, quorum)
			}
			if kept := w.asker.Rehearsed(); kept.At != r.At || kept.Quorum != quorum {
				t.Errorf("%s: remembered as %+v", what, kept)
			}
			for _, s := range w.asker.Status() {
				if s.Failures > 0 || s.Error != "" || s.Size != w.l.Head().Size {
					t.Errorf("%s: the witness is not as it was: %+v", what, s)
				}
			}
		}
		const unknown = "does not know the new ones"
		all("nobody knows them", false, unknown, unknown, unknown, unknown)
		w.learn(0, next...)
		w.learn(3, next[0])
		all("one of two, and one outside", false, "", unknown, unknown, "")
		w.learn(1, next[0])
		all("two", true, "", "", unknown, "")
		w.witnesses[2].setHandler(w.witnesses[2].insteadOf403(http.StatusInternalServerError))
		all("who answers 500 to an unknown key", true, "", "", unknown, "")
		w.witnesses[2].setHandler(unavailableHandler)
		all("who answers nobody", true, "", "", "it cosigns by no key now", "")
		w.witnesses[2].setHandler(nil)
		w.learn(2, next...)
		w.mustAdd(1)
		synctest.Wait()
		all("all", true, "", "", "", "")
		w.witnesses[1].setHandler(hangingHandler)
		begun := time.Now()
		all("who is dead", true, "", "no answer in time", "", "")
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("a dead witness was waited for %s", took)
		}

		// What was said under one policy is not said of another's witnesses.
		other := must(proof.ParsePolicy([]byte(strings.Replace(w.policy.Text(), "quorum quorum\n", "quorum w0\n", 1))))
		if err := w.l.Show(t.Context(), other); err != nil {
			t.Error(err)
		}
		if r := w.asker.Rehearsed(); !r.At.IsZero() {
			t.Errorf("under another policy: %+v", r)
		}
	})
}

// What is rehearsed is what the witness has, by these keys' signatures alone: the root
// and the size are the same, and no other key of the log's is on it.
func TestRehearsedCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, next := rotating(t)
		w.learn(0, next...)
		w.mustAdd(5)
		synctest.Wait()
		seen := make(chan []byte, 8)
		w.witnesses[0].setHandler(func(out http.ResponseWriter, r *http.Request) {
			body := must(io.ReadAll(r.Body))
			seen <- body
			r.Body = io.NopCloser(bytes.NewReader(body))
			w.witnesses[0].serveHonestly(out, r)
		})
		w.asker.Rehearse(t.Context(), next...)
		a := must(wire.ParseAddCheckpoint(<-seen))
		cp, sigs, err := proof.ParseCheckpoint(a.Note)
		if err != nil || cp != w.l.Published().Checkpoint() || a.Old != 5 || len(a.Path) > 0 {
			t.Errorf("asked about %+v from %d with %d hashes, %v", cp, a.Old, len(a.Path), err)
		}
		if len(sigs) != 2 {
			t.Errorf("%d signatures, want those of the two new keys", len(sigs))
		}
		if _, err := proof.VerifyLog(a.Note, origin, next...); err != nil {
			t.Error(err)
		}
		if len(seen) > 0 {
			t.Error("a witness that is ready was asked twice")
		}
	})
}

// A rehearsal waits for the round before it where nobody has cosigned anything yet that
// could be shown.
func TestRehearsalAfterTheFirstRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, next := rotating(t)
		w.mustAdd(1)
		w.config.MinInterval = make(map[string]time.Duration)
		for i, s := range w.witnesses {
			w.config.MinInterval[fmt.Sprintf("w%d-4", i)] = 5 * time.Second
			w.learn(i, next...)
			s.setHandler(unavailableHandler)
		}
		w.reopen()
		if err := w.l.Recosign(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Fatal(err)
		}
		for _, s := range w.witnesses {
			s.setHandler(nil)
		}
		ended := make(chan error)
		go func() { ended <- w.l.Recosign(t.Context()) }()
		synctest.Wait() // until the interval is over
		if r := w.asker.Rehearse(t.Context(), next...); !r.Quorum {
			t.Errorf("%+v", r)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A witness that asks to be left alone is, by rehearsals; what is to be published goes
// on as before.
func TestRehearsalHeedsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, next := rotating(t)
		w.mustAdd(1)
		synctest.Wait()
		busy := func(out http.ResponseWriter, _ *http.Request) {
			out.Header().Set("Retry-After", "300")
			http.Error(out, "", http.StatusServiceUnavailable)
		}
		for _, s := range w.witnesses {
			s.setHandler(busy)
		}
		w.asker.Rehearse(t.Context(), next...)
		for _, s := range w.witnesses {
			s.setHandler(nil)
			s.asked()
		}
		time.Sleep(time.Minute)
		if said := ready(w.asker.Rehearse(t.Context(), next...)); !strings.Contains(said["w0"], "left alone for another 4m0s") {
			t.Errorf("said %q", said)
		}
		for i, s := range w.witnesses {
			if got := s.asked(); len(got) > 0 {
				t.Errorf("witness %d was asked %v", i, got)
			}
		}
		begun := time.Now()
		w.mustAdd(1)
		if took := time.Since(begun); took > 0 {
			t.Errorf("publishing waited %s", took)
		}
	})
}

// While checkpoints come without a pause, a rehearsal finds its turn between two of them,
// with the newest that the witness has.
func TestRehearsalUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, next := rotating(t)
		for i, s := range w.witnesses {
			w.learn(i, next...)
			s.setHandler(s.slow(50 * time.Millisecond))
		}
		w.mustAdd(1)
		done := make(chan cosignatures.Rehearsed)
		go func() {
			time.Sleep(time.Second)
			done <- w.asker.Rehearse(t.Context(), next...)
		}()
		for {
			w.mustAdd(1)
			select {
			case r := <-done:
				if said := ready(r); !r.Quorum || strings.Join([]string{said["w0"], said["w1"], said["w2"], said["w3"]}, "") != "" {
					t.Errorf("under load: %+v", r)
				}
				return
			default:
			}
		}
	})
}
