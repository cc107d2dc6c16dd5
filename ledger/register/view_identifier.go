package register

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Schemes are the kinds of identifiers that [View.Identifier] takes.
var Schemes = []string{SchemeLEI, "registrationNumber", SchemeASN, SchemeDomain, SchemeName}

// Identifier is everything about one identifier. No match means that no record
// among all Entries uses it.
type Identifier struct {
	Scheme  string  `json:"scheme"`
	Value   string  `json:"value"` // as it is compared
	Entries uint64  `json:"entries"`
	Matches []Match `json:"matches"`
}

// Match is one thread that bears an identifier, or bore it.
type Match struct {
	Use         string       `json:"use"` // current, alias, weak-alias, former, gone
	Thread      string       `json:"thread"`
	Since       record.ID    `json:"since"` // the record that made this use
	Designation *Designation `json:"designation,omitempty"`
	Party       *Party       `json:"party,omitempty"`
}

func (u IdentifierUse) String() string {
	return [...]string{"", "gone", "current", "alias", "weak-alias", "former"}[u]
}

// Identifier finds who bears an identifier, as of an instant: an LEI, a
// registration number as written, an ASN with or without "AS", a domain, a name
// exact but for what [rules1.NameKey] evens out.
func (v *View) Identifier(scheme, value string, at time.Time) (Identifier, error) {
	found := Identifier{Scheme: scheme, Value: identifierKey(scheme, value), Entries: v.size, Matches: []Match{}}
	var indexes []uint64
	err := v.uses(scheme, value, func(thread string, index uint64, use IdentifierUse) bool {
		found.Matches = append(found.Matches, Match{Use: use.String(), Thread: thread})
		indexes = append(indexes, index)
		return true
	})
	if err != nil || len(indexes) == 0 {
		return found, err
	}
	m, err := v.moment(at)
	if err != nil {
		return found, err
	}
	for i := range found.Matches {
		if err := v.fillMatch(&found.Matches[i], indexes[i], m); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (v *View) fillMatch(match *Match, index uint64, m moment) error {
	since, err := v.RecordAt(index)
	if err != nil {
		return err
	}
	match.Since = since.ID
	h, err := v.history(match.Thread)
	if err != nil {
		return err
	}
	if strings.HasPrefix(match.Thread, "party/") {
		p, err := v.party(h, m)
		match.Party = &p
		return err
	}
	d, _, err := v.tellDesignation(h, m)
	match.Designation = &d
	return err
}

// uses yields each thread that uses, or used, an identifier.
func (v *View) uses(scheme, value string, yield func(thread string, index uint64, use IdentifierUse) bool) error {
	key := identifierKey(scheme, value)
	if key == "" || !slices.Contains(Schemes, scheme) && scheme != SchemeRegistration {
		return nil
	}
	if scheme == "registrationNumber" {
		scheme = SchemeRegistration
	}
	return v.r.identified(scheme, key, v.size, func(_, thread string, index uint64, use IdentifierUse) bool {
		return yield(thread, index, use)
	})
}

// identifierKey is an identifier as the index holds it.
func identifierKey(scheme, value string) string {
	switch value = strings.TrimSpace(value); scheme {
	case SchemeLEI:
		return strings.ToUpper(value)
	case SchemeASN:
		return strings.TrimPrefix(strings.ToUpper(value), "AS")
	case SchemeDomain:
		return strings.TrimSuffix(strings.ToLower(value), ".")
	case SchemeName:
		return rules1.NameKey(value)
	}
	return value
}
