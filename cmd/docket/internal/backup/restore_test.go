package backup_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/backup"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A store is lost: a backup and a mirror make it again, whole, and the log goes on. Without
// the mirror it is said which entries nobody has, and nothing is left that could sign.
func TestRestore(t *testing.T) {
	for _, quorum := range []string{"2", "none"} {
		w := newWorld(t, quorum)
		w.add(300)
		first := w.receipt(17)
		w.backUp("B")
		w.add(400)
		last := w.receipt(600)
		url := w.serve()
		if quorum == "2" {
			_, _, err := w.restore(w.files, "B")
			missing := (*backup.MissingError)(nil)
			if !errors.As(err, &missing) || len(missing.Ranges) != 1 || missing.Ranges[0] != (backup.Range{Start: 302, End: 702}) {
				t.Fatalf("without the mirror: %v", err)
			}
			if names, _ := w.files.List("R"); len(names) > 0 {
				t.Errorf("it left %v", names)
			}
		}
		asked := len(w.asked)
		r, warnings, err := w.restore(w.files, "B", url)
		check(t, err)
		if r.Size != 702 || r.Published != 702 || r.Backup != 302 || r.Unsigned != 0 || warnings != "" || len(w.asked) != asked {
			t.Errorf("quorum %s: %+v, %q; asked to cosign %v", quorum, r, warnings, w.asked[asked:])
		}
		w.goesOn(first, last)
	}
}

// What the sources hand out is checked, each on its own: what one spoils another has.
func TestSourcesThatLie(t *testing.T) {
	w := newWorld(t, "2")
	w.add(298)
	w.backUp("B")
	w.add(300)
	last := w.receipt(599)
	w.backUp("M")
	other := newWorld(t, "2")
	other.backUp("O")
	check(t, disk.MakeDir(w.files, "C", 0o755))
	_, err := vfs.Clone(other.files, w.files, "O", "O")
	check(t, err)
	entries := func(dir string) string { return dir + "/log/tile/entries/001" }
	spoil := func(dir string, change func(name string, data []byte)) string {
		_, err := vfs.Clone(w.files, w.files, "M", dir, vfs.CloneSync)
		check(t, err)
		name := entries(dir)
		data, err := disk.ReadFile(w.files, name)
		check(t, err)
		change(name, data)
		return dir
	}
	lying := spoil("lying", func(name string, data []byte) {
		data[len(data)/2] ^= 1
		w.write(name, data)
	})
	short := spoil("short", func(name string, data []byte) { w.write(name, data[:len(data)/2]) })
	gone := spoil("gone", func(name string, _ []byte) { check(t, w.files.Remove(name)) })
	edge := spoil("edge", func(string, []byte) { w.write("edge/log/tile/1/000.p/2", []byte("nothing")) })
	note := spoil("note", func(string, []byte) { w.write("note/log/checkpoint", []byte("nothing\n")) })
	for _, c := range []struct {
		with     []string
		missing  backup.Range // of what is not whole; zero if it is
		warnings string
	}{
		{with: []string{lying}, missing: backup.Range{Start: 300, End: 512}, warnings: "lying does not hand out all"},
		{with: []string{short}, missing: backup.Range{Start: 300, End: 512}, warnings: "short does not hand out all"},
		{with: []string{gone}, missing: backup.Range{Start: 300, End: 512}, warnings: "gone does not hand out all"},
		{with: []string{lying, short, "M"}, warnings: "lying does not hand out all"},
		{with: []string{lying + "/log", "M/log"}, warnings: "lying/log does not hand out all"},
		{with: []string{edge}}, // tiles are made of entries
		{with: []string{note}, warnings: "note shows a checkpoint that is none"},
	} {
		r, warnings, err := w.restore(w.files, "B", c.with...)
		missing := (*backup.MissingError)(nil)
		switch {
		case !strings.Contains(warnings, c.warnings) || c.warnings == "" && warnings != "":
			t.Errorf("%v: warnings %q", c.with, warnings)
		case c.missing.End == 0 && (err != nil || r.Size != 600):
			t.Errorf("%v: %+v, %v", c.with, r, err)
		case c.missing.End != 0 && (!errors.As(err, &missing) || len(missing.Ranges) != 1 || missing.Ranges[0] != c.missing):
			t.Errorf("%v: %v, want that nobody has %s", c.with, err, c.missing)
		}
		check(t, w.files.RemoveAll("R"))
	}
	if _, _, err := w.restore(w.files, "B", "O"); !errors.Is(err, backup.ErrOther) {
		t.Errorf("a backup of another ledger: %v", err)
	}
	if _, _, err := w.restore(w.files, "B", "C"); !errors.Is(err, backup.ErrNone) {
		t.Errorf("an empty directory: %v", err)
	}
	_, _, err = w.restore(w.files, lying, "B", "M") // the newer backup is damaged, the older one whole
	check(t, err)
	w.goesOn(last)
}

