package client

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

// withhold withholds these entries, and no others.
func (w *world) withhold(indexes ...uint64) {
	w.t.Helper()
	w.withheld = nil
	for _, i := range indexes {
		row, err := w.register.Record(i)
		must(w.t, err)
		w.withheld = append(w.withheld, server.Withheld{Index: i, Record: row.ID, Kind: row.Kind, Thread: row.Thread, Reason: "order 7", Since: time.Now()})
	}
}

// wantWithheld wants a copy that judges up to an entry, and whose tree goes further.
func (w *world) wantWithheld(t *Trust, index, size uint64) {
	w.t.Helper()
	withheld := t.Withheld()
	if withheld == nil || withheld.Index != index || withheld.URL != "http://ledger.example" || !strings.HasPrefix(withheld.Reason, "order 7") {
		w.t.Fatalf("withheld: %+v, want entry %d", withheld, index)
	}
	if got := t.CoveredSize(); got != index || t.Checkpoint().Checkpoint().Size != size {
		w.t.Fatalf("the copy judges %d entries of %d, want %d of %d", got, t.Checkpoint().Checkpoint().Size, index, size)
	}
	tree, err := proof.NewTileReader(t.copyDir().Tiles, 0).At(t.Checkpoint().Checkpoint().Tree()).TreeAt(w.t.Context(), index+1)
	must(w.t, err)
	if theirs, err := w.ledger.Receipt(w.t.Context(), index); err != nil || tree.Size != index+1 || theirs.Index != index {
		w.t.Fatalf("the tree up to the entry: %+v, %v", tree, err)
	}
}

