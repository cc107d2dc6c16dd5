package client

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// ofThisRun is what is other in every run: IDs of keys, hashes and instants.
var ofThisRun = regexp.MustCompile(`[0-9a-f]{64}|[A-Za-z0-9+/]{43}=|\b[0-9a-f]{8}\b|\b\d{4}-\d\d-\d\dT[\d:.]+Z`)

// wantRefused asserts what an error is and where it lies: "invalid /predicate/ledger" is a
// refusal with one fault, "forbidden" one of a whole record, "fork" and "behind" are what a
// log showed, "problem 403" is a server's answer, and "error" is of none of these types. Its
// words are those of the golden file.
func wantRefused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", want)
		return
	}
	var (
		got     []string
		refusal *record.Refusal
		fork    *InconsistencyError
		behind  *BehindError
		problem *Problem
	)
	if errors.As(err, &fork) {
		got = append(got, "fork")
	}
	if errors.As(err, &behind) {
		got = append(got, "behind")
	}
	if errors.As(err, &problem) {
		got = append(got, fmt.Sprint("problem ", problem.Status))
	}
	if errors.As(err, &refusal) {
		got = append(got, classNames[refusal.Class])
		for _, f := range refusal.Faults {
			got = append(got, cmp.Or(f.Pointer, "(whole)"))
		}
	}
	if got := cmp.Or(strings.Join(got, " "), "error"); got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
		return
	}
	wantWords(t, err.Error())
}

func wantWords(t *testing.T, words string) {
	t.Helper()
	refusaltest.Words(t, ofThisRun.ReplaceAllString(words, "X"))
}

var classNames = map[record.RefusalClass]string{
	record.Malformed: "malformed", record.TooLarge: "too large", record.Invalid: "invalid", record.Forbidden: "forbidden",
	record.Conflict: "conflict", record.TooEarly: "too early", record.Unsupported: "unsupported",
}
