package customers_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// Who keeps what it was given is told of each customer who has changed, once, and of all where that is
// not known: at first, after an error, and once the vault was locked.
func TestEachChanged(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	n.add(t, opened("a-1", "Ada Reed"), opened("b-2", "Bo Lindqvist"), opened("c-3", "Cara Venn"))
	failing := errors.New("no more")
	changed := func(whole bool, err error) string {
		t.Helper()
		var all []string
		got := n.EachChanged(t.Context(), whole, func() { all = append(all, "all:") }, func(s event.State) error {
			all = append(all, s.Customer.Account)
			return err
		})
		if got != err {
			t.Errorf("%v, want %v", got, err)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for _, step := range []struct {
		name string
		does func()
		want string
	}{
		{"at first", func() {}, "a-1 all: b-2 c-3"},
		{"nothing", func() {}, ""},
		{"an access and a search", func() {
			n.add(t, access("b-2", 5, "192.0.2.7"), access("b-2", 6, "192.0.2.7"))
			if _, _, err := n.Find(t.Context(), reader, "ada", 10); err != nil {
				t.Fatal(err)
			}
		}, "b-2"},
		{"a new one", func() { n.add(t, opened("d-4", "Dov Reed"), renamed("a-1", 7, "Ada Venn")) }, "a-1 d-4"},
		{"after an error", func() {
			n.add(t, access("c-3", 8, "192.0.2.7"))
			changed(false, failing)
		}, "a-1 all: b-2 c-3 d-4"},
		{"after a lock", func() {
			n.Lock()
			if err := n.Unlock(w.id); err != nil {
				t.Fatal(err)
			}
		}, "a-1 all: b-2 c-3 d-4"},
	} {
		step.does()
		if got := changed(false, nil); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	if got := changed(true, nil); got != "a-1 all: b-2 c-3 d-4" {
		t.Errorf("asked of all: %q", got)
	}
}
