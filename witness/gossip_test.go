package witness_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// gossipNetwork is some witnesses and a log that may show each of them another history.
type gossipNetwork struct {
	net       *network
	witnesses map[string]*witness.Witness
	servedTo  map[string]*tileServer // what the log shows to whom
}

// newGossipNetwork has witnesses that are each other's peers. Each reads the log under one
// name, and is shown what the test says.
func newGossipNetwork(t *testing.T, names ...string) *gossipNetwork {
	tn := &gossipNetwork{net: newNetwork(), witnesses: map[string]*witness.Witness{}, servedTo: map[string]*tileServer{}}
	for _, name := range names {
		cfg := config(t, name)
		cfg.Sources = map[string][]string{origin: {"https://log.example"}}
		cfg.Transport = viewTransport{tn, name}
		for _, peer := range names {
			if peer != name {
				cfg.Peers = append(cfg.Peers, "https://"+peer+"/w")
			}
		}
		w := mustOpen(t, cfg)
		tn.witnesses[name] = w
		tn.net.hosts[name] = http.StripPrefix("/w", w.Handler())
	}
	return tn
}

// viewTransport is the network as one witness sees it.
type viewTransport struct {
	network *gossipNetwork
	name    string
}

func (s viewTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "log.example" {
		shown := s.network.servedTo[s.name]
		own := &network{hosts: map[string]http.Handler{}}
		if shown != nil {
			own.hosts["log.example"] = shown
		}
		return own.RoundTrip(r)
	}
	return s.network.net.RoundTrip(r)
}

// round lets every witness gossip once, in the order of their names.
func (tn *gossipNetwork) round(t *testing.T) (found, delivered int) {
	for _, name := range slices.Sorted(maps.Keys(tn.witnesses)) {
		r := round(t, tn.witnesses[name])
		found += r.Evidence
		delivered += r.Delivered
	}
	return found, delivered
}

func (tn *gossipNetwork) halted(t *testing.T, h map[string]*testLog) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(tn.witnesses)) {
		w := tn.witnesses[name]
		cp, _, err := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Cosign(t.Context(), h[name].request(cp.Size, cp.Size+1))
		halted := new(witness.HaltedError)
		switch {
		case asErr(err, &halted):
			names = append(names, name)
		case err != nil:
			t.Fatal(err)
		}
	}
	return names
}

// checkEvidence: all that a witness keeps verifies offline with the log's key.
func checkEvidence(t *testing.T, w *witness.Witness, want int) {
	t.Helper()
	all := must(w.Evidence().List())
	if len(all) != want {
		t.Fatalf("%s keeps %d pieces of evidence, want %d", w.Name(), len(all), want)
	}
	for _, k := range all {
		e, err := proof.ParseEvidence(k.File)
		if err == nil {
			_, err = e.Verify(sharedKeys().log[0].Key())
		}
		if err != nil {
			t.Errorf("%s: %v", w.Name(), err)
		}
	}
}

// A log shows one history to w1 and another to w2, at every pair of sizes above the
// fork and below it, to which it brought them before; then the two can talk. Within
// one round both hold evidence and cosign nothing more of it.
func TestForkIsFoundInOneRound(t *testing.T) {
	const fork, top = 3, 8
	c := sharedKeys()
	a, b := newTestLog(c, 40, 40, ""), newTestLog(c, 40, fork, "B")
	for m := uint64(1); m <= top; m++ {
		for n := uint64(1); n <= top; n++ {
			tn := newGossipNetwork(t, "w1.example", "w2.example")
			w1, w2 := tn.witnesses["w1.example"], tn.witnesses["w2.example"]
			tn.servedTo["w1.example"], tn.servedTo["w2.example"] = &tileServer{a, m}, &tileServer{b, n}
			mustCosign(t, w1, a.request(0, m))
			mustCosign(t, w2, b.request(0, n))
			tn.net.setDown("w1.example", true)
			tn.net.setDown("w2.example", true)
			if found, _ := tn.round(t); found != 0 {
				t.Fatalf("evidence while they are apart (sizes %d, %d)", m, n)
			}
			tn.net.setDown("w1.example", false)
			tn.net.setDown("w2.example", false)
			tn.round(t)
			forked := m > fork && n > fork
			want := 0
			if forked {
				want = 1
			}
			checkEvidence(t, w1, want)
			checkEvidence(t, w2, want)
			halted := tn.halted(t, map[string]*testLog{"w1.example": a, "w2.example": b})
			if (len(halted) == 2) != forked {
				t.Fatalf("halted: %v (sizes %d, %d)", halted, m, n)
			}
		}
	}
}

