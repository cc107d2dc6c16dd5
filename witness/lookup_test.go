package witness_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// cosignedNote is a checkpoint of a history with the cosignatures of those keys.
func cosignedNote(h *testLog, n uint64, keys ...witness.Key) []byte {
	note := h.note(n)
	for _, k := range keys {
		note = must(proof.AddSignatures(note, must(k.Cosign(h.checkpoint(n)))))
	}
	return note
}

// staticLog answers every request for a checkpoint with one note, and all else as tiles does.
type staticLog struct {
	note  []byte
	tiles http.Handler
}

func (s staticLog) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/checkpoint"):
		rw.Write(s.note)
	case s.tiles != nil:
		s.tiles.ServeHTTP(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// recreate is a witness whose state was lost, not yet looked up; its log is read at
// log.example, its peer is p.example.
func recreate(t *testing.T, net *network, change ...func(*witness.Config)) *witness.Witness {
	t.Helper()
	cfg := config(t, "w1.example")
	cfg.Transport, cfg.Parallel = net, 0
	cfg.Sources, cfg.Peers = map[string][]string{origin: {"https://log.example"}}, []string{"https://p.example"}
	if net.hosts["p.example"] == nil {
		net.hosts["p.example"] = http.NotFoundHandler()
	}
	for _, f := range change {
		f(&cfg)
	}
	if made, err := witness.RecreateState(cfg); !made || err != nil {
		t.Fatalf("made %v: %v", made, err)
	}
	w := must(witness.Open(cfg))
	t.Cleanup(func() { w.Close() })
	return w
}

func wantStale(t *testing.T, w *witness.Witness, h *testLog, size uint64) {
	t.Helper()
	stale := new(witness.ConflictError)
	if _, err := w.Cosign(t.Context(), h.request(1, 2)); !asErr(err, &stale) || stale.Size != size {
		t.Fatalf("got %v, want that %d was cosigned last", err, size)
	}
}

// Without a state nothing opens, and nothing is made: neither where there never was
// one, nor where it was not finished, nor where it is that of other keys.
func TestOpenNeedsState(t *testing.T) {
	cfg := config(t, "w1.example")
	_, err := witness.Open(cfg)
	wantErr(t, err, witness.ErrNoState)
	if names, _ := cfg.FS.List(""); len(names) != 0 {
		t.Errorf("there is now %v", names)
	}
	if err := cfg.FS.MkdirAll("w/state", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = witness.Open(cfg)
	wantErr(t, err, witness.ErrNoState)
	if names, _ := cfg.FS.List("w/state"); slices.ContainsFunc(names, func(s string) bool { return s != "LOCK" }) {
		t.Errorf("there is now %v", names)
	}
	db := must(pebble.Open("w/state", &pebble.Options{FS: cfg.FS, FormatMajorVersion: pebble.FormatValueSeparation}))
	db.Close()
	_, err = witness.Open(cfg)
	wantErr(t, err, witness.ErrNoState)
	wantWords(t, "TestOpenNeedsState/unfinished", err.Error())

	other := cfg
	other.Keys = sharedKeys().witness["w2.example"]
	if err := witness.CreateState(other); err != nil {
		t.Fatal(err)
	}
	_, err = witness.Open(cfg)
	wantErr(t, err, witness.ErrNoState)
	wantWords(t, "TestOpenNeedsState/other keys", err.Error())
	beside := cfg
	beside.Keys = cfg.Keys[1:]
	wantErr(t, witness.CreateState(beside, cfg.Keys[0].Key()), witness.ErrNoState)
}

// A state from before there were formats is taken over; one of a later format is not
// touched.
func TestStateOfOtherFormats(t *testing.T) {
	cfg := config(t, "w1.example")
	h := newTestLog(sharedKeys(), 12, 12, "")
	w := must(createAndOpen(cfg))
	mustCosign(t, w, h.request(0, 9))
	w.Close()
	edit := func(f func(*pebble.DB) error) {
		db := must(pebble.Open("w/state", &pebble.Options{FS: cfg.FS, FormatMajorVersion: pebble.FormatValueSeparation}))
		if err := errors.Join(f(db), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(db *pebble.DB) error {
		return errors.Join(db.Delete([]byte("v"), nil), db.DeleteRange([]byte("k"), []byte("l"), pebble.Sync))
	})
	w = must(witness.Open(cfg))
	wantStale(t, w, h, 9)
	w.Close()
	edit(func(db *pebble.DB) error { return db.Set([]byte("v"), []byte{99}, pebble.Sync) })
	if _, err := witness.Open(cfg); err == nil || errors.Is(err, witness.ErrNoState) {
		t.Errorf("got %v", err)
	} else {
		wantWords(t, "TestStateOfOtherFormats/later", err.Error())
	}
}

// Keys that come later: those just made go on from the state, those from elsewhere do
// not, and a state that is there is never made anew.
func TestAddedKeys(t *testing.T) {
	both := sharedKeys().witness["w1.example"]
	h := newTestLog(sharedKeys(), 12, 12, "")
	net := newNetwork()
	net.hosts["log.example"] = staticLog{note: cosignedNote(h, 11, both[1])}
	cfg := config(t, "w1.example")
	cfg.Transport, cfg.Sources = net, map[string][]string{origin: {"https://log.example"}}
	old := both[0].Key()

	cfg.Keys = both[1:]
	wantErr(t, witness.CreateState(cfg, old), witness.ErrNoState)

	cfg.Keys = both[:1]
	w := must(createAndOpen(cfg))
	mustCosign(t, w, h.request(0, 9))
	w.Close()
	if made, err := witness.RecreateState(cfg); made || err != nil {
		t.Fatalf("made %v: %v", made, err)
	}
	made := cfg // the second key is new
	made.FS = reopenedDisk(cfg.FS)
	made.Keys = both[1:]
	if err := witness.CreateState(made, old); err != nil {
		t.Fatal(err)
	}
	made.Keys = both
	w = must(witness.Open(made))
	mustCosign(t, w, h.request(9, 10))
	w.Close()

	cfg.Keys = both // it was brought from elsewhere
	_, err := witness.Open(cfg)
	wantErr(t, err, witness.ErrNoState)
	if made, err := witness.RecreateState(cfg); !made || err != nil {
		t.Fatalf("made %v: %v", made, err)
	}
	w = must(witness.Open(cfg))
	_, err = w.Cosign(t.Context(), h.request(9, 10))
	wantErr(t, err, witness.ErrLookingUp)
	w.LookUp(t.Context())
	wantStale(t, w, h, 11)
	w.Close()

	skey, _ := must2(proof.GenerateKey(proof.CosignatureEd25519, "w1.example"))
	third := must(proof.ParseCosigner(skey)) // and another, after that
	net.hosts["log.example"] = staticLog{note: cosignedNote(h, 12, third)}
	cfg.Keys = append(both[:2:2], third)
	must(witness.RecreateState(cfg))
	w = must(witness.Open(cfg))
	defer w.Close()
	w.LookUp(t.Context())
	wantStale(t, w, h, 12)
}

// reopenedDisk is a copy of a file system in memory.
func reopenedDisk(fs vfs.FS) vfs.FS {
	to := vfs.NewMem()
	if ok, err := vfs.Clone(fs, to, "w", "w", vfs.CloneSync); !ok || err != nil {
		panic(err)
	}
	return to
}

// What the log shows under the witness's own key is the witness's memory: the size is
// named, a fork is refused and is evidence, and the history goes on.
func TestLookUpAtTheLog(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 12, 12, ""), newTestLog(c, 12, 3, "B")
	for _, k := range c.witness["w1.example"] { // one of the keys is enough
		net := newNetwork()
		net.hosts["log.example"] = staticLog{note: cosignedNote(a, 9, k)}
		w := recreate(t, net)
		_, err := w.Cosign(t.Context(), b.request(0, 9))
		wantErr(t, err, witness.ErrLookingUp)
		w.LookUp(t.Context())
		wantStale(t, w, a, 9)
		note := must(w.Latest(t.Context(), origin))
		if cp, sigs, err := proof.ParseCheckpoint(note); err != nil || cp != a.checkpoint(9) || len(sigs) != 3 {
			t.Fatalf("it shows\n%s", note)
		}
		_, err = w.Cosign(t.Context(), b.request(9, 9))
		wantErr(t, err, witness.ErrInconsistent)
		if all := must(w.Evidence().List()); len(all) != 1 {
			t.Fatalf("%d pieces of evidence", len(all))
		}
		halted := new(witness.HaltedError)
		if _, err := w.Cosign(t.Context(), a.request(9, 10)); !asErr(err, &halted) {
			t.Fatal(err)
		}
		if err := closeWitness(w); err != nil {
			t.Fatal(err)
		}
		mustCosign(t, w, a.request(9, 10))
	}
}

// A peer is believed as far as signatures go. Of what it claims without them, or under
// forged ones, nothing is kept, whatever the size.
func TestLookUpAtPeers(t *testing.T) {
	c := sharedKeys()
	a := newTestLog(c, 12, 12, "")
	own, other := c.witness["w1.example"], c.witness["w2.example"]
	forged := bytes.Replace(cosignedNote(a, 9, own...), []byte("\n9\n"), []byte("\n8\n"), 1)
	foreign := newTestLog(&testKeys{log: []*proof.Signer{c.otherWitness}}, 12, 12, "")
	half := must(proof.AddSignatures(a.note(9), proof.Signature{Name: "w1.example", ID: own[0].Key().ID(), Sig: make([]byte, 72)}))
	for what, tc := range map[string]struct {
		note []byte
		size uint64
	}{
		"our word":                           {cosignedNote(a, 9, own...), 9},
		"our word beside the peer's":         {cosignedNote(a, 9, append(own, other...)...), 9},
		"the peer's word alone":              {cosignedNote(a, 9, other...), 0},
		"our word of another size":           {forged, 0},
		"our word, and not the log's":        {cosignedNote(foreign, 9, own...), 0},
		"the log's word, and ours is forged": {half, 0},
		"words":                              {[]byte("you stand at 11\n"), 0},
		"endless":                            {bytes.Repeat(cosignedNote(a, 9, own...), 100), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := newNetwork()
			net.hosts["log.example"], net.hosts["p.example"] = http.NotFoundHandler(), staticLog{note: tc.note}
			w := recreate(t, net)
			w.LookUp(t.Context())
			if tc.size > 0 {
				wantStale(t, w, a, tc.size)
			} else if _, err := w.Cosign(t.Context(), a.request(0, 5)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// Two histories under the witness's own key are evidence, of one size or of two, and
// halt the log before anything of it is cosigned.
func TestLookUpFindsTwoHistories(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 12, 12, ""), newTestLog(c, 12, 3, "B")
	own := c.witness["w1.example"]
	for _, size := range []uint64{9, 11} {
		net := newNetwork()
		net.hosts["log.example"] = staticLog{cosignedNote(a, 9, own...), splitHandler{&tileServer{a, 9}, &tileServer{b, 11}}}
		if size == 11 { // what the larger tree begins with, its tiles say
			net.hosts["log.example"] = staticLog{cosignedNote(a, 9, own...), &tileServer{b, 11}}
		}
		net.hosts["p.example"] = staticLog{note: cosignedNote(b, size, own...)}
		w := recreate(t, net)
		w.LookUp(t.Context())
		if all := must(w.Evidence().List()); len(all) != 1 {
			t.Fatalf("%d pieces of evidence (size %d)", len(all), size)
		}
		halted := new(witness.HaltedError)
		_, errA := w.Cosign(t.Context(), a.request(9, 10))
		_, errB := w.Cosign(t.Context(), b.request(size, 12))
		if errA == nil || errB == nil || !asErr(errA, &halted) && !asErr(errB, &halted) {
			t.Fatalf("got %v and %v (size %d)", errA, errB, size)
		}
	}
}

// archivingLog shows a history that grows by an entry a day, and what it showed before;
// until a day the witness cosigned.
type archivingLog struct {
	h     *testLog
	start time.Time
	until uint64
	keys  []witness.Key
	asked int
}

func (k *archivingLog) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	at := time.Now()
	switch r.URL.Path {
	case "/checkpoint":
	case "/v1/checkpoints":
		k.asked++
		at = must(time.Parse(time.RFC3339, r.URL.Query().Get("at")))
	default:
		http.NotFound(rw, r)
		return
	}
	day := int64(at.Sub(k.start) / (24 * time.Hour))
	if at.Before(k.start) || day < 1 {
		http.NotFound(rw, r)
		return
	}
	if uint64(day) <= k.until {
		rw.Write(cosignedNote(k.h, uint64(day), k.keys...))
		return
	}
	rw.Write(k.h.note(uint64(day)))
}

// A witness comes back after days in which others made the quorum: the log's newest
// checkpoint is not ours, and one that it keeps is.
func TestLookUpOfArchivedCheckpoints(t *testing.T) {
	c := sharedKeys()
	for _, until := range []uint64{0, 2, 7, 29} {
		synctest.Test(t, func(t *testing.T) {
			k := &archivingLog{h: newTestLog(c, 40, 40, ""), start: time.Now(), until: until, keys: c.witness["w1.example"]}
			time.Sleep(30*24*time.Hour + time.Hour)
			net := newNetwork()
			net.hosts["log.example"], net.hosts["p.example"] = k, http.NotFoundHandler()
			w := recreate(t, net)
			w.LookUp(t.Context())
			if k.asked > 80 {
				t.Errorf("the log was asked %d times", k.asked)
			}
			if until > 0 {
				wantStale(t, w, k.h, until)
			} else if _, err := w.Cosign(t.Context(), k.h.request(0, 30)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever hangs costs its log 30 s, in which that log is told so and no other, and it
// is said who did not answer.
func TestLookUpIsBounded(t *testing.T) {
	all, list, sources := newTestLogs(3)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.hosts["p.example"] = http.NotFoundHandler()
		net.hosts[all[0].origin] = hangingHandler
		net.hosts[all[1].origin] = staticLog{note: cosignedNote(all[1], 9, sharedKeys().witness["w1.example"]...)}
		// The third is not even there.
		var said bytes.Buffer
		w := recreate(t, net, func(c *witness.Config) {
			c.Logs, c.Sources, c.Log = list, sources, slog.New(slog.NewTextHandler(&said, nil))
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx, 0) }()
		synctest.Wait()
		wantStale(t, w, all[1], 9)
		for wait := range 30 {
			for _, i := range []int{0, 2} {
				rec := httptest.NewRecorder()
				w.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(all[i].request(0, 5).Format())))
				if after, _ := strconv.Atoi(rec.Header().Get("Retry-After")); rec.Code != 503 || after < 1 || after > 30 {
					t.Fatalf("log %d, after %d s: %d, Retry-After %d", i, wait, rec.Code, after)
				}
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for _, i := range []int{0, 2} {
			mustCosign(t, w, all[i].request(0, 5))
			if n := strings.Count(said.String(), "silent=[https://"+all[i].origin+"]"); n != 1 {
				t.Errorf("it is said %d times that %s did not answer:\n%s", n, all[i].origin, said.String())
			}
		}
		stop()
		<-ended
	})
}

// A peer that hangs costs all logs together little more than one.
func TestLookUpOfManyLogs(t *testing.T) {
	all, list, sources := newTestLogs(40)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.hosts["p.example"] = hangingHandler
		for _, h := range all {
			net.hosts[h.origin] = staticLog{note: cosignedNote(h, 9, sharedKeys().witness["w1.example"]...)}
		}
		w := recreate(t, net, func(c *witness.Config) { c.Logs, c.Sources = list, sources })
		begun := time.Now()
		w.LookUp(t.Context())
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("it took %s", took)
		}
		for _, h := range all {
			wantStale(t, w, h, 9)
		}
	})
}

// A log that left the list while it was looked up is looked up when it comes back, and
// so is one that comes first now; what was looked up is not again.
func TestLookUpOfAChangingList(t *testing.T) {
	c := sharedKeys()
	h := newTestLog(c, 12, 12, "")
	net := newNetwork()
	list := logListOf(origin, c.log...)
	var w *witness.Witness
	leaves := true
	net.hosts["log.example"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if leaves {
			if err := w.SetLogs(nil); err != nil {
				t.Error(err)
			}
		}
		rw.Write(cosignedNote(h, 9, c.witness["w1.example"]...))
	})
	net.hosts["p.example"] = http.NotFoundHandler()
	w = recreate(t, net)
	w.LookUp(t.Context())
	leaves = false
	if err := w.SetLogs(list); err != nil {
		t.Fatal(err)
	}
	_, err := w.Cosign(t.Context(), h.request(0, 5))
	wantErr(t, err, witness.ErrLookingUp)
	w.LookUp(t.Context())
	wantStale(t, w, h, 9)
	net.hosts["log.example"] = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is asked again") })
	w.LookUp(t.Context())
}

// A state that is an old copy does not know what the keys have cosigned since. The next
// round of gossip sees it, and a fork between the two is evidence.
func TestOldCopyOfTheState(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 12, 12, ""), newTestLog(c, 12, 3, "B")
	for _, later := range []*testLog{a, b} {
		net := newNetwork()
		net.hosts["log.example"] = staticLog{cosignedNote(later, 9, c.witness["w1.example"]...), &tileServer{later, 9}}
		cfg := config(t, "w1.example")
		cfg.Transport, cfg.Sources = net, map[string][]string{origin: {"https://log.example"}}
		w := must(createAndOpen(cfg))
		mustCosign(t, w, a.request(0, 5))
		r := round(t, w)
		_, err := w.Cosign(t.Context(), a.request(5, 6))
		stale := new(witness.ConflictError)
		if !asErr(err, &stale) || stale.Size != 9 {
			t.Fatalf("got %v", err)
		}
		want := 0
		if later == b {
			want = 1
		}
		if all := must(w.Evidence().List()); len(all) != want || r.Evidence != want {
			t.Fatalf("%d pieces of evidence, want %d", len(all), want)
		}
		w.Close()
		w = must(witness.Open(cfg))
		_, err = w.Cosign(t.Context(), a.request(9, 10))
		halted := new(witness.HaltedError)
		if later == a && err != nil || later == b && !asErr(err, &halted) && !errors.Is(err, witness.ErrInconsistent) {
			t.Fatal(err)
		}
		w.Close()
	}
}

// Whoever holds a receipt reminds the witness of what it has cosigned.
func TestSeenCheckpointRestoresNewest(t *testing.T) {
	c := sharedKeys()
	a := newTestLog(c, 12, 12, "")
	own := c.witness["w1.example"]
	w := mustOpen(t, config(t, "w1.example"))
	mustCosign(t, w, a.request(0, 5))
	if verdict := must(w.AddSeenCheckpoint(t.Context(), cosignedNote(a, 7, c.witness["w2.example"]...))); verdict != gossip.AheadOfKnown {
		t.Errorf("what another cosigned is %q", verdict)
	}
	if verdict := must(w.AddSeenCheckpoint(t.Context(), cosignedNote(a, 9, own...))); verdict != gossip.Consistent {
		t.Errorf("what it cosigned itself is %q", verdict)
	}
	wantStale(t, w, a, 9)
	mustCosign(t, w, a.request(9, 10))
}

// The power fails before each single write of the making of a new state and the looking
// up: whatever is left refuses to open, or goes on looking.
func TestCrashAtEachWriteOfANewState(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	c := newCrashTest()
	h := newTestLog(&testKeys{log: sharedKeys().log[:1]}, crashSizes, 4, "A")
	fork := newTestLog(&testKeys{log: sharedKeys().log[:1]}, crashSizes, 4, "B")
	seen := map[string]int{}
	for _, two := range []bool{false, true} {
		net := newNetwork()
		net.hosts["log.example"] = staticLog{cosignedNote(h, 9, c.key...), &tileServer{h, 9}}
		net.hosts["p.example"] = http.NotFoundHandler()
		if two {
			net.hosts["p.example"] = staticLog{note: cosignedNote(fork, 9, c.key...)}
		}
		set := func(p *crashInjector) witness.Config {
			cfg := p.config(c)
			cfg.Transport, cfg.Parallel, cfg.Peers = net, 1, []string{"https://p.example"}
			cfg.Sources = map[string][]string{origin: {"https://log.example"}}
			return cfg
		}
		for left := 1; ; left++ {
			p := newCrashInjector(uint64(left))
			p.failAt(left)
			cfg := set(p)
			must(witness.RecreateState(cfg))
			w := must(witness.Open(cfg))
			w.LookUp(t.Context())
			w.Close()
			if p.diskAfterCrash() == nil {
				break
			}
			q := newCrashInjector(0)
			q.disk = p.diskAfterCrash()
			cfg = set(q)
			w, err := witness.Open(cfg)
			if errors.Is(err, witness.ErrNoState) {
				seen["none"]++
				must(witness.RecreateState(cfg))
				w, err = witness.Open(cfg)
			}
			if err != nil {
				t.Fatalf("%v (write %d)", err, left)
			}
			_, err = w.Cosign(t.Context(), c.requests[0][0][5])
			wantErr(t, err, witness.ErrLookingUp) // if only since it did not stop by itself
			seen["looking"]++
			w.LookUp(t.Context())
			wantStale(t, w, h, 9)
			all := must(w.Evidence().List())
			if two != (len(all) == 1) {
				t.Fatalf("%d pieces of evidence (write %d)", len(all), left)
			}
			w.Close()
		}
	}
	for _, what := range []string{"none", "looking"} {
		if seen[what] == 0 {
			t.Errorf("no crash left a state that is %s: %v", what, seen)
		}
	}
}

// While it is looked up what these keys have cosigned, nothing is signed: a witness that a
// crash took the last cosignatures of does not make them anew for whoever asks what it shows,
// since the state may be an old copy.
func TestNothingIsSignedWhileLookedUp(t *testing.T) {
	h := newTestLog(sharedKeys(), 12, 12, "")
	for _, before := range []uint64{0, 4} {
		net := newNetwork()
		net.hosts["log.example"] = staticLog{cosignedNote(h, 9, sharedKeys().witness["w1.example"]...), &tileServer{h, 9}}
		disk := vfs.NewCrashableMem()
		cfg := config(t, "w1.example")
		cfg.FS, cfg.Transport, cfg.Sources = disk, net, map[string][]string{origin: {"https://log.example"}}
		w := mustOpen(t, cfg)
		if before > 0 {
			mustCosign(t, w, h.request(0, before))
		}
		mustCosign(t, w, h.request(before, 5))
		cfg.FS, cfg.Metrics = disk.CrashClone(vfs.CrashCloneCfg{}), nil
		w = must(witness.Open(cfg))
		t.Cleanup(func() { w.Close() })
		note, err := w.Latest(t.Context(), origin)
		if before == 0 {
			wantErr(t, err, witness.ErrLookingUp)
		} else if cp, _, err := proof.ParseCheckpoint(note); err != nil || cp.Size != before {
			t.Errorf("it shows size %d, %v: want %d, as it was cosigned before the crash", cp.Size, err, before)
		}
		w.LookUp(t.Context())
		if cp, _, err := proof.ParseCheckpoint(must(w.Latest(t.Context(), origin))); err != nil || cp.Size != 9 {
			t.Errorf("looked up, it shows size %d, %v", cp.Size, err)
		}
	}
}

// stalledEvidence is a disk on which no evidence can be written before it is let go.
type stalledEvidence struct {
	vfs.FS
	letGo chan struct{}
}

func (s stalledEvidence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.Contains(name, "evidence") {
		<-s.letGo
	}
	return s.FS.Create(name, c)
}

// What was found is taken before the log counts as looked up, however long that has to
// wait: here for a disk that stalls while it writes evidence.
func TestLookUpTakesWhatItFound(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 12, 12, ""), newTestLog(c, 12, 3, "B")
	fork := must(proof.NewEvidence(a.note(12), b.note(12)))
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.hosts["log.example"] = staticLog{cosignedNote(a, 9, c.witness["w1.example"]...), &tileServer{a, 9}}
		disk := stalledEvidence{letGo: make(chan struct{})}
		w := recreate(t, net, func(cfg *witness.Config) { disk.FS = cfg.FS; cfg.FS = disk })
		halting, ended := make(chan string, 1), make(chan struct{})
		go func() { id, _ := must2(w.AcceptEvidence(t.Context(), fork)); halting <- id }()
		synctest.Wait()
		go func() { defer close(ended); w.LookUp(t.Context()) }()
		time.Sleep(5 * time.Minute)
		close(disk.letGo)
		<-ended
		if err := w.Evidence().Acknowledge(<-halting, acknowledgement("a test")); err != nil {
			t.Fatal(err)
		}
		wantStale(t, w, a, 9)
	})
}
