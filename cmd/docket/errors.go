package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Exit statuses (DESIGN.md section 8).
const (
	exitDone    = 0
	exitRefused = 1
	exitMisused = 2
	exitNotYet  = 3
)

// failure is an error that knows its exit status and what to do next.
type failure struct {
	status   int
	err      error
	nextStep string // printed after "hint: "
	refusal  string // file of the ledger's signed refusal; "" if there is none
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// hint says what to do next.
func (f *failure) hint(format string, args ...any) *failure {
	f.nextStep = fmt.Sprintf(format, args...)
	return f
}

// refusal is exit 1: something was checked and the answer is no.
func refusal(format string, args ...any) *failure {
	return &failure{status: exitRefused, err: fmt.Errorf(format, args...)}
}

// usageError is exit 2: the command line, or a file named on it, is not what the verb takes.
// What the machine does not let be read or written, and what was refused below already,
// is exit 1 all the same: no other command line would help.
func usageError(format string, args ...any) *failure {
	f := &failure{status: exitMisused, err: fmt.Errorf(format, args...)}
	var below *failure
	if ofMachine(f.err) || errors.As(f.err, &below) && below.status != exitMisused {
		f.status = exitRefused
	}
	return f
}

// ofMachine says of an error that it is of a disk, of a permission, or of what a process
// may use.
func ofMachine(err error) bool {
	for _, fault := range []error{
		fs.ErrPermission, syscall.EROFS, syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
	} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

// notYet is exit 3: nothing is wrong; the same command will do later.
func notYet(format string, args ...any) *failure {
	return &failure{status: exitNotYet, err: fmt.Errorf(format, args...)}
}

// anotherSource is whom else to ask. Some commands name the URL, and take no --ledger.
const anotherSource = "another server or mirror of the same ledger (its URL in place of this one, or --ledger URL where the command names none)"

// exitStatusOf sorts an error that no verb has sorted: what passes by itself is "not
// yet", so that a script can simply run the same command again.
func exitStatusOf(err error) (status int, next string) {
	var f *failure
	var p *client.Problem
	var u *wire.UnreachableError
	var s *wire.StatusError
	var q *proof.QuorumError
	var elsewhere *wire.RedirectError
	var page *wire.PageError
	var cert *tls.CertificateVerificationError
	var absent *view.AbsentError
	var source *client.SourceError
	var malformed *wire.MalformedError
	var behind *client.BehindError
	var damage *client.DamageError
	var pin *client.PinError
	var noLedger *client.NoLedgerError
	var noRecords *client.NoRecordsError
	var otherLedger *client.OtherLedgerError
	var absentTile *wire.MissingError
	switch {
	case errors.Is(err, context.Canceled):
		return exitNotYet, "interrupted; run the same command again to go on"
	case errors.As(err, &f) && (f.nextStep != "" || !diskFull(err)):
		return f.status, f.nextStep
	case diskFull(err):
		return exitRefused, makeRoom(err)
	case errors.As(err, &pin):
		return exitRefused, pinAgain(pin)
	case errors.Is(err, client.ErrNoChain):
		return exitRefused, "a mirror that has tiles alone shows the charters among the entries: docket sync reads them there, as docket trust does without --no-sync"
	case errors.Is(err, syscall.EIO):
		return exitRefused, "the disk fails, which says nothing about the ledger: look after it; on one that is well, docket sync --verify mends a copy"
	case errors.As(err, &q):
		return exitRefused, "what a quorum did not cosign is not accepted: ask the ledger's operator about the missing witnesses, and whether others have taken their place"
	case errors.Is(err, client.ErrUnpublished):
		return exitNotYet, "run the same command again in a moment"
	case errors.As(err, &page):
		return exitRefused, "a proxy or a login page stands in between, or that is not the URL of a ledger: check it, and run the same command again"
	case errors.As(err, &noRecords):
		return exitRefused, "send it to the ledger's own server: --ledger URL"
	case errors.As(err, &p) && p.Status == http.StatusNotFound && p.Type == "":
		return exitRefused, "that is not how a ledger answers: check its URL, and the path in it"
	case errors.As(err, &p) && p.RetryAt != "":
		return exitNotYet, "run the same command again at " + p.RetryAt + ", or later"
	case errors.As(err, &p) && p.Retryable():
		return exitNotYet, retryHint(p.Status, p.Type)
	case errors.As(err, &s) && s.Retryable():
		if kind, _ := s.Problem(); kind != "" || s.Code < http.StatusInternalServerError {
			return exitNotYet, retryHint(s.Code, kind)
		}
		return exitNotYet, "run the same command again, or with " + anotherSource
	case errors.As(err, &elsewhere):
		return exitRefused, "if that is where it is now, and its operator says so, give that URL in place of the old one, or with --ledger where the command names none: " + elsewhere.To
	case hasExpired(err):
		return exitRefused, "the server's certificate has expired, or this machine's clock is wrong: tell its operator, or compare the clock"
	case errors.As(err, &cert):
		return exitRefused, "this machine does not trust the server's certificate; $SSL_CERT_FILE names a PEM file of authorities that are to be trusted"
	case errors.Is(err, http.ErrSchemeMismatch):
		return exitRefused, "it speaks plain HTTP there: give its URL with http://, or the one at which it speaks TLS"
	case errors.As(err, &u):
		return exitNotYet, "the server is out of reach; check its URL, or run the same command again later"
	case errors.Is(err, client.ErrNotSyncable) && ofMachine(err):
		return exitRefused, "to sync is to write there: make a trust directory of your own (docket trust), or read this one as it is: list, show, duties, verify and sign --offline do"
	case errors.Is(err, client.ErrSyncing):
		return exitNotYet, "run the same command again when it has ended"
	case errors.Is(err, syscall.EAGAIN):
		return exitNotYet, "another docket process has it open; run the same command again when it has ended"
	case errors.As(err, &noLedger):
		return exitRefused, "that is not how a ledger answers: check its URL, and the path in it"
	case errors.As(err, &otherLedger):
		return exitRefused, "compare the URL, and the charter's record ID, with what the authority gives out; each ledger has a trust directory of its own"
	case errors.As(err, &absentTile):
		return exitRefused, "a mirror that is not whole, or is being brought up to date: run the same command again, or with " + anotherSource
	case errors.As(err, &source), errors.As(err, &malformed):
		return exitRefused, "run the same command again, or with " + anotherSource
	case errors.As(err, &behind):
		return exitNotYet, "run the same command again later, or with " + anotherSource + "; if it stays so, ask the operator and another reader"
	case errors.Is(err, ledger.ErrCorrupt):
		return exitRefused, "docket fsck says what is lost, and docket restore BACKUP --to NEW --with this directory brings it back; never an older store by itself, from before the last checkpoint that was published; docket has changed nothing there"
	case errors.As(err, &damage), register.IsDamaged(err):
		return exitRefused, "the copy on this disk is damaged, which says nothing about the ledger: docket sync --verify mends it"
	case errors.Is(err, client.ErrNoCopy):
		return exitRefused, "docket sync makes the copy"
	case errors.As(err, &absent):
		return exitRefused, "docket sync fetches what is newer"
	}
	return exitRefused, ""
}

// pinAgain is what to do about a trust directory that is damaged where nothing brings it
// back. What it has of the ledger's name may be what is damaged.
func pinAgain(e *client.PinError) string {
	url, charter := cmp.Or(e.URL, "URL"), "ID"
	if !e.Charter.IsZero() {
		charter = e.Charter.String()
	}
	return fmt.Sprintf("if the clock here is right, that file is damaged, which says nothing about the ledger: move %[1]s away, keep its folder evidence if it has one, and pin the ledger again, by the charter that the authority gives out: docket trust %s --charter %s --to %[1]s", e.Dir, url, charter)
}

// retryHint is what to do after an answer that may be another one later.
func retryHint(code int, problem string) string {
	switch strings.TrimPrefix(problem, record.ProblemURN) {
	case "stopped":
		return "that server takes no records until it is started again, or its operator has acted; run the same command again after that, or name the one that writes with --ledger too"
	case "damaged":
		return "the server's disk is damaged there; it may be had from " + anotherSource
	case "rebuilding", "disk-low", "clock", "no-quorum", "outcome-unknown":
		return "run the same command again later"
	}
	if code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests {
		return "the server is busy; run the same command again"
	}
	return "the server failed; run the same command again: what is sent twice is on the ledger once"
}

// faultsOf are the single fields at fault that the error's own words do not name:
// a refusal names an only one itself, a server's answer lists it beside its words.
func faultsOf(err error) []record.Fault {
	var r *record.Refusal
	var p *client.Problem
	switch {
	case errors.As(err, &r) && len(r.Faults) > 1:
		return r.Faults
	case errors.As(err, &p):
		return p.Faults
	}
	return nil
}

// printableError makes an error's words fit for a terminal, later lines indented: some of
// them are a server's, or a file's.
func printableError(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = printable(strings.TrimLeft(line, "\t"))
	}
	return strings.Join(lines, "\n  ")
}

// reportError prints an error the way all verbs do and returns the exit status.
func (a *app) reportError(err error) int {
	if err == nil {
		return exitDone
	}
	status, next := exitStatusOf(err)
	words := printableError(err)
	if errors.Is(err, context.Canceled) {
		words = strings.ReplaceAll(words, context.Canceled.Error(), "interrupted")
	}
	if a.asJSON {
		if err := printJSONTo(a.err, failureJSONOf(err, status, words, next)); err == nil {
			return status
		}
	}
	fmt.Fprintf(a.err, "docket: %s\n", words)
	for _, fault := range faultsOf(err) {
		fmt.Fprintf(a.err, "  %s\n", printable(fault.String()))
	}
	if file := keptRefusal(err); file != "" {
		fmt.Fprintf(a.err, "kept: %s proves that the ledger has refused it: docket verify %[1]s judges whether rightly, as long as the envelope is kept with it\n", printable(file))
	}
	if next != "" {
		fmt.Fprintf(a.err, "hint: %s\n", printable(next))
	}
	return status
}

// keptRefusal is the file in which a refusal was kept; "" if none was.
func keptRefusal(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.refusal
	}
	return ""
}

