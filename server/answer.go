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

// answerBytes answers with a whole body, which the outbox counts while it is on its way.
// The exchange's turn ends here: what is left to do is the reader's part.
func (x *request) answerBytes(status int, media string, body []byte) error {
	sent, err := x.server.answerMemory.reserve(x.server.address(x), len(body), x.abort)
	if err != nil {
		return err
	}
	defer sent()
	x.release()
	h := x.Writer.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.Writer.WriteHeader(status)
	x.Writer.Write(body) // an error means that nobody listens any more
	return nil
}

// abort ends the answer in the middle: whoever reads it sees that it is not whole.
func (x *request) abort() {
	http.NewResponseController(x.Writer).SetWriteDeadline(time.Unix(1, 0)) // one that cannot be broken off goes on
}

// answerUnzipped answers with what a gzip stream holds, unpacked while it is sent.
func (x *request) answerUnzipped(media string, zipped []byte) error {
	raw, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return fmt.Errorf("unpacking the answer: %w", err)
	}
	sent, err := x.server.answerMemory.reserve(x.server.address(x), len(zipped), x.abort)
	if err != nil {
		return err
	}
	defer sent()
	x.release()
	x.Writer.Header()["Content-Type"] = []string{media}
	x.Writer.WriteHeader(http.StatusOK)
	if x.Request.Method != http.MethodHead {
		io.Copy(x.Writer, raw) // what was packed here unpacks; an error means that nobody listens any more
	}
	return nil
}

// answerJSON answers with a value that says what may change until the next time.
func (x *request) answerJSON(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	h := x.Writer.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", cacheRevalidate)
	}
	return x.answerBytes(status, typeJSON, append(body, '\n'))
}

// answerEmbedded answers with a file of this binary, which changes with it alone.
func (x *request) answerEmbedded(media string, body []byte, tag string) error {
	h := x.Writer.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", tag)
	if etagMatches(x.Request.Header.Get("If-None-Match"), tag) {
		x.Status(http.StatusNotModified)
		return nil
	}
	return x.answerBytes(http.StatusOK, media, body)
}