// A log that only grows, with witnesses at all sizes, one unreachable at times: no
// evidence, ever, and nothing is left waiting once all have caught up.
func TestNoEvidenceWithoutAFork(t *testing.T) {
	names := []string{"w1.example", "w2.example", "w3.example"}
	tn := newGossipNetwork(t, names...)
	a := newTestLog(sharedKeys(), 320, 320, "")
	at := map[string]uint64{}
	for step := range 40 {
		for i, name := range names {
			size := uint64(step*8 + i*3)
			tn.servedTo[name] = &tileServer{a, size + 1}
			if step%(i+2) == 0 {
				mustCosign(t, tn.witnesses[name], a.request(at[name], size))
				at[name] = size
			}
			tn.net.setDown(name, step%5 == i)
		}
		if found, _ := tn.round(t); found != 0 {
			t.Fatalf("evidence against an honest log at step %d", step)
		}
	}
	for _, name := range names {
		tn.net.setDown(name, false)
		tn.servedTo[name] = &tileServer{a, 320}
		mustCosign(t, tn.witnesses[name], a.request(at[name], 320))
	}
	for _, name := range names {
		if r := round(t, tn.witnesses[name]); r.Waiting != 0 || r.Evidence != 0 || r.Fetched != 3 {
			t.Errorf("%s: %+v", name, r)
		}
		checkEvidence(t, tn.witnesses[name], 0)
	}
}

// What cannot be fetched or does not add up is a suspicion: never evidence, never
// passed on, never halting.
func TestSuspicionsHaltNothing(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	for name, shown := range map[string]http.Handler{
		"no answer":             nil,
		"nonsense":              http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("nonsense\n")) }),
		"a stranger's key":      http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(noteByUnknownKey(a)) }),
		"another log":           http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(noteOfUnlistedLog()) }),
		"tiles of another tree": splitHandler{&tileServer{a, 12}, &tileServer{b, 40}},
		"no tiles":              splitHandler{&tileServer{a, 12}, http.NotFoundHandler()},
		"endless":               http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(make([]byte, 1<<20)) }),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "w1.example")
			net := newNetwork()
			net.hosts["log.example"], net.hosts["w2.example"] = shown, shown
			cfg.Transport, cfg.Peers = net, []string{"https://w2.example"}
			cfg.Sources = map[string][]string{origin: {"https://log.example"}}
			w := mustOpen(t, cfg)
			mustCosign(t, w, a.request(0, 5))
			for range 3 {
				if r := round(t, w); r.Evidence != 0 || r.Delivered != 0 {
					t.Fatalf("%+v", r)
				}
			}
			checkEvidence(t, w, 0)
			mustCosign(t, w, a.request(5, 12))
		})
	}
}

