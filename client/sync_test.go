package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// A sync fetches what is new, and nothing twice; the copy is the ledger's register,
// row by row, and opens again as it was.
func TestSyncIncremental(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	if _, err := trust.Register(); !errors.Is(err, ErrNoCopy) {
		t.Fatalf("before a sync: %v", err)
	}
	var reached, of uint64
	must(t, trust.Sync(t.Context(), w.client(), func(r, s uint64) { reached, of = r, s }))
	if reached != 3 || of != 3 {
		t.Errorf("progress ended at %d of %d", reached, of)
	}
	w.wantSameRegister(trust)
	for _, step := range []struct {
		size  uint64
		fetch []string
	}{
		{255, []string{"/tile/entries/000.p/255"}},
		{255, nil},
		{256, []string{"/tile/entries/000"}},
		{700, []string{"/tile/entries/001", "/tile/entries/002.p/188"}},
		{1900, []string{"/tile/entries/002", "/tile/entries/003", "/tile/entries/004", "/tile/entries/005", "/tile/entries/006", "/tile/entries/007.p/108"}},
	} {
		w.growTo(step.size)
		w.net.bundles()
		must(t, trust.Sync(t.Context(), w.client(), nil))
		fetched := w.net.bundles()
		slices.Sort(fetched)
		if !slices.Equal(fetched, step.fetch) {
			t.Errorf("to %d: fetched %v, want %v", step.size, fetched, step.fetch)
		}
		w.wantSameRegister(trust)
		if got := trust.CoveredSize(); got != step.size {
			t.Errorf("covers %d, want %d", got, step.size)
		}
	}
	must(t, trust.Close())
	again, err := OpenTrust(files, "trust")
	must(t, err)
	defer again.Close()
	if again.CoveredSize() != 1900 || again.Ledger() != w.Ledger {
		t.Errorf("opened again: covers %d of ledger %s", again.CoveredSize(), again.Ledger())
	}
	w.wantSameRegister(again)
	for index := uint64(0); index < 1900; index += 133 {
		own, err := again.Entry(t.Context(), index)
		must(t, err)
		its, err := w.ledger.Entry(t.Context(), index)
		must(t, err)
		if string(own) != string(its) {
			t.Errorf("entry %d is another in the copy", index)
		}
	}
}

// A receipt made from the copy is as good as the server's.
func TestReceiptFromCopy(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	trust := w.syncedTrust()
	for _, index := range []uint64{0, 1, 255, 256, 299} {
		row, err := w.register.Record(index)
		must(t, err)
		own, err := trust.Receipt(t.Context(), row.ID)
		must(t, err)
		v, err := own.Verify(w.policy, w.Now)
		must(t, err)
		if v.Index() != index {
			t.Errorf("receipt of index %d, want %d", v.Index(), index)
		}
	}
	_, err := trust.Receipt(t.Context(), record.ID{1})
	wantRefused(t, err, "error")
}

// A sync that is cut off goes on where it was: what was folded is not fetched again.
func TestSyncResumes(t *testing.T) {
	skipSerial(t)
	w := newWorld(t)
	w.growTo(2600)
	for _, cut := range []string{"/tile/entries/000", "/tile/entries/003", "/tile/entries/006", "/tile/entries/009", "/tile/entries/010.p/40"} {
		t.Run(cut, func(t *testing.T) {
			trust := w.trust(vfs.NewMem(), "trust")
			w.net.fail = func(r *http.Request) error {
				if r.URL.Path == cut {
					return errLost
				}
				return nil
			}
			err := trust.Sync(t.Context(), w.client(), nil)
			w.net.fail = nil
			var gone *wire.UnreachableError
			if !errors.As(err, &gone) {
				t.Fatalf("cut off: %v", err)
			}
			if trust.CoveredSize() != 0 {
				t.Errorf("an unfinished copy covers %d", trust.CoveredSize())
			}
			w.net.bundles()
			must(t, trust.Sync(t.Context(), w.client(), nil))
			fetched := w.net.bundles()
			if cut > "/tile/entries/004" && slices.Contains(fetched, "/tile/entries/000") {
				t.Errorf("fetched again from the beginning: %v", fetched)
			}
			w.wantSameRegister(trust)
		})
	}
}

