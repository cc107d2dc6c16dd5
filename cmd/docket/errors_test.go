package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// TestReport tries what people see of an error, and what scripts see of it: some
// of the words are a server's.
func TestReport(t *testing.T) {
	only := &client.Problem{Status: 422, Detail: "not admissible", Faults: []record.Fault{{Pointer: "/predicate/lei", Detail: "check digits"}}}
	for _, c := range []struct {
		name   string
		err    error
		status int
		want   string // where all words of it are of this test
	}{
		{"done", nil, exitDone, ""},
		{"an only fault of a server", refusal("refused: %w", only), exitRefused, "docket: refused: not admissible\n  /predicate/lei: check digits\n"},
		{"several lines", refusal("a\n\tb"), exitRefused, "docket: a\n  b\n"},
		{"escapes", refusal("\x1b[2Jall is well").hint("\x1b[1mtrust me"), exitRefused, "docket: \\u001b[2Jall is well\nhint: \\u001b[1mtrust me\n"},
		{"busy", &client.Problem{Status: 503, Detail: "full"}, exitNotYet, ""},
		{"dated ahead", &client.Problem{Status: 503, Detail: "too early", RetryAt: "2027-01-08T05:00:00.000Z"}, exitNotYet, ""},
		{"stopped", dryRunRefusal(&client.Problem{Status: 503, Type: "urn:docket:problem:stopped", Detail: "the ledger signs nothing more"}), exitNotYet, ""},
		{"damaged", &wire.StatusError{Code: 500, Body: []byte(`{"type":"urn:docket:problem:damaged","detail":"it is damaged there"}`)}, exitNotYet, ""},
		{"full", dryRunRefusal(&client.Problem{Status: 503, Type: "urn:docket:problem:disk-low", Detail: "the disk is full"}), exitNotYet, ""},
		{"failed", dryRunRefusal(&client.Problem{Status: 500, Title: "The server failed"}), exitNotYet, ""},
		{"failed over a tile", &wire.StatusError{Code: 502}, exitNotYet, ""},
		{"a certificate that nobody vouches for", fmt.Errorf("asking: %w", &wire.UnreachableError{Err: &tls.CertificateVerificationError{Err: fmt.Errorf("unknown authority")}}), exitRefused, ""},
		{"sent elsewhere", fmt.Errorf("asking: %w", &wire.RedirectError{From: "a.example", To: "http://b.example"}), exitRefused, ""},
		{"a mirror's page", fmt.Errorf("reading: %w", &wire.MalformedError{URL: "http://a.example", Path: "checkpoint", Err: errors.New("a page")}), exitRefused, ""},
		{"TLS asked of plain HTTP", fmt.Errorf("asking: %w", &wire.UnreachableError{Err: http.ErrSchemeMismatch}), exitRefused, ""},
		{"a web page", fmt.Errorf("asking: %w", &wire.PageError{From: "a.example"}), exitRefused, ""},
		{"nothing of ours", &client.Problem{Status: 404}, exitRefused, ""},
		{"interrupted", fmt.Errorf("3 of 8 records were sent: %w", context.Canceled), exitNotYet, ""},
		{"another's trust directory", fmt.Errorf("%w: locking ro: %w", client.ErrNotSyncable, &fs.PathError{Op: "open", Path: "ro/sync.lock", Err: syscall.EACCES}), exitRefused, ""},
		{"misused", usageError("which?"), exitMisused, "docket: which?\n"},
		{"a permission", usageError("%w", &fs.PathError{Op: "open", Path: "own.key", Err: syscall.EACCES}), exitRefused, "docket: open own.key: permission denied\n"},
		{"damage below misuse", usageError("--charter c: %w", refusal("c is damaged")), exitRefused, "docket: --charter c: c is damaged\n"},
		{"a full disk", fmt.Errorf("writing k: %w", &fs.PathError{Op: "write", Path: "nowhere/k", Err: syscall.ENOSPC}), exitRefused, ""},
		{"no room for a copy", &client.SpaceError{Dir: "trust", Free: 5 << 10, Need: 3 << 20}, exitRefused, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			a := &app{err: &out}
			if got := a.reportError(c.err); got != c.status {
				t.Errorf("exit status %d, want %d", got, c.status)
			}
			switch {
			case c.err == nil && out.Len() > 0, c.err != nil && !strings.HasPrefix(out.String(), "docket: "):
				t.Errorf("printed %q", out.String())
			case c.want != "" && out.String() != c.want:
				t.Errorf("printed %q, want %q", out.String(), c.want)
			case c.want == "" && c.err != nil:
				refusaltest.Words(t, out.String())
			}
		})
	}
}
