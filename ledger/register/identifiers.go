package register

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// identifierRow is one row to write: a thread begins, goes on otherwise, or
// ceases to use an identifier.
type identifierRow struct {
	text string
	use  IdentifierUse
}

// identifierChanges compares the identifiers of a thread before and after a
// record, in the order of their keys. Most records change none.
func identifierChanges(before, after *ThreadRow) []identifierRow {
	next := identifiersOf(after)
	var last map[string]IdentifierUse
	if before != nil {
		last = identifiersOf(before)
	}
	var rows []identifierRow
	for text, use := range next {
		if last[text] != use {
			rows = append(rows, identifierRow{text, use})
		}
	}
	for text := range last {
		if _, still := next[text]; !still {
			rows = append(rows, identifierRow{text, IdentifierGone})
		}
	}
	slices.SortFunc(rows, func(a, b identifierRow) int { return strings.Compare(a.text, b.text) })
	return rows
}

// identifiersOf are the identifiers by which a party or a designation is found.
func identifiersOf(row *ThreadRow) map[string]IdentifierUse {
	ids := identifiers{thread: row.Thread, uses: make(map[string]IdentifierUse)}
	switch s := row.State.(type) {
	case *PartyRow:
		ids.add(SchemeLEI, s.LEI, IdentifierCurrent)
		ids.name(s.LegalName, IdentifierCurrent)
		for _, n := range s.FormerName {
			ids.name(n, IdentifierFormer)
		}
	case *DesignationRow:
		t := &s.Current.Target
		ids.add(SchemeLEI, t.LEI, IdentifierCurrent)
		ids.add(SchemeRegistration, t.RegistrationNumber, IdentifierCurrent)
		for _, n := range t.ASN {
			ids.add(SchemeASN, strconv.FormatInt(n, 10), IdentifierCurrent)
		}
		for _, d := range t.Domain {
			ids.add(SchemeDomain, strings.ToLower(d), IdentifierCurrent)
		}
		ids.name(t.Name, IdentifierCurrent)
		for _, a := range t.Alias {
			if a.Weak {
				ids.name(a.Name, IdentifierWeak)
			} else {
				ids.name(a.Name, IdentifierAlias)
			}
		}
		for _, n := range s.FormerName {
			ids.name(n, IdentifierFormer)
		}
	default:
		return nil
	}
	return ids.uses
}

// identifiers gathers the uses of one thread; of two uses of one identifier, the
// one added first stays, but a strong alias outdoes a weak one.
type identifiers struct {
	thread string
	uses   map[string]IdentifierUse
}

func (ids identifiers) add(scheme, value string, use IdentifierUse) {
	if value == "" {
		return
	}
	text := identifierText(scheme, value, ids.thread)
	if now, ok := ids.uses[text]; !ok || now == IdentifierWeak {
		ids.uses[text] = use
	}
}

func (ids identifiers) name(name string, use IdentifierUse) {
	ids.add(SchemeName, rules1.NameKey(name), use)
}
