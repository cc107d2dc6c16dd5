package vault

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

type diskDB = disk.DB

// traces are all bytes by which a customer is known on the disk.
func (h *house) traces(c Customer) (all [][]byte) {
	h.t.Helper()
	sealed := must(h.get(keyRow(c.Ref)))
	all = append(all, sealed[4:], c.Ref[:])
	h.ok(h.read(func(db *diskDB) error {
		b := db.NewBatch()
		defer b.Close()
		gone, err := h.dropRows(b, c.Ref)
		for _, row := range gone.rows {
			all = append(all, row[1:min(len(row), 1+longHash)])
		}
		return err
	}))
	return all
}

// noTrace fails where any of the bytes lies in any file of the key store.
func (h *house) noTrace(traces [][]byte) {
	h.t.Helper()
	for name, data := range bytesOf(h.t, h.fs, "keys") {
		for _, what := range traces {
			if bytes.Contains(data, what) {
				h.t.Errorf("%x lies in %s", what, name)
			}
		}
	}
}

var someTerms = []Term{
	{Name, "Kestrel Hosting"}, {Email, "kes@kestrel.example"}, {IP, "192.0.2.77"}, {IP, "2001:db8::7"}, {Phone, "+49 30 12345678"}, {Number, "HRB 12345"},
}

// many fills a store with customers in several levels, and admits one among them.
func (h *house) many() (one Customer, others []Customer) {
	for i := range 30 {
		c := h.admit(uint64(i), fmt.Sprintf("a-%d", i), Term{Name, names(i)}, Term{IP, fmt.Sprintf("198.51.100.%d", i)})
		if i == 15 {
			one = c
			h.ok(h.Advance(Cursor{Size: uint64(i) + 1}, []Rows{{one.Ref, "a-15", someTerms}}))
		} else {
			others = append(others, c)
		}
		if i%10 == 9 {
			h.ok(h.db.Flush())
		}
		if i == 19 {
			h.ok(h.db.Compact(h.t.Context(), []byte{0}, []byte{0xff}, false))
		}
	}
	return one, others
}

// An erased customer's sealed key, names and search rows lie in no file: tables, write-ahead
// logs, manifests. All others are there and found as before.
func TestEraseLeavesNoBytes(t *testing.T) {
	for _, where := range []string{"memory", "disk"} {
		t.Run(where, func(t *testing.T) {
			h := build(t)
			h.ok(h.Store.Close())
			h.tableBytes = 1 << 10 // so that each row is in a table of its own, and each span counts
			if where == "memory" {
				h.reopen()
			} else {
				t.Chdir(t.TempDir())
				h.fs = vfs.Default
				must(Create(h.fs, "vault.age", must(ParseRecipients([]byte(must(h.Recipients())[0]), nil))))
				h.reopen()
			}
			h.erases(t)
		})
	}
}

func (h *house) erases(t *testing.T) {
	one, others := h.many()
	traces := h.traces(one)
	on := bytes.Join(slices.Collect(valuesOf(bytesOf(t, h.fs, "keys"))), nil)
	for _, what := range traces {
		if !bytes.Contains(on, what) {
			t.Fatalf("%x is not on the disk before: the test would see nothing", what)
		}
	}
	if len(traces) < 60 {
		t.Fatalf("only %d traces", len(traces))
	}
	h.ok(h.Erase(t.Context(), one.Ref, one.Ref, NewCustomer().Ref))
	h.noTrace(traces)
	if _, memory := h.fs.(*vfs.MemFS); memory {
		h.crash().noTrace(traces) // no file comes back whose removal was not synced
	}
	_, err := h.Customer(one.Ref)
	is(t, err, ErrNoCustomer)
	_, err = h.ByAccount("a-15")
	is(t, err, ErrNoCustomer)
	for _, q := range []string{"kestrel hosting email:kes@kestrel.example", "ip:192.0.2.0/24", "phone:+493012345678", "number:HRB12345", "account:a-15"} {
		if found := h.asked(q); found != nil {
			t.Errorf("%s finds %v", q, found)
		}
	}
	if n := must(h.Stats()).Customers; n != uint64(len(others)) {
		t.Errorf("%d customers, want %d", n, len(others))
	}
	for i, c := range others {
		if got := must(h.Customer(c.Ref)); got.Handle != c.Handle {
			t.Fatal("another customer is gone")
		}
		if i < 15 && !slices.Equal(h.asked("name:"+names(i)+" account:"+fmt.Sprintf("a-%d", i)), []Ref{c.Ref}) {
			t.Errorf("%s is not found", names(i))
		}
	}
	// What is said of them later leaves no rows.
	h.ok(h.Advance(Cursor{Size: 31}, []Rows{{one.Ref, "a-15", someTerms}}))
	h.noTrace(traces)
	if h.asked("kestrel ip:192.0.2.77") != nil {
		t.Error("found again")
	}
	if must(h.get(metaErasing)) != nil {
		t.Error("marked as unfinished")
	}
}

