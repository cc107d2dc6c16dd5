package witness_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// countingFS counts the evidence files that are read.
type countingFS struct {
	vfs.FS
	read *atomic.Int64
}

func (f countingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(name, proof.EvidenceSuffix) {
		f.read.Add(1)
	}
	return f.FS.Open(name, opts...)
}

// laden puts n pieces of evidence on the shelf of a witness of 20 logs, as a person may;
// of each fifth a person has decided.
func laden(t testing.TB, n int) (cfg witness.Config, signers []*proof.Signer, ids []string, read *atomic.Int64) {
	cfg = config(t, "w1.example")
	cfg.Log, read = nil, new(atomic.Int64)
	cfg.FS = countingFS{cfg.FS, read}
	cfg.Logs = nil
	for i := range 20 {
		origin := fmt.Sprintf("log-%02d.example", i)
		signers = append(signers, newSigner(proof.Ed25519, origin))
		cfg.Logs = append(cfg.Logs, logListOf(origin, signers[i])...)
	}
	if err := witness.CreateState(cfg); err != nil {
		t.Fatal(err)
	}
	must(gossip.OpenEvidenceStore(cfg.FS, "w/evidence"))
	put := func(name string, data []byte) {
		f := must(cfg.FS.Create("w/evidence/"+name, vfs.WriteCategoryUnspecified))
		must(f.Write(data))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		var notes [2][]byte
		for j := range notes {
			cp := proof.Checkpoint{Origin: signers[i%20].Key().Name(), Size: uint64(1 + i), Root: proof.LeafHash(fmt.Append(nil, j))}
			notes[j] = must(proof.SignCheckpoint(cp, signers[i%20])).Note()
		}
		file := must(must(proof.NewEvidence(notes[0], notes[1])).Format())
		id := fmt.Sprintf("%x", sha256.Sum256(file))
		put(id+proof.EvidenceSuffix, file)
		if i%5 == 0 {
			put(id+".acknowledged", must(json.Marshal(acknowledgement("old"))))
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return cfg, signers, ids, read
}

// A witness reads evidence once, however much there is and however many logs it serves;
// who asks for the list is given a page, and no file is read for it.
func TestShelfIsReadOnce(t *testing.T) {
	cfg, signers, ids, read := laden(t, 2500)
	w := must(witness.Open(cfg))
	if n := read.Swap(0); n != int64(len(ids)) {
		t.Errorf("%d files were read at the first start, there are %d", n, len(ids))
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		cfg.Metrics = nil
		w = must(witness.Open(cfg))
		if n := read.Load(); n != 0 {
			t.Errorf("%d files were read at a later start", n)
		}
		h := w.Handler()
		get := func(path string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
			return rec
		}
		var all []string
		for path, pages := "/v1/evidence", 0; path != ""; pages++ {
			rec := get(path)
			page := strings.Fields(rec.Body.String())
			if all = append(all, page...); rec.Code != http.StatusOK || len(page) > 1000 || pages > 5 {
				t.Fatalf("%s: %d with %d IDs", path, rec.Code, len(page))
			}
			next := strings.TrimSuffix(strings.TrimPrefix(rec.Header().Get("Link"), "<"), `>; rel="next"`)
			if path = ""; next != "" {
				path = "/v1/" + next
			}
		}
		if !slices.Equal(all, ids) {
			t.Errorf("%d pieces are listed, or others; want %d", len(all), len(ids))
		}
		face := must(wire.NewWitness("https://w.example", handling{h}))
		if got := must(face.ListEvidence(t.Context())); !slices.Equal(got, ids) {
			t.Errorf("a client lists %d pieces, or others; want %d", len(got), len(ids))
		}
		if got := strings.Fields(get("/v1/evidence?limit=3&after=" + ids[7]).Body.String()); !slices.Equal(got, ids[8:11]) {
			t.Errorf("behind the eighth, three: %q", got)
		}
		for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after=x", "after=" + strings.ToUpper(ids[1])} {
			if rec := get("/v1/evidence?" + query); rec.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", query, rec.Code, rec.Body)
			}
		}
		if n := read.Load(); n != 0 {
			t.Errorf("%d files were read to list them", n)
		}
		if rec := get("/v1/evidence/" + ids[0]); rec.Code != http.StatusOK || read.Swap(0) != 1 {
			t.Errorf("one file: %d", rec.Code)
		}
	}
	defer func() { w.Close() }()

	// All logs are halted by it, and each until the last piece is acknowledged.
	signer := signers[3]
	origin := signer.Key().Name()
	halted := new(witness.HaltedError)
	ask := func() error {
		_, err := w.Cosign(t.Context(), wire.AddCheckpoint{Note: must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Root: proof.EmptyRoot()}, signer)).Note()})
		return err
	}
	if err := ask(); !asErr(err, &halted) {
		t.Errorf("not halted: %v", err)
	}
	shelf := must(gossip.OpenEvidenceStore(cfg.FS, "w/evidence"))
	open := []string{}
	for _, k := range must(shelf.List()) {
		if k.Evidence.Origin() == origin && k.Acknowledged == nil {
			open = append(open, k.ID)
		}
	}
	for i, id := range open {
		if i == len(open)-1 {
			w.Close()
			w = must(witness.Open(cfg)) // and over a start
		}
		if i%25 == 0 || i == len(open)-1 {
			if err := ask(); !asErr(err, &halted) {
				t.Errorf("not halted with %d pieces open: %v", len(open)-i, err)
			}
		}
		if err := shelf.Acknowledge(id, acknowledgement("seen")); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(); err != nil {
		t.Errorf("all is acknowledged: %v", err)
	}

	// What a person takes away or adds, and what a crash has left, the next start finds.
	w.Close()
	read.Store(0)
	if err := cfg.FS.Remove("w/evidence/" + ids[5] + proof.EvidenceSuffix); err != nil {
		t.Fatal(err)
	}
	w = must(witness.Open(cfg))
	if got := must(must(wire.NewWitness("https://w.example", handling{w.Handler()})).ListEvidence(t.Context())); slices.Contains(got, ids[5]) || read.Load() != 0 {
		t.Errorf("%d are listed without one, %d were read", len(got), read.Load())
	}
}

// handling is a network of one handler.
type handling struct{ http.Handler }

func (h handling) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// BenchmarkStartWithEvidence starts a witness that keeps 10,000 pieces of evidence, and
// lists a page of it.
func BenchmarkStartWithEvidence(b *testing.B) {
	cfg, _, _, _ := laden(b, 10_000)
	cfg.Metrics = nil
	must(witness.Open(cfg)).Close()
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			must(witness.Open(cfg)).Close()
		}
	})
	b.Run("list", func(b *testing.B) {
		w := must(witness.Open(cfg))
		defer w.Close()
		h := w.Handler()
		for b.Loop() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/evidence", nil))
		}
	})
}
