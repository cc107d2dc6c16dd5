package customers_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

const origin = "log.example/acme-cloud/customers"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is what outlives a process: the disk, the log's key, the vault's identity.
type world struct {
	fs        vfs.FS
	under     string // where on it; "" is its root
	id        *age.X25519Identity
	origin    string // of the log
	signer    *proof.Signer
	wrapStore func(ledger.Store) ledger.Store

	storeOptions pebblestore.Options // small, but in benchmarks

	disclosers []*record.Key
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, origin)
}

func newWorldOf(t testing.TB, origin string) *world {
	t.Helper()
	signer, _ := storetest.NewLogKey(t, origin)
	w := &world{origin: origin, fs: vfs.NewCrashableMem(), id: must(age.GenerateX25519Identity()), signer: signer, storeOptions: smallOptions}
	must(vault.Create(w.fs, "vault.age", must(vault.ParseRecipients([]byte(w.id.Recipient().String()), nil))))
	return w
}

// onDisk is the same world with another disk: the one found after a crash.
func (w *world) onDisk(fs vfs.FS) *world {
	c := *w
	c.fs, c.wrapStore = fs, nil
	return &c
}

func (w *world) path(name string) string { return w.fs.PathJoin(w.under, name) }

func copyOut(from io.Reader, name string) error {
	raw, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return os.WriteFile(name, raw, 0o600)
}

// node is one process's log.
type node struct {
	*customers.Log
	store *pebblestore.Store
	keys  *vault.Store
}

var smallOptions = pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}

func (w *world) open(t testing.TB) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	health := disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(reason) }})
	options := w.storeOptions
	options.Health = health
	if n.store, err = pebblestore.Open(w.fs, w.path("log"), options); err != nil {
		return n, err
	}
	v, err := vault.Open(w.fs, w.path("vault.age"), w.id)
	if err != nil {
		return n, err
	}
	if n.keys, err = vault.OpenStore(t.Context(), vault.StoreOptions{FS: w.fs, Dir: w.path("keys"), Health: health}, v); err != nil {
		return n, err
	}
	var s ledger.Store = n.store
	if w.wrapStore != nil {
		s = w.wrapStore(s)
	}
	n.Log, err = customers.Open(t.Context(), customers.Config{
		FS: w.fs, Dir: w.path("c"), Party: "acme-cloud", Ledger: sha256.Sum256([]byte("charter")), Origin: w.origin,
		Signers: []*proof.Signer{w.signer}, Store: s, Keys: n.keys, Vault: v, Health: health, Disclosers: func() ([]*record.Key, error) { return w.disclosers, nil },
	})
	return n, err
}

// close ends the process in order; again it does nothing.
func (n *node) close() (err error) {
	if n.Log != nil {
		err = n.Log.Close()
	}
	if n.keys != nil {
		err = errors.Join(err, n.keys.Close())
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	n.Log, n.keys, n.store = nil, nil, nil
	return err
}

func (w *world) mustOpen(t testing.TB) *node {
	t.Helper()
	n, err := w.open(t)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) reopen(t testing.TB, n *node) *node {
	t.Helper()
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	return w.mustOpen(t)
}

// audit fails the test where the log is not whole.
func (n *node) audit(t testing.TB) customers.Report {
	t.Helper()
	r, err := n.Audit(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	return r
}

var began = time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)

// input is an event of an account, the minute-th since the test's day began.
func input(account string, minute int, c event.Content) event.Input {
	return event.Input{Account: account, ID: fmt.Sprintf("%s-%d", c.Kind(), minute), Kind: c.Kind(), Time: began.Add(time.Duration(minute) * time.Minute), Content: c}
}

func opened(account, name string) event.Input {
	return input(account, 0, &event.Opened{Account: account, Type: "person", Name: name, Country: "XB", Email: []string{account + "@mail.example"}})
}

func access(account string, minute int, ip string) event.Input {
	return input(account, minute, &event.Access{IP: netip.MustParseAddr(ip), Action: "login"})
}

func closed(account string, minute int) event.Input {
	return input(account, minute, &event.Closed{Reason: "left", By: "customer"})
}

func renamed(account string, minute int, name string) event.Input {
	return input(account, minute, &event.Changed{Set: schema.ObjectOf("name", name)})
}

// add adds events that are all taken in.
func (n *node) add(t testing.TB, inputs ...event.Input) []customers.Result {
	t.Helper()
	results, err := n.Add(t.Context(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("%s of %s: %v", inputs[i].Kind, inputs[i].Account, r.Err)
		}
	}
	return results
}

var reader = customers.Who{By: "reader-1", Role: "reader"}

// day is so many days from today.
func day(n int) record.Date { return record.DateOf(time.Now(), time.UTC).AddDays(n) }

func containsText(err error, text string) bool { return strings.Contains(err.Error(), text) }
