package register

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// suggestParty is `; did you mean "acme-cloud"?` for an issuer that is not
// enrolled, where one is that differs by a slip of the pen.
func (d *Draft) suggestParty(issuer string) (string, error) {
	threads, err := d.r.neighbouringThreads("party/", "party/"+issuer, d.start)
	return suggest("party/", issuer, d.withDraftParties(threads)), err
}

// absentWithHint says that the view has no such party or designation, and which one of
// nearly that name it has, among those that stand near it in the list.
func (v *View) absentWithHint(family, name string) error {
	threads, err := v.rows.neighbouringThreads(family+"/", family+"/"+name, v.size)
	if err != nil && !errors.Is(err, ErrOverBudget) { // then there is no hint
		return err
	}
	return &AbsentError{What: family + " " + name, Size: v.size, Hint: suggest(family+"/", name, threads)}
}

// maxNeighbours is how many names on each side are looked at for one that is like it: a
// stranger's typing error must be cheap, however many threads there are.
const maxNeighbours = 256

// neighbouringThreads are the threads of a family below a size that sort next to a name, on both
// sides.
func (r rowReader) neighbouringThreads(family, name string, below uint64) (threads []string, err error) {
	err = r.scanThreads(family, name, below, func(row *ThreadRow) (bool, error) {
		threads = append(threads, row.Thread)
		return len(threads) < maxNeighbours, nil
	})
	if err != nil {
		return nil, err
	}
	lower, _ := prefixBounds(tableThread, family)
	for n := 0; n < maxNeighbours; n++ {
		found := ""
		err := r.scanBackward(lower, append([]byte{tableThread}, name+"\x00"...), func(key, _ []byte) (bool, error) {
			text, index := splitVersion(key) // its oldest version
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

// suggest is [record.DidYouMean] of the threads that begin with family.
func suggest(family, written string, threads []string) string {
	names := make([]string, len(threads))
	for i, t := range threads {
		names[i] = strings.TrimPrefix(t, family)
	}
	return record.DidYouMean(written, names)
}

// withDraftParties adds the parties that the register does not have yet, in order.
func (d *Draft) withDraftParties(names []string) []string {
	for _, b := range append(slices.Clip(d.earlier), d) {
		for name := range maps.Keys(b.threads) {
			if strings.HasPrefix(name, "party/") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// eachProvider visits every provider as the draft sees it.
func (d *Draft) eachProvider(visit func(*PartyRow) error) error {
	var names []string
	err := d.r.scanProviders("", d.start, func(id string) (bool, error) {
		names = append(names, "party/"+id)
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, name := range d.withDraftParties(names) {
		row, err := d.lookupThread(name)
		if err != nil {
			return err
		}
		if p := row.State.(*PartyRow); p.HasRole(record.RoleProvider) {
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}
