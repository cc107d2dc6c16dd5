package witness_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

func acknowledgement(why string) gossip.Acknowledgement {
	return gossip.Acknowledgement{By: "op@w1.example", Reason: why}
}

// A crash right after the evidence takes nothing from what the witness shows of a halted
// log, whose newest checkpoint it does not sign again; one before the evidence takes the
// last cosignatures at most.
func TestHaltedLogShownAfterCrash(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 9, 9, ""), newTestLog(sharedKeys(), 9, 3, "B")
	cfg := config(t, "w1.example")
	disk := vfs.NewCrashableMem()
	cfg.FS = disk
	w := mustOpen(t, cfg)
	mustCosign(t, w, a.request(0, 4))
	mustCosign(t, w, a.request(4, 5))
	shown := must(w.Latest(t.Context(), origin))
	_, err := w.Cosign(t.Context(), b.request(5, 5))
	wantErr(t, err, witness.ErrInconsistent)
	cfg.FS, cfg.Metrics = disk.CrashClone(vfs.CrashCloneCfg{}), nil
	if got := must(mustOpen(t, cfg).Latest(t.Context(), origin)); !bytes.Equal(got, shown) {
		t.Errorf("after the crash it shows\n%s\nand before\n%s", got, shown)
	}

	disk = vfs.NewCrashableMem()
	cfg.FS = disk
	w = must(createAndOpen(cfg))
	mustCosign(t, w, a.request(0, 1))
	w.Close()
	w = mustOpen(t, cfg)
	mustCosign(t, w, a.request(1, 5))
	mustCosign(t, w, a.request(5, 7))
	cfg.FS = disk.CrashClone(vfs.CrashCloneCfg{})
	w = mustOpen(t, cfg)
	w.LookUp(t.Context())
	_, err = w.Cosign(t.Context(), b.request(7, 7))
	wantErr(t, err, witness.ErrInconsistent)
	if cp, _, err := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin))); err != nil || cp.Size != 5 {
		t.Errorf("after a crash at 7 the halted log shows %d, %v", cp.Size, err)
	}
}

// An acknowledgement is seen where nobody asks to be cosigned: the metrics that an
// operator watches do not go on calling the log halted.
func TestRoundNoticesAcknowledgement(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 9, 9, ""), newTestLog(sharedKeys(), 9, 3, "B")
	cfg := config(t, "w1.example")
	w := mustOpen(t, cfg)
	mustCosign(t, w, a.request(0, 5))
	_, err := w.Cosign(t.Context(), b.request(5, 5))
	wantErr(t, err, witness.ErrInconsistent)
	gauge := func(want string) {
		t.Helper()
		w.Gossip(t.Context())
		if got := series(t, cfg.Metrics.(*prometheus.Registry)); !slices.Contains(got, `docket_witness_halted{origin="log.example/1"} `+want) {
			t.Errorf("got %q, want a witness halted %s", got, want)
		}
	}
	gauge("1")
	shelf := must(gossip.OpenEvidenceStore(cfg.FS, "w/evidence"))
	if err := shelf.Acknowledge(must(shelf.List())[0].ID, acknowledgement("seen")); err != nil {
		t.Fatal(err)
	}
	gauge("0")
}

