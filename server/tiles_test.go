package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	dproof "github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// growTo submits records until the ledger has so many entries.
func (w *world) growTo(size uint64) {
	w.t.Helper()
	for w.server.publishedSize() < size {
		w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, w.server.publishedSize())).String()}}))
	}
}

// Every size to 100 is fetched over HTTP alone: the tree is rebuilt from the
// tiles, the entries hash to it, each entry's inclusion and the consistency with
// every smaller size are proven from what was fetched, by a library that is not
// ours; and at the end every prefix is still served.
func TestTilesOfEverySize(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: -1}}}, "acme-cloud")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	const last = 100
	roots := map[uint64][]byte{}
	for size := w.server.publishedSize(); size <= last; size++ {
		w.growTo(size)
		note := w.get("/checkpoint")
		published, err := w.policy.Verify(note.Body.Bytes(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cp := published.Checkpoint()
		if cp.Size != size {
			t.Fatalf("the checkpoint is of size %d, want %d", cp.Size, size)
		}
		roots[size] = cp.Root[:]
		leaves := w.leaves(size)
		if root := rootOf(leaves); !bytes.Equal(root, cp.Root[:]) {
			t.Fatalf("the tiles of size %d hash to %x, the checkpoint says %s", size, root, cp.Root)
		}
	}
	leaves := w.leaves(last)
	for size, root := range roots {
		if got := rootOf(w.leaves(size)); !bytes.Equal(got, root) {
			t.Errorf("the prefix of size %d is no longer served as it was", size)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, last, consistency(leaves, size), root, roots[last]); err != nil {
			t.Errorf("size %d is not a prefix of %d: %v", size, last, err)
		}
	}
	for index := range uint64(last) {
		entry, err := w.ledger.Entry(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		r := w.get("/v1/records/" + payloadID(t, entry) + "/receipt")
		if got := w.verifyReceipt(r.Body.Bytes()); got.Index() != index || !bytes.Equal(got.Entry(), entry) {
			t.Errorf("the receipt of entry %d is of %d", index, got.Index())
		}
	}
}

func payloadID(t *testing.T, line []byte) string {
	t.Helper()
	e, err := record.ParseEntry(line)
	if err != nil {
		t.Fatal(err)
	}
	return record.IDOf(e.Envelope.Payload).String()
}

// leaves fetches the level 0 tile and the bundle of a tree of at most 256
// entries, and checks one against the other.
func (w *world) leaves(size uint64) [][]byte {
	w.t.Helper()
	id := dproof.TileID{Width: int(size)}
	tile := w.get("/" + id.Path())
	bundle := w.get("/" + dproof.EntryBundleID{Width: int(size)}.Path())
	for _, r := range []*httptest.ResponseRecorder{tile, bundle} {
		if r.Code != http.StatusOK || r.Header().Get("Content-Type") != typeOctets || r.Header().Get("Cache-Control") != cacheImmutable {
			w.t.Fatalf("size %d: %d %v %s", size, r.Code, r.Header(), r.Body)
		}
	}
	entries, err := dproof.ParseEntryBundle(bundle.Body.Bytes(), int(size))
	if err != nil {
		w.t.Fatal(err)
	}
	hashes := tile.Body.Bytes()
	if len(hashes) != 32*int(size) {
		w.t.Fatalf("the tile of size %d has %d bytes", size, len(hashes))
	}
	leaves := make([][]byte, size)
	for i := range leaves {
		leaves[i] = hashes[32*i : 32*i+32]
		if !bytes.Equal(leaves[i], rfc6962.DefaultHasher.HashLeaf(entries[i])) {
			w.t.Fatalf("size %d: entry %d is not the tile's leaf", size, i)
		}
	}
	return leaves
}

// rootOf and consistency are RFC 6962 section 2.1 as it is written, slow and plain.
func rootOf(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return leaves[0]
	default:
		k := split(n)
		return rfc6962.DefaultHasher.HashChildren(rootOf(leaves[:k]), rootOf(leaves[k:]))
	}
}

func consistency(leaves [][]byte, m uint64) [][]byte { return subproof(int(m), leaves, true) }

func subproof(m int, leaves [][]byte, whole bool) [][]byte {
	n := len(leaves)
	if m == n {
		if whole {
			return nil
		}
		return [][]byte{rootOf(leaves)}
	}
	k := split(n)
	if m <= k {
		return append(subproof(m, leaves[:k], whole), rootOf(leaves[k:]))
	}
	return append(subproof(m-k, leaves[k:], false), rootOf(leaves[:k]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

func TestFullTilesAndBundles(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: -1}}}, "acme-cloud")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.growTo(260)
	for path, length := range map[string]int{
		"/tile/0/000":       256 * 32,
		"/tile/0/000.p/255": 255 * 32,
		"/tile/0/000.p/1":   32,
		"/tile/0/001.p/4":   4 * 32,
		"/tile/1/000.p/1":   32,
	} {
		if r := w.get(path); r.Code != http.StatusOK || r.Body.Len() != length || r.Header().Get("Content-Length") != fmt.Sprint(length) {
			t.Errorf("%s: %d, %d bytes", path, r.Code, r.Body.Len())
		}
	}
	for _, path := range []string{"/tile/0/001", "/tile/0/001.p/5", "/tile/0/002.p/1", "/tile/1/000", "/tile/1/000.p/2", "/tile/2/000.p/1", "/tile/entries/001.p/5", "/tile/entries/001", "/tile/63/000"} {
		w.wantProblem(w.get(path), problemNotFound)
	}

	plain := w.get("/tile/entries/000")
	zipped := w.get("/tile/entries/000", "Accept-Encoding", "gzip")
	if zipped.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("encodings: %v, %v", zipped.Header(), plain.Header())
	}
	if zipped.Body.Len() >= plain.Body.Len() || !bytes.Equal(gunzip(t, zipped.Body.Bytes()), plain.Body.Bytes()) {
		t.Error("the compressed bundle is another, or no smaller")
	}
	if w.server.bundles.size() != zipped.Body.Len() {
		t.Errorf("%d bytes of compressed bundles kept, want %d", w.server.bundles.size(), zipped.Body.Len())
	}
	part := w.get("/tile/entries/000.p/17", "Accept-Encoding", "gzip, br")
	if entries, err := dproof.ParseEntryBundle(gunzip(t, part.Body.Bytes()), 17); err != nil || len(entries) != 17 {
		t.Errorf("a partial bundle: %v", err)
	}
	for range 2 {
		again := w.get("/tile/entries/000", "Accept-Encoding", "gzip")
		if !bytes.Equal(again.Body.Bytes(), zipped.Body.Bytes()) {
			t.Error("the kept bundle is another")
		}
	}
}

