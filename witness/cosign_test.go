package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// The race of tlog-witness "add-checkpoint": A with size N and B with size N+K are
// checked together; had the check and the write been apart, A could roll B back.
func TestConcurrentUpdates(t *testing.T) {
	const step = 3
	h := newTestLog(sharedKeys(), 200, 200, "")
	w := mustOpen(t, config(t, "w1.example"))
	at := uint64(1)
	mustCosign(t, w, h.request(0, at))
	for range 30 {
		n, nk := h.request(at, at+1), h.request(at, at+1+step)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, q := range []wire.AddCheckpoint{n, nk} {
			wg.Go(func() { _, errs[i] = w.Cosign(t.Context(), q) })
		}
		wg.Wait()
		won := []uint64{at + 1, at + 1 + step}
		var stale *witness.ConflictError
		switch {
		case errs[0] == nil && errors.As(errs[1], &stale) && stale.Size == won[0]:
			at = won[0]
		case errs[1] == nil && errors.As(errs[0], &stale) && stale.Size == won[1]:
			at = won[1]
		default:
			t.Fatalf("exactly one must win, and the other be told by whom: %v, %v", errs[0], errs[1])
		}
		cp, _, _ := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin)))
		if cp.Size != at {
			t.Fatalf("at %d, want %d", cp.Size, at)
		}
	}
}

// Many logs, each asked by many at once while a list is reloaded, rounds are made and
// checkpoints are looked at: whatever is cosigned of a log lies on one history.
func TestConcurrentUse(t *testing.T) {
	const logs, askers, asks, seed = 5, 4, 25, 7
	var list witness.LogList
	views := make([][2]*testLog, logs)
	cfg := config(t, "w1.example")
	cfg.Keys = cfg.Keys[:1]
	cfg.Log = nil
	for i := range views {
		name := fmt.Sprintf("log.example/%d", i)
		s := newSigner(proof.Ed25519, name)
		for j, branch := range []string{"A", "B"} {
			views[i][j] = newTestLog(&testKeys{log: []*proof.Signer{s}}, 60, 5, branch)
			views[i][j].origin = name
			views[i][j].subtreeHash(0, 60) // the memo is filled before others read it
			for n := range uint64(60) {
				views[i][j].subtreeHash(0, n)
				for m := range n {
					views[i][j].consistencyPath(m, n)
				}
			}
		}
		list = append(list, logListOf(name, s)...)
	}
	cfg.Logs = list
	w := mustOpen(t, cfg)
	var mu sync.Mutex
	cosigned := map[string]map[uint64]proof.Hash{}
	ctx, stop := context.WithCancel(t.Context())
	var asking, around sync.WaitGroup
	for _, f := range []func(){
		func() { w.Gossip(ctx) },
		func() { w.SetLogs(list) },
		func() { w.Latest(ctx, list[0].Origin) },
	} {
		around.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	for i := range logs {
		for j := range askers {
			asking.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(i*askers+j)))
				at := uint64(0)
				for range asks {
					h := views[i][rng.IntN(2)]
					n := min(at+1+rng.Uint64N(3), 59)
					_, err := w.Cosign(ctx, h.request(at, n))
					var stale *witness.ConflictError
					switch {
					case err == nil:
						mu.Lock()
						if cosigned[h.origin] == nil {
							cosigned[h.origin] = map[uint64]proof.Hash{}
						}
						if root, ok := cosigned[h.origin][n]; ok && root != h.subtreeHash(0, n) {
							t.Errorf("%s: two roots cosigned at %d", h.origin, n)
						}
						cosigned[h.origin][n] = h.subtreeHash(0, n)
						mu.Unlock()
						at = n
					case errors.As(err, &stale):
						at = stale.Size
					}
				}
			})
		}
	}
	asking.Wait()
	stop()
	around.Wait()
	for i := range views {
		for branch := range 2 {
			fits := 0
			for n, root := range cosigned[views[i][0].origin] {
				if views[i][branch].subtreeHash(0, n) == root {
					fits++
				}
			}
			if fits == len(cosigned[views[i][0].origin]) {
				break
			}
			if branch == 1 {
				t.Errorf("%s: what was cosigned lies on neither history", views[i][0].origin)
			}
		}
	}
}

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
		slow := new(gossip.RateError)
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

