package register

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// similarParty is `; did you mean "acme-cloud"?` for an issuer that is not
// enrolled, where one is that differs by a slip of the pen.
func (d *Draft) similarParty(issuer string) (string, error) {
	threads, err := d.r.neighbours("party/", "party/"+issuer, d.start)
	return similar("party/", issuer, d.andDrafted(threads)), err
}

// unknown says that the view has no such party or designation, and which one of
// nearly that name it has, among those that stand near it in the list.
func (v *View) unknown(family, name string) error {
	threads, err := v.r.neighbours(family+"/", family+"/"+name, v.size)
	if err != nil && !errors.Is(err, ErrTooMuch) { // then there is no hint
		return err
	}
	return &AbsentError{What: family + " " + name, Size: v.size, Hint: similar(family+"/", name, threads)}
}

// maxNear is how many names on each side are looked at for one that is like it: a
// stranger's typing error must be cheap, however many threads there are.
const maxNear = 256

// neighbours are the threads of a family below a size that sort next to a name, on both
// sides.
func (r reads) neighbours(family, name string, below uint64) (threads []string, err error) {
	err = r.threads(family, name, below, func(row *ThreadRow) (bool, error) {
		threads = append(threads, row.Thread)
		return len(threads) < maxNear, nil
	})
	if err != nil {
		return nil, err
	}
	lower, _ := prefixBounds(tableThread, family)
	for n := 0; n < maxNear; n++ {
		found := ""
		err := r.scanBack(lower, append([]byte{tableThread}, name+"\x00"...), func(key, _ []byte) (bool, error) {
			text, index := versionOf(key) // its oldest version
			found = string(text)
			if index < below {
				threads = append(threads, found)
			}
			return false, nil
		})
		if err != nil || found == "" {
			return threads, err
		}
		name = found
	}
	return threads, nil
}

// similar is [record.DidYouMean] of the threads that begin with family.
func similar(family, written string, threads []string) string {
	names := make([]string, len(threads))
	for i, t := range threads {
		names[i] = strings.TrimPrefix(t, family)
	}
	return record.DidYouMean(written, names)
}

// andDrafted adds the parties that the register does not have yet, in order.
func (d *Draft) andDrafted(names []string) []string {
	for _, b := range append(slices.Clip(d.below), d) {
		for name := range maps.Keys(b.threads) {
			if strings.HasPrefix(name, "party/") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// providers visits every provider as the draft sees it.
func (d *Draft) providers(visit func(*PartyRow) error) error {
	var names []string
	err := d.r.providers("", d.start, func(id string) (bool, error) {
		names = append(names, "party/"+id)
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, name := range d.andDrafted(names) {
		row, err := d.thread(name)
		if err != nil {
			return err
		}
		if p := row.State.(*PartyRow); p.Has(record.RoleProvider) {
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}