// One path, one resource: whatever is spelt otherwise is not there, and nobody
// is redirected.
func TestStrictPaths(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	for _, path := range []string{
		"//checkpoint", "/checkpoint/", "/checkpoin%74", "/Checkpoint", "/./checkpoint", "/x/../checkpoint",
		"/tile", "/tile/", "/tile/0", "/tile/0/", "/tile//000.p/1", "//tile/0/000.p/1", "/tile/0/000.p/1/", "/tile/0%2F000.p/1",
		"/tile/0/000.p%2F1", "/tile/0/000%2Ep/1", "/tile/00/000.p/1", "/tile/0/0.p/1", "/tile/0/0000.p/1", "/tile/0/x000/000.p/1",
		"/tile/0/000.p/01", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/", "/tile/+0/000.p/1", "/tile/-1/000.p/1",
		"/tile/64/000.p/1", "/tile/0/000.p/1?", "/tile/0/000.p/1?x=1", "/tile/entries/", "/tile/entries/000.p/1/", "/tile/entries//000.p/1",
		"/tile/%65ntries/000.p/1", "/tile/entries/0/000.p/1", "/tile/0/000.P/1",
		"/v1/records/", "/v1//records", "/v1/records/xyz", "/v1/records/" + strings.Repeat("A", 64), "/v1/records/" + strings.Repeat("0", 64) + "/",
		"/v1/register/designations/", "/schemas/response", "/schemas/response/v1/", "/schemas/response/v2", "/healthz/", "/parties/", "/nothing",
	} {
		r := w.get(path)
		if r.Code != http.StatusNotFound || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s", path, r.Code, r.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/1", "/tile/entries/000.p/3", "/tile/0/000.p/3"} {
		if r := w.get(path); r.Code != http.StatusOK {
			t.Errorf("%s: %d", path, r.Code)
		}
	}
}

func TestMethods(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	for path, allow := range map[string]string{
		"/checkpoint":      "GET, HEAD, OPTIONS",
		"/tile/0/000.p/1":  "GET, HEAD, OPTIONS",
		"/v1/records":      "GET, HEAD, OPTIONS, POST",
		"/healthz":         "GET, HEAD, OPTIONS",
		"/":                "GET, HEAD, OPTIONS",
		"/v1/records/abcd": "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "BREW"} {
			r := w.do(httptest.NewRequest(method, path, nil))
			w.wantProblem(r, problemMethod)
			if got := r.Header().Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allow)
			}
		}
	}
	w.wantProblem(w.do(httptest.NewRequest("POST", "/checkpoint", nil)), problemMethod)
}

func TestHEADSaysWhatGETWould(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	listener := httptest.NewServer(w.server.Handler())
	defer listener.Close()
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/2", "/tile/entries/000.p/2", "/v1/records", "/", "/openapi.json", "/style.css", "/healthz"} {
		get, err := http.Get(listener.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		head, err := http.Head(listener.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		if head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") || head.Header.Get("ETag") != get.Header.Get("ETag") {
			t.Errorf("%s: HEAD %d %v, GET %d %v", path, head.StatusCode, head.Header, get.StatusCode, get.Header)
		}
	}
}