// A log with 48 new checkpoints a day gets two at once and then one each half hour. What
// strangers repeat of it does not use up what it needs to go on, nor does what was
// refused; and they are told where the witness stands as often as they ask, since no
// allowance for that would be the log's alone.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "w1.example")
		cfg.Logs[0].QPD = 48
		w := must(createAndOpen(cfg))
		defer w.Close()
		h := newTestLog(sharedKeys(), 60, 60, "")
		at := uint64(0)
		step := func() error {
			_, err := w.Cosign(t.Context(), h.request(at, at+1))
			if err == nil {
				at++
			}
			return err
		}
		slow := new(gossip.RateError)
		for range 2 {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := step(); !asErr(err, &slow) || slow.After != 30*time.Minute {
			t.Fatalf("got %v, want a pause of half an hour", err)
		}
		for i := range 100 { // a stranger repeats the newest
			if _, err := w.Cosign(t.Context(), h.request(at, at)); err != nil {
				t.Errorf("repetition %d: %v", i, err)
			}
		}
		stale := new(witness.ConflictError)
		for i := range 100 { // or an old one
			if _, err := w.Cosign(t.Context(), h.request(0, 1)); !asErr(err, &stale) || stale.Size != at {
				t.Fatalf("repetition %d: %v", i, err)
			}
		}
		// A log that forgot where it stands is told all the same.
		if _, err := w.Cosign(t.Context(), h.request(0, at+1)); !asErr(err, &stale) || stale.Size != at {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if err := step(); !asErr(err, &slow) {
			t.Fatalf("got %v", err)
		}
		// The list in force again, with the same allowance: it is not made anew.
		if err := w.SetLogs(cfg.Logs); err != nil {
			t.Fatal(err)
		}
		if err := step(); !asErr(err, &slow) {
			t.Fatalf("a reload gave a new allowance: %v", err)
		}
		more := logListOf(origin, sharedKeys().log...)
		if err := w.SetLogs(more); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whoever repeats what is known is bounded, and keeps out nobody who has news: by hand
// or as evidence.
func TestRepetitionsAreBounded(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 60, 60, ""), newTestLog(sharedKeys(), 60, 3, "B")
	honest := must(must(proof.NewEvidence(a.note(5), a.note(9), testRanges(a, 5, 9)...)).Format())
	synctest.Test(t, func(t *testing.T) {
		w := must(createAndOpen(config(t, "w1.example")))
		defer w.Close()
		mustCosign(t, w, a.request(0, 20))
		post := func(path string, body []byte) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "POST", path, bytes.NewReader(body)))
			return rec
		}
		for i := range 200 {
			for path, body := range map[string][]byte{"/v1/checkpoints": a.note(20), "/v1/evidence": honest} {
				got := post(path, body)
				if limited := got.Code == 429; limited != (i >= 32) || limited && got.Header().Get("Retry-After") != "1" {
					t.Fatalf("%s, repetition %d: %d, Retry-After %q", path, i, got.Code, got.Header().Get("Retry-After"))
				}
			}
		}
		if got := post("/v1/checkpoints", a.note(21)); got.Code != 202 {
			t.Errorf("%d: %s", got.Code, got.Body)
		}
		mustCosign(t, w, a.request(20, 22))
		file := must(must(proof.NewEvidence(a.note(9), b.note(9))).Format())
		if got := post("/v1/evidence", file); got.Code != 201 {
			t.Errorf("%d: %s", got.Code, got.Body)
		}
		time.Sleep(time.Minute)
		if got := post("/v1/evidence", file); got.Code != 200 {
			t.Errorf("%d: %s", got.Code, got.Body)
		}
	})
}

func TestRateOverHTTP(t *testing.T) {
	r := newTestServer(t)
	slow := logListOf(origin, sharedKeys().log...)
	slow[0].QPD = 1
	if err := r.w.SetLogs(slow); err != nil {
		t.Fatal(err)
	}
	r.addCheckpoint(t, r.a.request(0, 1))
	r.addCheckpoint(t, r.a.request(1, 2))
	got := r.addCheckpoint(t, r.a.request(2, 3))
	if got.status != 429 || len(got.header.Get("Retry-After")) != len("86400") {
		t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

// Labels come from the list: whatever origins are asked for, those of the list are
// the only ones counted, and one that left it is gone.
func TestMetricLabels(t *testing.T) {
	cfg := config(t, "w1.example")
	reg := cfg.Metrics.(*prometheus.Registry)
	w := mustOpen(t, cfg)
	h := newTestLog(sharedKeys(), 20, 20, "")
	mustCosign(t, w, h.request(0, 5))
	for _, q := range []wire.AddCheckpoint{{Note: noteOfUnlistedLog()}, {Note: []byte("evil\n0\n")}, h.request(0, 6), {Note: noteByUnknownKey(h)}} {
		w.Cosign(t.Context(), q)
	}
	want := []string{
		`docket_witness_halted{origin="log.example/1"} 0`,
		`docket_witness_requests_total{origin="log.example/1",status="200"} 1`,
		`docket_witness_requests_total{origin="log.example/1",status="403"} 1`,
		`docket_witness_requests_total{origin="log.example/1",status="409"} 1`,
		`docket_witness_size{origin="log.example/1"} 5`,
	}
	if got := series(t, reg); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := w.SetLogs(nil); err != nil {
		t.Fatal(err)
	}
	if got := series(t, reg); len(got) != 0 {
		t.Errorf("of a log that left the list: %q", got)
	}
}

// series are the labelled ones, as Prometheus writes them.
func series(t *testing.T, reg *prometheus.Registry) (all []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if len(labels) > 0 {
				all = append(all, fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), m.GetCounter().GetValue()+m.GetGauge().GetValue()))
			}
		}
	}
	return all
}

