package draft

import (
	"cmp"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// checkRefusal asserts what an error is and where it lies: "short form 7:/predicate/cause"
// is a fault on line 7, "invalid /predicate/cause" a refusal with one fault, "unsupported"
// one of a whole record. Its words are those of the golden file.
func checkRefusal(t *testing.T, err error, want string) {
	t.Helper()
	var (
		got, words string
		short      *form.Error
		refusal    *record.Refusal
	)
	switch {
	case errors.As(err, &short):
		got, words = "short form", err.Error()
		for _, f := range short.Faults {
			got += fmt.Sprintf(" %d:%s", f.Line, f.Pointer)
		}
	case errors.As(err, &refusal):
		got, words = classNames[refusal.Class], refusal.Detail
		for _, f := range refusal.Faults {
			got += " " + cmp.Or(f.Pointer, "(whole)")
			words += "\n" + f.String()
		}
	default:
		t.Errorf("got %v, want %s", err, want)
		return
	}
	if got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	refusaltest.Words(t, words)
}

var classNames = map[record.RefusalClass]string{
	record.Malformed: "malformed", record.TooLarge: "too large", record.Invalid: "invalid", record.Unsupported: "unsupported",
}