// Interrupted by the user it is the same.
func TestSyncInterrupted(t *testing.T) {
	w := newWorld(t)
	w.growTo(2600)
	trust := w.trust(vfs.NewMem(), "trust")
	ctx, stop := context.WithCancel(t.Context())
	err := trust.Sync(ctx, w.client(), func(reached, _ uint64) {
		if reached >= 1024 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// A log that goes back, or shows another history, is refused whatever its size, by
// a sync and by a refresh; the error names both, and keeps what the log signed.
func TestForks(t *testing.T) {
	skipSerial(t)
	ours := newWorld(t)
	ours.growTo(300)
	for _, c := range []struct {
		name string
		size uint64
	}{
		{"shorter", 200},
		{"same size", 300},
		{"longer", 400},
		{"much longer", 900},
	} {
		t.Run(c.name, func(t *testing.T) {
			theirs := newWorld(t) // the same charter, admitted at another time
			theirs.growTo(c.size)
			for name, follow := range map[string]func(*Trust) error{
				"sync":    func(trust *Trust) error { return trust.Sync(t.Context(), theirs.client(), nil) },
				"refresh": func(trust *Trust) error { return trust.Refresh(t.Context(), theirs.client()) },
			} {
				trust := ours.syncedTrust()
				trusted := trust.Checkpoint()
				err := follow(trust)
				var fork *InconsistencyError
				if !errors.As(err, &fork) {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if fork.Trusted != trusted.Checkpoint().Tree() || fork.Shown != theirs.ledger.Published().Checkpoint().Tree() {
					t.Errorf("%s: trusted %v, shown %v", name, fork.Trusted, fork.Shown)
				}
				for _, part := range []string{fork.Trusted.Root.String(), fork.Shown.Root.String()} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s: %q does not say %q", name, err, part)
					}
				}
				if e, err := proof.ParseEvidence(fork.Evidence); err != nil {
					t.Errorf("%s: the evidence: %v", name, err)
				} else if _, err := e.Verify(logKey().Key()); err != nil {
					t.Errorf("%s: the evidence: %v", name, err)
				}
				for _, note := range [][]byte{fork.TrustedNote, fork.ShownNote} {
					if _, err := ours.policy.VerifyLog(note); err != nil {
						t.Errorf("%s: the kept checkpoint: %v", name, err)
					}
				}
				if trust.Checkpoint() != trusted {
					t.Errorf("%s: another checkpoint is trusted now", name)
				}
				ours.wantSameRegister(trust) // and the copy is as it was
			}
		})
	}
}

// Whoever hands out what was the newest once is behind, and the log is accused of nothing;
// nothing older is believed. Without the copy nobody can tell that from a log that has
// gone back.
func TestBehind(t *testing.T) {
	w := newWorld(t)
	w.growTo(200)
	before := w.ledger.Published().Note()
	w.growTo(300)
	synced, pinned := w.syncedTrust(), w.trust(vfs.NewMem(), "trust")
	must(t, pinned.Refresh(t.Context(), w.client()))
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/checkpoint" {
			return before
		}
		return answer
	}
	for name, follow := range map[string]func(*Trust) error{
		"sync":    func(trust *Trust) error { return trust.Sync(t.Context(), w.client(), nil) },
		"refresh": func(trust *Trust) error { return trust.Refresh(t.Context(), w.client()) },
	} {
		var behind *BehindError
		if err := follow(synced); !errors.As(err, &behind) || behind.Shown.Size != 200 || behind.Trusted.Size != 300 {
			t.Errorf("%s: %v", name, err)
		}
		var fork *InconsistencyError
		err := follow(pinned)
		t.Run(name, func(t *testing.T) { wantRefused(t, err, "fork") }) // or an old answer
		if !errors.As(err, &fork) || fork.Evidence != nil || fork.ShownNote == nil {
			t.Errorf("%s without a copy: %v", name, err)
		}
		if synced.Checkpoint().Checkpoint().Size != 300 || pinned.Checkpoint().Checkpoint().Size != 300 {
			t.Errorf("%s: another checkpoint is trusted now", name)
		}
	}
}

