package register

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// writeIdentifiers writes which identifiers the record's thread begins, goes on otherwise, or
// ceases to use, and the name that it replaced. Most records change none.
func (d *Draft) writeIdentifiers(j *judgment, row *ThreadRow) error {
	if j.replacedName != "" {
		if err := d.addFormerName(row, j.replacedName); err != nil {
			return err
		}
	}
	next := identifiersOf(row)
	var last map[string]IdentifierUse
	if j.head != nil {
		last = identifiersOf(j.head)
	}
	var changed []string
	for text, use := range next {
		if last[text] != use {
			changed = append(changed, text)
		}
	}
	for text := range last {
		if _, still := next[text]; !still {
			changed = append(changed, text)
		}
	}
	slices.Sort(changed)
	for _, text := range changed {
		before, err := d.identifierUse(text, last[text], j.head)
		if err != nil {
			return err
		}
		after, err := d.identifierUse(text, next[text], row)
		if err != nil {
			return err
		}
		if before != after {
			d.put(appendVersion(d.scratchKey(), tableIdentifier, text, row.Index), []byte{byte(after)})
		}
	}
	return nil
}

// identifierUse is how a thread uses an identifier, given how its state says that it does: as a
// former name too, which no state lists.
func (d *Draft) identifierUse(text string, byState IdentifierUse, row *ThreadRow) (IdentifierUse, error) {
	scheme, rest, _ := strings.Cut(text, "\x1f")
	if byState == IdentifierCurrent || byState == IdentifierAlias || scheme != SchemeName || row == nil || !row.hasFormerNames() {
		return max(byState, IdentifierGone), nil
	}
	key, _, _ := strings.Cut(rest, "\x1f")
	former, err := d.hadFormerName(formerNameText(row.Thread, key, ""))
	if err != nil || !former {
		return max(byState, IdentifierGone), err
	}
	return IdentifierFormer, nil
}

// hasFormerNames says whether the thread has former names.
func (row *ThreadRow) hasFormerNames() bool {
	switch s := row.State.(type) {
	case *PartyRow:
		return s.Renamed
	case *DesignationRow:
		return s.Renamed
	}
	return false
}

// identifiersOf are the identifiers by which a party or a designation is found, but for
// its former names.
func identifiersOf(row *ThreadRow) map[string]IdentifierUse {
	ids := identifierSet{thread: row.Thread, uses: make(map[string]IdentifierUse)}
	switch s := row.State.(type) {
	case *PartyRow:
		ids.add(SchemeLEI, s.LEI, IdentifierCurrent)
		ids.addName(s.LegalName, IdentifierCurrent)
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
		ids.addName(t.Name, IdentifierCurrent)
		for _, a := range t.Alias {
			if a.Weak {
				ids.addName(a.Name, IdentifierWeak)
			} else {
				ids.addName(a.Name, IdentifierAlias)
			}
		}
	default:
		return nil
	}
	return ids.uses
}

// identifierSet gathers the uses of one thread; of two uses of one identifier, the
// one added first stays, but a strong alias outdoes a weak one.
type identifierSet struct {
	thread string
	uses   map[string]IdentifierUse
}

func (ids identifierSet) add(scheme, value string, use IdentifierUse) {
	if value == "" {
		return
	}
	text := identifierText(scheme, value, ids.thread)
	if now, ok := ids.uses[text]; !ok || now == IdentifierWeak {
		ids.uses[text] = use
	}
}

func (ids identifierSet) addName(name string, use IdentifierUse) {
	ids.add(SchemeName, rules1.NameKey(name), use)
}