// One witness has cosigned more than a quorum has: the log may not go on from less.
func TestOneWitnessHasMore(t *testing.T) {
	w := newWorld(t, "2")
	w.backUp("B")
	w.silence(w.witnesses[1])
	w.silence(w.witnesses[2])
	w.add(3)
	if got := w.node.Ledger.PublishedSize(); got != 2 {
		t.Fatalf("published %d", got)
	}
	w.backUp("M")
	w.wake(w.witnesses[1])
	missing := (*backup.MissingError)(nil)
	if _, _, err := w.restore(w.files, "B"); !errors.As(err, &missing) || missing.Ranges[0] != (backup.Range{Start: 2, End: 5}) {
		t.Errorf("without the entries that one witness has seen signed: %v", err)
	}
	r, _, err := w.restore(w.files, "B", "M")
	check(t, err)
	if r.Size != 5 || r.Published != 2 || r.Unsigned != 0 {
		t.Errorf("%+v", r)
	}
	w.goesOn()
}

// Too few witnesses answer: whether there is more is not known.
func TestWitnessesThatAreSilent(t *testing.T) {
	w := newWorld(t, "2")
	w.backUp("B")
	for _, one := range w.witnesses[:2] {
		w.silence(one)
	}
	if _, _, err := w.restore(w.files, "B"); !errors.Is(err, backup.ErrNoQuorum) {
		t.Errorf("one of three answers: %v", err)
	}
	if names, _ := w.files.List("R"); len(names) > 0 {
		t.Errorf("it left %v", names)
	}
	_, err := backup.Restore{Files: w.files, Backup: "B", To: "R", Transport: w, WithoutWitnesses: true}.Make(t.Context())
	check(t, err)
	w.wake(w.witnesses[0])
	w.goesOn()
}

// What was committed and not published when the backup was made is kept, whether the log
// went on or not.
func TestUnpublishedEntries(t *testing.T) {
	for _, went := range []string{"on", "nowhere"} {
		w := newWorld(t, "2")
		for _, one := range w.witnesses {
			w.silence(one)
		}
		w.add(5)
		b := w.backUp("B")
		if b.Size != 7 || b.Published != 2 {
			t.Fatalf("%+v", b)
		}
		for _, one := range w.witnesses {
			w.wake(one)
		}
		var given []proof.Receipt
		wantUnsigned, wantPublished := uint64(5), uint64(2)
		if went == "on" {
			w.publishLater()
			given = append(given, w.receipt(6))
			wantUnsigned, wantPublished = 0, 7
		}
		r, warnings, err := w.restore(w.files, "B")
		check(t, err)
		if r.Size != 7 || r.Unsigned != wantUnsigned || r.Published != wantPublished || warnings != "" {
			t.Errorf("the log went %s: %+v, %q", went, r, warnings)
		}
		w.goesOn(given...)
	}
}

// publishLater opens the ledger anew, so that witnesses who did not answer are asked at once.
func (w *world) publishLater() {
	w.t.Helper()
	check(w.t, w.node.Close())
	w.open("D")
	check(w.t, w.node.Ledger.Publish(w.t.Context()))
}

// A witness that shows more than the log has signed is told of, and not gone by.
func TestUnsignedClaims(t *testing.T) {
	w := newWorld(t, "2")
	w.backUp("B")
	skey, _, err := proof.GenerateKey(proof.Ed25519, origin)
	check(t, err)
	thief, err := proof.ParseSigner(skey)
	check(t, err)
	made, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 99}, thief)
	check(t, err)
	w.handle("w1.example", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(made.Note()) }))
	r, warnings, err := w.restore(w.files, "B")
	check(t, err)
	if r.Size != 2 || !strings.Contains(warnings, "http://w1.example shows a checkpoint of size 99 that this log has not signed") {
		t.Errorf("%+v, %q", r, warnings)
	}
	w.wake(w.witnesses[0])
	w.goesOn()
}

// Two histories with the log's own signature are no history.
func TestTwoHistories(t *testing.T) {
	w := newWorld(t, "2")
	w.add(3)
	w.backUp("B")
	cp := w.node.Ledger.Published().Checkpoint()
	cp.Root[0] ^= 1
	for _, size := range []uint64{5, 4} {
		cp.Size = size
		other, err := proof.SignCheckpoint(cp, w.keys.Signers...)
		check(t, err)
		w.handle("w3.example", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(other.Note()) }))
		fork := (*backup.ForkError)(nil)
		if _, _, err := w.restore(w.files, "B"); !errors.As(err, &fork) || len(fork.Notes) != 2 || string(fork.Notes[0]) == string(fork.Notes[1]) {
			t.Errorf("size %d: %v", size, err)
		}
		if names, _ := w.files.List("R"); len(names) > 0 {
			t.Errorf("it left %v", names)
		}
	}
}

