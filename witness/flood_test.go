package witness_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

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
			if got := must(w1.AddSeenCheckpoint(t.Context(), b.note(5))); got != witness.NotYetCompared {
				t.Fatal(got)
			}
			for n := uint64(6); n <= 80; n++ {
				replay(w1, n) // whatever comes of it
			}
			if r := gossip(t, w1); r.Evidence != 1 {
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
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(4))); got != witness.Consistent {
		t.Error(got)
	}
	for range 3 {
		told.Reset()
		if r := gossip(t, w); r.Evidence != 0 || r.Waiting != 65 { // with what the log shows
			t.Errorf("%+v", r)
		}
		if n := strings.Count(told.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings in a round, want 1:\n%s", n, &told)
		}
		flood(1 << 41)
	}
	// Ahead of us, but not of what the log has shown to extend ours.
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(29))); got == witness.Forked {
		t.Error(got)
	}
	w.Close()
	w = must(createAndOpen(cfg))
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(3))); got != witness.Forked {
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
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(40))); got != witness.AheadOfKnown {
		t.Error(got)
	}
	if _, err := w.AddSeenCheckpoint(t.Context(), must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1 << 41}, sharedKeys().log...)).Note()); err == nil {
		t.Error("a larger tree found room")
	}
	tn.servedTo["w1.example"] = &tileServer{a, 50}
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(45))); got != witness.CoveredByLarger {
		t.Error(got)
	}
	// What the log shows is as far as anybody can see, and another of that size is a lie.
	if got := must(w.AddSeenCheckpoint(t.Context(), a.note(50))); got != witness.NotYetCompared {
		t.Error(got)
	}
	if r := gossip(t, w); r.Evidence != 1 {
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
	gossip(t, w)
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(20))); got != witness.Forked {
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
	gossip(t, w)
	mustCosign(t, w, a.request(3, 8))
	net.hosts["log.example"] = &tileServer{a, 8}
	gossip(t, w)
	checkEvidence(t, w, 1)
}
