// Package rules1 holds the tables that judge records under rules 1: which code
// points exist, which countries, which time zones, what a legal entity
// identifier's check digits must be. They are embedded and frozen, never the
// host's nor a library's newest, so that every machine judges an entry alike for
// as long as the ledger lives (RECORDS.md "Dates", "Tables that judge").
//
// It judges single values only. What a kind requires is package record's; what
// the ledger's state allows is package register's.
//
// Sources: Unicode 15.0.0, ISO 3166-1 as of 2025, tzdata 2025c, ISO 17442-1:2020.
// A change of any of them is another rules version in another package.
package rules1

//go:generate go run ./internal/gen -countries internal/gen/country-codes.csv

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

const (
	// Version is the charter's `rules` number that these tables judge.
	Version = 1
	// NameKeyFormat numbers the form of [NameKey]. Whoever stores keys raises its own
	// format with it, and rebuilds by replay.
	NameKeyFormat = 1
)

// Check judges every value of a statement that a table decides: text is NFC of
// assigned code points that are seen, countries and time zones exist, check digits agree. No
// fault means nil. The same statement gives the same faults on every machine.
func Check(st *record.Statement) []record.Fault {
	var c faultCollector
	st.VisitStrings(c.text)
	switch p := st.Predicate.(type) {
	case *record.Charter:
		c.zone("/predicate/timeZone", p.TimeZone)
	case *record.Enrolment:
		c.country("/predicate/country", p.Country)
		c.lei("/predicate/lei", p.LEI)
	case *record.Designation:
		c.target("/predicate/target", &p.Target)
	}
	return c.faults
}

// CheckTarget judges a designation's target alone: what [Check] does not see of
// an amendment, whose result is validated as a whole designation.
func CheckTarget(t *record.Target) []record.Fault {
	var c faultCollector
	c.target("/predicate/target", t)
	return c.faults
}

// A checker gathers the faults of one statement.
type faultCollector struct{ faults []record.Fault }

func (c *faultCollector) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, record.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *faultCollector) text(pointer, value string) {
	if err := checkText(value); err != nil {
		c.fault(pointer, "%v", err)
	}
}

func (c *faultCollector) zone(pointer, name string) {
	if _, err := Location(name); err != nil {
		c.fault(pointer, "%v", err)
	}
}

func (c *faultCollector) target(pointer string, t *record.Target) {
	c.country(pointer+"/country", t.Country)
	c.lei(pointer+"/lei", t.LEI)
	for i := range t.Address {
		c.country(fmt.Sprintf("%s/address/%d/country", pointer, i), t.Address[i].Country)
	}
}

// country accepts an absent value: whether one is required is the kind's schema's.
func (c *faultCollector) country(pointer, code string) {
	if code != "" && !IsCountry(code) {
		c.fault(pointer, "%q is no ISO 3166-1 alpha-2 code (two capital letters; XA to XZ stand for fictional countries)", code)
	}
}

func (c *faultCollector) lei(pointer, lei string) {
	if lei == "" {
		return
	}
	if err := checkLEI(lei); err != nil {
		c.fault(pointer, "%v", err)
	}
}
