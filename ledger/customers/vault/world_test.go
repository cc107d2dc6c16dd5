package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"testing"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// key is an identity that opens vaults, and the recipient that they are encrypted to. The
// old kind is faster to make.
func key(t testing.TB) (age.Identity, []Recipient) {
	t.Helper()
	id := must(age.GenerateX25519Identity())
	return id, must(ParseRecipients([]byte(id.Recipient().String()), nil))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// house is a vault and its store on one file system.
type house struct {
	t  testing.TB
	fs vfs.FS
	id age.Identity
	*Vault
	*Store
	tableBytes int64 // of a store that is opened next
}

// build makes a house in memory, such that crashes can be had.
func build(t testing.TB) *house {
	t.Helper()
	files := vfs.NewCrashableMem()
	id, to := key(t)
	h := &house{t: t, fs: files, id: id}
	h.Vault = must(Create(files, "vault.age", to))
	h.Store = must(OpenStore(t.Context(), h.options(), h.Vault))
	t.Cleanup(func() { h.Store.Close() })
	return h
}

// options are those of a store on a disk where nothing may go wrong that ends the process.
func (h *house) options() StoreOptions {
	return StoreOptions{FS: h.fs, Dir: "keys", tableBytes: h.tableBytes, Health: disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(reason) }})}
}

// crash is the house as a crash at this moment leaves it, before anything is opened.
func (h *house) crash() *house {
	return &house{t: h.t, id: h.id, tableBytes: h.tableBytes, fs: h.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})}
}

// reopen opens vault and store.
func (h *house) reopen() *house {
	h.t.Helper()
	h.Vault = must(Open(h.fs, "vault.age", h.id))
	h.Store = must(OpenStore(h.t.Context(), h.options(), h.Vault))
	h.t.Cleanup(func() { h.Store.Close() })
	return h
}

// admit makes a customer with an account and terms, as one step of the log from a size on.
func (h *house) admit(at uint64, account string, terms ...Term) Customer {
	h.t.Helper()
	c := NewCustomer()
	h.ok(h.Stage(at, []New{{c, account}}))
	h.ok(h.Advance(Cursor{Size: at + 1}, []Rows{{c.Ref, account, terms}}))
	return c
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// asked is what a typed query finds.
func (h *house) asked(query string) []Ref {
	h.t.Helper()
	terms, err := ParseQuery(query)
	h.ok(err)
	found, err := h.Find(h.t.Context(), terms, 100)
	h.ok(err)
	return found.Refs
}

// bytesOf are all files below a directory, by name.
func bytesOf(t testing.TB, files vfs.FS, dir string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	names, err := files.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := files.PathJoin(dir, name)
		info, err := files.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // what a database deletes meanwhile is there no more
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			maps.Copy(all, bytesOf(t, files, path))
			continue
		}
		f, err := files.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all[path] = must(io.ReadAll(f))
		f.Close()
	}
	return all
}

// where names the files that hold some bytes.
func where(t testing.TB, files vfs.FS, dir string, what []byte) (names []string) {
	t.Helper()
	for name, data := range bytesOf(t, files, dir) {
		if bytes.Contains(data, what) {
			names = append(names, name)
		}
	}
	return names
}

// is reports a wrong error.
func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func names(n int) string { return fmt.Sprintf("Customer %04d of Kestrel Hosting", n) }
