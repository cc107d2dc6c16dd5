package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var day = time.Date(2026, 11, 27, 5, 21, 0, 0, time.UTC)

func TestStoreKeepsCustomers(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1", Term{Name, "Kestrel Hosting"})
	d := h.admit(1, "a-2", Term{Name, "Merlin Cloud"})
	for range 2 {
		for _, want := range []Customer{c, d} {
			got := must(h.Customer(want.Ref))
			if got.Handle != want.Handle || got.Ref != want.Ref || must(got.Key.Derive("x")) != must(want.Key.Derive("x")) {
				t.Errorf("got %v, want %v", got, want)
			}
			if by := must(h.ByHandle(want.Handle)); by != want.Ref {
				t.Errorf("by handle %v", by)
			}
		}
		if by := must(h.ByAccount("a-2")); by != d.Ref {
			t.Errorf("by account %v", by)
		}
		refs := []Ref{c.Ref, d.Ref}
		slices.SortFunc(refs, func(a, b Ref) int { return bytes.Compare(a[:], b[:]) })
		if got := must(h.Refs(Ref{}, 10)); !slices.Equal(got, refs) {
			t.Errorf("refs %v, want %v", got, refs)
		}
		if got := must(h.Refs(refs[0], 10)); !slices.Equal(got, refs[1:]) {
			t.Errorf("refs behind the first %v", got)
		}
		if got := must(h.Cursor()); got != (Cursor{Size: 2}) {
			t.Errorf("cursor %v", got)
		}
		if got := must(h.Stats()); got.Customers != 2 || got.Bytes == 0 {
			t.Errorf("stats %v", got)
		}
		_, err := h.Customer(NewCustomer().Ref)
		is(t, err, ErrNoCustomer)
		_, err = h.ByAccount("a-3")
		is(t, err, ErrNoCustomer)
		_, err = h.ByHandle(Handle{})
		is(t, err, ErrNoCustomer)
		h.ok(h.Store.Close())
		h.reopen()
	}
}

// Nothing that names or finds a customer is on the disk in clear.
func TestNothingIsInClear(t *testing.T) {
	h := build(t)
	c := h.admit(0, "account-7321", Term{Name, "Kestrel"}, Term{Email, "kes@kestrel.example"}, Term{IP, "192.0.2.77"}, Term{Phone, "+49 30 12345678"})
	h.ok(h.Store.Close())
	raw := c.Key.bytes()
	for _, what := range [][]byte{raw, c.Handle[:], []byte("account-7321"), []byte("Kestrel"), []byte("kestrel"), []byte("192.0.2"), []byte("12345678")} {
		if in := where(t, h.fs, "", what); in != nil {
			t.Errorf("%q lies in %v", what, in)
		}
	}
}

// What was staged lasts, what was advanced may be lost, and the cursor says so; what was
// staged for entries that never came is dropped.
func TestStoreAfterCrash(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1", Term{Name, "Kestrel Hosting"})
	d := NewCustomer()
	h.ok(h.Stage(1, []New{{d, "a-2"}}))
	h.ok(h.Advance(Cursor{Size: 2}, []Rows{{d.Ref, "", []Term{{Name, "Merlin Cloud"}}}}))
	e := NewCustomer()
	h.ok(h.Stage(2, []New{{e, "a-3"}}))
	late := h.crash().reopen() // whose entry is there, and its rows are not
	if n := must(late.Unstage(3)); n != 0 || must(late.Customer(e.Ref)).Handle != e.Handle {
		t.Errorf("%d dropped whose entries are there", n)
	}
	g := h.crash().reopen()
	for _, x := range []Customer{c, d, e} {
		if got := must(g.Customer(x.Ref)); got.Handle != x.Handle {
			t.Errorf("got handle %v, want %v", got.Handle, x.Handle)
		}
	}
	if at := must(g.Cursor()).Size; at != 2 { // by the sync of the Stage after it
		t.Errorf("cursor at %d", at)
	}
	if n := must(g.Unstage(2)); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	for range 2 {
		_, err := g.Customer(e.Ref)
		is(t, err, ErrNoCustomer)
		_, err = g.ByAccount("a-3")
		is(t, err, ErrNoCustomer)
		_, err = g.ByHandle(e.Handle)
		is(t, err, ErrNoCustomer)
		if got := must(g.Stats()).Customers; got != 2 {
			t.Errorf("%d customers, want 2", got)
		}
		if n := must(g.Unstage(0)); n != 0 {
			t.Errorf("%d dropped that are settled", n)
		}
		g = g.crash().reopen()
	}
	// A crash that keeps nothing that was not synced.
	h.ok(h.Advance(Cursor{Size: 3}, []Rows{{e.Ref, "", []Term{{Name, "Osprey Data"}}}}))
	g = h.crash().reopen()
	if at := must(g.Cursor()).Size; at != 2 {
		t.Fatalf("cursor at %d: this test needs a lost row", at)
	}
	if found := g.asked("osprey"); found != nil {
		t.Errorf("found %v beyond the cursor", found)
	}
	g.ok(g.Advance(Cursor{Size: 3}, []Rows{{e.Ref, "", []Term{{Name, "Osprey Data"}}}}))
	if found := g.asked("osprey"); !slices.Equal(found, []Ref{e.Ref}) {
		t.Errorf("found %v, want %v", found, e.Ref)
	}
	if n := must(g.Unstage(3)); n != 0 {
		t.Errorf("%d dropped that the cursor is past", n)
	}
}