// suspicions is how many a witness has counted.
func suspicions(t *testing.T, metrics prometheus.Gatherer) (n float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "docket_witness_suspicions_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// A witness that is started again, after a stop or a crash, and a log that is, or that shows
// less than a peer has cosigned, as before each publication, are nothing odd. A log that
// never shows what a peer cosigned is.
func TestHonestRestartsRaiseNoSuspicion(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprintf("crash %v", crash), func(t *testing.T) {
			h, net := newTestLog(sharedKeys(), 40, 40, ""), newNetwork()
			var metrics []prometheus.Gatherer
			disks, running := map[string]*vfs.MemFS{}, map[string]*witness.Witness{}
			start := func(name, peer string) {
				cfg := config(t, name)
				registry := prometheus.NewRegistry()
				metrics, cfg.Metrics = append(metrics, registry), registry
				cfg.Transport, cfg.Peers = net, []string{"https://" + peer}
				cfg.Sources = map[string][]string{origin: {"https://log.example"}}
				again := disks[name] != nil
				if !again {
					disks[name] = vfs.NewCrashableMem()
				}
				cfg.FS = disks[name]
				if again {
					running[name] = must(witness.Open(cfg))
					running[name].LookUp(t.Context())
				} else {
					running[name] = must(createAndOpen(cfg))
				}
				net.hosts[name] = running[name].Handler()
			}
			stop := func(name string) {
				if crash {
					disks[name] = disks[name].CrashClone(vfs.CrashCloneCfg{})
				}
				must(0, running[name].Close())
			}
			rounds := func(n int) {
				t.Helper()
				for range n {
					for _, name := range []string{"w1.example", "w2.example"} {
						round(t, running[name])
					}
				}
			}
			wantNone := func(when string) {
				t.Helper()
				for i, m := range metrics {
					if n := suspicions(t, m); n != 0 {
						t.Errorf("%s: %v suspicions, of start %d", when, n, i+1)
					}
				}
			}
			start("w1.example", "w2.example")
			start("w2.example", "w1.example")
			defer func() { running["w1.example"].Close(); running["w2.example"].Close() }()
			net.hosts["log.example"] = &tileServer{h, 8}
			mustCosign(t, running["w1.example"], h.request(0, 8))
			mustCosign(t, running["w2.example"], h.request(0, 8))
			rounds(1)
			wantNone("at one size")
			mustCosign(t, running["w1.example"], h.request(8, 12))
			rounds(2)
			wantNone("one has cosigned what is not published")
			stop("w2.example")
			net.setDown("w2.example", true)
			round(t, running["w1.example"])
			net.setDown("w2.example", false)
			start("w2.example", "w1.example")
			rounds(2)
			wantNone("started again")
			net.setDown("log.example", true)
			rounds(2)
			net.setDown("log.example", false)
			wantNone("the log is started again")
			mustCosign(t, running["w2.example"], h.request(8, 12))
			rounds(1)
			wantNone("what the log shows is behind what both cosigned")
			net.hosts["log.example"] = &tileServer{h, 12}
			for _, w := range running {
				if r := round(t, w); r.Waiting != 0 || r.Evidence != 0 {
					t.Errorf("published: %+v", r)
				}
			}
			wantNone("published")
			mustCosign(t, running["w1.example"], h.request(12, 20))
			rounds(12)
			if n := suspicions(t, metrics[len(metrics)-1]); n == 0 {
				t.Error("what is never published is no suspicion")
			}
		})
	}
}

// splitHandler shows the checkpoint of one and the tiles of another.
type splitHandler struct{ checkpoint, tiles http.Handler }

func (m splitHandler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/tile/") {
		m.tiles.ServeHTTP(rw, r)
		return
	}
	m.checkpoint.ServeHTTP(rw, r)
}

func noteByUnknownKey(h *testLog) []byte {
	return must(proof.SignCheckpoint(h.checkpoint(7), sharedKeys().otherWitness)).Note()
}

func noteOfUnlistedLog() []byte {
	s := newSigner(proof.Ed25519, "other.example")
	return must(proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example", Root: proof.EmptyRoot()}, s)).Note()
}

// A client was shown a fork that no witness has cosigned, and hands it in over HTTP:
// of the same size it is evidence at once, of another size after the next round,
// wherever the tiles of the larger can be read.
func TestAddSeenCheckpoint(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	for _, tc := range []struct {
		name   string
		note   []byte
		says   gossip.Result
		rounds int // until there is evidence; 0: never
	}{
		{"our own", a.note(20), gossip.Consistent, 0},
		{"ours, before we came", a.note(11), gossip.NotYetCompared, 0},
		{"ours, after us", a.note(25), gossip.AheadOfKnown, 0},
		{"the empty tree", a.note(0), gossip.Consistent, 0},
		{"before the fork", b.note(3), gossip.NotYetCompared, 0},
		{"same size", b.note(20), gossip.Forked, 0},
		{"smaller", b.note(11), gossip.NotYetCompared, 1},
		{"larger than what the log shows", b.note(39), gossip.AheadOfKnown, 0},
		{"larger, but not than what the log shows", b.note(22), gossip.AheadOfKnown, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tn := newGossipNetwork(t, "w1.example")
			w := tn.witnesses["w1.example"]
			tn.servedTo["w1.example"] = &tileServer{a, 30}
			mustCosign(t, w, a.request(0, 20))
			if got, err := w.AddSeenCheckpoint(t.Context(), tc.note); err != nil || got != tc.says {
				t.Fatalf("%q, %v, want %q", got, err, tc.says)
			}
			want := 0
			if tc.says == gossip.Forked {
				want = 1
			}
			checkEvidence(t, w, want)
			round(t, w)
			checkEvidence(t, w, max(want, tc.rounds))
			// What could not be compared was not forgotten: once the log shows more of
			// the first history, the second is found out.
			tn.servedTo["w1.example"] = &tileServer{a, 40}
			round(t, w)
			if tc.name == "larger than what the log shows" {
				want = 1
			}
			checkEvidence(t, w, max(want, tc.rounds))
		})
	}
}

