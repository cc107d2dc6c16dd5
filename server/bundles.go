package server

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/singleflight"
)

// bundleCache keeps full entry bundles as gzip: they never change, so each is
// compressed once while it stays among the newest used. mu guards what is below
// it.
type bundleCache struct {
	limit  int // bytes
	flight singleflight.Group

	mu      sync.Mutex
	byN     map[uint64]*list.Element
	recency *list.List // of cachedBundle, the newest used first
	bytes   int
}

type cachedBundle struct {
	n    uint64
	gzip []byte
}

func newBundleCache(limit int) *bundleCache {
	return &bundleCache{limit: limit, byN: make(map[uint64]*list.Element), recency: list.New()}
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
	e := b.byN[n]
	if e == nil {
		return nil
	}
	b.recency.MoveToFront(e)
	return e.Value.(cachedBundle).gzip
}

func (b *bundleCache) add(n uint64, z []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byN[n] != nil || len(z) > b.limit {
		return
	}
	b.byN[n] = b.recency.PushFront(cachedBundle{n, z})
	b.bytes += len(z)
	for b.bytes > b.limit {
		oldest := b.recency.Remove(b.recency.Back()).(cachedBundle)
		delete(b.byN, oldest.n)
		b.bytes -= len(oldest.gzip)
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