// Of many at once nothing is left either: then all tables are written anew.
func TestEraseOfMany(t *testing.T) {
	h := build(t)
	one, others := h.many()
	gone := append(others[:20:20], one)
	var traces [][]byte
	var refs []Ref
	for _, c := range gone {
		traces, refs = append(traces, h.traces(c)...), append(refs, c.Ref)
	}
	h.ok(h.read(func(db *diskDB) error {
		b := db.NewBatch()
		defer b.Close()
		var all [][]byte
		for _, ref := range refs {
			one, err := h.dropRows(b, ref)
			h.ok(err)
			all = append(all, one.rows...)
		}
		if spans := spansOf(all); len(spans) != 1 {
			t.Errorf("%d spans of %d rows: the test is to be of those that are too many", len(spans), len(all))
		}
		return nil
	}))
	h.ok(h.Erase(t.Context(), refs...))
	h.noTrace(traces)
	h.crash().noTrace(traces)
	for _, c := range others[20:] {
		if got := must(h.Customer(c.Ref)); got.Handle != c.Handle {
			t.Fatal("another customer is gone")
		}
	}
	if n := must(h.Stats()).Customers; n != uint64(len(others)-20) {
		t.Errorf("%d customers are left, want %d", n, len(others)-20)
	}
}

func valuesOf(files map[string][]byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, data := range files {
			if !yield(data) {
				return
			}
		}
	}
}

// Whatever a crash cuts off, opening finishes: wherever it comes, the customer is there whole,
// or gone without a trace.
func TestEraseIsFinishedByOpening(t *testing.T) {
	h := build(t)
	one, others := h.many()
	traces := h.traces(one)
	crashes := make(chan *house, 1000)
	watched := &watchedFS{FS: h.fs, each: func() { crashes <- h.crash() }}
	h.ok(h.Store.Close())
	o := h.options()
	o.FS = watched
	s := must(OpenStore(t.Context(), o, h.Vault))
	watched.on = true
	h.ok(s.Erase(t.Context(), one.Ref))
	watched.on = false
	h.ok(s.Close())
	close(crashes)
	gone, n := 0, 0
	for g := range crashes {
		if n++; n%3 != 0 && len(crashes) > 20 {
			continue
		}
		g.reopen()
		if _, err := g.Customer(one.Ref); err == nil {
			if gone > 0 {
				t.Error("a customer came back")
			}
			g.ok(g.Erase(t.Context(), one.Ref))
		} else {
			gone++
		}
		g.noTrace(traces)
		if got := must(g.Customer(others[3].Ref)); got.Handle != others[3].Handle {
			t.Error("another customer is gone")
		}
		g.ok(g.Store.Close())
	}
	if gone == 0 || gone == n {
		t.Errorf("%d of %d crashes came after the rows were deleted; want some before and some after", gone, n)
	}
}

// watchedFS tells of each write that lasts.
type watchedFS struct {
	vfs.FS
	on   bool
	each func()
}

func (w *watchedFS) tell() {
	if w.on {
		w.each()
	}
}

func (w *watchedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w}, nil
}

func (w *watchedFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(old, name, c)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w}, nil
}

func (w *watchedFS) OpenDir(name string) (vfs.File, error) {
	f, err := w.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w}, nil
}

type watchedFile struct {
	vfs.File
	fs *watchedFS
}

func (f *watchedFile) Sync() error {
	defer f.fs.tell()
	return f.File.Sync()
}

func (f *watchedFile) SyncData() error {
	defer f.fs.tell()
	return f.File.SyncData()
}

func TestEraseThatWasCancelled(t *testing.T) {
	h := build(t)
	one, _ := h.many()
	traces := h.traces(one)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	is(t, h.Erase(ctx, one.Ref), context.Canceled)
	_, err := h.Customer(one.Ref)
	is(t, err, ErrNoCustomer)
	h.ok(h.Erase(t.Context()))
	h.noTrace(traces)
}

// Who takes over an account keeps it when the one before is erased.
func TestEraseKeepsTheAccountsNextHolder(t *testing.T) {
	h := build(t)
	first := h.admit(0, "a-1")
	second := h.admit(1, "a-1")
	h.ok(h.Erase(t.Context(), first.Ref))
	if got := must(h.ByAccount("a-1")); got != second.Ref {
		t.Errorf("got %v, want %v", got, second.Ref)
	}
	if got := h.asked("account:A-1"); !slices.Equal(got, []Ref{second.Ref}) {
		t.Errorf("found %v, want %v", got, second.Ref)
	}
}