func TestAddSeenCheckpointOverHTTP(t *testing.T) {
	r := newTestServer(t)
	mustCosign(t, r.w, r.a.request(0, 20))
	c := must(wire.NewWitness(r.url, nil))
	for _, note := range [][]byte{r.a.note(20), r.a.note(10), r.b.note(20)} {
		if err := c.AddSeenCheckpoint(t.Context(), note); err != nil {
			t.Error(err)
		}
	}
	for want, body := range map[int][]byte{
		400: []byte("nonsense\n"),
		403: noteByUnknownKey(r.a),
		404: noteOfUnlistedLog(),
	} {
		if got := r.do(t, "POST", "/v1/checkpoints", body); got.status != want {
			t.Errorf("%d, want %d: %s", got.status, want, got.body)
		}
	}
	ids, err := c.ListEvidence(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	file, err := c.Evidence(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	view, err := must(proof.ParseEvidence(file)).Verify(sharedKeys().log[0].Key())
	if err != nil || view.Kind() != proof.SplitSameSize {
		t.Errorf("%v, %v", view, err)
	}
}

// Strangers cannot fill the witness with old checkpoints of a log, nor crowd out what
// peers show.
func TestSeenCheckpointsAreBounded(t *testing.T) {
	tn := newGossipNetwork(t, "w1.example", "w2.example")
	w := tn.witnesses["w1.example"]
	a, b := newTestLog(sharedKeys(), 300, 300, ""), newTestLog(sharedKeys(), 300, 3, "B")
	mustCosign(t, w, a.request(0, 250))
	refused := 0
	for n := uint64(1); n <= 100; n++ {
		if _, err := w.AddSeenCheckpoint(t.Context(), a.note(n)); err != nil {
			wantErr(t, err, gossip.ErrPendingFull)
			refused++
		}
	}
	if refused != 36 {
		t.Errorf("%d of 100 were refused, want 36", refused)
	}
	mustCosign(t, tn.witnesses["w2.example"], b.request(0, 200))
	tn.servedTo["w1.example"] = &tileServer{a, 300}
	if r := round(t, w); r.Evidence != 1 {
		t.Errorf("the peer's fork was not found: %+v", r)
	}
	if _, err := w.AddSeenCheckpoint(t.Context(), a.note(150)); err != nil {
		t.Errorf("there is room again after a round: %v", err)
	}
}

// hangingHandler takes a request and says nothing.
var hangingHandler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

// slowHandler answers nothing of use, slowly, and notes what it was asked for.
type slowHandler struct {
	mu    sync.Mutex
	asked map[string]bool
}

func (d *slowHandler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked[r.URL.Path] = true
	d.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-time.After(15 * time.Second):
		http.NotFound(rw, r)
	}
}

// newTestLogs are histories of many logs, a list of them, and where each can be read.
func newTestLogs(n int) (all []*testLog, list witness.LogList, sources map[string][]string) {
	sources = map[string][]string{}
	for i := range n {
		name := fmt.Sprintf("log-%02d.example", i)
		s := newSigner(proof.Ed25519, name)
		h := newTestLog(sharedKeys(), 12, 12, "")
		h.origin, h.signers = name, []*proof.Signer{s}
		all = append(all, h)
		list = append(list, logListOf(name, s)...)
		sources[name] = []string{"https://" + name}
	}
	return all, list, sources
}

// rewrittenLog is the same log with another end.
func rewrittenLog(h *testLog) *testLog {
	other := newTestLog(sharedKeys(), 12, 3, "B")
	other.origin, other.signers = h.origin, h.signers
	return other
}

// Peers that hang or drip, and logs that hang with their tiles, cost a witness of many
// logs some time; the evidence that it has goes out first, and a fork of another log
// is found and passed on in the same round.
func TestSlowPeersDelayNoOthers(t *testing.T) {
	const n, lazy = 40, 30
	all, list, sources := newTestLogs(n)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		slow := &slowHandler{asked: map[string]bool{}}
		net.hosts["a.example"], net.hosts["b.example"] = hangingHandler, slow
		start := func(name string, peers ...string) *witness.Witness {
			cfg := config(t, name)
			cfg.Logs, cfg.Sources, cfg.Peers, cfg.Transport, cfg.Parallel = list, sources, peers, net, 0
			w := must(createAndOpen(cfg))
			net.hosts[name] = w.Handler()
			return w
		}
		w1 := start("w1.example", "https://a.example", "https://b.example", "https://w2.example")
		w2 := start("w2.example")
		defer w1.Close()
		defer w2.Close()
		for i, h := range all {
			net.hosts[h.origin] = &tileServer{h, 12}
			if i < lazy {
				net.hosts[h.origin] = splitHandler{&tileServer{h, 12}, hangingHandler}
			}
			mustCosign(t, w1, h.request(0, 10))
			if i < n-1 {
				mustCosign(t, w2, h.request(0, 7))
			}
		}
		mustCosign(t, w2, rewrittenLog(all[n-1]).request(0, 7))
		known := must(proof.NewEvidence(all[n-2].note(7), rewrittenLog(all[n-2]).note(7)))
		if _, _, err := w1.AcceptEvidence(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			checkEvidenceCount(t, w2, 1)
		}()
		r := round(t, w1)
		if r.Evidence != 1 || r.Delivered != 2 {
			t.Errorf("%+v", r)
		}
		checkEvidenceCount(t, w2, 2)
		if took := time.Since(begun); took > 4*time.Minute {
			t.Errorf("the round took %v", took)
		}
		for range n {
			round(t, w1)
		}
		count := 0
		for path := range slow.asked {
			if strings.HasSuffix(path, "/checkpoint") {
				count++
			}
		}
		if count != n {
			t.Errorf("the slow peer was asked about %d logs of %d", count, n)
		}
	})
}

