package view

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Identifier is everything about one identifier. No match means that no record
// among all Entries uses it.
type Identifier struct {
	Scheme  string            `json:"scheme"`
	Value   string            `json:"value"` // as it is compared
	Entries uint64            `json:"entries"`
	Matches []IdentifierMatch `json:"matches"`
}

// IdentifierMatch is one thread that bears an identifier, or bore it.
type IdentifierMatch struct {
	Use         string        `json:"use"` // current, alias, weak-alias, former, gone
	Thread      record.Thread `json:"thread"`
	Since       record.ID     `json:"since"` // the record that made this use
	Designation *Designation  `json:"designation,omitempty"`
	Party       *Party        `json:"party,omitempty"`
}

// Identifier finds who bears an identifier, or bore it, as of an instant: an LEI, a
// registration number as written, an ASN with or without "AS", a domain, a name exact
// but for what [rules1.NameKey] evens out. A query with a budget uses
// [View.IdentifierMatches].
func (v *View) Identifier(scheme, value string, at time.Time) (Identifier, error) {
	found := v.NormalizeIdentifier(scheme, value)
	err := v.IdentifierMatches(scheme, value, "", at, func(m IdentifierMatch) bool {
		found.Matches = append(found.Matches, m)
		return true
	})
	return found, err
}

// NormalizeIdentifier is an identifier as it is asked for and compared, with no match yet.
func (v *View) NormalizeIdentifier(scheme, value string) Identifier {
	return Identifier{Scheme: scheme, Value: register.IdentifierKey(scheme, value), Entries: v.Size(), Matches: []IdentifierMatch{}}
}

// IdentifierMatches yields the matches of [View.Identifier], by thread, those after a thread, until
// yield returns false. A [PartialListError] names the thread after which it goes on.
func (v *View) IdentifierMatches(scheme, value, after string, at time.Time, yield func(IdentifierMatch) bool) error {
	m, err := v.momentAt(at)
	if err != nil {
		return err
	}
	p := listProgress{startedAfter: after, passed: after}
	return p.partial(v.rows.IdentifierUses(scheme, value, after, func(thread record.Thread, since uint64, use register.IdentifierUse) (bool, error) {
		p.current = string(thread)
		match := IdentifierMatch{Use: use.String(), Thread: thread}
		if err := v.fillMatch(&match, since, m); err != nil {
			return false, err
		}
		more := yield(match)
		p.passed = string(thread)
		return more, nil
	}))
}

func (v *View) fillMatch(match *IdentifierMatch, index uint64, m instantViews) error {
	since, err := v.RecordAt(index)
	if err != nil {
		return err
	}
	match.Since = since.ID
	h, err := v.threadHistory(match.Thread)
	if err != nil {
		return err
	}
	if match.Thread.Family() == record.FamilyParty {
		p, _, err := v.viewParty(h, m)
		match.Party = &p
		return err
	}
	d, _, err := v.viewDesignation(h, m)
	match.Designation = &d
	return err
}
