package customers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/storetest"
	"github.com/seed-53cf897a/docket/server/customers"
)

const origin = "log.example/acme-cloud/customers"

// world is a server over a real log on a file system in memory.
type world struct {
	*customers.Server
	t          testing.TB
	id         *age.X25519Identity
	log        *private.Log  // once it was unlocked
	disclosers []*record.Key // set before that
}

// newWorld makes a server whose vault is locked.
func newWorld(t testing.TB, c customers.Config) *world {
	t.Helper()
	return newWorldIn(t, c, vfs.NewMem(), "", pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
}

// newWorldIn is newWorld in a directory of a file system.
func newWorldIn(t testing.TB, c customers.Config, files vfs.FS, dir string, options pebblestore.Options) *world {
	t.Helper()
	at := func(name string) string { return files.PathJoin(dir, name) }
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipients, err := vault.ParseRecipients([]byte(id.Recipient().String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Create(files, at("vault.age"), recipients); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, id: id}
	signer, _ := storetest.NewLogKey(t, origin)
	health := disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(reason) }})
	options.Health = health
	c.Open = func(ctx context.Context, ids ...age.Identity) (*private.Log, error) {
		v, err := vault.Open(files, at("vault.age"), ids...)
		if err != nil {
			return nil, err
		}
		store, err := pebblestore.Open(files, at("log"), options)
		if err != nil {
			return nil, err
		}
		keys, err := vault.OpenStore(ctx, vault.StoreOptions{FS: files, Dir: at("keys"), Health: health}, v)
		if err != nil {
			return nil, err
		}
		l, err := private.Open(ctx, private.Config{FS: files, Dir: at("c"), Party: "acme-cloud", Ledger: record.ID{1}, Origin: origin, Signers: []*proof.Signer{signer}, Store: store, Keys: keys, Vault: v, Health: health, Disclosers: func() ([]*record.Key, error) { return w.disclosers, nil }})
		t.Cleanup(func() {
			if err := errors.Join(l.Close(), keys.Close(), store.Close()); err != nil {
				t.Error(err)
			}
		})
		w.log = l
		return l, err
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Programme == nil {
		c.Programme = func() (*programme.History, error) { return programme.NewHistory() }
	}
	if w.Server, err = customers.New(c); err != nil {
		t.Fatal(err)
	}
	return w
}

// unlocked is a world whose vault is open.
func unlocked(t testing.TB, c customers.Config) *world {
	w := newWorld(t, c)
	if err := w.Unlock(t.Context(), private.Who{By: "owner"}, w.id); err != nil {
		t.Fatal(err)
	}
	return w
}

// ask asks as the directory's owner, or by a key.
func (w *world) ask(key, method, path, media, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader([]byte(body)))
	r.Header.Set("Content-Type", media)
	h := w.Handler()
	if key == "" {
		h = customers.AsOwner(h)
	} else {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out
}

func (w *world) post(path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	media := "application/json"
	if path == "events" {
		media = "application/jsonl"
	}
	return w.ask("", http.MethodPost, "/v1/customers/"+path, media, body)
}

// want decodes an answer of a status.
func want[T any](t testing.TB, r *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	return v
}

// kindOf is an answer's kind of problem.
func kindOf(t testing.TB, r *httptest.ResponseRecorder) string {
	t.Helper()
	if got := r.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("status %d, %s: %s", r.Code, got, r.Body)
	}
	var p customers.Problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p.Type[len(record.ProblemURN):]
}

const (
	marsh = `{"account":"C-1","id":"o1","kind":"opened","time":"2026-01-04T09:00:00Z","content":{"type":"entity","name":"Marsh Lantern Trading","country":"XB"}}`
	login = `{"account":"C-1","id":"a1","kind":"access","time":"2026-01-05T09:00:00Z","content":{"ip":"192.0.2.7","action":"login"}}`
)
