package objectstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

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
		ask          func(*objectstore.Store) error
	}{
		"a head":       {200, 64 << 20, func(s *objectstore.Store) error { _, err := s.Head(t.Context()); return err }},
		"a blob":       {200, ledger.MaxBlobBytes, func(s *objectstore.Store) error { _, err := s.Blob(t.Context(), "lease"); return err }},
		"an error":     {400, 8 << 20, func(s *objectstore.Store) error { _, err := s.Blob(t.Context(), "lease"); return err }},
		"of a listing": {400, 8 << 20, func(s *objectstore.Store) error { _, err := s.ListBlobs(t.Context(), ""); return err }},
	} {
		body := &endless{limit: 256 << 20}
		s := hostile(t, func(*http.Request) (int, io.Reader) { return one.status, body })
		if err := one.ask(s); err == nil {
			t.Errorf("%s without an end was read", name)
		}
		if body.read > one.most+64<<10 {
			t.Errorf("%s: %d bytes were read, and it may have %d", name, body.read, one.most)
		}
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