// callTimeout is how long a round waits for one answer.
const callTimeout = 20 * time.Second

// Gossip that hangs with its peers and its sources, whose queues are full, and that is
// stuck in the middle of a write of evidence against another log: whoever asks for a
// cosignature does not notice, nor who is refused.
func TestGossipHoldsUpNoCosignature(t *testing.T) {
	c := sharedKeys()
	a := newTestLog(c, 100, 100, "")
	others, list, _ := newTestLogs(1)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.hosts["log.example"], net.hosts["p.example"] = hangingHandler, hangingHandler
		var stuck atomic.Bool
		unstick := make(chan struct{})
		cfg := config(t, "w1.example")
		cfg.FS = errorfs.Wrap(cfg.FS, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if stuck.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "evidence") {
				<-unstick
			}
			return nil
		}))
		cfg.Transport, cfg.Peers, cfg.Sources = net, []string{"https://p.example"}, map[string][]string{origin: {"https://log.example"}}
		cfg.Logs = append(cfg.Logs, list...)
		w := must(createAndOpen(cfg))
		defer w.Close()
		mustCosign(t, w, a.request(0, 80))
		for n := uint64(1); n < 80; n++ {
			w.Cosign(t.Context(), a.request(0, n))
			w.AddSeenCheckpoint(t.Context(), a.note(n))
		}
		ctx, stop := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		busy.Go(func() { w.Gossip(ctx) })
		stuck.Store(true)
		busy.Go(func() {
			e := must(proof.NewEvidence(others[0].note(7), rewrittenLog(others[0]).note(7)))
			if _, isNew, err := w.AcceptEvidence(ctx, e); !isNew || err != nil {
				t.Errorf("%v, %v", isNew, err)
			}
		})
		for at := uint64(80); at < 82; at++ { // while the peer hangs, and while the log does
			synctest.Wait()
			begun := time.Now()
			mustCosign(t, w, a.request(at, at+1))
			wantStale(t, w, a, at+1)
			if took := time.Since(begun); took > 0 {
				t.Errorf("at %d it took %s", at, took)
			}
			time.Sleep(callTimeout + callTimeout/2)
		}
		close(unstick)
		stop()
		busy.Wait()
	})
}

func checkEvidenceCount(t *testing.T, w *witness.Witness, want int) {
	if all := must(w.Evidence().List()); len(all) != want {
		t.Errorf("%s keeps %d pieces of evidence, want %d", w.Name(), len(all), want)
	}
}

