package server

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
)

// Media types that the ledger takes and gives.
const (
	typeJSON   = "application/json"
	typeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	typeText   = "text/plain; charset=utf-8"
	typeOctets = "application/octet-stream"
)

// checkMediaType refuses a body that does not say it is an envelope or a
// bundle. Which of the two it is, its own members say.
func checkMediaType(x *request) error {
	if enc := x.Request.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return newProblem(problemMediaType, "content encoding %q: send the record as it is", clipText(enc))
	}
	given := x.Request.Header.Get("Content-Type")
	if given == typeJSON || given == typeBundle {
		return nil
	}
	media, params, err := mime.ParseMediaType(given)
	charset, hasCharset := params["charset"]
	if err == nil && (media == typeJSON || media == typeBundle) && (!hasCharset || strings.EqualFold(charset, "utf-8")) {
		return nil
	}
	x.Header("Accept", typeJSON+", "+typeBundle)
	return newProblem(problemMediaType, "%q: send a DSSE envelope as %s or a Sigstore bundle as %s", clipText(given), typeJSON, typeBundle)
}

// bodyPool are the buffers that requests are read into; none is larger than the
// limit, so the pool holds at most one such buffer a connection.
type bodyPool struct {
	limit int
	pool  sync.Pool
}

func newBodyPool(limit int) *bodyPool {
	return &bodyPool{limit: limit, pool: sync.Pool{New: func() any {
		b := make([]byte, 0, 4096)
		return &b
	}}}
}

// read reads the whole body, at most limit bytes of it. The bytes are good until
// the buffer is put back.
func (b *bodyPool) read(r *http.Request) (*[]byte, error) {
	if r.ContentLength > int64(b.limit) {
		return nil, b.tooLarge(int(r.ContentLength), "")
	}
	buf := b.pool.Get().(*[]byte)
	data := (*buf)[:0]
	for {
		if len(data) == cap(data) {
			data = slices.Grow(data, cap(data)) // twice as much: copies are garbage
		}
		n, err := r.Body.Read(data[len(data):min(cap(data), b.limit+1)])
		data = data[:len(data)+n]
		*buf = data
		switch {
		case len(data) > b.limit:
			b.put(buf)
			return nil, b.tooLarge(len(data), "at least ")
		case err == io.EOF:
			return buf, nil
		case err != nil:
			b.put(buf)
			return nil, problemOfBody(err)
		}
	}
}

func (b *bodyPool) put(buf *[]byte) {
	*buf = (*buf)[:0]
	b.pool.Put(buf)
}

func (b *bodyPool) tooLarge(size int, atLeast string) *problem {
	p := newProblem(problemTooLarge, "the body has %s%d bytes, the limit is %d", atLeast, size, b.limit)
	p.limit, p.size = b.limit, size
	return p
}

// problemOfBody tells a client that was too slow from one that broke off.
func problemOfBody(err error) *problem {
	p := newProblem(problemMalformed, "the body broke off")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p = newProblem(problemSlowBody, "the body did not arrive in time")
	}
	p.cause = fmt.Errorf("reading the body: %w", err)
	return p
}

// clipText keeps a client's own words in an answer short.
func clipText(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
