package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"testing"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// TestReport tries what people see of an error, and what scripts see of it: some
// of the words are a server's.
func TestReport(t *testing.T) {
	only := &client.Problem{Status: 422, Detail: "not admissible", Faults: []record.Fault{{Pointer: "/predicate/lei", Detail: "check digits"}}}
	for _, c := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"done", nil, exitDone, ""},
		{"an only fault of a server", refusal("refused: %w", only), exitRefused, "docket: refused: not admissible\n  /predicate/lei: check digits\n"},
		{"several lines", refusal("a\nb"), exitRefused, "docket: a\n  b\n"},
		{"escapes", refusal("\x1b[2Jall is well").hint("\x1b[1mtrust me"), exitRefused, "docket: \\u001b[2Jall is well\nhint: \\u001b[1mtrust me\n"},
		{"busy", &client.Problem{Status: 503, Detail: "full"}, exitNotYet, "docket: full\nhint: the server is busy; run the same command again\n"},
		{"dated ahead", &client.Problem{Status: 503, Detail: "too early", RetryAt: "2027-01-08T05:00:00.000Z"}, exitNotYet, "docket: too early\nhint: run the same command again at 2027-01-08T05:00:00.000Z, or later\n"},
		{"stopped", dryRunRefusal(&client.Problem{Status: 503, Type: "urn:docket:problem:stopped", Detail: "the ledger signs nothing more"}), exitNotYet, "docket: the ledger signs nothing more\nhint: the ledger takes no records until it is started again, or its operator has acted; run the same command again after that\n"},
		{"damaged", &wire.StatusError{Code: 500, Body: []byte(`{"type":"urn:docket:problem:damaged","detail":"it is damaged there"}`)}, exitNotYet, "docket: the server answered 500 Internal Server Error: it is damaged there\nhint: the server's disk is damaged there; it may be had from another server or mirror of the same ledger (its URL in place of this one, or --ledger URL where the command names none)\n"},
		{"full", dryRunRefusal(&client.Problem{Status: 503, Type: "urn:docket:problem:disk-low", Detail: "the disk is full"}), exitNotYet, "docket: the disk is full\nhint: run the same command again later\n"},
		{"failed", dryRunRefusal(&client.Problem{Status: 500, Title: "The server failed"}), exitNotYet, "docket: The server failed\nhint: the server failed; run the same command again: what is sent twice is on the ledger once\n"},
		{"failed over a tile", &wire.StatusError{Code: 502}, exitNotYet, ""},
		{"a certificate that nobody vouches for", fmt.Errorf("asking: %w", &wire.UnreachableError{Err: &tls.CertificateVerificationError{Err: fmt.Errorf("unknown authority")}}), exitRefused, ""},
		{"sent elsewhere", fmt.Errorf("asking: %w", &wire.RedirectError{From: "a.example", To: "http://b.example"}), exitRefused,
			"docket: asking: a.example sends on to http://b.example, which was not asked\nhint: if that is where it is now, and its operator says so, give that URL in place of the old one, or with --ledger where the command names none: http://b.example\n"},
		{"a mirror's page", fmt.Errorf("reading: %w", &wire.MalformedError{URL: "http://a.example", Path: "checkpoint", Err: errors.New("a page")}), exitRefused,
			"docket: reading: what http://a.example hands out as /checkpoint is none: a page: a fault of this source, not of the log\nhint: run the same command again, or with another server or mirror of the same ledger (its URL in place of this one, or --ledger URL where the command names none)\n"},
		{"TLS asked of plain HTTP", fmt.Errorf("asking: %w", &wire.UnreachableError{Err: http.ErrSchemeMismatch}), exitRefused,
			"docket: asking: http: server gave HTTP response to HTTPS client\nhint: it speaks plain HTTP there: give its URL with http://, or the one at which it speaks TLS\n"},
		{"a web page", fmt.Errorf("asking: %w", &wire.PageError{From: "a.example"}), exitRefused,
			"docket: asking: a.example answered with a web page\nhint: a proxy or a login page stands in between, or that is not the URL of a ledger: check it, and run the same command again\n"},
		{"nothing of ours", &client.Problem{Status: 404}, exitRefused, "docket: the server answered 404 Not Found\nhint: that is not how a ledger answers: check its URL, and the path in it\n"},
		{"interrupted", fmt.Errorf("3 of 8 records were sent: %w", context.Canceled), exitNotYet, "docket: 3 of 8 records were sent: interrupted\nhint: interrupted; run the same command again to go on\n"},
		{"another's trust directory", fmt.Errorf("%w: locking ro: %w", client.ErrNotSyncable, &fs.PathError{Op: "open", Path: "ro/sync.lock", Err: syscall.EACCES}), exitRefused,
			"docket: cannot sync: locking ro: open ro/sync.lock: permission denied\nhint: to sync is to write there: make a trust directory of your own (docket trust), or read this one as it is: list, show, duties, verify and sign --offline do\n"},
		{"misused", usageError("which?"), exitMisused, "docket: which?\n"},
		{"a permission", usageError("%w", &fs.PathError{Op: "open", Path: "own.key", Err: syscall.EACCES}), exitRefused, "docket: open own.key: permission denied\n"},
		{"damage below misuse", usageError("--charter c: %w", refusal("c is damaged")), exitRefused, "docket: --charter c: c is damaged\n"},
		{"a full disk", fmt.Errorf("writing k: %w", &fs.PathError{Op: "write", Path: "nowhere/k", Err: syscall.ENOSPC}), exitRefused,
			"docket: writing k: write nowhere/k: no space left on device\nhint: the disk of nowhere is full, which says nothing about the ledger, and nothing is lost: make room and run the same command again\n"},
		{"no room for a copy", &client.SpaceError{Dir: "trust", Free: 5 << 10, Need: 3 << 20}, exitRefused,
			"docket: no space left on the disk of trust: 5 KiB are free, and about 3072 are needed\nhint: the disk is full, which says nothing about the ledger, and nothing is lost: make room and run the same command again\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			a := &app{err: &out}
			if got := a.reportError(c.err); got != c.status {
				t.Errorf("exit status %d, want %d", got, c.status)
			}
			if c.want != "" && out.String() != c.want {
				t.Errorf("printed %q, want %q", out.String(), c.want)
			}
		})
	}
}