// The log asks a witness to cosign a second tree of one size: refused by the spec's
// code, kept as evidence, and from then on the log is halted, over restarts, until
// a person acknowledges; then the witness goes on with the history it has cosigned.
func TestHaltsUntilAcknowledged(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	cfg := config(t, "w1.example")
	w := must(createAndOpen(cfg))
	mustCosign(t, w, a.request(0, 5))
	shown := must(w.Latest(t.Context(), origin))
	_, err := w.Cosign(t.Context(), b.request(5, 5))
	wantErr(t, err, witness.ErrInconsistent)
	checkEvidence(t, w, 1)
	halted := new(witness.HaltedError)
	for range 2 {
		if _, err := w.Cosign(t.Context(), a.request(5, 6)); !asErr(err, &halted) {
			t.Fatalf("not halted: %v", err)
		}
		if _, err := w.Cosign(t.Context(), a.request(5, 5)); !asErr(err, &halted) {
			t.Fatalf("not halted: %v", err)
		}
		if got := must(w.Latest(t.Context(), origin)); !bytes.Equal(got, shown) {
			t.Errorf("it no longer shows what it cosigned before:\n%s", got)
		}
		w.Close()
		w = must(createAndOpen(cfg))
	}
	defer func() { w.Close() }()

	// The shelf is files: a person opens it beside the running witness.
	shelf := must(gossip.OpenEvidenceStore(cfg.FS, "w/evidence"))
	id := must(shelf.List())[0].ID
	if err := shelf.Acknowledge(id, gossip.Acknowledgement{By: "op"}); err == nil {
		t.Error("acknowledged without a reason")
	}
	if err := shelf.Acknowledge(id, acknowledgement("their key leaked, they told us")); err != nil {
		t.Fatal(err)
	}
	if err := shelf.Acknowledge(id, acknowledgement("once more")); err == nil {
		t.Error("acknowledged twice")
	}
	mustCosign(t, w, a.request(5, 6))
	if k := must(shelf.Load(id)); k.Acknowledged == nil || k.Acknowledged.By != "op@w1.example" || k.Acknowledged.At.IsZero() {
		t.Errorf("%+v", k.Acknowledged)
	}

	// The same fork says nothing new, beside whatever the witness has cosigned since.
	again := must(proof.NewEvidence(b.note(5), a.note(6), testRanges(a, 5, 6)...))
	if got, news, err := w.AcceptEvidence(t.Context(), again); err != nil || news || got != id {
		t.Errorf("known evidence: %s, %v, %v", got, news, err)
	}
	mustCosign(t, w, a.request(6, 7))
	// A further step of the fork does.
	further := must(proof.NewEvidence(b.note(6), a.note(6)))
	if _, news, err := w.AcceptEvidence(t.Context(), further); err != nil || !news {
		t.Errorf("new evidence: %v, %v", news, err)
	}
	if _, err := w.Cosign(t.Context(), a.request(7, 8)); !asErr(err, &halted) {
		t.Errorf("not halted: %v", err)
	}
}

// testRanges are the nodes of [0,m) and [m,n) of a history.
func testRanges(h *testLog, m, n uint64) []proof.Hash {
	var nodes []proof.Hash
	for at := uint64(0); at < m; {
		k := uint64(1)
		for at+2*k <= m && at%(2*k) == 0 {
			k *= 2
		}
		nodes = append(nodes, h.subtreeHash(at, at+k))
		at += k
	}
	for at := m; at < n; {
		k := uint64(1)
		for at+2*k <= n && at%(2*k) == 0 {
			k *= 2
		}
		nodes = append(nodes, h.subtreeHash(at, at+k))
		at += k
	}
	return nodes
}

// Each kind of evidence, as it may come from elsewhere.
func TestAcceptEvidence(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	empty := forgedNote(sharedKeys(), proof.Checkpoint{Origin: origin, Root: proof.LeafHash(nil)})
	for kind, e := range map[proof.SplitKind]proof.Evidence{
		proof.SplitEmptyRoot:    must(proof.NewEvidence(empty, nil)),
		proof.SplitSameSize:     must(proof.NewEvidence(a.note(9), b.note(9))),
		proof.SplitInconsistent: must(proof.NewEvidence(b.note(9), a.note(14), testRanges(a, 9, 14)...)),
	} {
		t.Run(string(kind), func(t *testing.T) {
			r := newTestServer(t)
			mustCosign(t, r.w, a.request(0, 7))
			// A stranger's line makes no second piece of it.
			junk := e
			junk.First = addForeignSignature(sharedKeys(), e.First)
			for i, want := range []int{201, 200, 200} {
				file := must(e.Format())
				if i == 1 {
					file = must(junk.Format())
				}
				if got := r.do(t, "POST", "/v1/evidence", file); got.status != want {
					t.Errorf("%d, want %d: %s", got.status, want, got.body)
				}
			}
			checkEvidence(t, r.w, 1)
			if got := r.addCheckpoint(t, a.request(7, 8)); got.status != 403 {
				t.Errorf("%d, want 403: %s", got.status, got.body)
			}
		})
	}
}