// The log's progress settles those whose entries it has passed, and nobody else.
func TestAdvanceKeepsWhoIsStaged(t *testing.T) {
	h := build(t)
	c, d := NewCustomer(), NewCustomer()
	h.ok(h.Stage(1, []New{{c, ""}}))
	h.ok(h.Stage(2, []New{{d, ""}}))
	h.ok(h.Advance(Cursor{Size: 2}, nil))
	if n := must(h.Unstage(0)); n != 1 || must(h.Customer(c.Ref)).Handle != c.Handle {
		t.Errorf("%d dropped, want the second alone", n)
	}
	_, err := h.Customer(d.Ref)
	is(t, err, ErrNoCustomer)
}

func TestAdvanceAgainIsTheSame(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1", Term{Name, "Kestrel Hosting"}, Term{IP, "192.0.2.77"})
	h.ok(h.Store.Close())
	h.reopen()
	count := func() (n int) {
		h.ok(h.read(func(db *diskDB) error {
			return scan(db, nil, func(_, _ []byte) (bool, error) { n++; return true, nil })
		}))
		return n
	}
	before := count()
	for range 2 {
		h.ok(h.Advance(Cursor{Size: 1}, []Rows{{c.Ref, "a-1", []Term{{IP, "192.0.2.77"}, {Name, "Kestrel Hosting"}}}}))
		if got := count(); got != before {
			t.Errorf("%d rows, want %d", got, before)
		}
	}
	h.ok(h.Advance(Cursor{Size: 2}, []Rows{{NewCustomer().Ref, "a-9", []Term{{Name, "Nobody"}}}}))
	if got := count(); got != before {
		t.Errorf("%d rows with those of nobody, want %d", got, before)
	}
}

func TestStoreOfAnotherVault(t *testing.T) {
	h := build(t)
	h.ok(h.Store.Close())
	_, to := key(t)
	other := must(Create(h.fs, "other.age", to))
	_, err := OpenStore(t.Context(), h.options(), other)
	is(t, err, ErrOtherVault)
	h.Lock()
	_, err = OpenStore(t.Context(), h.options(), h.Vault)
	is(t, err, ErrLocked)
	h.reopen() // neither holds the directory
}

