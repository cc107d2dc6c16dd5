package register

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Former names have a table: one row for each name that a thread ever replaced, from
// the record on that first did. A name that is borne again is a former one no more
// while it is borne, and needs no row for that.

// formerNameText is the text of a former name's row; without the name, a prefix of those
// of that key.
func formerNameText(thread, key, name string) string {
	return thread + "\x1f" + key + "\x1f" + name
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
func (r rowReader) formerNames(thread string, below uint64, now string, most int) (names []string, more bool, err error) {
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
