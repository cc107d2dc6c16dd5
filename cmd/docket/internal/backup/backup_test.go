package backup_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/backup"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server"
)

var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// whole reads a backup as anybody reads a mirror: every entry, and every tile, against the
// published checkpoint. It returns the size.
func whole(t *testing.T, files vfs.FS, dir string, policy *proof.Policy) uint64 {
	t.Helper()
	log := client.NewTileDir(files, files.PathJoin(dir, "log"))
	r := reader.New(log, reader.Config{Verify: func(note []byte) (*proof.Published, error) { return policy.Verify(note, farFuture) }})
	check(t, r.Refresh(t.Context()))
	size := r.PublishedSize()
	if _, err := r.Entries(t.Context(), 0, size); err != nil {
		t.Fatalf("%s at size %d: %v", dir, size, err)
	}
	return size
}

// Records are written while a backup is made: it is one moment of them, and the next one
// has the rest.
func TestBackupWhileRecordsAreWritten(t *testing.T) {
	w := newWorld(t, "none")
	policy, err := proof.ParsePolicy([]byte(w.records.CharterPredicate.Policy))
	check(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var made sync.WaitGroup
	var last uint64
	made.Go(func() {
		for ctx.Err() == nil {
			r, err := w.tryBackUp(w.files, "B")
			if err != nil || r.Size < last || r.Published > r.Size {
				t.Errorf("after %d: %+v, %v", last, r, err)
				return
			}
			last = whole(t, w.files, "B", policy)
		}
	})
	for range 60 {
		w.add(5)
	}
	stop()
	made.Wait()
	if r := w.backUp("B"); r.Size != 302 || r.Published != 302 || whole(t, w.files, "B", policy) != 302 {
		t.Errorf("%+v", r)
	}
	names, err := w.files.List("B/log/tile/entries/001.p")
	if err != nil || len(names) != 1 {
		t.Errorf("of what has grown it leaves %v, %v", names, err)
	}
}

// The power fails before each single write of a backup, the first and a later one: what is
// there is a backup, the same or the next, and the same command again completes it.
func TestBackupCrashes(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, "none")
	policy, err := proof.ParsePolicy([]byte(w.records.CharterPredicate.Policy))
	check(t, err)
	w.add(250)
	for round, before := range []uint64{0, 252} {
		if round > 0 {
			w.add(7)
		}
		size := w.node.Ledger.Head().Size
		var crashes []*vfs.MemFS
		_, err := w.tryBackUp(errorfs.Wrap(w.files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				crashes = append(crashes, w.files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}))
			}
			return nil
		})), "B")
		check(t, err)
		t.Logf("round %d: %d crashes (seed %d)", round, len(crashes), seed)
		if len(crashes) < 20 {
			t.Error("few crashes")
		}
		for i, left := range crashes {
			if before > 0 {
				if got := whole(t, left, "B", policy); got != before && got != size {
					t.Fatalf("round %d, crash %d (seed %d): size %d", round, i, seed, got)
				}
				r, _, err := w.restore(left, "B")
				if err != nil || r.Size != before && r.Size != size {
					t.Fatalf("round %d, crash %d (seed %d): restoring: %+v, %v", round, i, seed, r, err)
				}
			}
			if _, err := w.tryBackUp(left, "B"); err != nil {
				t.Fatalf("round %d, crash %d (seed %d): again: %v", round, i, seed, err)
			}
			if got := whole(t, left, "B", policy); got != size {
				t.Fatalf("round %d, crash %d (seed %d): again: size %d", round, i, seed, got)
			}
		}
	}
}