// failureJSON is a failure as --json prints it on stderr, in one line.
type failureJSON struct {
	Detail  string         `json:"detail"`
	Hint    string         `json:"hint,omitempty"`
	Exit    int            `json:"exit"`
	Problem string         `json:"problem,omitempty"` // of a refusal, here or by the server: its type (DESIGN.md section 7)
	Faults  []record.Fault `json:"faults,omitempty"`
	Refusal string         `json:"refusal,omitempty"` // file of the ledger's signed refusal
}

func failureJSONOf(err error, status int, words, next string) failureJSON {
	f := failureJSON{Detail: words, Hint: next, Exit: status, Refusal: keptRefusal(err)}
	var p *client.Problem
	var r *record.Refusal
	var short *form.Error
	switch {
	case errors.As(err, &p):
		f.Problem, f.Faults = p.Type, p.Faults
	case errors.As(err, &r):
		f.Problem, f.Faults = record.ProblemURN+r.Class.String(), r.Faults
	case errors.As(err, &short):
		f.Problem = record.ProblemURN + record.Invalid.String()
		for _, fault := range short.Faults {
			f.Faults = append(f.Faults, fault.Fault)
		}
	}
	return f
}

// hasExpired reports whether a server was not believed because its certificate has expired.
func hasExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}