// Whoever misspells an origin, or gives no source, is told so: at the start, and
// whenever another list is taken.
func TestSourcesAndListDiffer(t *testing.T) {
	const typo, blind = "origin=typo.example", "no source is given"
	var told bytes.Buffer
	cfg := config(t, "w1.example")
	cfg.Log = slog.New(slog.NewTextHandler(&told, nil))
	cfg.Sources = map[string][]string{"typo.example": {"https://log.example"}}
	w := mustOpen(t, cfg)
	check := func(when string, wants ...string) {
		for _, what := range []string{typo, blind} {
			if got := strings.Contains(told.String(), what); got != slices.Contains(wants, what) {
				t.Errorf("%s: %q: %v:\n%s", when, what, got, &told)
			}
		}
		told.Reset()
	}
	check("at the start", typo, blind)
	other := witness.LogList{{Origin: "typo.example", Keys: cfg.Logs[0].Keys, QPD: 1, Contact: "op"}}
	wantErr(t, w.SetLogs(other), nil)
	check("it is on the list")
	wantErr(t, w.SetLogs(nil), nil)
	check("nothing is on the list", typo)
}

// A witness needs keys that are its own, under one name.
func TestOpenRefuses(t *testing.T) {
	c := sharedKeys()
	one, two := c.witness["w1.example"], c.witness["w2.example"]
	for why, keys := range map[string][]witness.Key{
		"no key":    nil,
		"two names": {one[0], two[1]},
		"one twice": {one[0], one[0]},
	} {
		cfg := config(t, "w1.example")
		cfg.Keys = keys
		if _, err := createAndOpen(cfg); err == nil {
			t.Errorf("%s: opened", why)
		}
	}
	for why, change := range map[string]func(*witness.Config){
		"a peer that is no URL": func(c *witness.Config) { c.Peers = []string{"w2.example"} },
		"a source that is none": func(c *witness.Config) { c.Sources = map[string][]string{origin: {"ftp://x"}} },
		"its own key in the list": func(c *witness.Config) {
			c.Logs = witness.LogList{{Origin: origin, QPD: 1, Keys: []proof.Key{one[1].Key()}}}
		},
	} {
		cfg := config(t, "w1.example")
		change(&cfg)
		if _, err := createAndOpen(cfg); err == nil {
			t.Errorf("%s: opened", why)
		}
	}
}

// A crash between keeping a checkpoint and keeping its cosignatures leaves the
// monitoring endpoint with the newest checkpoint all the same, once the log is looked up.
func TestShowsTheNewestAfterACrash(t *testing.T) {
	c := newCrashTest()
	for seed := range uint64(40) {
		p := newCrashInjector(seed)
		w := must(createAndOpen(p.config(c)))
		must(w.Cosign(t.Context(), c.requests[0][0][6]))
		p.failAt(1)
		must(w.Cosign(t.Context(), c.requests[0][6][8])) // the power fails on its first write
		w.Close()
		cfg := p.config(c)
		cfg.FS = p.diskAfterCrash()
		w = must(createAndOpen(cfg))
		w.LookUp(t.Context())
		note, err := w.Latest(t.Context(), origin)
		if err != nil {
			t.Fatal(err)
		}
		checkCosigned(t, w, note)
		if cp, _, _ := proof.ParseCheckpoint(note); cp.Size != 6 && cp.Size != 8 {
			t.Errorf("size %d", cp.Size)
		}
		w.Close()
	}
}

// Whoever no longer waits is not served, and disturbs nobody.
func TestCanceled(t *testing.T) {
	w := mustOpen(t, config(t, "w1.example"))
	h := newTestLog(sharedKeys(), 20, 20, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Cosign(ctx, h.request(0, 5)); err != nil && !errors.Is(err, ctx.Err()) {
		t.Error(err)
	}
	stale := new(witness.ConflictError)
	if _, err := w.Cosign(t.Context(), h.request(1, 6)); !asErr(err, &stale) {
		t.Error(err)
	}
}
