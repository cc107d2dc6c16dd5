package server

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The read API is C2SP tlog-tiles. The checkpoint changes; everything else that
// was ever published is the same for ever.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheNever   = "no-cache"
)

// checkpoint is tlog-tiles "Checkpoints".
func (s *Server) checkpoint(x *exchange) error {
	if err := x.query().done(); err != nil {
		return err
	}
	published := s.cfg.Ledger.Published()
	if published == nil {
		return refuse(notFound, "nothing is published yet")
	}
	note := published.Note()
	h := x.Writer.Header()
	h.Set("Cache-Control", cacheNever)
	h.Set("ETag", entityTag(note))
	if matches(x.Request.Header.Get("If-None-Match"), h.Get("ETag")) {
		x.Status(http.StatusNotModified)
		return nil
	}
	return x.bytes(http.StatusOK, typeText, note)
}

// tile is tlog-tiles "Merkle Tree" and "Log entries". The path is parsed as it
// was sent: what has another spelling is another path.
func (s *Server) tile(x *exchange) error {
	path := strings.TrimPrefix(x.Request.URL.EscapedPath(), "/")
	if x.Request.URL.RawQuery != "" || x.Request.URL.ForceQuery {
		return refuse(notFound, "a tile's path has no query")
	}
	if strings.HasPrefix(path, "tile/entries/") {
		return s.bundle(x, path)
	}
	id, err := proof.ParseTilePath(path)
	if err != nil {
		return notATile()
	}
	hashes, err := s.cfg.Ledger.Tile(x.Request.Context(), id)
	if err != nil {
		return unpublishedTile(err, "tile")
	}
	x.Writer.Header().Set("Cache-Control", cacheForever)
	return x.bytes(http.StatusOK, typeOctets, hashes)
}

// bundle serves entries: full bundles from the cache of compressed ones,
// partial ones made as they are asked for. Both are made in turn, since the largest
// entries make a bundle of 12 MB.
func (s *Server) bundle(x *exchange, path string) error {
	id, err := proof.ParseBundlePath(path)
	if err != nil {
		return notATile()
	}
	zipped := acceptsGzip(x.Request.Header.Get("Accept-Encoding"))
	full := id.Width == proof.TileWidth
	var data []byte
	if full {
		data = s.bundles.cached(id.Index)
	}
	if data == nil {
		if err := x.enter(s.reads); err != nil {
			return err
		}
		defer x.leave()
		read := func() ([]byte, error) { return s.readBundle(x, id) }
		if full {
			data, err = s.bundles.bundle(id.Index, read)
		} else if data, err = read(); err == nil && zipped {
			data = compress(data, gzip.BestSpeed)
		}
		if err != nil {
			return unpublishedTile(err, "bundle")
		}
	}
	h := x.Writer.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", cacheForever)
	if full && !zipped {
		return x.unzipped(typeOctets, data)
	}
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	return x.bytes(http.StatusOK, typeOctets, data)
}

func (s *Server) readBundle(x *exchange, id proof.BundleID) ([]byte, error) {
	if !id.In(s.published()) {
		return nil, ledger.ErrUnpublished
	}
	start := id.Index * proof.TileWidth
	// Others may wait for the same reading, so it does not end with this request.
	ctx := context.WithoutCancel(x.Request.Context())
	entries, err := s.cfg.Ledger.Entries(ctx, start, start+uint64(id.Width))
	if err != nil {
		return nil, err
	}
	return proof.FormatBundle(entries)
}

// published is the size below which everything may be shown.
func (s *Server) published() uint64 {
	if p := s.cfg.Ledger.Published(); p != nil {
		return p.Checkpoint().Size
	}
	return 0
}

// notATile does not log what the path is: it is a stranger's, and may be long.
func notATile() error {
	return refuse(notFound, "not the path of a tile: tlog-tiles writes tile/<L>/<N> or tile/entries/<N>, then .p/<W> if partial")
}

func unpublishedTile(err error, what string) error {
	if errors.Is(err, ledger.ErrUnpublished) {
		return refuse(notFound, "that %s is not below the published size", what)
	}
	return err
}

// entityTag is a strong validator (RFC 9110 section 8.8.3) of a body that changes.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
}

// matches reads If-None-Match (RFC 9110 section 13.1.2).
func matches(header, tag string) bool {
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
