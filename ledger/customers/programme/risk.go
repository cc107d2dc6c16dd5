package programme

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// holds reports whether all conditions of a risk hold for a customer, and since when: since
// the latest of them began to.
func (x *judged) holds(w When) (since record.Date, ok bool) {
	since = x.date(x.OpenedAt)
	if w.Type != "" && w.Type != x.Customer.Type {
		return since, false
	}
	if len(w.Countries) > 0 {
		elements := x.elementsIn(w.Countries)
		if elements == nil {
			return since, false
		}
		since = later(since, x.firstKnown(elements))
	}
	if w.OwnersHidden {
		if x.Customer.Type != "entity" || len(x.Customer.Owners) > 0 {
			return since, false
		}
		since = later(since, x.firstKnown([]string{"owners"}))
	}
	if w.NonDocumentaryOnly {
		first, only := x.nonDocumentaryOnly()
		if !only {
			return since, false
		}
		since = later(since, first)
	}
	return since, true
}

// elementsIn are the elements by which a customer has to do with one of the countries.
func (x *judged) elementsIn(countries []string) (elements []string) {
	in := func(element, country string, address *event.Address) {
		if country != "" && slices.Contains(countries, country) || address != nil && slices.Contains(countries, address.Country) {
			if !slices.Contains(elements, element) {
				elements = append(elements, element)
			}
		}
	}
	c := &x.Customer
	in("country", c.Country, nil)
	in("address", "", c.Address)
	in("businessPlace", "", c.BusinessPlace)
	for _, o := range c.Owners {
		in("owners", o.Country, o.Address)
	}
	return elements
}

// firstKnown is the first day on which one of the elements stood as it does.
func (x *judged) firstKnown(elements []string) (first record.Date) {
	for _, name := range elements {
		on := x.date(x.OpenedAt)
		if changes := x.Changes[name]; len(changes) > 0 {
			on = x.date(changes[len(changes)-1])
		}
		if first.IsZero() || on.Before(first) {
			first = on
		}
	}
	return first
}

// nonDocumentaryOnly reports whether a customer is verified and no document ever did it, and
// since when.
func (x *judged) nonDocumentaryOnly() (since record.Date, only bool) {
	for _, v := range x.Verifications {
		switch {
		case v.Outcome != "verified" || !slices.Contains(x.Programme.Verification.Methods, v.Method):
		case v.Method == "documentary":
			return record.Date{}, false
		case !only:
			since, only = x.date(v.At), true
		}
	}
	return since, only
}
