package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// TestRemoteListsAllPages: a list of the server's is read page by page until it ends,
// and what an answer shows only a part of is said.
func TestRemoteListsAllPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch after := r.URL.Query().Get("after"); {
		case strings.HasPrefix(r.URL.Path, "/v1/register/parties/"):
			fmt.Fprint(w, `{"party":"acme","cut":["keys"],"more":{"keys":"/v1/register/parties/acme/keys"}}`)
		case after == "":
			fmt.Fprint(w, `{"records":[{"index":0}],"next":"one"}`)
		case after == "one":
			fmt.Fprint(w, `{"records":[],"next":"two"}`)
		case after == "two" && r.URL.Query().Get("kind") == "response":
			fmt.Fprint(w, `{"records":[{"index":7}]}`)
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	defer server.Close()
	ask := func(args ...string) (out, said string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &stdout, err: &stderr, getenv: func(string) string { return "" }}
		if status := a.run(t.Context(), append(args, "--remote", "--ledger", server.URL)); status != 0 {
			t.Fatalf("%q: exit %d, %s", args, status, stderr.String())
		}
		return stdout.String(), stderr.String()
	}
	out, said := ask("list", "records", "--kind", "response")
	if !strings.Contains(out, `"index": 0`) || !strings.Contains(out, `"index": 7`) || strings.Count(said, "\n") != 1 {
		t.Errorf("the list ends before its last page: %s%s", out, said)
	}
	refusaltest.Words(t, said, server.URL, "URL")
	_, said = ask("show", "party/acme")
	if !strings.Contains(said, " /v1/register/parties/acme/keys\n") {
		t.Errorf("what the answer cuts is not said: %s", said)
	}
	refusaltest.Words(t, said, server.URL, "URL")
}