// A server whose entries are not those of its checkpoint convinces nobody, and the
// next honest sync succeeds.
func TestSyncFromDishonestServer(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	other := newWorld(t)
	other.growTo(300)
	trust := w.trust(vfs.NewMem(), "trust")
	w.net.respond = func(r *http.Request) *http.Response {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			answer, err := other.net.RoundTrip(r)
			must(t, err)
			return answer
		}
		return nil
	}
	var source *SourceError
	if err := trust.Sync(t.Context(), w.client(), nil); !errors.As(err, &source) || source.First != 0 || source.End != 300 {
		t.Fatalf("other entries: %v", err)
	}
	if trust.Checkpoint() != nil || trust.CoveredSize() != 0 {
		t.Errorf("trusts size %d after it", trust.CoveredSize())
	}
	w.net.respond = nil
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// A mirror that alters one byte is at fault itself: the log is accused of nothing, and
// what the mirror handed out is forgotten, so that the next source or try goes on. The
// copy is behind the trusted checkpoint, as receipts leave it that bring the checkpoint
// along.
func TestSyncFromSpoiltMirror(t *testing.T) {
	skipSerial(t)
	spoil := func(r *http.Request, answer []byte) []byte {
		if r.URL.Path != "/tile/entries/004" {
			return answer
		}
		at := bytes.Index(answer, []byte(`{"admitted":"`)) + len(`{"admitted":"2026-11-26T10:00:00.00`)
		answer[at] = '0' + (answer[at]-'0'+1)%10
		return answer
	}
	for name, size := range map[string]uint64{"behind": 2200, "at the first sync": 0} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.growTo(600)
			trust := w.trust(vfs.NewMem(), "trust")
			if size > 0 {
				must(t, trust.Sync(t.Context(), w.client(), nil))
				w.growTo(size)
				must(t, trust.Refresh(t.Context(), w.client()))
			}
			trusted := trust.Checkpoint()
			w.growTo(2600)
			w.net.rewriteResponse = spoil
			err := trust.Sync(t.Context(), w.client(), nil)
			var fork *InconsistencyError
			var source *SourceError
			if errors.As(err, &fork) || !errors.As(err, &source) {
				t.Fatalf("%v, want the source's fault", err)
			}
			if source.First > 4*256 || source.End <= 4*256 || source.URL != "http://ledger.example" {
				t.Errorf("%+v does not name the bundle or the source", source)
			}
			if trust.Checkpoint() != trusted {
				t.Error("another checkpoint is trusted now")
			}
			w.net.rewriteResponse = nil
			w.net.bundles()
			must(t, trust.Sync(t.Context(), w.client(), nil))
			if fetched := w.net.bundles(); source.First > 0 && slices.Contains(fetched, "/tile/entries/000") {
				t.Errorf("what was good before was fetched again: %v", fetched)
			}
			w.wantSameRegister(trust)
		})
	}
}

// What a source hands out wrong once, a second try may bring right.
func TestSyncTriesAgain(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	trust := w.trust(vfs.NewMem(), "trust")
	var once sync.Once
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/tile/entries/000" {
			once.Do(func() { answer[20] ^= 1 })
		}
		return answer
	}
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// A bundle that has grown begins with entries that were fetched before. Whatever a source hands out
// in their place, those stay in the copy.
func TestSyncOfGrownBundle(t *testing.T) {
	for name, always := range map[string]bool{"always": true, "once": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.growTo(300)
			trust := w.syncedTrust()
			w.growTo(303)
			var once sync.Once
			w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
				if spoil := func() { answer[20] ^= 1 }; strings.HasPrefix(r.URL.Path, "/tile/entries/001") {
					if always {
						spoil()
					} else {
						once.Do(spoil)
					}
				}
				return answer
			}
			err := trust.Sync(t.Context(), w.client(), nil)
			var source *SourceError
			if always && (!errors.As(err, &source) || source.First != 256 || source.End != 303) || !always && err != nil {
				t.Errorf("%v; its URL is at fault: %v", err, always)
			}
			for index := range trust.CoveredSize() {
				own, err := trust.Entry(t.Context(), index)
				must(t, err)
				its, err := w.ledger.Entry(t.Context(), index)
				must(t, err)
				if string(own) != string(its) {
					t.Errorf("entry %d is another in the copy", index)
				}
			}
			w.net.rewriteResponse = nil
			must(t, trust.Sync(t.Context(), w.client(), nil))
			w.wantSameRegister(trust)
		})
	}
}

