package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// The read API is C2SP tlog-tiles. The checkpoint changes; everything else that was
// ever published never changes.
const (
	cacheImmutable  = "public, max-age=31536000, immutable"
	cacheRevalidate = "no-cache"
)

// checkpoint is tlog-tiles "Checkpoints".
func (s *Server) checkpoint(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	published := s.cfg.Ledger.Published()
	if published == nil {
		return newProblem(problemNotFound, "nothing is published yet")
	}
	note := published.Note()
	h := x.Writer.Header()
	h.Set("Cache-Control", cacheRevalidate)
	h.Set("ETag", entityTag(note))
	if etagMatches(x.Request.Header.Get("If-None-Match"), h.Get("ETag")) {
		x.Status(http.StatusNotModified)
		return nil
	}
	// SPEC: tlog-tiles Checkpoints: the checkpoint is served at /checkpoint as text/plain; charset=utf-8
	return x.answerBytes(http.StatusOK, typeText, note)
}

// tile is tlog-tiles "Merkle Tree" and "Log entries". The path is parsed as it
// was sent: what has another spelling is another path.
func (s *Server) tile(x *request) error {
	path := strings.TrimPrefix(x.Request.URL.EscapedPath(), "/")
	if x.Request.URL.RawQuery != "" || x.Request.URL.ForceQuery {
		return newProblem(problemNotFound, "a tile's path has no query")
	}
	// SPEC: tlog-tiles Log entries: entries in another encoding have another URL
	if strings.HasPrefix(path, "tile/entries/") {
		return s.serveBundle(x, path)
	}
	id, err := proof.ParseTilePath(path)
	if err != nil {
		return notATilePath()
	}
	hashes, err := s.cfg.Ledger.Tile(x.Request.Context(), id)
	if err != nil {
		return tileProblem(err, "tile")
	}
	x.Writer.Header().Set("Cache-Control", cacheImmutable)
	return x.answerBytes(http.StatusOK, typeOctets, hashes)
}

// serveBundle serves entries: full bundles from the cache of compressed ones, partial
// ones made as they are asked for. Both take a slot of bundleLimiter, since the largest
// entries make a bundle of 12 MB.
func (s *Server) serveBundle(x *request, path string) error {
	id, err := proof.ParseEntryBundlePath(path)
	if err != nil {
		return notATilePath()
	}
	zipped := acceptsGzip(x.Request.Header.Get("Accept-Encoding"))
	full := id.Width == proof.TileWidth
	start := id.Index * proof.TileWidth
	if err := s.cfg.Ledger.checkWithheld(start, start+uint64(id.Width)); err != nil {
		return err // also what is among the cached ones
	}
	var data []byte
	if full {
		data = s.bundles.lookup(id.Index)
	}
	if data == nil {
		if err := x.acquire(s.bundleLimiter); err != nil {
			return err
		}
		defer x.release()
		read := func() ([]byte, error) { return s.readBundle(x, id) }
		if full {
			data, err = s.bundles.get(id.Index, read)
		} else if data, err = read(); err == nil && zipped {
			data = gzipBytes(data, gzip.BestSpeed)
		}
		if err != nil {
			return tileProblem(err, "bundle")
		}
	}
	h := x.Writer.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", cacheImmutable)
	if full && !zipped {
		return x.answerUnzipped(typeOctets, data)
	}
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	return x.answerBytes(http.StatusOK, typeOctets, data)
}

func (s *Server) readBundle(x *request, id proof.EntryBundleID) ([]byte, error) {
	// SPEC: tlog-tiles Retention Policies: without a policy that permits it no entry is pruned
	if !id.In(s.publishedSize()) {
		return nil, reader.ErrUnpublished
	}
	start := id.Index * proof.TileWidth
	// Others may wait for the same reading, so it does not end with this request.
	ctx := context.WithoutCancel(x.Request.Context())
	entries, err := s.cfg.Ledger.Entries(ctx, start, start+uint64(id.Width))
	if err != nil {
		return nil, err
	}
	return proof.FormatEntryBundle(entries)
}

// publishedSize is the size below which everything may be shown.
func (s *Server) publishedSize() uint64 { return s.cfg.Ledger.PublishedSize() }

// notATilePath does not log what the path is: it is the client's, and may be long.
func notATilePath() error {
	return newProblem(problemNotFound, "not the path of a tile: tlog-tiles writes tile/<L>/<N> or tile/entries/<N>, then .p/<W> if partial")
}

func tileProblem(err error, what string) error {
	if errors.Is(err, reader.ErrUnpublished) {
		return newProblem(problemNotFound, "that %s is not below the published size", what)
	}
	return err
}

// entityTag is a strong validator (RFC 9110 section 8.8.3) of a body that changes.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
}

// etagMatches reads If-None-Match (RFC 9110 section 13.1.2).
func etagMatches(header, tag string) bool {
	if header == "*" {
		return true
	}
	for one := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag {
			return true
		}
	}
	return false
}

// bundleCache keeps full entry bundles as gzip: they never change, so each is
// compressed once while it stays among the newest used. mu guards what is below
// it.
type bundleCache struct {
	limit  int // bytes
	flight singleflight.Group

	mu      sync.Mutex
	bundles *simplelru.LRU[uint64, []byte] // as gzip, by number
	bytes   int
}

func newBundleCache(limit int) *bundleCache {
	b := &bundleCache{limit: limit}
	// What bounds it is their bytes, which add counts; an error only of a size below 1.
	b.bundles, _ = simplelru.NewLRU(math.MaxInt, func(_ uint64, z []byte) { b.bytes -= len(z) })
	return b
}

// get returns full bundle n as gzip. read reads it; callers that ask for the
// same bundle at once share one reading.
func (b *bundleCache) get(n uint64, read func() ([]byte, error)) ([]byte, error) {
	if z := b.lookup(n); z != nil {
		return z, nil
	}
	z, err, _ := b.flight.Do(strconv.FormatUint(n, 10), func() (any, error) {
		raw, err := read()
		if err != nil {
			return nil, err
		}
		z := gzipBytes(raw, gzip.DefaultCompression)
		b.add(n, z)
		return z, nil
	})
	if err != nil {
		return nil, err
	}
	return z.([]byte), nil
}

func (b *bundleCache) lookup(n uint64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	z, _ := b.bundles.Get(n)
	return z
}

func (b *bundleCache) add(n uint64, z []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bundles.Contains(n) || len(z) > b.limit {
		return
	}
	b.bundles.Add(n, z)
	for b.bytes += len(z); b.bytes > b.limit; {
		b.bundles.RemoveOldest()
	}
}

func (b *bundleCache) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// gzipBytes is gzip (RFC 1952) at one level. Writing to memory does not fail.
func gzipBytes(raw []byte, level int) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err)
	}
	w.Write(raw)
	w.Close()
	return out.Bytes()
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110 section 12.5.3).
func acceptsGzip(header string) bool {
	any := false
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "x-gzip" && coding != "*" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(params)), "q="), 64)
		accepted := strings.TrimSpace(params) == "" || err == nil && q > 0
		if coding != "*" {
			return accepted
		}
		any = accepted
	}
	return any
}