// The power fails before each single write of a restore: what is left is no ledger, or all
// of one, which withholds what was withheld and has its auditors' words; and the same command again completes it.
func TestRestoreCrashes(t *testing.T) {
	const seed = 12
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, "none")
	w.add(40)
	w.backUp("B")
	check(t, node.Withhold(w.files, "B", node.Withheld{Withheld: server.Withheld{Index: 3, Kind: record.KindEnrolment, Thread: "party/acme-cloud", Reason: "order 7"}}))
	word := node.AuditorsDir + "/" + strings.Repeat("ab", 32) + ".checkpoint"
	check(t, disk.MakeDir(w.files, "B/"+node.AuditorsDir, 0o755))
	check(t, disk.WriteFile(w.files, "B/"+word, []byte("a word\n"), 0o644, disk.SyncNow))
	carried := func(files vfs.FS) bool {
		list, err := node.ReadWithheld(files, "R")
		note, failed := disk.ReadFile(files, "R/"+word)
		return err == nil && len(list) == 1 && failed == nil && string(note) == "a word\n"
	}
	size := w.node.Ledger.Head().Size
	var mu sync.Mutex // Pebble writes in the background too
	var crashes []*vfs.MemFS
	_, _, err := w.restore(errorfs.Wrap(w.files, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, w.files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}))
		}
		return nil
	})), "B")
	check(t, err)
	t.Logf("%d crashes (seed %d)", len(crashes), seed)
	opened := 0
	for i, left := range crashes {
		if testing.Short() && i%5 != 0 && i < len(crashes)-10 { // the last are those that leave a ledger
			continue
		}
		if _, err := left.Stat("R/restoring"); err == nil {
			n, err := w.openAt(left.CrashClone(vfs.CrashCloneCfg{}), "R")
			switch {
			case errors.Is(err, node.ErrRestoring):
			case err != nil:
				t.Fatalf("crash %d (seed %d): %v", i, seed, err)
			case n.Ledger.Head().Size != size:
				t.Fatalf("crash %d (seed %d): a ledger of %d", i, seed, n.Ledger.Head().Size)
			case !carried(left):
				t.Fatalf("crash %d (seed %d): the ledger withholds nothing, or has no word of its auditor", i, seed)
			default:
				opened++
				check(t, n.Close())
			}
		}
		if _, err := left.Stat("R/store"); err == nil {
			continue // done
		}
		if r, _, err := w.restore(left, "B"); err != nil || r.Size != size || !carried(left) {
			t.Fatalf("crash %d (seed %d): again: %+v, %v", i, seed, r, err)
		}
	}
	if opened == 0 && !testing.Short() {
		t.Error("no crash left a ledger")
	}
}

// Each write fails once, as on a full disk: the backup that was there is whole, and once
// there is room the same command goes on.
func TestBackupOnAFullDisk(t *testing.T) {
	w := newWorld(t, "none")
	policy, err := proof.ParsePolicy([]byte(w.records.CharterPredicate.Policy))
	check(t, err)
	w.add(250)
	w.backUp("B")
	w.add(9)
	failed := 0
	for n := 0; ; n++ {
		left := w.files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		at := 0
		_, err := w.tryBackUp(errorfs.Wrap(left, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if at++; at == n+1 {
					return syscall.ENOSPC
				}
			}
			return nil
		})), "B")
		if at <= n {
			check(t, err)
			break
		}
		if err != nil {
			failed++
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("write %d: %v", n, err)
			}
		}
		if got := whole(t, left, "B", policy); got != 252 && got != 261 {
			t.Errorf("write %d: size %d", n, got)
		}
		r, err := w.tryBackUp(left, "B")
		if err != nil || r.Size != 261 || whole(t, left, "B", policy) != 261 {
			t.Errorf("write %d, again: %+v, %v", n, r, err)
		}
	}
	if failed < 15 {
		t.Errorf("only %d writes failed", failed)
	}
}