func TestCheckpointRevalidates(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	first := w.get("/checkpoint")
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || first.Header().Get("Content-Type") != typeText || first.Header().Get("Cache-Control") != cacheRevalidate || tag == "" {
		t.Fatalf("%d %v", first.Code, first.Header())
	}
	for _, header := range []string{tag, `"other", ` + tag, "W/" + tag, "*"} {
		if r := w.get("/checkpoint", "If-None-Match", header); r.Code != http.StatusNotModified || r.Body.Len() != 0 {
			t.Errorf("If-None-Match %s: %d", header, r.Code)
		}
	}
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	if r := w.get("/checkpoint", "If-None-Match", tag); r.Code != http.StatusOK || r.Header().Get("ETag") == tag {
		t.Errorf("a newer checkpoint: %d", r.Code)
	}
	empty := newWorld(t, settings{})
	empty.wantProblem(empty.get("/checkpoint"), problemNotFound)
}

// Whatever the path, the handler answers, and only tiles' own spellings get one.
func FuzzPaths(f *testing.F) {
	w := newEnrolledWorld(f, settings{}, "acme-cloud")
	for _, seed := range []string{"/tile/0/000.p/1", "/tile/entries/000.p/3", "/tile/0/x001/234.p/5", "/checkpoint", "/tile/0%2F000", "//", "/v1/records?kind=charter&limit=1", "/v1/register/identifiers/name/a%2Fb", "/designations/%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r := httptest.NewRequest("GET", "/", nil)
		if setTarget(r, target) != nil {
			return
		}
		out := w.forTest(t).do(r)
		if out.Code >= 500 || out.Code >= 300 && out.Code < 400 {
			t.Fatalf("%q: %d %s", target, out.Code, out.Body)
		}
		if path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/"); ok && out.Code == http.StatusOK && strings.HasPrefix(path, "tile/") {
			id, err := dproof.ParseTilePath(path)
			bundle, bundleErr := dproof.ParseEntryBundlePath(path)
			if (err != nil || id.Path() != path) && (bundleErr != nil || bundle.Path() != path) {
				t.Errorf("%q was served", target)
			}
		}
	})
}

// The largest bundles are made in turn; one that is compressed already needs none.
func TestBundlesAreMadeInTurn(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{Verifiers: 1, VerifyWait: 1, IssuerRate: Rate{PerSecond: -1}}}, "acme-cloud")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range 256 {
			answer := &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}}
			if !yield(w.Respond("2026-014", "acme-cloud", answer)) {
				return
			}
		}
	})
	plain := w.get("/tile/entries/000")
	if err := w.server.bundleLimiter.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.get("/tile/entries/001.p/1"), problemOverloaded)
	if r := w.get("/tile/entries/000", "Accept-Encoding", "gzip"); r.Code != http.StatusOK || !bytes.Equal(gunzip(t, r.Body.Bytes()), plain.Body.Bytes()) {
		t.Errorf("the bundle that is in the cache: %d, or other bytes", r.Code)
	}
	if again := w.get("/tile/entries/000"); !bytes.Equal(again.Body.Bytes(), plain.Body.Bytes()) {
		t.Error("unpacked from the cache a bundle has other bytes")
	}
	w.server.bundleLimiter.release()
	if r := w.get("/tile/entries/001.p/1"); r.Code != http.StatusOK {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestBundleCacheReadsOnceAndStaysBounded(t *testing.T) {
	raw := bytes.Repeat([]byte("an entry, much like another; "), 400)
	one := len(gzipBytes(raw, gzip.DefaultCompression))
	b := newBundleCache(3*one + one/2)
	reads := 0
	read := func() ([]byte, error) { reads++; return raw, nil }
	for range 2 {
		for n := range uint64(3) {
			z, err := b.get(n, read)
			if err != nil {
				t.Fatal(err)
			}
			if got := gunzip(t, z); !bytes.Equal(got, raw) {
				t.Fatal("a bundle did not come back as it was")
			}
		}
	}
	if reads != 3 {
		t.Errorf("%d readings of 3 bundles, want each once", reads)
	}
	b.get(0, read) // used again: 1 is now the oldest
	b.get(3, read)
	if b.lookup(1) != nil || b.lookup(0) == nil {
		t.Error("not the least recently used bundle went")
	}
	if b.size() != 3*one {
		t.Errorf("%d bytes kept, want %d", b.size(), 3*one)
	}
}

func TestBundleCacheKeepsNoErrors(t *testing.T) {
	b := newBundleCache(1 << 20)
	rotten := errors.New("rotten")
	if _, err := b.get(0, func() ([]byte, error) { return nil, rotten }); !errors.Is(err, rotten) {
		t.Fatalf("got %v, want the reading's error", err)
	}
	if _, err := b.get(0, func() ([]byte, error) { return []byte("fine"), nil }); err != nil {
		t.Fatalf("the error stuck: %v", err)
	}
}

func gunzip(t *testing.T, z []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"":                            false,
		"identity":                    false,
		"gzip":                        true,
		"GZIP":                        true,
		"gzip, identity":              true,
		"deflate, gzip;q=1.0":         true,
		"gzip;q=0":                    false,
		"gzip; q=0.0":                 false,
		"*":                           true,
		"*;q=0":                       false,
		"gzip;q=0, *":                 false,
		"*, gzip;q=0":                 false,
		"br;q=1.0, gzip;q=0.8, *;q=0": true,
		"gzip;level=9":                false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("Accept-Encoding %q: %v, want %v", header, got, want)
		}
	}
}