// A copy of a log of which an entry is withheld goes up to it and says so; its tree goes on,
// and so do proofs of inclusion. What it lacks it takes from nobody's word.
func TestWithheldEntryEndsWhatIsJudged(t *testing.T) {
	w := newWorld(t)
	w.growTo(700)
	receiptOf := func(index uint64) []byte {
		t.Helper()
		r, err := w.ledger.Receipt(t.Context(), index)
		must(t, err)
		text, err := r.Format()
		must(t, err)
		return text
	}
	withheld := []uint64{1, 256, 300, 699}
	if testing.Short() { // as where the race detector slows everything
		withheld = []uint64{300}
	}
	for _, index := range withheld {
		t.Run(fmt.Sprint(index), func(t *testing.T) {
			w.withhold(index)
			files := vfs.NewMem()
			trust := w.trust(files, "trust")
			must(t, trust.Sync(t.Context(), w.client(), nil))
			w.wantWithheld(trust, index, 700)

			before, err := Verify(t.Context(), receiptOf(index-1), trust, time.Now())
			must(t, err)
			after, err := Verify(t.Context(), receiptOf(index), trust, time.Now())
			must(t, err)
			if before.Authorship != AuthorshipByReplay || after.Authorship != AuthorshipNotChecked {
				t.Errorf("authorship before %v, from there on %v", before.Authorship, after.Authorship)
			}
			if r, err := trust.Register(); err != nil || r.Size() != index {
				t.Errorf("the register: %v", err)
			}
			row, err := w.register.Record(index - 1)
			must(t, err)
			if own, err := trust.Receipt(t.Context(), row.ID); err != nil {
				t.Errorf("a receipt of the copy's own: %v", err)
			} else if _, err := own.Verify(w.policy, time.Now()); err != nil {
				t.Errorf("a receipt of the copy's own: %v", err)
			}

			// The same again, in another process, and with every file read anew.
			again, err := OpenTrust(files, "trust")
			must(t, err)
			must(t, again.Sync(t.Context(), w.client(), nil))
			w.wantWithheld(again, index, 700)
			mended, err := again.VerifyCopy(t.Context(), w.client(), nil)
			must(t, err)
			if mended != 0 {
				t.Errorf("%d bundles were damaged", mended)
			}
			w.wantWithheld(again, index, 700)
			replayed, err := register.Open(vfs.NewMem(), "register", RegisterOptions())
			must(t, err)
			must(t, again.replayCopy(t.Context(), replayed))
			if replayed.Size() != index {
				t.Errorf("the copy's own files make a register of %d", replayed.Size())
			}
			must(t, replayed.Close())

			report, err := Audit{Source: w.client().Source(), Charter: w.Ledger, RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}.Run(t.Context())
			must(t, err)
			if report.Withheld == nil || report.Withheld.Index != index || report.Checked != index || len(report.Findings) > 0 || report.Tree != trust.Checkpoint().Checkpoint().Tree() {
				t.Errorf("the audit: %+v", report)
			}

			// Another source has it, though one before it hands out something else.
			other := vfs.NewMem()
			w.withhold()
			whole := w.trust(other, "whole")
			must(t, whole.Sync(t.Context(), w.client(), nil))
			w.withhold(index)
			again.With = []Source{Directory(vfs.NewMem(), "nothing"), Directory(other, "whole")}
			must(t, again.Sync(t.Context(), w.client(), nil))
			if again.Withheld() != nil {
				t.Errorf("still %v", again.Withheld())
			}
			w.wantSameRegister(again)
			must(t, again.Close())
			must(t, trust.Close())
		})
	}

	t.Run("spoilt beyond it", func(t *testing.T) { // all that is there is read anew, hashes too
		w.withhold(10)
		files := vfs.NewMem()
		trust := w.trust(files, "trust")
		must(t, trust.Sync(t.Context(), w.client(), nil))
		const tile = "trust/tile/0/001"
		good, err := disk.ReadFile(files, tile)
		must(t, err)
		must(t, disk.WriteFile(files, tile, make([]byte, len(good)), 0o644, disk.SyncNow))
		_, err = trust.VerifyCopy(t.Context(), w.client(), nil)
		must(t, err)
		if got, err := disk.ReadFile(files, tile); err != nil || !bytes.Equal(got, good) {
			t.Errorf("%s is not as it was: %v", tile, err)
		}
		w.wantWithheld(trust, 10, 700)
	})

	t.Run("served again", func(t *testing.T) {
		w.withhold(300, 310, 620)
		trust := w.syncedTrust()
		w.wantWithheld(trust, 300, 700)
		w.withhold(620)
		must(t, trust.Sync(t.Context(), w.client(), nil))
		w.wantWithheld(trust, 620, 700)
		w.withhold()
		must(t, trust.Sync(t.Context(), w.client(), nil))
		if trust.Withheld() != nil {
			t.Error("nothing is withheld any more")
		}
		w.wantSameRegister(trust)
	})

	t.Run("other hashes", func(t *testing.T) {
		w.withhold(300)
		trust := w.trust(vfs.NewMem(), "trust")
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			if strings.HasPrefix(r.URL.Path, "/tile/0/002") && len(answer) > 90*32 {
				answer[90*32] ^= 1
			}
			return answer
		}
		var source *SourceError
		if err := trust.Sync(t.Context(), w.client(), nil); !errors.As(err, &source) || trust.CoveredSize() != 0 {
			t.Errorf("%v, want the source's fault", err)
		}
		w.net.rewriteResponse = nil
		must(t, trust.Sync(t.Context(), w.client(), nil))
		w.wantWithheld(trust, 300, 700)
	})

	// The file that names the entry is no proof: a register of another history is none of
	// this log, whatever the file says.
	t.Run("another history", func(t *testing.T) {
		w.withhold()
		other := newWorld(t)
		other.growTo(200)
		files := vfs.NewMem()
		trust := w.trust(files, "trust")
		must(t, trust.Sync(t.Context(), w.client(), nil))
		r, err := trust.openNext(true)
		must(t, err)
		_, err = (&logReplayer{read: other.client().Source().Bundle, tree: proof.NewAppender(), register: r}).replayTo(t.Context(), 200)
		must(t, err)
		must(t, trust.commitGeneration(r))
		must(t, trust.Close())
		must(t, files.RemoveAll("trust/register/1"))
		must(t, disk.WriteFile(files, "trust/withheld.json", []byte(`{"index":200,"url":"http://ledger.example","reason":"order 7"}`), 0o644, disk.SyncNow))
		again, err := OpenTrust(files, "trust")
		must(t, err)
		if r, err := again.Register(); !errors.Is(err, ErrNoCopy) {
			t.Errorf("a register of another history: %v, %v", r, err)
		}
	})
}

// A copy that had the entry before goes on with it, though its bundle is served no more.
func TestCopyGoesOnWithWhatItHas(t *testing.T) {
	w := newWorld(t)
	w.growTo(310)
	trust := w.syncedTrust()
	w.withhold(300)
	w.growTo(700)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	if withheld := trust.Withheld(); withheld != nil {
		t.Fatal(withheld)
	}
	w.wantSameRegister(trust)

	// Of what it does not have the first counts, and it goes on from there once that is served.
	w.growTo(800)
	w.withhold(300, 705)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantWithheld(trust, 705, 800)
	w.growTo(1100)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantWithheld(trust, 705, 1100)
	w.withhold(300)
	must(t, trust.Sync(t.Context(), w.client(), nil))
	w.wantSameRegister(trust)
}

// What the server answers to whoever asks for the receipt says why.
func TestReceiptOfWithheldEntry(t *testing.T) {
	w := newWorld(t)
	w.growTo(10)
	trust := w.syncedTrust()
	row, err := w.register.Record(7)
	must(t, err)
	w.withhold(7)
	var p *Problem
	if _, err := w.client().Receipt(t.Context(), row.ID, trust); !errors.As(err, &p) || p.Status != 451 || p.Type != record.ProblemURN+"withheld" || p.Retryable() {
		t.Errorf("%v", err)
	}
}
