package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func fsck(t *testing.T, files vfs.FS) *node.FsckReport {
	t.Helper()
	r, err := node.Fsck{Files: files, Dir: "d/ledger"}.Run(t.Context())
	if err != nil {
		t.Fatalf("fsck: %v", err)
	}
	return r
}

// clone is a disk with the same content.
func clone(t *testing.T, files *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewCrashableMem()
	ok, err := vfs.Clone(files, to, "d", "d", vfs.CloneSync)
	check(t, err)
	if !ok {
		t.Fatal("nothing was cloned")
	}
	for _, dir := range []string{"d", ""} {
		d, err := to.OpenDir(dir)
		check(t, err)
		check(t, errors.Join(d.Sync(), d.Close()))
	}
	return to
}

// contents are all files below a directory.
func contents(t *testing.T, files *vfs.MemFS, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	names, err := files.List(dir)
	check(t, err)
	for _, name := range names {
		path := files.PathJoin(dir, name)
		info, err := files.Stat(path)
		check(t, err)
		if info.IsDir() {
			for name, text := range contents(t, files, path) {
				all[name] = text
			}
			continue
		}
		f, err := files.Open(path)
		check(t, err)
		text, err := io.ReadAll(f)
		check(t, errors.Join(err, f.Close()))
		all[path] = string(text)
	}
	return all
}

// largest is the name of the largest file that ends so.
func largest(t *testing.T, files *vfs.MemFS, dir, end string) (found string) {
	t.Helper()
	size := 0
	for name, text := range contents(t, files, dir) {
		if strings.HasSuffix(name, end) && len(text) > size {
			found, size = files.PathBase(name), len(text)
		}
	}
	return found
}

// goesOn wants a ledger to open, to be clean, and to take a record.
func (p *testNode) goesOn(files *vfs.MemFS, want ledger.Head) {
	p.t.Helper()
	if r := fsck(p.t, files); len(r.Repaired)+len(r.Lost) > 0 || r.Head != want || r.Judged != want.Size {
		p.t.Errorf("afterwards: repaired %v, lost %v, head %v, judged %d", r.Repaired, r.Lost, r.Head, r.Judged)
	}
	n, err := p.open(files)
	check(p.t, err)
	if got := n.Ledger.Head(); got != want || n.Register.Size() != want.Size || n.Ledger.Published().Checkpoint().Tree() != want {
		p.t.Errorf("it opens at %v, want %v", got, want)
	}
	_, _, err = n.Admit(p.t.Context(), p.world.Designate("2026-900", p.world.NewDesignation("Lumen Resale")))
	check(p.t, err)
	check(p.t, n.Close())
}

