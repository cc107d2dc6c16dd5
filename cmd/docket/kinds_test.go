package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/ledger/storetest"
	"github.com/seed-53cf897a/docket/server"
)

// A kind of record is in many tables, none of which the compiler holds against the others.
// Each kind that this binary reads has a template, a schema and an example; its own rule
// judges it, and a draft that is dropped leaves nothing of it; it is told in words, seen
// in the register, and has a page.
func TestEveryKind(t *testing.T) {
	const examplesDir, origin = "../../ledger/record/draft/examples", "docket.ocr.example/2026"
	log, policy := kindsLogKey(t, origin)
	fs := vfs.NewMem()
	options := registertest.SmallOptions()
	r := openRegister(t, fs, options)
	w := &registertest.Fixture{World: registertest.New(time.Now(), origin, policy), Register: r}
	seen := make(map[record.Kind]record.Envelope)
	for _, x := range registertest.Examples() {
		text, err := os.ReadFile(filepath.Join(examplesDir, x.File))
		if err != nil {
			t.Fatal(err)
		}
		if before, _, ok := bytes.Cut(text, []byte("policy: |")); ok { // the example's is shortened
			text = append(before, "policy: |\n  "+strings.ReplaceAll(strings.TrimSpace(policy), "\n", "\n  ")+"\n"...)
		}
		unsigned, err := w.UnsignedExample(x, text)
		if err != nil {
			t.Fatal(err)
		}
		env := w.SignAs(unsigned, x.Keys...)
		checkJudged(t, w, unsigned, env, x)
		if _, err := w.Submit(env); err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		// What was written is read again, by a register that has nothing in memory.
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = openRegister(t, fs, options)
		w.Register = r
		st := checkSeen(t, w, env, x)
		seen[st.Kind] = env
	}
	for kind, env := range seen {
		checkThreadStands(t, w, kind, env)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var pages func(path string) *httptest.ResponseRecorder
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(w.Now.Add(time.Hour))) // an hour after the newest record
		pages = serveEntries(t, w, log, origin)
		for _, kind := range record.Kinds() {
			env, ok := seen[kind]
			if !ok {
				t.Errorf("%s: no example", kind)
				continue
			}
			checkDescribed(t, kind, env)
			page := pages("/records/" + record.IDOf(env.Payload).String())
			body := html.UnescapeString(page.Body.String())
			words := strings.ReplaceAll(string(kind), "-", " ") + " #"
			if page.Code != http.StatusOK || !strings.Contains(strings.ToLower(body), words) || !strings.Contains(body, kind.PredicateType()) {
				t.Errorf("%s: its page is %d: %.300s", kind, page.Code, body)
			}
			if on := strings.SplitN(body, "<p class=\"kicker\"><a href=\"", 2); len(on) == 2 {
				about, _, _ := strings.Cut(on[1], "\"")
				if page := pages(about); page.Code != http.StatusOK {
					t.Errorf("%s: its page leads to %s, which is %d", kind, about, page.Code)
				}
			}
			if schema := pages("/schemas/" + string(kind) + "/v1"); schema.Code != http.StatusOK {
				t.Errorf("%s: its schema is %d", kind, schema.Code)
			}
		}
	})
}

// kindsLogKey is a log's key, and a policy without witnesses.
func kindsLogKey(t *testing.T, origin string) (*proof.Signer, string) {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := proof.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return log, "log " + vkey + "\nquorum none\n"
}