// What is no evidence halts nothing.
func TestAcceptEvidenceRefuses(t *testing.T) {
	r := newTestServer(t)
	mustCosign(t, r.w, r.a.request(0, 7))
	other := newSigner(proof.Ed25519, "other.example")
	unknown := must(proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example", Size: 1}, other)).Note()
	unknown2 := must(proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example", Size: 1, Root: proof.EmptyRoot()}, other)).Note()
	for name, tc := range map[string]struct {
		file []byte
		want int
	}{
		"nonsense":       {[]byte("nonsense"), 400},
		"nothing":        {nil, 400},
		"one history":    {must(must(proof.NewEvidence(r.a.note(5), r.a.note(9), testRanges(r.a, 5, 9)...)).Format()), 422},
		"the same tree":  {must(must(proof.NewEvidence(r.a.note(5), r.a.note(5))).Format()), 422},
		"wrong nodes":    {must(must(proof.NewEvidence(r.b.note(5), r.a.note(9), testRanges(r.b, 5, 9)...)).Format()), 422},
		"a lone tree":    {must(must(proof.NewEvidence(r.a.note(5), nil)).Format()), 422},
		"a stranger's":   {must(must(proof.NewEvidence(r.a.note(7), noteByUnknownKey(r.b))).Format()), 403},
		"two logs":       {must(must(proof.NewEvidence(unknown, r.a.note(7))).Format()), 422}, // each the first
		"two logs, ours": {must(must(proof.NewEvidence(r.a.note(0), unknown)).Format()), 422},
		"another log's":  {must(must(proof.NewEvidence(unknown, unknown2)).Format()), 404},
	} {
		if got := r.do(t, "POST", "/v1/evidence", tc.file); got.status != tc.want {
			t.Errorf("%s: %d, want %d: %s", name, got.status, tc.want, got.body)
		} else {
			wantWords(t, t.Name()+"/"+name, got.body)
		}
	}
	checkEvidence(t, r.w, 0)
	mustCosign(t, r.w, r.a.request(7, 8))
	for path, want := range map[string]int{"/v1/evidence": 200, "/v1/evidence/x": 404, "/v1/evidence/" + wire.OriginHash("x"): 404} {
		if got := r.do(t, "GET", path, nil); got.status != want {
			t.Errorf("GET %s: %d, want %d", path, got.status, want)
		}
	}
}

// The submission itself can be the proof: an empty tree with a wrong root, and a tree
// of a size that the log once brought with another root, however it asks.
func TestSubmissionsAreCompared(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	empty := forgedNote(sharedKeys(), proof.Checkpoint{Origin: origin, Root: proof.LeafHash(nil)})
	for name, tc := range map[string]struct {
		ask  wire.AddCheckpoint
		want error
	}{
		"an empty tree, stale":   {wire.AddCheckpoint{Note: empty}, nil},
		"an older size, stale":   {b.request(4, 5), nil},
		"an older size, ahead":   {wire.AddCheckpoint{Old: 9, Note: b.note(5)}, witness.ErrOldTooLarge},
		"the newest size":        {b.request(9, 9), witness.ErrInconsistent},
		"the newest size, stale": {b.request(5, 9), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := mustOpen(t, config(t, "w1.example"))
			mustCosign(t, w, a.request(0, 5))
			mustCosign(t, w, a.request(5, 9))
			_, err := w.Cosign(t.Context(), tc.ask)
			stale := new(witness.ConflictError)
			if tc.want == nil && !asErr(err, &stale) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
			checkEvidence(t, w, 1)
		})
	}
}

// A checkpoint that waited keeps the witness from cosigning its rival, whichever
// comes first, and a restart in between does not help the log.
func TestPendingCheckpointsAreCompared(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	cfg := config(t, "w1.example")
	w := must(createAndOpen(cfg))
	mustCosign(t, w, a.request(0, 5))
	if got := must(w.AddSeenCheckpoint(t.Context(), b.note(9))); got != gossip.AheadOfKnown {
		t.Fatal(got)
	}
	w.Close()
	w = mustOpen(t, cfg)
	_, err := w.Cosign(t.Context(), a.request(5, 9))
	if halted := new(witness.HaltedError); !asErr(err, &halted) {
		t.Errorf("not halted: %v", err)
	}
	checkEvidence(t, w, 1)
}

// A file on the shelf that was altered is not served as evidence.
func TestEvidenceStoreDetectsDamage(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 40, 40, ""), newTestLog(sharedKeys(), 40, 3, "B")
	cfg := config(t, "w1.example")
	cfg.FS, cfg.Dir = vfs.Default, t.TempDir()
	w := mustOpen(t, cfg)
	id, _, err := w.AcceptEvidence(t.Context(), must(proof.NewEvidence(a.note(9), b.note(9))))
	if err != nil {
		t.Fatal(err)
	}
	name := cfg.Dir + "/evidence/" + id + proof.EvidenceSuffix
	file := must(os.ReadFile(name))
	if k := must(w.Evidence().Load(id)); !bytes.Equal(k.File, file) {
		t.Error("the file is not what is shown")
	}
	file[len(file)/2] ^= 1
	if err := os.WriteFile(name, file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Evidence().Load(id); err == nil {
		t.Error("an altered file is shown")
	}
}

// A file that shows nothing is refused while the log's lock is held, here by a disk that stalls:
// whoever sends many of them queues before no checkpoint.
func TestNoEvidenceWaitsForNothing(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 12, 12, ""), newTestLog(c, 12, 3, "B")
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "w1.example")
		disk := stalledEvidence{FS: cfg.FS, letGo: make(chan struct{})}
		cfg.FS = disk
		w := mustOpen(t, cfg)
		halting, refused := make(chan error, 1), make(chan error, 1)
		go func() {
			_, _, err := w.AcceptEvidence(t.Context(), must(proof.NewEvidence(a.note(12), b.note(12))))
			halting <- err
		}()
		synctest.Wait()
		go func() {
			_, _, err := w.AcceptEvidence(t.Context(), must(proof.NewEvidence(a.note(11), a.note(11))))
			refused <- err
		}()
		synctest.Wait()
		select {
		case err := <-refused:
			wantErr(t, err, proof.ErrNoEvidence)
		default:
			t.Error("what is no evidence waits for the log's lock")
		}
		close(disk.letGo)
		wantErr(t, <-halting, nil)
	})
}

