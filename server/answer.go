package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// bytes answers with a whole body, which the outbox counts while it is on its way.
// The exchange's turn ends here: what is left to do is the reader's part.
func (x *exchange) bytes(status int, media string, body []byte) error {
	sent, err := x.server.outbox.take(x.server.address(x), len(body), x.breakOff)
	if err != nil {
		return err
	}
	defer sent()
	x.leave()
	h := x.Writer.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.Writer.WriteHeader(status)
	x.Writer.Write(body) // an error means that nobody listens any more
	return nil
}

// breakOff ends the answer in the middle: whoever reads it sees that it is not whole.
func (x *exchange) breakOff() {
	http.NewResponseController(x.Writer).SetWriteDeadline(time.Unix(1, 0)) // one that cannot be broken off goes on
}

// unzipped answers with what a gzip stream holds, unpacked while it is sent.
func (x *exchange) unzipped(media string, zipped []byte) error {
	raw, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return fmt.Errorf("unpacking the answer: %w", err)
	}
	sent, err := x.server.outbox.take(x.server.address(x), len(zipped), x.breakOff)
	if err != nil {
		return err
	}
	defer sent()
	x.leave()
	x.Writer.Header()["Content-Type"] = []string{media}
	x.Writer.WriteHeader(http.StatusOK)
	if x.Request.Method != http.MethodHead {
		io.Copy(x.Writer, raw) // what was packed here unpacks; an error means that nobody listens any more
	}
	return nil
}

// json answers with a value that says what may change until the next time.
func (x *exchange) json(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	h := x.Writer.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", cacheNever)
	}
	return x.bytes(status, typeJSON, append(body, '\n'))
}

// embedded answers with a file of this binary, which changes with it alone.
func (x *exchange) embedded(media string, body []byte, tag string) error {
	h := x.Writer.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", tag)
	if matches(x.Request.Header.Get("If-None-Match"), tag) {
		x.Status(http.StatusNotModified)
		return nil
	}
	return x.bytes(http.StatusOK, media, body)
}