// The log's keys and its witnesses were replaced since the backup: those of now are asked,
// and a chain of charters is proven under the witnesses of each time.
func TestRotatedSinceTheBackup(t *testing.T) {
	for _, source := range []string{"mirror", "copy"} {
		w := newWorld(t, "2")
		w.backUp("B")
		old := w.keys
		next := w.newKeys()
		w.keys.Signers = append(append([]*proof.Signer(nil), old.Signers...), next.Signers...)
		w.newWitnesses("w4", "w5", "w6")
		check(t, w.node.Close())
		w.open("D")
		w.records.Now = time.Now()
		w.records.CharterPredicate.Policy = w.policy(w.keys, w.witnesses[3:])
		w.admit(w.records.Charter())
		w.add(2)
		w.records.Now = time.Now()
		w.records.CharterPredicate.Policy = w.policy(next, w.witnesses[3:])
		w.admit(w.records.Charter())
		w.add(2)
		for _, one := range w.witnesses[:3] {
			w.silence(one)
		}
		with := w.serve()
		if source == "copy" {
			with = "M"
			w.backUp("M")
		}
		last := w.receipt(7)
		r, warnings, err := w.restore(w.files, "B", with)
		check(t, err)
		if r.Size != 8 || r.Published != 8 || warnings != "" {
			t.Errorf("%s: %+v, %q", source, r, warnings)
		}
		w.goesOn(last)
		for _, charter := range []uint64{2, 5} {
			if p, err := w.node.Ledger.CheckpointUpTo(t.Context(), charter); err != nil || p.Checkpoint().Size != charter {
				t.Errorf("%s: the last checkpoint before the charter at %d: %v, %v", source, charter, p, err)
			}
		}
	}
}

// Nothing is made where a ledger is, or a part of one.
func TestRestoreInTheWay(t *testing.T) {
	w := newWorld(t, "none")
	w.backUp("B")
	for _, dir := range []string{"D", "B"} {
		_, err := backup.Restore{Files: w.files, Backup: "B", To: dir}.Make(t.Context())
		if !errors.Is(err, backup.ErrInTheWay) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	check(t, w.files.MkdirAll("R/keys", 0o700))
	names, err := w.files.List("B/keys")
	check(t, err)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".key") })
	w.write("R/keys/"+names[0], []byte("another\n"))
	if _, _, err := w.restore(w.files, "B"); !errors.Is(err, backup.ErrInTheWay) {
		t.Errorf("another key by that name: %v", err)
	}
	if _, err := w.files.Stat("R/store"); err == nil {
		t.Error("a store was made beside another log's key")
	}
	check(t, w.files.RemoveAll("R/keys"))
	if _, _, err := w.restore(w.files, "B"); err != nil {
		t.Error(err)
	}
	if _, err := w.openAt(w.files, "B"); !errors.Is(err, node.ErrBackup) {
		t.Errorf("a backup is opened as a ledger: %v", err)
	}
}

// A part of the ledger's own disk is damaged, and a backup is older: each has what the other
// lacks.
func TestDamagedLedgerIsASource(t *testing.T) {
	w := newWorld(t, "2")
	w.add(298)
	w.backUp("B")
	w.add(300)
	last := w.receipt(599)
	for range 2 { // the second opening writes out what the write-ahead log has
		check(t, w.node.Close())
		w.open("D")
	}
	check(t, w.node.Close())
	names, err := w.files.List("D/store")
	check(t, err)
	spoilt := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".blob") { // entries, in their order
			data, err := disk.ReadFile(w.files, "D/store/"+name)
			check(t, err)
			data[len(data)/10] ^= 0x55
			w.write("D/store/"+name, data)
			spoilt++
		}
	}
	from, closer, err := node.OpenCommitted(w.t.Context(), w.files, "D", nil)
	check(t, err)
	if _, err := backup.Write(t.Context(), backup.Options{From: from, Files: w.files, Keys: "D/keys", To: "N"}); err == nil {
		t.Error("what is damaged was backed up")
	}
	check(t, closer.Close())
	w.open("D2") // for the clean-up
	if spoilt == 0 {
		t.Fatal("no file of entries was found")
	}
	r, warnings, err := w.restore(w.files, "B", "D")
	if err != nil || r.Size != 600 || r.Published != 600 {
		t.Fatalf("%+v, %v, %q", r, err, warnings)
	}
	w.goesOn(last)
}