// Whatever part of a store or of a register rots, fsck says what is lost and changes
// nothing of the store then, or leaves a ledger that is whole.
func TestFsckOfWhatHasRotted(t *testing.T) {
	p := newTestNode(t, "none")
	whole := vfs.NewCrashableMem()
	p.ledgerWith(whole, 520) // so many that a block of a table has nothing but tiles
	first := fsck(t, clone(t, whole))
	if len(first.Repaired)+len(first.Lost) > 0 || first.Judged != 522 || first.Rows == 0 || first.Published == nil || first.Tiles != 4 {
		t.Fatalf("of a ledger that is well: %+v", first)
	}
	tiles, registers, lost := 0, 0, 0
	try := func(what string, files *vfs.MemFS) {
		dry := clone(t, files)
		before := contents(t, dry, "d/ledger")
		looked, err := node.Fsck{Files: dry, Dir: "d/ledger", Scratch: "scratch"}.Run(t.Context())
		check(t, err)
		if after := contents(t, dry, "d/ledger"); len(after) != len(before) {
			t.Errorf("%s: with a scratch directory %d files become %d", what, len(before), len(after))
		} else {
			for name, text := range before {
				if after[name] != text {
					t.Errorf("%s: with a scratch directory %s was changed", what, name)
				}
			}
		}
		r := fsck(t, files)
		if len(looked.Lost) != len(r.Lost) || len(looked.Repaired) != len(r.Repaired) {
			t.Errorf("%s: to repair %v, lost %v; then repaired %v, lost %v", what, looked.Repaired, looked.Lost, r.Repaired, r.Lost)
		}
		if len(r.WrongTiles) > 0 {
			tiles++
		}
		if len(r.Lost) > 0 {
			lost++
			for name, text := range before {
				if !strings.Contains(name, "/register") && contents(t, files, "d/ledger")[name] != text {
					t.Errorf("%s: %s was changed where something is lost: %v", what, name, r.Lost)
				}
			}
			for _, l := range r.Lost {
				if !strings.Contains(l.Do, "backup") {
					t.Errorf("%s: %q says not what to do: %q", what, l.What, l.Do)
				}
			}
			return
		}
		if len(r.Repaired) == 0 {
			t.Logf("%s: nothing was damaged that is read", what)
		} else if strings.HasPrefix(r.Repaired[len(r.Repaired)-1], "the register") {
			registers++
		}
		p.goesOn(files, first.Head)
	}
	tilesFile := largest(t, whole, "d/ledger/store", ".sst")
	for _, c := range []struct {
		dir, end string
		part, of int
	}{
		{"store", tilesFile, 0, 8}, {"store", tilesFile, 5, 8}, {"store", tilesFile, 6, 8}, {"store", ".sst", 6, 8}, {"store", ".sst", 7, 8},
		{"store", ".blob", 2, 8}, {"store", ".blob", 7, 8}, {"register/1", ".sst", 0, 8}, {"register/1", ".sst", 5, 8},
	} {
		files := clone(t, whole)
		rot(t, files, "d/ledger/"+c.dir, c.part, c.of, c.end)
		try(fmt.Sprintf("part %d of %s of the %s's %s", c.part, fmt.Sprint(c.of), c.dir, c.end), files)
	}
	files := clone(t, whole)
	check(t, files.RemoveAll("d/ledger/register"))
	try("no register", files)
	if tiles == 0 || registers == 0 || lost == 0 {
		t.Errorf("tiles were damaged %d times, the register %d times, and something was lost %d times", tiles, registers, lost)
	}
}

// A register of other rows than the entries make, over the same log, is replaced; one that
// has seen more is left, and is the witness of a loss.
func TestFsckOfARegisterOfOtherRows(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 5)
	head := fsck(t, clone(t, files)).Head
	older := clone(t, files)
	n, err := p.open(files)
	check(t, err)
	p.admit(n, p.world.Designate("2026-800", p.world.NewDesignation("Orlop Data")))
	entries, err := n.Ledger.Entries(t.Context(), 0, 8)
	check(t, err)
	check(t, n.Register.Flush())
	check(t, n.Close())

	other := clone(t, older)
	o := client.RegisterOptions()
	o.PolicyKeys = nil // so that the rows of the log's keys are missing
	check(t, other.RemoveAll("d/ledger/register/1"))
	reg, err := register.Open(other, "d/ledger/register/1", o)
	check(t, err)
	check(t, public.Fold(reg).Replay(t.Context(), entries[:7], head))
	check(t, errors.Join(reg.Flush(), reg.Close()))
	r := fsck(t, other)
	if r.WrongRows == 0 || r.WrongRows >= r.Rows || len(r.Repaired) != 1 || len(r.Lost) > 0 {
		t.Errorf("of other rows: %d of %d, repaired %v, lost %v", r.WrongRows, r.Rows, r.Repaired, r.Lost)
	}
	if names, err := other.List("d/ledger/register"); err != nil || !slices.Equal(names, []string{"2"}) {
		t.Errorf("the registers are %v, %v", names, err)
	}
	p.goesOn(other, head)

	behind := clone(t, files) // the register, unlike the store, is not synced
	check(t, behind.RemoveAll("d/ledger/register"))
	ok, err := vfs.Clone(older, behind, "d/ledger/register", "d/ledger/register")
	check(t, err)
	if r := fsck(t, behind); !ok || len(r.Repaired)+len(r.Lost) > 0 || r.Rows == 0 {
		t.Errorf("of a register that is behind: repaired %v, lost %v, %d rows", r.Repaired, r.Lost, r.Rows)
	}

	check(t, files.RemoveAll("d/ledger/store"))
	_, err = vfs.Clone(older, files, "d/ledger/store", "d/ledger/store")
	check(t, err)
	before := contents(t, files, "d/ledger/register")
	if r := fsck(t, files); len(r.Lost) != 1 || len(r.Repaired) > 0 {
		t.Errorf("of an older store: repaired %v, lost %v", r.Repaired, r.Lost)
	}
	if after := contents(t, files, "d/ledger/register"); len(after) != len(before) {
		t.Error("the register that knows more was changed")
	}
}

