package stores

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func bucket(t *testing.T) URL {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	u, err := Parse("s3://" + objectstoretest.Bucket + "/cip?endpoint=http://s3.example&path-style&region=us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A store that does not answer is waited for, but not for ever.
func TestUnreachable(t *testing.T) {
	at := bucket(t)
	for name, dead := range map[string]transport{
		"refuses": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"hangs":   func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			o := Options{Transport: dead}
			if _, err := OpenShared(t.Context(), at, o); err == nil {
				t.Errorf("%s: it was opened", name)
			} else if name == "refuses" && !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%s: %v", name, err)
			}
			if err := Probe(t.Context(), at, o, nil); err == nil || errors.As(err, new(*BrokenError)) {
				t.Errorf("%s: probed: %v", name, err)
			}
			if took := time.Since(begun); took > 2*reachTimeout {
				t.Errorf("%s: it took %v", name, took)
			}
		})
	}
}

// Endpoints that hang are left for the one that answers, before a standby would take the writer for dead.
func TestEndpointsThatHang(t *testing.T) {
	at := bucket(t)
	for _, hang := range []int{1, 5} {
		synctest.Test(t, func(t *testing.T) {
			at.Endpoints = nil
			for i := range hang {
				at.Endpoints = append(at.Endpoints, fmt.Sprintf("http://hangs-%d.example", i))
			}
			at.Endpoints = append(at.Endpoints, "http://answers.example")
			link := objectstoretest.NewLink(objectstoretest.NewServer())
			link.FaultOf = func(r objectstoretest.Request) objectstoretest.Fault {
				if r.Host == "answers.example" {
					return objectstoretest.None
				}
				return objectstoretest.Hang
			}
			begun := time.Now()
			s, err := OpenShared(t.Context(), at, Options{Transport: link})
			if err != nil {
				t.Fatalf("%d of %d hang: %v", hang, len(at.Endpoints), err)
			}
			defer s.Close()
			if took := time.Since(begun); hang == 1 && took > standby.DefaultLease/3 {
				t.Errorf("it took %v", took)
			}
			if err := Probe(t.Context(), at, Options{Transport: link}, nil); err != nil {
				t.Errorf("%d of %d hang: %v", hang, len(at.Endpoints), err)
			}
		})
	}
}

// What breaks a promise is told apart from what is whole.
func TestProbe(t *testing.T) {
	at := bucket(t)
	for _, broken := range []bool{false, true} {
		server := objectstoretest.NewServer()
		server.Broken.IgnoresConditions = broken
		kept, not := 0, 0
		err := Probe(t.Context(), at, Options{Transport: objectstoretest.NewLink(server)}, func(_ string, err error) {
			if err == nil {
				kept++
			} else {
				not++
			}
		})
		if is := errors.As(err, new(*BrokenError)); is != broken || !is && err != nil || (not > 0) != broken || !broken && kept == 0 {
			t.Errorf("a store that is broken: %v: %v, %d promises kept, %d not", broken, err, kept, not)
		}
	}
}
