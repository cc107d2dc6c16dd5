package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// mirror serves the ledger at $MIRROR as it is, but for one digit of an admission time
// in every bundle of entries.
func mirror(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: mirror")
	}
	target, err := url.Parse(scriptLedgerOf(ts).url)
	ts.Check(err)
	through := httputil.NewSingleHostReverseProxy(target)
	through.ModifyResponse = func(r *http.Response) error {
		if !strings.HasPrefix(r.Request.URL.Path, "/tile/entries/") || r.StatusCode != http.StatusOK {
			return nil
		}
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				return err
			}
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		at := bytes.LastIndex(data, []byte(`Z","envelope"`)) - 1
		data[at] = '0' + (data[at]-'0'+1)%10
		r.Header.Del("Content-Encoding")
		r.Header.Set("Content-Length", strconv.Itoa(len(data)))
		r.ContentLength, r.Body = int64(len(data)), io.NopCloser(bytes.NewReader(data))
		return nil
	}
	s := httptest.NewServer(through)
	ts.Defer(s.Close)
	ts.Setenv("MIRROR", s.URL)
}
