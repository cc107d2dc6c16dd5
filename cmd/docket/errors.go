package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Exit statuses (DESIGN.md section 8).
const (
	statusDone    = 0
	statusRefused = 1
	statusMisused = 2
	statusNotYet  = 3
)

// failure is an error that knows its exit status and what to do next.
type failure struct {
	status int
	err    error
	next   string // printed after "hint: "
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// hint says what to do next.
func (f *failure) hint(format string, args ...any) *failure {
	f.next = fmt.Sprintf(format, args...)
	return f
}

// refuse is exit 1: something was checked and the answer is no.
func refuse(format string, args ...any) *failure {
	return &failure{status: statusRefused, err: fmt.Errorf(format, args...)}
}

// misuse is exit 2: the command line, or a file named on it, is not what the verb takes.
func misuse(format string, args ...any) *failure {
	return &failure{status: statusMisused, err: fmt.Errorf(format, args...)}
}

// notYet is exit 3: nothing is wrong; the same command will do later.
func notYet(format string, args ...any) *failure {
	return &failure{status: statusNotYet, err: fmt.Errorf(format, args...)}
}

// report prints an error the way all verbs do and returns the exit status.
func (a *app) report(err error) int {
	if err == nil {
		return statusDone
	}
	status, next := statusRefused, ""
	var f *failure
	if errors.As(err, &f) {
		status, next = f.status, f.next
	}
	if errors.Is(err, context.Canceled) {
		status = statusNotYet
		next = "interrupted; run the same command again to go on"
	}
	fmt.Fprintf(a.err, "docket: %v\n", err)
	var r *record.Refusal
	if errors.As(err, &r) && len(r.Faults) > 1 {
		for _, fault := range r.Faults {
			fmt.Fprintf(a.err, "  %s: %s\n", fault.Pointer, fault.Detail)
		}
	}
	if next != "" {
		fmt.Fprintf(a.err, "hint: %s\n", next)
	}
	return status
}