func TestRotate(t *testing.T) {
	h := build(t)
	var all []Customer
	for i := range 2*maxRewrapped + 10 {
		all = append(all, NewCustomer())
		_ = i
	}
	var news []New
	for _, c := range all {
		news = append(news, New{Customer: c})
	}
	h.ok(h.Stage(0, news))
	h.ok(h.Advance(Cursor{Size: uint64(len(all))}, nil))
	h.ok(h.db.Flush())
	sealed := must(h.get(keyRow(all[0].Ref)))
	old := bytes.Clone(bytesOf(t, h.fs, "")["vault.age"])
	if where(t, h.fs, "keys", sealed[4:]) == nil {
		t.Fatal("the sealed key is not on the disk")
	}

	// It is cut off after the first batch, twice, and a crash comes on top.
	ctx, cancel := context.WithCancel(t.Context())
	err := Rotate(ctx, h.Vault, h.Store, nil, func(done, total uint64) { cancel() })
	is(t, err, context.Canceled)
	during := h.admit(uint64(len(all)), "a-during")
	h = h.crash().reopen()
	if !must(h.Rotating()) {
		t.Fatal("the rotation is not known to be unfinished")
	}
	for _, c := range append(slices.Clone(all), during) {
		if got := must(h.Customer(c.Ref)); got.Handle != c.Handle {
			t.Fatal("a customer is lost while rotating")
		}
	}
	id, to := key(t)
	last := uint64(0)
	h.ok(Rotate(t.Context(), h.Vault, h.Store, to, func(done, total uint64) {
		if done < last || total < done {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}))
	if last != uint64(len(all))+1 {
		t.Errorf("%d done, want %d", last, len(all)+1)
	}
	if must(h.Rotating()) || len(h.Vault.open.secrets.Wrapping) != 1 || h.Vault.open.secrets.newest() != 2 {
		t.Errorf("wrapping keys %d, newest %d; want the second alone", len(h.Vault.open.secrets.Wrapping), h.Vault.open.secrets.newest())
	}
	if in := where(t, h.fs, "keys", sealed[4:]); in != nil {
		t.Errorf("what the old key sealed lies in %v", in)
	}
	h.ok(h.Store.Close())
	before := h.id
	h.id = id
	h.reopen()
	for _, c := range all {
		if got := must(h.Customer(c.Ref)); got.Handle != c.Handle || must(got.Key.Derive("")) != must(c.Key.Derive("")) {
			t.Fatal("a customer is lost")
		}
	}
	h.ok(h.Store.Close())

	// The vault file of before is brought back.
	f := must(h.fs.Create("vault.age", vfs.WriteCategoryUnspecified))
	must(f.Write(old))
	f.Close()
	_, err = OpenStore(t.Context(), h.options(), must(Open(h.fs, "vault.age", before)))
	is(t, err, ErrRotated)
}

// A store that is older than the vault file says so when a key is asked for.
func TestStoreOfBeforeARotation(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1")
	g := h.crash()
	h.ok(Rotate(t.Context(), h.Vault, h.Store, nil, nil))
	f := must(g.fs.Create("vault.age", vfs.WriteCategoryUnspecified))
	must(f.Write(bytesOf(t, h.fs, "")["vault.age"]))
	f.Close()
	_, err := g.reopen().Customer(c.Ref)
	is(t, err, ErrRotated)
}

func TestBackup(t *testing.T) {
	h := build(t)
	c := h.admit(0, "a-1", Term{Name, "Kestrel Hosting"})
	d := h.admit(1, "a-2", Term{Name, "Merlin Cloud"})
	name, deleted, err := h.Backup(t.Context(), h.fs, "backups", day)
	h.ok(err)
	if name != "backups/customer-keys-20261127T052100Z.backup" || deleted != nil {
		t.Errorf("made %s, deleted %v", name, deleted)
	}
	first := name
	before := h.id
	id, to := key(t)
	h.ok(Rotate(t.Context(), h.Vault, h.Store, to, nil))
	o := h.options()
	o.Dir = "again"
	_, err = Restore(t.Context(), o, "vault.age", first, before)
	is(t, err, ErrWrongKey)
	_, err = Restore(t.Context(), o, "vault.age", first, id)
	is(t, err, ErrWrongKey)
	n, err := Restore(t.Context(), o, "vault.age", first, before, id)
	h.ok(err)
	if n != 2 {
		t.Errorf("%d customers, want 2", n)
	}
	_, err = Restore(t.Context(), o, "vault.age", first, before, id)
	if err == nil {
		t.Error("restored over a store")
	}
	s := must(OpenStore(t.Context(), o, h.Vault))
	defer s.Close()
	for _, want := range []Customer{c, d} {
		if got := must(s.Customer(want.Ref)); got.Handle != want.Handle || must(got.Key.Derive("")) != must(want.Key.Derive("")) || must(s.ByHandle(want.Handle)) != want.Ref {
			t.Error("another customer")
		}
	}
	if must(s.Cursor()) != (Cursor{}) || must(s.Stats()).Customers != 2 {
		t.Errorf("cursor %v, stats %v", must(s.Cursor()), must(s.Stats()))
	}
	h.ok(s.Advance(Cursor{Size: 1}, []Rows{{c.Ref, "a-1", []Term{{Name, "Kestrel Hosting"}}}}))
	if must(s.ByAccount("a-1")) != c.Ref {
		t.Error("the replay does not bring back accounts")
	}

	// Without a vault file the one of the backup comes back.
	h.ok(h.fs.Remove("vault.age"))
	o.Dir = "third"
	must(Restore(t.Context(), o, "vault.age", first, before))
	must(Open(h.fs, "vault.age", before))

	// The next ones delete it once it is too old.
	f := must(h.fs.Create("backups/notes.txt", vfs.WriteCategoryUnspecified))
	f.Close()
	f = must(h.fs.Create(first+".tmp", vfs.WriteCategoryUnspecified))
	f.Close()
	_, deleted, err = h.Backup(t.Context(), h.fs, "backups", day.Add(KeepBackups))
	h.ok(err)
	if !slices.Equal(deleted, []string{first + ".tmp"}) {
		t.Errorf("deleted %v, want what a crash left alone", deleted)
	}
	_, deleted, err = h.Backup(t.Context(), h.fs, "backups", day.Add(KeepBackups+time.Second))
	h.ok(err)
	if !slices.Equal(deleted, []string{first}) {
		t.Errorf("deleted %v, want %s", deleted, first)
	}
	if names := must(h.fs.List("backups")); len(names) != 3 {
		t.Errorf("left: %v", names)
	}
}

// A backup that was altered anywhere, or cut off, restores nothing.
func TestBackupAltered(t *testing.T) {
	h := build(t)
	h.admit(0, "a-1")
	name, _, err := h.Backup(t.Context(), h.fs, "backups", day)
	h.ok(err)
	whole := bytesOf(t, h.fs, "backups")[name]
	read := func(data []byte) error {
		files := vfs.NewMem()
		f := must(files.Create("b", vfs.WriteCategoryUnspecified))
		must(f.Write(bytes.Clone(data)))
		f.Close()
		_, err := readBackup(t.Context(), files, "b", func(Ref, []byte) error { return nil })
		return err
	}
	h.ok(read(whole))
	for i := range whole {
		altered := bytes.Clone(whole)
		altered[i] ^= 1
		if err := read(altered); !errors.Is(err, ErrBackup) {
			t.Fatalf("byte %d altered: %v", i, err)
		}
		if err := read(whole[:i]); !errors.Is(err, ErrBackup) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
	}
	if err := read(append(whole[:len(whole):len(whole)], 0)); !errors.Is(err, ErrBackup) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

// Customers are read and found while others are staged, erased and wrapped anew, and while the
// vault is locked and unlocked: each answer is right, or that it is locked or gone.
func TestEverythingAtOnce(t *testing.T) {
	h := build(t)
	kept := h.admit(0, "a-0", Term{Name, "Kestrel Hosting"})
	var others []Ref
	for i := range 6 {
		others = append(others, h.admit(uint64(i)+1, fmt.Sprintf("a-%d", i+1), Term{Name, names(i)}).Ref)
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	loop := func(f func() error) {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(); err != nil && !errors.Is(err, ErrLocked) {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func() error {
		c, err := h.Customer(kept.Ref)
		if err == nil && c.Handle != kept.Handle {
			t.Error("another handle")
		}
		return err
	})
	loop(func() error {
		found, err := h.Find(t.Context(), []Term{{Name, "kestrel hosting"}}, 10)
		if err == nil && !slices.Contains(found.Refs, kept.Ref) {
			t.Error("not found")
		}
		return err
	})
	loop(func() error {
		house, err := h.House()
		if err == nil {
			_, err = house.Seal(nil, []byte("x"), nil)
		}
		return err
	})
	at := uint64(7)
	loop(func() error {
		c := NewCustomer()
		err := h.Stage(at, []New{{c, ""}})
		if err == nil {
			at++
			err = h.Advance(Cursor{Size: at}, []Rows{{c.Ref, "", []Term{{IP, "192.0.2.1"}}}})
		}
		return err
	})
	for i, ref := range others {
		h.Lock()
		h.ok(h.Unlock(h.id))
		h.ok(h.Erase(t.Context(), ref))
		if i%3 == 0 {
			h.ok(Rotate(t.Context(), h.Vault, h.Store, nil, nil))
		}
	}
	close(stop)
	all.Wait()
	if got := must(h.Stats()).Customers; got != at-6 {
		t.Errorf("%d customers after %d were staged and 6 erased", got, at)
	}
}
