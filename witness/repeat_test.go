package witness_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// slowKey is a key that is far away: it takes its time, and somebody counts.
type slowKey struct {
	key   witness.Key
	delay time.Duration
	calls *atomic.Int64
}

func (k slowKey) Key() proof.Key { return k.key.Key() }

func (k slowKey) Cosign(cp proof.Checkpoint) (proof.Signature, error) {
	time.Sleep(k.delay)
	k.calls.Add(1)
	return k.key.Cosign(cp)
}

// slowKeyConfig is a configuration with such keys.
func slowKeyConfig(t *testing.T, takes time.Duration) (witness.Config, *atomic.Int64) {
	cfg, used := config(t, "w1.example"), new(atomic.Int64)
	keys := make([]witness.Key, len(cfg.Keys))
	for i, k := range cfg.Keys {
		keys[i] = slowKey{k, takes, used}
	}
	cfg.Keys = keys
	return cfg, used
}

func cosignatureTime(s proof.Signature) time.Time {
	var n int64
	for _, b := range s.Sig[:8] {
		n = n<<8 | int64(b)
	}
	return time.Unix(n, 0)
}

// Whoever repeats the newest checkpoint, however often, makes the witness sign once in
// ten seconds, and is given nothing older than that. It costs the log nothing.
func TestRepeatedRequestsUseCachedCosignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, used := slowKeyConfig(t, 0)
		cfg.Logs[0].QPD = 1
		w := must(createAndOpen(cfg))
		defer w.Close()
		h := newTestLog(sharedKeys(), 20, 20, "")
		mustCosign(t, w, h.request(0, 5))
		used.Store(0)
		again := h.request(5, 5)
		for range 600 { // a minute
			time.Sleep(100 * time.Millisecond)
			sigs, err := w.Cosign(t.Context(), again)
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(cosignatureTime(sigs[0])); age < 0 || age >= proof.MaxCosignatureReuse+time.Second {
				t.Fatalf("given a cosignature that is %s old", age)
			}
		}
		if n := used.Load(); n != 6*int64(len(cfg.Keys)) {
			t.Errorf("signed %d times in a minute by %d keys, want 6 times by each", n, len(cfg.Keys))
		}
		mustCosign(t, w, again)
		mustCosign(t, w, h.request(5, 6)) // the second of the two that may be saved up
	})
}

// What is at hand is given only where a new cosignature would be.
func TestRepeatedRequestsAreChecked(t *testing.T) {
	r := newTestServer(t)
	mustCosign(t, r.w, r.a.request(0, 5))
	again := r.a.request(5, 5)
	for what, c := range map[string]struct {
		ask  wire.AddCheckpoint
		want int
	}{
		"with a proof":      {wire.AddCheckpoint{Old: 5, Path: []proof.Hash{{1}}, Note: again.Note}, 422},
		"from another size": {wire.AddCheckpoint{Old: 4, Path: r.a.consistencyPath(4, 5), Note: again.Note}, 409},
		"from the start":    {wire.AddCheckpoint{Note: again.Note}, 409},
		"signed by nobody":  {wire.AddCheckpoint{Old: 5, Note: noteByUnknownKey(r.a)}, 403},
		"as it should be":   {again, 200},
	} {
		if got := r.addCheckpoint(t, c.ask); got.status != c.want {
			t.Errorf("%s: %d, want %d: %s", what, got.status, c.want, got.body)
		}
	}
	mustCosign(t, r.w, r.a.request(5, 6))
	if got := r.addCheckpoint(t, again); got.status != 409 {
		t.Errorf("after a larger one: %d", got.status)
	}
	file := must(must(proof.NewEvidence(r.a.note(9), r.b.note(9))).Format())
	if got := r.do(t, "POST", "/v1/evidence", file); got.status != 201 {
		t.Fatal(got.body)
	}
	if got := r.addCheckpoint(t, r.a.request(6, 6)); got.status != 403 {
		t.Errorf("of a halted log: %d", got.status)
	}
}

// Whoever repeats the newest checkpoint does not stand in line with the log: what a
// thousand of them send while a far key signs is answered at once.
func TestRepeatedRequestsNeedNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, _ := slowKeyConfig(t, 2*time.Second)
		w := must(createAndOpen(cfg))
		defer w.Close()
		h := newTestLog(sharedKeys(), 20, 20, "")
		mustCosign(t, w, h.request(0, 5))
		again, next := h.request(5, 5), h.request(5, 6)
		var group sync.WaitGroup
		group.Go(func() { must(w.Cosign(t.Context(), next)) })
		time.Sleep(time.Second)
		begun := time.Now()
		for range 1000 {
			group.Go(func() {
				if _, err := w.Cosign(t.Context(), again); err != nil || time.Since(begun) > 0 {
					t.Errorf("answered after %s: %v", time.Since(begun), err)
				}
			})
		}
		group.Wait()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the log waited for another %s, want 1s", took)
		}
	})
}

// Of many who want the same cosignature when none is at hand, one has it made.
func TestConcurrentRequestsShareCosignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, used := slowKeyConfig(t, time.Second)
		w := must(createAndOpen(cfg))
		defer w.Close()
		h := newTestLog(sharedKeys(), 20, 20, "")
		mustCosign(t, w, h.request(0, 5))
		used.Store(0)
		time.Sleep(proof.MaxCosignatureReuse)
		again := h.request(5, 5)
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { must(w.Cosign(t.Context(), again)) })
		}
		group.Wait()
		if n := used.Load(); n != int64(len(cfg.Keys)) {
			t.Errorf("signed %d times by %d keys", n, len(cfg.Keys))
		}
	})
}

// A stranger brings what the log has published and this witness has not seen, one size
// after another, whenever the log may make a request again. Once the log has come with
// its newest, the next one is for that: but not for ever.
func TestAllowanceIsReservedForLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "w1.example")
		cfg.Logs[0].QPD = 48 // two at once, one in half an hour
		w := must(createAndOpen(cfg))
		defer w.Close()
		h := newTestLog(sharedKeys(), 60, 60, "")
		slow := new(witness.RateError)
		refused := func(who string, m, n uint64, want time.Duration) {
			t.Helper()
			if _, err := w.Cosign(t.Context(), h.request(m, n)); !asErr(err, &slow) || slow.After != want {
				t.Fatalf("%s from %d to %d: %v, want a pause of %s", who, m, n, err, want)
			}
		}
		mustCosign(t, w, h.request(0, 1))
		mustCosign(t, w, h.request(1, 2))
		refused("the stranger", 2, 3, 30*time.Minute)
		refused("the log", 2, 50, 30*time.Minute)
		time.Sleep(30 * time.Minute)
		refused("the stranger", 2, 4, time.Minute)
		mustCosign(t, w, h.request(2, 51)) // it has gone on
		refused("the log", 51, 55, 30*time.Minute)
		time.Sleep(31 * time.Minute)
		mustCosign(t, w, h.request(51, 52)) // restarted, it shows what it published last
	})
}
