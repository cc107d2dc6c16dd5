package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// damagedStore is a store on a disk on which some of what was written cannot be read, or is
// read with another bit.
type damagedStore struct {
	ledger.Store
	gone, other map[string]bool // "entry 7", "tile/0/000", "kept 3", "published"
}

func (d damagedStore) read(what string, data []byte) ([]byte, error) {
	switch {
	case d.gone[what]:
		return nil, fmt.Errorf("%w: %s", ledger.ErrCorrupt, what)
	case d.other[what]:
		data = bytes.Clone(data)
		data[len(data)/2] ^= 1
	}
	return data, nil
}

func (d damagedStore) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	all, err := d.Store.Entries(ctx, start, end)
	for i := range all {
		if all[i], err = d.read(fmt.Sprintf("entry %d", start+uint64(i)), all[i]); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (d damagedStore) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	all, err := d.Store.Tiles(ctx, ids)
	for i := range all {
		if all[i], err = d.read(ids[i].Full().Path(), all[i]); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (d damagedStore) Archived(ctx context.Context, number uint64) ([]byte, error) {
	blob, err := d.Store.Archived(ctx, number)
	if err != nil {
		return nil, err
	}
	return d.read(fmt.Sprintf("kept %d", number), blob)
}

func (d damagedStore) Published(ctx context.Context) ([]byte, error) {
	note, err := d.Store.Published(ctx)
	if err != nil {
		return nil, err
	}
	return d.read("published", note)
}

// checkedLog is a log of 600 entries that has published size 590, and keeps checkpoints of
// sizes 1, 256, 300, 300 and 512.
func checkedLog(t *testing.T) (store *pebblestore.Store, w *testEnv, entries [][]byte) {
	t.Helper()
	w = newTestEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 590)...)
	n.appendAll(t, numberedBlobs(590, 600)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries = must(n.store.Entries(t.Context(), 0, 600))
	log := storetest.NewReferenceLog(entries)
	for i, size := range []int{1, 256, 300, 300, 512} {
		head := log.Head(size)
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: head.Size, Root: head.Root}, w.signer)).Note()
		if err := n.store.Archive(t.Context(), uint64(i), ledger.ArchiveBlob(uint64(i), note)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.index.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.store.Close() })
	return n.store, w, entries
}

// runCheck checks a store, with an empty fold.
func runCheck(t *testing.T, store ledger.Store, policy *proof.Policy) (*ledger.Checked, uint64) {
	t.Helper()
	fold := must(pebblestore.OpenBlobFold(vfs.NewMem(), "index", policy, smallOptions))
	defer fold.Close()
	var marked uint64
	found, err := ledger.Check[pebblestore.Blob]{Store: store, Fold: fold, Mark: 300, OnMark: func() error { marked = fold.Cursor().Size; return nil }}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found, marked
}

func numbers(spans []ledger.Span) (all []uint64) {
	for _, s := range spans {
		for n := s.From; n < s.To; n++ {
			all = append(all, n)
		}
	}
	return all
}

