package listimport

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// amendment turns a designation into what the list says, nil if it says so
// already. Only what a list publishes is compared: what the authority added to
// the thread by hand (identifiers, domains, networks) stays.
func amendment(old *record.Designation, e Entry) (*record.Amendment, error) {
	next := *old
	next.Target.Schema = e.Target.Schema
	next.Target.Name = e.Target.Name
	next.Target.Country = e.Target.Country
	next.Target.Alias = mergeItems(old.Target.Alias, e.Target.Alias)
	next.Target.Address = mergeItems(old.Target.Address, e.Target.Address)
	next.Program = mergeItems(old.Program, e.Program)
	return record.Diff(old, &next)
}

// mergeItems gives the new items, those that stay first and in the old order. The
// order of a list's rows means nothing, so a list that only reorders them gives
// no record, and one that adds a name gives a record of that name alone.
func mergeItems[T comparable](old, new []T) []T {
	var items []T
	for _, x := range old {
		if slices.Contains(new, x) {
			items = append(items, x)
		}
	}
	for _, x := range new {
		if !slices.Contains(old, x) {
			items = append(items, x)
		}
	}
	return items
}
