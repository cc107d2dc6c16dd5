package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

const testOrigin = "log.example/1"

// testEnv is what outlives a process: a disk, the log's key, and the policy that
// everybody verifies with.
type testEnv struct {
	fs        vfs.FS
	signer    *proof.Signer
	policy    *proof.Policy
	config    ledger.Config                   // Signers are further keys
	wrapStore func(ledger.Store) ledger.Store // puts something before the store
	wrapFold  func(*pebblestore.BlobFold) ledger.Fold[pebblestore.Blob]
}

func newTestEnv(t testing.TB) *testEnv {
	signer, policy := storetest.NewLogKey(t, testOrigin)
	return &testEnv{fs: vfs.NewCrashableMem(), signer: signer, policy: policy}
}

// onDisk is the same world with another disk: the one found after a crash.
func (w *testEnv) onDisk(fs vfs.FS) *testEnv {
	c := *w
	c.fs, c.wrapStore = fs, nil
	return &c
}

// testLedger is one process's ledger.
type testLedger struct {
	*ledger.Ledger[pebblestore.Blob]
	store *pebblestore.Store
	index *pebblestore.BlobFold
}

var smallOptions = pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}

func (w *testEnv) open(t testing.TB) (*testLedger, error) {
	store, err := pebblestore.Open(w.fs, "log", smallOptions)
	if err != nil {
		return nil, err
	}
	index, err := pebblestore.OpenBlobFold(w.fs, "index", w.policy, smallOptions)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	n := &testLedger{store: store, index: index}
	c := w.config
	c.Origin, c.Signers = testOrigin, append([]*proof.Signer{w.signer}, c.Signers...)
	var s ledger.Store = store
	if w.wrapStore != nil {
		s = w.wrapStore(s)
	}
	var f ledger.Fold[pebblestore.Blob] = index
	if w.wrapFold != nil {
		f = w.wrapFold(index)
	}
	if n.Ledger, err = ledger.Open(t.Context(), s, f, c); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *testLedger) close() error { return errors.Join(n.index.Close(), n.store.Close()) }

func (w *testEnv) mustOpen(t testing.TB) *testLedger {
	t.Helper()
	n, err := w.open(t)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reopen is a clean restart.
func (w *testEnv) reopen(t testing.TB, n *testLedger) *testLedger {
	t.Helper()
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	return w.mustOpen(t)
}

// appendAll appends, without committing.
func (n *testLedger) appendAll(t testing.TB, blobs ...pebblestore.Blob) []*ledger.Ticket {
	t.Helper()
	tickets := make([]*ledger.Ticket, len(blobs))
	for i, b := range blobs {
		var err error
		if tickets[i], err = n.Append(t.Context(), b); err != nil {
			t.Fatalf("appending: %v", err)
		}
	}
	return tickets
}

// addAll appends, commits and publishes.
func (n *testLedger) addAll(t testing.TB, blobs ...pebblestore.Blob) []ledger.Admission {
	t.Helper()
	tickets := n.appendAll(t, blobs...)
	n.commitAndPublish(t)
	admissions := make([]ledger.Admission, len(tickets))
	for i, ticket := range tickets {
		var err error
		if admissions[i], err = ticket.AwaitCommitted(t.Context()); err != nil {
			t.Fatalf("blob %d: %v", i, err)
		}
	}
	return admissions
}

func (n *testLedger) commitAndPublish(t testing.TB) {
	t.Helper()
	if err := n.Commit(t.Context()); err != nil {
		t.Fatalf("committing: %v", err)
	}
	if err := n.Publish(t.Context()); err != nil {
		t.Fatalf("publishing: %v", err)
	}
}

// numberedBlobs makes the blobs [from, to), of 10 to 410 bytes.
func numberedBlobs(from, to int) []pebblestore.Blob {
	var blobs []pebblestore.Blob
	for i := from; i < to; i++ {
		blobs = append(blobs, pebblestore.NewBlob(fmt.Appendf(nil, "blob %d%*s", i, i*53%400, "")))
	}
	return blobs
}

// checkPublished re-checks what a ledger promises of all that it has published, from
// the outside: the root is that of all entries hashed anew, the tiles are theirs,
// no blob is there twice, and admission times do not go back.
func (w *testEnv) checkPublished(t testing.TB, n *testLedger) (entries [][]byte) {
	t.Helper()
	p := n.Published()
	if p == nil {
		return nil
	}
	cp := p.Checkpoint()
	entries, err := n.Entries(t.Context(), 0, cp.Size)
	if err != nil {
		t.Fatal(err)
	}
	log := storetest.NewReferenceLog(entries)
	if got := log.Head(len(entries)); got != cp.Tree() {
		t.Fatalf("the checkpoint is of %v, the entries hash to %v", cp.Tree(), got)
	}
	for id := range storetest.Tiles(0, cp.Size) {
		if got, err := n.Tile(t.Context(), id); err != nil || string(got) != string(log.Tile(id)) {
			t.Fatalf("%v differs, %v", id, err)
		}
	}
	seen := make(map[string]int)
	var last time.Time
	for i, e := range entries {
		if j, twice := seen[string(e[8:])]; twice {
			t.Fatalf("entries %d and %d are the same blob", j, i)
		}
		seen[string(e[8:])] = i
		at, err := n.index.AdmittedAt(e)
		if err != nil || at.Before(last) {
			t.Fatalf("entry %d admitted %v, after %v; %v", i, at, last, err)
		}
		last = at
	}
	return entries
}

// checkReceipt verifies a receipt with the policy alone.
func (w *testEnv) checkReceipt(t testing.TB, r proof.Receipt, index uint64) {
	t.Helper()
	v, err := r.Verify(w.policy, time.Now())
	if err != nil || v.Index() != index {
		t.Fatalf("receipt of %d: %v", index, err)
	}
}

// startRun runs the ledger until the returned function is called.
func (n *testLedger) startRun(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
