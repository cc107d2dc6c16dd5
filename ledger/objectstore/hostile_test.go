package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

// answering has a bucket answer as it likes.
type answering func(*http.Request) (status int, body io.Reader)

// RoundTrip implements [http.RoundTripper].
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := a(r)
	return &http.Response{StatusCode: status, Header: http.Header{"Etag": {`"a"`}}, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
}

// endless is an answer that does not end before limit bytes, and counts those that were read.
type endless struct {
	read, limit int
	fill        byte
}

func (e *endless) Read(b []byte) (int, error) {
	if e.read >= e.limit {
		return 0, io.EOF
	}
	e.read += len(b)
	for i := range b {
		b[i] = e.fill
	}
	return len(b), nil
}

// Of what a bucket answers no more is read than the object may have, and of an error's text
// little.
func TestAnswersAreBounded(t *testing.T) {
	for name, one := range map[string]struct {
		status, most int
		ask          func(context.Context, *objectstore.Store) error
	}{
		"a head":       {200, 64 << 20, func(ctx context.Context, s *objectstore.Store) error { _, err := s.Head(ctx); return err }},
		"a blob":       {200, ledger.MaxBlobBytes, func(ctx context.Context, s *objectstore.Store) error { _, err := s.Blob(ctx, "lease"); return err }},
		"an error":     {400, 8 << 20, func(ctx context.Context, s *objectstore.Store) error { _, err := s.Blob(ctx, "lease"); return err }},
		"of a listing": {400, 8 << 20, func(ctx context.Context, s *objectstore.Store) error { _, err := s.ListBlobs(ctx, ""); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a slow machine takes no request's time away, so none is made again
				body := &endless{limit: 256 << 20}
				s := hostile(t, func(*http.Request) (int, io.Reader) { return one.status, body })
				if err := one.ask(t.Context(), s); err == nil {
					t.Error("it was read without an end")
				}
				if body.read > one.most+64<<10 {
					t.Errorf("%d bytes were read, and it may have %d", body.read, one.most)
				}
			})
		})
	}
}

// What is large has the time that it takes, as long as a MiB comes a second; an endpoint that drips is left for another
// one once a request's time and that of what has come are over.
func TestSlowAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		perSecond   int // bytes that the first endpoint gives
		least, most time.Duration
	}{
		"slow": {3 << 19, 5 * time.Second, 6 * time.Second},
		"drip": {1 << 10, 2 * time.Second, 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			link := objectstoretest.NewLink(objectstoretest.NewServer())
			config := objectstoretest.Config(roundTripper(func(r *http.Request) (*http.Response, error) {
				res, err := link.RoundTrip(r)
				if err == nil && r.URL.Host == "s3.example" {
					res.Body = &drip{res.Body, r.Context(), c.perSecond}
				}
				return res, err
			}))
			config.RequestTimeout, config.Endpoints = 2*time.Second, append(config.Endpoints, "http://other.example")
			s, err := objectstore.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			content := bytes.Repeat([]byte("8 bytes."), ledger.MaxBlobBytes/8)
			if err := s.PutBlob(t.Context(), "large", content); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			got, err := s.Blob(t.Context(), "large")
			if took := time.Since(begun); err != nil || !bytes.Equal(got, content) || took < c.least || took > c.most {
				t.Errorf("%s: %d bytes after %s, %v", name, len(got), took, err)
			}
		})
	}
}

// drip is a body that comes so many bytes a second.
type drip struct {
	io.ReadCloser
	ctx       context.Context // of the request
	perSecond int
}

func (d *drip) Read(b []byte) (int, error) {
	n, err := d.ReadCloser.Read(b[:min(len(b), d.perSecond)])
	select {
	case <-time.After(time.Duration(n) * time.Second / time.Duration(d.perSecond)):
		return n, err
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// Of a listing without an end no more is read either.
func TestListingIsBounded(t *testing.T) {
	body, asked := &endless{limit: 256 << 20, fill: 'k'}, 0
	s := hostile(t, func(*http.Request) (int, io.Reader) {
		if asked++; asked > 1 {
			return 403, strings.NewReader("") // or it would be asked for ever
		}
		return 200, io.MultiReader(strings.NewReader("<ListBucketResult><Contents><Key>some/log/private/blobs/"), body)
	})
	if names, err := s.ListBlobs(t.Context(), ""); err == nil {
		t.Errorf("a listing without an end: %d names", len(names))
	}
	if body.read > 8<<20 || asked != 2 {
		t.Errorf("%d bytes were read, and it was asked %d times", body.read, asked)
	}
}

// A listing of no key that says that there are more is no proof that nothing is there: no log begins on it.
func TestListingOfNothing(t *testing.T) {
	s := hostile(t, func(r *http.Request) (int, io.Reader) {
		if r.URL.Query().Has("list-type") {
			return 200, strings.NewReader("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")
		}
		return 404, strings.NewReader("<Error><Code>NoSuchKey</Code></Error>")
	})
	if h, err := s.Head(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("head %v, %v; want ErrCorrupt", h, err)
	}
}

// A listing that says the same keys again and again, as of who takes start-after for nothing, ends.
func TestListingThatNeverEnds(t *testing.T) {
	asked := 0
	s := hostile(t, func(*http.Request) (int, io.Reader) {
		if asked++; asked > 10 {
			return 403, strings.NewReader("")
		}
		var b bytes.Buffer
		b.WriteString(`<ListBucketResult><IsTruncated>true</IsTruncated>`)
		for i := range 1000 {
			fmt.Fprintf(&b, "<Contents><Key>some/log/private/blobs/%d</Key></Contents>", 1000+i)
		}
		b.WriteString(`</ListBucketResult>`)
		return 200, &b
	})
	if _, err := s.ListBlobs(t.Context(), ""); err == nil || asked != 2 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

// A store may list fewer keys at once than it was asked for.
func TestShortListings(t *testing.T) {
	w := newWorld()
	w.config = manual
	s, _ := taken(t, w)
	for i := range 5 {
		if err := s.PutBlob(t.Context(), fmt.Sprintf("b/%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	link := objectstoretest.NewLink(w.server)
	c := objectstoretest.Config(roundTripper(func(r *http.Request) (*http.Response, error) {
		if q := r.URL.Query(); q.Has("list-type") {
			q.Set("max-keys", "2")
			r.URL.RawQuery = q.Encode()
		}
		return link.RoundTrip(r)
	}))
	short, err := objectstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if names, err := short.ListBlobs(t.Context(), "b/"); err != nil || len(names) != 5 {
		t.Errorf("%q, %v", names, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hostile is a handle on a bucket that answers so.
func hostile(t *testing.T, a answering) *objectstore.Store {
	s, err := objectstore.Open(t.Context(), objectstoretest.Config(a))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
