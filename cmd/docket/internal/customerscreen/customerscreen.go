// Package customerscreen screens the customers of a private log: each customer, each of his
// owners, and the countries of their addresses, as package screening screens the rows of a
// list. A hit is an event that waits for a decision, and a decision is an event.
//
// The ID of a hit is derived of what was compared: the designation's newest record and the
// elements of whom it hit. So screening again adds nothing, and a hit that was decided comes
// back only when the designation has a newer record, or one of those elements is another.
package customerscreen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Subject is whom or what of a customer is compared, and by which pointer it stands in what
// is known of him.
type Subject struct {
	Pointer string // of an object: "" the customer, "/owners/0", "/address"
	screening.Customer
}

// Subjects are those of a customer: himself, by his former names too, and his owners by name, country and numbers;
// addresses by their countries, where these are others than their owners'.
func Subjects(s *event.State) []Subject {
	c := &s.Customer
	own := screening.Customer{Name: c.Name, Alias: s.FormerNames, Country: c.Country, LEI: c.LEI, RegistrationNumber: c.RegistrationNumber}
	all := []Subject{{"", own}}
	seen := map[string]bool{"": true, c.Country: true}
	address := func(pointer string, a *event.Address) {
		if a != nil && !seen[a.Country] {
			seen[a.Country] = true
			all = append(all, Subject{pointer, screening.Customer{Country: a.Country}})
		}
	}
	address("/address", c.Address)
	address("/businessPlace", c.BusinessPlace)
	for i, o := range c.Owners {
		pointer := fmt.Sprintf("/owners/%d", i)
		all = append(all, Subject{pointer, screening.Customer{Name: o.Name, Country: o.Country}})
		if o.Address != nil && o.Address.Country != o.Country {
			address(pointer+"/address", o.Address)
		}
	}
	return all
}

// Hits are the hits of a customer as events of now; none of who is erased. Those that were
// logged before have the IDs that they had.
func Hits(s *event.State, by *screening.Screener, now time.Time) (all []event.Input) {
	if s.OpenedAt.IsZero() {
		return nil
	}
	for _, subject := range Subjects(s) {
		for _, hit := range by.Screen(screening.Row{Customer: subject.Customer}).Hits {
			f := &event.Flagged{What: "hit", Record: hit.Record, Thread: string(hit.Thread), Matched: subject.Pointer + "/name", Outcome: "open"}
			if hit.How == screening.ByJurisdiction {
				f.Matched = subject.Pointer + "/country"
			}
			if hit.Score != nil {
				thousandths := int64(*hit.Score) / 1000
				f.Score = &thousandths
			}
			what := "name"
			if hit.How == screening.ByJurisdiction {
				what = "country"
			}
			all = append(all, input(s, now, "hit:", f, what, f.Thread, f.Record.String(), strings.Join(append([]string{subject.Name}, subject.Alias...), "\n"), subject.Country, subject.LEI, subject.RegistrationNumber))
		}
	}
	return all
}

// Decide is somebody's decision about a flag of a customer, as an event of now. The same
// decision about the same hit, sent twice, is one.
func Decide(s *event.State, flag event.Flag, outcome, by, reason string, now time.Time) (event.Input, []schema.Fault) {
	f := &event.Flagged{What: "decision", Record: flag.Record, Thread: flag.Thread, Matched: flag.Matched, Outcome: outcome, By: by, Reason: reason}
	in := input(s, now, "decision:", f, f.Thread, f.Record.String(), f.Matched, flag.At.String(), flag.DecidedAt.String(), outcome, by, reason)
	return in, in.Check()
}

// input is an event whose ID is derived of texts.
func input(s *event.State, now time.Time, prefix string, f *event.Flagged, texts ...string) event.Input {
	var b []byte
	for _, text := range texts {
		b = append(schema.AppendString(b, text), '\n')
	}
	sum := sha256.Sum256(b)
	return event.Input{Account: s.Customer.Account, ID: prefix + hex.EncodeToString(sum[:]), Kind: event.KindFlagged, Time: now.UTC().Truncate(time.Millisecond), Content: f}
}
