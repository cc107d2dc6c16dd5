package register

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
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
	if byState == IdentifierCurrent || byState == IdentifierAlias || scheme != SchemeName || row == nil || row.isUnshown() || !row.State.renamed() {
		return max(byState, IdentifierGone), nil
	}
	key, _, _ := strings.Cut(rest, "\x1f")
	former, err := d.hadFormerName(formerNameText(row.Thread, key, ""))
	if err != nil || !former {
		return max(byState, IdentifierGone), err
	}
	return IdentifierFormer, nil
}

// identifiersOf are the identifiers by which a thread is found, but for its former names.
func identifiersOf(row *ThreadRow) map[string]IdentifierUse {
	if row.isUnshown() {
		return nil
	}
	return row.State.identifiers(row.Thread)
}

func (p *PartyRow) identifiers(thread record.Thread) map[string]IdentifierUse {
	ids := newIdentifierSet(thread)
	ids.add(SchemeLEI, p.LEI, IdentifierCurrent)
	ids.addName(p.LegalName, IdentifierCurrent)
	return ids.uses
}

func (d *DesignationRow) identifiers(thread record.Thread) map[string]IdentifierUse {
	ids, t := newIdentifierSet(thread), &d.Current.Target
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
	return ids.uses
}

func (*CharterRow) identifiers(record.Thread) map[string]IdentifierUse     { return nil }
func (*ResponseRow) identifiers(record.Thread) map[string]IdentifierUse    { return nil }
func (*PeriodRow) identifiers(record.Thread) map[string]IdentifierUse      { return nil }
func (*CustomerLogRow) identifiers(record.Thread) map[string]IdentifierUse { return nil }
func (*AITrainingRow) identifiers(record.Thread) map[string]IdentifierUse  { return nil }

func (p *PartyRow) renamed() bool       { return p.Renamed }
func (d *DesignationRow) renamed() bool { return d.Renamed }
func (*CharterRow) renamed() bool       { return false }
func (*ResponseRow) renamed() bool      { return false }
func (*PeriodRow) renamed() bool        { return false }
func (*CustomerLogRow) renamed() bool   { return false }
func (*AITrainingRow) renamed() bool    { return false }

// identifierSet gathers the uses of one thread; of two uses of one identifier, the
// one added first stays, but a strong alias outdoes a weak one.
type identifierSet struct {
	thread record.Thread
	uses   map[string]IdentifierUse
}

