package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

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
		slow := new(witness.RateError)
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
// monitoring endpoint with the newest checkpoint all the same.
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
