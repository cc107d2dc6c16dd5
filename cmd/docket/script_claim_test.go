package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/client/wire"
)

// claim serves a witness at that address that says it stands at that size of every log,
// and shows nothing.
func claim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: claim ADDRESS SIZE")
	}
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", wire.SizeMediaType)
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, args[1])
	}))
	ts.Check(s.Listener.Close())
	s.Listener = l
	s.Start()
	ts.Defer(s.Close)
}

// port finds a port of this machine that is free, for who has to name it beforehand.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, free, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], free)
}
