package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

// serveBucket serves an object store with one bucket, empty or with the objects of a directory, on
// loopback, and puts the URL of a store in it into a variable, and credentials into the environment. A
// broken one accepts conditions that it does not keep.
func serveBucket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: bucket NAME [broken | DIR]")
	}
	store := objectstoretest.NewServer()
	if len(args) == 2 && args[1] == "broken" {
		store.Broken.IgnoresConditions = true
	} else if len(args) == 2 {
		objects := os.DirFS(ts.MkAbs(args[1]))
		ts.Check(fs.WalkDir(objects, ".", func(key string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(objects, key)
			store.Put(key, data)
			return err
		}))
	}
	link := objectstoretest.NewLink(store)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := link.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], fmt.Sprintf("s3://%s/cip?endpoint=%s&region=us-east-1&path-style", objectstoretest.Bucket, url.QueryEscape(s.URL)))
	ts.Setenv("AWS_ACCESS_KEY_ID", "key")
	ts.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

// storeCredentials are what the script's environment has of them.
func storeCredentials(ts *testscript.TestScript) (env []string) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}