func openRegister(t *testing.T, fs vfs.FS, o register.Options) *register.Register {
	t.Helper()
	r, err := register.Open(fs, "register", o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkJudged judges an example twice on drafts that are dropped, and once as somebody signs
// it who has no right to.
func checkJudged(t *testing.T, w *registertest.Fixture, unsigned, env record.Envelope, x registertest.Example) {
	t.Helper()
	before := dumpRegister(t, w.Register)
	open := func(env record.Envelope, more ...*record.Key) record.Verified {
		v, err := record.Open(env, func(st *record.Statement) []*record.Key { return append(w.Register.CandidateKeys(st), more...) })
		if err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		return v
	}
	var entries [2][]byte
	for i := range entries {
		d := w.Register.Begin(w.Now)
		e, err := d.Judge(open(env))
		if err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		if effects, err := view.Effects(d); err != nil || len(effects) == 0 {
			t.Errorf("%s: what it would bring about is %q, %v", x.File, effects, err)
		}
		entries[i] = e.Marshal()
	}
	if !bytes.Equal(entries[0], entries[1]) {
		t.Errorf("%s: judged again after its draft was dropped, it is another entry", x.File)
	}
	stranger := w.Signer("nobody/stranger")
	var refused *record.Refusal
	_, err := w.Register.Begin(w.Now).Judge(open(w.SignAs(unsigned, "nobody/stranger"), stranger.Key()))
	if !errors.As(err, &refused) || refused.Class != record.Forbidden {
		t.Errorf("%s, signed by a stranger: %v, want a refusal", x.File, err)
	}
	if err := w.Register.Begin(w.Now).MaySign(open(env).Statement(), stranger.Key()); !errors.As(err, &refused) || refused.Class != record.Forbidden {
		t.Errorf("%s: a stranger may sign it: %v", x.File, err)
	}
	if dumpRegister(t, w.Register) != before {
		t.Errorf("%s: a draft that was dropped changed the register", x.File)
	}
}

// checkSeen finds an admitted record in the register, and its thread as one that stands.
func checkSeen(t *testing.T, w *registertest.Fixture, env record.Envelope, x registertest.Example) *record.Statement {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.Latest(w.Register)
	if err != nil {
		t.Fatal(err)
	}
	id := record.IDOf(env.Payload)
	if before, err := view.At(w.Register, v.Size()-1); err != nil {
		t.Fatal(err)
	} else if _, err := before.Record(id); !errors.As(err, new(*view.AbsentError)) {
		t.Errorf("%s: seen before it was admitted: %v", x.File, err)
	}
	if rec, err := v.Record(id); err != nil || rec.Kind != st.Kind || rec.Thread != st.Thread || rec.Issuer != st.Issuer {
		t.Errorf("%s: seen as %+v, %v", x.File, rec, err)
	}
	if head, err := v.Head(st.Thread); err != nil || head.ID != id {
		t.Errorf("%s: the head of %s is %+v, %v", x.File, st.Thread, head, err)
	}
	var listed bool
	if err := v.Records(view.RecordFilter{Kind: st.Kind}, func(rec register.RecordRow) bool {
		listed = listed || rec.ID == id
		return true
	}); err != nil || !listed {
		t.Errorf("%s: among the records of its kind: %v, %v", x.File, listed, err)
	}
	return st
}

// checkThreadStands judges a record once more: by the row that its thread's newest one wrote.
func checkThreadStands(t *testing.T, w *registertest.Fixture, kind record.Kind, env record.Envelope) {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	st.Ledger, st.IssuedAt = w.Ledger, w.Now // the first charter names no ledger
	st.Follows = record.ID{1}
	var refused *record.Refusal
	if err := w.Register.Begin(w.Now).Preflight(st); !errors.As(err, &refused) || refused.Class != record.Conflict || refused.Current != w.Head(st.Thread) {
		t.Errorf("%s, following something else: %v, want a conflict with %s", kind, err, w.Head(st.Thread))
	}
}

// checkDescribed wants what people read and write of a kind.
func checkDescribed(t *testing.T, kind record.Kind, env record.Envelope) {
	t.Helper()
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if kind.Doc() == "" {
		t.Errorf("%s: no line says what it is", kind)
	}
	if text := view.Summary(st); text == "" || text == string(kind) {
		t.Errorf("%s: its summary is %q", kind, text)
	}
	if text, err := draft.Template(string(kind), nil); err != nil || !strings.Contains(text, "kind: "+string(kind)) {
		t.Errorf("%s: its template is %.60q, %v", kind, text, err)
	}
	if schema, err := record.SchemaJSON(kind); err != nil || !bytes.Contains(schema, []byte(kind.PredicateType())) {
		t.Errorf("%s: its schema is %.60q, %v", kind, schema, err)
	}
}

// serveEntries is a server of a ledger that has a fixture's entries.
func serveEntries(t *testing.T, w *registertest.Fixture, log *proof.Signer, origin string) func(path string) *httptest.ResponseRecorder {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	files := vfs.NewMem()
	store, err := pebblestore.Open(files, "store", pebblestore.Options{})
	must(err)
	x := ledger.Extension{Old: ledger.Head{Root: proof.EmptyRoot()}}
	for _, e := range w.Entries {
		x.Entries = append(x.Entries, e.Marshal())
	}
	tree := storetest.NewReferenceLog(x.Entries)
	x.New = tree.Head(len(x.Entries))
	for id := range storetest.Tiles(0, x.New.Size) {
		x.Tiles = append(x.Tiles, proof.Tile{ID: id, Hashes: tree.Tile(id)})
	}
	must(store.Extend(t.Context(), x))
	r, err := register.Open(files, "register", registertest.SmallOptions())
	must(err)
	l, err := ledger.Open(t.Context(), store, public.Fold(r), ledger.Config{Origin: origin, Signers: []*proof.Signer{log}})
	must(err)
	t.Cleanup(func() { must(errors.Join(r.Close(), store.Close())) })
	must(l.Publish(t.Context()))
	s, err := server.New(server.Config{Ledger: l, Register: r})
	must(err)
	return func(path string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodGet, path, nil).WithContext(t.Context())
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, request)
		return answer
	}
}

func dumpRegister(t *testing.T, r *register.Register) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(r.Size(), b.String())
}
