package record

import (
	"cmp"
	"errors"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// ShapeFaults are those of the decoder alone, without the rules across fields.
func ShapeFaults(o schema.Object) []Fault {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return []Fault{{Pointer: "/predicateType", Detail: "is missing"}}
	}
	sp, err := findSpecByType(name)
	if err != nil {
		return []Fault{{Pointer: "/predicateType", Detail: err.Error()}}
	}
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate()}
	return s.decode(o, sp)
}

// CheckRefusal asserts what an error is and where it lies: "invalid /predicate/status" is
// a refusal of class Invalid with one fault there, "error" one of no type of this
// package's. Its words are those of the golden file.
func CheckRefusal(t testing.TB, err error, want string, hide ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", want)
		return
	}
	got, words := "error", err.Error()
	var r *Refusal
	if errors.As(err, &r) {
		got, words = classNames[r.Class], r.Detail
		for _, f := range r.Faults {
			got += " " + cmp.Or(f.Pointer, "(whole)")
			words += "\n" + f.String()
		}
	}
	if got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	refusaltest.Words(t, words, hide...)
}

var classNames = map[RefusalClass]string{
	Malformed: "malformed", TooLarge: "too large", Invalid: "invalid", Forbidden: "forbidden",
	Conflict: "conflict", TooEarly: "too early", Unsupported: "unsupported",
}
