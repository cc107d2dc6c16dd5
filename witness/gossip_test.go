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

// town is some witnesses and a log that may show each of them another history.
type town struct {
	net       *network
	witnesses map[string]*witness.Witness
	shows     map[string]*server // what the log shows to whom
}

// newTown has witnesses that are each other's peers. Each reads the log under one
// name, and is shown what the test says.
func newTown(t *testing.T, names ...string) *town {
	tn := &town{net: newNetwork(), witnesses: map[string]*witness.Witness{}, shows: map[string]*server{}}
	for _, name := range names {
		cfg := config(t, name)
		cfg.Sources = map[string][]string{origin: {"https://log.example"}}
		cfg.Transport = standpoint{tn, name}
		for _, peer := range names {
			if peer != name {
				cfg.Peers = append(cfg.Peers, "https://"+peer+"/w")
			}
		}
		w := open(t, cfg)
		tn.witnesses[name] = w
		tn.net.hosts[name] = http.StripPrefix("/w", w.Handler())
	}
	return tn
}

// standpoint is the network as one witness sees it.
type standpoint struct {
	town *town
	name string
}

func (s standpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "log.example" {
		shown := s.town.shows[s.name]
		own := &network{hosts: map[string]http.Handler{}}
		if shown != nil {
			own.hosts["log.example"] = shown
		}
		return own.RoundTrip(r)
	}
	return s.town.net.RoundTrip(r)
}

// round lets every witness gossip once, in the order of their names.
func (tn *town) round(t *testing.T) (found, delivered int) {
	for _, name := range slices.Sorted(maps.Keys(tn.witnesses)) {
		r := gossip(t, tn.witnesses[name])
		found += r.Evidence
		delivered += r.Delivered
	}
	return found, delivered
}

func (tn *town) halted(t *testing.T, h map[string]*history) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(tn.witnesses)) {
		w := tn.witnesses[name]
		cp, _, err := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Cosign(t.Context(), h[name].ask(cp.Size, cp.Size+1))
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
			_, err = e.Verify(players().log[0].Key())
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
	c := players()
	a, b := newHistory(c, 40, 40, ""), newHistory(c, 40, fork, "B")
	for m := uint64(1); m <= top; m++ {
		for n := uint64(1); n <= top; n++ {
			tn := newTown(t, "w1.example", "w2.example")
			w1, w2 := tn.witnesses["w1.example"], tn.witnesses["w2.example"]
			tn.shows["w1.example"], tn.shows["w2.example"] = &server{a, m}, &server{b, n}
			mustCosign(t, w1, a.ask(0, m))
			mustCosign(t, w2, b.ask(0, n))
			tn.net.cut("w1.example", true)
			tn.net.cut("w2.example", true)
			if found, _ := tn.round(t); found != 0 {
				t.Fatalf("evidence while they are apart (sizes %d, %d)", m, n)
			}
			tn.net.cut("w1.example", false)
			tn.net.cut("w2.example", false)
			tn.round(t)
			forked := m > fork && n > fork
			want := 0
			if forked {
				want = 1
			}
			checkEvidence(t, w1, want)
			checkEvidence(t, w2, want)
			halted := tn.halted(t, map[string]*history{"w1.example": a, "w2.example": b})
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
	tn := newTown(t, names...)
	a := newHistory(players(), 320, 320, "")
	at := map[string]uint64{}
	for step := range 40 {
		for i, name := range names {
			size := uint64(step*8 + i*3)
			tn.shows[name] = &server{a, size + 1}
			if step%(i+2) == 0 {
				mustCosign(t, tn.witnesses[name], a.ask(at[name], size))
				at[name] = size
			}
			tn.net.cut(name, step%5 == i)
		}
		if found, _ := tn.round(t); found != 0 {
			t.Fatalf("evidence against an honest log at step %d", step)
		}
	}
	for _, name := range names {
		tn.net.cut(name, false)
		tn.shows[name] = &server{a, 320}
		mustCosign(t, tn.witnesses[name], a.ask(at[name], 320))
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
	a, b := newHistory(players(), 40, 40, ""), newHistory(players(), 40, 3, "B")
	for name, shown := range map[string]http.Handler{
		"no answer":             nil,
		"nonsense":              http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("nonsense\n")) }),
		"a stranger's key":      http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(strangersNote(a)) }),
		"another log":           http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(otherNote()) }),
		"tiles of another tree": mixed{&server{a, 12}, &server{b, 40}},
		"no tiles":              mixed{&server{a, 12}, http.NotFoundHandler()},
		"endless":               http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(make([]byte, 1<<20)) }),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "w1.example")
			net := newNetwork()
			net.hosts["log.example"], net.hosts["w2.example"] = shown, shown
			cfg.Transport, cfg.Peers = net, []string{"https://w2.example"}
			cfg.Sources = map[string][]string{origin: {"https://log.example"}}
			w := open(t, cfg)
			mustCosign(t, w, a.ask(0, 5))
			for range 3 {
				if r := gossip(t, w); r.Evidence != 0 || r.Delivered != 0 {
					t.Fatalf("%+v", r)
				}
			}
			checkEvidence(t, w, 0)
			mustCosign(t, w, a.ask(5, 12))
		})
	}
}