// A peer that does not serve a log yet, or does not know the key that signed, gets the
// evidence once its list has changed; what it has is not sent again.
func TestEvidenceIsOfferedAgain(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 12, 12, ""), newTestLog(sharedKeys(), 12, 3, "B")
	known := must(proof.NewEvidence(a.note(7), b.note(7)))
	for why, list := range map[string]witness.LogList{
		"it does not serve the log":  nil,
		"it does not know the key":   logListOf(origin, sharedKeys().otherWitness),
		"it is not there":            logListOf(origin, sharedKeys().log...),
		"it lives behind a bad gate": logListOf(origin, sharedKeys().log...),
	} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork()
				cfg := config(t, "w1.example")
				cfg.Peers, cfg.Transport = []string{"https://w2.example"}, net
				w1 := must(createAndOpen(cfg))
				cfg = config(t, "w2.example")
				cfg.Logs = list
				w2 := must(createAndOpen(cfg))
				defer w1.Close()
				defer w2.Close()
				if _, _, err := w1.AcceptEvidence(t.Context(), known); err != nil {
					t.Fatal(err)
				}
				calls := 0
				counted := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/v1/evidence" {
						calls++
					}
					w2.Handler().ServeHTTP(rw, r)
				})
				net.hosts["w2.example"] = counted
				pause := time.Hour
				switch why {
				case "it is not there":
					net.hosts["w2.example"], pause = nil, time.Minute
				case "it lives behind a bad gate":
					net.hosts["w2.example"], pause = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
						rw.Header().Set("Retry-After", "600")
						http.Error(rw, "later", http.StatusServiceUnavailable)
					}), 10*time.Minute
				}
				for range 3 {
					if r := round(t, w1); r.Delivered != 0 {
						t.Fatalf("%+v", r)
					}
				}
				if calls > 1 {
					t.Errorf("it was asked %d times at once", calls)
				}
				net.hosts["w2.example"] = counted
				if err := w2.SetLogs(logListOf(origin, sharedKeys().log...)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(pause)
				if r := round(t, w1); r.Delivered != 1 {
					t.Errorf("%+v", r)
				}
				checkEvidenceCount(t, w2, 1)
				calls = 0
				time.Sleep(2 * pause)
				if r := round(t, w1); r.Delivered != 0 || calls != 0 {
					t.Errorf("sent again: %+v", r)
				}
			})
		})
	}
}

// A stranger without a key replays the log's genuine old notes, by either way, and a
// peer shows one more: a fork that a client handed in before is found all the same,
// within one round.
func TestReplayedCheckpointsDoNotHideAFork(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 300, 300, ""), newTestLog(sharedKeys(), 300, 3, "B")
	replays := map[string]func(*witness.Witness, uint64) error{
		"handed in": func(w *witness.Witness, n uint64) error {
			_, err := w.AddSeenCheckpoint(t.Context(), a.note(n))
			return err
		},
		"submitted": func(w *witness.Witness, n uint64) error { _, err := w.Cosign(t.Context(), a.request(0, n)); return err },
	}
	for name, replay := range replays {
		t.Run(name, func(t *testing.T) {
			tn := newGossipNetwork(t, "w1.example", "w2.example")
			w1 := tn.witnesses["w1.example"]
			tn.servedTo["w1.example"] = &tileServer{a, 300}
			mustCosign(t, w1, a.request(0, 250))
			mustCosign(t, tn.witnesses["w2.example"], a.request(0, 260))
			if got := must(w1.AddSeenCheckpoint(t.Context(), b.note(5))); got != gossip.NotYetCompared {
				t.Fatal(got)
			}
			for n := uint64(6); n <= 80; n++ {
				replay(w1, n) // whatever comes of it
			}
			if r := round(t, w1); r.Evidence != 1 {
				t.Errorf("%+v", r)
			}
			checkEvidence(t, w1, 1)
		})
	}
}