// What is no beginning of the ledger is left alone, and so is what is damaged.
func TestBackupRefuses(t *testing.T) {
	w := newWorld(t, "none")
	w.add(3)
	w.backUp("B")
	w.add(3)
	for _, c := range []struct {
		what string
		from func(node.Committed) node.Committed
		want error
	}{
		{"an entry that is another one", func(c node.Committed) node.Committed { return changed{c, 2} }, backup.ErrForked},
		{"a new entry that has rotted", func(c node.Committed) node.Committed { return changed{c, 6} }, backup.ErrDamaged},
		{"a smaller ledger", func(c node.Committed) node.Committed { return smaller{c} }, backup.ErrOlder},
	} {
		_, err := backup.Write(t.Context(), backup.Options{From: c.from(w.node.Committed()), Files: w.files, Keys: "D/keys", To: "B"})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	names, err := w.files.List("B/log/tile/0/000.p")
	check(t, err)
	for _, name := range names {
		w.write("B/log/tile/0/000.p/"+name, []byte("x"))
	}
	if _, err := w.tryBackUp(w.files, "B"); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a backup of which the newest tile is damaged: %v", err)
	}
	w.backUp("C")
	r, _, err := w.restore(w.files, "B", "C")
	if err != nil || r.Size != 8 {
		t.Errorf("%+v, %v", r, err)
	}
}

// changed has another entry at an index.
type changed struct {
	node.Committed
	index uint64
}

func (c changed) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	entries, err := c.Committed.Entries(ctx, start, end)
	if err == nil && start <= c.index && c.index < end {
		entries[c.index-start] = append([]byte("x"), entries[c.index-start]...)
	}
	return entries, err
}

// smaller has lost what came after its first entries.
type smaller struct{ node.Committed }

func (s smaller) Head(context.Context) (ledger.Head, error) {
	return ledger.Head{Size: 2, Root: proof.EmptyRoot()}, nil
}

// Keys that were retired since are so in the backup; none is lost, and none signs again
// because a backup was restored.
func TestBackupOfRotatedKeys(t *testing.T) {
	w := newWorld(t, "none")
	w.backUp("B")
	names, err := w.files.List("D/keys")
	check(t, err)
	var keys []string
	for _, name := range names {
		if strings.HasSuffix(name, ".key") {
			keys = append(keys, name)
		}
	}
	check(t, disk.MakeDir(w.files, "D/keys/retired", 0o700))
	check(t, w.files.Rename("D/keys/"+keys[0], "D/keys/retired/"+keys[0]))
	check(t, w.files.Remove("D/keys/"+keys[1]))
	w.backUp("B")
	for name, want := range map[string]bool{keys[0]: false, "retired/" + keys[0]: true, keys[1]: true} {
		if _, err := w.files.Stat("B/keys/" + name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.write("D/keys/"+keys[1], []byte("another\n"))
	if _, err := w.tryBackUp(w.files, "B"); !errors.Is(err, backup.ErrOther) {
		t.Errorf("another key by a name: %v", err)
	}
}

// What was archived comes back under its numbers; what has rotted of it is left out.
func TestArchiveComesBack(t *testing.T) {
	w := newWorld(t, "2")
	for range 4 {
		w.records.CharterPredicate.Name += "."
		w.admit(w.records.Charter())
	}
	w.backUp("B")
	w.records.CharterPredicate.Name += "."
	w.admit(w.records.Charter())
	if r := w.backUp("B"); r.Archived != 5 {
		t.Fatalf("%+v", r)
	}
	text, err := disk.ReadFile(w.files, "B/archive/0")
	check(t, err)
	for _, c := range []struct {
		what string
		text []byte
		want uint64
	}{
		{"whole", text, 5},
		{"cut off", text[:len(text)/2], 2},
		{"not there", nil, 0},
	} {
		w.write("B/archive/0", bytes.Clone(c.text)) // the memory file system spoils what it was given, under the race detector
		r, warnings, err := w.restore(w.files, "B")
		check(t, err)
		if r.Archived < c.want || c.want == 5 && r.Archived != 5 || (warnings != "") != (c.want != 5) {
			t.Errorf("%s: %d came back, %q", c.what, r.Archived, warnings)
		}
		n, err := w.openAt(w.files, "R")
		check(t, err)
		if p, err := n.Ledger.CheckpointUpTo(t.Context(), 3); (err == nil && p.Checkpoint().Size == 3) != (c.want > 1) {
			t.Errorf("%s: the checkpoint before the charter at 3: %v", c.what, err)
		}
		check(t, n.Close())
		check(t, w.files.RemoveAll("R"))
	}
}
