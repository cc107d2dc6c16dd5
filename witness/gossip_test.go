package witness_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
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
		r := gossip(t, tn.witnesses[name])
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
		if r := gossip(t, tn.witnesses[name]); r.Waiting != 0 || r.Evidence != 0 || r.Fetched != 3 {
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
				if r := gossip(t, w); r.Evidence != 0 || r.Delivered != 0 {
					t.Fatalf("%+v", r)
				}
			}
			checkEvidence(t, w, 0)
			mustCosign(t, w, a.request(5, 12))
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
		says   witness.ComparisonResult
		rounds int // until there is evidence; 0: never
	}{
		{"our own", a.note(20), witness.Consistent, 0},
		{"ours, before we came", a.note(11), witness.NotYetCompared, 0},
		{"ours, after us", a.note(25), witness.AheadOfKnown, 0},
		{"the empty tree", a.note(0), witness.Consistent, 0},
		{"before the fork", b.note(3), witness.NotYetCompared, 0},
		{"same size", b.note(20), witness.Forked, 0},
		{"smaller", b.note(11), witness.NotYetCompared, 1},
		{"larger than what the log shows", b.note(39), witness.AheadOfKnown, 0},
		{"larger, but not than what the log shows", b.note(22), witness.AheadOfKnown, 1},
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
			if tc.says == witness.Forked {
				want = 1
			}
			checkEvidence(t, w, want)
			gossip(t, w)
			checkEvidence(t, w, max(want, tc.rounds))
			// What could not be compared was not forgotten: once the log shows more of
			// the first history, the second is found out.
			tn.servedTo["w1.example"] = &tileServer{a, 40}
			gossip(t, w)
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
			wantErr(t, err, witness.ErrPendingFull)
			refused++
		}
	}
	if refused != 36 {
		t.Errorf("%d of 100 were refused, want 36", refused)
	}
	mustCosign(t, tn.witnesses["w2.example"], b.request(0, 200))
	tn.servedTo["w1.example"] = &tileServer{a, 300}
	if r := gossip(t, w); r.Evidence != 1 {
		t.Errorf("the peer's fork was not found: %+v", r)
	}
	if _, err := w.AddSeenCheckpoint(t.Context(), a.note(150)); err != nil {
		t.Errorf("there is room again after a round: %v", err)
	}
}