// The log itself floods a witness with trees of which nobody can know anything: it
// stays open to what can be compared, then and after a restart, and says so once a
// round.
func TestFloodDoesNotBlockOtherCheckpoints(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 60, 60, ""), newTestLog(sharedKeys(), 60, 2, "B")
	var told bytes.Buffer
	net := newNetwork()
	net.hosts["log.example"] = &tileServer{a, 30}
	cfg := config(t, "w1.example")
	cfg.Sources = map[string][]string{origin: {"https://log.example"}}
	cfg.Transport, cfg.Log = net, slog.New(slog.NewTextHandler(&told, nil))
	w := must(createAndOpen(cfg))
	defer func() { w.Close() }()
	mustCosign(t, w, a.request(0, 10))
	flood := func(from uint64) (kept int) {
		for i := range uint64(80) {
			cp := proof.Checkpoint{Origin: origin, Size: from + i, Root: proof.LeafHash([]byte{byte(i)})}
			note := must(proof.SignCheckpoint(cp, sharedKeys().log...)).Note()
			if _, err := w.AddSeenCheckpoint(t.Context(), note); err == nil {
				kept++
			}
		}
		return kept
	}
	if kept := flood(1 << 40); kept != 64 {
		t.Errorf("%d of 80 are kept, want 64", kept)
	}
	// Ours and older: it is compared at once, since there is no room to wait.
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(4))); got != gossip.Consistent {
		t.Error(got)
	}
	for range 3 {
		told.Reset()
		if r := round(t, w); r.Evidence != 0 || r.Waiting != 65 { // with what the log shows
			t.Errorf("%+v", r)
		}
		if n := strings.Count(told.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings in a round, want 1:\n%s", n, &told)
		}
		flood(1 << 41)
	}
	// Ahead of us, but not of what the log has shown to extend ours.
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(29))); got == gossip.Forked {
		t.Error(got)
	}
	w.Close()
	w = must(createAndOpen(cfg))
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(3))); got != gossip.Forked {
		t.Error(got)
	}
	checkEvidence(t, w, 1)
}

// Of what is larger than all that is known the smallest waits, whatever the log makes
// up: it is compared first, and if it is a lie, the log is caught with it first. If the
// log shows more by now, it is compared at once.
func TestSmallerPendingReplacesLargest(t *testing.T) {
	tn := newGossipNetwork(t, "w1.example")
	w := tn.witnesses["w1.example"]
	a, b := newTestLog(sharedKeys(), 60, 60, ""), newTestLog(sharedKeys(), 60, 3, "B")
	tn.servedTo["w1.example"] = &tileServer{a, 20}
	mustCosign(t, w, a.request(0, 10))
	for i := range uint64(64) {
		cp := proof.Checkpoint{Origin: origin, Size: 1<<40 + i, Root: proof.LeafHash(nil)}
		must(w.AddSeenCheckpoint(t.Context(), must(proof.SignCheckpoint(cp, sharedKeys().log...)).Note()))
	}
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(40))); got != gossip.AheadOfKnown {
		t.Error(got)
	}
	if _, err := w.AddSeenCheckpoint(t.Context(), must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1 << 41}, sharedKeys().log...)).Note()); err == nil {
		t.Error("a larger tree found room")
	}
	tn.servedTo["w1.example"] = &tileServer{a, 50}
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(45))); got != gossip.CoveredByLarger {
		t.Error(got)
	}
	// What the log shows is as far as anybody can see, and another of that size is a lie.
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(50))); got != gossip.NotYetCompared {
		t.Error(got)
	}
	if r := round(t, w); r.Evidence != 1 {
		t.Errorf("%+v", r)
	}
}

// Another tree of the size that the log was seen at last is evidence at once, though
// we have cosigned neither.
func TestNewestFromLogIsCompared(t *testing.T) {
	tn := newGossipNetwork(t, "w1.example")
	w := tn.witnesses["w1.example"]
	a, b := newTestLog(sharedKeys(), 60, 60, ""), newTestLog(sharedKeys(), 60, 3, "B")
	tn.servedTo["w1.example"] = &tileServer{a, 20}
	mustCosign(t, w, a.request(0, 10))
	round(t, w)
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(20))); got != gossip.Forked {
		t.Error(got)
	}
}

// A larger tree that begins with one that was handed in does not speak for it for good:
// the log decides which that is, and whether anybody ever sees its tiles again.
func TestClientCheckpointIsRetained(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 60, 60, ""), newTestLog(sharedKeys(), 400, 3, "B")
	net := newNetwork()
	cfg := config(t, "w1.example")
	cfg.Sources = map[string][]string{origin: {"https://log.example"}}
	cfg.Transport = net
	w := mustOpen(t, cfg)
	mustCosign(t, w, a.request(0, 3))
	must(w.AddSeenCheckpoint(t.Context(), b.note(5)))
	net.hosts["log.example"] = &tileServer{b, 400}
	round(t, w)
	mustCosign(t, w, a.request(3, 8))
	net.hosts["log.example"] = &tileServer{a, 8}
	round(t, w)
	checkEvidence(t, w, 1)
}
