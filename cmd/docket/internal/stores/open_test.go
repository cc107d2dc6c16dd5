package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
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
			} else if !Passes(err) {
				t.Errorf("%s: it is not tried again: %v", name, err)
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

// What a store answers that it will answer again is told apart from what may pass.
func TestRefusalsDoNotPass(t *testing.T) {
	at := bucket(t)
	for body, status := range map[string]int{
		"<Error><Code>AccessDenied</Code></Error>":                 http.StatusForbidden,
		"<Error><Code>AuthorizationHeaderMalformed</Code></Error>": http.StatusBadRequest,
		"<Error><Code>NoSuchBucket</Code></Error>":                 http.StatusNotFound,
	} {
		refuses := transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})
		if _, err := OpenShared(t.Context(), at, Options{Transport: refuses}); err == nil || Passes(err) {
			t.Errorf("%d %s: tried again after %v", status, body, err)
		}
	}
	for code, passes := range map[string]bool{"28P01": false, "42501": false, "3D000": false, "57P03": true, "53300": true} {
		if err := fmt.Errorf("opening: %w", &pgconn.PgError{Code: code}); Passes(err) != passes {
			t.Errorf("PostgreSQL's %s: passes %v", code, !passes)
		}
	}
	if Passes(ledger.ErrCorrupt) || !Passes(fmt.Errorf("reading: %w", context.DeadlineExceeded)) || !Passes(ledger.ErrTakenOver) {
		t.Error("damage passes, or silence does not")
	}
}