// Tiles that do not make the signed root are the source's fault as well.
func TestSyncFromSpoiltTiles(t *testing.T) {
	skipSerial(t)
	w := newWorld(t)
	w.growTo(300)
	trust := w.syncedTrust()
	w.growTo(2600)
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if strings.HasPrefix(r.URL.Path, "/tile/1/") {
			answer[7] ^= 1
		}
		return answer
	}
	var fork *InconsistencyError
	var source *SourceError
	if err := trust.Sync(t.Context(), w.client(), nil); errors.As(err, &fork) || !errors.As(err, &source) {
		t.Fatalf("%v, want the source's fault", err)
	}
	w.net.rewriteResponse = nil
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// A copy that an earlier source has led astray begins anew.
func TestSyncFromPoisonedCopy(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.growTo(300)
	other.growTo(200)
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	must(t, trust.Refresh(t.Context(), w.client()))
	r, err := trust.openNext(false)
	must(t, err)
	_, err = (&logReplayer{read: other.client().Source().Bundle, tree: proof.NewAppender(), register: r, write: NewTileDir(files, "trust").writeRun}).replayTo(t.Context(), 200)
	must(t, err)
	must(t, r.Close())
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// A copy whose files are damaged gives no entry and no receipt that is wrong; where
// the damage is at its edge, the next sync begins anew.
func TestDamagedCopy(t *testing.T) {
	skipSerial(t)
	w := newWorld(t)
	w.growTo(300)
	for _, c := range []struct {
		file   string
		heals  bool // by a sync that has nothing else to do
		mended int  // bundles
	}{
		{"tile/entries/000", false, 2},
		{"tile/0/000", false, 0},
		{"tile/0/001.p/44", true, 0},
		{"tile/1/000.p/1", true, 0},
	} {
		t.Run(c.file, func(t *testing.T) {
			files := vfs.NewMem()
			trust := w.trust(files, "trust")
			must(t, trust.Sync(t.Context(), w.client(), nil))
			name := files.PathJoin("trust", c.file)
			data, err := disk.ReadFile(files, name)
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, disk.WriteFile(files, name, data, 0o644, disk.SyncNow))
			wrong, last := 0, uint64(0)
			for index := uint64(0); index < 300; index++ {
				own, err := trust.Entry(t.Context(), index)
				if err != nil {
					wrong, last = wrong+1, index
					if damage := (*DamageError)(nil); !errors.As(err, &damage) {
						t.Fatalf("index %d: %v", index, err)
					}
					continue
				}
				its, err := w.ledger.Entry(t.Context(), index)
				must(t, err)
				if string(own) != string(its) {
					t.Fatalf("index %d: another entry", index)
				}
			}
			if wrong == 0 {
				t.Error("nothing was noticed")
			}
			must(t, trust.Sync(t.Context(), w.client(), nil))
			_, err = trust.Entry(t.Context(), last)
			if c.heals != (err == nil) {
				t.Errorf("after the next sync: %v", err)
			}
			w.net.bundles()
			mended, err := trust.VerifyCopy(t.Context(), w.client(), nil)
			must(t, err)
			if fetched := w.net.bundles(); mended != c.mended || len(fetched) != c.mended {
				t.Errorf("mended %d bundles, fetched %v", mended, fetched)
			}
			for index := uint64(0); index < 300; index++ {
				if _, err := trust.Entry(t.Context(), index); err != nil {
					t.Fatal(err)
				}
			}
			w.wantSameRegister(trust)
		})
	}
}

