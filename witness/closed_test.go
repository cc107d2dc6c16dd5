package witness_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/witness"
)

// spoilLog does something to the write-ahead log of a state, and says whether it was there.
func spoilLog(t *testing.T, fs vfs.FS, how string) {
	t.Helper()
	spoilt := false
	for _, name := range must(fs.List("w/state")) {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		path := fs.PathJoin("w/state", name)
		f := must(fs.Open(path))
		data := make([]byte, must(f.Stat()).Size())
		must(f.ReadAt(data, 0))
		f.Close()
		if len(data) == 0 {
			continue
		}
		spoilt = true
		must(0, fs.Remove(path))
		switch how {
		case "gone":
			continue
		case "cut":
			data = data[:len(data)/2]
		case "flipped":
			for i := range data {
				data[i] ^= 16
			}
		}
		f = must(fs.Create(path, vfs.WriteCategoryUnspecified))
		must(f.Write(data))
		f.Close()
	}
	if !spoilt {
		t.Fatal("there is no write-ahead log")
	}
}

// The write-ahead log of a state rots after the witness was stopped: Pebble takes that for
// an end, and the witness does not.
func TestStateThatLostItsEndIsRefused(t *testing.T) {
	c := sharedKeys()
	h := newTestLog(c, 12, 12, "")
	for _, how := range []string{"flipped", "cut", "gone"} {
		t.Run(how, func(t *testing.T) {
			cfg := config(t, "w1.example")
			w := must(createAndOpen(cfg))
			mustCosign(t, w, h.request(0, 5))
			mustCosign(t, w, h.request(5, 9))
			must(0, w.Close())
			spoilLog(t, cfg.FS, how)
			for range 2 { // and again
				w, err := witness.Open(cfg)
				if !disk.Damaged(err) {
					t.Fatalf("it opens: %v, %v", w, err)
				}
				wantWords(t, "TestStateThatLostItsEndIsRefused", err.Error())
			}
			// What the operator does then.
			must(0, cfg.FS.RemoveAll("w/state"))
			net := newNetwork()
			net.hosts["log.example"] = staticLog{note: cosignedNote(h, 9, c.witness["w1.example"]...)}
			cfg.Transport, cfg.Sources = net, map[string][]string{origin: {"https://log.example"}}
			must(witness.RecreateState(cfg))
			w = must(witness.Open(cfg))
			defer w.Close()
			w.LookUp(t.Context())
			wantStale(t, w, h, 9)
		})
	}
}

// A witness that did not stop by itself looks up what it cosigned last, since nothing here
// says whether its state has lost that; and once only. So does one whose note of its last
// stop has rotted.
func TestAfterACrashItIsLookedUp(t *testing.T) {
	c := sharedKeys()
	h := newTestLog(c, 12, 12, "")
	net := newNetwork()
	net.hosts["log.example"] = staticLog{note: cosignedNote(h, 9, c.witness["w1.example"]...)}
	for _, how := range []string{"killed", "killed, and the log is gone", "note gone", "note flipped", "note cut"} {
		t.Run(how, func(t *testing.T) {
			cfg := config(t, "w1.example")
			cfg.Transport, cfg.Sources = net, map[string][]string{origin: {"https://log.example"}}
			mem := vfs.NewCrashableMem()
			cfg.FS = mem
			w := must(createAndOpen(cfg))
			mustCosign(t, w, h.request(0, 5))
			mustCosign(t, w, h.request(5, 9))
			if strings.HasPrefix(how, "killed") {
				cfg.FS = mem.CrashClone(vfs.CrashCloneCfg{})
			}
			must(0, w.Close())
			switch how {
			case "killed, and the log is gone":
				spoilLog(t, cfg.FS, "gone")
			case "note gone":
				must(0, cfg.FS.Remove("w/closed"))
			case "note flipped":
				writeFile(cfg.FS, "w/closed", "closed/v1 1\nx "+origin+"\n")
			case "note cut":
				writeFile(cfg.FS, "w/closed", "closed/v1 1\n")
			}
			cfg.Metrics = nil
			w = must(witness.Open(cfg))
			_, err := w.Cosign(t.Context(), h.request(9, 10))
			wantErr(t, err, witness.ErrLookingUp)
			must(0, w.Close()) // it goes on looking
			w = must(witness.Open(cfg))
			_, err = w.Cosign(t.Context(), h.request(9, 10))
			wantErr(t, err, witness.ErrLookingUp)
			w.LookUp(t.Context())
			wantStale(t, w, h, 9)
			mustCosign(t, w, h.request(9, 10))
			must(0, w.Close())
			w = must(witness.Open(cfg))
			defer w.Close()
			mustCosign(t, w, h.request(10, 11))
		})
	}
}

func writeFile(fs vfs.FS, name, text string) {
	f := must(fs.Create(name, vfs.WriteCategoryUnspecified))
	must(f.Write([]byte(text)))
	f.Close()
}