// hookedAcknowledgements is a disk that says when an acknowledgement is looked for.
type hookedAcknowledgements struct {
	vfs.FS
	looked func()
}

func (h *hookedAcknowledgements) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(name, ".acknowledged") && h.looked != nil {
		h.looked()
	}
	return h.FS.Open(name, o...)
}

// While what is known of a log that comes on the list is read from the disk, the others are
// served.
func TestLogsAreTakenUpBesideOthers(t *testing.T) {
	all, list, _ := newTestLogs(2)
	cfg := config(t, "w1.example")
	disk := &hookedAcknowledgements{FS: cfg.FS}
	cfg.FS, cfg.Logs = disk, list
	w := must(createAndOpen(cfg))
	if _, _, err := w.AcceptEvidence(t.Context(), must(proof.NewEvidence(all[0].note(9), rewrittenLog(all[0]).note(9)))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Logs, cfg.Metrics = list[1:], nil
	w = must(witness.Open(cfg))
	defer w.Close()
	served := make(chan error, 1)
	disk.looked = func() {
		disk.looked = nil
		go func() { _, err := w.Cosign(t.Context(), all[1].request(0, 5)); served <- err }()
		select {
		case err := <-served:
			wantErr(t, err, nil)
		case <-time.After(10 * time.Second): // no test of speed: it would be never
			t.Error("another log is not served meanwhile")
		}
	}
	if err := w.SetLogs(list); err != nil || disk.looked != nil {
		t.Fatal(err, disk.looked != nil)
	}
	halted := new(witness.HaltedError)
	if _, err := w.Cosign(t.Context(), all[0].request(0, 5)); !asErr(err, &halted) {
		t.Errorf("the log that came back halted: %v", err)
	}
}