func newIdentifierSet(thread record.Thread) identifierSet {
	return identifierSet{thread: thread, uses: make(map[string]IdentifierUse)}
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

// Former names have a table: one row for each name that a thread ever replaced, from
// the record on that first did. A name that is borne again is a former one no more
// while it is borne, and needs no row for that.

// formerNameText is the text of a former name's row; without the name, a prefix of those
// of that key.
func formerNameText(thread record.Thread, key, name string) string {
	return string(thread) + "\x1f" + key + "\x1f" + name
}

// addFormerName writes that the thread's record replaced a name, unless it is known.
func (d *Draft) addFormerName(row *ThreadRow, name string) error {
	text := formerNameText(row.Thread, rules1.NameKey(name), name)
	known, err := d.hadFormerName(text + "\x00")
	if err != nil || known {
		return err
	}
	d.put(appendListed(d.scratchKey(), tableFormer, text, row.Index), nil)
	d.formerNames[text+"\x00"], d.formerNames[formerNameText(row.Thread, rules1.NameKey(name), "")] = true, true
	return nil
}

// hadFormerName says whether the draft sees a former name's row that begins with prefix: the
// text of one name and 0x00, or that of all names of one key.
func (d *Draft) hadFormerName(prefix string) (bool, error) {
	for _, b := range append(slices.Clip(d.earlier), d) {
		if b.formerNames[prefix] {
			return true, nil
		}
	}
	found := false
	lower, upper := prefixBounds(tableFormer, prefix)
	err := d.r.scan(lower, upper, func(key, _ []byte) (bool, error) {
		_, index := splitListed(key)
		found = index < d.start
		return !found, nil
	})
	return found, err
}

// formerNames are names that a thread had replaced below a size and does not bear now,
// those first replaced first: at most that many, of the first by [rules1.NameKey], and
// whether there are more.
func (r rowReader) formerNames(thread record.Thread, below uint64, now string, most int) (names []string, more bool, err error) {
	type former struct {
		name  string
		since uint64
	}
	var list []former
	lower, upper := prefixBounds(tableFormer, thread+"\x1f")
	err = r.scan(lower, upper, func(key, _ []byte) (bool, error) {
		text, since := splitListed(key)
		part := strings.Split(string(text), "\x1f")
		if len(part) != 3 {
			return false, fmt.Errorf("former name row %q: %w", text, ErrDamaged)
		}
		if since < below && part[2] != now {
			if more = len(list) == most; !more {
				list = append(list, former{part[2], since})
			}
		}
		return !more, nil
	})
	slices.SortFunc(list, func(a, b former) int { return cmp.Compare(a.since, b.since) })
	for _, f := range list {
		names = append(names, f.name)
	}
	return names, more, err
}

// suggestParty is `; did you mean "acme-cloud"?` for an issuer that is not
// enrolled, where one is that differs by a slip of the pen.
func (d *Draft) suggestParty(issuer string) (string, error) {
	threads, err := d.r.neighbouringThreads(record.PartyThread(issuer), d.start)
	return suggest(issuer, d.withDraftParties(threads)), err
}

// maxNeighbours is how many names on each side are looked at for one that is like it: a
// typing error must be cheap, however many threads there are.
const maxNeighbours = 256

// neighbouringThreads are the threads of its family below a size that sort next to a thread, on
// both sides.
func (r rowReader) neighbouringThreads(thread record.Thread, below uint64) (threads []record.Thread, err error) {
	family := thread.Family().Prefix()
	err = r.scanThreads(family, string(thread), below, func(row *ThreadRow) (bool, error) {
		threads = append(threads, row.Thread)
		return len(threads) < maxNeighbours, nil
	})
	if err != nil {
		return nil, err
	}
	lower, _ := prefixBounds(tableThread, family)
	for n := 0; n < maxNeighbours; n++ {
		var found record.Thread
		err := r.scanBackward(lower, append([]byte{tableThread}, thread+"\x00"...), func(key, _ []byte) (bool, error) {
			text, index := splitVersion(key) // its oldest version
			found = record.Thread(text)
			if index < below {
				threads = append(threads, found)
			}
			return false, nil
		})
		if err != nil || found == "" {
			return threads, err
		}
		thread = found
	}
	return threads, nil
}

// suggest is [schema.DidYouMean] of the threads of a family.
func suggest(written string, threads []record.Thread) string {
	names := make([]string, len(threads))
	for i, t := range threads {
		names[i] = t.Name()
	}
	return schema.DidYouMean(written, names)
}

// withDraftParties adds the parties that the register does not have yet, in order.
func (d *Draft) withDraftParties(threads []record.Thread) []record.Thread {
	for _, b := range append(slices.Clip(d.earlier), d) {
		for thread := range maps.Keys(b.threads) {
			if thread.Family() == record.FamilyParty {
				threads = append(threads, thread)
			}
		}
	}
	slices.Sort(threads)
	return slices.Compact(threads)
}

// IdentifierSchemes are the kinds of identifiers that [View.Identifier] takes.
var IdentifierSchemes = []string{SchemeLEI, "registrationNumber", SchemeASN, SchemeDomain, SchemeName}

func (u IdentifierUse) String() string {
	return [...]string{"", "gone", "current", "alias", "weak-alias", "former"}[u]
}

// indexScheme is a scheme as the index names it, "" if there is none.
func indexScheme(scheme string) string {
	switch {
	case scheme == "registrationNumber":
		return SchemeRegistration
	case scheme == SchemeProvider, scheme == SchemeJurisdiction:
		return scheme
	case slices.Contains(IdentifierSchemes, scheme), scheme == SchemeRegistration:
		return scheme
	}
	return ""
}

// IdentifierKey is an identifier as the index holds it.
func IdentifierKey(scheme, value string) string {
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

// Country is the code of a country as people write it, see [rules1.Country].
func Country(text string) (code string, err error) { return rules1.Country(text) }

// IsHiddenAt reports whether a reader does not see the code point at a byte of a text, see
// [rules1.IsHiddenAt].
func IsHiddenAt(s string, i int) bool { return rules1.IsHiddenAt(s, i) }
