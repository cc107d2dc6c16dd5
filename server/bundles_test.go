package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
)

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
