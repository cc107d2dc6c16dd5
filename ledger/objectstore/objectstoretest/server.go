// Package objectstoretest is an S3-compatible object store in this process, for tests,
// measurements and simulations of what stands on package objectstore. Requests reach it through
// a [Link], which delays, loses and spoils them on request, and counts them. It opens no port, and works
// inside a synctest bubble.
//
// The store itself is gofakes3 in memory. It answers 412 where AWS answers 404 to an If-Match
// on a missing key, which Server mends, and never 409, which a Link can be asked for.
package objectstoretest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/seed-53cf897a/docket/ledger/objectstore"
)

// Bucket is the one that a Server has.
const Bucket = "ledger"

// Server is an object store with one empty bucket.
type Server struct {
	backend *s3mem.Backend
	handler http.Handler

	// Broken has the store break its promises: for the tests of who has to find out.
	Broken Broken
}

// Broken is what a store does not keep of its promises.
type Broken struct {
	IgnoresConditions bool // If-Match and If-None-Match are accepted, and mean nothing
	IgnoresIfMatch    bool // as that, of If-Match alone
	NotAtomic         bool // a condition is checked, and then, later, the object is written
}

// NewServer makes a store.
func NewServer() *Server {
	s := &Server{backend: s3mem.New()}
	s.handler = gofakes3.New(s.backend, gofakes3.WithLogger(gofakes3.DiscardLog()), gofakes3.WithTimeSkewLimit(0)).Server()
	if err := s.backend.CreateBucket(Bucket); err != nil {
		panic(err) // of a new backend
	}
	return s
}

// Config is one for a handle whose requests go over a link.
func Config(link http.RoundTripper) objectstore.Config {
	return objectstore.Config{
		Bucket: Bucket, Prefix: "some/log", Endpoints: []string{"http://s3.example"}, Region: "us-east-1", PathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), Transport: link,
	}
}

// Objects are all objects by their keys.
func (s *Server) Objects() map[string][]byte {
	all := map[string][]byte{}
	list, err := s.backend.ListBucket(Bucket, nil, gofakes3.ListBucketPage{})
	if err != nil {
		panic(err)
	}
	for _, o := range list.Contents {
		if data := s.Object(o.Key); data != nil { // it may be deleted meanwhile
			all[o.Key] = data
		}
	}
	return all
}

// Object is one of them; nil if there is none.
func (s *Server) Object(key string) []byte {
	object, err := s.backend.GetObject(Bucket, key, nil)
	if err != nil {
		return nil
	}
	data, err := io.ReadAll(object.Contents)
	if err != nil {
		panic(err)
	}
	return data
}

// Put writes an object past all links.
func (s *Server) Put(key string, data []byte) {
	if _, err := s.backend.PutObject(Bucket, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		panic(err)
	}
}

// Delete deletes an object past all links.
func (s *Server) Delete(key string) {
	if _, err := s.backend.DeleteObject(Bucket, key); err != nil {
		panic(err)
	}
}

// Clone is a store that holds the same now, and goes its own way.
func (s *Server) Clone() *Server {
	c := NewServer()
	objects := s.Objects()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		c.Put(key, objects[key])
	}
	return c
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { a.WriteHeader(http.StatusOK); return a.body.Write(b) }
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// serve applies a request.
func (s *Server) serve(r *http.Request, body []byte) *answer {
	match, absent := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case (s.Broken.IgnoresConditions || s.Broken.IgnoresIfMatch && match != "") && r.Method == http.MethodPut:
		r, match = withoutConditions(r), ""
	case s.Broken.NotAtomic && r.Method == http.MethodPut && match+absent != "":
		if there := s.do(headOf(r), nil); absent != "" && there.status == http.StatusOK || match != "" && there.header.Get("ETag") != match {
			return failure(http.StatusPreconditionFailed, "PreconditionFailed")
		}
		widen() // the time in which another request passes the same check
		match = ""
		r = withoutConditions(r)
	}
	if match != "" && r.Method == http.MethodPut && s.do(headOf(r), nil).status == http.StatusNotFound {
		return failure(http.StatusNotFound, "NoSuchKey")
	}
	return s.do(r, body)
}

func (s *Server) do(r *http.Request, body []byte) *answer {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	if r.Method == http.MethodPut {
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	a := &answer{header: http.Header{}}
	s.handler.ServeHTTP(a, r)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a
}

func withoutConditions(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("If-Match")
	r.Header.Del("If-None-Match")
	return r
}

func headOf(r *http.Request) *http.Request {
	r = withoutConditions(r)
	r.Method = http.MethodHead
	return r
}