// Whatever is damaged, exactly that is found, and what can be told beside it still is.
func TestCheckFindsWhatIsDamaged(t *testing.T) {
	store, w, entries := checkedLog(t)
	for _, c := range []struct {
		gone, other []string
		lost        []uint64 // entries
		kept        []uint64
		tiles       int
		unproven    bool // what the others are
		published   bool // is lost
		judged      uint64
	}{
		{judged: 600},
		{gone: []string{"entry 7"}, lost: []uint64{7}, judged: 7},
		{other: []string{"entry 0"}, lost: []uint64{0}},
		{other: []string{"entry 299", "entry 300"}, gone: []string{"entry 599"}, lost: []uint64{299, 300, 599}, judged: 299},
		{other: []string{"tile/0/000"}, tiles: 1, judged: 600},
		{gone: []string{"tile/0/001"}, tiles: 1, judged: 600},
		{other: []string{"tile/0/002"}, tiles: 1, judged: 600}, // of the right edge
		{gone: []string{"tile/0/002", "tile/1/000", "tile/0/000"}, tiles: 3, judged: 600},
		{other: []string{"tile/1/000"}, tiles: 1, judged: 600},
		{gone: []string{"tile/0/001", "entry 256"}, lost: []uint64{256}, unproven: true, judged: 256},
		{other: []string{"tile/0/002", "entry 599"}, unproven: true, judged: 600},
		{gone: []string{"kept 0"}, kept: []uint64{0}, judged: 600},
		{other: []string{"kept 1", "kept 4"}, kept: []uint64{1, 4}, judged: 600},
		{gone: []string{"kept 0", "kept 2", "kept 3", "tile/0/000"}, kept: []uint64{0, 2, 3}, tiles: 1, judged: 600},
		{gone: []string{"published"}, published: true, judged: 600},
		{other: []string{"published"}, published: true, judged: 600},
	} {
		damaged := damagedStore{store, make(map[string]bool), make(map[string]bool)}
		for _, what := range c.gone {
			damaged.gone[what] = true
		}
		for _, what := range c.other {
			damaged.other[what] = true
		}
		name := fmt.Sprint("gone ", c.gone, ", other ", c.other)
		found, marked := runCheck(t, damaged, w.policy)
		if got := numbers(found.LostEntries); !slices.Equal(got, c.lost) || found.Unproven != nil != c.unproven {
			t.Errorf("%s: the entries %v are lost, want %v; unproven: %v", name, got, c.lost, found.Unproven)
		}
		if got := numbers(found.LostKept); !slices.Equal(got, c.kept) || found.Archived != 5 {
			t.Errorf("%s: of %d kept checkpoints %v are lost, want %v: %v", name, found.Archived, got, c.kept, found.LostKept)
		}
		if got := numbers(found.WrongTiles); len(got) != c.tiles {
			t.Errorf("%s: the tiles %v are wrong, want %d: %v", name, got, c.tiles, found.WrongTiles)
		}
		if found.PublishedErr != nil != c.published || found.Published == nil && !c.published && c.judged == 600 && !c.unproven {
			t.Errorf("%s: published: %v, %v", name, found.Published, found.PublishedErr)
		}
		if found.Judged != c.judged || (found.JudgedErr == nil) != (c.judged == 600) || (marked == 300) != (c.judged >= 300) {
			t.Errorf("%s: judged to %d, marked at %d: %v; want %d", name, found.Judged, marked, found.JudgedErr, c.judged)
		}
		to := must(pebblestore.Open(vfs.NewMem(), "copy", smallOptions))
		err := ledger.Copy(t.Context(), damaged, to, found, nil)
		if mended := found.Whole() && !c.published; (err == nil) != mended {
			t.Errorf("%s: copying: %v", name, err)
		} else if mended {
			again, _ := runCheck(t, to, w.policy)
			if !again.Whole() || len(again.WrongTiles)+len(again.LostKept) > 0 || again.Published == nil || again.Archived != uint64(5-len(c.kept)) || again.Judged != 600 {
				t.Errorf("%s: the copy: %+v", name, again)
			}
			if !slices.EqualFunc(must(to.Entries(t.Context(), 0, 600)), entries, bytes.Equal) {
				t.Errorf("%s: the copy has other entries", name)
			}
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A kept checkpoint that the log's key signed over another tree, one that another key
// signed, and one that is out of order are found.
func TestCheckFindsForeignCheckpoints(t *testing.T) {
	store, w, entries := checkedLog(t)
	other, _ := storetest.NewLogKey(t, testOrigin)
	file := func(number uint64, tree proof.Tree, signer *proof.Signer) {
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: tree.Size, Root: tree.Root}, signer)).Note()
		if err := store.Archive(t.Context(), number, ledger.ArchiveBlob(number, note)); err != nil {
			t.Fatal(err)
		}
	}
	file(5, proof.Tree{Size: 512, Root: proof.LeafHash([]byte("another"))}, w.signer)
	file(6, storetest.NewReferenceLog(entries).Head(512), other)
	early := must(store.Archived(t.Context(), 1))
	if err := store.Archive(t.Context(), 7, early); err != nil {
		t.Fatal(err)
	}
	found, _ := runCheck(t, store, w.policy)
	if got := numbers(found.LostKept); !slices.Equal(got, []uint64{5, 6, 7}) {
		t.Errorf("%v are found: %v", got, found.LostKept)
	}
}

// What a store does not answer for a reason that passes ends the check: nothing is said to
// be lost.
func TestCheckOfAStoreThatFails(t *testing.T) {
	store, w, _ := checkedLog(t)
	fold := must(pebblestore.OpenBlobFold(vfs.NewMem(), "index", w.policy, smallOptions))
	defer fold.Close()
	busy := errors.New("too many open files")
	found, err := ledger.Check[pebblestore.Blob]{Store: failingReads{store, busy}, Fold: fold}.Run(t.Context())
	if !errors.Is(err, busy) || found != nil {
		t.Errorf("%v, %+v", err, found)
	}
}

type failingReads struct {
	ledger.Store
	why error
}

func (f failingReads) Entries(context.Context, uint64, uint64) ([][]byte, error) { return nil, f.why }
