package listimport_test

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// testRegister is a register of designations, as little of one as an import needs. It
// applies planned items by the rules of RECORDS.md and fails the test on misuse.
type testRegister map[string]listimport.Current

func (b testRegister) all() iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		for _, c := range b {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (b testRegister) apply(t testing.TB, items ...listimport.Item) {
	t.Helper()
	for _, i := range items {
		c, known := b[i.Thread]
		if i.Follows != c.Newest {
			t.Fatalf("%s: follows %s, the newest is %s", i.Thread, i.Follows, c.Newest)
		}
		switch p := i.Predicate.(type) {
		case *record.Designation:
			if known && c.Ended != "delisted" {
				t.Fatalf("%s: designated again while %q", i.Thread, c.Ended)
			}
			c = listimport.Current{Thread: i.Thread, Designation: p}
		case *record.Amendment:
			if !known || c.Ended != "" {
				t.Fatalf("%s: amended, but there is nothing in force", i.Thread)
			}
			d, _, err := record.Amend(c.Designation, p)
			if err != nil {
				t.Fatalf("%s: %v", i.Thread, err)
			}
			c.Designation = d
		case *record.Revocation:
			if !known || c.Ended != "" {
				t.Fatalf("%s: revoked, but there is nothing in force", i.Thread)
			}
			c.Ended = p.Cause
		}
		c.Newest = sha256.Sum256([]byte(fmt.Sprint(i.Thread, c.Newest, i.Subject)))
		b[i.Thread] = c
	}
}

// inForceCount is the number of threads in force.
func (b testRegister) inForceCount() int {
	n := 0
	for _, c := range b {
		if c.Ended == "" {
			n++
		}
	}
	return n
}

// wantEqual says where the book's living threads differ from the list, persons
// being left out of both where they are outside.
func (b testRegister) wantEqual(t testing.TB, l *listimport.List, individuals bool) {
	t.Helper()
	left := maps.Clone(b)
	maps.DeleteFunc(left, func(_ string, c listimport.Current) bool { return c.Ended != "" })
	for _, e := range l.Entries {
		if e.Target.Schema == "Person" && !individuals {
			continue
		}
		thread := listimport.Thread(l.Name, e.ID)
		c, there := left[thread]
		if !there {
			t.Errorf("%s is on the list and not in force", thread)
			continue
		}
		delete(left, thread)
		got, want := describe(c.Designation.Target, c.Designation.Program), describe(e.Target, e.Program)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", thread, got, want)
		}
	}
	for thread := range left {
		t.Errorf("%s is in force and not on the list", thread)
	}
}

// describe is all that an import may say about a target, lists as sets.
func describe(t record.Target, program []string) []string {
	all := []string{"schema " + t.Schema, "name " + t.Name, "country " + t.Country}
	for _, a := range t.Alias {
		all = append(all, fmt.Sprintf("alias %+v", a))
	}
	for _, a := range t.Address {
		all = append(all, fmt.Sprintf("address %+v", a))
	}
	for _, p := range program {
		all = append(all, "program "+p)
	}
	slices.Sort(all)
	return all
}

// plan is Diff, which must succeed.
func plan(t testing.TB, l *listimport.List, b testRegister, o listimport.Options) *listimport.Plan {
	t.Helper()
	p, err := listimport.Diff(l, b.all(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// today is the options' date in all tests.
var today = record.Date{Year: 2026, Month: 11, Day: 23}