// An entry that the rules refuse, on a store whose tree is right, is named; nothing is
// repaired around it.
func TestFsckOfAForgedEntry(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 2)
	n, err := p.open(files)
	check(t, err)
	head, entries := n.Ledger.Head(), [][]byte(nil)
	entries, err = n.Ledger.Entries(t.Context(), 0, head.Size)
	check(t, err)
	check(t, n.Close())
	forged := bytes.Replace(entries[2], []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1)
	log := proof.NewAppender()
	for _, e := range append(entries, forged) {
		check(t, log.Append(proof.LeafHash(e)))
	}
	next, err := log.Tree()
	check(t, err)
	check(t, node.Extend(files, "d/ledger/store", ledger.Extension{Old: head, New: next, Entries: [][]byte{forged}, Tiles: log.TakeTiles()}))
	r := fsck(t, files)
	if len(r.Lost) != 1 || !strings.Contains(r.Lost[0].What, "entry 4 must not be in this ledger") || r.Judged != 0 && r.Judged != 4 || len(r.LostEntries) > 0 {
		t.Errorf("lost %v, judged %d", r.Lost, r.Judged)
	}
}

// The power fails before any write of a repair: the next fsck ends it, and the ledger is
// whole.
func TestFsckCrashes(t *testing.T) {
	const seed = 5
	p := newTestNode(t, "none")
	whole := vfs.NewCrashableMem()
	p.ledgerWith(whole, 20)
	head := fsck(t, clone(t, whole)).Head
	tile := proof.Tile{ID: proof.TileID{Width: int(head.Size)}, Hashes: make([]byte, head.Size*32)}
	check(t, node.Extend(whole, "d/ledger/store", ledger.Extension{Old: head, New: head, Tiles: []proof.Tile{tile}}))
	check(t, whole.RemoveAll("d/ledger/register"))
	damaged := clone(t, whole)
	var mu sync.Mutex
	var crashes []*vfs.MemFS
	rng := rand.New(rand.NewPCG(seed, 0))
	r := fsck(t, errorfs.Wrap(damaged, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, damaged.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}))
		}
		return nil
	})))
	if len(r.Repaired) < 3 || len(r.Lost) > 0 {
		t.Fatalf("repaired %v, lost %v", r.Repaired, r.Lost)
	}
	for i, files := range crashes {
		if testing.Short() && i%5 != 0 {
			continue
		}
		if r := fsck(t, files); len(r.Lost) > 0 {
			t.Errorf("crash %d of %d (seed %d): lost %v", i, len(crashes), seed, r.Lost)
		}
		if r := fsck(t, files); len(r.Repaired)+len(r.Lost) > 0 || r.Head != head {
			t.Errorf("crash %d of %d (seed %d): then repaired %v, lost %v", i, len(crashes), seed, r.Repaired, r.Lost)
		}
	}
}

// One process has a directory.
func TestFsckOfAnOpenLedger(t *testing.T) {
	p := newTestNode(t, "none")
	files := vfs.NewCrashableMem()
	p.ledgerWith(files, 1)
	n, err := p.open(files)
	check(t, err)
	defer n.Close()
	if _, err := (node.Fsck{Files: files, Dir: "d/ledger"}).Run(t.Context()); !errors.Is(err, node.ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	if _, err := (node.Fsck{Files: files, Dir: "elsewhere"}).Run(t.Context()); !errors.Is(err, node.ErrNoLedger) {
		t.Errorf("of no directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, n.Close())
	if _, err := (node.Fsck{Files: files, Dir: "d/ledger"}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if r := fsck(t, files); len(r.Repaired)+len(r.Lost) > 0 {
		t.Errorf("after that: %v, %v", r.Repaired, r.Lost)
	}
}