// mixed shows the checkpoint of one and the tiles of another.
type mixed struct{ checkpoint, tiles http.Handler }

func (m mixed) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/tile/") {
		m.tiles.ServeHTTP(rw, r)
		return
	}
	m.checkpoint.ServeHTTP(rw, r)
}

func strangersNote(h *history) []byte {
	return must(proof.SignCheckpoint(h.checkpoint(7), players().stranger)).Note()
}

func otherNote() []byte {
	s := newSigner(proof.Ed25519, "other.example")
	return must(proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example", Root: proof.EmptyRoot()}, s)).Note()
}

// A client was shown a fork that no witness has cosigned, and hands it in over HTTP:
// of the same size it is evidence at once, of another size after the next round,
// wherever the tiles of the larger can be read.
func TestHandedIn(t *testing.T) {
	a, b := newHistory(players(), 40, 40, ""), newHistory(players(), 40, 3, "B")
	for _, tc := range []struct {
		name   string
		note   []byte
		says   witness.Verdict
		rounds int // until there is evidence; 0: never
	}{
		{"our own", a.note(20), witness.OnOurLine, 0},
		{"ours, before we came", a.note(11), witness.NotCompared, 0},
		{"ours, after us", a.note(25), witness.Beyond, 0},
		{"the empty tree", a.note(0), witness.OnOurLine, 0},
		{"before the fork", b.note(3), witness.NotCompared, 0},
		{"same size", b.note(20), witness.InEvidence, 0},
		{"smaller", b.note(11), witness.NotCompared, 1},
		{"larger than what the log shows", b.note(39), witness.Beyond, 0},
		{"larger, but not than what the log shows", b.note(22), witness.Beyond, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tn := newTown(t, "w1.example")
			w := tn.witnesses["w1.example"]
			tn.shows["w1.example"] = &server{a, 30}
			mustCosign(t, w, a.ask(0, 20))
			if got, err := w.See(t.Context(), tc.note); err != nil || got != tc.says {
				t.Fatalf("%q, %v, want %q", got, err, tc.says)
			}
			want := 0
			if tc.says == witness.InEvidence {
				want = 1
			}
			checkEvidence(t, w, want)
			gossip(t, w)
			checkEvidence(t, w, max(want, tc.rounds))
			// What could not be compared was not forgotten: once the log shows more of
			// the first history, the second is found out.
			tn.shows["w1.example"] = &server{a, 40}
			gossip(t, w)
			if tc.name == "larger than what the log shows" {
				want = 1
			}
			checkEvidence(t, w, max(want, tc.rounds))
		})
	}
}

func TestHandedInOverHTTP(t *testing.T) {
	r := newRig(t)
	mustCosign(t, r.w, r.a.ask(0, 20))
	c := must(wire.NewWitness(r.url, nil))
	for _, note := range [][]byte{r.a.note(20), r.a.note(10), r.b.note(20)} {
		if err := c.HandIn(t.Context(), note); err != nil {
			t.Error(err)
		}
	}
	for want, body := range map[int][]byte{
		400: []byte("nonsense\n"),
		403: strangersNote(r.a),
		404: otherNote(),
	} {
		if got := r.do(t, "POST", "/v1/checkpoints", body); got.status != want {
			t.Errorf("%d, want %d: %s", got.status, want, got.body)
		}
	}
	ids, err := c.EvidenceIDs(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	file, err := c.Evidence(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	view, err := must(proof.ParseEvidence(file)).Verify(players().log[0].Key())
	if err != nil || view.Kind() != proof.SplitSameSize {
		t.Errorf("%v, %v", view, err)
	}
}

// Strangers cannot fill the witness with old checkpoints of a log, nor crowd out what
// peers show.
func TestHandInsAreBounded(t *testing.T) {
	tn := newTown(t, "w1.example", "w2.example")
	w := tn.witnesses["w1.example"]
	a, b := newHistory(players(), 300, 300, ""), newHistory(players(), 300, 3, "B")
	mustCosign(t, w, a.ask(0, 250))
	refused := 0
	for n := uint64(1); n <= 100; n++ {
		if _, err := w.See(t.Context(), a.note(n)); err != nil {
			wantErr(t, err, witness.ErrNotNow)
			refused++
		}
	}
	if refused != 36 {
		t.Errorf("%d of 100 were refused, want 36", refused)
	}
	mustCosign(t, tn.witnesses["w2.example"], b.ask(0, 200))
	tn.shows["w1.example"] = &server{a, 300}
	if r := gossip(t, w); r.Evidence != 1 {
		t.Errorf("the peer's fork was not found: %+v", r)
	}
	if _, err := w.See(t.Context(), a.note(150)); err != nil {
		t.Errorf("there is room again after a round: %v", err)
	}
}
