// Package screening says which customers of a list a ledger's designations may mean, in a
// report that somebody else can make again to the byte.
//
// A report rests on the designations as a published tree of the ledger has them
// ([NewDesignations]), on the algorithm of package screen and a threshold, on the list, and
// on the exceptions that were reviewed; its first line names all of them ([Head]). It holds
// no time but the day that was asked about, and nothing of the machine it was made on.
//
// The package knows no trust directory and no command line: whoever has a view of a
// register, of a copy or of another ledger, can screen against it. It is no part of what a
// client judges by, since a report is an opinion on names; hence it stands below the
// commands, which may import all, and not in package client.
package screening

import (
	"cmp"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// ByJurisdiction is how a customer is hit whose country is a designated jurisdiction. Such a
// hit has no score.
const ByJurisdiction screen.How = "jurisdiction"

// Hit is a designation that may mean a customer.
type Hit struct {
	Standing
	How     screen.How   `json:"how"`
	Queried string       `json:"queried,omitempty"` // the customer's alias that matched, where it was not its name
	Matched *screen.Name `json:"matched,omitempty"` // the designation's name that did

	Score    *screen.Score    `json:"score,omitempty"`  // 0 to 1, of Points; absent by jurisdiction
	Points   int              `json:"points,omitempty"` // the sum of those of the features
	Features []screen.Feature `json:"features,omitempty"`

	// OFACStyle is a score after OFAC's description of its own search (its FAQ 249), which no
	// threshold is applied to.
	OFACStyle *screen.Score `json:"ofacStyle,omitempty"`

	Exception *Applied `json:"exception,omitempty"`
}

// Open reports whether somebody has to look at the hit: no exception covers it.
func (h *Hit) Open() bool { return h.Exception == nil || len(h.Exception.Lapsed) > 0 }

// Line is what a report says of one row of a list.
type Line struct {
	Row int `json:"row"` // as a spreadsheet counts: the header is row 1
	Customer
	NotScreened string   `json:"notScreened,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
	InPart      bool     `json:"screenedInPart,omitempty"` // a warning is of what might have hit
	Hits        []Hit    `json:"hits,omitempty"`           // the highest score first
}

// silent reports whether a report leaves the line out: the row was screened whole, and
// nothing hit it.
func (l *Line) silent() bool { return l.NotScreened == "" && len(l.Warnings) == 0 && len(l.Hits) == 0 }

// Screener screens rows. It is safe for use by many goroutines.
type Screener struct {
	Designations *Designations
	Threshold    screen.Score
	Exceptions   *Exceptions // nil: none
}

// Screen screens one row.
func (s *Screener) Screen(row Row) Line {
	l := Line{Row: row.Number, Customer: row.Customer, NotScreened: row.NotScreened, Warnings: row.Warnings, InPart: row.InPart}
	if row.NotScreened != "" {
		return l
	}
	l.Hits = s.hits(row.Customer)
	for i := range l.Hits {
		l.Hits[i].Exception = s.Exceptions.Apply(row.Customer, l.Hits[i].Thread)
	}
	return l
}

// hits compares each of a customer's names, and of several that hit one designation keeps
// the one that says most.
func (s *Screener) hits(c Customer) []Hit {
	var all []Hit
	best := make(map[record.Thread]int)
	names := append([]string{c.Name}, c.Alias...)
	if c.Name == "" && len(c.Alias) > 0 {
		names = c.Alias
	}
	for _, name := range names {
		q := screen.Query{Name: name, Country: c.Country, LEI: c.LEI, RegistrationNumber: c.RegistrationNumber, ASN: c.ASN, Domain: c.Domain}
		for _, found := range s.Designations.index.Screen(q, s.Threshold) {
			h := Hit{
				Standing: *s.Designations.standings[found.Subject.Thread],
				How:      found.How, Score: &found.Score, Points: found.Points, Features: found.Features, OFACStyle: &found.OFAC,
			}
			if found.Name.Text != "" {
				h.Matched = &found.Name
			}
			if name != c.Name {
				h.Queried = name
			}
			i, known := best[h.Thread]
			switch {
			case !known:
				best[h.Thread] = len(all)
				all = append(all, h)
			case h.Points > all[i].Points:
				all[i] = h
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Points, a.Points), cmp.Compare(a.Thread, b.Thread))
	})
	for _, standing := range s.Designations.jurisdictions[c.Country] {
		if c.Country != "" {
			all = append(all, Hit{Standing: *standing, How: ByJurisdiction})
		}
	}
	return all
}