// Nothing published yet, another charter, a server that is away: each has its error.
func TestCreateTrust(t *testing.T) {
	w := newWorld(t)
	files := vfs.NewMem()
	var other *OtherLedgerError
	if _, err := CreateTrust(t.Context(), files, "trust", w.client(), record.ID{1}); !errors.As(err, &other) || other.Charter != w.Ledger {
		t.Errorf("another charter: %v", err)
	}
	w.net.fail = func(*http.Request) error { return errLost }
	var gone *wire.UnreachableError
	if _, err := CreateTrust(t.Context(), files, "trust", w.client(), w.Ledger); !errors.As(err, &gone) {
		t.Errorf("out of reach: %v", err)
	}
	w.net.fail = nil
	if _, err := OpenTrust(files, "trust"); !errors.Is(err, ErrNoTrust) {
		t.Errorf("after failures: %v", err)
	}
	w.trust(files, "trust")
	_, err := CreateTrust(t.Context(), files, "trust", w.client(), record.ID{1}) // another charter in the same directory
	wantRefused(t, err, "error")
	// A charter that was signed by nobody that counts, in the chain and among the entries.
	strip := func(entry []byte) []byte {
		e, err := record.ParseEntry(entry)
		must(t, err)
		e.Envelope.Signatures = e.Envelope.Signatures[:1]
		return e.Marshal()
	}
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if !strings.HasSuffix(r.URL.Path, "/receipt") {
			return answer
		}
		chain, err := proof.ParseChain(answer)
		must(t, err)
		chain[len(chain)-1].Entry = strip(chain[len(chain)-1].Entry)
		text, err := proof.FormatChain(chain)
		must(t, err)
		return text
	}
	trust, err := CreateTrust(t.Context(), vfs.NewMem(), "trust", w.client(), w.Ledger)
	must(t, err)
	wantRefused(t, trust.Refresh(t.Context(), w.client()), "error")
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if !strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			return answer
		}
		entries, err := proof.ParseEntryBundle(answer, 2)
		must(t, err)
		entries[0] = strip(entries[0])
		data, err := proof.FormatEntryBundle(entries)
		must(t, err)
		return data
	}
	if _, err := CreateTrust(t.Context(), vfs.NewMem(), "trust", w.client(), w.Ledger); err == nil || !strings.Contains(err.Error(), "root key") {
		t.Errorf("one signature among the entries: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a mirror makes of the charters' chain leaves those that are known.
func TestChartersSpoilt(t *testing.T) {
	w := newWorld(t)
	trust := w.syncedTrust()
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/checkpoint" {
			return bytes.Replace(answer, []byte("— "), []byte("— x"), 1)
		}
		return []byte("no chain")
	}
	if err := trust.Refresh(t.Context(), w.client()); err == nil {
		t.Fatal("believed")
	}
	if c, _ := trust.Charter(); c == nil {
		t.Error("no charter is known any more")
	}
	w.net.rewriteResponse = nil
	must(t, trust.Sync(t.Context(), w.client(), nil))
}

// A mirror may be behind the chain of charters: those that are beyond its checkpoint are
// not among its entries, and nothing is wrong with that.
func TestSyncBehindCharter(t *testing.T) {
	w := newWorld(t)
	w.growTo(10)
	before := w.ledger.Published().Note()
	w.admit(w.Charter())
	trust := w.trust(vfs.NewMem(), "trust")
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/checkpoint" {
			return before
		}
		return answer
	}
	must(t, trust.Refresh(t.Context(), w.client()))
	must(t, trust.Sync(t.Context(), w.client(), nil))
	if _, index := trust.Charter(); index != 10 || trust.CoveredSize() != 10 {
		t.Errorf("charter %d is known, %d entries covered", index, trust.CoveredSize())
	}
	w.net.rewriteResponse = nil
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// Of a chain that a mirror fills with what nobody asked for, the charters are kept.
func TestChartersPadded(t *testing.T) {
	w := newWorld(t)
	w.growTo(5)
	chain, err := w.client().ChainUnverified(t.Context(), w.Ledger)
	must(t, err)
	row, err := w.register.Record(4)
	must(t, err)
	other, err := w.client().Receipt(t.Context(), row.ID, SinglePolicy{w.policy})
	must(t, err)
	padded := rewriteTo(append(slices.Clone(chain), bytes.Repeat(other.Text, 500)...))
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if strings.HasSuffix(r.URL.Path, "/receipt") {
			return padded(r, answer)
		}
		return answer
	}
	files := vfs.NewMem()
	must(t, w.trust(files, "trust").Refresh(t.Context(), w.client()))
	kept, err := disk.ReadFile(files, "trust/"+chartersFile)
	must(t, err)
	if all, err := proof.ParseChain(kept); err != nil || len(all) != 1 || kindOf(all[0]) != record.KindCharter {
		t.Errorf("kept are %d bytes, %d receipts: %v", len(kept), len(all), err)
	}
	_, err = OpenTrust(files, "trust")
	must(t, err)
}
